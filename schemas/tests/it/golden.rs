//! Golden files: the bytes of every record and branch, as each version wrote them, in
//! `golden/v<version>/<name>.hex`.
//!
//! A file that exists is never written again. A new branch gets its file with `JUPAN_WRITE_GOLDEN=1
//! cargo test -p jupan-schemas --test it golden`; read it before it is committed. A file that has
//! to change is a break of the contract: the journals of the past have the old bytes.

use crate::{
    other_id, reader, recode,
    samples::{self, Sample},
    with_id,
};
use jupan_schemas::{Codec, OrderEvent, SchemaName, Units, VERSION, Written};
use serde_json::Value as Json;
use std::{collections::BTreeSet, env, fmt::Write, fs, path::PathBuf};

fn folder() -> PathBuf {
    folder_of(VERSION)
}

pub(crate) fn folder_of(version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("golden/v{version}"))
}

/// 32 bytes a line.
fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(32) {
        chunk.iter().for_each(|byte| write!(text, "{byte:02x}").expect("a string grows"));
        text.push('\n');
    }
    text
}

pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("is ASCII");
        u8::from_str_radix(pair, 16).expect("two hexadecimal digits")
    };
    digits.chunks(2).map(byte).collect()
}

fn read_or_write(sample: &Sample) -> Vec<u8> {
    let path = folder().join(format!("{}.hex", sample.name));
    if !path.exists() && env::var_os("JUPAN_WRITE_GOLDEN").is_some() {
        fs::write(&path, to_hex(&sample.record)).expect("the golden folder can be written");
    }
    let hint = "missing; JUPAN_WRITE_GOLDEN=1 writes the files that do not exist";
    from_hex(&fs::read_to_string(&path).unwrap_or_else(|_| panic!("{}: {hint}", path.display())))
}

#[test]
fn golden_files_are_what_is_written_and_read() {
    let reader = reader();
    for sample in samples::all() {
        let golden = read_or_write(&sample);
        assert_eq!(
            to_hex(&sample.record),
            to_hex(&golden),
            "{} is written differently",
            sample.name
        );
        sample.assert_is(&reader, &golden);
        sample.assert_is(&reader, &with_id(&golden, other_id(sample.schema)));
    }
}

/// What an earlier version's golden file says in this version: what it could not say is the default.
fn in_this_version(sample: &Sample) -> Vec<u8> {
    let codec = Codec::embedded();
    if sample.schema != OrderEvent::SCHEMA {
        return sample.record.clone();
    }
    let mut event: OrderEvent = codec.decode(&sample.record).expect("is an order event");
    event.lines.iter_mut().for_each(|line| line.refunded = Units::ZERO);
    codec.to_bytes(&event)
}

#[test]
fn golden_files_of_earlier_versions_are_read() {
    let codec = Codec::embedded();
    let samples = samples::all();
    for version in 1..VERSION {
        let files = fs::read_dir(folder_of(version)).expect("the golden folder is there");
        let paths: Vec<PathBuf> = files.map(|file| file.expect("can be listed").path()).collect();
        assert!(paths.len() >= SchemaName::ALL.len(), "v{version} has a file a schema");
        for path in paths {
            let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
            let sample = samples.iter().find(|sample| sample.name == name);
            let sample = sample.unwrap_or_else(|| panic!("v{version} had a {name}"));
            let golden = from_hex(&fs::read_to_string(&path).expect("can be read"));
            let id = sample.schema.embedded_id_of(version);
            assert_eq!(golden[1..5], id.to_be_bytes(), "v{version} {name} says so");
            let read = recode(&codec, sample.schema, &golden);
            assert_eq!(read, Ok(in_this_version(sample)), "v{version} {name}");
        }
    }
}

#[test]
fn every_branch_has_a_golden_file_and_every_file_a_branch() {
    let mut expected: BTreeSet<String> =
        ["user-command-bare", "step-bare", "command-result-bare"].map(str::to_owned).into();
    for schema in SchemaName::ALL {
        let mut branches = Vec::new();
        let json: Json = serde_json::from_str(schema.text()).expect("is JSON");
        record_branches(&json, &mut branches);
        if branches.is_empty() {
            expected.insert(samples::kebab(&format!("{schema:?}")));
        }
        expected.extend(branches.iter().map(|branch| samples::name_of(schema, branch)));
    }
    let sampled: BTreeSet<String> = samples::all().into_iter().map(|sample| sample.name).collect();
    assert_eq!(sampled, expected, "samples");
    let files = fs::read_dir(folder()).expect("the golden folder is there");
    let files = files.map(|file| file.expect("can be listed").file_name().into_string());
    let files: BTreeSet<String> = files.map(|name| name.expect("is Unicode")).collect();
    assert_eq!(files, expected.iter().map(|name| format!("{name}.hex")).collect(), "files");
}

/// The names of the records in unions of nothing but records.
fn record_branches(json: &Json, found: &mut Vec<String>) {
    match json {
        Json::Object(fields) => {
            for (name, value) in fields {
                let branches = value.as_array().filter(|_| name == "type" || name == "items");
                let records = branches.filter(|all| all.iter().all(|one| one["type"] == "record"));
                let names = records.into_iter().flatten().filter_map(|one| one["name"].as_str());
                found.extend(names.map(str::to_owned));
                record_branches(value, found);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| record_branches(item, found)),
        _ => {}
    }
}
