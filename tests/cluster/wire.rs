//! Faults on the wire between a lane and its broker: an end of a transaction that comes late, an
//! answer that does, a connection that breaks meanwhile, and a process that dies between two of its
//! requests. Nothing is lost, doubled or torn.

use crate::{
    faults::{rounds, signal, wait_ms},
    fleet::Fleet,
    writes::Moments,
};
use jupan_servers::{Fault, Happened, Kafka, Moment, Proxy, Rule, Step};
use std::{
    fs,
    net::SocketAddr,
    sync::{OnceLock, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// A lane waits 8 s for its commit, and its transaction ends by itself 10 s after it began.
const BEYOND_THE_CLIENT: Duration = Duration::from_secs(9);
const BEYOND_THE_TRANSACTION: Duration = Duration::from_secs(13);
/// Longest wait for a fault to happen under load, over and above what it holds up.
const PATIENCE: Duration = Duration::from_secs(60);
/// A fault hits one of so many requests after it was planned.
const REQUESTS: u64 = 40;
/// Writes among which there are some of each kind.
const WRITES_MIN: u64 = 100;

/// A broker and the way to it; the tests of this file share it.
struct Wire {
    proxy: Proxy,
    _kafka: Kafka,
}

impl Wire {
    fn get() -> &'static Self {
        static WIRE: OnceLock<Wire> = OnceLock::new();
        WIRE.get_or_init(|| {
            let proxy = Proxy::listen();
            let kafka = Kafka::start_behind(proxy.port());
            proxy.forward_to(kafka.behind_proxy());
            Self { proxy, _kafka: kafka }
        })
    }

    /// Two processes with lanes behind the proxy.
    async fn fleet(&self) -> Fleet {
        Fleet::start_with("kafka", &self.proxy.address(), 2).await
    }

    /// One of the next requests of this kind has this fault.
    fn plan(&self, moments: &mut Moments, step: Step, moment: Moment, fault: Fault) -> Planned {
        let nth = 1 + u32::try_from(moments.below(REQUESTS)).expect("it is small");
        Planned(self.proxy.plan(Rule { step, transactional_id: None, nth, moment, fault }))
    }
}

struct Planned(oneshot::Receiver<Happened>);

impl Planned {
    /// Waits until it has happened; panics if it does not.
    async fn happens(self) -> Happened {
        let happened = tokio::time::timeout(PATIENCE, self.0).await;
        let happened = happened.expect("the load brings it about").expect("the broker answers");
        println!("{happened:?}");
        happened
    }
}

/// Under load, at a moment that nobody chose.
async fn load_a_little(fleet: &mut Fleet, moments: &mut Moments) {
    fleet.load();
    let end = Instant::now() + PATIENCE;
    while fleet.ledger.next.load(Ordering::Relaxed) < WRITES_MIN {
        assert!(Instant::now() < end, "the shop hardly answers");
        wait_ms(moments, 100).await;
    }
    wait_ms(moments, 1_500).await;
}

async fn settle(fleet: &mut Fleet, what: &str) {
    let report = fleet.settle().await;
    println!("{what}: {} entries", report["facts"]["entries"]);
}

/// Three commits of three transactions, under one load. One reaches the broker when its lane has
/// given it up, of one the answer does not come in time, and of one the connection breaks: the
/// client repeats that one over another connection, and it succeeds, while the first is still on its
/// way and must not end a later transaction.
#[tokio::test(flavor = "multi_thread")]
async fn commits_and_their_answers_that_come_late() {
    let (rounds, mut moments) = rounds();
    let wire = Wire::get();
    let mut fleet = wire.fleet().await;
    for round in 0..rounds {
        load_a_little(&mut fleet, &mut moments).await;
        let is_over = round % 2 == 0;
        // Either long after, or around the moment when the lane takes over again.
        let around = Duration::from_millis(8_000 + moments.below(1_000));
        let wait = if is_over { BEYOND_THE_TRANSACTION } else { around };
        let on_its_way = Duration::from_millis(500 + moments.below(3_000));
        let mut plan = |moment, fault| wire.plan(&mut moments, Step::Commit, moment, fault);
        let repeated = plan(Moment::Request, Fault::Strand(on_its_way));
        let unheard = plan(Moment::Response, Fault::Hold(BEYOND_THE_CLIENT));
        let late = plan(Moment::Request, Fault::Hold(wait));
        repeated.happens().await;
        let unheard = unheard.happens().await;
        assert!(unheard.client_left, "its lane has given its producer up: {unheard:?}");
        assert_eq!(unheard.end_code, Some(0), "it was committed: {unheard:?}");
        let late = late.happens().await;
        // Before the lane has taken over again it still succeeds: then the journal says so.
        let is_refused = late.client_left && late.end_code != Some(0);
        assert!(is_refused || !is_over, "nobody waits for it, and it is refused: {late:?}");
        wait_ms(&mut moments, 1_000).await;
        settle(&mut fleet, "late commits and answers").await;
    }
    fleet.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn processors_killed_between_two_requests_of_a_transaction() {
    let (rounds, mut moments) = rounds();
    let wire = Wire::get();
    let mut fleet = wire.fleet().await;
    let points = [
        ("produced, positions not sent", Step::AddOffsets, Moment::Request),
        ("positions sent, not committed", Step::Commit, Moment::Request),
        ("committed, not told", Step::Commit, Moment::Response),
    ];
    for _ in 0..rounds {
        for (what, step, moment) in points {
            load_a_little(&mut fleet, &mut moments).await;
            let (fault, killed) = kill(&fleet, wire.proxy.port());
            let happened = wire.plan(&mut moments, step, moment, fault).happens().await;
            let is_committed = moment == Moment::Response;
            assert_eq!(happened.end_code, is_committed.then_some(0), "{what}");
            let killed = killed.await.expect("the hook was called");
            let at = fleet.processors.iter().position(|process| process.id() == killed);
            fleet.processors.remove(at.expect("one of ours")).kill();
            wait_ms(&mut moments, 2_000).await;
            fleet.join().await;
            settle(&mut fleet, what).await;
        }
    }
    fleet.end();
}

/// Kills the process at the other end of the connection, and says which one it was.
fn kill(fleet: &Fleet, proxy_port: u16) -> (Fault, oneshot::Receiver<u32>) {
    let processes: Vec<u32> = fleet.processors.iter().map(|process| process.id()).collect();
    let (tell, killed) = oneshot::channel();
    let hook = move |peer: SocketAddr| {
        let owner = owner(&processes, peer.port(), proxy_port).expect("a process with lanes");
        signal(owner, "-KILL");
        until_dead(owner);
        tell.send(owner).expect("the test waits for it");
    };
    (Fault::Cut(Box::new(hook)), killed)
}

/// Which of the processes has this connection.
fn owner(processes: &[u32], local_port: u16, remote_port: u16) -> Option<u32> {
    let connections = fs::read_to_string("/proc/net/tcp").expect("a Linux");
    let has_port = |address: &str, port: u16| address.ends_with(&format!(":{port:04X}"));
    let inode = connections.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_it = has_port(fields[1], local_port) && has_port(fields[2], remote_port);
        is_it.then(|| fields[9].to_owned())
    })?;
    let socket = format!("socket:[{inode}]");
    let has_it = |process: &&u32| {
        let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten();
        let mut links = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
        links.any(|link| link.as_os_str() == socket.as_str())
    };
    processes.iter().find(has_it).copied()
}

/// A signal is not waited for; nothing of the process may happen after it.
fn until_dead(process: u32) {
    let end = Instant::now() + PATIENCE;
    loop {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        if stat.rsplit(") ").next().is_none_or(|state| state.is_empty() || state.starts_with('Z')) {
            return;
        }
        assert!(Instant::now() < end, "{process} lives on");
        std::thread::yield_now();
    }
}

/// The invariant that a step which is committed twice breaks in any case.
#[cfg(feature = "planted-bugs")]
const JOURNAL_IS_DENSE: u64 = 6;

/// The rule that these tests are about, switched off: `scripts/chaos` runs this against a binary
/// whose lanes commit once more what may have been committed. It must not look fine.
#[cfg(feature = "planted-bugs")]
#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_repeats_an_unknown_commit_is_caught() {
    let planted = std::env::var("JUPAN_PLANT").unwrap_or_default();
    assert_eq!(planted, "unknown-commit-repeated", "JUPAN_PLANT names the bug to the processes");
    let (_, mut moments) = rounds();
    let wire = Wire::get();
    let mut fleet = wire.fleet().await;
    fleet.verify(&[]);
    load_a_little(&mut fleet, &mut moments).await;
    let fault = Fault::Hold(BEYOND_THE_CLIENT);
    let held = wire.plan(&mut moments, Step::Commit, Moment::Response, fault).happens().await;
    assert_eq!((held.client_left, held.end_code), (true, Some(0)), "it is committed unknown");
    let end = Instant::now() + PATIENCE;
    loop {
        let (code, report) = fleet.verdict();
        let invariants = report["invariants"].as_array().into_iter().flatten();
        let broken: Vec<_> = invariants.filter(|one| one["ok"] == false).collect();
        let says = |number: u64| broken.iter().any(|one| one["number"] == number);
        if code == Some(1) && says(JOURNAL_IS_DENSE) {
            let statements = broken.iter().map(|one| &one["statement"]);
            println!("caught: {:#?}", statements.collect::<Vec<_>>());
            return;
        }
        assert!(Instant::now() < end, "a commit was repeated, and verify is green: {report:#}");
    }
}
