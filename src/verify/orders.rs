//! Invariant 8, entry by entry: an own model of orders and their holds. It knows what every input
//! must come to, is told what the journals' changes say, checks that each may follow the one
//! before, and works out what money and units must have moved and who must have been told.

use super::{
    accounts::{Flow, Moved},
    book::Book,
    carts::Carts,
    catalogue,
    due::{self, Due, Turn},
    findings::{Desk, Invariant},
    inputs::{Body, Input},
    lanes::PerLane,
    limits::Limits,
    order::{Order, Promise},
};
use hashbrown::{HashMap, HashSet};
use jupan_schemas::{
    AskerJoined, Change, Entry, Lane, LaneReserved, Message, Money, OrderId, OrderStatus,
    ProductId, Role, Sent, ToUsers, UserId, UserPayload, Verdict,
};

const RULE: Invariant = Invariant::Orders;

/// Everything that the changes made known.
pub(super) struct Orders {
    pub(super) lanes: u16,
    pub(super) users: HashSet<UserId>,
    pub(super) prices: HashMap<ProductId, Money>,
    pub(super) orders: Book,
    pub(super) carts: Carts,
    limits: PerLane<Limits>,
    /// What the entry at hand must have moved.
    pub(super) expected: Vec<Moved>,
    /// What the entry at hand must have told which lanes; at most one message to each.
    pub(super) messages: Vec<(u16, Message)>,
}

impl Orders {
    pub(super) fn new(lanes: u16) -> Self {
        Self {
            lanes,
            users: HashSet::new(),
            prices: HashMap::new(),
            orders: Book::default(),
            carts: Carts::default(),
            limits: PerLane::new(lanes, |_| Limits::default()),
            expected: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// Applies an entry's changes; `due` is what a first decision must come to.
    pub(super) fn entry(
        &mut self,
        lane: Lane,
        entry: &Entry,
        input: Option<&Input>,
        due: Option<&Due>,
        moved: &mut [Moved],
        desk: &mut Desk<'_>,
    ) {
        self.expected.clear();
        self.messages.clear();
        let deed = due.and_then(|due| due.deed(entry.verdict));
        self.carts.expect(deed.and_then(|deed| deed.cart.clone()));
        check_turns(entry, deed.map_or(&[], |deed| &deed.turns), desk);
        catalogue::check(entry, deed, desk);
        if let Some(input) = input {
            self.asked(entry, input, desk);
        }
        for change in &entry.changes {
            match lane.role {
                Role::Users => self.user_change(lane, entry, change, input, desk),
                Role::Products => self.product_change(lane, change, input, desk),
            }
        }
        self.check_moved(lane, entry, moved, desk);
        self.check_messages(lane, &entry.messages, desk);
        self.carts.settle(entry, desk);
        self.learn(lane, entry, input);
    }

    fn check_moved(&mut self, lane: Lane, entry: &Entry, moved: &mut [Moved], desk: &mut Desk<'_>) {
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

    fn check_messages(&mut self, lane: Lane, sent: &[Sent], desk: &mut Desk<'_>) {
        let mut found: Vec<(u16, &Message)> =
            sent.iter().map(|sent| (sent.lane, &sent.payload)).collect();
        found.sort_by_key(|(to, _)| *to);
        self.messages.sort_by_key(|(to, _)| *to);
        let count = self.messages.len().max(found.len());
        for place in 0..count {
            let due = self.messages.get(place).map(|(to, message)| (*to, message));
            let found = found.get(place).copied();
            let to = due.or(found).map_or(lane.index, |(to, _)| to);
            let to = Lane { role: lane.role.peer(), index: to };
            // One that is missing or too many shifts all behind it.
            if !desk.same(RULE, format_args!("what {to} is told"), due, found) {
                break;
            }
        }
    }

    /// What the present owner has allowed, it allows.
    fn learn(&mut self, lane: Lane, entry: &Entry, input: Option<&Input>) {
        let Some(limits) = self.limits.get_mut(lane) else { return };
        if entry.verdict == Verdict::Opened {
            *limits = Limits::default();
        }
        let Some(Body::User(command)) = input.map(|input| &input.body) else { return };
        if entry.verdict != Verdict::Accepted {
            return;
        }
        if let UserPayload::AddToCart(_) = &command.payload {
            limits.learn(self.carts.of(command.user_id));
        }
        for change in &entry.changes {
            if let Change::OrderPlaced(placed) = change {
                limits.learn(&placed.lines);
            }
        }
    }

    /// What a lane's present owner has allowed so far.
    pub(super) fn limits(&self, lane: Lane) -> Limits {
        self.limits.get(lane).copied().unwrap_or_default()
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
                check_prices(c, input, desk);
                self.held(c, desk);
            }
            Change::OrderReserved(c) => self.payable(c, desk),
            Change::OrderEnded(ended) => self.ended(entry, ended, desk),
            Change::AskerJoined(c) => self.asker_joined(c, desk),
            Change::LinesRefunded(c) => self.refunded(entry, c, desk),
            // Carts are compared once the whole entry is known, outcomes are another check's.
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

    fn asker_joined(&mut self, joined: &AskerJoined, desk: &mut Desk<'_>) {
        if let Some(order) = pending(&mut self.orders, joined.order_id, desk) {
            order.askers.push(joined.asker);
        }
    }

    /// What the input itself asked to be moved, where an accepted command or message says it
    /// plainly.
    fn asked(&mut self, entry: &Entry, input: &Input, desk: &mut Desk<'_>) {
        match &input.body {
            Body::User(command) if entry.verdict == Verdict::Accepted => {
                if let UserPayload::ChargeBalance(charge) = &command.payload {
                    let (owner, amount) = (command.user_id.0, charge.amount.0);
                    self.expected.push(Moved { flow: Flow::Charge, owner, amount });
                }
            }
            Body::Product(command) if entry.verdict == Verdict::Accepted => {
                self.asked_of_product(command);
            }
            Body::ToProducts(message) => self.told_to_product(entry, message, desk),
            Body::ToUsers(message) if entry.verdict == Verdict::Accepted => {
                self.told_to_user(message.lane, &message.payload);
            }
            _ => {}
        }
    }

    fn told_to_user(&mut self, lane: u16, told: &ToUsers) {
        let ToUsers::Refused(refused) = told else { return };
        let part = self.orders.change(refused.order_id).and_then(|order| order.part(lane));
        if let Some(part) = part {
            part.promise = Promise::Refused;
        }
    }
}

/// A pending order; another one is a fault.
pub(super) fn pending<'a>(
    orders: &'a mut Book,
    id: OrderId,
    desk: &mut Desk<'_>,
) -> Option<&'a mut Order> {
    let order = orders.change(id);
    let status = order.as_ref().map(|order| order.status);
    desk.same(RULE, format_args!("order {id}"), Some(OrderStatus::Pending), status);
    order
}

/// An entry does to orders what its input must come to, and a duplicate may wait for one.
fn check_turns(entry: &Entry, expected: &[(OrderId, Turn)], desk: &mut Desk<'_>) {
    let turns = entry.changes.iter().filter_map(due::turn_of);
    let is_wait = |turn: &Turn| entry.verdict == Verdict::Duplicate && *turn == Turn::Joined;
    let found: Vec<(OrderId, Turn)> = turns.filter(|(_, turn)| !is_wait(turn)).collect();
    desk.same(RULE, "what the entry does to orders", expected, found.as_slice());
}

/// The prices of a share are those that its lane told.
fn check_prices(held: &LaneReserved, input: Option<&Input>, desk: &mut Desk<'_>) {
    let is_told = matches!(input.map(|input| &input.body), Some(Body::ToUsers(message))
        if message.lane == held.lane && matches!(&message.payload, ToUsers::Reserved(told)
            if told.order_id == held.order_id && told.lines == held.lines));
    let about = format_args!("prices of order {}", held.order_id);
    desk.rule(RULE, about, is_told, "those that the product lane told", "others");
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
