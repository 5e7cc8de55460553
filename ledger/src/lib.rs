//! # The pure core
//!
//! What a shop decides, and nothing else: wallets and orders (`users`), catalogue and stock
//! (`products`). `decide` turns one input and the state into a decision, `evolve` folds the entry
//! made of it; recovery, projection and audit reuse `evolve`. Money and units move by double entry
//! only.
//!
//! **Where in the flow:** inside a lane. The lane reads an input, loads the cells of its
//! `footprint`, asks for the decision, makes an entry of it, commits the entry and folds it here.
//!
//! **Invariants, as absences**
//! - There is no I/O, no clock and no randomness here: the same inputs lead to the same entries.
//! - There is no way to touch a balance but by a posting, and no entry whose postings do not sum to
//!   zero per asset.
//! - There is no wallet and no stock below zero, and no arithmetic that can wrap.
//! - There is no decision from a cell that was not looked up: a cell that is not in memory is an
//!   error, never "does not exist".
//! - There is no cell of another lane here, and no iteration over a map that a decision depends on.

mod cells;
mod core;
mod idempotency;
mod limits;
mod postings;
pub mod products;
pub mod users;

#[cfg(test)]
mod tests;

pub use core::*;
pub use limits::{COMMAND_AGE_MAX_US, COMMAND_AHEAD_MAX_US};
