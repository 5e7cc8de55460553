//! The end of an order, which several inputs lead to: SUCCESS or FAILED, the product lanes told,
//! all askers answered.

use super::{
    Users, cart,
    state::{self, Order},
};
use crate::{Broken, Decision, Rules, cells::Moment, postings};
use jupan_schemas::{
    Account, Answer, Change, Code, Entry, Message, Micros, Money, OrderEnded, OrderId, OrderStatus,
    Outcome, Payment, Posting, Release, Settle, Verdict,
    planted::{Bug, is_planted},
    rows::{HistoryLine, OrderLine},
};

/// FAILED: no money moves, every product lane in it releases (one that holds nothing does nothing
/// then), and what came out of the cart is back in it. `lines` are the order's, with all prices
/// that are known by now.
pub(super) fn fail(
    users: &Users,
    rules: &Rules,
    (order_id, order): (OrderId, &Order),
    lines: &[OrderLine],
    why: Outcome,
) -> Result<Decision, Broken> {
    let release = |lane| (lane, Message::Release(Release { order_id }));
    let ended = OrderEnded {
        order_id,
        status: OrderStatus::Failed,
        code: why.code,
        product_id: why.product_id,
        total_price: state::total(lines).unwrap_or(Money::ZERO),
    };
    let forgotten = usize::from(is_planted(Bug::ReleaseForgotten));
    let messages =
        state::lanes_of(order, rules.lanes).into_iter().map(release).skip(forgotten).collect();
    let mut decision = end(order, ended, messages, Vec::new())?;
    decision.changes.extend(cart::put_back(users, order_id, order)?);
    Ok(decision)
}

/// SUCCESS: the wallet has paid, and every product lane in it settles.
pub(super) fn succeed(
    rules: &Rules,
    (order_id, order): (OrderId, &Order),
    total_price: Money,
    postings: Vec<Posting>,
    at: Micros,
) -> Result<Decision, Broken> {
    let occurred_at = order.occurred_at.filter(|_| !is_planted(Bug::LateSaleDatedNow));
    let sold_at = occurred_at.unwrap_or(at);
    let settle = |lane| (lane, Message::Settle(Settle { order_id, sold_at }));
    let status = OrderStatus::Success;
    let ended = OrderEnded { order_id, status, code: Code::Ok, product_id: None, total_price };
    let mut messages: Vec<_> =
        state::lanes_of(order, rules.lanes).into_iter().map(settle).collect();
    messages.extend_from_within(..usize::from(is_planted(Bug::SettledTwice)));
    end(order, ended, messages, postings)
}

fn end(
    order: &Order,
    ended: OrderEnded,
    messages: Vec<(u16, Message)>,
    postings: Vec<Posting>,
) -> Result<Decision, Broken> {
    Ok(Decision {
        verdict: Verdict::Accepted,
        code: ended.code,
        postings,
        messages,
        answers: answers(ended.order_id, order, outcome(&ended))?,
        changes: vec![Change::OrderEnded(ended)],
    })
}

/// All who wait for the order get its first outcome. Nobody does where it had one before.
pub(super) fn answers(id: OrderId, order: &Order, outcome: Outcome) -> Result<Vec<Answer>, Broken> {
    let command_id = id.command().ok_or_else(|| Broken::about("order", id, "no order id"))?;
    let answer = |asker: &_| Answer { command_id, asker: *asker, outcome };
    let told = if is_planted(Bug::AskerForgotten) { 1 } else { usize::MAX };
    Ok(order.askers.iter().map(answer).take(told).collect())
}

/// What all who ask for the order are told, now and later.
fn outcome(ended: &OrderEnded) -> Outcome {
    let OrderEnded { order_id, code, product_id, .. } = *ended;
    Outcome { product_id, ..Outcome::of_order(code, order_id) }
}

/// Checks an end against the order and the money that its entry moves.
fn check_end(order: &Order, entry: &Entry, ended: &OrderEnded) -> Result<(), &'static str> {
    let is_success = ended.status == OrderStatus::Success;
    let is_payable = order.payment == Payment::Now || order.payment_due.is_some();
    let is_held = is_payable
        && order.awaits.is_empty()
        && Some(ended.total_price) == state::total(&order.lines);
    let is_put_back = entry
        .changes
        .iter()
        .any(|change| matches!(change, Change::CartChanged(cart) if cart.user_id == order.user_id));
    let moved = postings::moved(&entry.postings, Account::Wallet);
    let cost = if is_success { i128::from(ended.total_price.0) } else { 0 };
    if !order.is_pending() {
        Err("it ends, but is not pending")
    } else if is_success && !is_held {
        Err("it succeeds without what its lines need")
    } else if moved != -cost {
        Err("its end moves other money than it costs")
    } else if is_put_back != (order.from_cart && !is_success) {
        Err("it fails without its cart, or takes the cart without failing")
    } else {
        Ok(())
    }
}

pub(super) fn evolve(
    users: &mut Users,
    entry: &Entry,
    now: &Moment,
    ended: &OrderEnded,
) -> Result<(), Broken> {
    let id = ended.order_id;
    let Some(order) = users.orders.change(id, now)? else { return Ok(()) };
    check_end(order, entry, ended).map_err(|what| Broken::about("order", id, what))?;
    let is_success = ended.status == OrderStatus::Success;
    let reason = (!is_success).then_some(ended.code);
    order.status = ended.status;
    order.reason = reason;
    order.reason_product = ended.product_id;
    order.total = ended.total_price;
    order.sold_at = is_success.then(|| order.occurred_at.unwrap_or(now.at));
    order.updated_at = now.at;
    order.awaits.clear();
    order.askers.clear();
    order.payment_due = None;
    // An order that was to be paid later has told its first outcome when it became payable.
    order.outcome.get_or_insert_with(|| outcome(ended));
    order.history.push(HistoryLine { status: ended.status, reason, at: now.at });
    Ok(())
}
