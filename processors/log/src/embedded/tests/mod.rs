//! The embedded log: the conformance suite, its directory after kills and damage, and its behaviour
//! while it runs.

mod crash;
mod damage;
mod errors;
mod failures;
mod files;
mod floor;
mod format;
mod found;
mod rot;
mod running;
mod script;
mod start;

use super::record::RECORD_HEADER_BYTES;
use super::{EmbeddedLog, OpenError, Options};
use crate::clock::ManualClock;
use crate::conformance::{Fixture, run_all};
use crate::{
    AppendError, Appended, Commit, CommitRecord, LaneLog, Log, LogRecord, NewRecord, ReadLimit,
    SystemClock,
};
use bytes::Bytes;
use files::{Failing, TestFiles};
use jupan_schemas::{Lane, Micros, Role, TopicId};
use parking_lot::Mutex;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

const ALL: ReadLimit = ReadLimit { records_max: usize::MAX, bytes_max: usize::MAX };
const USERS: Lane = Lane { role: Role::Users, index: 0 };

/// Small segments, two lanes, and files that do what a test says.
fn small(files: &TestFiles) -> Options {
    Options {
        lanes: Some(2),
        segment_bytes: 4096,
        queue_bytes_max: 64 * 1024,
        files: Arc::new(files.clone()),
        ..Options::default()
    }
}

fn open_small(dir: &Path) -> Result<Arc<EmbeddedLog>, OpenError> {
    EmbeddedLog::open(dir, small(&TestFiles::new(Failing::Never)), Arc::new(SystemClock))
}

fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(future)
}

fn record(n: usize) -> NewRecord {
    NewRecord::new(format!("{n}"), format!("value {n} {}", "x".repeat(n % 90)))
}

/// Waits until appends of these records are in the queue, while syncs are held.
fn wait_queued(log: &EmbeddedLog, numbers: std::ops::Range<usize>) {
    let size = |new: NewRecord| new.key.len() + new.value.len() + RECORD_HEADER_BYTES;
    let bytes: usize = numbers.map(|n| size(record(n))).sum();
    while log.queued_bytes() < bytes {
        std::thread::yield_now();
    }
}

/// Appends as a producer does: what was refused for want of room was not written, and is tried again.
fn append(log: &EmbeddedLog, partition: u16, n: usize) -> Appended {
    loop {
        match wait_for(log.append(TopicId::UserCommands, partition, record(n))) {
            Err(AppendError::Full) => std::thread::yield_now(),
            appended => return appended.expect("append"),
        }
    }
}

/// A commit with step `n`, a message to each product lane, and an event.
fn commit(n: usize) -> Commit {
    let place = |topic, partition| CommitRecord { topic, partition, record: record(n) };
    Commit {
        steps: vec![record(n).value],
        records: vec![
            place(TopicId::ProductInbox, 0),
            place(TopicId::ProductInbox, 1),
            place(TopicId::OrderEvents, 0),
        ],
        ..Commit::default()
    }
}

fn wait_durable(lane: &mut dyn LaneLog, ticket: u64) {
    let nothing = ReadLimit { records_max: 0, bytes_max: 0 };
    while lane.durable() < ticket {
        lane.poll(nothing, Duration::from_secs(5)).expect("poll");
    }
}

/// All durable records of a partition, read in batches of this size.
fn read_in(log: &EmbeddedLog, topic: TopicId, partition: u16, limit: ReadLimit) -> Vec<LogRecord> {
    let mut records = Vec::new();
    let mut next = 0;
    loop {
        let batch = log.read(topic, partition, next, limit).expect("read");
        if batch.records.is_empty() {
            return records;
        }
        next = batch.next;
        records.extend(batch.records);
    }
}

fn read_all(log: &EmbeddedLog, topic: TopicId, partition: u16) -> Vec<LogRecord> {
    read_in(log, topic, partition, ALL)
}

/// The whole log: every partition of every topic.
fn contents(log: &EmbeddedLog) -> Vec<Vec<LogRecord>> {
    let slots = TopicId::ALL.iter().flat_map(|topic| (0..2).map(move |p| (*topic, p)));
    let there = slots.filter(|(topic, partition)| log.bounds(*topic, *partition).is_ok());
    there.map(|(topic, partition)| read_all(log, topic, partition)).collect()
}

fn values(records: &[LogRecord]) -> Vec<Bytes> {
    records.iter().map(|record| record.value.clone()).collect()
}

fn expected(numbers: std::ops::Range<usize>) -> Vec<Bytes> {
    numbers.map(|n| record(n).value).collect()
}

/// The segments of a directory, in order.
fn segments(dir: &Path) -> Vec<PathBuf> {
    with_extension(dir, "seg")
}

fn with_extension(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let found = std::fs::read_dir(dir.join("log")).expect("list");
    let mut paths: Vec<_> = found.map(|found| found.expect("list").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    paths
}

/// Opens logs in temporary directories; a crash is a power cut with other survivors each time.
#[derive(Default)]
struct EmbeddedFixture {
    last: Mutex<Option<(Arc<EmbeddedLog>, TempDir, TestFiles)>>,
    old: Mutex<Vec<TempDir>>,
    crashes: AtomicU64,
}

const QUEUE_BYTES_MAX: usize = 64 * 1024;

impl EmbeddedFixture {
    fn start(&self, dir: TempDir) -> Arc<dyn Log> {
        let files = TestFiles::new(Failing::Never);
        let clock = Arc::new(ManualClock::at(Micros(1_000)));
        let options = Options { queue_bytes_max: QUEUE_BYTES_MAX, ..small(&files) };
        let log = EmbeddedLog::open(dir.path(), options, clock).expect("open");
        *self.last.lock() = Some((log.clone(), dir, files));
        log
    }
}

impl Fixture for EmbeddedFixture {
    fn open(&self) -> Arc<dyn Log> {
        // A log whose syncs are held could not be closed.
        self.release_syncs();
        self.start(TempDir::new().expect("a directory"))
    }

    fn reopen_after_crash(&self, log: Arc<dyn Log>) -> Arc<dyn Log> {
        let copy = TempDir::new().expect("a directory");
        let seed = self.crashes.fetch_add(1, Ordering::SeqCst);
        if let Some((_, dir, files)) = self.last.lock().take() {
            files.copy_after_power_cut(dir.path(), copy.path(), seed);
            files.hold(false);
            self.old.lock().push(dir);
        }
        drop(log);
        self.start(copy)
    }

    fn queue_bytes_max(&self) -> usize {
        QUEUE_BYTES_MAX
    }

    fn hold_syncs(&self) -> bool {
        if let Some((_, _, files)) = &*self.last.lock() {
            files.hold(true);
        }
        true
    }

    fn release_syncs(&self) {
        if let Some((_, _, files)) = &*self.last.lock() {
            files.hold(false);
        }
    }
}

impl Drop for EmbeddedFixture {
    fn drop(&mut self) {
        // A check that failed while syncs were held would wait for ever.
        self.release_syncs();
    }
}

#[test]
fn it_keeps_the_rules() {
    run_all(&EmbeddedFixture::default());
}
