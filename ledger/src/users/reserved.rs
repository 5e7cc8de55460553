//! Reserved: a product lane holds its lines. The last answer decides the order:
//! `wallet -> revenue` and SUCCESS, or FAILED.

use super::{
    Users, charge, end,
    state::{self, Order},
};
use crate::{Broken, Decision, Rules, cells::Moment, postings::transfer};
use jupan_schemas::{
    Change, Code, LaneReserved, Micros, OrderId, Outcome, Payment, Posting, Reserved, Verdict,
    partition_of, rows::OrderLine,
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
    if at > order.deadline {
        return end::fail(rules, id, order, &order.lines, Outcome::of(Code::Expired));
    }
    let broken = |what| Broken::about("order", id, what);
    let lines = check(rules, order, lane, told).map_err(broken)?;
    let reserved = LaneReserved { order_id: id, lane, lines: told.lines.clone() };
    let mut decision = match order.awaits.len() {
        1 if order.payment != Payment::Now => {
            return Err(broken("it is to be paid later, which this version does not do"));
        }
        1 => pay(users, rules, id, order, &lines, at)?,
        _ => Decision::nothing(Verdict::Accepted, Code::Ok),
    };
    decision.changes.insert(0, Change::LaneReserved(reserved));
    Ok(decision)
}

/// Everything is held: the wallet pays, or the order fails.
fn pay(
    users: &Users,
    rules: &Rules,
    id: OrderId,
    order: &Order,
    lines: &[OrderLine],
    at: Micros,
) -> Result<Decision, Broken> {
    let Some(total) = state::total(lines) else {
        return end::fail(rules, id, order, lines, Outcome::of(Code::TotalLimit));
    };
    let user = users.users.find(order.user_id)?;
    let user = user.ok_or_else(|| Broken::about("order", id, "its user does not exist"))?;
    if user.balance < total {
        return end::fail(rules, id, order, lines, Outcome::of(Code::InsufficientBalance));
    }
    let wallet = charge::wallet(order.user_id, user);
    let postings: Vec<Posting> = match total.0 {
        // What costs nothing moves nothing.
        0 => Vec::new(),
        amount => match transfer(amount, wallet, users.revenue.side(users.lane)) {
            Some(postings) => postings.to_vec(),
            None => return end::fail(rules, id, order, lines, Outcome::of(Code::TotalLimit)),
        },
    };
    end::succeed(rules, id, order, total, postings, at)
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
