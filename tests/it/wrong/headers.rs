//! Paths, queries, methods and headers that are wrong, on every route.

use super::{
    answers::{Refusals, about, refused},
    calls::{CALLS, Call, Caller, MORE_PARAMETERS, Part},
    values::{wrong_ids, wrong_text},
    watched::{Watched, command, order},
    wire::Request,
};
use std::collections::{BTreeMap, BTreeSet};

/// Every parameter that a route knows.
fn parameters(call: &Call) -> impl Iterator<Item = &Part> {
    let more = MORE_PARAMETERS.iter().filter(|(route, _)| *route == call.route);
    call.query.iter().chain(more.map(|(_, part)| part))
}

/// The good request, with another target.
fn aimed(call: &Call, target: String) -> Request {
    Request { target, ..call.keyed() }
}

async fn check_queries(refusals: &mut Refusals<'_>, call: &Call) {
    let route = call.route;
    for (more, name) in [
        ("x=1", "x"),
        ("x", "x"),
        ("=1", ""),
        ("userid=1", "userid"),
        ("%00=1", "\0"),
        ("%ff=1", "\u{fffd}"),
        ("%zz=1", "%zz"),
        ("userId[]=1", "userId[]"),
        ("a;b=1", "a;b"),
    ] {
        let request = aimed(call, call.target(more));
        refusals.check(&format!("{route}?{more}"), &request, about("UNKNOWN_FIELD", name)).await;
    }
    for part in parameters(call) {
        let other: Vec<_> = call
            .query
            .iter()
            .filter(|other| other.name != part.name)
            .map(|other| format!("{}={}", other.name, other.good))
            .collect();
        for (value, code) in wrong_text(part.kind) {
            let more = format!("{}={value}", part.name);
            let request = aimed(call, call.target_of(&other, &more));
            let row = format!("{route}?{}", &more[..more.len().min(100)]);
            refusals.check(&row, &request, about(code, part.name)).await;
        }
        let good = if part.good.is_empty() { "1" } else { part.good };
        let name = part.name;
        for twice in [
            format!("{name}={good}&{name}={good}"),
            format!("{name}={good}&%{:02x}{}={good}", name.as_bytes()[0], &name[1..]),
        ] {
            let request = aimed(call, call.target_of(&other, &twice));
            refusals.check(&format!("{route}?{twice}"), &request, about("MALFORMED", name)).await;
        }
        if part.is_required {
            let request = aimed(call, call.target_of(&other, ""));
            refusals
                .check(&format!("{route} without {name}"), &request, about("MALFORMED", name))
                .await;
        }
    }
}

/// A cursor belongs to its list.
async fn check_cursors(shop: &Watched, refusals: &mut Refusals<'_>) {
    let client = shop.client();
    let mut cursors = Vec::new();
    for list in
        ["/balance/entries?userId=1&limit=1", "/order?userId=1&limit=1", "/products?limit=1"]
    {
        let page = client.get(list).await.body;
        cursors.push((list, page["next"].as_str().map(str::to_owned)));
    }
    let others = ["/balance/entries?userId=2&limit=1", "/order?userId=2&limit=1"];
    let found: Vec<_> = cursors.iter().filter_map(|(_, cursor)| cursor.clone()).collect();
    assert_eq!(found.len(), cursors.len(), "every list has two pages: {cursors:?}");
    for (list, own) in &cursors {
        for cursor in found.iter().filter(|cursor| own.as_ref() != Some(cursor)) {
            let request = Request::new("GET", &format!("{list}&cursor={cursor}"));
            refusals.check(&request.target, &request, about("INVALID_CURSOR", "cursor")).await;
        }
    }
    for (list, cursor) in
        others.iter().flat_map(|list| found.iter().map(move |cursor| (list, cursor)))
    {
        let request = Request::new("GET", &format!("{list}&cursor={cursor}"));
        refusals.check(&request.target, &request, about("INVALID_CURSOR", "cursor")).await;
    }
}

async fn check_ids(refusals: &mut Refusals<'_>, call: &Call) {
    for id in wrong_ids(call.route) {
        let Some(path) = call.path_with_id(&id) else { return };
        let row = format!("{} with {}", call.route, &id[..id.len().min(100)]);
        refusals.check(&row, &aimed(call, path), about("INVALID_ID", "id")).await;
    }
}

async fn check_callers(refusals: &mut Refusals<'_>, call: &Call) {
    if call.caller == Caller::Ignored {
        return;
    }
    for value in ["", "x", "-1", "+1", "01", "1.0", "1 2", "9007199254740992", "\u{e9}", "1,1"] {
        let request = call.keyed().header("x-user-id", value);
        let row = format!("{} by {value:?}", call.route);
        refusals.check(&row, &request, about("INVALID_ID", "X-User-Id")).await;
    }
    let twice = call.keyed().header("x-user-id", "1").header("x-user-id", "1");
    refusals.check(call.route, &twice, about("INVALID_ID", "X-User-Id")).await;
    let expected = match (call.caller, call.route.contains("/commands/")) {
        (Caller::Named, _) => refused(403, "USER_MISMATCH"),
        (Caller::Owner, true) => refused(404, "COMMAND_NOT_FOUND"),
        (Caller::Owner, false) => refused(404, "ORDER_NOT_FOUND"),
        (Caller::Noted | Caller::Ignored, _) => return,
    };
    let other = call.keyed().header("x-user-id", "3");
    refusals.check(&format!("{} by another", call.route), &other, expected).await;
}

async fn check_keys(refusals: &mut Refusals<'_>, call: &Call) {
    if !call.is_write() {
        return;
    }
    let long = "k".repeat(256);
    let quoted = format!("\"{long}\"");
    let wrong: [&[u8]; 15] = [
        b"",
        b"\"",
        b"\"\"",
        b"\"open",
        b"open\"\x80",
        b"\"a\"b",
        b"\"a\\",
        b"\"\\n\"",
        b"a b",
        b"a\tb",
        b"\"a b\"",
        b"\xed\x82\xa4",
        b"\"\xff\"",
        long.as_bytes(),
        quoted.as_bytes(),
    ];
    let invalid = about("INVALID_KEY", "Idempotency-Key");
    for key in wrong {
        let row = format!("{} with key {}", call.route, key.escape_ascii());
        refusals.check(&row, &call.request().header("idempotency-key", key), invalid).await;
    }
    let twice = call.keyed().header("idempotency-key", "k");
    refusals.check(&format!("{} with two keys", call.route), &twice, invalid).await;
    if call.needs_key {
        refusals.check(&format!("{} without key", call.route), &call.request(), invalid).await;
    }
}

async fn check_media_types(refusals: &mut Refusals<'_>, call: &Call) {
    if call.body.is_empty() {
        return;
    }
    let unsupported = super::answers::Refused {
        field: Some("Content-Type"),
        ..refused(415, "UNSUPPORTED_MEDIA_TYPE")
    };
    let wrong: [&[u8]; 13] = [
        b"",
        b"text/plain",
        b"text/json",
        b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=x",
        b"application/xml",
        b"application/jsonx",
        b"application/problem+json",
        b"application/*",
        b"*/*",
        b"json",
        b"application/json, text/plain",
        b"\xff",
    ];
    for media_type in wrong {
        let row = format!("{} as {}", call.route, media_type.escape_ascii());
        let request = call.keyed().header("content-type", media_type);
        refusals.check(&row, &request, unsupported).await;
    }
    let twice = call
        .keyed()
        .header("content-type", "application/json")
        .header("content-type", "application/json");
    refusals.check(&format!("{} as two", call.route), &twice, unsupported).await;
    let mut none = call.keyed();
    let length = none.body.as_ref().map_or(0, Vec::len).to_string();
    none.target = call.target("");
    let bare = Request { body: None, ..none }.header("content-length", length);
    let bytes = [bare.bytes(), call.good_body()].concat();
    refusals.check_bytes(&format!("{} as nothing", call.route), &bytes, unsupported).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_paths_queries_and_headers_are_refused_and_leave_nothing() {
    let shop = Watched::start(&[]).await;
    let before = shop.quiet_log().await;
    let mut refusals = Refusals::of(&shop).await;
    for call in CALLS.iter().filter(|call| !call.is_page()) {
        check_queries(&mut refusals, call).await;
        check_ids(&mut refusals, call).await;
        check_callers(&mut refusals, call).await;
        check_keys(&mut refusals, call).await;
        check_media_types(&mut refusals, call).await;
        refusals.check_nothing_appended(call.route).await;
    }
    check_cursors(&shop, &mut refusals).await;
    for path in [format!("/order/{}", order("absent")), format!("/commands/{}", command("absent"))]
    {
        for at in ["1000000", "18446744073709551615"] {
            let request = Request::new("GET", &format!("{path}?at={at}"));
            refusals.check(&request.target, &request, about("MALFORMED", "at")).await;
        }
    }
    refusals.end("wrong ids, queries and headers", 1_000);
    assert!(shop.quiet_log().await == before, "the log was written");
    // What all of them were variations of is taken; pages take any query with it.
    for call in CALLS {
        let mut request = call.keyed();
        if call.is_page() {
            request.target += "?x=1&x=%zz&%ff";
        }
        let reply = shop.ask(&request).await;
        assert_eq!(reply.status, call.good, "{}: {}", call.route, reply.text());
    }
    shop.end().await;
}

/// The methods of every path, HEAD wherever there is a GET.
fn methods() -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut paths = BTreeMap::<_, BTreeSet<_>>::new();
    for call in CALLS {
        let methods = paths.entry(call.path()).or_default();
        methods.insert(call.method());
        if call.method() == "GET" {
            methods.insert("HEAD");
        }
    }
    // A product is read and changed under one path; its calls name the same.
    paths
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_and_paths_that_do_not_exist_are_refused() {
    let shop = Watched::start(&[]).await;
    let before = shop.quiet_log().await;
    let mut refusals = Refusals::of(&shop).await;
    for (path, allowed) in methods() {
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "get",
            "post",
        ] {
            if allowed.contains(method) {
                continue;
            }
            let request = Request::new(method, &path).header("idempotency-key", "k").body("{}");
            let row = format!("{method} {path}");
            refusals.check(&row, &request, refused(405, "METHOD_NOT_ALLOWED")).await;
            let reply = shop.ask(&request).await;
            let told: BTreeSet<_> = reply.header("allow").split(',').map(str::trim).collect();
            if told != allowed {
                refusals.note(&row, &format!("Allow: {told:?}"));
            }
        }
        for other in
            [format!("{path}/"), format!("/{path}"), format!("{path}/x"), format!("{path}%00")]
        {
            // The documents have both forms, and below some paths there are others.
            if ["/docs/", "/docs/x", "//"].contains(&other.as_str())
                || path == "/docs/"
                || path == "/"
            {
                continue;
            }
            let is_id =
                CALLS.iter().any(|call| call.route.ends_with("{id}") && call.path() == path);
            let below = CALLS.iter().any(|call| call.path_with_id("x").as_deref() == Some(&other));
            let is_like_an_id = is_id || path == "/products/top";
            if (is_like_an_id && other.ends_with("%00")) || below {
                continue;
            }
            let request = Request::new("GET", &other);
            refusals.check(&other, &request, refused(404, "ROUTE_NOT_FOUND")).await;
        }
    }
    for path in [
        "/nowhere",
        "/USERS",
        "/Users/1",
        "/users",
        "/orders",
        "/order/x/y/z",
        "/%6frder/",
        "/..",
        "/../data",
        "/web/",
        "/web/none.js",
        "/web/..%2f..%2fCargo.toml",
        "/web/%2e%2e",
        "/docs/none",
        "/docs/..%2fstart.js",
        "/web/main.js%00",
        "/web/main.js%20",
        "/.git/config",
        "/favicon.ico",
        "/v1/order",
        "/metrics/",
    ] {
        let request = Request::new("GET", path);
        let expected = match path {
            "/users" => refused(405, "METHOD_NOT_ALLOWED"),
            _ => refused(404, "ROUTE_NOT_FOUND"),
        };
        refusals.check(path, &request, expected).await;
        refusals.check(path, &Request::new("HEAD", path), expected).await;
    }
    refusals.end("wrong methods and paths", 200);
    assert!(shop.quiet_log().await == before, "the log was written");
    shop.end().await;
}
