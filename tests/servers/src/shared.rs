//! The servers that all tests share.

use crate::{CommitLog, Cql, Kafka, Registry};
use std::{env, sync::OnceLock};

/// The shared Kafka broker, as `host:port`. One broker: replication factors are 1, and topics are
/// not made by themselves.
#[must_use]
pub fn kafka() -> String {
    static ADDRESS: OnceLock<Shared> = OnceLock::new();
    let started = || Kafka::try_start(None).map(|kafka| (kafka.address(), kafka.into_server()));
    shared(&ADDRESS, "kafka", "JUPAN_TEST_KAFKA", started)
}

/// The shared CQL store, as `host:port`. One node, in `datacenter1`.
#[must_use]
pub fn cql() -> String {
    static ADDRESS: OnceLock<Shared> = OnceLock::new();
    let started =
        || Cql::try_start(CommitLog::Periodic).map(|cql| (cql.address(), cql.into_server()));
    shared(&ADDRESS, "cql", "JUPAN_TEST_CQL", started)
}

/// The shared schema registry, as the base URL of its Confluent-compatible API, without a slash at
/// its end.
#[must_use]
pub fn registry() -> String {
    static ADDRESS: OnceLock<Shared> = OnceLock::new();
    let started =
        || Registry::try_start().map(|registry| (registry.address(), registry.into_server()));
    shared(&ADDRESS, "registry", "JUPAN_TEST_REGISTRY", started)
}

/// An address and the container behind it, which is kept until the process ends; or why there is
/// none, which every test is told.
type Shared = Result<(String, Option<crate::Server>), String>;

fn shared(
    address: &'static OnceLock<Shared>,
    what: &str,
    variable: &str,
    start: impl FnOnce() -> Result<(String, crate::Server), String>,
) -> String {
    let found = address.get_or_init(|| match env::var(variable) {
        Ok(named) if !named.is_empty() => {
            println!("{what}: {named}, of {variable}");
            Ok((named, None))
        }
        _ => start().map(|(address, server)| (address, Some(server))),
    });
    match found {
        Ok((address, _)) => address.clone(),
        Err(reason) => panic!("{reason}"),
    }
}
