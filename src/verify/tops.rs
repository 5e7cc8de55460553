//! Invariant 10: every published list of best sellers equals a recount, by brute force, of the
//! sales that the journal implies and that the list says it has counted.

use super::findings::{Desk, Invariant};
use hashbrown::HashMap;
use jupan_schemas::{Micros, Money, ProductId, Sale, TopProduct, TopProducts, Units};
use serde::{Deserialize, Serialize};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
    ops::Range,
};

/// Length of the window that the shop publishes.
const WINDOW_US: i64 = 3 * Micros::DAY;
/// Sums are kept so long before the window of the last list: clocks fall back.
const SUMS_KEPT_MINUTES: i64 = 24 * 60;
/// So many sales of one partition wait at most for a list that counts them.
const FRESH_MAX: u32 = if cfg!(test) { 4 } else { 1 << 16 };

/// One product sold or returned.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Fact {
    partition: u16,
    offset: u64,
    product: ProductId,
    units: i64,
    amount: i64,
    /// Since its minute began.
    sold_at_us: i64,
}

/// Units and amount of each product.
type Sums = HashMap<ProductId, (i64, i64)>;

/// One partition of `sales`.
#[derive(Clone, Default)]
struct Partition {
    /// Next offset.
    end: u64,
    /// Everything before this offset is in the sums.
    summed: u64,
    /// What is not, with its minute.
    fresh: VecDeque<(i64, Fact)>,
}

/// Sales so far. A list counts what the one before it did, and more: so what lists have counted is
/// summed up by minute. A list that goes back is held against every single sale.
pub(super) struct Sales {
    partitions: Vec<Partition>,
    /// All of them, small, by minute of sale.
    by_minute: BTreeMap<i64, Vec<u8>>,
    sums: BTreeMap<i64, Sums>,
    /// The first minute whose sums are kept.
    sums_from: i64,
    newest: Option<Micros>,
    lists: u64,
}

impl Sales {
    pub(super) fn new(lanes: u16) -> Self {
        Self {
            partitions: vec![Partition::default(); usize::from(lanes)],
            by_minute: BTreeMap::new(),
            sums: BTreeMap::new(),
            sums_from: i64::MIN,
            newest: None,
            lists: 0,
        }
    }

    /// A sale that an entry means: it is the next record of its partition.
    pub(super) fn add(&mut self, index: u16, sale: &Sale) {
        let Some(partition) = self.partitions.get_mut(usize::from(index)) else { return };
        let fact = Fact {
            partition: index,
            offset: partition.end,
            product: sale.product_id,
            units: sale.units.0,
            amount: sale.amount.0,
            sold_at_us: sale.sold_at.0.rem_euclid(Micros::MINUTE),
        };
        let minute = minute_of(sale.sold_at);
        partition.end += 1;
        partition.fresh.push_back((minute, fact));
        self.newest = self.newest.max(Some(sale.sold_at));
        let packed = self.by_minute.entry(minute).or_default();
        // Plain numbers can be written into memory; a sale that is missing would show in a list.
        if let Ok(bytes) = postcard::to_extend(&fact, std::mem::take(packed)) {
            *packed = bytes;
        }
        if fact.offset - partition.summed > u64::from(FRESH_MAX) {
            self.sum_up(usize::from(index), fact.offset - u64::from(FRESH_MAX) / 2);
        }
    }

    /// Sums up the sales of a partition before an offset.
    fn sum_up(&mut self, index: usize, offset: u64) {
        let Some(partition) = self.partitions.get_mut(index) else { return };
        while let Some(&(minute, fact)) = partition.fresh.front().filter(|(_, f)| f.offset < offset)
        {
            partition.fresh.pop_front();
            if minute >= self.sums_from {
                add(self.sums.entry(minute).or_default(), fact.product, fact.units, fact.amount);
            }
        }
        partition.summed = partition.summed.max(offset);
    }

    /// Lists checked so far.
    pub(super) fn lists(&self) -> u64 {
        self.lists
    }

    /// Compares a published list with the recount.
    pub(super) fn check(&mut self, list: &TopProducts, desk: &mut Desk<'_>) {
        self.lists += 1;
        let rule = Invariant::TopSellers;
        let ends = self.partitions.iter().map(|partition| partition.end);
        let is_whole = list.positions.len() == self.partitions.len();
        let is_behind = is_whole && ends.zip(&list.positions).all(|(end, at)| *at <= end);
        if !desk.rule(rule, "positions of a list", is_behind, "at most the sales' ends", "beyond") {
            return;
        }
        let limit = usize::try_from(list.limit).unwrap_or(usize::MAX);
        let expected = best(self.counted(list), limit);
        let about = |rank: usize| format!("rank {rank} of the list up to {}", list.window_to.0);
        if !desk.same(rule, "ranks of a list", expected.len(), list.products.len()) {
            return;
        }
        for (rank, (own, told)) in expected.iter().zip(&list.products).enumerate() {
            if !desk.same(rule, about(rank + 1), own, told) {
                return;
            }
        }
    }

    /// What a list should count of each product.
    fn counted(&mut self, list: &TopProducts) -> Sums {
        let window = list.window_from..list.window_to;
        let minutes = minute_of(window.start)..minute_of(window.end);
        let is_on_minutes = [window.start, window.end].map(|at| at.0.rem_euclid(Micros::MINUTE));
        let summed = self.partitions.iter().map(|partition| partition.summed);
        let goes_on = summed.zip(&list.positions).all(|(summed, at)| summed <= *at);
        if is_on_minutes != [0, 0] || minutes.start < self.sums_from || !goes_on {
            return self.recount(window, |fact| {
                let position = list.positions.get(usize::from(fact.partition));
                position.is_some_and(|position| fact.offset < *position)
            });
        }
        (0..).zip(&list.positions).for_each(|(index, position)| self.sum_up(index, *position));
        let kept_from = minutes.start.saturating_sub(SUMS_KEPT_MINUTES);
        if kept_from > self.sums_from {
            self.sums_from = kept_from;
            self.sums = self.sums.split_off(&kept_from);
        }
        let mut all = Sums::new();
        if !minutes.is_empty() {
            for (product, (units, amount)) in self.sums.range(minutes).flat_map(|(_, sums)| sums) {
                add(&mut all, *product, *units, *amount);
            }
        }
        all
    }

    /// The same sale by sale.
    fn recount(&self, window: Range<Micros>, counts: impl Fn(&Fact) -> bool) -> Sums {
        let mut sums = Sums::new();
        let minutes = minute_of(window.start)..=minute_of(window.end);
        if minutes.is_empty() {
            return sums;
        }
        for (minute, packed) in self.by_minute.range(minutes) {
            let mut rest = packed.as_slice();
            while let Ok((fact, behind)) = postcard::take_from_bytes::<Fact>(rest) {
                rest = behind;
                let sold_at = minute.saturating_mul(Micros::MINUTE).saturating_add(fact.sold_at_us);
                if window.contains(&Micros(sold_at)) && counts(&fact) {
                    add(&mut sums, fact.product, fact.units, fact.amount);
                }
            }
        }
        sums
    }

    /// The best sellers of the last window: three days up to the minute of the newest sale.
    pub(super) fn last_window(&self, limit: usize) -> Option<(Micros, Vec<TopProduct>)> {
        let to = Micros((minute_of(self.newest?) + 1).saturating_mul(Micros::MINUTE));
        Some((to, best(self.recount(to.plus(-WINDOW_US)..to, |_| true), limit)))
    }
}

fn minute_of(at: Micros) -> i64 {
    at.0.div_euclid(Micros::MINUTE)
}

fn add(sums: &mut Sums, product: ProductId, more_units: i64, more_amount: i64) {
    let (units, amount) = sums.entry(product).or_default();
    *units = units.saturating_add(more_units);
    *amount = amount.saturating_add(more_amount);
}

/// The first by units, then by amount, then by id.
fn best(sums: Sums, limit: usize) -> Vec<TopProduct> {
    let mut all: Vec<_> = sums.into_iter().filter(|(_, (units, _))| *units > 0).collect();
    all.sort_unstable_by_key(|(product, (units, amount))| {
        (Reverse(*units), Reverse(*amount), *product)
    });
    let best = (1..).zip(all.into_iter().take(limit));
    best.map(|(rank, (product_id, (units, amount)))| TopProduct {
        rank,
        product_id,
        units: Units(units),
        amount: Money(amount),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::findings::{Findings, Place};
    use jupan_schemas::Stamp;

    const MINUTE: i64 = Micros::MINUTE;

    fn sale(product: u64, units: i64, sold_at: i64) -> Sale {
        Sale {
            event_id: String::new(),
            product_id: ProductId(product),
            order_id: String::new(),
            units: Units(units),
            amount: Money(units * 10),
            sold_at: Micros(sold_at),
            stamp: Stamp(0),
        }
    }

    /// Lists that go on, go back, look far back or begin within a minute: all are recounted.
    #[test]
    fn a_list_is_held_against_what_it_counts() {
        let mut sales = Sales::new(1);
        let day = Micros::DAY;
        let all = [(1, 2, 5), (2, 1, MINUTE), (1, 1, 3 * day), (2, 9, 6 * day), (1, -2, 5)];
        for (product, units, at) in all {
            sales.add(0, &sale(product, units, at));
        }
        let rows = [
            (0, 2 * MINUTE, 1, vec![(1, 2)]),
            (0, 2 * MINUTE, 2, vec![(1, 2), (2, 1)]),
            (0, 4 * day, 3, vec![(1, 3), (2, 1)]),
            (0, 4 * day, 2, vec![(1, 2), (2, 1)]),
            (6, 4 * day, 3, vec![(1, 1), (2, 1)]),
            (5 * day, 7 * day, 5, vec![(2, 9)]),
            (0, 7 * day, 5, vec![(2, 10), (1, 1)]),
            (MINUTE, MINUTE, 5, vec![]),
        ];
        for (row, (from, to, position, expected)) in rows.into_iter().enumerate() {
            let products = (1..).zip(expected).map(|(rank, (product, units))| TopProduct {
                rank,
                product_id: ProductId(product),
                units: Units(units),
                amount: Money(units * 10),
            });
            let list = TopProducts {
                window_from: Micros(from),
                window_to: Micros(to),
                limit: 5,
                positions: vec![position],
                products: products.collect(),
            };
            let mut findings = Findings::default();
            sales.check(&list, &mut Desk { findings: &mut findings, place: Place::default() });
            assert_eq!(findings.count(Invariant::TopSellers), 0, "row {row}");
            let mut wrong = list.clone();
            wrong.positions = vec![6];
            sales.check(&wrong, &mut Desk { findings: &mut findings, place: Place::default() });
            assert_eq!(findings.count(Invariant::TopSellers), 1, "row {row}");
        }
    }
}
