//! Failed writes and syncs, and kills at every step while the log runs.

use super::files::{EIO, ENOSPC, Failing, TestFiles, copy_dir};
use super::{
    USERS, append, commit, contents, open_small, read_all, record, small, values, wait_durable,
    wait_for, wait_queued,
};
use crate::embedded::{EmbeddedLog, Options};
use crate::{AppendError, LaneError, Log, ReadLimit, SystemClock};
use jupan_schemas::TopicId;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;

const NOTHING: ReadLimit = ReadLimit { records_max: 0, bytes_max: 0 };

/// A log on these files that counts how often it reports its failure.
fn open_counted(dir: &TempDir, files: &TestFiles) -> (Arc<EmbeddedLog>, Arc<AtomicUsize>) {
    let reports = Arc::new(AtomicUsize::new(0));
    let counted = reports.clone();
    let on_failure: Box<dyn Fn(&str) + Send + Sync> = Box::new(move |cause| {
        assert!(!cause.is_empty());
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let mark_after = Duration::from_secs(100);
    let options = Options { on_failure: Some(on_failure), mark_after, ..small(files) };
    (EmbeddedLog::open(dir.path(), options, Arc::new(SystemClock)).expect("open"), reports)
}

/// The operation after `more` others fails once: the log is failed for good.
fn check_failure(more: u64, error: i32) {
    let dir = TempDir::new().expect("a directory");
    let files = TestFiles::new(Failing::Never);
    let (log, reports) = open_counted(&dir, &files);
    let mut lane = log.open(USERS).expect("open");
    append(&log, 0, 0);
    let ticket = lane.commit(commit(0)).expect("commit").ticket;
    wait_durable(lane.as_mut(), ticket);
    files.fail_after(more, error);
    let unknown = wait_for(log.append(TopicId::UserCommands, 0, record(1)));
    let unknown = unknown.expect_err("the write failed");
    assert!(matches!(unknown, AppendError::Unknown { .. }), "{unknown}");
    let syncs = files.syncs();
    assert!(log.failure().is_some());
    let closed = wait_for(log.append(TopicId::UserCommands, 0, record(2)));
    assert!(matches!(closed, Err(AppendError::Closed)), "{closed:?}");
    let broken = [
        lane.commit(commit(1)).map(drop),
        lane.remind(record(1)),
        lane.poll(NOTHING, Duration::from_secs(5)).map(drop),
        log.open(USERS).map(drop),
    ];
    for result in broken {
        assert!(matches!(result, Err(LaneError::Broken { .. })), "{result:?}");
    }
    assert_eq!(lane.durable(), ticket);
    assert_eq!(values(&read_all(&log, TopicId::UserCommands, 0)), [record(0).value]);
    log.close();
    assert_eq!(files.syncs(), syncs, "nothing is synced after a failure");
    assert_eq!(reports.load(Ordering::SeqCst), 1, "the failure is reported once");
    drop(log);
    let log = open_small(dir.path()).expect("the next start");
    let left = values(&read_all(&log, TopicId::UserCommands, 0));
    assert!(left == [record(0).value] || left == [record(0).value, record(1).value]);
}

#[test]
fn a_failed_write_or_sync_is_the_end() {
    for error in [EIO, ENOSPC] {
        check_failure(0, error);
        check_failure(1, error);
    }
}

#[test]
fn everybody_who_waits_learns_of_the_failure() {
    let dir = TempDir::new().expect("a directory");
    let files = TestFiles::new(Failing::Never);
    let (log, _) = open_counted(&dir, &files);
    let mut lane = log.open(USERS).expect("open");
    let held = files.held();
    let appending: Vec<_> = (0..3)
        .map(|n| {
            let log = log.clone();
            std::thread::spawn(move || wait_for(log.append(TopicId::UserCommands, 1, record(n))))
        })
        .collect();
    wait_queued(&log, 0..3);
    let polling = std::thread::spawn(move || lane.poll(NOTHING, Duration::from_secs(60)).map(drop));
    let mut products = log
        .open(jupan_schemas::Lane { role: jupan_schemas::Role::Products, index: 1 })
        .expect("open");
    let committing = std::thread::spawn(move || {
        let mut large = commit(0);
        large.steps = vec![vec![7; 40_000].into()];
        products.commit(large.clone()).expect("there is room for one");
        products.commit(large).map(drop)
    });
    while log.queued_bytes() < 40_000 {
        std::thread::yield_now();
    }
    files.fail_after(0, EIO);
    drop(held);
    for append in appending {
        let unknown = append.join().expect("no panic");
        assert!(matches!(unknown, Err(AppendError::Unknown { .. })), "{unknown:?}");
    }
    for lane in [polling, committing] {
        let broken = lane.join().expect("no panic");
        assert!(matches!(broken, Err(LaneError::Broken { .. })), "{broken:?}");
    }
}

/// Appends and commits until the files fail. Returns how many of each were known durable.
fn work_until_killed(log: &EmbeddedLog) -> (usize, usize) {
    let Ok(mut lane) = log.open(USERS) else { return (0, 0) };
    let mut tickets = Vec::new();
    let mut appended = 0;
    for n in 0..25 {
        match lane.commit(commit(n)) {
            Ok(committed) => tickets.push(committed.ticket),
            Err(_) => break,
        }
        match wait_for(log.append(TopicId::UserCommands, 0, record(n))) {
            Ok(done) => assert_eq!(done.offset, n as u64),
            Err(_) => break,
        }
        appended += 1;
    }
    let durable = lane.durable();
    (appended, tickets.iter().filter(|ticket| **ticket <= durable).count())
}

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_step() {
    let made = TempDir::new().expect("a directory");
    drop(open_small(made.path()).expect("open"));
    for step in (1..).step_by(3) {
        let dir = TempDir::new().expect("a directory");
        copy_dir(made.path(), dir.path());
        let files = TestFiles::new(Failing::From(step));
        let opened = EmbeddedLog::open(dir.path(), small(&files), Arc::new(SystemClock));
        let (appended, committed) = opened.as_ref().map_or((0, 0), |log| work_until_killed(log));
        drop(opened);
        let copy = TempDir::new().expect("a directory");
        files.copy_after_power_cut(dir.path(), copy.path(), step);
        for dir in [dir.path(), copy.path()] {
            let log = open_small(dir).expect("the next start");
            let commands = values(&read_all(&log, TopicId::UserCommands, 0));
            let steps = values(&read_all(&log, TopicId::UserJournal, 0));
            let events = values(&read_all(&log, TopicId::OrderEvents, 0));
            assert!(commands.len() >= appended, "step {step}: acknowledged appends");
            assert!(steps.len() >= committed, "step {step}: durable commits");
            assert_eq!(commands, super::expected(0..commands.len()), "step {step}");
            assert_eq!(steps, super::expected(0..steps.len()), "step {step}");
            assert_eq!(steps, events, "step {step}: whole commits");
            assert!(commands.len() <= steps.len(), "step {step}: file order is append order");
        }
        if appended == 25 {
            assert!(step > 60, "the work has only {step} steps");
            return;
        }
    }
}

#[test]
fn a_file_that_appears_from_an_interrupted_roll_is_ignored() {
    let dir = TempDir::new().expect("a directory");
    let log = open_small(dir.path()).expect("open");
    for n in 0..60 {
        append(&log, 0, n);
    }
    let before = contents(&log);
    drop(log);
    for name in ["00000000000000099999.seg.tmp", "00000000000000000000.idx.tmp", "notes.txt"] {
        fs::write(dir.path().join("log").join(name), "anything").expect("write");
    }
    assert_eq!(contents(&open_small(dir.path()).expect("open")), before);
}
