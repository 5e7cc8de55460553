//! What may go wrong at a test's command.

use jupan_schemas::Lane;
use std::collections::VecDeque;

/// One thing that goes wrong once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The next commit's outcome is unknown to its lane, which must take over again.
    CommitUnknown {
        /// Of this lane, or of any.
        lane: Option<Lane>,
        /// Whether the commit is in the log.
        happened: bool,
    },
    /// The next commit finds that another owner took the lane over; it is not in the log.
    CommitFenced {
        /// Of this lane, or of any.
        lane: Option<Lane>,
    },
    /// The next append's outcome is unknown to its producer.
    AppendUnknown {
        /// Whether the record is in the log.
        happened: bool,
    },
    /// The next reminder is lost.
    RemindLost,
    /// The next reminder is there twice.
    RemindTwice,
    /// The next outcome is lost.
    AnswerLost,
    /// The next outcome comes twice.
    AnswerTwice,
}

/// Faults that have not happened yet.
#[derive(Default)]
pub(super) struct Faults {
    waiting: VecDeque<Fault>,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.waiting.push_back(fault);
    }

    pub(super) fn next_append(&mut self) -> Option<Fault> {
        self.next(|fault| matches!(fault, Fault::AppendUnknown { .. }))
    }

    pub(super) fn next_commit(&mut self, lane: Lane) -> Option<Fault> {
        self.next(|fault| match fault {
            Fault::CommitUnknown { lane: only, .. } | Fault::CommitFenced { lane: only } => {
                only.is_none_or(|only| only == lane)
            }
            _ => false,
        })
    }

    pub(super) fn next_remind(&mut self) -> Option<Fault> {
        self.next(|fault| matches!(fault, Fault::RemindLost | Fault::RemindTwice))
    }

    pub(super) fn next_answer(&mut self) -> Option<Fault> {
        self.next(|fault| matches!(fault, Fault::AnswerLost | Fault::AnswerTwice))
    }

    fn next(&mut self, fits: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let index = self.waiting.iter().position(fits)?;
        self.waiting.remove(index)
    }
}

/// Spreads a seed over all bits (the finalizer of SplitMix64).
pub(super) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
