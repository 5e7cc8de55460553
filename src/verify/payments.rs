//! PayOrder, CancelOrder and the product lanes' answers in the own model: who may move an order on,
//! when, and to which end.

use super::{
    accounts::Accounts,
    due::{Done, Due, Turn},
    findings::{Desk, Invariant},
    order::{Order, Promise},
    orders::{Orders, pending},
};
use jupan_schemas::{
    Account, Code, Lane, LaneReserved, Micros, Money, OrderId, OrderReserved, OrderStatus, Outcome,
    Payment, Reserved, ToUsers, UserId, UserMessage, partition_of,
};
use std::borrow::Cow;

const RULE: Invariant = Invariant::Orders;

/// What is said about an order.
pub(super) fn about_order(id: OrderId, code: Code) -> Outcome {
    Outcome { order_id: Some(id), ..Outcome::of(code) }
}

impl Orders {
    /// A user's order; another user's is none.
    pub(super) fn own_order(&self, user: UserId, id: OrderId) -> Option<Cow<'_, Order>> {
        self.orders.find(id).filter(|order| order.user == user)
    }

    /// PayOrder. The state decides first, then the time of the command.
    pub(super) fn due_pay(
        &self,
        lane: Lane,
        user: UserId,
        id: OrderId,
        at: Micros,
        accounts: &Accounts,
    ) -> Due {
        let refused = |outcome| Due::refused(RULE, "a PayOrder", outcome);
        let Some(order) = self.own_order(user, id) else {
            return refused(Outcome::of(Code::OrderNotFound));
        };
        let is_late = at > order.deadline;
        match (order.status, order.payment_due) {
            (OrderStatus::Pending, _) if is_late => refused(about_order(id, Code::OrderExpired)),
            (OrderStatus::Pending, None) => refused(about_order(id, Code::OrderNotReady)),
            (OrderStatus::Pending, Some(_)) => {
                let turn = payment(lane, &order, order.priced_total(), accounts);
                let done = Done::moved(id, [turn]);
                let outcome = about_order(id, done.outcome.code);
                Due::done(RULE, "a PayOrder", Done { outcome, ..done })
            }
            _ if order.reason == Code::Expired => refused(about_order(id, Code::OrderExpired)),
            _ => refused(about_order(id, Code::OrderNotPending)),
        }
    }

    /// CancelOrder: any pending order, whatever it waits for.
    pub(super) fn due_cancel(&self, user: UserId, id: OrderId) -> Due {
        let name = "a CancelOrder";
        let outcome = match self.own_order(user, id) {
            None => Outcome::of(Code::OrderNotFound),
            Some(order) if !order.is_pending() => about_order(id, Code::OrderNotPending),
            Some(_) => {
                let done = Done::moved(id, [Turn::end(Code::Cancelled, None)]);
                let outcome = about_order(id, Code::Ok);
                return Due::done(RULE, name, Done { outcome, ..done });
            }
        };
        Due::refused(RULE, name, outcome)
    }

    /// What a product lane answers, or a timer. An order that is over, or not of this lane, goes on
    /// for nobody.
    pub(super) fn due_answer(
        &self,
        lane: Lane,
        told: &UserMessage,
        at: Micros,
        accounts: &Accounts,
    ) -> Due {
        let (id, name) = match &told.payload {
            ToUsers::Reserved(m) => (m.order_id, "a Reserved"),
            ToUsers::Refused(m) => (m.order_id, "a Refused"),
            ToUsers::ExpireOrder(m) => (m.order_id, "an ExpireOrder"),
        };
        let is_here = |order: &Cow<'_, Order>| partition_of(order.user.0, self.lanes) == lane.index;
        let order = self.orders.find(id).filter(is_here).filter(|order| order.is_pending());
        let Some(order) = order else { return Due::nothing(RULE, name) };
        let turns = match &told.payload {
            ToUsers::Reserved(_) if at > order.deadline => vec![Turn::end(Code::Expired, None)],
            ToUsers::Reserved(m) => held(lane, &order, told.lane, m, accounts),
            ToUsers::Refused(m) => vec![Turn::end(m.code, Some(m.product_id))],
            ToUsers::ExpireOrder(_) if at < order.deadline => return Due::nothing(RULE, name),
            ToUsers::ExpireOrder(_) => vec![Turn::end(Code::Expired, None)],
        };
        Due::done(RULE, name, Done::moved(id, turns))
    }

    /// A product lane holds its share, at these prices.
    pub(super) fn held(&mut self, reserved: &LaneReserved, desk: &mut Desk<'_>) {
        let LaneReserved { order_id, lane, lines } = reserved;
        let Some(order) = pending(&mut self.orders, *order_id, desk) else { return };
        let is_same = order.is_same(*lane, lines);
        let is_awaited = order.part(*lane).is_some_and(|part| part.promise == Promise::Awaited);
        let about = format_args!("lines held by lane {lane} for order {order_id}");
        let holds = is_same && is_awaited;
        desk.rule(RULE, about, holds, "the order's, answered once", "others, or again");
        if let Some(part) = order.part(*lane) {
            part.promise = Promise::Reserved;
        }
        for (own, told) in order.lines.iter_mut().filter(|line| line.lane == *lane).zip(lines) {
            own.price = Some(told.price);
        }
    }

    /// Payment is due. That is the first outcome of the order, and it stays that.
    pub(super) fn payable(&mut self, reserved: &OrderReserved, desk: &mut Desk<'_>) {
        let id = reserved.order_id;
        let Some(order) = pending(&mut self.orders, id, desk) else { return };
        let is_new = order.payment_due.is_none() && order.outcome.is_none();
        let holds = is_new && order.payment == Payment::Later && order.is_held(None);
        let about = format_args!("order {id} that is to be paid");
        desk.rule(RULE, about, holds, "all held, paid later, once", "not so");
        let due = reserved.payment_due;
        desk.same(RULE, format_args!("payment due of order {id}"), order.deadline, due);
        order.total = order.priced_total().unwrap_or_default();
        order.payment_due = Some(due);
        order.outcome.get_or_insert_with(|| about_order(id, Code::Ok));
        order.askers.clear();
    }
}

/// The answer that makes all held decides the order.
fn held(lane: Lane, order: &Order, from: u16, told: &Reserved, accounts: &Accounts) -> Vec<Turn> {
    let total = order.total_with(from, &told.lines);
    let next = match order.payment {
        _ if !order.is_held(Some(from)) => None,
        Payment::Now => Some(payment(lane, order, total, accounts)),
        Payment::Later if total.is_none() => Some(Turn::end(Code::TotalLimit, None)),
        Payment::Later => Some(Turn::Payable),
    };
    [Some(Turn::Held(from)), next].into_iter().flatten().collect()
}

/// The wallet pays, or the order fails.
fn payment(lane: Lane, order: &Order, total: Option<Money>, accounts: &Accounts) -> Turn {
    let revenue = accounts.system(Account::Revenue, lane.index);
    let code = match total {
        Some(total) if total.0 > accounts.wallet(order.user.0) => Code::InsufficientBalance,
        Some(total) if revenue.checked_add(total.0).is_some() => Code::Ok,
        _ => Code::TotalLimit,
    };
    Turn::end(code, None)
}
