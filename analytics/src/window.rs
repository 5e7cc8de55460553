//! From a question to the minutes that it is about.

use crate::{Clock, DAYS_MAX, LIMIT_MAX, TopError, TopQuery, minute::Minute};
use jupan_schemas::Micros;
use std::ops::Range;

/// What time it is for questions, on the clock that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// That clock's time.
    pub(crate) at: Micros,
    /// Where a window ends that is asked for without a time.
    pub(crate) window_to: Minute,
}

impl Now {
    /// By the wall clock, and by the event clock while there is no event.
    pub(crate) fn wall(at: Micros) -> Self {
        Self { at, window_to: Minute::at_or_after(at) }
    }

    /// By the newest event. Its window ends with the minute after it, so that the newest event is
    /// inside even where it lies exactly on a full minute.
    pub(crate) fn event(newest: Micros) -> Self {
        Self { at: newest, window_to: Minute::of(newest).next() }
    }

    /// By the clock that is set.
    pub(crate) fn of(clock: Clock, wall: Micros, newest: Option<Micros>) -> Self {
        match (clock, newest) {
            (Clock::Event, Some(newest)) => Self::event(newest),
            _ => Self::wall(wall),
        }
    }

    /// The first minute that is kept, on this clock.
    pub(crate) fn kept_from(self, sales_days: u32) -> Minute {
        Minute::at_or_after(self.at).minus_days(sales_days)
    }
}

/// The minutes that a question is about: from the first to the one behind the last.
///
/// # Errors
/// [`TopError`], where the question cannot be answered with what is kept from `kept_from` on.
pub(crate) fn resolve(
    query: &TopQuery,
    now: Now,
    kept_from: Minute,
) -> Result<Range<Minute>, TopError> {
    if !(1..=DAYS_MAX).contains(&query.days) {
        return Err(TopError::Days);
    }
    if !(1..=LIMIT_MAX).contains(&query.limit) {
        return Err(TopError::Limit);
    }
    let to = match query.as_of {
        Some(as_of) if as_of > now.at => return Err(TopError::Future { now: now.at }),
        Some(as_of) => Minute::at_or_after(as_of),
        None => now.window_to,
    };
    let from = to.minus_days(query.days);
    if from < kept_from {
        return Err(TopError::NotKept { from: kept_from.start() });
    }
    Ok(from..to)
}
