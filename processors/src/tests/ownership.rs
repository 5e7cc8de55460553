//! What a lane finds wrong counts only while the lane is its own.

use super::{
    harness::Harness,
    takeover::{place, register},
};
use crate::{Limits, Parts, Stop, Turn, Worker};
use jupan_ledger::products::Products;
use jupan_log::LaneError;
use jupan_schemas::{
    Lane, Micros, OrderId, Role,
    rows::{Key, Row, Watermark},
};
use jupan_store::{LaneStore, StoreError, memory::MemoryStore};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};

const LANE: Lane = Lane { role: Role::Products, index: 0 };

/// What is wrong while a lane reads its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    /// Somebody else takes the lane over, and goes on with it, before the next read.
    Takeover,
    /// The store has lost every hold.
    HoldsLost,
}

/// A store with a trouble.
struct Meddled {
    store: Arc<MemoryStore>,
    parts: Parts,
    trouble: Mutex<Trouble>,
}

impl Meddled {
    fn pass(&self) {
        let mut trouble = self.trouble.lock();
        if *trouble == Trouble::Takeover {
            *trouble = Trouble::None;
            let mut successor = Worker::<Products>::open(&self.parts, LANE).expect("a takeover");
            while successor.turn(Duration::ZERO).expect("a turn") != Turn::default() {}
            self.store.persist();
        }
    }
}

impl LaneStore for Meddled {
    fn apply(&self, lane: Lane, rows: Vec<Row>) -> Result<(), StoreError> {
        self.store.apply(lane, rows)
    }

    fn set_watermark(&self, lane: Lane, watermark: Watermark) -> Result<(), StoreError> {
        self.store.set_watermark(lane, watermark)
    }

    fn watermark(&self, lane: Lane) -> Result<Option<Watermark>, StoreError> {
        self.pass();
        self.store.watermark(lane)
    }

    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Row>>, StoreError> {
        self.pass();
        let mut rows = self.store.load(keys)?;
        if *self.trouble.lock() == Trouble::HoldsLost {
            rows.iter_mut().for_each(|row| *row = row.take().filter(|row| !is_hold(row)));
        }
        Ok(rows)
    }

    fn open_orders(&self, lane: Lane) -> Result<Vec<(OrderId, Micros)>, StoreError> {
        self.store.open_orders(lane)
    }
}

fn is_hold(row: &Row) -> bool {
    matches!(row, Row::Hold(_))
}

/// A shop where the end of a hold lies in the product lane's inbox, and its parts with a store that
/// can be meddled with.
fn shop_with_an_end_to_come() -> (Harness, Parts, Arc<Meddled>) {
    let mut harness = Harness::new(1, Limits::default(), true);
    register(&mut harness, 1, 1);
    place(&mut harness, 1, "o", 1, 5);
    for lane in [0, 1, 0] {
        harness.turn(lane);
    }
    // So that the hold is nowhere but in the store.
    harness.store.persist();
    let (store, parts) = (harness.store.clone(), harness.parts.clone());
    let meddled = Meddled { store, parts: parts.clone(), trouble: Mutex::new(Trouble::None) };
    let meddled = Arc::new(meddled);
    (harness, Parts { store: meddled.clone(), ..parts }, meddled)
}

/// The successor settles the hold, whose row goes: so there is nothing to settle for the one whose
/// turn it interrupted. That is no fault, unless the lane is its own.
#[test]
fn what_a_lane_finds_in_its_turn_counts_only_while_it_is_the_owner() {
    for trouble in [Trouble::None, Trouble::Takeover, Trouble::HoldsLost] {
        let (_harness, parts, store) = shop_with_an_end_to_come();
        let mut lane = Worker::<Products>::open(&parts, LANE).expect("it opens");
        *store.trouble.lock() = trouble;
        let turned = lane.turn(Duration::ZERO);
        let is_as_expected = match trouble {
            Trouble::None => matches!(turned, Ok(Turn { inputs: 1, .. })),
            Trouble::Takeover => matches!(turned, Err(Stop::Log(LaneError::Fenced { .. }))),
            Trouble::HoldsLost => matches!(turned, Err(Stop::Broken { .. })),
        };
        assert!(is_as_expected, "{trouble:?}: {turned:?}");
    }
}

/// The successor's watermark is ahead of the journal that the interrupted one has seen. That is the
/// sign of another shop's store, unless somebody took the lane over.
#[test]
fn what_a_lane_finds_while_it_opens_counts_only_while_it_is_the_owner() {
    let (_harness, parts, store) = shop_with_an_end_to_come();
    *store.trouble.lock() = Trouble::Takeover;
    let opened = Worker::<Products>::open(&parts, LANE).map(|_| ());
    assert!(matches!(opened, Err(Stop::Log(LaneError::Fenced { .. }))), "{opened:?}");

    let present = store.watermark(LANE).expect("it reads").expect("a watermark");
    let ahead = Watermark { step: present.step + 100, ..present };
    store.set_watermark(LANE, ahead).expect("it is told");
    store.store.persist();
    let opened = Worker::<Products>::open(&parts, LANE).map(|_| ());
    assert!(matches!(opened, Err(Stop::Journal { .. })), "{opened:?}");
}
