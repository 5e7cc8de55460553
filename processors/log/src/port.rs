//! The log port: what lanes, producers and readers ask of a partitioned, fenced log.
//!
//! ```text
//!   producers --append--> commands  \                      / journal --read--> restore, verify
//!   timers    --remind--> inbox      } --poll--> lane --commit--> inbox of other lanes
//!   other lanes' commits -> inbox   /              |       \ events  --read--> analytics, data platform
//!                                                  '--answer--> command-results (outside the commit)
//! ```
//!
//! # Rules every provider keeps (the conformance suite has a test for each)
//! 1. **Offsets.** In a partition offsets rise; a record keeps its offset, its bytes and its append
//!    time for ever. Offsets may have gaps (a provider may keep its own marks between records).
//! 2. **Append.** After `Ok` the record is durable. After [`AppendError::is_not_appended`] it is
//!    not in the log and never will be. After [`AppendError::Unknown`] it may be either, and asking
//!    the log later tells.
//! 3. **Order.** Records of one producer to one partition keep their order; a commit's records keep
//!    theirs.
//! 4. **Commit.** All of a commit's records are there, or none. A lane's commits are in the order
//!    it made them: a later one is never there without an earlier one.
//! 5. **Fence.** `open` ends the lane's earlier owner: whatever that owner commits afterwards is
//!    refused with [`LaneError::Fenced`] and leaves no record, and [`LaneLog::check_owner`] tells
//!    it. The present owner is never told so.
//! 6. **Tail.** After `open`, the journal shows every commit of earlier owners that is, or will
//!    ever be, there, and all of them are durable: a restore projects what it reads.
//! 7. **Unknown outcome.** After [`LaneError::Unknown`] the lane's next owner finds in the
//!    journal's tail whether the commit happened.
//! 8. **Positions.** `poll` returns each input's records in order, from where `seek` said, none
//!    twice, none left out; positions are the provider's next unread offsets, past its own marks.
//! 9. **Visibility.** A lane may read records that are appended but not yet durable, if the
//!    provider makes sure that no later record can outlive them (prefix durability). [`Log::read`]
//!    and [`Log::bounds`] show durable records only.
//! 10. **Durable.** [`LaneLog::durable`] never falls, and a commit whose ticket is at or below it
//!     survives any crash.
//! 11. **Below the start.** Reading or seeking below the first kept offset is
//!     [`LaneError::BelowStart`] or [`ReadError::BelowStart`], never silence.
//! 12. **Bounds.** Every queue is bounded: a full one refuses appends with [`AppendError::Full`]
//!     and makes commits wait.
//! 13. **Answers** may be lost or repeated, never changed: the outcome that counts is in the store.

use async_trait::async_trait;
use bytes::Bytes;
use jupan_schemas::{Lane, Micros, Positions, Role, Source, TRACEPARENT, TopicId, TraceId};
use std::time::Duration;

/// Largest value of a record that a producer may append.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;
/// Largest sum of a commit's values.
pub const COMMIT_BYTES_MAX: usize = 1024 * 1024;

/// A header's name and value: dead letters have them, and what other systems send may.
pub type Header = (String, Bytes);

/// A record to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// What the topic is partitioned by, as text.
    pub key: Bytes,
    /// The encoded value.
    pub value: Bytes,
    /// Cause and origin of a dead letter.
    pub headers: Vec<Header>,
    /// The trace that it belongs to. The value says it, too: a log that other systems read tells it
    /// as the header `traceparent`, others need not keep it.
    pub trace: Option<TraceId>,
}

impl NewRecord {
    /// A record without headers.
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self { key: key.into(), value: value.into(), headers: Vec::new(), trace: None }
    }

    /// The same as a part of a trace.
    #[must_use]
    pub fn traced(self, trace: Option<TraceId>) -> Self {
        Self { trace, ..self }
    }
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Its place in its partition.
    pub offset: u64,
    /// When the log took it.
    pub at: Micros,
    /// What the topic is partitioned by, as text.
    pub key: Bytes,
    /// The encoded value.
    pub value: Bytes,
    /// Cause and origin of a dead letter, or what another system has sent.
    pub headers: Vec<Header>,
}

impl LogRecord {
    /// The trace that its header `traceparent` names.
    pub fn trace(&self) -> Option<TraceId> {
        let (_, value) = self.headers.iter().find(|(name, _)| name == TRACEPARENT)?;
        TraceId::of_traceparent(std::str::from_utf8(value).ok()?)
    }
}

/// Where an appended record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its partition.
    pub partition: u16,
    /// Its offset there.
    pub offset: u64,
}

/// The durable part of a partition: `start` is the first kept offset, `end` the first not yet
/// written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// First kept offset.
    pub start: u64,
    /// First offset not yet durable.
    pub end: u64,
}

/// How much to read at once.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    /// At most so many records.
    pub records_max: usize,
    /// Stop after so many bytes of values; one record is returned even if it is larger.
    pub bytes_max: usize,
}

/// What a read found.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// In order.
    pub records: Vec<LogRecord>,
    /// Where to read on.
    pub next: u64,
}

/// One input of a lane.
#[derive(Clone, Debug)]
pub struct Input {
    /// Which of the lane's two inputs.
    pub source: Source,
    /// The record.
    pub record: LogRecord,
    /// That source's next unread offset after this record.
    pub next: u64,
}

/// A record that is part of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRecord {
    /// Where to.
    pub topic: TopicId,
    /// Which partition.
    pub partition: u16,
    /// What is written.
    pub record: NewRecord,
}

/// The single atomic point of a lane: steps, messages, events and dead letters of one batch of
/// inputs.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Encoded steps, in order; they go to the lane's own journal partition.
    pub steps: Vec<Bytes>,
    /// Everything else.
    pub records: Vec<CommitRecord>,
    /// Next unread offsets after the batch: for the display of lag only.
    pub positions: Positions,
}

/// What a lane knows after a commit was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Compare with [`LaneLog::durable`].
    pub ticket: u64,
    /// Journal offset behind the commit's last step.
    pub journal: u64,
}

/// A partitioned, fenced log. See the module for the rules.
#[async_trait]
pub trait Log: Send + Sync {
    /// Partitions of every keyed topic, which is also the number of lanes of each role.
    fn partitions(&self) -> u16;

    /// Appends one record and waits until it is durable. Only command topics take appends.
    ///
    /// # Errors
    /// [`AppendError`]; its kinds tell whether the record may be there.
    async fn append(
        &self,
        topic: TopicId,
        partition: u16,
        record: NewRecord,
    ) -> Result<Appended, AppendError>;

    /// Reads durable records from an offset on; an empty batch means that there are none yet. May
    /// read a disk: not for a tokio worker.
    ///
    /// # Errors
    /// [`ReadError`]
    fn read(
        &self,
        topic: TopicId,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Batch, ReadError>;

    /// The durable part of a partition. May ask a server: not for a tokio worker.
    ///
    /// # Errors
    /// [`ReadError`]
    fn bounds(&self, topic: TopicId, partition: u16) -> Result<Bounds, ReadError>;

    /// Waits until something more than before may be durable, or the time is over. For readers' own
    /// threads.
    fn wait_for_more(&self, wait: Duration);

    /// Becomes the owner of a lane and fences the earlier one.
    ///
    /// # Errors
    /// [`LaneError`]
    fn open(&self, lane: Lane) -> Result<Box<dyn LaneLog>, LaneError>;

    /// Joins those who own lanes of a role.
    ///
    /// # Errors
    /// [`LaneError`]
    fn assignment(&self, role: Role) -> Result<Box<dyn Assignment>, LaneError>;

    /// Picks a partition of `command-results` and reads it from its end.
    ///
    /// # Errors
    /// [`ReadError`]
    fn results(&self) -> Result<Box<dyn Results>, ReadError>;

    /// Publishes the top sellers of a window, keyed by it.
    ///
    /// # Errors
    /// [`AppendError`]
    fn publish_top(&self, record: NewRecord) -> Result<(), AppendError>;

    /// The log's clock: what records are stamped with.
    fn now(&self) -> Micros;

    /// Why the log can no longer be written, if so. A provider that failed a write or a sync stays
    /// failed.
    fn failure(&self) -> Option<String>;
}

/// One lane's side of the log, owned by the lane's thread. All calls may block that thread.
pub trait LaneLog: Send {
    /// The journal's last step, in any earlier owner's writing.
    ///
    /// # Errors
    /// [`LaneError`]
    fn last_step(&mut self) -> Result<Option<LogRecord>, LaneError>;

    /// Reads the lane's own journal as it was when the lane was opened; an empty batch means its
    /// end.
    ///
    /// # Errors
    /// [`LaneError`]
    fn read_journal(&mut self, from: u64, bytes_max: usize) -> Result<Batch, LaneError>;

    /// Sets where `poll` goes on, in both inputs.
    ///
    /// # Errors
    /// [`LaneError::BelowStart`] where records between the position and the first kept one may be
    /// lost.
    fn seek(&mut self, positions: Positions) -> Result<(), LaneError>;

    /// The next records of both inputs, merged as they come. Waits at most `wait`, and less if
    /// there are records or [`LaneLog::durable`] rose since the last call.
    ///
    /// # Errors
    /// [`LaneError`]
    fn poll(&mut self, limit: ReadLimit, wait: Duration) -> Result<Vec<Input>, LaneError>;

    /// Commits a batch. Waits while the log's queue is full.
    ///
    /// # Errors
    /// [`LaneError`]: the lane must take over again before it goes on.
    fn commit(&mut self, commit: Commit) -> Result<Committed, LaneError>;

    /// Whether nobody had opened the lane again when this was called. A lane asks before it believes
    /// that its state contradicts itself: what it loaded meanwhile may be its successor's rows.
    /// Nothing else needs it, since every poll and commit sees for itself.
    ///
    /// # Errors
    /// [`LaneError::Fenced`] where somebody had; another one where the log cannot tell.
    fn check_owner(&mut self) -> Result<(), LaneError>;

    /// The highest ticket that is durable.
    fn durable(&self) -> u64;

    /// Appends a timer's record to the lane's own inbox, without waiting until it is durable. It
    /// may be lost.
    ///
    /// # Errors
    /// [`LaneError`]
    fn remind(&mut self, record: NewRecord) -> Result<(), LaneError>;

    /// Sends an outcome to a partition of `command-results`, outside any commit, without waiting.
    fn answer(&mut self, reply_to: u32, result: Bytes);

    /// The log's clock.
    fn now(&self) -> Micros;
}

/// Which lanes this process owns.
pub trait Assignment: Send {
    /// Changes since the last call, waiting at most so long. The next call confirms that the lanes
    /// revoked by this one have stopped.
    ///
    /// # Errors
    /// [`LaneError`]
    fn poll(&mut self, wait: Duration) -> Result<Vec<AssignmentChange>, LaneError>;

    /// Whether it is known by now which lanes this process owns, even if it is none, and all of
    /// them were told by [`Assignment::poll`].
    fn is_settled(&self) -> bool;
}

/// One change of an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignmentChange {
    /// Own this lane from now on.
    Assigned(Lane),
    /// Stop this lane, and join its thread, before the next call.
    Revoked(Lane),
}

/// One partition of `command-results`, read from its end.
pub trait Results: Send {
    /// What a command's `replyTo` says to be answered here.
    fn partition(&self) -> u32;

    /// Outcomes that came since the last call, waiting at most so long for the first.
    ///
    /// # Errors
    /// [`ReadError`]
    fn receive(&mut self, wait: Duration) -> Result<Vec<Bytes>, ReadError>;
}

/// An append did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The queue is full; nothing was appended.
    #[error("the log's queue is full")]
    Full,
    /// The value is larger than [`RECORD_BYTES_MAX`]; nothing was appended.
    #[error("record of {bytes} bytes is larger than a record may be")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// No such partition takes appends; nothing was appended.
    #[error("{topic:?}/{partition} takes no appends")]
    NoPartition {
        /// Which topic.
        topic: TopicId,
        /// Which partition.
        partition: u16,
    },
    /// The log takes no more appends; nothing was appended.
    #[error("the log is closed")]
    Closed,
    /// Whether it was appended is unknown.
    #[error("whether the record was appended is unknown: {cause}")]
    Unknown {
        /// What happened.
        cause: String,
    },
}

impl AppendError {
    /// Whether it is certain that the record is not in the log.
    pub fn is_not_appended(&self) -> bool {
        !matches!(self, Self::Unknown { .. })
    }
}

/// A lane cannot go on with this side of the log.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// Another owner took over.
    #[error("lane {lane} has a newer owner")]
    Fenced {
        /// Which lane.
        lane: Lane,
    },
    /// Whether the commit happened is unknown: take over again and look at the tail.
    #[error("whether lane {lane}'s commit happened is unknown: {cause}")]
    Unknown {
        /// Which lane.
        lane: Lane,
        /// What happened.
        cause: String,
    },
    /// Records before the first kept one may have been lost.
    #[error("{topic:?} of lane {lane} starts at {start}, beyond the position {position}")]
    BelowStart {
        /// Which lane.
        lane: Lane,
        /// Which topic.
        topic: TopicId,
        /// Where the lane wants to read.
        position: u64,
        /// The first kept offset.
        start: u64,
    },
    /// The log is broken, or closed.
    #[error("the log of lane {lane} cannot be used: {cause}")]
    Broken {
        /// Which lane.
        lane: Lane,
        /// What happened.
        cause: String,
    },
}

/// A read did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset is no longer kept.
    #[error("{topic:?}/{partition} starts at {start}, beyond {from}")]
    BelowStart {
        /// Which topic.
        topic: TopicId,
        /// Which partition.
        partition: u16,
        /// Where to read.
        from: u64,
        /// The first kept offset.
        start: u64,
    },
    /// There is no such partition.
    #[error("{topic:?} has no partition {partition}")]
    NoPartition {
        /// Which topic.
        topic: TopicId,
        /// Which partition.
        partition: u16,
    },
    /// Nobody answers at present; asking again later is all there is to do. A provider whose log
    /// lies in this process never says so.
    #[error("{topic:?}/{partition} cannot be read at present: {cause}")]
    Unavailable {
        /// Which topic.
        topic: TopicId,
        /// Which partition.
        partition: u16,
        /// What happened.
        cause: String,
    },
    /// The log is broken.
    #[error("{topic:?}/{partition} cannot be read: {cause}")]
    Broken {
        /// Which topic.
        topic: TopicId,
        /// Which partition.
        partition: u16,
        /// What happened.
        cause: String,
    },
}
