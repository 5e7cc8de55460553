//! `bench cluster`: a shop on Kafka and a CQL store, against this binary as processes of its own.
//!
//! ```text
//!   rates      orders that come at their time: from POST to outcome, a lane's commit, its projection
//!   uniform    as many orders as so many connections get through, and the same with one product in each
//!   takeovers  an API and two processes with lanes, of which one is killed under load
//! ```
//! Broker, store and load share the machine with the shop, unless the flags name others. Topics and
//! keyspace are the run's own, and are left behind: no role deletes any.

mod metrics;

use super::{
    cpu::{Meter, used_by, used_since},
    hot,
    http::{Load, Seen, Server, populate, shape_of},
    plan::Cluster as Plan,
    report::{Report, Round, median, percentile},
};
use crate::cluster::{self, Cluster};
use jupan_processors::metrics::{COMMIT_SECONDS, PROJECTION_SECONDS};
use metrics::Spread;
use serde::Serialize;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Connections where orders come at their time: none of them waits for a connection, as long as the
/// shop answers within a second or so.
const PACED_CONNECTIONS: usize = 512;
/// Orders before the counted ones, so that every connection is made.
const FIRST: Duration = Duration::from_secs(2);
/// Orders a second while processes are killed.
const KILL_RATE: u32 = 40;
/// Load before a kill, and behind it: longer than a silent process is waited for, and all that
/// follows.
const BEFORE_KILL: Duration = Duration::from_secs(2);
const AFTER_KILL: Duration = Duration::from_secs(12);

/// Runs the scenario and verifies what it left.
///
/// # Errors
/// What could not be run.
pub(crate) fn run(plan: &Plan) -> anyhow::Result<Report> {
    let place = Place::make(plan)?;
    let mut report = Report::default();
    place.populate()?;
    for rate in &plan.rates {
        place.paced(*rate)?.tell(&mut report);
    }
    let mut all = place.start()?;
    let pairs = hot::pairs(&plan.timed, |hot, length| place.round(&mut all, hot, length));
    all.server.stop()?;
    pairs?.tell("cluster", &mut report);
    if plan.kills > 0 {
        let takeovers = place.takeovers(plan.kills)?;
        tell_takeovers(takeovers, &mut report);
    }
    report.verified = place.verify()?;
    Ok(report)
}

/// Where the run's shop is.
struct Place<'p> {
    plan: &'p Plan,
    options: cluster::Options,
    runtime: Runtime,
}

/// A process that takes orders, and who places them.
struct Served {
    server: Server,
    load: Load,
}

impl<'p> Place<'p> {
    fn make(plan: &'p Plan) -> anyhow::Result<Self> {
        let name = format!("bench{}", std::process::id());
        let options = cluster::Options {
            kafka: Some(plan.kafka.clone()),
            cql: Some(plan.cql.clone()),
            registry: plan.registry.clone(),
            topic_prefix: format!("{name}-"),
            keyspace: name,
        };
        cluster::make(&options, plan.partitions, plan.replication)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        Ok(Self { plan, options, runtime })
    }

    fn flags(&self) -> Vec<String> {
        let cluster::Options { topic_prefix, keyspace, registry, .. } = &self.options;
        let flag = |name: &str, value: &str| [format!("--{name}"), value.to_owned()];
        let mut flags = [
            flag("kafka", &self.plan.kafka),
            flag("cql", &self.plan.cql),
            flag("topic-prefix", topic_prefix),
            flag("keyspace", keyspace),
        ]
        .concat();
        flags.extend(registry.iter().flat_map(|url| flag("registry", url)));
        flags
    }

    /// Starts a role and waits until it is ready.
    fn server(&self, role: &str) -> anyhow::Result<Server> {
        let server = Server::start_role(role, self.flags())?;
        self.runtime.block_on(server.ready())?;
        Ok(server)
    }

    /// Registers products, and users with money.
    fn populate(&self) -> anyhow::Result<()> {
        let (all, crowd) = (self.server("all")?, self.plan.crowd);
        self.runtime.block_on(populate(&all.url(), crowd.users, crowd.goods.products))?;
        all.stop()
    }

    fn start(&self) -> anyhow::Result<Served> {
        let server = self.server("all")?;
        let load = Load::new(server.address(), shape_of(self.plan.crowd), self.plan.in_flight);
        Ok(Served { server, load })
    }

    /// Orders at a rate, in a shop that has just been started: its metrics are of these orders.
    fn paced(&self, rate: u32) -> anyhow::Result<Paced> {
        let server = self.server("all")?;
        let shape = shape_of(self.plan.crowd);
        let mut load = Load::new(server.address(), shape, PACED_CONNECTIONS);
        self.runtime.block_on(load.run_paced(rate, FIRST))?;
        let mut rounds = Vec::new();
        for _ in 0..self.plan.timed.run.rounds {
            let seen = self.runtime.block_on(load.run_paced(rate, self.plan.timed.seconds))?;
            rounds.push(seen);
        }
        let text = self.runtime.block_on(metrics::read(&server.url()))?;
        server.stop()?;
        Ok(Paced::of(rate, &rounds, &text))
    }

    /// As many orders as the connections get through.
    fn round(&self, all: &mut Served, hot: bool, length: Duration) -> anyhow::Result<Round> {
        all.load.set_hot(hot);
        let meter = Meter::Process(all.server.pid());
        let named = &self.plan.beside;
        let (before, beside) = (meter.read(), used_by(named));
        let mut round = Round { seconds: length.as_secs_f64(), ..Round::default() };
        let placed = all.load.run_and(length, || {
            round.spent = meter.since(&before);
            round.spent.beside = used_since(named, &beside);
        });
        let seen = self.runtime.block_on(placed)?;
        round.latencies_us = seen.latencies_us();
        (round.orders, round.errors) = (seen.ok, seen.errors);
        Ok(round)
    }

    /// Kills one of two processes with lanes under load, again and again: how long an order took at
    /// most each time, in milliseconds.
    fn takeovers(&self, kills: u32) -> anyhow::Result<Vec<f64>> {
        let mut lanes = vec![self.server("process")?, self.server("process")?];
        let api = self.server("api")?;
        let shape = shape_of(self.plan.crowd);
        let mut load = Load::new(api.address(), shape, PACED_CONNECTIONS);
        let mut worst_ms = Vec::new();
        for _ in 0..kills {
            let killed = lanes.remove(0);
            let kill = async {
                tokio::time::sleep(BEFORE_KILL).await;
                killed.kill()
            };
            let placed = load.run_paced(KILL_RATE, BEFORE_KILL + AFTER_KILL);
            let (seen, killed) = self.runtime.block_on(async { tokio::join!(placed, kill) });
            killed?;
            let seen = seen?;
            anyhow::ensure!(seen.errors.is_empty(), "orders after a kill: {:?}", seen.errors);
            worst_ms.push(percentile(&seen.latencies_us(), 100) / 1e3);
            lanes.push(self.server("process")?);
        }
        for server in lanes.into_iter().chain([api]) {
            server.stop()?;
        }
        Ok(worst_ms)
    }

    fn verify(&self) -> anyhow::Result<bool> {
        let began = Instant::now();
        let cluster = Cluster::open_to_read(&self.options)?;
        let report = crate::verify::of_ended(&cluster)?;
        if !report.is_ok() {
            report.print(false, &mut std::io::stderr())?;
        }
        eprintln!(
            "jupan bench: {} entries verified after {:.0} s; the topics and the keyspace of {} stay",
            report.facts.entries,
            began.elapsed().as_secs_f64(),
            self.options.keyspace
        );
        Ok(report.is_ok())
    }
}

/// What orders at a rate came to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Paced {
    orders_per_second: u32,
    /// From POST to outcome; the median of the rounds.
    outcome: Spread,
    /// A lane's commit, in the slowest lane.
    commit: Spread,
    /// From a commit until its rows can be read, in the slowest lane.
    projection: Spread,
    orders: u64,
    errors: u64,
}

impl Paced {
    fn of(rate: u32, rounds: &[Seen], metrics: &str) -> Self {
        let of_rounds = |percent: usize| {
            median(rounds.iter().map(|seen| percentile(&seen.latencies_us(), percent) / 1e3))
        };
        Self {
            orders_per_second: rate,
            outcome: Spread { p50_ms: of_rounds(50), p99_ms: of_rounds(99) },
            commit: metrics::spread(metrics, COMMIT_SECONDS),
            projection: metrics::spread(metrics, PROJECTION_SECONDS),
            orders: rounds.iter().map(|seen| seen.ok).sum(),
            errors: rounds.iter().flat_map(|seen| seen.errors.values()).sum(),
        }
    }

    fn tell(&self, report: &mut Report) {
        let Self { orders_per_second: rate, outcome, commit, projection, orders, errors } = self;
        let of = |spread: &Spread| format!("{:.1} / {:.1}", spread.p50_ms, spread.p99_ms);
        report.say(format!(
            "cluster, {rate} orders/s: outcome after {} ms (p50 / p99), a commit {}, readable {} \
             behind it; {orders} orders, {errors} without outcome",
            of(outcome),
            of(commit),
            of(projection)
        ));
        let rates = report.json.entry("rates").or_insert_with(|| json!([]));
        if let Some(rates) = rates.as_array_mut() {
            rates.push(json!(self));
        }
    }
}

fn tell_takeovers(mut worst_ms: Vec<f64>, report: &mut Report) {
    let kills = worst_ms.len();
    worst_ms.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        let last = kills.saturating_sub(1);
        worst_ms.get(last * percent / 100).copied().unwrap_or(0.0)
    };
    report.say(format!(
        "cluster, one of two processes killed {kills} times at {KILL_RATE} orders/s: the slowest order \
         took p50 {:.0}, p99 {:.0}, max {:.0} ms",
        at(50),
        at(99),
        at(100)
    ));
    report.put(
        "takeovers",
        json!({"kills": kills, "p50Ms": at(50), "p99Ms": at(99), "maxMs": at(100), "eachMs": worst_ms}),
    );
}
