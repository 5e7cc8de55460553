//! The disk itself: what survives, and what fails.

use super::{Disk, EIO, ENOSPC, Fault, Kind, Survival};
use crate::embedded::files::{Files, SegmentFile};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

const OLD: u8 = b'o';
const NEW: u8 = b'n';
const PAGE_BYTES: usize = 4096;

fn path(name: &str) -> &Path {
    Path::new(name)
}

/// A disk with one durable file of three pages.
fn disk() -> (Disk, Arc<dyn SegmentFile>) {
    let disk = Disk::default();
    let file = disk.create(path("file")).expect("create");
    file.write_all_at(&[OLD; 3 * PAGE_BYTES], 0).expect("write");
    file.sync_data().expect("sync");
    disk.sync_dir(path(".")).expect("sync");
    (disk, file)
}

fn contents(disk: &Disk) -> Vec<u8> {
    disk.contents(path("file")).expect("the file")
}

/// What any crash may leave of the file.
fn survivors(disk: &Disk) -> Vec<(Survival, Vec<u8>)> {
    let all = (0..50).flat_map(|seed| disk.moment().survivals(seed));
    all.map(|survival| (survival, contents(&disk.moment().power_cut(survival)))).collect()
}

#[test]
fn what_was_synced_survives_everything() {
    let (disk, file) = disk();
    file.write_all_at(&[NEW; 2 * PAGE_BYTES], 100).expect("write");
    file.sync_data().expect("sync");
    let now = contents(&disk);
    assert!(survivors(&disk).iter().all(|(_, left)| *left == now));
}

#[test]
fn every_combination_of_pages_of_the_newest_write_is_tried() {
    let (disk, file) = disk();
    file.write_all_at(&[NEW; 3 * PAGE_BYTES], 0).expect("write");
    let pages = |left: &[u8]| left.chunks(PAGE_BYTES).map(|page| page[0]).collect::<Vec<_>>();
    let whole = survivors(&disk);
    let whole = whole.iter().filter(|(survival, _)| !matches!(survival, Survival::Garbage { .. }));
    let tried: BTreeSet<Vec<u8>> = whole.map(|(_, left)| pages(left)).collect();
    assert_eq!(tried.len(), 8);
    assert!(tried.iter().flatten().all(|byte| [OLD, NEW].contains(byte)));
}

#[test]
fn a_write_changes_no_byte_but_its_own_whatever_survives() {
    let (disk, file) = disk();
    let (start, end) = (PAGE_BYTES - 700, PAGE_BYTES + 1_000);
    file.write_all_at(&[NEW; 1_700], start as u64).expect("write");
    let mut torn = BTreeSet::new();
    for (survival, left) in survivors(&disk) {
        assert!(left[..start].iter().chain(&left[end..]).all(|byte| *byte == OLD), "{survival:?}");
        let is_old_or_new = left[start..end].iter().all(|byte| [OLD, NEW].contains(byte));
        let is_garbage = matches!(survival, Survival::Garbage { .. });
        assert!(is_old_or_new || is_garbage, "{survival:?}");
        torn.insert(left);
    }
    assert!(torn.len() > 20, "{} ways to tear a write", torn.len());
}

#[test]
fn a_file_that_grew_may_be_of_any_length() {
    let (disk, file) = disk();
    file.write_all_at(&[NEW; 2 * PAGE_BYTES], 3 * PAGE_BYTES as u64).expect("write");
    let lengths: BTreeSet<usize> = survivors(&disk).iter().map(|(_, left)| left.len()).collect();
    assert!(lengths.contains(&(3 * PAGE_BYTES)) && lengths.contains(&(5 * PAGE_BYTES)));
    assert!(lengths.len() > 5, "{lengths:?}");
}

#[test]
fn names_last_when_their_directory_is_synced() {
    let (disk, file) = disk();
    disk.create_dir(path("dir")).expect("create");
    disk.create(path("dir/file")).expect("create");
    disk.sync_dir(path("dir")).expect("sync");
    let cut = disk.moment().power_cut(Survival::Nothing);
    assert!(!cut.is_dir(path("dir")), "nothing is left of a directory without a name");
    assert!(cut.contents(path("dir/file")).is_none());
    disk.sync_dir(path(".")).expect("sync");
    let cut = disk.moment().power_cut(Survival::Nothing);
    assert_eq!(cut.list(path("dir")).expect("list"), [path("dir/file")]);
    drop(file);
    disk.create(path("new")).expect("create");
    disk.rename(path("new"), path("file")).expect("rename");
    let cut = |survival| contents(&disk.moment().power_cut(survival)).len();
    assert_eq!(cut(Survival::Nothing), 3 * PAGE_BYTES, "the old one");
    assert_eq!(cut(Survival::Everything), 0, "the new one");
    assert!(disk.contents(path("new")).is_none());
}

#[test]
fn a_killed_process_leaves_its_cache_and_no_more() {
    let (disk, file) = disk();
    let lock = disk.lock(path("LOCK")).expect("lock").expect("it is free");
    file.write_all_at(&[NEW; 10], 0).expect("write");
    assert!(disk.lock(path("LOCK")).expect("lock").is_none(), "it is held");
    let next = disk.moment().kill();
    assert!(next.lock(path("LOCK")).expect("lock").is_some());
    assert_eq!(contents(&next)[0], NEW, "the next process sees it");
    assert_eq!(contents(&next.moment().power_cut(Survival::Nothing))[0], OLD, "it is not durable");
    drop(lock);
    assert!(disk.lock(path("LOCK")).expect("lock").is_some());
}

#[test]
fn a_failed_sync_proves_nothing_for_the_next_one() {
    let mut lost = 0;
    for number in 1..50 {
        let (disk, file) = disk();
        while disk.operations() < number + 10 {
            disk.create(path("other")).expect("create");
        }
        file.write_all_at(&[NEW; 10], 0).expect("write");
        disk.set_fault(Fault::Once(disk.operations() + 1, EIO));
        let failed = file.sync_data().expect_err("it fails");
        assert_eq!(failed.raw_os_error(), Some(EIO));
        assert_eq!(disk.failed().map(|failed| failed.kind), Some(Kind::Sync));
        file.sync_data().expect("the next one succeeds");
        assert_eq!(contents(&disk)[0], NEW, "it is still seen");
        lost += u32::from(contents(&disk.moment().power_cut(Survival::Everything))[0] == OLD);
    }
    assert!((10..40).contains(&lost), "lost {lost} of 49 times");
}

#[test]
fn what_fails_leaves_nothing_but_a_part_of_a_write() {
    let (disk, file) = disk();
    let fail = |error| disk.set_fault(Fault::Once(disk.operations() + 1, error));
    let check = |done: io::Result<()>, error| {
        assert_eq!(done.expect_err("it fails").raw_os_error(), Some(error));
    };
    fail(ENOSPC);
    check(disk.create(path("other")).map(drop), ENOSPC);
    fail(EIO);
    check(disk.rename(path("file"), path("other")), EIO);
    fail(EIO);
    check(disk.remove(path("file")), EIO);
    fail(ENOSPC);
    check(disk.create_dir(path("other")), ENOSPC);
    assert!(disk.contents(path("other")).is_none() && !disk.is_dir(path("other")));
    fail(ENOSPC);
    check(file.write_all_at(&[NEW; 1_000], 0), ENOSPC);
    let written = contents(&disk).iter().filter(|byte| **byte == NEW).count();
    assert!(written > 0 && written < 1_000, "{written} bytes");
}

#[test]
fn a_process_that_has_ended_changes_nothing_more() {
    let (disk, file) = disk();
    disk.set_fault(Fault::From(disk.operations() + 1));
    file.write_all_at(&[NEW; 1_000], 0).expect_err("it has ended");
    let left = contents(&disk);
    file.write_all_at(&[NEW; 1_000], 2_000).expect_err("it has ended");
    file.sync_data().expect_err("it has ended");
    disk.remove(path("file")).expect_err("it has ended");
    assert_eq!(contents(&disk), left);
    assert_eq!(contents(&disk.moment().power_cut(Survival::Nothing))[0], OLD);
}

#[test]
fn moments_are_those_before_each_operation() {
    let (disk, file) = disk();
    disk.keep_moments();
    file.write_all_at(&[NEW; 10], 0).expect("write");
    file.sync_data().expect("sync");
    let moments = disk.take_moments();
    let kinds: Vec<_> = moments.iter().filter_map(|moment| Some(moment.next()?.kind)).collect();
    assert_eq!(kinds, [Kind::Write, Kind::Sync]);
    let seen: Vec<_> = moments.iter().map(|moment| contents(&moment.kill())[0]).collect();
    assert_eq!(seen, [OLD, NEW]);
    assert!(disk.take_moments().is_empty());
}
