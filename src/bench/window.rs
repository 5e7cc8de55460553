//! `bench window`: how long the call for the best sellers takes over many orders of the last three
//! days. The analyzer is the shop's own and counts real records, which are made up as it reads them;
//! it is asked in process, and over HTTP by a caller with one connection; while nothing is sold, and
//! while every batch of new sales makes it rank anew. Its answers are held against a recount of
//! every sale.

mod sales;

use super::{
    cpu,
    engine::{Engine, Shape},
    http::Connection,
    plan::Window,
    report::{Report, as_f64, median, percentile},
    scratch,
};
use crate::client::{Client, Patience, Request};
use anyhow::{Context, bail, ensure};
use jupan_analytics::{Analyzer, Options, TopAnswer, TopQuery, View};
use jupan_ingest_api::{Api, Limits};
use sales::SalesLog;
use serde::Serialize;
use serde_json::json;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::oneshot};

/// What is asked: the best 5 of the last 3 days.
const QUERY: TopQuery = TopQuery { days: 3, limit: 5, as_of: None };
/// The same over HTTP.
const PATH: &str = "/products/top?days=3&limit=5";
/// Calls of a round.
const CALLS: usize = 2_000;
/// Pause between two calls while sales arrive: each finds new ones.
const CALL_PAUSE: Duration = Duration::from_millis(1);
/// Orders that arrive at once, where sales arrive, and the pause between two such arrivals.
const ARRIVING_ORDERS: u64 = 40;
const ARRIVAL_PAUSE: Duration = Duration::from_millis(1);
/// Longest wait until everything is counted.
const COUNT_MAX: Duration = Duration::from_secs(3_600);
/// Pause between two looks whether it is.
const COUNT_PAUSE: Duration = Duration::from_millis(10);
/// How long the shop may take for a call.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long calls of one kind took, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Calls {
    p50_us: f64,
    p99_us: f64,
}

/// Runs the scenario and verifies what it left.
///
/// # Errors
/// What could not be run.
pub(crate) fn run(plan: &Window) -> anyhow::Result<Report> {
    let dir = scratch::Dir::new(&plan.run.dir)?;
    let shape = Shape { users: 1, products: plan.goods.products, lines: plan.goods.lines };
    let engine = Engine::open(dir.path(), shape, None)?;
    engine.populate()?;
    let measured = measure(plan, shape, &engine);
    engine.close()?;
    let mut report = measured?;
    report.verified &= scratch::verify(dir.path())?.is_green;
    Ok(report)
}

fn measure(plan: &Window, shape: Shape, engine: &Engine) -> anyhow::Result<Report> {
    let start = Instant::now();
    let log = Arc::new(SalesLog::new(shape, plan.orders));
    let analyzer = Analyzer::start(log.clone(), Options::default())?;
    let view = analyzer.view();
    until_counted(&view)?;
    let mut report = Report::default();
    tell_count(&log, start.elapsed(), plan.orders, &mut report);

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (address, stop) = runtime.block_on(serve(engine, view.clone()))?;
    for is_busy in [false, true] {
        let feeder = is_busy.then(|| Feeder::start(log.clone())).transpose()?;
        let (mut direct, mut http) = (Vec::new(), Vec::new());
        for _ in 0..plan.run.rounds {
            direct.push(calls(&view, is_busy)?);
            http.push(runtime.block_on(http_calls(address, is_busy))?);
        }
        drop(feeder);
        let names = if is_busy { ["inProcessBusy", "httpBusy"] } else { ["inProcess", "http"] };
        let state = if is_busy { "while sales arrive" } else { "quiet" };
        tell(names[0], &format!("in process, {state}"), &direct, &mut report);
        tell(names[1], &format!("over HTTP, {state}"), &http, &mut report);
    }
    until_counted(&view)?;
    report.verified = is_right(&log, &view)? && runtime.block_on(is_told(address, &view))?;
    if !report.verified {
        eprintln!("the best sellers are not those of a recount");
    }
    drop(stop);
    analyzer.stop();
    analyzer.failure().map_or(Ok(report), |failure| bail!(failure))
}

fn until_counted(view: &View) -> anyhow::Result<()> {
    let start = Instant::now();
    while view.status().lag > 0 {
        ensure!(start.elapsed() < COUNT_MAX, "the sales are not counted");
        std::thread::park_timeout(COUNT_PAUSE);
    }
    Ok(())
}

/// Serves the shop's API with these best sellers, until what it returns is dropped.
async fn serve(engine: &Engine, view: View) -> anyhow::Result<(SocketAddr, oneshot::Sender<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let ports = engine.shop().ports(view, &format!("http://{address}"));
    let api = Api::open(ports, Limits::default())?;
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(jupan_ingest_api::serve(listener, api, async { drop(stopped.await) }));
    Ok((address, stop))
}

/// Times calls, one after the other.
fn calls(view: &View, with_pauses: bool) -> anyhow::Result<Calls> {
    let mut times_ns = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let start = Instant::now();
        view.top(&QUERY)?;
        times_ns.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        if with_pauses {
            std::thread::park_timeout(CALL_PAUSE);
        }
    }
    Ok(Calls::of(times_ns))
}

async fn http_calls(address: SocketAddr, with_pauses: bool) -> anyhow::Result<Calls> {
    let request = format!("GET {PATH} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let (mut connection, mut times_ns) = (Connection::new(address), Vec::with_capacity(CALLS));
    for _ in 0..CALLS {
        let start = Instant::now();
        let status = connection.exchange(request.as_bytes()).await?;
        times_ns.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        ensure!(status == 200, "the call for the best sellers is answered {status}");
        if with_pauses {
            tokio::time::sleep(CALL_PAUSE).await;
        }
    }
    Ok(Calls::of(times_ns))
}

impl Calls {
    fn of(mut times_ns: Vec<u64>) -> Self {
        times_ns.sort_unstable();
        let us = |percent| percentile(&times_ns, percent) / 1e3;
        Self { p50_us: us(50), p99_us: us(99) }
    }
}

/// A thread with which sales arrive; it ends when this is dropped.
struct Feeder(Arc<AtomicBool>);

impl Feeder {
    fn start(log: Arc<SalesLog>) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        std::thread::Builder::new().name("bench-sales".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                log.arrive(ARRIVING_ORDERS);
                std::thread::park_timeout(ARRIVAL_PAUSE);
            }
        })?;
        Ok(Self(stop))
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Whether the analyzer's answer is what adding up every sale gives.
fn is_right(log: &SalesLog, view: &View) -> anyhow::Result<bool> {
    let TopAnswer { products, window_from, window_to, .. } = view.top(&QUERY)?;
    let mut by_hand: Vec<_> = log.by_hand(window_from..window_to).into_iter().collect();
    by_hand.sort_by_key(|(product, (units, amount))| (-units, -amount, *product));
    by_hand.truncate(QUERY.limit as usize);
    let told = products.iter().map(|top| (top.product_id, (top.units.0, top.amount.0)));
    Ok(told.eq(by_hand))
}

/// Whether HTTP tells what the analyzer says.
async fn is_told(address: SocketAddr, view: &View) -> anyhow::Result<bool> {
    let client = Client::new(&format!("http://{address}"), 1)?;
    let answer = client.insist(&Request::get(PATH), &Patience::new(PATIENCE)).await?;
    let told = answer.body["products"].as_array().context("no list of products")?;
    let told = told.iter().map(|product| (product["id"].as_u64(), product["units"].as_i64()));
    let known = view.top(&QUERY)?.products;
    Ok(told.eq(known.iter().map(|top| (Some(top.product_id.0), Some(top.units.0)))))
}

fn tell_count(log: &SalesLog, took: Duration, orders: u64, report: &mut Report) {
    let (sales, seconds) = (log.count(), took.as_secs_f64());
    let per_second = (as_f64(sales) / seconds.max(f64::EPSILON)).round();
    let resident = cpu::resident_bytes(std::process::id()).unwrap_or(0) >> 20;
    report.say(format!(
        "{orders} orders with {sales} sales counted in {seconds:.1} s ({per_second:.0} sales/s, made \
         up as they are read); {resident} MiB in use"
    ));
    report.put("orders", orders);
    report.put("salesPerSecond", per_second);
    report.put("residentMib", resident);
}

fn tell(name: &str, way: &str, rounds: &[Calls], report: &mut Report) {
    let p50_us = median(rounds.iter().map(|calls| calls.p50_us));
    let p99_us = median(rounds.iter().map(|calls| calls.p99_us));
    report.say(format!("window: top 5 {way}: p50 {p50_us:.1} us, p99 {p99_us:.1} us"));
    report.put(name, json!({"p50Us": p50_us, "p99Us": p99_us, "rounds": rounds}));
}
