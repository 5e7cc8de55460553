//! Writes: what is appended, who waits how long, and what is answered.

use super::{
    lane::{Hand, order_row, outcome, outcome_row, product_row, user_row},
    rig::{NOW, ORDER, Reply, Rig},
};
use crate::Limits;
use axum::http::Method;
use jupan_log::{Log, memory::Fault};
use jupan_schemas::{
    ChargeBalance, Code, CommandId, Line, Micros, Money, OrderId, OrderStatus, Outcome, Payment,
    PlaceOrder, ProductId, ProductPayload, Role, TraceId, Units, UserId, UserPayload,
};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::join;

const WAIT: (&str, &str) = ("prefer", "wait=20");
const ASYNC: (&str, &str) = ("prefer", "respond-async");
const KEY: (&str, &str) = ("idempotency-key", "k");
const CHARGE: &str = r#"{"userId":1,"amount":500}"#;

/// An impatient server, for tests that wait until its patience ends.
fn impatient() -> Limits {
    Limits { outcome_wait_ms: 30, absent_wait_ms: 30, look_interval_ms: 5, ..Limits::default() }
}

#[tokio::test]
async fn an_order_is_accepted_once_it_is_durable() {
    let rig = Rig::new();
    let mut hand = Hand::open(&rig, Role::Users);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let body = ORDER.replace("}]}", r#"}],"occurredAt":"2024-12-31T23:59:59.5Z"}"#);
    let headers = [("idempotency-key", "\"k\""), ("traceparent", parent.as_str())];
    let reply = rig.post("/order", &headers, &body).await;
    let order_id = OrderId::of(UserId(1), "k");
    let command_id = CommandId::of(Role::Users, 1, "k");
    assert_eq!(reply.status, 202);
    assert_eq!(
        reply.json,
        serde_json::json!({
            "commandId": command_id.to_string(),
            "orderId": order_id.to_string(),
            "status": "PENDING",
        })
    );
    assert_eq!(reply.header("location"), format!("/order/{order_id}?at=0"));
    assert_eq!((reply.header("retry-after"), reply.header("vary")), ("1", "Prefer"));
    assert_eq!((reply.header("idempotency-key"), reply.header("preference-applied")), ("k", ""));
    let asked = hand.user_command().await;
    let command = asked.command;
    assert_eq!((command.user_id, command.key.as_str()), (UserId(1), "k"));
    assert_eq!(
        (command.created_at, command.occurred_at),
        (NOW, Some(NOW.plus(-Micros::SECOND / 2)))
    );
    assert_eq!((command.actor.as_str(), command.trace_id), ("user:1", TraceId::parse(trace)));
    assert_eq!(command.reply_to, None, "nobody waits");
    let items = vec![Line { product_id: ProductId(10), quantity: Units(2) }];
    let order = PlaceOrder { items, from_cart: false, payment: Payment::Now };
    assert_eq!(command.payload, UserPayload::PlaceOrder(order));
}

#[tokio::test]
async fn nothing_is_accepted_before_it_is_durable() {
    let rig = Rig::with(Limits::default(), false);
    let request = rig.post("/order", &[], ORDER);
    tokio::pin!(request);
    let early = tokio::time::timeout(Duration::from_millis(50), request.as_mut()).await;
    assert!(early.is_err(), "{early:?}");
    rig.log.sync();
    assert_eq!(request.await.status, 202);
}

#[tokio::test]
async fn a_key_is_made_where_none_is_given() {
    let rig = Rig::new();
    let mut hand = Hand::open(&rig, Role::Users);
    let one = rig.post("/order", &[], ORDER).await;
    let other = rig.post("/order", &[], ORDER).await;
    let key = one.header("idempotency-key");
    assert_eq!((key.len(), key == other.header("idempotency-key")), (32, false));
    assert_eq!(hand.user_command().await.command.key, key);
    assert_eq!(one.text_of("orderId"), OrderId::of(UserId(1), key).to_string());
}

/// Places an order that the hand ends, and returns what the waiting caller was told.
async fn waited_order(code: Code, status: OrderStatus) -> Reply {
    let rig = Rig::new();
    let mut hand = Hand::open(&rig, Role::Users);
    let headers = [WAIT, KEY];
    let play = async {
        let asked = hand.user_command().await;
        let order_id = Some(OrderId::of(UserId(1), "k"));
        let product_id = (code == Code::OutOfStock).then_some(ProductId(10));
        let told = Outcome { order_id, product_id, ..outcome(code) };
        hand.apply(order_row(&asked, status, Some(told)));
        hand.finish(&asked, told);
    };
    join!(rig.post("/order", &headers, ORDER), play).0
}

#[tokio::test]
async fn a_waited_order_that_succeeds_is_created() {
    let reply = waited_order(Code::Ok, OrderStatus::Success).await;
    let order_id = OrderId::of(UserId(1), "k").to_string();
    assert_eq!(reply.status, 201, "{reply:?}");
    assert_eq!(reply.header("location"), format!("/order/{order_id}"));
    assert_eq!((reply.header("etag"), reply.header("preference-applied")), ("\"1\"", "wait=20"));
    assert_eq!(
        reply.json,
        serde_json::json!({
            "orderId": order_id,
            "userId": 1,
            "status": "SUCCESS",
            "totalPrice": 1000,
            "items": [{"productId": 10, "quantity": 2, "price": 500, "refundedQuantity": 0}],
            "createdAt": "2025-01-01T00:00:00Z",
            "updatedAt": "2025-01-01T00:00:00Z",
        })
    );
}

#[tokio::test]
async fn a_waited_order_that_fails_is_a_problem_with_its_id() {
    for (code, status) in [(Code::OutOfStock, 409), (Code::InsufficientBalance, 402)] {
        let reply = waited_order(code, OrderStatus::Failed).await;
        let order_id = OrderId::of(UserId(1), "k").to_string();
        assert_eq!(reply.problem(), (status, code.as_str()));
        assert_eq!(reply.text_of("orderId"), order_id);
        assert_eq!(reply.header("location"), format!("/order/{order_id}"));
        let product = (code == Code::OutOfStock).then_some(10);
        assert_eq!(reply.json["productId"].as_u64(), product);
        assert_eq!(reply.header("idempotency-key"), "k");
    }
}

#[tokio::test]
async fn a_charge_answers_with_the_balance_after_it() {
    let rig = Rig::new();
    let mut hand = Hand::open(&rig, Role::Users);
    let play = async {
        let asked = hand.user_command().await;
        let payload = UserPayload::ChargeBalance(ChargeBalance { amount: Money(500) });
        assert_eq!(asked.command.payload, payload);
        hand.apply(user_row(1, 700));
        hand.finish(&asked, Outcome { balance: Some(Money(600)), ..outcome(Code::Ok) });
    };
    let (reply, ()) = join!(rig.post("/balance/charge", &[], CHARGE), play);
    assert_eq!(
        (reply.status.as_u16(), reply.text.as_str()),
        (200, r#"{"userId":1,"balance":600}"#)
    );
}

#[tokio::test]
async fn users_and_products_are_registered_changed_and_restocked() {
    let rig = Rig::new();
    let mut users = Hand::open(&rig, Role::Users);
    let mut products = Hand::open(&rig, Role::Products);
    let play = async {
        let asked = users.user_command().await;
        users.apply(user_row(1, 0));
        users.finish(&asked, outcome(Code::Ok));
    };
    let body = r#"{"id":1,"name":"Kim","email":"kim@example.com"}"#;
    let (reply, ()) = join!(rig.post("/users", &[], body), play);
    assert_eq!((reply.status.as_u16(), reply.header("location")), (201, "/users/1"));
    assert_eq!(
        (reply.text_of("name"), reply.text_of("createdAt")),
        ("Kim", "2025-01-01T00:00:00Z")
    );
    assert_eq!(reply.json["createdAt"], reply.json["updatedAt"]);

    for (method, uri, body, status) in [
        (Method::POST, "/products", r#"{"id":10,"name":"p","price":5,"stock":7}"#, 201),
        (Method::PATCH, "/products/10", r#"{"price":6}"#, 200),
        (Method::POST, "/products/10/restock", r#"{"quantity":2}"#, 200),
    ] {
        let play = async {
            let asked = products.product_command().await;
            assert_eq!(
                (asked.command.product_id, asked.command.actor.as_str()),
                (ProductId(10), "operator")
            );
            products.apply(product_row(10, 6, 9));
            products.answer(asked.command.reply_to, (asked.id, asked.position), outcome(Code::Ok));
            asked.command.payload
        };
        let (reply, payload) = join!(rig.send(method, uri, &[], body), play);
        assert_eq!(reply.status.as_u16(), status, "{uri}: {reply:?}");
        let is_new = matches!(payload, ProductPayload::RegisterProduct(_));
        let (name, price, stock) = if is_new { ("p", 5, 7) } else { ("product 10", 6, 9) };
        let body = serde_json::json!({"id": 10, "name": name, "price": price, "stock": stock});
        assert_eq!(reply.json, body, "{uri}");
    }
}

#[tokio::test]
async fn refusals_have_their_codes_status() {
    for (code, status) in [
        (Code::UserNotFound, 404),
        (Code::InvalidAmount, 400),
        (Code::BalanceLimit, 409),
        (Code::IdempotencyKeyReused, 422),
        (Code::CommandTooOld, 400),
        (Code::Unknown, 500),
    ] {
        let rig = Rig::new();
        let mut hand = Hand::open(&rig, Role::Users);
        let play = async {
            let asked = hand.user_command().await;
            hand.answer(asked.command.reply_to, (asked.id, asked.position), outcome(code));
        };
        let (reply, ()) = join!(rig.post("/balance/charge", &[], CHARGE), play);
        assert_eq!(reply.problem(), (status, code.as_str()));
    }
}

#[tokio::test]
async fn who_is_not_told_in_time_is_accepted() {
    let rig = Rig::with(impatient(), true);
    let reply = rig.post("/balance/charge", &[KEY], CHARGE).await;
    let command_id = CommandId::of(Role::Users, 1, "k");
    assert_eq!(reply.status, 202);
    assert_eq!(reply.header("location"), format!("/commands/{command_id}?at=0"));
    assert_eq!(reply.json["orderId"], serde_json::Value::Null);
    let reply = rig.post("/balance/charge", &[KEY, ASYNC], CHARGE).await;
    assert_eq!((reply.status.as_u16(), reply.header("preference-applied")), (202, "respond-async"));
    let reply = rig.post("/balance/charge", &[KEY, ("prefer", "wait=0")], CHARGE).await;
    assert_eq!((reply.status.as_u16(), reply.header("preference-applied")), (202, "wait=0"));
    assert_eq!(rig.api.shop.waiters.seated(), 0);
    assert_eq!(rig.api.shop.admission.inside(), 0);
}

#[tokio::test]
async fn a_lost_outcome_is_looked_up() {
    let rig = Rig::with(impatient(), true);
    let mut hand = Hand::open(&rig, Role::Users);
    rig.log.fail_next(Fault::AnswerLost);
    let play = async {
        let asked = hand.user_command().await;
        hand.finish(&asked, Outcome { balance: Some(Money(500)), ..outcome(Code::Ok) });
    };
    let (reply, ()) = join!(rig.post("/balance/charge", &[KEY], CHARGE), play);
    assert_eq!((reply.status.as_u16(), reply.json["balance"].as_i64()), (200, Some(500)));

    // Another body under the same key: a stored outcome that is not this request's.
    let other = CHARGE.replace("500", "501");
    let reply = rig.post("/balance/charge", &[KEY], &other).await;
    assert_eq!(reply.status, 202, "its lane has not come to it");
    let play = async {
        hand.user_command().await;
        hand.user_command().await;
        hand.project_until(3);
    };
    let (reply, ()) = join!(rig.post("/balance/charge", &[KEY], &other), play);
    assert_eq!(reply.problem(), (422, "IDEMPOTENCY_KEY_REUSED"));
}

#[tokio::test]
async fn a_lost_outcome_of_an_order_is_found_in_the_order() {
    let rig = Rig::with(impatient(), true);
    let mut hand = Hand::open(&rig, Role::Users);
    let play = async {
        let asked = hand.user_command().await;
        let order_id = Some(OrderId::of(UserId(1), "k"));
        let told = Outcome { order_id, ..outcome(Code::Ok) };
        hand.apply(order_row(&asked, OrderStatus::Success, Some(told)));
        hand.project_until(1);
    };
    let (reply, ()) = join!(rig.post("/order", &[("prefer", "wait=1"), KEY], ORDER), play);
    assert_eq!((reply.status.as_u16(), reply.text_of("status")), (201, "SUCCESS"));
}

#[tokio::test]
async fn one_key_asked_often_has_one_answer() {
    let rig = Rig::new();
    let mut hand = Hand::open(&rig, Role::Users);
    let requests = (0..100).map(|_| {
        let (router, headers) = (rig.router.clone(), [KEY, WAIT]);
        tokio::spawn(async move {
            let mut request = axum::http::Request::post("/balance/charge");
            for (name, value) in headers.into_iter().chain([("content-type", "application/json")]) {
                request = request.header(name, value);
            }
            let request = request.body(axum::body::Body::from(CHARGE)).expect("a request");
            let response = tower::ServiceExt::oneshot(router, request).await;
            let Ok(response) = response;
            let status = response.status();
            let body = axum::body::to_bytes(response.into_body(), 1000).await.expect("a body");
            (status, body)
        })
    });
    let requests: Vec<_> = requests.collect();
    // The lane answers one of them only: the others wait for the same body under the same key.
    let mut asked = hand.user_command().await;
    for _ in 1..100 {
        asked = hand.user_command().await;
    }
    hand.finish(&asked, Outcome { balance: Some(Money(500)), ..outcome(Code::Ok) });
    for request in requests {
        let (status, body) = request.await.expect("an answer");
        assert_eq!((status.as_u16(), &body[..]), (200, &br#"{"userId":1,"balance":500}"#[..]));
    }
}

/// Every write there is. `{id}` stands for an order of user 1.
const WRITES: &[(&str, &str, &str)] = &[
    ("POST", "/users", r#"{"id":1,"name":"Kim","email":"kim@example.com"}"#),
    ("POST", "/balance/charge", CHARGE),
    ("POST", "/products", r#"{"id":10,"name":"p","price":5,"stock":7}"#),
    ("PATCH", "/products/10", r#"{"price":6}"#),
    ("POST", "/products/10/restock", r#"{"quantity":2}"#),
    ("POST", "/order", ORDER),
    ("POST", "/order/{id}/payment", r#"{"userId":1}"#),
    ("POST", "/order/{id}/cancel", r#"{"userId":1}"#),
    ("POST", "/order/{id}/refund", r#"{"userId":1}"#),
    ("POST", "/cart/add", r#"{"userId":1,"productId":10,"quantity":2}"#),
    ("DELETE", "/cart/remove?userId=1&productId=10", ""),
];

/// Sends every write, under the same key, and expects the same refusal of each.
async fn check_refused(rig: &Rig, expect: (u16, &str)) {
    let order_id = OrderId::of(UserId(1), "k").to_string();
    for (method, uri, body) in WRITES {
        let (method, uri) = (method.parse().expect("a method"), uri.replace("{id}", &order_id));
        let reply = rig.send(method, &uri, &[KEY], body).await;
        assert_eq!(reply.problem(), expect, "{uri}");
        assert_eq!(reply.header("retry-after"), "1", "{uri}");
        assert_eq!(reply.header("idempotency-key"), "k", "{uri}");
    }
}

#[tokio::test]
async fn every_write_is_accepted_under_any_key() {
    let rig = Rig::new();
    Hand::open(&rig, Role::Products).apply(product_row(10, 500, 1));
    let order_id = OrderId::of(UserId(1), "k").to_string();
    for (method, uri, body) in WRITES {
        let uri = uri.replace("{id}", &order_id);
        let before = rig.appended();
        for key in ["k", "\"k\""] {
            let method = method.parse().expect("a method");
            let headers = [("idempotency-key", key), ASYNC];
            let reply = rig.send(method, &uri, &headers, body).await;
            assert_eq!(reply.status, 202, "{uri}: {reply:?}");
            assert_eq!(reply.header("idempotency-key"), "k", "{uri}");
        }
        assert_eq!(rig.appended(), before + 2, "{uri}");
    }
}

#[tokio::test]
async fn keys_count_for_patch_as_for_post() {
    let rig = Rig::with(impatient(), true);
    let mut hand = Hand::open(&rig, Role::Products);
    hand.apply(product_row(10, 6, 9));
    let patch = |body: &'static str| rig.send(Method::PATCH, "/products/10", &[KEY], body);
    let play = async {
        let first = hand.product_command().await;
        hand.product_command().await;
        let told = outcome(Code::Ok);
        hand.answer(first.command.reply_to, (first.id, first.position), told);
        hand.apply(outcome_row(first.id, first.fingerprint, told));
        hand.project_until(2);
    };
    let (one, other, ()) = join!(patch(r#"{"price":6}"#), patch(r#"{"price":6}"#), play);
    assert_eq!((one.status.as_u16(), &one.text), (200, &other.text), "one is told with the other");
    let play = async {
        hand.product_command().await;
        hand.project_until(3);
    };
    let (reply, ()) = join!(patch(r#"{"price":7}"#), play);
    assert_eq!(reply.problem(), (422, "IDEMPOTENCY_KEY_REUSED"));
}

#[tokio::test]
async fn a_full_server_appends_nothing() {
    let limits = Limits { in_flight_max: 1, ..Limits::default() };
    let rig = Rig::with(limits, true);
    let mut hand = Hand::open(&rig, Role::Users);
    Hand::open(&rig, Role::Products).apply(product_row(10, 500, 1));
    let play = async {
        let asked = hand.user_command().await;
        check_refused(&rig, (429, "TOO_MANY_REQUESTS")).await;
        assert_eq!(rig.appended(), 1);
        assert_eq!(rig.get("/products").await.status, 200, "reads go on");
        hand.finish(&asked, Outcome { balance: Some(Money(500)), ..outcome(Code::Ok) });
    };
    let (reply, ()) = join!(rig.post("/balance/charge", &[WAIT], CHARGE), play);
    assert_eq!(reply.status, 200);
    assert_eq!(rig.post("/order", &[], ORDER).await.status, 202);
}

#[tokio::test]
async fn a_caller_who_hangs_up_gives_everything_back() {
    let rig = Rig::new();
    let request = rig.post("/balance/charge", &[WAIT], CHARGE);
    tokio::time::timeout(Duration::from_millis(20), request).await.expect_err("nobody answers");
    assert_eq!((rig.api.shop.waiters.seated(), rig.api.shop.admission.inside()), (0, 0));
}

/// The bug of a flash-sale project, jseckill 19: no acknowledgement in time was told as a failure.
#[tokio::test]
async fn jseckill_19_ack_timeout_reported_as_failed() {
    let rig = Rig::new();
    for happened in [true, false] {
        rig.log.fail_next(Fault::AppendUnknown { happened });
        let reply = rig.post("/order", &[KEY], ORDER).await;
        let order_id = OrderId::of(UserId(1), "k").to_string();
        assert_eq!(reply.problem(), (504, "OUTCOME_UNKNOWN"));
        assert_eq!(reply.header("location"), format!("/order/{order_id}"));
        assert_eq!((reply.text_of("orderId"), reply.header("idempotency-key")), (&*order_id, "k"));
    }
    let limits = Limits { append_timeout_ms: 20, ..Limits::default() };
    let stuck = Rig::with(limits, false);
    assert_eq!(stuck.post("/order", &[], ORDER).await.problem(), (504, "OUTCOME_UNKNOWN"));
}

#[tokio::test]
async fn a_broken_shop_takes_no_writes() {
    let rig = Rig::new();
    rig.health.is_failed.store(true, Ordering::SeqCst);
    let reply = rig.post("/order", &[], ORDER).await;
    assert_eq!((reply.problem(), reply.header("retry-after")), ((503, "UNAVAILABLE"), "1"));
    rig.health.is_failed.store(false, Ordering::SeqCst);
    assert_eq!(rig.appended(), 0);
    rig.api.shop.waiters.close();
    assert_eq!(rig.post("/order", &[], ORDER).await.problem(), (503, "UNAVAILABLE"));
    let closed = Rig::new();
    Hand::open(&closed, Role::Products).apply(product_row(10, 500, 1));
    closed.log.close();
    check_refused(&closed, (503, "UNAVAILABLE")).await;
    assert_eq!(closed.appended(), 0);
}

#[tokio::test]
async fn a_full_log_is_too_many_requests() {
    let rig = Rig::with_queue(Limits { append_timeout_ms: 20, ..Limits::default() }, false, 1);
    Hand::open(&rig, Role::Products).apply(product_row(10, 500, 1));
    assert_eq!(rig.post("/order", &[], ORDER).await.problem(), (504, "OUTCOME_UNKNOWN"));
    let before = rig.log.unsynced();
    check_refused(&rig, (429, "TOO_MANY_REQUESTS")).await;
    assert_eq!(rig.log.unsynced(), before);
    rig.log.sync();
    assert_eq!(rig.appended(), 1);
    let sync = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        rig.log.sync();
    };
    assert_eq!(join!(rig.post("/order", &[], ORDER), sync).0.status, 202, "there is room again");
}

#[tokio::test]
async fn the_stored_outcome_of_a_made_key_needs_no_fingerprint() {
    let rig = Rig::with(impatient(), true);
    let mut hand = Hand::open(&rig, Role::Users);
    let play = async {
        let asked = hand.user_command().await;
        let told = Outcome { balance: Some(Money(5)), ..outcome(Code::Ok) };
        hand.apply(outcome_row(asked.id, asked.fingerprint, told));
    };
    let (reply, ()) = join!(rig.post("/balance/charge", &[], CHARGE), play);
    assert_eq!(reply.json["balance"], 5);
    assert_eq!(rig.log.now(), NOW);
}
