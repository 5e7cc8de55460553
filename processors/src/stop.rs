//! Why a lane stops. None of these is a refusal: they mean that the world is not as it must be.

use jupan_ledger::Broken;
use jupan_log::{LaneError, LaneLog};
use jupan_schemas::{DecodeError, Lane, Micros};
use jupan_store::StoreError;

/// Why a lane stops.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The log refuses or cannot be used. A fenced lane has a successor; an unknown commit asks for
    /// a takeover.
    #[error(transparent)]
    Log(#[from] LaneError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// State and input, or state and journal, do not fit together.
    #[error("lane {lane} cannot decide")]
    Broken {
        /// Which lane.
        lane: Lane,
        /// What does not fit.
        #[source]
        source: Broken,
    },
    /// A message is missing: its sender's numbers are dense.
    #[error(
        "lane {lane} got message {got} of lane {from} of the other role, but {expected} is missing"
    )]
    Gap {
        /// Which lane.
        lane: Lane,
        /// The sender's partition.
        from: u16,
        /// The next number in line.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// A record's append time lies too far ahead of the clock: committing it would date the journal wrongly.
    #[error("lane {lane} read a record of {at:?} at {now:?}: a clock is wrong")]
    ClockAhead {
        /// Which lane.
        lane: Lane,
        /// The record's append time.
        at: Micros,
        /// The lane's clock.
        now: Micros,
    },
    /// A journal record cannot be read.
    #[error("lane {lane}'s journal cannot be read at offset {offset}")]
    Unreadable {
        /// Which lane.
        lane: Lane,
        /// Where.
        offset: u64,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// The journal contradicts itself or the store.
    #[error("lane {lane}'s journal does not fit at step {step}: {what}")]
    Journal {
        /// Which lane.
        lane: Lane,
        /// At which step.
        step: u64,
        /// What does not fit.
        what: &'static str,
    },
}

impl Stop {
    /// What a lane finds wrong with its state counts only while the lane is its own: a successor
    /// moves on rows that this owner still loads, and takes away those of holds that have ended. So
    /// the log is asked first, and a lane without an answer stops for that.
    pub(crate) fn confirmed_by(self, log: &mut dyn LaneLog) -> Self {
        if !self.is_about_state() {
            return self;
        }
        let Err(error) = log.check_owner() else { return self };
        let cause = std::error::Error::source(&self).map(ToString::to_string);
        tracing::warn!(found = %self, cause, %error, "what the lane found is not believed");
        Self::Log(error)
    }

    /// Whether it was found in what the lane knows, rather than told by log or store.
    fn is_about_state(&self) -> bool {
        match self {
            Self::Broken { .. } | Self::Gap { .. } | Self::Journal { .. } => true,
            Self::Log(_) | Self::Store(_) | Self::ClockAhead { .. } | Self::Unreadable { .. } => {
                false
            }
        }
    }
}
