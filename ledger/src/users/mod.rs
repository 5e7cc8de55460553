//! The users' core: who is known, what their wallets hold, and how their orders go.
//!
//! One file for each command and message, each with the same parts in the same order: what is
//! checked, what is decided, and how the change it makes is folded. `end` is what all ends of an
//! order share.

mod cancel;
mod cart;
mod charge;
mod end;
mod evolve;
mod expire;
mod pay;
mod place;
mod project;
mod refund;
mod refused;
mod register;
mod reserved;
mod state;

use crate::{
    Asked, Broken, Core, Decision, Event, Rules,
    cells::{Cells, Turn},
    idempotency::Head,
    postings::SystemAccount,
};
use jupan_schemas::{
    Account, CommandId, Entry, Micros, OrderId, Outcome, Role, SystemBalance, ToUsers, UserCommand,
    UserId, UserMessage, UserPayload,
    rows::{Key, OutcomeRow, Row},
};
use state::{Order, User};

/// What a user lane reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A wish about a user.
    Command(Asked<UserCommand>),
    /// What a product lane answers, or a timer of this lane.
    Message(UserMessage),
}

/// The state of one user lane: users with their wallets, orders, and first outcomes.
pub struct Users {
    lane: u16,
    users: Cells<UserId, User>,
    orders: Cells<OrderId, Order>,
    outcomes: Cells<CommandId, OutcomeRow>,
    funding: SystemAccount,
    revenue: SystemAccount,
}

impl Users {
    fn decide_command(
        &self,
        rules: &Rules,
        asked: &Asked<UserCommand>,
        at: Micros,
    ) -> Result<Decision, Broken> {
        let (head, command) = (Head::from(asked), &asked.command);
        if let Err(code) = head.check(at) {
            return Ok(head.refuse(Outcome::of(code)));
        }
        // Any command with an order's key is a repetition of its PlaceOrder, or reuses its key.
        let order_id = OrderId::of(command.user_id, &command.key);
        if let Some(order) = self.orders.find(order_id)? {
            return Ok(place::again(&head, order_id, order));
        }
        if let Some(decision) = head.known(self.outcomes.find(asked.command_id)?, at) {
            return Ok(decision);
        }
        let (id, user) = (command.user_id, self.users.find(command.user_id)?);
        let ruling = match &command.payload {
            UserPayload::RegisterUser(wish) => register::decide(id, user, wish),
            UserPayload::ChargeBalance(wish) => charge::decide(self, rules, id, user, wish),
            UserPayload::PlaceOrder(wish) => {
                place::decide(rules, &head, (id, order_id), user, wish, at)
            }
            UserPayload::AddToCart(wish) => cart::decide_add(rules, id, user, wish),
            UserPayload::RemoveFromCart(wish) => cart::decide_remove(id, user, wish),
            UserPayload::PayOrder(wish) => pay::decide(self, rules, (id, wish.order_id), at)?,
            UserPayload::CancelOrder(wish) => cancel::decide(self, rules, (id, wish.order_id))?,
            UserPayload::RefundOrder(wish) => refund::decide(self, rules, id, wish)?,
        };
        Ok(head.conclude(ruling))
    }

    /// Whose order it is.
    fn owner_of(&self, id: OrderId, order: &Order) -> Result<&User, Broken> {
        let user = self.users.find(order.user_id)?;
        user.ok_or_else(|| Broken::about("order", id, "its user does not exist"))
    }

    /// A user's order. Another user's is none, and may lie in another lane.
    fn order_of(&self, user_id: UserId, id: OrderId) -> Result<Option<&Order>, Broken> {
        if id.user() == Some(user_id) { self.orders.find(id) } else { Ok(None) }
    }

    fn decide_message(
        &self,
        rules: &Rules,
        message: &UserMessage,
        at: Micros,
    ) -> Result<Decision, Broken> {
        match &message.payload {
            ToUsers::Reserved(told) => reserved::decide(self, rules, message.lane, told, at),
            ToUsers::Refused(told) => refused::decide(self, rules, message.lane, told),
            ToUsers::ExpireOrder(told) => expire::decide(self, rules, told, at),
        }
    }
}

impl Core for Users {
    const ROLE: Role = Role::Users;
    type Input = Input;

    fn new(lane: u16) -> Self {
        Self {
            lane,
            users: Cells::new("user"),
            orders: Cells::new("order"),
            outcomes: Cells::new("outcome of command"),
            funding: SystemAccount::new(Account::Funding),
            revenue: SystemAccount::new(Account::Revenue),
        }
    }

    fn footprint(&self, input: &Input, keys: &mut Vec<Key>) {
        match input {
            Input::Command(asked) if asked.command.user_id.is_valid() => {
                let command = &asked.command;
                keys.push(Key::User(command.user_id));
                keys.push(Key::Outcome(asked.command_id));
                keys.push(Key::Order(OrderId::of(command.user_id, &command.key)));
                let named = named_order(&command.payload);
                let own = named.filter(|id| id.user() == Some(command.user_id));
                keys.extend(own.map(Key::Order));
            }
            // Refused for its id, before anything is looked up.
            Input::Command(_) => {}
            Input::Message(message) => {
                let order_id = order_of(&message.payload);
                keys.push(Key::Order(order_id));
                keys.extend(order_id.user().map(Key::User));
            }
        }
    }

    fn entry_footprint(&self, entry: &Entry, keys: &mut Vec<Key>) {
        evolve::footprint(entry, keys);
    }

    fn retain_missing(&mut self, keys: &mut Vec<Key>) {
        keys.retain(|key| match *key {
            Key::User(id) => !self.users.touch(id),
            Key::Order(id) => !self.orders.touch(id),
            Key::Outcome(id) => !self.outcomes.touch(id),
            Key::Product(_) | Key::Hold(..) => true,
        });
    }

    fn load(&mut self, key: Key, row: Option<Row>) -> Result<(), Broken> {
        project::load(self, key, row)
    }

    fn decide(&self, rules: &Rules, input: &Input, at: Micros) -> Result<Decision, Broken> {
        match input {
            Input::Command(asked) => self.decide_command(rules, asked, at),
            Input::Message(message) => self.decide_message(rules, message, at),
        }
    }

    fn evolve(&mut self, entry: &Entry) -> Result<(), Broken> {
        evolve::evolve(self, entry)
    }

    fn row(&self, key: Key) -> Option<Row> {
        project::row(self, key)
    }

    fn take_changed(&mut self, rows: &mut Vec<Row>) {
        project::take_changed(self, rows);
    }

    fn statement(&self, entry: &Entry, rows: &mut Vec<Row>) {
        project::statement(self.lane, entry, rows);
    }

    fn events(&self, entry: &Entry, tell: &mut dyn FnMut(Event)) {
        project::events(self, entry, tell);
    }

    fn deadlines(entry: &Entry, set: &mut dyn FnMut(OrderId, Option<Micros>)) {
        evolve::deadlines(entry, set);
    }

    fn balances(&self) -> Vec<SystemBalance> {
        [self.funding.balance(), self.revenue.balance()].into_iter().flatten().collect()
    }

    fn restore_balances(&mut self, balances: &[SystemBalance]) {
        self.funding.restore(balances);
        self.revenue.restore(balances);
    }

    fn cells(&self) -> usize {
        self.users.len() + self.orders.len() + self.outcomes.len()
    }

    fn release(&mut self, acknowledged: u64) -> usize {
        self.outcomes.release(acknowledged)
            + self.orders.release(acknowledged)
            + self.users.release(acknowledged)
    }

    fn trim(&mut self, acknowledged: u64, cells_max: usize) -> usize {
        let excess = self.cells().saturating_sub(cells_max);
        let mut dropped = 0;
        for turn in [Turn::Unused, Turn::Any] {
            dropped += self.outcomes.trim(acknowledged, excess - dropped, turn);
            dropped += self.orders.trim(acknowledged, excess - dropped, turn);
            dropped += self.users.trim(acknowledged, excess - dropped, turn);
        }
        dropped
    }
}

/// The order that a command names, beside the one that its own key would make.
fn named_order(payload: &UserPayload) -> Option<OrderId> {
    match payload {
        UserPayload::PayOrder(wish) => Some(wish.order_id),
        UserPayload::CancelOrder(wish) => Some(wish.order_id),
        UserPayload::RefundOrder(wish) => Some(wish.order_id),
        _ => None,
    }
}

fn order_of(message: &ToUsers) -> OrderId {
    match message {
        ToUsers::Reserved(told) => told.order_id,
        ToUsers::Refused(told) => told.order_id,
        ToUsers::ExpireOrder(told) => told.order_id,
    }
}
