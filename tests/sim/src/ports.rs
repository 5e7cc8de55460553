//! The memory providers behind the gate, as one lane sees them.

use crate::{
    gate::{Call, Gate},
    mix::Mix,
};
use async_trait::async_trait;
use bytes::Bytes;
use jupan_ledger::Rules;
use jupan_log::{
    AppendError, Appended, Assignment, Batch, Bounds, Commit, Committed, Input, LaneError, LaneLog,
    Log, LogRecord, NewRecord, ReadError, ReadLimit, Results, memory::MemoryLog,
};
use jupan_processors::{Limits, Parts};
use jupan_schemas::{
    Lane, Micros, OrderId, Positions, Role, SchemaIds, TopicId,
    rows::{Key, Row, Watermark},
};
use jupan_store::{LaneStore, StoreError, memory::MemoryStore};
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

/// The same for every shop, and not quickly made.
pub(crate) static SCHEMA_IDS: LazyLock<Arc<SchemaIds>> =
    LazyLock::new(|| Arc::new(SchemaIds::embedded()));

/// What every process of the shop works with.
#[derive(Clone)]
pub(crate) struct Ports {
    pub(crate) log: MemoryLog,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) gate: Arc<Gate>,
    rules: Rules,
    limits: Limits,
}

impl Ports {
    pub(crate) fn new(mix: &Mix, log: MemoryLog, gate: Arc<Gate>) -> Self {
        let store = Arc::new(MemoryStore::that_crashes());
        Self { log, store, gate, rules: mix.rules(), limits: mix.limits.clone() }
    }

    /// What an owner of this lane is made of.
    pub(crate) fn parts(&self, lane: Lane) -> Parts {
        let (log, gate) = (self.log.clone(), self.gate.clone());
        Parts {
            log: Arc::new(GatedLog { log, gate: gate.clone() }),
            store: Arc::new(GatedStore { lane, store: self.store.clone(), gate }),
            schema_ids: SCHEMA_IDS.clone(),
            rules: self.rules.clone(),
            limits: self.limits.clone(),
        }
    }
}

/// The memory log, whose lanes pass the gate with every call.
struct GatedLog {
    log: MemoryLog,
    gate: Arc<Gate>,
}

#[async_trait]
impl Log for GatedLog {
    fn partitions(&self) -> u16 {
        self.log.partitions()
    }

    async fn append(
        &self,
        topic: TopicId,
        partition: u16,
        record: NewRecord,
    ) -> Result<Appended, AppendError> {
        self.log.append(topic, partition, record).await
    }

    fn read(
        &self,
        topic: TopicId,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Batch, ReadError> {
        self.log.read(topic, partition, from, limit)
    }

    fn bounds(&self, topic: TopicId, partition: u16) -> Result<Bounds, ReadError> {
        self.log.bounds(topic, partition)
    }

    fn wait_for_more(&self, wait: Duration) {
        self.log.wait_for_more(wait);
    }

    fn open(&self, lane: Lane) -> Result<Box<dyn LaneLog>, LaneError> {
        let log = self.log.open(lane)?;
        Ok(Box::new(GatedLane { lane, log, gate: self.gate.clone() }))
    }

    fn assignment(&self, role: Role) -> Result<Box<dyn Assignment>, LaneError> {
        self.log.assignment(role)
    }

    fn results(&self) -> Result<Box<dyn Results>, ReadError> {
        self.log.results()
    }

    fn publish_top(&self, record: NewRecord) -> Result<(), AppendError> {
        self.log.publish_top(record)
    }

    fn now(&self) -> Micros {
        self.log.now()
    }

    fn failure(&self) -> Option<String> {
        self.log.failure()
    }
}

struct GatedLane {
    lane: Lane,
    log: Box<dyn LaneLog>,
    gate: Arc<Gate>,
}

impl GatedLane {
    fn pass(&self) -> Result<(), LaneError> {
        let passed = self.gate.pass(self.lane, Call::Log);
        passed.map_err(|cause| LaneError::Broken { lane: self.lane, cause: cause.to_owned() })
    }
}

impl LaneLog for GatedLane {
    fn last_step(&mut self) -> Result<Option<LogRecord>, LaneError> {
        self.pass()?;
        self.log.last_step()
    }

    fn read_journal(&mut self, from: u64, bytes_max: usize) -> Result<Batch, LaneError> {
        self.pass()?;
        self.log.read_journal(from, bytes_max)
    }

    fn seek(&mut self, positions: Positions) -> Result<(), LaneError> {
        self.pass()?;
        self.log.seek(positions)
    }

    fn poll(&mut self, limit: ReadLimit, wait: Duration) -> Result<Vec<Input>, LaneError> {
        self.pass()?;
        self.log.poll(limit, wait)
    }

    fn commit(&mut self, commit: Commit) -> Result<Committed, LaneError> {
        self.pass()?;
        self.log.commit(commit)
    }

    fn check_owner(&mut self) -> Result<(), LaneError> {
        self.pass()?;
        self.log.check_owner()
    }

    fn durable(&self) -> u64 {
        if self.pass().is_ok() { self.log.durable() } else { 0 }
    }

    fn remind(&mut self, record: NewRecord) -> Result<(), LaneError> {
        self.pass()?;
        self.log.remind(record)
    }

    fn answer(&mut self, reply_to: u32, result: Bytes) {
        if self.pass().is_ok() {
            self.log.answer(reply_to, result);
        }
    }

    fn now(&self) -> Micros {
        self.log.now()
    }
}

/// The memory store, to which one lane's calls pass the gate.
struct GatedStore {
    lane: Lane,
    store: Arc<MemoryStore>,
    gate: Arc<Gate>,
}

impl GatedStore {
    fn pass(&self, doing: &'static str) -> Result<(), StoreError> {
        let passed = self.gate.pass(self.lane, Call::Store);
        passed.map_err(|cause| StoreError::Broken { doing, cause: cause.to_owned() })
    }
}

impl LaneStore for GatedStore {
    fn apply(&self, lane: Lane, rows: Vec<Row>) -> Result<(), StoreError> {
        self.pass("apply rows")?;
        self.store.apply(lane, rows)
    }

    fn set_watermark(&self, lane: Lane, watermark: Watermark) -> Result<(), StoreError> {
        self.pass("raise a watermark")?;
        self.store.set_watermark(lane, watermark)
    }

    fn watermark(&self, lane: Lane) -> Result<Option<Watermark>, StoreError> {
        self.pass("read a watermark")?;
        self.store.watermark(lane)
    }

    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Row>>, StoreError> {
        self.pass("load rows")?;
        self.store.load(keys)
    }

    fn open_orders(&self, lane: Lane) -> Result<Vec<(OrderId, Micros)>, StoreError> {
        self.pass("list open orders")?;
        self.store.open_orders(lane)
    }
}
