//! What a user lane knows: its rows.

use crate::{Broken, cells::Cell};
pub(crate) use jupan_schemas::rows::{OrderRow as Order, UserRow as User};
use jupan_schemas::{
    Money, PricedLine, ProductId, partition_of,
    rows::{AsOf, OrderLine},
};

impl Cell for User {
    fn as_of(&self) -> AsOf {
        self.as_of
    }

    fn set_as_of(&mut self, as_of: AsOf) {
        self.as_of = as_of;
    }
}

/// PENDING until its product lanes have answered, or its deadline passed; after its end only a
/// retry or a refund asks for it again.
impl Cell for Order {
    fn as_of(&self) -> AsOf {
        self.as_of
    }

    fn set_as_of(&mut self, as_of: AsOf) {
        self.as_of = as_of;
    }

    fn is_pinned(&self) -> bool {
        self.is_pending()
    }

    fn is_spent(&self) -> bool {
        !self.is_pending()
    }
}

/// The product lanes that have lines of an order, each once and in order.
pub(crate) fn lanes_of(order: &Order, lanes: u16) -> Vec<u16> {
    let lane_of = |line: &OrderLine| partition_of(line.product_id.0, lanes);
    let mut of_order: Vec<u16> = order.lines.iter().map(lane_of).collect();
    of_order.sort_unstable();
    of_order.dedup();
    of_order
}

/// Lines by the product lane that has their products, in the order of the lanes.
pub(crate) fn by_lane<T>(
    lines: impl IntoIterator<Item = T>,
    lanes: u16,
    product: impl Fn(&T) -> ProductId,
) -> Vec<(u16, Vec<T>)> {
    let mut of_lanes: Vec<(u16, Vec<T>)> = Vec::new();
    for line in lines {
        let lane = partition_of(product(&line).0, lanes);
        match of_lanes.binary_search_by_key(&lane, |(known, _)| *known) {
            Ok(place) => of_lanes[place].1.push(line),
            Err(place) => of_lanes.insert(place, (lane, vec![line])),
        }
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
