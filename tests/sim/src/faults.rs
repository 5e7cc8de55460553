//! What goes wrong: one fault at a time, at any step.

use crate::{
    random::spread,
    report::Violation,
    store::StoreCall,
    world::{LANES_STALE_MAX, World},
};
use jupan_log::{Commit, CommitRecord, Log, NewRecord, ReadLimit, memory};
use jupan_schemas::{
    Codec, ExpireOrder, Lane, Micros, Role, Stamp, ToUsers, TopicId, UserMessage, rows::Row,
};
use jupan_store::LaneStore;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Everything dies; what was not synced may be gone, and what the store had not saved.
    CrashAll,
    /// One lane dies and is taken over later.
    CrashLane,
    /// A lane is taken over while its owner goes on.
    Takeover,
    CommitUnknown,
    CommitFenced,
    AppendUnknown,
    ReminderLost,
    ReminderTwice,
    AnswerLost,
    AnswerTwice,
    StoreFails,
    /// The store is lost as a whole.
    StoreWiped,
    ClockAhead,
    ClockBack,
    /// The clock stops at the edge of an order's deadline, and somebody pays.
    DeadlineEdge,
    /// The clock stops where a key's outcome is about to be forgotten, and somebody asks again.
    OutcomeEdge,
    MessageTwice,
    GarbageMessage,
    EarlyReminder,
}

impl Fault {
    const ALL: [Self; 19] = [
        Self::CrashAll,
        Self::CrashLane,
        Self::Takeover,
        Self::CommitUnknown,
        Self::CommitFenced,
        Self::AppendUnknown,
        Self::ReminderLost,
        Self::ReminderTwice,
        Self::AnswerLost,
        Self::AnswerTwice,
        Self::StoreFails,
        Self::StoreWiped,
        Self::ClockAhead,
        Self::ClockBack,
        Self::DeadlineEdge,
        Self::OutcomeEdge,
        Self::MessageTwice,
        Self::GarbageMessage,
        Self::EarlyReminder,
    ];
    /// How often each is drawn where it is not left out.
    pub(crate) const USUAL: [u32; 19] = [8, 8, 6, 6, 3, 4, 3, 3, 2, 3, 6, 1, 4, 3, 6, 1, 4, 2, 3];
}

impl World {
    /// Makes one thing go wrong.
    pub(crate) fn fail(&mut self) -> Result<(), Violation> {
        let fault = Fault::ALL[self.random.weighted(&self.mix.faults)];
        self.faults += 1;
        let happened = self.random.one_in(2);
        match fault {
            Fault::CrashAll => self.crash()?,
            Fault::CrashLane => {
                let place = self.random.index(self.places.len());
                self.places[place].owner = None;
            }
            Fault::Takeover => self.take_over()?,
            Fault::CommitUnknown => {
                self.log.fail_next(memory::Fault::CommitUnknown { lane: None, happened });
            }
            Fault::CommitFenced => self.log.fail_next(memory::Fault::CommitFenced { lane: None }),
            Fault::AppendUnknown => self.log.fail_next(memory::Fault::AppendUnknown { happened }),
            Fault::ReminderLost => self.log.fail_next(memory::Fault::RemindLost),
            Fault::ReminderTwice => self.log.fail_next(memory::Fault::RemindTwice),
            Fault::AnswerLost => {
                self.answers_lost = true;
                self.log.fail_next(memory::Fault::AnswerLost);
            }
            Fault::AnswerTwice => self.log.fail_next(memory::Fault::AnswerTwice),
            Fault::StoreFails => self.fail_store(),
            Fault::StoreWiped => self.wipe()?,
            Fault::ClockAhead => {
                let kinds = [Micros::SECOND, Micros::MINUTE, 20 * Micros::MINUTE, Micros::DAY];
                let most = *self.random.pick(&kinds).unwrap_or(&1);
                let ahead = self.random.between(1, most);
                self.clock_to(self.now().plus(ahead));
            }
            Fault::ClockBack => {
                let back = self.random.between(1, 10 * Micros::MINUTE);
                self.clock.advance(-back);
            }
            Fault::DeadlineEdge => self.meet_deadline(),
            Fault::OutcomeEdge => self.meet_outcomes_end(),
            Fault::MessageTwice => self.repeat_message(),
            Fault::GarbageMessage => self.garbage_message(),
            Fault::EarlyReminder => self.early_reminder(),
        }
        Ok(())
    }

    fn crash(&mut self) -> Result<(), Violation> {
        self.restart_log(|world| {
            let salt = world.random.bits();
            let kept_percent = *world.random.pick(&[0, 50, 90]).unwrap_or(&50);
            // By key and entry, not by draw: rows come in the order of a hash map.
            world.store.memory.crash(|row| fate(salt, row) % 100 < kept_percent);
        })
    }

    fn wipe(&mut self) -> Result<(), Violation> {
        self.restart_log(|world| world.store.memory.wipe())
    }

    /// The old owner is kept as a stale one, which goes on when chance says so.
    fn take_over(&mut self) -> Result<(), Violation> {
        let place = self.random.index(self.places.len());
        let place_state = &mut self.places[place];
        if let Some(owner) = place_state.owner.take() {
            place_state.stale.push(owner);
            let count = place_state.stale.len();
            place_state.stale.drain(..count.saturating_sub(LANES_STALE_MAX));
        }
        self.turn(place).map(drop)
    }

    fn fail_store(&mut self) {
        let calls = [StoreCall::Apply, StoreCall::Load, StoreCall::Watermark];
        let call = *self.random.pick(&calls).unwrap_or(&StoreCall::Apply);
        let nth = 1 + self.random.below(6);
        self.store.fail(call, nth);
    }

    fn meet_deadline(&mut self) {
        let lane = Lane { role: Role::Users, index: self.some_lane() };
        let open = self.store.memory.open_orders(lane).unwrap_or_default();
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
        let row = self.store.memory.load(&[key]).ok().and_then(|rows| rows.into_iter().next());
        let Some(Some(Row::Outcome(row))) = row else { return };
        let off = self.random.between(-1, 1);
        self.clock_to(row.at.plus(15 * Micros::DAY + off));
        let asked = self.workload.repeat(&self.mix, key, self.now());
        self.append(asked);
    }

    /// A record of an inbox comes again, as another process of the sender's lane would send it.
    fn repeat_message(&mut self) {
        let role = if self.random.one_in(2) { Role::Users } else { Role::Products };
        let (topic, partition) = (TopicId::inbox(role), self.some_lane());
        let limit = ReadLimit { records_max: usize::MAX, bytes_max: usize::MAX };
        let Ok(batch) = self.log.read(topic, partition, 0, limit) else { return };
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
        if let Ok(mut owner) = self.log.open(lane) {
            owner.remind(NewRecord::new("", value)).ok();
        }
    }

    /// Writes into a lane's inbox as a lane of the other role would, fencing that one's owner.
    pub(crate) fn inject(&mut self, receiver: Lane, value: Vec<u8>) {
        let sender = Lane { role: receiver.role.peer(), index: self.some_lane() };
        let Ok(mut owner) = self.log.open(sender) else { return };
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
