//! The end of a hold: its units leave `reserved`.

use super::{Products, state::Hold, stock};
use crate::{Broken, Decision, cells::Moment};
use jupan_schemas::{Account, Change, Code, HoldEnd, HoldEnded, OrderId, PricedLine, Verdict};

/// The order's hold that has not ended; only the user lane that it is for may end it.
pub(super) fn open_hold(
    products: &Products,
    order_id: OrderId,
    user_lane: u16,
) -> Result<Option<&Hold>, Broken> {
    let hold = products.holds.find(order_id)?.filter(|hold| hold.is_open());
    if hold.is_some_and(|hold| hold.user_lane != user_lane) {
        return Err(Broken::about("hold of order", order_id, "another user lane wants to end it"));
    }
    Ok(hold)
}

pub(super) fn decide(
    products: &Products,
    hold: &Hold,
    ended: HoldEnded,
    to: Account,
) -> Result<Decision, Broken> {
    let mut postings = Vec::with_capacity(2 * hold.lines.len());
    for line in &hold.lines {
        let broken = |what| Broken::about("product", line.product_id, what);
        let product = products.products.find(line.product_id)?;
        let product = product.ok_or_else(|| broken("held, but it does not exist"))?;
        let moved = stock::transfer(product, line.quantity, Account::Reserved, to);
        postings.extend(moved.ok_or_else(|| broken("uncountable units"))?);
    }
    Ok(Decision {
        changes: vec![Change::HoldEnded(ended)],
        postings,
        ..Decision::nothing(Verdict::Accepted, Code::Ok)
    })
}

pub(super) fn evolve(
    products: &mut Products,
    now: &Moment,
    ended: &HoldEnded,
) -> Result<(), Broken> {
    let id = ended.order_id;
    // A hold whose end is projected is gone from the store: then there is nothing left to fold.
    let Some(hold) = products.holds.change_known(id, now)? else { return Ok(()) };
    let is_sale = ended.end == HoldEnd::Settled;
    if !hold.is_open() || is_sale != ended.sold_at.is_some() {
        return Err(Broken::about("hold of order", id, "it ends, but not as an open hold does"));
    }
    let is_countable = |line: &PricedLine| line.price.checked_times(line.quantity).is_some();
    if is_sale && !hold.lines.iter().all(is_countable) {
        return Err(Broken::about("hold of order", id, "sold for more than can be counted"));
    }
    hold.end = Some(ended.end);
    Ok(())
}
