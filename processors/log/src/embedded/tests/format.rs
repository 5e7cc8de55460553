//! The bytes on the disk, put together by hand: a change of any of them is a change of the format.

use super::files::{Failing, TestFiles};
use super::{segments, small, wait_durable, wait_for, with_extension};
use crate::clock::ManualClock;
use crate::embedded::EmbeddedLog;
use crate::{Commit, CommitRecord, Log, NewRecord};
use bytes::Bytes;
use jupan_schemas::{Lane, Micros, Role, TopicId};
use std::fs;
use std::sync::Arc;
use tempfile::TempDir;

const NOW: i64 = 1_700_000_000_000_000;

fn header(number: u64, first: u64) -> Vec<u8> {
    let mut bytes = b"JUPANSEG".to_vec();
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(0u32.to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend(first.to_le_bytes());
    bytes.extend(NOW.to_le_bytes());
    bytes.resize(60, 0);
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

fn frame(segment: u64, position: u64, number: u64, synced: u64, payload: &[u8]) -> Vec<u8> {
    let mut covered = Vec::new();
    for seed in [segment, position, number, synced] {
        covered.extend(seed.to_le_bytes());
    }
    covered.extend(payload);
    let mut bytes = u32::try_from(payload.len()).expect("small").to_le_bytes().to_vec();
    bytes.extend(crc32c::crc32c(&covered).to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend(synced.to_le_bytes());
    bytes.extend(payload);
    bytes
}

fn record(topic: u8, partition: u16, offset: u64, key: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![topic];
    bytes.extend(partition.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes.extend(NOW.to_le_bytes());
    bytes.extend(u32::try_from(key.len()).expect("small").to_le_bytes());
    bytes.extend(u32::try_from(value.len()).expect("small").to_le_bytes());
    bytes.extend(0u16.to_le_bytes());
    bytes.extend(key.as_bytes());
    bytes.extend(value.as_bytes());
    bytes
}

/// A record with the header `cause: why`.
fn dead_letter(value: &str) -> Vec<u8> {
    let mut bytes = record(11, 0, 0, "9", value);
    bytes[27..29].copy_from_slice(&1u16.to_le_bytes());
    bytes.extend(5u16.to_le_bytes());
    bytes.extend(3u32.to_le_bytes());
    bytes.extend(b"causewhy");
    bytes
}

#[test]
fn a_segment_is_these_bytes() {
    let dir = TempDir::new().expect("a directory");
    let files = TestFiles::new(Failing::Never);
    let clock = Arc::new(ManualClock::at(Micros(NOW)));
    let open = || EmbeddedLog::open(dir.path(), small(&files), clock.clone()).expect("open");
    let log = open();
    wait_for(log.append(TopicId::UserCommands, 1, NewRecord::new("42", "charge"))).expect("append");
    let mut lane = log.open(Lane { role: Role::Users, index: 1 }).expect("open");
    let dead = NewRecord {
        headers: vec![("cause".to_owned(), Bytes::from_static(b"why"))],
        ..NewRecord::new("9", "?")
    };
    let place = |topic, partition, record| CommitRecord { topic, partition, record };
    let records = vec![
        place(TopicId::ProductInbox, 0, NewRecord::new("0", "reserve")),
        place(TopicId::DeadLetters, 0, dead),
    ];
    let steps = vec![Bytes::from_static(b"step")];
    let ticket = lane.commit(Commit { steps, records, ..Commit::default() }).expect("commit");
    wait_durable(lane.as_mut(), ticket.ticket);
    log.close();

    let append = [vec![1], record(1, 1, 0, "42", "charge")].concat();
    let commit =
        [vec![1], record(5, 1, 0, "", "step"), record(4, 0, 0, "0", "reserve"), dead_letter("?")]
            .concat();
    let second = 24 + append.len() as u64;
    let third = second + 24 + commit.len() as u64;
    let mut expected = header(1, 0);
    expected.extend(frame(1, 0, 1, 0, &append));
    expected.extend(frame(1, second, 2, second, &commit));
    expected.extend(frame(1, third, 3, third, &[2]));
    let path = segments(dir.path()).pop().expect("a segment");
    let bytes = fs::read(&path).expect("read");
    assert_eq!(path.file_name().expect("a name"), "00000000000000000000.seg");
    assert_eq!(bytes[..expected.len()], expected[..]);
    assert!(bytes[expected.len()..].iter().all(|byte| *byte == 0), "and zeros");

    // The next start copies what nothing proves: here the mark.
    drop(open());
    let path = segments(dir.path()).pop().expect("a segment");
    assert_eq!(path.file_name().expect("a name"), format!("{third:020}.seg").as_str());
    let bytes = fs::read(&path).expect("read");
    let copied = [header(2, third), frame(2, third, 3, third, &[2])].concat();
    assert_eq!(bytes, copied);
    assert_eq!(with_extension(dir.path(), "idx").len(), 1);
}
