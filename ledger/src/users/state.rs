//! What a user lane knows.

use crate::{Broken, cells::Cell};
use jupan_schemas::{
    Asker, Code, Fingerprint, Line, Micros, Money, OrderStatus, Outcome, Payment, PricedLine,
    ProductId, UserId, partition_of,
    rows::{HistoryLine, OrderLine},
};
use std::collections::{BTreeMap, BTreeSet};

/// A user with wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) email: String,
    /// What the wallet holds.
    pub(crate) balance: Money,
    pub(crate) created_at: Micros,
    pub(crate) updated_at: Micros,
    pub(crate) cart: Vec<Line>,
}

impl Cell for User {}

/// An order. PENDING until its product lanes have answered, or its deadline passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) user_id: UserId,
    /// Sequence of the entry that placed it.
    pub(crate) placed: u64,
    pub(crate) status: OrderStatus,
    pub(crate) reason: Option<Code>,
    pub(crate) reason_product: Option<ProductId>,
    /// Each product once, in the order of the command.
    pub(crate) lines: Vec<OrderLine>,
    /// Product lanes whose answer is outstanding.
    pub(crate) awaits: Vec<u16>,
    pub(crate) total: Money,
    pub(crate) from_cart: bool,
    pub(crate) payment: Payment,
    pub(crate) deadline: Micros,
    pub(crate) payment_due: Option<Micros>,
    pub(crate) occurred_at: Option<Micros>,
    pub(crate) sold_at: Option<Micros>,
    pub(crate) created_at: Micros,
    pub(crate) updated_at: Micros,
    /// Of its PlaceOrder.
    pub(crate) fingerprint: Fingerprint,
    /// Who waits for its outcome; none once it has one.
    pub(crate) askers: Vec<Asker>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) history: Vec<HistoryLine>,
}

impl Cell for Order {
    fn is_pinned(&self) -> bool {
        self.is_pending()
    }
}

impl Order {
    pub(crate) fn is_pending(&self) -> bool {
        self.status == OrderStatus::Pending
    }

    /// The product lanes that have lines of it, in order.
    pub(crate) fn lanes(&self, lanes: u16) -> BTreeSet<u16> {
        self.lines.iter().map(|line| partition_of(line.product_id.0, lanes)).collect()
    }
}

/// Lines by the product lane that has their products, in the order of the lanes.
pub(crate) fn by_lane<T>(
    lines: impl IntoIterator<Item = T>,
    lanes: u16,
    product: impl Fn(&T) -> ProductId,
) -> BTreeMap<u16, Vec<T>> {
    let mut of_lanes: BTreeMap<u16, Vec<T>> = BTreeMap::new();
    for line in lines {
        of_lanes.entry(partition_of(product(&line).0, lanes)).or_default().push(line);
    }
    of_lanes
}

/// What lines cost; `None` while a price is not known, or where it is more than can be counted.
pub(crate) fn total(lines: &[OrderLine]) -> Option<Money> {
    lines.iter().try_fold(Money::ZERO, |sum, line| {
        sum.checked_add(line.price?.checked_times(line.quantity)?)
    })
}

/// Writes a product lane's prices into an order's lines.
///
/// # Errors
/// A priced line that is none of the order's, or has its price already.
pub(crate) fn set_prices(
    lines: &mut [OrderLine],
    priced: &[PricedLine],
) -> Result<(), &'static str> {
    // Both lists have the order of the command, so one walk over the order's lines finds them all.
    let mut rest = lines.iter_mut();
    for told in priced {
        let line = rest.find(|line| line.product_id == told.product_id);
        let line = line.ok_or("no line of the order has the product that was reserved")?;
        if line.quantity != told.quantity || line.price.is_some() || told.price < Money::ZERO {
            return Err("what was reserved is not the order's line");
        }
        line.price = Some(told.price);
    }
    Ok(())
}

/// An order that a message is about.
pub(crate) fn known(order: Option<&Order>, id: impl std::fmt::Display) -> Result<&Order, Broken> {
    // A product lane only answers what an order's entry asked it, and orders are never forgotten.
    order.ok_or_else(|| Broken::about("order", id, "a product lane answers, but it does not exist"))
}
