//! One order of the own model: what it wants, what the product lanes promised, where its holds are,
//! and what went back.

use jupan_schemas::{
    Asker, Code, Fingerprint, HoldEnd, Micros, Money, OrderStatus, Outcome, Payment, PricedLine,
    ProductId, Units, UserId, rows::HistoryLine,
};
use serde::{Deserialize, Serialize};

/// So many askers wait for one order at most.
const ASKERS_MAX: usize = 128;
/// So many partitions of `command-results` wait for one order at most.
const REPLY_TO_MAX: usize = 8;

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OrderLine {
    pub(super) product: ProductId,
    /// The product's lane.
    pub(super) lane: u16,
    pub(super) units: Units,
    /// As the order knows it.
    pub(super) price: Option<Money>,
    /// Units that were paid back.
    pub(super) refunded: Units,
    /// Units that the product's lane has taken back.
    pub(super) returned: Units,
}

impl OrderLine {
    /// Units that can still be paid back.
    pub(super) fn left(&self) -> Units {
        Units(self.units.0.saturating_sub(self.refunded.0))
    }
}

/// What a product lane answered, as the order knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Promise {
    Awaited,
    Reserved,
    Refused,
}

/// The hold of a product lane, as that lane knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Hold {
    None,
    Open,
    Ended(HoldEnd),
}

/// A product lane's share of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) lane: u16,
    pub(super) promise: Promise,
    pub(super) hold: Hold,
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) user: UserId,
    pub(super) status: OrderStatus,
    /// Why it failed; `Ok` where it did not.
    pub(super) reason: Code,
    pub(super) reason_product: Option<ProductId>,
    pub(super) lines: Vec<OrderLine>,
    /// By rising lane.
    pub(super) parts: Vec<Part>,
    pub(super) is_from_cart: bool,
    pub(super) payment: Payment,
    pub(super) deadline: Micros,
    /// While it waits for its PayOrder.
    pub(super) payment_due: Option<Micros>,
    pub(super) occurred_at: Option<Micros>,
    pub(super) placed_at: Micros,
    pub(super) ended_at: Option<Micros>,
    /// When the last unit was paid back.
    pub(super) refunded_at: Option<Micros>,
    pub(super) sold_at: Option<Micros>,
    pub(super) total: Money,
    pub(super) fingerprint: Fingerprint,
    /// Who waits for the outcome, until there is one.
    pub(super) askers: Vec<Asker>,
    /// What all who ask are told: the first outcome, whatever the end.
    pub(super) outcome: Option<Outcome>,
}

impl Order {
    pub(super) fn is_pending(&self) -> bool {
        self.status == OrderStatus::Pending
    }

    /// A product lane's share.
    pub(super) fn part(&mut self, lane: u16) -> Option<&mut Part> {
        self.parts.iter_mut().find(|part| part.lane == lane)
    }

    /// What a product lane holds for the order.
    pub(super) fn hold(&self, lane: u16) -> Option<Hold> {
        self.parts.iter().find(|part| part.lane == lane).map(|part| part.hold)
    }

    /// Whether every lane holds its share; one lane's answer may be on the table.
    pub(super) fn is_held(&self, with: Option<u16>) -> bool {
        let is_held = |part: &Part| part.promise == Promise::Reserved || Some(part.lane) == with;
        self.parts.iter().all(is_held)
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
        total(self.lines.iter().map(|line| (line.units, line.price)))
    }

    /// The same with the prices that a product lane tells for its lines.
    pub(super) fn total_with(&self, lane: u16, told: &[PricedLine]) -> Option<Money> {
        let mut told = told.iter().map(|line| line.price);
        total(self.lines.iter().map(|line| {
            let price = if line.lane == lane { told.next() } else { line.price };
            (line.units, price)
        }))
    }

    /// Whether one more may wait for the outcome.
    pub(super) fn has_room_for(&self, asker: Asker) -> bool {
        let mut partitions: Vec<u32> = self.askers.iter().map(|known| known.reply_to).collect();
        partitions.push(asker.reply_to);
        partitions.sort_unstable();
        partitions.dedup();
        self.askers.len() < ASKERS_MAX && partitions.len() <= REPLY_TO_MAX
    }

    /// The lanes whose answer is outstanding.
    pub(super) fn awaits(&self) -> Vec<u16> {
        let is_awaited = |part: &&Part| self.is_pending() && part.promise == Promise::Awaited;
        self.parts.iter().filter(is_awaited).map(|part| part.lane).collect()
    }

    /// Its statuses so far, as a reader sees them.
    pub(super) fn history(&self) -> Vec<HistoryLine> {
        let first = (OrderStatus::Pending, None, Some(self.placed_at));
        let end = match self.reason {
            Code::Ok => (OrderStatus::Success, None, self.ended_at),
            reason => (OrderStatus::Failed, Some(reason), self.ended_at),
        };
        let last = (OrderStatus::Refunded, None, self.refunded_at);
        let line = |(status, reason, at)| Some(HistoryLine { status, reason, at: at? });
        [first, end, last].into_iter().filter_map(line).collect()
    }
}

fn total(mut lines: impl Iterator<Item = (Units, Option<Money>)>) -> Option<Money> {
    lines.try_fold(Money::ZERO, |sum, (units, price)| sum.checked_add(price?.checked_times(units)?))
}
