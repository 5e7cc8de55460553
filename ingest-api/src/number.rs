//! Whole numbers as callers write them: in bodies, paths, queries and headers.

use crate::problem::Problem;
use jupan_schemas::Code;
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::fmt;

/// A JSON value where an integer belongs. Reading never fails, so that the refusal can name field
/// and code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    Integer(i64),
    /// A fraction, an exponent, text, null, a list …
    Other,
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
        Ok(Number::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
        Ok(i64::try_from(value).map_or(Number::Other, Number::Integer))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Number, E> {
        Ok(Number::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Number, E> {
        Ok(Number::Other)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Number, E> {
        Ok(Number::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Number, E> {
        Ok(Number::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Number, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Number::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Number, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Number::Other)
    }
}

impl Number {
    /// The integer, if it lies within these bounds.
    pub(crate) fn within(
        self,
        min: i64,
        max: i64,
        code: Code,
        field: &str,
    ) -> Result<i64, Problem> {
        match self {
            Self::Integer(value) if (min..=max).contains(&value) => Ok(value),
            Self::Integer(_) if max < i64::MAX => {
                Err(Problem::new(code).field(field).detail(format!("must be {min} to {max}")))
            }
            Self::Integer(_) => {
                Err(Problem::new(code).field(field).detail(format!("must be at least {min}")))
            }
            Self::Other => Err(Problem::new(code).field(field).detail("must be an integer")),
        }
    }

    /// The id, if it is one.
    pub(crate) fn id<T>(
        self,
        new: impl FnOnce(u64) -> Option<T>,
        field: &str,
    ) -> Result<T, Problem> {
        let id = match self {
            Self::Integer(value) => u64::try_from(value).ok().and_then(new),
            Self::Other => None,
        };
        let detail = "must be an integer from 0 to 9007199254740991";
        id.ok_or_else(|| Problem::new(Code::InvalidId).field(field).detail(detail))
    }
}

/// A whole number as it stands in paths, queries and headers: digits only, without leading zeros.
pub(crate) fn id_text(text: &str) -> Option<u64> {
    let is_plain =
        text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_plain.then(|| text.parse().ok()).flatten()
}
