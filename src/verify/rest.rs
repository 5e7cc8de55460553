//! Invariant 8 at rest, behind the last step: whatever is half done must be explained by a message
//! that nobody has read yet.

use super::{
    findings::{Desk, Findings, Invariant, Place},
    inputs::{Kind, Unread},
    journal::Journals,
    order::{Hold, Order, Promise},
    orders::Orders,
};
use jupan_schemas::{HoldEnd, Lane, OrderId, OrderStatus, Role, partition_of};

const RULE: Invariant = Invariant::Orders;

/// Checks every order. An order may be pending for `slack_us` beyond its deadline, or beyond its
/// lane's start.
pub(super) fn check(
    orders: &Orders,
    unread: &Unread,
    journals: &Journals,
    slack_us: i64,
    findings: &mut Findings,
) {
    // An order that is put away is as it should be, unless a message is about it.
    let mut ids: Vec<OrderId> = orders.orders.open_ids().chain(unread.orders()).collect();
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        let Some(order) = orders.orders.find(id) else { continue };
        let index = partition_of(order.user.0, orders.lanes);
        let lane = Lane { role: Role::Users, index };
        let place = Place { lane: Some(lane), ..Place::default() };
        let mut desk = Desk { findings, place };
        match order.status {
            OrderStatus::Pending => {
                let since = order.deadline.max(journals.opened_at(lane));
                let is_overdue = journals.newest().since(since) > slack_us;
                pending(id, &order, unread, is_overdue, &mut desk);
            }
            OrderStatus::Success | OrderStatus::Refunded => {
                ended(id, &order, (Kind::Settle, HoldEnd::Settled), unread, &mut desk);
                given_back(id, &order, unread, &mut desk);
            }
            _ => ended(id, &order, (Kind::Release, HoldEnd::Released), unread, &mut desk),
        }
    }
}

fn pending(id: OrderId, order: &Order, unread: &Unread, is_overdue: bool, desk: &mut Desk<'_>) {
    let about = format_args!("pending order {id}");
    let is_answered = |lane: u16| unread.has(id, lane, Kind::Answer);
    let has_answer = order.parts.iter().any(|part| is_answered(part.lane));
    if is_overdue && !unread.has_expiry(id) && !has_answer {
        let found = format_args!("the deadline {} has passed", order.deadline.0);
        desk.fault(RULE, about, "ended, or a message that is going to end it", found);
    }
    for part in &order.parts {
        let is_asked = unread.has(id, part.lane, Kind::Reserve) || is_answered(part.lane);
        let holds = match (part.promise, part.hold) {
            (Promise::Awaited, _) => is_asked,
            (Promise::Reserved, hold) => hold == Hold::Open,
            (Promise::Refused, _) => false,
        };
        let about = format_args!("share of product lane {} in {about}", part.lane);
        let found = format_args!("{:?}, hold {:?}", part.promise, part.hold);
        desk.rule(RULE, about, holds, "held, or a message that asks or answers", found);
    }
    let is_stuck = order.is_held(None) && order.payment_due.is_none();
    desk.rule(RULE, about, !is_stuck, "ended, or payable: everything is held", "pending");
}

/// What was paid back is back in stock, or on its way.
fn given_back(id: OrderId, order: &Order, unread: &Unread, desk: &mut Desk<'_>) {
    for line in &order.lines {
        let back = i128::from(line.returned.0) + i128::from(unread.returns(id, line.product).0);
        let about = format_args!("units of product {} back from order {id}", line.product);
        desk.same(RULE, about, i128::from(line.refunded.0), back);
    }
}

fn ended(
    id: OrderId,
    order: &Order,
    (kind, end): (Kind, HoldEnd),
    unread: &Unread,
    desk: &mut Desk<'_>,
) {
    for part in &order.parts {
        let is_told = unread.has(id, part.lane, kind);
        let holds = match part.hold {
            Hold::Ended(found) => found == end,
            Hold::Open => is_told,
            // A failed order may hold nothing; a paid one has sold everything.
            Hold::None => end == HoldEnd::Released,
        };
        let status = order.status.as_str();
        let about = format_args!("hold of {status} order {id} in product lane {}", part.lane);
        let expected = match end {
            HoldEnd::Settled => "settled, or a Settle that is not yet read",
            HoldEnd::Released => "none, or a Release that is not yet read",
        };
        desk.rule(RULE, about, holds, expected, format_args!("{:?}", part.hold));
    }
}
