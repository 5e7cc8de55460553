//! `--demo`: what it promises, once and never twice, and only in a directory of its own.

use crate::shop::{Client, Shop, binary, fresh_dir, verify};
use serde_json::json;
use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// Ids, prices and stock of the products, as front ends and their tests may rely on.
const PRODUCTS: [(u64, i64, i64); 12] = [
    (101, 38_000, 40),
    (102, 14_000, 120),
    (103, 12_500, 200),
    (104, 68_000, 15),
    (105, 45_000, 3),
    (106, 9_000, 300),
    (107, 16_000, 150),
    (108, 22_000, 60),
    (109, 27_000, 48),
    (110, 89_000, 0),
    (111, 24_000, 75),
    (112, 31_000, 25),
];
const WALLET: i64 = 1_000_000;

/// The demo as it is promised: every product, every user, every wallet charged exactly once.
async fn check_fresh(client: &Client) {
    let products = client.get("/products").await.body;
    let products = products["products"].as_array().expect("products");
    let number = |value: &serde_json::Value| value.as_i64().expect("a number");
    let found: Vec<_> = products
        .iter()
        .map(|p| (p["id"].as_u64().expect("an id"), number(&p["price"]), number(&p["stock"])))
        .collect();
    assert_eq!(found, PRODUCTS);
    for user in 1..=10 {
        let entries = client.get(&format!("/balance/entries?userId={user}")).await.body;
        let kinds: Vec<_> = entries["entries"].as_array().expect("entries").iter().collect();
        assert_eq!(kinds.len(), 1, "user {user}: {kinds:?}");
        assert_eq!((&kinds[0]["kind"], number(&kinds[0]["delta"])), (&json!("CHARGE"), WALLET));
        assert_eq!(client.balance(user).await, WALLET, "user {user}");
    }
    assert_eq!(client.get("/users/11").await.code(), "USER_NOT_FOUND");
}

/// Commands that a shop took since its start.
async fn appended(client: &Client) -> f64 {
    let metrics = client.get("/metrics").await.body;
    let lines = metrics.as_str().expect("text").lines();
    let appends = lines.filter(|line| line.starts_with("jupan_http_appends_total{"));
    let counts: Vec<f64> = appends
        .map(|line| line.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a number"))
        .collect();
    assert!(!counts.is_empty(), "{metrics}");
    counts.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_is_there_when_the_shop_is_ready_and_stays_as_it_is_left() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), &["--demo"]).await;
    let client = shop.client();
    check_fresh(&client).await;
    assert_eq!(appended(&client).await, 32.0, "12 products, 10 users, 10 charges");
    let hint = client.get("/").await.body.to_string();
    assert!(hint.contains("users 1 to 10"), "{hint}");
    assert_eq!(client.order(3, "all", &[(105, 3)]).await.status, 201);
    assert_eq!(client.order(4, "tea", &[(101, 26)]).await.status, 201);
    client.stock_becomes(105, 0).await;
    assert!(shop.terminate().0.success());
    // The second start writes nothing, whatever keys may be forgotten by then.
    let shop = Shop::start(data.path(), &["--demo"]).await;
    let client = shop.client();
    assert_eq!(appended(&client).await, 0.0);
    assert_eq!((client.stock(105).await, client.stock(101).await), (0, 14));
    assert_eq!(client.balance(3).await, WALLET - 3 * 45_000);
    assert!(shop.terminate().0.success());
    // Without the flag it is a shop like any other.
    let shop = Shop::start(data.path(), &[]).await;
    assert_eq!(shop.client().stock(101).await, 14);
    assert!(shop.terminate().0.success());
    verify(data.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_that_was_killed_while_it_was_made_is_completed_and_never_doubled() {
    for round in 0..12u64 {
        let data = fresh_dir();
        // The first kill comes before anything is there, the last ones when all of it is.
        for delay_ms in [round * 9, round * 5] {
            start_and_kill(data.path(), Duration::from_millis(delay_ms)).await;
        }
        let shop = Shop::start(data.path(), &["--demo"]).await;
        check_fresh(&shop.client()).await;
        assert!(shop.terminate().0.success());
        verify(data.path());
    }
}

async fn start_and_kill(data: &Path, delay: Duration) {
    let mut child = Command::new(binary())
        .args(["--demo", "--listen", "127.0.0.1:0", "--trace", "warn", "--data"])
        .arg(data)
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary starts");
    tokio::time::sleep(delay).await;
    child.kill().expect("it was running");
    child.wait().expect("it ends");
}

/// What is missing is added; a wallet that is empty because its money was spent is left alone.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_looked_at_before_anything_is_written() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), &[]).await;
    let client = shop.client();
    client.user(1).await;
    client.user(2).await;
    client.product(101, 500, 2).await;
    assert_eq!(client.charge(2, "own", 1_000).await.status, 200);
    assert_eq!(client.order(2, "spent", &[(101, 2)]).await.status, 201);
    assert_eq!(client.balance(2).await, 0);
    client.stock_becomes(101, 0).await;
    assert!(shop.terminate().0.success());
    std::fs::write(data.path().join("demo.json"), "{}").expect("written");
    let shop = Shop::start(data.path(), &["--demo"]).await;
    let client = shop.client();
    // 11 products, 8 users, 9 charges.
    assert_eq!(appended(&client).await, 28.0);
    assert_eq!((client.balance(1).await, client.balance(2).await), (WALLET, 0));
    assert_eq!((client.stock(101).await, client.stock(102).await), (0, 120));
    assert!(shop.terminate().0.success());
    verify(data.path());
}

/// A demo that must not start: why, in words that its standard error must have. One that starts is
/// ended by `timeout`, whose exit code is another.
fn check_refusal(data: &Path, args: &[&str], words: &str) {
    let output = Command::new("timeout")
        .arg("30")
        .arg(binary())
        .args(["--demo", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .args(args)
        .output()
        .expect("the binary runs");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains(words) && !errors.contains("panicked"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_shop_is_left_alone() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), &[]).await;
    shop.client().user(7).await;
    assert!(shop.terminate().0.success());
    let before = verify(data.path());
    check_refusal(data.path(), &[], "did not make");
    assert!(!data.path().join("demo.json").exists());
    let after = verify(data.path());
    for fact in ["steps", "entries", "stateHash"] {
        assert_eq!(after["facts"][fact], before["facts"][fact], "{fact}");
    }
    let shop = Shop::start(data.path(), &[]).await;
    assert_eq!(shop.client().get("/users/1").await.status, 404);
    assert_eq!(shop.client().get("/products").await.body, json!({"products": []}));
}

/// A shop that was started once and never used is nobody's yet.
#[tokio::test(flavor = "multi_thread")]
async fn an_unused_directory_becomes_the_demos() {
    let data = fresh_dir();
    assert!(Shop::start(data.path(), &[]).await.terminate().0.success());
    let shop = Shop::start(data.path(), &["--demo"]).await;
    check_fresh(&shop.client()).await;
}

#[test]
fn limits_that_forbid_the_demos_charge_are_named() {
    let data = fresh_dir();
    check_refusal(&data.path().join("data"), &["--charge-max", "999999"], "--charge-max");
    assert!(!data.path().join("data").exists(), "nothing was made");
}
