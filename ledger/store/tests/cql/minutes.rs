//! Pending orders lie in the minutes of their deadlines, which go when they have passed.

use crate::server::{Keyspace, count};
use jupan_schemas::{
    Micros, OrderStatus, Stamp,
    rows::{OrderRow, Row, Watermark},
};
use jupan_store::{
    LaneStore,
    conformance::samples::{self, USERS},
};
use std::time::{Duration, Instant};

/// The minute of the first entry.
const FIRST: i64 = 29_400_000;

/// The user's order `number` in its state at an entry in this minute; its deadline is five minutes
/// after the order's own.
fn order(number: u64, minute: i64, status: OrderStatus) -> OrderRow {
    let placed = FIRST + i64::try_from(number).expect("small");
    let sequence = (minute - FIRST).cast_unsigned() * 100 + number + 1;
    let mut row = samples::order(1, number, 1 + number, sequence, status);
    row.deadline = Micros((placed + 5) * Micros::MINUTE + 7);
    row.as_of.stamp = stamp(minute, sequence);
    row
}

fn stamp(minute: i64, sequence: u64) -> Stamp {
    Stamp(minute * Micros::MINUTE + sequence.cast_signed())
}

fn watermark(minute: i64) -> Watermark {
    let step = (minute - FIRST).cast_unsigned() + 1;
    Watermark { stamp: stamp(minute, 100_000), ..samples::watermark(step, 100 * step) }
}

#[test]
fn a_minute_goes_when_it_has_passed_and_its_orders_have_ended() {
    let keyspace = Keyspace::new();
    let store = keyspace.open();
    assert!(matches!(store.watermark(USERS), Ok(None)));
    let apply = |row: OrderRow| store.apply(USERS, vec![Row::from(row)]).expect("a row");
    for number in 0..20 {
        let minute = FIRST + i64::try_from(number).expect("small");
        apply(order(number, minute, OrderStatus::Pending));
        if number % 10 != 4 {
            apply(order(number, minute + 1, OrderStatus::Success));
        }
    }
    assert_eq!(count(&format!("{}.open_minutes", keyspace.0)), 20);
    // 4 and 14 are still pending; the deadlines of 0 to 12 lie before the last full minute.
    let still_open = |store: &dyn LaneStore| {
        let mut open = store.open_orders(USERS).expect("open orders");
        open.sort_unstable();
        open
    };
    let mut expected: Vec<_> = [4, 14]
        .map(|number| order(number, FIRST, OrderStatus::Pending))
        .map(|row| (row.order_id, row.deadline))
        .into();
    expected.sort_unstable();
    assert_eq!(still_open(&*store), expected);
    store.set_watermark(USERS, watermark(FIRST + 19)).expect("a watermark");
    wait_for(|| count(&format!("{}.open_minutes", keyspace.0)) == 8);
    assert_eq!(count(&format!("{}.open_orders", keyspace.0)), 8);
    assert_eq!(still_open(&*store), expected);

    // The late one ends, and later all minutes have passed.
    apply(order(4, FIRST + 30, OrderStatus::Failed));
    apply(order(14, FIRST + 30, OrderStatus::Failed));
    store.set_watermark(USERS, watermark(FIRST + 31)).expect("a watermark");
    wait_for(|| count(&format!("{}.open_minutes", keyspace.0)) == 0);
    assert_eq!(count(&format!("{}.open_orders", keyspace.0)), 0);
    store.set_watermark(USERS, watermark(FIRST + 32)).expect("a watermark");
    store.flush().expect("it is saved");

    // What a former owner repeats stays gone; what is new is there for whoever comes next.
    let former = keyspace.open();
    former.apply(USERS, vec![Row::from(order(3, FIRST + 3, OrderStatus::Pending))]).expect("a row");
    assert_eq!(still_open(&*former), []);
    let late = order(40, FIRST + 33, OrderStatus::Pending);
    apply(late.clone());
    assert!(keyspace.open().watermark(USERS).is_ok());
    assert_eq!(still_open(&*keyspace.open()), [(late.order_id, late.deadline)]);
}

fn wait_for(is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "it does not come about");
        std::thread::sleep(Duration::from_millis(50));
    }
}
