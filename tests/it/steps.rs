//! Orders in more than one step, over the real binary: create and pay, cancel, refund, carts; and
//! what happens when several callers want the same thing at once.

use crate::shop::{Answer, Client, Shop, fresh_dir, verify};
use serde_json::{Value, json};

/// A shop with users 1 and 2, and product 1 at 100 won with 10 units.
async fn shop(data: &std::path::Path, args: &[&str]) -> (Shop, Client) {
    let shop = Shop::start(data, args).await;
    let client = shop.client();
    client.user(1).await;
    client.user(2).await;
    client.product(1, 100, 10).await;
    client.product(2, 30, 10).await;
    assert_eq!(client.charge(1, "funds", 10_000).await.status, 200);
    (shop, client)
}

async fn end(shop: Shop, data: &std::path::Path) {
    assert!(shop.terminate().0.success());
    verify(data);
}

/// Creates an order that is to be paid; its path.
async fn payable(client: &Client, key: &str, items: Value) -> String {
    let body = json!({"userId": 1, "items": items, "payment": "later"});
    let answer = client.post("/order", key, body).await;
    assert_eq!((answer.status, &answer.body["status"]), (201, &json!("PENDING")), "{answer:?}");
    assert!(answer.body["paymentDue"].is_string(), "{answer:?}");
    format!("/order/{}", answer.body["orderId"].as_str().expect("an id"))
}

async fn act(client: &Client, order: &str, what: &str, key: &str) -> Answer {
    client.post(&format!("{order}/{what}"), key, json!({"userId": 1})).await
}

/// The same call many times at once, each with its own key; the answers.
async fn at_once(client: &Client, times: usize, order: &str, what: &'static str) -> Vec<Answer> {
    let calls = (0..times).map(|n| {
        let (client, order) = (client.clone(), order.to_owned());
        tokio::spawn(async move { act(&client, &order, what, &format!("{what}-{n}")).await })
    });
    let mut answers = Vec::with_capacity(times);
    for call in calls.collect::<Vec<_>>() {
        answers.push(call.await.expect("an answer"));
    }
    answers
}

fn count(answers: &[Answer], status: u16, code: &str) -> usize {
    answers.iter().filter(|answer| answer.status == status && answer.code() == code).count()
}

/// A list's items, page by page.
async fn all(client: &Client, path: &str, name: &str, limit: usize) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("{path}&limit={limit}{cursor}")).await;
        assert_eq!(page.status, 200, "{page:?}");
        items.extend(page.body[name].as_array().expect("a list").iter().cloned());
        match page.body["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

fn statuses(history: &Value) -> Vec<&str> {
    let lines = history["history"].as_array().expect("a list");
    lines.iter().map(|line| line["status"].as_str().expect("a status")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn create_and_pay_in_two_steps() {
    let data = fresh_dir();
    let (shop, client) = shop(data.path(), &[]).await;
    let order = payable(&client, "o", json!([{"productId": 1, "quantity": 2}])).await;
    client.stock_becomes(1, 8).await;
    assert_eq!(client.balance(1).await, 10_000, "nothing is paid yet");
    let paid = act(&client, &order, "payment", "p").await;
    assert_eq!((paid.status, &paid.body["status"]), (200, &json!("SUCCESS")), "{paid:?}");
    let again = act(&client, &order, "payment", "p").await;
    assert_eq!((again.status, &again.body), (200, &paid.body), "a known key, the earlier result");
    assert_eq!(client.balance(1).await, 9_800);
    let history = client.get(&format!("{order}/history")).await.body;
    assert_eq!(statuses(&history), ["PENDING", "SUCCESS"]);
    end(shop, data.path()).await;
}

/// ME-14770 again, with two steps: a hundred payments at once, each with a key of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_payments_at_once_pay_once() {
    let data = fresh_dir();
    let (shop, client) = shop(data.path(), &[]).await;
    let order = payable(&client, "o", json!([{"productId": 1, "quantity": 2}])).await;
    let answers = at_once(&client, 100, &order, "payment").await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
    assert_eq!(count(&answers, 409, "ORDER_NOT_PENDING"), 99);
    assert_eq!(client.balance(1).await, 9_800);
    end(shop, data.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn want_of_money_fails_the_order_and_gives_the_stock_back() {
    let data = fresh_dir();
    let (shop, client) = shop(data.path(), &[]).await;
    client.product(3, 6_000, 5).await;
    let order = payable(&client, "o", json!([{"productId": 3, "quantity": 2}])).await;
    client.stock_becomes(3, 3).await;
    let refused = act(&client, &order, "payment", "p").await;
    assert_eq!((refused.status, refused.code()), (402, "INSUFFICIENT_BALANCE"), "{refused:?}");
    assert!(order.ends_with(refused.body["orderId"].as_str().expect("an id")));
    client.stock_becomes(3, 5).await;
    let row = client.get(&order).await.body;
    let reason = json!("INSUFFICIENT_BALANCE");
    assert_eq!((&row["status"], &row["reason"]), (&json!("FAILED"), &reason), "{row}");
    let history = client.get(&format!("{order}/history")).await.body;
    assert_eq!(statuses(&history), ["PENDING", "FAILED"]);
    assert_eq!(history["history"][1]["reason"], reason);
    assert_eq!(client.balance(1).await, 10_000);
    end(shop, data.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpaid_order_expires_and_a_kill_forgets_no_deadline() {
    let data = fresh_dir();
    let (shop, client) = shop(data.path(), &["--order-deadline-s", "3"]).await;
    let items = json!([{"productId": 1, "quantity": 4}, {"productId": 2, "quantity": 1}]);
    let order = payable(&client, "o", items).await;
    client.stock_becomes(1, 6).await;
    shop.kill();
    let shop = Shop::start(data.path(), &["--order-deadline-s", "3"]).await;
    let client = shop.client();
    client.stock_becomes(1, 10).await;
    client.stock_becomes(2, 10).await;
    let row = client.get(&order).await.body;
    assert_eq!((&row["status"], &row["reason"]), (&json!("FAILED"), &json!("EXPIRED")), "{row}");
    let late = act(&client, &order, "payment", "p").await;
    assert_eq!((late.status, late.code()), (409, "ORDER_EXPIRED"), "{late:?}");
    assert_eq!(client.balance(1).await, 10_000);
    end(shop, data.path()).await;
}

/// Whoever comes first decides: a payment and a cancel at once, many times.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_and_a_cancel_at_once() {
    let data = fresh_dir();
    let (shop, client) = shop(data.path(), &[]).await;
    client.product(9, 10, 1_000).await;
    let mut sold = 0;
    for n in 0..50 {
        let key = format!("o{n}");
        let order = payable(&client, &key, json!([{"productId": 9, "quantity": 1}])).await;
        let (pay, cancel) = (format!("p{n}"), format!("c{n}"));
        let (paid, cancelled) = tokio::join!(
            act(&client, &order, "payment", &pay),
            act(&client, &order, "cancel", &cancel)
        );
        let row = client.get(&order).await.body;
        match (paid.status, cancelled.status) {
            (200, 409) => {
                assert_eq!(row["status"], "SUCCESS");
                sold += 1;
            }
            (409, 200) => assert_eq!(row["reason"], "CANCELLED", "{row}"),
            _ => panic!("{paid:?} and {cancelled:?}"),
        }
    }
    client.stock_becomes(9, 1_000 - sold).await;
    assert_eq!(client.balance(1).await, 10_000 - 10 * sold);
    end(shop, data.path()).await;
}

/// BL-315, VE-868: refunds at once, and again and again, give back what was paid and no more.
#[tokio::test(flavor = "multi_thread")]
async fn refunds_at_once_give_back_once() {
    let data = fresh_dir();
    let (shop, client) = shop(data.path(), &[]).await;
    let order = client.order(1, "o", &[(1, 5), (2, 1)]).await;
    let order = format!("/order/{}", order.body["orderId"].as_str().expect("an id"));
    let refund = format!("{order}/refund");
    let body = json!({"userId": 1, "items": [{"productId": 1, "quantity": 2}]});
    let some = client.post(&refund, "r1", body.clone()).await;
    assert_eq!((some.status, &some.body["status"]), (200, &json!("SUCCESS")), "{some:?}");
    assert_eq!(some.body["items"][0]["refundedQuantity"], 2);
    let again = client.post(&refund, "r1", body).await;
    assert_eq!((again.status, &again.body), (200, &some.body));
    assert_eq!(client.balance(1).await, 10_000 - 530 + 200);
    let answers = at_once(&client, 50, &order, "refund").await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
    assert_eq!(count(&answers, 409, "REFUND_EXCEEDS"), 49);
    assert_eq!(client.get(&order).await.body["status"], "REFUNDED");
    assert_eq!(client.balance(1).await, 10_000);
    client.stock_becomes(1, 10).await;
    client.stock_becomes(2, 10).await;
    let entries = all(&client, "/balance/entries?userId=1", "entries", 2).await;
    let deltas: Vec<_> = entries.iter().map(|entry| entry["delta"].as_i64()).collect();
    assert_eq!(deltas, [Some(330), Some(200), Some(-530), Some(10_000)]);
    let top = client.get("/products/top").await.body;
    assert_eq!(top["products"], json!([]), "what came back was not sold");
    end(shop, data.path()).await;
}

/// Two orders never buy one cart, however many want to.
#[tokio::test(flavor = "multi_thread")]
async fn one_cart_is_bought_once() {
    let data = fresh_dir();
    let (shop, client) = shop(data.path(), &[]).await;
    let add = |product: u64, quantity: i64| json!({"userId": 1, "productId": product, "quantity": quantity});
    assert_eq!(client.post("/cart/add", "a1", add(1, 2)).await.status, 200);
    let cart = client.post("/cart/add", "a2", add(2, 1)).await;
    assert_eq!((cart.status, &cart.body["totalPrice"]), (200, &json!(230)), "{cart:?}");
    let orders = (0..20).map(|n| {
        let client = client.clone();
        let body = json!({"userId": 1, "fromCart": true});
        tokio::spawn(async move { client.post("/order", &format!("o{n}"), body).await })
    });
    let mut answers = Vec::new();
    for order in orders.collect::<Vec<_>>() {
        answers.push(order.await.expect("an answer"));
    }
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "{answers:?}");
    assert_eq!(count(&answers, 409, "CART_EMPTY"), 19);
    assert_eq!(client.balance(1).await, 9_770);
    assert_eq!(client.get("/cart?userId=1").await.body["items"], json!([]));
    end(shop, data.path()).await;
}

/// VE-1738: a failed order gives the cart back as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_order_gives_the_cart_back() {
    let data = fresh_dir();
    let (shop, client) = shop(data.path(), &[]).await;
    client.product(3, 10, 0).await;
    for (key, product) in [("a", 1), ("b", 3)] {
        let body = json!({"userId": 1, "productId": product, "quantity": 1});
        assert_eq!(client.post("/cart/add", key, body).await.status, 200);
    }
    let before = client.get("/cart?userId=1").await.body;
    let refused = client.post("/order", "o", json!({"userId": 1, "fromCart": true})).await;
    assert_eq!((refused.status, refused.code()), (409, "OUT_OF_STOCK"), "{refused:?}");
    assert_eq!(client.get("/cart?userId=1").await.body, before);
    let gone = client.delete("/cart/remove?userId=1&productId=3", "r").await;
    assert_eq!(gone.status, 200, "{gone:?}");
    assert_eq!(
        client.post("/order", "o2", json!({"userId": 1, "fromCart": true})).await.status,
        201
    );
    client.stock_becomes(1, 9).await;
    end(shop, data.path()).await;
}

/// A user's orders, newest first, page by page, each once; and nobody else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_lists_its_orders() {
    let data = fresh_dir();
    let (shop, client) = shop(data.path(), &[]).await;
    let mut ids = Vec::new();
    for n in 0..7 {
        let order = client.order(1, &format!("o{n}"), &[(1, if n == 3 { 11 } else { 1 })]).await;
        ids.push(order.body["orderId"].as_str().expect("an id").to_owned());
    }
    ids.reverse();
    let listed = all(&client, "/order?userId=1", "orders", 3).await;
    let found: Vec<_> = listed.iter().filter_map(|order| order["orderId"].as_str()).collect();
    assert_eq!(found, ids);
    assert_eq!(listed[3]["reason"], "OUT_OF_STOCK", "refused orders keep their reason");
    assert!(all(&client, "/order?userId=2", "orders", 3).await.is_empty());
    end(shop, data.path()).await;
}
