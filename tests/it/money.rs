//! Wallets over HTTP.

use crate::shop::{Shop, fresh_dir, verify};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_parallel_charges_of_one_user() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), &[]).await;
    let client = shop.client();
    client.user(1).await;
    let charges: Vec<_> = (1..=1_000i64)
        .map(|amount| {
            let client = client.clone();
            tokio::spawn(
                async move { client.charge(1, &format!("c{amount}"), amount).await.status },
            )
        })
        .collect();
    for charge in charges {
        assert_eq!(charge.await.expect("an answer"), 200);
    }
    assert_eq!(client.balance(1).await, 500_500);
    let (mut deltas, mut path) = (Vec::new(), "/balance/entries?userId=1&limit=77".to_owned());
    loop {
        let page = client.get(&path).await.body;
        let entries = page["entries"].as_array().expect("entries").clone();
        deltas.extend(entries.iter().map(|entry| entry["delta"].as_i64().expect("a delta")));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/balance/entries?userId=1&limit=77&cursor={next}");
    }
    deltas.sort_unstable();
    assert_eq!(deltas, (1..=1_000).collect::<Vec<_>>(), "the statement has each charge once");
    assert!(shop.terminate().0.success());
    verify(data.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_clear_and_change_nothing() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), &[]).await;
    let client = shop.client();
    client.user(1).await;
    client.product(1, 500, 10).await;
    assert_eq!(client.charge(1, "c", 999).await.body, json!({"userId": 1, "balance": 999}));
    let order = |user: u64, key: &'static str, items: &'static [(u64, i64)]| {
        let client = client.clone();
        async move { client.order(user, key, items).await }
    };
    let cases = [
        (client.charge(1, "negative", -5).await, 400, "INVALID_AMOUNT"),
        (client.charge(1, "zero", 0).await, 400, "INVALID_AMOUNT"),
        (client.charge(1, "huge", 10_000_001).await, 400, "INVALID_AMOUNT"),
        (client.charge(2, "nobody", 5).await, 404, "USER_NOT_FOUND"),
        (order(1, "poor", &[(1, 2)]).await, 402, "INSUFFICIENT_BALANCE"),
        (order(1, "unknown", &[(1, 1), (2, 1)]).await, 404, "PRODUCT_NOT_FOUND"),
        (order(1, "many", &[(1, 6), (1, 5)]).await, 409, "OUT_OF_STOCK"),
        (order(1, "none", &[]).await, 400, "INVALID_LINES"),
        (order(1, "minus", &[(1, -1)]).await, 400, "INVALID_QUANTITY"),
        (order(3, "stranger", &[(1, 1)]).await, 404, "USER_NOT_FOUND"),
    ];
    for (answer, status, code) in cases {
        assert_eq!((answer.status, answer.code()), (status, code), "{answer:?}");
    }
    assert_eq!(client.balance(1).await, 999);
    client.stock_becomes(1, 10).await;
    assert_eq!(order(1, "rich-enough", &[(1, 1)]).await.status, 201);
    assert_eq!(client.balance(1).await, 499);
    client.stock_becomes(1, 9).await;
    assert!(shop.terminate().0.success());
    let facts = verify(data.path());
    assert!(facts.to_string().contains("FAILED"), "{facts}");
}
