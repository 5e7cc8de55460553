//! Lists: their order, where they go on, and whether they do.

use super::{
    Fixture,
    samples::{self, PRODUCTS, USERS},
    view::View,
};
use crate::{LaneStore, Page, ReadStore};
use jupan_schemas::{OrderStatus, rows::Row};

/// How many items each list has.
const COUNT: u64 = 7;

/// Products by rising id, orders and statement newest first; pages fit together, and tell exactly
/// whether more follow. Wherever the rows are at the time.
pub fn lists(fixture: &impl Fixture) {
    // Bit n: persist after the n-th round of rows.
    for persists in [0b000_0000, 0b001_0110, 0b111_1111] {
        let store = fixture.create();
        for (round, number) in [4, 2, 7, 1, 6, 3, 5].into_iter().enumerate() {
            fill(&*store, number);
            if persists & (1 << round) != 0 {
                fixture.persist(&store);
            }
        }
        // Newer rows of things that are listed already, on disk or not.
        for number in [2, 5] {
            let row = samples::order(1, number, 10 * number, 200 + number, OrderStatus::Success);
            give(&*store, Row::from(row));
            give(&*store, Row::from(samples::product(10 * number, 200 + number)));
        }
        check(&View::of(&*store), &format!("persisted {persists:b}"));
    }
}

fn fill<S: LaneStore>(store: &S, number: u64) {
    let sequence = 10 * number;
    give(store, Row::from(samples::product(10 * number, sequence)));
    for user in [0, 1, 2] {
        let row = samples::order(user, number, sequence, sequence, OrderStatus::Pending);
        give(store, Row::from(row));
        give(store, Row::from(samples::statement(user, sequence)));
    }
}

fn give<S: LaneStore>(store: &S, row: Row) {
    let lane = if matches!(row, Row::Product(_)) { PRODUCTS } else { USERS };
    let applied = store.apply(lane, vec![row]);
    assert!(applied.is_ok(), "a row is refused: {applied:?}");
}

fn check<S: LaneStore + ReadStore>(view: &View<'_, S>, when: &str) {
    let rising: Vec<_> = (1..=COUNT).map(|number| 10 * number).collect();
    let falling: Vec<_> = rising.iter().rev().copied().collect();
    for limit in [1, 2, 3, 6, 7, 8, usize::MAX] {
        let products = |after| ids(view.products(after, limit), |row| row.product_id.0);
        check_pages(&rising, limit, products, &format!("products, {when}"));
        let orders = |before| ids(view.orders(1, before, limit), |row| row.placed);
        check_pages(&falling, limit, orders, &format!("orders, {when}"));
        let statement = |before| ids(view.statement(1, before, limit), |row| row.as_of.sequence);
        check_pages(&falling, limit, statement, &format!("statement, {when}"));
    }
    check_edges(view, when);
    for row in view.orders(1, None, 10).items {
        let is_newer = [20, 50].contains(&row.placed);
        assert_eq!(row.as_of.sequence > 200, is_newer, "{when}: {} is outdated", row.placed);
    }
    for row in view.products(None, 10).items {
        let is_newer = [20, 50].contains(&row.product_id.0);
        assert_eq!(row.as_of.sequence > 200, is_newer, "{when}: {} is outdated", row.product_id);
    }
}

fn check_edges<S: LaneStore + ReadStore>(view: &View<'_, S>, when: &str) {
    let none = (Vec::new(), false);
    assert_eq!(ids(view.products(Some(70), 5), |row| row.product_id.0), none, "{when}");
    assert_eq!(ids(view.products(Some(u64::MAX), 5), |row| row.product_id.0), none, "{when}");
    for before in [0, 10] {
        assert_eq!(ids(view.orders(1, Some(before), 5), |row| row.placed), none, "{when}");
        assert_eq!(ids(view.statement(1, Some(before), 5), |row| row.as_of.sequence), none);
    }
    let cut = (vec![20, 10], false);
    assert_eq!(ids(view.orders(1, Some(25), 5), |row| row.placed), cut, "between two, {when}");
    let empty_page = (Vec::new(), true);
    assert_eq!(ids(view.orders(1, None, 0), |row| row.placed), empty_page, "limit 0, {when}");
    assert_eq!(ids(view.orders(9, None, 0), |row| row.placed), none, "limit 0, {when}");
}

fn ids<T>(page: Page<T>, id: impl Fn(&T) -> u64) -> (Vec<u64>, bool) {
    (page.items.into_iter().map(|item| id(&item)).collect(), page.more)
}

fn check_pages(
    expected: &[u64],
    limit: usize,
    page: impl Fn(Option<u64>) -> (Vec<u64>, bool),
    what: &str,
) {
    let (mut all, mut cursor): (Vec<u64>, _) = (Vec::new(), None);
    loop {
        let (ids, more) = page(cursor);
        all.extend(&ids);
        let left = expected.len().saturating_sub(all.len());
        assert_eq!(more, left > 0, "{what}: more after {all:?} by {limit}");
        assert!(!more || ids.len() == limit, "{what}: a short page {ids:?} by {limit}");
        cursor = ids.last().copied();
        if !more {
            break;
        }
    }
    assert_eq!(all, expected, "{what} by {limit}");
}
