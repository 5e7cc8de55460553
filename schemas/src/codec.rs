//! The one codec: Confluent wire format (0x00, schema id, Avro datum). Records of this version take a direct path
//! from struct to bytes and back; records of an older version are first resolved to this version's schema by a
//! second Avro implementation, so that Avro's own rules (defaults, new branches) decide, not ours.

use crate::{
    CommandResult, Fingerprint, OrderEvent, ProductCommand, ProductMessage, Role, Sale, Step,
    TopProducts, UserCommand, UserMessage, commands::fingerprint,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_avro_fast::{Schema, ser::SerializerConfig};
use std::{collections::BTreeMap, sync::Arc, sync::LazyLock};

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
        (VERSION << 8) | (self as u32 + 1)
    }
}

/// Version of the contract: rises when any schema changes.
pub const VERSION: u32 = 1;

/// A value that has a schema of its own.
pub trait Record: Serialize + DeserializeOwned {
    /// Which schema.
    const SCHEMA: SchemaName;
}

macro_rules! records {
    ($($name:ident),*) => {
        $(impl Record for $name { const SCHEMA: SchemaName = SchemaName::$name; })*
    };
}
records!(
    UserCommand, ProductCommand, UserMessage, ProductMessage, Step, OrderEvent, Sale, TopProducts,
    CommandResult
);

#[allow(clippy::expect_used, reason = "the files are part of the build; a test parses each of them")]
static CURRENT: LazyLock<Vec<Schema>> = LazyLock::new(|| {
    let parse = |name: SchemaName| name.text().parse().expect("schemas of the build are valid");
    SchemaName::ALL.into_iter().map(parse).collect()
});

/// A schema that an earlier version wrote with.
struct Older {
    name: SchemaName,
    writer: apache_avro::Schema,
    reader: apache_avro::Schema,
}

/// Which id stands for which schema: fixed in the embedded log, given out by the registry on Kafka.
pub struct SchemaIds {
    current: Vec<u32>,
    older: BTreeMap<u32, Older>,
}

impl SchemaIds {
    /// The embedded log's ids.
    pub fn embedded() -> Self {
        let current = SchemaName::ALL.into_iter().map(SchemaName::embedded_id).collect();
        Self { current, older: BTreeMap::new() }
    }

    /// The ids that a registry gave to this version's schemas, in the order of [`SchemaName::ALL`].
    pub fn registered(ids: [u32; SchemaName::ALL.len()]) -> Self {
        Self { current: ids.to_vec(), older: BTreeMap::new() }
    }

    /// Adds a schema of an earlier version.
    ///
    /// # Errors
    /// [`SchemaError`] where the text is no Avro schema.
    pub fn add_older(&mut self, id: u32, name: SchemaName, text: &str) -> Result<(), SchemaError> {
        let parse = |text: &str| {
            apache_avro::Schema::parse_str(text)
                .map_err(|source| SchemaError { name, source: Box::new(source) })
        };
        self.older.insert(id, Older { name, writer: parse(text)?, reader: parse(name.text())? });
        Ok(())
    }

    fn of(&self, name: SchemaName) -> u32 {
        self.current[name as usize]
    }
}

/// Encodes and decodes every record of the contract. Cheap to make; each thread has its own.
pub struct Codec {
    ids: Arc<SchemaIds>,
    configs: Vec<SerializerConfig<'static>>,
}

impl Codec {
    /// A codec over these ids.
    pub fn new(ids: Arc<SchemaIds>) -> Self {
        let configs = CURRENT.iter().map(SerializerConfig::new).collect();
        Self { ids, configs }
    }

    /// A codec over the embedded log's ids.
    pub fn embedded() -> Self {
        Self::new(Arc::new(SchemaIds::embedded()))
    }

    /// Appends a value's record to `out`.
    ///
    /// # Panics
    /// Never with a value of this crate's types: they have exactly their schema's shape.
    #[allow(clippy::expect_used, reason = "types and schemas are tested to agree; see the round-trip tests")]
    pub fn encode<T: Record>(&mut self, value: &T, out: &mut Vec<u8>) {
        out.push(MAGIC);
        out.extend_from_slice(&self.ids.of(T::SCHEMA).to_be_bytes());
        let config = &mut self.configs[T::SCHEMA as usize];
        serde_avro_fast::to_datum(value, &mut *out, config).expect("a value has its schema's shape");
    }

    /// A value's record as new bytes.
    pub fn to_bytes<T: Record>(&mut self, value: &T) -> Vec<u8> {
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
            Some(older) if older.name == T::SCHEMA => self.decode_older(older, datum),
            _ => Err(DecodeError::UnknownSchema { id }),
        }
    }

    fn decode_older<T: Record>(&self, older: &Older, mut datum: &[u8]) -> Result<T, DecodeError> {
        let shape = |source: apache_avro::Error| DecodeError::Shape { message: source.to_string() };
        #[allow(deprecated, reason = "the successor only renames it")]
        let value =
            apache_avro::from_avro_datum(&older.writer, &mut datum, Some(&older.reader)).map_err(shape)?;
        if !datum.is_empty() {
            return Err(DecodeError::LeftOver { bytes: datum.len() });
        }
        #[allow(deprecated, reason = "the successor only renames it")]
        let resolved = apache_avro::to_avro_datum(&older.reader, value).map_err(shape)?;
        decode_datum(&resolved)
    }

    /// The fingerprint of a user command's payload.
    pub fn user_fingerprint(&mut self, command: &UserCommand) -> Fingerprint {
        let bare = UserCommand {
            user_id: command.user_id,
            key: String::new(),
            created_at: Default::default(),
            occurred_at: None,
            actor: String::new(),
            trace_id: None,
            reply_to: None,
            payload: command.payload.clone(),
        };
        let bytes = self.to_bytes(&bare);
        fingerprint(Role::Users, &bytes[HEADER_BYTES..])
    }

    /// The fingerprint of a product command's payload.
    pub fn product_fingerprint(&mut self, command: &ProductCommand) -> Fingerprint {
        let bare = ProductCommand {
            product_id: command.product_id,
            key: String::new(),
            created_at: Default::default(),
            occurred_at: None,
            actor: String::new(),
            trace_id: None,
            reply_to: None,
            payload: command.payload.clone(),
        };
        let bytes = self.to_bytes(&bare);
        fingerprint(Role::Products, &bytes[HEADER_BYTES..])
    }
}

fn decode_datum<T: Record>(datum: &[u8]) -> Result<T, DecodeError> {
    use serde_avro_fast::de::{DeserializerState, read::SliceRead};
    let schema = &CURRENT[T::SCHEMA as usize];
    let mut state = DeserializerState::from_slice(datum, schema);
    let value = T::deserialize(state.deserializer())
        .map_err(|source| DecodeError::Shape { message: source.to_string() })?;
    let _: &SliceRead<'_>;
    let mut rest = state.into_reader();
    let mut left = Vec::new();
    std::io::Read::read_to_end(&mut rest, &mut left)
        .map_err(|source| DecodeError::Shape { message: source.to_string() })?;
    if left.is_empty() { Ok(value) } else { Err(DecodeError::LeftOver { bytes: left.len() }) }
}

/// A schema cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("schema of {name:?} is no Avro schema")]
pub struct SchemaError {
    /// Whose schema.
    pub name: SchemaName,
    /// What is wrong with it.
    #[source]
    pub source: Box<apache_avro::Error>,
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
        /// What the Avro decoder says.
        message: String,
    },
    /// The datum ends before the record does.
    #[error("{bytes} bytes are left over behind the datum")]
    LeftOver {
        /// How many.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::*;

    #[test]
    fn smoke() {
        let mut codec = Codec::embedded();
        let command = UserCommand {
            user_id: UserId(7),
            key: "k".into(),
            created_at: Micros(5),
            occurred_at: Some(Micros(4)),
            actor: "user:7".into(),
            trace_id: Some(TraceId([3; 16])),
            reply_to: Some(2),
            payload: UserPayload::PlaceOrder(PlaceOrder {
                items: vec![Line { product_id: ProductId(3), quantity: Units(2) }],
                from_cart: false,
                payment: Payment::Now,
            }),
        };
        let bytes = codec.to_bytes(&command);
        assert_eq!(codec.decode::<UserCommand>(&bytes), Ok(command));
        let mut long = bytes.clone();
        long.push(0);
        assert_eq!(codec.decode::<UserCommand>(&long), Err(DecodeError::LeftOver { bytes: 1 }));
        let step = Step {
            role: Role::Users,
            lane: 3,
            number: 1,
            previous: Hash::ZERO,
            epoch: 1,
            positions: Positions { commands: 1, inbox: 2 },
            peers: vec![Peer { lane: 0, sent: 1, received: 2 }],
            balances: vec![SystemBalance { account: Account::Funding, balance: -5 }],
            entries: vec![Entry {
                sequence: 1,
                stamp: Stamp(9),
                input: Some(InputRef { source: Source::Inbox, offset: 4, at: Micros(9) }),
                command_id: None,
                actor: String::new(),
                trace_id: None,
                verdict: Verdict::Accepted,
                code: Code::Ok,
                changes: vec![
                    Change::HoldEnded(HoldEnded {
                        order_id: OrderId::of(UserId(1), "k"),
                        end: HoldEnd::Settled,
                        sold_at: Some(Micros(3)),
                    }),
                    Change::Opened(Opened { epoch: 2 }),
                ],
                postings: vec![Posting { account: Account::Sold, owner: 1, delta: 2, balance: 3 }],
                messages: vec![Sent { lane: 1, number: 2, payload: Message::Release(Release { order_id: OrderId::of(UserId(1), "k") }) }],
                answers: vec![],
            }],
        };
        let bytes = codec.to_bytes(&step);
        assert_eq!(codec.decode::<Step>(&bytes), Ok(step));
    }
}
