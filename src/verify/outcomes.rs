//! Invariant 4: one stored outcome for one command id within its 15 days, the same for everybody
//! who asks.

use super::{
    archive::{self, Archive, NAME_BYTES},
    due::Due,
    ends::outcome_of,
    envelope,
    findings::{Desk, Invariant},
    inputs::{Body, Input},
    order::Order,
    orders::Orders,
    payments::about_order,
};
use hashbrown::{HashMap, HashSet};
use jupan_schemas::{
    Answer, AskerJoined, Change, Code, Codec, CommandId, CommandResult, Entry, Fingerprint, Hash,
    Micros, OrderId, Outcome, OutcomeStored, Verdict, rows::Key,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

const RULE: Invariant = Invariant::Outcomes;
/// How long a key stands for its first outcome, by the append times of its commands.
const KEPT_US: i64 = 15 * Micros::DAY;

/// The first outcome of a command id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    fingerprint: Fingerprint,
    pub(super) outcome: Outcome,
    at: Micros,
}

/// What everybody was told.
#[derive(Default)]
pub(super) struct Outcomes {
    stored: Archive,
    /// Digests: who was told, and what.
    told: HashMap<[u8; 12], [u8; 8]>,
    /// Told about a record that lies in the wrong place; its offset may be another one's elsewhere.
    misplaced: HashSet<(CommandId, u64)>,
}

/// What is known of a command id before an entry.
#[allow(clippy::large_enum_variant, reason = "there is one at a time, for one entry")]
enum Known<'a> {
    Nothing,
    Order(OrderId, Cow<'a, Order>),
    Stored(Stored),
}

impl Known<'_> {
    fn fingerprint(&self) -> Option<Fingerprint> {
        match self {
            Self::Nothing => None,
            Self::Order(_, order) => Some(order.fingerprint),
            Self::Stored(stored) => Some(stored.fingerprint),
        }
    }
}

impl Outcomes {
    /// Checks what an entry stores and answers. Comes before the entry's changes of orders. Says
    /// whether the entry decides something, and not only repeats or puts off.
    pub(super) fn entry(
        &mut self,
        entry: &Entry,
        input: Option<&Input>,
        due: Option<&Due>,
        orders: &Orders,
        codec: &mut Codec,
        desk: &mut Desk<'_>,
    ) -> bool {
        let stored: Vec<&OutcomeStored> = entry.changes.iter().filter_map(stored_by).collect();
        let (Some(input), true) = (input, entry.verdict != Verdict::Dead) else {
            desk.same(RULE, "outcomes stored for nobody", 0, stored.len());
            self.dead(entry, input, desk);
            return false;
        };
        let is_message = input.body.command_id().is_none();
        let decides =
            is_message || entry.verdict != Verdict::Duplicate && !is_put_off(entry, input);
        if let (true, Some(due)) = (decides, due) {
            due.check(entry, desk);
        }
        let mut answers = waiting(entry, orders);
        match fingerprint(&input.body, codec) {
            Some(own) => {
                let asked = Asked { input, own, due, stored: &stored };
                let outcome = self.command(entry, &asked, decides, orders, desk);
                answers.extend(own_answer(input, outcome));
            }
            None => drop(desk.same(RULE, "outcomes stored on a message", 0, stored.len())),
        }
        desk.same(RULE, "answers", answers.as_slice(), entry.answers.as_slice());
        for answer in &entry.answers {
            self.tell(answer, desk);
        }
        for change in stored {
            let OutcomeStored { command_id, fingerprint, outcome } = *change;
            let at = entry.input.map_or(Micros(entry.stamp.0), |input| input.at);
            self.store(command_id, &Stored { fingerprint, outcome, at });
        }
        decides
    }

    fn store(&mut self, id: CommandId, stored: &Stored) {
        let name = archive::name_of(Key::Outcome(id)).map(|name| name.to_vec());
        // Plain data can be written into memory; no outcome would show in the fold's rows.
        if let Some(Ok(bytes)) = name.map(|name| postcard::to_extend(stored, name)) {
            self.stored.put(&bytes);
        }
    }

    /// The first outcome of a command id.
    pub(super) fn stored(&self, id: CommandId) -> Option<Stored> {
        let bytes = self.stored.get(&archive::name_of(Key::Outcome(id))?)?;
        postcard::from_bytes(bytes.get(NAME_BYTES..)?).ok()
    }

    /// A record that no lane can use: whoever asked is told, where the lane could read who did.
    fn dead(&mut self, entry: &Entry, input: Option<&Input>, desk: &mut Desk<'_>) {
        let own = input.and_then(|input| own_answer(input, Some(Outcome::of(entry.code))));
        let is_unread = entry.code == Code::Malformed && entry.answers.is_empty();
        if !is_unread {
            desk.same(RULE, "answers", own.as_slice(), entry.answers.as_slice());
        }
        let told = entry.answers.iter();
        self.misplaced.extend(told.map(|answer| (answer.command_id, answer.asker.position)));
    }

    /// What the asker of a command is told at once.
    fn command(
        &self,
        entry: &Entry,
        asked: &Asked<'_>,
        decides: bool,
        orders: &Orders,
        desk: &mut Desk<'_>,
    ) -> Option<Outcome> {
        let Asked { input, own, due, stored } = *asked;
        let id = input.body.command_id()?;
        let known = self.known(id, &input.body, input.at, orders);
        envelope::check(entry, input, desk);
        if decides {
            let is_new = matches!(known, Known::Nothing);
            desk.rule(RULE, "decision on a key", is_new, "the first", "another one");
            return first(entry, id, asked, desk);
        }
        desk.same(RULE, "outcomes stored by a repetition", 0, stored.len());
        if entry.verdict == Verdict::Duplicate {
            desk.same(RULE, "body of a duplicate", known.fingerprint(), Some(own));
            return repeated(entry, input, &known, desk);
        }
        self.check_put_off(entry, asked, &known, desk);
        let told = due.and_then(|due| due.refusal(entry.code));
        Some(told.copied().unwrap_or_else(|| Outcome::of(entry.code)))
    }

    /// A refusal that stands for nothing must be due all the same.
    fn check_put_off(
        &self,
        entry: &Entry,
        asked: &Asked<'_>,
        known: &Known<'_>,
        desk: &mut Desk<'_>,
    ) {
        match entry.code {
            Code::IdempotencyKeyReused => {
                let is_other = known.fingerprint().is_some_and(|first| first != asked.own);
                desk.same(RULE, "key used for another body", true, is_other);
            }
            Code::OrderNotReady => {
                let is_new = matches!(known, Known::Nothing);
                desk.rule(RULE, "decision on a key", is_new, "the first", "another one");
                if let Some(due) = asked.due {
                    due.check(entry, desk);
                }
            }
            Code::Unsupported => {
                let is_new = envelope::is_beyond_version_1(&asked.input.body);
                desk.rule(RULE, "wish", is_new, "one that every version knows", "UNSUPPORTED");
            }
            code if envelope::refuses(code, asked.input) => {}
            code => desk.fault(RULE, "refusal that is not stored", "one of its kind", code),
        }
    }

    fn known<'a>(
        &'a self,
        id: CommandId,
        body: &Body,
        at: Micros,
        orders: &'a Orders,
    ) -> Known<'a> {
        if let Body::User(command) = body
            && let order_id = OrderId::of(command.user_id, &command.key)
            && let Some(order) = orders.orders.find(order_id)
        {
            return Known::Order(order_id, order);
        }
        match self.stored(id) {
            Some(stored) if at.since(stored.at) <= KEPT_US => Known::Stored(stored),
            _ => Known::Nothing,
        }
    }

    fn tell(&mut self, answer: &Answer, desk: &mut Desk<'_>) {
        let (id, position) = (answer.command_id, answer.asker.position);
        let own = digest(&answer.outcome);
        let first = *self.told.entry(digest(&(id, position))).or_insert(own);
        let about = format_args!("answer to command {id} at {position}");
        let found = format_args!("{:?}", answer.outcome);
        desk.rule(RULE, about, first == own, "the same as the first", found);
    }

    /// A record of `command-results` repeats an answer of the journal.
    pub(super) fn result(&self, result: &CommandResult, desk: &mut Desk<'_>) {
        let key = (result.command_id, result.position);
        let CommandResult { code, order_id, balance, product_id, .. } = *result;
        let outcome = Outcome { code, order_id, balance, product_id };
        let about = format_args!("result for command {} at {}", key.0, key.1);
        match self.told.get(&digest(&key)) {
            Some(told) if *told == digest(&outcome) => {}
            _ if self.misplaced.contains(&key) => {}
            told => {
                let answers =
                    if told.is_some() { "the journal's answer" } else { "none: no answer" };
                desk.fault(RULE, about, answers, format_args!("{outcome:?}"));
            }
        }
    }
}

/// Enough of a hash to know plain data again.
fn digest<const N: usize>(data: &impl Serialize) -> [u8; N] {
    // Plain data can be written into memory.
    let whole = Hash::of(&postcard::to_stdvec(data).unwrap_or_default()).0;
    std::array::from_fn(|place| whole[place])
}

/// A command as this check sees it.
#[derive(Clone, Copy)]
struct Asked<'a> {
    input: &'a Input,
    own: Fingerprint,
    due: Option<&'a Due>,
    stored: &'a [&'a OutcomeStored],
}

/// Whether a command was only put off: its key stands for what it stood for, and a retry may go
/// better.
fn is_put_off(entry: &Entry, input: &Input) -> bool {
    entry.verdict == Verdict::Refused
        && (entry.code == Code::Unsupported
            || entry.code.is_for_this_asker_only()
            || envelope::refuses(entry.code, input))
}

/// The first decision on a key: stored, or remembered by the order that it places.
fn first(entry: &Entry, id: CommandId, asked: &Asked<'_>, desk: &mut Desk<'_>) -> Option<Outcome> {
    let placed = entry.changes.iter().find_map(|change| match change {
        Change::OrderPlaced(placed) => Some(placed),
        _ => None,
    });
    let [first] = asked.stored else {
        let remembers = placed.is_some_and(|placed| placed.fingerprint == asked.own);
        let holds = asked.stored.is_empty() && remembers;
        let found = format_args!("{} stored outcomes", asked.stored.len());
        desk.rule(RULE, "what remembers the key", holds, "its outcome or its order", found);
        return None;
    };
    desk.rule(RULE, "what remembers the key", placed.is_none(), "only its order", "both");
    desk.same(RULE, "command id of the stored outcome", id, first.command_id);
    desk.same(RULE, "fingerprint of the stored outcome", asked.own, first.fingerprint);
    desk.same(RULE, "code of the stored outcome", entry.code, first.outcome.code);
    let is_due = asked.due.is_some_and(|due| due.is_outcome(entry.verdict, &first.outcome));
    let found = format_args!("{:?}", first.outcome);
    desk.rule(RULE, "stored outcome", is_due, "what the command must come to", found);
    Some(first.outcome)
}

/// The key is known: its first outcome again, or a place among those who wait for it.
fn repeated(
    entry: &Entry,
    input: &Input,
    known: &Known<'_>,
    desk: &mut Desk<'_>,
) -> Option<Outcome> {
    let (first, order) = match known {
        Known::Order(id, order) => (order.outcome, Some((*id, order))),
        Known::Stored(stored) => (Some(stored.outcome), None),
        Known::Nothing => (None, None),
    };
    let code = first.map_or(Code::Ok, |outcome| outcome.code);
    desk.same(RULE, "code of a duplicate", code, entry.code);
    let waits = order.filter(|_| first.is_none()).and_then(|(order_id, order)| {
        let asker = input.asker().filter(|asker| order.has_room_for(*asker))?;
        Some(Change::AskerJoined(AskerJoined { order_id, asker }))
    });
    let about = "asker who joins an order";
    desk.same(RULE, about, waits.as_slice(), entry.changes.as_slice());
    first
}

/// Those who wait for the order that an entry gives its first outcome.
fn waiting(entry: &Entry, orders: &Orders) -> Vec<Answer> {
    let told = entry.changes.iter().find_map(|change| match change {
        Change::OrderReserved(c) => Some((c.order_id, about_order(c.order_id, Code::Ok))),
        Change::OrderEnded(ended) => Some((ended.order_id, outcome_of(ended))),
        _ => None,
    });
    let Some((id, outcome)) = told else { return Vec::new() };
    let order = orders.orders.find(id).filter(|order| order.outcome.is_none());
    let (Some(order), Some(command_id)) = (order, id.command()) else { return Vec::new() };
    order.askers.iter().map(|asker| Answer { command_id, asker: *asker, outcome }).collect()
}

fn own_answer(input: &Input, outcome: Option<Outcome>) -> Option<Answer> {
    let command_id = input.body.command_id()?;
    Some(Answer { command_id, asker: input.asker()?, outcome: outcome? })
}

fn stored_by(change: &Change) -> Option<&OutcomeStored> {
    match change {
        Change::OutcomeStored(stored) => Some(stored),
        _ => None,
    }
}

fn fingerprint(body: &Body, codec: &mut Codec) -> Option<Fingerprint> {
    match body {
        Body::User(command) => Some(codec.user_fingerprint(command)),
        Body::Product(command) => Some(codec.product_fingerprint(command)),
        _ => None,
    }
}
