//! Starting: directories, kills at every step, segments, indexes.

use super::files::{Failing, TestFiles, copy_dir};
use super::{
    ALL, USERS, append, commit, contents, expected, open_small, read_all, read_in, segments, small,
    values, wait_durable, with_extension,
};
use crate::clock::ManualClock;
use crate::embedded::{EmbeddedLog, OpenError, Options};
use crate::{Log, LogRecord, ReadLimit, SystemClock};
use jupan_schemas::{Micros, TopicId};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Appends and commits so much that there are several segments; returns all that is in the log.
fn fill(log: &EmbeddedLog, count: usize) -> Vec<Vec<LogRecord>> {
    let mut lane = log.open(USERS).expect("open");
    let mut ticket = 0;
    for n in 0..count {
        append(log, 0, n);
        append(log, 1, n);
        ticket = lane.commit(commit(n)).expect("commit").ticket;
    }
    wait_durable(lane.as_mut(), ticket);
    contents(log)
}

/// A directory as a kill leaves it, with what is in it.
fn killed(count: usize) -> (TempDir, Vec<Vec<LogRecord>>) {
    let dir = TempDir::new().expect("a directory");
    let copy = TempDir::new().expect("a directory");
    let files = TestFiles::new(Failing::Never);
    // No mark before the kill: the last group stays unproven.
    let options = Options { mark_after: Duration::from_secs(100), ..small(&files) };
    let log = EmbeddedLog::open(dir.path(), options, Arc::new(SystemClock)).expect("open");
    let before = fill(&log, count);
    copy_dir(dir.path(), copy.path());
    (copy, before)
}

/// Why the directory is refused.
fn refusal(dir: &Path) -> OpenError {
    open_small(dir).map(drop).expect_err("it is refused")
}

#[test]
fn lanes_are_fixed_when_the_directory_is_made() {
    let parent = TempDir::new().expect("a directory");
    let dir = parent.path().join("a/b/c");
    let open = |lanes| {
        let options = Options { lanes, ..Options::default() };
        let clock = Arc::new(ManualClock::at(Micros(123)));
        EmbeddedLog::open(&dir, options, clock).map(|log| log.partitions())
    };
    for lanes in [Some(3), Some(3), None] {
        assert_eq!(open(lanes).expect("open"), 3);
    }
    let other = open(Some(5)).expect_err("it has 3");
    assert!(matches!(other, OpenError::Lanes { made: 3, asked: 5, .. }), "{other}");
    let facts = fs::read_to_string(dir.join("jupan.json")).expect("facts");
    assert_eq!(facts, r#"{"format":1,"lanes":3,"createdAt":"123","check":"8c4ad500"}"#);
    let path = dir.join("jupan.json");
    fs::write(&path, facts.replace(":3", ":4")).expect("write");
    assert!(matches!(open(None), Err(OpenError::Facts { .. })), "changed by hand");
    fs::write(&path, r#"{"format":1,"lanes":3,"createdAt":"123"}"#).expect("write");
    assert_eq!(open(None).expect("as the first version wrote it"), 3);
}

#[test]
fn a_directory_is_open_once() {
    let dir = TempDir::new().expect("a directory");
    let log = open_small(dir.path()).expect("open");
    let begun = Instant::now();
    assert!(matches!(refusal(dir.path()), OpenError::Locked { .. }));
    assert!(begun.elapsed() < Duration::from_secs(1));
    log.close();
    open_small(dir.path()).expect("a closed one can be opened");
}

#[test]
fn what_is_no_directory_of_this_format_is_refused() {
    let facts = |text: &str| {
        let dir = TempDir::new().expect("a directory");
        fs::write(dir.path().join("jupan.json"), text).expect("write");
        refusal(dir.path())
    };
    assert!(matches!(facts(r#"{"format":2,"x":1}"#), OpenError::Format { format: 2, .. }));
    assert!(matches!(facts(r#"{"format":1,"lanes":0,"createdAt":"1"}"#), OpenError::Facts { .. }));
    for broken in ["", "{", "[]", r#"{"format":1}"#, r#"{"lanes":2}"#] {
        assert!(matches!(facts(broken), OpenError::Facts { .. }), "{broken}");
    }
    let (dir, _) = killed(3);
    fs::remove_file(dir.path().join("jupan.json")).expect("remove");
    assert!(matches!(refusal(dir.path()), OpenError::Facts { .. }), "lanes are never guessed");
    let file = tempfile::NamedTempFile::new().expect("a file");
    assert!(matches!(refusal(file.path()), OpenError::Io { .. }), "a file is no directory");
}

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().expect("a directory");
    let set = |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode));
    set(0o555).expect("set permissions");
    let is_ignored = fs::write(dir.path().join("probe"), "").is_ok();
    if !is_ignored {
        assert!(matches!(refusal(dir.path()), OpenError::Io { .. }));
    }
    set(0o755).expect("set permissions");
}

#[test]
fn nothing_is_lost_when_a_start_is_killed_at_any_step() {
    let (dir, before) = killed(30);
    for path in with_extension(dir.path(), "idx") {
        fs::remove_file(path).expect("remove an index");
    }
    let mut steps = 0;
    for step in 1.. {
        let copy = TempDir::new().expect("a directory");
        copy_dir(dir.path(), copy.path());
        let files = TestFiles::new(Failing::From(step));
        let opened = EmbeddedLog::open(copy.path(), small(&files), Arc::new(SystemClock));
        let is_killed = opened.is_err();
        drop(opened);
        let log = open_small(copy.path()).expect("the start after the killed one");
        assert_eq!(contents(&log), before, "killed at step {step}");
        if !is_killed {
            steps = step - 1;
            break;
        }
    }
    assert!(steps > 5, "a start has only {steps} steps");
}

#[test]
fn what_a_start_found_unsynced_it_wrote_anew() {
    let dir = TempDir::new().expect("a directory");
    let copy = TempDir::new().expect("a directory");
    let files = TestFiles::new(Failing::Never);
    let options = Options { mark_after: Duration::from_secs(100), ..small(&files) };
    let log = EmbeddedLog::open(dir.path(), options, Arc::new(SystemClock)).expect("open");
    let mut lane = log.open(USERS).expect("open");
    let ticket = lane.commit(commit(0)).expect("commit").ticket;
    wait_durable(lane.as_mut(), ticket);
    let last = segments(dir.path()).pop().expect("a segment");
    let held = files.held();
    let syncs = files.syncs();
    lane.commit(commit(1)).expect("commit");
    while files.syncs() == syncs {
        std::thread::yield_now();
    }
    // A kill: the second commit is in the file, and nothing ever synced it.
    copy_dir(dir.path(), copy.path());
    let synced = usize::try_from(files.synced_bytes(&last)).expect("it fits");
    drop(held);
    let log = open_small(copy.path()).expect("open");
    let before = contents(&log);
    assert_eq!(values(&read_all(&log, TopicId::UserJournal, 0)), expected(0..2));
    drop(log);
    // A power cut: what the old file never synced is gone.
    assert!(segments(copy.path()).len() > 1, "what was proven stays where it was");
    let old = copy.path().join("log").join(last.file_name().expect("a name"));
    let mut bytes = fs::read(&old).expect("the old segment is still there");
    bytes[synced..].fill(0);
    fs::write(&old, bytes).expect("write");
    assert_eq!(contents(&open_small(copy.path()).expect("open")), before);
}

#[test]
fn repeated_starts_change_nothing_and_do_not_pile_up_segments() {
    let (dir, before) = killed(20);
    let mut counts = Vec::new();
    for _ in 0..5 {
        let log = open_small(dir.path()).expect("open");
        assert_eq!(contents(&log), before);
        drop(log);
        counts.push(segments(dir.path()).len());
    }
    assert_eq!(counts[1], counts[4], "starts without work make no segments: {counts:?}");
    assert!(with_extension(dir.path(), "tmp").is_empty());
}

#[test]
fn a_start_after_every_append_keeps_all_of_them() {
    let dir = TempDir::new().expect("a directory");
    for n in 0..20 {
        let log = open_small(dir.path()).expect("open");
        assert_eq!(append(&log, 0, n).offset, n as u64);
        assert_eq!(values(&read_all(&log, TopicId::UserCommands, 0)), expected(0..n + 1));
    }
}

#[test]
fn records_are_read_across_segments_whatever_is_in_memory() {
    let (dir, before) = killed(150);
    let files = TestFiles::new(Failing::Never);
    for tail_bytes_max in [0, 3_000, usize::MAX] {
        let options = Options { tail_bytes_max, ..small(&files) };
        let log = EmbeddedLog::open(dir.path(), options, Arc::new(SystemClock)).expect("open");
        assert!(segments(dir.path()).len() > 5, "there are several segments");
        assert_eq!(contents(&log), before);
        let commands = read_all(&log, TopicId::UserCommands, 1);
        for (records_max, bytes_max) in [(1, usize::MAX), (7, 100), (40, 1_000), (9, 0)] {
            let limit = ReadLimit { records_max, bytes_max };
            assert_eq!(read_in(&log, TopicId::UserCommands, 1, limit), commands, "{limit:?}");
        }
        for from in [140, 3, 77, 0, 149] {
            let limit = ReadLimit { records_max: 2, ..ALL };
            let batch = log.read(TopicId::UserCommands, 1, from, limit).expect("read");
            let start = usize::try_from(from).expect("it fits");
            assert_eq!(batch.records[..], commands[start..(start + 2).min(150)], "from {from}");
        }
        drop(log);
    }
}

#[test]
fn an_index_that_is_missing_or_damaged_is_rebuilt() {
    let (dir, before) = killed(120);
    drop(open_small(dir.path()).expect("open"));
    type Damage = (&'static str, fn(&PathBuf));
    let damages: [Damage; 4] = [
        ("deleted", |path| fs::remove_file(path).expect("remove")),
        ("emptied", |path| fs::write(path, "").expect("write")),
        ("flipped at its start", |path| flip(path, 20)),
        ("flipped at its end", |path| {
            let end = fs::metadata(path).expect("size").len();
            flip(path, usize::try_from(end).expect("it fits") - 6);
        }),
    ];
    for (name, damage) in damages {
        let indexes = with_extension(dir.path(), "idx");
        assert!(indexes.len() > 4, "there are several indexes");
        indexes.iter().for_each(damage);
        let log = open_small(dir.path()).expect("open");
        assert_eq!(contents(&log), before, "{name}");
        drop(log);
        assert!(with_extension(dir.path(), "idx").len() >= indexes.len(), "{name}");
    }
}

#[test]
fn an_index_that_is_lost_while_the_log_is_open_is_not_needed() {
    let (dir, before) = killed(120);
    let log = open_small(dir.path()).expect("open");
    for path in with_extension(dir.path(), "idx") {
        fs::remove_file(path).expect("remove");
    }
    assert_eq!(contents(&log), before);
}

#[test]
fn a_segment_that_is_missing_is_named() {
    let (dir, _) = killed(60);
    let paths = segments(dir.path());
    for missing in [0, 2] {
        let kept = fs::read(&paths[missing]).expect("read");
        fs::remove_file(&paths[missing]).expect("remove");
        assert!(matches!(refusal(dir.path()), OpenError::Corrupt { .. }), "{missing}");
        fs::write(&paths[missing], kept).expect("write");
    }
    open_small(dir.path()).expect("complete again");
}

#[test]
fn a_damaged_segment_header_is_refused() {
    let (dir, _) = killed(60);
    for path in segments(dir.path()) {
        for at in [0, 9, 20, 30, 40, 55, 63] {
            flip(&path, at);
            assert!(matches!(refusal(dir.path()), OpenError::Corrupt { .. }), "{at}");
            flip(&path, at);
        }
    }
    open_small(dir.path()).expect("complete again");
}

pub(super) fn flip(path: &PathBuf, at: usize) {
    let mut bytes = fs::read(path).expect("read");
    bytes[at] ^= 0x10;
    fs::write(path, bytes).expect("write");
}
