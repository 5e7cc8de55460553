//! PlaceOrder: the order is PENDING, and each product lane concerned is asked to hold its lines.

use super::{
    Users, cart,
    state::{self, Order, User},
};
use crate::{
    Broken, Decision, Rules,
    cells::Moment,
    idempotency::{Head, Ruling},
    limits,
};
use hashbrown::HashMap;
use jupan_schemas::{
    Asker, AskerJoined, Change, Code, Entry, Line, Message, Micros, Money, OrderId, OrderPlaced,
    OrderStatus, Outcome, PlaceOrder, ProductId, Reserve, Units, UserId, Verdict,
    planted::{Bug, is_planted},
    rows::{AsOf, HistoryLine, OrderLine},
};
use std::collections::BTreeSet;

/// The order's lines, or why there is no order.
fn check(rules: &Rules, user: Option<&User>, wish: &PlaceOrder) -> Result<Vec<Line>, Outcome> {
    let no_user = || Outcome::of(Code::UserNotFound);
    if !wish.from_cart {
        let lines = merge(rules, &wish.items)?;
        return user.map(|_| lines).ok_or_else(no_user);
    }
    if !wish.items.is_empty() {
        return Err(Outcome::of(Code::InvalidLines));
    }
    let cart = &user.ok_or_else(no_user)?.cart;
    if cart.is_empty() { Err(Outcome::of(Code::CartEmpty)) } else { merge(rules, cart) }
}

/// The same product twice is one line. Stops at the first item that no order may have, so that a
/// long list costs no more than the largest order.
fn merge(rules: &Rules, items: &[Line]) -> Result<Vec<Line>, Outcome> {
    let mut lines: Vec<Line> = Vec::new();
    let mut places: HashMap<ProductId, usize> = HashMap::new();
    for item in items {
        let product_id = Some(item.product_id);
        if !item.product_id.is_valid() {
            return Err(Outcome::of(Code::InvalidId));
        }
        let place = *places.entry(item.product_id).or_insert(lines.len());
        if place == lines.len() {
            lines.push(Line { quantity: Units::ZERO, ..*item });
        }
        if lines.len() > rules.order_lines_max {
            return Err(Outcome::of(Code::InvalidLines));
        }
        match lines[place].quantity.checked_add(item.quantity) {
            Some(sum) if item.quantity > Units::ZERO && sum.0 <= rules.line_units_max => {
                let is_last = is_planted(Bug::EqualLinesOversold);
                lines[place].quantity = if is_last { item.quantity } else { sum };
            }
            _ => return Err(Outcome { product_id, ..Outcome::of(Code::InvalidQuantity) }),
        }
    }
    if lines.is_empty() { Err(Outcome::of(Code::InvalidLines)) } else { Ok(lines) }
}

pub(super) fn decide(
    rules: &Rules,
    head: &Head<'_>,
    (user_id, order_id): (UserId, OrderId),
    user: Option<&User>,
    wish: &PlaceOrder,
    at: Micros,
) -> Ruling {
    let lines = match check(rules, user, wish) {
        Ok(lines) => lines,
        Err(outcome) => return Ruling::Refused(outcome),
    };
    let lanes = state::by_lane(lines.iter().copied(), rules.lanes, |line| line.product_id);
    let ask = |(lane, lines)| (lane, Message::Reserve(Reserve { order_id, lines }));
    let messages = lanes.into_iter().map(ask).collect();
    let placed = OrderPlaced {
        order_id,
        user_id,
        lines,
        from_cart: wish.from_cart,
        payment: wish.payment,
        deadline: at.plus(rules.order_deadline_us),
        occurred_at: head.occurred_at,
        fingerprint: head.fingerprint,
        asker: head.asker,
    };
    // What is in an order is in no cart: two orders never buy the same cart.
    let emptied = wish.from_cart.then(|| cart::emptied(user_id));
    let changes = [Change::OrderPlaced(placed)].into_iter().chain(emptied).collect();
    Ruling::Begun { changes, messages }
}

/// The key has made an order: its first outcome again, or a place among those who wait for it.
pub(super) fn again(head: &Head<'_>, order_id: OrderId, order: &Order) -> Decision {
    if head.fingerprint != order.fingerprint {
        return head.refuse(Outcome::of(Code::IdempotencyKeyReused));
    }
    if let Some(outcome) = order.outcome {
        return head.repeat(outcome);
    }
    let joins = head.asker.filter(|asker| may_join(&order.askers, asker));
    let join = |asker| Change::AskerJoined(AskerJoined { order_id, asker });
    let changes = joins.map(join).into_iter().collect();
    Decision { changes, ..Decision::nothing(Verdict::Duplicate, Code::Ok) }
}

/// Whether there is room for one more; who finds none reads the order instead.
fn may_join(askers: &[Asker], asker: &Asker) -> bool {
    let partitions: BTreeSet<u32> = askers.iter().map(|known| known.reply_to).collect();
    let has_partition = partitions.contains(&asker.reply_to);
    !askers.contains(asker)
        && askers.len() < limits::ORDER_ASKERS_MAX
        && (has_partition || partitions.len() < limits::ORDER_REPLY_TO_MAX)
}

pub(super) fn evolve(
    users: &mut Users,
    entry: &Entry,
    now: &Moment,
    placed: &OrderPlaced,
) -> Result<(), Broken> {
    let asked = entry.messages.iter().filter(|sent| matches!(sent.payload, Message::Reserve(_)));
    let line = |line: &Line| OrderLine {
        product_id: line.product_id,
        quantity: line.quantity,
        price: None,
        refunded: Units::ZERO,
    };
    let order = Order {
        order_id: placed.order_id,
        user_id: placed.user_id,
        lane: users.lane,
        as_of: AsOf::default(),
        placed: entry.sequence,
        status: OrderStatus::Pending,
        reason: None,
        reason_product: None,
        lines: placed.lines.iter().map(line).collect(),
        awaits: asked.map(|sent| sent.lane).collect(),
        total: Money::ZERO,
        from_cart: placed.from_cart,
        payment: placed.payment,
        deadline: placed.deadline,
        payment_due: None,
        occurred_at: placed.occurred_at,
        sold_at: None,
        created_at: now.at,
        updated_at: now.at,
        fingerprint: placed.fingerprint,
        askers: placed.asker.into_iter().collect(),
        outcome: None,
        history: vec![HistoryLine { status: OrderStatus::Pending, reason: None, at: now.at }],
    };
    let broken = |what| Err(Broken::about("order", placed.order_id, what));
    if order.awaits.is_empty() || order.lines.is_empty() {
        return broken("placed, but no product lane is asked");
    }
    let empties = |change: &Change| {
        matches!(change, Change::CartChanged(cart)
            if cart.user_id == placed.user_id && cart.lines.is_empty())
    };
    if placed.from_cart != entry.changes.iter().any(empties) {
        return broken("placed from the cart, but the cart stays, or goes for another order");
    }
    users.orders.create(placed.order_id, now, order)
}

/// Folds one more asker. What a reader sees of the order stays as it is.
pub(super) fn evolve_joined(
    users: &mut Users,
    now: &Moment,
    joined: &AskerJoined,
) -> Result<(), Broken> {
    if let Some(order) = users.orders.change(joined.order_id, now)? {
        order.askers.push(joined.asker);
    }
    Ok(())
}
