//! # The log: carrier of commands, messages, journals and events
//!
//! A port ([`Log`], [`LaneLog`]) with numbered rules, one conformance suite, and its providers:
//! [`memory`], [`embedded`], and `kafka` behind the feature of that name.
//!
//! **Where in the flow:** between everybody. Producers append commands, a lane polls its two inputs
//! and commits what it decided, readers follow durable records.
//!
//! **Invariants, as absences**
//! - No provider is known outside the binary: lanes, API and analytics see the port only.
//! - No acknowledgement leaves before the sync that covers it, or before every replica in sync has
//!   the record.
//! - No failed write or sync is tried again: the log stops. No commit of unknown outcome is tried
//!   again: the journal is asked.
//! - Nothing here looks into a record's value.

mod answers;
pub mod clock;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod embedded;
mod fixed;
mod in_order;
#[cfg(feature = "kafka")]
pub mod kafka;
mod layout;
pub mod limits;
pub mod memory;
mod port;
#[cfg(any(test, feature = "conformance"))]
pub mod simulated;

pub use clock::{Clock, ManualClock, SystemClock};
pub use in_order::append_in_order;
pub use port::*;
