//! Readers and writers of different versions, tried on each other with the second Avro
//! implementation: every stored version reads what every other one wrote, as far as the rules promise
//! it, and so does a version that is yet to come.

use crate::{
    evolution::{changed, list, stored},
    golden::{folder_of, from_hex},
    recode,
    samples::{self, kebab},
};
use apache_avro::{
    Schema, reader::datum::GenericDatumReader, types::Value, writer::datum::GenericDatumWriter,
};
use jupan_schemas::{Codec, SchemaName, VERSION};
use serde_json::{Value as Json, json};
use std::fs;

/// Records that every version reads of every other one; of envelopes only later versions read all.
fn is_flat(schema: SchemaName) -> bool {
    use SchemaName::*;
    matches!(schema, OrderEvent | Sale | TopProducts | CommandResult)
}

fn parsed(text: &str) -> Schema {
    Schema::parse_str(text).expect("is a schema")
}

/// What a version's reader makes of a datum that another version wrote.
fn read(writer: &Schema, reader: &Schema, datum: &[u8]) -> Result<Value, apache_avro::Error> {
    let reader = GenericDatumReader::builder(writer).reader_schema(reader).build()?;
    reader.read_value(&mut &datum[..])
}

/// The records that a version wrote, by the names of their golden files.
fn written(version: u32, schema: SchemaName) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder_of(version)).expect("the golden folder is there");
    let paths = files.map(|file| file.expect("can be listed").path());
    let named = paths.map(|path| {
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        (name, from_hex(&fs::read_to_string(&path).expect("can be read")))
    });
    let all = samples::all();
    let is_of = |name: &str| all.iter().any(|one| one.name == name && one.schema == schema);
    named.filter(|(name, _)| is_of(name)).collect()
}

/// The names of a schema's records, with the branches of its unions.
fn names(json: &Json, found: &mut Vec<String>) {
    match json {
        Json::Object(fields) => {
            if fields.get("type").is_some_and(|kind| kind == "record") {
                found.extend(fields["name"].as_str().map(kebab));
            }
            fields.values().for_each(|value| names(value, found));
        }
        Json::Array(items) => items.iter().for_each(|item| names(item, found)),
        _ => {}
    }
}

/// Whether a version's schema has the record or branch that a golden file is named for.
fn knows(text: &str, schema: SchemaName, sample: &str) -> bool {
    let mut known = Vec::new();
    names(&serde_json::from_str(text).expect("is JSON"), &mut known);
    let rest = sample.strip_prefix(&kebab(&format!("{schema:?}"))).expect("the schema's name");
    let branch = rest.trim_start_matches('-');
    branch.is_empty() || branch == "bare" || known.iter().any(|name| name == branch)
}

#[test]
fn stored_versions_read_each_other_as_far_as_the_rules_promise() {
    let mut checked = 0;
    for schema in SchemaName::ALL {
        for writer in 1..=VERSION {
            for reader in 1..=VERSION {
                let (from, to) = (stored(writer, schema), stored(reader, schema));
                for (name, record) in written(writer, schema) {
                    let result = read(&parsed(&from), &parsed(&to), &record[5..]);
                    let what = format!("{name} of v{writer}, read by v{reader}");
                    let is_promised = is_flat(schema) || reader >= writer;
                    if is_promised || knows(&to, schema, &name) {
                        assert!(result.is_ok(), "{what}: {:?}", result.err());
                    } else {
                        assert!(result.is_err(), "{what}: a branch that it cannot know");
                    }
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 150, "only {checked} records were read");
}

/// What this version's own codec reads is what the second implementation reads. It takes branches by
/// their fields where they are alike, so envelopes are compared in `golden` and `other_versions`.
#[test]
fn both_implementations_read_earlier_flat_records_alike() {
    for schema in SchemaName::ALL.into_iter().filter(|schema| is_flat(*schema)) {
        for version in 1..=VERSION {
            let (from, to) = (parsed(&stored(version, schema)), parsed(schema.text()));
            for (name, record) in written(version, schema) {
                let expected = read(&from, &to, &record[5..]).expect("is read");
                let ours = recode(&Codec::embedded(), schema, &record).expect("is read");
                let found = read(&to, &to, &ours[5..]).expect("is read");
                assert_eq!(found, expected, "{name} of v{version}");
            }
        }
    }
}

/// A later version: a field with a default, a symbol and a branch, each where the rules allow it.
fn later(schema: SchemaName) -> String {
    changed(schema, |json| {
        list(json, "fields").push(json!({"name": "note", "type": "string", "default": "-"}));
        let fields = list(json, "fields");
        if let Some(payload) = fields.iter_mut().find(|field| field["name"] == "payload") {
            let branch = json!({"type": "record", "name": "New", "fields": []});
            list(payload, "type").push(branch);
        }
        if let Some(code) = fields.iter_mut().find(|field| field["name"] == "code") {
            list(&mut code["type"], "symbols").push("NEW".into());
        }
    })
}

/// An old reader of every record reads it from a new writer, and a new reader from an old writer.
#[test]
fn this_version_and_a_later_one_read_each_other() {
    for sample in samples::all() {
        let (ours, theirs) = (parsed(sample.schema.text()), parsed(&later(sample.schema)));
        let value = read(&ours, &ours, &sample.record[5..]).expect("is read");
        let Value::Record(mut fields) = value.clone() else { panic!("{value:?} is no record") };
        let as_new = read(&ours, &theirs, &sample.record[5..]);
        let note = |text: &str| ("note".to_owned(), Value::String(text.to_owned()));
        fields.push(note("-"));
        let expected = Value::Record(fields.clone());
        assert_eq!(as_new.expect("is read"), expected, "{}: a new reader", sample.name);

        let place = fields.len() - 1;
        fields[place] = note("said");
        let writer = GenericDatumWriter::builder(&theirs).build().expect("resolves");
        let datum = writer.write_value_to_vec(Value::Record(fields)).expect("can be written");
        let as_old = read(&theirs, &ours, &datum).expect("is read");
        assert_eq!(as_old, value, "{}: an old reader", sample.name);
    }
}

/// What comes from a later version and has no place in this one: a symbol becomes the default.
#[test]
fn an_old_reader_takes_a_new_code_for_unknown() {
    let schema = SchemaName::CommandResult;
    let (ours, theirs) = (parsed(schema.text()), parsed(&later(schema)));
    let sample = samples::all().into_iter().find(|one| one.name == "command-result");
    let record = sample.expect("a sample").record;
    let Value::Record(mut fields) = read(&ours, &theirs, &record[5..]).expect("is read") else {
        panic!("no record")
    };
    let code = fields.iter_mut().find(|(name, _)| name == "code").expect("a code");
    let Value::Enum(_, _) = &code.1 else { panic!("{code:?}") };
    let last = jupan_schemas::Code::ALL.len() + 1;
    code.1 = Value::Enum(u32::try_from(last).expect("small"), "NEW".to_owned());
    let writer = GenericDatumWriter::builder(&theirs).build().expect("resolves");
    let datum = writer.write_value_to_vec(Value::Record(fields)).expect("can be written");
    let Value::Record(read) = read(&theirs, &ours, &datum).expect("is read") else {
        panic!("no record")
    };
    let code = read.iter().find(|(name, _)| name == "code").map(|(_, value)| value);
    assert_eq!(code, Some(&Value::Enum(0, "UNKNOWN".to_owned())));
}
