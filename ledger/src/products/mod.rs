//! The products' core: the catalogue, the stock of each product, and what is held for orders.
//!
//! One file for each command and message, each with the same parts in the same order: what is
//! checked, what is decided, and how the change it makes is folded. `end` is what both ends of a
//! hold share.

mod change;
mod end;
mod evolve;
mod project;
mod register;
mod release;
mod reserve;
mod restock;
mod returned;
mod settle;
mod state;
mod stock;

use crate::{
    Asked, Broken, Core, Decision, Event, Rules,
    cells::{Cells, Turn},
    idempotency::Head,
};
use jupan_schemas::{
    CommandId, Entry, Micros, OrderId, Outcome, ProductCommand, ProductId, ProductMessage,
    ProductPayload, Role, SystemBalance, ToProducts,
    rows::{Key, OutcomeRow, Row},
};
use state::{Hold, Product};

/// What a product lane reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A wish about a product.
    Command(Asked<ProductCommand>),
    /// What a user lane wants held, sold or released.
    Message(ProductMessage),
}

/// The state of one product lane: products with their stock, holds, and first outcomes.
pub struct Products {
    lane: u16,
    products: Cells<ProductId, Product>,
    holds: Cells<OrderId, Hold>,
    outcomes: Cells<CommandId, OutcomeRow>,
}

impl Products {
    fn decide_command(
        &self,
        asked: &Asked<ProductCommand>,
        at: Micros,
    ) -> Result<Decision, Broken> {
        let (head, command) = (Head::from(asked), &asked.command);
        if let Err(code) = head.check(at) {
            return Ok(head.refuse(Outcome::of(code)));
        }
        if let Some(decision) = head.known(self.outcomes.find(asked.command_id)?, at) {
            return Ok(decision);
        }
        let (id, product) = (command.product_id, self.products.find(command.product_id)?);
        let ruling = match &command.payload {
            ProductPayload::RegisterProduct(wish) => register::decide(id, product, wish),
            ProductPayload::ChangeProduct(wish) => change::decide(id, product, wish),
            ProductPayload::Restock(wish) => restock::decide(product, wish),
        };
        Ok(head.conclude(ruling))
    }

    fn decide_message(&self, rules: &Rules, message: &ProductMessage) -> Result<Decision, Broken> {
        match &message.payload {
            ToProducts::Reserve(told) => reserve::decide(self, rules, message.lane, told),
            ToProducts::Settle(told) => settle::decide(self, message.lane, told),
            ToProducts::Release(told) => release::decide(self, message.lane, told),
            ToProducts::Return(told) => returned::decide(self, rules, told),
        }
    }
}

impl Core for Products {
    const ROLE: Role = Role::Products;
    type Input = Input;

    fn new(lane: u16) -> Self {
        Self {
            lane,
            products: Cells::new("product"),
            holds: Cells::new("hold of order"),
            outcomes: Cells::new("outcome of command"),
        }
    }

    fn footprint(&self, input: &Input, keys: &mut Vec<Key>) {
        match input {
            Input::Command(asked) if asked.command.product_id.is_valid() => {
                keys.push(Key::Product(asked.command.product_id));
                keys.push(Key::Outcome(asked.command_id));
            }
            // Refused for its id, before anything is looked up.
            Input::Command(_) => {}
            Input::Message(message) => match &message.payload {
                ToProducts::Reserve(told) => {
                    keys.extend(told.lines.iter().map(|line| Key::Product(line.product_id)));
                }
                // The hold names its products; `retain_missing` asks for them.
                ToProducts::Settle(told) => keys.push(Key::Hold(told.order_id, self.lane)),
                ToProducts::Release(told) => keys.push(Key::Hold(told.order_id, self.lane)),
                ToProducts::Return(told) => {
                    keys.extend(told.lines.iter().map(|line| Key::Product(line.product_id)));
                }
            },
        }
    }

    fn entry_footprint(&self, entry: &Entry, keys: &mut Vec<Key>) {
        evolve::footprint(self.lane, entry, keys);
    }

    fn retain_missing(&mut self, keys: &mut Vec<Key>) {
        let Self { lane, products, holds, outcomes } = self;
        let mut named = Vec::new();
        keys.retain(|key| match *key {
            Key::Product(id) => !products.touch(id),
            Key::Outcome(id) => !outcomes.touch(id),
            Key::Hold(id, owner) if owner == *lane => {
                if let Some(hold) = holds.peek(id).filter(|hold| hold.is_open()) {
                    let of_hold = hold.lines.iter().map(|line| line.product_id);
                    named.extend(of_hold.filter(|id| !products.touch(*id)).map(Key::Product));
                }
                !holds.touch(id)
            }
            Key::Hold(..) | Key::User(_) | Key::Order(_) => true,
        });
        keys.append(&mut named);
    }

    fn load(&mut self, key: Key, row: Option<Row>) -> Result<(), Broken> {
        project::load(self, key, row)
    }

    fn decide(&self, rules: &Rules, input: &Input, at: Micros) -> Result<Decision, Broken> {
        match input {
            Input::Command(asked) => self.decide_command(asked, at),
            Input::Message(message) => self.decide_message(rules, message),
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

    fn statement(&self, _entry: &Entry, _rows: &mut Vec<Row>) {}

    fn events(&self, entry: &Entry, tell: &mut dyn FnMut(Event)) {
        project::events(self, entry, tell);
    }

    fn deadlines(_entry: &Entry, _set: &mut dyn FnMut(OrderId, Option<Micros>)) {}

    /// None: a product's supply is part of its row.
    fn balances(&self) -> Vec<SystemBalance> {
        Vec::new()
    }

    fn restore_balances(&mut self, _balances: &[SystemBalance]) {}

    fn cells(&self) -> usize {
        self.products.len() + self.holds.len() + self.outcomes.len()
    }

    fn release(&mut self, acknowledged: u64) -> usize {
        self.outcomes.release(acknowledged)
            + self.holds.release(acknowledged)
            + self.products.release(acknowledged)
    }

    fn trim(&mut self, acknowledged: u64, cells_max: usize) -> usize {
        let excess = self.cells().saturating_sub(cells_max);
        let mut dropped = 0;
        for turn in [Turn::Unused, Turn::Any] {
            dropped += self.outcomes.trim(acknowledged, excess - dropped, turn);
            dropped += self.holds.trim(acknowledged, excess - dropped, turn);
            dropped += self.products.trim(acknowledged, excess - dropped, turn);
        }
        dropped
    }
}
