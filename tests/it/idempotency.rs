//! One key, one effect, one answer.

use crate::shop::{Shop, fresh_dir, order_body, verify};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn one_key_a_hundred_times_in_parallel() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), &[]).await;
    let client = shop.client();
    client.user(1).await;
    client.product(1, 100, 1_000).await;
    assert_eq!(client.charge(1, "funds", 100_000).await.status, 200);
    for (path, body, status) in [
        ("/balance/charge", json!({"userId": 1, "amount": 7}), 200),
        ("/order", order_body(1, &[(1, 3)]), 201),
        ("/order", order_body(1, &[(1, 2_000)]), 409),
        ("/products/1/restock", json!({"quantity": 5}), 200),
    ] {
        let key = format!("same-{path}-{status}");
        let askers: Vec<_> = (0..100)
            .map(|_| {
                let (client, key, body) = (client.clone(), key.clone(), body.clone());
                tokio::spawn(async move { client.post(path, &key, body).await })
            })
            .collect();
        let mut answers = Vec::new();
        for asker in askers {
            let mut answer = asker.await.expect("an answer");
            assert_eq!(answer.status, status, "{answer:?}");
            if let Some(body) = answer.body.as_object_mut() {
                body.remove("traceId");
            }
            answers.push(answer);
        }
        assert!(answers.windows(2).all(|pair| pair[0].body == pair[1].body), "{path}: one answer");
    }
    assert_eq!(client.balance(1).await, 100_000 + 7 - 300);
    client.stock_becomes(1, 1_000 - 3 + 5).await;
    let reused = client.charge(1, "funds", 1).await;
    assert_eq!((reused.status, reused.code()), (422, "IDEMPOTENCY_KEY_REUSED"));
    let reused = client.order(1, "funds", &[(1, 1)]).await;
    assert_eq!((reused.status, reused.code()), (422, "IDEMPOTENCY_KEY_REUSED"));
    assert!(shop.terminate().0.success());
    verify(data.path());
}

/// FL-1633, RE-5269: the first outcome survives a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_a_kill_gets_the_first_outcome() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), &[]).await;
    let client = shop.client();
    client.user(1).await;
    client.product(1, 100, 1).await;
    let charge = client.charge(1, "c", 1_000).await;
    let order = client.order(1, "o", &[(1, 1)]).await;
    let refused = client.order(1, "p", &[(1, 1)]).await;
    assert_eq!((charge.status, order.status, refused.status), (200, 201, 409));
    shop.kill();
    let shop = Shop::start(data.path(), &[]).await;
    let client = shop.client();
    assert_eq!(client.charge(1, "c", 1_000).await.body, charge.body);
    assert_eq!(client.order(1, "o", &[(1, 1)]).await.body["orderId"], order.body["orderId"]);
    assert_eq!(client.order(1, "p", &[(1, 1)]).await.code(), "OUT_OF_STOCK");
    assert_eq!(client.balance(1).await, 900);
    client.stock_becomes(1, 0).await;
    assert!(shop.terminate().0.success());
    verify(data.path());
}
