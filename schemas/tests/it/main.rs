//! One integration binary over the contract's public face.

mod evolution;
mod fingerprints;
mod golden;
mod hostile;
mod old_and_new;
mod other_versions;
mod round_trip;
mod samples;
mod shapes;
mod strategies;

use cap::Cap;
use jupan_schemas::{
    Codec, CommandResult, DecodeError, OrderEvent, ProductCommand, ProductMessage, Record, Sale,
    SchemaIds, SchemaName, Step, TopProducts, UserCommand, UserMessage,
};
use std::{alloc::System, sync::Arc};

/// All tests together never need this much: what allocates by what a datum claims ends the run.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, 256 * 1024 * 1024);

/// The id under which [`reader`] knows this version's schema as another version's.
fn other_id(schema: SchemaName) -> u32 {
    0x0077_0000 | schema.embedded_id()
}

/// A codec that reads every record on both paths: directly, and rewritten like another version's.
fn reader() -> Codec {
    let mut ids = SchemaIds::embedded();
    for schema in SchemaName::ALL {
        ids.add_older(other_id(schema), schema, schema.text()).expect("this version reads itself");
    }
    Codec::new(Arc::new(ids))
}

/// The same record under another schema id.
fn with_id(record: &[u8], id: u32) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], &record[5..]].concat()
}

/// Decodes, and where that succeeds, encodes again.
fn recode(codec: &Codec, schema: SchemaName, record: &[u8]) -> Result<Vec<u8>, DecodeError> {
    fn through<T: Record>(codec: &Codec, record: &[u8]) -> Result<Vec<u8>, DecodeError> {
        Ok(Codec::embedded().to_bytes(&codec.decode::<T>(record)?))
    }
    match schema {
        SchemaName::UserCommand => through::<UserCommand>(codec, record),
        SchemaName::ProductCommand => through::<ProductCommand>(codec, record),
        SchemaName::UserMessage => through::<UserMessage>(codec, record),
        SchemaName::ProductMessage => through::<ProductMessage>(codec, record),
        SchemaName::Step => through::<Step>(codec, record),
        SchemaName::OrderEvent => through::<OrderEvent>(codec, record),
        SchemaName::Sale => through::<Sale>(codec, record),
        SchemaName::TopProducts => through::<TopProducts>(codec, record),
        SchemaName::CommandResult => through::<CommandResult>(codec, record),
    }
}
