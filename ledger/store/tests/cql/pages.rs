//! Many rows, read page by page.

use crate::server::Keyspace;
use jupan_schemas::{HoldEnd, OrderStatus, rows::Row};
use jupan_store::{
    LaneStore, Page,
    conformance::{
        View,
        samples::{self, PRODUCTS, USERS},
    },
};

const ORDERS: u64 = 2_000;
const USER_COUNT: u64 = 5;
const PRODUCT_COUNT: u64 = 700;
/// Orders whose rows are applied at once.
const BATCH: u64 = 200;

#[test]
fn lists_of_two_thousand_orders_are_complete_page_by_page() {
    let keyspace = Keyspace::new();
    let store = keyspace.open();
    for first in (0..ORDERS).step_by(usize::try_from(BATCH).expect("small")) {
        let (mut users, mut products) = (Vec::new(), Vec::new());
        for number in first..first + BATCH {
            let (user, placed) = (number % USER_COUNT, 10 * number + 1);
            // The first order of a batch is still pending, and holds its units.
            let is_pending = number == first;
            let status = if is_pending { OrderStatus::Pending } else { OrderStatus::Success };
            users.push(Row::from(samples::order(user, number, placed, placed + 1, status)));
            users.push(Row::from(samples::user(user, placed + 1)));
            users.push(Row::from(samples::outcome(user, number, placed + 1)));
            users.push(Row::from(samples::statement(user, placed + 1)));
            let end = (!is_pending).then_some(HoldEnd::Settled);
            products.push(Row::from(samples::hold(user, number, placed + 1, end)));
            products.push(Row::from(samples::product(3 * (number % PRODUCT_COUNT), placed + 1)));
        }
        store.apply(USERS, users).expect("rows");
        store.apply(PRODUCTS, products).expect("rows");
    }
    let store = keyspace.open();
    let view = View::of(&*store);
    let products: Vec<u64> = (0..PRODUCT_COUNT).map(|n| 3 * n).collect();
    for limit in [7, 50, 333, 1_000] {
        let page = |after| ids(view.products(after, limit), |row| row.product_id.0);
        assert_eq!(all_pages(page), products, "products by {limit}");
    }
    for user in 0..USER_COUNT {
        let placed = (0..ORDERS).rev().filter(|n| n % USER_COUNT == user).map(|n| 10 * n + 1);
        let placed: Vec<u64> = placed.collect();
        for limit in [50, 399, 400, 1_000] {
            let page = |before| ids(view.orders(user, before, limit), |row| row.placed);
            assert_eq!(all_pages(page), placed, "orders of {user} by {limit}");
            let page =
                |before| ids(view.statement(user, before, limit), |row| row.as_of.sequence - 1);
            let cursor = |before: Option<u64>| page(before.map(|placed| placed + 1));
            assert_eq!(all_pages(cursor), placed, "statement of {user} by {limit}");
        }
    }
    let open = store.open_orders(USERS).expect("open orders");
    assert_eq!(open.len(), 10, "one of each batch");
}

/// A statement whose rows lie in many buckets is one list.
#[test]
fn a_statement_goes_on_from_bucket_to_bucket() {
    const BUCKET: u64 = 1 << 22;
    let keyspace = Keyspace::new();
    let store = keyspace.open();
    let sequences: Vec<u64> =
        (0..12).flat_map(|bucket| (0..bucket % 4).map(move |n| 3 * bucket * BUCKET + n)).collect();
    let rows = sequences.iter().map(|sequence| Row::from(samples::statement(1, *sequence)));
    store.apply(USERS, rows.collect()).expect("rows");
    let newest_first: Vec<u64> = sequences.into_iter().rev().collect();
    let view = View::of(&*store);
    for limit in [1, 2, 3, 5, 17, 18, 100] {
        let page = |before| ids(view.statement(1, before, limit), |row| row.as_of.sequence);
        assert_eq!(all_pages(page), newest_first, "by {limit}");
    }
}

fn ids<T>(page: Page<T>, id: impl Fn(&T) -> u64) -> (Vec<u64>, bool) {
    (page.items.into_iter().map(|item| id(&item)).collect(), page.more)
}

/// All items, from the first page to the last; each but the last is followed by another.
fn all_pages(page: impl Fn(Option<u64>) -> (Vec<u64>, bool)) -> Vec<u64> {
    let (mut all, mut cursor): (Vec<u64>, _) = (Vec::new(), None);
    loop {
        let (items, more) = page(cursor);
        assert!(!more || !items.is_empty(), "an empty page, and more behind it");
        cursor = items.last().copied();
        all.extend(items);
        if !more {
            return all;
        }
    }
}
