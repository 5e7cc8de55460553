//! What is refused before anything is appended.

use super::rig::{ORDER, Rig};
use axum::http::Method;

async fn check(rig: &Rig, method: Method, uri: &str, body: &str, expect: (u16, &str, &str)) {
    let reply = rig.send(method, uri, &[("prefer", "respond-async")], body).await;
    let shown: String = body.chars().take(200).collect();
    let (status, code) = reply.problem();
    let field = reply.text_of("field");
    assert_eq!((status, code, field), expect, "{uri} {shown}: {}", reply.text);
}

const ORDERS: &[(&str, (u16, &str, &str))] = &[
    ("", (415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type")),
    (" ", (400, "MALFORMED", "")),
    ("{", (400, "MALFORMED", "")),
    ("{}", (400, "MALFORMED", "userId")),
    ("[]", (400, "MALFORMED", "")),
    ("null", (400, "MALFORMED", "")),
    ("7", (400, "MALFORMED", "")),
    (r#"[1,[{"productId":1,"quantity":1}],false,null,null]"#, (400, "MALFORMED", "")),
    (r#"{"userId":1,"items":[[1,1]]}"#, (400, "MALFORMED", "")),
    (r#"{"userId":1,"items":[{"productId":1,"quantity":1}]} {}"#, (400, "MALFORMED", "")),
    (r#"{"userId":1,"items":[{"productId":1,"quantity":1}],}"#, (400, "MALFORMED", "")),
    (r#"{"userId":1,/**/"items":[]}"#, (400, "MALFORMED", "")),
    (r#"{'userId':1}"#, (400, "MALFORMED", "")),
    (r#"{"userId":NaN,"items":[]}"#, (400, "MALFORMED", "")),
    (r#"{"userId":01,"items":[]}"#, (400, "MALFORMED", "")),
    (r#"{"userId":1e400,"items":[]}"#, (400, "MALFORMED", "")),
    ("\u{feff}{\"userId\":1,\"items\":[]}", (400, "MALFORMED", "")),
    (
        r#"{"userId":1,"items":[{"productId":1,"quantity":1}],"payment":"\ud800"}"#,
        (400, "MALFORMED", ""),
    ),
    (
        r#"{"userId":1,"userId":1,"items":[{"productId":1,"quantity":1}]}"#,
        (400, "MALFORMED", "userId"),
    ),
    (
        r#"{"userId":1,"items":[{"productId":1,"quantity":1,"quantity":2}]}"#,
        (400, "MALFORMED", "quantity"),
    ),
    (r#"{"userId":1,"items":[{"productId":1}]}"#, (400, "MALFORMED", "quantity")),
    (r#"{"items":[{"productId":1,"quantity":1}]}"#, (400, "MALFORMED", "userId")),
    (r#"{"userId":1,"items":[],"price":1}"#, (400, "UNKNOWN_FIELD", "price")),
    (
        r#"{"userId":1,"items":[{"productId":1,"quantity":1,"price":1}]}"#,
        (400, "UNKNOWN_FIELD", "price"),
    ),
    (r#"{"userid":1,"items":[]}"#, (400, "UNKNOWN_FIELD", "userid")),
    (r#"{"__proto__":{},"userId":1}"#, (400, "UNKNOWN_FIELD", "__proto__")),
    (r#"{"userId":"1","items":[]}"#, (400, "INVALID_ID", "userId")),
    (r#"{"userId":1.0,"items":[]}"#, (400, "INVALID_ID", "userId")),
    (r#"{"userId":1e0,"items":[]}"#, (400, "INVALID_ID", "userId")),
    (r#"{"userId":-1,"items":[]}"#, (400, "INVALID_ID", "userId")),
    (r#"{"userId":null,"items":[]}"#, (400, "INVALID_ID", "userId")),
    (r#"{"userId":true,"items":[]}"#, (400, "INVALID_ID", "userId")),
    (r#"{"userId":[[1]],"items":[]}"#, (400, "INVALID_ID", "userId")),
    (r#"{"userId":{"a":{"b":1}},"items":[]}"#, (400, "INVALID_ID", "userId")),
    (r#"{"userId":9007199254740992,"items":[]}"#, (400, "INVALID_ID", "userId")),
    (r#"{"userId":99999999999999999999,"items":[]}"#, (400, "INVALID_ID", "userId")),
    (r#"{"userId":1,"items":[{"productId":"1","quantity":1}]}"#, (400, "INVALID_ID", "productId")),
    (
        r#"{"userId":1,"items":[{"productId":1,"quantity":0}]}"#,
        (400, "INVALID_QUANTITY", "quantity"),
    ),
    (
        r#"{"userId":1,"items":[{"productId":1,"quantity":-1}]}"#,
        (400, "INVALID_QUANTITY", "quantity"),
    ),
    (
        r#"{"userId":1,"items":[{"productId":1,"quantity":1.0}]}"#,
        (400, "INVALID_QUANTITY", "quantity"),
    ),
    (
        r#"{"userId":1,"items":[{"productId":1,"quantity":1e3}]}"#,
        (400, "INVALID_QUANTITY", "quantity"),
    ),
    (
        r#"{"userId":1,"items":[{"productId":1,"quantity":"1"}]}"#,
        (400, "INVALID_QUANTITY", "quantity"),
    ),
    (
        r#"{"userId":1,"items":[{"productId":1,"quantity":9223372036854775808}]}"#,
        (400, "INVALID_QUANTITY", "quantity"),
    ),
    (r#"{"userId":1}"#, (400, "INVALID_LINES", "items")),
    (r#"{"userId":1,"items":[]}"#, (400, "INVALID_LINES", "items")),
    (r#"{"userId":1,"items":null}"#, (400, "MALFORMED", "")),
    (r#"{"userId":1,"items":{}}"#, (400, "MALFORMED", "")),
    (r#"{"userId":1,"items":"10x2"}"#, (400, "MALFORMED", "")),
    (r#"{"userId":1,"items":[null]}"#, (400, "MALFORMED", "")),
    (r#"{"userId":1,"fromCart":false}"#, (400, "INVALID_LINES", "items")),
    (r#"{"userId":1,"payment":"later"}"#, (400, "INVALID_LINES", "items")),
    (
        r#"{"userId":1,"fromCart":true,"items":[{"productId":1,"quantity":1}]}"#,
        (400, "MALFORMED", "fromCart"),
    ),
    (r#"{"userId":1,"fromCart":true,"items":[]}"#, (400, "INVALID_LINES", "items")),
    (r#"{"userId":1,"fromCart":true,"fromCart":true}"#, (400, "MALFORMED", "fromCart")),
    (r#"{"userId":1,"fromCart":"yes"}"#, (400, "MALFORMED", "")),
    (r#"{"userId":1,"fromCart":1}"#, (400, "MALFORMED", "")),
    (r#"{"userId":1,"fromCart":null}"#, (400, "MALFORMED", "")),
    (r#"{"userId":1,"from_cart":true}"#, (400, "UNKNOWN_FIELD", "from_cart")),
    (r#"{"userId":1,"fromCart":true,"payment":"soon"}"#, (400, "MALFORMED", "payment")),
    (r#"{"userId":1,"fromCart":true,"payment":"NOW"}"#, (400, "MALFORMED", "payment")),
    (r#"{"userId":1,"fromCart":true,"payment":true}"#, (400, "MALFORMED", "")),
    (r#"{"userId":1,"fromCart":true,"payment":5}"#, (400, "MALFORMED", "")),
    (r#"{"userId":1,"items":[],"payment":null}"#, (400, "MALFORMED", "")),
    (r#"{"userId":1,"items":[],"payment":{"now":null}}"#, (400, "MALFORMED", "")),
    (
        r#"{"userId":1,"items":[{"productId":1,"quantity":1}],"occurredAt":"2025-01-01T00:00:00.000001Z"}"#,
        (400, "INVALID_TIME", "occurredAt"),
    ),
    (
        r#"{"userId":1,"items":[{"productId":1,"quantity":1}],"occurredAt":"2024-12-31"}"#,
        (400, "INVALID_TIME", "occurredAt"),
    ),
    (
        r#"{"userId":1,"items":[{"productId":1,"quantity":1}],"occurredAt":5}"#,
        (400, "MALFORMED", ""),
    ),
];

#[tokio::test]
async fn bad_orders_are_refused() {
    let rig = Rig::new();
    for (body, expect) in ORDERS {
        check(&rig, Method::POST, "/order", body, *expect).await;
    }
    let deep_list = "[".repeat(60_000);
    let deep_items = format!(r#"{{"userId":1,"items":{}"#, "[".repeat(60_000));
    let deep_field = format!(r#"{{"userId":{}{}}}"#, "[".repeat(500), "]".repeat(500));
    for (body, expect) in [
        (deep_list, (400, "MALFORMED", "")),
        (deep_items, (400, "MALFORMED", "")),
        (deep_field, (400, "INVALID_ID", "userId")),
    ] {
        check(&rig, Method::POST, "/order", &body, expect).await;
    }
    assert_eq!(rig.appended(), 0);
}

#[tokio::test]
async fn bad_bodies_of_other_calls_are_refused() {
    let rig = Rig::new();
    let name = "n".repeat(101);
    let email = format!("{}@x", "e".repeat(253));
    let user = |name: &str, email: &str| format!(r#"{{"id":1,"name":"{name}","email":"{email}"}}"#);
    let charge = |amount: &str| format!(r#"{{"userId":1,"amount":{amount}}}"#);
    let product = |price: &str, stock: &str| {
        format!(r#"{{"id":1,"name":"p","price":{price},"stock":{stock}}}"#)
    };
    let invalid_name = (400, "INVALID_NAME", "name");
    let invalid_email = (400, "INVALID_EMAIL", "email");
    let mut table = vec![
        ("/users", user("", "a@b"), invalid_name),
        ("/users", user("  ", "a@b"), invalid_name),
        ("/users", user(r"a\nb", "a@b"), invalid_name),
        ("/users", user(&name, "a@b"), invalid_name),
        ("/users", user("Kim", ""), invalid_email),
        ("/users", user("Kim", "kim"), invalid_email),
        ("/users", user("Kim", "@b"), invalid_email),
        ("/users", user("Kim", "a@"), invalid_email),
        ("/users", user("Kim", "a@b@c"), invalid_email),
        ("/users", user("Kim", "a b@c"), invalid_email),
        ("/users", user("Kim", &email), invalid_email),
        ("/users", r#"{"id":1,"name":7,"email":"a@b"}"#.to_owned(), (400, "MALFORMED", "")),
        ("/users", r#"{"id":1,"name":"Kim"}"#.to_owned(), (400, "MALFORMED", "email")),
        ("/users", r#"{"id":-1,"name":"Kim","email":"a@b"}"#.to_owned(), (400, "INVALID_ID", "id")),
        ("/products", product("-1", "1"), (400, "INVALID_PRICE", "price")),
        ("/products", product("1.5", "1"), (400, "INVALID_PRICE", "price")),
        ("/products", product("1000000000001", "1"), (400, "INVALID_PRICE", "price")),
        ("/products", product("1", "-1"), (400, "INVALID_QUANTITY", "stock")),
        ("/products", product("1", "1000000000001"), (400, "INVALID_QUANTITY", "stock")),
        ("/products", product("1", "null"), (400, "INVALID_QUANTITY", "stock")),
        (
            "/products/1/restock",
            r#"{"quantity":0}"#.to_owned(),
            (400, "INVALID_QUANTITY", "quantity"),
        ),
        ("/products/x/restock", r#"{"quantity":1}"#.to_owned(), (400, "INVALID_ID", "id")),
        ("/products/01/restock", r#"{"quantity":1}"#.to_owned(), (400, "INVALID_ID", "id")),
        ("/products/+1/restock", r#"{"quantity":1}"#.to_owned(), (400, "INVALID_ID", "id")),
    ];
    for amount in ["1000.0", "\"1000\"", "1e3", "-1000", "0", "null", "true", "9223372036854775808"]
    {
        table.push(("/balance/charge", charge(amount), (400, "INVALID_AMOUNT", "amount")));
    }
    for (uri, body, expect) in table {
        check(&rig, Method::POST, uri, &body, expect).await;
    }
    for (body, expect) in [
        ("{}", (400, "MALFORMED", "")),
        (r#"{"name":null}"#, (400, "MALFORMED", "")),
        (r#"{"price":null}"#, (400, "INVALID_PRICE", "price")),
        (r#"{"stock":1}"#, (400, "UNKNOWN_FIELD", "stock")),
    ] {
        check(&rig, Method::PATCH, "/products/1", body, expect).await;
    }
    assert_eq!(rig.appended(), 0);
}

const ORDER_ID: &str = "00000000-0000-8096-ae58-2cc8f39fd829";

#[tokio::test]
async fn bad_changes_of_orders_and_carts_are_refused() {
    let rig = Rig::new();
    let refund = |items: &str| format!(r#"{{"userId":1,"items":{items}}}"#);
    let units = |quantity: &str| refund(&format!(r#"[{{"productId":1,"quantity":{quantity}}}]"#));
    let cart = |user: &str, product: &str, quantity: &str| {
        format!(r#"{{"userId":{user},"productId":{product},"quantity":{quantity}}}"#)
    };
    let order = |action: &str| format!("/order/{ORDER_ID}/{action}");
    let invalid_units = (400, "INVALID_QUANTITY", "quantity");
    let mut table = Vec::new();
    for action in ["payment", "cancel", "refund"] {
        for (body, expect) in [
            ("{}", (400, "MALFORMED", "userId")),
            ("[1]", (400, "MALFORMED", "")),
            (r#"{"userId":"1"}"#, (400, "INVALID_ID", "userId")),
            (r#"{"userId":1.5}"#, (400, "INVALID_ID", "userId")),
            (r#"{"userId":-1}"#, (400, "INVALID_ID", "userId")),
            (r#"{"userId":9007199254740992}"#, (400, "INVALID_ID", "userId")),
            (r#"{"userId":1,"userId":1}"#, (400, "MALFORMED", "userId")),
            (r#"{"userId":1,"amount":5}"#, (400, "UNKNOWN_FIELD", "amount")),
            ("", (415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type")),
        ] {
            table.push((order(action), body.to_owned(), expect));
        }
        let other = format!("/order/{}/{action}", ORDER_ID.to_uppercase().replace('-', ""));
        table.push((other, r#"{"userId":1}"#.to_owned(), (400, "INVALID_ID", "id")));
        table.push((format!("/order/7/{action}"), "{}".to_owned(), (400, "INVALID_ID", "id")));
        table.push((
            format!("{}?at=1", order(action)),
            "{}".to_owned(),
            (400, "UNKNOWN_FIELD", "at"),
        ));
    }
    table.push((order("payment"), refund("[]"), (400, "UNKNOWN_FIELD", "items")));
    for (items, expect) in [
        ("[]", (400, "INVALID_LINES", "items")),
        ("null", (400, "MALFORMED", "")),
        ("{}", (400, "MALFORMED", "")),
        ("[[1,1]]", (400, "MALFORMED", "")),
        (r#"[{"productId":1}]"#, (400, "MALFORMED", "quantity")),
        (r#"[{"productId":1,"quantity":1,"price":5}]"#, (400, "UNKNOWN_FIELD", "price")),
        (r#"[{"productId":-1,"quantity":1}]"#, (400, "INVALID_ID", "productId")),
    ] {
        table.push((order("refund"), refund(items), expect));
    }
    for quantity in ["0", "-1", "1.0", "1e3", "\"1\"", "null", "[]", "9223372036854775808"] {
        table.push((order("refund"), units(quantity), invalid_units));
        table.push(("/cart/add".to_owned(), cart("1", "1", quantity), invalid_units));
    }
    for (body, expect) in [
        (cart("\"1\"", "1", "1"), (400, "INVALID_ID", "userId")),
        (cart("1", "1.0", "1"), (400, "INVALID_ID", "productId")),
        (cart("1", "-1", "1"), (400, "INVALID_ID", "productId")),
        (cart("1", "9007199254740992", "1"), (400, "INVALID_ID", "productId")),
        (cart("1", "1", "1,\"price\":1"), (400, "UNKNOWN_FIELD", "price")),
        (cart("1", "1", "1,\"quantity\":1"), (400, "MALFORMED", "quantity")),
        (r#"{"userId":1,"quantity":1}"#.to_owned(), (400, "MALFORMED", "productId")),
        (r#"{"userId":1,"productId":1}"#.to_owned(), (400, "MALFORMED", "quantity")),
    ] {
        table.push(("/cart/add".to_owned(), body, expect));
    }
    for (uri, body, expect) in table {
        check(&rig, Method::POST, &uri, &body, expect).await;
    }
    assert_eq!(rig.appended(), 0);
}

#[tokio::test]
async fn the_edges_of_what_is_allowed_are_taken() {
    let rig = Rig::new();
    let name = "이".repeat(100);
    let email = format!("{}@x", "e".repeat(252));
    let any_order = r#"{"items":[{"quantity":1,"productId":0}],
        "payment":"now","fromCart":false,"userId":0}"#;
    let table = [
        ("/order", ORDER.to_owned()),
        ("/order", format!("\r\n\t {ORDER} ")),
        ("/order", any_order.to_owned()),
        ("/order", ORDER.replace("}]}", r#"}],"occurredAt":"2025-01-01T00:00:00Z"}"#)),
        ("/order", r#"{"userId":1,"fromCart":true}"#.to_owned()),
        ("/order", r#"{"payment":"later","fromCart":true,"userId":1}"#.to_owned()),
        ("/order", ORDER.replace("}]}", r#"}],"payment":"later"}"#)),
        (
            "/balance/charge",
            r#"{"userId":9007199254740991,"amount":9223372036854775807}"#.to_owned(),
        ),
        ("/users", format!(r#"{{"id":1,"name":"{name}","email":"{email}"}}"#)),
        (
            "/products",
            r#"{"id":1,"name":"p","price":1000000000000,"stock":1000000000000}"#.to_owned(),
        ),
        ("/products", r#"{"id":1,"name":"p","price":0,"stock":0}"#.to_owned()),
    ];
    for (uri, body) in &table {
        check(&rig, Method::POST, uri, body, (202, "", "")).await;
    }
    assert_eq!(rig.appended(), table.len() as u64);
}

#[tokio::test]
async fn the_media_type_must_be_json() {
    let rig = Rig::new();
    for (media_type, status) in [
        ("application/json", 202),
        ("application/json; charset=utf-8", 202),
        ("Application/JSON", 202),
        ("application/jsonx", 415),
        ("application/problem+json", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
    ] {
        let reply = rig.post("/order", &[("content-type", media_type)], ORDER).await;
        assert_eq!(reply.status.as_u16(), status, "{media_type}");
    }
}

#[tokio::test]
async fn large_bodies_are_refused() {
    let rig = Rig::new();
    let filled = |bytes: usize| format!("{ORDER}{}", " ".repeat(bytes - ORDER.len()));
    check(&rig, Method::POST, "/order", &filled(64 * 1024), (202, "", "")).await;
    check(&rig, Method::POST, "/order", &filled(64 * 1024 + 1), (413, "PAYLOAD_TOO_LARGE", ""))
        .await;
    assert_eq!(rig.appended(), 1);
}

#[tokio::test]
async fn unknown_routes_methods_and_parameters_are_refused() {
    let rig = Rig::new();
    for (method, uri, expect) in [
        (Method::GET, "/nowhere", (404, "ROUTE_NOT_FOUND", "")),
        (Method::GET, "/users/1/", (404, "ROUTE_NOT_FOUND", "")),
        (Method::POST, "/order/", (404, "ROUTE_NOT_FOUND", "")),
        (Method::GET, "/order", (400, "MALFORMED", "userId")),
        (Method::GET, "/order?userId=x", (400, "INVALID_ID", "userId")),
        (Method::GET, "/order?userId=1&at=1", (400, "UNKNOWN_FIELD", "at")),
        (Method::GET, "/order?userId=1&limit=0", (400, "INVALID_CURSOR", "limit")),
        (Method::GET, "/order?userId=1&limit=501", (400, "INVALID_CURSOR", "limit")),
        (Method::GET, "/order?userId=1&cursor=x", (400, "INVALID_CURSOR", "cursor")),
        (Method::GET, "/balance/entries?userId=1&limit=501", (400, "INVALID_CURSOR", "limit")),
        (Method::GET, "/cart", (400, "MALFORMED", "userId")),
        (Method::GET, "/cart?userId=-1", (400, "INVALID_ID", "userId")),
        (Method::DELETE, "/cart/remove", (400, "MALFORMED", "userId")),
        (Method::DELETE, "/cart/remove?userId=1", (400, "MALFORMED", "productId")),
        (Method::DELETE, "/cart/remove?userId=1&productId=x", (400, "INVALID_ID", "productId")),
        (Method::DELETE, "/cart/remove?userId=1&productId=01", (400, "INVALID_ID", "productId")),
        (Method::DELETE, "/cart/remove?userId=&productId=1", (400, "INVALID_ID", "userId")),
        (
            Method::DELETE,
            "/cart/remove?userId=1&productId=1&productId=1",
            (400, "MALFORMED", "productId"),
        ),
        (Method::DELETE, "/cart/remove?userId=1&productId=1&all=1", (400, "UNKNOWN_FIELD", "all")),
        (Method::PUT, "/products/1", (405, "METHOD_NOT_ALLOWED", "")),
        (Method::DELETE, "/users/1", (405, "METHOD_NOT_ALLOWED", "")),
        (Method::POST, "/metrics", (405, "METHOD_NOT_ALLOWED", "")),
        (Method::POST, "/order?x=1", (400, "UNKNOWN_FIELD", "x")),
        (Method::GET, "/users/1?x", (400, "UNKNOWN_FIELD", "x")),
        (Method::GET, "/balance?userId=1&userId=1", (400, "MALFORMED", "userId")),
        (Method::GET, "/balance?userid=1", (400, "UNKNOWN_FIELD", "userid")),
        (Method::GET, "/balance", (400, "MALFORMED", "userId")),
        (Method::GET, "/balance?userId=%31x", (400, "INVALID_ID", "userId")),
        (Method::GET, "/products?limit=0", (400, "INVALID_CURSOR", "limit")),
        (Method::GET, "/products?limit=501", (400, "INVALID_CURSOR", "limit")),
        (Method::GET, "/products?limit=x", (400, "INVALID_CURSOR", "limit")),
        (Method::GET, "/products?cursor=", (400, "INVALID_CURSOR", "cursor")),
        (Method::GET, "/products?cursor=abc", (400, "INVALID_CURSOR", "cursor")),
        (Method::GET, "/products/top?days=0", (400, "MALFORMED", "days")),
        (Method::GET, "/products/top?days=99999999999", (400, "MALFORMED", "days")),
        (Method::GET, "/products/top?days=-1", (400, "MALFORMED", "days")),
        (Method::GET, "/products/top?asOf=2025-01-02T00:00:00Z", (400, "INVALID_TIME", "asOf")),
        (Method::GET, "/products/top?asOf=yesterday", (400, "INVALID_TIME", "asOf")),
        (Method::GET, "/order/7", (400, "INVALID_ID", "id")),
        (Method::GET, "/order/00000000-0000-4000-8000-000000000000", (400, "INVALID_ID", "id")),
        (Method::GET, "/commands/x", (400, "INVALID_ID", "id")),
    ] {
        check(&rig, method, uri, "", expect).await;
    }
    for quantity in ["0", "-1", "1.0", "x", "", "9223372036854775808"] {
        let uri = format!("/cart/remove?userId=1&productId=1&quantity={quantity}");
        check(&rig, Method::DELETE, &uri, "", (400, "INVALID_QUANTITY", "quantity")).await;
    }
    assert_eq!(rig.appended(), 0);
}

#[tokio::test]
async fn a_method_that_is_not_allowed_is_told_which_are() {
    let rig = Rig::new();
    let order = format!("/order/{ORDER_ID}");
    let history = format!("{order}/history");
    let refund = format!("{order}/refund");
    for (uri, allowed) in [
        ("/users", "POST"),
        ("/users/1", "GET,HEAD"),
        ("/products", "GET,HEAD,POST"),
        ("/products/1", "GET,HEAD,PATCH"),
        ("/order", "GET,HEAD,POST"),
        (&order, "GET,HEAD"),
        (&history, "GET,HEAD"),
        (&refund, "POST"),
        ("/cart", "GET,HEAD"),
        ("/cart/add", "POST"),
        ("/cart/remove", "DELETE"),
        ("/metrics", "GET,HEAD"),
    ] {
        for method in ["PUT", "OPTIONS", "TRACE", "BREW"] {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let reply = rig.send(method.clone(), uri, &[], "").await;
            assert_eq!(reply.problem(), (405, "METHOD_NOT_ALLOWED"), "{method} {uri}");
            let mut told: Vec<_> = reply.header("allow").split(',').collect();
            told.sort_unstable();
            assert_eq!(told.join(","), allowed, "{method} {uri}");
        }
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let rig = Rig::new();
    for uri in ["/products", "/products?limit=0", "/users/1", "/healthz", "/nowhere"] {
        let get = rig.get(uri).await;
        let head = rig.send(Method::HEAD, uri, &[], "").await;
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{uri}");
        for name in ["content-type", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {uri}");
        }
        let length = get.text.len().to_string();
        assert_eq!(head.header("content-length"), length, "{uri}");
    }
}

#[tokio::test]
async fn callers_and_keys_are_checked_before_the_append() {
    let rig = Rig::new();
    let charge = r#"{"userId":1,"amount":5}"#;
    let wait = ("prefer", "respond-async");
    let long = "k".repeat(256);
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let table: &[(Headers<'_>, (u16, &str))] = &[
        (&[("x-user-id", "2")], (403, "USER_MISMATCH")),
        (&[("x-user-id", "one")], (400, "INVALID_ID")),
        (&[("idempotency-key", "")], (400, "INVALID_KEY")),
        (&[("idempotency-key", "\"open")], (400, "INVALID_KEY")),
        (&[("idempotency-key", &long)], (400, "INVALID_KEY")),
        (&[("idempotency-key", "a"), ("idempotency-key", "b")], (400, "INVALID_KEY")),
    ];
    for (headers, expect) in table {
        let reply = rig.post("/balance/charge", headers, charge).await;
        assert_eq!(reply.problem(), *expect, "{headers:?}");
    }
    assert_eq!(rig.appended(), 0);
    for headers in [&[wait, ("x-user-id", "1")], &[wait, ("idempotency-key", "\"k\"")]] {
        assert_eq!(rig.post("/balance/charge", headers, charge).await.status, 202, "{headers:?}");
    }
}

#[tokio::test]
async fn problems_speak_the_callers_language() {
    let rig = Rig::new();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let headers = [("accept-language", "ko-KR,en;q=0.5"), ("traceparent", parent.as_str())];
    let reply = rig.post("/balance/charge", &headers, r#"{"userId":1,"amount":0}"#).await;
    assert_eq!(reply.problem(), (400, "INVALID_AMOUNT"));
    assert_eq!(reply.text_of("title"), "허용되지 않는 금액입니다");
    assert_eq!(reply.text_of("type"), "urn:jupan:code:INVALID_AMOUNT");
    assert_eq!(reply.header("content-language"), "ko");
    assert_eq!((reply.text_of("traceId"), reply.header("trace-id")), (trace, trace));
}
