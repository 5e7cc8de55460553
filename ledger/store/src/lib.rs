//! # The store: rows that people read and lanes load back
//!
//! A port ([`LaneStore`] to write, [`ReadStore`] to read) with numbered rules, one conformance suite, and its
//! providers.
//!
//! **Where in the flow:** behind the commit. A lane applies the rows of its durable steps here, then answers, then
//! raises its watermark.
//!
//! **Invariants, as absences**
//! - There is no row that two lanes write.
//! - There is no row that is ahead of the durable journal.
//! - There is no truth here: a wiped store is rebuilt from the journal.
//! - No provider is known outside the binary.

mod port;

pub use port::*;
