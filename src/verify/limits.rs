//! What a shop allows is its own to choose, and in no record. But it chooses when it starts: what it
//! has allowed since, it cannot refuse for being too much.

use jupan_schemas::{Line, Units};

/// What the present owner of a lane has allowed so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// So many lines of a cart or an order.
    pub(super) lines: usize,
    /// So many units of one line.
    units: Units,
}

impl Default for Limits {
    /// One unit in one line is what every shop allows.
    fn default() -> Self {
        Self { lines: 1, units: Units(1) }
    }
}

impl Limits {
    /// These lines were allowed.
    pub(super) fn learn(&mut self, lines: &[Line]) {
        self.lines = self.lines.max(lines.len());
        let most = lines.iter().map(|line| line.quantity).max();
        self.units = self.units.max(most.unwrap_or_default());
    }

    /// Whether so many units of one line must be allowed.
    pub(super) fn allow_units(&self, units: Units) -> bool {
        units <= self.units
    }

    /// The same for each of these lines.
    pub(super) fn allow_units_of(&self, lines: &[Line]) -> bool {
        lines.iter().all(|line| self.allow_units(line.quantity))
    }
}
