//! The one codec: Confluent wire format (0x00, schema id, Avro datum). Records of this version take
//! a direct path from struct to bytes and back (`datum/mod.rs`); a record of another version is first
//! rewritten to this version's schema by Avro's rules (`resolution.rs`: defaults, new branches,
//! unknown symbols) and takes the same path from there. Only resolution looks at schemas.

use crate::{
    CommandResult, Fingerprint, Micros, OrderEvent, ProductCommand, ProductMessage,
    ProductMessageRef, Role, Sale, Step, TopProducts, TraceId, UserCommand, UserMessage,
    UserMessageRef, commands::fingerprint, datum, resolution::Plan, shape::Shape,
    versions::EARLIER,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

/// First byte of every record.
const MAGIC: u8 = 0;
/// Magic byte and schema id.
const HEADER_BYTES: usize = 5;

/// The schemas of this contract. Their order is that of the embedded ids: never reorder, add at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each names the record of the same name")]
pub enum SchemaName {
    UserCommand,
    ProductCommand,
    UserMessage,
    ProductMessage,
    Step,
    OrderEvent,
    Sale,
    TopProducts,
    CommandResult,
}

impl SchemaName {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::UserCommand,
        Self::ProductCommand,
        Self::UserMessage,
        Self::ProductMessage,
        Self::Step,
        Self::OrderEvent,
        Self::Sale,
        Self::TopProducts,
        Self::CommandResult,
    ];

    /// This version's schema, as JSON.
    pub fn text(self) -> &'static str {
        match self {
            Self::UserCommand => include_str!("../avro/user-command.avsc"),
            Self::ProductCommand => include_str!("../avro/product-command.avsc"),
            Self::UserMessage => include_str!("../avro/user-message.avsc"),
            Self::ProductMessage => include_str!("../avro/product-message.avsc"),
            Self::Step => include_str!("../avro/step.avsc"),
            Self::OrderEvent => include_str!("../avro/order-event.avsc"),
            Self::Sale => include_str!("../avro/sale.avsc"),
            Self::TopProducts => include_str!("../avro/top-products.avsc"),
            Self::CommandResult => include_str!("../avro/command-result.avsc"),
        }
    }

    /// The schema id in the embedded log: this contract's own numbering, `version << 8 | position`.
    pub fn embedded_id(self) -> u32 {
        self.embedded_id_of(VERSION)
    }

    /// The same for another version: what its records in an embedded log begin with.
    pub fn embedded_id_of(self, version: u32) -> u32 {
        (version << 8) | (self as u32 + 1)
    }
}

/// Version of the contract: rises when any schema changes.
pub const VERSION: u32 = 2;

/// A value that is written with a schema of its own.
pub trait Written: Serialize {
    /// Which schema.
    const SCHEMA: SchemaName;
}

/// A value that is read as well.
pub trait Record: Written + DeserializeOwned {}
impl<T: Written + DeserializeOwned> Record for T {}

macro_rules! records {
    ($($name:ident),*) => {
        $(impl Written for $name { const SCHEMA: SchemaName = SchemaName::$name; })*
    };
}
records!(
    UserCommand,
    ProductCommand,
    UserMessage,
    ProductMessage,
    Step,
    OrderEvent,
    Sale,
    TopProducts,
    CommandResult
);

impl Written for UserMessageRef<'_> {
    const SCHEMA: SchemaName = SchemaName::UserMessage;
}

impl Written for ProductMessageRef<'_> {
    const SCHEMA: SchemaName = SchemaName::ProductMessage;
}

/// A schema that another version wrote with, and how this version reads it.
struct Older {
    name: SchemaName,
    plan: Plan,
}

/// Which id stands for which schema: fixed in the embedded log, given out by the registry on Kafka.
pub struct SchemaIds {
    current: Vec<u32>,
    older: BTreeMap<u32, Older>,
}

impl SchemaIds {
    /// The embedded log's ids, those of earlier versions included.
    ///
    /// # Panics
    /// Where a stored earlier version is none that this one reads: its golden files say that it is.
    pub fn embedded() -> Self {
        let current = SchemaName::ALL.into_iter().map(SchemaName::embedded_id).collect();
        let mut ids = Self { current, older: BTreeMap::new() };
        for (version, texts) in EARLIER {
            for (name, text) in SchemaName::ALL.into_iter().zip(texts) {
                if let Err(error) = ids.add_older(name.embedded_id_of(version), name, text) {
                    panic!("version {version}: {error}: {}", error.source);
                }
            }
        }
        ids
    }

    /// The ids that a registry gave to this version's schemas, in the order of [`SchemaName::ALL`].
    pub fn registered(ids: [u32; SchemaName::ALL.len()]) -> Self {
        Self { current: ids.to_vec(), older: BTreeMap::new() }
    }

    /// Adds a schema of another version, nearly always an earlier one.
    ///
    /// # Errors
    /// [`SchemaError`] where the text is no Avro schema, or none that this version can read.
    pub fn add_older(&mut self, id: u32, name: SchemaName, text: &str) -> Result<(), SchemaError> {
        let plan = Shape::parse(text)
            .and_then(|writer| Plan::new(&writer, &Shape::parse(name.text())?))
            .map_err(|source| SchemaError { name, source: Box::new(source) })?;
        self.older.insert(id, Older { name, plan });
        Ok(())
    }

    fn of(&self, name: SchemaName) -> u32 {
        self.current[name as usize]
    }
}

/// The embedded log's ids are the same in every process: compiled once.
static EMBEDDED: LazyLock<Arc<SchemaIds>> = LazyLock::new(|| Arc::new(SchemaIds::embedded()));

/// Encodes and decodes every record of the contract.
#[derive(Clone)]
pub struct Codec {
    ids: Arc<SchemaIds>,
}

impl Codec {
    /// A codec over these ids.
    pub fn new(ids: Arc<SchemaIds>) -> Self {
        Self { ids }
    }

    /// A codec over the embedded log's ids.
    pub fn embedded() -> Self {
        Self::new(Arc::clone(&EMBEDDED))
    }

    /// Appends a value's record to `out`.
    ///
    /// # Panics
    /// Where a number is above what Avro's signed integers hold: ids, offsets and sequences of 2^63 or more,
    /// partitions of 2^31 or more. None of them is reached by counting, and none comes out of `decode`.
    pub fn encode<T: Written>(&self, value: &T, out: &mut Vec<u8>) {
        out.push(MAGIC);
        out.extend_from_slice(&self.ids.of(T::SCHEMA).to_be_bytes());
        write_datum(value, out);
    }

    /// A value's record as new bytes.
    ///
    /// # Panics
    /// As [`Codec::encode`].
    pub fn to_bytes<T: Written>(&self, value: &T) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        self.encode(value, &mut out);
        out
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`DecodeError`] where the bytes are no record of `T` in any known version, or have bytes left over.
    pub fn decode<T: Record>(&self, bytes: &[u8]) -> Result<T, DecodeError> {
        let (header, datum) = bytes.split_at_checked(HEADER_BYTES).ok_or(DecodeError::TooShort)?;
        if header[0] != MAGIC {
            return Err(DecodeError::NotOurs { first: header[0] });
        }
        let id = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
        if id == self.ids.of(T::SCHEMA) {
            return decode_datum(datum);
        }
        match self.ids.older.get(&id) {
            Some(older) if older.name == T::SCHEMA => decode_older(&older.plan, datum),
            _ => Err(DecodeError::UnknownSchema { id }),
        }
    }

    /// The fingerprint of a user command's payload.
    ///
    /// # Panics
    /// As [`Codec::encode`].
    pub fn user_fingerprint(&self, command: &UserCommand) -> Fingerprint {
        payload_fingerprint(Role::Users, &command.payload)
    }

    /// The fingerprint of a product command's payload.
    ///
    /// # Panics
    /// As [`Codec::encode`].
    pub fn product_fingerprint(&self, command: &ProductCommand) -> Fingerprint {
        payload_fingerprint(Role::Products, &command.payload)
    }
}

/// A command of either role whose envelope says nothing, so that only its payload makes a difference.
#[derive(Serialize)]
struct PayloadOnly<'a, P> {
    user_or_product_id: u64,
    key: &'static str,
    created_at: Micros,
    occurred_at: Option<Micros>,
    actor: &'static str,
    trace_id: Option<TraceId>,
    reply_to: Option<u32>,
    payload: &'a P,
}

fn payload_fingerprint<P: Serialize>(role: Role, payload: &P) -> Fingerprint {
    let command = PayloadOnly {
        user_or_product_id: 0,
        key: "",
        created_at: Micros(0),
        occurred_at: None,
        actor: "",
        trace_id: None,
        reply_to: None,
        payload,
    };
    let mut datum = Vec::with_capacity(128);
    write_datum(&command, &mut datum);
    fingerprint(role, &datum)
}

/// A lane cannot go on with a value that it cannot write: nothing that could follow would be true.
fn write_datum<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    if let Err(error) = datum::write(value, out) {
        panic!("a value does not fit the contract: {error}");
    }
}

fn decode_older<T: Record>(plan: &Plan, datum: &[u8]) -> Result<T, DecodeError> {
    let mut rewritten = Vec::with_capacity(datum.len() + 64);
    let left = plan
        .rewrite(datum, &mut rewritten)
        .map_err(|message| DecodeError::Shape { message: message.to_owned() })?;
    if !left.is_empty() {
        return Err(DecodeError::LeftOver { bytes: left.len() });
    }
    decode_datum(&rewritten)
}

fn decode_datum<T: Record>(datum: &[u8]) -> Result<T, DecodeError> {
    let (value, left) = datum::read(datum)
        .map_err(|source: datum::Error| DecodeError::Shape { message: source.to_string() })?;
    if left.is_empty() { Ok(value) } else { Err(DecodeError::LeftOver { bytes: left.len() }) }
}

/// Another version's schema cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("schema of {name:?} is no Avro schema that this version can read")]
pub struct SchemaError {
    /// Whose schema.
    pub name: SchemaName,
    /// What is wrong with it, and where.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// The bytes are no record of the type asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than magic byte and schema id.
    #[error("shorter than the 5 bytes of a record's header")]
    TooShort,
    /// Not in the wire format.
    #[error("first byte is {first:#04x}, not 0x00")]
    NotOurs {
        /// What stands there.
        first: u8,
    },
    /// No schema of this topic has this id.
    #[error("schema id {id} is not one of this topic's")]
    UnknownSchema {
        /// The id in the record.
        id: u32,
    },
    /// The datum does not fit its schema.
    #[error("datum does not fit its schema: {message}")]
    Shape {
        /// What does not fit.
        message: String,
    },
    /// The datum ends before the record does.
    #[error("{bytes} bytes are left over behind the datum")]
    LeftOver {
        /// How many.
        bytes: usize,
    },
}
