//! The bytes on disk: which table a row lies in, its key, its value.
//!
//! Keys are fixed-width and big-endian, so that byte order is list order; "newest first" is the
//! bitwise complement of a sequence. A value is [`FORMAT`] and the row in postcard, whose encoding
//! depends on the order of a struct's fields and an enum's variants.
//!
//! **Evolution.** Nothing here is migrated. Any change of a row's shape, of a table or of a key
//! raises [`FORMAT`]: a store of another format is wiped when it is opened, and the lanes rebuild
//! it from the journal. The golden files (`golden/*.txt`) fail when bytes change and the format was
//! not raised.

use jupan_schemas::{
    CommandId, Micros, OrderId, ProductId, Role, UserId,
    rows::{Key, Watermark},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::mem;

/// Of the whole store. Raise it with every change of the bytes.
pub const FORMAT: u8 = 1;

/// In every table, before all other keys: the format and the number of the last batch. A table
/// with another number than [`Table::Meta`] has lost rows, or that one has.
pub(crate) const SEAL_KEY: &[u8] = &[0];

/// Everything that is kept on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    /// user → `UserRow`
    Users,
    /// product → `ProductRow`
    Products,
    /// order → `OrderRow`; an order id leads with its user, so a user's orders lie together
    Orders,
    /// user, newest first by `placed` → order id
    OrdersByUser,
    /// command → `OutcomeRow`
    Outcomes,
    /// order, lane → `HoldRow`; no ended ones
    Holds,
    /// user, newest first by sequence → `StatementRow`
    Statement,
    /// lane, order → deadline; pending orders only
    OpenOrders,
    /// role, lane → [`LaneRow`]
    Meta,
}

impl Table {
    /// All of them, in the order of their discriminants.
    pub(crate) const ALL: [Self; 9] = [
        Self::Users,
        Self::Products,
        Self::Orders,
        Self::OrdersByUser,
        Self::Outcomes,
        Self::Holds,
        Self::Statement,
        Self::OpenOrders,
        Self::Meta,
    ];

    /// Its name on disk.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Products => "products",
            Self::Orders => "orders",
            Self::OrdersByUser => "orders_by_user",
            Self::Outcomes => "outcomes",
            Self::Holds => "holds",
            Self::Statement => "statement",
            Self::OpenOrders => "open_orders",
            Self::Meta => "meta",
        }
    }

    /// Where rows with this key lie.
    pub(crate) fn of(key: Key) -> Self {
        match key {
            Key::User(_) => Self::Users,
            Key::Product(_) => Self::Products,
            Key::Order(_) => Self::Orders,
            Key::Outcome(_) => Self::Outcomes,
            Key::Hold(..) => Self::Holds,
        }
    }
}

/// What the store knows about a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LaneRow {
    /// Which rows are surely on disk.
    pub(crate) watermark: Option<Watermark>,
    /// No row on disk has a higher sequence.
    pub(crate) applied: u64,
}

/// The longest key: an order and a lane.
const KEY_BYTES_MAX: usize = 18;

/// A key's bytes, without a heap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyBytes {
    bytes: [u8; KEY_BYTES_MAX],
    len: usize,
}

impl KeyBytes {
    fn of(parts: &[&[u8]]) -> Self {
        let mut key = Self { bytes: [0; KEY_BYTES_MAX], len: 0 };
        for part in parts {
            key.bytes[key.len..key.len + part.len()].copy_from_slice(part);
            key.len += part.len();
        }
        key
    }
}

impl AsRef<[u8]> for KeyBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The key of a row that is loaded by `key`.
pub(crate) fn row_key(key: Key) -> KeyBytes {
    match key {
        Key::User(UserId(id)) | Key::Product(ProductId(id)) => KeyBytes::of(&[&id.to_be_bytes()]),
        Key::Order(OrderId(id)) | Key::Outcome(CommandId(id)) => KeyBytes::of(&[&id]),
        Key::Hold(OrderId(id), lane) => KeyBytes::of(&[&id, &lane.to_be_bytes()]),
    }
}

/// The key in a list that shows a user's newest first: orders by `placed`, statement by sequence.
pub(crate) fn newest_first_key(user: UserId, sequence: u64) -> KeyBytes {
    KeyBytes::of(&[&user.0.to_be_bytes(), &(!sequence).to_be_bytes()])
}

/// The sequence in a [`newest_first_key`].
pub(crate) fn newest_first_sequence(key: &[u8]) -> Option<u64> {
    let bytes = key.get(8..16)?.try_into().ok()?;
    Some(!u64::from_be_bytes(bytes))
}

/// The key of a pending order of a user lane.
pub(crate) fn open_order_key(lane: u16, order: OrderId) -> KeyBytes {
    KeyBytes::of(&[&lane.to_be_bytes(), &order.0])
}

/// The order in an [`open_order_key`].
pub(crate) fn open_order_id(key: &[u8]) -> Option<OrderId> {
    key.get(2..18)?.try_into().ok().map(OrderId)
}

/// The value of a pending order.
pub(crate) fn deadline_value(deadline: Micros) -> [u8; 8] {
    deadline.0.to_be_bytes()
}

/// The deadline in a [`deadline_value`].
pub(crate) fn deadline(value: &[u8]) -> Option<Micros> {
    value.try_into().ok().map(|bytes| Micros(i64::from_be_bytes(bytes)))
}

/// The key of a [`LaneRow`]: the role's number is persisted, never renumber.
pub(crate) fn lane_key(role: Role, lane: u16) -> KeyBytes {
    let role: u8 = match role {
        Role::Users => 0,
        Role::Products => 1,
    };
    KeyBytes::of(&[&[role], &lane.to_be_bytes()])
}

/// The value of [`SEAL_KEY`].
pub(crate) fn seal(batch: u64) -> [u8; 9] {
    let mut value = [FORMAT; 9];
    value[1..].copy_from_slice(&batch.to_be_bytes());
    value
}

/// The batch in a [`seal`] of this format.
pub(crate) fn sealed_batch(value: &[u8]) -> Option<u64> {
    match value.split_first() {
        Some((&FORMAT, batch)) => batch.try_into().ok().map(u64::from_be_bytes),
        _ => None,
    }
}

/// The role and lane in a [`lane_key`].
pub(crate) fn lane_of_key(key: &[u8]) -> Option<(Role, u16)> {
    let (role, lane) = key.split_at_checked(1)?;
    let role = match role {
        [0] => Role::Users,
        [1] => Role::Products,
        _ => return None,
    };
    Some((role, u16::from_be_bytes(lane.try_into().ok()?)))
}

/// Appends a row's value.
pub(crate) fn encode<T: Serialize>(row: &T, out: &mut Vec<u8>) -> Result<(), postcard::Error> {
    out.push(FORMAT);
    *out = postcard::to_extend(row, mem::take(out))?;
    Ok(())
}

/// The row in a value.
pub(crate) fn decode<T: DeserializeOwned>(value: &[u8]) -> Result<T, postcard::Error> {
    match value.split_first() {
        Some((&FORMAT, row)) => match postcard::take_from_bytes(row)? {
            (row, []) => Ok(row),
            (_, _) => Err(postcard::Error::DeserializeBadEncoding),
        },
        _ => Err(postcard::Error::DeserializeBadEncoding),
    }
}
