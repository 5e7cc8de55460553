//! One space of keys: over HTTP and the log alike, for 15 days, and for orders for ever.

use crate::{
    engine::Engine,
    shop::{Client, fresh_dir, order_body, verify},
};
use jupan_log::{Log, ManualClock};
use jupan_schemas::*;
use jupan_store::ReadStore;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// A shop with user 1 and product 1, at a time that only the test moves.
async fn shop(engine: &Engine) -> Client {
    let client = Client::new(&engine.serve().await);
    client.user(1).await;
    client.product(1, 100, 100).await;
    client
}

fn charge(amount: i64) -> UserPayload {
    UserPayload::ChargeBalance(ChargeBalance { amount: Money(amount) })
}

/// Waits until the lane has decided so many commands with this key.
async fn decided(engine: &Engine, key: &str, count: usize) -> Vec<(Verdict, Code)> {
    let id = CommandId::of(Role::Users, 1, key);
    loop {
        let entries = engine.entries(Role::Users).into_iter();
        let of_key = entries.filter(|(_, entry)| entry.command_id == Some(id));
        let found: Vec<_> = of_key.map(|(_, entry)| (entry.verdict, entry.code)).collect();
        if found.len() >= count {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_and_the_log_share_one_space_of_keys() {
    let data = fresh_dir();
    let mut engine = Engine::open(data.path(), 2);
    let client = shop(&engine).await;
    // HTTP first, then another system with the same wish, and with another one.
    let first = client.charge(1, "http-first", 500).await;
    assert_eq!((first.status, &first.body["balance"]), (200, &json!(500)), "{first:?}");
    engine.user(1, "http-first", charge(500)).await;
    engine.user(1, "http-first", charge(501)).await;
    let reused = (Verdict::Refused, Code::IdempotencyKeyReused);
    assert_eq!(
        decided(&engine, "http-first", 3).await,
        [(Verdict::Accepted, Code::Ok), (Verdict::Duplicate, Code::Ok), reused]
    );
    // Another system first.
    engine.user(1, "log-first", charge(70)).await;
    decided(&engine, "log-first", 1).await;
    let again = client.charge(1, "log-first", 70).await;
    assert_eq!((again.status, &again.body["balance"]), (200, &json!(570)));
    let other = client.charge(1, "log-first", 71).await;
    assert_eq!((other.status, other.code()), (422, "IDEMPOTENCY_KEY_REUSED"));
    // An order, and its key for something else.
    let items = vec![Line { product_id: ProductId(1), quantity: Units(2) }];
    let place = PlaceOrder { items, from_cart: false, payment: Payment::Now };
    engine.user(1, "order", UserPayload::PlaceOrder(place)).await;
    let order = client.order(1, "order", &[(1, 2)]).await;
    assert_eq!((order.status, &order.body["status"]), (201, &json!("SUCCESS")), "{order:?}");
    assert_eq!(client.charge(1, "order", 5).await.code(), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(client.balance(1).await, 370);
    engine.close();
    verify(data.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_for_15_days_and_an_order_for_ever() {
    let data = fresh_dir();
    let clock = Arc::new(ManualClock::at(Micros(1_790_000_000 * Micros::SECOND)));
    let engine = Engine::open_at(data.path(), 1, clock.clone());
    let client = shop(&engine).await;
    assert_eq!(client.charge(1, "k", 1_000).await.body["balance"], 1_000);
    let order = client.order(1, "o", &[(1, 1)]).await;
    assert_eq!(order.status, 201, "{order:?}");
    let path = format!("/order/{}", order.body["orderId"].as_str().expect("an id"));
    let later =
        json!({"userId": 1, "items": [{"productId": 1, "quantity": 1}], "payment": "later"});
    let held = client.post("/order", "later", later.clone()).await;
    assert_eq!((held.status, &held.body["status"]), (201, &json!("PENDING")), "{held:?}");
    let pay = format!("/order/{}/payment", held.body["orderId"].as_str().expect("an id"));
    let paid = client.post(&pay, "p", json!({"userId": 1})).await;
    assert_eq!((paid.status, &paid.body["status"]), (200, &json!("SUCCESS")), "{paid:?}");

    clock.advance(15 * Micros::DAY);
    assert_eq!(client.charge(1, "k", 1_000).await.body["balance"], 1_000, "the first answer");
    assert_eq!(client.charge(1, "k", 1_001).await.code(), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(client.post(&pay, "p", json!({"userId": 1})).await.status, 200);
    assert_eq!(client.balance(1).await, 800);

    clock.advance(Micros::MINUTE);
    assert_eq!(client.charge(1, "k", 1_001).await.body["balance"], 1_801, "a new charge");
    let again = client.post(&pay, "p", json!({"userId": 1})).await;
    assert_eq!(again.code(), "ORDER_NOT_PENDING", "decided anew, and paid once all the same");
    clock.advance(400 * Micros::DAY);
    let again = client.order(1, "o", &[(1, 1)]).await;
    assert_eq!((again.status, &again.body["orderId"]), (201, &order.body["orderId"]));
    assert_eq!(client.order(1, "o", &[(1, 2)]).await.code(), "IDEMPOTENCY_KEY_REUSED");
    let again = client.post("/order", "later", later).await;
    assert_eq!((again.status, &again.body["status"]), (201, &json!("SUCCESS")), "{again:?}");
    assert_eq!(client.get(&path).await.body["status"], "SUCCESS");
    assert_eq!(client.balance(1).await, 1_801);
    engine.close();
    verify(data.path());
}

/// A deadline passes by the log's time, whatever the machine's clock says.
#[tokio::test(flavor = "multi_thread")]
async fn an_unpaid_order_expires_by_the_logs_time() {
    let data = fresh_dir();
    let clock = Arc::new(ManualClock::at(Micros(1_790_000_000 * Micros::SECOND)));
    let engine = Engine::open_at(data.path(), 1, clock.clone());
    let client = shop(&engine).await;
    client.charge(1, "c", 1_000).await;
    let mut body = order_body(1, &[(1, 3)]);
    body["payment"] = json!("later");
    let held = client.post("/order", "later", body).await;
    let order = held.body["orderId"].as_str().expect("an id").to_owned();
    client.stock_becomes(1, 97).await;
    clock.advance(15 * Micros::MINUTE + Micros::SECOND);
    let pay = format!("/order/{order}/payment");
    let late = client.post(&pay, "p", json!({"userId": 1})).await;
    assert_eq!((late.status, late.code()), (409, "ORDER_EXPIRED"), "{late:?}");
    client.stock_becomes(1, 100).await;
    let row = client.get(&format!("/order/{order}")).await.body;
    assert_eq!((&row["status"], &row["reason"]), (&json!("FAILED"), &json!("EXPIRED")), "{row}");
    assert_eq!(client.balance(1).await, 1_000);
    let held = engine.store.product(ProductId(1)).await.expect("it reads").expect("it is there");
    assert_eq!((held.reserved, held.sold), (Units::ZERO, Units::ZERO));
    assert_eq!(engine.log.partitions(), 1);
    engine.close();
    verify(data.path());
}
