//! What a PlaceOrder had to lead to, the first time and again.

use super::{
    Now,
    expected::Expected,
    keys::plain,
    orders::Order,
    users::{Users, Wish},
};
use jupan_schemas::{
    Asker, AskerJoined, Change, Code, Fingerprint, Line, Message, Money, OrderId, OrderPlaced,
    OrderStatus, Outcome, Payment, PlaceOrder, Reserve, Units, UserId, Verdict, partition_of,
    rows::{HistoryLine, OrderLine, OrderRow},
};
use std::collections::{BTreeMap, BTreeSet};

/// Most partitions, and most askers, that a pending order answers.
const REPLY_TO_MAX: usize = 8;
const ASKERS_MAX: usize = 128;

impl Users {
    /// The lines of a wish, each product once; or what is wrong with them.
    fn lines(&self, items: &[Line]) -> Result<Vec<Line>, Outcome> {
        let mut lines: Vec<Line> = Vec::new();
        for item in items {
            let product_id = Some(item.product_id);
            let fault = Outcome { product_id, ..plain(Code::InvalidQuantity) };
            if item.product_id.0 >= 1 << 53 {
                return Err(plain(Code::InvalidId));
            }
            let known = lines.iter().position(|line| line.product_id == item.product_id);
            if known.is_none() && lines.len() >= self.shop.order_lines_max {
                return Err(plain(Code::InvalidLines));
            }
            let before = known.map_or(0, |place| lines[place].quantity.0);
            let sum = i128::from(before) + i128::from(item.quantity.0);
            if item.quantity.0 < 1 || sum > i128::from(self.shop.line_units_max) {
                return Err(fault);
            }
            match known {
                Some(place) => lines[place].quantity.0 += item.quantity.0,
                None => lines.push(*item),
            }
        }
        if lines.is_empty() { Err(plain(Code::InvalidLines)) } else { Ok(lines) }
    }

    fn wished_lines(&self, user_id: UserId, body: &PlaceOrder) -> Result<Vec<Line>, Outcome> {
        let user = self.users.get(&user_id).ok_or_else(|| plain(Code::UserNotFound));
        if !body.from_cart {
            let lines = self.lines(&body.items)?;
            return user.map(|_| lines);
        }
        if !body.items.is_empty() {
            return Err(plain(Code::InvalidLines));
        }
        let cart = &user?.cart;
        if cart.is_empty() { Err(plain(Code::CartEmpty)) } else { self.lines(cart) }
    }

    pub(crate) fn place(
        &mut self,
        now: &Now,
        (user_id, order_id): (UserId, OrderId),
        wish: &Wish,
        body: &PlaceOrder,
    ) -> Expected {
        let lines = match self.wished_lines(user_id, body) {
            Ok(lines) => lines,
            Err(outcome) => return self.keys.refuse(wish, now, outcome),
        };
        let mut lanes: BTreeMap<u16, Vec<Line>> = BTreeMap::new();
        for line in &lines {
            let lane = partition_of(line.product_id.0, self.shop.lanes);
            lanes.entry(lane).or_default().push(*line);
        }
        let mut expected = Expected::accepted();
        let deadline = now.at.plus(self.shop.order_deadline_us);
        expected.change(Change::OrderPlaced(OrderPlaced {
            order_id,
            user_id,
            lines: lines.clone(),
            from_cart: body.from_cart,
            payment: body.payment,
            deadline,
            occurred_at: wish.occurred_at,
            fingerprint: wish.fingerprint,
            asker: wish.asker,
        }));
        if body.from_cart {
            let emptied = self.set_cart(now, user_id, Vec::new());
            expected.change(emptied);
        }
        let awaits = lanes.keys().copied().collect();
        for (lane, lines) in lanes {
            expected.messages.push((lane, Message::Reserve(Reserve { order_id, lines })));
        }
        let mut row = new_row(order_id, user_id, now, wish.fingerprint);
        row.lane = self.lane;
        row.lines = lines.iter().map(unpriced).collect();
        row.awaits = awaits;
        row.from_cart = body.from_cart;
        row.payment = body.payment;
        row.deadline = deadline;
        row.occurred_at = wish.occurred_at;
        row.askers = wish.asker.into_iter().collect();
        self.orders.insert(order_id, Order { row, body: wish.payload.clone() });
        self.event(now, order_id);
        expected
    }

    /// The key of an order, asked again.
    pub(crate) fn place_again(&mut self, now: &Now, id: OrderId, wish: &Wish) -> Expected {
        let Some(order) = self.orders.get_mut(&id) else {
            return Expected::nothing(Verdict::Duplicate, Code::Ok);
        };
        if order.body != wish.payload {
            return wish.refused(Code::IdempotencyKeyReused);
        }
        if let Some(outcome) = order.row.outcome {
            return wish.repeated(outcome);
        }
        let mut expected = Expected::nothing(Verdict::Duplicate, Code::Ok);
        let askers = &mut order.row.askers;
        let partitions: BTreeSet<u32> = askers.iter().map(|asker| asker.reply_to).collect();
        let has_room = |asker: &Asker| {
            let is_heard = partitions.contains(&asker.reply_to) || partitions.len() < REPLY_TO_MAX;
            askers.len() < ASKERS_MAX && is_heard && !askers.contains(asker)
        };
        if let Some(asker) = wish.asker.filter(has_room) {
            askers.push(asker);
            order.row.as_of = now.as_of;
            expected.change(Change::AskerJoined(AskerJoined { order_id: id, asker }));
        }
        expected
    }
}

fn unpriced(line: &Line) -> OrderLine {
    let Line { product_id, quantity } = *line;
    OrderLine { product_id, quantity, price: None, refunded: Units(0) }
}

fn new_row(order_id: OrderId, user_id: UserId, now: &Now, fingerprint: Fingerprint) -> OrderRow {
    OrderRow {
        order_id,
        user_id,
        lane: 0,
        as_of: now.as_of,
        placed: now.as_of.sequence,
        status: OrderStatus::Pending,
        reason: None,
        reason_product: None,
        lines: Vec::new(),
        awaits: Vec::new(),
        total: Money(0),
        from_cart: false,
        payment: Payment::Now,
        deadline: now.at,
        payment_due: None,
        occurred_at: None,
        sold_at: None,
        created_at: now.at,
        updated_at: now.at,
        fingerprint,
        askers: Vec::new(),
        outcome: None,
        history: vec![HistoryLine { status: OrderStatus::Pending, reason: None, at: now.at }],
    }
}
