//! # Top sellers over windows of sales
//!
//! Counts the `sales` topic into one-minute buckets by time of sale, keeps running totals of the
//! last three days, and answers which products sold best in a window.
//!
//! **Where in the flow:** behind the product lanes. They commit a sale when they settle a hold;
//! this crate reads those records once they are durable, on a thread of its own, and the API asks a
//! [`View`]. What it counts is saved together with the positions that it has read up to, and the
//! present list goes to the topic `top-products`.
//!
//! ```text
//!   sales --read--> Feed --fold--> History { Buckets, running totals } <--ask-- View <-- API
//!                     |  \
//!                     |   save: day files, then the manifest that names them and the positions
//!                     +--publish--> top-products
//! ```
//!
//! **Invariants, as absences**
//! - No sale counts twice and none is left out: buckets and positions are saved in one manifest, or
//!   not at all.
//! - No window mixes two ends: it is fixed once, before partitions come together.
//! - No list is estimated: top N equals a recount of every sale that is kept.
//! - Nothing saved here is the authority: what cannot be read is counted again from the log.
//! - The counting itself ([`History`]) has no I/O, no clock and no thread.

mod buckets;
mod feed;
mod files;
mod history;
pub mod limits;
mod minute;
mod open;
mod options;
mod publish;
mod query;
mod running;
mod state;
mod totals;
mod view;
mod window;

#[cfg(test)]
mod tests;

pub use feed::{Failure, Feed};
pub use files::{FileError, Files};
pub use history::{Asked, History, Pending};
pub use open::StartError;
pub use options::{Clock, Options};
pub use query::*;
pub use totals::Overflow;
pub use view::{Analyzer, Status, View};
