//! Orders after they were placed: payment, cancellation, refund, and who may ask for them. A
//! keeper plays the user's lane.

use super::{
    keeper::{Keeper, SILENT, SOLD_OUT},
    lane::Asked,
    rig::{Reply, Rig},
};
use crate::Limits;
use axum::http::Method;
use jupan_log::memory::Fault;
use jupan_schemas::{
    CancelOrder, CommandId, Line, OrderId, PayOrder, ProductId, RefundOrder, Role, Units,
    UserCommand, UserId, UserPayload,
};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::join;

const OWNER: &str = r#"{"userId":1}"#;
const LATER: &str = r#"{"userId":1,"items":[{"productId":10,"quantity":2}],"payment":"later"}"#;
const NOW: &str = r#"{"userId":1,"items":[{"productId":10,"quantity":2}]}"#;
const ASYNC: (&str, &str) = ("prefer", "respond-async");

/// The order that user 1 placed under a key.
fn id(key: &str) -> OrderId {
    OrderId::of(UserId(1), key)
}

/// Puts order ids where `{key}` stands for the order placed under that key.
fn with_ids(text: &str) -> String {
    let keys = ["a", "b", "c"].into_iter();
    keys.fold(text.to_owned(), |text, key| {
        text.replace(&format!("{{{key}}}"), &id(key).to_string())
    })
}

/// Posts under a key, and lets the keeper decide it.
async fn post(rig: &Rig, keeper: &mut Keeper, (key, uri, body): (&str, &str, &str)) -> Reply {
    let uri = with_ids(uri);
    let headers = [("idempotency-key", key), ("prefer", "wait=20")];
    join!(rig.post(&uri, &headers, body), keeper.serve()).0
}

/// Key, path and body; status and what is said: the code of a problem, or the order's status.
type Step<'a> = ((&'a str, &'a str, &'a str), (u16, &'a str));

/// The deadline of every pending order passes.
const EXPIRE: Step<'_> = (("", "expire", ""), (0, ""));

async fn check(steps: &[Step<'_>]) -> (Rig, Keeper) {
    let rig = Rig::new();
    let mut keeper = Keeper::open(&rig);
    for (number, (request, expect)) in steps.iter().enumerate() {
        if request.1 == "expire" {
            keeper.expire();
            continue;
        }
        let reply = post(&rig, &mut keeper, *request).await;
        let (status, code) = reply.problem();
        let said = if code.is_empty() { reply.text_of("status") } else { code };
        assert_eq!((status, said), *expect, "step {number} {request:?}: {reply:?}");
    }
    (rig, keeper)
}

#[tokio::test]
async fn an_order_can_be_paid_later() {
    let (rig, mut keeper) = check(&[
        (("a", "/order", LATER), (201, "PENDING")),
        (("p", "/order/{a}/payment", OWNER), (200, "SUCCESS")),
        (("p", "/order/{a}/payment", OWNER), (200, "SUCCESS")),
        (("q", "/order/{a}/payment", OWNER), (409, "ORDER_NOT_PENDING")),
        (("q", "/order/{a}/payment", OWNER), (409, "ORDER_NOT_PENDING")),
        (("r", "/order/{b}/payment", OWNER), (404, "ORDER_NOT_FOUND")),
        // As for the first time, and as the order is by now.
        (("a", "/order", LATER), (201, "SUCCESS")),
        (("a", "/order", NOW), (422, "IDEMPOTENCY_KEY_REUSED")),
        (("p", "/order/{b}/payment", OWNER), (422, "IDEMPOTENCY_KEY_REUSED")),
        (("p", "/order/{a}/cancel", OWNER), (422, "IDEMPOTENCY_KEY_REUSED")),
        (("a", "/order/{a}/payment", OWNER), (422, "IDEMPOTENCY_KEY_REUSED")),
    ])
    .await;
    let reply = rig.get(&with_ids("/order/{a}/history")).await;
    let statuses: Vec<_> = reply.json["history"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|line| line["status"].as_str())
        .collect();
    assert_eq!(statuses, [Some("PENDING"), Some("SUCCESS")]);
    let placed = post(&rig, &mut keeper, ("b", "/order", LATER)).await;
    let mut order = json!({
        "orderId": id("b").to_string(),
        "userId": 1,
        "status": "PENDING",
        "totalPrice": 1000,
        "items": [{"productId": 10, "quantity": 2, "price": 500, "refundedQuantity": 0}],
        "paymentDue": "2025-01-01T00:15:00Z",
        "createdAt": "2025-01-01T00:00:00Z",
        "updatedAt": "2025-01-01T00:00:00Z",
    });
    assert_eq!(placed.json, order);
    assert_eq!(placed.header("location"), with_ids("/order/{b}"));
    let paid = post(&rig, &mut keeper, ("s", "/order/{b}/payment", OWNER)).await;
    order["status"] = "SUCCESS".into();
    order.as_object_mut().expect("an object").remove("paymentDue");
    assert_eq!(paid.json, order);
    let read = rig.get(&with_ids("/order/{b}")).await;
    assert_eq!((read.header("etag"), &read.json), (paid.header("etag"), &paid.json));
    assert_ne!(paid.header("etag"), placed.header("etag"));
    assert_eq!((paid.header("idempotency-key"), paid.header("vary")), ("s", "Prefer"));
}

#[tokio::test]
async fn payments_are_refused() {
    let dear = r#"{"userId":1,"items":[{"productId":10,"quantity":5}],"payment":"later"}"#;
    let (rig, mut keeper) = check(&[
        (("a", "/order", dear), (201, "PENDING")),
        (("p", "/order/{a}/payment", OWNER), (402, "INSUFFICIENT_BALANCE")),
        (("p", "/order/{a}/payment", OWNER), (402, "INSUFFICIENT_BALANCE")),
        (("a", "/order", dear), (201, "FAILED")),
        (("b", "/order", LATER), (201, "PENDING")),
        EXPIRE,
        (("q", "/order/{b}/payment", OWNER), (409, "ORDER_EXPIRED")),
        (("r", "/order/{b}/cancel", OWNER), (409, "ORDER_NOT_PENDING")),
        (("s", "/order/{b}/refund", OWNER), (409, "ORDER_NOT_PAID")),
    ])
    .await;
    let failed = rig.get(&with_ids("/order/{a}")).await;
    assert_eq!(
        (failed.text_of("reason"), failed.text_of("status")),
        ("INSUFFICIENT_BALANCE", "FAILED")
    );
    let reply = post(&rig, &mut keeper, ("p", "/order/{a}/payment", OWNER)).await;
    assert_eq!(reply.text_of("orderId"), id("a").to_string());
    assert_eq!(reply.header("location"), with_ids("/order/{a}"));
    let reply = post(&rig, &mut keeper, ("t", "/order/{c}/payment", OWNER)).await;
    assert_eq!(reply.problem(), (404, "ORDER_NOT_FOUND"));
    assert_eq!(reply.text_of("orderId"), id("c").to_string(), "the one that was asked for");
}

#[tokio::test]
async fn an_order_that_is_not_ready_can_be_paid_under_the_same_key_later() {
    let rig = Rig::new();
    let mut keeper = Keeper::open(&rig);
    let body = LATER.replace("10", &SILENT.to_string());
    rig.post("/order", &[("idempotency-key", "a")], &body).await;
    keeper.serve().await;
    for _ in 0..2 {
        let reply = post(&rig, &mut keeper, ("p", "/order/{a}/payment", OWNER)).await;
        assert_eq!((reply.problem(), reply.header("retry-after")), ((409, "ORDER_NOT_READY"), "1"));
    }
    // Who did not wait finds that nothing was kept of it.
    let uri = with_ids("/order/{a}/payment");
    let reply = rig.post(&uri, &[("idempotency-key", "p"), ASYNC], OWNER).await;
    let location = reply.header("location").to_owned();
    keeper.serve().await;
    let reply = rig.get(&location).await;
    assert_eq!(reply.problem(), (404, "COMMAND_NOT_FOUND"), "{location}");
    assert!(reply.text_of("detail").contains("key"), "{reply:?}");
    keeper.answer_for_silent(id("a"));
    let reply = post(&rig, &mut keeper, ("p", "/order/{a}/payment", OWNER)).await;
    assert_eq!((reply.status.as_u16(), reply.text_of("status")), (200, "SUCCESS"));
}

#[tokio::test]
async fn orders_are_cancelled() {
    let silent = NOW.replace("10", &SILENT.to_string());
    let (rig, mut keeper) = check(&[
        (("a", "/order", LATER), (201, "PENDING")),
        (("x", "/order/{a}/cancel", OWNER), (200, "FAILED")),
        (("x", "/order/{a}/cancel", OWNER), (200, "FAILED")),
        (("y", "/order/{a}/cancel", OWNER), (409, "ORDER_NOT_PENDING")),
        (("z", "/order/{b}/cancel", OWNER), (404, "ORDER_NOT_FOUND")),
        (("p", "/order/{a}/payment", OWNER), (409, "ORDER_NOT_PENDING")),
        (("b", "/order", NOW), (201, "SUCCESS")),
        (("w", "/order/{b}/cancel", OWNER), (409, "ORDER_NOT_PENDING")),
    ])
    .await;
    // No key: one is made.
    let cancel = async {
        keeper.serve().await;
        let uri = with_ids("/order/{c}/cancel");
        let (reply, asked) = join!(rig.post(&uri, &[], OWNER), keeper.serve());
        let wish = UserPayload::CancelOrder(CancelOrder { order_id: id("c") });
        assert_eq!((asked.command.payload, asked.command.key.len()), (wish, 32));
        assert_eq!((reply.text_of("status"), reply.text_of("reason")), ("FAILED", "CANCELLED"));
    };
    let headers = [("idempotency-key", "c"), ("prefer", "wait=20")];
    let (placed, ()) = join!(rig.post("/order", &headers, &silent), cancel);
    assert_eq!(placed.problem(), (409, "CANCELLED"), "who waits for the order is told");
    assert_eq!(placed.text_of("orderId"), id("c").to_string());
}

#[tokio::test]
async fn orders_are_refunded_whole_and_by_line() {
    let two =
        r#"{"userId":1,"items":[{"productId":10,"quantity":2},{"productId":11,"quantity":1}]}"#;
    let one_back = r#"{"userId":1,"items":[{"productId":10,"quantity":1}]}"#;
    let two_back = r#"{"userId":1,"items":[{"productId":10,"quantity":2}]}"#;
    let other_back = r#"{"userId":1,"items":[{"productId":12,"quantity":1}]}"#;
    let (rig, mut keeper) = check(&[
        (("a", "/order", two), (201, "SUCCESS")),
        (("r", "/order/{a}/refund", one_back), (200, "SUCCESS")),
        (("r", "/order/{a}/refund", one_back), (200, "SUCCESS")),
        (("r", "/order/{a}/refund", OWNER), (422, "IDEMPOTENCY_KEY_REUSED")),
        (("s", "/order/{a}/refund", two_back), (409, "REFUND_EXCEEDS")),
        (("t", "/order/{a}/refund", other_back), (409, "REFUND_EXCEEDS")),
    ])
    .await;
    let order = rig.get(&with_ids("/order/{a}")).await;
    let refunded = |reply: &Reply| {
        let items = reply.json["items"].as_array().expect("a list").iter();
        items.map(|item| item["refundedQuantity"].as_i64().expect("units")).collect::<Vec<_>>()
    };
    assert_eq!(refunded(&order), [1, 0]);
    let reply = post(&rig, &mut keeper, ("s", "/order/{a}/refund", two_back)).await;
    assert_eq!(
        (reply.json["productId"].as_u64(), reply.text_of("orderId")),
        (Some(10), &*id("a").to_string())
    );
    let reply = post(&rig, &mut keeper, ("u", "/order/{a}/refund", OWNER)).await;
    assert_eq!((reply.text_of("status"), refunded(&reply)), ("REFUNDED", vec![2, 1]));
    let reply = post(&rig, &mut keeper, ("v", "/order/{a}/refund", OWNER)).await;
    assert_eq!(reply.problem(), (409, "REFUND_EXCEEDS"));
    assert_eq!(rig.get("/balance?userId=1").await.json["balance"], 2_000);
}

#[tokio::test]
async fn what_is_asked_is_what_is_sent() {
    let rig = Rig::new();
    let mut keeper = Keeper::open(&rig);
    let order_id = id("a");
    let items = vec![Line { product_id: ProductId(7), quantity: Units(3) }];
    let listed = r#"{"items":[{"quantity":3,"productId":7}],"userId":1}"#;
    for (action, body, payload) in [
        ("payment", OWNER, UserPayload::PayOrder(PayOrder { order_id })),
        ("cancel", OWNER, UserPayload::CancelOrder(CancelOrder { order_id })),
        ("refund", OWNER, UserPayload::RefundOrder(RefundOrder { order_id, items: Vec::new() })),
        ("refund", listed, UserPayload::RefundOrder(RefundOrder { order_id, items })),
    ] {
        let headers = [("idempotency-key", "\"k\""), ASYNC, ("x-user-id", "1")];
        let before = rig.appended();
        let reply = rig.post(&with_ids(&format!("/order/{{a}}/{action}")), &headers, body).await;
        let Asked { command, .. } = keeper.ignore().await;
        let UserCommand { user_id, key, actor, occurred_at, reply_to, .. } = command;
        assert_eq!(command.payload, payload, "{action}");
        assert_eq!((user_id, &*key, &*actor), (UserId(1), "k", "user:1"), "{action}");
        assert_eq!((occurred_at, reply_to), (None, None), "{action}");
        let command_id = CommandId::of(Role::Users, 1, "k").to_string();
        let body = json!({
            "commandId": command_id,
            "orderId": order_id.to_string(),
            "status": "PENDING",
        });
        assert_eq!((reply.status.as_u16(), &reply.json), (202, &body), "{action}");
        assert_eq!(reply.header("location"), format!("/commands/{command_id}?at={before}"));
        assert_eq!(reply.header("preference-applied"), "respond-async");
        assert_eq!(reply.header("retry-after"), "1");
    }
}

#[tokio::test]
async fn another_users_order_cannot_be_changed() {
    let rig = Rig::new();
    let key = ("idempotency-key", "k");
    for action in ["payment", "cancel", "refund"] {
        let uri = with_ids(&format!("/order/{{a}}/{action}"));
        let reply = rig.post(&uri, &[key], r#"{"userId":2}"#).await;
        assert_eq!(reply.problem(), (404, "ORDER_NOT_FOUND"), "{action}");
        let reply = rig.post(&uri, &[key, ("x-user-id", "2")], r#"{"userId":2}"#).await;
        assert_eq!(reply.problem(), (404, "ORDER_NOT_FOUND"), "{action}");
        let reply = rig.post(&uri, &[key, ("x-user-id", "2")], OWNER).await;
        assert_eq!(reply.problem(), (403, "USER_MISMATCH"), "{action}");
        let reply = rig.post(&uri, &[], OWNER);
        if action != "cancel" {
            let reply = reply.await;
            assert_eq!(reply.problem(), (400, "INVALID_KEY"), "{action}");
            assert_eq!(reply.text_of("field"), "Idempotency-Key", "{action}");
        }
    }
    assert_eq!(rig.appended(), 0);
}

#[tokio::test]
async fn a_202s_location_leads_to_the_outcome() {
    let limits = Limits { look_interval_ms: 5, ..Limits::default() };
    let rig = Rig::with(limits, true);
    let mut keeper = Keeper::open(&rig);
    post(&rig, &mut keeper, ("a", "/order", LATER)).await;
    for (key, action, code) in [
        ("p", "payment", "OK"),
        ("q", "payment", "ORDER_NOT_PENDING"),
        ("x", "cancel", "ORDER_NOT_PENDING"),
        ("r", "refund", "OK"),
        ("s", "refund", "REFUND_EXCEEDS"),
    ] {
        let uri = with_ids(&format!("/order/{{a}}/{action}"));
        let reply = rig.post(&uri, &[("idempotency-key", key), ASYNC], OWNER).await;
        let location = reply.header("location").to_owned();
        let command_id = CommandId::of(Role::Users, 1, key).to_string();
        let pending = json!({"commandId": command_id, "status": "PENDING"});
        assert_eq!(rig.get(&location).await.json, pending, "{key}");
        // Who waits is shown the outcome as soon as it is there.
        let begun = Instant::now();
        let headers = [("prefer", "wait=20")];
        let decide = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            keeper.serve().await;
        };
        let (reply, ()) = join!(rig.send(Method::GET, &location, &headers, ""), decide);
        let outcome = json!({"code": code, "orderId": id("a").to_string()});
        let done = json!({"commandId": command_id, "status": "DONE", "outcome": outcome});
        assert_eq!(reply.json, done, "{key}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{key}");
    }
}

#[tokio::test]
async fn who_waits_for_a_command_in_vain_is_told_that_it_is_pending() {
    let rig = Rig::with(Limits { look_interval_ms: 5, ..Limits::default() }, true);
    let uri = with_ids("/order/{a}/payment");
    let reply = rig.post(&uri, &[("idempotency-key", "p"), ASYNC], OWNER).await;
    let begun = Instant::now();
    let location = reply.header("location");
    let reply = rig.send(Method::GET, location, &[("prefer", "wait=1")], "").await;
    assert_eq!((reply.status.as_u16(), reply.text_of("status")), (200, "PENDING"));
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn who_waits_for_news_of_an_order_gets_them() {
    let rig = Rig::with(Limits { look_interval_ms: 5, ..Limits::default() }, true);
    let mut keeper = Keeper::open(&rig);
    let (wait, uri) = (("prefer", "wait=20"), with_ids("/order/{a}"));
    let silent = LATER.replace("10", &SILENT.to_string());
    rig.post("/order", &[("idempotency-key", "a")], &silent).await;
    keeper.serve().await;
    let read = |headers: Vec<(&'static str, String)>| {
        let (rig, uri) = (&rig, &uri);
        async move {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
            let begun = Instant::now();
            let reply = rig.send(Method::GET, uri, &headers, "").await;
            (reply, begun.elapsed())
        }
    };
    let waiting = |tag: &str| vec![(wait.0, wait.1.to_owned()), ("if-none-match", tag.to_owned())];
    let untagged = || vec![(wait.0, wait.1.to_owned())];
    let (pause, long) = (Duration::from_millis(50), Duration::from_secs(10));
    let tag_of = |reply: &Reply| reply.header("etag").to_owned();

    let placed = tag_of(&rig.get(&uri).await);
    let hold = async {
        tokio::time::sleep(pause).await;
        keeper.answer_for_silent(id("a"));
    };
    let ((one, took), (other, _), ()) = join!(read(untagged()), read(waiting(&placed)), hold);
    assert_eq!((one.status.as_u16(), one.text_of("status")), (200, "PENDING"));
    assert!(!one.text_of("paymentDue").is_empty() && took >= pause && took < long, "{took:?}");
    assert_eq!(one.text, other.text);

    // It can be paid. Who does not know that yet is told at once, who does waits for what follows.
    let payable = tag_of(&one);
    for headers in [untagged(), waiting(&placed)] {
        let (reply, took) = read(headers).await;
        assert!(reply.status == 200 && took < long, "{took:?}: {reply:?}");
    }
    let pay = async {
        tokio::time::sleep(pause).await;
        post(&rig, &mut keeper, ("p", "/order/{a}/payment", OWNER)).await
    };
    let ((news, took), paid) = join!(read(waiting(&payable)), pay);
    assert_eq!((news.text_of("status"), &news.text), ("SUCCESS", &paid.text));
    assert!(took >= pause && took < long, "{took:?}");

    // Nothing follows by itself.
    let (reply, took) = read(waiting(&tag_of(&news))).await;
    assert!(reply.status == 304 && took < long, "{took:?}: {reply:?}");
}

#[tokio::test]
async fn pending_duplicates_get_one_outcome() {
    let rig = Rig::new();
    let mut keeper = Keeper::open(&rig);
    let silent = LATER.replace("10", &SILENT.to_string());
    let order = [("idempotency-key", "a"), ("prefer", "wait=20")];
    let again = async {
        keeper.serve().await;
        keeper.serve().await;
        keeper.answer_for_silent(id("a"));
    };
    let (one, other, ()) =
        join!(rig.post("/order", &order, &silent), rig.post("/order", &order, &silent), again);
    assert_eq!((one.status.as_u16(), other.status.as_u16()), (201, 201));
    assert_eq!(one.json, other.json);

    // The lane comes to one of two payments only: the other is told with it.
    let (uri, key) = (with_ids("/order/{a}/payment"), [("idempotency-key", "p")]);
    let decide_second = async {
        keeper.ignore().await;
        keeper.serve().await;
    };
    let (one, other, ()) =
        join!(rig.post(&uri, &key, OWNER), rig.post(&uri, &key, OWNER), decide_second);
    assert_eq!((one.status.as_u16(), other.status.as_u16()), (200, 200));
    assert_eq!(one.text, other.text);
    assert_eq!(rig.get("/balance?userId=1").await.json["balance"], 1_000, "paid once");
}

fn impatient() -> Limits {
    Limits { outcome_wait_ms: 30, absent_wait_ms: 30, look_interval_ms: 5, ..Limits::default() }
}

#[tokio::test]
async fn a_lost_outcome_is_the_commands_own_and_not_the_orders() {
    let rig = Rig::with(impatient(), true);
    let mut keeper = Keeper::open(&rig);
    let lost = |key: &'static str, uri: &'static str, body: &'static str| {
        rig.log.fail_next(Fault::AnswerLost);
        (vec![("idempotency-key", key)], with_ids(uri), body)
    };
    post(&rig, &mut keeper, ("a", "/order", LATER)).await;
    for (key, uri, body, expect) in [
        ("p", "/order/{a}/payment", OWNER, (200, "")),
        ("x", "/order/{a}/cancel", OWNER, (409, "ORDER_NOT_PENDING")),
        ("p", "/order/{a}/refund", OWNER, (422, "IDEMPOTENCY_KEY_REUSED")),
        // The key has made an order: what asks for something else under it has lost.
        ("a", "/order/{a}/refund", OWNER, (422, "IDEMPOTENCY_KEY_REUSED")),
        ("r", "/order/{a}/refund", OWNER, (200, "")),
    ] {
        let (headers, path, body) = lost(key, uri, body);
        let (reply, _) = join!(rig.post(&path, &headers, body), keeper.serve());
        assert_eq!(reply.problem(), expect, "{key} {uri}");
    }
}

#[tokio::test]
async fn an_outcome_that_no_longer_counts_is_not_taken_for_a_new_one() {
    let rig = Rig::with(impatient(), true);
    let mut keeper = Keeper::open(&rig);
    let charge = r#"{"userId":1,"amount":5}"#;
    let key = [("idempotency-key", "k")];
    let (reply, _) = join!(rig.post("/balance/charge", &key, charge), keeper.serve());
    assert_eq!(reply.status, 200);
    let days = |days: i64| days * jupan_schemas::Micros::DAY;
    rig.clock.advance(days(15));
    let reply = rig.post("/balance/charge", &key, charge).await;
    assert_eq!((reply.status.as_u16(), reply.json["balance"].as_i64()), (200, Some(2_005)));
    rig.clock.advance(1);
    let reply = rig.post("/balance/charge", &key, charge).await;
    assert_eq!(reply.status, 202, "charged anew, by and by");
    let location = reply.header("location");
    assert_eq!(rig.get(location).await.text_of("status"), "PENDING", "{location}");
    let (path, _) = location.split_once('?').expect("a position");
    assert_eq!(rig.get(path).await.text_of("status"), "DONE", "what was known before");
}

#[tokio::test]
async fn a_failed_order_of_a_sold_out_product_names_it() {
    let body = NOW.replace("10", &SOLD_OUT.to_string());
    let (rig, mut keeper) = check(&[(("a", "/order", &body), (409, "OUT_OF_STOCK"))]).await;
    let reply = post(&rig, &mut keeper, ("a", "/order", &body)).await;
    assert_eq!(reply.json["productId"], SOLD_OUT);
    let reply = post(&rig, &mut keeper, ("p", "/order/{a}/payment", OWNER)).await;
    assert_eq!(reply.problem(), (409, "ORDER_NOT_PENDING"));
}

#[tokio::test]
async fn an_order_has_a_bounded_number_of_lines() {
    let rig = Rig::new();
    let mut keeper = Keeper::open(&rig);
    let order = |lines: u64| {
        let items = (0..lines).map(|n| format!(r#"{{"productId":{n},"quantity":1}}"#));
        format!(r#"{{"userId":1,"items":[{}]}}"#, items.collect::<Vec<_>>().join(","))
    };
    let reply = post(&rig, &mut keeper, ("a", "/order", &order(501))).await;
    assert_eq!(reply.problem(), (400, "INVALID_LINES"));
    let reply = rig.post("/order", &[("idempotency-key", "b")], &order(501)).await;
    let location = reply.header("location").to_owned();
    keeper.serve().await;
    assert_eq!(rig.get(&location).await.problem(), (400, "INVALID_LINES"));
}
