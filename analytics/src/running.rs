//! Running totals of the present window: one addition a sale, one addition and one subtraction a
//! bucket as time goes.

use crate::{
    LIMIT_MAX,
    buckets::Buckets,
    limits::RUNNING_DAYS,
    minute::Minute,
    totals::{Sums, Totals},
};
use jupan_schemas::{
    ProductId, TopProduct,
    planted::{Bug, is_planted},
};
use std::{ops::Range, sync::Arc};

/// The totals of the [`RUNNING_DAYS`] days before a minute.
#[derive(Default)]
pub(crate) struct Running {
    /// `None` until it is moved for the first time.
    to: Option<Minute>,
    totals: Totals,
    /// The best [`LIMIT_MAX`], until a total changes.
    best: Option<Arc<[TopProduct]>>,
}

impl Running {
    /// Counts a sale, if its minute lies in the window.
    pub(crate) fn add(&mut self, minute: Minute, product: ProductId, sums: Sums) {
        if self.to.is_some_and(|to| window_to(to).contains(&minute)) {
            self.best = None;
            self.totals.add(product, sums);
        }
    }

    /// Moves the window's end. A short way on, minutes come in and go out; any other way it is
    /// summed afresh.
    pub(crate) fn move_to(&mut self, to: Minute, buckets: &Buckets) {
        if self.to == Some(to) {
            return;
        }
        let new = window_to(to);
        match self.to.replace(to).map(window_to) {
            Some(old) if new.contains(&old.end) => {
                for bucket in buckets.minutes(old.end..new.end) {
                    self.best = None;
                    self.totals.add_all(bucket);
                }
                let left = old.start.plus(i64::from(is_planted(Bug::MinuteStays)));
                for bucket in buckets.minutes(left..new.start) {
                    self.best = None;
                    self.totals.subtract_all(bucket);
                }
            }
            _ => {
                self.best = None;
                self.totals = Totals::default();
                for part in buckets.parts(&new) {
                    self.totals.add_all(&part);
                }
            }
        }
    }

    /// Whether these are the totals of that window.
    pub(crate) fn covers(&self, window: &Range<Minute>) -> bool {
        self.to.is_some_and(|to| window_to(to) == *window)
    }

    /// The best [`LIMIT_MAX`], best first.
    pub(crate) fn best(&mut self) -> Arc<[TopProduct]> {
        let limit = usize::try_from(LIMIT_MAX).unwrap_or(usize::MAX);
        Arc::clone(self.best.get_or_insert_with(|| self.totals.best(limit).into()))
    }
}

fn window_to(to: Minute) -> Range<Minute> {
    to.minus_days(RUNNING_DAYS)..to
}
