//! CancelOrder: a pending order fails at once, whatever answers are outstanding. They find an order
//! that is over, and what was held for it is released behind its Reserve.

use super::{Users, end, state::Order};
use crate::{Broken, Rules, idempotency::Ruling};
use jupan_schemas::{Code, OrderId, Outcome, UserId};

fn check(order: Option<&Order>) -> Result<&Order, Code> {
    let order = order.ok_or(Code::OrderNotFound)?;
    if order.is_pending() { Ok(order) } else { Err(Code::OrderNotPending) }
}

pub(super) fn decide(
    users: &Users,
    rules: &Rules,
    (user_id, id): (UserId, OrderId),
) -> Result<Ruling, Broken> {
    let order = match check(users.order_of(user_id, id)?) {
        Ok(order) => order,
        Err(code) => return Ok(Ruling::of_order(code, id)),
    };
    let why = Outcome::of(Code::Cancelled);
    let decision = end::fail(users, rules, (id, order), &order.lines, why)?;
    let outcome = Outcome::of_order(Code::Ok, id);
    Ok(Ruling::OfOrder { outcome, decision })
}
