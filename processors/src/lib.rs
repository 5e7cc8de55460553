//! # The lane: read, prefetch, decide, commit, project, answer
//!
//! **Where in the flow:** the middle. Commands and messages come in from the log; entries, messages
//! and events go out in one commit; rows, answers and the watermark follow once it is durable.
//!
//! - [`Worker`] is one lane with its state, driven turn by turn from one thread (so a simulator can
//!   drive it, too); `intake` reads inputs, `draft` gathers a commit, `projection` does what
//!   follows it, `restore` takes a lane over, `timers` reminds of deadlines.
//! - [`Host`] runs lanes on threads of their own as the log assigns them, and drains them.
//!
//! **Invariants, as absences**
//! - No lane touches another's state: lanes share the log's port and nothing else.
//! - No clock is read for a decision: its time is the input's append time. The clock only rings
//!   timers, and stops a lane whose inputs come from the future.
//! - No outcome is sent before its rows can be read, and no row is written before its step is durable.
//! - No provider is named: neither log nor store.
//! - No queue is unbounded: see [`Limits`].

mod draft;
mod head;
mod host;
mod intake;
mod lane;
mod limits;
pub mod metrics;
mod projection;
mod restore;
mod role;
mod stop;
mod timers;

pub use host::Host;
pub use intake::{ACTOR_BYTES_MAX, Meta, Sender};
pub use lane::{Parts, Turn, Worker};
pub use limits::Limits;
pub use role::{Decoded, DecodedMessage, Wired};
pub use stop::Stop;

#[cfg(test)]
mod tests;
