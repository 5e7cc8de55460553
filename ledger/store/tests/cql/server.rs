//! Keyspaces on a real server, each for one test.

use jupan_store::cql::{self, CqlStore, Options};
use scylla::client::{session::Session, session_builder::SessionBuilder};
use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::runtime::Runtime;

/// Lanes of each role.
pub(crate) const LANES: u16 = 2;

/// What drives the stores: lanes call from other threads.
pub(crate) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().expect("a runtime")
});

/// `HOST:PORT` of the server.
pub(crate) fn address() -> String {
    jupan_servers::cql()
}

static SESSION: LazyLock<Session> = LazyLock::new(|| {
    let session = SessionBuilder::new().known_node(address());
    RUNTIME.block_on(session.build()).expect("a session")
});

/// Runs a statement beside the store's own.
pub(crate) fn run(statement: &str) {
    let ran = RUNTIME.block_on(SESSION.query_unpaged(statement, ()));
    assert!(ran.is_ok(), "{statement}: {ran:?}");
}

/// How many rows a table has.
pub(crate) fn count(table: &str) -> i64 {
    let statement = format!("SELECT count(*) FROM {table}");
    let answer = RUNTIME.block_on(SESSION.query_unpaged(statement, ())).expect("an answer");
    let rows = answer.into_rows_result().expect("a row");
    rows.single_row::<(i64,)>().expect("a number").0
}

/// A keyspace of its own, gone at the end.
pub(crate) struct Keyspace(pub(crate) String);

impl Keyspace {
    /// A name that is free, without tables.
    pub(crate) fn named() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self(format!("jupan_test_{}_{number}", std::process::id()))
    }

    /// With tables.
    pub(crate) fn new() -> Self {
        let keyspace = Self::named();
        keyspace.init();
        keyspace
    }

    pub(crate) fn options(&self) -> Options {
        let options = Options::new(vec![address()], LANES);
        Options {
            keyspace: self.0.clone(),
            replicas: 1,
            // Tests share few processors with the server.
            read_timeout: Duration::from_secs(10),
            lane_timeout: Duration::from_secs(5),
            lane_patience: Duration::from_secs(30),
            ..options
        }
    }

    pub(crate) fn init(&self) {
        RUNTIME.block_on(cql::init(&self.options())).expect("tables");
    }

    pub(crate) fn open(&self) -> Arc<CqlStore> {
        RUNTIME.block_on(CqlStore::open(&self.options())).expect("a store")
    }

    /// Loses all rows; the tables stay.
    pub(crate) fn empty(&self) {
        let tables = jupan_schemas::cql::create_tables(&self.0);
        let names =
            tables.iter().filter_map(|text| text.strip_prefix("CREATE TABLE IF NOT EXISTS "));
        for name in names.filter_map(|text| text.split(' ').next()) {
            if !name.ends_with(".versions") {
                run(&format!("TRUNCATE {name}"));
            }
        }
    }

    pub(crate) fn drop_tables(&self) {
        run(&format!("DROP KEYSPACE IF EXISTS {}", self.0));
    }
}

impl Drop for Keyspace {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.drop_tables();
        }
    }
}
