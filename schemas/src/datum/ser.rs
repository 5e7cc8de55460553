//! From a value to its datum, appended to the caller's bytes.

use super::{Error, write_long};
use serde::ser::{self, Impossible, Serialize};
use std::slice::IterMut;

/// Where the next value goes.
pub(super) struct Serializer<'a>(pub(super) &'a mut Vec<u8>);

impl Serializer<'_> {
    /// A length or count.
    fn count(&mut self, count: usize) -> Result<(), Error> {
        write_long(i64::try_from(count).map_err(|_| "a length above 2^63 - 1")?, self.0);
        Ok(())
    }
}

macro_rules! integers {
    ($($method:ident($number:ty))*) => {
        $(
            #[inline]
            fn $method(self, number: $number) -> Result<(), Error> {
                write_long(i64::from(number), self.0);
                Ok(())
            }
        )*
    };
}

macro_rules! refuse {
    ($($method:ident($($argument:ty),*) -> $ok:ty;)*) => {
        $(
            fn $method(self, $(_: $argument),*) -> Result<$ok, Error> {
                Err(Error::not_in_the_contract())
            }
        )*
    };
}

impl<'a> ser::Serializer for Serializer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Self;
    type SerializeTuple = Fixed<'a>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Impossible<(), Error>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), Error>;

    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn serialize_bool(self, yes: bool) -> Result<(), Error> {
        self.0.push(u8::from(yes));
        Ok(())
    }

    integers! {
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_u16(u16)
    }

    #[inline]
    fn serialize_u32(self, number: u32) -> Result<(), Error> {
        self.serialize_i32(i32::try_from(number).map_err(|_| "a number above 2^31 - 1")?)
    }

    #[inline]
    fn serialize_u64(self, number: u64) -> Result<(), Error> {
        self.serialize_i64(i64::try_from(number).map_err(|_| "a number above 2^63 - 1")?)
    }

    #[inline]
    fn serialize_str(mut self, text: &str) -> Result<(), Error> {
        self.count(text.len())?;
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Error> {
        self.0.push(0);
        Ok(())
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        write_long(1, self.0);
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        _: &'static str,
        symbol: u32,
        _: &'static str,
    ) -> Result<(), Error> {
        write_long(i64::from(symbol), self.0);
        Ok(())
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        branch: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        write_long(i64::from(branch), self.0);
        value.serialize(self)
    }

    /// One block holds all items.
    #[inline]
    fn serialize_seq(mut self, count: Option<usize>) -> Result<Self, Error> {
        match count.ok_or("an array of unknown length")? {
            0 => {}
            count => self.count(count)?,
        }
        Ok(self)
    }

    #[inline]
    fn serialize_tuple(self, size: usize) -> Result<Fixed<'a>, Error> {
        let start = self.0.len();
        self.0.resize(start + size, 0);
        Ok(Fixed(self.0[start..].iter_mut()))
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    refuse! {
        serialize_u8(u8) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_tuple_struct(&'static str, usize) -> Impossible<(), Error>;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Impossible<(), Error>;
        serialize_map(Option<usize>) -> Impossible<(), Error>;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Impossible<(), Error>;
    }
}

impl ser::SerializeSeq for Serializer<'_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Error> {
        item.serialize(Serializer(self.0))
    }

    #[inline]
    fn end(self) -> Result<(), Error> {
        self.0.push(0);
        Ok(())
    }
}

impl ser::SerializeStruct for Serializer<'_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(Serializer(self.0))
    }

    /// A record has all its fields: without one, what follows would be read as it.
    fn skip_field(&mut self, _: &'static str) -> Result<(), Error> {
        Err(Error::not_in_the_contract())
    }

    #[inline]
    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

/// The bytes of a fixed that are not written yet: their number is known, so that they are one copy
/// instead of one check of the capacity for each.
pub(super) struct Fixed<'a>(IterMut<'a, u8>);

impl ser::SerializeTuple for Fixed<'_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, byte: &T) -> Result<(), Error> {
        let byte = byte.serialize(Byte)?;
        *self.0.next().ok_or("a fixed of more bytes than it says")? = byte;
        Ok(())
    }

    #[inline]
    fn end(mut self) -> Result<(), Error> {
        match self.0.next() {
            None => Ok(()),
            Some(_) => Err("a fixed of fewer bytes than it says".into()),
        }
    }
}

/// Takes one byte of a fixed, and nothing else.
struct Byte;

impl ser::Serializer for Byte {
    type Ok = u8;
    type Error = Error;
    type SerializeSeq = Impossible<u8, Error>;
    type SerializeTuple = Impossible<u8, Error>;
    type SerializeTupleStruct = Impossible<u8, Error>;
    type SerializeTupleVariant = Impossible<u8, Error>;
    type SerializeMap = Impossible<u8, Error>;
    type SerializeStruct = Impossible<u8, Error>;
    type SerializeStructVariant = Impossible<u8, Error>;

    #[inline]
    fn serialize_u8(self, byte: u8) -> Result<u8, Error> {
        Ok(byte)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<u8, Error> {
        Err(Error::not_in_the_contract())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<u8, Error> {
        Err(Error::not_in_the_contract())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<u8, Error> {
        Err(Error::not_in_the_contract())
    }

    refuse! {
        serialize_bool(bool) -> u8;
        serialize_i8(i8) -> u8;
        serialize_i16(i16) -> u8;
        serialize_i32(i32) -> u8;
        serialize_i64(i64) -> u8;
        serialize_u16(u16) -> u8;
        serialize_u32(u32) -> u8;
        serialize_u64(u64) -> u8;
        serialize_f32(f32) -> u8;
        serialize_f64(f64) -> u8;
        serialize_char(char) -> u8;
        serialize_str(&str) -> u8;
        serialize_bytes(&[u8]) -> u8;
        serialize_none() -> u8;
        serialize_unit() -> u8;
        serialize_unit_struct(&'static str) -> u8;
        serialize_unit_variant(&'static str, u32, &'static str) -> u8;
        serialize_seq(Option<usize>) -> Impossible<u8, Error>;
        serialize_tuple(usize) -> Impossible<u8, Error>;
        serialize_tuple_struct(&'static str, usize) -> Impossible<u8, Error>;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Impossible<u8, Error>;
        serialize_map(Option<usize>) -> Impossible<u8, Error>;
        serialize_struct(&'static str, usize) -> Impossible<u8, Error>;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Impossible<u8, Error>;
    }
}
