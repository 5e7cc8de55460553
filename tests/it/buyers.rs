//! A flash sale: many buyers, few units.

use crate::shop::{Shop, fresh_dir, verify};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::Semaphore;

/// Connections at once: the system keeps no more waiting than a thousand or so.
const CONNECTIONS: usize = 500;

/// VE-3508, ME-16569 over HTTP: nothing oversold, nothing left unsold.
#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_buyers_of_a_hundred_units() {
    const BUYERS: u64 = 5_000;
    let data = fresh_dir();
    let shop = Shop::start(data.path(), &[]).await;
    let client = shop.client();
    client.product(1, 10, 100).await;
    let users: Vec<_> = (1..=50u64)
        .map(|user| {
            let client = client.clone();
            tokio::spawn(async move {
                client.user(user).await;
                assert_eq!(client.charge(user, "c", 1_000_000).await.status, 200);
            })
        })
        .collect();
    for user in users {
        user.await.expect("a user with money");
    }
    let doors = Arc::new(Semaphore::new(CONNECTIONS));
    let buyers: Vec<_> = (0..BUYERS)
        .map(|buyer| {
            let (client, doors) = (client.clone(), doors.clone());
            tokio::spawn(async move {
                let _door = doors.acquire().await.expect("open");
                let answer = client.order(buyer % 50 + 1, &format!("b{buyer}"), &[(1, 1)]).await;
                match answer.status {
                    201 => answer.body["status"].as_str().unwrap_or_default().to_owned(),
                    _ => answer.code().to_owned(),
                }
            })
        })
        .collect();
    let mut ends = BTreeMap::new();
    for buyer in buyers {
        *ends.entry(buyer.await.expect("an end")).or_insert(0) += 1;
    }
    let expected =
        BTreeMap::from([("SUCCESS".to_owned(), 100), ("OUT_OF_STOCK".to_owned(), 4_900)]);
    assert_eq!(ends, expected);
    client.stock_becomes(1, 0).await;
    let mut spent = 0;
    for user in 1..=50 {
        spent += 1_000_000 - client.balance(user).await;
    }
    assert_eq!(spent, 1_000, "100 units at 10");
    assert!(shop.terminate().0.success());
    verify(data.path());
}
