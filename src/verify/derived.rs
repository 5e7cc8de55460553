//! What goes with a step in its frame: messages, order events, sales, dead letters. They derive
//! from the entries, so they must be there exactly, no more and no less; frame by frame, because a
//! commit is whole or not at all.

use super::{
    findings::{Desk, Findings, Invariant, Place, RecordRef},
    inputs::{Body, Digest},
};
use jupan_schemas::{
    Entry, Lane, Message, OrderEvent, Role, Sale, Sent, Step, ToProducts, ToUsers, TopicId,
};
use std::fmt::Debug;

/// Names one message of the log: receiver, sending lane, number.
type MessageKey = (Lane, u16, u64);

/// One entry of the frame at hand.
struct EntryRef {
    key: MessageKey,
    step: usize,
    entry: usize,
    sent: usize,
}

/// Gathers one frame at a time.
#[derive(Default)]
pub(super) struct Derived {
    steps: Vec<(Place, Step)>,
    messages: Vec<(MessageKey, RecordRef, Body)>,
    events: Pair<OrderEvent>,
    sales: Pair<Sale>,
    dead: Pair<Digest>,
}

/// What the entries mean, and what the log has, by partition.
struct Pair<T> {
    meant: Vec<(u16, Place, T)>,
    found: Vec<(u16, RecordRef, Option<T>)>,
}

impl<T> Default for Pair<T> {
    fn default() -> Self {
        Self { meant: Vec::new(), found: Vec::new() }
    }
}

impl Derived {
    /// A message in an inbox that a lane sent.
    pub(super) fn found_message(&mut self, at: RecordRef, role: Role, body: Body) {
        if let Some((from, number, _)) = body.sender() {
            let receiver = Lane { role, index: at.partition };
            self.messages.push(((receiver, from, number), at, body));
        }
    }

    pub(super) fn found_event(&mut self, at: RecordRef, event: Option<OrderEvent>) {
        self.events.found.push((at.partition, at, event));
    }

    pub(super) fn found_sale(&mut self, at: RecordRef, sale: Option<Sale>) {
        self.sales.found.push((at.partition, at, sale));
    }

    pub(super) fn found_dead(&mut self, at: RecordRef, letter: Digest) {
        self.dead.found.push((0, at, Some(letter)));
    }

    pub(super) fn mean_event(&mut self, partition: u16, place: Place, event: OrderEvent) {
        self.events.meant.push((partition, place, event));
    }

    pub(super) fn mean_sale(&mut self, partition: u16, place: Place, sale: Sale) {
        self.sales.meant.push((partition, place, sale));
    }

    pub(super) fn mean_dead(&mut self, place: Place, letter: Digest) {
        self.dead.meant.push((0, place, letter));
    }

    /// A step whose entries were all looked at.
    pub(super) fn step(&mut self, place: Place, step: Step) {
        self.steps.push((place, step));
    }

    /// Compares what the frame's entries mean with what the frame has.
    pub(super) fn settle(&mut self, frame: Place, findings: &mut Findings) {
        self.settle_messages(findings);
        self.steps.clear();
        let top = Invariant::TopSellers;
        self.events.settle("order event", top, |_| (), frame, findings);
        self.sales.settle("sale", top, |_| (), frame, findings);
        // Dead letters of one frame have no order among themselves that matters.
        let by_value = |letter: &Digest| *letter;
        self.dead.settle("dead letter", Invariant::Inputs, by_value, frame, findings);
    }

    fn settle_messages(&mut self, findings: &mut Findings) {
        let mut meant = self.meant_messages();
        meant.sort_unstable_by_key(|one| one.key);
        self.messages.sort_by_key(|(key, ..)| *key);
        let mut meant = meant.into_iter().peekable();
        let mut found = self.messages.drain(..).peekable();
        loop {
            let order = match (meant.peek(), found.peek()) {
                (None, None) => break,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(meant), Some((key, ..))) => meant.key.cmp(key),
            };
            let one = if order.is_le() { meant.next() } else { None };
            let other = if order.is_ge() { found.next() } else { None };
            compare_message(&self.steps, one.as_ref(), other.as_ref(), findings);
        }
    }

    fn meant_messages(&self) -> Vec<EntryRef> {
        let mut all = Vec::new();
        for (step_index, (place, step)) in self.steps.iter().enumerate() {
            let Some(lane) = place.lane else { continue };
            for (entry_index, entry) in step.entries.iter().enumerate() {
                all.extend(entry.messages.iter().enumerate().map(|(sent_index, sent)| EntryRef {
                    key: (
                        Lane { role: lane.role.peer(), index: sent.lane },
                        lane.index,
                        sent.number,
                    ),
                    step: step_index,
                    entry: entry_index,
                    sent: sent_index,
                }));
            }
        }
        all
    }
}

fn compare_message(
    steps: &[(Place, Step)],
    meant: Option<&EntryRef>,
    found: Option<&(MessageKey, RecordRef, Body)>,
    findings: &mut Findings,
) {
    let record = found.map(|(_, at, _)| *at);
    let Some(meant) = meant else {
        let Some(((_, from, number), at, _)) = found else { return };
        let place = Place { record, ..steps.first().map(|step| step.0).unwrap_or_default() };
        let about = format_args!("message {number} of lane {from} in {at}");
        Desk { findings, place }.fault(
            Invariant::Journal,
            about,
            "a message that an entry of the same commit sent",
            "no such entry",
        );
        return;
    };
    let (place, step) = &steps[meant.step];
    let entry = &step.entries[meant.entry];
    let sent = &entry.messages[meant.sent];
    let place = Place { sequence: Some(entry.sequence), record, ..*place };
    let mut desk = Desk { findings, place };
    let about = format_args!("message {} to {}", sent.number, meant.key.0);
    match found {
        None => desk.fault(Invariant::Journal, about, "a record in the inbox", "none"),
        Some((_, _, body)) if !is_same(body, entry, sent) => {
            let expected = "what the entry says, with its stamp";
            desk.fault(Invariant::Journal, about, expected, "another content");
        }
        Some(_) => {}
    }
}

fn is_same(body: &Body, entry: &Entry, sent: &Sent) -> bool {
    let envelope = |stamp, command_id, actor: &str, trace_id| {
        stamp == entry.stamp
            && command_id == entry.command_id
            && actor == entry.actor
            && trace_id == entry.trace_id
    };
    match body {
        Body::ToUsers(m) => {
            let payload = match (&m.payload, &sent.payload) {
                (ToUsers::Reserved(a), Message::Reserved(b)) => a == b,
                (ToUsers::Refused(a), Message::Refused(b)) => a == b,
                _ => false,
            };
            payload && envelope(m.stamp, m.command_id, &m.actor, m.trace_id)
        }
        Body::ToProducts(m) => {
            let payload = match (&m.payload, &sent.payload) {
                (ToProducts::Reserve(a), Message::Reserve(b)) => a == b,
                (ToProducts::Settle(a), Message::Settle(b)) => a == b,
                (ToProducts::Release(a), Message::Release(b)) => a == b,
                (ToProducts::Return(a), Message::Return(b)) => a == b,
                _ => false,
            };
            payload && envelope(m.stamp, m.command_id, &m.actor, m.trace_id)
        }
        _ => false,
    }
}

impl<T: PartialEq + Debug> Pair<T> {
    /// Compares both sides in order within each partition; `order` gives values without an order
    /// one.
    fn settle<K: Ord>(
        &mut self,
        what: &str,
        rule: Invariant,
        order: impl Fn(&T) -> K,
        frame: Place,
        findings: &mut Findings,
    ) {
        self.meant.sort_by_key(|(partition, _, value)| (*partition, order(value)));
        self.found.sort_by_key(|(partition, _, value)| (*partition, value.as_ref().map(&order)));
        let mut found = self.found.drain(..).peekable();
        for (partition, place, meant) in self.meant.drain(..) {
            while let Some((_, at, _)) = found.next_if(|(other, ..)| *other < partition) {
                surplus(what, rule, at, frame, findings);
            }
            let next = found.next_if(|(other, ..)| *other == partition);
            let record = next.as_ref().map(|(_, at, _)| *at);
            let mut desk = Desk { findings, place: Place { record, ..place } };
            match next {
                None => desk.fault(rule, what, format_args!("{meant:?}"), "none"),
                Some((_, _, value)) => {
                    desk.same(rule, what, Some(meant), value);
                }
            }
        }
        for (_, at, _) in found {
            surplus(what, rule, at, frame, findings);
        }
    }
}

fn surplus(what: &str, rule: Invariant, at: RecordRef, frame: Place, findings: &mut Findings) {
    let mut desk = Desk { findings, place: Place { record: Some(at), ..frame } };
    desk.fault(rule, what, "only those that the entries of the commit mean", "one more");
}

/// The partition of a record whose topic is one of a lane's inputs.
pub(super) fn input_of(topic: TopicId) -> Option<(Role, jupan_schemas::Source)> {
    use jupan_schemas::Source::{Commands, Inbox};
    match topic {
        TopicId::UserCommands => Some((Role::Users, Commands)),
        TopicId::ProductCommands => Some((Role::Products, Commands)),
        TopicId::UserInbox => Some((Role::Users, Inbox)),
        TopicId::ProductInbox => Some((Role::Products, Inbox)),
        _ => None,
    }
}
