//! A log that grows while it is read: only what is durable counts, and nothing is missed. One that
//! shrank is damaged.

use super::{
    forge::{text, verify_directory},
    scenes::busy,
    writer::{Group, SegmentWriter, directory, note_floor, payload},
};
use crate::verify::{
    findings::Invariant,
    segments::Directory,
    walk::{Advance, Walker},
};
use std::fs::File;
use tempfile::TempDir;

/// A directory that a shop seems to run on, as long as the file lives.
fn running() -> (TempDir, File) {
    let dir = TempDir::new().expect("a temporary directory");
    directory(dir.path(), 1);
    let lock = File::open(dir.path().join("LOCK")).expect("the lock");
    lock.try_lock().expect("nobody else has it");
    (dir, lock)
}

fn open(dir: &TempDir) -> Directory {
    let directory = Directory::open(dir.path()).expect("a directory");
    assert!(directory.is_running());
    directory
}

fn groups(count: usize) -> Vec<Group> {
    busy(1).log.into_iter().take(count).collect()
}

/// Writes frames, none of which knows anything as synced; returns where each begins.
fn push(segment: &mut SegmentWriter, groups: &[Group], first: u64) -> Vec<u64> {
    let mut positions = Vec::new();
    for (number, group) in (first..).zip(groups) {
        positions.push(segment.end());
        segment.push(number, 0, &payload(group));
    }
    positions
}

/// Reads as far as possible now; how many frames there are so far, and how it ended.
fn read(walker: &mut Walker<'_>) -> (u64, Advance) {
    loop {
        match walker.advance().expect("a readable log") {
            Advance::Frame => assert!(walker.frame().is_some()),
            end => return (walker.walk.frames, end),
        }
    }
}

#[test]
fn a_frame_counts_once_it_is_durable() {
    let (dir, _lock) = running();
    let mut segment = SegmentWriter::new(1, 0);
    let positions = push(&mut segment, &groups(6), 1);
    segment.save(dir.path());
    let directory = open(&dir);
    let mut walker = Walker::new(&directory);
    assert_eq!(read(&mut walker), (0, Advance::Pause));
    for (floor, frames) in [(positions[4], 4), (positions[5] - 1, 4), (segment.end(), 6)] {
        note_floor(dir.path(), floor);
        assert_eq!(read(&mut walker), (frames, Advance::Pause));
    }
    assert!(walker.walk.corruption.is_none());
}

#[test]
fn new_segments_are_found() {
    let (dir, _lock) = running();
    let groups = groups(9);
    let mut one = SegmentWriter::new(1, 0);
    push(&mut one, &groups[..5], 1);
    one.save(dir.path());
    let directory = open(&dir);
    let mut walker = Walker::new(&directory);
    let mut other = SegmentWriter::new(2, one.end());
    other.save(dir.path());
    note_floor(dir.path(), one.end());
    assert_eq!(read(&mut walker), (5, Advance::Pause));
    push(&mut other, &groups[5..], 6);
    other.save(dir.path());
    SegmentWriter::new(3, other.end()).save(dir.path());
    note_floor(dir.path(), other.end());
    assert_eq!(read(&mut walker), (9, Advance::Pause));
}

#[test]
fn half_a_frame_is_waited_for() {
    let (dir, _lock) = running();
    let mut segment = SegmentWriter::new(1, 0);
    let positions = push(&mut segment, &groups(4), 1);
    let whole = segment.bytes().clone();
    segment.bytes().truncate(whole.len() - 40);
    segment.save(dir.path());
    note_floor(dir.path(), positions[3]);
    let directory = open(&dir);
    let mut walker = Walker::new(&directory);
    assert_eq!(read(&mut walker), (3, Advance::Pause));
    *segment.bytes() = whole;
    segment.save(dir.path());
    assert_eq!(read(&mut walker), (3, Advance::Pause));
    note_floor(dir.path(), segment.end());
    assert_eq!(read(&mut walker), (4, Advance::Pause));
}

#[test]
fn damage_is_found_beside_the_shop() {
    let (dir, _lock) = running();
    let mut segment = SegmentWriter::new(1, 0);
    let positions = push(&mut segment, &groups(6), 1);
    let into = 64 + usize::try_from(positions[3]).expect("small") + 30;
    segment.bytes()[into] ^= 1;
    segment.save(dir.path());
    note_floor(dir.path(), segment.end());
    let directory = open(&dir);
    let mut walker = Walker::new(&directory);
    assert_eq!(read(&mut walker), (3, Advance::Over));
    let damage = walker.walk.corruption.expect("damage");
    assert_eq!((damage.segment, damage.position), (Some(0), Some(positions[3])));
}

/// What was durable and is gone is no write that never finished.
#[test]
fn a_log_that_ends_before_its_floor_is_damaged() {
    let (dir, lock) = running();
    drop(lock);
    let mut segment = SegmentWriter::new(1, 0);
    let positions = push(&mut segment, &groups(6), 1);
    let end = segment.end();
    let cut = 64 + usize::try_from(positions[5]).expect("small");
    segment.bytes().truncate(cut + 20);
    segment.save(dir.path());
    for (floor, is_damage) in [(positions[4], false), (positions[5], false), (end, true)] {
        note_floor(dir.path(), floor);
        let report = verify_directory(&dir);
        assert_eq!(!report.is_complete, is_damage, "{floor}\n{}", text(&report));
        let found = report.findings.of(Invariant::Log).next();
        let position = found.map(|found| found.place.position.expect("a position"));
        assert_eq!(position, is_damage.then_some(positions[5]));
    }
    std::fs::remove_dir_all(dir.path().join("log")).expect("a directory");
    std::fs::create_dir(dir.path().join("log")).expect("a directory");
    let report = verify_directory(&dir);
    let found = report.findings.of(Invariant::Log).next().expect("damage");
    assert_eq!(found.about, "end of the log");
}
