//! # Capture: a shop whose log is no directory, copied into one that verify reads
//!
//! The log of a cluster is many partitions without an order between them. They are read through the
//! log's port and lined up: a lane's step comes once everything it read is there, and with it what
//! it sent. So causes lie before effects, as in a directory's single file, and the checks are the
//! same.
//!
//! ```text
//!   ends of results -> the store's rows -> ends of journals -> ends of everything else
//!     for every lane, up to its journal's end:
//!       senders' steps (as far as needed) -> commands, reminders -> the step with what it sent
//! ```
//! Each end is taken after those of its effects: what was told or stored by then is in the journals
//! that are read. What lies behind a lane's last step that was lined up is in flight, and left out
//! where it is another step's doing.
//!
//! **Invariants, as absences**
//! - Nothing is judged here: what is missing, doubled or torn is lined up as it is found.
//! - Nothing is written to the shop.

mod lining;
mod partition;
mod writer;

pub(super) use lining::line_up;

use super::Failure;
use jupan_log::{Log, ReadError};
use jupan_schemas::{Codec, TopicId};
use std::sync::Arc;

/// What is captured.
pub(super) struct Shop {
    /// Its log.
    pub(super) log: Arc<dyn Log>,
    /// How its records are read.
    pub(super) codec: Codec,
    /// Up to where outcomes count: taken before the store's rows were read.
    pub(super) results: Vec<u64>,
}

impl Shop {
    /// Takes the ends of what was told so far.
    ///
    /// # Errors
    /// [`Failure::Log`]
    pub(super) fn new(log: Arc<dyn Log>, codec: Codec) -> Result<Self, Failure> {
        let mut results = Vec::new();
        for partition in 0..log.partitions() {
            match log.bounds(TopicId::CommandResults, partition) {
                Ok(bounds) => results.push(bounds.end),
                // Where outcomes leave no record there are none to prove.
                Err(ReadError::NoPartition { .. }) => break,
                Err(source) => return Err(Failure::Log { source }),
            }
        }
        Ok(Self { log, codec, results })
    }
}
