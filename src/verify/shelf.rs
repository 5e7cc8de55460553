//! Rows that were put away, small. What has ended hardly changes any more and is archived; users,
//! products, pending orders and open holds change all the time and lie there one by one.

use super::archive::{self, Archive};
use hashbrown::HashMap;
use jupan_schemas::{
    OrderStatus,
    rows::{Key, Row},
};

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
    postcard::to_stdvec(row).unwrap_or_default()
}

/// The row that was packed.
pub(super) fn unpack(bytes: &[u8]) -> Option<Row> {
    postcard::from_bytes(bytes).ok()
}
