//! What is encoded comes back, on both paths, and a second Avro implementation reads the same out
//! of the bytes.

use crate::{other_id, reader, strategies, with_id};
use apache_avro::{Schema, reader::datum::GenericDatumReader, writer::datum::GenericDatumWriter};
use jupan_schemas::{Code, Codec, Record, SchemaName};
use proptest::{
    strategy::Strategy,
    test_runner::{Config, TestRunner},
};
use serde_json::Value as Json;
use std::fmt::Debug;

/// Runs so many arbitrary records through the codec and past the second implementation.
fn check<T: Record + Debug + PartialEq>(records: impl Strategy<Value = T>, cases: u32) {
    let schema = Schema::parse_str(T::SCHEMA.text()).expect("a schema of the build");
    let second_reader = GenericDatumReader::builder(&schema).build().expect("resolves");
    let second_writer = GenericDatumWriter::builder(&schema).build().expect("resolves");
    let reader = reader();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&records, |value| {
        let record = Codec::embedded().to_bytes(&value);
        assert_eq!(reader.decode::<T>(&record).as_ref(), Ok(&value), "directly");
        let other = with_id(&record, other_id(T::SCHEMA));
        assert_eq!(reader.decode::<T>(&other).as_ref(), Ok(&value), "rewritten");

        let mut datum = &record[5..];
        let read =
            second_reader.read_value(&mut datum).expect("the second implementation reads it");
        assert!(datum.is_empty(), "the second implementation reads all of it");
        let written = second_writer.write_value_to_vec(read.clone()).expect("and writes it");
        assert_eq!(written, record[5..], "the second implementation writes the same bytes");
        let theirs = Json::try_from(read).expect("has a JSON form");
        assert_eq!(theirs, untagged(serde_json::to_value(&value).expect("has a JSON form")));
        Ok(())
    });
    // The message holds the smallest record that fails.
    outcome.unwrap_or_else(|failure| panic!("{:?}: {failure}", T::SCHEMA));
}

/// The second implementation's JSON names no branches: takes the names out of ours.
fn untagged(json: Json) -> Json {
    match json {
        Json::Object(fields) => {
            // A field's name starts with a small letter, a branch's with a capital one.
            let is_capital = |name: &String| name.starts_with(|c: char| c.is_ascii_uppercase());
            let is_branch = fields.len() == 1 && fields.keys().all(is_capital);
            let mut fields = fields.into_iter().map(|(name, value)| (name, untagged(value)));
            if is_branch {
                fields.next().map_or(Json::Null, |(_, value)| value)
            } else {
                Json::Object(fields.collect())
            }
        }
        Json::Array(items) => Json::Array(items.into_iter().map(untagged).collect()),
        plain => plain,
    }
}

#[test]
fn user_commands() {
    check(strategies::user_command(), 256);
}

#[test]
fn product_commands() {
    check(strategies::product_command(), 256);
}

#[test]
fn user_messages() {
    check(strategies::user_message(), 256);
}

#[test]
fn product_messages() {
    check(strategies::product_message(), 256);
}

#[test]
fn steps() {
    check(strategies::step(), 96);
}

#[test]
fn order_events() {
    check(strategies::order_event(), 128);
}

#[test]
fn sales() {
    check(strategies::sale(), 128);
}

#[test]
fn top_products() {
    check(strategies::top_products(), 128);
}

#[test]
fn command_results() {
    check(strategies::command_result(), 256);
}

/// The codes of the type are the symbols of every schema that has them, and in the same order.
#[test]
fn codes_are_the_symbols_of_the_schemas() {
    fn symbols(json: &Json, found: &mut Vec<Json>) {
        match json {
            Json::Object(fields) if fields.get("name") == Some(&"Code".into()) => {
                found.push(fields["symbols"].clone());
                assert_eq!(fields["default"], "UNKNOWN");
            }
            Json::Object(fields) => fields.values().for_each(|value| symbols(value, found)),
            Json::Array(items) => items.iter().for_each(|item| symbols(item, found)),
            _ => {}
        }
    }
    let codes = [Code::Unknown].iter().chain(Code::ALL);
    let expected = Json::from(codes.map(|code| code.as_str()).collect::<Vec<_>>());
    let mut found = Vec::new();
    for schema in SchemaName::ALL {
        symbols(&serde_json::from_str(schema.text()).expect("is JSON"), &mut found);
    }
    assert_eq!(found.len(), 3, "step, user message and command result have codes");
    assert!(found.iter().all(|symbols| *symbols == expected));
    for code in Code::ALL {
        assert_eq!(serde_json::to_value(code).expect("is a text"), code.as_str());
    }
}

/// A record spelled out by hand, from the specification.
#[test]
fn bytes_are_those_of_the_specification() {
    use jupan_schemas::{Micros, ProductCommand, ProductId, ProductPayload, Restock, Units};
    let command = ProductCommand {
        product_id: ProductId(7),
        key: "k1".into(),
        created_at: Micros(-1),
        occurred_at: Some(Micros(64)),
        actor: "a".into(),
        trace_id: None,
        reply_to: Some(3),
        payload: ProductPayload::Restock(Restock { quantity: Units(100) }),
    };
    let expected = [
        &[0, 0, 0, 2, 2][..], // magic byte; id: version 2, second schema
        &[14],                // productId 7
        &[4, b'k', b'1'],     // key of 2 bytes
        &[1],                 // createdAt -1
        &[2, 0x80, 1],        // occurredAt: second branch, 64
        &[2, b'a'],           // actor of 1 byte
        &[0],                 // no traceId
        &[2, 6],              // replyTo: second branch, 3
        &[4, 0xc8, 1],        // payload: third branch, 100
    ];
    assert_eq!(Codec::embedded().to_bytes(&command), expected.concat());
}
