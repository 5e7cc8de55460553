//! # The store: rows that people read and lanes load back
//!
//! A port ([`LaneStore`] to write, [`ReadStore`] to read) with numbered rules, one conformance
//! suite, and its providers: [`memory`], the reference, [`embedded`], one directory on disk, and,
//! with the feature `cql`, one on ScyllaDB or Apache Cassandra.
//!
//! **Where in the flow:** behind the commit. A lane applies the rows of its durable steps here,
//! then answers, then raises its watermark.
//!
//! **Invariants, as absences**
//! - There is no row that two lanes write.
//! - There is no row that is ahead of the durable journal.
//! - There is no truth here: a wiped store is rebuilt from the journal.
//! - No provider is known outside the binary.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(feature = "cql")]
pub mod cql;
pub mod embedded;
pub mod limits;
pub mod memory;
mod ownership;
mod port;
#[cfg(test)]
mod properties;
mod scan;

pub(crate) use ownership::{check_owner, order, outcome, owner, product, user};
pub use port::*;
pub use scan::*;
