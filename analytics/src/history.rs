//! The fold: sales in, best sellers out. No I/O, no clock of its own, no thread.

use crate::{
    Clock, TopAnswer, TopError, TopQuery,
    buckets::Buckets,
    limits::{CLOCK_FALL_MINUTES_MAX, SALES_DAYS_MAX, SALES_DAYS_MIN},
    minute::Minute,
    running::Running,
    totals::{Overflow, Sums, Totals, Volumes},
    window::{self, Now},
};
use jupan_schemas::{Micros, Sale, TopProduct};
use std::{ops::Range, sync::Arc};

/// What is kept besides the buckets; saved with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Time of the newest sale.
    pub(crate) newest: Option<Micros>,
    /// The first minute that is kept. It only rises: what was given up does not come back.
    pub(crate) kept_from: Minute,
    /// Sales that came when their minute was no longer kept.
    pub(crate) dropped: u64,
}

/// All sales that are kept, in one-minute buckets, and the running totals of the present window.
pub struct History {
    clock: Clock,
    sales_days: u32,
    facts: Facts,
    volumes: Volumes,
    buckets: Buckets,
    running: Running,
}

/// The answer to a question, or what has yet to be summed for it.
pub enum Asked {
    /// From the running totals.
    Answer(TopAnswer),
    /// From buckets: up to hundreds of thousands of additions, best done without holding a lock.
    Pending(Pending),
}

impl History {
    /// An empty history. `sales_days` is brought within its limits.
    pub fn new(clock: Clock, sales_days: u32) -> Self {
        Self {
            clock,
            sales_days: sales_days.clamp(SALES_DAYS_MIN, SALES_DAYS_MAX),
            facts: Facts { newest: None, kept_from: Minute::MIN, dropped: 0 },
            volumes: Volumes::default(),
            buckets: Buckets::default(),
            running: Running::default(),
        }
    }

    /// A history as it was saved.
    ///
    /// # Errors
    /// [`Overflow`], where no sales can have made these buckets.
    pub(crate) fn restored(
        clock: Clock,
        sales_days: u32,
        facts: Facts,
        buckets: Buckets,
    ) -> Result<Self, Overflow> {
        let mut volumes = Volumes::default();
        for bucket in buckets.all_minutes() {
            bucket.iter().try_for_each(|(product, sums)| volumes.admit(product, sums))?;
        }
        Ok(Self { facts, volumes, buckets, ..Self::new(clock, sales_days) })
    }

    /// Counts a sale or a return in the minute of its sale. One whose minute is no longer kept
    /// counts as dropped.
    ///
    /// # Errors
    /// [`Overflow`]: the sale was not counted, and none behind it may be.
    pub fn fold(&mut self, sale: &Sale) -> Result<(), Overflow> {
        let minute = Minute::of(sale.sold_at);
        if minute < self.facts.kept_from {
            self.facts.dropped += 1;
            return Ok(());
        }
        let sums = Sums { units: sale.units, amount: sale.amount };
        self.volumes.admit(sale.product_id, sums)?;
        self.buckets.add(minute, sale.product_id, sums);
        self.running.add(minute, sale.product_id, sums);
        if self.facts.newest.is_none_or(|newest| newest < sale.sold_at) {
            self.facts.newest = Some(sale.sold_at);
            if self.clock == Clock::Event {
                self.go_to(Now::event(sale.sold_at));
            }
        }
        Ok(())
    }

    /// Tells what time it is on the log's clock: windows move on, and what is too old is forgotten.
    pub fn advance(&mut self, wall: Micros) {
        self.go_to(self.now(wall));
    }

    fn now(&self, wall: Micros) -> Now {
        Now::of(self.clock, wall, self.facts.newest)
    }

    fn go_to(&mut self, now: Now) {
        // First, while the minutes that leave the window are still there to be subtracted.
        self.running.move_to(now.window_to, &self.buckets);
        // Without a sale there is nothing to forget, and the stand-in for the event clock must not
        // set a floor.
        if self.facts.newest.is_some() || self.clock == Clock::Wall {
            let kept_from = now.kept_from(self.sales_days);
            if kept_from > self.facts.kept_from {
                self.facts.kept_from = kept_from;
                self.buckets.forget_before(kept_from);
            }
        }
    }

    /// Whether the clock fell so far back that sales were given up as too old that no longer are:
    /// then only the log can tell them again.
    pub(crate) fn is_ahead_of(&self, wall: Micros) -> bool {
        let kept_from = self.now(wall).kept_from(self.sales_days);
        self.facts.kept_from > kept_from.plus(CLOCK_FALL_MINUTES_MAX)
    }

    /// Answers at once from the running totals if the question is about their window; else gathers
    /// what is to sum.
    ///
    /// # Errors
    /// [`TopError`]
    pub fn ask(&mut self, query: &TopQuery, wall: Micros) -> Result<Asked, TopError> {
        self.advance(wall);
        let now = self.now(wall);
        let kept_from = self.facts.kept_from.max(now.kept_from(self.sales_days));
        let window = window::resolve(query, now, kept_from)?;
        let as_of = query.as_of.unwrap_or(now.at);
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        if self.running.covers(&window) {
            let best = self.running.best();
            let products = best[..best.len().min(limit)].to_vec();
            return Ok(Asked::Answer(answer(products, &window, as_of)));
        }
        let parts = self.buckets.parts(&window);
        Ok(Asked::Pending(Pending { parts, window, as_of, limit }))
    }

    /// Asks and sums in one go.
    ///
    /// # Errors
    /// [`TopError`]
    pub fn top(&mut self, query: &TopQuery, wall: Micros) -> Result<TopAnswer, TopError> {
        match self.ask(query, wall)? {
            Asked::Answer(answer) => Ok(answer),
            Asked::Pending(pending) => Ok(pending.sum()),
        }
    }

    /// Time of the newest sale that was counted.
    pub fn newest_sale(&self) -> Option<Micros> {
        self.facts.newest
    }

    /// How many sales came when their minute was no longer kept.
    pub fn dropped(&self) -> u64 {
        self.facts.dropped
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    pub(crate) fn sales_days(&self) -> u32 {
        self.sales_days
    }

    pub(crate) fn facts(&self) -> Facts {
        self.facts
    }

    pub(crate) fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    pub(crate) fn buckets_mut(&mut self) -> &mut Buckets {
        &mut self.buckets
    }
}

/// A question whose window has yet to be summed, on a consistent picture of the buckets.
pub struct Pending {
    parts: Vec<Arc<Totals>>,
    window: Range<Minute>,
    as_of: Micros,
    limit: usize,
}

impl Pending {
    /// Adds up and ranks.
    pub fn sum(self) -> TopAnswer {
        let mut totals = Totals::default();
        self.parts.iter().for_each(|part| totals.add_all(part));
        answer(totals.best(self.limit), &self.window, self.as_of)
    }
}

fn answer(products: Vec<TopProduct>, window: &Range<Minute>, as_of: Micros) -> TopAnswer {
    let (window_from, window_to) = (window.start.start(), window.end.start());
    TopAnswer { products, window_from, window_to, as_of }
}
