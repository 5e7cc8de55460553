//! The suite over directories, and what only a store on disk can get wrong.

use super::*;
use crate::conformance::{
    self, Fixture, View,
    samples::{self, PRODUCTS, USERS},
};
use jupan_schemas::{HoldEnd, OrderStatus};
use std::{
    path::Path,
    pin::pin,
    task::{Context, Poll, Waker},
};
use tempfile::TempDir;

/// Flushes only when asked to.
pub(crate) const NEVER: Options = Options { flush_interval_ms: 3_600_000, dirty_rows_max: 200_000 };

fn open(dir: &Path, options: Options) -> Arc<EmbeddedStore> {
    EmbeddedStore::open(dir, options).expect("a store")
}

/// One directory at a time.
pub(crate) struct Directories {
    present: Mutex<TempDir>,
    options: Options,
}

impl Directories {
    pub(crate) fn new(options: Options) -> Self {
        Self { present: Mutex::new(tempfile::tempdir().expect("a directory")), options }
    }

    fn reopen(&self, store: Arc<EmbeddedStore>) -> Arc<EmbeddedStore> {
        store.kill();
        assert_eq!(Arc::strong_count(&store), 1, "nobody else holds the store");
        drop(store);
        open(self.present.lock().path(), self.options)
    }
}

impl Fixture for Directories {
    type Store = EmbeddedStore;

    fn create(&self) -> Arc<EmbeddedStore> {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path(), self.options);
        *self.present.lock() = dir;
        store
    }

    fn persist(&self, store: &EmbeddedStore) {
        store.flush().expect("a flush");
    }

    fn crash(&self, store: Arc<EmbeddedStore>) -> Arc<EmbeddedStore> {
        self.reopen(store)
    }

    fn wipe(&self, store: Arc<EmbeddedStore>) -> Arc<EmbeddedStore> {
        std::fs::write(&store.rows.broken_mark, "a test").expect("a mark");
        self.reopen(store)
    }

    fn bounded(&self) -> Option<(Arc<EmbeddedStore>, usize)> {
        const DIRTY_ROWS_MAX: usize = 16;
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path(), Options { dirty_rows_max: DIRTY_ROWS_MAX, ..self.options });
        *self.present.lock() = dir;
        Some((store, 2 * DIRTY_ROWS_MAX))
    }

    fn while_stalled(&self, store: &EmbeddedStore, run: &mut dyn FnMut()) {
        let _stalled = store.stall();
        run();
    }
}

#[test]
fn the_rules_hold_where_only_the_suite_flushes() {
    conformance::run_all(&Directories::new(NEVER));
}

#[test]
fn the_rules_hold_where_it_flushes_all_the_time() {
    conformance::run_all(&Directories::new(Options { flush_interval_ms: 1, ..NEVER }));
}

fn new_store(options: Options) -> (TempDir, Arc<EmbeddedStore>) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path(), options);
    (dir, store)
}

fn give(store: &EmbeddedStore, row: Row) {
    let lane = match row {
        Row::Product(_) | Row::Hold(_) => PRODUCTS,
        _ => USERS,
    };
    store.apply(lane, vec![row]).expect("a row of the lane");
}

/// The answer of a read that does not wait for anything.
fn at_once<T>(read: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(read).poll(&mut context) {
        Poll::Ready(answer) => Some(answer.expect("a read")),
        Poll::Pending => None,
    }
}

/// How many keys the next batch has.
fn keys_to_write(store: &EmbeddedStore) -> usize {
    store.kill();
    let mut batch = store.rows.disk.batch(0);
    for shard in &store.rows.shards {
        let taken = shard.lock().take();
        flusher::write(&taken, &mut batch).expect("rows that have bytes");
    }
    batch.len()
}

#[test]
fn what_begins_and_ends_between_two_batches_costs_few_keys() {
    let (_dir, store) = new_store(NEVER);
    for (sequence, end) in [(1, None), (2, Some(HoldEnd::Settled))] {
        give(&store, Row::from(samples::hold(1, 1, sequence, end)));
    }
    assert_eq!(keys_to_write(&store), 0, "a hold");

    let (_dir, store) = new_store(NEVER);
    for (sequence, status) in [(1, OrderStatus::Pending), (2, OrderStatus::Success)] {
        give(&store, Row::from(samples::order(1, 1, 1, sequence, status)));
    }
    assert_eq!(keys_to_write(&store), 2, "an order: its row and its place in the list");

    let (_dir, store) = new_store(NEVER);
    for sequence in 1..=100 {
        give(&store, Row::from(samples::product(1, sequence)));
    }
    assert_eq!(keys_to_write(&store), 1, "a product that changed often");
}

#[test]
fn rows_in_memory_are_read_at_once() {
    let (_dir, store) = new_store(NEVER);
    let order = samples::order(1, 1, 1, 1, OrderStatus::Pending);
    give(&store, Row::from(samples::user(1, 1)));
    give(&store, Row::from(order.clone()));
    give(&store, Row::from(samples::product(1, 1)));
    for when in ["hot", "clean"] {
        assert_eq!(
            at_once(store.user(UserId(1))),
            Some(Some(samples::user(1, 1).into())),
            "{when}"
        );
        assert_eq!(
            at_once(store.order(order.order_id)),
            Some(Some(order.clone().into())),
            "{when}"
        );
        let product = Some(samples::product(1, 1));
        assert_eq!(at_once(store.product(ProductId(1))), Some(product.map(Into::into)), "{when}");
        store.flush().expect("a flush");
        assert_eq!(store.unsaved_rows(), 0);
    }
}

#[test]
fn a_store_belongs_to_one_process() {
    let (dir, store) = new_store(NEVER);
    let second = EmbeddedStore::open(dir.path(), NEVER);
    assert!(matches!(second, Err(OpenError::Locked { .. })), "{:?}", second.err());
    store.close().expect("a close");
    drop(store);
    open(dir.path(), NEVER);
}

#[test]
fn closing_saves_everything_and_refuses_rows() {
    for closes in [true, false] {
        let (dir, store) = new_store(NEVER);
        give(&store, Row::from(samples::user(1, 1)));
        store.set_watermark(USERS, samples::watermark(1, 1)).expect("a watermark");
        if closes {
            store.close().expect("a close");
            store.close().expect("a second close");
            let refused = store.apply(USERS, vec![Row::from(samples::user(1, 2))]);
            assert!(matches!(refused, Err(StoreError::Broken { .. })), "{refused:?}");
            assert_eq!(View::of(&*store).user(1), Some(samples::user(1, 1)));
        }
        drop(store);
        let store = open(dir.path(), NEVER);
        assert_eq!(store.watermark(USERS).expect("a watermark"), Some(samples::watermark(1, 1)));
        assert_eq!(View::of(&*store).user(1), Some(samples::user(1, 1)), "closed: {closes}");
    }
}

#[test]
fn another_format_is_wiped() {
    let (dir, store) = new_store(NEVER);
    give(&store, Row::from(samples::user(1, 1)));
    store.set_watermark(USERS, samples::watermark(1, 1)).expect("a watermark");
    store.flush().expect("a flush");
    let meta = store.rows.disk.table(layout::Table::Meta);
    let mut seal = layout::seal(1);
    seal[0] += 1;
    meta.insert(layout::SEAL_KEY, seal).expect("another format");
    drop(store);
    for _ in 0..2 {
        let store = open(dir.path(), NEVER);
        assert_eq!(store.watermark(USERS).expect("a watermark"), None);
        assert_eq!(View::of(&*store).user(1), None);
    }
}

#[test]
fn a_table_behind_the_watermarks_is_noticed() {
    for seal in [None, Some(layout::seal(1))] {
        let (dir, store) = new_store(NEVER);
        for sequence in 1..=2 {
            give(&store, Row::from(samples::user(1, sequence)));
            store.set_watermark(USERS, samples::watermark(sequence, sequence)).expect("a mark");
            store.flush().expect("a flush");
        }
        let users = store.rows.disk.table(layout::Table::Users);
        match seal {
            Some(seal) => users.insert(layout::SEAL_KEY, seal).expect("an older seal"),
            None => users.remove(layout::SEAL_KEY).expect("a table without a seal"),
        }
        drop(store);
        let store = open(dir.path(), NEVER);
        assert_eq!(store.watermark(USERS).expect("a watermark"), None, "{seal:?}");
    }
}

#[test]
fn a_failed_write_stops_writers_but_not_readers() {
    let (dir, store) = new_store(Options { flush_interval_ms: 1, ..NEVER });
    give(&store, Row::from(samples::user(1, 1)));
    store.flush().expect("a flush");
    assert_eq!(store.failure(), None);
    store.rows.disk.is_full.store(true, Ordering::Relaxed);
    give(&store, Row::from(samples::user(2, 2)));
    assert!(store.flush().is_err());
    let cause = store.failure().expect("a failure");
    assert!(cause.contains("storage full") || cause.contains("StorageFull"), "{cause}");
    let refused = store.apply(USERS, vec![Row::from(samples::user(1, 3))]);
    assert!(matches!(refused, Err(StoreError::Broken { .. })), "{refused:?}");
    for id in [1, 2] {
        assert_eq!(View::of(&*store).user(id), Some(samples::user(id, id)), "reads go on");
    }
    assert!(store.close().is_err());
    drop(store);
    let store = open(dir.path(), NEVER);
    assert_eq!(View::of(&*store).user(1), None, "wiped: nobody knows what the disk has");
    assert_eq!(store.failure(), None);
}

#[test]
fn many_lanes_and_readers_at_once() {
    const ROUNDS: u64 = 400;
    let (dir, store) = new_store(Options { flush_interval_ms: 1, dirty_rows_max: 100 });
    let lanes = [0, 1, 2, 3].map(|index| Lane { index, ..USERS });
    let rows = |lane: Lane, sequence: u64| {
        let id = 4 * (sequence % 7) + u64::from(lane.index);
        let mut user = samples::user(id, sequence);
        user.lane = lane.index;
        let mut order = samples::order(id, sequence, sequence, sequence, OrderStatus::Success);
        order.lane = lane.index;
        vec![Row::from(user), Row::from(order)]
    };
    std::thread::scope(|scope| {
        for lane in lanes {
            let store = &store;
            scope.spawn(move || {
                let view = View::of(&**store);
                for sequence in 1..=ROUNDS {
                    store.apply(lane, rows(lane, sequence)).expect("rows");
                    let mark = samples::watermark(sequence, sequence);
                    store.set_watermark(lane, mark).expect("a watermark");
                    let id = 4 * (sequence % 7) + u64::from(lane.index);
                    assert_eq!(view.user(id).map(|row| row.as_of.sequence), Some(sequence));
                    let newest = view.orders(id, None, 1).items;
                    assert_eq!(newest.first().map(|row| row.placed), Some(sequence));
                }
            });
        }
    });
    store.close().expect("a close");
    drop(store);
    let store = open(dir.path(), NEVER);
    for lane in lanes {
        let last = samples::watermark(ROUNDS, ROUNDS);
        assert_eq!(store.watermark(lane).expect("a watermark"), Some(last));
    }
    let total: usize =
        (0..28).map(|id| View::of(&*store).orders(id, None, usize::MAX).items.len()).sum();
    assert_eq!(u64::try_from(total), Ok(4 * ROUNDS));
}

/// Rows of a lane that end with `sequence`, one user and one order each.
fn rows_of(lane: Lane, sequence: u64) -> Vec<Row> {
    let id = 4 * sequence + u64::from(lane.index);
    let mut user = samples::user(id, sequence);
    user.lane = lane.index;
    let mut order = samples::order(id, 1, sequence, sequence, OrderStatus::Pending);
    order.lane = lane.index;
    vec![Row::from(user), Row::from(order)]
}

#[test]
fn a_kill_under_load_leaves_what_the_watermarks_cover() {
    let lanes = [0, 1, 2, 3].map(|index| Lane { index, ..USERS });
    let (dir, store) = new_store(Options { flush_interval_ms: 1, ..NEVER });
    std::thread::scope(|scope| {
        for lane in lanes {
            let store = &store;
            scope.spawn(move || {
                for sequence in 1.. {
                    if store.apply(lane, rows_of(lane, sequence)).is_err() {
                        break;
                    }
                    let mark = samples::watermark(sequence, sequence);
                    store.set_watermark(lane, mark).expect("a watermark");
                }
            });
        }
        while store.watermark(lanes[0]).expect("a watermark").is_none_or(|mark| mark.step < 500) {
            std::thread::yield_now();
        }
        store.kill();
    });
    drop(store);
    let store = open(dir.path(), NEVER);
    for lane in lanes {
        let covered = store.watermark(lane).expect("a watermark").map_or(0, |mark| mark.sequence);
        for sequence in 1..=covered {
            let rows = rows_of(lane, sequence);
            let keys: Vec<_> = rows.iter().filter_map(Row::key).collect();
            let rows: Vec<_> = rows.into_iter().map(Some).collect();
            assert_eq!(store.load(&keys).expect("rows"), rows, "{lane}: {sequence} of {covered}");
        }
        let open = store.open_orders(lane).expect("open orders").len();
        assert!(u64::try_from(open).is_ok_and(|open| open >= covered), "{lane}: {open}");
    }
}

#[test]
fn rows_of_one_call_may_come_in_any_order() {
    let (dir, store) = new_store(NEVER);
    let rows = vec![Row::from(samples::user(1, 20)), Row::from(samples::user(2, 10))];
    store.apply(USERS, rows).expect("rows");
    store.flush().expect("a flush");
    store.kill();
    drop(store);
    let store = open(dir.path(), NEVER);
    give(&store, Row::from(samples::user(1, 15)));
    assert_eq!(View::of(&*store).user(1), Some(samples::user(1, 20)));
}
