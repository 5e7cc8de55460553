//! From a datum to its value.

use super::{Error, Input};
use serde::de::{
    self, DeserializeSeed, Visitor,
    value::{SeqDeserializer, U64Deserializer},
};
use std::str;

/// Where the next value comes from.
pub(super) struct Deserializer<'a, 'de>(pub(super) &'a mut Input<'de>);

/// Every type takes an `i64` and refuses one that it cannot hold.
macro_rules! integers {
    ($($method:ident)*) => {
        $(
            #[inline]
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                visitor.visit_i64(self.0.long()?)
            }
        )*
    };
}

macro_rules! refuse {
    ($($method:ident($($argument:ty),*))*) => {
        $(
            fn $method<V: Visitor<'de>>(self, $(_: $argument,)* _: V) -> Result<V::Value, Error> {
                Err(Error::not_in_the_contract())
            }
        )*
    };
}

impl<'de> de::Deserializer<'de> for Deserializer<'_, 'de> {
    type Error = Error;

    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.take(1)? {
            [0] => visitor.visit_bool(false),
            [1] => visitor.visit_bool(true),
            _ => Err("a boolean is neither 0 nor 1".into()),
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u16 deserialize_u64
    }

    /// Avro's int is signed: what is above its range could not be written again.
    #[inline]
    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let number = self.0.long()?;
        visitor.visit_i32(i32::try_from(number).map_err(|_| "an int has more than 32 bits")?)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let bytes = self.0.length_and_bytes()?;
        visitor.visit_borrowed_str(str::from_utf8(bytes).map_err(|_| "a string is not UTF-8")?)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.long()? {
            0 => visitor.visit_none(),
            1 => visitor.visit_some(self),
            _ => Err("no such branch".into()),
        }
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let left = self.0.block()?;
        visitor.visit_seq(Items { input: self.0, left })
    }

    /// A fixed.
    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        size: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(SeqDeserializer::new(self.0.take(size)?.iter().copied()))
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(Fields { input: self.0, left: fields.len() })
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self)
    }

    refuse! {
        deserialize_any()
        deserialize_u8()
        deserialize_f32()
        deserialize_f64()
        deserialize_char()
        deserialize_bytes()
        deserialize_byte_buf()
        deserialize_unit()
        deserialize_unit_struct(&'static str)
        deserialize_tuple_struct(&'static str, usize)
        deserialize_map()
        deserialize_identifier()
        deserialize_ignored_any()
    }
}

/// The items of an array.
struct Items<'a, 'de> {
    input: &'a mut Input<'de>,
    /// In this block; 0 only behind the last one.
    left: usize,
}

impl<'de> de::SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        let item = seed.deserialize(Deserializer(self.input))?;
        self.left -= 1;
        if self.left == 0 {
            self.left = self.input.block()?;
        }
        Ok(Some(item))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The fields of a record.
struct Fields<'a, 'de> {
    input: &'a mut Input<'de>,
    left: usize,
}

impl<'de> de::SeqAccess<'de> for Fields<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(Deserializer(self.input)).map(Some)
    }
}

impl<'de> de::EnumAccess<'de> for Deserializer<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    /// The type knows which positions there are.
    #[inline]
    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        let position = u64::try_from(self.0.long()?).map_err(|_| "no such symbol or branch")?;
        Ok((seed.deserialize(U64Deserializer::<Error>::new(position))?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Deserializer<'_, 'de> {
    type Error = Error;

    #[inline]
    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    #[inline]
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self)
    }

    refuse! {
        tuple_variant(usize)
        struct_variant(&'static [&'static str])
    }
}
