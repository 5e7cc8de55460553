//! Every order of the own model. One that is over, with its holds ended and its units back, is put
//! away, small, until something is about it again.

use super::{
    archive::{self, Archive, NAME_BYTES},
    order::{Hold, Order},
    shelf::turned,
};
use hashbrown::HashMap;
use jupan_schemas::{HoldEnd, OrderId, OrderStatus, rows::Key};
use std::borrow::Cow;

/// See the module.
#[derive(Default)]
pub(super) struct Book {
    open: HashMap<OrderId, Order>,
    ended: Archive,
    /// Orders that the entry at hand may have brought to their end.
    touched: Vec<OrderId>,
}

impl Book {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.open.len() + self.ended.len()
    }

    /// An order, to be looked at.
    pub(super) fn find(&self, id: OrderId) -> Option<Cow<'_, Order>> {
        match self.open.get(&id) {
            Some(order) => Some(Cow::Borrowed(order)),
            None => self.put_away(id).map(Cow::Owned),
        }
    }

    /// An order, to be changed.
    pub(super) fn change(&mut self, id: OrderId) -> Option<&mut Order> {
        self.touched.push(id);
        if !self.open.contains_key(&id) {
            let order = self.put_away(id)?;
            self.open.insert(id, order);
            if let Some(name) = archive::name_of(Key::Order(id)) {
                self.ended.remove(&name);
            }
        }
        self.open.get_mut(&id)
    }

    /// Takes an order in; says whether it is a new one.
    pub(super) fn insert(&mut self, id: OrderId, order: Order) -> bool {
        let is_new = self.change(id).is_none();
        self.open.insert(id, order);
        is_new
    }

    /// Puts away what the entry at hand has brought to its end.
    pub(super) fn settle(&mut self) {
        for id in self.touched.drain(..) {
            let Some(order) = self.open.get(&id).filter(|order| is_at_rest(order)) else {
                continue;
            };
            let Some(name) = archive::name_of(Key::Order(id)) else { continue };
            let mut order = order.clone();
            turn(id, &mut order, i64::wrapping_sub);
            if let Ok(bytes) = postcard::to_extend(&order, name.to_vec()) {
                self.ended.put(&bytes);
                self.open.remove(&id);
            }
        }
    }

    /// The ids of all orders that are not put away.
    pub(super) fn open_ids(&self) -> impl Iterator<Item = OrderId> {
        self.open.keys().copied()
    }

    /// Hands every order out, in no order.
    pub(super) fn for_each(&self, visit: &mut dyn FnMut(&Order)) {
        self.open.values().for_each(&mut *visit);
        for order in self.ended.iter().filter_map(|(bytes, _)| unpack(bytes)) {
            visit(&order);
        }
    }

    fn put_away(&self, id: OrderId) -> Option<Order> {
        unpack(self.ended.get(&archive::name_of(Key::Order(id))?)?)
    }
}

fn unpack(bytes: &[u8]) -> Option<Order> {
    let Some(Key::Order(id)) = archive::key_of(bytes) else { return None };
    let mut order = postcard::from_bytes(bytes.get(NAME_BYTES..)?).ok()?;
    turn(id, &mut order, i64::wrapping_add);
    Some(order)
}

/// Makes an order small to write, or as it was: times count from when it was placed, and so on as
/// for rows.
fn turn(id: OrderId, order: &mut Order, shift: fn(i64, i64) -> i64) {
    let placed_at = order.placed_at.0;
    let maybe = [
        &mut order.payment_due,
        &mut order.occurred_at,
        &mut order.ended_at,
        &mut order.refunded_at,
        &mut order.sold_at,
    ];
    for at in [&mut order.deadline].into_iter().chain(maybe.into_iter().flatten()) {
        at.0 = shift(at.0, placed_at);
    }
    if let Some(outcome) = &mut order.outcome {
        outcome.order_id = turned(outcome.order_id, id);
    }
}

/// Whether the order is over and nothing of it is on its way any more.
fn is_at_rest(order: &Order) -> bool {
    let is_back = order.lines.iter().all(|line| line.refunded == line.returned);
    let is_over = |hold| match order.status {
        OrderStatus::Pending | OrderStatus::Unknown => false,
        OrderStatus::Success | OrderStatus::Refunded => hold == Hold::Ended(HoldEnd::Settled),
        OrderStatus::Failed => matches!(hold, Hold::None | Hold::Ended(HoldEnd::Released)),
    };
    is_back && order.parts.iter().all(|part| is_over(part.hold))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::order::{OrderLine, Part, Promise};
    use jupan_schemas::{
        Code, Fingerprint, Micros, Money, Outcome, Payment, ProductId, Units, UserId,
    };

    fn order(id: OrderId, hold: Hold, returned: i64) -> Order {
        Order {
            user: UserId(7),
            status: OrderStatus::Success,
            reason: Code::Ok,
            reason_product: None,
            lines: vec![OrderLine {
                product: ProductId(9),
                lane: 1,
                units: Units(4),
                price: Some(Money(100)),
                refunded: Units(2),
                returned: Units(returned),
            }],
            parts: vec![Part { lane: 1, promise: Promise::Reserved, hold }],
            is_from_cart: true,
            payment: Payment::Now,
            deadline: Micros(900),
            payment_due: None,
            occurred_at: Some(Micros(-5)),
            placed_at: Micros(1),
            ended_at: Some(Micros(2)),
            refunded_at: None,
            sold_at: Some(Micros(-5)),
            total: Money(400),
            fingerprint: Fingerprint([3; 16]),
            askers: Vec::new(),
            outcome: Some(Outcome { order_id: Some(id), ..Outcome::of(Code::Ok) }),
        }
    }

    #[test]
    fn an_order_at_rest_is_put_away_and_comes_back_whole() {
        let settled = Hold::Ended(HoldEnd::Settled);
        let rows = [(settled, 2, true), (settled, 1, false), (Hold::Open, 2, false)];
        for (number, (hold, returned, is_put_away)) in (0..).zip(rows) {
            let (mut book, id) = (Book::default(), OrderId::of(UserId(7), &format!("{number}")));
            assert!(book.insert(id, order(id, hold, returned)));
            book.settle();
            assert_eq!(book.ended.len() == 1, is_put_away, "{hold:?}, {returned}");
            assert_eq!((book.len(), book.open_ids().count()), (1, usize::from(!is_put_away)));
            assert_eq!(book.find(id).as_deref(), Some(&order(id, hold, returned)));
            let mut found = 0;
            book.for_each(&mut |_| found += 1);
            assert_eq!(found, 1);
            book.change(id).expect("it is there").lines[0].returned = Units(0);
            book.settle();
            assert_eq!((book.len(), book.open_ids().count()), (1, 1), "units are on their way");
            assert!(!book.insert(id, order(id, hold, returned)), "the same once more");
        }
    }
}
