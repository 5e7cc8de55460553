//! # The HTTP API
//!
//! JSON over HTTP/1.1: requests are checked for form, become commands in the log, and are answered
//! when the log has them or when their outcome is known; reads come from the store.
//!
//! **Where in the flow:** at both ends. A command starts its way here, and who asked reads its
//! outcome here.
//!
//! - [`Api`] opens the ports and makes the router; [`serve`] runs it over a listener until it is
//!   told to stop.
//! - `routes/` has one file a resource; each call reads top down as parse, check, submit or look
//!   up, answer.
//! - `submit.rs` is the one way into the log; `waiters.rs` hands outcomes to those who wait.
//! - `problem.rs` is the one place where a code becomes a status and a text.
//! - `openapi/` is the API's document, made from the types and constants that answer; `docs.rs`
//!   shows it.
//!
//! **Invariants, as absences**
//! - No request writes anything but a command, and none is acknowledged before its command is
//!   durable.
//! - No type of the wire's JSON travels inward, and no inner type is serialised to it.
//! - No rule of the shop is decided here: only what can be told from the request alone is refused
//!   here, and a product for a cart that the catalogue does not know, for a user's lane has none.
//! - There is no second place that maps a code to a status.
//! - There is no queue, wait or body without a bound in [`Limits`].
//! - Neither names, nor addresses, nor idempotency keys are traced.

mod admission;
mod asset;
mod bodies;
mod call;
mod caller;
mod cursor;
mod docs;
mod dto;
mod etag;
mod hex;
mod hint;
mod idempotency;
mod json;
mod limits;
mod listen;
pub mod metric_names;
mod minted;
mod number;
mod openapi;
mod prefer;
mod probe_server;
mod problem;
mod query;
mod router;
mod routes;
mod server;
mod shop;
mod stream;
mod submit;
mod times;
mod waiters;

#[cfg(test)]
mod tests;

pub use hint::hint;
pub use limits::Limits;
pub use listen::{ListenError, check_listen};
pub use probe_server::serve_probes;
pub use server::{Drained, serve};
pub use shop::{Api, Health, Ports, StartError, Top};
