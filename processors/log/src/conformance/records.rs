//! Rules 1, 2, 3 and 13: what producers and subscribers rely on.

use super::{
    Fixture, PATIENCE, USERS, append, begin_append, commit, expected, open, read_all, read_count,
    record, value, values, wait_for,
};
use crate::{CommitRecord, NewRecord, RECORD_BYTES_MAX};
use bytes::Bytes;
use jupan_schemas::TopicId;
use std::time::Instant;

pub(super) fn records_stay_as_they_are(fixture: &dyn Fixture) {
    let log = fixture.open();
    for n in 0..5 {
        append(log.as_ref(), n);
    }
    let first = read_count(log.as_ref(), TopicId::UserCommands, 0, 5);
    for pair in first.windows(2) {
        assert!(pair[0].offset < pair[1].offset, "rule 1: offsets rise");
        assert!(pair[0].at <= pair[1].at, "rule 1: append times never fall");
    }
    assert_eq!(values(&first), expected(0..5), "rule 1: bytes stay");
    append(log.as_ref(), 5);
    let again = read_all(log.as_ref(), TopicId::UserCommands, 0);
    assert_eq!(again[..5], first[..], "rule 1: records stay as they were read first");
    let log = fixture.reopen_after_crash(log);
    let after = read_all(log.as_ref(), TopicId::UserCommands, 0);
    assert_eq!(after, again, "rule 1: records stay after a crash");
}

pub(super) fn acknowledged_appends_survive(fixture: &dyn Fixture) {
    let log = fixture.open();
    for n in 0..3 {
        let appended = append(log.as_ref(), n);
        let end = log.bounds(TopicId::UserCommands, 0).expect("bounds").end;
        assert!(appended.offset < end, "rule 2: an acknowledged append is durable");
    }
    let log = fixture.reopen_after_crash(log);
    let left = read_all(log.as_ref(), TopicId::UserCommands, 0);
    assert_eq!(values(&left), expected(0..3), "rule 2: acknowledged appends survive");
}

pub(super) fn refused_appends_are_not_there(fixture: &dyn Fixture) {
    let log = fixture.open();
    let large = NewRecord::new("1", vec![7; RECORD_BYTES_MAX + 1]);
    let refused = wait_for(log.append(TopicId::UserCommands, 0, large));
    let refused = refused.expect_err("rule 2: a value beyond the limit is refused");
    assert!(refused.is_not_appended(), "rule 2: {refused}");
    let nowhere = wait_for(log.append(TopicId::UserCommands, u16::MAX, record(1)));
    let nowhere = nowhere.expect_err("rule 2: no append to a partition that is not there");
    assert!(nowhere.is_not_appended(), "rule 2: {nowhere}");
    let foreign = wait_for(log.append(TopicId::UserJournal, 0, record(1)));
    foreign.expect_err("rule 2: only command topics take appends");
    append(log.as_ref(), 2);
    let left = read_all(log.as_ref(), TopicId::UserCommands, 0);
    assert_eq!(values(&left), [value(2)], "rule 2: what was refused is not there");
    assert!(read_all(log.as_ref(), TopicId::UserJournal, 0).is_empty(), "rule 2: nor elsewhere");
}

pub(super) fn a_producer_keeps_its_order(fixture: &dyn Fixture) {
    let log = fixture.open();
    let begun: Vec<_> = (0..30).map(|n| begin_append(log.as_ref(), n)).collect();
    let appended: Vec<_> = begun.into_iter().map(|append| append.wait().expect("append")).collect();
    let rises = appended.windows(2).all(|pair| pair[0].offset < pair[1].offset);
    assert!(rises, "rule 3: offsets in the order of the appends");
    let records = read_all(log.as_ref(), TopicId::UserCommands, 0);
    assert_eq!(values(&records), expected(0..30), "rule 3: a producer's records keep their order");
    for (appended, record) in appended.iter().zip(&records) {
        assert_eq!(appended.offset, record.offset, "rule 3: each lies where the append said");
    }
}

pub(super) fn a_commit_keeps_its_order(fixture: &dyn Fixture) {
    let log = fixture.open();
    let mut lane = open(&log, USERS);
    let mut commit = commit(0);
    let place = |record| CommitRecord { topic: TopicId::Sales, partition: 0, record };
    commit.steps = expected(0..4);
    commit.records = (0..9).map(|n| place(record(n))).collect();
    lane.commit(commit).expect("commit");
    let sales = read_count(log.as_ref(), TopicId::Sales, 0, 9);
    assert_eq!(values(&sales), expected(0..9), "rule 3: a commit's records keep their order");
    let steps = read_count(log.as_ref(), TopicId::UserJournal, 0, 4);
    assert_eq!(values(&steps), expected(0..4), "rule 3: and so do its steps");
}

pub(super) fn answers_are_never_changed(fixture: &dyn Fixture) {
    let log = fixture.open();
    let mut lane = open(&log, USERS);
    let mut mine = log.results().expect("results");
    let mut others = log.results().expect("results");
    assert_ne!(mine.partition(), others.partition(), "rule 13: each its own partition");
    let sent = expected(0..3);
    let deadline = Instant::now() + PATIENCE;
    let mut received: Vec<Bytes> = Vec::new();
    // An answer may be lost, so they are sent until one arrives.
    while received.is_empty() && Instant::now() < deadline {
        sent.iter().for_each(|answer| lane.answer(mine.partition(), answer.clone()));
        received = mine.receive(std::time::Duration::from_millis(50)).expect("receive");
    }
    assert!(!received.is_empty(), "rule 13: answers arrive at all");
    assert!(received.iter().all(|answer| sent.contains(answer)), "rule 13: none is changed");
    let foreign = others.receive(std::time::Duration::ZERO).expect("receive");
    assert!(foreign.is_empty(), "rule 13: they go where they were sent");
}
