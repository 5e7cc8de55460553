//! The log in one directory: for one process, with nothing installed.
//!
//! ```text
//! <dir>/LOCK                    held while the log is open
//! <dir>/jupan.json              format, lanes, when it was made
//! <dir>/floor                   a position that was durable; the log never ends before it
//! <dir>/log/<position>.seg      frames from this position on
//! <dir>/log/<position>.idx      where offsets lie in a finished segment; may be deleted
//! ```
//! One thread writes and syncs in groups ([`writer`]); partitions are logical. Records get their
//! order in [`state`], are kept in memory for a while, and are read from the segments after that
//! ([`catalog`]). A start proves or cuts what it finds ([`recover`]).
//!
//! Not promised: damage to the last group before a kill, with no frame behind it, can't be told
//! from a torn write and is cut off. A drain, and 100 ms of idleness, write a mark that ends this.

mod catalog;
mod directory;
pub mod files;
mod floor;
mod frame;
mod index;
mod lane;
mod record;
mod recover;
mod segment;
mod shared;
mod state;
#[cfg(any(test, feature = "conformance"))]
mod stepped;
#[cfg(test)]
mod tests;
mod writer;

use crate::fixed::{AllLanes, check_record};
use crate::layout::{Layout, Slot, header_bytes};
use crate::limits::{
    MARK_AFTER, QUEUE_BYTES_MAX, RESULTS_MAX, SEGMENT_BYTES, SEGMENT_BYTES_MIN, TAIL_BYTES_MAX,
};
use crate::{
    AppendError, Appended, Assignment, Batch, Bounds, Clock, LaneError, LaneLog, Log, NewRecord,
    ReadError, ReadLimit, Results,
};
use async_trait::async_trait;
use catalog::{Active, Catalog};
use files::{FileError, Files, Lock, RealFiles};
use floor::{Floor, floor_path, read_floor};
use jupan_schemas::{Lane, Micros, Role, TopicId};
use parking_lot::Mutex;
use record::Draft;
use recover::{Place, Recovered};
use shared::{Parts, Shared};
use state::{Phase, State, Visible};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
#[cfg(any(test, feature = "conformance"))]
pub use stepped::Stepped;
use tokio::sync::oneshot;
use writer::Writer;

/// Told why the log can no longer be written.
pub type OnFailure = Box<dyn Fn(&str) + Send + Sync>;

/// How the embedded log is opened.
pub struct Options {
    /// Lanes of each role, fixed when the directory is made: another number is refused later.
    /// Default: half the cores, and later the number that was fixed.
    pub lanes: Option<u16>,
    /// Size of a segment, at least [`SEGMENT_BYTES_MIN`].
    pub segment_bytes: u64,
    /// Appended bytes that are not yet durable; beyond it appends are refused and commits wait.
    pub queue_bytes_max: usize,
    /// Recent records kept in memory for readers.
    pub tail_bytes_max: usize,
    /// Outcomes that one subscriber may have waiting.
    pub results_max: usize,
    /// Idleness after which the last frame is proven by a mark.
    pub mark_after: Duration,
    /// Called once, from the writer's thread, when a write or sync has failed: the process should
    /// end.
    pub on_failure: Option<OnFailure>,
    /// How files are accessed.
    pub files: Arc<dyn Files>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lanes: None,
            segment_bytes: SEGMENT_BYTES,
            queue_bytes_max: QUEUE_BYTES_MAX,
            tail_bytes_max: TAIL_BYTES_MAX,
            results_max: RESULTS_MAX,
            mark_after: MARK_AFTER,
            on_failure: None,
            files: Arc::new(RealFiles),
        }
    }
}

/// The directory cannot be opened as a log.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another process", dir.display())]
    Locked {
        /// The data directory.
        dir: PathBuf,
    },
    /// The file system refused something.
    #[error("{} cannot be used", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// It was written by a version with another format.
    #[error("{} has format {format}, which this version does not know", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The format it names.
        format: u64,
    },
    /// It was made with another number of lanes.
    #[error("{} was made with {made} lanes a role, which cannot become {asked}", dir.display())]
    Lanes {
        /// The data directory.
        dir: PathBuf,
        /// How many it has.
        made: u16,
        /// How many were asked for.
        asked: u16,
    },
    /// What was fixed when the directory was made cannot be read.
    #[error("{} cannot be read: {cause}", path.display())]
    Facts {
        /// `jupan.json`.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// What was durable is damaged: starting would lose it silently.
    #[error("{} is damaged at position {position}: {cause}", path.display())]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// The position in the log.
        position: u64,
        /// What is wrong there.
        cause: String,
    },
}

impl OpenError {
    /// The file that it is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Locked { dir } | Self::Lanes { dir, .. } => dir,
            Self::Io { path, .. }
            | Self::Format { path, .. }
            | Self::Facts { path, .. }
            | Self::Corrupt { path, .. } => path,
        }
    }

    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    fn corrupt(path: &Path, position: u64, cause: &str) -> Self {
        Self::Corrupt { path: path.to_owned(), position, cause: cause.to_owned() }
    }
}

impl From<FileError> for OpenError {
    fn from(FileError { path, source, .. }: FileError) -> Self {
        Self::Io { path, source }
    }
}

/// See the module.
pub struct EmbeddedLog {
    shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
}

/// What ends with the log: the lock is given up after the writer's last sync.
struct Running {
    /// None where somebody else makes the writer's steps.
    writer: Option<JoinHandle<()>>,
    lock: Lock,
}

impl EmbeddedLog {
    /// Opens the log in a directory, which is made if it is missing. Blocks while the log's end is
    /// read.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(
        dir: &Path,
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        let (shared, writer, lock) = start(dir, options, clock)?;
        let builder = std::thread::Builder::new().name("jupan-log".to_owned());
        let writer =
            builder.spawn(move || writer.run()).map_err(|source| OpenError::io(dir, source))?;
        Ok(Self::running(shared, Some(writer), lock))
    }

    fn running(shared: Arc<Shared>, writer: Option<JoinHandle<()>>, lock: Lock) -> Arc<Self> {
        Arc::new(Self { shared, running: Mutex::new(Some(Running { writer, lock })) })
    }

    /// Takes no more appends and commits, writes and syncs what was taken, marks it, and gives up
    /// the directory. [`Log::failure`] tells whether all of that succeeded. Blocks; a second call
    /// does nothing.
    pub fn close(&self) {
        let Some(running) = self.running.lock().take() else { return };
        self.shared.close();
        if running.writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the log's writer ended unexpectedly");
        }
        drop(running.lock);
    }

    /// Outcomes that were dropped because their subscriber was too slow.
    pub fn results_dropped(&self) -> u64 {
        self.shared.answers.dropped()
    }

    /// Appended bytes that are not yet durable, at most about [`Options::queue_bytes_max`].
    pub fn queued_bytes(&self) -> usize {
        self.shared.state().unsynced_bytes
    }

    /// Hands a record to the writer, if it may be there at all.
    fn enqueue(
        &self,
        place: (Slot, TopicId, u16),
        record: &NewRecord,
        waiter: Option<oneshot::Sender<()>>,
    ) -> Result<u64, AppendError> {
        check_record(record)?;
        let (slot, topic, partition) = place;
        let bytes = record.key.len() + record.value.len() + header_bytes(&record.headers);
        let mut draft = Draft::with_capacity(1, bytes);
        draft.push(slot, topic, partition, record);
        let state = self.shared.state();
        if state.phase != Phase::Open {
            return Err(AppendError::Closed);
        }
        let has_room = state.has_room(draft.bytes(), self.shared.queue_bytes_max);
        if !has_room || state.commits_waiting > 0 {
            return Err(AppendError::Full);
        }
        Ok(self.shared.push(state, draft, false, waiter).first)
    }

    fn readable(&self, topic: TopicId, partition: u16) -> Result<Slot, ReadError> {
        let slot = self.shared.layout.slot(topic, partition);
        slot.ok_or(ReadError::NoPartition { topic, partition })
    }
}

/// Locks and reads the directory; nothing is written to the log until the writer begins.
fn start(
    dir: &Path,
    options: Options,
    clock: Arc<dyn Clock>,
) -> Result<(Arc<Shared>, Writer, Lock), OpenError> {
    let files = options.files.as_ref();
    let directory = directory::enter(dir, options.lanes, files, clock.as_ref())?;
    let layout = Layout::new(directory.lanes);
    let (log_dir, clock_now) = (&directory.log, clock.as_ref());
    let floor_path = floor_path(dir);
    let floor = read_floor(files, &floor_path).map_err(|s| OpenError::io(&floor_path, s))?;
    let recovered = Place { files, log_dir, layout, clock: clock_now, floor }.recover()?;
    let floor = Floor::create(files, dir, recovered.position)?;
    let (shared, writer) = assemble(recovered, options, layout, clock, directory.log, floor);
    Ok((shared, writer, directory.lock))
}

/// Puts the log together from what a start found.
fn assemble(
    recovered: Recovered,
    options: Options,
    layout: Layout,
    clock: Arc<dyn Clock>,
    log_dir: PathBuf,
    floor: Floor,
) -> (Arc<Shared>, Writer) {
    let Recovered { closed, header, path, file, mut tally, position, is_marked } = recovered;
    let samples = Mutex::new(std::mem::take(&mut tally.samples));
    let active = Active { number: header.number, first: header.first, path, file, samples };
    let state = State::new(layout, &tally.ends, tally.last_at, options.tail_bytes_max);
    let files = options.files;
    let shared = Arc::new(Shared::new(Parts {
        layout,
        clock,
        catalog: Catalog::new(files.clone(), layout, closed, active),
        state,
        queue_bytes_max: options.queue_bytes_max,
        results_max: options.results_max,
        mark_after: options.mark_after,
        on_failure: options.on_failure,
    }));
    let segment = shared.catalog.active();
    let writer = Writer {
        shared: shared.clone(),
        files,
        log_dir,
        segment_bytes: options.segment_bytes.max(SEGMENT_BYTES_MIN),
        segment,
        tally,
        position,
        synced: position,
        zeroed: position,
        is_marked,
        floor,
        frames: Vec::new(),
    };
    (shared, writer)
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.close();
    }
}

#[async_trait]
impl Log for EmbeddedLog {
    fn partitions(&self) -> u16 {
        self.shared.layout.lanes()
    }

    async fn append(
        &self,
        topic: TopicId,
        partition: u16,
        record: NewRecord,
    ) -> Result<Appended, AppendError> {
        let slot = self.shared.layout.producer_slot(topic, partition);
        let slot = slot.ok_or(AppendError::NoPartition { topic, partition })?;
        let (waiter, durable) = oneshot::channel();
        let offset = self.enqueue((slot, topic, partition), &record, Some(waiter))?;
        match durable.await {
            Ok(()) => Ok(Appended { partition, offset }),
            Err(_) => {
                let cause = self.failure().unwrap_or_else(|| "the log ended".to_owned());
                Err(AppendError::Unknown { cause })
            }
        }
    }

    fn read(
        &self,
        topic: TopicId,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Batch, ReadError> {
        let slot = self.readable(topic, partition)?;
        let read = self.shared.read(slot, from, limit, Visible::Durable);
        let records = read.map_err(|cause| ReadError::Broken { topic, partition, cause })?;
        let next = from + records.len() as u64;
        Ok(Batch { records, next })
    }

    fn bounds(&self, topic: TopicId, partition: u16) -> Result<Bounds, ReadError> {
        let slot = self.readable(topic, partition)?;
        Ok(Bounds { start: 0, end: self.shared.state().durable_end(slot) })
    }

    fn wait_for_more(&self, wait: Duration) {
        self.shared.wait_for_sync(wait);
    }

    fn open(&self, lane: Lane) -> Result<Box<dyn LaneLog>, LaneError> {
        Ok(Box::new(lane::EmbeddedLane::open(&self.shared, lane)?))
    }

    fn assignment(&self, role: Role) -> Result<Box<dyn Assignment>, LaneError> {
        Ok(Box::new(AllLanes::new(role, self.partitions(), false)))
    }

    fn results(&self) -> Result<Box<dyn Results>, ReadError> {
        self.shared.answers.subscribe()
    }

    fn publish_top(&self, record: NewRecord) -> Result<(), AppendError> {
        let (topic, partition) = (TopicId::TopProducts, 0);
        let slot = self.shared.layout.slot(topic, partition);
        let slot = slot.ok_or(AppendError::NoPartition { topic, partition })?;
        self.enqueue((slot, topic, partition), &record, None).map(drop)
    }

    fn now(&self) -> Micros {
        self.shared.clock.now()
    }

    fn failure(&self) -> Option<String> {
        match &self.shared.state().phase {
            Phase::Failed(cause) => Some(cause.clone()),
            _ => None,
        }
    }
}
