//! A lane's positions as its group has them: for people who look at the lag, and for nobody else, since
//! a takeover goes by the journal. Each report costs two requests and a mark, so it comes along with a
//! commit only now and then, and for itself when the lane has become idle.

use super::limits::POSITIONS_EVERY;
use jupan_schemas::Positions;
use std::time::Instant;

/// See the module.
#[derive(Default)]
pub(super) struct Reported {
    at: Option<Instant>,
    /// Committed, and not told to the group.
    missing: Option<Positions>,
}

impl Reported {
    /// Whether the next commit should say where the lane stands.
    pub(super) fn is_due(&self) -> bool {
        self.at.is_none_or(|at| at.elapsed() >= POSITIONS_EVERY)
    }

    /// Positions that no commit has brought along for too long.
    pub(super) fn overdue(&self) -> Option<Positions> {
        self.missing.filter(|_| self.is_due())
    }

    /// What a commit has told the group, or has not.
    pub(super) fn note(&mut self, positions: Positions, is_told: bool) {
        if is_told {
            self.at = Some(Instant::now());
        }
        self.missing = (!is_told).then_some(positions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_told_gets_due() {
        let mut reported = Reported::default();
        assert!(reported.is_due() && reported.overdue().is_none(), "nothing is known yet");
        let positions = Positions { commands: 1, inbox: 2 };
        reported.note(positions, true);
        assert!(!reported.is_due() && reported.overdue().is_none());
        reported.note(positions, false);
        assert!(!reported.is_due() && reported.overdue().is_none(), "a commit may follow soon");
        reported.at = Instant::now().checked_sub(POSITIONS_EVERY);
        assert_eq!(reported.overdue(), Some(positions));
        reported.note(positions, true);
        assert_eq!(reported.overdue(), None);
    }
}
