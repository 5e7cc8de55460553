//! Full minutes since 1970: what buckets are numbered by and where windows begin and end.

use jupan_schemas::{
    Micros,
    planted::{Bug, is_planted},
};

/// Minutes of one day.
pub(crate) const MINUTES_OF_DAY: i64 = 24 * 60;

/// A full minute; as a stretch of time, the 60 seconds that begin there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Minute(pub(crate) i64);

impl Minute {
    /// Before every minute that a time can lie in.
    pub(crate) const MIN: Self = Self(i64::MIN);

    /// The minute that a time lies in.
    pub(crate) fn of(at: Micros) -> Self {
        Self(at.0.div_euclid(Micros::MINUTE))
    }

    /// A time rounded up to a full minute; one that is exactly on a minute stays.
    pub(crate) fn at_or_after(at: Micros) -> Self {
        let on_the_minute = at.0.rem_euclid(Micros::MINUTE) == 0 && !is_planted(Bug::WindowEdge);
        if on_the_minute { Self::of(at) } else { Self::of(at).next() }
    }

    /// The first minute of a day.
    pub(crate) fn of_day(day: i64) -> Self {
        Self(day.saturating_mul(MINUTES_OF_DAY))
    }

    /// Its first instant.
    pub(crate) fn start(self) -> Micros {
        Micros(self.0.saturating_mul(Micros::MINUTE))
    }

    /// The minute after.
    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// So many minutes later, or earlier.
    pub(crate) fn plus(self, minutes: i64) -> Self {
        Self(self.0.saturating_add(minutes))
    }

    /// So many days of 24 hours earlier.
    pub(crate) fn minus_days(self, days: u32) -> Self {
        Self(self.0.saturating_sub(i64::from(days) * MINUTES_OF_DAY))
    }

    /// The day that it lies in, since 1970.
    pub(crate) fn day(self) -> i64 {
        self.0.div_euclid(MINUTES_OF_DAY)
    }

    /// Its place within its day, below [`MINUTES_OF_DAY`].
    pub(crate) fn in_day(self) -> usize {
        usize::try_from(self.0.rem_euclid(MINUTES_OF_DAY)).unwrap_or(0)
    }
}
