//! Invariant 8, entry by entry: an own model of orders and their holds. It is told what the
//! journals' changes say, checks that each may follow the one before, and works out what money and
//! units it must have moved.

use super::{
    accounts::{Flow, Moved},
    findings::{Desk, Invariant},
    inputs::{Body, Input},
    order::{Hold, Order, OrderLine, Part, Promise},
};
use hashbrown::{HashMap, HashSet};
use jupan_schemas::{
    Asker, AskerJoined, Change, Code, Entry, Lane, Line, Message, Micros, Money, OrderEnded,
    OrderId, OrderPlaced, OrderStatus, Outcome, Payment, PricedLine, ProductId, Role, ToUsers,
    Units, UserId, UserPayload, UserRegistered, Verdict, partition_of,
};

const RULE: Invariant = Invariant::Orders;

/// Everything that the changes made known.
pub(super) struct Orders {
    pub(super) lanes: u16,
    pub(super) users: HashSet<UserId>,
    pub(super) prices: HashMap<ProductId, Money>,
    pub(super) orders: HashMap<OrderId, Order>,
    /// What the entry at hand must have moved.
    pub(super) expected: Vec<Moved>,
}

impl Orders {
    pub(super) fn new(lanes: u16) -> Self {
        Self {
            lanes,
            users: HashSet::new(),
            prices: HashMap::new(),
            orders: HashMap::new(),
            expected: Vec::new(),
        }
    }

    /// Applies an entry's changes.
    pub(super) fn entry(
        &mut self,
        lane: Lane,
        entry: &Entry,
        input: Option<&Input>,
        moved: &mut [Moved],
        desk: &mut Desk<'_>,
    ) {
        self.expected.clear();
        if let Some(input) = input {
            self.asked(entry, input, desk);
        }
        for change in &entry.changes {
            match lane.role {
                Role::Users => self.user_change(lane, entry, change, input, desk),
                Role::Products => self.product_change(lane, entry, change, input, desk),
            }
        }
        self.expected.retain(|moved| moved.amount != 0);
        self.expected.sort_unstable();
        moved.sort_unstable();
        let rule = match lane.role {
            _ if entry.changes.iter().any(is_about_orders) => RULE,
            Role::Users => Invariant::Money,
            Role::Products => Invariant::Stock,
        };
        let mut pairs = self.expected.iter().zip(moved.iter());
        if let Some((expected, found)) = pairs.find(|(expected, found)| expected != found) {
            desk.fault(rule, "what the entry moved", expected, found);
        } else {
            desk.same(rule, "transfers of the entry", self.expected.len(), moved.len());
        }
    }

    fn user_change(
        &mut self,
        lane: Lane,
        entry: &Entry,
        change: &Change,
        input: Option<&Input>,
        desk: &mut Desk<'_>,
    ) {
        match change {
            Change::UserRegistered(c) => self.user_registered(lane, c, input, desk),
            Change::OrderPlaced(placed) => self.placed(lane, entry, placed, input, desk),
            Change::LaneReserved(c) => {
                let is_told = matches!(input.map(|input| &input.body), Some(Body::ToUsers(m))
                    if m.lane == c.lane && matches!(&m.payload, ToUsers::Reserved(r)
                        if r.order_id == c.order_id && r.lines == c.lines));
                let about = format_args!("prices of order {}", c.order_id);
                desk.rule(RULE, about, is_told, "those that the product lane told", "others");
                self.lane_reserved(c.order_id, c.lane, &c.lines, desk);
            }
            Change::OrderReserved(c) => {
                let Some(order) = self.pending(c.order_id, desk) else { return };
                let is_held = order.parts.iter().all(|part| part.promise == Promise::Reserved);
                let is_later = order.payment == Payment::Later;
                let about = format_args!("order {} that is to be paid", c.order_id);
                let holds = is_held && is_later && !order.is_payable;
                desk.rule(RULE, about, holds, "all held, paid later, once", "not so");
                order.is_payable = true;
            }
            Change::OrderEnded(ended) => self.ended(entry, ended, desk),
            Change::AskerJoined(c) => self.asker_joined(c, input, desk),
            Change::LinesRefunded(c) => self.refunded(c.order_id, &c.lines, c.status, desk),
            Change::OutcomeStored(_) | Change::Opened(_) | Change::CartChanged(_) => {}
            Change::ProductRegistered(_)
            | Change::ProductChanged(_)
            | Change::HoldOpened(_)
            | Change::HoldEnded(_)
            | Change::LinesReturned(_) => {
                desk.fault(RULE, "change in a user lane", "one of its role", "a product lane's");
            }
        }
    }

    fn user_registered(
        &mut self,
        lane: Lane,
        registered: &UserRegistered,
        input: Option<&Input>,
        desk: &mut Desk<'_>,
    ) {
        let id = registered.user_id;
        let is_home = partition_of(id.0, self.lanes) == lane.index;
        let is_wished = matches!(input.map(|input| &input.body), Some(Body::User(command))
            if command.user_id == id && matches!(&command.payload,
                UserPayload::RegisterUser(wish)
                    if wish.name == registered.name && wish.email == registered.email));
        let holds = self.users.insert(id) && is_home && is_wished;
        let about = format_args!("user {id}");
        desk.rule(Invariant::Inputs, about, holds, "new, as the command says", "not so");
    }

    fn asker_joined(&mut self, joined: &AskerJoined, input: Option<&Input>, desk: &mut Desk<'_>) {
        let own = input.and_then(|input| {
            let reply_to = input.body.reply_to()?;
            Some(Asker { reply_to, position: input.offset })
        });
        let about = format_args!("asker who joins order {}", joined.order_id);
        desk.same(Invariant::Outcomes, about, own, Some(joined.asker));
        if let Some(order) = self.pending(joined.order_id, desk) {
            order.askers.push(joined.asker);
        }
    }

    fn placed(
        &mut self,
        lane: Lane,
        entry: &Entry,
        placed: &OrderPlaced,
        input: Option<&Input>,
        desk: &mut Desk<'_>,
    ) {
        let about = format_args!("order {}", placed.order_id);
        let lines: Vec<OrderLine> = placed.lines.iter().map(|line| self.line(line)).collect();
        let mut lanes: Vec<u16> = lines.iter().map(|line| line.lane).collect();
        lanes.sort_unstable();
        lanes.dedup();
        let mut products: Vec<ProductId> = lines.iter().map(|line| line.product).collect();
        products.sort_unstable();
        let is_distinct = products.windows(2).all(|pair| pair[0] != pair[1]);
        let is_positive = lines.iter().all(|line| line.units > Units::ZERO);
        let is_owned = placed.order_id.user() == Some(placed.user_id)
            && partition_of(placed.user_id.0, self.lanes) == lane.index
            && self.users.contains(&placed.user_id);
        let is_good = is_owned && is_distinct && is_positive && !lines.is_empty();
        desk.rule(RULE, about, is_good, "a known user's, with each product once", "another");
        desk.same(RULE, format_args!("wish behind {about}"), true, is_wished(placed, input));
        self.check_reserves(entry, placed, &lines, &lanes, desk);
        let parts = lanes
            .into_iter()
            .map(|lane| Part { lane, promise: Promise::Awaited, hold: Hold::None })
            .collect();
        let order = Order {
            user: placed.user_id,
            status: OrderStatus::Pending,
            reason: Code::Ok,
            lines,
            parts,
            payment: placed.payment,
            deadline: placed.deadline,
            is_payable: false,
            occurred_at: placed.occurred_at,
            placed_at: input.map_or(Micros(entry.stamp.0), |input| input.at),
            sold_at: None,
            total: Money::ZERO,
            fingerprint: placed.fingerprint,
            askers: placed.asker.into_iter().collect(),
            outcome: None,
        };
        let before = self.orders.insert(placed.order_id, order);
        desk.rule(RULE, about, before.is_none(), "placed once", "placed again");
    }

    fn line(&self, line: &Line) -> OrderLine {
        OrderLine {
            product: line.product_id,
            lane: partition_of(line.product_id.0, self.lanes),
            units: line.quantity,
            price: None,
            refunded: Units::ZERO,
        }
    }

    /// Every product lane of the order is asked once, for all its lines.
    fn check_reserves(
        &self,
        entry: &Entry,
        placed: &OrderPlaced,
        lines: &[OrderLine],
        lanes: &[u16],
        desk: &mut Desk<'_>,
    ) {
        let mut asked: Vec<u16> = Vec::with_capacity(lanes.len());
        for sent in &entry.messages {
            let Message::Reserve(reserve) = &sent.payload else { continue };
            asked.push(sent.lane);
            let own = lines.iter().filter(|line| line.lane == sent.lane);
            let is_same = own
                .map(|line| (line.product, line.units))
                .eq(reserve.lines.iter().map(|line| (line.product_id, line.quantity)));
            let about = format_args!("Reserve of order {}", placed.order_id);
            let is_own = reserve.order_id == placed.order_id;
            desk.rule(RULE, about, is_same && is_own, "the lane's lines", "others");
        }
        asked.sort_unstable();
        let about = format_args!("lanes asked for order {}", placed.order_id);
        desk.same(RULE, about, lanes, asked.as_slice());
    }

    fn lane_reserved(
        &mut self,
        order_id: OrderId,
        lane: u16,
        lines: &[PricedLine],
        desk: &mut Desk<'_>,
    ) {
        let Some(order) = self.pending(order_id, desk) else { return };
        let is_same = order.is_same(lane, lines);
        let is_awaited = order.part(lane).is_some_and(|part| part.promise == Promise::Awaited);
        let about = format_args!("lines held by lane {lane} for order {order_id}");
        let holds = is_same && is_awaited;
        desk.rule(RULE, about, holds, "the order's, answered once", "others, or again");
        if let Some(part) = order.part(lane) {
            part.promise = Promise::Reserved;
        }
        for (own, told) in order.lines.iter_mut().filter(|line| line.lane == lane).zip(lines) {
            own.price = Some(told.price);
        }
    }

    /// A pending order; another one is a fault.
    pub(super) fn pending(&mut self, id: OrderId, desk: &mut Desk<'_>) -> Option<&mut Order> {
        let order = self.orders.get_mut(&id);
        let status = order.as_ref().map(|order| order.status);
        desk.same(RULE, format_args!("order {id}"), Some(OrderStatus::Pending), status);
        order
    }

    fn ended(&mut self, entry: &Entry, ended: &OrderEnded, desk: &mut Desk<'_>) {
        let id = ended.order_id;
        let Some(order) = self.pending(id, desk) else { return };
        order.status = ended.status;
        order.reason = ended.code;
        order.total = ended.total_price;
        order.outcome = Some(Outcome {
            code: ended.code,
            order_id: Some(id),
            balance: None,
            product_id: ended.product_id,
        });
        order.askers.clear();
        let at = entry.input.map_or(Micros(entry.stamp.0), |input| input.at);
        let is_late = at > order.deadline;
        let tells = |lane: u16, settles: bool| {
            entry.messages.iter().any(|sent| match &sent.payload {
                Message::Settle(m) => settles && sent.lane == lane && m.order_id == id,
                Message::Release(m) => !settles && sent.lane == lane && m.order_id == id,
                _ => false,
            })
        };
        if ended.status == OrderStatus::Success {
            let all_held = order.parts.iter().all(|part| part.promise == Promise::Reserved);
            desk.same(RULE, format_args!("all lines of order {id} held"), true, all_held);
            desk.same(RULE, format_args!("order {id} paid after its deadline"), false, is_late);
            let total = order.priced_total();
            desk.same(RULE, format_args!("total of order {id}"), total, Some(ended.total_price));
            order.sold_at = entry.messages.iter().find_map(|sent| match &sent.payload {
                Message::Settle(settle) => Some(settle.sold_at),
                _ => None,
            });
            let told = order.parts.iter().all(|part| tells(part.lane, true));
            desk.same(RULE, format_args!("Settle to every lane of order {id}"), true, told);
            let (owner, amount) = (order.user.0, ended.total_price.0);
            self.expected.push(Moved { flow: Flow::Payment, owner, amount });
        } else {
            desk.same(RULE, format_args!("order {id}"), OrderStatus::Failed, ended.status);
            let total = order.priced_total().unwrap_or_default();
            desk.same(RULE, format_args!("total of order {id}"), total, ended.total_price);
            let is_early = ended.code == Code::Expired && at < order.deadline;
            desk.same(
                RULE,
                format_args!("order {id} expired before its deadline"),
                false,
                is_early,
            );
            let told = order
                .parts
                .iter()
                .all(|part| part.promise == Promise::Refused || tells(part.lane, false));
            desk.same(RULE, format_args!("Release to every lane of order {id}"), true, told);
        }
    }

    fn refunded(&mut self, id: OrderId, lines: &[Line], status: OrderStatus, desk: &mut Desk<'_>) {
        let Some(order) = self.orders.get_mut(&id) else {
            desk.fault(RULE, format_args!("refunded order {id}"), "known", "unknown");
            return;
        };
        let about = format_args!("refund of order {id}");
        desk.same(RULE, about, OrderStatus::Success, order.status);
        let mut amount = 0;
        for line in lines {
            let own = order.lines.iter_mut().find(|own| own.product == line.product_id);
            let Some(own) = own else {
                desk.fault(RULE, about, "a product of the order", line.product_id);
                continue;
            };
            own.refunded = Units(own.refunded.0.saturating_add(line.quantity.0));
            let fits = line.quantity > Units::ZERO && own.refunded <= own.units;
            desk.rule(RULE, about, fits, "at most what was bought", own.refunded);
            let price = own.price.unwrap_or_default();
            let given_back = price.checked_times(line.quantity).unwrap_or_default();
            amount = given_back.0.saturating_add(amount);
        }
        let is_all = order.lines.iter().all(|line| line.refunded == line.units);
        let expected = if is_all { OrderStatus::Refunded } else { OrderStatus::Success };
        desk.same(RULE, about, expected, status);
        order.status = status;
        self.expected.push(Moved { flow: Flow::Refund, owner: order.user.0, amount });
    }

    /// What the input itself asked to be moved, where an accepted command or message says it
    /// plainly.
    fn asked(&mut self, entry: &Entry, input: &Input, desk: &mut Desk<'_>) {
        if entry.verdict != Verdict::Accepted {
            return;
        }
        match &input.body {
            Body::User(command) => {
                if let UserPayload::ChargeBalance(charge) = &command.payload {
                    let (owner, amount) = (command.user_id.0, charge.amount.0);
                    self.expected.push(Moved { flow: Flow::Charge, owner, amount });
                }
            }
            Body::Product(command) => self.asked_of_product(command),
            Body::ToProducts(message) => self.told_to_product(entry, &message.payload, desk),
            Body::ToUsers(message) => self.told_to_user(message.lane, &message.payload),
            Body::Unreadable => {}
        }
    }

    fn told_to_user(&mut self, lane: u16, told: &ToUsers) {
        let ToUsers::Refused(refused) = told else { return };
        let part = self.orders.get_mut(&refused.order_id).and_then(|order| order.part(lane));
        if let Some(part) = part {
            part.promise = Promise::Refused;
        }
    }
}

fn is_about_orders(change: &Change) -> bool {
    !matches!(
        change,
        Change::OutcomeStored(_)
            | Change::UserRegistered(_)
            | Change::ProductRegistered(_)
            | Change::ProductChanged(_)
            | Change::CartChanged(_)
    )
}

/// Whether an order is what its PlaceOrder asked for: the same product twice is one line.
fn is_wished(placed: &OrderPlaced, input: Option<&Input>) -> bool {
    let Some(Body::User(command)) = input.map(|input| &input.body) else { return false };
    let UserPayload::PlaceOrder(wish) = &command.payload else { return false };
    let mut lines: Vec<Line> = Vec::new();
    for item in &wish.items {
        match lines.iter_mut().find(|line| line.product_id == item.product_id) {
            Some(line) => line.quantity.0 = line.quantity.0.saturating_add(item.quantity.0),
            None => lines.push(*item),
        }
    }
    placed.order_id == OrderId::of(command.user_id, &command.key)
        && placed.user_id == command.user_id
        && placed.payment == wish.payment
        && placed.occurred_at == command.occurred_at
        && placed.from_cart == wish.from_cart
        && (wish.from_cart || placed.lines == lines)
}
