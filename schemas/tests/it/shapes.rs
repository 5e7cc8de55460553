//! Types and schemas, side by side: what the codec reads and writes without looking at a schema is
//! what the schema says. Fields, symbols and branches are compared by name and place.

use jupan_schemas::{
    CommandResult, OrderEvent, ProductCommand, ProductMessage, Record, Sale, SchemaName, Step,
    TopProducts, UserCommand, UserMessage,
};
use serde::{
    Deserializer,
    de::{
        DeserializeSeed, EnumAccess, IntoDeserializer, VariantAccess, Visitor, value,
        value::SeqDeserializer,
    },
    forward_to_deserialize_any,
};
use serde_json::Value as Json;
use std::collections::BTreeMap;

type Error = value::Error;

/// No union and no enum has more branches or symbols.
const BRANCHES_MAX: usize = 64;

/// Walks the type as often as it takes to pass every branch.
fn check<T: Record>() {
    let schema: Json = serde_json::from_str(T::SCHEMA.text()).expect("is JSON");
    let mut named = BTreeMap::new();
    collect(&schema, &mut named);
    for branch in 0..BRANCHES_MAX {
        let path = format!("{:?}", T::SCHEMA);
        let walk = Walk { schema: &schema, named: &named, branch, path };
        T::deserialize(walk).unwrap_or_else(|error| panic!("{:?}: {error}", T::SCHEMA));
    }
}

/// The types that have a name.
fn collect<'s>(schema: &'s Json, named: &mut BTreeMap<&'s str, &'s Json>) {
    match schema {
        Json::Object(fields) => {
            let is_named = ["record", "enum", "fixed"].map(Json::from).contains(&schema["type"]);
            if let Some(name) = schema["name"].as_str().filter(|_| is_named) {
                named.insert(name, schema);
            }
            fields.values().for_each(|value| collect(value, named));
        }
        Json::Array(items) => items.iter().for_each(|item| collect(item, named)),
        _ => {}
    }
}

/// Gives a type's reader whatever the schema has at this place, and fails where it asks for something else.
#[derive(Clone)]
struct Walk<'s> {
    schema: &'s Json,
    named: &'s BTreeMap<&'s str, &'s Json>,
    /// Which branch unions and enums take, after the last the first again.
    branch: usize,
    path: String,
}

impl<'s> Walk<'s> {
    fn at(&self, schema: &'s Json, part: &str) -> Self {
        Self { schema: self.resolve(schema), path: format!("{}.{part}", self.path), ..self.clone() }
    }

    fn resolve(&self, schema: &'s Json) -> &'s Json {
        schema.as_str().and_then(|name| self.named.get(name)).copied().unwrap_or(schema)
    }

    /// A logical type counts as the type below it.
    fn kind(&self) -> &'s str {
        let kind = self.schema.as_str().or_else(|| self.schema["type"].as_str());
        kind.unwrap_or("union")
    }

    fn expect(&self, kind: &str) {
        assert_eq!(self.kind(), kind, "{}", self.path);
    }

    fn branches(&self) -> &'s [Json] {
        self.schema.as_array().map_or(&[], Vec::as_slice)
    }

    fn texts(&self, list: &'s Json, name: impl Fn(&'s Json) -> &'s Json) -> Vec<&'s str> {
        let items = list.as_array().unwrap_or_else(|| panic!("{}: {list} is no list", self.path));
        items.iter().map(|item| name(item).as_str().expect("a name")).collect()
    }
}

macro_rules! plain {
    ($($method:ident: $kind:literal => $visit:ident($value:expr);)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                self.expect($kind);
                visitor.$visit($value)
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Walk<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        panic!("{}: the type here has no place in the contract", self.path)
    }

    plain! {
        deserialize_bool: "boolean" => visit_bool(true);
        deserialize_u16: "int" => visit_u16(0);
        deserialize_u32: "int" => visit_u32(0);
        deserialize_i64: "long" => visit_i64(0);
        deserialize_u64: "long" => visit_u64(0);
        deserialize_str: "string" => visit_str("");
        deserialize_string: "string" => visit_str("");
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let [null, some] = self.branches() else { panic!("{} is not optional", self.path) };
        assert_eq!(null, "null", "{}", self.path);
        visitor.visit_some(self.at(some, "some"))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.expect("array");
        let item = self.at(&self.schema["items"], "items");
        visitor.visit_seq(SeqDeserializer::new([item].into_iter()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        size: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.expect("fixed");
        assert_eq!(self.schema["size"], size, "{}", self.path);
        visitor.visit_seq(SeqDeserializer::new(vec![0u8; size].into_iter()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.expect("record");
        let list = &self.schema["fields"];
        assert_eq!(self.texts(list, |field| &field["name"]), fields, "{}", self.path);
        let walks = list.as_array().into_iter().flatten().zip(fields);
        let walks: Vec<_> = walks.map(|(field, name)| self.at(&field["type"], name)).collect();
        visitor.visit_seq(SeqDeserializer::new(walks.into_iter()))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        assert!(variants.len() <= BRANCHES_MAX, "{}: not every branch is walked", self.path);
        let names = match self.kind() {
            "enum" => self.texts(&self.schema["symbols"], |symbol| symbol),
            _ => self.texts(self.schema, |branch| &self.resolve(branch)["name"]),
        };
        assert_eq!(names, variants, "{}", self.path);
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u128 f32 f64 char bytes byte_buf unit unit_struct newtype_struct
        tuple_struct map identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for Walk<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> EnumAccess<'de> for Walk<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let symbols = self.schema["symbols"].as_array();
        let count = symbols.map_or_else(|| self.branches(), Vec::as_slice).len();
        let position = self.branch % count;
        let value = seed.deserialize((position as u64).into_deserializer())?;
        let walk = match self.branches().get(position) {
            Some(branch) => self.at(branch, &position.to_string()),
            None => self,
        };
        Ok((value, walk))
    }
}

impl<'de> VariantAccess<'de> for Walk<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.expect("enum");
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        self.expect("record");
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }
}

#[test]
fn every_type_has_its_schemas_shape() {
    assert_eq!(SchemaName::ALL.len(), 9, "and each is checked here");
    check::<UserCommand>();
    check::<ProductCommand>();
    check::<UserMessage>();
    check::<ProductMessage>();
    check::<Step>();
    check::<OrderEvent>();
    check::<Sale>();
    check::<TopProducts>();
    check::<CommandResult>();
}
