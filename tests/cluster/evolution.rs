//! The real registry's word on changes of the contract: what it refuses under the rules that `jupan
//! init` sets, what only our own rules refuse, and that an `init` which meets a schema that this
//! version's cannot follow changes nothing.

use crate::{
    ground,
    shop::{COULD_NOT_RUN, binary, fresh_dir},
};
use jupan_schemas::{SchemaName, TopicId, evolution};
use serde_json::{Value, json};
use std::process::{Command, Output};

/// What each topic's values are written with.
const VALUES: [(TopicId, SchemaName); 10] = [
    (TopicId::UserCommands, SchemaName::UserCommand),
    (TopicId::ProductCommands, SchemaName::ProductCommand),
    (TopicId::UserInbox, SchemaName::UserMessage),
    (TopicId::ProductInbox, SchemaName::ProductMessage),
    (TopicId::UserJournal, SchemaName::Step),
    (TopicId::ProductJournal, SchemaName::Step),
    (TopicId::OrderEvents, SchemaName::OrderEvent),
    (TopicId::Sales, SchemaName::Sale),
    (TopicId::TopProducts, SchemaName::TopProducts),
    (TopicId::CommandResults, SchemaName::CommandResult),
];

/// Records that only the outside reads, and that every version reads of every other one.
const FLAT: [SchemaName; 4] =
    [SchemaName::OrderEvent, SchemaName::Sale, SchemaName::TopProducts, SchemaName::CommandResult];

/// A change of a schema; false where the schema has nothing to change so.
type Change = fn(&mut Value) -> bool;

/// What is changed, whether the registry takes it of a flat record and of an envelope, and whether we do.
type Row = (&'static str, Change, [bool; 2], bool);

const CHANGES: [Row; 14] = [
    ("nothing", |_| true, [true, true], true),
    ("a field with a default, at the end", |json| add(json, with_default()), [true, true], true),
    ("a field without a default", |json| add(json, without_default()), [false, false], false),
    ("a field gone", gone, [false, true], false),
    (
        "a field renamed",
        |json| set(&mut json["fields"][0], "name", json!("renamed")),
        [false; 2],
        false,
    ),
    (
        "another type",
        |json| set(&mut json["fields"][0], "type", json!({"type": "array", "items": "long"})),
        [false; 2],
        false,
    ),
    ("fields that changed places", |json| swap(&mut json["fields"], 0, 1), [true, true], false),
    ("another name", |json| set(json, "name", json!("Renamed")), [false, false], false),
    (
        "a branch at the payload's end",
        |json| payload(json, |all| all.push(branch())),
        [true, true],
        true,
    ),
    (
        "a branch in the payload's middle",
        |json| payload(json, |all| all.insert(1, branch())),
        [true, true],
        false,
    ),
    (
        "a branch of the payload gone",
        |json| payload(json, |all| drop(all.remove(1))),
        [false, false],
        false,
    ),
    ("a symbol at the end", |json| symbols(json, |all| all.push(json!("NEW"))), [true, true], true),
    (
        "a symbol in the middle",
        |json| symbols(json, |all| all.insert(1, json!("NEW"))),
        [true, true],
        false,
    ),
    ("another size of a fixed", |json| fixed(json), [false, false], false),
];

fn with_default() -> Value {
    json!({"name": "note", "type": ["null", "string"], "default": null})
}

fn without_default() -> Value {
    json!({"name": "note", "type": "string"})
}

fn branch() -> Value {
    json!({"type": "record", "name": "New", "fields": [{"name": "a", "type": "long"}]})
}

fn add(json: &mut Value, field: Value) -> bool {
    json["fields"].as_array_mut().expect("fields").push(field);
    true
}

fn gone(json: &mut Value) -> bool {
    json["fields"].as_array_mut().expect("fields").remove(0);
    true
}

fn set(json: &mut Value, name: &str, value: Value) -> bool {
    json[name] = value;
    true
}

fn swap(list: &mut Value, one: usize, other: usize) -> bool {
    list.as_array_mut().expect("a list").swap(one, other);
    true
}

/// The branches of the envelope's own payload.
fn payload(json: &mut Value, change: fn(&mut Vec<Value>)) -> bool {
    let fields = json["fields"].as_array_mut().expect("fields");
    let payload = fields.iter_mut().find(|field| field["name"] == "payload");
    payload.and_then(|field| field["type"].as_array_mut()).map(change).is_some()
}

/// The symbols of the first enum.
fn symbols(json: &mut Value, change: fn(&mut Vec<Value>)) -> bool {
    part(json, "enum").and_then(|found| found["symbols"].as_array_mut()).map(change).is_some()
}

fn fixed(json: &mut Value) -> bool {
    part(json, "fixed").map(|found| found["size"] = json!(20)).is_some()
}

/// The first named type of this kind.
fn part<'a>(json: &'a mut Value, kind: &str) -> Option<&'a mut Value> {
    if json.get("type").is_some_and(|found| found == kind) {
        return Some(json);
    }
    match json {
        Value::Object(fields) => fields.values_mut().find_map(|value| part(value, kind)),
        Value::Array(items) => items.iter_mut().find_map(|item| part(item, kind)),
        _ => None,
    }
}

fn changed(schema: SchemaName, change: Change) -> Option<String> {
    let mut json: Value = serde_json::from_str(schema.text()).expect("is JSON");
    change(&mut json).then(|| json.to_string())
}

/// A registry, as whoever asks it sees it, and what a shop's subjects there begin with.
struct Registry {
    http: reqwest::Client,
    url: String,
    prefix: String,
}

impl Registry {
    fn of(cluster: &[String]) -> Self {
        let flag = |name| crate::ground::flag(cluster, name);
        Self { http: reqwest::Client::new(), url: flag("registry"), prefix: flag("topic-prefix") }
    }

    fn subject(&self, topic: TopicId) -> String {
        format!("{}{}-value", self.prefix, topic.name())
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await.expect("an answer");
        if answer.status() == reqwest::StatusCode::NOT_FOUND {
            return None;
        }
        Some(answer.error_for_status().expect("an answer").json().await.expect("JSON"))
    }

    async fn post(&self, path: &str, schema: &str) -> Value {
        let asked = self.http.post(format!("{}{path}", self.url)).json(&json!({"schema": schema}));
        let answer = asked.send().await.expect("an answer").error_for_status().expect("an answer");
        answer.json().await.expect("JSON")
    }

    async fn takes(&self, topic: TopicId, schema: &str) -> bool {
        let path = format!("/compatibility/subjects/{}/versions", self.subject(topic));
        let answer = self.post(&path, schema).await;
        answer["is_compatible"].as_bool().unwrap_or_else(|| panic!("{answer}"))
    }

    /// The versions of every topic's subject that has some.
    async fn versions(&self) -> Vec<(TopicId, usize)> {
        let mut found = Vec::new();
        for (topic, _) in VALUES {
            let path = format!("/subjects/{}/versions", self.subject(topic));
            let count = self.get(&path).await.map_or(0, |all| all.as_array().map_or(0, Vec::len));
            found.extend((count > 0).then_some((topic, count)));
        }
        found
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_refuses_what_would_end_reading() {
    let data = fresh_dir();
    let cluster = ground::cluster_flags(data.path());
    ground::init(&cluster, "1");
    let registry = Registry::of(&cluster);
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for (topic, schema) in VALUES {
        let is_flat = FLAT.contains(&schema);
        let rule = if is_flat { "FULL_TRANSITIVE" } else { "BACKWARD_TRANSITIVE" };
        let path = format!("/config/{}", registry.subject(topic));
        let set = registry.get(&path).await.expect("a rule");
        assert_eq!(set["compatibilityLevel"], rule, "{topic:?}");
        for (what, change, by_registry, by_us) in CHANGES {
            let Some(text) = changed(schema, change) else { continue };
            let expected = (by_registry[usize::from(!is_flat)], by_us);
            let is_kept = evolution::check(schema, schema.text(), &text).is_ok();
            let found = (registry.takes(topic, &text).await, is_kept);
            if found != expected {
                wrong.push(format!("{schema:?}, {what}: registry and we say {found:?}"));
            }
            checked += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 100, "only {checked} changes were tried");
    ground::init(&cluster, "1");
    let all: Vec<_> = VALUES.iter().map(|(topic, _)| (*topic, 1)).collect();
    assert_eq!(registry.versions().await, all, "a second init registers nothing more");
}

/// A subject has a schema that this version's cannot follow: who says so, and in which words.
const MET: [(TopicId, Change, &str); 4] = [
    (
        TopicId::Sales,
        |json| set(&mut json["fields"][3], "type", json!("string")),
        "the registry refuses this version's Sale as {subject}: not FULL_TRANSITIVE",
    ),
    (
        TopicId::ProductJournal,
        |json| set(&mut json["fields"][2], "type", json!("string")),
        "the registry refuses this version's Step as {subject}: not BACKWARD_TRANSITIVE",
    ),
    (
        TopicId::ProductCommands,
        |json| payload(json, |all| drop(all.remove(1))),
        "cannot follow one that {subject} (BACKWARD_TRANSITIVE) has: ProductCommand, at \
         payload.jupan.Restock: branches keep their places",
    ),
    (
        TopicId::TopProducts,
        |json| swap(&mut json["fields"], 0, 1),
        "cannot follow one that {subject} (FULL_TRANSITIVE) has: TopProducts, at windowFrom: fields \
         keep their order",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn init_refuses_what_it_cannot_follow_and_registers_nothing() {
    for (topic, change, words) in MET {
        let data = fresh_dir();
        let cluster = ground::cluster_flags(data.path());
        let registry = Registry::of(&cluster);
        let (_, schema) = VALUES.into_iter().find(|(other, _)| *other == topic).expect("a schema");
        let other = changed(schema, change).expect("a change");
        let subject = registry.subject(topic);
        registry.post(&format!("/subjects/{subject}/versions"), &other).await;
        let Output { status, stdout, stderr } = init(&cluster);
        let why = String::from_utf8_lossy(&stderr);
        assert_eq!(status.code(), Some(COULD_NOT_RUN), "{topic:?}: {why}");
        assert!(why.contains(&words.replace("{subject}", &subject)), "{topic:?}: {why}");
        assert!(stdout.is_empty(), "{topic:?}: {}", String::from_utf8_lossy(&stdout));
        assert_eq!(registry.versions().await, [(topic, 1)], "nothing is registered");
    }
}

fn init(cluster: &[String]) -> Output {
    Command::new(binary())
        .args(["init", "--trace", "warn", "--partitions", "1"])
        .args(cluster)
        .output()
        .expect("the binary starts")
}
