//! Every call answers as the API's document says, and the document says nothing that no call does.

use super::{
    contract::{Contract, Exchange, Met},
    rig::Reply,
};
use crate::{
    Limits, openapi,
    problem::{Meaning, meaning},
    router,
};
use axum::http::{HeaderMap, request};
use jupan_schemas::Code;
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::LazyLock};

/// The document of a shop without limits of its own: here tests play the lanes.
pub(super) static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let limits = Limits { charge_max: i64::MAX, line_units_max: i64::MAX, ..Limits::default() };
    Contract::new(openapi::value(&limits))
});

fn document() -> &'static Value {
    CONTRACT.document()
}

/// Holds an answer to the document.
#[track_caller]
pub(super) fn assert_documented(
    sent: &request::Parts,
    sent_body: Option<String>,
    reply: &Reply,
) -> Met {
    let exchange = Exchange {
        method: sent.method.to_string(),
        uri: sent.uri.to_string(),
        sent_headers: pairs(&sent.headers),
        sent_body,
        status: reply.status.as_u16(),
        headers: pairs(&reply.headers),
        body: reply.text.clone(),
    };
    CONTRACT.check(&exchange).unwrap_or_else(|fault| panic!("{fault}"))
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
}

/// Files of pages: they are for browsers.
const UNDOCUMENTED: [&str; 3] = ["GET /docs/", "GET /docs/{file}", "GET /web/{file}"];

/// Codes that no call of this version answers, and why.
const UNANSWERED: [(&str, &str); 5] = [
    ("ROUTE_NOT_FOUND", "every other path answers it"),
    ("METHOD_NOT_ALLOWED", "every path answers it to other methods"),
    ("FORBIDDEN", "there is no authentication yet"),
    ("WRONG_PARTITION", "the API puts commands where they belong"),
    ("UNSUPPORTED", "lanes are upgraded before the API"),
];

#[test]
fn the_router_and_the_document_have_the_same_calls() {
    let listed = router::table().listed;
    let routes: BTreeSet<_> = listed.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut documented: BTreeSet<_> = CONTRACT.operations().map(|(name, _)| name).collect();
    documented.extend(UNDOCUMENTED.map(str::to_owned));
    assert_eq!(routes, documented);
    for (name, call) in CONTRACT.operations() {
        let parameters = CONTRACT.parameters(call).filter(|p| p["in"] == "query");
        let asked: BTreeSet<_> = parameters.filter_map(|p| p["name"].as_str()).collect();
        let (_, known) = listed.iter().find(|(route, _)| *route == name).expect("a route");
        let known: BTreeSet<_> = known.unwrap_or_default().iter().copied().collect();
        assert_eq!(asked, known, "{name}");
        let holes = name.matches('{').count();
        let in_path = CONTRACT.parameters(call).filter(|p| p["in"] == "path").count();
        assert_eq!(in_path, holes, "{name}");
    }
}

#[test]
fn every_code_is_in_the_catalogue_and_answered_somewhere() {
    let promised = CONTRACT.promised();
    let answered: BTreeSet<_> = promised.iter().filter_map(|met| met.code.as_deref()).collect();
    let unanswered: BTreeSet<_> = UNANSWERED.iter().map(|(code, _)| *code).collect();
    let introduction = document()["info"]["description"].as_str().expect("text");
    let examples = document()["components"]["examples"].as_object().expect("examples");
    for code in Code::ALL.iter().copied().chain([Code::Unknown]) {
        let (is_problem, text) = (code != Code::Ok, code.as_str());
        let Meaning { status, english, korean } = meaning(code);
        let row = format!("| {} | `{text}` | {english} | {korean} |", status.as_u16());
        assert_eq!(introduction.contains(&row), is_problem, "{row}");
        assert_eq!(examples.contains_key(text), is_problem, "{text}");
        let is_answered = answered.contains(text);
        assert_eq!(is_answered, is_problem && !unanswered.contains(text), "{text}");
    }
    for met in &promised {
        let Some(code) = &met.code else { continue };
        let known = Code::ALL.iter().find(|known| known.as_str() == *code);
        let status = meaning(known.copied().unwrap_or(Code::Unknown)).status;
        assert_eq!(met.status, status.as_u16(), "{met:?}");
    }
}

#[test]
fn every_call_is_described() {
    let tags = document()["tags"].as_array().expect("tags");
    let tags: BTreeSet<_> = tags.iter().map(|tag| tag["name"].as_str()).collect();
    let mut ids = BTreeSet::new();
    for (name, call) in CONTRACT.operations() {
        let id = call["operationId"].as_str().expect("an id");
        assert!(ids.insert(id), "{id} is there twice");
        assert!(tags.contains(&call["tags"][0].as_str()), "{name}");
        for field in ["summary", "description"] {
            assert!(call[field].as_str().is_some_and(|text| text.len() > 10), "{name}: {field}");
        }
        for parameter in CONTRACT.parameters(call) {
            let is_described = parameter["description"].as_str().is_some_and(|t| !t.is_empty());
            assert!(is_described && parameter["schema"].is_object(), "{name}: {parameter}");
            let is_good = parameter["required"] != true || has_example(parameter);
            assert!(is_good, "{name}: {parameter} has no example");
        }
    }
    for (_, schema) in document()["components"]["schemas"].as_object().expect("schemas") {
        assert!(schema["description"].is_string(), "{schema}");
    }
}

fn has_example(parameter: &Value) -> bool {
    parameter.get("example").or_else(|| parameter.get("examples")).is_some()
}

#[test]
fn references_lead_somewhere_and_examples_fit() {
    check_references(document());
    for (name, schema) in document()["components"]["schemas"].as_object().expect("schemas") {
        let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
        for example in schema["examples"].as_array().into_iter().flatten() {
            assert_eq!(CONTRACT.faults(&reference, example), Vec::<String>::new(), "{name}");
        }
    }
    for (code, example) in document()["components"]["examples"].as_object().expect("examples") {
        let problem = json!({ "$ref": "#/components/schemas/Problem" });
        let faults = CONTRACT.faults(&problem, &example["value"]);
        assert!(faults.is_empty() && example["value"]["code"] == **code, "{code}: {faults:?}");
    }
    for (name, call) in CONTRACT.operations() {
        for parameter in CONTRACT.parameters(call) {
            check_examples(parameter, &name);
        }
        if let Some(form) = call.pointer("/requestBody/content/application~1json") {
            assert!(form["examples"].is_object(), "{name} has no example");
            check_examples(form, &name);
        }
    }
}

/// Examples of a parameter or body, against its schema.
fn check_examples(form: &Value, name: &str) {
    let named = form["examples"].as_object().into_iter().flatten();
    let examples = named.map(|(_, example)| &example["value"]).chain(form.get("example"));
    for example in examples {
        assert_eq!(CONTRACT.faults(&form["schema"], example), Vec::<String>::new(), "{name}");
    }
}

fn check_references(value: &Value) {
    match value {
        Value::Object(fields) => {
            CONTRACT.resolved(value);
            fields.values().for_each(check_references);
        }
        Value::Array(items) => items.iter().for_each(check_references),
        _ => {}
    }
}

#[test]
fn the_document_says_what_is_configured() {
    let limits = Limits { charge_min: 7, charge_max: 8, line_units_max: 9, ..Limits::default() };
    let schemas = &openapi::value(&limits)["components"]["schemas"];
    assert_eq!(
        (&schemas["ChargeAmount"]["minimum"], &schemas["ChargeAmount"]["maximum"]),
        (&json!(7), &json!(8))
    );
    assert_eq!(schemas["Quantity"]["maximum"], 9);
    let bounds = |name: &str| (schemas[name]["minimum"].clone(), schemas[name]["maximum"].clone());
    assert_eq!(bounds("UserId"), (json!(0), json!(9_007_199_254_740_991_u64)));
    assert_eq!(bounds("ProductId"), bounds("UserId"));
    assert_eq!(bounds("Price"), (json!(0), json!(1_000_000_000_000_u64)));
    assert_eq!(bounds("Stock"), bounds("Price"));
    let text = document()["info"]["description"].as_str().expect("text");
    assert!(
        !text.contains("_max}") && !text.contains("_s}") && !text.contains("{codes}"),
        "{text}"
    );
}
