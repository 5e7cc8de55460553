//! Rows that were put away, small. What has ended hardly changes any more and is archived; users,
//! products, pending orders and open holds change all the time and lie there one by one.

use super::archive::{self, Archive};
use hashbrown::HashMap;
use jupan_schemas::{
    OrderId, OrderStatus,
    rows::{Key, OrderRow, Row},
};
use std::sync::Arc;

/// Rows by their keys.
#[derive(Default)]
pub(super) struct Shelf {
    open: HashMap<Key, Packed>,
    ended: Archive,
}

struct Packed {
    bytes: Box<[u8]>,
    marks: u8,
}

/// A row on the shelf.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a> {
    /// As [`pack`] makes them.
    pub(super) bytes: &'a [u8],
    marks: u8,
    is_pending: bool,
}

impl Kept<'_> {
    /// The store was seen to have the row itself.
    pub(super) const SEEN: u8 = 1;
    /// An order's place in its user's list.
    pub(super) const LISTED: u8 = 2;
    /// An order's place among the pending ones.
    pub(super) const OPEN: u8 = 4;

    /// The row; packed by [`pack`], it can be unpacked.
    pub(super) fn row(&self) -> Option<Row> {
        unpack(self.bytes)
    }

    /// Whether the store was seen to have this of it.
    pub(super) fn has(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }

    /// Whether it is a pending order.
    pub(super) fn is_pending(&self) -> bool {
        self.is_pending
    }
}

impl Shelf {
    /// Puts a row away, in the place of what is there.
    pub(super) fn put(&mut self, row: &Row) {
        let Some(key) = row.key() else { return };
        let bytes = pack(row);
        if has_ended(row) {
            self.open.remove(&key);
            self.ended.put(&bytes);
            return;
        }
        if let Some(name) = archive::name_of(key) {
            self.ended.remove(&name);
        }
        self.open.insert(key, Packed { bytes: bytes.into_boxed_slice(), marks: 0 });
    }

    /// Forgets a row.
    pub(super) fn remove(&mut self, key: Key) {
        self.open.remove(&key);
        if let Some(name) = archive::name_of(key) {
            self.ended.remove(&name);
        }
    }

    /// A row, small.
    pub(super) fn get(&self, key: Key) -> Option<Kept<'_>> {
        if let Some(packed) = self.open.get(&key) {
            return Some(kept(key, packed));
        }
        let name = archive::name_of(key)?;
        let bytes = self.ended.get(&name)?;
        Some(Kept { bytes, marks: self.ended.marks(&name), is_pending: false })
    }

    /// A row.
    pub(super) fn row(&self, key: Key) -> Option<Row> {
        self.get(key)?.row()
    }

    /// Notes what the store was seen to have of a row.
    pub(super) fn mark(&mut self, key: Key, mark: u8) {
        match (self.open.get_mut(&key), archive::name_of(key)) {
            (Some(packed), _) => packed.marks |= mark,
            (None, Some(name)) => drop(self.ended.mark(&name, mark)),
            (None, None) => {}
        }
    }

    /// Every row, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, Kept<'_>)> {
        let open = self.open.iter().map(|(key, packed)| (*key, kept(*key, packed)));
        let ended = self.ended.iter().filter_map(|(bytes, marks)| {
            Some((archive::key_of(bytes)?, Kept { bytes, marks, is_pending: false }))
        });
        open.chain(ended)
    }
}

fn kept(key: Key, packed: &Packed) -> Kept<'_> {
    let is_pending = matches!(key, Key::Order(_));
    Kept { bytes: &packed.bytes, marks: packed.marks, is_pending }
}

/// Whether nothing but a refund, or a command sent again, will ask for the row.
pub(super) fn has_ended(row: &Row) -> bool {
    match row {
        Row::Order(order) => order.status != OrderStatus::Pending,
        Row::Outcome(_) => true,
        _ => false,
    }
}

/// A row's bytes: equal rows have equal bytes.
pub(super) fn pack(row: &Row) -> Vec<u8> {
    // Rows are plain data: writing them into memory cannot fail, and no bytes would show in the
    // hash and in every comparison.
    let bytes = match row {
        Row::Order(order) => {
            let mut order = OrderRow::clone(order);
            turn(&mut order, i64::wrapping_sub);
            postcard::to_stdvec(&Row::from(order))
        }
        other => postcard::to_stdvec(other),
    };
    bytes.unwrap_or_default()
}

/// The row that was packed.
pub(super) fn unpack(bytes: &[u8]) -> Option<Row> {
    let mut row = postcard::from_bytes(bytes).ok()?;
    if let Row::Order(order) = &mut row {
        turn(Arc::make_mut(order), i64::wrapping_add);
    }
    Some(row)
}

/// Makes what an order says small to write, or as it was: times count from when it was placed, and
/// an outcome that names no order stands for one that names this one, and the other way round.
fn turn(order: &mut OrderRow, shift: fn(i64, i64) -> i64) {
    let placed_at = order.created_at.0;
    order.as_of.stamp.0 = shift(order.as_of.stamp.0, placed_at);
    let once = [&mut order.deadline, &mut order.updated_at].into_iter();
    let maybe = [&mut order.payment_due, &mut order.occurred_at, &mut order.sold_at];
    let history = order.history.iter_mut().map(|line| &mut line.at);
    for at in once.chain(maybe.into_iter().flatten()).chain(history) {
        at.0 = shift(at.0, placed_at);
    }
    if let Some(outcome) = &mut order.outcome {
        outcome.order_id = turned(outcome.order_id, order.order_id);
    }
}

/// None for its own order, and its own for none.
pub(super) fn turned(named: Option<OrderId>, own: OrderId) -> Option<OrderId> {
    match named {
        None => Some(own),
        Some(named) => Some(named).filter(|named| *named != own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jupan_schemas::{
        Code, Fingerprint, Micros, Money, Outcome, Payment, Stamp, UserId,
        rows::{AsOf, HistoryLine},
    };

    /// Whatever an order says, it comes back, also where times are at their ends.
    #[test]
    fn what_is_packed_comes_back() {
        let (own, other) = (OrderId([1; 16]), OrderId([2; 16]));
        let times = [i64::MIN, -1, 0, 5, i64::MAX];
        for (at, named) in
            times.into_iter().flat_map(|at| [None, Some(own), Some(other)].map(|named| (at, named)))
        {
            let row = Row::from(OrderRow {
                order_id: own,
                user_id: UserId(1),
                lane: 0,
                as_of: AsOf { sequence: 9, stamp: Stamp(at) },
                placed: 7,
                status: OrderStatus::Failed,
                reason: Some(Code::Expired),
                reason_product: None,
                lines: Vec::new(),
                awaits: Vec::new(),
                total: Money(3),
                from_cart: true,
                payment: Payment::Now,
                deadline: Micros(at),
                payment_due: Some(Micros(at)),
                occurred_at: None,
                sold_at: Some(Micros(3)),
                created_at: Micros(-7),
                updated_at: Micros(at),
                fingerprint: Fingerprint([8; 16]),
                askers: Vec::new(),
                outcome: Some(Outcome { order_id: named, ..Outcome::of(Code::Ok) }),
                history: vec![HistoryLine {
                    status: OrderStatus::Pending,
                    reason: None,
                    at: Micros(at),
                }],
            });
            let mut shelf = Shelf::default();
            shelf.put(&row);
            let key = row.key().expect("an order's key");
            assert_eq!(shelf.row(key).as_ref(), Some(&row), "{at} {named:?}");
            assert!(shelf.iter().all(|(listed, kept)| listed == key && kept.bytes == pack(&row)));
        }
    }
}
