//! # Servers for the tests
//!
//! A real Kafka broker, a real CQL store and a real schema registry, for whoever tests against
//! them. [`kafka`], [`cql`] and [`registry`] say where one is that all tests share: the one that
//! `JUPAN_TEST_KAFKA`, `JUPAN_TEST_CQL` or `JUPAN_TEST_REGISTRY` names (`scripts/servers up` starts
//! them and prints these), else a container of this process. [`Kafka::start`] and [`Cql::start`]
//! start one for a single test, which may kill, stop and pause it.
//!
//! Everything may be called with a runtime around it or without, and panics with what to do when it
//! cannot be done: a missing server is a failure, never a skip.
//!
//! **Where in the flow:** beside it, in tests only. `server` is one container, `kafka`, `cql` and
//! `registry` say what is special about each, `image` what they are started from, `engine` speaks
//! to the container engine, `remains` removes. `proxy` is the wire to a broker, and what goes wrong
//! on it.
//!
//! **Invariants, as absences**
//! - No container outlives its process by more than seconds, however that ends: a watcher outside
//!   of it removes them.
//! - No port is open to other machines, and none changes while its container stops and starts
//!   again.
//! - No server is set up here in another way than by `scripts/servers`: both read the files in
//!   `settings`.
//! - There is no stand-in under the name of a public image: images are named by variables, and the
//!   public ones are only their defaults.

mod cql;
mod engine;
mod image;
mod kafka;
mod proxy;
mod registry;
mod remains;
mod server;
mod shared;

pub use cql::{CommitLog, Cql};
pub use kafka::Kafka;
pub use proxy::{Fault, Happened, Hook, Moment, Proxy, Rule, Step};
pub use registry::Registry;
pub use remains::run_label;
pub use server::Server;
pub use shared::{cql, kafka, registry};
