//! Inputs on their way to their entry: every record of a command topic or an inbox waits here until
//! its lane's journal says what became of it. What still waits at the end was in flight.

use super::{
    findings::{Desk, Invariant},
    lanes::PerLane,
    records::Record,
};
use hashbrown::{HashMap, HashSet};
use jupan_schemas::{
    Asker, Change, Code, Codec, CommandId, Entry, InputRef, Lane, Micros, OrderId, ProductCommand,
    ProductId, ProductMessage, Role, Source, ToProducts, ToUsers, TopicId, TraceId, Units,
    UserCommand, UserMessage, Verdict, partition_of,
};
use std::{collections::VecDeque, sync::Arc};

/// Longest actor that an entry may have, in bytes.
const ACTOR_BYTES_MAX: usize = 256;

/// A value without its bytes: enough to know it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Digest {
    bytes: usize,
    crc: u32,
}

impl Digest {
    pub(super) fn of(value: &[u8]) -> Self {
        Self { bytes: value.len(), crc: crc32c::crc32c(value) }
    }
}

/// What a record says.
#[derive(Clone, Debug)]
pub(super) enum Body {
    User(Arc<UserCommand>),
    Product(Arc<ProductCommand>),
    ToUsers(Arc<UserMessage>),
    ToProducts(Arc<ProductMessage>),
    Unreadable,
}

/// One record of a lane's two inputs.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) offset: u64,
    pub(super) at: Micros,
    pub(super) body: Body,
    /// Of its value, for the dead letters.
    pub(super) digest: Digest,
    /// Whether key and partition are those of the body.
    pub(super) is_placed_right: bool,
    /// The trace that its headers name.
    trace: Option<TraceId>,
}

impl Body {
    /// The command's id, if it is a command.
    pub(super) fn command_id(&self) -> Option<CommandId> {
        match self {
            Self::User(c) => Some(CommandId::of(Role::Users, c.user_id.0, &c.key)),
            Self::Product(c) => Some(CommandId::of(Role::Products, c.product_id.0, &c.key)),
            _ => None,
        }
    }

    /// The message's sender, number and stamp, if it is one that a lane sent.
    pub(super) fn sender(&self) -> Option<(u16, u64, i64)> {
        match self {
            Self::ToUsers(m) if m.number > 0 => Some((m.lane, m.number, m.stamp.0)),
            Self::ToProducts(m) if m.number > 0 => Some((m.lane, m.number, m.stamp.0)),
            _ => None,
        }
    }
}

impl Input {
    /// Who waits for the outcome, if it is a command and anybody does.
    pub(super) fn asker(&self) -> Option<Asker> {
        let reply_to = match &self.body {
            Body::User(command) => command.reply_to,
            Body::Product(command) => command.reply_to,
            _ => None,
        };
        reply_to.map(|reply_to| Asker { reply_to, position: self.offset })
    }
}

fn read(record: &Record<'_>, lanes: u16, codec: &Codec) -> (Body, bool) {
    let is_home = |target: u64| {
        partition_of(target, lanes) == record.at.partition
            && record.key == target.to_string().as_bytes()
    };
    let value = record.value;
    let read = match record.at.topic {
        TopicId::UserCommands => codec.decode::<UserCommand>(value).map(|command| {
            let is_home = is_home(command.user_id.0);
            (Body::User(Arc::new(command)), is_home)
        }),
        TopicId::ProductCommands => codec.decode::<ProductCommand>(value).map(|command| {
            let is_home = is_home(command.product_id.0);
            (Body::Product(Arc::new(command)), is_home)
        }),
        TopicId::UserInbox => {
            codec.decode(value).map(|message| (Body::ToUsers(Arc::new(message)), true))
        }
        _ => codec.decode(value).map(|message| (Body::ToProducts(Arc::new(message)), true)),
    };
    read.unwrap_or((Body::Unreadable, false))
}

/// Every lane's inputs that wait for their entry.
pub(super) struct Inputs {
    lanes: u16,
    waiting: PerLane<[VecDeque<Input>; 2]>,
}

impl Inputs {
    pub(super) fn new(lanes: u16) -> Self {
        Self { lanes, waiting: PerLane::new(lanes, |_| Default::default()) }
    }

    fn queue(&mut self, lane: Lane, source: Source) -> Option<&mut VecDeque<Input>> {
        self.waiting.get_mut(lane)?.get_mut(usize::from(source == Source::Inbox))
    }

    /// Takes a record of an input topic in; returns what it says.
    pub(super) fn arrive(
        &mut self,
        lane: Lane,
        source: Source,
        record: &Record<'_>,
        codec: &Codec,
        desk: &mut Desk<'_>,
    ) -> Body {
        let (body, is_placed_right) = read(record, self.lanes, codec);
        let input = Input {
            offset: record.at.offset,
            at: record.appended,
            body: body.clone(),
            digest: Digest::of(record.value),
            is_placed_right,
            trace: record.trace,
        };
        match self.queue(lane, source) {
            // Messages of several senders may come in another order than they lie in their inbox.
            Some(queue) => {
                let behind = queue.iter().rev().take_while(|one| one.offset > input.offset).count();
                queue.insert(queue.len() - behind, input);
            }
            None => desk.fault(Invariant::Log, "partition", "one of the lanes'", lane.index),
        }
        body
    }

    /// The record that an entry is about. An entry whose record is not the next one gets none.
    pub(super) fn take(&mut self, lane: Lane, at: InputRef, desk: &mut Desk<'_>) -> Option<Input> {
        let about = |what: &str| format!("{what} of {}", name(lane, at.source));
        let queue = self.queue(lane, at.source)?;
        while queue.front().is_some_and(|input| input.offset < at.offset) {
            let left_out = queue.pop_front()?;
            let found = format_args!("none; the next entry is about {}", at.offset);
            let about = about(&format!("record {}", left_out.offset));
            desk.fault(Invariant::Inputs, about, "an entry about it", found);
        }
        match queue.front() {
            Some(input) if input.offset == at.offset => {
                desk.same(Invariant::Inputs, about("append time"), input.at, at.at);
                queue.pop_front()
            }
            next => {
                let expected = match next {
                    Some(input) => format!("record {}", input.offset),
                    None => "nothing".to_owned(),
                };
                let found = format_args!("record {} for the second time, or unborn", at.offset);
                desk.fault(Invariant::Inputs, about("next input"), expected, found);
                None
            }
        }
    }

    /// Messages that wait in an inbox: what they will do is in flight.
    pub(super) fn unread_messages(&self) -> Unread {
        let mut unread = Unread::default();
        for (lane, both) in self.waiting.iter() {
            for input in &both[1] {
                match &input.body {
                    Body::ToProducts(message) => {
                        unread.note_to_product(lane.index, &message.payload);
                    }
                    Body::ToUsers(message) => unread.note_to_user(message.lane, &message.payload),
                    _ => {}
                }
            }
        }
        unread
    }

    /// Records that no entry is about yet.
    pub(super) fn unread(&self) -> usize {
        self.waiting.iter().flat_map(|(_, both)| both).map(VecDeque::len).sum()
    }
}

fn name(lane: Lane, source: Source) -> String {
    let topic = match source {
        Source::Commands => TopicId::commands(lane.role),
        Source::Inbox => TopicId::inbox(lane.role),
    };
    format!("{}/{}", topic.name(), lane.index)
}

/// What an unread message is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// A product lane will hold, or refuse.
    Reserve,
    /// The order will hear of it.
    Answer,
    /// A product lane will sell.
    Settle,
    /// A product lane will let go.
    Release,
    /// The order will look at its deadline.
    Expiry,
}

/// Stands for the product lane where a message is about the whole order.
const ANY_LANE: u16 = u16::MAX;

/// Unread messages.
#[derive(Default)]
pub(super) struct Unread {
    /// Order, product lane, kind.
    messages: HashSet<(OrderId, u16, Kind)>,
    /// Units that are on their way back.
    returns: HashMap<(OrderId, ProductId), i64>,
}

impl Unread {
    fn note_to_product(&mut self, lane: u16, told: &ToProducts) {
        let (kind, order) = match told {
            ToProducts::Reserve(m) => (Kind::Reserve, m.order_id),
            ToProducts::Settle(m) => (Kind::Settle, m.order_id),
            ToProducts::Release(m) => (Kind::Release, m.order_id),
            ToProducts::Return(m) => {
                for line in &m.lines {
                    let units = self.returns.entry((m.order_id, line.product_id)).or_default();
                    *units = units.saturating_add(line.quantity.0);
                }
                return;
            }
        };
        self.messages.insert((order, lane, kind));
    }

    fn note_to_user(&mut self, from: u16, told: &ToUsers) {
        self.messages.insert(match told {
            ToUsers::Reserved(m) => (m.order_id, from, Kind::Answer),
            ToUsers::Refused(m) => (m.order_id, from, Kind::Answer),
            ToUsers::ExpireOrder(m) => (m.order_id, ANY_LANE, Kind::Expiry),
        });
    }

    /// The orders that messages are about.
    pub(super) fn orders(&self) -> impl Iterator<Item = OrderId> {
        let returned = self.returns.keys().map(|(order, _)| *order);
        self.messages.iter().map(|(order, ..)| *order).chain(returned)
    }

    /// How many units of an order's product wait to be taken back.
    pub(super) fn returns(&self, order: OrderId, product: ProductId) -> Units {
        Units(self.returns.get(&(order, product)).copied().unwrap_or(0))
    }

    /// Whether a message of this kind between the order and the product lane waits to be read.
    pub(super) fn has(&self, order: OrderId, lane: u16, kind: Kind) -> bool {
        self.messages.contains(&(order, lane, kind))
    }

    /// Whether the order is about to look at its deadline.
    pub(super) fn has_expiry(&self, order: OrderId) -> bool {
        self.has(order, ANY_LANE, Kind::Expiry)
    }
}

/// Invariant 5, entry by entry: the entry speaks of its input, and only an accepted input has an
/// effect.
pub(super) fn check(entry: &Entry, input: Option<&Input>, desk: &mut Desk<'_>) {
    use Invariant::Inputs as RULE;
    check_effect(entry, desk);
    let Some(input) = input else {
        if entry.input.is_none() {
            desk.same(RULE, "verdict of an entry without input", Verdict::Opened, entry.verdict);
        }
        return;
    };
    let (command_id, actor, trace_id) = match &input.body {
        Body::User(c) => (input.body.command_id(), c.actor.as_str(), c.trace_id.or(input.trace)),
        Body::Product(c) => (input.body.command_id(), c.actor.as_str(), c.trace_id.or(input.trace)),
        Body::ToUsers(m) => (m.command_id, m.actor.as_str(), m.trace_id),
        Body::ToProducts(m) => (m.command_id, m.actor.as_str(), m.trace_id),
        Body::Unreadable => (None, "", None),
    };
    desk.same(RULE, "command id", command_id, entry.command_id);
    // An actor that is too long for the journal is the one thing that a dead entry leaves out.
    let is_left_out = entry.verdict == Verdict::Dead && actor.len() > ACTOR_BYTES_MAX;
    let actor = if is_left_out { "" } else { actor };
    desk.same(RULE, "actor", actor, entry.actor.as_str());
    desk.same(RULE, "trace id", trace_id, entry.trace_id);
    desk.rule(RULE, "verdict", entry.verdict != Verdict::Opened, "one about the input", "Opened");
    if !input.is_placed_right {
        desk.same(RULE, "verdict on an unusable record", Verdict::Dead, entry.verdict);
    }
    if entry.verdict == Verdict::Dead {
        let is_elsewhere = !input.is_placed_right && input.body.command_id().is_some();
        let holds = match entry.code {
            Code::WrongPartition => is_elsewhere,
            code => code == Code::Malformed,
        };
        desk.rule(RULE, "code of an unusable record", holds, "what is wrong with it", entry.code);
    }
}

/// Only an accepted input has an effect. A refused command's outcome is stored, a duplicate may
/// wait for an order, and a refused message is answered: that is all.
fn check_effect(entry: &Entry, desk: &mut Desk<'_>) {
    if matches!(entry.verdict, Verdict::Ignored | Verdict::Opened) {
        let about = format_args!("code of a verdict {:?}", entry.verdict);
        desk.same(Invariant::Inputs, about, Code::Ok, entry.code);
    }
    let is_harmless = |change: &Change| match entry.verdict {
        Verdict::Accepted | Verdict::Opened => true,
        Verdict::Refused => matches!(change, Change::OutcomeStored(_)),
        Verdict::Duplicate => matches!(change, Change::AskerJoined(_)),
        Verdict::Ignored | Verdict::Dead => false,
    };
    let moves = entry.verdict != Verdict::Accepted && !entry.postings.is_empty();
    let tells = !matches!(entry.verdict, Verdict::Accepted | Verdict::Refused)
        && !entry.messages.is_empty();
    if moves || tells || !entry.changes.iter().all(is_harmless) {
        let about = format_args!("effect of a verdict {:?}", entry.verdict);
        desk.fault(Invariant::Inputs, about, "none", "postings, changes or messages");
    }
}
