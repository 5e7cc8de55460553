//! Stock and prices while orders run.

use crate::{
    ground,
    shop::{Shop, fresh_dir, verify},
};
use jupan_log::ReadLimit;
use jupan_schemas::{Account, TopicId, topics::PRODUCT_JOURNAL};
use serde_json::json;
use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Every value that the available units of a product had, by the journal.
async fn stocks_of(data: &Path, product: u64) -> BTreeSet<i64> {
    let log = ground::log(data);
    let codec = ground::codec(data).await;
    let mut stocks = BTreeSet::new();
    for partition in 0..log.partitions() {
        let mut from = 0;
        loop {
            let limit = ReadLimit { records_max: 1_000, bytes_max: 1 << 20 };
            let batch =
                log.read(TopicId::ProductJournal, partition, from, limit).expect("it reads");
            if batch.records.is_empty() {
                break;
            }
            from = batch.next;
            for record in batch.records {
                let step = PRODUCT_JOURNAL.decode(&codec, &record.value).expect("a step");
                let postings = step.entries.iter().flat_map(|entry| &entry.postings);
                let of_product =
                    postings.filter(|p| p.account == Account::Available && p.owner == product);
                stocks.extend(of_product.map(|posting| posting.balance));
            }
        }
    }
    stocks
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_values_of_the_journal_and_never_go_back() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), &[]).await;
    let client = shop.client();
    client.product(7, 1, 100_000).await;
    for user in 1..=8 {
        client.user(user).await;
        assert_eq!(client.charge(user, "c", 1_000_000).await.status, 200);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (client, stop) = (client.clone(), stop.clone());
            tokio::spawn(async move {
                let mut seen = vec![client.stock(7).await];
                while !stop.load(Ordering::Acquire) {
                    seen.push(client.stock(7).await);
                }
                seen
            })
        })
        .collect();
    let buyers: Vec<_> = (1..=8u64)
        .map(|user| {
            let client = client.clone();
            tokio::spawn(async move {
                for order in 0..60i64 {
                    let answer =
                        client.order(user, &format!("o{order}"), &[(7, 1 + order % 3)]).await;
                    assert_eq!(answer.status, 201, "{answer:?}");
                }
            })
        })
        .collect();
    for buyer in buyers {
        buyer.await.expect("all orders");
    }
    stop.store(true, Ordering::Release);
    let mut seen = BTreeSet::new();
    for reader in readers {
        let values = reader.await.expect("a reader");
        // Every order succeeds, so the stock only falls: a rise would be an older row after a newer one.
        assert!(values.is_sorted_by(|a, b| a >= b), "a reader went back: {values:?}");
        seen.extend(values);
    }
    client.stock_becomes(7, 100_000 - 8 * 20 * (1 + 2 + 3)).await;
    assert!(shop.terminate().0.success());
    let journal = stocks_of(data.path(), 7).await;
    assert!(seen.len() > 10, "the readers saw the stock move: {}", seen.len());
    assert!(seen.is_subset(&journal), "not in the journal: {:?}", seen.difference(&journal));
    verify(data.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_price_is_what_the_next_order_pays() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), &[]).await;
    let client = shop.client();
    client.product(1, 100, 1_000).await;
    client.user(1).await;
    assert_eq!(client.charge(1, "c", 1_000_000).await.status, 200);
    let mut expected = 1_000_000;
    for price in [100, 250, 1, 0, 999] {
        let changed =
            client.patch("/products/1", &format!("p{price}"), json!({"price": price})).await;
        assert_eq!((changed.status, changed.body["price"].as_i64()), (200, Some(price)));
        let order = client.order(1, &format!("o{price}"), &[(1, 2)]).await;
        assert_eq!((order.status, order.body["totalPrice"].as_i64()), (201, Some(2 * price)));
        assert_eq!(order.body["items"][0]["price"].as_i64(), Some(price));
        expected -= 2 * price;
        assert_eq!(client.balance(1).await, expected);
        let end = Instant::now() + Duration::from_secs(5);
        while client.get("/products/1").await.body["price"].as_i64() != Some(price) {
            assert!(Instant::now() < end, "GET shows the new price within 5 s");
        }
    }
    let history = client.order(1, "h", &[(1, 1)]).await.body;
    let path = format!("/order/{}/history", history["orderId"].as_str().expect("an id"));
    let history = client.get(&path).await.body["history"].clone();
    let statuses: Vec<_> =
        history.as_array().expect("lines").iter().map(|l| l["status"].clone()).collect();
    assert_eq!(statuses, ["PENDING", "SUCCESS"]);
    assert!(shop.terminate().0.success());
    verify(data.path());
}
