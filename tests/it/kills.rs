//! SIGKILL under load, at random moments: what was acknowledged is there, once.
//!
//! `JUPAN_KILLS` says how often (500 once a release), `JUPAN_KILL_SEED` repeats the moments of a run.

use crate::{
    shop::{Shop, fresh_dir, verify, verify_drained},
    writes::{
        Ledger, Moments, PRODUCTS, STOCK, USERS, Write, check_a_few, check_sums, spawn_writer, told,
    },
};
use serde_json::Value;
use std::{
    hash::{BuildHasher, RandomState},
    io::Write as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// How often the shop is killed under load, unless `JUPAN_KILLS` says otherwise.
const CYCLES: u64 = 30;
/// Longest time that the load goes on before a kill.
const LOAD_MS_MAX: u64 = 350;
/// One restart of so many is itself killed, within this time.
const KILLED_RESTART_EVERY: u64 = 4;
const RESTART_MS_MAX: u64 = 120;
/// The journal is proved behind so many cycles, and at the end.
const VERIFY_EVERY: u64 = 10;
/// A restart that takes longer to its first order is broken, however slow the machine: how long it
/// takes is measured by `jupan bench recovery`.
const ACCEPTED_MAX: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled() {
    let cycles = told("JUPAN_KILLS", CYCLES);
    let seed = told("JUPAN_KILL_SEED", RandomState::new().hash_one(cycles) % 1_000_000);
    println!("JUPAN_KILLS={cycles} JUPAN_KILL_SEED={seed}");
    let mut moments = Moments(seed);
    let data = fresh_dir();
    let mut shop = Shop::start(data.path(), &[]).await;
    let client = shop.client();
    for product in 1..=PRODUCTS {
        client.product(product, 10 * product.cast_signed(), STOCK).await;
    }
    for user in 1..=USERS {
        client.user(user).await;
    }
    let ledger = Arc::new(Ledger::default());
    let mut accepted_ms = Vec::new();
    for cycle in 1..=cycles {
        let client = shop.client();
        ledger.ask_again(&client).await;
        check_a_few(&ledger, &client, cycle).await;
        let load: Vec<_> = (0..32).map(|_| spawn_writer(&client, &ledger)).collect();
        let load_ms = moments.below(LOAD_MS_MAX);
        tokio::time::sleep(Duration::from_millis(load_ms)).await;
        shop.kill();
        for writer in load {
            writer.await.expect("a writer");
        }
        if cycle % VERIFY_EVERY == 0 {
            verify(data.path());
        }
        let restart_ms = (cycle % KILLED_RESTART_EVERY == 0).then(|| moments.below(RESTART_MS_MAX));
        if let Some(restart_ms) = restart_ms {
            Shop::start_and_kill(data.path(), Duration::from_millis(restart_ms)).await;
        }
        let (started, accepted, ready) = restart(data.path(), &ledger).await;
        shop = started;
        println!(
            "cycle {cycle}: killed after {load_ms} ms of load{}; first accepted order after {} ms, \
             ready after {} ms",
            restart_ms.map_or_else(String::new, |ms| format!(" and {ms} ms into the next start")),
            accepted.as_millis(),
            ready.as_millis()
        );
        assert!(accepted < ACCEPTED_MAX, "cycle {cycle} of seed {seed}: {accepted:?}");
        accepted_ms.push(accepted.as_millis());
    }
    let client = shop.client();
    ledger.complete(&client).await;
    while !ledger.unanswered.lock().expect("lock").is_empty() {
        ledger.ask_again(&client).await;
    }
    check_sums(&ledger, &client).await;
    assert!(shop.terminate().0.success());
    let entries = verify_drained(data.path())["facts"]["entries"].clone();
    tell(&mut accepted_ms, &ledger, &entries);
}

/// Starts the shop again: how long until it accepted an order, and until it was ready.
async fn restart(data: &Path, ledger: &Ledger) -> (Shop, Duration, Duration) {
    let start = Instant::now();
    let shop = Shop::start_listening(data).await;
    let number = ledger.next_order();
    let order = Write::number(number);
    // Without a look at the shop's document, which is no part of an order.
    let http = reqwest::Client::new();
    let accepted = loop {
        let sent = http
            .post(format!("{}{}", shop.url, order.path))
            .header("Idempotency-Key", &order.key)
            .header("Prefer", "respond-async")
            .json(&order.body);
        match sent.send().await.map(|answer| answer.status().as_u16()) {
            Ok(202) => break start.elapsed(),
            other => assert!(start.elapsed() < ACCEPTED_MAX, "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    // Accepted is promised: its outcome is asked for, and counted, like any other's.
    ledger.unanswered.lock().expect("lock").push(number);
    shop.until_ready().await;
    (shop, accepted, start.elapsed())
}

/// One line for whoever runs the tests, shown even where they pass.
fn tell(accepted_ms: &mut [u128], ledger: &Ledger, entries: &Value) {
    accepted_ms.sort_unstable();
    let last = accepted_ms.len().saturating_sub(1);
    let at = |percent: usize| accepted_ms.get(last * percent / 100).copied().unwrap_or(0);
    let answered = ledger.answered.lock().expect("lock").len();
    let line = format!(
        "{} kills, {answered} answered writes, {entries} entries; first accepted order after \
         p50 {} p99 {} max {} ms\n",
        accepted_ms.len(),
        at(50),
        at(99),
        at(100)
    );
    // Not by a macro: those are for failing tests only.
    std::io::stderr().write_all(line.as_bytes()).expect("standard error");
}
