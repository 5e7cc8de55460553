//! PlaceOrder in the own model: the order has the lines that were asked for, or those of the cart,
//! and each product lane concerned is asked once, for all of its own.

use super::{
    carts::invalid,
    due::{Done, Due, Turn},
    findings::{Desk, Invariant},
    inputs::{Body, Input},
    order::{Hold, Order, OrderLine, Part, Promise},
    orders::Orders,
};
use hashbrown::HashMap;
use jupan_schemas::{
    Code, Entry, Lane, Line, Message, Micros, Money, OrderId, OrderPlaced, OrderStatus, Outcome,
    PlaceOrder, ProductId, Reserve, Units, UserCommand, UserPayload, partition_of,
};

const RULE: Invariant = Invariant::Orders;

/// The same product twice is one line.
fn merged(items: &[Line]) -> Vec<Line> {
    let mut places: HashMap<ProductId, usize> = HashMap::new();
    let mut lines: Vec<Line> = Vec::new();
    for item in items {
        let place = *places.entry(item.product_id).or_insert(lines.len());
        match lines.get_mut(place) {
            Some(line) => line.quantity.0 = line.quantity.0.saturating_add(item.quantity.0),
            None => lines.push(*item),
        }
    }
    lines
}

impl Orders {
    /// What a PlaceOrder wants to buy.
    fn wanted(&self, command: &UserCommand, wish: &PlaceOrder) -> Vec<Line> {
        match wish.from_cart {
            true => self.carts.of(command.user_id).to_vec(),
            false => merged(&wish.items),
        }
    }

    /// PlaceOrder.
    pub(super) fn due_place(&self, lane: Lane, command: &UserCommand, wish: &PlaceOrder) -> Due {
        let user = command.user_id;
        let id = OrderId::of(user, &command.key);
        let lines = self.wanted(command, wish);
        let limits = self.limits(lane);
        let is_known = self.users.contains(&user);
        // Items beside the cart, or neither.
        let is_odd = wish.from_cart != wish.items.is_empty();
        let has_bad_id = wish.items.iter().any(|item| !item.product_id.is_valid());
        let cart = wish.from_cart.then(|| (user, Vec::new()));
        let done = Done { cart, ..Done::moved(id, [Turn::Placed]) };
        let mut due = Due::done(RULE, "a PlaceOrder", done)
            .unless(!is_known, Outcome::of(Code::UserNotFound))
            .unless(wish.from_cart && is_known && lines.is_empty(), Outcome::of(Code::CartEmpty))
            .unless(is_odd, Outcome::of(Code::InvalidLines))
            .unless(has_bad_id, Outcome::of(Code::InvalidId))
            .perhaps(lines.len() > limits.lines, Outcome::of(Code::InvalidLines));
        for item in wish.items.iter().filter(|item| item.quantity <= Units::ZERO) {
            due = due.unless(true, invalid(item.product_id));
        }
        for line in lines.iter().filter(|line| !limits.allow_units(line.quantity)) {
            due = due.perhaps(true, invalid(line.product_id));
        }
        due
    }

    /// The order is PENDING.
    pub(super) fn placed(
        &mut self,
        lane: Lane,
        entry: &Entry,
        placed: &OrderPlaced,
        input: Option<&Input>,
        desk: &mut Desk<'_>,
    ) {
        let about = format_args!("order {}", placed.order_id);
        let lines: Vec<OrderLine> = placed.lines.iter().map(|line| self.line(line)).collect();
        let mut products: Vec<ProductId> = lines.iter().map(|line| line.product).collect();
        products.sort_unstable();
        let is_distinct = products.windows(2).all(|pair| pair[0] != pair[1]);
        let is_positive = lines.iter().all(|line| line.units > Units::ZERO);
        let is_owned = placed.order_id.user() == Some(placed.user_id)
            && partition_of(placed.user_id.0, self.lanes) == lane.index
            && self.users.contains(&placed.user_id);
        let is_good = is_owned && is_distinct && is_positive && !lines.is_empty();
        desk.rule(RULE, about, is_good, "a known user's, with each product once", "another");
        self.check_wish(placed, input, desk);
        let parts = self.ask(placed.order_id, &lines);
        let order = Order {
            user: placed.user_id,
            status: OrderStatus::Pending,
            reason: Code::Ok,
            reason_product: None,
            lines,
            parts,
            is_from_cart: placed.from_cart,
            payment: placed.payment,
            deadline: placed.deadline,
            payment_due: None,
            occurred_at: placed.occurred_at,
            placed_at: input.map_or(Micros(entry.stamp.0), |input| input.at),
            ended_at: None,
            refunded_at: None,
            sold_at: None,
            total: Money::ZERO,
            fingerprint: placed.fingerprint,
            askers: placed.asker.into_iter().collect(),
            outcome: None,
        };
        let is_new = self.orders.insert(placed.order_id, order);
        desk.rule(RULE, about, is_new, "placed once", "placed again");
    }

    fn line(&self, line: &Line) -> OrderLine {
        OrderLine {
            product: line.product_id,
            lane: partition_of(line.product_id.0, self.lanes),
            units: line.quantity,
            price: None,
            refunded: Units::ZERO,
            returned: Units::ZERO,
        }
    }

    /// An order is what its PlaceOrder asked for.
    fn check_wish(&self, placed: &OrderPlaced, input: Option<&Input>, desk: &mut Desk<'_>) {
        let about = format_args!("order {}", placed.order_id);
        let Some(input) = input else { return };
        let Body::User(command) = &input.body else { return };
        // Any other input is not to place an order at all.
        let UserPayload::PlaceOrder(wish) = &command.payload else { return };
        let rule = if wish.from_cart { Invariant::Carts } else { RULE };
        let wanted = self.wanted(command, wish);
        desk.same(rule, format_args!("lines of {about}"), &wanted, &placed.lines);
        let is_wished = placed.order_id == OrderId::of(command.user_id, &command.key)
            && placed.user_id == command.user_id
            && placed.payment == wish.payment
            && placed.occurred_at == command.occurred_at
            && placed.from_cart == wish.from_cart
            && placed.deadline >= input.at
            && placed.asker == input.asker();
        desk.rule(RULE, about, is_wished, "what the PlaceOrder asks for", "another");
    }

    /// Every product lane of the order is asked once, for all its lines.
    fn ask(&mut self, order_id: OrderId, lines: &[OrderLine]) -> Vec<Part> {
        let mut lanes: Vec<u16> = lines.iter().map(|line| line.lane).collect();
        lanes.sort_unstable();
        lanes.dedup();
        for lane in &lanes {
            let own = lines.iter().filter(|line| line.lane == *lane);
            let lines = own.map(|line| Line { product_id: line.product, quantity: line.units });
            let reserve = Reserve { order_id, lines: lines.collect() };
            self.messages.push((*lane, Message::Reserve(reserve)));
        }
        let part = |lane| Part { lane, promise: Promise::Awaited, hold: Hold::None };
        lanes.into_iter().map(part).collect()
    }
}
