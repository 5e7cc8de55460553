//! Golden files: the bytes of every record and branch, as version 1 wrote them, in `golden/v1/<name>.hex`.
//!
//! A file that exists is never written again. A new branch gets its file with `JUPAN_WRITE_GOLDEN=1
//! cargo test -p jupan-schemas --test it golden`; read it before it is committed. A file that has
//! to change is a break of the contract: the journals of the past have the old bytes.

use crate::{
    other_id, reader,
    samples::{self, Sample},
    with_id,
};
use jupan_schemas::{SchemaName, VERSION};
use serde_json::Value as Json;
use std::{collections::BTreeSet, env, fmt::Write, fs, path::PathBuf};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("golden/v{VERSION}"))
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

fn from_hex(text: &str) -> Vec<u8> {
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
