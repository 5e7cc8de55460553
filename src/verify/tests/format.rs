//! The carrier: where a log ends, what is damage, and what cannot be read at all.

use super::{
    forge::{options, text, verify_directory},
    scenes::busy,
    writer::{Group, SegmentWriter, directory, payload, save},
};
use crate::verify::{
    Failure, Report,
    findings::{Finding, Invariant},
    run,
};
use std::fs::File;
use tempfile::TempDir;

fn temporary(lanes: u16) -> TempDir {
    let dir = TempDir::new().expect("a temporary directory");
    directory(dir.path(), lanes);
    dir
}

fn groups(count: usize) -> Vec<Group> {
    busy(1).log.into_iter().take(count).collect()
}

/// Frames of one segment, each of which knows the ones before the last as synced; returns their
/// positions, too.
fn written(segment: &mut SegmentWriter, groups: &[Group], first_number: u64) -> Vec<u64> {
    let mut positions = Vec::new();
    for (number, group) in (first_number..).zip(groups) {
        positions.push(segment.end());
        let synced = positions.len().checked_sub(2).map_or(0, |before| positions[before]);
        segment.push(number, synced, &payload(group));
    }
    positions
}

fn first_damage(report: &Report) -> &Finding {
    let finding = report.findings.of(Invariant::Log).next();
    finding.unwrap_or_else(|| panic!("no damage found\n{}", text(report)))
}

#[test]
fn a_torn_last_frame_is_the_end_of_the_log() {
    for lost in [9, 30, 60] {
        let dir = temporary(1);
        let mut segment = SegmentWriter::new(1, 0);
        written(&mut segment, &groups(20), 1);
        let bytes = segment.bytes();
        bytes.truncate(bytes.len() - lost);
        segment.save(dir.path());
        let report = verify_directory(&dir);
        assert!(report.is_ok(), "{}", text(&report));
        assert_eq!(report.facts.frames, 19);
        assert!(report.facts.unfinished_bytes > 0);
    }
}

#[test]
fn a_bit_that_flips_behind_a_sync_is_damage() {
    let groups = groups(20);
    for (frame, is_damage) in [(5, true), (17, true), (18, false), (19, false)] {
        let dir = temporary(1);
        let mut segment = SegmentWriter::new(1, 0);
        let positions = written(&mut segment, &groups, 1);
        let from_end = segment.end() - positions[frame] - 30;
        segment.flip(usize::try_from(from_end).expect("small"));
        segment.save(dir.path());
        let report = verify_directory(&dir);
        assert_eq!(report.is_ok(), !is_damage, "frame {frame}\n{}", text(&report));
        assert_eq!(report.is_complete, !is_damage);
        if is_damage {
            let place = first_damage(&report).place;
            assert_eq!((place.segment, place.position), (Some(0), Some(positions[frame])));
            assert_eq!(report.exit_code(), 1);
        } else {
            assert_eq!(report.facts.frames, u64::try_from(frame).expect("small"));
        }
    }
}

#[test]
fn a_hole_is_damage_even_where_it_looks_like_the_end() {
    let dir = temporary(1);
    let mut segment = SegmentWriter::new(1, 0);
    let positions = written(&mut segment, &groups(20), 1);
    let start = 64 + usize::try_from(positions[8]).expect("small");
    let end = 64 + usize::try_from(positions[10]).expect("small");
    segment.bytes()[start..end].fill(0);
    segment.save(dir.path());
    let report = verify_directory(&dir);
    assert_eq!(first_damage(&report).place.position, Some(positions[8]));
}

#[test]
fn frames_that_a_start_has_copied_count_once() {
    let dir = temporary(1);
    let groups = groups(20);
    let mut before = SegmentWriter::new(1, 0);
    let positions = written(&mut before, &groups, 1);
    before.flip(3);
    before.save(dir.path());
    // The start found 19 whole frames, and copied what lies behind the last proven sync.
    let mut after = SegmentWriter::new(2, positions[16]);
    for (number, group) in (17..).zip(&groups[16..19]) {
        after.push(number, positions[16], &payload(group));
    }
    let synced = after.end();
    after.push(20, synced, &payload(&Vec::new()));
    after.save(dir.path());
    let report = verify_directory(&dir);
    assert!(report.is_ok(), "{}", text(&report));
    assert_eq!((report.facts.frames, report.facts.segments), (20, 2));
}

#[test]
fn what_lies_before_another_segment_must_be_whole() {
    let groups = groups(20);
    let parts = |dir: &TempDir, spoil: &dyn Fn(&mut SegmentWriter, &mut SegmentWriter)| {
        let mut one = SegmentWriter::new(1, 0);
        written(&mut one, &groups[..10], 1);
        let mut other = SegmentWriter::new(2, one.end());
        written(&mut other, &groups[10..], 11);
        spoil(&mut one, &mut other);
        one.save(dir.path());
        other.save(dir.path());
    };
    let check = |spoil: &dyn Fn(&mut SegmentWriter, &mut SegmentWriter), about: Option<&str>| {
        let dir = temporary(1);
        parts(&dir, spoil);
        let report = verify_directory(&dir);
        match about {
            None => assert!(report.is_ok(), "{}", text(&report)),
            Some(about) => assert_eq!(first_damage(&report).about, about, "{}", text(&report)),
        }
    };
    check(&|_, _| {}, None);
    check(&|one, _| one.flip(4), Some("frame"));
    let cut = |one: &mut SegmentWriter| one.bytes().truncate(200);
    check(&|one, _| cut(one), Some("frame"));
    check(&|_, other| other.bytes()[20] ^= 1, Some("segment header"));
    check(&|_, other| *other = SegmentWriter::new(1, other.end()), Some("segment number"));
}

#[test]
fn segments_and_frames_are_dense() {
    let groups = groups(6);
    let dir = temporary(1);
    SegmentWriter::new(4, 1000).save(dir.path());
    assert_eq!(first_damage(&verify_directory(&dir)).about, "first segment");

    let dir = temporary(1);
    let mut segment = SegmentWriter::new(1, 0);
    written(&mut segment, &groups[..3], 1);
    let gap = segment.end();
    written(&mut segment, &groups[3..], 5);
    segment.save(dir.path());
    let report = verify_directory(&dir);
    let damage = first_damage(&report);
    assert_eq!((damage.about.as_str(), damage.place.position), ("frame number", Some(gap)));

    let dir = temporary(1);
    let mut segment = SegmentWriter::new(1, 0);
    written(&mut segment, &groups, 1);
    segment.save(dir.path());
    SegmentWriter::new(2, segment.end() + 8).save(dir.path());
    assert_eq!(first_damage(&verify_directory(&dir)).about, "frame");
}

#[test]
fn a_segment_has_its_name_only_once_it_is_whole() {
    for (extension, is_damage) in [("seg.tmp", false), ("idx", false), ("seg", true)] {
        let dir = temporary(1);
        let mut segment = SegmentWriter::new(1, 0);
        written(&mut segment, &groups(6), 1);
        segment.save(dir.path());
        let name = format!("{:020}.{extension}", segment.end());
        let path = dir.path().join("log").join(name);
        std::fs::write(path, [0; 256]).expect("a temporary directory");
        let report = verify_directory(&dir);
        assert_eq!(report.is_ok(), !is_damage, "{extension}\n{}", text(&report));
    }
}

#[test]
fn a_gap_in_the_offsets_is_found_with_its_record() {
    let dir = temporary(1);
    let mut groups = busy(1).log;
    let record = groups.iter_mut().flatten().last().expect("records");
    record.offset += 1;
    let expected = (record.topic, record.offset);
    save(dir.path(), 1, &groups, 1 << 20);
    let report = verify_directory(&dir);
    let damage = first_damage(&report);
    let found = damage.place.record.map(|record| (record.topic, record.offset));
    assert_eq!((damage.about.as_str(), found), ("offset", Some(expected)));
}

#[test]
fn a_payload_that_is_no_records_is_found() {
    for payload in [vec![9u8], vec![2, 0], vec![1, 1, 0], vec![1, 77, 0, 0]] {
        let dir = temporary(1);
        let mut segment = SegmentWriter::new(1, 0);
        segment.push(1, 0, &payload);
        segment.save(dir.path());
        let report = verify_directory(&dir);
        assert_eq!(first_damage(&report).about, "payload of the frame", "{payload:?}");
    }
}

#[test]
fn a_locked_directory_whose_shop_is_silent_is_left_alone() {
    let dir = temporary(1);
    let lock = File::open(dir.path().join("LOCK")).expect("the lock");
    lock.try_lock().expect("nobody else has it");
    let refused = run(&options(&dir), &mut |_| {});
    assert!(matches!(refused, Err(Failure::Silent { .. })), "{refused:?}");
    drop(lock);
    assert!(run(&options(&dir), &mut |_| {}).is_ok());
}

#[test]
fn what_is_no_directory_of_this_version_is_refused() {
    let dir = TempDir::new().expect("a temporary directory");
    let refused = run(&options(&dir), &mut |_| {});
    assert!(matches!(refused, Err(Failure::NoShop { .. })), "{refused:?}");
    let dir = temporary(1);
    let put = |text: &str| {
        std::fs::write(dir.path().join("jupan.json"), text).expect("a temporary directory");
        run(&options(&dir), &mut |_| {})
    };
    let refused = put(r#"{"format":2,"lanes":1,"createdAt":"7"}"#);
    assert!(matches!(refused, Err(Failure::Format { found: 2, .. })), "{refused:?}");
    let refused = put("{");
    assert!(matches!(refused, Err(Failure::Settings { .. })), "{refused:?}");
}
