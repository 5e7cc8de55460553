//! Rules 8, 9, 11 and 12: what readers rely on, and what bounds writers.

use super::{
    ALL, CRASHES, Fixture, PATIENCE, PRODUCTS, USERS, WATCH, append, begin_append, commit,
    expected, open, poll_count, read_all, read_count, value, values, wait_durable, wait_for,
};
use crate::{
    AppendError, Commit, CommitRecord, Input, LaneError, Log, NewRecord, ReadError, ReadLimit,
};
use bytes::Bytes;
use jupan_schemas::{Positions, Source, TopicId};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

const FEW: ReadLimit = ReadLimit { records_max: 3, bytes_max: usize::MAX };

/// Ten commands and ten messages for the user lane.
fn fill_inputs(log: &Arc<dyn Log>) {
    let mut sender = open(log, PRODUCTS);
    for n in 0..10 {
        append(log.as_ref(), n);
        let record = NewRecord::new("0", value(n));
        let (topic, partition) = (TopicId::UserInbox, USERS.index);
        let records = vec![CommitRecord { topic, partition, record }];
        sender.commit(Commit { records, ..Commit::default() }).expect("commit");
    }
}

fn of(inputs: &[Input], source: Source) -> Vec<&Input> {
    inputs.iter().filter(|input| input.source == source).collect()
}

pub(super) fn poll_returns_each_record_once(fixture: &dyn Fixture) {
    let log = fixture.open();
    fill_inputs(&log);
    let mut lane = open(&log, USERS);
    lane.seek(Positions::default()).expect("seek");
    let mut inputs = poll_count(lane.as_mut(), FEW, 20);
    inputs.extend(lane.poll(ALL, WATCH).expect("poll"));
    for source in [Source::Commands, Source::Inbox] {
        let found = of(&inputs, source);
        let bytes: Vec<_> = found.iter().map(|input| input.record.value.clone()).collect();
        assert_eq!(bytes, expected(0..10), "rule 8: {source:?} in order, each once");
        for pair in found.windows(2) {
            let is_between =
                pair[0].record.offset < pair[0].next && pair[0].next <= pair[1].record.offset;
            assert!(is_between, "rule 8: positions are the next unread offsets");
        }
    }
}

pub(super) fn poll_goes_on_where_seek_said(fixture: &dyn Fixture) {
    let log = fixture.open();
    fill_inputs(&log);
    let mut lane = open(&log, USERS);
    lane.seek(Positions::default()).expect("seek");
    let inputs = poll_count(lane.as_mut(), ALL, 20);
    let position = |source: Source, n: usize| of(&inputs, source)[n].next;
    let positions =
        Positions { commands: position(Source::Commands, 6), inbox: position(Source::Inbox, 2) };
    let mut lane = open(&log, USERS);
    lane.seek(positions).expect("seek");
    let mut rest = poll_count(lane.as_mut(), FEW, 10);
    rest.extend(lane.poll(ALL, WATCH).expect("poll"));
    let bytes = |source| -> Vec<Bytes> {
        of(&rest, source).iter().map(|input| input.record.value.clone()).collect()
    };
    assert_eq!(bytes(Source::Commands), expected(7..10), "rule 8: commands from there on");
    assert_eq!(bytes(Source::Inbox), expected(3..10), "rule 8: messages from there on");
}

pub(super) fn readers_see_durable_records_only(fixture: &dyn Fixture) {
    let log = fixture.open();
    append(log.as_ref(), 0);
    let mut lane = open(&log, USERS);
    let ticket = lane.commit(commit(0)).expect("commit").ticket;
    wait_durable(lane.as_mut(), ticket);
    if !fixture.hold_syncs() {
        return;
    }
    let mut begun = begin_append(log.as_ref(), 1);
    lane.commit(commit(1)).expect("commit");
    log.wait_for_more(WATCH);
    let is_done = begun.is_done();
    for topic in [TopicId::UserCommands, TopicId::UserJournal, TopicId::OrderEvents] {
        let seen = read_all(log.as_ref(), topic, 0);
        assert_eq!(values(&seen), [value(0)], "rule 9: {topic:?} shows what is durable");
        let end = log.bounds(topic, 0).expect("bounds").end;
        let last = seen.last().map_or(0, |record| record.offset);
        assert!(end > last, "rule 9: bounds reach as far as reading");
        let beyond = log.read(topic, 0, end, ALL).expect("read");
        assert!(beyond.records.is_empty(), "rule 9: nothing durable beyond the bounds");
    }
    assert!(!is_done, "rule 9: no append ends before its sync");
    fixture.release_syncs();
    begun.wait().expect("append");
    for topic in [TopicId::UserCommands, TopicId::UserJournal, TopicId::OrderEvents] {
        let seen = read_count(log.as_ref(), topic, 0, 2);
        assert_eq!(values(&seen), expected(0..2), "rule 9: {topic:?} once it is durable");
    }
}

pub(super) fn nothing_outlives_what_it_came_from(fixture: &dyn Fixture) {
    for _ in 0..CRASHES {
        let log = fixture.open();
        let mut lane = open(&log, USERS);
        lane.seek(Positions::default()).expect("seek");
        let is_held = fixture.hold_syncs();
        let mut commits = 0;
        let begun: Vec<_> = (0..3)
            .map(|n| {
                let begun = begin_append(log.as_ref(), n);
                // The lane acts upon what it sees; it may see nothing before a sync.
                let inputs = lane.poll(ALL, Duration::from_millis(5)).expect("poll");
                for _ in inputs {
                    lane.commit(commit(commits)).expect("commit");
                    commits += 1;
                }
                begun
            })
            .collect();
        drop(begun);
        drop(lane);
        if !is_held {
            return;
        }
        let log = fixture.reopen_after_crash(log);
        let commands = read_all(log.as_ref(), TopicId::UserCommands, 0);
        let steps = read_all(log.as_ref(), TopicId::UserJournal, 0);
        let is_prefix = steps.len() <= commands.len();
        assert!(is_prefix, "rule 9: a step outlived the command that it came from");
        let count = commands.len();
        assert_eq!(values(&commands), expected(0..count), "rule 9: commands are a prefix");
    }
}

pub(super) fn below_the_start_is_an_error(fixture: &dyn Fixture) {
    let log = fixture.open();
    for n in 0..6 {
        append(log.as_ref(), n);
    }
    let records = read_all(log.as_ref(), TopicId::UserCommands, 0);
    let (first, fourth) = (records[0].offset, records[3].offset);
    if !fixture.trim(TopicId::UserCommands, 0, fourth) {
        let start = log.bounds(TopicId::UserCommands, 0).expect("bounds").start;
        assert!(start <= first, "rule 11: nothing is below the start");
        return;
    }
    assert_eq!(log.bounds(TopicId::UserCommands, 0).expect("bounds").start, fourth, "rule 11");
    let read = log.read(TopicId::UserCommands, 0, first, ALL);
    let is_named = matches!(read, Err(ReadError::BelowStart { start, .. }) if start == fourth);
    assert!(is_named, "rule 11: reading below the start is an error, not {read:?}");
    let mut lane = open(&log, USERS);
    let sought = lane.seek(Positions { commands: first, inbox: 0 });
    let polled = sought.and_then(|()| lane.poll(ALL, WATCH).map(drop));
    let is_named = matches!(polled, Err(LaneError::BelowStart { start, .. }) if start == fourth);
    assert!(is_named, "rule 11: a lane below the start is stopped, not {polled:?}");
    lane.seek(Positions { commands: fourth, inbox: 0 }).expect("seek");
    assert_eq!(poll_count(lane.as_mut(), ALL, 3).len(), 3, "rule 11: what is kept is read");
}

/// Appends until the queue is full; returns what waits.
fn fill_queue(log: &dyn Log, bytes_max: usize) -> Vec<impl FnOnce() + '_> {
    let size = (bytes_max / 8).clamp(1, crate::RECORD_BYTES_MAX);
    let appends_max = bytes_max / size + 2;
    let mut waiting = Vec::new();
    loop {
        let large = NewRecord::new("1", vec![7; size]);
        let mut begun = super::Waiting::begin(log.append(TopicId::UserCommands, 0, large));
        if begun.is_done() {
            let full = begun.wait().expect_err("rule 12: nothing is durable while held");
            assert!(matches!(full, AppendError::Full), "rule 12: {full}");
            assert!(full.is_not_appended(), "rule 12: a refused append is not there");
            return waiting;
        }
        waiting.push(move || {
            begun.wait().expect("rule 12: it was taken");
        });
        assert!(waiting.len() <= appends_max, "rule 12: a queue must be full some time");
    }
}

pub(super) fn a_full_queue_refuses_appends(fixture: &dyn Fixture) {
    let log = fixture.open();
    if !fixture.hold_syncs() {
        return;
    }
    let waiting = fill_queue(log.as_ref(), fixture.queue_bytes_max());
    let count = waiting.len();
    fixture.release_syncs();
    waiting.into_iter().for_each(|wait| wait());
    let records = read_all(log.as_ref(), TopicId::UserCommands, 0);
    assert_eq!(records.len(), count, "rule 12: all that were taken, none that was refused");
    wait_for(log.append(TopicId::UserCommands, 0, NewRecord::new("1", "room")))
        .expect("rule 12: there is room again");
}

pub(super) fn a_full_queue_makes_commits_wait(fixture: &dyn Fixture) {
    let log = fixture.open();
    let mut lane = open(&log, USERS);
    if !fixture.hold_syncs() {
        return;
    }
    let waiting = fill_queue(log.as_ref(), fixture.queue_bytes_max());
    let mut large = commit(0);
    let bytes = (fixture.queue_bytes_max() / 4).min(crate::COMMIT_BYTES_MAX / 2);
    large.steps = vec![Bytes::from(vec![7; bytes])];
    let (sender, committed) = sync_channel(1);
    let committing = thread::spawn(move || sender.send(lane.commit(large).map(drop)));
    let early = committed.recv_timeout(WATCH);
    assert!(early.is_err(), "rule 12: a commit waits while the queue is full");
    fixture.release_syncs();
    waiting.into_iter().for_each(|wait| wait());
    let late = committed.recv_timeout(PATIENCE);
    late.expect("rule 12: a commit goes on when there is room").expect("rule 12: and succeeds");
    committing.join().expect("no panic").expect("it was listened to");
    read_count(log.as_ref(), TopicId::UserJournal, 0, 1);
}
