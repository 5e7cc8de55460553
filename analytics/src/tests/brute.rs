//! The recount: all sales in a list, every window summed from the first to the last of them.

use crate::{Clock, TopAnswer, TopError, TopQuery};
use jupan_schemas::{Micros, Money, Sale, TopProduct, Units};
use std::{cmp::Reverse, collections::BTreeMap};

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;

fn round_up(at: i64) -> i64 {
    (at + MINUTE - 1).div_euclid(MINUTE) * MINUTE
}

fn round_down(at: i64) -> i64 {
    at.div_euclid(MINUTE) * MINUTE
}

/// What a history must answer.
pub(crate) struct Recount {
    pub(crate) clock: Clock,
    pub(crate) sales_days: i64,
    pub(crate) sales: Vec<Sale>,
    pub(crate) dropped: u64,
    newest: Option<i64>,
    kept_from: i64,
}

impl Recount {
    pub(crate) fn new(clock: Clock, sales_days: u32) -> Self {
        let sales_days = i64::from(sales_days);
        let (sales, kept_from) = (Vec::new(), i64::MIN);
        Self { clock, sales_days, sales, dropped: 0, newest: None, kept_from }
    }

    pub(crate) fn now(&self, wall: i64) -> i64 {
        match (self.clock, self.newest) {
            (Clock::Event, Some(newest)) => newest,
            _ => wall,
        }
    }

    /// Time passes: what is too old is given up for good.
    pub(crate) fn tick(&mut self, wall: i64) {
        if self.clock == Clock::Wall || self.newest.is_some() {
            let kept_from = round_up(self.now(wall)) - self.sales_days * DAY;
            self.kept_from = self.kept_from.max(kept_from);
        }
    }

    pub(crate) fn sell(&mut self, sale: &Sale, wall: i64) {
        self.sales.push(sale.clone());
        if round_down(sale.sold_at.0) < self.kept_from {
            self.dropped += 1;
        } else {
            self.newest = self.newest.max(Some(sale.sold_at.0));
        }
        if self.clock == Clock::Event {
            self.tick(wall);
        }
    }

    pub(crate) fn top(&mut self, query: &TopQuery, wall: i64) -> Result<TopAnswer, TopError> {
        self.tick(wall);
        let now = self.now(wall);
        if query.days == 0 || query.days > 30 {
            return Err(TopError::Days);
        }
        if query.limit == 0 || query.limit > 100 {
            return Err(TopError::Limit);
        }
        if query.as_of.is_some_and(|as_of| as_of.0 > now) {
            return Err(TopError::Future { now: Micros(now) });
        }
        let to = match query.as_of {
            Some(as_of) => round_up(as_of.0),
            None if self.clock == Clock::Event && self.newest.is_some() => round_down(now) + MINUTE,
            None => round_up(now),
        };
        let from = to - i64::from(query.days) * DAY;
        let kept_from = self.kept_from.max(round_up(now) - self.sales_days * DAY);
        if from < kept_from {
            return Err(TopError::NotKept { from: Micros(kept_from) });
        }
        let limit = usize::try_from(query.limit).unwrap();
        let products = best(&self.sales, from, to, limit);
        let as_of = query.as_of.unwrap_or(Micros(now));
        Ok(TopAnswer { products, window_from: Micros(from), window_to: Micros(to), as_of })
    }
}

/// The best sellers among sales with `from <= sold_at < to`.
pub(crate) fn best(sales: &[Sale], from: i64, to: i64, limit: usize) -> Vec<TopProduct> {
    let mut sums = BTreeMap::<u64, (i64, i64)>::new();
    for sale in sales.iter().filter(|sale| from <= sale.sold_at.0 && sale.sold_at.0 < to) {
        let sum = sums.entry(sale.product_id.0).or_default();
        *sum = (sum.0 + sale.units.0, sum.1 + sale.amount.0);
    }
    let mut all: Vec<_> = sums.into_iter().filter(|(_, (units, _))| *units > 0).collect();
    all.sort_by_key(|(product, (units, amount))| (Reverse(*units), Reverse(*amount), *product));
    let ranked = (1..).zip(all.into_iter().take(limit));
    ranked
        .map(|(rank, (product, (units, amount)))| TopProduct {
            rank,
            product_id: jupan_schemas::ProductId(product),
            units: Units(units),
            amount: Money(amount),
        })
        .collect()
}
