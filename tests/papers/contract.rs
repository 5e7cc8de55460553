//! The contract for other systems against the code: `docs/asyncapi.yaml` and `docs/contract.md` have
//! the topics, settings, keys, headers, records and codes that the code has, and no others.

use crate::library::{Finding, Library, REPOSITORY, has_word, spans, spans_of, tables_of};
use crate::truth;
use jupan_log::kafka::{NewTopics, partitions_of, settings};
use jupan_schemas::{SchemaName, TRACEPARENT, TopicId, VERSION, dead_letters};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const ASYNCAPI: &str = "docs/asyncapi.yaml";
pub(crate) const CONTRACT: &str = "docs/contract.md";
/// AsyncAPI's own schema of its documents; where it is from stands at its head.
const FORM: &str = include_str!("asyncapi-3.0.0.json");
/// What payloads are written in.
const AVRO: &str = "application/vnd.apache.avro+json;version=1.9.0";

/// What another system has to do with a topic.
struct Public {
    topic: TopicId,
    /// What its values are written with; dead letters are bytes of any kind, marks have none.
    schema: Option<SchemaName>,
    /// Whether the shop sends it or receives it.
    action: &'static str,
    /// Whether its records may carry a trace.
    is_traced: bool,
    /// Their other headers.
    headers: &'static [&'static str],
}

/// Each topic that is not only for lanes.
fn public() -> Vec<Public> {
    let of = |topic| {
        let (schema, action, is_traced) = match topic {
            TopicId::UserCommands => (Some(SchemaName::UserCommand), "receive", true),
            TopicId::ProductCommands => (Some(SchemaName::ProductCommand), "receive", true),
            TopicId::UserInbox
            | TopicId::ProductInbox
            | TopicId::UserJournal
            | TopicId::ProductJournal => return None,
            TopicId::OrderEvents => (Some(SchemaName::OrderEvent), "send", true),
            TopicId::Sales => (Some(SchemaName::Sale), "send", true),
            TopicId::TopProducts => (Some(SchemaName::TopProducts), "send", false),
            TopicId::CommandResults => (Some(SchemaName::CommandResult), "send", false),
            TopicId::DeadLetters => (None, "send", true),
            TopicId::DeadLetterMarks => (None, "send", false),
        };
        let headers: &[&str] = match topic {
            TopicId::UserCommands | TopicId::ProductCommands => &[dead_letters::REDRIVES],
            TopicId::DeadLetters => &dead_letters::LETTER,
            TopicId::DeadLetterMarks => &dead_letters::MARK,
            _ => &[],
        };
        Some(Public { topic, schema, action, is_traced, headers })
    };
    TopicId::ALL.into_iter().filter_map(of).collect()
}

/// The document as it is written, and what is wrong with it as far as one can tell.
struct Document<'a> {
    library: &'a Library,
    root: Value,
    findings: Vec<Finding>,
}

impl<'a> Document<'a> {
    fn read(library: &'a Library) -> Self {
        let read = serde_saphyr::from_str(library.text(ASYNCAPI));
        let root = read.unwrap_or_else(|error| panic!("{ASYNCAPI}: {error}"));
        Self { library, root, findings: Vec::new() }
    }

    fn find(&mut self, what: impl Into<String>) {
        self.findings.push(Finding::new(ASYNCAPI, 0, what));
    }

    /// What a reference within the document leads to; anything else is itself.
    fn resolved<'b>(&'b self, value: &'b Value) -> &'b Value {
        let Some(pointer) = value["$ref"].as_str().and_then(|target| target.strip_prefix('#'))
        else {
            return value;
        };
        self.root.pointer(pointer).unwrap_or(&Value::Null)
    }

    fn expect(&mut self, what: &str, found: &Value, expected: &Value) {
        if found != expected {
            self.find(format!("{what} is {expected}, not {found}"));
        }
    }

    /// The message that a channel names, with what its traits say beside it.
    fn message(&self, named: &Value) -> Value {
        let mut message = self.resolved(named).clone();
        let traits = message["traits"].as_array().cloned().unwrap_or_default();
        for one in traits.iter().map(|one| self.resolved(one)) {
            for part in ["headers", "bindings"] {
                if let (true, Some(said)) = (message[part].is_null(), one.get(part)) {
                    message[part] = said.clone();
                }
            }
        }
        message
    }
}

/// The document against AsyncAPI's schema, with the Avro schemas in their places.
fn form(document: &mut Document<'_>) {
    let mut whole = document.root.clone();
    let schemas = whole["components"]["schemas"].as_object_mut();
    for (_, schema) in schemas.into_iter().flatten() {
        let place = schema["schema"]["$ref"].as_str().unwrap_or_default().to_owned();
        if let Some(path) = place.strip_prefix("../").filter(|path| document.library.has(path)) {
            let text = document.library.text(path);
            schema["schema"] = serde_json::from_str(text).expect("a schema is JSON");
        }
    }
    let form = serde_json::from_str(FORM).expect("the form is JSON");
    let form = jsonschema::draft7::new(&form).expect("the form is a JSON schema");
    let faults: Vec<String> = form
        .iter_errors(&whole)
        .map(|fault| format!("no AsyncAPI at {}: {fault:.200}", fault.instance_path()))
        .collect();
    faults.into_iter().for_each(|fault| document.find(fault));
    for place in references(&document.root) {
        let is_there = match place.strip_prefix('#') {
            Some(pointer) => document.root.pointer(pointer).is_some(),
            None => place.strip_prefix("../").is_some_and(|path| document.library.has(path)),
        };
        if !is_there {
            document.find(format!("{place} leads nowhere"));
        }
    }
    let used = references(&document.root);
    let components = document.root["components"].as_object().cloned().unwrap_or_default();
    for (kind, named) in components {
        for name in named.as_object().into_iter().flatten().map(|(name, _)| name) {
            let place = format!("#/components/{kind}/{name}");
            if !used.contains(&place) {
                document.find(format!("nothing leads to {place}"));
            }
        }
    }
}

fn references(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(fields.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => BTreeSet::new(),
    }
}

/// One channel, with its operation, for each public topic.
fn channels(document: &mut Document<'_>) {
    let version = document.root["info"]["version"].clone();
    document.expect("the version", &version, &json!(VERSION.to_string()));
    let all = document.root["channels"].as_object().cloned().unwrap_or_default();
    let public = public();
    for channel in all.values() {
        let address = channel["address"].as_str().unwrap_or_default();
        if !public.iter().any(|one| one.topic.name() == address) {
            document.find(format!("{address:?} is no public topic"));
        }
    }
    for one in &public {
        let name = one.topic.name();
        let Some((id, channel)) = all.iter().find(|(_, channel)| channel["address"] == name) else {
            document.find(format!("{name} has no channel"));
            continue;
        };
        broker_settings(document, one.topic, channel);
        keys(document, one, channel);
        messages(document, one, channel);
        operation(document, one, id);
    }
    let operations = document.root["operations"].as_object().map_or(0, serde_json::Map::len);
    if operations != public.len() {
        document.find(format!("{operations} operations for {} topics", public.len()));
    }
}

/// Who sends, and where the outcome goes.
fn operation(document: &mut Document<'_>, one: &Public, channel: &str) {
    let place = json!({"$ref": format!("#/channels/{channel}")});
    let operations = document.root["operations"].as_object().cloned().unwrap_or_default();
    let own = operations.values().find(|operation| operation["channel"] == place);
    let Some(own) = own else {
        return document.find(format!("{channel} has no operation"));
    };
    document.expect(&format!("the action on {channel}"), &own["action"], &json!(one.action));
    let replies = json!({"$ref": "#/channels/commandResults"});
    let expected = if one.action == "receive" { &replies } else { &Value::Null };
    document.expect(&format!("the reply of {channel}"), &own["reply"]["channel"], expected);
}

/// What `jupan init` makes the topic with.
fn broker_settings(document: &mut Document<'_>, topic: TopicId, channel: &Value) {
    let name = topic.name();
    let binding = &channel["bindings"]["kafka"];
    let written = |value: &Value| match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let told = binding["topicConfiguration"].as_object().cloned().unwrap_or_default();
    let told: BTreeMap<&str, String> =
        told.iter().map(|(setting, value)| (setting.as_str(), written(value))).collect();
    if told != settings(topic) {
        document.find(format!("{name} is made with {:?}, not {told:?}", settings(topic)));
    }
    // One partition in any shop, or as many as it was made with.
    let new = |count| NewTopics { partitions: count, result_partitions: count, replicas: None };
    let is_one = partitions_of(topic, new(7)) == partitions_of(topic, new(9));
    let expected = if is_one { json!(1) } else { Value::Null };
    document.expect(
        &format!("the number of partitions of {name}"),
        &binding["partitions"],
        &expected,
    );
}

/// The key is the one that the topic's schema names.
fn keys(document: &mut Document<'_>, one: &Public, channel: &Value) {
    let Some(schema) = one.schema else { return };
    let schema: Value = serde_json::from_str(schema.text()).expect("is JSON");
    let doc = schema["doc"].as_str().unwrap_or_default();
    let key = doc.split("keyed by ").nth(1).and_then(|rest| rest.split([',', '.']).next());
    let name = one.topic.name();
    document.expect(&format!("the key of {name}"), &channel["x-key"], &json!(key));
    if !doc.contains(&format!("Topic {name}")) {
        document.find(format!("the schema of {name} does not name its topic: {doc:?}"));
    }
}

/// One message a record, or a branch of a record's payload, with its schema and headers.
fn messages(document: &mut Document<'_>, one: &Public, channel: &Value) {
    let name = one.topic.name();
    let told = channel["messages"].as_object().cloned().unwrap_or_default();
    let names: BTreeSet<&str> = told.keys().map(String::as_str).collect();
    let expected = records(one);
    if names != expected.iter().map(String::as_str).collect() {
        document.find(format!("the messages of {name} are {expected:?}, not {names:?}"));
    }
    for (named, message) in &told {
        let message = document.message(message);
        let schema = document.resolved(&message["payload"]).clone();
        let file = one.schema.map(|schema| format!("../schemas/avro/{}.avsc", kebab(schema)));
        let expected = match &file {
            Some(file) => json!({"schemaFormat": AVRO, "schema": {"$ref": file}}),
            None => Value::Null,
        };
        document.expect(&format!("the payload of {named}"), &schema, &expected);
        if let (Some(file), Some(schema)) = (file, one.schema)
            && document.library.text(&file[3..]) != schema.text()
        {
            document.find(format!("{file} is not what the code writes"));
        }
        let told = message["headers"]["properties"].as_object().cloned().unwrap_or_default();
        let told: BTreeSet<&str> = told.keys().map(String::as_str).collect();
        let mut headers = BTreeSet::new();
        headers.extend(one.is_traced.then_some(TRACEPARENT));
        headers.extend(one.headers);
        if told != headers {
            document.find(format!("the headers of {named} are {headers:?}, not {told:?}"));
        }
    }
}

/// The records of a topic: the branches of its payload, or the one that there is.
fn records(one: &Public) -> Vec<String> {
    let Some(schema) = one.schema else {
        let is_mark = one.topic == TopicId::DeadLetterMarks;
        return vec![if is_mark { "DeadLetterMark" } else { "DeadLetter" }.to_owned()];
    };
    let branches = branches(schema);
    if branches.is_empty() {
        return vec![format!("{schema:?}")];
    }
    branches.into_iter().map(|(name, _)| name).collect()
}

/// The branches of a schema's payload, with their fields.
fn branches(schema: SchemaName) -> Vec<(String, Vec<String>)> {
    let json: Value = serde_json::from_str(schema.text()).expect("is JSON");
    let fields = json["fields"].as_array().expect("has fields");
    let payload = fields.iter().find(|field| field["name"] == "payload");
    let branches = payload.and_then(|field| field["type"].as_array()).cloned().unwrap_or_default();
    let text = |value: &Value| value["name"].as_str().expect("has a name").to_owned();
    let branch = |branch: &Value| {
        let fields = branch["fields"].as_array().expect("has fields");
        (text(branch), fields.iter().map(text).collect())
    };
    branches.iter().map(branch).collect()
}

fn kebab(schema: SchemaName) -> String {
    let name = format!("{schema:?}");
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}

/// The codes that lanes answer, and no others.
fn lane_codes(library: &Library) -> BTreeSet<&'static str> {
    let by_lanes =
        |origin: &&str| matches!(*origin, "envelope" | "intake") || origin.ends_with(" lane");
    let origins = truth::origins(library).into_iter();
    let codes = origins.filter(|(_, origins)| origins.iter().any(by_lanes)).map(|(code, _)| code);
    codes.chain(["OK"]).collect()
}

fn codes(document: &mut Document<'_>) {
    let told = document.root["components"]["messages"]["CommandResult"]["x-codes"].clone();
    let told: BTreeSet<&str> = told
        .as_array()
        .map(|all| all.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let meant = lane_codes(document.library);
    for code in told.symmetric_difference(&meant) {
        let is = if meant.contains(code) { "is missing" } else { "is none that lanes answer" };
        document.find(format!("the code {code} {is}"));
    }
}

/// `docs/asyncapi.yaml` is a document of AsyncAPI 3.0.0, and tells what the code does.
pub(crate) fn asyncapi(library: &Library) -> Vec<Finding> {
    let mut document = Document::read(library);
    form(&mut document);
    channels(&mut document);
    codes(&mut document);
    document.findings
}

/// `docs/contract.md` has every public topic, command and code, with keys, headers and fields.
pub(crate) fn contract(library: &Library) -> Vec<Finding> {
    let (text, mut findings) = (library.text(CONTRACT), Vec::new());
    let mut find = |line, what: String| findings.push(Finding::new(CONTRACT, line, what));
    let topics: BTreeSet<&str> = tables_of(text, &["topic", "key"])
        .iter()
        .flat_map(|table| &table.rows)
        .map(|(_, cells)| cells[0].trim_matches('`'))
        .collect();
    let meant: BTreeSet<&str> = public().iter().map(|one| one.topic.name()).collect();
    if topics != meant {
        find(0, format!("the public topics are {meant:?}, not {topics:?}"));
    }
    for topic in TopicId::ALL.iter().filter(|topic| !has_word(text, topic.name())) {
        find(0, format!("{} is not named", topic.name()));
    }
    let commands = [SchemaName::UserCommand, SchemaName::ProductCommand].into_iter();
    let mut commands: BTreeMap<String, Vec<String>> = commands.flat_map(branches).collect();
    for (line, cells) in
        tables_of(text, &["command", "fields"]).iter().flat_map(|table| &table.rows)
    {
        let name = cells[0].trim_matches('`');
        match commands.remove(name) {
            Some(fields) if fields == spans_of(cells[1]) => {}
            Some(fields) => find(*line, format!("{name} has the fields {fields:?}")),
            None => find(*line, format!("{name:?} is no command, or is here twice")),
        }
    }
    commands.keys().for_each(|name| find(0, format!("the command {name} is missing")));
    for (of, meant) in [("header", dead_letters::LETTER), ("header of a mark", dead_letters::MARK)]
    {
        let headers: BTreeSet<&str> = tables_of(text, &[of, "what"])
            .iter()
            .flat_map(|table| &table.rows)
            .map(|(_, cells)| cells[0].trim_matches('`'))
            .collect();
        let meant = BTreeSet::from(meant);
        if headers != meant {
            find(0, format!("{of}: they are {meant:?}, not {headers:?}"));
        }
    }
    let known = truth::codes();
    let told: BTreeSet<&str> = spans(text)
        .into_iter()
        .map(|(_, span)| span)
        .filter(|span| known.contains_key(span) && *span != "UNKNOWN")
        .collect();
    for code in told.symmetric_difference(&lane_codes(library)) {
        let is = if told.contains(code) { "is none that lanes answer" } else { "is missing" };
        find(0, format!("the code {code} {is}"));
    }
    findings
}

/// What jupan's own ids look like to whoever makes them: the paper's example.
#[test]
fn the_papers_example_of_ids_is_right() {
    use jupan_schemas::{CommandId, OrderId, Role, UserId, partition_of};
    let text = REPOSITORY.text(CONTRACT);
    for told in [
        CommandId::of(Role::Users, 7, "order-1").to_string(),
        OrderId::of(UserId(7), "order-1").to_string(),
        CommandId::of(Role::Products, 7, "order-1").to_string(),
    ] {
        assert!(text.contains(&told), "{told} is not in {CONTRACT}");
    }
    for table in tables_of(text, &["id", "partition of 4", "partition of 12"]) {
        for (line, cells) in table.rows {
            let id = cells[0].parse().expect("an id");
            let told = [cells[1], cells[2]].map(str::to_owned);
            let meant = [4, 12].map(|partitions| partition_of(id, partitions).to_string());
            assert_eq!(told, meant, "{CONTRACT}:{line}");
        }
    }
}
