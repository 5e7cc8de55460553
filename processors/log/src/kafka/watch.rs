//! Looks once a second whether the broker is there and how far the lanes of this process are. A
//! broker that is away is no failure, since it comes back; but it shows here, and whoever asks
//! whether the process can serve is told.

use super::limits::WATCH;
use super::reader::{Ends, Place, Reader};
use super::topics::inputs;
use jupan_schemas::{Lane, Positions, TopicId};
use metrics::gauge;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Whether a broker answers: 1 or 0.
pub const REACHABLE: &str = "jupan_log_reachable";
/// Offsets between where a lane reads and the end of its input, by lane and input.
pub const INPUT_LAG: &str = "jupan_log_input_lag_offsets";
/// Offsets of a lane's journal that open transactions hide: high watermark less last stable offset.
pub const HIDDEN: &str = "jupan_log_journal_hidden_offsets";
/// How long a lane's transaction has been open; 0 where none is.
pub const TRANSACTION_AGE: &str = "jupan_log_transaction_age_seconds";

/// What a lane tells the watch.
#[derive(Debug, Default)]
pub(super) struct Progress {
    positions: Mutex<Positions>,
    /// When the open transaction began.
    begun: Mutex<Option<Instant>>,
}

impl Progress {
    pub(super) fn stands_at(&self, positions: Positions) {
        *self.positions.lock() = positions;
    }

    pub(super) fn transaction(&self, begun: Option<Instant>) {
        *self.begun.lock() = begun;
    }
}

/// How far one lane of this process is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaneLag {
    /// Which lane.
    pub lane: Lane,
    /// Offsets between where it reads and the end of its commands.
    pub commands: u64,
    /// Offsets between where it reads and the end of its inbox.
    pub inbox: u64,
    /// Offsets of its journal that open transactions hide.
    pub hidden: u64,
    /// How long its present transaction has been open.
    pub transaction: Option<Duration>,
}

/// What is known by now. Shared with lanes and the log.
pub(super) struct Watched {
    is_reachable: AtomicBool,
    lanes: Mutex<BTreeMap<Lane, Weak<Progress>>>,
    lags: Mutex<Vec<LaneLag>>,
}

impl Watched {
    /// The start has just talked to the broker.
    pub(super) fn new() -> Arc<Self> {
        let is_reachable = AtomicBool::new(true);
        Arc::new(Self { is_reachable, lanes: Mutex::default(), lags: Mutex::default() })
    }

    pub(super) fn is_reachable(&self) -> bool {
        self.is_reachable.load(Ordering::Acquire)
    }

    pub(super) fn lags(&self) -> Vec<LaneLag> {
        self.lags.lock().clone()
    }

    /// Watches a lane as long as it keeps what this returns.
    pub(super) fn add(&self, lane: Lane) -> Arc<Progress> {
        let progress = Arc::new(Progress::default());
        self.lanes.lock().insert(lane, Arc::downgrade(&progress));
        progress
    }

    fn lanes(&self) -> Vec<(Lane, Arc<Progress>)> {
        let mut lanes = self.lanes.lock();
        lanes.retain(|_, progress| progress.strong_count() > 0);
        lanes.iter().filter_map(|(lane, progress)| Some((*lane, progress.upgrade()?))).collect()
    }

    fn look(&self, reader: &Reader) {
        let lanes = self.lanes();
        let mut places: Vec<Place> = lanes.iter().flat_map(|(lane, _)| places_of(*lane)).collect();
        // Without lanes there is still the question whether a broker is there.
        places.push((TopicId::UserCommands, 0));
        places.sort_unstable();
        places.dedup();
        let ends = reader.ends(&places, WATCH);
        let is_reachable = ends.as_ref().is_ok_and(|ends| !ends.is_empty());
        gauge!(REACHABLE).set(if is_reachable { 1.0 } else { 0.0 });
        if self.is_reachable.swap(is_reachable, Ordering::AcqRel) != is_reachable {
            match &ends {
                Ok(_) if is_reachable => tracing::info!("a broker answers again"),
                Ok(_) => tracing::warn!("no broker answers for our topics"),
                Err(error) => tracing::warn!(%error, "no broker answers"),
            }
        }
        let Ok(ends) = ends else { return };
        let lags: Vec<_> =
            lanes.iter().filter_map(|(lane, progress)| lag(*lane, progress, &ends)).collect();
        lags.iter().for_each(show);
        *self.lags.lock() = lags;
    }
}

fn places_of(lane: Lane) -> [Place; 3] {
    let [commands, inbox] = inputs(lane.role);
    [commands, inbox, TopicId::journal(lane.role)].map(|topic| (topic, lane.index))
}

fn lag(lane: Lane, progress: &Progress, ends: &Ends) -> Option<LaneLag> {
    let [commands, inbox, journal] = places_of(lane).map(|place| ends.get(&place));
    let (commands, inbox, journal) = (commands?, inbox?, journal?);
    let positions = *progress.positions.lock();
    Some(LaneLag {
        lane,
        commands: commands.high.saturating_sub(positions.commands),
        inbox: inbox.high.saturating_sub(positions.inbox),
        hidden: journal.high.saturating_sub(journal.stable),
        transaction: progress.begun.lock().map(|begun| begun.elapsed()),
    })
}

#[allow(clippy::cast_precision_loss, reason = "gauges are for people; 2^53 is enough")]
fn show(lag: &LaneLag) {
    let lane = lag.lane.to_string();
    gauge!(INPUT_LAG, "lane" => lane.clone(), "input" => "commands").set(lag.commands as f64);
    gauge!(INPUT_LAG, "lane" => lane.clone(), "input" => "inbox").set(lag.inbox as f64);
    gauge!(HIDDEN, "lane" => lane.clone()).set(lag.hidden as f64);
    let age = lag.transaction.unwrap_or_default().as_secs_f64();
    gauge!(TRANSACTION_AGE, "lane" => lane).set(age);
}

/// The watch's thread; it ends when this is dropped.
pub(super) struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(super) fn start(watched: Arc<Watched>, reader: Arc<Reader>) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name("jupan-log-watch".to_owned());
        let thread = thread.spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                watched.look(&reader);
                std::thread::park_timeout(WATCH);
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic there has been reported; there is nothing else to do about it.
            let _ = thread.join();
        }
    }
}
