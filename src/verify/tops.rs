//! Invariant 10: every published list of best sellers equals a recount, by brute force, of the
//! sales that the journal implies and that the list says it has counted.

use super::findings::{Desk, Invariant};
use hashbrown::HashMap;
use jupan_schemas::{Micros, Money, ProductId, Sale, TopProduct, TopProducts, Units};
use std::{cmp::Reverse, collections::BTreeMap};

/// Length of the window that the shop publishes.
const WINDOW_US: i64 = 3 * Micros::DAY;

/// One product sold or returned.
#[derive(Clone, Copy)]
struct Fact {
    partition: u16,
    offset: u64,
    product: ProductId,
    units: i64,
    amount: i64,
    sold_at: Micros,
}

/// Sales so far.
pub(super) struct Sales {
    by_minute: BTreeMap<i64, Vec<Fact>>,
    /// Next offset in each partition of `sales`.
    ends: Vec<u64>,
    newest: Option<Micros>,
    lists: u64,
}

impl Sales {
    pub(super) fn new(lanes: u16) -> Self {
        let ends = vec![0; usize::from(lanes)];
        Self { by_minute: BTreeMap::new(), ends, newest: None, lists: 0 }
    }

    /// A sale that an entry means: it is the next record of its partition.
    pub(super) fn add(&mut self, partition: u16, sale: &Sale) {
        let Some(end) = self.ends.get_mut(usize::from(partition)) else { return };
        let fact = Fact {
            partition,
            offset: *end,
            product: sale.product_id,
            units: sale.units.0,
            amount: sale.amount.0,
            sold_at: sale.sold_at,
        };
        *end += 1;
        self.newest = self.newest.max(Some(sale.sold_at));
        let minute = sale.sold_at.0.div_euclid(Micros::MINUTE);
        self.by_minute.entry(minute).or_default().push(fact);
    }

    /// Lists checked so far.
    pub(super) fn lists(&self) -> u64 {
        self.lists
    }

    /// Compares a published list with the recount.
    pub(super) fn check(&mut self, list: &TopProducts, desk: &mut Desk<'_>) {
        self.lists += 1;
        let rule = Invariant::TopSellers;
        let lanes = self.ends.len();
        let ends = self.ends.iter().zip(&list.positions);
        let is_behind = list.positions.len() == lanes && ends.clone().all(|(end, at)| at <= end);
        if !desk.rule(rule, "positions of a list", is_behind, "at most the sales' ends", "beyond") {
            return;
        }
        let limit = usize::try_from(list.limit).unwrap_or(usize::MAX);
        let (from, to) = (list.window_from, list.window_to);
        let counted = |fact: &Fact| {
            let position = list.positions.get(usize::from(fact.partition));
            position.is_some_and(|position| fact.offset < *position)
        };
        let expected = self.recount(from, to, limit, counted);
        let about = |rank: usize| format!("rank {rank} of the list up to {}", to.0);
        if !desk.same(rule, "ranks of a list", expected.len(), list.products.len()) {
            return;
        }
        for (rank, (own, told)) in expected.iter().zip(&list.products).enumerate() {
            if !desk.same(rule, about(rank + 1), own, told) {
                return;
            }
        }
    }

    fn recount(
        &self,
        from: Micros,
        to: Micros,
        limit: usize,
        counts: impl Fn(&Fact) -> bool,
    ) -> Vec<TopProduct> {
        let minutes = from.0.div_euclid(Micros::MINUTE)..=to.0.div_euclid(Micros::MINUTE);
        let mut sums: HashMap<ProductId, (i64, i64)> = HashMap::new();
        if minutes.is_empty() {
            return Vec::new();
        }
        for fact in self.by_minute.range(minutes).flat_map(|(_, facts)| facts) {
            if (from..to).contains(&fact.sold_at) && counts(fact) {
                let (units, amount) = sums.entry(fact.product).or_default();
                *units = units.saturating_add(fact.units);
                *amount = amount.saturating_add(fact.amount);
            }
        }
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

    /// The best sellers of the last window: three days up to the minute of the newest sale.
    pub(super) fn last_window(&self, limit: usize) -> Option<(Micros, Vec<TopProduct>)> {
        let minute = self.newest?.0.div_euclid(Micros::MINUTE);
        let to = Micros((minute + 1).saturating_mul(Micros::MINUTE));
        Some((to, self.recount(to.plus(-WINDOW_US), to, limit, |_| true)))
    }
}
