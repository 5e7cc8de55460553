//! A user lane in little, played by the test: it keeps the commands' contract for user 1, one
//! command at a time, and prices every product at 500.

use super::{
    lane::{Asked, Hand, outcome_row, product_row, user_row, user_row_with},
    rig::Rig,
};
use jupan_log::{Clock, ManualClock};
use jupan_schemas::{
    Code, CommandId, Fingerprint, Line, Micros, Money, OrderId, OrderStatus, Outcome, Payment,
    PlaceOrder, ProductId, Role, Units, UserCommand, UserId, UserPayload,
    rows::{HistoryLine, OrderLine, OrderRow, Row},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Nothing of it is in stock.
pub(super) const SOLD_OUT: u64 = 12;
/// Its lane does not answer.
pub(super) const SILENT: u64 = 13;

const PRICE: i64 = 500;
const DEADLINE_US: i64 = 15 * Micros::MINUTE;

pub(super) struct Keeper {
    pub(super) products: Hand,
    hand: Hand,
    clock: Arc<ManualClock>,
    balance: i64,
    cart: Vec<Line>,
    orders: BTreeMap<OrderId, OrderRow>,
    outcomes: HashMap<CommandId, (Fingerprint, Outcome)>,
    /// Who waits for which order.
    askers: Vec<(OrderId, Option<u32>, (CommandId, u64))>,
}

impl Keeper {
    /// User 1 has 2,000 won, and products 10 to 13 are in the catalogue.
    pub(super) fn open(rig: &Rig) -> Self {
        let mut products = Hand::open(rig, Role::Products);
        for id in 10..=13 {
            products.apply(product_row(id, PRICE, if id == SOLD_OUT { 0 } else { 100 }));
        }
        let mut hand = Hand::open(rig, Role::Users);
        hand.apply(user_row(1, 2_000));
        Self {
            products,
            hand,
            clock: Arc::clone(&rig.clock),
            balance: 2_000,
            cart: Vec::new(),
            orders: BTreeMap::new(),
            outcomes: HashMap::new(),
            askers: Vec::new(),
        }
    }

    /// Decides the next command, and tells who waits.
    pub(super) async fn serve(&mut self) -> Asked<UserCommand> {
        let asked = self.hand.user_command().await;
        self.decide_and_tell(&asked);
        asked
    }

    /// The next command, which is not decided.
    pub(super) async fn ignore(&mut self) -> Asked<UserCommand> {
        self.hand.user_command().await
    }

    /// Decides a command, and tells who waits.
    pub(super) fn decide_and_tell(&mut self, asked: &Asked<UserCommand>) {
        let told = self.decide(asked);
        self.hand.apply(user_row_with(self.balance, self.cart.clone()));
        self.hand.project_until(asked.position + 1);
        if let (Some(told), Some(reply_to)) = (told, asked.command.reply_to) {
            self.hand.answer(Some(reply_to), (asked.id, asked.position), told);
        }
    }

    /// The silent product's lane answers after all.
    pub(super) fn answer_for_silent(&mut self, id: OrderId) {
        self.hold(id);
    }

    /// The deadline of every pending order passes.
    pub(super) fn expire(&mut self) {
        self.clock.advance(DEADLINE_US + 1);
        let pending = |order: &&OrderRow| order.status == OrderStatus::Pending;
        let ids: Vec<_> =
            self.orders.values().filter(pending).map(|order| order.order_id).collect();
        for id in ids {
            self.fail(id, Code::Expired, None);
        }
        self.hand.apply(user_row_with(self.balance, self.cart.clone()));
    }

    /// What the asker is told; `None`: later, when its order ends or can be paid.
    fn decide(&mut self, asked: &Asked<UserCommand>) -> Option<Outcome> {
        let (command, order_id) = (&asked.command, order_of(asked));
        if let Some(order) = self.orders.get(&order_id) {
            if order.fingerprint != asked.fingerprint {
                return Some(Outcome::of(Code::IdempotencyKeyReused));
            }
            if order.outcome.is_none() {
                self.askers.push((order_id, command.reply_to, (asked.id, asked.position)));
            }
            return order.outcome;
        }
        if let Some((of_body, outcome)) = self.outcomes.get(&asked.id) {
            let is_same = *of_body == asked.fingerprint;
            return Some(if is_same { *outcome } else { Outcome::of(Code::IdempotencyKeyReused) });
        }
        let told = if command.user_id == UserId(1) {
            self.rule(asked)
        } else {
            Some(Outcome::of(Code::UserNotFound))
        };
        // An order keeps its outcome itself.
        if let Some(told) = told.filter(|_| !self.orders.contains_key(&order_id))
            && !told.code.is_for_this_asker_only()
        {
            self.outcomes.insert(asked.id, (asked.fingerprint, told));
            self.hand.apply(outcome_row(asked.id, asked.fingerprint, told));
        }
        told
    }

    fn rule(&mut self, asked: &Asked<UserCommand>) -> Option<Outcome> {
        let of_order = |code, order_id| {
            let order_id = (code != Code::OrderNotFound).then_some(order_id);
            Outcome { order_id, ..Outcome::of(code) }
        };
        Some(match &asked.command.payload {
            UserPayload::PlaceOrder(wish) => return self.place(asked, wish),
            UserPayload::PayOrder(wish) => of_order(self.pay(wish.order_id), wish.order_id),
            UserPayload::CancelOrder(wish) => of_order(self.cancel(wish.order_id), wish.order_id),
            UserPayload::RefundOrder(wish) => {
                let (code, product_id) = self.refund(wish.order_id, &wish.items);
                Outcome { product_id, ..of_order(code, wish.order_id) }
            }
            UserPayload::AddToCart(wish) => {
                Outcome::of(self.add(Line { product_id: wish.product_id, quantity: wish.quantity }))
            }
            UserPayload::RemoveFromCart(wish) => {
                self.cart.retain_mut(|line| {
                    let fewer = wish.quantity.unwrap_or(line.quantity);
                    line.quantity.0 -= if line.product_id == wish.product_id { fewer.0 } else { 0 };
                    line.quantity > Units::ZERO
                });
                Outcome::of(Code::Ok)
            }
            UserPayload::ChargeBalance(wish) => {
                self.balance += wish.amount.0;
                Outcome { balance: Some(Money(self.balance)), ..Outcome::of(Code::Ok) }
            }
            UserPayload::RegisterUser(_) => Outcome::of(Code::AlreadyExists),
        })
    }

    fn place(&mut self, asked: &Asked<UserCommand>, wish: &PlaceOrder) -> Option<Outcome> {
        let lines =
            if wish.from_cart { std::mem::take(&mut self.cart) } else { wish.items.clone() };
        if lines.is_empty() {
            return Some(Outcome::of(Code::CartEmpty));
        }
        if lines.len() > 500 {
            return Some(Outcome::of(Code::InvalidLines));
        }
        let id = order_of(asked);
        let order = order(asked, wish, (&lines, self.clock.now()));
        self.orders.insert(id, order);
        self.askers.push((id, asked.command.reply_to, (asked.id, asked.position)));
        let has = |product| lines.iter().any(|line| line.product_id == ProductId(product));
        if has(SOLD_OUT) {
            self.fail(id, Code::OutOfStock, Some(ProductId(SOLD_OUT)));
        } else if has(SILENT) {
            self.show(id);
        } else {
            self.hold(id);
        }
        None
    }

    /// Every product lane has answered.
    fn hold(&mut self, id: OrderId) {
        let order = self.orders.get_mut(&id).expect("an order");
        order.lines.iter_mut().for_each(|line| line.price = Some(Money(PRICE)));
        order.total = Money(order.lines.iter().map(|line| line.quantity.0 * PRICE).sum());
        if order.payment == Payment::Later {
            order.payment_due = Some(order.deadline);
            self.tell(id, Code::Ok, None);
            self.show(id);
        } else {
            self.settle(id);
        }
    }

    /// The money moves, if it is there.
    fn settle(&mut self, id: OrderId) -> Code {
        let total = self.orders[&id].total.0;
        if self.balance < total {
            self.fail(id, Code::InsufficientBalance, None);
            return Code::InsufficientBalance;
        }
        self.balance -= total;
        self.end(id, OrderStatus::Success, None);
        Code::Ok
    }

    fn pay(&mut self, id: OrderId) -> Code {
        let Some(order) = self.orders.get(&id) else { return Code::OrderNotFound };
        match (order.status, order.reason, order.payment_due) {
            (OrderStatus::Failed, Some(Code::Expired), _) => Code::OrderExpired,
            (OrderStatus::Pending, _, None) => Code::OrderNotReady,
            (OrderStatus::Pending, _, Some(_)) => self.settle(id),
            _ => Code::OrderNotPending,
        }
    }

    fn cancel(&mut self, id: OrderId) -> Code {
        match self.orders.get(&id).map(|order| order.status) {
            None => Code::OrderNotFound,
            Some(OrderStatus::Pending) => {
                self.fail(id, Code::Cancelled, None);
                Code::Ok
            }
            Some(_) => Code::OrderNotPending,
        }
    }

    fn refund(&mut self, id: OrderId, items: &[Line]) -> (Code, Option<ProductId>) {
        let Some(order) = self.orders.get_mut(&id) else { return (Code::OrderNotFound, None) };
        if matches!(order.status, OrderStatus::Pending | OrderStatus::Failed) {
            return (Code::OrderNotPaid, None);
        }
        let left = |line: &OrderLine| line.quantity.0 - line.refunded.0;
        let mut lines = order.lines.clone();
        let mut units = 0;
        for line in &mut lines {
            let wished = items.iter().filter(|item| item.product_id == line.product_id);
            let wished: i64 = wished.map(|item| item.quantity.0).sum();
            let returned = if items.is_empty() { left(line) } else { wished };
            if returned > left(line) {
                return (Code::RefundExceeds, Some(line.product_id));
            }
            line.refunded.0 += returned;
            units += returned;
        }
        if units == 0 {
            return (Code::RefundExceeds, items.first().map(|item| item.product_id));
        }
        order.lines = lines;
        self.balance += units * PRICE;
        if self.orders[&id].lines.iter().all(|line| left(line) == 0) {
            self.end(id, OrderStatus::Refunded, None);
        } else {
            self.show(id);
        }
        (Code::Ok, None)
    }

    fn add(&mut self, added: Line) -> Code {
        let place = self.cart.iter().position(|line| line.product_id == added.product_id);
        let there = place.map_or(0, |place| self.cart[place].quantity.0);
        match place {
            _ if there + added.quantity.0 > 10_000 => return Code::InvalidQuantity,
            // As if 500 lines were three.
            None if self.cart.len() == 3 => return Code::CartFull,
            None => self.cart.push(added),
            Some(place) => self.cart[place].quantity.0 += added.quantity.0,
        }
        Code::Ok
    }

    fn fail(&mut self, id: OrderId, code: Code, product: Option<ProductId>) {
        let order = &self.orders[&id];
        if order.from_cart {
            let back =
                |line: &OrderLine| Line { product_id: line.product_id, quantity: line.quantity };
            self.cart.extend(order.lines.iter().map(back));
        }
        self.tell(id, code, product);
        self.end(id, OrderStatus::Failed, Some(code));
    }

    fn end(&mut self, id: OrderId, status: OrderStatus, reason: Option<Code>) {
        let at = self.clock.now();
        let order = self.orders.get_mut(&id).expect("an order");
        (order.status, order.reason, order.payment_due) = (status, reason, None);
        order.updated_at = at;
        order.history.push(HistoryLine { status, reason, at });
        self.tell(id, Code::Ok, None);
        self.show(id);
    }

    /// The order's first outcome, for all who wait for it.
    fn tell(&mut self, id: OrderId, code: Code, product_id: Option<ProductId>) {
        let order = self.orders.get_mut(&id).expect("an order");
        if order.outcome.is_none() {
            let order_id = Some(id);
            order.outcome = Some(Outcome { order_id, product_id, ..Outcome::of(code) });
        }
    }

    /// Shows the order as it is, and tells those who waited for its outcome.
    fn show(&mut self, id: OrderId) {
        let order = self.orders[&id].clone();
        let outcome = order.outcome;
        self.hand.apply(|as_of| Row::from(OrderRow { as_of, ..order }));
        let Some(outcome) = outcome else { return };
        self.hand.apply(user_row_with(self.balance, self.cart.clone()));
        for (of, reply_to, asked) in std::mem::take(&mut self.askers) {
            if of != id {
                self.askers.push((of, reply_to, asked));
            } else if reply_to.is_some() {
                self.hand.answer(reply_to, asked, outcome);
            }
        }
    }
}

fn order_of(asked: &Asked<UserCommand>) -> OrderId {
    OrderId::of(asked.command.user_id, &asked.command.key)
}

/// A new order, before any product lane has answered.
fn order(
    asked: &Asked<UserCommand>,
    wish: &PlaceOrder,
    (lines, at): (&[Line], Micros),
) -> OrderRow {
    let line = |line: &Line| OrderLine {
        product_id: line.product_id,
        quantity: line.quantity,
        price: None,
        refunded: Units::ZERO,
    };
    OrderRow {
        order_id: order_of(asked),
        user_id: asked.command.user_id,
        lane: 0,
        as_of: Default::default(),
        placed: asked.position + 1,
        status: OrderStatus::Pending,
        reason: None,
        reason_product: None,
        lines: lines.iter().map(line).collect(),
        awaits: Vec::new(),
        total: Money::ZERO,
        from_cart: wish.from_cart,
        payment: wish.payment,
        deadline: at.plus(DEADLINE_US),
        payment_due: None,
        occurred_at: None,
        sold_at: None,
        created_at: at,
        updated_at: at,
        fingerprint: asked.fingerprint,
        askers: Vec::new(),
        outcome: None,
        history: vec![HistoryLine { status: OrderStatus::Pending, reason: None, at }],
    }
}
