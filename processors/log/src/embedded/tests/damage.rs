//! Damage: whatever happens to the bytes of a segment, a start keeps an exact prefix of the log or
//! is refused, and what a later frame proves is never given up.

use super::files::{Failing, TestFiles, copy_dir};
use super::start::flip;
use super::{
    ALL, USERS, append, commit, contents, open_small, segments, small, wait_durable, with_extension,
};
use crate::embedded::files::{Files, RealFiles};
use crate::embedded::floor::{floor_path, read_floor};
use crate::embedded::frame::{At, FrameReader};
use crate::embedded::segment::{HEADER_BYTES, SegmentHeader};
use crate::embedded::{EmbeddedLog, OpenError, Options};
use crate::{Log, LogRecord, ReadError, SystemClock};
use jupan_schemas::TopicId;
use proptest::prelude::*;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tempfile::TempDir;

/// A log with one segment whose frames are known.
struct Sample {
    dir: TempDir,
    path: PathBuf,
    /// The bytes of each frame in the file, and how far it knew the log to be durable, as a place
    /// in the file.
    frames: Vec<(Range<usize>, usize)>,
    first: u64,
    /// What the log's floor says where it is not lost, as a place in the file.
    floor: usize,
}

fn sample() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(make_sample)
}

/// Marks in the middle, several frames in one group at the end, and none to prove the last ones.
fn make_sample() -> Sample {
    let source = TempDir::new().expect("a directory");
    let dir = TempDir::new().expect("a directory");
    let files = TestFiles::new(Failing::Never);
    let mark_after = Duration::from_millis(10);
    let options = Options { segment_bytes: 1 << 20, mark_after, ..small(&files) };
    let log = EmbeddedLog::open(source.path(), options, Arc::new(SystemClock)).expect("open");
    let mut lane = log.open(USERS).expect("open");
    for n in 0..6 {
        append(&log, 0, n);
        let ticket = lane.commit(commit(n)).expect("commit").ticket;
        wait_durable(lane.as_mut(), ticket);
    }
    std::thread::sleep(mark_after * 5);
    let held = files.held();
    for n in 6..12 {
        lane.commit(commit(n)).expect("commit");
    }
    std::thread::sleep(mark_after);
    drop(held);
    let ticket = lane.commit(commit(12)).expect("commit").ticket;
    wait_durable(lane.as_mut(), ticket);
    copy_dir(source.path(), dir.path());
    let path = segments(dir.path()).pop().expect("a segment");
    let (frames, first) = frames_of(&path);
    assert!(frames.len() > 15, "the sample has only {} frames", frames.len());
    let floor = read_floor(&RealFiles, &floor_path(dir.path())).expect("a floor");
    let floor = usize::try_from(floor - first).expect("it fits") + HEADER_BYTES;
    assert!(frames.iter().any(|(bytes, _)| bytes.end == floor), "it is behind a frame");
    Sample { dir, path, frames, first, floor }
}

fn frames_of(path: &Path) -> (Vec<(Range<usize>, usize)>, u64) {
    let file = RealFiles.open(path).expect("open");
    let header = SegmentHeader::read(file.as_ref(), path).expect("header");
    let mut reader = FrameReader::new(file.as_ref(), header.number, header.first, 4096);
    let mut position = header.first;
    let mut frames = Vec::new();
    let place = |position: u64| {
        usize::try_from(position.saturating_sub(header.first)).expect("it fits") + HEADER_BYTES
    };
    while let At::Frame(frame) = reader.at(position).expect("read") {
        frames.push((place(position)..place(frame.end), place(frame.synced_through)));
        position = frame.end;
    }
    (frames, header.first)
}

/// What happens to a file.
#[derive(Clone, Debug)]
enum Damage {
    Flip { at: usize, bit: u8 },
    Zeros { at: usize, bytes: usize },
    Garbage { at: usize, bytes: Vec<u8> },
    Truncate { at: usize },
}

impl Damage {
    fn at(&self) -> usize {
        match self {
            Self::Flip { at, .. }
            | Self::Zeros { at, .. }
            | Self::Garbage { at, .. }
            | Self::Truncate { at } => *at,
        }
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        let size = bytes.len();
        match self {
            Self::Flip { at, bit } => bytes[*at] ^= 1 << bit,
            Self::Zeros { at, bytes: count } => bytes[*at..(at + count).min(size)].fill(0),
            Self::Garbage { at, bytes: garbage } => {
                let end = (at + garbage.len()).min(size);
                bytes[*at..end].copy_from_slice(&garbage[..end - at]);
            }
            Self::Truncate { at } => bytes.truncate(*at),
        }
    }
}

fn damage(places: Range<usize>) -> impl Strategy<Value = Damage> {
    let garbage = proptest::collection::vec(any::<u8>(), 1..600);
    prop_oneof![
        (places.clone(), 0u8..8).prop_map(|(at, bit)| Damage::Flip { at, bit }),
        (places.clone(), 1usize..800).prop_map(|(at, bytes)| Damage::Zeros { at, bytes }),
        (places.clone(), garbage).prop_map(|(at, bytes)| Damage::Garbage { at, bytes }),
        places.prop_map(|at| Damage::Truncate { at }),
    ]
}

/// What a start must do after damage.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Refused { position: u64 },
    Kept { frames: usize },
}

/// The rule, computed from which frames' bytes differ.
fn verdict(sample: &Sample, floor: usize, before: &[u8], after: &[u8]) -> Verdict {
    let is_intact = |bytes: &Range<usize>| after.get(bytes.clone()) == Some(&before[bytes.clone()]);
    let first_bad = sample.frames.iter().position(|(bytes, _)| !is_intact(bytes));
    let Some(bad) = first_bad else { return Verdict::Kept { frames: sample.frames.len() } };
    let place = sample.frames[bad].0.start;
    let behind = &sample.frames[bad + 1..];
    let proves = |(bytes, synced): &(Range<usize>, usize)| is_intact(bytes) && *synced > place;
    if place < floor || behind.iter().any(proves) {
        let position = sample.first + (place - HEADER_BYTES) as u64;
        return Verdict::Refused { position };
    }
    Verdict::Kept { frames: bad }
}

/// Everything in the sample's first frames: what a copy says that was cut there, by hand.
fn contents_of(sample: &Sample, frames: usize) -> Vec<Vec<LogRecord>> {
    let copy = TempDir::new().expect("a directory");
    copy_dir(sample.dir.path(), copy.path());
    fs::remove_file(floor_path(copy.path())).expect("a floor");
    let path = copy.path().join("log").join(sample.path.file_name().expect("a name"));
    let end = frames.checked_sub(1).map_or(HEADER_BYTES, |last| sample.frames[last].0.end);
    let mut bytes = fs::read(&path).expect("read");
    bytes.truncate(end);
    fs::write(&path, bytes).expect("write");
    contents(&open_small(copy.path()).expect("open"))
}

fn check(damages: &[Damage], has_floor: bool) {
    let sample = sample();
    let copy = TempDir::new().expect("a directory");
    copy_dir(sample.dir.path(), copy.path());
    let floor = if has_floor { sample.floor } else { 0 };
    if !has_floor {
        fs::remove_file(floor_path(copy.path())).expect("a floor");
    }
    let path = copy.path().join("log").join(sample.path.file_name().expect("a name"));
    let before = fs::read(&path).expect("read");
    let mut after = before.clone();
    for damage in damages {
        if damage.at() < after.len() {
            damage.apply(&mut after);
        }
    }
    fs::write(&path, &after).expect("write");
    match (verdict(sample, floor, &before, &after), open_small(copy.path())) {
        (Verdict::Refused { position }, Err(OpenError::Corrupt { position: named, .. })) => {
            assert_eq!(named, position, "the refusal names the bad frame");
        }
        (Verdict::Kept { frames }, Ok(log)) => {
            let kept = contents(&log);
            assert_eq!(kept, contents_of(sample, frames), "the first {frames} frames are kept");
            // What was cut off stays so, and the log goes on.
            append(&log, 0, 99);
            let grown = contents(&log);
            drop(log);
            let log = open_small(copy.path()).expect("open again");
            assert_eq!(contents(&log), grown, "after another start");
        }
        (verdict, opened) => {
            panic!("{verdict:?} was expected, but it was {:?}", opened.map(|_| "opened"));
        }
    }
}

fn used_places() -> Range<usize> {
    let end = sample().frames.last().expect("frames").0.end;
    HEADER_BYTES..end + 300
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn damage_is_refused_or_cut_and_never_read(
        damage in damage(used_places()),
        has_floor in any::<bool>(),
    ) {
        check(&[damage], has_floor);
    }

    #[test]
    fn damage_in_two_places_too(
        first in damage(used_places()),
        second in damage(used_places()),
        has_floor in any::<bool>(),
    ) {
        check(&[first, second], has_floor);
    }
}

#[test]
fn both_verdicts_occur() {
    let sample = sample();
    let before = fs::read(&sample.path).expect("read");
    let flipped = |frame: usize, floor: usize| {
        let mut after = before.clone();
        after[sample.frames[frame].0.start + 30] ^= 1;
        verdict(sample, floor, &before, &after)
    };
    assert!(matches!(flipped(0, 0), Verdict::Refused { .. }));
    let last = sample.frames.len() - 1;
    assert_eq!(flipped(last, 0), Verdict::Kept { frames: last });
    let below = sample.frames.iter().rposition(|(bytes, _)| bytes.end == sample.floor);
    assert!(matches!(flipped(below.expect("a frame"), sample.floor), Verdict::Refused { .. }));
}

#[test]
fn damage_in_an_old_segment_is_refused_when_it_is_read() {
    let dir = TempDir::new().expect("a directory");
    let log = open_small(dir.path()).expect("open");
    for n in 0..100 {
        append(&log, 0, n);
    }
    drop(log);
    let path = segments(dir.path()).swap_remove(1);
    flip(&path, 700);
    let indexes = with_extension(dir.path(), "idx");
    let log = open_small(dir.path()).expect("the index is enough for a start");
    let mut next = 0;
    let refused = loop {
        match log.read(TopicId::UserCommands, 0, next, ALL) {
            Ok(batch) if batch.records.is_empty() => panic!("the damage went unnoticed"),
            Ok(batch) => next = batch.next,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, ReadError::Broken { .. }), "{refused}");
    drop(log);
    indexes.iter().for_each(|path| fs::remove_file(path).expect("remove"));
    let refused = open_small(dir.path()).map(drop).expect_err("without an index, at the start");
    assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused}");
}
