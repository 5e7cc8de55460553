//! # Jupan's contract
//!
//! What every other crate and every other system agrees on: ids, money, commands, messages, steps with their
//! entries, events, rows, and the topics that carry them. The Avro files in `avro/` are the contract for the
//! outside; the types here have exactly their shape, which is why a record is written and read without
//! a look at its schema.
//!
//! **Where in the flow:** below everything. A command is encoded here on its way into the log,
//! decoded here by its lane, and what the lane decides is encoded here into the journal.
//!
//! **Invariants, as absences**
//! - There is no I/O, no clock and no randomness here.
//! - There is no floating-point number, and no arithmetic on money or units that can wrap.
//! - There is no second place that knows how a record looks as bytes.
//! - Nothing persisted is renumbered or reordered: new fields have defaults, new union branches and
//!   codes go at the end ([`evolution`] refuses anything else against the stored earlier versions).

mod amounts;
mod changes;
mod code;
mod codec;
mod commands;
pub mod cql;
mod datum;
pub mod dead_letters;
mod events;
pub mod evolution;
mod ids;
mod messages;
pub mod planted;
mod resolution;
pub mod rows;
mod shape;
mod steps;
mod texts;
pub mod topics;
mod traceparent;
mod versions;

pub use amounts::{BALANCE_MAX, Micros, Money, PRICE_AND_STOCK_MAX, Stamp, Units};
pub use changes::*;
pub use code::Code;
pub use codec::{Codec, DecodeError, Record, SchemaError, SchemaIds, SchemaName, VERSION, Written};
pub use commands::*;
pub use events::*;
pub use ids::*;
pub use messages::*;
pub use steps::*;
pub use texts::*;
pub use topics::TopicId;
pub use traceparent::{TRACEPARENT, TRACEPARENT_BYTES};
