//! Records that another version wrote, read by this one. The second Avro implementation writes them.

use crate::{
    recode,
    samples::{self, Sample},
};
use apache_avro::{
    Schema, reader::datum::GenericDatumReader, types::Value, writer::datum::GenericDatumWriter,
};
use jupan_schemas::{
    Code, Codec, CommandResult, DecodeError, Role, SchemaIds, SchemaName, Step, UserCommand,
    UserPayload,
};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// The other version's schema id.
const OTHER: u32 = 0x0009_0909;

type Fields = Vec<(String, Value)>;

/// A schema of another version: this version's with a change.
fn changed(schema: SchemaName, change: impl FnOnce(&mut Json)) -> Json {
    let mut json = serde_json::from_str(schema.text()).expect("is JSON");
    change(&mut json);
    json
}

fn fields(json: &mut Json) -> &mut Vec<Json> {
    json["fields"].as_array_mut().expect("a record has fields")
}

/// A codec that knows this schema as another version's.
fn codec_with(schema: SchemaName, other: &Json) -> Codec {
    let mut ids = SchemaIds::embedded();
    ids.add_older(OTHER, schema, &other.to_string()).expect("this version reads it");
    Codec::new(Arc::new(ids))
}

fn record_of(datum: &[u8]) -> Vec<u8> {
    [&[0], &OTHER.to_be_bytes()[..], datum].concat()
}

fn sample(name: &str) -> Sample {
    let found = samples::all().into_iter().find(|sample| sample.name == name);
    found.unwrap_or_else(|| panic!("there is a sample {name}"))
}

/// What the second implementation reads out of a record of this version.
fn fields_of(schema: SchemaName, record: &[u8]) -> Fields {
    let schema = Schema::parse_str(schema.text()).expect("is a schema");
    let reader = GenericDatumReader::builder(&schema).build().expect("resolves");
    match reader.read_value(&mut &record[5..]).expect("can be read") {
        Value::Record(fields) => fields,
        other => panic!("{other:?} is no record"),
    }
}

/// A record of the other version.
fn written(other: &Json, fields: Fields) -> Vec<u8> {
    let schema = Schema::parse_str(&other.to_string()).expect("is a schema");
    let writer = GenericDatumWriter::builder(&schema).build().expect("resolves");
    record_of(&writer.write_value_to_vec(Value::Record(fields)).expect("can be written"))
}

fn value_of<'a>(fields: &'a mut Fields, name: &str) -> &'a mut Value {
    let found = fields.iter_mut().find(|(field, _)| field == name);
    &mut found.unwrap_or_else(|| panic!("there is a {name}")).1
}

/// Every field that has a default today could have been new once: records before it were written without it.
#[test]
fn a_field_that_was_not_there_yet_gets_its_default() {
    let mut checked = 0;
    for sample in samples::all() {
        let current = changed(sample.schema, |_| ());
        let defaulted = current["fields"].as_array().expect("has fields").iter();
        let defaulted = defaulted.filter(|field| field.get("default").is_some());
        for name in defaulted.map(|field| field["name"].as_str().expect("has a name")) {
            let earlier = changed(sample.schema, |json| {
                fields(json).retain(|field| field["name"] != name);
            });
            let mut expected = fields_of(sample.schema, &sample.record);
            let mut values = expected.clone();
            values.retain(|(field, _)| field != name);
            let codec = codec_with(sample.schema, &earlier);
            let read = recode(&codec, sample.schema, &written(&earlier, values));

            *value_of(&mut expected, name) = Value::Union(0, Box::new(Value::Null));
            let read = fields_of(sample.schema, &read.expect("is read"));
            assert_eq!(read, expected, "{} without {name}", sample.name);
            checked += 1;
        }
    }
    assert!(checked > 40, "only {checked} fields were left out");
}

/// A later version's fields, of every type: this version passes over them.
#[test]
fn a_field_that_is_not_known_is_passed_over() {
    let unknown = [
        (json!("null"), Value::Null),
        (json!("boolean"), Value::Boolean(true)),
        (json!("int"), Value::Int(-70)),
        (json!("bytes"), Value::Bytes(vec![7; 70])),
        (json!("string"), Value::String("주판".into())),
        (json!({"type": "fixed", "name": "New", "size": 3}), Value::Fixed(3, vec![1, 2, 3])),
        (json!({"type": "enum", "name": "New", "symbols": ["A", "B"]}), Value::Enum(1, "B".into())),
        (
            json!({"type": "array", "items": "long"}),
            Value::Array(vec![Value::Long(1), Value::Long(i64::MIN)]),
        ),
        (json!(["null", "long"]), Value::Union(1, Box::new(Value::Long(5)))),
        (
            json!({"type": "record", "name": "New", "fields": [{"name": "a", "type": "long"}]}),
            Value::Record(vec![("a".into(), Value::Long(9))]),
        ),
    ];
    for sample in samples::all() {
        for (kind, value) in &unknown {
            for place in [0, fields_of(sample.schema, &sample.record).len()] {
                let later = changed(sample.schema, |json| {
                    fields(json).insert(place, json!({"name": "new", "type": kind}));
                });
                let mut values = fields_of(sample.schema, &sample.record);
                values.insert(place, ("new".into(), value.clone()));
                let codec = codec_with(sample.schema, &later);
                sample.assert_is(&codec, &written(&later, values));
            }
        }
    }
}

/// Only the writer's schema can name a symbol that this version does not know: it becomes the
/// enum's default. Under this version's own id such a position is no symbol at all.
#[test]
fn an_unknown_code_is_the_default_only_through_its_own_schema() {
    let schema = SchemaName::CommandResult;
    let next = i32::try_from(Code::ALL.len() + 1).expect("is small");
    let later = changed(schema, |json| {
        let code = fields(json).iter_mut().find(|field| field["name"] == "code").expect("is there");
        code["type"]["symbols"].as_array_mut().expect("has symbols").push("NEW".into());
    });
    let mut values = fields_of(schema, &sample("command-result").record);
    *value_of(&mut values, "code") =
        Value::Enum(u32::try_from(next).expect("is positive"), "NEW".into());
    let record = written(&later, values);

    let read: CommandResult = codec_with(schema, &later).decode(&record).expect("is read");
    assert_eq!(read.code, Code::Unknown);
    assert!(read.order_id.is_some(), "what follows the code is read, too");

    let own = crate::with_id(&record, schema.embedded_id());
    let refused = Codec::embedded().decode::<CommandResult>(&own);
    assert!(matches!(refused, Err(DecodeError::Shape { .. })), "{refused:?}");
}

/// Lanes are upgraded before a producer uses a new branch: one that comes earlier is refused, the
/// others are read.
#[test]
fn a_branch_that_is_not_known_is_refused() {
    let schema = SchemaName::UserCommand;
    let later = changed(schema, |json| {
        let order_id = json!({"name": "orderId", "type": "OrderId"});
        let rename = json!({"type": "record", "name": "Rename", "fields": [order_id]});
        let payload = fields(json).last_mut().expect("has a payload");
        payload["type"].as_array_mut().expect("is a union").push(rename);
    });
    let codec = codec_with(schema, &later);
    for sample in samples::all().into_iter().filter(|sample| sample.schema == schema) {
        sample.assert_is(&codec, &crate::with_id(&sample.record, OTHER));
    }
    let mut values = fields_of(schema, &sample("user-command-pay-order").record);
    if let Value::Union(branch, _) = value_of(&mut values, "payload") {
        *branch = 8;
    }
    let refused = codec.decode::<UserCommand>(&written(&later, values));
    let expected = DecodeError::Shape { message: "a union's branch is unknown".into() };
    assert_eq!(refused, Err(expected));
}

/// PayOrder and CancelOrder have the same fields. A reader that goes by the fields takes one for the other.
#[test]
fn branches_are_told_apart_by_name() {
    let schema = SchemaName::UserCommand;
    let shuffled = changed(schema, |json| {
        let payload = fields(json).last_mut().expect("has a payload");
        let branches = payload["type"].as_array_mut().expect("is a union");
        branches.swap(0, 1);
        branches.swap(2, 3);
    });
    let codec = codec_with(schema, &shuffled);
    for (name, branch) in [("user-command-pay-order", 5), ("user-command-cancel-order", 6)] {
        let sample = sample(name);
        sample.assert_is(&codec, &crate::with_id(&sample.record, OTHER));
        let values = fields_of(schema, &sample.record);
        assert!(
            values
                .iter()
                .any(|(_, value)| matches!(value, Value::Union(found, _) if *found == branch))
        );
    }
    // The first two branches have changed places: their positions are translated.
    let mut values = fields_of(schema, &sample("user-command-charge-balance").record);
    if let Value::Union(branch, _) = value_of(&mut values, "payload") {
        *branch = 0;
    }
    let read: UserCommand = codec.decode(&written(&shuffled, values)).expect("is read");
    assert!(matches!(read.payload, UserPayload::ChargeBalance(_)), "{:?}", read.payload);
}

/// Avro lets an int become a long, a value an optional one, and an optional one a value where it is there.
#[test]
fn types_are_promoted() {
    let schema = SchemaName::CommandResult;
    let other = changed(schema, |json| {
        for field in fields(json) {
            match field["name"].as_str() {
                Some("position") => field["type"] = json!(["null", "int"]),
                Some("balance") => {
                    *field = json!({"name": "balance", "type": "int"});
                }
                _ => {}
            }
        }
    });
    let mut values = fields_of(schema, &sample("command-result").record);
    *value_of(&mut values, "position") = Value::Union(1, Box::new(Value::Int(5)));
    *value_of(&mut values, "balance") = Value::Int(-6);
    let codec = codec_with(schema, &other);
    let read: CommandResult = codec.decode(&written(&other, values.clone())).expect("is read");
    assert_eq!((read.position, read.balance.map(|money| money.0)), (5, Some(-6)));
    *value_of(&mut values, "position") = Value::Union(0, Box::new(Value::Null));
    assert!(
        codec.decode::<CommandResult>(&written(&other, values)).is_err(),
        "null is no position"
    );
}

/// Arrays may come in several blocks, with or without their size.
#[test]
fn blocks_of_an_array_are_read() {
    let schema = SchemaName::Step;
    let sample = sample("step-bare");
    let peer = [6, 8, 10]; // lane 3, sent 4, received 5
    // role, lane, number, previous, epoch, positions: 3 + 32 + 3 bytes; then the peers.
    let (head, rest) = sample.record[5..].split_at(38);
    let blocks = [&[2][..], &peer, &[3, 12], &peer, &peer, rest].concat();
    let mut ids = SchemaIds::embedded();
    ids.add_older(OTHER, schema, schema.text()).expect("this version reads itself");
    let codec = Codec::new(Arc::new(ids));
    for id in [OTHER, schema.embedded_id()] {
        let record = crate::with_id(&record_of(&[head, &blocks].concat()), id);
        let step: Step = codec.decode(&record).expect("is read");
        assert_eq!((step.role, step.peers.len(), step.entries.len()), (Role::Products, 3, 0));
        assert!(step.peers.iter().all(|peer| (peer.lane, peer.sent, peer.received) == (3, 4, 5)));
    }
}

#[test]
fn schemas_that_cannot_be_read_are_refused_when_they_are_added() {
    let schema = SchemaName::Sale;
    let check_refused = |other: &str, why: &str| {
        let refused = SchemaIds::embedded().add_older(OTHER, schema, other);
        let error = refused.expect_err("cannot be read");
        let text = format!("{error}: {}", error.source);
        assert!(text.contains(why), "{text}");
    };
    check_refused("{", "schema of Sale is no Avro schema that this version can read: schema: ");
    let other = |change: fn(&mut Json)| changed(schema, change).to_string();
    let gone = other(|json| drop(fields(json).pop()));
    check_refused(&gone, "stamp: the writer has no such field, and it has no default");
    let text = other(|json| fields(json)[3]["type"] = "string".into());
    check_refused(&text, "units: string cannot be read as long");
    let moved = other(|json| fields(json).swap(3, 4));
    check_refused(&moved, "amount: the field changed its place");
    let float = other(|json| fields(json)[3]["type"] = "float".into());
    check_refused(&float, "units: a type that this contract has no use for");
    check_refused(SchemaName::Step.text(), "jupan.Step cannot be read as jupan.Sale");
}
