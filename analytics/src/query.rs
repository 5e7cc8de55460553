//! What can be asked: the best sellers of a window.

use jupan_schemas::{Micros, TopProduct};

/// Most days a window may have.
pub const DAYS_MAX: u32 = 30;
/// Most ranks an answer may have.
pub const LIMIT_MAX: u32 = 100;

/// Asks for the best sellers of the `days` before a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopQuery {
    /// Length of the window, 1 to [`DAYS_MAX`] days of 24 hours.
    pub days: u32,
    /// How many ranks, 1 to [`LIMIT_MAX`].
    pub limit: u32,
    /// The window ends at this time, rounded up to a full minute; absent: now, on the analyzer's clock.
    pub as_of: Option<Micros>,
}

/// The best sellers of one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopAnswer {
    /// Best first: more units, then more money, then the lower id.
    pub products: Vec<TopProduct>,
    /// First instant of the window.
    pub window_from: Micros,
    /// First instant after the window.
    pub window_to: Micros,
    /// What was asked for, or the clock's time.
    pub as_of: Micros,
}

/// A window that cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopError {
    /// `days` is not 1 to [`DAYS_MAX`].
    #[error("days must be 1 to {DAYS_MAX}")]
    Days,
    /// `limit` is not 1 to [`LIMIT_MAX`].
    #[error("limit must be 1 to {LIMIT_MAX}")]
    Limit,
    /// `asOf` is later than the analyzer's clock.
    #[error("asOf lies in the future of the clock that counts")]
    Future {
        /// That clock.
        now: Micros,
    },
    /// The window begins before what is kept.
    #[error("sales are kept for fewer days than that")]
    NotKept {
        /// The first instant that is kept.
        from: Micros,
    },
}
