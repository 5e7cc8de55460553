//! Several writers of the same rows: former owners that are late, and takeovers that repeat.

use crate::server::Keyspace;
use jupan_schemas::{
    HoldEnd, Lane, OrderStatus,
    rows::{Key, Row},
};
use jupan_store::{
    LaneStore, StoreError,
    conformance::{
        View,
        samples::{self, PRODUCTS, USERS},
    },
    cql::CqlStore,
};

/// What one lane of either role projected, oldest first: users, orders and products that change
/// again and again.
fn history() -> [(Lane, Vec<Row>); 2] {
    let (mut users, mut products) = (Vec::new(), Vec::new());
    for n in 0..60 {
        let (sequence, id, placed) = (10 * n + 10, 1 + n % 4, 10 * (n / 4) + 10);
        let status = if n % 8 < 4 { OrderStatus::Pending } else { OrderStatus::Success };
        users.push(Row::from(samples::user(id, sequence)));
        users.push(Row::from(samples::statement(id, sequence)));
        users.push(Row::from(samples::order(id, n / 8, placed, sequence + 1, status)));
        users.push(Row::from(samples::outcome(id, n, sequence + 2)));
        products.push(Row::from(samples::product(1 + n % 3, sequence)));
        products.push(Row::from(samples::hold(id, n, sequence + 1, None)));
        if n % 3 > 0 {
            let end = Some(HoldEnd::Settled);
            products.push(Row::from(samples::hold(id, n, sequence + 2, end)));
        }
    }
    [(USERS, users), (PRODUCTS, products)]
}

/// The rows in another order, the same for the same seed.
fn shuffled(mut rows: Vec<Row>, seed: u64) -> Vec<Row> {
    let mut state = seed;
    for last in (1..rows.len()).rev() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = usize::try_from(state >> 33).expect("31 bits") % (last + 1);
        rows.swap(last, pick);
    }
    rows
}

/// Every row of the history that can be loaded, and the lists, as they must be in the end.
fn check_newest(store: &CqlStore, when: &str) {
    let view = View::of(store);
    for (_, rows) in history() {
        for key in rows.iter().filter_map(Row::key) {
            let versions = rows.iter().filter(|row| row.key() == Some(key));
            let newest = versions.max_by_key(|row| row.as_of().sequence);
            let is_gone = matches!(newest, Some(Row::Hold(hold)) if hold.end.is_some());
            let expected = newest.filter(|_| !is_gone).cloned();
            assert_eq!(view.load(key), expected, "{when}: {key:?}");
        }
    }
    for id in 1..=4 {
        assert_eq!(view.statement(id, None, 100).items.len(), 15, "{when}: statement of {id}");
    }
    assert_eq!(view.products(None, 10).items.len(), 3, "{when}");
}

#[test]
fn two_writers_of_the_same_rows_end_equal() {
    let keyspace = Keyspace::new();
    for seed in 1..=4 {
        if seed > 1 {
            keyspace.empty();
        }
        let writers = [keyspace.open(), keyspace.open()];
        std::thread::scope(|scope| {
            for (writer, seed) in writers.iter().zip([2 * seed, 2 * seed + 1]) {
                scope.spawn(move || {
                    for (lane, rows) in history() {
                        for rows in shuffled(rows, seed).chunks(17) {
                            writer.apply(lane, rows.to_vec()).expect("rows");
                        }
                    }
                });
            }
        });
        for store in writers.iter().chain([&keyspace.open()]) {
            check_newest(store, &format!("seed {seed}"));
        }
    }
}

#[test]
fn what_a_former_owner_writes_late_changes_nothing() {
    let keyspace = Keyspace::new();
    let (former, owner) = (keyspace.open(), keyspace.open());
    for (lane, rows) in history() {
        let half = rows.len() / 2;
        former.apply(lane, rows[..half].to_vec()).expect("rows");
        former.set_watermark(lane, samples::watermark(5, 300)).expect("a watermark");
        former.flush().expect("it is saved");
        assert_eq!(owner.watermark(lane).ok().flatten(), Some(samples::watermark(5, 300)));
        owner.apply(lane, rows[half..].to_vec()).expect("rows");
        owner.set_watermark(lane, samples::watermark(9, 600)).expect("a watermark");
        owner.flush().expect("it is saved");
        // The former owner wakes up: it writes again what it had, and what it had not come to.
        for row in rows[..half + 10].iter().rev() {
            former.apply(lane, vec![row.clone()]).expect("a row");
        }
        former.set_watermark(lane, samples::watermark(6, 400)).expect("a watermark");
        former.flush().expect("it is written");
    }
    for store in [&former, &owner, &keyspace.open()] {
        check_newest(store, "after late writes");
        for lane in [USERS, PRODUCTS] {
            let projected = View::of(&**store).projected(lane);
            assert_eq!(projected, Some(samples::watermark(9, 600)), "{lane}");
        }
    }
}

#[test]
fn a_hold_does_not_begin_again() {
    let keyspace = Keyspace::new();
    let (former, owner) = (keyspace.open(), keyspace.open());
    let begins = Row::from(samples::hold(1, 1, 10, None));
    // The owner never saw it begin: it is given the end only.
    let ends = Row::from(samples::hold(1, 1, 11, Some(HoldEnd::Released)));
    owner.apply(PRODUCTS, vec![ends]).expect("a row");
    former.apply(PRODUCTS, vec![begins]).expect("a row");
    let key = Key::Hold(samples::order_id(1, 1), PRODUCTS.index);
    assert_eq!(View::of(&*owner).load(key), None);
}

#[test]
fn a_second_lane_is_refused_by_a_store_that_knows_nothing() {
    let keyspace = Keyspace::new();
    let intruder = Lane { index: 1, ..USERS };
    let store = keyspace.open();
    store.apply(USERS, vec![Row::from(samples::user(1, 10))]).expect("a row");
    let store = keyspace.open();
    let (mut user, mut order) =
        (samples::user(1, 20), samples::order(1, 1, 20, 20, OrderStatus::Pending));
    (user.lane, order.lane) = (intruder.index, intruder.index);
    for row in [Row::from(user), Row::from(order)] {
        let refused = store.apply(intruder, vec![row]);
        assert!(matches!(refused, Err(StoreError::WrongLane { owner: 0, .. })), "{refused:?}");
    }
    let products = Lane { index: 1, ..PRODUCTS };
    store.apply(PRODUCTS, vec![Row::from(samples::product(1, 10))]).expect("a row");
    let mut product = samples::product(1, 20);
    product.lane = products.index;
    let refused = keyspace.open().apply(products, vec![Row::from(product)]);
    assert!(matches!(refused, Err(StoreError::WrongLane { owner: 0, .. })), "{refused:?}");
}
