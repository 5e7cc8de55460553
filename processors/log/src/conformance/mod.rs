//! The suite that every provider of the log passes: at least one check for each numbered rule of
//! the port.
//!
//! A check panics, naming its rule, where the provider breaks it. That every check can fail is
//! shown by providers that break exactly one rule each (see `broken`).

#[cfg(test)]
mod broken;
mod commits;
mod reading;
mod records;

use crate::{
    AppendError, Appended, Commit, CommitRecord, Input, LaneLog, Log, LogRecord, NewRecord,
    ReadLimit,
};
use bytes::Bytes;
use jupan_schemas::{Lane, Role, TopicId};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// A provider under test. The controls concern the log that was opened last; one that a provider
/// lacks returns `false`, and the checks that need it are passed over.
pub trait Fixture {
    /// A new, empty log with at least two lanes of each role.
    fn open(&self) -> Arc<dyn Log>;

    /// Ends the log as a crash does, at any moment, and opens what is left of it.
    fn reopen_after_crash(&self, log: Arc<dyn Log>) -> Arc<dyn Log>;

    /// Bytes that may wait for durability in the logs that this fixture opens.
    fn queue_bytes_max(&self) -> usize;

    /// From now on nothing more becomes durable.
    fn hold_syncs(&self) -> bool {
        false
    }

    /// Ends [`Fixture::hold_syncs`].
    fn release_syncs(&self) {}

    /// Lets the next commit of any lane have an unknown outcome.
    fn next_commit_unknown(&self, _happened: bool) -> bool {
        false
    }

    /// Removes the records of a partition before an offset.
    fn trim(&self, _topic: TopicId, _partition: u16, _start: u64) -> bool {
        false
    }
}

/// A check with the rule that it is about.
pub type Check = (&'static str, fn(&dyn Fixture));

/// All checks.
pub const CHECKS: [Check; 21] = [
    ("1 offsets: records stay as they are", records::records_stay_as_they_are),
    ("2 append: what is acknowledged survives", records::acknowledged_appends_survive),
    ("2 append: what is refused is not there", records::refused_appends_are_not_there),
    ("3 order: of a producer", records::a_producer_keeps_its_order),
    ("3 order: of a commit", records::a_commit_keeps_its_order),
    ("4 commit: all or nothing", commits::a_commit_is_all_or_nothing),
    ("4 commit: in order", commits::commits_survive_in_order),
    ("5 fence: commits", commits::an_earlier_owner_is_fenced),
    ("5 fence: who asks", commits::who_asks_learns_whether_it_is_the_owner),
    ("6 tail", commits::a_new_owner_sees_every_commit),
    ("7 unknown outcome", commits::an_unknown_outcome_can_be_asked_about),
    ("8 positions: each record once", reading::poll_returns_each_record_once),
    ("8 positions: seek", reading::poll_goes_on_where_seek_said),
    ("9 visibility: readers", reading::readers_see_durable_records_only),
    ("9 visibility: prefix durability", reading::nothing_outlives_what_it_came_from),
    ("10 durable: covers what survives", commits::what_is_durable_survives),
    ("10 durable: wakes its lane", commits::durability_wakes_its_lane),
    ("11 below the start", reading::below_the_start_is_an_error),
    ("12 bounds: appends", reading::a_full_queue_refuses_appends),
    ("12 bounds: commits", reading::a_full_queue_makes_commits_wait),
    ("13 answers", records::answers_are_never_changed),
];

/// Runs every check.
pub fn run_all(fixture: &dyn Fixture) {
    for (_, check) in CHECKS {
        check(fixture);
    }
}

/// How long anything may take that must happen.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long something is watched that must not happen.
const WATCH: Duration = Duration::from_millis(60);
/// How often a check is repeated whose outcome depends on where a crash falls.
const CRASHES: usize = 12;

const ALL: ReadLimit = ReadLimit { records_max: 10_000, bytes_max: usize::MAX };
const USERS: Lane = Lane { role: Role::Users, index: 0 };
const PRODUCTS: Lane = Lane { role: Role::Products, index: 1 };

fn value(n: usize) -> Bytes {
    Bytes::from(format!("value {n}"))
}

fn record(n: usize) -> NewRecord {
    NewRecord::new(format!("{n}"), value(n))
}

/// A commit with step `n`, a message to the other role's lane, an event, and a dead letter with
/// headers.
fn commit(n: usize) -> Commit {
    let place = |topic, partition, record| CommitRecord { topic, partition, record };
    let dead = NewRecord { headers: vec![("cause".to_owned(), value(n))], ..record(n) };
    Commit {
        steps: vec![value(n)],
        records: vec![
            place(TopicId::ProductInbox, PRODUCTS.index, record(n)),
            place(TopicId::OrderEvents, 0, record(n)),
            place(TopicId::DeadLetters, 0, dead),
        ],
        ..Commit::default()
    }
}

fn open(log: &Arc<dyn Log>, lane: Lane) -> Box<dyn LaneLog> {
    log.open(lane).expect("the lane can be opened")
}

/// A future that is waited for in this thread.
struct Waiting<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + Send + 'a>>,
    done: Option<T>,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl<'a, T> Waiting<'a, T> {
    /// Begins: the future runs up to where it has to wait.
    fn begin(future: impl Future<Output = T> + Send + 'a) -> Self {
        let mut waiting = Self { future: Box::pin(future), done: None };
        waiting.is_done();
        waiting
    }

    fn is_done(&mut self) -> bool {
        if self.done.is_none() {
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(done) => self.done = Some(done),
                Poll::Pending => {}
            }
        }
        self.done.is_some()
    }

    fn wait(mut self) -> T {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_done() {
            assert!(Instant::now() < deadline, "an append did not end");
            thread::park_timeout(Duration::from_millis(50));
        }
        self.done.expect("it is done")
    }
}

fn wait_for<T>(future: impl Future<Output = T> + Send) -> T {
    Waiting::begin(future).wait()
}

fn begin_append(log: &dyn Log, n: usize) -> Waiting<'_, Result<Appended, AppendError>> {
    Waiting::begin(log.append(TopicId::UserCommands, USERS.index, record(n)))
}

fn append(log: &dyn Log, n: usize) -> Appended {
    begin_append(log, n).wait().expect("the append succeeds")
}

/// All durable records of a partition.
fn read_all(log: &dyn Log, topic: TopicId, partition: u16) -> Vec<LogRecord> {
    let mut next = log.bounds(topic, partition).expect("bounds").start;
    let mut records = Vec::new();
    loop {
        let batch = log.read(topic, partition, next, ALL).expect("read");
        next = batch.next;
        if batch.records.is_empty() {
            return records;
        }
        records.extend(batch.records);
    }
}

/// Waits until so many records of a partition are durable.
fn read_count(log: &dyn Log, topic: TopicId, partition: u16, count: usize) -> Vec<LogRecord> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let records = read_all(log, topic, partition);
        if records.len() >= count || Instant::now() > deadline {
            assert_eq!(records.len(), count, "durable records of {topic:?}");
            return records;
        }
        log.wait_for_more(Duration::from_millis(20));
    }
}

/// Polls until so many inputs came.
fn poll_count(lane: &mut dyn LaneLog, limit: ReadLimit, count: usize) -> Vec<Input> {
    let deadline = Instant::now() + PATIENCE;
    let mut inputs = Vec::new();
    while inputs.len() < count && Instant::now() < deadline {
        inputs.extend(lane.poll(limit, Duration::from_millis(20)).expect("poll"));
    }
    inputs
}

/// Waits until a ticket is durable.
fn wait_durable(lane: &mut dyn LaneLog, ticket: u64) {
    let deadline = Instant::now() + PATIENCE;
    while lane.durable() < ticket {
        assert!(Instant::now() < deadline, "ticket {ticket} did not become durable");
        let nothing = ReadLimit { records_max: 0, bytes_max: 0 };
        lane.poll(nothing, Duration::from_millis(20)).expect("poll");
    }
}

fn journal_of(lane: &mut dyn LaneLog) -> Vec<Bytes> {
    let mut steps = Vec::new();
    let mut next = 0;
    loop {
        let batch = lane.read_journal(next, 16).expect("the journal can be read");
        if batch.records.is_empty() {
            return steps;
        }
        assert!(batch.next > next, "reading the journal goes on");
        next = batch.next;
        steps.extend(batch.records.into_iter().map(|record| record.value));
    }
}

fn values(records: &[LogRecord]) -> Vec<Bytes> {
    records.iter().map(|record| record.value.clone()).collect()
}

fn expected(numbers: std::ops::Range<usize>) -> Vec<Bytes> {
    numbers.map(value).collect()
}
