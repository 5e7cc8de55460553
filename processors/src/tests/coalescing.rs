//! Rows that nobody waits for may lie a moment, and go to the store together.

use super::{
    harness::Harness,
    takeover::{place, register},
};
use crate::Limits;
use jupan_schemas::{
    Lane, Micros, ProductId, Role,
    rows::{Key, Row, Watermark},
};
use jupan_store::{LaneStore, StoreError, memory::MemoryStore};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};

const PRODUCTS: Lane = Lane { role: Role::Products, index: 0 };
const WAIT: Duration = Duration::from_millis(20);

/// A store that remembers what the product lane had it apply, call by call.
struct Witness {
    store: Arc<MemoryStore>,
    calls: Mutex<Vec<Vec<Row>>>,
}

impl LaneStore for Witness {
    fn apply(&self, lane: Lane, rows: Vec<Row>) -> Result<(), StoreError> {
        if lane == PRODUCTS {
            self.calls.lock().push(rows.clone());
        }
        self.store.apply(lane, rows)
    }

    fn set_watermark(&self, lane: Lane, watermark: Watermark) -> Result<(), StoreError> {
        self.store.set_watermark(lane, watermark)
    }

    fn watermark(&self, lane: Lane) -> Result<Option<Watermark>, StoreError> {
        self.store.watermark(lane)
    }

    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Row>>, StoreError> {
        self.store.load(keys)
    }

    fn open_orders(&self, lane: Lane) -> Result<Vec<(jupan_schemas::OrderId, Micros)>, StoreError> {
        self.store.open_orders(lane)
    }
}

fn shop(limits: Limits) -> (Harness, Arc<Witness>) {
    let mut harness = Harness::new(1, limits, true);
    let witness = Arc::new(Witness { store: harness.store.clone(), calls: Mutex::default() });
    harness.parts.store = witness.clone();
    (0..2).for_each(|place| harness.open(place).expect("a takeover"));
    register(&mut harness, 1, 1);
    witness.calls.lock().clear();
    (harness, witness)
}

/// Orders of one product, one after the other, each through both lanes and back.
fn buy(harness: &mut Harness, orders: usize) {
    for number in 0..orders {
        place(harness, 1, &format!("order {number}"), 1, 1);
        // Reserve, pay, settle.
        [0, 1, 0, 1].into_iter().for_each(|place| {
            harness.turn(place);
        });
    }
}

fn stock(harness: &Harness) -> i64 {
    let key = [Key::Product(ProductId(1))];
    match harness.store.load(&key).expect("it loads").first() {
        Some(Some(Row::Product(row))) => row.available.0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_nobody_waits_for_is_projected_together() {
    for (wait, calls) in [(Duration::ZERO, 20), (WAIT, 1)] {
        let (mut harness, witness) = shop(Limits { coalesce_wait: wait, ..Limits::default() });
        buy(&mut harness, 10);
        let lie = !wait.is_zero();
        assert_eq!(stock(&harness), if lie { 50 } else { 40 }, "before {wait:?}");
        harness.clock.advance(20_000);
        harness.turn(1);
        assert_eq!(stock(&harness), 40, "after {wait:?}");
        assert_eq!(witness.calls.lock().len(), calls, "{wait:?}");
    }
}

/// Found by the simulator, where holds that began and ended while they lay were not written at all:
/// a successor had written one as open, and went on behind a watermark that came late.
#[test]
fn a_late_projection_ends_a_hold_that_a_successor_saw_open() {
    let (mut harness, witness) = shop(Limits { coalesce_wait: WAIT, ..Limits::default() });
    buy(&mut harness, 1);
    harness.clock.advance(20_000);
    harness.turn(1);
    let calls = witness.calls.lock();
    let holds = calls.iter().flatten().filter_map(|row| match row {
        Row::Hold(hold) => Some(hold.is_open()),
        _ => None,
    });
    assert_eq!(holds.collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_bound_and_a_clock_set_back_end_the_wait() {
    let limits = Limits { coalesce_wait: WAIT, coalesce_entries_max: 4, ..Limits::default() };
    let (mut harness, witness) = shop(limits);
    buy(&mut harness, 10);
    assert!(witness.calls.lock().len() >= 4, "{} calls", witness.calls.lock().len());

    let (mut harness, _) = shop(Limits { coalesce_wait: WAIT, ..Limits::default() });
    buy(&mut harness, 1);
    assert_eq!(stock(&harness), 50);
    harness.clock.advance(-1_000_000);
    harness.turn(1);
    assert_eq!(stock(&harness), 49);
}
