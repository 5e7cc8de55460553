//! The first pass over the files: what must be in the shop before the first order.
//!
//! Memory: a catalogue, the users, and 8 bytes an order to see that no `order_ref` comes back later in
//! the file.

use super::{
    Error,
    files::{FileError, Order, Orders, Products},
    limits::CHARGE_MAX,
};
use hashbrown::HashSet;
use jiff::Timestamp;
use jupan_schemas::{BALANCE_MAX, Money, PRICE_AND_STOCK_MAX, ProductId, Units, UserId};
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    path::Path,
    str::FromStr,
};

/// Parts of [`Share::ONE`].
const MILLION: i64 = 1_000_000;
/// Highest share: more stock than a thousand times the demand is taken for a slip.
const SHARE_MAX: i64 = 1000 * MILLION;

/// How much of the demanded units is put on stock, in millionths: a decimal, not a float, so that 1 is
/// all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share(i64);

impl Share {
    /// Stock for so many demanded units, rounded up to a whole one.
    fn of(self, demanded: Units) -> Option<Units> {
        let millionths = i128::from(demanded.0) * i128::from(self.0) + i128::from(MILLION - 1);
        i64::try_from(millionths / i128::from(MILLION)).ok().map(Units)
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let parts = (digits(whole) && digits(decimals) && decimals.len() <= 6).then(|| {
            let whole: i64 = whole.parse().ok()?;
            let decimals: i64 = format!("{decimals:0<6}").parse().ok()?;
            whole.checked_mul(MILLION)?.checked_add(decimals)
        });
        let share = parts.flatten().filter(|share| *share <= SHARE_MAX);
        share.map(Self).ok_or_else(|| "a decimal from 0 to 1000, like 0.5".to_owned())
    }
}

/// What the files say of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) price: Money,
    /// Units that all orders ask for.
    pub(super) demanded: Units,
}

/// What both files demand together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Demand {
    pub(super) products: BTreeMap<ProductId, Listed>,
    /// What all orders of a user cost at the products file's prices.
    pub(super) users: BTreeMap<UserId, Money>,
    pub(super) orders: u64,
    /// Lines of orders, after the same product of one order was joined.
    pub(super) lines: u64,
    /// Lines whose price is not the products file's: the shop sells at its own.
    pub(super) other_price_lines: u64,
    /// Times of the first and the last order.
    pub(super) span: Option<(Timestamp, Timestamp)>,
}

/// Reads both files once.
pub(super) fn read(products: &Path, orders: &Path) -> Result<Demand, Error> {
    let mut demand = Demand::default();
    read_products(Products::open(products)?, &mut demand)?;
    let mut file = Orders::open(orders)?;
    let mut seen = Seen::default();
    while let Some(order) = file.next_order()? {
        if !seen.insert(&order.reference) {
            let problem =
                format!("order {} comes back: its lines must be adjacent", order.reference);
            return Err(file.malformed(order.line, problem).into());
        }
        demand.add(&order).map_err(|problem| file.malformed(order.line, problem))?;
    }
    Ok(demand)
}

fn read_products(mut file: Products, demand: &mut Demand) -> Result<(), FileError> {
    while let Some(product) = file.next_product()? {
        let listed = Listed { name: product.name, price: product.price, demanded: Units::ZERO };
        if demand.products.insert(product.id, listed).is_some() {
            return Err(file.malformed(format!("product {} is listed twice", product.id)));
        }
    }
    Ok(())
}

impl Demand {
    fn add(&mut self, order: &Order) -> Result<(), String> {
        let spent = self.users.entry(order.user).or_default();
        for (item, price) in order.items.iter().zip(&order.prices) {
            let product = item.product_id;
            let listed = self.products.get_mut(&product);
            let listed =
                listed.ok_or_else(|| format!("no product {product} in the products file"))?;
            let demanded = listed.demanded.checked_add(item.quantity);
            listed.demanded = demanded
                .filter(|units| units.0 <= PRICE_AND_STOCK_MAX)
                .ok_or_else(|| format!("more units of product {product} than a shop can stock"))?;
            let cost = listed.price.checked_times(item.quantity);
            *spent = cost
                .and_then(|cost| spent.checked_add(cost))
                .filter(|spent| spent.0 <= BALANCE_MAX)
                .ok_or_else(|| {
                    format!("user {} buys for more than a wallet can hold", order.user)
                })?;
            self.lines += 1;
            self.other_price_lines += u64::from(listed.price != *price);
        }
        self.orders += 1;
        let first = self.span.map_or(order.at, |(first, _)| first);
        self.span = Some((first, order.at));
        Ok(())
    }
}

/// The `order_ref`s so far, as 64 bits of hash each; seeded anew in every run, so two that fall together
/// (a chance of one in forty million for a million orders) do so only once.
#[derive(Default)]
struct Seen {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl Seen {
    fn insert(&mut self, reference: &str) -> bool {
        self.hashes.insert(self.hasher.hash_one(reference))
    }
}

/// Stock to register each product with.
pub(super) fn stock(demanded: Units, share: Share) -> Option<Units> {
    share.of(demanded).filter(|units| units.0 <= PRICE_AND_STOCK_MAX)
}

/// The charges that put `total` into a wallet, each within what the shop takes at once.
pub(super) fn charges(total: Money) -> impl Iterator<Item = Money> {
    let mut rest = total.0;
    std::iter::from_fn(move || {
        let amount = rest.min(CHARGE_MAX);
        rest -= amount;
        (amount > 0).then_some(Money(amount))
    })
}

/// Every midnight UTC from the first to the last order.
pub(super) fn midnights(span: (Timestamp, Timestamp)) -> impl Iterator<Item = Timestamp> {
    const DAY: i64 = 24 * 60 * 60;
    let (first, last) = span;
    let before = first.as_second().div_euclid(DAY) * DAY;
    let next = (0..).map_while(move |day| Timestamp::from_second(before + day * DAY).ok());
    next.skip_while(move |at| *at < first).take_while(move |at| *at <= last)
}

#[cfg(test)]
#[path = "demand_tests.rs"]
mod tests;
