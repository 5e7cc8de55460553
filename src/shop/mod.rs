//! # A shop: some or all of its roles in this process, on an engine
//!
//! ```text
//!   options -> engine (embedded | cluster) -> lanes, analyzer, HTTP -> until told to stop -> drain
//! ```
//!
//! **Invariants, as absences**
//! - No role knows which engine it runs on.
//! - Nothing that was acknowledged is lost by a drain: what it does not finish waits in the log.

mod embedded;
mod engine;
mod metrics;
mod options;
mod serve;

pub(crate) use embedded::Embedded;
pub(crate) use engine::Engine;
pub(crate) use options::{Allowed, AnalyzeOptions, ApiOptions, Http, Options, ProcessOptions};

use crate::{cluster::Cluster, open_files};
use anyhow::{Context, bail};
use jupan_analytics::{Analyzer, TopAnswer, TopError, TopQuery, View};
use jupan_ingest_api::{Health, Ports, Top};
use jupan_ledger::Rules;
use jupan_log::Log;
use jupan_processors::{Host, Parts};
use jupan_schemas::Role;
use metrics::Metrics;
use serve::Served;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::runtime::Handle;

/// A drain gives orders on their way between lanes so long; HTTP has had its own time before. What is
/// left waits in the log for the next start.
const LANE_DRAIN_MAX: Duration = Duration::from_secs(3);
/// What is left of the runtime has so long to end.
const RUNTIME_END_MAX: Duration = Duration::from_millis(200);

const BOTH: [Role; 2] = [Role::Users, Role::Products];

/// What runs in this process.
pub(crate) struct Work {
    /// Whose lanes.
    pub(crate) lanes: Vec<Role>,
    /// How lanes decide.
    pub(crate) rules: Rules,
    /// Best sellers, if they are counted here.
    pub(crate) analyzer: Option<jupan_analytics::Options>,
}

/// Runs every role until the process is told to stop or cannot go on.
///
/// # Errors
/// Why it could not start, or could not go on.
pub(crate) fn run_all(options: &Options) -> anyhow::Result<()> {
    options.check()?;
    if options.cluster.is_given() {
        let sales = options.sales.analyzer(Some(options.data.join("analytics")));
        let served = Served::api(&options.http, &options.allowed);
        return run_cluster(&options.cluster, Some(&options.allowed), &BOTH, Some(sales), &served);
    }
    run(|_| Shop::open(options), &Served::demo(options))
}

/// Runs the HTTP API.
///
/// # Errors
/// See [`run_all`].
pub(crate) fn run_api(options: &ApiOptions) -> anyhow::Result<()> {
    options.allowed.check()?;
    options.http.check()?;
    let mut sales = options.sales.analyzer(options.data.clone());
    sales.publishes = false;
    let served = Served::api(&options.http, &options.allowed);
    run_cluster(&options.cluster, Some(&options.allowed), &[], Some(sales), &served)
}

/// Runs lanes.
///
/// # Errors
/// See [`run_all`].
pub(crate) fn run_process(options: &ProcessOptions) -> anyhow::Result<()> {
    options.allowed.check()?;
    let served = Served::probes(options.listen);
    run_cluster(&options.cluster, Some(&options.allowed), &options.roles(), None, &served)
}

/// Counts and publishes best sellers.
///
/// # Errors
/// See [`run_all`].
pub(crate) fn run_analyze(options: &AnalyzeOptions) -> anyhow::Result<()> {
    let sales = options.sales.analyzer(options.data.clone());
    let served = Served::probes(options.listen);
    run_cluster(&options.cluster, None, &[], Some(sales), &served)
}

fn run_cluster(
    options: &crate::cluster::Options,
    allowed: Option<&Allowed>,
    lanes: &[Role],
    analyzer: Option<jupan_analytics::Options>,
    served: &Served,
) -> anyhow::Result<()> {
    let open = |runtime: &Handle| {
        let cluster = Cluster::open(options, runtime)?;
        let partitions = cluster.log().partitions();
        // Without lanes nobody asks for rules.
        let rules =
            allowed.map_or_else(|| Rules::new(partitions), |allowed| allowed.rules(partitions));
        let lanes = lanes.to_vec();
        let analyzer = analyzer.map(|sales| {
            // A shop that has never run has nothing to go on from.
            let own = cluster.identity();
            let data = sales.data.zip(own).map(|(data, own)| data.join(own));
            jupan_analytics::Options { data, ..sales }
        });
        Shop::start(cluster, Work { lanes, rules, analyzer })
    };
    run(open, served)
}

fn run<E: Engine>(
    open: impl FnOnce(&Handle) -> anyhow::Result<Shop<E>>,
    served: &Served,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let metrics = Metrics::install(runtime.handle())?;
    let files_max = open_files::raise();
    let shop = open(runtime.handle())?;
    let ended = runtime.block_on(served.serve(&shop, metrics, files_max));
    let place = shop.engine.place();
    let drained = shop.close().with_context(|| format!("the shop had to stop ({place})"));
    runtime.shutdown_timeout(RUNTIME_END_MAX);
    ended.and(drained)
}

/// The parts of a running shop.
pub(crate) struct Shop<E> {
    pub(crate) engine: Arc<E>,
    host: Option<Arc<Host>>,
    analyzer: Option<Analyzer>,
    /// Whether everything is there that was asked for at the start.
    is_set_up: Arc<AtomicBool>,
}

impl Shop<Embedded> {
    /// Opens the data directory and starts the lanes and the analyzer.
    ///
    /// # Errors
    /// What cannot be opened, and why.
    pub(crate) fn open(options: &Options) -> anyhow::Result<Self> {
        let engine = Embedded::open(options)?;
        let rules = options.allowed.rules(engine.log.partitions());
        let analyzer = options.sales.analyzer(Some(options.data.join("analytics")));
        let shop =
            Self::start(engine, Work { lanes: BOTH.to_vec(), rules, analyzer: Some(analyzer) })?;
        shop.is_set_up.store(!options.demo, Ordering::Release);
        Ok(shop)
    }
}

impl<E: Engine> Shop<E> {
    /// Starts what runs in this process.
    ///
    /// # Errors
    /// What cannot be started, and why.
    pub(crate) fn start(engine: E, work: Work) -> anyhow::Result<Self> {
        let Work { lanes, rules, analyzer } = work;
        let parts = Parts {
            log: engine.log(),
            store: engine.lane_store(),
            schema_ids: engine.schema_ids(),
            rules,
            limits: engine.limits(),
        };
        let host = match lanes.as_slice() {
            [] => None,
            lanes => Some(Arc::new(Host::start(&parts, lanes)?)),
        };
        let analyzer = analyzer.map(|options| {
            let options = jupan_analytics::Options { schemas: engine.schema_ids(), ..options };
            Analyzer::start(engine.log(), options).context("the analyzer cannot be started")
        });
        let is_set_up = Arc::new(AtomicBool::new(true));
        Ok(Self { engine: Arc::new(engine), host, analyzer: analyzer.transpose()?, is_set_up })
    }

    /// What an API of this shop needs, with best sellers as this view has them.
    pub(crate) fn ports(&self, view: View, base_url: &str) -> Ports {
        Ports {
            log: self.engine.log(),
            store: self.engine.read_store(),
            top: Arc::new(Tops(view)),
            health: Arc::new(self.probe()),
            render_metrics: Arc::new(String::new),
            schema_ids: self.engine.schema_ids(),
            base_url: base_url.to_owned(),
            is_demo: false,
        }
    }

    fn probe(&self) -> Probe<E> {
        Probe {
            host: self.host.clone(),
            engine: self.engine.clone(),
            is_set_up: self.is_set_up.clone(),
        }
    }

    /// Why the shop cannot go on, if so.
    fn failure(&self) -> Option<String> {
        let counting = || self.analyzer.as_ref().and_then(Analyzer::failure);
        self.probe().failure().or_else(counting)
    }

    /// Finishes what is accepted, writes it down and lets go of the engine.
    ///
    /// # Errors
    /// Why the shop had failed before, or what could not be written.
    pub(crate) fn close(self) -> anyhow::Result<()> {
        let failure = self.failure();
        let start = Instant::now();
        let finished = self.host.as_ref().is_none_or(|host| host.drain(LANE_DRAIN_MAX));
        if let Some(analyzer) = self.analyzer {
            analyzer.stop();
        }
        let closed = self.engine.close();
        if let Some(cause) = failure {
            bail!("{cause}. What was acknowledged is in its log: remove the cause and start again");
        }
        closed?;
        if !finished {
            tracing::warn!("some orders are on their way; they go on at the next start");
        }
        tracing::info!(took_ms = start.elapsed().as_millis(), "drained");
        Ok(())
    }
}

/// Health as the probes see it.
struct Probe<E> {
    host: Option<Arc<Host>>,
    engine: Arc<E>,
    is_set_up: Arc<AtomicBool>,
}

impl<E: Engine> Health for Probe<E> {
    fn is_ready(&self) -> bool {
        self.host.as_ref().is_none_or(|host| host.is_ready())
            && self.engine.is_ready()
            && self.is_set_up.load(Ordering::Acquire)
    }

    fn failure(&self) -> Option<String> {
        let host = self.host.as_ref();
        self.engine.failure().or_else(|| host.and_then(|host| host.failure()))
    }
}

/// The analyzer's view, as the API asks it.
struct Tops(View);

impl Top for Tops {
    fn top(&self, query: &TopQuery) -> Result<TopAnswer, TopError> {
        self.0.top(query)
    }
}
