//! Reserved: a product lane holds its lines. The last answer decides the order: paid now, or payable
//! until its deadline, or FAILED.

use super::{
    Users, end, pay,
    state::{self, Order},
};
use crate::{Broken, Decision, Rules, cells::Moment};
use jupan_schemas::{
    Change, Code, LaneReserved, Micros, OrderId, OrderReserved, Outcome, Payment, Reserved,
    Verdict, partition_of,
    planted::{Bug, is_planted},
    rows::OrderLine,
};

/// The order's lines with the lane's prices.
fn check(
    rules: &Rules,
    order: &Order,
    lane: u16,
    told: &Reserved,
) -> Result<Vec<OrderLine>, &'static str> {
    if !order.awaits.contains(&lane) {
        return Err("a product lane answers that was not asked, or has answered");
    }
    let is_of_lane = |line: &&OrderLine| partition_of(line.product_id.0, rules.lanes) == lane;
    if order.lines.iter().filter(is_of_lane).count() != told.lines.len() {
        return Err("a product lane reserved more or fewer lines than its own");
    }
    let mut lines = order.lines.clone();
    state::set_prices(&mut lines, &told.lines)?;
    Ok(lines)
}

pub(super) fn decide(
    users: &Users,
    rules: &Rules,
    lane: u16,
    told: &Reserved,
    at: Micros,
) -> Result<Decision, Broken> {
    let id = told.order_id;
    let order = state::known(users.orders.find(id)?, id)?;
    if !order.is_pending() {
        return Ok(Decision::nothing(Verdict::Ignored, Code::Ok));
    }
    if at > order.deadline && !is_planted(Bug::ReservedAfterDeadline) {
        return end::fail(users, rules, (id, order), &order.lines, Outcome::of(Code::Expired));
    }
    let broken = |what| Broken::about("order", id, what);
    let lines = check(rules, order, lane, told).map_err(broken)?;
    let reserved = LaneReserved { order_id: id, lane, lines: told.lines.clone() };
    let mut decision = match (order.awaits.len(), order.payment) {
        (1, Payment::Now) => pay::debit(users, rules, id, order, &lines, at)?,
        (1, Payment::Later) => await_payment(users, rules, id, order, &lines)?,
        _ => Decision::nothing(Verdict::Accepted, Code::Ok),
    };
    decision.changes.insert(0, Change::LaneReserved(reserved));
    Ok(decision)
}

/// Everything is held, and payment is due. That is the first outcome of an order to be paid later.
fn await_payment(
    users: &Users,
    rules: &Rules,
    id: OrderId,
    order: &Order,
    lines: &[OrderLine],
) -> Result<Decision, Broken> {
    if state::total(lines).is_none() {
        return end::fail(users, rules, (id, order), lines, Outcome::of(Code::TotalLimit));
    }
    let reserved = OrderReserved { order_id: id, payment_due: order.deadline };
    Ok(Decision {
        changes: vec![Change::OrderReserved(reserved)],
        answers: end::answers(id, order, payable(id))?,
        ..Decision::nothing(Verdict::Accepted, Code::Ok)
    })
}

/// What those are told who wait for an order to be paid later.
fn payable(id: OrderId) -> Outcome {
    Outcome::of_order(Code::Ok, id)
}

pub(super) fn evolve(
    users: &mut Users,
    now: &Moment,
    reserved: &LaneReserved,
) -> Result<(), Broken> {
    let id = reserved.order_id;
    let Some(order) = users.orders.change(id, now)? else { return Ok(()) };
    if !order.is_pending() || !order.awaits.contains(&reserved.lane) {
        return Err(Broken::about("order", id, "a lane has reserved that it does not wait for"));
    }
    state::set_prices(&mut order.lines, &reserved.lines)
        .map_err(|what| Broken::about("order", id, what))?;
    order.awaits.retain(|lane| *lane != reserved.lane);
    order.updated_at = now.at;
    Ok(())
}

/// Folds that payment is due.
pub(super) fn evolve_payable(
    users: &mut Users,
    now: &Moment,
    reserved: &OrderReserved,
) -> Result<(), Broken> {
    let id = reserved.order_id;
    let broken = |what| Broken::about("order", id, what);
    let Some(order) = users.orders.change(id, now)? else { return Ok(()) };
    let is_new = order.is_pending() && order.outcome.is_none() && order.payment_due.is_none();
    if !is_new || order.payment != Payment::Later || !order.awaits.is_empty() {
        return Err(broken("becomes payable, but is not held, or not to be paid later"));
    }
    order.total = state::total(&order.lines).ok_or_else(|| broken("payable without its total"))?;
    order.payment_due = Some(reserved.payment_due);
    order.outcome = Some(payable(id));
    order.askers.clear();
    order.updated_at = now.at;
    Ok(())
}
