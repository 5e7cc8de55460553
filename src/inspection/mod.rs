//! # Inspection: a running shop tells `jupan verify` its rows, and `jupan dlq` its dead letters
//!
//! The socket `verify.sock` in the data directory. Only the shop's own user (and root) may connect.
//! What it may be asked to append is what anybody may: commands, and marks on dead letters.
//! A connection asks one thing and gets one answer:
//!
//! ```text
//! asker:  "JUPAN" protocol u8, store format u8, 0 | length u32 | question
//! shop:   "JUPAN" protocol u8, store format u8, 0 | length u32 | answer
//! ```
//! The shop remembers nothing between two questions: the asker says where the rows go on. So an
//! asker that is slow, or gone, costs nothing.

mod serve;
mod wire;

pub(crate) use serve::Inspection;
pub(crate) use wire::{Answer, DISPATCH_BYTES_MAX, Dispatch, Question, ask};
