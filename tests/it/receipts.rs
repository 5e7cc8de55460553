//! Replaying order files: the end is the same however often the shop or the replay is killed, and
//! the best sellers are those of a program that shares no code with ours.

use crate::shop::{Shop, binary, fresh_dir, verify};
use serde_json::Value;
use std::{
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

const SHOP: &[&str] = &["--clock", "event", "--sales-days", "120"];

fn file(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/receipts").join(name);
    path.to_string_lossy().into_owned()
}

fn replay(url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(["replay", "--json", "--url", url, "--products", &file("products.csv.gz")])
        .args(["--orders", &file("orders.csv.gz")])
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn summary(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "replay: {}\n{text}\n{errors}", output.status);
    serde_json::from_str(text.lines().last().unwrap_or_default()).expect("a summary")
}

/// The best sellers by a plain Python program over the file.
fn brute_force(args: &[&str]) -> Vec<Value> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/top_sellers.py");
    let output = Command::new("python3")
        .arg(script)
        .arg(file("orders.csv.gz"))
        .args(["--json"])
        .args(args)
        .output()
        .expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect()
}

/// Ranks as (product, units, amount).
fn ranks(list: &Value, id: &str) -> Vec<(u64, i64, i64)> {
    let number = |product: &Value, name: &str| product[name].as_i64().unwrap_or(-1);
    let products = list["products"].as_array().or_else(|| list["top"].as_array()).expect("a list");
    products
        .iter()
        .map(|p| (p[id].as_u64().expect("an id"), number(p, "units"), number(p, "amount")))
        .collect()
}

/// Counts the orders of a file.
const COUNT_ORDERS: &str = "import csv, gzip, sys
lines = csv.DictReader(gzip.open(sys.argv[1], 'rt'))
print(len({line['order_ref'] for line in lines}))";

fn orders_in_file() -> i64 {
    let whole = Command::new("python3")
        .args(["-c", COUNT_ORDERS])
        .arg(file("orders.csv.gz"))
        .output()
        .expect("python3 runs");
    String::from_utf8_lossy(&whole.stdout).trim().parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_ends_as_the_file_says() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), SHOP).await;
    let end = summary(&replay(&shop.url, &[]).output().expect("it runs"));
    let orders = orders_in_file();
    assert_eq!(
        (end["orders"].as_i64(), end["success"].as_i64()),
        (Some(orders), Some(orders)),
        "{end}"
    );
    let expected = brute_force(&["--at-end"]);
    assert_eq!(ranks(&end, "id"), ranks(&expected[0], "productId"));
    let client = shop.client();
    let midnights = brute_force(&["--every-midnight"]);
    assert!(midnights.len() > 3);
    for midnight in midnights {
        let as_of = midnight["asOf"].as_str().expect("a time").to_owned();
        let ours = client.get(&format!("/products/top?asOf={as_of}")).await;
        assert_eq!(ranks(&ours.body, "id"), ranks(&midnight, "productId"), "{as_of}");
    }
    assert!(shop.terminate().0.success());
    verify(data.path());
    let shop = Shop::start(data.path(), SHOP).await;
    let again = shop.client().get("/products/top").await;
    assert_eq!(ranks(&again.body, "id"), ranks(&expected[0], "productId"), "after a restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn scarce_stock_and_small_wallets_oversell_nothing() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), SHOP).await;
    let end = summary(
        &replay(&shop.url, &["--stock-share", "0.5", "--wallet", "90000"])
            .output()
            .expect("it runs"),
    );
    let failed = end["failed"].as_object().expect("failures");
    assert!(
        failed.contains_key("OUT_OF_STOCK") && failed.contains_key("INSUFFICIENT_BALANCE"),
        "{end}"
    );
    assert!(shop.terminate().0.success());
    verify(data.path());
}

/// Kills a replay that has come somewhere.
fn kill_in_the_middle(mut child: Child, after: Duration) {
    std::thread::sleep(after);
    drop(child.kill());
    drop(child.wait());
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_shop_and_replay_do_not_change_the_end() {
    let data = fresh_dir();
    let mut shop = Shop::start(data.path(), SHOP).await;
    let address = shop.url.trim_start_matches("http://").to_owned();
    kill_in_the_middle(
        replay(&shop.url, &[]).spawn().expect("it starts"),
        Duration::from_millis(700),
    );
    let running = replay(&shop.url, &[]).spawn().expect("it starts");
    for pause_ms in [150, 300, 500] {
        std::thread::sleep(Duration::from_millis(pause_ms));
        shop.kill();
        shop = Shop::start(data.path(), &[SHOP, &["--listen", &address]].concat()).await;
    }
    let waited = tokio::task::spawn_blocking(move || running.wait_with_output());
    let end = summary(&waited.await.expect("joined").expect("it ends"));
    let orders = orders_in_file();
    assert_eq!(
        (end["orders"].as_i64(), end["success"].as_i64()),
        (Some(orders), Some(orders)),
        "{end}"
    );
    assert_eq!(ranks(&end, "id"), ranks(&brute_force(&["--at-end"])[0], "productId"));
    assert!(shop.terminate().0.success());
    verify(data.path());
}
