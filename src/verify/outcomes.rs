//! Invariant 4: one stored outcome for one command id within its 15 days, the same for everybody
//! who asks.

use super::{
    findings::{Desk, Invariant},
    inputs::{Body, Input},
    order::Order,
    orders::Orders,
};
use hashbrown::{HashMap, HashSet};
use jupan_schemas::{
    Account, Answer, Asker, Change, Code, Codec, CommandId, CommandResult, Entry, Fingerprint,
    Micros, Money, OrderId, Outcome, OutcomeStored, ProductId, Verdict,
};

const RULE: Invariant = Invariant::Outcomes;
/// How long a key stands for its first outcome, by the append times of its commands.
const KEPT_US: i64 = 15 * Micros::DAY;

/// The first outcome of a command id.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    fingerprint: Fingerprint,
    pub(super) outcome: Outcome,
    at: Micros,
}

/// What everybody was told.
#[derive(Default)]
pub(super) struct Outcomes {
    pub(super) stored: HashMap<CommandId, Stored>,
    told: HashMap<(CommandId, u64), Outcome>,
    /// Told about a record that lies in the wrong place; its offset may be another one's elsewhere.
    misplaced: HashSet<(CommandId, u64)>,
}

/// What is known of a command id before an entry.
enum Known<'a> {
    Nothing,
    Order(&'a Order),
    Stored(&'a Stored),
}

impl Known<'_> {
    fn fingerprint(&self) -> Option<Fingerprint> {
        match self {
            Self::Nothing => None,
            Self::Order(order) => Some(order.fingerprint),
            Self::Stored(stored) => Some(stored.fingerprint),
        }
    }
}

/// Refusals that depend on more than the command: they stand for nothing, so that a retry may go
/// better.
fn is_never_stored(code: Code) -> bool {
    let is_of_the_envelope =
        matches!(code, Code::InvalidId | Code::InvalidKey | Code::InvalidTime | Code::Unsupported);
    is_of_the_envelope || code.is_for_this_asker_only()
}

impl Outcomes {
    /// Checks what an entry stores and answers. Comes before the entry's changes of orders.
    pub(super) fn entry(
        &mut self,
        entry: &Entry,
        input: Option<&Input>,
        orders: &Orders,
        codec: &mut Codec,
        desk: &mut Desk<'_>,
    ) {
        let stored: Vec<&OutcomeStored> = entry.changes.iter().filter_map(stored_by).collect();
        match (input, entry.verdict) {
            (_, Verdict::Dead) | (None, _) => {
                desk.same(RULE, "outcomes stored for nobody", 0, stored.len());
                for answer in &entry.answers {
                    self.misplaced.insert((answer.command_id, answer.asker.position));
                }
                return;
            }
            (Some(input), _) => match fingerprint(&input.body, codec) {
                Some(own) => self.command(entry, input, own, &stored, orders, desk),
                None => self.message(entry, &stored, orders, desk),
            },
        }
        for answer in &entry.answers {
            self.tell(answer, desk);
        }
        for change in stored {
            let OutcomeStored { command_id, fingerprint, outcome } = *change;
            let at = entry.input.map_or(Micros(entry.stamp.0), |input| input.at);
            self.stored.insert(command_id, Stored { fingerprint, outcome, at });
        }
    }

    fn command(
        &self,
        entry: &Entry,
        input: &Input,
        own: Fingerprint,
        stored: &[&OutcomeStored],
        orders: &Orders,
        desk: &mut Desk<'_>,
    ) {
        let Some(id) = input.body.command_id() else { return };
        let known = self.known(id, &input.body, input.at, orders);
        let outcome = match entry.verdict {
            Verdict::Duplicate => {
                desk.same(RULE, "body of a duplicate", known.fingerprint(), Some(own));
                let first = match known {
                    Known::Order(order) => order.outcome,
                    Known::Stored(stored) => Some(stored.outcome),
                    Known::Nothing => None,
                };
                let code = first.map_or(Code::Ok, |outcome| outcome.code);
                desk.same(RULE, "code of a duplicate", code, entry.code);
                first
            }
            Verdict::Refused if is_never_stored(entry.code) => {
                if entry.code == Code::IdempotencyKeyReused {
                    let is_other = known.fingerprint().is_some_and(|first| first != own);
                    desk.same(RULE, "key used for another body", true, is_other);
                }
                Some(Outcome::of(entry.code))
            }
            _ => {
                let is_new = matches!(known, Known::Nothing);
                desk.rule(RULE, "decision on a key", is_new, "the first", "another one");
                self.first(entry, id, own, stored, desk)
            }
        };
        let is_repeated = match entry.verdict {
            Verdict::Duplicate => true,
            Verdict::Refused => is_never_stored(entry.code),
            _ => false,
        };
        if is_repeated {
            desk.same(RULE, "outcomes stored by a repetition", 0, stored.len());
        }
        let reply_to = input.body.reply_to();
        let answer = reply_to.zip(outcome).map(|(reply_to, outcome)| Answer {
            command_id: id,
            asker: Asker { reply_to, position: input.offset },
            outcome,
        });
        desk.same(RULE, "answers", answer.as_slice(), entry.answers.as_slice());
    }

    /// The first decision on a key: stored, or remembered by the order that it places.
    fn first(
        &self,
        entry: &Entry,
        id: CommandId,
        own: Fingerprint,
        stored: &[&OutcomeStored],
        desk: &mut Desk<'_>,
    ) -> Option<Outcome> {
        let placed = entry.changes.iter().find_map(|change| match change {
            Change::OrderPlaced(placed) => Some(placed),
            _ => None,
        });
        let [first] = stored else {
            let remembers = placed.is_some_and(|placed| placed.fingerprint == own);
            let holds = stored.is_empty() && remembers;
            let found = format_args!("{} stored outcomes", stored.len());
            desk.rule(RULE, "what remembers the key", holds, "its outcome or its order", found);
            return None;
        };
        desk.same(RULE, "command id of the stored outcome", id, first.command_id);
        desk.same(RULE, "fingerprint of the stored outcome", own, first.fingerprint);
        desk.same(RULE, "code of the stored outcome", entry.code, first.outcome.code);
        let wallet = entry.postings.iter().find(|posting| posting.account == Account::Wallet);
        let balance = wallet.map(|posting| Money(posting.balance));
        desk.same(RULE, "balance in the stored outcome", balance, first.outcome.balance);
        Some(first.outcome)
    }

    /// A message answers those who wait for the order that it ends.
    fn message(
        &self,
        entry: &Entry,
        stored: &[&OutcomeStored],
        orders: &Orders,
        desk: &mut Desk<'_>,
    ) {
        desk.same(RULE, "outcomes stored on a message", 0, stored.len());
        let ended = entry.changes.iter().find_map(|change| match change {
            Change::OrderEnded(ended) => Some(ended),
            _ => None,
        });
        let mut expected = Vec::new();
        if let Some(ended) = ended
            && let Some(order) = orders.orders.get(&ended.order_id)
            && let Some(command_id) = ended.order_id.command()
        {
            let outcome = order_outcome(ended.order_id, ended.code, ended.product_id);
            let answers =
                order.askers.iter().map(|asker| Answer { command_id, asker: *asker, outcome });
            expected.extend(answers);
        }
        desk.same(RULE, "answers", expected.as_slice(), entry.answers.as_slice());
    }

    fn known<'a>(
        &'a self,
        id: CommandId,
        body: &Body,
        at: Micros,
        orders: &'a Orders,
    ) -> Known<'a> {
        if let Body::User(command) = body
            && let Some(order) = orders.orders.get(&OrderId::of(command.user_id, &command.key))
        {
            return Known::Order(order);
        }
        match self.stored.get(&id) {
            Some(stored) if at.since(stored.at) <= KEPT_US => Known::Stored(stored),
            _ => Known::Nothing,
        }
    }

    fn tell(&mut self, answer: &Answer, desk: &mut Desk<'_>) {
        let key = (answer.command_id, answer.asker.position);
        let first = *self.told.entry(key).or_insert(answer.outcome);
        let about = format_args!("answer to command {} at {}", key.0, key.1);
        desk.same(RULE, about, first, answer.outcome);
    }

    /// A record of `command-results` repeats an answer of the journal.
    pub(super) fn result(&self, result: &CommandResult, desk: &mut Desk<'_>) {
        let key = (result.command_id, result.position);
        let CommandResult { code, order_id, balance, product_id, .. } = *result;
        let outcome = Outcome { code, order_id, balance, product_id };
        let about = format_args!("result for command {} at {}", key.0, key.1);
        match self.told.get(&key) {
            Some(told) if *told == outcome => {}
            _ if self.misplaced.contains(&key) => {}
            told => {
                let expected = format!("the journal's answer: {told:?}");
                desk.fault(RULE, about, expected, format_args!("{outcome:?}"));
            }
        }
    }
}

/// What all who ask for an order are told once it has ended.
fn order_outcome(id: OrderId, code: Code, product_id: Option<ProductId>) -> Outcome {
    Outcome { code, order_id: Some(id), balance: None, product_id }
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
