//! Every bound of a lane, in one place.

use crate::projection::Coalescing;
use std::time::Duration;

/// How much a lane takes on at once.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most inputs of one batch. More would save little, and cost: lists of thousands are memory
    /// that the system hands out afresh, and clears, for every batch.
    pub batch_records_max: usize,
    /// Most bytes of inputs of one batch.
    pub batch_bytes_max: usize,
    /// A commit is closed when its estimated size reaches this; well below what the log takes at once.
    pub commit_bytes_max: usize,
    /// A step is closed when its estimated size reaches this; estimates are upper bounds of the encoded size.
    pub step_bytes_max: usize,
    /// Most entries that are committed but not projected; beyond it the lane reads no more inputs.
    pub unprojected_entries_max: usize,
    /// How long durable entries may lie that nobody waits for, before they are projected together: a
    /// store behind a network is asked less often. Other lanes' readers see them that much later.
    pub coalesce_wait: Duration,
    /// Most entries that are projected together.
    pub coalesce_entries_max: usize,
    /// Most cells in memory; those that the store does not have yet, and pending orders, come on top.
    pub cells_max: usize,
    /// Longest wait for inputs: also the resolution of timers and the time to notice a stop.
    pub poll_wait: Duration,
    /// Longest wait for durability while no more inputs are taken on.
    pub room_wait: Duration,
    /// A timer that rang rings again after this long if its order is still pending: reminders can be lost.
    pub reminder_repeat_us: i64,
    /// Most reminders sent in one turn.
    pub reminders_max: usize,
    /// Bytes of journal read at once while restoring.
    pub restore_bytes_max: usize,
    /// How far a record's append time may lie ahead of the lane's clock before the lane stops.
    pub clock_ahead_max_us: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_records_max: 256,
            batch_bytes_max: 192 * 1024,
            commit_bytes_max: 512 * 1024,
            step_bytes_max: 192 * 1024,
            unprojected_entries_max: 50_000,
            coalesce_wait: Duration::ZERO,
            coalesce_entries_max: 1_024,
            cells_max: 400_000,
            poll_wait: Duration::from_millis(50),
            room_wait: Duration::from_millis(1),
            reminder_repeat_us: 5_000_000,
            reminders_max: 1_000,
            restore_bytes_max: 1024 * 1024,
            clock_ahead_max_us: 5 * 60 * 1_000_000,
        }
    }
}

impl Limits {
    pub(crate) fn coalescing(&self) -> Coalescing {
        // A lane that takes on no more must not wait for itself.
        let entries_max = self.coalesce_entries_max.min(self.unprojected_entries_max);
        Coalescing { wait: self.coalesce_wait, entries_max }
    }
}
