//! Scans tell everything once, as readers see it, and a look at a closed store leaves no trace.

use super::{EmbeddedStore, Sighting, Snapshot, layout::Table, tamper::Tamper, tests::NEVER};
use crate::{
    Bookmark, LaneProgress, LaneStore, Portion, StoreError, Stored,
    conformance::samples::{self, PRODUCTS, USERS},
    limits,
};
use jupan_schemas::{
    HoldEnd, Micros, OrderId, OrderStatus, UserId,
    rows::{Key, Row},
};
use std::{
    collections::{BTreeMap, HashSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;

const ORDERS: u64 = 1_500;

fn open(dir: &Path) -> Arc<EmbeddedStore> {
    EmbeddedStore::open(dir, NEVER).expect("a store")
}

/// More than a portion of everything; the first half in sorted files.
fn filled(dir: &Path) -> Arc<EmbeddedStore> {
    let store = open(dir);
    for number in 1..=ORDERS {
        let order = samples::order(7, number, number, number, status(number));
        let rows = vec![Row::from(order), Row::from(samples::statement(7, number))];
        store.apply(USERS, rows).expect("rows");
        let hold = samples::hold(7, number, number, None);
        store.apply(PRODUCTS, vec![Row::from(hold)]).expect("rows");
        if number == ORDERS / 2 {
            store.flush().expect("a flush");
            for table in Table::ALL {
                store.rows.disk.table(table).rotate_memtable_and_wait().expect("a file");
            }
        }
    }
    let few = vec![Row::from(samples::user(7, 1)), Row::from(samples::outcome(7, 1, 2))];
    store.apply(USERS, few).expect("rows");
    store.apply(PRODUCTS, vec![Row::from(samples::product(3, 1))]).expect("rows");
    store.set_watermark(USERS, samples::watermark(4, ORDERS)).expect("a watermark");
    store.flush().expect("a flush");
    store
}

fn status(number: u64) -> OrderStatus {
    if number.is_multiple_of(3) { OrderStatus::Pending } else { OrderStatus::Success }
}

/// All items of a scan; each portion is bounded.
fn all(scan: impl Fn(Option<&Bookmark>) -> Result<Portion, StoreError>) -> Vec<Stored> {
    let (mut items, mut next) = (Vec::new(), None);
    loop {
        let portion = scan(next.as_ref()).expect("a readable store");
        assert!(portion.items.len() <= limits::SCAN_ITEMS_MAX);
        items.extend(portion.items);
        next = portion.next;
        if next.is_none() {
            return items;
        }
    }
}

/// How many items of each kind there are; none of them twice.
fn counts(items: &[Stored]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    let mut seen = HashSet::new();
    for item in items {
        assert!(seen.insert(format!("{item:?}")), "twice: {item:?}");
        let kind = match item {
            Stored::Row(Row::User(_)) => "user",
            Stored::Row(Row::Product(_)) => "product",
            Stored::Row(Row::Order(_)) => "order",
            Stored::Row(Row::Outcome(_)) => "outcome",
            Stored::Row(Row::Hold(_)) => "hold",
            Stored::Row(Row::Statement(_)) => "statement",
            Stored::Listed { .. } => "listed",
            Stored::Open { .. } => "open",
            Stored::Foreign { .. } => "foreign",
        };
        *counts.entry(kind).or_default() += 1;
    }
    counts
}

fn expected() -> BTreeMap<&'static str, usize> {
    let orders = usize::try_from(ORDERS).expect("small");
    let many = [("order", orders), ("listed", orders), ("statement", orders), ("hold", orders)];
    let few = [("user", 1), ("product", 1), ("outcome", 1), ("open", orders / 3)];
    many.into_iter().chain(few).collect()
}

#[test]
fn a_scan_tells_everything_once() {
    let dir = TempDir::new().expect("a directory");
    let store = filled(dir.path());
    let items = all(|from| store.scan(from));
    assert_eq!(counts(&items), expected());
    let order = samples::order(7, 9, 9, 9, status(9));
    assert!(items.contains(&Stored::Listed {
        user_id: UserId(7),
        placed: 9,
        order_id: order.order_id
    }));
    let (order_id, deadline) = (order.order_id, order.deadline);
    assert!(items.contains(&Stored::Open { lane: 0, order_id, deadline }));
    assert!(items.contains(&Stored::Row(Row::from(order))));
}

#[test]
fn a_scan_of_a_running_store_tells_what_readers_see() {
    let dir = TempDir::new().expect("a directory");
    let store = filled(dir.path());
    let newer = Row::from(samples::order(7, 3, 3, ORDERS + 1, OrderStatus::Success));
    store.apply(USERS, vec![newer.clone(), Row::from(samples::user(8, ORDERS + 2))]).expect("rows");
    let ended = samples::hold(7, 5, ORDERS + 1, Some(HoldEnd::Settled));
    store.apply(PRODUCTS, vec![Row::from(ended)]).expect("rows");
    let items = all(|from| store.scan(from));
    let mut expected = expected();
    // Its end is not on disk; for readers it is gone. The new user is not on disk either.
    expected.insert("hold", usize::try_from(ORDERS).expect("small") - 1);
    assert_eq!(counts(&items), expected);
    assert!(items.contains(&Stored::Row(newer)));
    store.flush().expect("a flush");
    assert_eq!(counts(&all(|from| store.scan(from)))["user"], 2);
    let progress = store.progress();
    let users = progress.iter().find(|progress| progress.lane == USERS).expect("a lane");
    let watermark = Some(samples::watermark(4, ORDERS));
    assert_eq!(
        *users,
        LaneProgress { lane: USERS, visible: watermark, persisted: watermark, applied: ORDERS + 2 }
    );
}

/// What any change of a file or directory shows in.
fn traits(dir: &Path) -> BTreeMap<PathBuf, (u64, u64, i64, i64, u64)> {
    let mut all = BTreeMap::new();
    let meta = fs::symlink_metadata(dir).expect("it is there");
    let own = (meta.ino(), meta.len(), meta.mtime_nsec(), meta.ctime_nsec(), meta.nlink());
    all.insert(dir.to_owned(), own);
    if meta.is_dir() {
        for found in fs::read_dir(dir).expect("a directory") {
            all.append(&mut traits(&found.expect("an entry").path()));
        }
    }
    all
}

fn sighting(dir: &Path) -> (TempDir, Sighting) {
    let scratch = TempDir::new().expect("a directory");
    let sighting = Snapshot::open(dir, scratch.path()).expect("it can be read");
    (scratch, sighting)
}

#[test]
fn a_look_at_a_closed_store_leaves_no_trace() {
    let dir = TempDir::new().expect("a directory");
    drop(filled(dir.path()));
    let before = traits(dir.path());
    let (scratch, Sighting::Store(snapshot)) = sighting(dir.path()) else { panic!("a store") };
    assert_eq!(counts(&all(|from| snapshot.scan(from))), expected());
    assert_eq!(snapshot.progress().len(), 2);
    drop(snapshot);
    drop(scratch);
    assert!(traits(dir.path()) == before, "something has changed");
    assert_eq!(counts(&all(|from| open(dir.path()).scan(from))), expected());
}

#[test]
fn a_store_that_nobody_can_use_is_told() {
    let dir = TempDir::new().expect("a directory");
    assert!(matches!(sighting(dir.path()), (_, Sighting::None)));
    drop(filled(dir.path()));
    fs::write(dir.path().join("broken"), "a test").expect("a mark");
    assert!(matches!(sighting(dir.path()), (_, Sighting::Condemned(_))));
    fs::remove_file(dir.path().join("broken")).expect("a mark");
    fs::write(dir.path().join("tables/version"), "").expect("a file");
    assert!(matches!(sighting(dir.path()), (_, Sighting::Unusable(_))));
}

#[test]
fn what_nobody_writes_is_foreign() {
    let dir = TempDir::new().expect("a directory");
    drop(filled(dir.path()));
    let tamper = Tamper::open(dir.path());
    let order = samples::order_id(7, 1);
    let user = tamper.row(Key::User(UserId(7)));
    tamper.misplace(Key::User(UserId(8)), &user);
    tamper.garble(Key::Order(order), b"x");
    tamper.remove_statement(UserId(7), 5);
    tamper.open_order(0, OrderId([1; 16]), Micros(1));
    drop(tamper);
    let (_scratch, Sighting::Store(snapshot)) = sighting(dir.path()) else { panic!("a store") };
    let items = all(|from| snapshot.scan(from));
    let mut expected = expected();
    expected.insert("foreign", 2);
    for (kind, more) in [("order", -1), ("statement", -1), ("open", 1)] {
        let count = expected.get_mut(kind).expect("a kind");
        *count = count.checked_add_signed(more).expect("small");
    }
    assert_eq!(counts(&items), expected);
    let told: Vec<String> = items
        .iter()
        .filter_map(|item| match item {
            Stored::Foreign { table, key, .. } => Some(format!("{table} {key}")),
            _ => None,
        })
        .collect();
    let digits: String = order.0.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(told, ["users 0000000000000008".to_owned(), format!("orders {digits}")]);
}
