//! One-minute buckets by time of sale, grouped by day.
//!
//! Every bucket, and the total of every day, is shared by pointer: a question takes the pointers of
//! its window and sums them elsewhere, while the fold goes on. A bucket that is still being summed
//! is copied when it is written to.

use crate::{
    minute::{MINUTES_OF_DAY, Minute},
    totals::{Sums, Totals},
};
use jupan_schemas::ProductId;
use std::{collections::BTreeMap, ops::Range, sync::Arc};

/// The minutes of a day that sold, in order, each by its place within the day.
pub(crate) type SoldMinutes = Vec<(usize, Arc<Totals>)>;

/// The buckets of one day.
pub(crate) struct Day {
    minutes: Vec<Option<Arc<Totals>>>,
    total: Arc<Totals>,
    /// Whether it differs from what was last saved of it.
    is_dirty: bool,
}

impl Default for Day {
    fn default() -> Self {
        let minutes = usize::try_from(MINUTES_OF_DAY).unwrap_or(0);
        Self { minutes: vec![None; minutes], total: Arc::default(), is_dirty: false }
    }
}

impl Day {
    /// Adds to a minute, given by its place within the day.
    pub(crate) fn add(&mut self, minute: usize, product: ProductId, sums: Sums) {
        let bucket = self.minutes[minute].get_or_insert_default();
        Arc::make_mut(bucket).add(product, sums);
        Arc::make_mut(&mut self.total).add(product, sums);
        self.is_dirty = true;
    }

    /// Pointers to the minutes that sold.
    pub(crate) fn sold_minutes(&self) -> SoldMinutes {
        let minutes = self.minutes.iter().enumerate();
        minutes.filter_map(|(place, bucket)| Some((place, Arc::clone(bucket.as_ref()?)))).collect()
    }
}

/// All days that are kept.
#[derive(Default)]
pub(crate) struct Buckets {
    days: BTreeMap<i64, Day>,
}

impl Buckets {
    /// Adds one product's sums to a minute.
    pub(crate) fn add(&mut self, minute: Minute, product: ProductId, sums: Sums) {
        let day = self.days.entry(minute.day()).or_default();
        day.add(minute.in_day(), product, sums);
    }

    /// Puts back a day as it was saved.
    pub(crate) fn restore(&mut self, number: i64, mut day: Day) {
        day.is_dirty = false;
        self.days.insert(number, day);
    }

    /// Forgets the days that end before a minute.
    pub(crate) fn forget_before(&mut self, minute: Minute) {
        while self.days.first_key_value().is_some_and(|(day, _)| *day < minute.day()) {
            self.days.pop_first();
        }
    }

    /// The buckets of a stretch of minutes.
    pub(crate) fn minutes(&self, range: Range<Minute>) -> impl Iterator<Item = &Arc<Totals>> {
        let days = self.days_of(&range);
        days.flat_map(move |(number, day)| {
            let places = places_in(*number, &range);
            day.minutes[places].iter().flatten()
        })
    }

    /// All buckets that are kept.
    pub(crate) fn all_minutes(&self) -> impl Iterator<Item = &Arc<Totals>> {
        self.days.values().flat_map(|day| day.minutes.iter().flatten())
    }

    /// As few totals as add up to a stretch of minutes: whole days where they lie in it, minutes at
    /// its ends.
    pub(crate) fn parts(&self, range: &Range<Minute>) -> Vec<Arc<Totals>> {
        let mut parts = Vec::new();
        for (number, day) in self.days_of(range) {
            let places = places_in(*number, range);
            if places.len() == day.minutes.len() {
                parts.push(Arc::clone(&day.total));
            } else {
                parts.extend(day.minutes[places].iter().flatten().cloned());
            }
        }
        parts
    }

    fn days_of(&self, range: &Range<Minute>) -> impl Iterator<Item = (&i64, &Day)> + use<'_> {
        // An empty stretch may be written backwards, which a map's range would not take.
        let end = if range.is_empty() { range.start.day() } else { range.end.plus(-1).day() + 1 };
        self.days.range(range.start.day()..end)
    }

    /// Every day that is kept, by its number.
    pub(crate) fn days(&self) -> impl Iterator<Item = (i64, &Day)> {
        self.days.iter().map(|(number, day)| (*number, day))
    }

    /// The days that differ from what was saved; from now on they count as saved.
    pub(crate) fn take_dirty(&mut self) -> Vec<(i64, SoldMinutes)> {
        let dirty = self.days.iter_mut().filter(|(_, day)| day.is_dirty);
        dirty
            .map(|(number, day)| {
                day.is_dirty = false;
                (*number, day.sold_minutes())
            })
            .collect()
    }
}

/// The part of a stretch of minutes that lies in a day, as places within the day.
fn places_in(day: i64, range: &Range<Minute>) -> Range<usize> {
    let (first, behind) = (Minute::of_day(day), Minute::of_day(day.saturating_add(1)));
    let start = if range.start <= first { 0 } else { range.start.in_day() };
    let length = usize::try_from(MINUTES_OF_DAY).unwrap_or(0);
    let end = if range.end >= behind { length } else { range.end.in_day() };
    start..end
}
