//! The running analyzer, and what others see of it.

use crate::{
    Clock, History, Options, StartError, TopAnswer, TopError, TopQuery,
    feed::{Failure, Feed},
    history::Asked,
    limits,
};
use jupan_log::Log;
use jupan_schemas::{Micros, TopicId};
use parking_lot::Mutex;
use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// What has been counted, and up to where.
pub(crate) struct Counted {
    pub(crate) history: History,
    /// Next unread offset of every partition of `sales`.
    pub(crate) positions: Vec<u64>,
    pub(crate) unreadable: u64,
}

impl Counted {
    /// Nothing counted.
    pub(crate) fn nothing(clock: Clock, sales_days: u32, partitions: u16) -> Self {
        Self {
            history: History::new(clock, sales_days),
            positions: vec![0; usize::from(partitions)],
            unreadable: 0,
        }
    }

    /// Nothing counted, set up like another history.
    pub(crate) fn empty(like: &History, partitions: u16) -> Self {
        Self::nothing(like.clock(), like.sales_days(), partitions)
    }
}

/// What the thread and all views share.
pub(crate) struct Shared {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) counted: Mutex<Counted>,
    /// Set when what was saved is loaded, or never will be: questions wait for it.
    pub(crate) is_loaded: OnceLock<()>,
    pub(crate) stop: AtomicBool,
    /// Windows that must be summed are summed one at a time, so that a crowd of them leaves the
    /// machine to the lanes.
    pub(crate) summing: Mutex<()>,
}

impl Shared {
    pub(crate) fn new(log: Arc<dyn Log>, counted: Counted) -> Self {
        Self {
            log,
            counted: Mutex::new(counted),
            is_loaded: OnceLock::new(),
            stop: AtomicBool::new(false),
            summing: Mutex::new(()),
        }
    }
}

/// Counts the sales of a log on a thread of its own, until it is stopped or dropped.
pub struct Analyzer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    failure: Arc<Mutex<Option<Failure>>>,
}

impl Analyzer {
    /// Starts to load what was saved, and then to read from there; questions wait until it is
    /// loaded. Makes and locks a directory: not for a tokio worker.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn start(log: Arc<dyn Log>, options: Options) -> Result<Self, StartError> {
        let feed = Feed::in_directory(log, options)?;
        let (shared, failure) = (Arc::clone(&feed.shared), Arc::default());
        let thread = spawn(feed, Arc::clone(&failure)).map_err(StartError::Thread)?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)), failure })
    }

    /// For questions, from any thread; outlives the analyzer, and then stays as it is.
    pub fn view(&self) -> View {
        View::of(&self.shared)
    }

    /// Publishes and saves once more and ends the thread; takes as long as a save. Again does
    /// nothing. [`Analyzer::failure`] tells whether it went well.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        let thread = self.thread.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            self.failure.lock().get_or_insert(Failure::Panicked);
        }
    }

    /// Why it stopped by itself, or could not save at its end. Its views go on answering from what
    /// had been counted.
    pub fn failure(&self) -> Option<String> {
        let thread = self.thread.lock();
        let mut failure = self.failure.lock();
        let has_ended = thread.as_ref().is_some_and(JoinHandle::is_finished);
        if has_ended && failure.is_none() && !self.shared.stop.load(Ordering::Acquire) {
            *failure = Some(Failure::Panicked);
        }
        failure.as_ref().map(|cause| chain(cause))
    }
}

impl Drop for Analyzer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(feed: Feed, failure: Arc<Mutex<Option<Failure>>>) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("analytics".into()).spawn(move || {
        if let Err(cause) = feed.run() {
            tracing::error!(cause = chain(&cause), "the analyzer has stopped");
            *failure.lock() = Some(cause);
        }
    })
}

/// An error with all that caused it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// How far an analyzer has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Next unread offset of every partition of `sales`.
    pub positions: Vec<u64>,
    /// Offsets between those and the log's ends: at most so many sales are durable and not yet
    /// counted.
    pub lag: u64,
    /// Sales that came when their minute was no longer kept.
    pub dropped: u64,
    /// Records that were skipped.
    pub unreadable: u64,
    /// Time of the newest sale that was counted.
    pub newest_sale: Option<Micros>,
}

/// Answers questions about what an analyzer has counted. Cheap to clone.
#[derive(Clone)]
pub struct View {
    shared: Arc<Shared>,
}

impl View {
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared) }
    }

    /// The best sellers of a window. Blocks, also until what was saved is loaded: call it from a
    /// blocking thread.
    ///
    /// # Errors
    /// [`TopError`]
    pub fn top(&self, query: &TopQuery) -> Result<TopAnswer, TopError> {
        self.shared.is_loaded.wait();
        let _one_at_a_time = (!Self::is_quick(query)).then(|| self.shared.summing.lock());
        let asked = {
            let mut counted = self.shared.counted.lock();
            // Read under the lock, so that it does not fall back behind what another question has
            // moved to.
            let now = self.shared.log.now();
            counted.history.ask(query, now)?
        };
        match asked {
            Asked::Answer(answer) => Ok(answer),
            Asked::Pending(pending) => Ok(pending.sum()),
        }
    }

    /// Whether a question is answered from the running totals: microseconds, or one pass over the
    /// products sold when something has changed. That is the present window of
    /// [`limits::RUNNING_DAYS`] days. Any other window is summed from buckets, which takes up to
    /// tenths of a second, one question at a time.
    pub fn is_quick(query: &TopQuery) -> bool {
        query.days == limits::RUNNING_DAYS && query.as_of.is_none()
    }

    /// How far the analyzer has come: nowhere, until what was saved is loaded. Never waits for
    /// long.
    pub fn status(&self) -> Status {
        let mut status = {
            let counted = self.shared.counted.lock();
            Status {
                positions: counted.positions.clone(),
                lag: 0,
                dropped: counted.history.dropped(),
                unreadable: counted.unreadable,
                newest_sale: counted.history.newest_sale(),
            }
        };
        for (partition, position) in (0..).zip(&status.positions) {
            let bounds = self.shared.log.bounds(TopicId::Sales, partition);
            status.lag += bounds.map_or(0, |bounds| bounds.end.saturating_sub(*position));
        }
        status
    }
}
