//! What the providers of one process share: a fixed assignment, the merge of a lane's inputs, and
//! the checks of what is written.

use crate::layout::header_bytes;
use crate::limits::KEY_AND_HEADERS_BYTES_MAX;
use crate::{
    AppendError, Assignment, AssignmentChange, COMMIT_BYTES_MAX, Commit, Input, LaneError,
    LogRecord, NewRecord, RECORD_BYTES_MAX, ReadLimit,
};
use jupan_schemas::{Lane, Role, Source};
use std::collections::VecDeque;
use std::time::Duration;

/// All lanes of a role, assigned once and for good.
pub(crate) struct AllLanes {
    fresh: Vec<AssignmentChange>,
    never_wait: bool,
}

impl AllLanes {
    pub(crate) fn new(role: Role, lanes: u16, never_wait: bool) -> Self {
        let all = (0..lanes).map(|index| AssignmentChange::Assigned(Lane { role, index }));
        Self { fresh: all.collect(), never_wait }
    }
}

impl Assignment for AllLanes {
    fn poll(&mut self, wait: Duration) -> Result<Vec<AssignmentChange>, LaneError> {
        let fresh = std::mem::take(&mut self.fresh);
        if fresh.is_empty() && !self.never_wait {
            // tidy: allow(sleep) nothing ever changes: a wait is all there is to do
            std::thread::sleep(wait);
        }
        Ok(fresh)
    }

    fn is_settled(&self) -> bool {
        self.fresh.is_empty()
    }
}

/// One input of a lane: records that were read and not yet handed out.
#[derive(Default)]
pub(crate) struct Feed {
    ready: VecDeque<LogRecord>,
    ready_bytes: usize,
    /// The next offset to read behind those that are ready.
    pub(crate) next: u64,
}

impl Feed {
    pub(crate) fn seek(&mut self, next: u64) {
        *self = Self { next, ..Self::default() };
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// How much to read so that a poll with this limit could be served from this input alone.
    pub(crate) fn room(&self, limit: ReadLimit) -> ReadLimit {
        let is_full = self.ready_bytes >= limit.bytes_max && !self.ready.is_empty();
        let left = limit.records_max.saturating_sub(self.ready.len());
        ReadLimit {
            records_max: if is_full { 0 } else { left },
            bytes_max: limit.bytes_max.saturating_sub(self.ready_bytes),
        }
    }

    /// Takes records that were read from `next` on.
    pub(crate) fn fill(&mut self, records: Vec<LogRecord>) {
        self.next += records.len() as u64;
        self.ready_bytes += records.iter().map(|record| record.value.len()).sum::<usize>();
        self.ready.extend(records);
    }

    fn pop(&mut self) -> Option<LogRecord> {
        let record = self.ready.pop_front()?;
        self.ready_bytes -= record.value.len();
        Some(record)
    }
}

/// Hands out the records of both inputs in turn, so that neither starves. `turn` is whose turn it
/// is.
pub(crate) fn merge(
    commands: &mut Feed,
    inbox: &mut Feed,
    turn: &mut Source,
    limit: ReadLimit,
) -> Vec<Input> {
    let ready = commands.ready.len() + inbox.ready.len();
    let mut inputs = Vec::with_capacity(ready.min(limit.records_max));
    let mut bytes = 0;
    while inputs.len() < limit.records_max && (bytes < limit.bytes_max || inputs.is_empty()) {
        let (first, other) = match turn {
            Source::Commands => (&mut *commands, &mut *inbox),
            Source::Inbox => (&mut *inbox, &mut *commands),
        };
        let (source, record) = if let Some(record) = first.pop() {
            (*turn, record)
        } else if let Some(record) = other.pop() {
            (other_source(*turn), record)
        } else {
            break;
        };
        *turn = other_source(source);
        bytes += record.value.len();
        let next = record.offset + 1;
        inputs.push(Input { source, record, next });
    }
    inputs
}

fn other_source(source: Source) -> Source {
    match source {
        Source::Commands => Source::Inbox,
        Source::Inbox => Source::Commands,
    }
}

/// Whether a producer may append this.
pub(crate) fn check_record(record: &NewRecord) -> Result<(), AppendError> {
    let names = record.key.len() + header_bytes(&record.headers);
    let bytes = record.value.len() + names;
    let is_fine = record.value.len() <= RECORD_BYTES_MAX && names_fit(record);
    is_fine.then_some(()).ok_or(AppendError::TooLarge { bytes })
}

/// Whether key and headers fit their lengths in the record.
fn names_fit(record: &NewRecord) -> bool {
    record.key.len() + header_bytes(&record.headers) <= KEY_AND_HEADERS_BYTES_MAX
        && record.headers.len() <= usize::from(u16::MAX)
}

/// Whether a lane may commit this; its partitions are checked where they are looked up.
pub(crate) fn check_commit(lane: Lane, commit: &Commit) -> Result<(), LaneError> {
    let steps: usize = commit.steps.iter().map(bytes::Bytes::len).sum();
    let records: usize = commit.records.iter().map(|r| r.record.value.len()).sum();
    if steps + records > COMMIT_BYTES_MAX {
        let bytes = steps + records;
        let cause = format!("a commit of {bytes} bytes is larger than {COMMIT_BYTES_MAX}");
        return Err(LaneError::Broken { lane, cause });
    }
    match commit.records.iter().find(|r| !names_fit(&r.record)) {
        None => Ok(()),
        Some(large) => {
            let bytes = large.record.key.len() + header_bytes(&large.record.headers);
            let cause = format!("a {:?} record with key and headers of {bytes} bytes", large.topic);
            Err(LaneError::Broken { lane, cause })
        }
    }
}
