//! RefundOrder: `revenue -> wallet` for all that is left of a paid order, or for some of its units,
//! again and again until nothing is left; the product lanes are told to take the units back.

use super::{
    Users, charge,
    state::{self, Order},
};
use crate::{
    Broken, Decision, Rules,
    cells::Moment,
    idempotency::Ruling,
    postings::{self, transfer},
};
use hashbrown::HashMap;
use jupan_schemas::{
    Account, BALANCE_MAX, Change, Code, Entry, Line, LinesRefunded, Message, Money, OrderStatus,
    Outcome, PricedLine, ProductId, RefundOrder, Return, Units, UserId, Verdict,
    planted::{Bug, is_planted},
    rows::{HistoryLine, OrderLine},
};

/// What is given back now, in the order of the order's lines.
fn check<'a>(
    order: Option<&'a Order>,
    wish: &RefundOrder,
) -> Result<(&'a Order, Vec<PricedLine>), Outcome> {
    let order = order.ok_or_else(|| Outcome::of(Code::OrderNotFound))?;
    match order.status {
        OrderStatus::Success | OrderStatus::Refunded => {}
        _ => return Err(Outcome::of(Code::OrderNotPaid)),
    }
    let wanted = if wish.items.is_empty() { None } else { Some(merge(order, &wish.items)?) };
    let mut lines = Vec::new();
    for line in &order.lines {
        let left = left_of(line);
        let quantity = match &wanted {
            None => left,
            Some(wanted) => wanted.get(&line.product_id).copied().unwrap_or(Units::ZERO),
        };
        if quantity > left {
            return Err(about(Code::RefundExceeds, line.product_id));
        }
        if quantity > Units::ZERO {
            let price = line.price.unwrap_or(Money::ZERO);
            lines.push(PricedLine { product_id: line.product_id, quantity, price });
        }
    }
    if lines.is_empty() { Err(Outcome::of(Code::RefundExceeds)) } else { Ok((order, lines)) }
}

/// Units per product. Stops at the first item that the order does not have, so that a long list
/// costs no more than the order has lines.
fn merge(order: &Order, items: &[Line]) -> Result<HashMap<ProductId, Units>, Outcome> {
    let mut wanted: HashMap<ProductId, Units> =
        order.lines.iter().map(|line| (line.product_id, Units::ZERO)).collect();
    for Line { product_id, quantity } in items {
        if *quantity <= Units::ZERO {
            return Err(about(Code::InvalidQuantity, *product_id));
        }
        let exceeds = || about(Code::RefundExceeds, *product_id);
        let units = wanted.get_mut(product_id).ok_or_else(exceeds)?;
        *units = units.checked_add(*quantity).ok_or_else(exceeds)?;
    }
    Ok(wanted)
}

fn about(code: Code, product_id: ProductId) -> Outcome {
    Outcome { product_id: Some(product_id), ..Outcome::of(code) }
}

/// Units of a line that can still be given back.
fn left_of(line: &OrderLine) -> Units {
    let refunded = if is_planted(Bug::RefundTooMuch) { Units::ZERO } else { line.refunded };
    line.quantity.checked_sub(refunded).unwrap_or(Units::ZERO)
}

pub(super) fn decide(
    users: &Users,
    rules: &Rules,
    user_id: UserId,
    wish: &RefundOrder,
) -> Result<Ruling, Broken> {
    let id = wish.order_id;
    let (order, lines) = match check(users.order_of(user_id, id)?, wish) {
        Ok(found) => found,
        Err(outcome) if outcome.code == Code::OrderNotFound => return Ok(Ruling::Refused(outcome)),
        Err(outcome) => return Ok(Ruling::Refused(Outcome { order_id: Some(id), ..outcome })),
    };
    let Some(amount) = cost(&lines) else {
        return Err(Broken::about("order", id, "gives back more money than can be counted"));
    };
    let user = users.owner_of(id, order)?;
    let has_room = user.balance.checked_add(amount).is_some_and(|sum| sum.0 <= BALANCE_MAX);
    if !has_room {
        return Ok(Ruling::of_order(Code::BalanceLimit, id));
    }
    let (revenue, wallet) = (users.revenue.side(users.lane), charge::wallet(user_id, user));
    let postings = match amount.0 {
        // What cost nothing moves nothing.
        0 => Vec::new(),
        amount => transfer(amount, revenue, wallet)
            .ok_or_else(|| Broken::about("order", id, "its money cannot be counted"))?
            .to_vec(),
    };
    let sold_at = order.sold_at;
    let sold_at = sold_at.ok_or_else(|| Broken::about("order", id, "paid, but never sold"))?;
    let given_back: Vec<Line> = lines.iter().map(unpriced).collect();
    let status = status_after(order, &given_back);
    let refunded = LinesRefunded { order_id: id, lines: given_back, status };
    let lanes = state::by_lane(lines, rules.lanes, |line| line.product_id);
    let tell = |(lane, lines)| (lane, Message::Return(Return { order_id: id, lines, sold_at }));
    let forgotten = usize::from(is_planted(Bug::ReturnForgotten));
    let decision = Decision {
        changes: vec![Change::LinesRefunded(refunded)],
        postings,
        messages: lanes.into_iter().skip(forgotten).map(tell).collect(),
        ..Decision::nothing(Verdict::Accepted, Code::Ok)
    };
    let outcome = Outcome::of_order(Code::Ok, id);
    Ok(Ruling::OfOrder { outcome, decision })
}

fn unpriced(line: &PricedLine) -> Line {
    Line { product_id: line.product_id, quantity: line.quantity }
}

fn cost(lines: &[PricedLine]) -> Option<Money> {
    lines.iter().try_fold(Money::ZERO, |sum, line| {
        sum.checked_add(line.price.checked_times(line.quantity)?)
    })
}

/// REFUNDED once nothing is left, else still SUCCESS.
fn status_after(order: &Order, given_back: &[Line]) -> OrderStatus {
    let units = |lines: &mut dyn Iterator<Item = Units>| -> i128 {
        lines.map(|units| i128::from(units.0)).sum()
    };
    let left = units(&mut order.lines.iter().map(left_of));
    let now = units(&mut given_back.iter().map(|line| line.quantity));
    if left == now { OrderStatus::Refunded } else { OrderStatus::Success }
}

/// Adds what is given back to the order's lines; its worth.
fn add(order: &mut Order, refunded: &LinesRefunded) -> Result<Money, &'static str> {
    let mut worth = Money::ZERO;
    for Line { product_id, quantity } in &refunded.lines {
        let line = order.lines.iter_mut().find(|line| line.product_id == *product_id);
        let line = line.ok_or("gives back a product that it does not have")?;
        if *quantity <= Units::ZERO || *quantity > left_of(line) {
            return Err("gives back more units than are left, or none");
        }
        line.refunded = line.refunded.checked_add(*quantity).ok_or("uncountable units")?;
        let price = line.price.ok_or("gives back what has no price")?;
        let amount = price.checked_times(*quantity).and_then(|amount| worth.checked_add(amount));
        worth = amount.ok_or("gives back more money than can be counted")?;
    }
    Ok(worth)
}

pub(super) fn evolve(
    users: &mut Users,
    entry: &Entry,
    now: &Moment,
    refunded: &LinesRefunded,
) -> Result<(), Broken> {
    let id = refunded.order_id;
    let broken = |what| Broken::about("order", id, what);
    let Some(order) = users.orders.change(id, now)? else { return Ok(()) };
    if order.status != OrderStatus::Success {
        return Err(broken("gives back, but is not paid"));
    }
    let status = status_after(order, &refunded.lines);
    let worth = add(order, refunded).map_err(broken)?;
    let moved = postings::moved(&entry.postings, Account::Wallet);
    if status != refunded.status || moved != i128::from(worth.0) {
        return Err(broken("gives back other money than its lines are worth"));
    }
    if status != order.status {
        order.history.push(HistoryLine { status, reason: None, at: now.at });
    }
    order.status = status;
    order.updated_at = now.at;
    Ok(())
}
