//! The samples of `samples/`, as anybody runs them: programs in other languages, with other clients
//! and none of our code, that register, charge and order without HTTP.

use crate::{
    fleet::{Fleet, LANES},
    shop::Client,
};
use jupan_schemas::{OrderId, UserId, partition_of};
use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Instant,
};

/// Users and products of each sample: enough that every partition has some.
const COUNT: u64 = 12;
/// What a sample's order costs, what is charged before, and how many units it takes.
const CHARGE: i64 = 50_000;
const TOTAL: i64 = 2_400;
const STOCK_LEFT: i64 = 8;

/// Runs a sample so many times: its keys are the same, so nothing happens twice. Checks every line
/// that it prints, and what the shop says of it over HTTP.
async fn check(fleet: &Fleet, client: &Client, (language, rounds): (&str, u32), first: u64) {
    let expected = expected(first);
    for round in 1..=rounds {
        let printed = run(fleet, language, first);
        assert_eq!(printed, expected, "{language}, round {round}");
    }
    for id in first..first + COUNT {
        assert_eq!(client.balance(id).await, CHARGE - TOTAL, "user {id} of {language}");
        client.stock_becomes(id, STOCK_LEFT).await;
    }
}

/// What a sample has to print: every command in its user's or product's partition, and every order's end.
fn expected(first: u64) -> BTreeSet<String> {
    let lanes: u16 = LANES.parse().expect("a number");
    let mut lines = BTreeSet::new();
    let mut partitions = BTreeSet::new();
    for id in first..first + COUNT {
        let partition = partition_of(id, lanes);
        partitions.insert(partition);
        lines.insert(format!("product {id} partition {partition} RegisterProduct OK"));
        for wish in ["RegisterUser", "ChargeBalance", "PlaceOrder"] {
            lines.insert(format!("user {id} partition {partition} {wish} OK"));
        }
        let order = OrderId::of(UserId(id), "sample-order");
        lines.insert(format!("order {order} of user {id} SUCCESS {TOTAL}"));
    }
    assert_eq!(partitions, (0..lanes).collect(), "every partition is met");
    lines
}

/// The lines that a sample prints; panics where it fails.
fn run(fleet: &Fleet, language: &str, first: u64) -> BTreeSet<String> {
    let output = start(fleet, language, first, COUNT);
    let (said, why) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{language}: {}\n{said}\n{why}", output.status);
    said.lines().map(str::to_owned).collect()
}

/// The shop's own product 1 was registered under another key: a sample that is refused must say so.
fn check_refused(fleet: &Fleet, language: &str) {
    let output = start(fleet, language, 1, 1);
    let why = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{language}: {why}");
    assert!(why.contains(": ALREADY_EXISTS"), "{language}: {why}");
}

fn start(fleet: &Fleet, language: &str, first: u64, count: u64) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(root.join("scripts/samples"));
    command.arg(language).env("CARGO_TARGET_DIR", target());
    if language == "rust" {
        command.env("JUPAN_SAMPLE_RUST", built(&root.join("samples/rust/order.rs")));
    }
    for name in ["kafka", "registry", "topic-prefix"] {
        command.args([format!("--{name}"), fleet.flag(name)]);
    }
    let numbers = [("--first", first), ("--count", count)];
    for (name, number) in numbers {
        command.args([name.to_owned(), number.to_string()]);
    }
    let began = Instant::now();
    let output = command.output().expect("the script starts");
    println!("{language}, {count} of each from {first} on: {:?}", began.elapsed());
    output
}

/// The target directory: this test lies below its profile's `deps`.
fn target() -> PathBuf {
    profile().parent().expect("a target directory").to_owned()
}

fn profile() -> PathBuf {
    let this = env::current_exe().expect("this test's file");
    this.parent().and_then(Path::parent).expect("a profile's folder").to_owned()
}

/// The sample in Rust, as `cargo test` builds it beside this test.
fn built(source: &Path) -> PathBuf {
    let sample = profile().join("examples/order");
    let written = |path: &Path| path.metadata().and_then(|found| found.modified());
    let is_fresh = written(&sample).is_ok_and(|built| {
        let source = written(source).expect("the source is there");
        source <= built
    });
    assert!(
        is_fresh,
        "{} is not built of its source: cargo build --example order",
        sample.display()
    );
    sample
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_in_other_languages_order_without_http() {
    let fleet = Fleet::start(2).await;
    let client = fleet.client();
    // That keys count is the shop's doing, not the language's: one of them shows it.
    for (language, rounds, first) in [("java", 1, 1_000), ("python", 2, 2_000), ("rust", 1, 3_000)]
    {
        check(&fleet, &client, (language, rounds), first).await;
        check_refused(&fleet, language);
    }
    fleet.verify(&[]);
    fleet.end();
}
