//! A datum: a value in Avro's binary encoding, straight from and into the types of this contract.
//!
//! No schema is looked at while it is written or read. Every type has exactly its schema's shape, with
//! fields, symbols and branches in the schema's order; a test walks types and schemas side by side,
//! and another compares the bytes with a second Avro implementation's.
//!
//! | Avro | here | bytes |
//! |---|---|---|
//! | boolean | `bool` | 0 or 1 |
//! | int, long, timestamp | integers from `i8` to `i64`, `u16` to `u64` | zigzag varint |
//! | string | `str`, `String` | length, UTF-8 |
//! | fixed | `[u8; N]` | as they are |
//! | enum | enum of unit variants | position of the symbol |
//! | union with null first | `Option` | 0, or 1 and the value |
//! | union of records | enum of newtype variants | position of the branch, and its record |
//! | array | `Vec` | blocks of a count and so many items, ended by a count of 0 |
//! | record | struct | its fields |
//!
//! Whatever else Serde knows is refused: floats, characters, maps, bytes of any length.

mod de;
mod ser;
mod wire;

#[cfg(test)]
mod tests;

pub(crate) use wire::{Input, write_long};

use serde::{Deserialize, Serialize};
use std::fmt::Display;

/// Appends a value's datum to `out`.
///
/// # Errors
/// Where Avro cannot hold the value; what is appended then is of no use.
pub(crate) fn write<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), Error> {
    value.serialize(ser::Serializer(out))
}

/// Reads the datum at the start of `bytes`, and gives back what is left over.
///
/// # Errors
/// Where no such value starts there.
pub(crate) fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<(T, &'de [u8]), Error> {
    let mut input = Input(bytes);
    let value = T::deserialize(de::Deserializer(&mut input))?;
    Ok((value, input.0))
}

/// Why a value is no datum, or a datum no value. Small, because every step of the way hands it on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Error(Box<str>);

impl Error {
    #[cold]
    fn not_in_the_contract() -> Self {
        "a type that this contract has no use for".into()
    }
}

impl From<&'static str> for Error {
    #[cold]
    fn from(message: &'static str) -> Self {
        Self(message.into())
    }
}

impl serde::ser::Error for Error {
    #[cold]
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string().into())
    }
}

impl serde::de::Error for Error {
    #[cold]
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string().into())
    }
}
