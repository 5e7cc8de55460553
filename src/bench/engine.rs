//! `bench engine`: orders through log and lanes without HTTP. Producers append PlaceOrder commands
//! as any other system would, and count an order when its outcome comes back: durable, projected,
//! answered.

mod commands;
mod load;

use super::{
    cpu::{Meter, Spent},
    machine,
    plan::{Crowd, Orders},
    report::{Figures, Report, Round},
    scratch,
};
use crate::shop::{Embedded, Shop};
use anyhow::bail;
use clap::Parser;
use commands::Kind;
pub(crate) use commands::Shape;
use load::{Load, THREADS, Until};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long the disk is tried behind each round.
const RAW_TIME: Duration = Duration::from_millis(500);
/// A shop is quiet when it uses next to nothing of the processor for so long.
const QUIET_TIME: Duration = Duration::from_millis(300);
/// Processor seconds that several idle shops use in that time.
const QUIET_SECONDS: f64 = 0.03;
/// Longest wait for a shop to be quiet.
const QUIET_MAX: Duration = Duration::from_secs(120);
/// What is measured before the counted rounds.
const FIRST: Duration = Duration::from_secs(1);

/// Runs the scenario and verifies what it left.
///
/// # Errors
/// What could not be run.
pub(crate) fn run(plan: &Orders) -> anyhow::Result<Report> {
    let dir = scratch::Dir::new(&plan.timed.run.dir)?;
    let engine = Engine::open(dir.path(), plan.crowd.into(), plan.in_flight)?;
    let measured = measure(plan, &engine);
    let closed = engine.close();
    let mut report = measured?;
    closed?;
    report.verified = scratch::verify(dir.path())?.is_green;
    Ok(report)
}

fn measure(plan: &Orders, engine: &Engine) -> anyhow::Result<Report> {
    engine.populate()?;
    let first = engine.round(plan.hot, FIRST)?;
    let mut report = Report::default();
    let mut rounds = Vec::new();
    for number in 1..=plan.timed.run.rounds {
        let round = engine.round(plan.hot, plan.timed.seconds)?;
        report.say(format!("round {number}: {}", round.brief()));
        rounds.push(round);
    }
    let figures = Figures::of(&rounds);
    report.text.extend(figures.lines("engine"));
    report.say(format!("  first second: {:.0} orders/s", first.per_second()));
    report.put("firstSecondOrdersPerSecond", first.per_second().round());
    report.put("hot", plan.hot);
    report.put_all(&figures);
    Ok(report)
}

impl From<Crowd> for Shape {
    fn from(crowd: Crowd) -> Self {
        let Crowd { users, goods } = crowd;
        Self { users, products: goods.products, lines: goods.lines }
    }
}

/// What orders cost.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    /// How many.
    pub(crate) orders: u64,
    /// From the first append to the last outcome.
    pub(crate) seconds: f64,
    /// Until the shop was quiet again.
    pub(crate) spent: Spent,
}

/// A shop in this process, without HTTP, and its load.
pub(crate) struct Engine {
    shop: Shop<Embedded>,
    load: Load,
    shape: Shape,
    data: PathBuf,
}

impl Engine {
    /// Opens a shop in a directory.
    ///
    /// # Errors
    /// What cannot be opened.
    pub(crate) fn open(
        data: &Path,
        shape: Shape,
        in_flight: Option<usize>,
    ) -> anyhow::Result<Self> {
        let call = ["jupan", "--charge-max", "100000000000", "--data"].map(Into::into);
        let call = call.into_iter().chain([data.as_os_str().to_owned()]);
        let options = crate::cli::Call::try_parse_from(call)?.shop;
        let shop = Shop::open(&options)?;
        let load = Load::start(shop.engine.log.clone(), shape, in_flight)?;
        Ok(Self { shop, load, shape, data: data.to_owned() })
    }

    /// Registers products, and users with money.
    ///
    /// # Errors
    /// What the shop refused, or why it answers no more.
    pub(crate) fn populate(&self) -> anyhow::Result<()> {
        self.load.all(Kind::Product, self.shape.products)?;
        // Appends that wait side by side have no order between them.
        self.load.all(Kind::User, self.shape.users)?;
        self.load.all(Kind::Charge, self.shape.users)
    }

    /// Places so many orders, and says how long it took.
    ///
    /// # Errors
    /// See [`Engine::populate`].
    pub(crate) fn fill(&self, orders: u64) -> anyhow::Result<Duration> {
        let start = Instant::now();
        let mut took = Duration::ZERO;
        self.load.orders(false, Until::Number(orders), |_| took = start.elapsed())?;
        self.load.take_latencies_us();
        Ok(took)
    }

    /// Places orders for so long.
    ///
    /// # Errors
    /// See [`Engine::populate`].
    pub(crate) fn round(&self, hot: bool, length: Duration) -> anyhow::Result<Round> {
        let meter = Meter::Threads(THREADS);
        let log_before = scratch::log_bytes(&self.data)?;
        let (start, before) = (Instant::now(), meter.read());
        let mut round = Round::default();
        self.load.orders(hot, Until::Time(start + length), |orders| {
            round.orders = orders;
            round.seconds = start.elapsed().as_secs_f64();
            round.spent = meter.since(&before);
            round.log_bytes = scratch::log_bytes(&self.data).unwrap_or(0);
        })?;
        round.log_bytes = round.log_bytes.saturating_sub(log_before);
        round.latencies_us = self.load.take_latencies_us();
        let raw = machine::sync(&self.data, machine::GROUP_BLOCK_BYTES, RAW_TIME)?;
        round.raw_bytes_per_second = raw.bytes_per_second;
        Ok(round)
    }

    /// Places so many orders in a quiet shop, and counts the processor time until it is quiet again:
    /// what is written and merged later is part of what they cost.
    ///
    /// # Errors
    /// See [`Engine::populate`].
    pub(crate) fn cost(&self, orders: u64) -> anyhow::Result<Cost> {
        self.quiet()?;
        let meter = Meter::Threads(THREADS);
        let before = meter.read();
        let seconds = self.fill(orders)?.as_secs_f64();
        self.quiet()?;
        Ok(Cost { orders, seconds, spent: meter.since(&before) })
    }

    /// Waits until nothing is written or merged any more.
    fn quiet(&self) -> anyhow::Result<()> {
        self.shop.engine.store.flush()?;
        let (meter, start) = (Meter::Threads(THREADS), Instant::now());
        while start.elapsed() < QUIET_MAX {
            let before = meter.read();
            std::thread::park_timeout(QUIET_TIME);
            if meter.since(&before).shop <= QUIET_SECONDS {
                return Ok(());
            }
        }
        bail!("the shop is still busy after {} s without orders", QUIET_MAX.as_secs())
    }

    /// The parts of the shop.
    pub(crate) fn shop(&self) -> &Shop<Embedded> {
        &self.shop
    }

    /// Drains the shop.
    ///
    /// # Errors
    /// Why the shop had failed, or what could not be written.
    pub(crate) fn close(self) -> anyhow::Result<()> {
        let Self { shop, load, .. } = self;
        drop(load);
        shop.close()
    }
}
