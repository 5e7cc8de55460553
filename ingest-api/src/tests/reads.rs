//! Reads: orders with and without a position, lists, tags, probes.

use super::{
    keeper::Keeper,
    lane::{Hand, order_row, outcome, outcome_row, product_row, statement_row, user_row},
    rig::{ORDER, Rig},
};
use crate::Limits;
use axum::http::Method;
use jupan_schemas::{Code, CommandId, OrderId, OrderStatus, Outcome, Role, UserId};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use tokio::join;

fn quick() -> Limits {
    Limits { absent_wait_ms: 60, look_interval_ms: 5, ..Limits::default() }
}

fn id() -> OrderId {
    OrderId::of(UserId(1), "k")
}

#[tokio::test]
async fn an_order_is_pending_until_it_is_projected() {
    let rig = Rig::with(quick(), true);
    let mut hand = Hand::open(&rig, Role::Users);
    let at_0 = format!("/order/{}?at=0", id());
    let reply = rig.get(&at_0).await;
    assert_eq!(
        (reply.problem(), reply.text_of("field")),
        ((400, "MALFORMED"), "at"),
        "beyond the end"
    );
    rig.post("/order", &[("idempotency-key", "k")], ORDER).await;
    let pending =
        serde_json::json!({"orderId": id().to_string(), "userId": 1, "status": "PENDING"});
    for _ in 0..2 {
        // The lane has come up to the command, and not past it.
        hand.project_until(0);
        let reply = rig.get(&at_0).await;
        assert_eq!((reply.status.as_u16(), &reply.json), (200, &pending));
    }
    assert_eq!(rig.get(&format!("/order/{}?at=1", id())).await.problem(), (400, "MALFORMED"));
    assert_eq!(rig.get(&format!("/order/{}?at=x", id())).await.problem(), (400, "MALFORMED"));
    let asked = hand.user_command().await;
    hand.project_until(1);
    assert_eq!(
        rig.get(&at_0).await.problem(),
        (404, "ORDER_NOT_FOUND"),
        "projected, and nothing there"
    );
    hand.apply(outcome_row(asked.id, asked.fingerprint, outcome(Code::UserNotFound)));
    assert_eq!(
        rig.get(&at_0).await.problem(),
        (404, "USER_NOT_FOUND"),
        "refused before it was an order"
    );
    hand.apply(order_row(&asked, OrderStatus::Pending, None));
    let reply = rig.get(&format!("/order/{}?at=99", id())).await;
    assert_eq!(
        (reply.status.as_u16(), reply.text_of("status")),
        (200, "PENDING"),
        "`at` does not count"
    );
    assert_eq!(reply.json["items"][0].get("price"), None);
    let told = Outcome { order_id: Some(id()), ..outcome(Code::OutOfStock) };
    hand.apply(order_row(&asked, OrderStatus::Failed, Some(told)));
    let reply = rig.get(&format!("/order/{}", id())).await;
    assert_eq!((reply.status.as_u16(), reply.text_of("status")), (200, "FAILED"));
    assert_eq!(reply.text_of("reason"), "OUT_OF_STOCK");
    let reply = rig.get(&format!("/order/{}/history", id())).await;
    let line = r#"{"status":"FAILED","reason":"OUT_OF_STOCK","at":"2025-01-01T00:00:00Z"}"#;
    assert_eq!(reply.text, format!(r#"{{"history":[{line}]}}"#));
}

#[tokio::test]
async fn an_unknown_order_is_waited_for_and_then_not_found() {
    let rig = Rig::with(quick(), true);
    for uri in [format!("/order/{}", id()), format!("/order/{}/history", id())] {
        let begun = Instant::now();
        assert_eq!(rig.get(&uri).await.problem(), (404, "ORDER_NOT_FOUND"));
        assert!(begun.elapsed() >= Duration::from_millis(60));
    }
    let mut hand = Hand::open(&rig, Role::Users);
    rig.post("/order", &[("idempotency-key", "k")], ORDER).await;
    let uri = format!("/order/{}", id());
    let play = async {
        let asked = hand.user_command().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        hand.apply(order_row(&asked, OrderStatus::Success, None));
    };
    assert_eq!(join!(rig.get(&uri), play).0.status, 200);
}

#[tokio::test]
async fn another_users_order_looks_like_none() {
    let rig = Rig::with(quick(), true);
    let mut hand = Hand::open(&rig, Role::Users);
    rig.post("/order", &[("idempotency-key", "k")], ORDER).await;
    let asked = hand.user_command().await;
    hand.apply(order_row(&asked, OrderStatus::Success, Some(outcome(Code::Ok))));
    let command = CommandId::of(Role::Users, 1, "k");
    for (uri, code) in [
        (format!("/order/{}", id()), "ORDER_NOT_FOUND"),
        (format!("/order/{}?at=0", id()), "ORDER_NOT_FOUND"),
        (format!("/order/{}/history", id()), "ORDER_NOT_FOUND"),
        (format!("/commands/{command}"), "COMMAND_NOT_FOUND"),
    ] {
        let reply = rig.send(Method::GET, &uri, &[("x-user-id", "2")], "").await;
        assert_eq!(reply.problem(), (404, code), "{uri}");
        let reply = rig.send(Method::GET, &uri, &[("x-user-id", "1")], "").await;
        assert_eq!(reply.status, 200, "{uri}");
    }
    for uri in [
        "/users/1",
        "/balance?userId=1",
        "/balance/entries?userId=1",
        "/order?userId=1",
        "/cart?userId=1",
    ] {
        let reply = rig.send(Method::GET, uri, &[("x-user-id", "2")], "").await;
        assert_eq!(reply.problem(), (403, "USER_MISMATCH"), "{uri}");
    }
}

#[tokio::test]
async fn orders_have_tags_and_can_be_waited_for() {
    let rig = Rig::with(quick(), true);
    let mut hand = Hand::open(&rig, Role::Users);
    rig.post("/order", &[("idempotency-key", "k")], ORDER).await;
    let asked = hand.user_command().await;
    hand.apply(order_row(&asked, OrderStatus::Pending, None));
    let uri = format!("/order/{}", id());
    let tag = rig.get(&uri).await.header("etag").to_owned();
    for (given, status) in [(&*tag, 304), ("*", 304), ("\"x\"", 200), ("\"x\", W/\"1\"", 304)] {
        let reply = rig.send(Method::GET, &uri, &[("if-none-match", given)], "").await;
        assert_eq!((reply.status.as_u16(), reply.header("etag")), (status, &*tag), "{given}");
    }
    let wait = ("prefer", "wait=20");
    let reply = rig.send(Method::GET, &uri, &[wait, ("if-none-match", "\"x\"")], "").await;
    assert_eq!(reply.text_of("status"), "PENDING", "news for who has another tag");
    let reply =
        rig.send(Method::GET, &uri, &[("prefer", "wait=1"), ("if-none-match", &tag)], "").await;
    assert_eq!(reply.status, 304, "no news in time");
    let play = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        hand.apply(order_row(&asked, OrderStatus::Success, None));
    };
    let headers = [wait, ("if-none-match", &*tag)];
    let untagged = [wait];
    let (one, other, ()) = join!(
        rig.send(Method::GET, &uri, &headers, ""),
        rig.send(Method::GET, &uri, &untagged, ""),
        play
    );
    assert_eq!((one.text_of("status"), other.text_of("status")), ("SUCCESS", "SUCCESS"));
}

#[tokio::test]
async fn commands_tell_what_became_of_them() {
    let rig = Rig::with(quick(), true);
    let mut hand = Hand::open(&rig, Role::Users);
    let order = CommandId::of(Role::Users, 1, "k");
    let charge = CommandId::of(Role::Users, 1, "c");
    rig.post("/order", &[("idempotency-key", "k")], ORDER).await;
    let headers = [("idempotency-key", "c"), ("prefer", "respond-async")];
    rig.post("/balance/charge", &headers, r#"{"userId":1,"amount":5}"#).await;
    let pending =
        |id: CommandId| serde_json::json!({"commandId": id.to_string(), "status": "PENDING"});
    assert_eq!(rig.get(&format!("/commands/{order}?at=0")).await.json, pending(order));
    assert_eq!(rig.get(&format!("/commands/{order}?at=2")).await.problem(), (400, "MALFORMED"));
    assert_eq!(rig.get(&format!("/commands/{charge}")).await.problem(), (404, "COMMAND_NOT_FOUND"));
    let asked = hand.user_command().await;
    hand.apply(order_row(&asked, OrderStatus::Pending, None));
    hand.project_until(1);
    assert_eq!(
        rig.get(&format!("/commands/{order}?at=0")).await.json,
        pending(order),
        "the order is pending"
    );
    let told = Outcome { order_id: Some(id()), ..outcome(Code::InsufficientBalance) };
    hand.apply(order_row(&asked, OrderStatus::Failed, Some(told)));
    let done = |id: CommandId, told| {
        let id = id.to_string();
        serde_json::json!({"commandId": id, "status": "DONE", "outcome": told})
    };
    let told = serde_json::json!({"code": "INSUFFICIENT_BALANCE", "orderId": id().to_string()});
    assert_eq!(rig.get(&format!("/commands/{order}")).await.json, done(order, told));
    let asked = hand.user_command().await;
    hand.project_until(2);
    assert_eq!(
        rig.get(&format!("/commands/{charge}?at=1")).await.problem(),
        (404, "COMMAND_NOT_FOUND")
    );
    hand.apply(outcome_row(asked.id, asked.fingerprint, outcome(Code::Ok)));
    let told = serde_json::json!({"code": "OK"});
    assert_eq!(rig.get(&format!("/commands/{charge}?at=1")).await.json, done(charge, told));
}

/// All items of a list, page by page, and how many pages there were.
async fn pages(rig: &Rig, uri: &str, list: &str) -> (Vec<serde_json::Value>, usize) {
    let (mut items, mut next, mut count) = (Vec::new(), String::new(), 0);
    loop {
        let reply = rig.get(&format!("{uri}{next}")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        items.extend(reply.json[list].as_array().expect("a list").iter().cloned());
        count += 1;
        match reply.json.get("next") {
            Some(cursor) => next = format!("&cursor={}", cursor.as_str().expect("text")),
            None => return (items, count),
        }
    }
}

#[tokio::test]
async fn lists_go_on_at_their_cursor() {
    let rig = Rig::new();
    let mut products = Hand::open(&rig, Role::Products);
    let mut users = Hand::open(&rig, Role::Users);
    assert_eq!(rig.get("/products").await.text, r#"{"products":[]}"#);
    assert_eq!(rig.get("/balance/entries?userId=1").await.problem(), (404, "USER_NOT_FOUND"));
    users.apply(user_row(1, 0));
    assert_eq!(rig.get("/balance/entries?userId=1").await.text, r#"{"userId":1,"entries":[]}"#);
    for n in 1_i64..=7 {
        products.apply(product_row(n.unsigned_abs() * 10, n, n));
        users.apply(statement_row(1, if n == 7 { -3 } else { 3 }, n));
    }
    for (limit, page_count) in [(1, 7), (2, 4), (3, 3), (7, 1), (500, 1)] {
        let (items, count) = pages(&rig, &format!("/products?limit={limit}"), "products").await;
        let ids: Vec<_> = items.iter().map(|item| item["id"].as_u64()).collect();
        assert_eq!((ids, count), ((1..=7).map(|n| Some(n * 10)).collect(), page_count));
        let uri = format!("/balance/entries?userId=1&limit={limit}");
        let (items, count) = pages(&rig, &uri, "entries").await;
        let balances: Vec<_> = items.iter().map(|item| item["balance"].as_i64()).collect();
        assert_eq!((balances, count), ((1..=7).rev().map(Some).collect(), page_count));
    }
    let first = rig.get("/balance/entries?userId=1&limit=1").await;
    let entry = serde_json::json!({
        "delta": -3,
        "balance": 7,
        "kind": "PAYMENT",
        "orderId": id().to_string(),
        "at": "2025-01-01T00:00:00Z",
    });
    assert_eq!(first.json["entries"][0], entry);
    let cursor = first.text_of("next");
    for uri in
        [format!("/balance/entries?userId=2&cursor={cursor}"), format!("/products?cursor={cursor}")]
    {
        assert_eq!(rig.get(&uri).await.problem(), (400, "INVALID_CURSOR"));
    }
}

/// Places an order under a key, to be decided at once.
async fn place(rig: &Rig, keeper: &mut Keeper, key: &str, lines: u64) {
    let items = (0..lines).map(|n| format!(r#"{{"productId":{},"quantity":1}}"#, 20 + n));
    let items = items.collect::<Vec<_>>().join(",");
    let body = format!(r#"{{"userId":1,"items":[{items}]}}"#);
    let reply = rig.post("/order", &[("idempotency-key", key)], &body).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    keeper.serve().await;
}

fn ids(orders: &[serde_json::Value]) -> Vec<String> {
    orders.iter().map(|order| order["orderId"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn orders_are_listed_newest_first() {
    let rig = Rig::new();
    let mut keeper = Keeper::open(&rig);
    let id = |n: usize| OrderId::of(UserId(1), &format!("k{n}")).to_string();
    assert_eq!(rig.get("/order?userId=1").await.text, r#"{"userId":1,"orders":[]}"#);
    assert_eq!(rig.get("/order?userId=2").await.problem(), (404, "USER_NOT_FOUND"));
    for n in 0..7 {
        place(&rig, &mut keeper, &format!("k{n}"), 1).await;
    }
    for (limit, page_count) in [(1, 7), (2, 4), (3, 3), (7, 1), (500, 1)] {
        let (orders, count) =
            pages(&rig, &format!("/order?userId=1&limit={limit}"), "orders").await;
        assert_eq!((ids(&orders), count), ((0..7).rev().map(id).collect(), page_count));
    }
    let list = rig.get("/order?userId=1").await;
    let order = rig.get(&format!("/order/{}", id(6))).await;
    assert_eq!(list.json["orders"][0], order.json, "as it is read alone");

    // A page goes on where the one before it ended, whatever has come since.
    let first = rig.get("/order?userId=1&limit=3").await;
    for n in 7..9 {
        place(&rig, &mut keeper, &format!("k{n}"), 1).await;
    }
    let uri = format!("/order?userId=1&limit=3&cursor={}", first.text_of("next"));
    let second = rig.get(&uri).await;
    assert_eq!(ids(second.json["orders"].as_array().expect("a list")), [id(3), id(2), id(1)]);
    let newest = rig.get("/order?userId=1&limit=3").await;
    assert_eq!(ids(newest.json["orders"].as_array().expect("a list")), [id(8), id(7), id(6)]);

    let cursor = first.text_of("next");
    for uri in [
        format!("/order?userId=2&cursor={cursor}"),
        format!("/balance/entries?userId=1&cursor={cursor}"),
        format!("/products?cursor={cursor}"),
    ] {
        assert_eq!(rig.get(&uri).await.problem(), (400, "INVALID_CURSOR"), "{uri}");
    }
}

#[tokio::test]
async fn a_page_of_large_orders_is_shorter() {
    let rig = Rig::new();
    let mut keeper = Keeper::open(&rig);
    for n in 0..12 {
        place(&rig, &mut keeper, &format!("large{n}"), 500).await;
    }
    for n in 0..60 {
        place(&rig, &mut keeper, &format!("small{n}"), 1).await;
    }
    let page = rig.get("/order?userId=1&limit=500").await;
    let lines = |order: &serde_json::Value| order["items"].as_array().expect("a list").len();
    let orders = page.json["orders"].as_array().expect("a list");
    assert_eq!((orders.len(), orders.iter().map(lines).sum::<usize>()), (70, 60 + 10 * 500));
    let (orders, count) = pages(&rig, "/order?userId=1&limit=500", "orders").await;
    assert_eq!((orders.len(), count), (72, 2));
    let (orders, count) = pages(&rig, "/order?userId=1&limit=55", "orders").await;
    assert_eq!((orders.len(), count), (72, 3));
}

#[tokio::test]
async fn users_balances_products_and_best_sellers_are_read() {
    let rig = Rig::new();
    let mut products = Hand::open(&rig, Role::Products);
    let mut users = Hand::open(&rig, Role::Users);
    for (uri, code) in [
        ("/users/1", "USER_NOT_FOUND"),
        ("/balance?userId=1", "USER_NOT_FOUND"),
        ("/products/10", "PRODUCT_NOT_FOUND"),
    ] {
        assert_eq!(rig.get(uri).await.problem(), (404, code), "{uri}");
    }
    users.apply(user_row(1, 700));
    products.apply(product_row(10, 5, 3));
    let user = rig.get("/users/1").await;
    assert_eq!(
        (user.text_of("name"), user.text_of("updatedAt")),
        ("Kim", "2025-01-01T00:00:00.000001Z")
    );
    assert_eq!(rig.get("/balance?userId=1").await.text, r#"{"userId":1,"balance":700}"#);
    let product = rig.get("/products/10").await;
    assert_eq!(product.text, r#"{"id":10,"name":"product 10","price":5,"stock":3}"#);
    let top = rig.get("/products/top?days=1&asOf=2024-12-31T12:00:00%2B00:00").await;
    assert_eq!(
        top.json,
        serde_json::json!({
            "products": [
                {"rank": 1, "id": 10, "name": "product 10", "units": 9, "amount": 900},
                {"rank": 2, "id": 99, "units": 9, "amount": 900},
            ],
            "windowFrom": "2024-12-30T12:00:00Z",
            "windowTo": "2024-12-31T12:00:00Z",
            "asOf": "2024-12-31T12:00:00Z",
        })
    );
    assert_eq!(rig.get("/products/top").await.text_of("windowFrom"), "2024-12-29T00:00:00Z");
}

#[tokio::test]
async fn probes_tell_how_it_is() {
    let rig = Rig::new();
    assert_eq!(rig.get("/healthz?verbose=1").await.text, r#"{"status":"OK"}"#);
    assert_eq!(rig.get("/readyz").await.problem(), (503, "UNAVAILABLE"));
    rig.health.is_ready.store(true, Ordering::SeqCst);
    assert_eq!(rig.get("/readyz").await.status, 200);
    rig.health.is_failed.store(true, Ordering::SeqCst);
    for uri in ["/healthz", "/readyz"] {
        let reply = rig.get(uri).await;
        assert_eq!(
            (reply.problem(), reply.text_of("detail")),
            ((503, "UNAVAILABLE"), "the test says so")
        );
    }
    let metrics = rig.get("/metrics").await;
    assert_eq!((metrics.status.as_u16(), metrics.text.as_str()), (200, "# metrics\n"));
    let hint = rig.get("/").await;
    assert!(hint.text.lines().filter(|line| line.contains("curl ")).count() == 3, "{}", hint.text);
    let head = rig.send(Method::HEAD, "/products", &[], "").await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
}
