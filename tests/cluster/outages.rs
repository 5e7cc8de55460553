//! Servers under the whole shop are away for a while, or slow: what was promised comes true when they
//! are back, nothing is refused that may still happen, and no process has to be started again.
//!
//! `JUPAN_OUTAGE_S` says how long the store is away (`scripts/chaos`: 60).

use crate::{
    faults::{rounds, wait_ms},
    fleet::Fleet,
    shop::{Answer, Client},
    writes::{USERS, told},
};
use jupan_servers::{CommitLog, Cql, Kafka, Server};
use reqwest::Method;
use serde_json::json;
use std::{
    collections::BTreeSet,
    fs,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};
use tokio::task::{JoinSet, spawn_blocking};

/// How long the store is away, unless `JUPAN_OUTAGE_S` says otherwise.
const OUTAGE_S: u64 = 10;
/// Longer than lanes work on what was already answered.
const REST: Duration = Duration::from_secs(3);
/// How long it may take until the shop shows that a server is away.
const NOTICED: Duration = Duration::from_secs(30);
/// Commands that are sent while the store is away, all about one user of whom the load knows nothing.
const PROMISES: u64 = 300;
const PROMISED: u64 = USERS + 1;
/// Entries that a lane may have committed and not projected: about as many as were asked for.
const UNPROJECTED_MAX: f64 = 1_000.0;
/// What a process may grow by while the store is away.
const GROWTH_KIB_MAX: u64 = 128 * 1024;
/// A store that answers in a fifth of the time only, in pulses.
const SLOW: Duration = Duration::from_secs(10);
const STOPPED: Duration = Duration::from_millis(400);
const GOING: Duration = Duration::from_millis(100);

/// The store that these tests stop. It keeps what it has acknowledged: a store that forgets some of
/// it is not this fault.
static STORE: LazyLock<Cql> = LazyLock::new(|| Cql::start(CommitLog::Synced));

/// A frozen server, which goes on when this is dropped.
struct Frozen<'a>(&'a Server);

impl<'a> Frozen<'a> {
    fn new(server: &'a Server) -> Self {
        server.pause();
        Self(server)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.0.unpause();
    }
}

/// Killed between two commits: Kafka 4.3.1 forgets to end a transaction that it had decided on when
/// it was killed (KAFKA-20734: at its next start it takes partitions without a leader for deleted
/// ones), and nobody but an operator can end it then. The load comes while it is away.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_comes_back() {
    let (rounds, mut moments) = rounds();
    let kafka = Arc::new(Kafka::start());
    let mut fleet = Fleet::start_with("kafka", &kafka.address(), 2).await;
    let first = moments.below(2);
    for round in 0..rounds {
        // In turns, whichever comes first.
        let are_new = (first + round) % 2 == 1;
        fleet.load();
        wait_ms(&mut moments, 2_000).await;
        fleet.settle().await;
        tokio::time::sleep(REST).await;
        kafka.kill();
        let killed = Instant::now();
        fleet.load();
        wait_ms(&mut moments, 5_000).await;
        let killed_processes = if are_new { fleet.processors.len() } else { 0 };
        fleet.processors.drain(..killed_processes).for_each(|process| process.kill());
        let server = Arc::clone(&kafka);
        let starting = spawn_blocking(move || server.start_again());
        for _ in 0..killed_processes {
            fleet.join().await;
        }
        starting.await.expect("it starts");
        let back = killed.elapsed();
        fleet.until_ready().await;
        let ready = killed.elapsed();
        wait_ms(&mut moments, 2_000).await;
        let report = fleet.settle_all().await;
        println!(
            "round {round}: broker back after {back:?}, {killed_processes} new processes, ready \
             after {ready:?}; {} answers, {} entries",
            fleet.ledger.answered.lock().expect("lock").len(),
            report["facts"]["entries"]
        );
    }
    fleet.end();
}

/// How a server goes, and comes back.
type Outage = (&'static str, fn(&Server), fn(&Server));
const FROZEN: Outage = ("frozen", Server::pause, Server::unpause);
const KILLED: Outage = ("killed", Server::kill, Server::start_again);

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_is_waited_for() {
    let (rounds, mut moments) = rounds();
    let outage = Duration::from_secs(told("JUPAN_OUTAGE_S", OUTAGE_S));
    let mut fleet = Fleet::start_with("cql", &STORE.address(), 2).await;
    fleet.client().user(PROMISED).await;
    let first = moments.below(2);
    for round in 0..rounds {
        // In turns, whichever comes first.
        let (how, go, come) = if (first + round) % 2 == 0 { FROZEN } else { KILLED };
        fleet.load();
        wait_ms(&mut moments, 2_000).await;
        let before = memory_kib(&fleet);
        go(&STORE);
        let gone = Instant::now();
        until_not_ready(&fleet.client()).await;
        let noticed = gone.elapsed();
        promise(&fleet.client(), round).await;
        reads_say_that_they_cannot(&fleet.client()).await;
        tokio::time::sleep(outage.saturating_sub(gone.elapsed())).await;
        let unprojected = check_bounded(&fleet, &before).await;
        come(&STORE);
        let back = gone.elapsed();
        fleet.until_ready().await;
        let ready = gone.elapsed();
        keep_promises(&fleet.client(), round).await;
        let kept = gone.elapsed();
        wait_ms(&mut moments, 2_000).await;
        let report = fleet.settle_all().await;
        println!(
            "round {round}: {how}, noticed after {noticed:?}, {unprojected} unprojected, back after \
             {back:?}, ready after {ready:?}, promises kept after {kept:?}; {} answers, {} entries",
            fleet.ledger.answered.lock().expect("lock").len(),
            report["facts"]["entries"]
        );
    }
    fleet.end();
}

async fn until_not_ready(client: &Client) {
    let end = Instant::now() + NOTICED;
    while client.get("/readyz").await.status != 503 {
        assert!(Instant::now() < end, "the API is ready all the time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn charge(client: &Client, round: u64, n: u64, prefer: &str) -> Answer {
    let (key, body) = (format!("away-{round}-{n}"), json!({"userId": PROMISED, "amount": 1}));
    let sent = client.try_write(Method::POST, "/balance/charge", &key, prefer, &body);
    sent.await.expect("an answer")
}

/// Commands reach the log without the store, and no one is told that one failed.
async fn promise(client: &Client, round: u64) {
    let mut charges = JoinSet::new();
    for n in 0..PROMISES {
        let client = client.clone();
        charges.spawn(async move { charge(&client, round, n, "respond-async").await });
    }
    for answer in charges.join_all().await {
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    let waited = charge(client, round, 0, "wait=1").await;
    assert_eq!(waited.status, 202, "nothing came of it yet: {waited:?}");
    let place = waited.location.expect("a Location");
    let asked = client.get(&place).await;
    let is_open = asked.status == 503 || asked.body["status"] == "PENDING";
    assert!(is_open, "{place}: {asked:?}");
}

async fn reads_say_that_they_cannot(client: &Client) {
    for path in ["/balance?userId=1", "/products/1", "/products", "/order?userId=1"] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, 503, "{path}: {answer:?}");
    }
}

/// What was promised has come true, each once.
async fn keep_promises(client: &Client, round: u64) {
    let end = Instant::now() + Duration::from_secs(60);
    let mut asked = JoinSet::new();
    for n in 0..PROMISES {
        let client = client.clone();
        asked.spawn(async move {
            loop {
                let answer = charge(&client, round, n, "wait=20").await;
                let is_later = answer.status == 202 || answer.status == 503;
                if !is_later || Instant::now() >= end {
                    return answer;
                }
            }
        });
    }
    let mut balances = BTreeSet::new();
    for answer in asked.join_all().await {
        assert_eq!(answer.status, 200, "{answer:?}");
        balances.insert(answer.body["balance"].as_u64().expect("a balance"));
    }
    let expected: BTreeSet<u64> = (1..=PROMISES).map(|n| round * PROMISES + n).collect();
    assert_eq!(balances, expected);
    let balance = client.balance(PROMISED).await;
    assert_eq!(balance.cast_unsigned(), (round + 1) * PROMISES);
}

/// Resident memory of each process.
fn memory_kib(fleet: &Fleet) -> Vec<u64> {
    let of = |process: u32| {
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    };
    let processes = fleet.processors.iter().chain([&fleet.api]);
    processes.map(|process| of(process.id())).collect()
}

/// Lanes remember what was asked for while they wait, and little more.
async fn check_bounded(fleet: &Fleet, before: &[u64]) -> f64 {
    let lanes = fleet.metric("jupan_lane_unprojected_entries").await;
    let most = lanes.values().copied().fold(0.0, f64::max);
    assert!(most > 0.0, "somebody waits: {lanes:?}");
    assert!(most <= UNPROJECTED_MAX, "{lanes:?}");
    for (before, now) in before.iter().zip(memory_kib(fleet)) {
        assert!(now < before + GROWTH_KIB_MAX, "from {before} to {now} KiB");
    }
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_store_only_slows() {
    let (rounds, mut moments) = rounds();
    let mut fleet = Fleet::start_with("cql", &STORE.address(), 2).await;
    for round in 0..rounds {
        fleet.load();
        wait_ms(&mut moments, 2_000).await;
        let answered = |ledger: &crate::writes::Ledger| ledger.answered.lock().expect("lock").len();
        let before = answered(&fleet.ledger);
        let end = Instant::now() + SLOW;
        while Instant::now() < end {
            let frozen = Frozen::new(&STORE);
            tokio::time::sleep(STOPPED).await;
            drop(frozen);
            tokio::time::sleep(GOING).await;
        }
        let meanwhile = answered(&fleet.ledger) - before;
        assert!(meanwhile > 0, "the shop goes on");
        wait_ms(&mut moments, 2_000).await;
        let report = fleet.settle_all().await;
        println!(
            "round {round}: {meanwhile} answers while the store was slow; {} in all, {} entries",
            answered(&fleet.ledger),
            report["facts"]["entries"]
        );
    }
    fleet.end();
}
