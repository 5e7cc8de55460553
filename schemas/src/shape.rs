//! What a schema says, as far as this contract uses Avro: references replaced by what they name,
//! defaults already encoded. Resolution and the evolution rules both work on it.

use crate::datum::write_long;
use apache_avro::{
    Schema,
    schema::{Name, RecordField},
    types::Value,
};
use std::collections::BTreeMap;

/// A schema without references. It cannot be recursive: a type is only known once it is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Null,
    Boolean,
    Int,
    Long,
    TimestampMicros,
    Bytes,
    String,
    Fixed { name: String, size: usize },
    Enum { name: String, symbols: Vec<String>, default: Option<String> },
    Array(Box<Shape>),
    Union(Vec<Shape>),
    Record { name: String, fields: Vec<Field> },
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    /// The default's encoding.
    pub(crate) default: Option<Vec<u8>>,
}

/// Where in a schema something is wrong, and what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub(crate) struct Misfit {
    pub(crate) path: String,
    pub(crate) why: String,
}

impl Misfit {
    pub(crate) fn at(path: &str, why: impl Into<String>) -> Self {
        Self { path: path.to_owned(), why: why.into() }
    }
}

impl Shape {
    /// Reads a schema's JSON.
    pub(crate) fn parse(text: &str) -> Result<Self, Misfit> {
        let schema =
            Schema::parse_str(text).map_err(|source| Misfit::at("schema", source.to_string()))?;
        Parser::default().shape(&schema, "")
    }

    /// The full name of a named type.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Fixed { name, .. } | Self::Enum { name, .. } | Self::Record { name, .. } => {
                Some(name)
            }
            _ => None,
        }
    }

    /// What it is, for a person.
    pub(crate) fn describe(&self) -> String {
        let text = match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::TimestampMicros => "timestamp-micros",
            Self::Bytes => "bytes",
            Self::String => "string",
            Self::Array(items) => return format!("array of {}", items.describe()),
            Self::Union(branches) => {
                let names: Vec<_> = branches.iter().map(Self::describe).collect();
                return format!("union of {}", names.join(", "));
            }
            Self::Fixed { name, .. } | Self::Enum { name, .. } | Self::Record { name, .. } => name,
        };
        text.to_owned()
    }
}

/// The path of a part of what is at `path`.
pub(crate) fn part(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[derive(Default)]
struct Parser {
    named: BTreeMap<String, Shape>,
}

impl Parser {
    fn shape(&mut self, schema: &Schema, path: &str) -> Result<Shape, Misfit> {
        let shape = match schema {
            Schema::Null => Shape::Null,
            Schema::Boolean => Shape::Boolean,
            Schema::Int => Shape::Int,
            Schema::Long => Shape::Long,
            Schema::TimestampMicros => Shape::TimestampMicros,
            Schema::Bytes => Shape::Bytes,
            Schema::String => Shape::String,
            Schema::Array(array) => Shape::Array(Box::new(self.shape(&array.items, path)?)),
            Schema::Union(union) => {
                let branches = union.variants().iter().map(|branch| self.shape(branch, path));
                Shape::Union(branches.collect::<Result<_, _>>()?)
            }
            Schema::Fixed(fixed) => {
                let name = full_name(&fixed.name);
                self.define(Shape::Fixed { name, size: fixed.size })
            }
            Schema::Enum(symbols) => self.define(Shape::Enum {
                name: full_name(&symbols.name),
                symbols: symbols.symbols.clone(),
                default: symbols.default.clone(),
            }),
            Schema::Record(record) => {
                let name = full_name(&record.name);
                let fields = record.fields.iter().map(|field| self.field(field, path));
                let fields = fields.collect::<Result<_, _>>()?;
                self.define(Shape::Record { name, fields })
            }
            Schema::Ref { name } => {
                let named = self.named.get(&full_name(name)).cloned();
                let why =
                    || Misfit::at(path, format!("{} is used before it is whole", full_name(name)));
                named.ok_or_else(why)?
            }
            _ => return Err(Misfit::at(path, "a type that this contract has no use for")),
        };
        Ok(shape)
    }

    fn field(&mut self, field: &RecordField, record: &str) -> Result<Field, Misfit> {
        let path = part(record, &field.name);
        let shape = self.shape(&field.schema, &path)?;
        let encode = |value| {
            let mut bytes = Vec::new();
            let value = Value::try_from(value).ok()?;
            encode_default(&shape, &value, &mut bytes).map(|()| bytes)
        };
        let default = match field.default.clone() {
            None => None,
            Some(value) => {
                let why = || Misfit::at(&path, "the default is no value of the field's type");
                Some(encode(value).ok_or_else(why)?)
            }
        };
        Ok(Field { name: field.name.clone(), shape, default })
    }

    fn define(&mut self, shape: Shape) -> Shape {
        let name = shape.name().unwrap_or_default().to_owned();
        self.named.insert(name, shape.clone());
        shape
    }
}

fn full_name(name: &Name) -> String {
    name.fullname(None)
}

/// Appends the encoding of a default, which stands in the schema as JSON; `None` where it does not fit.
fn encode_default(shape: &Shape, value: &Value, out: &mut Vec<u8>) -> Option<()> {
    match (shape, value) {
        (Shape::Null, Value::Null) => {}
        (Shape::Boolean, Value::Boolean(yes)) => out.push(u8::from(*yes)),
        (Shape::Int | Shape::Long | Shape::TimestampMicros, Value::Int(number)) => {
            write_long(i64::from(*number), out);
        }
        (Shape::Long | Shape::TimestampMicros, Value::Long(number)) => write_long(*number, out),
        (Shape::String, Value::String(text)) => {
            write_length(text.len(), out)?;
            out.extend_from_slice(text.as_bytes());
        }
        (Shape::Bytes, Value::String(text)) => {
            let bytes = code_points(text)?;
            write_length(bytes.len(), out)?;
            out.extend_from_slice(&bytes);
        }
        (Shape::Fixed { size, .. }, Value::String(text)) => {
            let bytes = code_points(text).filter(|bytes| bytes.len() == *size)?;
            out.extend_from_slice(&bytes);
        }
        (Shape::Enum { symbols, .. }, Value::String(text)) => {
            write_length(symbols.iter().position(|symbol| symbol == text)?, out)?;
        }
        (Shape::Array(shape), Value::Array(items)) => {
            if !items.is_empty() {
                write_length(items.len(), out)?;
                items.iter().try_for_each(|item| encode_default(shape, item, out))?;
            }
            write_long(0, out);
        }
        (Shape::Union(branches), value) => {
            write_long(0, out);
            encode_default(branches.first()?, value, out)?;
        }
        (Shape::Record { fields, .. }, Value::Map(values)) => {
            for field in fields {
                match (values.get(&field.name), &field.default) {
                    (Some(value), _) => encode_default(&field.shape, value, out)?,
                    (None, Some(default)) => out.extend_from_slice(default),
                    (None, None) => return None,
                }
            }
        }
        _ => return None,
    }
    Some(())
}

/// A default of bytes stands in JSON as one character for each byte.
fn code_points(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

fn write_length(length: usize, out: &mut Vec<u8>) -> Option<()> {
    write_long(i64::try_from(length).ok()?, out);
    Some(())
}
