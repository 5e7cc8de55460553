//! Rules 1, 3 and 5: which rows are seen.

use super::{
    Fixture,
    samples::{self, PRODUCTS, USERS},
    view::View,
};
use crate::{LaneStore, ReadStore, StoreError};
use jupan_schemas::{
    HoldEnd, Lane, OrderStatus,
    rows::{Key, Row},
};
use std::sync::atomic::{AtomicBool, Ordering};

/// A version of one row of each kind that can be loaded.
fn versions(id: u64, sequence: u64) -> [(Lane, Row); 5] {
    let status = if sequence % 10 == 1 { OrderStatus::Pending } else { OrderStatus::Success };
    [
        (USERS, Row::from(samples::user(id, sequence))),
        (PRODUCTS, Row::from(samples::product(id, sequence))),
        (USERS, Row::from(samples::order(id, 1, placed(id), sequence, status))),
        (USERS, Row::from(samples::outcome(id, 1, sequence))),
        (PRODUCTS, Row::from(samples::hold(id, 1, sequence, None))),
    ]
}

/// The first sequence of an id's versions: those of a later id are all higher.
fn placed(id: u64) -> u64 {
    10 * id + 1
}

fn key(row: &Row) -> Key {
    row.key().unwrap_or(Key::Product(jupan_schemas::ProductId(0)))
}

fn apply<S: LaneStore>(store: &S, lane: Lane, row: Row) {
    let key = row.key();
    let applied = store.apply(lane, vec![row]);
    assert!(applied.is_ok(), "{key:?} is refused: {applied:?}");
}

/// Rule 1: of two rows with the same key the newer one stays, in whatever order and however often
/// they come.
pub fn newest_wins(fixture: &impl Fixture) {
    const ORDERS: [[u64; 3]; 8] =
        [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1], [3, 3, 3], [1, 1, 3]];
    for persists in [false, true] {
        let store = fixture.create();
        for (id, order) in (1..).zip(ORDERS) {
            for sequence in order.map(|n| 10 * id + n).into_iter().flat_map(|n| [n, n]) {
                versions(id, sequence)
                    .into_iter()
                    .for_each(|(lane, row)| apply(&*store, lane, row));
                if persists {
                    fixture.persist(&store);
                }
            }
            check_versions(&*store, id, 10 * id + 3, &format!("{order:?}, persisted: {persists}"));
        }
        if persists {
            check_repeats_after_crash(&*fixture.crash(store), &ORDERS);
        }
    }
}

fn check_repeats_after_crash<S: LaneStore + ReadStore>(store: &S, orders: &[[u64; 3]]) {
    for (id, order) in (1..).zip(orders) {
        let (older, newest) = (10 * id + 2, 10 * id + 3);
        // Every other id is written before it is read: what was read may be compared in memory.
        if id % 2 == 0 {
            check_versions(store, id, newest, &format!("{order:?} and a crash"));
        }
        versions(id, older).into_iter().for_each(|(lane, row)| apply(store, lane, row));
        check_versions(store, id, newest, &format!("{order:?}, a crash and a repeat"));
    }
}

fn check_versions<S: LaneStore + ReadStore>(store: &S, id: u64, sequence: u64, when: &str) {
    let view = View::of(store);
    for (_, row) in versions(id, sequence) {
        assert_eq!(view.load(key(&row)).as_ref(), Some(&row), "{when}");
    }
    assert_eq!(view.user(id), Some(samples::user(id, sequence)), "{when}");
    assert_eq!(view.product(id), Some(samples::product(id, sequence)), "{when}");
    let outcome = view.outcome(samples::command_id(id, 1));
    assert_eq!(outcome, Some(samples::outcome(id, 1, sequence)), "{when}");
    let order = view.order(samples::order_id(id, 1)).map(|order| order.as_of.sequence);
    assert_eq!(order, Some(sequence), "{when}");
    let listed = view.orders(id, None, 10).items;
    assert_eq!(
        listed.iter().map(|row| row.as_of.sequence).collect::<Vec<_>>(),
        [sequence],
        "{when}"
    );
    assert_eq!(view.products(Some(id - 1), 1).items, [samples::product(id, sequence)], "{when}");
}

/// Rule 1: rows of one key come from one lane only.
pub fn one_lane(fixture: &impl Fixture) {
    let store = fixture.create();
    for (lane, row) in versions(1, 13) {
        let others =
            [Lane { index: lane.index + 1, ..lane }, Lane { role: lane.role.peer(), ..lane }];
        for other in others {
            let result = store.apply(other, vec![row.clone()]);
            check_refused(&result, &format!("{other} applies a row of {lane}: {row:?}"));
            assert_eq!(View::of(&*store).load(key(&row)), None, "refused, but there");
        }
        apply(&*store, lane, row);
    }
    let intruder = Lane { index: 1, ..USERS };
    let mut user = samples::user(1, 14);
    user.lane = intruder.index;
    let result = store.apply(intruder, vec![Row::from(user)]);
    check_refused(&result, "a second lane writes a user");
    assert_eq!(View::of(&*store).user(1), Some(samples::user(1, 13)));
    let mut order = samples::order(2, 1, 1, 1, OrderStatus::Pending);
    apply(&*store, USERS, Row::from(order.clone()));
    (order.lane, order.placed, order.as_of.sequence) = (intruder.index, 20, 20);
    let result = store.apply(intruder, vec![Row::from(order)]);
    check_refused(&result, "a second lane places an order");
    let mut statement = samples::statement(1, 15);
    statement.lane = intruder.index;
    let result = store.apply(USERS, vec![Row::from(statement)]);
    check_refused(&result, "a statement row of another lane");
}

fn check_refused(result: &Result<(), StoreError>, what: &str) {
    assert!(matches!(result, Err(StoreError::WrongLane { .. })), "{what}: {result:?}");
}

/// Rule 3: a row is readable as soon as `apply` has returned, and never an older one after a newer
/// one.
pub fn read_your_writes(fixture: &impl Fixture) {
    const LAST: u64 = 300;
    let store = fixture.create();
    let is_over = AtomicBool::new(false);
    let (reader, over) = (&*store, &is_over);
    std::thread::scope(|scope| {
        let readers = [Read::User, Read::Product, Read::Products, Read::Order, Read::Orders]
            .map(|read| scope.spawn(move || watch(reader, read, over)));
        let end = End(&is_over);
        let view = View::of(&*store);
        for sequence in placed(1)..=LAST {
            for (lane, row) in versions(1, sequence) {
                let key = key(&row);
                apply(&*store, lane, row.clone());
                assert_eq!(view.load(key), Some(row), "right after `apply`");
            }
            check_versions(&*store, 1, sequence, "right after `apply`");
            apply(&*store, USERS, Row::from(samples::statement(1, sequence)));
            assert_eq!(view.statement(1, None, 1).items, [samples::statement(1, sequence)]);
            if sequence % 16 == 0 {
                fixture.persist(&store);
            }
        }
        drop(end);
        let seen = readers.map(|reader| reader.join());
        assert!(seen.iter().all(|result| result.is_ok()), "a reader saw an older row");
    });
}

/// Ends the readers, also where the writer panics.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// What a reader looks at all the time.
#[derive(Clone, Copy)]
enum Read {
    User,
    Product,
    Products,
    Order,
    Orders,
}

fn watch<S: LaneStore + ReadStore>(store: &S, read: Read, is_over: &AtomicBool) {
    let view = View::of(store);
    let mut newest = 0;
    while !is_over.load(Ordering::Acquire) {
        let seen = match read {
            Read::User => view.user(1).map(|row| row.as_of),
            Read::Product => view.product(1).map(|row| row.as_of),
            Read::Products => view.products(None, 1).items.first().map(|row| row.as_of),
            Read::Order => view.order(samples::order_id(1, 1)).map(|row| row.as_of),
            Read::Orders => view.orders(1, None, 1).items.first().map(|row| row.as_of),
        };
        let seen = seen.map_or(0, |as_of| as_of.sequence);
        assert!(seen >= newest, "{seen} is seen after {newest}");
        newest = seen;
    }
}

/// Rule 5: what was given comes back unchanged, and nothing else does.
pub fn only_what_is_given(fixture: &impl Fixture) {
    let store = fixture.create();
    check_empty(&*store, "a new store");
    let mut given: Vec<_> = versions(1, 11).into();
    given.push((PRODUCTS, Row::from(samples::hold(1, 2, 14, None))));
    given.push((USERS, Row::from(samples::order(1, 5, 16, 17, OrderStatus::Failed))));
    let statement = [samples::statement(1, 19)];
    for (lane, row) in given.clone() {
        apply(&*store, lane, row);
    }
    apply(&*store, USERS, Row::from(samples::statement(1, 19)));
    let check = |store: &_, when: &str| {
        let view = View::of(store);
        for (_, row) in &given {
            assert_eq!(view.load(key(row)).as_ref(), Some(row), "{when}");
        }
        assert_eq!(view.statement(1, None, 10).items, statement, "{when}");
        check_strangers(&view, when);
    };
    check(&*store, "just applied");
    fixture.persist(&store);
    check(&*store, "persisted");
    check(&*fixture.crash(store), "opened again");
}

fn check_empty<S: LaneStore + ReadStore>(store: &S, when: &str) {
    let view = View::of(store);
    for (_, row) in versions(1, 11) {
        assert_eq!(view.load(key(&row)), None, "{when}");
    }
    assert_eq!((view.user(1), view.product(1)), (None, None), "{when}");
    assert!(view.products(None, 10).items.is_empty(), "{when}");
    assert!(view.orders(1, None, 10).items.is_empty(), "{when}");
    assert!(view.statement(1, None, 10).items.is_empty(), "{when}");
    for lane in [USERS, PRODUCTS] {
        assert_eq!(view.projected(lane), None, "{when}");
        assert!(matches!(store.watermark(lane), Ok(None)), "{when}");
        assert!(store.open_orders(lane).is_ok_and(|orders| orders.is_empty()), "{when}");
    }
}

/// Neighbours of what was given: other ids, and the same ids in another role.
fn check_strangers<S: LaneStore + ReadStore>(view: &View<'_, S>, when: &str) {
    assert_eq!((view.user(0), view.user(2), view.product(2)), (None, None, None), "{when}");
    assert_eq!(view.order(samples::order_id(2, 1)), None, "{when}");
    assert_eq!(view.outcome(samples::command_id(1, 2)), None, "{when}");
    assert_eq!(view.load(Key::Hold(samples::order_id(1, 1), 1)), None, "{when}");
    for user in [0, 2] {
        assert!(view.orders(user, None, 10).items.is_empty(), "{when}");
        assert!(view.statement(user, None, 10).items.is_empty(), "{when}");
    }
    let ended = samples::hold(1, 1, 12, Some(HoldEnd::Settled));
    let ended = Row::from(ended);
    assert_ne!(view.load(key(&ended)), Some(ended), "{when}");
}
