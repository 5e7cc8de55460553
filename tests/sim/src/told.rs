//! What askers are told: heard at once, looked up at once, and compared with the journal at the end.

use crate::{
    auditor::Facts,
    report::{Invariant, Violation},
};
use jupan_log::{Log, Results, memory::MemoryLog};
use jupan_schemas::{
    Code, Codec, CommandId, CommandResult, Outcome,
    rows::{Key, Row},
};
use jupan_store::{LaneStore, memory::MemoryStore};
use std::{collections::BTreeMap, time::Duration};

/// Partitions of outcomes that somebody reads.
const LISTENED: u32 = 10;

/// Who asked: partition of outcomes, command, position. A copy of a command that lies on a wrong
/// partition may have the position of the one on the right one: then both are the same asker.
pub(crate) type Who = (u32, CommandId, u64);

/// Everything that was told.
pub(crate) struct Told {
    codec: Codec,
    subscriptions: Vec<Box<dyn Results>>,
    heard: BTreeMap<Who, Vec<Outcome>>,
    pub(crate) hasher: blake3::Hasher,
}

impl Told {
    pub(crate) fn new(log: &MemoryLog) -> Self {
        let (codec, hasher) = (Codec::embedded(), blake3::Hasher::new());
        let (subscriptions, heard) = (Vec::new(), BTreeMap::new());
        let mut told = Self { codec, subscriptions, heard, hasher };
        told.subscribe(log);
        told
    }

    /// Listens to a new log.
    pub(crate) fn subscribe(&mut self, log: &MemoryLog) {
        self.subscriptions = (0..LISTENED).filter_map(|_| log.results().ok()).collect();
    }

    /// Hears what is new. Whoever is told an outcome must be able to read it.
    pub(crate) fn listen(&mut self, store: &MemoryStore, keeps_all: bool) -> Result<(), Violation> {
        for subscription in &mut self.subscriptions {
            let reply_to = subscription.partition();
            for bytes in subscription.receive(Duration::ZERO).unwrap_or_default() {
                self.hasher.update(&bytes);
                let unreadable = |_| Violation::new(Invariant::Outcomes, "an unreadable outcome");
                let told: CommandResult = self.codec.decode(&bytes).map_err(unreadable)?;
                let CommandResult { command_id, position, code, order_id, balance, product_id } =
                    told;
                let outcome = Outcome { code, order_id, balance, product_id };
                let heard = self.heard.entry((reply_to, command_id, position)).or_default();
                if !heard.contains(&outcome) {
                    heard.push(outcome);
                }
                if is_stored(code) {
                    read(store, command_id, &outcome, keeps_all)?;
                }
            }
        }
        Ok(())
    }

    /// Compares with what the journals say was told; `all_told`: nothing of it may be missing.
    pub(crate) fn check(&self, facts: &Facts, all_told: bool) -> Result<(), Violation> {
        let none = Vec::new();
        for (who, heard) in &self.heard {
            let due = facts.told.get(who).unwrap_or(&none);
            if let Some(outcome) = heard.iter().find(|outcome| !due.contains(outcome)) {
                let what = format!("{who:?} was told {outcome:?}, the journals say {due:?}");
                return Err(Violation::new(Invariant::Outcomes, what));
            }
        }
        let listened = facts.told.iter().filter(|((reply_to, ..), _)| *reply_to < LISTENED);
        for (who, due) in listened.filter(|_| all_told) {
            let heard = self.heard.get(who).unwrap_or(&none);
            if let Some(outcome) = due.iter().find(|outcome| !heard.contains(outcome)) {
                let what = format!("{who:?} was never told {outcome:?}");
                return Err(Violation::new(Invariant::Outcomes, what));
            }
        }
        Ok(())
    }
}

/// Whether an outcome is kept for its command: others are for one asker, or about no command at all.
fn is_stored(code: Code) -> bool {
    let about_form = [Code::InvalidId, Code::InvalidKey, Code::InvalidTime, Code::Malformed];
    !code.is_for_this_asker_only() && !about_form.contains(&code)
}

fn read(
    store: &MemoryStore,
    id: CommandId,
    outcome: &Outcome,
    keeps_all: bool,
) -> Result<(), Violation> {
    let orders = id.orders().into_iter().flatten().map(Key::Order);
    let keys: Vec<Key> = std::iter::once(Key::Outcome(id)).chain(orders).collect();
    let found: Vec<Outcome> = store
        .load(&keys)
        .unwrap_or_default()
        .into_iter()
        .flatten()
        .filter_map(|row| match row {
            Row::Outcome(row) => Some(row.outcome),
            Row::Order(row) => row.outcome,
            _ => None,
        })
        .collect();
    // Where a key was forgotten and used again, an answer of its first life may come late.
    if found.contains(outcome) || (!keeps_all && !found.is_empty()) {
        return Ok(());
    }
    let what = format!("{id} was told {outcome:?}, but reads {found:?}");
    Err(Violation::new(Invariant::Reads, what))
}
