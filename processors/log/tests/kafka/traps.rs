//! What only a real broker can show: transactions of others, marks, wrong topics, oversize, a
//! predecessor in another process.

use crate::rig::{self, ALL, PATIENCE, until};
use jupan_log::kafka::{self, KafkaLog, OpenError, TopicError};
use jupan_log::{
    COMMIT_BYTES_MAX, Commit, CommitRecord, Input, LaneError, LaneLog, Log, NewRecord,
};
use jupan_schemas::{Lane, Positions, Role, Source, TopicId};
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::Producer;
use std::sync::Arc;
use std::time::Duration;

const USERS: Lane = Lane { role: Role::Users, index: 0 };
const PRODUCTS: Lane = Lane { role: Role::Products, index: 1 };

fn step(n: u8) -> Commit {
    Commit { steps: vec![vec![n; 10].into()], ..Commit::default() }
}

fn message(n: u8) -> Commit {
    let record = NewRecord::new("1", vec![n]);
    let to = CommitRecord { topic: TopicId::UserInbox, partition: USERS.index, record };
    Commit { records: vec![to], ..Commit::default() }
}

fn poll_one(lane: &mut dyn LaneLog) -> Input {
    let mut found = Vec::new();
    until("an input comes", || {
        found.extend(lane.poll(ALL, Duration::from_millis(20)).expect("poll"));
        !found.is_empty()
    });
    assert_eq!(found.len(), 1, "one input");
    found.remove(0)
}

#[test]
fn an_owner_in_another_process_is_fenced_for_good() {
    let options = rig::made();
    let (first, second) = (rig::open(&options), rig::open(&options));
    let mut zombie = first.open(USERS).expect("open");
    zombie.commit(step(1)).expect("commit");
    let mut owner = second.open(USERS).expect("take over");
    for _ in 0..2 {
        let refused = zombie.commit(step(9)).expect_err("a zombie is refused");
        assert!(matches!(refused, LaneError::Fenced { .. }), "{refused}");
    }
    let polled = zombie.poll(ALL, Duration::ZERO).expect_err("it knows");
    assert!(matches!(polled, LaneError::Fenced { .. }), "{polled}");
    owner.commit(step(2)).expect("the owner goes on");
    let tail = first.open(USERS).expect("open").last_step().expect("tail").expect("a step");
    assert_eq!(tail.value[..], [2; 10]);
}

#[test]
fn a_takeover_waits_for_a_foreign_transaction_and_reads_behind_it() {
    let options = rig::made();
    let log = Arc::new(rig::open(&options));
    let mut lane = log.open(USERS).expect("open");
    lane.commit(step(1)).expect("commit");
    let foreign = rig::foreign_transaction(&options, TopicId::UserJournal, USERS.index);
    lane.commit(step(2)).expect("a commit behind the open transaction");
    let seen = log.read(TopicId::UserJournal, USERS.index, 0, ALL).expect("read").records;
    assert_eq!(seen.len(), 1, "committed records end where the foreign transaction begins");
    until("the hidden tail shows", || {
        log.lags().iter().any(|lag| lag.lane == USERS && lag.hidden > 0)
    });
    let other = log.clone();
    let opening = std::thread::spawn(move || other.open(USERS).map(|mut lane| lane.last_step()));
    // Long enough that a takeover which does not wait would have ended.
    std::thread::sleep(Duration::from_millis(700));
    assert!(!opening.is_finished(), "the takeover waits");
    foreign.abort_transaction(PATIENCE).expect("the foreign transaction ends");
    let tail = opening.join().expect("no panic").expect("it opens").expect("tail");
    assert_eq!(tail.expect("a step").value[..], [2; 10], "nothing is under-read");
}

#[test]
fn positions_are_past_the_marks_of_transactions() {
    let log = rig::open(&rig::made());
    let mut sender = log.open(PRODUCTS).expect("open");
    let mut lane = log.open(USERS).expect("open");
    lane.seek(Positions::default()).expect("seek");
    for n in 0..3 {
        sender.commit(message(n)).expect("commit");
        let input = poll_one(lane.as_mut());
        assert_eq!((input.source, input.record.value[..].to_vec()), (Source::Inbox, vec![n]));
        let end = log.bounds(TopicId::UserInbox, USERS.index).expect("bounds").end;
        assert_eq!(input.next, end, "behind the mark");
        assert_eq!(input.record.offset + 2, end, "there is a mark");
        let age = log.now().since(input.record.at);
        assert!(age.abs() < 60_000_000, "stamped by the broker, in microseconds: {age}");
    }
}

#[test]
fn wrong_topics_are_named() {
    let options = rig::fresh();
    let missing = KafkaLog::open(&options, rig::clock()).err().expect("there is nothing");
    assert!(matches!(missing, OpenError::Topics(TopicError::Missing { .. })), "{missing:?}");
    let name = format!("{}user-commands", options.prefix);
    let wrong = NewTopic::new(&name, i32::from(rig::LANES), TopicReplication::Fixed(-1))
        .set("message.timestamp.type", "CreateTime");
    let asked = AdminOptions::new().operation_timeout(Some(PATIENCE));
    rig::wait_for(rig::admin().create_topics([&wrong], &asked)).expect("it is made");
    let refused = kafka::init(&options, rig::new_topics()).expect_err("a wrong topic stays wrong");
    let TopicError::Setting { topic, setting, found, .. } = &refused else { panic!("{refused}") };
    assert_eq!((topic, *setting, found.as_str()), (&name, "message.timestamp.type", "CreateTime"));
    assert!(refused.to_string().contains("--add-config"), "{refused}");
}

#[test]
fn another_number_of_lanes_is_refused() {
    let options = rig::made();
    kafka::init(&options, rig::new_topics()).expect("safe to repeat");
    let more = kafka::NewTopics { partitions: 3, ..rig::new_topics() };
    let refused = kafka::init(&options, more).expect_err("the number is fixed");
    assert!(matches!(refused, TopicError::Partitions { found: 2, needed: 3, .. }), "{refused}");
}

#[test]
fn the_largest_commit_goes_through_and_a_larger_one_is_refused() {
    let log = rig::open(&rig::made());
    let mut lane = log.open(USERS).expect("open");
    let large = |bytes| Commit { steps: vec![vec![7; bytes].into()], ..Commit::default() };
    let committed = lane.commit(large(COMMIT_BYTES_MAX)).expect("the largest");
    let tail = log.open(USERS).expect("open").last_step().expect("tail").expect("a step");
    assert_eq!(tail.value.len(), COMMIT_BYTES_MAX);
    assert_eq!(tail.offset + 1, committed.journal);
    let mut lane = log.open(USERS).expect("open");
    let refused = lane.commit(large(COMMIT_BYTES_MAX + 1)).expect_err("too large");
    assert!(matches!(refused, LaneError::Broken { .. }), "{refused}");
    lane.commit(step(1)).expect("nothing was begun, so the lane goes on");
    assert_eq!(log.failure(), None, "and the log has not failed");
}

#[test]
fn no_input_is_larger_than_the_dead_letters_take() {
    let options = rig::made();
    let name = format!("{}user-commands", options.prefix);
    // Compressed it is tiny; read, it would be more than a commit may hold.
    let refused = rig::send_compressed(&name, &vec![0; 2 * COMMIT_BYTES_MAX]);
    assert_eq!(refused, Some(RDKafkaErrorCode::MessageSizeTooLarge));
    assert_eq!(rig::send_compressed(&name, &vec![0; 256 * 1024]), None, "this one fits");
}

#[test]
fn headers_and_empty_keys_come_back_as_they_were() {
    let log = rig::open(&rig::made());
    let mut lane = log.open(USERS).expect("open");
    let headers = vec![
        ("code".to_owned(), "WRONG_PARTITION".into()),
        ("cause".to_owned(), vec![0, 255].into()),
        ("nothing".to_owned(), Vec::new().into()),
    ];
    let rows = [
        NewRecord { headers, ..NewRecord::new("7", vec![0, 159, 146, 150]) },
        NewRecord::new("", "no key"),
        NewRecord::new("8", ""),
    ];
    let records = rows.clone().map(|record| {
        let (topic, partition) = (TopicId::DeadLetters, 0);
        CommitRecord { topic, partition, record }
    });
    lane.commit(Commit { records: records.into(), ..Commit::default() }).expect("commit");
    let read = log.read(TopicId::DeadLetters, 0, 0, ALL).expect("read").records;
    let read: Vec<_> = read
        .into_iter()
        .map(|found| NewRecord { headers: found.headers, ..NewRecord::new(found.key, found.value) })
        .collect();
    assert_eq!(read, rows);
}
