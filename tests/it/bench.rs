//! `jupan bench`: every scenario runs to its end in a small size, leaves nothing behind and says
//! what it must. No figure is judged here: tests do not measure.

use crate::shop::{Shop, binary, fresh_dir, order_body, verify};
use serde_json::Value;
use std::{path::Path, process::Command};

/// Runs a scenario in a size that takes seconds; its figures. Each of `positive` must be a number
/// above zero, named by its way through the JSON.
fn check_scenario(scenario: &str, flags: &[&str], positive: &[&str]) -> Value {
    let dir = fresh_dir();
    let common = ["--rounds", "1", "--products", "20", "--json", "--dir"];
    let output = Command::new(binary())
        .args(["bench", scenario])
        .args(common)
        .arg(dir.path())
        .args(flags)
        .output()
        .expect("the binary runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{scenario}: {errors}");
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    let figures: Value = serde_json::from_str(last).expect("one line of JSON");
    assert_eq!((&figures["scenario"], &figures["verified"]), (&scenario.into(), &true.into()));
    let positive = positive.iter().chain(&["machine.cores", "machine.syncs.1.perSecond"]);
    for way in positive {
        let step = |value: &Value, name: &str| {
            name.parse::<usize>().map_or_else(|_| value[name].clone(), |at| value[at].clone())
        };
        let figure = way.split('.').fold(figures.clone(), |value, name| step(&value, name));
        assert!(figure.as_f64().is_some_and(|figure| figure > 0.0), "{scenario} {way}: {figures}");
    }
    let left = std::fs::read_dir(dir.path()).expect("the directory").count();
    assert_eq!(left, 0, "{scenario} leaves nothing behind");
    figures
}

const ROUND: [&str; 4] = ["--seconds", "0.3", "--users", "20"];
const OF_A_ROUND: [&str; 7] = [
    "ordersPerSecond",
    "p50Ms",
    "p99Ms",
    "ordersPerCpuSecond",
    "logBytesPerOrder",
    "rawOrdersPerSecond",
    "shareOfLimit",
];

#[test]
fn engine_places_orders_without_http() {
    let flags = [&ROUND[..], &["--in-flight", "500"]].concat();
    let figures = check_scenario("engine", &flags, &OF_A_ROUND);
    assert_eq!(figures["hot"], false);
}

#[test]
fn http_places_orders_over_connections() {
    let flags = [&ROUND[..], &["--in-flight", "8", "--hot"]].concat();
    let figures = check_scenario("http", &flags, &OF_A_ROUND);
    assert_eq!((&figures["hot"], &figures["errors"]), (&true.into(), &serde_json::json!({})));
}

#[test]
fn hot_tells_the_ratio_both_ways() {
    let positive = ["engine.ratio", "http.ratio", "http.hot.ordersPerSecond"];
    check_scenario("hot", &ROUND, &positive);
}

#[test]
fn recovery_kills_and_restarts() {
    let positive = [
        "firstAcceptedMs",
        "firstDoneMs",
        "readyMs",
        "restarts.0.firstSecondOrdersPerSecond",
        "rebuild.entriesPerSecond",
        "rebuild.engineEntriesPerSecond",
        "empty.readyMs",
        "empty.idleResidentMib",
        "journal.entries",
    ];
    let flags = [&ROUND[..], &["--orders", "500"]].concat();
    let figures = check_scenario("recovery", &flags, &positive);
    assert!(figures["journal"]["orders"].as_u64() > Some(500), "{figures}");
}

#[test]
fn grow_compares_sizes() {
    // A round has to take many of the 10 ms ticks in which the kernel counts processor time.
    let flags = ["--user-steps", "10,20", "--order-steps", "50,100", "--round-orders", "5000"];
    let positive = ["users.1.ratio", "users.1.cpuUsPerOrder", "orders.1.ratio"];
    let figures = check_scenario("grow", &flags, &positive);
    assert_eq!(
        (&figures["users"][0]["size"], &figures["orders"][1]["size"]),
        (&10.into(), &100.into())
    );
}

#[test]
fn window_asks_for_the_best_sellers() {
    let positive = ["inProcess.p50Us", "inProcessBusy.p99Us", "http.p50Us", "httpBusy.p99Us"];
    let figures = check_scenario("window", &["--orders", "2000"], &positive);
    assert_eq!(figures["orders"], 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_shop_is_prepared_for_a_load_from_outside() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), &[]).await;
    for _ in 0..2 {
        let output = Command::new(binary())
            .args(["bench", "prepare", "--users", "5", "--products", "4", "--url", &shop.url])
            .output()
            .expect("the binary runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let client = shop.client();
    let answer = client.post("/order", "o", order_body(5, &[(4, 10_000), (1, 10_000)])).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(shop.terminate().0.success());
    verify(data.path());
}

/// The journal for `recovery` is written by a process that must not outlive who started it.
#[test]
fn a_writer_without_a_parent_ends() {
    let data = fresh_dir();
    let path: &Path = data.path();
    let output = Command::new(binary())
        .args(["bench", "fill", "--users", "5", "--products", "5", "--orders", "20", "--data"])
        .arg(path)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["orders"], 20);
    verify(path);
}
