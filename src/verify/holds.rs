//! The product side of the own model: holds with their two ends, and the sales that they mean.

use super::{
    accounts::{Flow, Moved},
    due::{Done, Due},
    findings::{Desk, Invariant},
    inputs::{Body, Input},
    order::Hold,
    orders::Orders,
};
use jupan_schemas::{
    Change, Code, Entry, HoldEnd, HoldEnded, HoldOpened, Lane, LinesReturned, Message, Money,
    OrderId, OrderStatus, Outcome, PricedLine, ProductMessage, Refused, Reserved, Sale, ToProducts,
    Units, Verdict,
};

const RULE: Invariant = Invariant::Orders;

impl Orders {
    pub(super) fn product_change(
        &mut self,
        lane: Lane,
        change: &Change,
        input: Option<&Input>,
        desk: &mut Desk<'_>,
    ) {
        match change {
            Change::ProductRegistered(c) => self.product_registered(lane, c, input, desk),
            Change::ProductChanged(c) => self.product_changed(c, input, desk),
            Change::HoldOpened(opened) => self.hold_opened(lane, opened, input, desk),
            Change::HoldEnded(ended) => self.hold_ended(lane, ended, input, desk),
            Change::LinesReturned(returned) => self.returned(lane, returned, input, desk),
            Change::OutcomeStored(_) | Change::Opened(_) => {}
            _ => desk.fault(RULE, "change in a product lane", "one of its role", "a user lane's"),
        }
    }

    /// What a user lane tells a product lane. Whether a Reserve can be done, only the stock says.
    pub(super) fn due_message(&self, lane: Lane, told: &ToProducts) -> Due {
        let done = Done::told(Outcome::of(Code::Ok));
        match told {
            ToProducts::Reserve(_) => Due::done(RULE, "a Reserve", done)
                .perhaps(true, Outcome::of(Code::OutOfStock))
                .perhaps(true, Outcome::of(Code::ProductNotFound)),
            ToProducts::Settle(_) => Due::done(RULE, "a Settle", done),
            ToProducts::Return(_) => Due::done(RULE, "a Return", done),
            ToProducts::Release(m) => {
                let order = self.orders.find(m.order_id);
                // Where nothing is held, there is nothing to release.
                match order.and_then(|order| order.hold(lane.index)) {
                    Some(Hold::Open) => Due::done(RULE, "a Release", done),
                    _ => Due::nothing(RULE, "a Release"),
                }
            }
        }
    }

    /// An accepted message has exactly the effect that it asks for, and a refusal is told.
    pub(super) fn told_to_product(
        &mut self,
        entry: &Entry,
        told: &ProductMessage,
        desk: &mut Desk<'_>,
    ) {
        let effects = entry.changes.iter().filter(|change| is_effect(change, &told.payload));
        let effects = effects.count();
        let is_accepted = entry.verdict == Verdict::Accepted;
        desk.same(RULE, "effects of the message", usize::from(is_accepted), effects);
        let is_refused = entry.verdict == Verdict::Refused;
        if let (true, ToProducts::Reserve(wish)) = (is_refused, &told.payload) {
            // Which product was short is another check's.
            let told_of = entry.messages.iter().find_map(|sent| match &sent.payload {
                Message::Refused(refused) => Some(refused.product_id),
                _ => None,
            });
            let first = wish.lines.first().map(|line| line.product_id);
            if let Some(product_id) = told_of.or(first) {
                let refused = Refused { order_id: wish.order_id, code: entry.code, product_id };
                self.messages.push((told.lane, Message::Refused(refused)));
            }
        }
    }

    pub(super) fn expect(&mut self, flow: Flow, lines: &[PricedLine]) {
        let moves = lines.iter().map(|line| Moved {
            flow,
            owner: line.product_id.0,
            amount: line.quantity.0,
        });
        self.expected.extend(moves);
    }

    fn hold_opened(
        &mut self,
        lane: Lane,
        opened: &HoldOpened,
        input: Option<&Input>,
        desk: &mut Desk<'_>,
    ) {
        let id = opened.order_id;
        let about = format_args!("hold of order {id}");
        let wish = match input.map(|input| &input.body) {
            Some(Body::ToProducts(message)) => match &message.payload {
                ToProducts::Reserve(wish) if message.lane == opened.user_lane => Some(wish),
                _ => None,
            },
            _ => None,
        };
        let held = opened.lines.iter().map(|line| (line.product_id, line.quantity));
        let is_wished = wish.is_some_and(|wish| {
            let asked = wish.lines.iter().map(|line| (line.product_id, line.quantity));
            wish.order_id == id && asked.eq(held)
        });
        desk.rule(RULE, about, is_wished, "what the Reserve asks for", "another");
        for line in &opened.lines {
            let price = self.prices.get(&line.product_id).copied();
            let about = format_args!("price of product {} in {about}", line.product_id);
            desk.same(RULE, about, price, Some(line.price));
        }
        let reserved = Reserved { order_id: id, lines: opened.lines.clone() };
        self.messages.push((opened.user_lane, Message::Reserved(reserved)));
        let part = self.orders.change(id).and_then(|order| order.part(lane.index));
        match part {
            Some(part) if part.hold == Hold::None => part.hold = Hold::Open,
            Some(part) => desk.fault(RULE, about, "the first", format!("{:?} before", part.hold)),
            None => desk.fault(RULE, about, "a placed order with lines here", "none"),
        }
        self.expect(Flow::Hold, &opened.lines);
    }

    fn hold_ended(
        &mut self,
        lane: Lane,
        ended: &HoldEnded,
        input: Option<&Input>,
        desk: &mut Desk<'_>,
    ) {
        let id = ended.order_id;
        let about = format_args!("end of the hold of order {id}");
        let is_told = matches!(input.map(|input| &input.body), Some(Body::ToProducts(message))
        if match &message.payload {
            ToProducts::Settle(m) => m.order_id == id && ended.end == HoldEnd::Settled,
            ToProducts::Release(m) => m.order_id == id && ended.end == HoldEnd::Released,
            _ => false,
        });
        desk.rule(RULE, about, is_told, "what the message asks for", "another");
        let Some(order) = self.orders.change(id) else {
            desk.fault(RULE, about, "a known order", "none");
            return;
        };
        let (status, flow) = match ended.end {
            HoldEnd::Settled => (OrderStatus::Success, Flow::Settle),
            HoldEnd::Released => (OrderStatus::Failed, Flow::Release),
        };
        let now = match order.status {
            OrderStatus::Refunded => OrderStatus::Success,
            other => other,
        };
        desk.same(RULE, format_args!("status of order {id} at the end of its hold"), status, now);
        if ended.end == HoldEnd::Settled {
            desk.same(
                RULE,
                format_args!("time of sale of order {id}"),
                order.sold_at,
                ended.sold_at,
            );
        }
        let moves = order.lines_of(lane.index).map(|line| Moved {
            flow,
            owner: line.product.0,
            amount: line.units.0,
        });
        self.expected.extend(moves);
        match order.part(lane.index) {
            Some(part) if part.hold == Hold::Open => part.hold = Hold::Ended(ended.end),
            part => {
                let found = part.map(|part| part.hold);
                desk.fault(RULE, about, "an open hold", format_args!("{found:?}"));
            }
        }
    }

    /// The sales that an entry of a product lane means: what is settled, and (the other way round)
    /// what came back, in the minute of its sale.
    pub(super) fn sales(&self, lane: Lane, entry: &Entry, out: &mut Vec<Sale>) {
        let sale = |order_id: OrderId, product_id, units: Units, price: Money, sold_at| Sale {
            event_id: format!("{lane}/{}/{product_id}", entry.sequence),
            product_id,
            order_id: order_id.to_string(),
            units,
            amount: price.checked_times(units).unwrap_or_default(),
            sold_at,
            stamp: entry.stamp,
        };
        for change in &entry.changes {
            match change {
                Change::HoldEnded(HoldEnded { order_id, end, sold_at: Some(sold_at) })
                    if *end == HoldEnd::Settled =>
                {
                    let Some(order) = self.orders.find(*order_id) else { continue };
                    out.extend(order.lines_of(lane.index).map(|line| {
                        let price = line.price.unwrap_or_default();
                        sale(*order_id, line.product, line.units, price, *sold_at)
                    }));
                }
                Change::LinesReturned(LinesReturned { order_id, lines, sold_at }) => {
                    out.extend(lines.iter().map(|line| {
                        let units = line.quantity.checked_neg().unwrap_or_default();
                        sale(*order_id, line.product_id, units, line.price, *sold_at)
                    }));
                }
                _ => {}
            }
        }
    }
}

/// Whether a change is what a message asks for.
fn is_effect(change: &Change, told: &ToProducts) -> bool {
    match (told, change) {
        (ToProducts::Reserve(m), Change::HoldOpened(c)) => c.order_id == m.order_id,
        (ToProducts::Settle(m), Change::HoldEnded(c)) => {
            let is_sold = c.end == HoldEnd::Settled && c.sold_at == Some(m.sold_at);
            c.order_id == m.order_id && is_sold
        }
        (ToProducts::Release(m), Change::HoldEnded(c)) => {
            let is_released = c.end == HoldEnd::Released && c.sold_at.is_none();
            c.order_id == m.order_id && is_released
        }
        (ToProducts::Return(m), Change::LinesReturned(c)) => c.order_id == m.order_id,
        _ => false,
    }
}
