//! Rules 2, 4 and 6: what a crash leaves, how it is completed, and what ends.

use super::{
    Fixture,
    samples::{self, PRODUCTS, USERS},
    view::View,
};
use crate::{LaneStore, Page, ReadStore};
use jupan_schemas::{
    HoldEnd, Lane, Micros, OrderId, OrderStatus, ProductId, UserId,
    rows::{Key, OrderRow, ProductRow, Row, StatementRow, Watermark},
};

fn apply<S: LaneStore>(store: &S, lane: Lane, row: Row) {
    let key = row.key();
    let applied = store.apply(lane, vec![row]);
    assert!(applied.is_ok(), "{key:?} is refused: {applied:?}");
}

fn raise<S: LaneStore>(store: &S, lane: Lane, watermark: Watermark) {
    let raised = store.set_watermark(lane, watermark);
    assert!(raised.is_ok(), "{lane} cannot raise its watermark: {raised:?}");
}

fn watermark<S: LaneStore>(store: &S, lane: Lane) -> Option<Watermark> {
    let watermark = store.watermark(lane);
    assert!(watermark.is_ok(), "the watermark of {lane} cannot be read: {watermark:?}");
    watermark.ok().flatten()
}

fn open_orders<S: LaneStore>(store: &S, lane: Lane) -> Vec<(OrderId, Micros)> {
    let orders = store.open_orders(lane);
    assert!(orders.is_ok(), "the open orders of {lane} cannot be read: {orders:?}");
    let mut orders = orders.unwrap_or_default();
    orders.sort_unstable();
    orders
}

/// Rule 2: a watermark never falls, and after a crash covers only what is there.
pub fn watermark_last(fixture: &impl Fixture) {
    let store = fixture.create();
    assert_eq!(watermark(&*store, USERS), None, "a new store");
    apply(&*store, USERS, Row::from(samples::user(1, 1)));
    raise(&*store, USERS, samples::watermark(1, 1));
    assert_eq!(View::of(&*store).projected(USERS), Some(samples::watermark(1, 1)), "at once");
    assert_eq!(View::of(&*store).projected(PRODUCTS), None, "each lane has its own");
    fixture.persist(&store);
    assert_eq!(watermark(&*store, USERS), Some(samples::watermark(1, 1)), "once persisted");
    for sequence in 2..=5 {
        apply(&*store, USERS, Row::from(samples::user(sequence, sequence)));
        raise(&*store, USERS, samples::watermark(sequence, sequence));
    }
    raise(&*store, USERS, samples::watermark(3, 3));
    assert_eq!(
        View::of(&*store).projected(USERS),
        Some(samples::watermark(5, 5)),
        "it never falls"
    );

    let store = fixture.crash(store);
    let left = watermark(&*store, USERS);
    assert!(left.is_some_and(|left| left.step >= 1), "a persisted watermark is lost: {left:?}");
    assert_eq!(View::of(&*store).projected(USERS), left, "nothing else is promised to readers");
    for sequence in 1..=left.map_or(0, |watermark| watermark.sequence) {
        let row = View::of(&*store).user(sequence);
        assert_eq!(row, Some(samples::user(sequence, sequence)), "covered by {left:?}");
    }
}

/// A lane's journal in small: rows and the watermark of each step.
fn journal(lane: Lane) -> Vec<(Vec<Row>, Watermark)> {
    (1..=12)
        .map(|step| {
            let (first, last) = (2 * step - 1, 2 * step);
            let rows = if lane == USERS { user_rows(first) } else { product_rows(first) };
            (rows, samples::watermark(step, last))
        })
        .collect()
}

/// An order is placed in every other step and ends in the next one.
fn user_rows(sequence: u64) -> Vec<Row> {
    let (number, is_new) = (sequence / 4, sequence % 4 == 1);
    let placed = 4 * number + 1;
    let status = if is_new { OrderStatus::Pending } else { OrderStatus::Success };
    vec![
        Row::from(samples::order(1 + number % 2, number, placed, sequence, status)),
        Row::from(samples::user(1 + number % 2, sequence + 1)),
        Row::from(samples::outcome(1, sequence, sequence + 1)),
        Row::from(samples::statement(1 + number % 2, sequence + 1)),
    ]
}

fn product_rows(sequence: u64) -> Vec<Row> {
    let (number, is_new) = (sequence / 4, sequence % 4 == 1);
    let end = (!is_new).then_some(HoldEnd::Settled);
    vec![
        Row::from(samples::hold(1, number, sequence, end)),
        Row::from(samples::product(1 + number % 3, sequence + 1)),
    ]
}

/// Everything that can be read of [`journal`].
#[derive(Debug, PartialEq)]
struct Everything {
    rows: Vec<Option<Row>>,
    products: Page<ProductRow>,
    orders: Vec<Page<OrderRow>>,
    statements: Vec<Page<StatementRow>>,
    open: Vec<(OrderId, Micros)>,
    projected: [Option<Watermark>; 2],
}

impl Everything {
    fn of<S: LaneStore + ReadStore>(store: &S) -> Self {
        let view = View::of(store);
        let mut keys: Vec<_> = (0..4).map(|id| Key::User(UserId(id))).collect();
        keys.extend((0..4).map(|id| Key::Product(ProductId(id))));
        keys.extend((0..24).map(|number| Key::Outcome(samples::command_id(1, number))));
        keys.extend((0..6).map(|number| Key::Hold(samples::order_id(1, number), 0)));
        Self {
            rows: keys.into_iter().map(|key| view.load(key)).collect(),
            products: view.products(None, 100),
            orders: (1..=2).map(|user| view.orders(user, None, 100)).collect(),
            statements: (1..=2).map(|user| view.statement(user, None, 100)).collect(),
            open: open_orders(store, USERS),
            projected: [view.projected(USERS), view.projected(PRODUCTS)],
        }
    }
}

/// Applies a journal from the store's watermark on.
fn catch_up<S: LaneStore>(store: &S, lane: Lane) {
    let from = watermark(store, lane).map_or(0, |watermark| watermark.step);
    for (rows, watermark) in journal(lane).into_iter().filter(|(_, w)| w.step > from) {
        let applied = store.apply(lane, rows);
        assert!(applied.is_ok(), "a repeat is refused: {applied:?}");
        raise(store, lane, watermark);
    }
}

/// Rule 4: an empty store, and one that lies behind, is brought to the same rows by the journal's
/// rows.
pub fn rebuild(fixture: &impl Fixture) {
    let store = fixture.create();
    let lanes = [USERS, PRODUCTS];
    lanes.into_iter().for_each(|lane| catch_up(&*store, lane));
    let complete = Everything::of(&*store);
    let store = fixture.wipe(store);
    for lane in lanes {
        assert_eq!(watermark(&*store, lane), None, "a wiped store");
        catch_up(&*store, lane);
    }
    assert_eq!(Everything::of(&*store), complete, "after a wipe");

    for persisted_steps in [0, 4, 7, 11] {
        let store = fixture.create();
        for step in 0..12 {
            for lane in lanes {
                let (rows, watermark) = journal(lane).swap_remove(step);
                rows.into_iter().for_each(|row| apply(&*store, lane, row));
                raise(&*store, lane, watermark);
            }
            if step == persisted_steps {
                fixture.persist(&store);
            }
        }
        let store = fixture.crash(store);
        lanes.into_iter().for_each(|lane| catch_up(&*store, lane));
        assert_eq!(Everything::of(&*store), complete, "{persisted_steps} steps were persisted");
    }
}

/// Rule 6: an ended hold is gone, whenever it was made durable, and however often it is said to
/// begin.
pub fn ended_holds(fixture: &impl Fixture) {
    for (persists_open, persists_end) in
        [(false, false), (false, true), (true, false), (true, true)]
    {
        let store = fixture.create();
        let when = format!("persisted open: {persists_open}, ended: {persists_end}");
        let begins = |sequence| Row::from(samples::hold(1, 1, sequence, None));
        let key = Key::Hold(samples::order_id(1, 1), PRODUCTS.index);
        apply(&*store, PRODUCTS, begins(1));
        if persists_open {
            fixture.persist(&store);
        }
        assert_eq!(View::of(&*store).load(key), Some(begins(1)), "{when}");
        apply(&*store, PRODUCTS, Row::from(samples::hold(1, 1, 2, Some(HoldEnd::Released))));
        assert_eq!(View::of(&*store).load(key), None, "{when}");
        if persists_end {
            fixture.persist(&store);
        }
        assert_eq!(View::of(&*store).load(key), None, "{when}");
        apply(&*store, PRODUCTS, begins(1));
        assert_eq!(View::of(&*store).load(key), None, "{when}, said to begin again");
        raise(&*store, PRODUCTS, samples::watermark(1, 2));
        fixture.persist(&store);
        let store = fixture.crash(store);
        assert_eq!(View::of(&*store).load(key), None, "{when}, after a crash");
        apply(&*store, PRODUCTS, begins(1));
        assert_eq!(View::of(&*store).load(key), None, "{when}, below the watermark");
    }
}

/// Rule 6: a lane's pending orders are listed until they end.
pub fn pending_orders(fixture: &impl Fixture) {
    let neighbour = Lane { index: 1, ..USERS };
    let order = |number, sequence, status| samples::order(1, number, 10 * number, sequence, status);
    let timer =
        |number| (samples::order_id(1, number), order(number, 0, OrderStatus::Pending).deadline);
    let mut expected = [timer(1), timer(3)];
    expected.sort_unstable();
    for persists in [false, true] {
        let store = fixture.create();
        for number in 1..=4 {
            apply(&*store, USERS, Row::from(order(number, 10 * number, OrderStatus::Pending)));
        }
        let mut foreign = samples::order(2, 1, 5, 5, OrderStatus::Pending);
        foreign.lane = neighbour.index;
        apply(&*store, neighbour, Row::from(foreign.clone()));
        if persists {
            fixture.persist(&store);
        }
        apply(&*store, USERS, Row::from(order(2, 50, OrderStatus::Success)));
        apply(&*store, USERS, Row::from(order(4, 51, OrderStatus::Failed)));
        apply(&*store, USERS, Row::from(order(2, 20, OrderStatus::Pending)));
        let check = |store: &_, when: &str| {
            assert_eq!(open_orders(store, USERS), expected, "{when}, {persists}");
            let foreign = [(foreign.order_id, foreign.deadline)];
            assert_eq!(open_orders(store, neighbour), foreign, "{when}, {persists}");
            assert_eq!(open_orders(store, PRODUCTS), [], "{when}, {persists}");
        };
        check(&*store, "just applied");
        fixture.persist(&store);
        check(&*store, "persisted");
        check(&*fixture.crash(store), "opened again");
    }
}
