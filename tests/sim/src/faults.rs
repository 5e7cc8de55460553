//! What goes wrong: one fault at a time, at any step.

use crate::{gate::Interruption, random::spread, report::Violation, world::World};
use jupan_analytics::TopQuery;
use jupan_log::{Commit, CommitRecord, Log, NewRecord, ReadLimit, memory};
use jupan_schemas::{
    Codec, ExpireOrder, Lane, Micros, Role, Stamp, ToUsers, TopicId, UserMessage, rows::Row,
};
use jupan_store::LaneStore;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How far a clock may jump, either way.
const JUMPS_US: [i64; 7] = [
    Micros::SECOND,
    Micros::MINUTE,
    10 * Micros::MINUTE,
    20 * Micros::MINUTE,
    180 * Micros::MINUTE,
    Micros::DAY,
    30 * Micros::DAY,
];
/// An interruption happens within so many calls.
const CALLS_MAX: u64 = 60;

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Everything dies; what was not synced may be gone, and what the store had not saved.
    CrashAll,
    /// The same, in the middle of whatever a lane is doing.
    PowerFailure,
    /// One lane dies and is taken over later.
    CrashLane,
    /// A lane is taken over while its owner goes on.
    Takeover,
    /// The same, in the middle of whatever the owner is doing: a turn, or its own takeover.
    TakeoverWithin,
    CommitUnknown,
    CommitFenced,
    AppendUnknown,
    ReminderLost,
    ReminderTwice,
    AnswerLost,
    AnswerTwice,
    StoreFails,
    StoreSlow,
    /// The store is lost as a whole.
    StoreWiped,
    ClockAhead,
    ClockBack,
    ClockFrozen,
    /// The clock stops at the edge of an order's deadline, and somebody pays.
    DeadlineEdge,
    /// The clock stops where a key's outcome is about to be forgotten, and somebody asks again.
    OutcomeEdge,
    /// The clock stops where a sale is about to leave the running window.
    SaleEdge,
    MessageTwice,
    GarbageMessage,
    EarlyReminder,
    /// Comes by itself: an append is refused for want of room.
    QueueFull,
}

impl Fault {
    /// All of them, and how often each is drawn where it is not left out.
    pub(crate) const ALL: [(Self, u32); 25] = [
        (Self::CrashAll, 5),
        (Self::PowerFailure, 6),
        (Self::CrashLane, 8),
        (Self::Takeover, 5),
        (Self::TakeoverWithin, 5),
        (Self::CommitUnknown, 3),
        (Self::CommitFenced, 3),
        (Self::AppendUnknown, 4),
        (Self::ReminderLost, 3),
        (Self::ReminderTwice, 3),
        (Self::AnswerLost, 2),
        (Self::AnswerTwice, 3),
        (Self::StoreFails, 6),
        (Self::StoreSlow, 4),
        (Self::StoreWiped, 1),
        (Self::ClockAhead, 4),
        (Self::ClockBack, 3),
        (Self::ClockFrozen, 2),
        (Self::DeadlineEdge, 6),
        (Self::OutcomeEdge, 1),
        (Self::SaleEdge, 2),
        (Self::MessageTwice, 4),
        (Self::GarbageMessage, 2),
        (Self::EarlyReminder, 3),
        (Self::QueueFull, 0),
    ];
}

impl World {
    /// Makes one thing go wrong.
    pub(crate) fn fail(&mut self) -> Result<(), Violation> {
        let (fault, _) = Fault::ALL[self.random.weighted(&self.mix.faults)];
        self.count(fault);
        let happened = self.random.one_in(2);
        let most_us = self.random.one_of(JUMPS_US);
        let jump_us = self.random.between(1, most_us);
        match fault {
            Fault::CrashAll => self.crash()?,
            Fault::PowerFailure => self.plan(Interruption::PowerFails),
            Fault::CrashLane => {
                let place = self.random.index(self.places.len());
                self.places[place].owner = None;
            }
            Fault::Takeover => self.take_over()?,
            Fault::TakeoverWithin => {
                let turns = self.random.count(4);
                self.plan(Interruption::Takeover { ports: self.ports.clone(), turns });
            }
            Fault::CommitUnknown => {
                self.ports.log.fail_next(memory::Fault::CommitUnknown { lane: None, happened });
            }
            Fault::CommitFenced => {
                self.ports.log.fail_next(memory::Fault::CommitFenced { lane: None });
            }
            Fault::AppendUnknown => {
                self.ports.log.fail_next(memory::Fault::AppendUnknown { happened });
            }
            Fault::ReminderLost => self.ports.log.fail_next(memory::Fault::RemindLost),
            Fault::ReminderTwice => self.ports.log.fail_next(memory::Fault::RemindTwice),
            Fault::AnswerLost => {
                self.answers_lost = true;
                self.ports.log.fail_next(memory::Fault::AnswerLost);
            }
            Fault::AnswerTwice => self.ports.log.fail_next(memory::Fault::AnswerTwice),
            Fault::StoreFails => self.plan(Interruption::StoreFails),
            Fault::StoreSlow => self.slow_store(),
            Fault::StoreWiped => self.wipe()?,
            Fault::ClockAhead => self.clock_to(self.now().plus(jump_us)),
            Fault::ClockBack => self.clock.advance(-jump_us),
            Fault::ClockFrozen => self.frozen = 1 + self.random.count(60),
            Fault::DeadlineEdge => self.meet_deadline(),
            Fault::OutcomeEdge => self.meet_outcomes_end(),
            Fault::SaleEdge => self.meet_sale()?,
            Fault::MessageTwice => self.repeat_message(),
            Fault::GarbageMessage => self.garbage_message(),
            Fault::EarlyReminder => self.early_reminder(),
            Fault::QueueFull => {}
        }
        Ok(())
    }

    /// Lets it happen at one of the next calls of whatever lane.
    fn plan(&mut self, what: Interruption) {
        let calls = 1 + self.random.below(CALLS_MAX);
        self.ports.gate.plan(calls, what);
    }

    pub(crate) fn crash(&mut self) -> Result<(), Violation> {
        self.restart_log(|world| {
            let salt = world.random.bits();
            let kept_percent = world.random.one_of([0, 50, 90]);
            // By key and entry, not by draw: rows come in the order of a hash map.
            world.ports.store.crash(|row| fate(salt, row) % 100 < kept_percent);
        })
    }

    fn wipe(&mut self) -> Result<(), Violation> {
        self.restart_log(|world| world.ports.store.wipe())
    }

    /// The old owner is kept as a stale one, which goes on when chance says so.
    fn take_over(&mut self) -> Result<(), Violation> {
        let place = self.random.index(self.places.len());
        self.places[place].retire();
        self.turn(place).map(drop)
    }

    fn slow_store(&mut self) {
        let calls = 1 + self.random.count(40);
        let kinds = [Micros::SECOND / 1_000, Micros::SECOND, Micros::MINUTE];
        let most = self.random.one_of(kinds);
        let call_us = self.random.between(1, most);
        self.plan(Interruption::StoreSlow { calls, call_us });
    }

    fn meet_deadline(&mut self) {
        let lane = Lane { role: Role::Users, index: self.some_lane() };
        let open = self.ports.store.open_orders(lane).unwrap_or_default();
        let Some((order, deadline)) = self.random.pick(&open).copied() else { return };
        let off = self.random.between(-1, 1);
        self.clock_to(deadline.plus(off));
        let asked = self.workload.pay(&self.mix, order, self.now());
        self.append(asked);
        if self.random.one_in(2) {
            self.remind(lane, order);
        }
    }

    fn meet_outcomes_end(&mut self) {
        let Some(key) = self.workload.some_command() else { return };
        let row = self.ports.store.load(&[key]).ok().and_then(|rows| rows.into_iter().next());
        let Some(Some(Row::Outcome(row))) = row else { return };
        let off = self.random.between(-1, 1);
        self.clock_to(row.at.plus(15 * Micros::DAY + off));
        let asked = self.workload.repeat(&self.mix, key, self.now());
        self.append(asked);
    }

    fn meet_sale(&mut self) -> Result<(), Violation> {
        let Some(sale) = self.sellers.some_sale(&self.ports.log) else { return Ok(()) };
        let minute = sale.sold_at.0 - sale.sold_at.0.rem_euclid(Micros::MINUTE);
        let last = Micros(minute + 3 * Micros::DAY);
        for off in [self.random.between(-1, 0), self.random.between(1, Micros::MINUTE + 1)] {
            self.clock_to(last.plus(off));
            let query = TopQuery { days: 3, limit: 10, as_of: None };
            self.sellers.ask(&self.ports.log, self.clock_high, query)?;
        }
        Ok(())
    }

    /// A record of an inbox comes again, as another process of the sender's lane would send it.
    fn repeat_message(&mut self) {
        let role = if self.random.one_in(2) { Role::Users } else { Role::Products };
        let (topic, partition) = (TopicId::inbox(role), self.some_lane());
        let limit = ReadLimit { records_max: usize::MAX, bytes_max: usize::MAX };
        let Ok(batch) = self.ports.log.read(topic, partition, 0, limit) else { return };
        let Some(record) = self.random.pick(&batch.records) else { return };
        let value = record.value.clone();
        self.inject(Lane { role, index: partition }, value.to_vec());
    }

    fn garbage_message(&mut self) {
        let role = if self.random.one_in(2) { Role::Users } else { Role::Products };
        let lane = Lane { role, index: self.some_lane() };
        let len = self.random.size(0, 30);
        let value = (0..len).map(|_| self.random.bits().to_le_bytes()[0]).collect();
        self.inject(lane, value);
    }

    fn early_reminder(&mut self) {
        let Some(order) = self.random.pick(self.workload.placed()).copied() else { return };
        let Some(user) = order.user() else { return };
        let index = jupan_schemas::partition_of(user.0, self.mix.shop.lanes);
        self.remind(Lane { role: Role::Users, index }, order);
    }

    /// A reminder of an owner that nobody remembers; the present one is fenced by it.
    fn remind(&mut self, lane: Lane, order_id: jupan_schemas::OrderId) {
        let message = UserMessage {
            lane: lane.index,
            number: 0,
            stamp: Stamp(0),
            command_id: None,
            actor: "timer".to_owned(),
            trace_id: None,
            payload: ToUsers::ExpireOrder(ExpireOrder { order_id }),
        };
        let value = Codec::embedded().to_bytes(&message);
        if let Ok(mut owner) = self.ports.log.open(lane) {
            owner.remind(NewRecord::new("", value)).ok();
        }
    }

    /// Writes into a lane's inbox as a lane of the other role would, fencing that one's owner.
    pub(crate) fn inject(&mut self, receiver: Lane, value: Vec<u8>) {
        let sender = Lane { role: receiver.role.peer(), index: self.some_lane() };
        let Ok(mut owner) = self.ports.log.open(sender) else { return };
        let record = NewRecord::new("", value);
        let topic = TopicId::inbox(receiver.role);
        let record = CommitRecord { topic, partition: receiver.index, record };
        // A fault that was asked for may hit this commit: then the message is not sent, or is.
        owner.commit(Commit { records: vec![record], ..Commit::default() }).ok();
    }

    fn some_lane(&mut self) -> u16 {
        u16::try_from(self.random.below(u64::from(self.mix.shop.lanes))).unwrap_or(0)
    }
}

/// Whether a row survives a crash: by what it is, and by chance.
fn fate(salt: u64, row: &Row) -> u64 {
    let mut hasher = DefaultHasher::new();
    (row.key(), row.as_of().sequence).hash(&mut hasher);
    spread(salt ^ hasher.finish())
}
