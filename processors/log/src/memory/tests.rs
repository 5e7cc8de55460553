//! The reference itself: explicit durability, crashes, faults, and no sleep where none is wanted.

use super::{Fault, MemoryLog, Options};
use crate::clock::ManualClock;
use crate::{Commit, CommitRecord, LaneError, Log, NewRecord, ReadLimit};
use bytes::Bytes;
use jupan_schemas::{Lane, Micros, Role, TopicId};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ALL: ReadLimit = ReadLimit { records_max: usize::MAX, bytes_max: usize::MAX };
const USERS: Lane = Lane { role: Role::Users, index: 0 };

/// A log for one thread.
fn stepwise(mut options: Options) -> MemoryLog {
    options.never_wait = true;
    MemoryLog::new(options, Arc::new(ManualClock::at(Micros(5))))
}

fn by_hand() -> MemoryLog {
    stepwise(Options { auto_sync: false, ..Options::default() })
}

fn step(n: u8) -> Commit {
    Commit { steps: vec![Bytes::copy_from_slice(&[n])], ..Commit::default() }
}

fn steps(log: &MemoryLog) -> Vec<u8> {
    let read = log.read(TopicId::UserJournal, 0, 0, ALL).expect("read").records;
    read.iter().map(|record| record.value[0]).collect()
}

fn inbox(log: &MemoryLog) -> usize {
    log.read(TopicId::UserInbox, 0, 0, ALL).expect("read").records.len()
}

#[test]
fn a_crash_keeps_the_synced_part_and_as_much_more_as_was_asked_for() {
    for survivors in 0..5 {
        let log = by_hand();
        let mut lane = log.open(USERS).expect("open");
        lane.commit(step(0)).expect("commit");
        log.sync();
        for n in 1..4 {
            lane.commit(step(n)).expect("commit");
        }
        assert_eq!(log.unsynced(), 3);
        assert_eq!(steps(&log), [0], "readers see what is durable");
        let left = log.crash(survivors);
        let expected: Vec<u8> = (0..=u8::try_from(survivors.min(3)).expect("small")).collect();
        assert_eq!(steps(&left), expected);
        let ended = lane.commit(step(9)).expect_err("the old log is gone");
        assert!(matches!(ended, LaneError::Broken { .. }), "{ended}");
    }
}

#[test]
fn a_seed_decides_and_decides_the_same_again() {
    let survivors = |seed| {
        let log = by_hand();
        let mut lane = log.open(USERS).expect("open");
        (0..7).for_each(|n| assert!(lane.commit(step(n)).is_ok()));
        steps(&log.crash_by(seed)).len()
    };
    let all: Vec<usize> = (0..50).map(survivors).collect();
    assert_eq!(all, (0..50).map(survivors).collect::<Vec<_>>());
    assert!((0..=7).all(|count| all.contains(&count)), "every outcome occurs: {all:?}");
}

#[test]
fn faults_happen_once_and_to_whom_they_were_meant() {
    let log = stepwise(Options::default());
    let other = Lane { role: Role::Users, index: 1 };
    let mut lane = log.open(USERS).expect("open");
    let mut others = log.open(other).expect("open");
    log.fail_next(Fault::CommitUnknown { lane: Some(USERS), happened: true });
    others.commit(step(8)).expect("another lane is not concerned");
    assert!(matches!(lane.commit(step(1)), Err(LaneError::Unknown { .. })));
    assert!(matches!(lane.commit(step(1)), Err(LaneError::Fenced { .. })), "it must take over");
    let mut lane = log.open(USERS).expect("open");
    log.fail_next(Fault::CommitUnknown { lane: None, happened: false });
    assert!(matches!(lane.commit(step(2)), Err(LaneError::Unknown { .. })));
    let mut lane = log.open(USERS).expect("open");
    log.fail_next(Fault::CommitFenced { lane: None });
    assert!(matches!(lane.commit(step(3)), Err(LaneError::Fenced { .. })));
    let mut lane = log.open(USERS).expect("open");
    lane.commit(step(4)).expect("commit");
    assert_eq!(steps(&log), [1, 4]);
}

#[test]
fn reminders_and_answers_are_lost_or_doubled() {
    let log = stepwise(Options::default());
    let mut lane = log.open(USERS).expect("open");
    let mut results = log.results().expect("results");
    for (fault, count) in [(Fault::RemindLost, 0), (Fault::RemindTwice, 2)] {
        let before = inbox(&log);
        log.fail_next(fault);
        lane.remind(NewRecord::new("1", "later")).expect("remind");
        assert_eq!(inbox(&log) - before, count, "{fault:?}");
    }
    for (fault, count) in [(Fault::AnswerLost, 0), (Fault::AnswerTwice, 2)] {
        log.fail_next(fault);
        lane.answer(results.partition(), Bytes::from_static(b"done"));
        let received = results.receive(Duration::from_secs(9)).expect("receive");
        assert_eq!(received.len(), count, "{fault:?}");
    }
    lane.remind(NewRecord::new("1", "later")).expect("remind");
    assert_eq!(inbox(&log), 3, "a fault happens once");
}

#[test]
fn an_unknown_append_can_be_asked_about() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for happened in [false, true] {
        let log = stepwise(Options::default());
        log.fail_next(Fault::AppendUnknown { happened });
        let record = NewRecord::new("1", "maybe");
        let unknown = runtime.block_on(log.append(TopicId::UserCommands, 0, record));
        assert!(!unknown.expect_err("unknown").is_not_appended());
        log.sync();
        let there = log.bounds(TopicId::UserCommands, 0).expect("bounds").end;
        assert_eq!(there, u64::from(happened));
    }
}

#[test]
fn nothing_sleeps_in_a_single_thread() {
    let log = stepwise(Options { auto_sync: false, queue_bytes_max: 100, ..Options::default() });
    let begun = Instant::now();
    let long = Duration::from_secs(60);
    let mut lane = log.open(USERS).expect("open");
    assert!(lane.poll(ALL, long).expect("poll").is_empty());
    log.wait_for_more(long);
    assert!(log.results().expect("results").receive(long).expect("receive").is_empty());
    let mut assignment = log.assignment(Role::Users).expect("assignment");
    assert_eq!(assignment.poll(long).expect("poll").len(), 2);
    assert!(assignment.poll(long).expect("poll").is_empty());
    for _ in 0..5 {
        let large = Commit { steps: vec![Bytes::from(vec![1; 60])], ..Commit::default() };
        lane.commit(large).expect("a full queue syncs instead of waiting");
    }
    assert!(begun.elapsed() < long);
}

#[test]
fn the_start_moves_where_records_are_removed() {
    let log = stepwise(Options::default());
    let mut lane = log.open(USERS).expect("open");
    for n in 0..4 {
        let (topic, partition) = (TopicId::OrderEvents, 1);
        let record = NewRecord::new("1", vec![n]);
        let records = vec![CommitRecord { topic, partition, record }];
        lane.commit(Commit { records, ..Commit::default() }).expect("commit");
    }
    log.trim(TopicId::OrderEvents, 1, 3).expect("trim");
    let bounds = log.bounds(TopicId::OrderEvents, 1).expect("bounds");
    assert_eq!((bounds.start, bounds.end), (3, 4));
    assert!(log.read(TopicId::OrderEvents, 1, 2, ALL).is_err());
    assert_eq!(log.read(TopicId::OrderEvents, 1, 3, ALL).expect("read").records[0].value[0], 3);
}
