//! Whole replays against a shop that fails on purpose.

use super::{Error, Options, demand, fake_shop::FakeShop, run, traces};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

const USERS: u64 = 7;
const PRODUCTS: u64 = 20;

/// Writes files with so many orders and returns options that replay them.
fn files(dir: &Path, orders: u64, url: &str) -> Options {
    let mut text = "product_id,name,price\n".to_owned();
    for id in 1..=PRODUCTS {
        writeln!(text, "{id},\"Product, no. {id}\",{}", 1_000_000 * id).expect("a string");
    }
    fs::write(dir.join("products.csv"), text).expect("a file");
    let mut text = "ts,user_id,order_ref,product_id,quantity,unit_price\n".to_owned();
    for n in 0..orders {
        let (hour, user) = (n % 24, n * n % USERS + 1);
        for line in 0..n % 4 + 1 {
            let product = (n * 5 + line * 3) % PRODUCTS + 1;
            let (quantity, price, day) = (line + 1, 1_000_000 * product, n / 24 + 1);
            let row = format!("{user},r{n},{product},{quantity},{price}");
            writeln!(text, "2017-01-{day:02}T{hour:02}:30:00Z,{row}").expect("a string");
        }
    }
    fs::write(dir.join("orders.csv"), text).expect("a file");
    Options {
        products: dir.join("products.csv"),
        orders: dir.join("orders.csv"),
        url: url.to_owned(),
        stock_share: "1".parse().expect("a share"),
        wallet: None,
        concurrency: 5,
        patience: 20,
        tops: false,
        json: true,
        traces: traces::Options { trace: String::new(), trace_format: traces::Format::Text },
    }
}

async fn replay(options: &Options) -> Result<(u8, Vec<Value>), Error> {
    let mut out = Vec::new();
    let code = run(options, &mut out).await?;
    let text = String::from_utf8(out).expect("UTF-8");
    Ok((code, text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()))
}

/// Orders of each user must have come in file order, one at a time, each once.
fn check_order(shop: &FakeShop, orders: usize) {
    let state = shop.state();
    assert!(!state.two_at_once, "a user had two orders under way");
    assert_eq!(state.started.len(), orders);
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    for (user, key) in &state.started {
        let number = key.strip_prefix("replay-order-r").and_then(|text| text.parse().ok());
        let number = number.expect("a key of ours");
        let before = last.insert(*user, number);
        assert!(before.is_none_or(|before| before < number), "{before:?} then {number} of {user}");
    }
}

#[tokio::test]
async fn a_replay_gets_through_whatever_goes_wrong() {
    for seed in 1..=2 {
        let dir = tempfile::tempdir().expect("a directory");
        let shop = FakeShop::start(200, seed).await;
        let mut options = files(dir.path(), 90, &shop.url);
        options.tops = true;
        let (code, lines) = replay(&options).await.expect("a replay");
        assert_eq!(code, 0);
        check_order(&shop, 90);
        let summary = lines.last().expect("a summary");
        assert_eq!(summary["orders"], 90, "seed {seed}");
        assert_eq!(summary["success"], 90, "seed {seed}");
        assert_eq!(summary["failed"], json!({}));
        assert!(summary.get("unexpected").is_none());
        assert_eq!(summary["top"].as_array().map(Vec::len), Some(5));
        assert_eq!(summary["windowTo"], "T");
        let midnights: Vec<_> =
            lines[..lines.len() - 1].iter().map(|top| top["asOf"].clone()).collect();
        let expected: Vec<_> = (2..=4).map(|day| format!("2017-01-{day:02}T00:00:00Z")).collect();
        assert_eq!(midnights, expected);
        let state = shop.state();
        assert!(state.stock.values().all(|units| *units == 0), "all demanded units are sold");
        assert!(state.wallets.values().all(|money| *money == 0), "every wallet is spent");
        assert!(state.times.contains(&"2017-01-02T05:30:00Z".to_owned()));
    }
}

#[tokio::test]
async fn too_little_stock_or_money_is_a_failed_order_and_no_fault() {
    let dir = tempfile::tempdir().expect("a directory");
    let shop = FakeShop::start(100, 9).await;
    let mut options = files(dir.path(), 60, &shop.url);
    options.stock_share = "0.5".parse().expect("a share");
    options.wallet = Some(90_000_001);
    let (code, lines) = replay(&options).await.expect("a replay");
    let number = |code: &str| lines[0]["failed"][code].as_u64().expect(code);
    let failed = number("OUT_OF_STOCK") + number("INSUFFICIENT_BALANCE");
    assert_eq!((code, lines[0]["success"].as_u64()), (0, Some(60 - failed)));
    let human = {
        let again = Options { json: false, ..options };
        let mut out = Vec::new();
        run(&again, &mut out).await.expect("the same again");
        String::from_utf8(out).expect("UTF-8")
    };
    assert!(human.starts_with("60 orders in "), "{human}");
    assert!(human.contains("\n  OUT_OF_STOCK  "), "{human}");
    check_order(&shop, 60);
}

#[tokio::test]
async fn shop_and_replay_may_die_in_the_middle() {
    let dir = tempfile::tempdir().expect("a directory");
    let shop = FakeShop::start(100, 4).await;
    let mut options = files(dir.path(), 100, &shop.url);
    options.patience = 0;
    // Dies while registering, while charging, and twice among the orders.
    for dies_at in [3, 60, 90, 150] {
        shop.state().dies_at = Some(dies_at);
        let error = replay(&options).await.expect_err("the shop is dead");
        assert!(matches!(error, Error::Stalled(_)), "{error}");
        assert_eq!(error.exit_code(), 3);
        shop.state().requests = 0;
    }
    shop.state().dies_at = None;
    options.patience = 20;
    let (code, lines) = replay(&options).await.expect("a replay");
    assert_eq!((code, &lines[0]["success"]), (0, &json!(100)));
    check_order(&shop, 100);
    assert!(shop.state().wallets.values().all(|money| *money == 0));
}

#[tokio::test]
async fn a_shop_that_comes_back_is_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let shop = FakeShop::start(0, 5).await;
    let options = files(dir.path(), 100, &shop.url);
    shop.state().dies_at = Some(80);
    let revive = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        shop.state().dies_at = None;
    };
    let (result, ()) = tokio::join!(replay(&options), revive);
    assert_eq!(result.expect("a replay").1[0]["success"], 100);
    check_order(&shop, 100);
}

#[tokio::test]
async fn an_end_that_must_not_be_is_told_and_is_exit_code_1() {
    let dir = tempfile::tempdir().expect("a directory");
    let shop = FakeShop::start(0, 6).await;
    let options = files(dir.path(), 30, &shop.url);
    replay(&options).await.expect("a first replay");
    {
        // The shop forgets user 2 and every order: a fault that a replay must not hide.
        let mut state = shop.state();
        state.wallets.remove(&2);
        state.forget_orders();
    }
    let (code, lines) = replay(&options).await.expect("a replay");
    let of_user_2 = (0..30_u64).filter(|n| n * n % USERS + 1 == 2).count();
    assert_eq!(lines[0]["unexpected"], json!({"404 USER_NOT_FOUND": of_user_2}));
    assert_eq!(lines[0]["failed"], json!({"OUT_OF_STOCK": 30 - of_user_2}));
    assert_eq!(code, 1);
}

#[tokio::test]
async fn what_is_in_the_way_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let shop = FakeShop::start(0, 7).await;
    let options = files(dir.path(), 10, &shop.url);
    shop.state().prices.insert(5, 1);
    let error = replay(&options).await.expect_err("product 5 is not ours");
    assert_eq!(error.to_string().split(',').next(), Some("product 5 is in the shop already"));
    assert_eq!(error.exit_code(), 3);
    shop.state().prices.remove(&5);
    shop.state().forget("replay-product-5");
    replay(&options).await.expect("a replay");
    let other = Options { stock_share: "2".parse().expect("a share"), ..options.clone() };
    let error = replay(&other).await.expect_err("another stock");
    assert!(matches!(error, Error::OtherReplay { .. }), "{error}");
    let nobody = Options { url: "http://127.0.0.1:9".to_owned(), patience: 0, ..options.clone() };
    assert_eq!(replay(&nobody).await.expect_err("no shop").exit_code(), 3);
    let tls = Options { url: "https://127.0.0.1".to_owned(), ..options.clone() };
    assert_eq!(replay(&tls).await.expect_err("no HTTP").exit_code(), 2);
    let missing = Options { orders: dir.path().join("none.csv"), ..options };
    assert_eq!(replay(&missing).await.expect_err("no file").exit_code(), 2);
}

#[test]
fn demand_is_read_from_the_files_that_the_tests_make() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = files(dir.path(), 100, "");
    let demand = demand::read(&options.products, &options.orders).expect("good files");
    assert_eq!((demand.orders, demand.lines, demand.other_price_lines), (100, 250, 0));
}
