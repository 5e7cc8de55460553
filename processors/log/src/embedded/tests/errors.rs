//! The disk refuses any single write, sync, creation or rename, with EIO or with ENOSPC: the log
//! stops there and then, says about which file, and what it acknowledged is there at the next start.

use super::script::{Run, Script, open};
use crate::embedded::OpenError;
use crate::simulated::{Disk, EIO, ENOSPC, Fault, Kind, Operation, Random, Survival};
use std::collections::BTreeMap;

/// Small, so that a short script fills several.
const SEGMENT_BYTES: u64 = 4096;
const SCRIPT: Script = Script { seed: 3, large_every: 40 };
const UNITS: usize = 80;
/// One in so many failures is followed by failures at every step of the next start.
const FAIL_AGAIN_EVERY: u64 = 15;

/// Runs the script until it is over or the log stops.
fn run_until_stopped(run: &mut Run) -> Result<(), OpenError> {
    let mut random = Random::new(SCRIPT.seed);
    run.open()?;
    while run.pushed < UNITS && run.failure().is_none() {
        for _ in 0..=random.index(3) {
            run.push();
        }
        match random.below(40) {
            0 => {
                run.close();
                run.open()?;
            }
            1 => {
                run.kill();
                run.open()?;
            }
            2..10 => run.idle(),
            10..20 => run.write_first(1),
            _ => run.write(),
        }
    }
    Ok(())
}

/// How a log that stopped says so.
fn check_told(opened: &Result<(), OpenError>, run: &mut Run, failed: &Operation, error: i32) {
    let at = format!("{failed} ({error})");
    let told = match opened {
        Err(OpenError::Io { path, source }) => format!("{}: {source}", path.display()),
        Err(other) => panic!("{at}: {other}"),
        Ok(()) => run.failure().unwrap_or_else(|| panic!("{at}: it went on")),
    };
    let system = if error == EIO { "os error 5" } else { "os error 28" };
    for words in [&failed.path.to_string_lossy(), system] {
        assert!(told.contains(words), "{at}: no {words:?} in {told:?}");
    }
    let remedy = if error == EIO { "look at the disk" } else { "make room" };
    assert!(opened.is_err() || told.contains(remedy), "{at}: no {remedy:?} in {told:?}");
}

/// After a failure nothing is written or synced, whatever is asked for.
fn check_stopped(run: &mut Run, failed: &Operation) {
    if run.is_open() {
        assert!(!run.push(), "{failed}: it takes nothing");
        run.write();
        run.idle();
        run.close();
    }
    assert_eq!(run.disk.operations(), failed.number, "{failed}: nothing is tried after it");
}

/// What may be left on the disk: of a process that ended, and after power cuts.
fn leftovers(disk: &Disk) -> Vec<Disk> {
    let moment = disk.moment();
    let cuts = moment.survivals(0).into_iter().map(|survival| moment.power_cut(survival));
    [moment.kill()].into_iter().chain(cuts).collect()
}

/// The next start shows what was acknowledged and nothing by half; what it shows stays.
fn check_next_start(run: &Run, disk: &Disk) -> Result<(), OpenError> {
    let mut next = run.on(disk, run.durable, run.pushed);
    next.open()?;
    let (shown, model) = (next.durable, run.model.clone());
    for _ in 0..3 {
        assert!(next.push(), "it takes more");
        next.write();
    }
    next.kill();
    for cut in [disk.moment().power_cut(Survival::Nothing), disk.moment().kill()] {
        let log = open(&cut, SEGMENT_BYTES)?;
        let units = model.borrow().units_in(log.log()).expect("whole units");
        assert!(units >= shown + 3, "{units} units, after {shown} and 3 more");
        model.borrow().check_from(log.log(), 0).expect("what was written");
    }
    Ok(())
}

/// Everything after the operation with this number failed; `None` where the script has no such one.
fn check(number: u64, error: i32) -> Option<Operation> {
    let disk = Disk::default();
    disk.set_fault(Fault::Once(number, error));
    let mut run = Run::new(&disk, SCRIPT, SEGMENT_BYTES);
    let opened = run_until_stopped(&mut run);
    let failed = disk.failed()?;
    check_told(&opened, &mut run, &failed, error);
    check_stopped(&mut run, &failed);
    for left in leftovers(&disk) {
        let started = check_next_start(&run, &left);
        started.unwrap_or_else(|refused| panic!("{failed} ({error}): {refused}"));
    }
    if number.is_multiple_of(FAIL_AGAIN_EVERY) {
        fail_again(&run, &failed, error);
    }
    Some(failed)
}

/// The next start fails, too, at each of its steps; the one after it does not.
fn fail_again(run: &Run, failed: &Operation, error: i32) {
    for number in 1.. {
        let disk = run.disk.moment().kill();
        disk.set_fault(Fault::Once(number, error));
        let refused = open(&disk, SEGMENT_BYTES).map(drop);
        if disk.failed().is_none() {
            assert!(number > 4, "{failed}: a start has only {number} steps");
            return;
        }
        assert!(matches!(refused, Err(OpenError::Io { .. })), "{failed}: {refused:?}");
        for left in leftovers(&disk) {
            let started = check_next_start(run, &left);
            started.unwrap_or_else(|refused| panic!("{failed}, then step {number}: {refused}"));
        }
    }
}

#[test]
fn the_log_stops_at_any_refusal_of_the_disk_and_loses_nothing() {
    let mut seen: BTreeMap<Kind, usize> = BTreeMap::new();
    for error in [EIO, ENOSPC] {
        for number in 1.. {
            let Some(failed) = check(number, error) else { break };
            *seen.entry(failed.kind).or_default() += 1;
        }
    }
    println!("refused: {seen:?}");
    let tried = |kind| seen.get(&kind).copied().unwrap_or(0);
    for (kind, least) in [(Kind::Create, 20), (Kind::Write, 100), (Kind::Sync, 100)] {
        assert!(tried(kind) > least, "{kind:?}: {seen:?}");
    }
    for kind in [Kind::Rename, Kind::SyncDir, Kind::CreateDir] {
        assert!(tried(kind) > 2, "{kind:?}: {seen:?}");
    }
}
