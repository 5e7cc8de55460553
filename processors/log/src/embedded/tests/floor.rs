//! The log's floor: a log that lost its end is refused, not read as one that never got there.

use super::script::{Run, Script, dir, open};
use crate::embedded::OpenError;
use crate::embedded::floor::{floor_path, read_floor};
use crate::embedded::segment::{HEADER_BYTES, position_of, segment_path};
use crate::simulated::{Disk, Survival};
use std::path::PathBuf;

const SEGMENT_BYTES: u64 = 4096;
const SCRIPT: Script = Script { seed: 1, large_every: 1_000 };

/// A log of several segments, closed or killed.
fn written(units: usize, is_closed: bool) -> (Disk, Run) {
    let disk = Disk::default();
    let mut run = Run::new(&disk, SCRIPT, SEGMENT_BYTES);
    run.open().expect("a new log");
    for _ in 0..units {
        assert!(run.push());
        run.write();
    }
    if is_closed {
        run.close();
    } else {
        run.kill();
    }
    (disk, run)
}

fn segments(disk: &Disk) -> Vec<PathBuf> {
    let mut files = disk.files_below(&dir().join("log"));
    files.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    files
}

fn refusal(disk: &Disk) -> OpenError {
    open(disk, SEGMENT_BYTES).map(drop).expect_err("it is refused")
}

fn check_refused(disk: &Disk, path: &PathBuf) {
    let refused = refusal(disk);
    assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused}");
    assert_eq!(refused.path(), path, "{refused}");
    let files = || disk.files_below(dir()).into_iter().map(|path| (disk.contents(&path), path));
    let before: Vec<_> = files().collect();
    refusal(disk);
    assert!(before.into_iter().eq(files()), "a refused directory is left alone");
}

#[test]
fn a_last_segment_that_is_missing_is_refused() {
    let (disk, _) = written(150, true);
    let mut paths = segments(&disk);
    let last = paths.pop().expect("segments");
    disk.take_away(&last);
    check_refused(&disk, paths.last().expect("several segments"));
}

#[test]
fn a_last_segment_that_is_cut_is_refused() {
    let (disk, _) = written(150, true);
    let last = segments(&disk).pop().expect("segments");
    let bytes = disk.contents(&last).expect("a segment");
    let used = bytes.iter().rposition(|byte| *byte != 0).expect("frames");
    for cut in 0..=used {
        disk.put(&last, &bytes[..cut]);
        check_refused(&disk, &last);
    }
    disk.put(&last, &bytes[..=used]);
    open(&disk, SEGMENT_BYTES).map(drop).expect("zeros behind the end are not missed");
}

#[test]
fn an_old_copy_of_the_last_segment_is_refused() {
    let disk = Disk::default();
    let mut run = Run::new(&disk, SCRIPT, 1 << 20);
    run.open().expect("a new log");
    let path = segment_path(&dir().join("log"), 0);
    let mut copies = Vec::new();
    for _ in 0..10 {
        copies.push(disk.contents(&path).expect("a segment"));
        assert!(run.push());
        run.idle();
    }
    run.kill();
    for copy in copies {
        disk.put(&path, &copy);
        check_refused(&disk, &path);
    }
}

#[test]
fn a_log_whose_directory_is_missing_is_refused() {
    let (disk, _) = written(20, true);
    for path in segments(&disk) {
        disk.take_away(&path);
    }
    check_refused(&disk, &dir().join("log"));
    disk.take_away(&dir().join("log"));
    check_refused(&disk, &dir().join("log"));
}

#[test]
fn without_a_floor_the_log_opens() {
    let (disk, mut run) = written(50, true);
    let path = floor_path(dir());
    let floor = disk.contents(&path).expect("a floor");
    for damaged in [Vec::new(), vec![0; 700], vec![0xff; 700], floor[..30].to_vec()] {
        disk.put(&path, &damaged);
        run.open().expect("nothing is known of its end");
        run.close();
        assert!(read_floor(&disk, &path).expect("a floor") > 0, "it is written anew");
    }
    disk.take_away(&path);
    run.open().expect("nothing is known of its end");
}

#[test]
fn one_damaged_slot_leaves_the_other() {
    let disk = Disk::default();
    let mut run = Run::new(&disk, SCRIPT, 1 << 20);
    run.open().expect("a new log");
    for _ in 0..4 {
        assert!(run.push());
        run.idle();
    }
    let path = floor_path(dir());
    let (floor, whole) = (disk.contents(&path).expect("a floor"), read_floor(&disk, &path));
    let mut seen = Vec::new();
    for at in 0..floor.len() {
        let mut damaged = floor.clone();
        damaged[at] ^= 1;
        disk.put(&path, &damaged);
        seen.push(read_floor(&disk, &path).expect("a floor"));
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 2, "each slot's, and no other: {seen:?}");
    assert_eq!(seen.last().copied(), whole.ok());
}

#[test]
fn a_kill_leaves_the_floor_at_the_end() {
    let (disk, mut run) = written(150, false);
    let floor = read_floor(&disk, &floor_path(dir())).expect("a floor");
    let last = segments(&disk).pop().expect("segments");
    let bytes = disk.contents(&last).expect("a segment");
    let used = bytes.iter().rposition(|byte| *byte != 0).expect("frames") + 1;
    let first = position_of(&last).expect("a segment's name");
    assert_eq!(floor, first + (used - HEADER_BYTES) as u64);
    run.open().expect("it is the end, not more");
}

#[test]
fn a_floor_that_is_lost_in_a_power_cut_is_lower_and_never_wrong() {
    let (disk, mut run) = written(200, false);
    run.disk = disk.moment().power_cut(Survival::Nothing);
    let path = floor_path(dir());
    let [lower, higher] = [&run.disk, &disk].map(|disk| read_floor(disk, &path).expect("a floor"));
    assert!(lower <= higher);
    run.open().expect("it opens");
}
