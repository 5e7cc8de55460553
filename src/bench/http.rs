//! `bench http`: orders over HTTP against this binary as a process of its own, durable.
//!
//! A closed loop: each connection places an order, waits for its outcome (`Prefer: wait`), and places the
//! next, with a new key each. The load shares the processor with the shop, so what it used is shown
//! beside the figures.

mod histogram;
mod load;
mod populate;
mod server;
mod start;
mod wire;

use super::{
    cpu::Meter,
    machine,
    plan::{Crowd, Orders},
    report::{Figures, Report, Round},
    scratch,
};
pub(crate) use load::{Load, Seen, Shape};
pub(crate) use populate::populate;
pub(crate) use server::Server;
pub(crate) use start::Started;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
pub(crate) use wire::Connection;

/// Connections, unless the plan says otherwise.
const CONNECTIONS: usize = 64;
/// What is measured before the counted rounds.
const FIRST: Duration = Duration::from_secs(1);
/// How long the disk is tried behind each round.
const RAW_TIME: Duration = Duration::from_millis(500);

/// Runs the scenario and verifies what it left.
///
/// # Errors
/// What could not be run.
pub(crate) fn run(plan: &Orders) -> anyhow::Result<Report> {
    let dir = scratch::Dir::new(&plan.timed.run.dir)?;
    let mut served = Served::start(dir.path(), plan.crowd, plan.in_flight)?;
    served.populate()?;
    let first = served.round(plan.hot, FIRST)?;
    let mut report = Report::default();
    let mut rounds = Vec::new();
    for number in 1..=plan.timed.run.rounds {
        let round = served.round(plan.hot, plan.timed.seconds)?;
        report.say(format!("round {number}: {}", round.brief()));
        rounds.push(round);
    }
    served.stop()?;
    let figures = Figures::of(&rounds);
    report.text.extend(figures.lines("http"));
    report.say(format!("  first second: {:.0} orders/s", first.per_second()));
    report.put("firstSecondOrdersPerSecond", first.per_second().round());
    report.put("hot", plan.hot);
    report.put_all(&figures);
    report.verified = scratch::verify(dir.path())?.is_green;
    Ok(report)
}

/// A shop that is a process of its own, and a load on it.
pub(crate) struct Served {
    runtime: tokio::runtime::Runtime,
    server: Server,
    load: Load,
    crowd: Crowd,
    data: PathBuf,
    ready_ms: f64,
}

impl Served {
    /// Starts a shop on a directory and waits until it is ready.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn start(
        data: &Path,
        crowd: Crowd,
        connections: Option<usize>,
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let server = Server::start(data)?;
        runtime.block_on(server.ready())?;
        let ready_ms = server.age().as_secs_f64() * 1e3;
        let load = load_on(&server, crowd, connections);
        Ok(Self { runtime, server, load, crowd, data: data.to_owned(), ready_ms })
    }

    /// Takes a shop that has just begun to listen on a directory that is populated, and watches it
    /// until it is ready.
    ///
    /// # Errors
    /// Why it does not get ready.
    pub(crate) fn watch_start(
        server: Server,
        data: &Path,
        crowd: Crowd,
    ) -> anyhow::Result<(Self, Started)> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let started = runtime.block_on(start::watch(&server, shape_of(crowd)))?;
        let load = load_on(&server, crowd, None);
        let ready_ms = started.ready_ms;
        Ok((Self { runtime, server, load, crowd, data: data.to_owned(), ready_ms }, started))
    }

    /// The shop's process.
    pub(crate) fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Milliseconds from just before the process was made until it was ready.
    pub(crate) fn ready_ms(&self) -> f64 {
        self.ready_ms
    }

    /// Registers products, and users with money.
    ///
    /// # Errors
    /// What the shop refused, or why it answers no more.
    pub(crate) fn populate(&self) -> anyhow::Result<()> {
        let url = self.server.url();
        self.runtime.block_on(populate(&url, self.crowd.users, self.crowd.goods.products))
    }

    /// Places orders for so long.
    ///
    /// # Errors
    /// Why they could not be placed.
    pub(crate) fn round(&mut self, hot: bool, length: Duration) -> anyhow::Result<Round> {
        self.load.set_hot(hot);
        let meter = Meter::Process(self.server.pid());
        let log_before = scratch::log_bytes(&self.data)?;
        let before = meter.read();
        let mut round = Round { seconds: length.as_secs_f64(), ..Round::default() };
        let placed = self.load.run_and(length, || {
            round.spent = meter.since(&before);
            round.log_bytes = scratch::log_bytes(&self.data).unwrap_or(0);
        });
        let Seen { ok, errors, latencies } = self.runtime.block_on(placed)?;
        round.orders = ok;
        round.errors = errors;
        round.latencies_us = latencies.spread();
        round.log_bytes = round.log_bytes.saturating_sub(log_before);
        let raw = machine::sync(&self.data, machine::GROUP_BLOCK_BYTES, RAW_TIME)?;
        round.raw_bytes_per_second = raw.bytes_per_second;
        Ok(round)
    }

    /// Places orders for so long and kills the shop in the middle of them.
    ///
    /// # Errors
    /// Where it had ended by itself.
    pub(crate) fn kill_under_load(self, length: Duration) -> anyhow::Result<()> {
        let Self { runtime, server, mut load, .. } = self;
        let mut killed = Ok(());
        runtime.block_on(load.run_and(length, || killed = server.kill()))?;
        killed
    }

    /// Lets the shop finish what it has accepted and end.
    ///
    /// # Errors
    /// Why it did not end well.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        drop(self.runtime);
        self.server.stop()
    }
}

pub(crate) fn shape_of(crowd: Crowd) -> Shape {
    let Crowd { users, goods } = crowd;
    Shape { users, products: goods.products, lines: goods.lines, hot: false }
}

/// Connections to a shop that are made with their first order.
fn load_on(server: &Server, crowd: Crowd, connections: Option<usize>) -> Load {
    Load::new(server.address(), shape_of(crowd), connections.unwrap_or(CONNECTIONS))
}
