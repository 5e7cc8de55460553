//! The port's rules.

use crate::server::Keyspace;
use jupan_store::{
    conformance::{self, Fixture},
    cql::CqlStore,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Stores in one keyspace, one after the other: to empty tables is quicker than to make new ones.
struct Stores {
    keyspace: Keyspace,
    is_used: AtomicBool,
}

impl Stores {
    fn new() -> Self {
        Self { keyspace: Keyspace::new(), is_used: AtomicBool::new(false) }
    }
}

impl Fixture for Stores {
    type Store = CqlStore;

    fn create(&self) -> Arc<CqlStore> {
        if self.is_used.swap(true, Ordering::Relaxed) {
            self.keyspace.empty();
        }
        self.keyspace.open()
    }

    fn persist(&self, store: &CqlStore) {
        store.flush().expect("watermarks are saved");
    }

    fn crash(&self, store: Arc<CqlStore>) -> Arc<CqlStore> {
        drop(store);
        self.keyspace.open()
    }

    fn wipe(&self, store: Arc<CqlStore>) -> Arc<CqlStore> {
        drop(store);
        self.keyspace.drop_tables();
        self.keyspace.init();
        self.keyspace.open()
    }

    fn bounded(&self) -> Option<(Arc<CqlStore>, usize)> {
        None
    }

    fn while_stalled(&self, _: &CqlStore, run: &mut dyn FnMut()) {
        run();
    }
}

macro_rules! rules {
    ($($rule:ident)*) => {$(
        #[test]
        fn $rule() {
            conformance::$rule(&Stores::new());
        }
    )*};
}
rules! {
    newest_wins
    one_lane
    watermark_last
    read_your_writes
    rebuild
    only_what_is_given
    ended_holds
    pending_orders
    bounds
    lists
}
