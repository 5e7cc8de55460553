//! What the routes share: the ports, and everything that is counted or handed out between requests.

use crate::{
    admission::{Admission, Pass},
    asset::Asset,
    limits::Limits,
    metric_names,
    minted::Minted,
    openapi,
    problem::Problem,
    router,
    waiters::Waiters,
};
use jupan_analytics::{TopAnswer, TopError, TopQuery};
use jupan_log::{AppendError, Log, ReadError, Results};
use jupan_schemas::{Code, Codec, SchemaIds, topics::COMMAND_RESULTS};
use jupan_store::{ReadStore, StoreError};
use metrics::Counter;
use std::{
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How long the reader of outcomes sleeps when none come; also how long it outlives its API at
/// most.
const RESULTS_WAIT: Duration = Duration::from_millis(100);

/// The best sellers, as analytics knows them.
pub trait Top: Send + Sync {
    /// Answers a query. May take a while: it is called on a thread that may block.
    ///
    /// # Errors
    /// [`TopError`]
    fn top(&self, query: &TopQuery) -> Result<TopAnswer, TopError>;
}

/// What the process knows about itself.
pub trait Health: Send + Sync {
    /// Why the shop can no longer work, if so. Asked for every write: cheap while all is well.
    fn failure(&self) -> Option<String>;

    /// Whether every lane has caught up after the start.
    fn is_ready(&self) -> bool;
}

/// Everything that the API needs from the rest of the shop.
#[derive(Clone)]
pub struct Ports {
    /// Takes commands and gives outcomes.
    pub log: Arc<dyn Log>,
    /// What can be read.
    pub store: Arc<dyn ReadStore>,
    /// Best sellers.
    pub top: Arc<dyn Top>,
    /// Probes.
    pub health: Arc<dyn Health>,
    /// The metrics of the whole process, in Prometheus' text format.
    pub render_metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// What encoded commands say their schema is.
    pub schema_ids: Arc<SchemaIds>,
    /// How callers reach the server, for the hint at `/`: `http://127.0.0.1:8080`.
    pub base_url: String,
    /// Whether the demo's users and products are there, for the same hint.
    pub is_demo: bool,
}

/// The API could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No partition of `command-results` can be read.
    #[error("outcomes cannot be read")]
    Results(#[source] ReadError),
    /// The thread that hands out outcomes did not start.
    #[error("the thread for outcomes cannot be started")]
    Thread(#[source] std::io::Error),
}

/// The HTTP API over its ports. Install a metrics recorder first: the routes get their counters
/// here.
pub struct Api {
    pub(crate) shop: Arc<Shop>,
}

impl Api {
    /// Picks a partition of `command-results` and starts to read outcomes from it.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn open(ports: Ports, limits: Limits) -> Result<Self, StartError> {
        let results = ports.log.results().map_err(StartError::Results)?;
        let shop = Arc::new(Shop::new(ports, limits, results.partition()));
        let codec = Codec::new(Arc::clone(&shop.ports.schema_ids));
        let (waiters, stop) = (Arc::clone(&shop.waiters), Arc::clone(&shop.stop));
        thread::Builder::new()
            .name("jupan-outcomes".to_owned())
            .spawn(move || hand_out(results, &codec, &waiters, &stop))
            .map_err(StartError::Thread)?;
        Ok(Self { shop })
    }

    /// All routes, usable with or without a socket.
    pub fn router(&self) -> axum::Router {
        router::build(&self.shop)
    }
}

/// Reads outcomes until the API is gone.
fn hand_out(mut results: Box<dyn Results>, codec: &Codec, waiters: &Waiters, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let records = match results.receive(RESULTS_WAIT) {
            Ok(records) => records,
            Err(error) => {
                tracing::error!(%error, "outcomes can no longer be read: writes are refused");
                return waiters.close();
            }
        };
        for record in records {
            match COMMAND_RESULTS.decode(codec, &record) {
                Ok(result) => waiters.tell(&result),
                Err(error) => {
                    tracing::warn!(%error, "an outcome cannot be read: its asker reads the store");
                }
            }
        }
    }
}

/// State of all requests.
pub(crate) struct Shop {
    pub(crate) ports: Ports,
    pub(crate) limits: Limits,
    pub(crate) minted: Minted,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) admission: Admission,
    pub(crate) codec: Codec,
    pub(crate) appends: AppendCounters,
    /// The partition of `command-results` that is read here.
    pub(crate) reply_to: u32,
    document: OnceLock<Asset>,
    stop: Arc<AtomicBool>,
}

impl Shop {
    fn new(ports: Ports, limits: Limits, reply_to: u32) -> Self {
        Self {
            minted: Minted::default(),
            waiters: Arc::new(Waiters::new()),
            admission: Admission::new(limits.in_flight_max),
            codec: Codec::new(Arc::clone(&ports.schema_ids)),
            appends: AppendCounters::new(),
            document: OnceLock::new(),
            reply_to,
            stop: Arc::default(),
            ports,
            limits,
        }
    }

    /// What the API says about itself; made when it is first asked for.
    pub(crate) fn document(&self) -> &Asset {
        self.document.get_or_init(|| openapi::document(&self.limits))
    }

    /// Looks into the store until something is there, for as long as a read waits for an id that
    /// is not known (yet).
    pub(crate) async fn until_there<T, F>(
        &self,
        look: impl Fn() -> F,
    ) -> Result<Option<T>, StoreError>
    where
        F: Future<Output = Result<Option<T>, StoreError>>,
    {
        let absent_wait = Duration::from_millis(self.limits.absent_wait_ms);
        let begun = Instant::now();
        loop {
            let found = look().await?;
            if found.is_some() || begun.elapsed() >= absent_wait {
                return Ok(found);
            }
            sleep(Duration::from_millis(self.limits.look_interval_ms)).await;
        }
    }

    /// Lets a write in, if the shop works and is not full. Nothing is appended before this.
    pub(crate) fn admit(&self) -> Result<Pass<'_>, Problem> {
        if self.waiters.is_closed() || self.ports.health.failure().is_some() {
            return Err(Problem::new(Code::Unavailable));
        }
        self.admission.enter().ok_or_else(|| Problem::new(Code::TooManyRequests))
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Counts appends by their outcome.
pub(crate) struct AppendCounters {
    ok: Counter,
    full: Counter,
    impossible: Counter,
    closed: Counter,
    unknown: Counter,
}

impl AppendCounters {
    fn new() -> Self {
        let counter = |outcome| metrics::counter!(metric_names::APPENDS, "outcome" => outcome);
        Self {
            ok: counter("ok"),
            full: counter("full"),
            impossible: counter("impossible"),
            closed: counter("closed"),
            unknown: counter("unknown"),
        }
    }

    pub(crate) fn count<T>(&self, outcome: &Result<T, AppendError>) {
        let counter = match outcome {
            Ok(_) => &self.ok,
            Err(AppendError::Full) => &self.full,
            Err(AppendError::TooLarge { .. } | AppendError::NoPartition { .. }) => &self.impossible,
            Err(AppendError::Closed) => &self.closed,
            Err(AppendError::Unknown { .. }) => &self.unknown,
        };
        counter.increment(1);
    }
}
