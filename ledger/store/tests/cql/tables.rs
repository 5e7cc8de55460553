//! What a start looks for, and what `init` makes.

use crate::server::{Keyspace, RUNTIME, run};
use jupan_schemas::cql::VERSION;
use jupan_schemas::rows::Row;
use jupan_store::{
    LaneStore,
    conformance::{
        View,
        samples::{self, USERS},
    },
    cql::{self, CqlStore, OpenError, Options},
};
use std::sync::Arc;

fn open(options: &Options) -> Result<Arc<CqlStore>, OpenError> {
    RUNTIME.block_on(CqlStore::open(options))
}

fn init(options: &Options) -> Result<(), OpenError> {
    RUNTIME.block_on(cql::init(options))
}

#[test]
fn tables_are_made_once_and_rows_stay() {
    let keyspace = Keyspace::named();
    let missing = open(&keyspace.options());
    assert!(matches!(missing, Err(OpenError::NotInitialised { .. })), "{:?}", missing.err());
    keyspace.init();
    let store = keyspace.open();
    store.apply(USERS, vec![Row::from(samples::user(7, 1))]).expect("a row");
    keyspace.init();
    assert_eq!(View::of(&*store).user(7), Some(samples::user(7, 1)), "init beside a store");
    assert_eq!(View::of(&*keyspace.open()).user(7), Some(samples::user(7, 1)));
}

#[test]
fn another_version_is_refused() {
    let keyspace = Keyspace::new();
    let newer = VERSION + 1;
    run(&format!(
        "INSERT INTO {}.versions (part, version) VALUES ('tables', {newer}) USING TIMESTAMP {newer}",
        keyspace.0
    ));
    for result in [open(&keyspace.options()).map(drop), init(&keyspace.options())] {
        let is_named = matches!(&result, Err(OpenError::Version { found, known, .. })
            if (*found, *known) == (newer, VERSION));
        assert!(is_named, "{result:?}");
    }
}

#[test]
fn tables_of_another_shape_are_refused() {
    let keyspace = Keyspace::new();
    run(&format!("ALTER TABLE {}.users DROP email", keyspace.0));
    let opened = open(&keyspace.options()).map(drop);
    let is_named = matches!(&opened, Err(OpenError::Statement { statement, .. })
        if statement.contains("email"));
    assert!(is_named, "{opened:?}");
}

#[test]
fn what_is_configured_wrong_is_said() {
    let keyspace = Keyspace::named();
    let options = keyspace.options();
    let unnamed = Options { keyspace: "Shop; DROP".to_owned(), ..options.clone() };
    for result in [open(&unnamed).map(drop), init(&unnamed)] {
        assert!(matches!(result, Err(OpenError::Keyspace { .. })), "{result:?}");
    }
    let elsewhere = Options { datacenter: Some("elsewhere".to_owned()), ..options.clone() };
    let opened = open(&elsewhere).map(drop);
    assert!(matches!(opened, Err(OpenError::Datacenter { .. })), "{opened:?}");
    let nobody = Options { nodes: vec!["127.0.0.1:1".to_owned()], ..options };
    let opened = open(&nobody).map(drop);
    assert!(matches!(opened, Err(OpenError::Connect { .. })), "{opened:?}");
}
