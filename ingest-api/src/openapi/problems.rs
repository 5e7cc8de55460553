//! Problems in the document: which codes there are, and the responses of a call that answers some
//! of them. Statuses and titles come from the one catalogue.

use super::{
    operation::{header, reference},
    samples::TRACE,
};
use crate::problem::meaning;
use axum::http::StatusCode;
use jupan_schemas::Code;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Every code that a problem can have.
pub(super) fn all() -> impl Iterator<Item = Code> {
    Code::ALL.iter().copied().filter(|code| *code != Code::Ok).chain([Code::Unknown])
}

/// The catalogue as a table, by status.
pub(super) fn table() -> String {
    let mut text = "| status | code | title | 제목 |\n| --- | --- | --- | --- |\n".to_owned();
    for (status, codes) in by_status(all()) {
        for code in codes {
            let (english, korean) = (meaning(code).english, meaning(code).korean);
            text += &format!("| {} | `{code}` | {english} | {korean} |\n", status.as_u16());
        }
    }
    text
}

/// One example a code, which the responses refer to.
pub(super) fn examples() -> Map<String, Value> {
    let example = |code: Code| {
        let (status, title) = (meaning(code).status.as_u16(), meaning(code).english);
        let value = json!({
            "type": format!("urn:jupan:code:{code}"),
            "title": title,
            "status": status,
            "code": code.as_str(),
            "traceId": TRACE,
        });
        (code.as_str().to_owned(), json!({ "summary": title, "value": value }))
    };
    all().map(example).collect()
}

/// The responses of a call that answers these codes. `headers` are those of its problems.
pub(super) fn responses(
    codes: &[Code],
    headers: &[&'static str],
) -> impl Iterator<Item = (String, Value)> {
    by_status(codes.iter().copied())
        .into_iter()
        .map(|(status, codes)| (status.as_str().to_owned(), response(status, &codes, headers)))
}

fn by_status(codes: impl Iterator<Item = Code>) -> BTreeMap<StatusCode, Vec<Code>> {
    let mut statuses = BTreeMap::<_, Vec<_>>::new();
    for code in codes {
        let codes = statuses.entry(meaning(code).status).or_default();
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    statuses
}

fn response(status: StatusCode, codes: &[Code], headers: &[&'static str]) -> Value {
    let lines = codes.iter().map(|code| format!("- `{code}`: {}", meaning(*code).english));
    let names: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    let example = |name: &&str| ((*name).to_owned(), reference("examples", name));
    let headers = headers.iter().copied().chain(header_of(status, codes));
    let headers = headers.chain(["TraceId", "ContentLanguage", "CacheControl"]);
    json!({
        "description": lines.collect::<Vec<_>>().join("\n"),
        "headers": headers.map(header).collect::<Map<_, _>>(),
        "content": { "application/problem+json": {
            "schema": {
                "allOf": [reference("schemas", "Problem")],
                "properties": {
                    "status": { "const": status.as_u16() },
                    "code": { "enum": names },
                },
            },
            "examples": names.iter().map(example).collect::<Map<_, _>>(),
        }},
    })
}

/// The header that comes with these problems.
fn header_of(status: StatusCode, codes: &[Code]) -> Option<&'static str> {
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some("RetryAfter"),
        StatusCode::GATEWAY_TIMEOUT => Some("Location"),
        _ if codes.contains(&Code::OrderNotReady) => Some("RetryAfterIfAny"),
        _ => None,
    }
}
