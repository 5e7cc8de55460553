//! Sums by product, and who is best among them.

use hashbrown::{HashMap, hash_map::Entry};
use jupan_schemas::{Money, ProductId, TopProduct, Units};
use std::{cmp::Ordering, collections::BinaryHeap};

/// What was sold of one product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) units: Units,
    pub(crate) amount: Money,
}

impl Sums {
    /// The sum, given that [`Volumes`] let both in: then it fits.
    fn plus(self, other: Self) -> Self {
        let units = Units(self.units.0.saturating_add(other.units.0));
        Self { units, amount: Money(self.amount.0.saturating_add(other.amount.0)) }
    }

    /// The opposite, likewise.
    fn opposite(self) -> Self {
        Self {
            units: Units(self.units.0.saturating_neg()),
            amount: Money(self.amount.0.saturating_neg()),
        }
    }

    /// Without signs.
    fn checked_abs(self) -> Option<Self> {
        let units = Units(self.units.0.checked_abs()?);
        Some(Self { units, amount: Money(self.amount.0.checked_abs()?) })
    }

    fn checked_add(self, other: Self) -> Option<Self> {
        let units = self.units.checked_add(other.units)?;
        Some(Self { units, amount: self.amount.checked_add(other.amount)? })
    }

    fn is_zero(self) -> bool {
        self == Self::default()
    }
}

/// How much of each product was ever sold and returned, added up without signs. As long as that
/// fits into 64 bits, no sum over any of its sales can leave them, so all other sums need no check.
#[derive(Default)]
pub(crate) struct Volumes(HashMap<ProductId, Sums>);

impl Volumes {
    /// Lets a sale in.
    ///
    /// # Errors
    /// [`Overflow`]: the sale must not be added to any sum.
    pub(crate) fn admit(&mut self, product: ProductId, sums: Sums) -> Result<(), Overflow> {
        let volume = self.0.entry(product).or_default();
        let sum = sums.checked_abs().and_then(|sums| volume.checked_add(sums));
        *volume = sum.ok_or(Overflow { product })?;
        Ok(())
    }
}

/// A product's sums would not fit into 64 bits: no honest sales do that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sums of product {product} do not fit into 64 bits")]
pub struct Overflow {
    /// Which product.
    pub product: ProductId,
}

/// Sums by product. A product whose sums are zero is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals(HashMap<ProductId, Sums>);

impl Totals {
    pub(crate) fn add(&mut self, product: ProductId, sums: Sums) {
        match self.0.entry(product) {
            Entry::Occupied(mut entry) => {
                let sum = entry.get().plus(sums);
                if sum.is_zero() {
                    entry.remove();
                } else {
                    *entry.get_mut() = sum;
                }
            }
            Entry::Vacant(entry) if !sums.is_zero() => {
                entry.insert(sums);
            }
            Entry::Vacant(_) => {}
        }
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        other.0.iter().for_each(|(product, sums)| self.add(*product, *sums));
    }

    pub(crate) fn subtract_all(&mut self, other: &Self) {
        other.0.iter().for_each(|(product, sums)| self.add(*product, sums.opposite()));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ProductId, Sums)> {
        self.0.iter().map(|(product, sums)| (*product, *sums))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// By product id, so that equal totals are equal bytes on disk.
    pub(crate) fn in_order(&self) -> Vec<(ProductId, Sums)> {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_unstable_by_key(|(product, _)| *product);
        all
    }

    /// The best `limit` products that sold at all, best first. Looks at every product once and
    /// remembers `limit`.
    pub(crate) fn best(&self, limit: usize) -> Vec<TopProduct> {
        let mut best = BinaryHeap::with_capacity(limit + 1);
        for (product, sums) in self.0.iter().filter(|(_, sums)| sums.units > Units::ZERO) {
            let seller = Seller { sums: *sums, product: *product };
            if best.len() < limit {
                best.push(seller);
            } else if best.peek().is_some_and(|worst| seller < *worst) {
                best.pop();
                best.push(seller);
            }
        }
        let ranked = (1..).zip(best.into_sorted_vec());
        ranked
            .map(|(rank, Seller { sums, product })| TopProduct {
                rank,
                product_id: product,
                units: sums.units,
                amount: sums.amount,
            })
            .collect()
    }
}

/// A product with its sums; the better seller is the lesser, so that sorting puts it first.
#[derive(PartialEq, Eq)]
struct Seller {
    sums: Sums,
    product: ProductId,
}

impl Ord for Seller {
    fn cmp(&self, other: &Self) -> Ordering {
        let units = other.sums.units.cmp(&self.sums.units);
        let amount = other.sums.amount.cmp(&self.sums.amount);
        units.then(amount).then(self.product.cmp(&other.product))
    }
}

impl PartialOrd for Seller {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
