//! Identifiers. Callers choose user and product ids; orders and commands get theirs from the
//! command's key, so that a retry names the same order, and any instance routes, authorises and
//! looks up an id without a table.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The first value that is no longer a user or product id: JSON numbers are exact below it.
pub const ID_LIMIT: u64 = 1 << 53;

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The id, if it is below [`ID_LIMIT`].
            pub fn new(value: u64) -> Option<Self> {
                (value < ID_LIMIT).then_some(Self(value))
            }

            /// Whether a decoded id is one that a caller may choose.
            pub fn is_valid(self) -> bool {
                self.0 < ID_LIMIT
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id! {
    /// A user, chosen by the caller, below 2^53.
    UserId
}
number_id! {
    /// A product, chosen by the caller, below 2^53.
    ProductId
}

/// The two kinds of lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    /// Wallets, orders, carts.
    Users,
    /// Catalogue and stock.
    Products,
}

impl Role {
    /// The other role: whom this role's lanes exchange messages with.
    pub fn peer(self) -> Self {
        match self {
            Self::Users => Self::Products,
            Self::Products => Self::Users,
        }
    }

    /// `users` or `products`, as in configuration and traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Products => "products",
        }
    }
}

/// One partition of one role, with its single writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lane {
    /// Which kind of lane.
    pub role: Role,
    /// Its partition.
    pub index: u16,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.role.name(), self.index)
    }
}

/// The partition of a decimal key, as Kafka's own clients compute it (murmur2, sign bit cleared), so that any
/// producer in any language sends a key where its lane is.
pub fn partition_of(id: u64, partitions: u16) -> u16 {
    let hash = murmur2(KeyText::of(id).as_bytes()) & 0x7fff_ffff;
    u16::try_from(hash % u32::from(partitions.max(1))).unwrap_or(0)
}

/// A record's key: an id in decimal digits, written where it stands.
pub struct KeyText {
    digits: [u8; 20],
    start: usize,
}

impl KeyText {
    /// The key of this user or product.
    pub fn of(id: u64) -> Self {
        let mut digits = [0u8; 20];
        let mut start = digits.len();
        let mut rest = id;
        loop {
            start -= 1;
            digits[start] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            if rest == 0 {
                return Self { digits, start };
            }
        }
    }

    /// Its digits.
    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

/// MurmurHash2 with the seed of Kafka's default partitioner (Austin Appleby's public-domain algorithm).
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h = 0x9747_b28c ^ u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

macro_rules! fixed_bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub [u8; $len]);
    };
}

fixed_bytes! {
    /// An order: UUIDv8 of its user (53 bits) and 69 bits of hash of the command's key.
    OrderId, 16
}
fixed_bytes! {
    /// A command: UUIDv8 of role (1 bit), user or product (53 bits) and 68 bits of hash of its key.
    CommandId, 16
}
fixed_bytes! {
    /// A W3C trace id.
    TraceId, 16
}
fixed_bytes! {
    /// BLAKE3-128 of a command's role, payload kind and payload: same key, other body is told apart by it.
    Fingerprint, 16
}
fixed_bytes! {
    /// BLAKE3-256: links a step to the one before.
    Hash, 32
}

/// Free bits of a UUIDv8: all but version (4) and variant (2).
const FREE_BITS: u32 = 122;

/// Spreads 122 bits around version 8 and the RFC 9562 variant.
fn uuid8(bits: u128) -> [u8; 16] {
    let high = (bits >> 74) & ((1 << 48) - 1);
    let middle = (bits >> 62) & ((1 << 12) - 1);
    let low = bits & ((1 << 62) - 1);
    ((high << 80) | (8 << 76) | (middle << 64) | (0b10 << 62) | low).to_be_bytes()
}

/// The 122 bits of a UUIDv8, or `None` for any other UUID.
fn free_bits(bytes: [u8; 16]) -> Option<u128> {
    let value = u128::from_be_bytes(bytes);
    let is_v8 = (value >> 76) & 0xf == 8 && (value >> 62) & 0b11 == 0b10;
    let low = value & ((1 << 62) - 1);
    let middle = (value >> 64) & ((1 << 12) - 1);
    is_v8.then_some(((value >> 80) << 74) | (middle << 62) | low)
}

/// 69 bits of the key's hash; a command id keeps the upper 68 of them, an order id all.
fn key_hash(key: &str) -> u128 {
    let digest = blake3::hash(key.as_bytes());
    let mut first = [0u8; 16];
    first.copy_from_slice(&digest.as_bytes()[..16]);
    u128::from_be_bytes(first) >> (128 - 69)
}

impl OrderId {
    /// The order that a PlaceOrder with this key makes.
    pub fn of(user: UserId, key: &str) -> Self {
        Self(uuid8((u128::from(user.0 & (ID_LIMIT - 1)) << 69) | key_hash(key)))
    }

    /// Whose order it is; `None` where the bytes are no order id.
    pub fn user(self) -> Option<UserId> {
        free_bits(self.0).map(|bits| UserId(u64::try_from(bits >> 69).unwrap_or(0)))
    }

    /// The PlaceOrder that made it; `None` where the bytes are no order id.
    pub fn command(self) -> Option<CommandId> {
        free_bits(self.0).map(|bits| CommandId(uuid8(bits >> 1)))
    }
}

impl CommandId {
    /// The id of the command with this key, within one user's or product's commands.
    pub fn of(role: Role, id: u64, key: &str) -> Self {
        let role_bit = u128::from(role == Role::Products) << (FREE_BITS - 1);
        Self(uuid8(role_bit | (u128::from(id & (ID_LIMIT - 1)) << 68) | (key_hash(key) >> 1)))
    }

    /// The role and the user or product id; `None` where the bytes are no command id.
    pub fn target(self) -> Option<(Role, u64)> {
        let bits = free_bits(self.0)?;
        let role = if bits >> (FREE_BITS - 1) == 1 { Role::Products } else { Role::Users };
        Some((role, u64::try_from((bits >> 68) & u128::from(ID_LIMIT - 1)).unwrap_or(0)))
    }

    /// The two order ids that a PlaceOrder with this command id can have (an order id keeps one
    /// more bit of hash).
    pub fn orders(self) -> Option<[OrderId; 2]> {
        let (Role::Users, user) = self.target()? else { return None };
        let hash = (free_bits(self.0)? & ((1 << 68) - 1)) << 1;
        let base = (u128::from(user) << 69) | hash;
        Some([OrderId(uuid8(base)), OrderId(uuid8(base | 1))])
    }
}

impl Hash {
    /// What the first step of a journal names as its predecessor.
    pub const ZERO: Self = Self([0; 32]);

    /// The hash of a step's encoded bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl TraceId {
    /// Parses 32 hexadecimal digits; all zeros mean "none" in W3C trace context.
    pub fn parse(text: &str) -> Option<Self> {
        let plain_hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let value = plain_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()?;
        (value != 0).then_some(Self(value.to_be_bytes()))
    }
}

fn write_uuid(bytes: [u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    fmt::Display::fmt(&uuid::Uuid::from_bytes(bytes).hyphenated(), f)
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

macro_rules! text_id {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_uuid(self.0, f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_uuid(self.0, f)
            }
        }
        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let bytes = *uuid::Uuid::try_parse(text).map_err(|_| NotAnId)?.as_bytes();
                free_bits(bytes).map(|_| Self(bytes)).ok_or(NotAnId)
            }
        }
    };
}

text_id!(OrderId);
text_id!(CommandId);

macro_rules! hex_id {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }
    };
}

hex_id!(TraceId);
hex_id!(Fingerprint);
hex_id!(Hash);

/// The text is no UUIDv8 of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected a version 8 UUID")]
pub struct NotAnId;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_command_ids_name_their_user() {
        for user in [0, 1, 7, ID_LIMIT - 1] {
            let order = OrderId::of(UserId(user), "k1");
            let command = CommandId::of(Role::Users, user, "k1");
            assert_eq!(order.user(), Some(UserId(user)));
            assert_eq!(command.target(), Some((Role::Users, user)));
            assert!(command.orders().expect("a user's command").contains(&order));
            assert_eq!(order.command(), Some(command));
            assert_eq!(order.to_string().parse(), Ok(order));
            assert_eq!(uuid::Uuid::from_bytes(order.0).get_version_num(), 8);
        }
        assert_eq!(CommandId::of(Role::Products, 9, "k").target(), Some((Role::Products, 9)));
        assert_eq!(CommandId::of(Role::Products, 9, "k").orders(), None);
    }

    #[test]
    fn other_uuids_are_refused() {
        assert_eq!("00000000-0000-4000-8000-000000000000".parse::<OrderId>(), Err(NotAnId));
        assert_eq!("x".parse::<CommandId>(), Err(NotAnId));
        assert_eq!(OrderId([0xff; 16]).user(), None);
    }

    /// Vectors of Kafka's own `Utils.murmur2` test.
    #[test]
    fn murmur2_is_kafkas() {
        for (text, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }

    #[test]
    fn partitions_are_within_their_count() {
        assert!((0..1000).all(|id| partition_of(id, 12) < 12 && partition_of(id, 1) == 0));
    }
}
