//! What has to hold after any crash.

use super::{
    commands::command,
    shop::{Acknowledged, LANES, Shop, clock},
};
use jupan_ledger::{Core, products::Products, users::Users};
use jupan_log::{Log, LogRecord, ReadLimit, simulated::Survival};
use jupan_schemas::{
    rows::{Key, Row},
    *,
};
use jupan_store::{LaneStore, memory::MemoryStore};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const ALL: ReadLimit = ReadLimit { records_max: usize::MAX, bytes_max: usize::MAX };

/// What people outside were told.
#[derive(Clone, Default)]
pub(crate) struct Told {
    pub(crate) acknowledged: Vec<Acknowledged>,
    pub(crate) outcomes: Vec<CommandResult>,
}

impl Told {
    /// Takes note of what the shop says.
    pub(crate) fn listen(&mut self, shop: &mut Shop) {
        self.acknowledged.extend(shop.acknowledged());
        self.outcomes.extend(shop.outcomes());
    }

    /// The newest of it: older things were there at earlier crashes, and are looked at in the end.
    pub(crate) fn newest(&self, many: usize) -> Self {
        let Self { acknowledged, outcomes } = self;
        Self {
            acknowledged: acknowledged[acknowledged.len().saturating_sub(many)..].to_vec(),
            outcomes: outcomes[outcomes.len().saturating_sub(many)..].to_vec(),
        }
    }

    /// Everything acknowledged is in the log, and who saw an outcome reads it.
    pub(crate) fn check(&self, shop: &Shop) {
        let one = ReadLimit { records_max: 1, ..ALL };
        for told in &self.acknowledged {
            let Acknowledged { number, topic, partition, offset } = *told;
            let batch = shop.log.log().read(topic, partition, offset, one).expect("it reads");
            let value = batch.records.first().map(|record| &record.value[..]);
            let made = command(&shop.codec, number).value;
            assert_eq!(value, Some(&made[..]), "{told:?} is there");
        }
        for told in self.outcomes.iter().filter(|told| !told.code.is_for_this_asker_only()) {
            let stored = row(shop, Key::Outcome(told.command_id));
            // An order remembers the outcome of its own placing.
            let stored = stored.or_else(|| row(shop, Key::Order(told.order_id?)));
            let code = match &stored {
                Some(Row::Outcome(row)) => row.outcome.code,
                Some(Row::Order(row)) if told.code != Code::Ok => row.reason.unwrap_or(Code::Ok),
                Some(Row::Order(_)) => Code::Ok,
                other => panic!("{told:?} is {other:?}"),
            };
            assert_eq!(code, told.code, "{told:?} is {stored:?}");
        }
    }
}

fn row(shop: &Shop, key: Key) -> Option<Row> {
    shop.store.load(&[key]).expect("rows").pop().flatten()
}

fn read(shop: &Shop, topic: TopicId, partition: u16) -> Vec<LogRecord> {
    let mut records = Vec::new();
    loop {
        let next = records.len() as u64;
        let batch = shop.log.log().read(topic, partition, next, ALL).expect("it reads");
        if batch.records.is_empty() {
            return records;
        }
        records.extend(batch.records);
    }
}

/// Everything at rest: each input decided once, sums, and rows that a restore from nothing but the
/// log makes again.
pub(crate) fn check_whole(shop: &Shop) -> usize {
    let empty = Arc::new(MemoryStore::new());
    let disk = shop.disk.moment().power_cut(Survival::Nothing);
    // Opening folds the journals from their beginning: numbers, chain, epochs, balances.
    let again = Shop::open(disk, empty.clone(), &clock_of(shop));
    drop(again);
    let mut keys = BTreeSet::new();
    check_role::<Users>(shop, &mut keys);
    check_role::<Products>(shop, &mut keys);
    for key in &keys {
        let [stored, made_again] = [&shop.store, &empty].map(|store| store.load(&[*key]));
        assert_eq!(stored.expect("rows"), made_again.expect("rows"), "{key:?}");
    }
    keys.len()
}

/// Shows the time of the shop's log.
fn clock_of(shop: &Shop) -> Arc<jupan_log::ManualClock> {
    let clock = clock();
    clock.set(shop.log.log().now());
    clock
}

fn check_role<C: Core>(shop: &Shop, keys: &mut BTreeSet<Key>) {
    for index in 0..LANES {
        let core = C::new(index);
        let mut decided: BTreeMap<Source, Vec<u64>> = BTreeMap::new();
        let mut balances: BTreeMap<(Account, u64), i64> = BTreeMap::new();
        for record in read(shop, TopicId::journal(C::ROLE), index) {
            let step: Step = shop.codec.decode(&record.value).expect("a step");
            for entry in &step.entries {
                let mut touched = Vec::new();
                core.entry_footprint(entry, &mut touched);
                keys.extend(touched);
                if let Some(input) = &entry.input {
                    decided.entry(input.source).or_default().push(input.offset);
                }
                for posting in &entry.postings {
                    let balance = balances.entry((posting.account, posting.owner)).or_default();
                    *balance += posting.delta;
                    assert_eq!(*balance, posting.balance, "entry {}", entry.sequence);
                }
            }
        }
        let inputs = [
            (Source::Commands, TopicId::commands(C::ROLE)),
            (Source::Inbox, TopicId::inbox(C::ROLE)),
        ];
        for (source, topic) in inputs {
            let end = shop.log.log().bounds(topic, index).expect("bounds").end;
            let offsets: Vec<u64> = (0..end).collect();
            assert_eq!(decided.remove(&source).unwrap_or_default(), offsets, "{topic:?}/{index}");
        }
        let held = balances.iter().filter(|((account, _), _)| *account == Account::Reserved);
        assert!(held.map(|(_, sum)| *sum).all(|sum| sum == 0), "nothing is held at rest");
    }
}
