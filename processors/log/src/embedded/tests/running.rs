//! A running log: order, fairness, waiting, bounds, draining, and the same as the reference does.

use super::files::{Failing, TestFiles};
use super::{
    ALL, USERS, append, commit, contents, expected, open_small, read_all, record, small, values,
    wait_durable, wait_for, wait_queued,
};
use crate::clock::ManualClock;
use crate::embedded::{EmbeddedLog, Options};
use crate::memory::{self, MemoryLog};
use crate::{
    AppendError, COMMIT_BYTES_MAX, Commit, CommitRecord, LaneError, LaneLog, Log, LogRecord,
    ReadLimit, SystemClock,
};
use bytes::Bytes;
use jupan_schemas::{Lane, Micros, Positions, Role, Source, TopicId};
use proptest::prelude::*;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PRODUCTS: Lane = Lane { role: Role::Products, index: 0 };

fn to_inbox(n: usize) -> Commit {
    let (topic, partition) = (TopicId::UserInbox, 0);
    let records = vec![CommitRecord { topic, partition, record: record(n) }];
    Commit { records, ..Commit::default() }
}

#[test]
fn many_producers_and_two_lanes_lose_and_double_nothing() {
    const EACH: usize = 200;
    let dir = TempDir::new().expect("a directory");
    let files = TestFiles::new(Failing::Never);
    let options = Options { tail_bytes_max: 20_000, segment_bytes: 1 << 16, ..small(&files) };
    let log = EmbeddedLog::open(dir.path(), options, Arc::new(SystemClock)).expect("open");
    let producers: Vec<_> = (0..8)
        .map(|producer| {
            let log = log.clone();
            thread::spawn(move || {
                let partition = producer % 2;
                let appended = |n| append(&log, partition, usize::from(producer) * EACH + n).offset;
                (0..EACH).map(appended).collect::<Vec<_>>()
            })
        })
        .collect();
    let lanes: Vec<_> = (0..2)
        .map(|index| {
            let mut lane = log.open(Lane { role: Role::Users, index }).expect("open");
            thread::spawn(move || {
                let limit = ReadLimit { records_max: 7, bytes_max: 500 };
                let mut polled = Vec::new();
                while polled.len() < 4 * EACH {
                    for input in lane.poll(limit, Duration::from_secs(5)).expect("poll") {
                        lane.commit(commit(polled.len())).expect("commit");
                        polled.push(input.record);
                    }
                }
                polled
            })
        })
        .collect();
    let offsets: Vec<Vec<u64>> =
        producers.into_iter().map(|producer| producer.join().expect("no panic")).collect();
    for (partition, lane) in (0..2).zip(lanes) {
        let polled = lane.join().expect("no panic");
        let read = read_all(&log, TopicId::UserCommands, partition);
        assert_eq!(polled, read, "a lane gets what readers get");
        assert!((0..).zip(&read).all(|(offset, record)| record.offset == offset), "dense");
        let distinct: HashSet<Bytes> = values(&read).into_iter().collect();
        assert_eq!(distinct.len(), 4 * EACH, "none is doubled");
        for offsets in offsets.iter().skip(usize::from(partition)).step_by(2) {
            assert!(offsets.windows(2).all(|pair| pair[0] < pair[1]), "a producer's order");
        }
    }
    let before = contents(&log);
    drop(log);
    assert_eq!(contents(&open_small(dir.path()).expect("open")), before);
}

#[test]
fn neither_input_starves() {
    let dir = TempDir::new().expect("a directory");
    let log = open_small(dir.path()).expect("open");
    let mut sender = log.open(PRODUCTS).expect("open");
    let mut lane = log.open(USERS).expect("open");
    for n in 0..100 {
        append(&log, 0, n);
    }
    for n in 0..5 {
        sender.commit(to_inbox(n)).expect("commit");
    }
    let limit = ReadLimit { records_max: 10, ..ALL };
    let inputs = lane.poll(limit, Duration::ZERO).expect("poll");
    let messages = inputs.iter().filter(|input| input.source == Source::Inbox).count();
    assert_eq!((inputs.len(), messages), (10, 5));
}

#[test]
fn a_waiting_lane_is_woken_by_what_concerns_it() {
    let dir = TempDir::new().expect("a directory");
    let log = open_small(dir.path()).expect("open");
    let mut sender = log.open(PRODUCTS).expect("open");
    let woken_by = |lane: &mut dyn LaneLog, wake: &mut (dyn FnMut() + Send)| {
        thread::scope(|scope| {
            let begun = Instant::now();
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(30));
                wake();
            });
            let polled = lane.poll(ALL, Duration::from_secs(20));
            (polled.map(|inputs| inputs.len()), begun.elapsed() < Duration::from_secs(5))
        })
    };
    let mut lane = log.open(USERS).expect("open");
    let woken = woken_by(lane.as_mut(), &mut || {
        append(&log, 0, 1);
    });
    assert!(matches!(woken, (Ok(1), true)), "by a command: {woken:?}");
    let woken = woken_by(lane.as_mut(), &mut || {
        sender.commit(to_inbox(1)).expect("commit");
    });
    assert!(matches!(woken, (Ok(1), true)), "by a message: {woken:?}");
    let woken = woken_by(lane.as_mut(), &mut || drop(log.open(USERS).expect("open")));
    assert!(matches!(woken, (Err(LaneError::Fenced { .. }), true)), "by a new owner: {woken:?}");
    let mut lane = log.open(USERS).expect("open");
    lane.seek(Positions { commands: 1, inbox: 1 }).expect("seek");
    let begun = Instant::now();
    append(&log, 1, 1);
    assert_eq!(lane.poll(ALL, Duration::from_millis(40)).expect("poll").len(), 0);
    assert!(begun.elapsed() >= Duration::from_millis(40), "not by another lane's records");
    let woken = woken_by(lane.as_mut(), &mut || log.close());
    assert!(matches!(woken, (Err(LaneError::Broken { .. }), true)), "by the end: {woken:?}");
}

#[test]
fn an_earlier_owner_that_waits_for_room_is_fenced() {
    let dir = TempDir::new().expect("a directory");
    let files = TestFiles::new(Failing::Never);
    let log = EmbeddedLog::open(dir.path(), small(&files), Arc::new(SystemClock)).expect("open");
    let mut lane = log.open(USERS).expect("open");
    let held = files.held();
    let mut large = commit(0);
    large.steps = vec![vec![7; 60_000].into()];
    lane.commit(large.clone()).expect("there is room for one");
    let waiting = thread::spawn(move || lane.commit(large).map(drop));
    thread::sleep(Duration::from_millis(30));
    assert!(!waiting.is_finished());
    let taking_over = {
        let log = log.clone();
        thread::spawn(move || log.open(USERS).map(drop))
    };
    let fenced = waiting.join().expect("no panic");
    assert!(matches!(fenced, Err(LaneError::Fenced { .. })), "{fenced:?}");
    drop(held);
    taking_over.join().expect("no panic").expect("the tail becomes durable");
}

#[test]
fn append_times_never_fall() {
    let dir = TempDir::new().expect("a directory");
    let clock = Arc::new(ManualClock::at(Micros(500)));
    let files = TestFiles::new(Failing::Never);
    let open = || EmbeddedLog::open(dir.path(), small(&files), clock.clone()).expect("open");
    let log = open();
    append(&log, 0, 0);
    clock.set(Micros(300));
    append(&log, 0, 1);
    assert_eq!(log.now(), Micros(300), "the clock itself is not changed");
    drop(log);
    let log = open();
    append(&log, 0, 2);
    clock.set(Micros(600));
    append(&log, 0, 3);
    let times: Vec<_> =
        read_all(&log, TopicId::UserCommands, 0).iter().map(|record| record.at.0).collect();
    assert_eq!(times, [500, 500, 500, 600]);
}

#[test]
fn a_commit_that_no_record_can_hold_is_refused_by_name() {
    let dir = TempDir::new().expect("a directory");
    let log = open_small(dir.path()).expect("open");
    let mut lane = log.open(USERS).expect("open");
    let with = |topic, partition, record| {
        let records = vec![CommitRecord { topic, partition, record }];
        Commit { records, ..Commit::default() }
    };
    let mut cases = vec![
        (
            Commit { steps: vec![vec![0; COMMIT_BYTES_MAX + 1].into()], ..Commit::default() },
            "1048577",
        ),
        (with(TopicId::UserJournal, 0, record(1)), "UserJournal/0"),
        (with(TopicId::OrderEvents, 2, record(1)), "OrderEvents/2"),
        (with(TopicId::CommandResults, 0, record(1)), "CommandResults/0"),
    ];
    let mut named = record(1);
    named.headers = vec![("n".repeat(70_000), Bytes::new())];
    cases.push((with(TopicId::DeadLetters, 0, named), "70001"));
    for (commit, name) in cases {
        let refused = lane.commit(commit).expect_err("it is refused").to_string();
        assert!(refused.contains(name), "{refused}");
    }
    let large = Commit { steps: vec![vec![1; COMMIT_BYTES_MAX].into()], ..Commit::default() };
    let ticket = lane.commit(large).expect("the largest one fits").ticket;
    wait_durable(lane.as_mut(), ticket);
    drop(lane);
    drop(log);
    let log = open_small(dir.path()).expect("open");
    let journal = read_all(&log, TopicId::UserJournal, 0);
    assert_eq!(journal.len(), 1);
    assert_eq!(journal[0].value.len(), COMMIT_BYTES_MAX, "beyond a segment's size");
}

#[test]
fn a_drain_keeps_what_was_taken_and_takes_no_more() {
    let dir = TempDir::new().expect("a directory");
    let log = open_small(dir.path()).expect("open");
    let producers: Vec<_> = (0..4)
        .map(|_| {
            let log = log.clone();
            thread::spawn(move || {
                let mut taken = 0;
                loop {
                    match wait_for(log.append(TopicId::UserCommands, 0, record(1))) {
                        Ok(_) => taken += 1,
                        Err(AppendError::Closed) => return taken,
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(50));
    log.publish_top(record(3)).expect("publish");
    let begun = Instant::now();
    log.close();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(log.failure(), None, "a drain is no failure");
    let taken: usize =
        producers.into_iter().map(|producer| producer.join().expect("no panic")).sum();
    assert_eq!(read_all(&log, TopicId::UserCommands, 0).len(), taken);
    let log = open_small(dir.path()).expect("open");
    assert_eq!(read_all(&log, TopicId::UserCommands, 0).len(), taken);
    assert_eq!(read_all(&log, TopicId::TopProducts, 0).len(), 1);
}

#[test]
fn idleness_is_marked_once() {
    let dir = TempDir::new().expect("a directory");
    let files = TestFiles::new(Failing::Never);
    let options = Options { mark_after: Duration::from_millis(20), ..small(&files) };
    let log = EmbeddedLog::open(dir.path(), options, Arc::new(SystemClock)).expect("open");
    let before = files.syncs();
    append(&log, 0, 0);
    thread::sleep(Duration::from_millis(300));
    assert_eq!(files.syncs() - before, 2, "the record's sync and the mark's");
    let operations = files.operations();
    thread::sleep(Duration::from_millis(60));
    assert_eq!(files.operations(), operations);
}

#[test]
fn appends_that_wait_share_a_sync() {
    let dir = TempDir::new().expect("a directory");
    let files = TestFiles::new(Failing::Never);
    let log = EmbeddedLog::open(dir.path(), small(&files), Arc::new(SystemClock)).expect("open");
    let held = files.held();
    let before = files.syncs();
    thread::scope(|scope| {
        for n in 0..20 {
            let log = &log;
            scope.spawn(move || append(log, 0, n));
        }
        wait_queued(&log, 0..20);
        drop(held);
    });
    assert!(files.syncs() - before <= 4, "20 appends took {} syncs", files.syncs() - before);
}

#[test]
fn what_is_not_written_yet_stays_in_memory() {
    let dir = TempDir::new().expect("a directory");
    let files = TestFiles::new(Failing::Never);
    let options = Options { tail_bytes_max: 0, ..small(&files) };
    let log = EmbeddedLog::open(dir.path(), options, Arc::new(SystemClock)).expect("open");
    let mut sender = log.open(PRODUCTS).expect("open");
    let mut lane = log.open(USERS).expect("open");
    let before = files.syncs();
    let held = files.held();
    let first = sender.commit(to_inbox(0)).expect("commit").ticket;
    while files.syncs() == before {
        thread::yield_now();
    }
    for n in 1..5 {
        sender.commit(to_inbox(n)).expect("commit");
    }
    files.release_one();
    wait_durable(sender.as_mut(), first);
    let mut inputs = Vec::new();
    while inputs.len() < 5 {
        inputs.extend(lane.poll(ALL, Duration::from_secs(5)).expect("poll"));
    }
    let polled: Vec<_> = inputs.into_iter().map(|input| input.record.value).collect();
    assert_eq!(polled, expected(0..5), "from the segment and from memory");
    assert_eq!(values(&read_all(&log, TopicId::UserInbox, 0)), expected(0..1));
    drop(held);
}

/// What happens to both logs alike.
#[derive(Clone, Debug)]
enum Action {
    Append { partition: u16, n: usize },
    Commit { lane: u16, steps: usize, n: usize },
    Remind { lane: u16, n: usize },
    Poll { lane: u16, records_max: usize },
    Reopen,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        4 => (0u16..2, 0usize..200).prop_map(|(partition, n)| Action::Append { partition, n }),
        3 => (0u16..2, 0usize..4, 0usize..200)
            .prop_map(|(lane, steps, n)| Action::Commit { lane, steps, n }),
        1 => (0u16..2, 0usize..200).prop_map(|(lane, n)| Action::Remind { lane, n }),
        3 => (0u16..2, 1usize..6)
            .prop_map(|(lane, records_max)| Action::Poll { lane, records_max }),
        1 => Just(Action::Reopen),
    ];
    proptest::collection::vec(action, 1..80)
}

/// One log with its two user lanes; what it returns is compared.
struct Side {
    log: Arc<dyn Log>,
    lanes: Vec<Box<dyn LaneLog>>,
    positions: Vec<Positions>,
    /// By lane and source.
    polled: [[Vec<LogRecord>; 2]; 2],
}

impl Side {
    fn new(log: Arc<dyn Log>, positions: Vec<Positions>) -> Self {
        let mut lanes: Vec<_> = (0..2)
            .map(|index| log.open(Lane { role: Role::Users, index }).expect("open"))
            .collect();
        for (lane, positions) in lanes.iter_mut().zip(&positions) {
            lane.seek(*positions).expect("seek");
        }
        Self { log, lanes, positions, polled: Default::default() }
    }

    /// Opens the lanes again where they stopped, in this log or in what it became.
    fn reopen(self, log: Arc<dyn Log>) -> Self {
        Self { polled: self.polled, ..Self::new(log, self.positions) }
    }

    /// How many records come at once differs where memory ends and segments begin; what comes does
    /// not.
    fn poll(&mut self, index: usize, records_max: usize) -> usize {
        let limit = ReadLimit { records_max, bytes_max: 200 };
        let inputs = self.lanes[index].poll(limit, Duration::ZERO).expect("poll");
        assert!(inputs.len() <= records_max);
        let count = inputs.len();
        for input in inputs {
            let [commands, inbox] = &mut self.polled[index];
            match input.source {
                Source::Commands => {
                    self.positions[index].commands = input.next;
                    commands.push(input.record);
                }
                Source::Inbox => {
                    self.positions[index].inbox = input.next;
                    inbox.push(input.record);
                }
            }
        }
        count
    }

    fn act(&mut self, action: &Action) -> String {
        match action {
            Action::Append { partition, n } => {
                let append = self.log.append(TopicId::UserCommands, *partition, record(*n));
                format!("{:?}", wait_for(append))
            }
            Action::Commit { lane, steps, n } => {
                let lane = &mut self.lanes[usize::from(*lane)];
                let steps = (0..*steps).map(|step| record(n + step).value).collect();
                let committed = lane.commit(Commit { steps, ..commit(*n) }).expect("commit");
                format!("journal {}", committed.journal)
            }
            Action::Remind { lane, n } => {
                format!("{:?}", self.lanes[usize::from(*lane)].remind(record(*n)))
            }
            Action::Poll { lane, records_max } => {
                self.poll(usize::from(*lane), *records_max);
                String::new()
            }
            Action::Reopen => String::new(),
        }
    }

    fn contents(&self) -> Vec<Vec<LogRecord>> {
        let read = |topic, partition| {
            let limit = ReadLimit { records_max: 5, bytes_max: usize::MAX };
            let mut records = Vec::new();
            while let Ok(batch) = self.log.read(topic, partition, records.len() as u64, limit) {
                if batch.records.is_empty() {
                    break;
                }
                records.extend(batch.records);
            }
            records
        };
        TopicId::ALL.iter().flat_map(|topic| (0..2).map(move |p| read(*topic, p))).collect()
    }
}

fn embedded(dir: &Path) -> Arc<EmbeddedLog> {
    let files = TestFiles::new(Failing::Never);
    let options = Options { tail_bytes_max: 2_000, ..small(&files) };
    let clock = Arc::new(ManualClock::at(Micros(7)));
    EmbeddedLog::open(dir, options, clock).expect("open")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_reference_does(actions in actions()) {
        let dir = TempDir::new().expect("a directory");
        let mut tested = Side::new(embedded(dir.path()), vec![Positions::default(); 2]);
        let clock = Arc::new(ManualClock::at(Micros(7)));
        let log = Arc::new(MemoryLog::new(memory::Options::default(), clock));
        let mut reference = Side::new(log.clone(), vec![Positions::default(); 2]);
        for action in &actions {
            if matches!(action, Action::Reopen) {
                // The directory can be opened again once its log is dropped.
                tested.log = log.clone();
                tested = tested.reopen(embedded(dir.path()));
                reference = reference.reopen(log.clone());
            }
            prop_assert_eq!(tested.act(action), reference.act(action), "{:?}", action);
        }
        for side in [&mut tested, &mut reference] {
            let ticket = side.lanes[0].commit(commit(0)).expect("commit").ticket;
            wait_durable(side.lanes[0].as_mut(), ticket);
            for lane in 0..2 {
                while side.poll(lane, 9) > 0 {}
            }
        }
        prop_assert_eq!(tested.contents(), reference.contents());
        prop_assert_eq!(tested.polled, reference.polled);
    }
}

#[test]
fn values_are_what_was_appended() {
    let dir = TempDir::new().expect("a directory");
    let log = open_small(dir.path()).expect("open");
    (0..5).for_each(|n| assert_eq!(append(&log, 0, n).offset, n as u64));
    assert_eq!(values(&read_all(&log, TopicId::UserCommands, 0)), expected(0..5));
}
