//! Every role in one process, on the embedded log and store: what `jupan` runs by default.

use crate::{demo, inspection::Inspection, open_files, traces};
use anyhow::{Context, bail};
use jupan_analytics::{Analyzer, TopAnswer, TopError, TopQuery, View};
use jupan_ingest_api::{Api, Drained, Health, Ports, Top};
use jupan_ledger::Rules;
use jupan_log::{Log, SystemClock, embedded as embedded_log};
use jupan_processors::{Host, Limits, Parts};
use jupan_schemas::{Micros, Money, Role, SchemaIds};
use jupan_store::embedded as embedded_store;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, signal::unix, sync::Notify};

/// A drain gives orders on their way between lanes so long; HTTP has had its own time before. What is
/// left waits in the log for the next start.
const LANE_DRAIN_MAX: Duration = Duration::from_secs(3);
/// How often the lanes are asked whether one has failed.
const WATCH_INTERVAL: Duration = Duration::from_millis(200);

/// Which clock the best sellers' window follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ClockChoice {
    /// The machine's: the last 3 days from now.
    Wall,
    /// The newest sale: for imports and replays of the past.
    Event,
}

/// How the shop runs.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "shop")]
pub(crate) struct Options {
    /// Where HTTP is served; without authentication a loopback address only
    #[arg(long, env = "JUPAN_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// The data directory; made if it is not there
    #[arg(long, env = "JUPAN_DATA", default_value = "./jupan-data", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Adds a made-up catalogue and users 1 to 10 with money; only in a directory of its own
    #[arg(long, env = "JUPAN_DEMO", value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) demo: bool,
    /// Lanes of each role, fixed when the data directory is made; default: half the cores
    #[arg(
        long,
        env = "JUPAN_LANES",
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=256)
    )]
    pub(crate) lanes: Option<u16>,
    /// Which clock the best sellers' window follows
    #[arg(long, env = "JUPAN_CLOCK", value_enum, default_value = "wall")]
    pub(crate) clock: ClockChoice,
    /// For how many days sales are kept for the best sellers
    #[arg(
        long,
        env = "JUPAN_SALES_DAYS",
        default_value_t = 33,
        value_name = "DAYS",
        value_parser = clap::value_parser!(u32).range(4..=400)
    )]
    pub(crate) sales_days: u32,
    /// Least amount of one charge, in minor units
    #[arg(
        long,
        env = "JUPAN_CHARGE_MIN",
        default_value_t = 1,
        value_name = "AMOUNT",
        value_parser = clap::value_parser!(i64).range(1..)
    )]
    pub(crate) charge_min: i64,
    /// Most of one charge, in minor units
    #[arg(
        long,
        env = "JUPAN_CHARGE_MAX",
        default_value_t = 10_000_000,
        value_name = "AMOUNT",
        value_parser = clap::value_parser!(i64).range(1..)
    )]
    pub(crate) charge_max: i64,
    /// How long an order may stay pending
    #[arg(
        long,
        env = "JUPAN_ORDER_DEADLINE_S",
        default_value_t = 900,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(i64).range(1..=86_400)
    )]
    pub(crate) order_deadline_s: i64,
    /// Commands that may wait for their outcome at once; more are refused before they are written
    #[arg(
        long,
        env = "JUPAN_IN_FLIGHT_MAX",
        default_value_t = 16_384,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) in_flight_max: u32,
    #[command(flatten)]
    pub(crate) traces: traces::Options,
}

impl Options {
    fn rules(&self, lanes: u16) -> Rules {
        let mut rules = Rules::new(lanes);
        rules.charge_min = Money(self.charge_min);
        rules.charge_max = Money(self.charge_max);
        rules.order_deadline_us = self.order_deadline_s * Micros::SECOND;
        rules
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.charge_min > self.charge_max {
            bail!("--charge-min is above --charge-max");
        }
        if self.demo && !(self.charge_min..=self.charge_max).contains(&demo::WALLET) {
            bail!(
                "--demo charges every user with {}: --charge-min and --charge-max must allow it",
                demo::WALLET
            );
        }
        jupan_ingest_api::check_listen(self.listen, false)?;
        Ok(())
    }
}

/// Runs the shop until it is told to stop or cannot go on.
///
/// # Errors
/// Why it could not start, or could not go on.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    options.check()?;
    let metrics =
        PrometheusBuilder::new().install_recorder().context("metrics cannot be recorded")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let files_max = open_files::raise();
    let shop = Shop::open(options)?;
    let served = runtime.block_on(serve(options, &shop, metrics, files_max));
    let data = options.data.display();
    let drained = shop.close().with_context(|| format!("the shop in {data} had to stop"));
    runtime.shutdown_timeout(Duration::from_millis(200));
    served.and(drained)
}

/// The parts of a running shop.
pub(crate) struct Shop {
    pub(crate) log: Arc<embedded_log::EmbeddedLog>,
    pub(crate) store: Arc<embedded_store::EmbeddedStore>,
    schema_ids: Arc<SchemaIds>,
    host: Arc<Host>,
    analyzer: Analyzer,
    failed: Arc<Notify>,
    /// Whether everything is there that was asked for at the start.
    is_set_up: Arc<AtomicBool>,
}

impl Shop {
    /// Opens the data directory and starts the lanes and the analyzer.
    ///
    /// # Errors
    /// What cannot be opened, and why.
    pub(crate) fn open(options: &Options) -> anyhow::Result<Self> {
        let failed = Arc::new(Notify::new());
        let told = failed.clone();
        let on_failure: embedded_log::OnFailure = Box::new(move |_| told.notify_one());
        let log_options = embedded_log::Options {
            lanes: options.lanes,
            on_failure: Some(on_failure),
            ..Default::default()
        };
        let log =
            embedded_log::EmbeddedLog::open(&options.data, log_options, Arc::new(SystemClock))
                .with_context(|| {
                    format!("the log in {} cannot be opened", options.data.display())
                })?;
        if options.demo {
            demo::claim(&options.data, &*log)?;
        }
        let store_dir = options.data.join("store");
        let store = embedded_store::EmbeddedStore::open(&store_dir, Default::default())
            .with_context(|| format!("the store in {} cannot be opened", store_dir.display()))?;
        let schema_ids = Arc::new(SchemaIds::embedded());
        let parts = Parts {
            log: log.clone(),
            store: store.clone(),
            schema_ids: schema_ids.clone(),
            rules: options.rules(log.partitions()),
            limits: Limits::default(),
        };
        let host = Arc::new(Host::start(&parts, &[Role::Users, Role::Products])?);
        let clock = match options.clock {
            ClockChoice::Wall => jupan_analytics::Clock::Wall,
            ClockChoice::Event => jupan_analytics::Clock::Event,
        };
        let analyzer_options = jupan_analytics::Options {
            clock,
            sales_days: options.sales_days,
            data: Some(options.data.join("analytics")),
            ..Default::default()
        };
        let analyzer = Analyzer::start(log.clone(), analyzer_options)
            .context("the analyzer cannot be started")?;
        let is_set_up = Arc::new(AtomicBool::new(!options.demo));
        Ok(Self { log, store, schema_ids, host, analyzer, failed, is_set_up })
    }

    /// What an API of this shop needs, with best sellers as this view has them.
    pub(crate) fn ports(&self, view: View, base_url: &str) -> Ports {
        Ports {
            log: self.log.clone(),
            store: self.store.clone(),
            top: Arc::new(Tops(view)),
            health: Arc::new(self.probe()),
            render_metrics: Arc::new(String::new),
            schema_ids: self.schema_ids.clone(),
            base_url: base_url.to_owned(),
            is_demo: false,
        }
    }

    fn probe(&self) -> Probe {
        Probe {
            host: self.host.clone(),
            log: self.log.clone(),
            store: self.store.clone(),
            is_set_up: self.is_set_up.clone(),
        }
    }

    /// Why the shop cannot go on, if so.
    fn failure(&self) -> Option<String> {
        self.probe().failure().or_else(|| self.analyzer.failure())
    }

    /// Finishes what is accepted, writes it down and lets go of the directory.
    ///
    /// # Errors
    /// Why the shop had failed before, or what could not be written.
    pub(crate) fn close(self) -> anyhow::Result<()> {
        let failure = self.failure();
        let start = Instant::now();
        let finished = self.host.drain(LANE_DRAIN_MAX);
        self.analyzer.stop();
        self.log.close();
        let stored = self.store.close();
        if let Some(cause) = failure {
            bail!("{cause}. What was acknowledged is in its log: remove the cause and start again");
        }
        stored.context("the store cannot be closed")?;
        if !finished {
            tracing::warn!("some orders are on their way; they go on at the next start");
        }
        tracing::info!(took_ms = start.elapsed().as_millis(), "drained");
        Ok(())
    }
}

/// Health as the probes see it.
struct Probe {
    host: Arc<Host>,
    log: Arc<embedded_log::EmbeddedLog>,
    store: Arc<embedded_store::EmbeddedStore>,
    is_set_up: Arc<AtomicBool>,
}

impl Health for Probe {
    fn is_ready(&self) -> bool {
        self.host.is_ready() && self.is_set_up.load(Ordering::Acquire)
    }

    fn failure(&self) -> Option<String> {
        self.log.failure().or_else(|| self.host.failure()).or_else(|| self.store.failure())
    }
}

/// The analyzer's view, as the API asks it.
struct Tops(View);

impl Top for Tops {
    fn top(&self, query: &TopQuery) -> Result<TopAnswer, TopError> {
        self.0.top(query)
    }
}

async fn serve(
    options: &Options,
    shop: &Shop,
    metrics: PrometheusHandle,
    files_max: u64,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("{} cannot be listened on", options.listen))?;
    let url = format!("http://{}", listener.local_addr()?);
    let ports = Ports {
        render_metrics: Arc::new(move || metrics.render()),
        is_demo: options.demo,
        ..shop.ports(shop.analyzer.view(), &url)
    };
    let rules = options.rules(shop.log.partitions());
    let mut limits = jupan_ingest_api::Limits {
        in_flight_max: usize::try_from(options.in_flight_max)?,
        charge_min: rules.charge_min.0,
        charge_max: rules.charge_max.0,
        line_units_max: rules.line_units_max,
        order_lines_max: rules.order_lines_max,
        ..Default::default()
    };
    limits.connections_max = open_files::connections_max(limits.connections_max, files_max);
    let api = Api::open(ports, limits)?;
    let inspection = Inspection::open(&options.data, shop.log.clone(), shop.store.clone());
    let _inspection = inspection
        .inspect_err(|error| tracing::warn!(%error, "the shop cannot be verified while it runs"));
    let mut terminate = unix::signal(unix::SignalKind::terminate())?;
    let mut interrupt = unix::signal(unix::SignalKind::interrupt())?;
    println!("jupan serves {url}, data in {}", options.data.display());
    let mut failed_start = Ok(());
    let stop = async {
        tokio::select! {
            Err(error) = set_up(options, shop, &url) => failed_start = Err(error),
            _ = terminate.recv() => tracing::info!("SIGTERM: draining"),
            _ = interrupt.recv() => tracing::info!("SIGINT: draining"),
            () = failure(shop) => tracing::error!("the shop cannot go on"),
        }
    };
    if let Drained::CutOff { connections } = jupan_ingest_api::serve(listener, api, stop).await {
        tracing::warn!(connections, "requests were cut off: their callers ask again");
    }
    failed_start
}

/// Adds what was asked for at the start, while the shop is served, and says what to try.
async fn set_up(options: &Options, shop: &Shop, url: &str) -> anyhow::Result<()> {
    if options.demo {
        demo::set_up(url, &*shop.log, &*shop.store).await?;
        shop.is_set_up.store(true, Ordering::Release);
    }
    println!("{}", jupan_ingest_api::hint(url, options.demo));
    Ok(())
}

/// Returns when something has failed for good.
async fn failure(shop: &Shop) {
    while shop.failure().is_none() {
        tokio::select! {
            () = shop.failed.notified() => {}
            () = tokio::time::sleep(WATCH_INTERVAL) => {}
        }
    }
}
