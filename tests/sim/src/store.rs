//! The store of a simulated shop: the memory provider, which now and then fails a call.

use crate::mix::Mix;
use jupan_log::Log;
use jupan_processors::Parts;
use jupan_schemas::{
    Lane, Micros, OrderId, SchemaIds,
    rows::{Key, Row, Watermark},
};
use jupan_store::{LaneStore, StoreError, memory::MemoryStore};
use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicU64, Ordering},
};

/// The same for every shop, and not quickly made.
static SCHEMA_IDS: LazyLock<Arc<SchemaIds>> = LazyLock::new(|| Arc::new(SchemaIds::embedded()));

/// Calls of one kind until one of them fails; 0: none fails.
#[derive(Default)]
struct Countdown(AtomicU64);

impl Countdown {
    fn set(&self, calls: u64) {
        self.0.store(calls, Ordering::Relaxed);
    }

    fn check(&self, failed: &AtomicU64, doing: &'static str) -> Result<(), StoreError> {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(1), Ordering::Relaxed);
        if left != 1 {
            return Ok(());
        }
        failed.fetch_add(1, Ordering::Relaxed);
        Err(StoreError::Broken { doing, cause: "a fault was asked for".to_owned() })
    }
}

/// See the module.
pub(crate) struct SimStore {
    pub(crate) memory: MemoryStore,
    applies: Countdown,
    loads: Countdown,
    watermarks: Countdown,
    failed: AtomicU64,
}

/// Which call of the store fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreCall {
    Apply,
    Load,
    Watermark,
}

impl SimStore {
    pub(crate) fn new() -> Self {
        Self {
            memory: MemoryStore::that_crashes(),
            applies: Countdown::default(),
            loads: Countdown::default(),
            watermarks: Countdown::default(),
            failed: AtomicU64::new(0),
        }
    }

    /// Lets the n-th next call of a kind fail, from 1.
    pub(crate) fn fail(&self, call: StoreCall, nth: u64) {
        match call {
            StoreCall::Apply => self.applies.set(nth),
            StoreCall::Load => self.loads.set(nth),
            StoreCall::Watermark => self.watermarks.set(nth),
        }
    }

    /// No call fails any more.
    pub(crate) fn heal(&self) {
        [&self.applies, &self.loads, &self.watermarks].into_iter().for_each(|calls| calls.set(0));
    }

    /// Calls that failed since the last time this was asked.
    pub(crate) fn take_failed(&self) -> u64 {
        self.failed.swap(0, Ordering::Relaxed)
    }
}

impl LaneStore for SimStore {
    fn apply(&self, lane: Lane, rows: Vec<Row>) -> Result<(), StoreError> {
        self.applies.check(&self.failed, "apply rows")?;
        self.memory.apply(lane, rows)
    }

    fn set_watermark(&self, lane: Lane, watermark: Watermark) -> Result<(), StoreError> {
        self.watermarks.check(&self.failed, "raise a watermark")?;
        self.memory.set_watermark(lane, watermark)
    }

    fn watermark(&self, lane: Lane) -> Result<Option<Watermark>, StoreError> {
        self.memory.watermark(lane)
    }

    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Row>>, StoreError> {
        self.loads.check(&self.failed, "load rows")?;
        self.memory.load(keys)
    }

    fn open_orders(&self, lane: Lane) -> Result<Vec<(OrderId, Micros)>, StoreError> {
        self.memory.open_orders(lane)
    }
}

/// What a lane is made of.
pub(crate) fn parts(mix: &Mix, log: Arc<dyn Log>, store: Arc<SimStore>) -> Parts {
    Parts {
        log,
        store,
        schema_ids: SCHEMA_IDS.clone(),
        rules: mix.rules(),
        limits: mix.limits.clone(),
    }
}
