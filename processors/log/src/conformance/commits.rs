//! Rules 4, 5, 6, 7 and 10: what a lane's writing relies on.

use super::{
    CRASHES, Fixture, PATIENCE, PRODUCTS, USERS, WATCH, commit, expected, journal_of, open,
    read_all, value, values, wait_durable,
};
use crate::{LaneError, LaneLog, Log, ReadLimit};
use jupan_schemas::TopicId;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// The topics and partitions that every commit of the suite writes to, besides the journal.
const TOUCHED: [(TopicId, u16); 3] =
    [(TopicId::ProductInbox, 1), (TopicId::OrderEvents, 0), (TopicId::DeadLetters, 0)];

/// How many commits there are, after every one of them proved to be whole.
fn whole_commits(log: &dyn Log, rule: &str) -> usize {
    let journal = read_all(log, TopicId::UserJournal, 0);
    let count = journal.len();
    assert_eq!(values(&journal), expected(0..count), "{rule}: steps as they were committed");
    for (topic, partition) in TOUCHED {
        let records = read_all(log, topic, partition);
        assert_eq!(values(&records), expected(0..count), "{rule}: {topic:?} of each step");
        if topic == TopicId::DeadLetters {
            for (n, record) in records.iter().enumerate() {
                let headers = [("cause".to_owned(), value(n))];
                assert_eq!(record.headers, headers, "{rule}: headers stay");
            }
        }
    }
    count
}

pub(super) fn a_commit_is_all_or_nothing(fixture: &dyn Fixture) {
    for _ in 0..CRASHES {
        let log = fixture.open();
        let mut lane = open(&log, USERS);
        fixture.hold_syncs();
        for n in 0..4 {
            lane.commit(commit(n)).expect("commit");
        }
        drop(lane);
        let log = fixture.reopen_after_crash(log);
        let left = whole_commits(log.as_ref(), "rule 4: all or nothing");
        let mut lane = open(&log, USERS);
        let ticket = lane.commit(commit(left)).expect("commit after a crash").ticket;
        wait_durable(lane.as_mut(), ticket);
        assert_eq!(whole_commits(log.as_ref(), "rule 4: and goes on"), left + 1);
    }
}

pub(super) fn commits_survive_in_order(fixture: &dyn Fixture) {
    for _ in 0..CRASHES {
        let log = fixture.open();
        let mut lane = open(&log, USERS);
        let ticket = lane.commit(commit(0)).expect("commit").ticket;
        wait_durable(lane.as_mut(), ticket);
        fixture.hold_syncs();
        let mut journal_end = 0;
        for n in 1..6 {
            let committed = lane.commit(commit(n)).expect("commit");
            assert!(committed.journal > journal_end, "rule 4: the journal grows");
            journal_end = committed.journal;
        }
        drop(lane);
        let log = fixture.reopen_after_crash(log);
        let mut lane = open(&log, USERS);
        let steps = journal_of(lane.as_mut());
        let count = steps.len();
        assert!(count >= 1, "rule 4: a durable commit survives");
        assert_eq!(steps, expected(0..count), "rule 4: none is there without an earlier one");
    }
}

pub(super) fn an_earlier_owner_is_fenced(fixture: &dyn Fixture) {
    let log = fixture.open();
    let mut earlier = open(&log, USERS);
    earlier.commit(commit(0)).expect("commit");
    let mut later = open(&log, USERS);
    for _ in 0..2 {
        let refused = earlier.commit(commit(9)).expect_err("rule 5: an earlier owner is refused");
        assert!(
            matches!(refused, LaneError::Fenced { lane } if lane == USERS),
            "rule 5: {refused}"
        );
    }
    let ticket = later.commit(commit(1)).expect("rule 5: the owner goes on").ticket;
    wait_durable(later.as_mut(), ticket);
    assert_eq!(whole_commits(log.as_ref(), "rule 5: no record of the earlier owner"), 2);
}

pub(super) fn who_asks_learns_whether_it_is_the_owner(fixture: &dyn Fixture) {
    let log = fixture.open();
    let mut owners = vec![open(&log, USERS)];
    let mut other = open(&log, PRODUCTS);
    for n in 0..3 {
        let [earlier @ .., owner] = &mut owners[..] else { panic!("there is an owner") };
        for lane in [owner, &mut other] {
            lane.check_owner().expect("rule 5: the owner may go on");
        }
        for lane in earlier {
            let told = lane.check_owner().expect_err("rule 5: an earlier owner is told");
            assert!(matches!(told, LaneError::Fenced { lane } if lane == USERS), "rule 5: {told}");
        }
        owners[n].commit(commit(n)).expect("rule 5: who may go on commits");
        owners.push(open(&log, USERS));
    }
}

pub(super) fn a_new_owner_sees_every_commit(fixture: &dyn Fixture) {
    let log = fixture.open();
    let mut earlier = open(&log, USERS);
    assert_eq!(earlier.last_step().expect("tail"), None, "rule 6: an empty journal has no tail");
    for n in 0..5 {
        let is_held = fixture.hold_syncs();
        earlier.commit(commit(n)).expect("commit");
        let taken_over = take_over(&log);
        // It may wait for the sync, or see to it.
        let early = taken_over.recv_timeout(WATCH / 4).ok();
        if is_held {
            fixture.release_syncs();
        }
        let taken = early.or_else(|| taken_over.recv_timeout(PATIENCE).ok());
        let (mut later, durable_end) = taken.expect("rule 6: open ends");
        let tail = later.last_step().expect("tail").expect("rule 6: there is a last step");
        assert_eq!(tail.value, value(n), "rule 6: the tail is the last commit's");
        assert!(tail.offset < durable_end, "rule 6: the tail is durable");
        assert_eq!(journal_of(later.as_mut()), expected(0..n + 1), "rule 6: the whole journal");
        earlier = later;
    }
}

/// A new owner, with where the journal's durable part ended when it was opened.
type Taken = (Box<dyn LaneLog>, u64);

/// Opens the lane in a thread of its own, since that waits for the tail to be durable.
fn take_over(log: &Arc<dyn Log>) -> Receiver<Taken> {
    let (sender, taken) = sync_channel(1);
    let log = log.clone();
    thread::spawn(move || {
        let lane = open(&log, USERS);
        let bounds = log.bounds(TopicId::UserJournal, USERS.index).expect("bounds");
        // Nobody listens any more if the check has failed.
        let _ = sender.send((lane, bounds.end));
    });
    taken
}

pub(super) fn an_unknown_outcome_can_be_asked_about(fixture: &dyn Fixture) {
    for happened in [true, false] {
        let log = fixture.open();
        let mut lane = open(&log, USERS);
        lane.commit(commit(0)).expect("commit");
        if !fixture.next_commit_unknown(happened) {
            return;
        }
        let unknown = lane.commit(commit(1)).expect_err("rule 7: its outcome is unknown");
        assert!(matches!(unknown, LaneError::Unknown { .. }), "rule 7: {unknown}");
        let mut lane = open(&log, USERS);
        let tail = lane.last_step().expect("tail").expect("rule 7: the first commit is there");
        let count = if happened { 2 } else { 1 };
        assert_eq!(tail.value, value(count - 1), "rule 7: the tail tells");
        let ticket = lane.commit(commit(count)).expect("commit").ticket;
        wait_durable(lane.as_mut(), ticket);
        assert_eq!(whole_commits(log.as_ref(), "rule 7: it stays so"), count + 1);
        let log = fixture.reopen_after_crash(log);
        assert_eq!(whole_commits(log.as_ref(), "rule 7: after a crash"), count + 1);
    }
}

pub(super) fn what_is_durable_survives(fixture: &dyn Fixture) {
    for _ in 0..CRASHES {
        let log = fixture.open();
        let mut lane = open(&log, USERS);
        let mut tickets = vec![lane.commit(commit(0)).expect("commit").ticket];
        wait_durable(lane.as_mut(), tickets[0]);
        let is_held = fixture.hold_syncs();
        let mut durable = lane.durable();
        for n in 1..5 {
            tickets.push(lane.commit(commit(n)).expect("commit").ticket);
            assert!(lane.durable() >= durable, "rule 10: durable never falls");
            durable = lane.durable();
        }
        let rises = tickets.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(rises, "rule 10: tickets rise");
        if is_held {
            assert!(durable < tickets[4], "rule 10: what is not synced is not durable");
        }
        let promised = tickets.iter().filter(|ticket| **ticket <= durable).count();
        drop(lane);
        let log = fixture.reopen_after_crash(log);
        let left = whole_commits(log.as_ref(), "rule 10");
        assert!(left >= promised, "rule 10: {left} of {promised} durable commits survive");
    }
}

pub(super) fn durability_wakes_its_lane(fixture: &dyn Fixture) {
    let log = fixture.open();
    let mut lane = open(&log, USERS);
    let is_held = fixture.hold_syncs();
    let ticket = lane.commit(commit(0)).expect("commit").ticket;
    let nothing = ReadLimit { records_max: 0, bytes_max: 0 };
    if is_held {
        lane.poll(nothing, WATCH).expect("poll");
        assert!(lane.durable() < ticket, "rule 10: not durable while syncs are held");
        fixture.release_syncs();
    }
    let begun = Instant::now();
    while lane.durable() < ticket && begun.elapsed() < PATIENCE {
        lane.poll(nothing, PATIENCE).expect("poll");
    }
    assert!(lane.durable() >= ticket, "rule 10: it becomes durable");
    let took = begun.elapsed();
    assert!(took < PATIENCE / 2, "rule 10: a rise of durable ends the wait, not {took:?}");
    lane.poll(nothing, Duration::ZERO).expect("poll");
}
