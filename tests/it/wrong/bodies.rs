//! Bodies that are wrong as a whole or in one field, on every route that has one.

use super::{
    answers::{Refusals, about, refused, shown},
    calls::{CALLS, Call},
    values::wrong_json,
    watched::Watched,
    wire::Request,
};

const MALFORMED: super::answers::Refused<'static> = refused(400, "MALFORMED");

/// The call's request with this body.
fn with_body(call: &Call, body: Vec<u8>) -> Request {
    call.keyed().body(body)
}

/// Bodies that are no object, or not this one.
fn no_objects(call: &Call) -> Vec<(&'static str, Vec<u8>)> {
    let good = call.good_body();
    let glue = |parts: &[&[u8]]| parts.concat();
    let only_values: Vec<_> = call.body.iter().map(|part| part.good).collect();
    let in_utf16 = good.iter().flat_map(|byte| [*byte, 0]).collect();
    vec![
        ("nothing", Vec::new()),
        ("blanks", b" \r\n\t".to_vec()),
        ("NUL", b"\0".to_vec()),
        ("null", b"null".to_vec()),
        ("true", b"true".to_vec()),
        ("a number", b"7".to_vec()),
        ("text", b"\"userId\"".to_vec()),
        ("the object as text", glue(&[b"\"", &good.escape_ascii().collect::<Vec<_>>(), b"\""])),
        ("an empty list", b"[]".to_vec()),
        ("in a list", glue(&[b"[", &good, b"]"])),
        ("its values as a list", format!("[{}]", only_values.join(",")).into_bytes()),
        ("twice", glue(&[&good, &good])),
        ("and more", glue(&[&good, b" x"])),
        ("and NUL", glue(&[&good, b"\0"])),
        ("and a bracket", glue(&[&good, b"}"])),
        ("after a mark of byte order", glue(&[b"\xef\xbb\xbf", &good])),
        ("after NUL", glue(&[b"\0", &good])),
        ("in UTF-16", in_utf16),
        ("compressed", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00".to_vec()),
        ("a form", b"userId=1&amount=5".to_vec()),
        ("XML", b"<?xml version=\"1.0\"?><a/>".to_vec()),
        ("a comma at its end", glue(&[&good[..good.len() - 1], b",}"])),
        ("a comma at its start", glue(&[b"{,", &good[1..]])),
        ("a comment", glue(&[b"{/**/", &good[1..]])),
        ("a name without quotes", b"{userId:1}".to_vec()),
        ("single quotes", b"{'userId':1}".to_vec()),
        ("a name that is a number", b"{1:1}".to_vec()),
        ("a name that is no UTF-8", glue(&[b"{\"\xff\":1,", &good[1..]])),
        ("a name that is half a character", glue(&[b"{\"\\ud800\":1,", &good[1..]])),
        ("no colon", format!("{{\"{}\" 1}}", call.body[0].name).into_bytes()),
        ("deep lists", [vec![b'['; 60_000], vec![b']'; 1]].concat()),
    ]
}

/// Bodies with fields that are unknown, missing or given twice.
fn wrong_fields(call: &Call) -> Vec<(String, Vec<u8>, &'static str, String)> {
    let good = call.good_body();
    let before = |field: &str| [b"{", field.as_bytes(), b",", &good[1..]].concat();
    let after = |field: &str| [&good[..good.len() - 1], b",", field.as_bytes(), b"}"].concat();
    let mut all = Vec::new();
    for (name, json) in [
        ("surprise", "\"surprise\":1"),
        ("", "\"\":1"),
        ("__proto__", "\"__proto__\":{}"),
        ("USERID", "\"USERID\":1"),
        ("userId ", "\"userId \":1"),
        ("user_id", "\"user_id\":null"),
        ("a\u{0}", "\"a\\u0000\":1"),
    ] {
        all.push((format!("{name} first"), before(json), "UNKNOWN_FIELD", name.to_owned()));
        all.push((format!("{name} last"), after(json), "UNKNOWN_FIELD", name.to_owned()));
    }
    let long = "x".repeat(10_000);
    let echo = "x".repeat(64);
    all.push(("a long name".to_owned(), before(&format!("\"{long}\":1")), "UNKNOWN_FIELD", echo));
    for part in call.body {
        let name = part.name.to_owned();
        let again = format!("\"{name}\":{}", part.good);
        let (first, rest) = part.name.split_at(1);
        let spelled = format!("\"\\u{:04x}{rest}\":{}", u32::from(first.as_bytes()[0]), part.good);
        for field in [again, spelled] {
            all.push((format!("{name} twice"), before(&field), "MALFORMED", name.clone()));
            all.push((format!("{name} twice"), after(&field), "MALFORMED", name.clone()));
        }
        if part.is_required {
            let without = call.body_with(|other| (other.name != name).then(|| other.good.into()));
            let code = if name == "items" { "INVALID_LINES" } else { "MALFORMED" };
            all.push((format!("no {name}"), without, code, name));
        }
    }
    all
}

/// What two fields say together.
const TOGETHER: &[(&str, &str, &str)] = &[
    (
        "POST /order",
        r#"{"userId":1,"items":[{"productId":1,"quantity":1}],"fromCart":true}"#,
        "MALFORMED",
    ),
    ("POST /order", r#"{"userId":1,"fromCart":false}"#, "INVALID_LINES"),
    ("POST /order", r#"{"userId":1,"fromCart":true,"items":[]}"#, "INVALID_LINES"),
    ("PATCH /products/{id}", "{}", "MALFORMED"),
    ("PATCH /products/{id}", "{ }", "MALFORMED"),
];

async fn check_call(refusals: &mut Refusals<'_>, call: &Call) {
    let route = call.route;
    let good = call.good_body();
    for length in 0..good.len() {
        let row = format!("{route}, the first {length} bytes");
        refusals.check(&row, &with_body(call, good[..length].to_vec()), MALFORMED).await;
    }
    for (what, body) in no_objects(call) {
        refusals.check(&format!("{route}, {what}"), &with_body(call, body), MALFORMED).await;
    }
    for (what, body, code, field) in wrong_fields(call) {
        let row = format!("{route}, {}", shown(&what));
        refusals.check(&row, &with_body(call, body), about(code, &field)).await;
    }
    for part in call.body {
        for (value, code) in wrong_json(part.kind) {
            let is_it = |name: &str| name == part.name;
            let body = call.body_with(|other| {
                Some(if is_it(other.name) { value.clone() } else { other.good.into() })
            });
            let row =
                format!("{route}, {} = {}", part.name, shown(&value.escape_ascii().to_string()));
            refusals.check(&row, &with_body(call, body), refused(400, code)).await;
        }
    }
    for (_, body, code) in TOGETHER.iter().filter(|(of, ..)| *of == route) {
        let row = format!("{route}, {body}");
        refusals.check(&row, &with_body(call, body.as_bytes().to_vec()), refused(400, code)).await;
    }
    refusals.check_nothing_appended(route).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bodies_are_refused_and_leave_nothing() {
    let shop = Watched::start(&[]).await;
    let before = shop.quiet_log().await;
    let mut refusals = Refusals::of(&shop).await;
    for call in CALLS.iter().filter(|call| !call.body.is_empty()) {
        check_call(&mut refusals, call).await;
    }
    refusals.end("wrong bodies", 3_000);
    assert!(shop.quiet_log().await == before, "the log was written");
    // What all of them were variations of is taken, once each.
    let appends = shop.appends().await;
    let bodies: Vec<_> = CALLS.iter().filter(|call| !call.body.is_empty()).collect();
    for call in &bodies {
        let reply = shop.ask(&call.keyed()).await;
        assert_eq!(reply.status, call.good, "{}: {}", call.route, reply.text());
    }
    assert_eq!(shop.appends().await, appends + bodies.len() as u64);
    shop.end().await;
}
