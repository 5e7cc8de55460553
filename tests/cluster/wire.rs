//! Faults on the wire between a lane and its broker: an end of a transaction that comes late, an
//! answer that does, a connection that breaks meanwhile, and a process that dies between two of its
//! requests. Nothing is lost, doubled or torn.

use crate::{
    faults::{rounds, signal, wait_ms},
    fleet::Fleet,
    ground,
    shop::fresh_dir,
    writes::Moments,
};
use jupan_servers::{Fault, Happened, Kafka, Moment, Proxy, Rule, Step};
use std::{
    fs,
    net::SocketAddr,
    sync::OnceLock,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// A lane waits 8 s for its commit, and its transaction ends by itself 10 s after it began.
const BEYOND_THE_CLIENT: Duration = Duration::from_millis(8_500);
const BEYOND_THE_TRANSACTION: Duration = Duration::from_secs(13);
/// Longest wait for a fault to happen under load, over and above what it holds up.
const PATIENCE: Duration = Duration::from_secs(60);
/// A fault hits one of so many requests after it was planned.
const REQUESTS: u64 = 40;

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
        let data = fresh_dir();
        let mut flags = ground::cluster_flags(data.path());
        let kafka = flags.iter().position(|flag| flag == "--kafka").expect("it is named");
        flags[kafka + 1] = self.proxy.address();
        Fleet::start_on(data, flags, 2).await
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

async fn load_a_little(fleet: &mut Fleet, moments: &mut Moments) {
    fleet.load();
    wait_ms(moments, 1_500).await;
}

async fn settle(fleet: &mut Fleet, what: &str) {
    let report = fleet.settle().await;
    println!("{what}: {} entries", report["facts"]["entries"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_reach_the_broker_after_their_lane_has_gone_on() {
    let (rounds, mut moments) = rounds();
    let wire = Wire::get();
    let mut fleet = wire.fleet().await;
    for round in 0..rounds {
        load_a_little(&mut fleet, &mut moments).await;
        let is_over = round % 2 == 0;
        let wait = if is_over { BEYOND_THE_TRANSACTION } else { BEYOND_THE_CLIENT };
        let plan = wire.plan(&mut moments, Step::Commit, Moment::Request, Fault::Hold(wait));
        let held = plan.happens().await;
        assert!(held.client_left, "the lane has given its producer up: {held:?}");
        // Before the lane has taken over again it may still succeed: then the journal says so.
        assert!(!is_over || held.end_code != Some(0), "it is refused: {held:?}");
        wait_ms(&mut moments, 1_000).await;
        settle(&mut fleet, "a late commit").await;
    }
    fleet.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_whose_answer_comes_late() {
    let (rounds, mut moments) = rounds();
    let wire = Wire::get();
    let mut fleet = wire.fleet().await;
    for _ in 0..rounds {
        load_a_little(&mut fleet, &mut moments).await;
        let fault = Fault::Hold(BEYOND_THE_CLIENT);
        let plan = wire.plan(&mut moments, Step::Commit, Moment::Response, fault);
        let held = plan.happens().await;
        assert!(held.client_left, "the lane has given its producer up: {held:?}");
        assert_eq!(held.end_code, Some(0), "it was committed: {held:?}");
        wait_ms(&mut moments, 1_000).await;
        settle(&mut fleet, "a late answer").await;
    }
    fleet.end();
}

/// The client repeats the commit over another connection, and it succeeds; the first one is still on
/// its way, and must not end a later transaction.
#[tokio::test(flavor = "multi_thread")]
async fn commits_that_are_repeated_while_the_first_is_still_on_its_way() {
    let (rounds, mut moments) = rounds();
    let wire = Wire::get();
    let mut fleet = wire.fleet().await;
    for _ in 0..rounds * 2 {
        load_a_little(&mut fleet, &mut moments).await;
        let wait = Duration::from_millis(500 + moments.below(3_000));
        let plan = wire.plan(&mut moments, Step::Commit, Moment::Request, Fault::Strand(wait));
        plan.happens().await;
        settle(&mut fleet, "a repeated commit").await;
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
