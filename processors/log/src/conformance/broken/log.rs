//! The log's side of the flawed provider.

use super::super::{Waiting, value};
use super::lane::FlawedLane;
use super::{Flaw, QUEUE_BYTES_MAX};
use crate::memory::MemoryLog;
use crate::{
    AppendError, Appended, Assignment, Batch, Bounds, Commit, LaneError, LaneLog, Log, NewRecord,
    ReadError, ReadLimit, Results,
};
use async_trait::async_trait;
use jupan_schemas::{Lane, Micros, Role, TopicId};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

/// A memory log, its flaw, and what the flaw remembers.
pub(super) struct Flawed {
    pub(super) inner: MemoryLog,
    pub(super) flaw: Flaw,
    /// Otherwise everything becomes durable at once.
    pub(super) is_held: AtomicBool,
    /// A commit of unknown outcome, to be made when nobody expects it.
    pub(super) late: Mutex<Option<Commit>>,
    /// Where the journal's durable part ended before its last takeover.
    pub(super) durable_journal: Mutex<Option<u64>>,
    reads: AtomicI64,
    held_bytes: AtomicUsize,
}

impl Flawed {
    pub(super) fn new(inner: MemoryLog, flaw: Flaw) -> Self {
        Self {
            inner,
            flaw,
            is_held: AtomicBool::new(false),
            late: Mutex::new(None),
            durable_journal: Mutex::new(None),
            reads: AtomicI64::new(0),
            held_bytes: AtomicUsize::new(0),
        }
    }

    pub(super) fn sync(&self) {
        if !self.is_held.load(Ordering::SeqCst) {
            self.inner.sync();
        }
    }

    /// Bounds appends where the log below bounds nothing.
    fn is_full(&self, bytes: usize) -> bool {
        self.flaw == Flaw::UnboundedCommits
            && self.is_held.load(Ordering::SeqCst)
            && self.held_bytes.fetch_add(bytes, Ordering::SeqCst) + bytes > QUEUE_BYTES_MAX
    }

    fn slip_in(&self, record: NewRecord) {
        drop(Waiting::begin(self.inner.append(TopicId::UserCommands, 0, record)));
    }
}

pub(super) struct FlawedLog(pub(super) Arc<Flawed>);

#[async_trait]
impl Log for FlawedLog {
    fn partitions(&self) -> u16 {
        self.0.inner.partitions()
    }

    async fn append(
        &self,
        topic: TopicId,
        partition: u16,
        record: NewRecord,
    ) -> Result<Appended, AppendError> {
        let Flawed { inner, flaw, .. } = self.0.as_ref();
        if self.0.is_full(record.value.len()) {
            return Err(AppendError::Full);
        }
        if *flaw == Flaw::ReordersAppends && record.value.ends_with(b"8") {
            self.0.slip_in(NewRecord::new("9", value(9)));
        }
        let mut begun = Waiting::begin(inner.append(topic, partition, record));
        if *flaw == Flaw::AcknowledgesEarly && !begun.is_done() {
            return Ok(Appended { partition, offset: 0 });
        }
        self.0.sync();
        if !begun.is_done() {
            return begun.future.await;
        }
        let done = begun.wait();
        if *flaw == Flaw::AppendsWhatItRefuses && done.is_err() {
            self.0.slip_in(NewRecord::new("1", "part of it"));
        }
        done
    }

    fn read(
        &self,
        topic: TopicId,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Batch, ReadError> {
        let Flawed { inner, flaw, reads, .. } = self.0.as_ref();
        if *flaw == Flaw::ShowsUndurable {
            inner.sync();
        }
        let mut read = inner.read(topic, partition, from, limit);
        if *flaw == Flaw::SilentBelowStart && read.is_err() {
            return Ok(Batch { records: Vec::new(), next: from });
        }
        if let Ok(batch) = &mut read {
            match flaw {
                Flaw::ReversesReads => batch.records.reverse(),
                Flaw::ChangesTimes => {
                    let later = reads.fetch_add(1, Ordering::SeqCst);
                    batch.records.iter_mut().for_each(|record| record.at.0 += later);
                }
                _ => {}
            }
        }
        read
    }

    fn bounds(&self, topic: TopicId, partition: u16) -> Result<Bounds, ReadError> {
        let mut bounds = self.0.inner.bounds(topic, partition)?;
        let durable = *self.0.durable_journal.lock();
        if self.0.flaw == Flaw::OpensOverUndurable && topic == TopicId::UserJournal {
            bounds.end = durable.unwrap_or(bounds.end);
        }
        Ok(bounds)
    }

    fn wait_for_more(&self, wait: Duration) {
        self.0.inner.wait_for_more(wait);
    }

    fn open(&self, lane: Lane) -> Result<Box<dyn LaneLog>, LaneError> {
        Ok(Box::new(FlawedLane::open(&self.0, lane)?))
    }

    fn assignment(&self, role: Role) -> Result<Box<dyn Assignment>, LaneError> {
        self.0.inner.assignment(role)
    }

    fn results(&self) -> Result<Box<dyn Results>, ReadError> {
        self.0.inner.results()
    }

    fn publish_top(&self, record: NewRecord) -> Result<(), AppendError> {
        self.0.inner.publish_top(record)
    }

    fn now(&self) -> Micros {
        self.0.inner.now()
    }

    fn failure(&self) -> Option<String> {
        self.0.inner.failure()
    }
}
