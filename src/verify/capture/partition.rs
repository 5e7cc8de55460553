//! One partition, read in order up to an end.

use super::super::Failure;
use jupan_log::{Log, LogRecord, ReadLimit};
use jupan_schemas::TopicId;
use std::collections::VecDeque;

/// How much is read at once.
const LIMIT: ReadLimit = ReadLimit { records_max: 2_000, bytes_max: 4 << 20 };

/// See the module.
pub(super) struct Partition<'a> {
    log: &'a dyn Log,
    pub(super) topic: TopicId,
    pub(super) index: u16,
    next: u64,
    end: u64,
    read: VecDeque<LogRecord>,
}

impl<'a> Partition<'a> {
    /// From its first record to what is durable by now.
    pub(super) fn open(log: &'a dyn Log, topic: TopicId, index: u16) -> Result<Self, Failure> {
        let bounds = log.bounds(topic, index).map_err(|source| Failure::Log { source })?;
        let (next, end) = (bounds.start, bounds.end);
        Ok(Self { log, topic, index, next, end, read: VecDeque::new() })
    }

    /// Ends it elsewhere.
    pub(super) fn until(mut self, end: u64) -> Self {
        self.end = end;
        self
    }

    /// Reads on to what is durable by now.
    pub(super) fn extend(&mut self) -> Result<(), Failure> {
        let bounds = self.log.bounds(self.topic, self.index);
        self.end = self.end.max(bounds.map_err(|source| Failure::Log { source })?.end);
        Ok(())
    }

    /// The next record, which stays the next one.
    pub(super) fn peek(&mut self) -> Result<Option<&LogRecord>, Failure> {
        while self.read.is_empty() && self.next < self.end {
            let batch = self.log.read(self.topic, self.index, self.next, LIMIT);
            let batch = batch.map_err(|source| Failure::Log { source })?;
            if batch.next == self.next {
                break;
            }
            self.next = batch.next;
            let end = self.end;
            self.read.extend(batch.records.into_iter().filter(|record| record.offset < end));
        }
        Ok(self.read.front())
    }

    /// The next record.
    pub(super) fn take(&mut self) -> Result<Option<LogRecord>, Failure> {
        self.peek()?;
        Ok(self.read.pop_front())
    }
}
