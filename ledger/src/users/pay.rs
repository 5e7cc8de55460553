//! Payment: `wallet -> revenue` and SUCCESS, or FAILED for want of money. An order that is paid now
//! comes here with its last answer, one that is paid later with its PayOrder.

use super::{
    Users, charge, end,
    state::{self, Order},
};
use crate::{Broken, Decision, Rules, idempotency::Ruling, postings::transfer};
use jupan_schemas::{
    Code, Micros, OrderId, OrderStatus, Outcome, Posting, UserId,
    planted::{Bug, is_planted},
    rows::OrderLine,
};

/// The order that may be paid. The state decides first, then the record's time: a timer that has
/// yet to ring makes no order payable.
fn check(order: Option<&Order>, at: Micros) -> Result<&Order, Code> {
    let order = order.ok_or(Code::OrderNotFound)?;
    let at = at.plus(i64::from(is_planted(Bug::DeadlineEdge)));
    match order.status {
        OrderStatus::Pending if at > order.deadline => Err(Code::OrderExpired),
        OrderStatus::Pending if order.payment_due.is_none() => Err(Code::OrderNotReady),
        OrderStatus::Pending => Ok(order),
        OrderStatus::Failed if order.reason == Some(Code::Expired) => Err(Code::OrderExpired),
        _ => Err(Code::OrderNotPending),
    }
}

/// PayOrder. Want of money ends the order, as it does one that is paid now.
pub(super) fn decide(
    users: &Users,
    rules: &Rules,
    (user_id, id): (UserId, OrderId),
    at: Micros,
) -> Result<Ruling, Broken> {
    let order = match check(users.order_of(user_id, id)?, at) {
        Ok(order) => order,
        Err(code) => return Ok(Ruling::of_order(code, id)),
    };
    let decision = debit(users, rules, id, order, &order.lines, at)?;
    let outcome = Outcome::of_order(decision.code, id);
    Ok(Ruling::OfOrder { outcome, decision })
}

/// Everything is held: the wallet pays, or the order fails.
pub(super) fn debit(
    users: &Users,
    rules: &Rules,
    id: OrderId,
    order: &Order,
    lines: &[OrderLine],
    at: Micros,
) -> Result<Decision, Broken> {
    let fail = |code| end::fail(users, rules, (id, order), lines, Outcome::of(code));
    let Some(total) = state::total(lines) else { return fail(Code::TotalLimit) };
    let user = users.owner_of(id, order)?;
    if user.balance < total {
        return fail(Code::InsufficientBalance);
    }
    let wallet = charge::wallet(order.user_id, user);
    let postings: Vec<Posting> = match total.0 {
        // What costs nothing moves nothing.
        0 => Vec::new(),
        amount => match transfer(amount, wallet, users.revenue.side(users.lane)) {
            Some(postings) => postings.to_vec(),
            None => return fail(Code::TotalLimit),
        },
    };
    end::succeed(rules, (id, order), total, postings, at)
}
