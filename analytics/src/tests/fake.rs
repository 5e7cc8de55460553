//! A log of sales alone: what an analyzer sees of one, and nothing else.

use async_trait::async_trait;
use bytes::Bytes;
use jupan_log::{
    AppendError, Appended, Assignment, Batch, Bounds, LaneError, LaneLog, Log, LogRecord,
    NewRecord, ReadError, ReadLimit, Results,
};
use jupan_schemas::{Codec, Lane, Micros, Role, Sale, TopProducts, TopicId, topics};
use parking_lot::Mutex;
use std::{thread, time::Duration};

#[derive(Default)]
struct Partition {
    start: u64,
    end: u64,
    records: Vec<LogRecord>,
}

/// Sales go in by hand; offsets may be skipped, records lost, the clock set.
pub(crate) struct FakeLog {
    partitions: Vec<Mutex<Partition>>,
    now: Mutex<Micros>,
    published: Mutex<Vec<NewRecord>>,
    /// How many more publications are refused.
    pub(crate) refusals: Mutex<u32>,
}

impl FakeLog {
    pub(crate) fn new(partitions: u16, now: Micros) -> Self {
        Self {
            partitions: (0..partitions).map(|_| Mutex::default()).collect(),
            now: Mutex::new(now),
            published: Mutex::default(),
            refusals: Mutex::default(),
        }
    }

    pub(crate) fn set_now(&self, now: Micros) {
        *self.now.lock() = now;
    }

    pub(crate) fn sell(&self, partition: usize, sale: &Sale) {
        self.put(partition, Codec::embedded().to_bytes(sale));
    }

    /// A record of any bytes, and then a gap of one offset, as a provider's own marks make it.
    pub(crate) fn put(&self, partition: usize, value: Vec<u8>) {
        let at = *self.now.lock();
        let mut partition = self.partitions[partition].lock();
        let (offset, value) = (partition.end, value.into());
        partition.records.push(LogRecord {
            offset,
            at,
            key: Bytes::new(),
            value,
            headers: Vec::new(),
        });
        partition.end += 2;
    }

    /// Old records go.
    pub(crate) fn cut_before(&self, partition: usize, start: u64) {
        let mut partition = self.partitions[partition].lock();
        partition.records.retain(|record| record.offset >= start);
        partition.start = start;
    }

    pub(crate) fn published(&self) -> Vec<(String, TopProducts)> {
        let codec = Codec::embedded();
        let read = |record: &NewRecord| {
            let key = String::from_utf8(record.key.to_vec()).unwrap();
            (key, topics::TOP_PRODUCTS.decode(&codec, &record.value).unwrap())
        };
        self.published.lock().iter().map(read).collect()
    }
}

#[async_trait]
impl Log for FakeLog {
    fn partitions(&self) -> u16 {
        u16::try_from(self.partitions.len()).unwrap()
    }

    async fn append(&self, _: TopicId, _: u16, _: NewRecord) -> Result<Appended, AppendError> {
        Err(AppendError::Closed)
    }

    fn read(
        &self,
        topic: TopicId,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Batch, ReadError> {
        let inner = self.partitions[usize::from(partition)].lock();
        if from < inner.start {
            return Err(ReadError::BelowStart { topic, partition, from, start: inner.start });
        }
        let unread = inner.records.iter().filter(|record| record.offset >= from);
        let records: Vec<_> = unread.take(limit.records_max.min(7)).cloned().collect();
        let next = records.last().map_or(from, |last| last.offset + 2);
        Ok(Batch { records, next })
    }

    fn bounds(&self, _: TopicId, partition: u16) -> Result<Bounds, ReadError> {
        let inner = self.partitions[usize::from(partition)].lock();
        Ok(Bounds { start: inner.start, end: inner.end })
    }

    fn wait_for_more(&self, _: Duration) {
        thread::sleep(Duration::from_millis(1));
    }

    fn open(&self, lane: Lane) -> Result<Box<dyn LaneLog>, LaneError> {
        Err(LaneError::Broken { lane, cause: "no lanes here".into() })
    }

    fn assignment(&self, role: Role) -> Result<Box<dyn Assignment>, LaneError> {
        self.open(Lane { role, index: 0 }).map(|_| unreachable!())
    }

    fn results(&self) -> Result<Box<dyn Results>, ReadError> {
        Err(ReadError::NoPartition { topic: TopicId::CommandResults, partition: 0 })
    }

    fn publish_top(&self, record: NewRecord) -> Result<(), AppendError> {
        let mut refusals = self.refusals.lock();
        if *refusals > 0 {
            *refusals -= 1;
            return Err(AppendError::Full);
        }
        self.published.lock().push(record);
        Ok(())
    }

    fn now(&self) -> Micros {
        *self.now.lock()
    }

    fn failure(&self) -> Option<String> {
        None
    }
}
