//! How each lane stands: its watermark that is not saved yet, and the minutes that its pending
//! orders lie in.

use super::columns::{WatermarkColumns, minute};
use hashbrown::{HashMap, HashSet};
use jupan_schemas::{
    Lane, Micros,
    rows::{OrderRow, Row, Watermark},
};
use parking_lot::Mutex;

/// One lane's standing.
#[derive(Clone, Debug, Default)]
struct Standing {
    /// The highest one that is saved, or lower.
    saved_step: Option<u64>,
    unsaved: Option<Watermark>,
    /// No pending order has an earlier deadline; `None`: nothing is known.
    oldest_minute: Option<i64>,
    /// Minutes that are surely among the lane's: from about now to the latest deadline.
    minutes: HashSet<i64>,
    /// When passed minutes were looked through last.
    swept_at: i64,
    is_sweeping: bool,
}

/// A sweep of minutes that have passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sweep {
    /// Where it begins; `None`: at the first.
    pub(super) from: Option<i64>,
    /// The first minute that has not passed for long enough.
    pub(super) to: i64,
    /// What it deletes was written at or before this.
    pub(super) stamp: i64,
}

/// Every lane that was asked about: at most two roles of 65,536.
#[derive(Default)]
pub(super) struct Standings(Mutex<HashMap<Lane, Standing>>);

impl Standings {
    pub(super) fn is_known(&self, lane: Lane) -> bool {
        self.0.lock().contains_key(&lane)
    }

    /// Takes what was read as all that is known: another process may have had the lane.
    pub(super) fn reset(&self, lane: Lane, found: Option<&WatermarkColumns>) {
        let standing = Standing {
            saved_step: found.map(|found| found.step.cast_unsigned()),
            oldest_minute: found.and_then(|found| found.oldest_minute),
            ..Standing::default()
        };
        self.0.lock().insert(lane, standing);
    }

    /// Raises a lane's watermark; one that is behind it changes nothing. Returns whether there is
    /// something to save now.
    pub(super) fn raise(&self, lane: Lane, watermark: Watermark) -> bool {
        let mut standings = self.0.lock();
        let standing = standings.entry(lane).or_default();
        let present = standing.unsaved.map(|unsaved| unsaved.step).max(standing.saved_step);
        if present.is_some_and(|present| present >= watermark.step) {
            return false;
        }
        standing.unsaved = Some(watermark);
        true
    }

    /// A lane's watermark that is not saved, with the oldest minute.
    pub(super) fn unsaved(&self, lane: Lane) -> Option<(Watermark, Option<i64>)> {
        let standings = self.0.lock();
        let standing = standings.get(&lane)?;
        standing.unsaved.map(|watermark| (watermark, standing.oldest_minute))
    }

    /// Lanes whose watermark is not saved.
    pub(super) fn unsaved_lanes(&self) -> Vec<Lane> {
        let standings = self.0.lock();
        let unsaved = standings.iter().filter(|(_, standing)| standing.unsaved.is_some());
        unsaved.map(|(lane, _)| *lane).collect()
    }

    /// Notes that a lane's watermark is saved.
    pub(super) fn saved(&self, lane: Lane, watermark: Watermark) {
        let mut standings = self.0.lock();
        let standing = standings.entry(lane).or_default();
        standing.saved_step = standing.saved_step.max(Some(watermark.step));
        if standing.unsaved == Some(watermark) {
            standing.unsaved = None;
        }
    }

    pub(super) fn oldest_minute(&self, lane: Lane) -> Option<i64> {
        self.0.lock().get(&lane)?.oldest_minute
    }

    pub(super) fn minutes(&self, lane: Lane) -> HashSet<i64> {
        self.0.lock().get(&lane).map(|standing| standing.minutes.clone()).unwrap_or_default()
    }

    /// Notes minutes that are among the lane's now, and that pending orders lie in.
    pub(super) fn applied(&self, lane: Lane, minutes: Vec<i64>, rows: &[Row]) {
        let mut standings = self.0.lock();
        let standing = standings.entry(lane).or_default();
        standing.minutes.extend(minutes);
        if let (Some(oldest), Some(earliest)) = (standing.oldest_minute, earliest_minute(rows)) {
            standing.oldest_minute = Some(oldest.min(earliest));
        }
    }

    /// A sweep that is due, now that a watermark is raised: one a minute at most, and one at a time.
    pub(super) fn begin_sweep(&self, lane: Lane, watermark: Watermark) -> Option<Sweep> {
        let mut standings = self.0.lock();
        let standing = standings.get_mut(&lane)?;
        let now = minute(Micros(watermark.stamp.0));
        if standing.is_sweeping || standing.swept_at >= now {
            return None;
        }
        (standing.is_sweeping, standing.swept_at) = (true, now);
        // An order of the minute before may just be ending.
        let to = now - 1;
        standing.minutes.retain(|minute| *minute >= to);
        Some(Sweep { from: standing.oldest_minute, to, stamp: watermark.stamp.0 })
    }

    /// Ends a sweep: `oldest` is the first minute that it left. An older one that came meanwhile
    /// counts more.
    pub(super) fn end_sweep(&self, lane: Lane, sweep: Sweep, oldest: Option<i64>) {
        let mut standings = self.0.lock();
        let Some(standing) = standings.get_mut(&lane) else { return };
        standing.is_sweeping = false;
        if oldest.is_some() && standing.oldest_minute == sweep.from {
            standing.oldest_minute = oldest;
        }
    }
}

fn earliest_minute(rows: &[Row]) -> Option<i64> {
    let pending = rows.iter().filter_map(|row| match row {
        Row::Order(order) if order.is_pending() => Some(order),
        _ => None,
    });
    pending.map(|order: &std::sync::Arc<OrderRow>| minute(order.deadline)).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::samples::{self, USERS};
    use jupan_schemas::{OrderStatus, Stamp};

    fn at_minute(step: u64, minute: i64) -> Watermark {
        Watermark { stamp: Stamp(minute * Micros::MINUTE), ..samples::watermark(step, step) }
    }

    #[test]
    fn a_watermark_never_falls_and_is_saved_once() {
        let standings = Standings::default();
        standings.reset(USERS, None);
        assert!(standings.raise(USERS, samples::watermark(5, 5)));
        for lower in [4, 5] {
            assert!(!standings.raise(USERS, samples::watermark(lower, lower)));
        }
        assert_eq!(standings.unsaved_lanes(), [USERS]);
        assert!(standings.raise(USERS, samples::watermark(6, 6)));
        standings.saved(USERS, samples::watermark(5, 5));
        assert_eq!(standings.unsaved(USERS), Some((samples::watermark(6, 6), None)));
        standings.saved(USERS, samples::watermark(6, 6));
        assert_eq!(standings.unsaved(USERS), None);
        assert!(!standings.raise(USERS, samples::watermark(6, 6)), "it is saved");
    }

    #[test]
    fn minutes_are_swept_once_and_late_orders_move_the_oldest_back() {
        let standings = Standings::default();
        standings.reset(USERS, None);
        let sweep = standings.begin_sweep(USERS, at_minute(1, 100)).expect("the first");
        assert_eq!(sweep, Sweep { from: None, to: 99, stamp: 100 * Micros::MINUTE });
        assert_eq!(standings.begin_sweep(USERS, at_minute(2, 101)), None, "one at a time");
        standings.end_sweep(USERS, sweep, Some(99));
        assert_eq!(standings.oldest_minute(USERS), Some(99));
        assert_eq!(standings.begin_sweep(USERS, at_minute(3, 100)), None, "one a minute");
        let sweep = standings.begin_sweep(USERS, at_minute(4, 102)).expect("another");
        let mut order = samples::order(1, 1, 1, 1, OrderStatus::Pending);
        order.deadline = Micros(50 * Micros::MINUTE);
        standings.applied(USERS, vec![50], &[Row::from(order)]);
        standings.end_sweep(USERS, sweep, Some(101));
        assert_eq!(standings.oldest_minute(USERS), Some(50), "it came meanwhile");
    }

    #[test]
    fn only_minutes_to_come_are_taken_for_known() {
        let standings = Standings::default();
        standings.reset(USERS, None);
        standings.applied(USERS, vec![98, 99, 115], &[]);
        standings.begin_sweep(USERS, at_minute(1, 100)).expect("a sweep");
        let mut minutes: Vec<_> = standings.minutes(USERS).into_iter().collect();
        minutes.sort_unstable();
        assert_eq!(minutes, [99, 115]);
    }
}
