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
    for (wait, calls, holds) in [(Duration::ZERO, 20, 20), (WAIT, 1, 0)] {
        let (mut harness, witness) = shop(Limits { coalesce_wait: wait, ..Limits::default() });
        buy(&mut harness, 10);
        let lie = !wait.is_zero();
        assert_eq!(stock(&harness), if lie { 50 } else { 40 }, "before {wait:?}");
        harness.clock.advance(20_000);
        harness.turn(1);
        assert_eq!(stock(&harness), 40, "after {wait:?}");
        let seen = witness.calls.lock();
        let written = seen.iter().flatten();
        let held = written.filter(|row| matches!(row, Row::Hold(_))).count();
        assert_eq!((seen.len(), held), (calls, holds), "{wait:?}");
    }
}

/// A hold that is open when its rows are projected is written, and its end later, too.
#[test]
fn a_hold_that_stays_is_written() {
    let (mut harness, witness) = shop(Limits { coalesce_wait: WAIT, ..Limits::default() });
    buy(&mut harness, 3);
    place(&mut harness, 1, "open", 1, 1);
    [0, 1].into_iter().for_each(|place| {
        harness.turn(place);
    });
    harness.clock.advance(20_000);
    harness.turn(1);
    let is_open = |row: &Row| matches!(row, Row::Hold(hold) if hold.is_open());
    let holds = |rows: &[Row]| rows.iter().filter(|row| is_open(row)).count();
    assert_eq!(witness.calls.lock().iter().map(|rows| holds(rows)).collect::<Vec<_>>(), [1]);
    harness.settle();
    let last = witness.calls.lock().last().cloned().unwrap_or_default();
    assert!(last.iter().any(|row| matches!(row, Row::Hold(hold) if !hold.is_open())), "{last:?}");
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
