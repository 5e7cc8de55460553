//! The product side of the own model: the catalogue, and holds with their two ends.

use super::{
    accounts::{Flow, Moved},
    findings::{Desk, Invariant},
    inputs::{Body, Input},
    order::Hold,
    orders::Orders,
};
use jupan_schemas::{
    Change, Entry, HoldEnd, HoldEnded, HoldOpened, Lane, Message, Money, OrderStatus, PricedLine,
    ProductChanged, ProductCommand, ProductPayload, ProductRegistered, Sale, ToProducts, Units,
    partition_of,
};

const RULE: Invariant = Invariant::Orders;

impl Orders {
    pub(super) fn product_change(
        &mut self,
        lane: Lane,
        entry: &Entry,
        change: &Change,
        input: Option<&Input>,
        desk: &mut Desk<'_>,
    ) {
        match change {
            Change::ProductRegistered(registered) => self.registered(lane, registered, input, desk),
            Change::ProductChanged(changed) => self.changed(changed, input, desk),
            Change::HoldOpened(opened) => self.hold_opened(lane, entry, opened, input, desk),
            Change::HoldEnded(ended) => self.hold_ended(lane, ended, input, desk),
            Change::OutcomeStored(_) | Change::Opened(_) => {}
            _ => desk.fault(RULE, "change in a product lane", "one of its role", "a user lane's"),
        }
    }

    fn registered(
        &mut self,
        lane: Lane,
        registered: &ProductRegistered,
        input: Option<&Input>,
        desk: &mut Desk<'_>,
    ) {
        let id = registered.product_id;
        let is_home = partition_of(id.0, self.lanes) == lane.index;
        let is_wished = matches!(input.map(|input| &input.body), Some(Body::Product(command))
            if command.product_id == id && matches!(&command.payload,
                ProductPayload::RegisterProduct(wish)
                    if wish.name == registered.name && wish.price == registered.price));
        let is_new = self.prices.insert(id, registered.price).is_none();
        let holds = is_home && is_wished && is_new;
        let about = format_args!("product {id}");
        desk.rule(Invariant::Inputs, about, holds, "new, as its command says", "not so");
    }

    fn changed(&mut self, changed: &ProductChanged, input: Option<&Input>, desk: &mut Desk<'_>) {
        let id = changed.product_id;
        let is_wished = matches!(input.map(|input| &input.body), Some(Body::Product(command))
            if command.product_id == id && matches!(&command.payload,
                ProductPayload::ChangeProduct(wish)
                    if (changed.name.is_none() || changed.name == wish.name)
                        && (changed.price.is_none() || changed.price == wish.price)));
        let known = self.prices.get_mut(&id);
        let about = format_args!("change of product {id}");
        let holds = is_wished && known.is_some();
        desk.rule(Invariant::Inputs, about, holds, "known, as its command says", "not so");
        if let (Some(price), Some(known)) = (changed.price, known) {
            *known = price;
        }
    }

    pub(super) fn asked_of_product(&mut self, command: &ProductCommand) {
        let units = match &command.payload {
            ProductPayload::RegisterProduct(wish) => wish.stock,
            ProductPayload::Restock(wish) => wish.quantity,
            ProductPayload::ChangeProduct(_) => return,
        };
        let owner = command.product_id.0;
        self.expected.push(Moved { flow: Flow::Restock, owner, amount: units.0 });
    }

    /// An accepted message has exactly the effect that it asks for.
    pub(super) fn told_to_product(
        &mut self,
        entry: &Entry,
        told: &ToProducts,
        desk: &mut Desk<'_>,
    ) {
        let has = |wanted: &dyn Fn(&Change) -> bool| entry.changes.iter().any(wanted);
        let (id, is_done) = match told {
            ToProducts::Reserve(m) => (
                m.order_id,
                has(&|change| matches!(change, Change::HoldOpened(c) if c.order_id == m.order_id))
                    || entry.messages.iter().any(|sent| {
                        matches!(&sent.payload, Message::Refused(r) if r.order_id == m.order_id)
                    }),
            ),
            ToProducts::Settle(m) => (
                m.order_id,
                has(&|change| matches!(change, Change::HoldEnded(c)
                    if c.order_id == m.order_id && c.end == HoldEnd::Settled
                        && c.sold_at == Some(m.sold_at))),
            ),
            ToProducts::Release(m) => (
                m.order_id,
                has(&|change| matches!(change, Change::HoldEnded(c)
                    if c.order_id == m.order_id && c.end == HoldEnd::Released)),
            ),
            ToProducts::Return(m) => {
                self.expect(Flow::Return, &m.lines);
                (m.order_id, true)
            }
        };
        let about = format_args!("effect of the message about order {id}");
        desk.rule(RULE, about, is_done, "what it asks for", "another");
    }

    fn expect(&mut self, flow: Flow, lines: &[PricedLine]) {
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
        entry: &Entry,
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
        let is_told = entry.messages.iter().any(|sent| {
            matches!(&sent.payload, Message::Reserved(m)
                if sent.lane == opened.user_lane && m.order_id == id && m.lines == opened.lines)
        });
        desk.rule(RULE, about, is_told, "told to the user's lane", "not told");
        let part = self.orders.get_mut(&id).and_then(|order| order.part(lane.index));
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
        let Some(order) = self.orders.get_mut(&id) else {
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

    /// The sales that an entry of a product lane means.
    pub(super) fn sales(
        &self,
        lane: Lane,
        entry: &Entry,
        input: Option<&Input>,
        out: &mut Vec<Sale>,
    ) {
        let sale = |order: String, product, units: Units, price: Money, sold_at| Sale {
            event_id: format!("{lane}/{}/{product}", entry.sequence),
            product_id: product,
            order_id: order,
            units,
            amount: price.checked_times(units).unwrap_or_default(),
            sold_at,
            stamp: entry.stamp,
        };
        for change in &entry.changes {
            let Change::HoldEnded(ended) = change else { continue };
            let (HoldEnd::Settled, Some(sold_at)) = (ended.end, ended.sold_at) else { continue };
            let Some(order) = self.orders.get(&ended.order_id) else { continue };
            out.extend(order.lines_of(lane.index).map(|line| {
                let price = line.price.unwrap_or_default();
                sale(ended.order_id.to_string(), line.product, line.units, price, sold_at)
            }));
        }
        let returned = match input.map(|input| &input.body) {
            Some(Body::ToProducts(message)) => match &message.payload {
                ToProducts::Return(returned) if !entry.postings.is_empty() => returned,
                _ => return,
            },
            _ => return,
        };
        out.extend(returned.lines.iter().map(|line| {
            let units = line.quantity.checked_neg().unwrap_or_default();
            let order = returned.order_id.to_string();
            sale(order, line.product_id, units, line.price, returned.sold_at)
        }));
    }
}
