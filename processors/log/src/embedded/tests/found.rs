//! What crash points found, each by its name.

use super::script::{Run, Script};
use crate::simulated::{Disk, Fault, Kind, Survival};

const SCRIPT: Script = Script { seed: 1, large_every: 1_000 };

/// A start made `a/b` of `a/b/c` and was killed; the next one made the rest, synced what it had made
/// itself, and acknowledged: a power cut then took `a`, and with it everything. The same with a start
/// that was killed between the renaming of `jupan.json` and the sync of its directory.
#[test]
fn the_names_that_a_killed_start_made_are_durable() {
    let first = Disk::default();
    first.keep_moments();
    Run::new(&first, SCRIPT, 4096).open().expect("a new log");
    let mut kills = 0;
    for moment in first.take_moments() {
        let disk = moment.kill();
        let mut run = Run::new(&disk, SCRIPT, 4096);
        run.open().expect("the start after the killed one");
        assert!(run.push());
        run.write();
        assert_eq!(run.durable, 1, "it is acknowledged");
        run.kill();
        run.disk = disk.moment().power_cut(Survival::Nothing);
        run.open().expect("the start after the power cut");
        kills += 1;
    }
    assert!(kills > 10, "a first start has only {kills} steps");
}

/// The cause of a failure said what the system said, and not about which file.
#[test]
fn a_failure_names_the_file_and_what_to_do() {
    for (kind, error, remedy) in [
        (Kind::Write, crate::simulated::ENOSPC, "make room"),
        (Kind::Sync, crate::simulated::EIO, "look at the disk"),
    ] {
        let disk = Disk::default();
        let mut run = Run::new(&disk, SCRIPT, 4096);
        run.open().expect("a new log");
        let more = if kind == Kind::Write { 1 } else { 2 };
        disk.set_fault(Fault::Once(disk.operations() + more, error));
        assert!(run.push());
        run.write();
        let cause = run.failure().expect("it failed");
        let failed = disk.failed().expect("it failed");
        assert_eq!(failed.kind, kind);
        for words in [&*failed.path.to_string_lossy(), remedy] {
            assert!(cause.contains(words), "no {words:?} in {cause:?}");
        }
    }
}
