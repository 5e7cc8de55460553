//! What goes wrong on a cluster, under load: processes are killed, freeze, come and go. Every accepted
//! order ends once, every answer stays, and `jupan verify` is green.
//!
//! `JUPAN_ROUNDS` says how often each happens (`scripts/chaos`: 20), `JUPAN_FAULT_SEED` repeats the
//! moments.

use crate::{
    fleet::Fleet,
    writes::{Moments, told},
};
use std::{
    hash::{BuildHasher, RandomState},
    process::Command,
    time::Duration,
};

/// Rounds of each fault, unless `JUPAN_ROUNDS` says otherwise.
const ROUNDS: u64 = 1;
/// Longer than a member of a group may be silent.
const FROZEN: Duration = Duration::from_secs(9);

/// How often, and when.
pub(crate) fn rounds() -> (u64, Moments) {
    let rounds = told("JUPAN_ROUNDS", ROUNDS);
    let seed = told("JUPAN_FAULT_SEED", RandomState::new().hash_one(rounds) % 1_000_000);
    println!("JUPAN_ROUNDS={rounds} JUPAN_FAULT_SEED={seed}");
    (rounds, Moments(seed))
}

pub(crate) async fn wait_ms(moments: &mut Moments, most: u64) {
    tokio::time::sleep(Duration::from_millis(moments.below(most))).await;
}

pub(crate) fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([name, &process.to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn processors_killed_at_any_moment() {
    let (rounds, mut moments) = rounds();
    let mut fleet = Fleet::start(2).await;
    for round in 0..rounds * 3 {
        fleet.load();
        wait_ms(&mut moments, 3_000).await;
        fleet.processors.remove(0).kill();
        wait_ms(&mut moments, 2_000).await;
        fleet.join().await;
        let report = fleet.settle().await;
        println!("round {round}: {} entries", report["facts"]["entries"]);
    }
    fleet.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_processor_wakes_and_changes_nothing() {
    let (rounds, mut moments) = rounds();
    let mut fleet = Fleet::start(2).await;
    for round in 0..rounds {
        fleet.load();
        wait_ms(&mut moments, 2_000).await;
        let frozen = fleet.processors[0].id();
        signal(frozen, "-STOP");
        tokio::time::sleep(FROZEN).await;
        signal(frozen, "-CONT");
        wait_ms(&mut moments, 2_000).await;
        let report = fleet.settle().await;
        println!("round {round}: {} entries", report["facts"]["entries"]);
    }
    fleet.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn processors_come_and_go() {
    let (rounds, mut moments) = rounds();
    let mut fleet = Fleet::start(1).await;
    for round in 0..rounds {
        fleet.load();
        for _ in 0..2 {
            fleet.join().await;
            wait_ms(&mut moments, 2_000).await;
        }
        for _ in 0..2 {
            let (status, took) = fleet.processors.remove(0).terminate();
            assert!(status.success(), "{status} after {took:?}");
            wait_ms(&mut moments, 2_000).await;
        }
        let report = fleet.settle().await;
        println!("round {round}: {} entries", report["facts"]["entries"]);
    }
    fleet.end();
}
