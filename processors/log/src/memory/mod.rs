//! The reference: the log as plain vectors, with durability, crashes and faults at the test's
//! command.
//!
//! It has no thread of its own. Without [`Options::auto_sync`] nothing is durable before
//! [`MemoryLog::sync`]; with [`Options::never_wait`] no call sleeps, so that a simulator can run
//! lanes one after the other in one thread.

mod faults;
mod lane;
#[cfg(test)]
mod tests;

pub use faults::Fault;

use crate::answers::Answers;
use crate::fixed::{AllLanes, check_record};
use crate::layout::{Layout, Slot};
use crate::limits::{QUEUE_BYTES_MAX, RESULTS_MAX};
use crate::{
    AppendError, Appended, Assignment, Batch, Bounds, Clock, LaneError, LaneLog, Log, LogRecord,
    NewRecord, ReadError, ReadLimit, Results,
};
use async_trait::async_trait;
use faults::Faults;
use jupan_schemas::{
    Lane, Micros, Role, TopicId,
    planted::{Bug, is_planted},
};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How a memory log behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Lanes of each role.
    pub lanes: u16,
    /// Everything is durable at once.
    pub auto_sync: bool,
    /// No call sleeps; a commit that would wait for room syncs instead.
    pub never_wait: bool,
    /// Appended bytes that are not yet durable; beyond it appends are refused and commits wait.
    pub queue_bytes_max: usize,
    /// Outcomes that one subscriber may have waiting.
    pub results_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lanes: 2,
            auto_sync: true,
            never_wait: false,
            queue_bytes_max: QUEUE_BYTES_MAX,
            results_max: RESULTS_MAX,
        }
    }
}

/// See the module.
#[derive(Clone)]
pub struct MemoryLog {
    shared: Arc<Shared>,
}

struct Shared {
    options: Options,
    layout: Layout,
    clock: Arc<dyn Clock>,
    answers: Arc<Answers>,
    state: Mutex<State>,
    changed: Condvar,
}

/// A record with the ticket of the append or commit that it is part of.
#[derive(Clone)]
struct Kept {
    ticket: u64,
    record: LogRecord,
}

#[derive(Clone, Default)]
struct Partition {
    start: u64,
    kept: Vec<Kept>,
}

impl Partition {
    fn end(&self) -> u64 {
        self.start + self.kept.len() as u64
    }

    fn end_at(&self, ticket: u64) -> u64 {
        self.start + self.kept.partition_point(|kept| kept.ticket <= ticket) as u64
    }

    /// Records from an offset up to another one, within a limit.
    fn read(&self, from: u64, until: u64, limit: ReadLimit) -> Vec<LogRecord> {
        let skipped = usize::try_from(from.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let count = usize::try_from(until.saturating_sub(from)).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let mut records = Vec::new();
        for kept in self.kept.iter().skip(skipped).take(count.min(limit.records_max)) {
            records.push(kept.record.clone());
            bytes += kept.record.value.len();
            if bytes >= limit.bytes_max {
                break;
            }
        }
        records
    }
}

#[derive(Clone, Copy, Default)]
struct Owned {
    owner: u64,
    last_ticket: u64,
    durable: u64,
}

struct State {
    partitions: Vec<Partition>,
    owned: Vec<Owned>,
    /// Bytes of each unit that is not yet durable, in the order of their tickets.
    unsynced: VecDeque<usize>,
    waiters: VecDeque<(u64, oneshot::Sender<()>)>,
    commits: VecDeque<(u64, usize)>,
    synced: u64,
    last_ticket: u64,
    last_at: Micros,
    ended: Option<&'static str>,
    faults: Faults,
    syncs: u64,
}

/// A record on its way into a partition.
struct Placed<'a> {
    slot: Slot,
    record: &'a NewRecord,
}

impl MemoryLog {
    /// An empty log.
    pub fn new(options: Options, clock: Arc<dyn Clock>) -> Self {
        let layout = Layout::new(options.lanes);
        Self::with(options, clock, vec![Partition::default(); layout.slots()], 0, Micros(i64::MIN))
    }

    fn with(
        options: Options,
        clock: Arc<dyn Clock>,
        partitions: Vec<Partition>,
        last_ticket: u64,
        last_at: Micros,
    ) -> Self {
        let layout = Layout::new(options.lanes);
        let state = State {
            partitions,
            owned: vec![Owned::default(); 2 * usize::from(layout.lanes())],
            unsynced: VecDeque::new(),
            waiters: VecDeque::new(),
            commits: VecDeque::new(),
            synced: last_ticket,
            last_ticket,
            last_at,
            ended: None,
            faults: Faults::default(),
            syncs: 0,
        };
        let answers = Answers::new(options.results_max, options.never_wait);
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Self { shared: Arc::new(Shared { options, layout, clock, answers, state, changed }) }
    }

    /// Makes everything durable that was appended.
    pub fn sync(&self) {
        self.shared.sync(&mut self.shared.state.lock());
    }

    /// How many appends and commits are not yet durable.
    pub fn unsynced(&self) -> usize {
        self.shared.state.lock().unsynced.len()
    }

    /// What is there after a crash: everything durable, and the next `survivors` appends and
    /// commits that were not. This log ends: whoever waits for it learns that the outcome is
    /// unknown.
    #[must_use]
    pub fn crash(&self, survivors: usize) -> Self {
        let mut state = self.shared.state.lock();
        let survivors = survivors.min(state.unsynced.len());
        let cut = state.synced + survivors as u64;
        state.ended = Some("it crashed");
        state.waiters.clear();
        let mut partitions = state.partitions.clone();
        for partition in &mut partitions {
            partition.kept.retain(|kept| kept.ticket <= cut);
        }
        let times = partitions.iter().filter_map(|p| Some(p.kept.last()?.record.at)).max();
        let last_at = times.unwrap_or(Micros(i64::MIN));
        drop(state);
        self.shared.changed.notify_all();
        let options = self.shared.options.clone();
        Self::with(options, self.shared.clock.clone(), partitions, cut, last_at)
    }

    /// As [`MemoryLog::crash`]; a seed decides how much of what was not durable survives.
    #[must_use]
    pub fn crash_by(&self, seed: u64) -> Self {
        let choices = self.unsynced() as u64 + 1;
        self.crash(usize::try_from(faults::mix(seed) % choices).unwrap_or(0))
    }

    /// Lets the next fitting call go wrong. Faults of one kind happen in the order they were asked
    /// for.
    pub fn fail_next(&self, fault: Fault) {
        self.shared.state.lock().faults.add(fault);
    }

    /// Removes the records of a partition before an offset.
    ///
    /// # Errors
    /// [`ReadError::NoPartition`]
    pub fn trim(&self, topic: TopicId, partition: u16, start: u64) -> Result<(), ReadError> {
        let slot = self.shared.readable(topic, partition)?;
        let partition = &mut self.shared.state.lock().partitions[slot];
        let removed = start.min(partition.end()).saturating_sub(partition.start);
        partition.kept.drain(..usize::try_from(removed).unwrap_or(0));
        partition.start += removed;
        Ok(())
    }

    /// Makes everything durable and takes no more.
    pub fn close(&self) {
        let mut state = self.shared.state.lock();
        self.shared.sync(&mut state);
        state.ended.get_or_insert("it is closed");
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Outcomes that were dropped because their subscriber was too slow.
    pub fn results_dropped(&self) -> u64 {
        self.shared.answers.dropped()
    }

    fn enqueue(
        &self,
        slot: Slot,
        record: &NewRecord,
        waiter: Option<oneshot::Sender<()>>,
    ) -> Result<u64, AppendError> {
        check_record(record)?;
        let mut state = self.shared.state.lock();
        if state.ended.is_some() {
            return Err(AppendError::Closed);
        }
        if !self.shared.has_room(&state, record.value.len()) {
            return Err(AppendError::Full);
        }
        // Whom nobody tells an outcome cannot be told that it is unknown: it would be lost in silence.
        let fault = waiter.as_ref().and_then(|_| state.faults.next_append());
        match fault {
            Some(Fault::AppendUnknown { happened: false }) => return Ok(0),
            Some(_) => return Ok(self.shared.push(&mut state, &[Placed { slot, record }]).1),
            None => {}
        }
        let (ticket, offset) = self.shared.push(&mut state, &[Placed { slot, record }]);
        if let Some(waiter) = waiter {
            if is_planted(Bug::AcknowledgedBeforeSync) {
                let _ = waiter.send(());
                return Ok(offset);
            }
            state.waiters.push_back((ticket, waiter));
        }
        self.shared.sync_if_automatic(&mut state);
        Ok(offset)
    }
}

impl Shared {
    fn readable(&self, topic: TopicId, partition: u16) -> Result<Slot, ReadError> {
        self.layout.slot(topic, partition).ok_or(ReadError::NoPartition { topic, partition })
    }

    fn has_room(&self, state: &State, bytes: usize) -> bool {
        let unsynced: usize = state.unsynced.iter().sum();
        unsynced == 0 || unsynced.saturating_add(bytes) <= self.options.queue_bytes_max
    }

    /// Appends records as one unit: all of them survive a crash, or none. Returns its ticket and
    /// the first offset.
    fn push(&self, state: &mut State, records: &[Placed<'_>]) -> (u64, u64) {
        state.last_at = state.last_at.max(self.clock.now());
        state.last_ticket += 1;
        let (ticket, at) = (state.last_ticket, state.last_at);
        let mut first = None;
        for Placed { slot, record } in records {
            let partition = &mut state.partitions[*slot];
            let offset = partition.end();
            first.get_or_insert(offset);
            let NewRecord { key, value, headers, .. } = (*record).clone();
            let record = LogRecord { offset, at, key, value, headers };
            partition.kept.push(Kept { ticket, record });
        }
        state.unsynced.push_back(records.iter().map(|placed| placed.record.value.len()).sum());
        self.changed.notify_all();
        (ticket, first.unwrap_or(0))
    }

    fn sync_if_automatic(&self, state: &mut State) {
        if self.options.auto_sync {
            self.sync(state);
        }
    }

    fn sync(&self, state: &mut State) {
        state.synced = state.last_ticket;
        state.syncs += 1;
        state.unsynced.clear();
        for (ticket, lane) in std::mem::take(&mut state.commits) {
            state.owned[lane].durable = ticket;
        }
        for (_, waiter) in state.waiters.drain(..) {
            // One that no longer listens was cancelled; its record stays.
            let _ = waiter.send(());
        }
        self.changed.notify_all();
    }

    fn wait_for_room(&self, state: &mut MutexGuard<'_, State>) {
        if self.options.never_wait {
            self.sync(state);
        } else {
            self.changed.wait(state);
        }
    }
}

#[async_trait]
impl Log for MemoryLog {
    fn partitions(&self) -> u16 {
        self.shared.layout.lanes()
    }

    async fn append(
        &self,
        topic: TopicId,
        partition: u16,
        record: NewRecord,
    ) -> Result<Appended, AppendError> {
        let slot = self.shared.layout.producer_slot(topic, partition);
        let slot = slot.ok_or(AppendError::NoPartition { topic, partition })?;
        let (waiter, durable) = oneshot::channel();
        let offset = self.enqueue(slot, &record, Some(waiter))?;
        match durable.await {
            Ok(()) => Ok(Appended { partition, offset }),
            Err(_) => Err(AppendError::Unknown { cause: "the log ended".to_owned() }),
        }
    }

    fn read(
        &self,
        topic: TopicId,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Batch, ReadError> {
        let slot = self.shared.readable(topic, partition)?;
        let state = self.shared.state.lock();
        let found = &state.partitions[slot];
        if from < found.start {
            return Err(ReadError::BelowStart { topic, partition, from, start: found.start });
        }
        let records = found.read(from, found.end_at(state.synced), limit);
        let next = from + records.len() as u64;
        Ok(Batch { records, next })
    }

    fn bounds(&self, topic: TopicId, partition: u16) -> Result<Bounds, ReadError> {
        let slot = self.shared.readable(topic, partition)?;
        let state = self.shared.state.lock();
        let found = &state.partitions[slot];
        Ok(Bounds { start: found.start, end: found.end_at(state.synced) })
    }

    fn wait_for_more(&self, wait: Duration) {
        let mut state = self.shared.state.lock();
        let seen = state.syncs;
        if !self.shared.options.never_wait {
            let is_same = |state: &mut State| state.syncs == seen && state.ended.is_none();
            self.shared.changed.wait_while_for(&mut state, is_same, wait);
        }
    }

    fn open(&self, lane: Lane) -> Result<Box<dyn LaneLog>, LaneError> {
        Ok(Box::new(lane::MemoryLane::open(&self.shared, lane)?))
    }

    fn assignment(&self, role: Role) -> Result<Box<dyn Assignment>, LaneError> {
        let never_wait = self.shared.options.never_wait;
        Ok(Box::new(AllLanes::new(role, self.partitions(), never_wait)))
    }

    fn results(&self) -> Result<Box<dyn Results>, ReadError> {
        self.shared.answers.subscribe()
    }

    fn publish_top(&self, record: NewRecord) -> Result<(), AppendError> {
        let (topic, partition) = (TopicId::TopProducts, 0);
        let slot = self.shared.layout.slot(topic, partition);
        let slot = slot.ok_or(AppendError::NoPartition { topic, partition })?;
        self.enqueue(slot, &record, None).map(drop)
    }

    fn now(&self) -> Micros {
        self.shared.clock.now()
    }

    fn failure(&self) -> Option<String> {
        self.shared.state.lock().ended.map(str::to_owned)
    }
}
