//! What goes back, in the own model: money for units that were bought and not yet paid back, at the
//! price of their sale; and the same units, by one Return for each product lane, into its stock.

use super::{
    accounts::{Accounts, Flow, Moved},
    due::{Done, Due, Turn},
    findings::{Desk, Invariant},
    inputs::{Body, Input},
    order::{Hold, Order},
    orders::Orders,
    payments::about_order,
};
use hashbrown::HashMap;
use jupan_schemas::{
    BALANCE_MAX, Code, Entry, HoldEnd, Lane, Line, LinesRefunded, LinesReturned, Message, Micros,
    OrderStatus, Outcome, PricedLine, ProductId, RefundOrder, Return, ToProducts, Units, UserId,
};

const RULE: Invariant = Invariant::Orders;

/// What a RefundOrder asks for, in the order of the order's lines.
fn asked(order: &Order, items: &[Line]) -> Vec<Line> {
    let mut units: HashMap<ProductId, i64> = HashMap::new();
    for item in items {
        let sum = units.entry(item.product_id).or_default();
        *sum = sum.saturating_add(item.quantity.0);
    }
    let lines = order.lines.iter().map(|line| {
        let asked = units.get(&line.product).copied().unwrap_or(0);
        let quantity = if items.is_empty() { line.left() } else { Units(asked) };
        Line { product_id: line.product, quantity }
    });
    lines.filter(|line| line.quantity != Units::ZERO).collect()
}

/// What lines of an order cost, each at the price of its sale.
fn worth(order: &Order, lines: &[Line]) -> i128 {
    let price = |line: &Line| {
        let own = order.lines.iter().find(|own| own.product == line.product_id);
        own.and_then(|own| own.price).map_or(0, |price| i128::from(price.0))
    };
    lines.iter().map(|line| price(line) * i128::from(line.quantity.0)).sum()
}

impl Orders {
    /// RefundOrder: some units, or all that are left.
    pub(super) fn due_refund(&self, user: UserId, wish: &RefundOrder, accounts: &Accounts) -> Due {
        let (id, name) = (wish.order_id, "a RefundOrder");
        let Some(order) = self.own_order(user, id) else {
            return Due::refused(RULE, name, Outcome::of(Code::OrderNotFound));
        };
        if !matches!(order.status, OrderStatus::Success | OrderStatus::Refunded) {
            return Due::refused(RULE, name, about_order(id, Code::OrderNotPaid));
        }
        let of = |code, product_id| Outcome { product_id, ..about_order(id, code) };
        let lines = asked(&order, &wish.items);
        let wallet = i128::from(accounts.wallet(user.0)) + worth(&order, &lines);
        let is_nothing = wish.items.is_empty() && lines.is_empty();
        let done = Done::moved(id, [Turn::Refunded(lines.clone())]);
        let done = Done { outcome: about_order(id, Code::Ok), ..done };
        let mut due = Due::done(RULE, name, done).unless(is_nothing, of(Code::RefundExceeds, None));
        for item in &wish.items {
            let is_bought = order.lines.iter().any(|line| line.product == item.product_id);
            let product = Some(item.product_id);
            due = due
                .unless(item.quantity <= Units::ZERO, of(Code::InvalidQuantity, product))
                .unless(!is_bought, of(Code::RefundExceeds, product));
        }
        for line in &order.lines {
            let asked = lines.iter().find(|asked| asked.product_id == line.product);
            let is_beyond = asked.is_some_and(|asked| asked.quantity > line.left());
            due = due.unless(is_beyond, of(Code::RefundExceeds, Some(line.product)));
        }
        let is_full = due.is_free() && wallet > i128::from(BALANCE_MAX);
        due.unless(is_full, of(Code::BalanceLimit, None))
    }

    /// Units are paid back.
    pub(super) fn refunded(
        &mut self,
        entry: &Entry,
        refunded: &LinesRefunded,
        desk: &mut Desk<'_>,
    ) {
        let LinesRefunded { order_id: id, lines, status } = refunded;
        let at = entry.input.map_or(Micros(entry.stamp.0), |input| input.at);
        let Some(order) = self.orders.change(*id) else {
            desk.fault(RULE, format_args!("refunded order {id}"), "known", "unknown");
            return;
        };
        let about = format_args!("refund of order {id}");
        desk.same(RULE, about, OrderStatus::Success, order.status);
        let amount = i64::try_from(worth(order, lines)).unwrap_or(i64::MAX);
        self.expected.push(Moved { flow: Flow::Refund, owner: order.user.0, amount });
        let mut returns: HashMap<u16, Vec<PricedLine>> = HashMap::new();
        for line in lines {
            let own = order.lines.iter_mut().find(|own| own.product == line.product_id);
            let Some(own) = own else {
                desk.fault(RULE, about, "a product of the order", line.product_id);
                continue;
            };
            own.refunded = Units(own.refunded.0.saturating_add(line.quantity.0));
            let fits = line.quantity > Units::ZERO && own.refunded <= own.units;
            desk.rule(RULE, about, fits, "at most what was bought", own.refunded);
            let (product_id, quantity) = (line.product_id, line.quantity);
            let back = PricedLine { product_id, quantity, price: own.price.unwrap_or_default() };
            returns.entry(own.lane).or_default().push(back);
        }
        let is_all = order.lines.iter().all(|line| line.refunded == line.units);
        let expected = if is_all { OrderStatus::Refunded } else { OrderStatus::Success };
        desk.same(RULE, format_args!("status after the {about}"), expected, *status);
        order.status = *status;
        order.refunded_at = is_all.then_some(at);
        let sold_at = order.sold_at.unwrap_or_default();
        let give = |lines| Message::Return(Return { order_id: *id, lines, sold_at });
        self.messages.extend(returns.into_iter().map(|(lane, lines)| (lane, give(lines))));
    }

    /// A product lane has taken units back: those that its Return names, which were sold here.
    pub(super) fn returned(
        &mut self,
        lane: Lane,
        returned: &LinesReturned,
        input: Option<&Input>,
        desk: &mut Desk<'_>,
    ) {
        let id = returned.order_id;
        let about = format_args!("units back from order {id}");
        let told = match input.map(|input| &input.body) {
            Some(Body::ToProducts(message)) => match &message.payload {
                ToProducts::Return(told) => Some(told),
                _ => None,
            },
            _ => None,
        };
        let is_told = told.is_some_and(|told| {
            told.order_id == id && told.lines == returned.lines && told.sold_at == returned.sold_at
        });
        desk.rule(RULE, about, is_told, "what the Return says", "others");
        self.expect(Flow::Return, &returned.lines);
        let Some(order) = self.orders.change(id) else {
            desk.fault(RULE, about, "a known order", "none");
            return;
        };
        let sold = Some(Hold::Ended(HoldEnd::Settled));
        desk.same(RULE, format_args!("hold behind the {about}"), sold, order.hold(lane.index));
        let about_time = format_args!("time of sale of the {about}");
        desk.same(RULE, about_time, order.sold_at, Some(returned.sold_at));
        for line in &returned.lines {
            let mut own = order.lines.iter_mut().filter(|own| own.lane == lane.index);
            let Some(own) = own.find(|own| own.product == line.product_id) else {
                desk.fault(RULE, about, "a product of the order and the lane", line.product_id);
                continue;
            };
            own.returned = Units(own.returned.0.saturating_add(line.quantity.0));
            let fits = line.quantity > Units::ZERO && own.returned <= own.refunded;
            desk.rule(RULE, about, fits, "at most what was paid back", own.returned);
            desk.same(RULE, format_args!("price of the {about}"), own.price, Some(line.price));
        }
    }
}
