//! Servers that are paused or away: lanes wait, readers do not.

use crate::{
    proxy::{Proxy, Way},
    server::{Keyspace, RUNTIME},
};
use jupan_schemas::{Lane, UserId, rows::Row};
use jupan_store::{
    LaneStore, ReadStore, StoreError,
    conformance::{
        View,
        samples::{self, USERS},
    },
    cql::{CqlStore, Options},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A store that reaches its server through a proxy, with these limits.
fn open(keyspace: &Keyspace, proxy: &Proxy, patience: Duration) -> Arc<CqlStore> {
    let options = Options {
        nodes: vec![proxy.address()],
        read_timeout: Duration::from_secs(2),
        lane_timeout: Duration::from_secs(2),
        lane_patience: patience,
        ..keyspace.options()
    };
    RUNTIME.block_on(CqlStore::open(&options)).expect("a store")
}

fn users(count: u64, sequence: u64) -> Vec<Row> {
    (1..=count).map(|id| Row::from(samples::user(id, sequence + id))).collect()
}

fn check_reads_fail(store: &CqlStore, way: Way) {
    let start = Instant::now();
    let user = RUNTIME.block_on(store.user(UserId(1)));
    assert!(matches!(user, Err(StoreError::Unavailable { .. })), "{way:?}: {user:?}");
    let products = RUNTIME.block_on(store.products(None, 10));
    assert!(matches!(products, Err(StoreError::Unavailable { .. })), "{way:?}: {products:?}");
    let waited = start.elapsed();
    // Two calls of 2 s each; the rest is for a machine that is busy.
    assert!(waited < Duration::from_secs(10), "{way:?}: {waited:?}");
}

/// What a lane writes while the server is away is there when it has come back.
fn check_waits(way: Way, pause: Duration) {
    let (keyspace, proxy) = (Keyspace::new(), Proxy::new());
    let store = open(&keyspace, &proxy, Duration::from_secs(120));
    store.apply(USERS, users(50, 0)).expect("rows");
    proxy.set(way);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| store.apply(USERS, users(50, 100)));
        let loading = scope.spawn(|| store.watermark(USERS));
        check_reads_fail(&store, way);
        std::thread::sleep(pause);
        assert!(!writing.is_finished() && !loading.is_finished(), "{way:?}: they wait");
        proxy.set(Way::Open);
        let written = writing.join().expect("a result");
        assert!(written.is_ok(), "{way:?}: {written:?}");
        let loaded = loading.join().expect("a result");
        assert!(matches!(loaded, Ok(None)), "{way:?}: {loaded:?}");
    });
    let view = View::of(&*store);
    for id in 1..=50 {
        assert_eq!(view.user(id), Some(samples::user(id, 100 + id)), "{way:?}");
    }
}

#[test]
fn lanes_wait_for_a_paused_server() {
    check_waits(Way::Stalled, Duration::from_secs(4));
}

#[test]
fn lanes_wait_for_a_server_that_is_away() {
    check_waits(Way::Cut, Duration::from_secs(2));
}

#[test]
fn patience_ends_and_the_store_goes_on_later() {
    let (keyspace, proxy) = (Keyspace::new(), Proxy::new());
    let store = open(&keyspace, &proxy, Duration::from_secs(1));
    let neighbour = Lane { index: 1, ..USERS };
    store.set_watermark(neighbour, samples::watermark(1, 1)).expect("a watermark");
    proxy.set(Way::Cut);
    let written = store.apply(USERS, users(3, 0));
    assert!(matches!(written, Err(StoreError::Unavailable { .. })), "{written:?}");
    let open_orders = store.open_orders(USERS);
    assert!(matches!(open_orders, Err(StoreError::Unavailable { .. })), "{open_orders:?}");
    let raised = store.set_watermark(neighbour, samples::watermark(2, 2));
    assert!(raised.is_ok(), "it is saved later: {raised:?}");
    proxy.set(Way::Open);
    let patient = open(&keyspace, &proxy, Duration::from_secs(60));
    patient.apply(USERS, users(3, 0)).expect("rows");
    assert_eq!(View::of(&*patient).user(3), Some(samples::user(3, 3)));
    let end = Instant::now() + Duration::from_secs(60);
    let saved = samples::watermark(2, 2);
    while View::of(&*patient).projected(neighbour) != Some(saved) {
        assert!(Instant::now() < end, "the watermark is not saved");
        std::thread::sleep(Duration::from_millis(50));
    }
}
