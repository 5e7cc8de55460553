//! The end of an order in the own model: SUCCESS or FAILED, once; every product lane in it is told,
//! and what came out of the cart and was not bought is back in it.

use super::{
    accounts::{Flow, Moved},
    findings::{Desk, Invariant},
    orders::{Orders, pending},
};
use jupan_schemas::{
    Code, Entry, Message, Micros, OrderEnded, OrderStatus, Outcome, Release, Settle,
};

const RULE: Invariant = Invariant::Orders;

/// What all who ask for an order are told that ends without having been payable.
pub(super) fn outcome_of(ended: &OrderEnded) -> Outcome {
    let OrderEnded { order_id, code, product_id, .. } = *ended;
    Outcome { code, order_id: Some(order_id), balance: None, product_id }
}

impl Orders {
    /// The order is over.
    pub(super) fn ended(&mut self, entry: &Entry, ended: &OrderEnded, desk: &mut Desk<'_>) {
        let id = ended.order_id;
        let at = entry.input.map_or(Micros(entry.stamp.0), |input| input.at);
        let Some(order) = pending(&mut self.orders, id, desk) else { return };
        let is_held = order.is_held(None);
        let total = order.priced_total();
        let is_late = at > order.deadline;
        let is_early = ended.code == Code::Expired && at < order.deadline;
        order.status = ended.status;
        order.reason = ended.code;
        order.reason_product = ended.product_id;
        order.total = ended.total_price;
        order.ended_at = Some(at);
        order.payment_due = None;
        order.outcome.get_or_insert_with(|| outcome_of(ended));
        order.askers.clear();
        let total_due = total.unwrap_or_default();
        desk.same(RULE, format_args!("total of order {id}"), total_due, ended.total_price);
        if ended.status == OrderStatus::Success {
            desk.same(RULE, format_args!("all lines of order {id} held"), true, is_held);
            desk.same(RULE, format_args!("order {id} paid after its deadline"), false, is_late);
            let sold_at = order.occurred_at.unwrap_or(at);
            order.sold_at = Some(sold_at);
            let settle = |lane| (lane, Message::Settle(Settle { order_id: id, sold_at }));
            self.messages.extend(order.parts.iter().map(|part| settle(part.lane)));
            let (owner, amount) = (order.user.0, ended.total_price.0);
            self.expected.push(Moved { flow: Flow::Payment, owner, amount });
        } else {
            desk.same(RULE, format_args!("order {id}"), OrderStatus::Failed, ended.status);
            let about = format_args!("order {id} expired before its deadline");
            desk.same(RULE, about, false, is_early);
            let release = |lane| (lane, Message::Release(Release { order_id: id }));
            self.messages.extend(order.parts.iter().map(|part| release(part.lane)));
            self.carts.expect_back(order);
        }
    }
}
