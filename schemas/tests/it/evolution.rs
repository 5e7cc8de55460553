//! The rules of evolution: the stored versions keep them, planted changes of every forbidden kind
//! are refused for their own reason, and the changes that we will want to make are allowed.

use apache_avro::{Schema, schema_compatibility::SchemaCompatibility};
use jupan_schemas::{
    SchemaIds, SchemaName, VERSION,
    evolution::{Forbidden, check},
};
use serde_json::{Value as Json, json};
use std::{fs, path::PathBuf};

fn versions() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("versions")
}

pub(crate) fn stored(version: u32, schema: SchemaName) -> String {
    let name = crate::samples::kebab(&format!("{schema:?}"));
    let path = versions().join(format!("v{version}/{name}.avsc"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn this_version_keeps_the_rules_against_every_stored_one() {
    let count = fs::read_dir(versions()).expect("the stored versions are there").count();
    assert_eq!(count, usize::try_from(VERSION).expect("is small"), "one folder a version");
    for version in 1..=VERSION {
        for schema in SchemaName::ALL {
            assert_eq!(
                check(schema, &stored(version, schema), schema.text()),
                Ok(()),
                "v{version}"
            );
        }
    }
}

/// A change of `avro/` is a new version: raise `VERSION` and copy the files to `versions/v<VERSION>`.
#[test]
fn this_version_is_stored_as_it_is() {
    for schema in SchemaName::ALL {
        assert!(stored(VERSION, schema) == schema.text(), "{schema:?} differs from v{VERSION}");
    }
}

/// This version's schema with a change.
pub(crate) fn changed(schema: SchemaName, change: impl FnOnce(&mut Json)) -> String {
    let mut json = serde_json::from_str(schema.text()).expect("is JSON");
    change(&mut json);
    json.to_string()
}

/// The part of a schema with this name: a field, or a named type.
fn named<'a>(json: &'a mut Json, name: &str) -> &'a mut Json {
    find(json, name).unwrap_or_else(|| panic!("there is a {name}"))
}

fn find<'a>(json: &'a mut Json, name: &str) -> Option<&'a mut Json> {
    if json.get("name").is_some_and(|found| found == name) {
        return Some(json);
    }
    match json {
        Json::Object(fields) => fields.values_mut().find_map(|value| find(value, name)),
        Json::Array(items) => items.iter_mut().find_map(|item| find(item, name)),
        _ => None,
    }
}

pub(crate) fn list<'a>(json: &'a mut Json, key: &str) -> &'a mut Vec<Json> {
    json[key].as_array_mut().unwrap_or_else(|| panic!("{key} is a list"))
}

fn check_refused(
    schema: SchemaName,
    change: impl FnOnce(&mut Json),
    expected: &[(&str, Forbidden)],
) {
    let violations = check(schema, schema.text(), &changed(schema, change));
    let violations = violations.expect_err("the change is refused");
    let found: Vec<_> =
        violations.iter().map(|found| (found.path.as_str(), found.change.clone())).collect();
    assert_eq!(found, expected);
}

fn other_type(from: &str, to: &str) -> Forbidden {
    Forbidden::Type { from: from.into(), to: to.into() }
}

#[test]
fn a_field_without_default_is_refused() {
    let field = json!({"name": "currency", "type": "string"});
    let expected = |path| [(path, Forbidden::FieldWithoutDefault)];
    check_refused(
        SchemaName::Sale,
        |sale| list(sale, "fields").push(field.clone()),
        &expected("currency"),
    );
    check_refused(
        SchemaName::UserCommand,
        |command| list(named(command, "PlaceOrder"), "fields").push(field.clone()),
        &expected("payload.jupan.PlaceOrder.currency"),
    );
}

#[test]
fn a_removed_or_renamed_field_is_refused() {
    let gone = |path| (path, Forbidden::FieldGone);
    check_refused(
        SchemaName::OrderEvent,
        |event| list(event, "fields").retain(|field| field["name"] != "reason"),
        &[gone("reason")],
    );
    check_refused(
        SchemaName::Sale,
        |sale| named(sale, "units")["name"] = "quantity".into(),
        &[gone("units"), ("quantity", Forbidden::FieldWithoutDefault)],
    );
    // An alias would let this version read it, and no tool of the outside.
    let renamed =
        json!({"name": "why", "aliases": ["reason"], "type": ["null", "string"], "default": null});
    check_refused(
        SchemaName::OrderEvent,
        |event| *named(event, "reason") = renamed,
        &[gone("reason")],
    );
}

#[test]
fn a_moved_field_is_refused() {
    check_refused(
        SchemaName::Step,
        |step| list(named(step, "Peer"), "fields").swap(1, 2),
        &[("peers.received", Forbidden::FieldMoved)],
    );
}

#[test]
fn another_type_is_refused() {
    check_refused(
        SchemaName::Sale,
        |sale| named(sale, "units")["type"] = "string".into(),
        &[("units", other_type("long", "string"))],
    );
    // This version would read it, an earlier one would not.
    check_refused(
        SchemaName::TopProducts,
        |top| named(top, "rank")["type"] = "long".into(),
        &[("products.rank", other_type("int", "long"))],
    );
    check_refused(
        SchemaName::UserCommand,
        |command| named(command, "createdAt")["type"] = "long".into(),
        &[("createdAt", other_type("timestamp-micros", "long"))],
    );
    check_refused(
        SchemaName::CommandResult,
        |result| *named(result, "balance") = json!({"name": "balance", "type": "long"}),
        &[("balance", other_type("union of null, long", "long"))],
    );
}

#[test]
fn a_renamed_type_is_refused() {
    let name = |from: &str, to: &str| Forbidden::Name { from: from.into(), to: to.into() };
    check_refused(
        SchemaName::OrderEvent,
        |event| named(event, "OrderEventLine")["name"] = "EventLine".into(),
        &[("lines", name("jupan.OrderEventLine", "jupan.EventLine"))],
    );
    check_refused(
        SchemaName::Sale,
        |sale| sale["namespace"] = "shop".into(),
        &[("", name("jupan.Sale", "shop.Sale"))],
    );
}

#[test]
fn another_size_is_refused() {
    let size = |path| (path, Forbidden::Size);
    check_refused(
        SchemaName::UserMessage,
        |message| named(message, "OrderId")["size"] = 20.into(),
        &[
            size("payload.jupan.Reserved.orderId"),
            size("payload.jupan.Refused.orderId"),
            size("payload.jupan.ExpireOrder.orderId"),
        ],
    );
}

#[test]
fn symbols_keep_their_places() {
    let expected = [("code", Forbidden::SymbolGone)];
    let code = |change: fn(&mut Vec<Json>)| {
        check_refused(
            SchemaName::CommandResult,
            |result| change(list(named(result, "Code"), "symbols")),
            &expected,
        );
    };
    code(|symbols| drop(symbols.pop()));
    code(|symbols| symbols.insert(1, "NEW".into()));
    code(|symbols| symbols.swap(1, 2));
    code(|symbols| symbols[3] = "RENAMED".into());
}

#[test]
fn an_enum_without_default_is_refused() {
    check_refused(
        SchemaName::Step,
        |step| {
            named(step, "HoldEnd").as_object_mut().expect("is an object").remove("default");
        },
        &[("entries.changes.jupan.HoldEnded.end", Forbidden::EnumWithoutDefault)],
    );
}

#[test]
fn branches_keep_their_places() {
    let branch = json!({"type": "record", "name": "Hello", "fields": []});
    let gone = |name| (name, Forbidden::BranchGone);
    check_refused(
        SchemaName::ProductCommand,
        |command| drop(list(named(command, "payload"), "type").pop()),
        &[gone("payload.jupan.Restock")],
    );
    check_refused(
        SchemaName::ProductCommand,
        |command| list(named(command, "payload"), "type").insert(1, branch),
        &[gone("payload.jupan.ChangeProduct"), gone("payload.jupan.Restock")],
    );
    check_refused(
        SchemaName::Sale,
        |sale| named(sale, "units")["type"] = json!(["null", "long"]),
        &[("units", other_type("long", "union of null, long"))],
    );
    check_refused(
        SchemaName::UserMessage,
        |message| list(named(message, "payload"), "type").swap(1, 2),
        &[gone("payload.jupan.Refused"), gone("payload.jupan.ExpireOrder")],
    );
}

#[test]
fn a_new_branch_outside_a_payload_is_refused() {
    let expected = |path| [(path, Forbidden::BranchAdded)];
    check_refused(
        SchemaName::OrderEvent,
        |event| list(named(event, "reason"), "type").push("long".into()),
        &expected("reason"),
    );
    check_refused(
        SchemaName::UserCommand,
        |command| list(named(command, "replyTo"), "type").push("string".into()),
        &expected("replyTo"),
    );
    check_refused(
        SchemaName::Step,
        |step| list(named(named(step, "OrderEnded"), "productId"), "type").push("string".into()),
        &expected("entries.changes.jupan.OrderEnded.productId"),
    );
}

#[test]
fn what_is_no_schema_of_ours_is_refused() {
    let check_no_schema = |later: &str, path: &str, why: &str| {
        let violations =
            check(SchemaName::Sale, SchemaName::Sale.text(), later).expect_err("refused");
        let [violation] = &violations[..] else { panic!("{violations:?}") };
        assert_eq!(violation.path, path);
        assert!(violation.to_string().contains(why), "{violation}");
    };
    check_no_schema("{", "schema", "no schema of this contract");
    let float = json!({"name": "rating", "type": "double", "default": 1.5});
    let float = changed(SchemaName::Sale, |sale| list(sale, "fields").push(float));
    check_no_schema(&float, "rating", "no use for");
}

/// Allowed by us, readable for this version, and compatible in the eyes of the second implementation.
fn check_allowed(schema: SchemaName, change: impl FnOnce(&mut Json)) {
    let later = changed(schema, change);
    assert_eq!(check(schema, schema.text(), &later), Ok(()));
    let mut ids = SchemaIds::embedded();
    ids.add_older(99, schema, &later).expect("this version reads the later one");
    let parse = |text: &str| Schema::parse_str(text).expect("is a schema");
    SchemaCompatibility::mutual_read(&parse(schema.text()), &parse(&later)).expect("is compatible");
}

#[test]
fn what_grows_at_the_end_and_has_a_default_is_allowed() {
    let note = json!({"name": "note", "type": ["null", "string"], "default": null});
    let tags = json!({"name": "tags", "type": {"type": "array", "items": "string"}, "default": []});
    let branch =
        json!({"type": "record", "name": "Rename", "fields": [{"name": "name", "type": "string"}]});
    for schema in SchemaName::ALL {
        check_allowed(schema, |json| list(json, "fields").push(note.clone()));
        check_allowed(schema, |json| list(json, "fields").insert(0, tags.clone()));
        check_allowed(schema, |json| json["doc"] = "Said better.".into());
    }
    check_allowed(SchemaName::UserCommand, |command| {
        list(named(command, "PlaceOrder"), "fields").push(note);
    });
    check_allowed(SchemaName::UserCommand, |command| {
        list(named(command, "payload"), "type").push(branch.clone());
    });
    check_allowed(SchemaName::Step, |step| {
        list(&mut named(step, "changes")["type"], "items").push(branch.clone());
    });
    check_allowed(SchemaName::Step, |step| {
        list(named(named(step, "Sent"), "payload"), "type").push(branch);
    });
    check_allowed(SchemaName::CommandResult, |result| {
        list(named(result, "Code"), "symbols").push("NEW".into());
    });
}
