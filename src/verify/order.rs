//! One order of the own model: what it wants, what the product lanes promised, and where its holds
//! are.

use jupan_schemas::{
    Asker, Code, Fingerprint, HoldEnd, Micros, Money, OrderStatus, Outcome, Payment, PricedLine,
    ProductId, Units, UserId,
};

/// One line of an order.
#[derive(Clone, Debug)]
pub(super) struct OrderLine {
    pub(super) product: ProductId,
    /// The product's lane.
    pub(super) lane: u16,
    pub(super) units: Units,
    /// As the order knows it.
    pub(super) price: Option<Money>,
    pub(super) refunded: Units,
}

/// What a product lane answered, as the order knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    Awaited,
    Reserved,
    Refused,
}

/// The hold of a product lane, as that lane knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    None,
    Open,
    Ended(HoldEnd),
}

/// A product lane's share of an order.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) lane: u16,
    pub(super) promise: Promise,
    pub(super) hold: Hold,
}

/// One order.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) user: UserId,
    pub(super) status: OrderStatus,
    pub(super) reason: Code,
    pub(super) lines: Vec<OrderLine>,
    pub(super) parts: Vec<Part>,
    pub(super) payment: Payment,
    pub(super) deadline: Micros,
    pub(super) is_payable: bool,
    pub(super) occurred_at: Option<Micros>,
    pub(super) placed_at: Micros,
    pub(super) sold_at: Option<Micros>,
    pub(super) total: Money,
    pub(super) fingerprint: Fingerprint,
    /// Who waits for the outcome, until there is one.
    pub(super) askers: Vec<Asker>,
    /// What all who ask are told, once it has ended.
    pub(super) outcome: Option<Outcome>,
}

impl Order {
    /// A product lane's share.
    pub(super) fn part(&mut self, lane: u16) -> Option<&mut Part> {
        self.parts.iter_mut().find(|part| part.lane == lane)
    }

    /// The lines of one product lane, in the order's order.
    pub(super) fn lines_of(&self, lane: u16) -> impl Iterator<Item = &OrderLine> {
        self.lines.iter().filter(move |line| line.lane == lane)
    }

    /// Whether these are the lines of one product lane, in their order.
    pub(super) fn is_same(&self, lane: u16, lines: &[PricedLine]) -> bool {
        let own = self.lines_of(lane).map(|line| (line.product, line.units));
        own.eq(lines.iter().map(|line| (line.product_id, line.quantity)))
    }

    /// What all lines cost; `None` while a price is not known, or where it cannot be counted.
    pub(super) fn priced_total(&self) -> Option<Money> {
        self.lines.iter().try_fold(Money::ZERO, |sum, line| {
            sum.checked_add(line.price?.checked_times(line.units)?)
        })
    }
}
