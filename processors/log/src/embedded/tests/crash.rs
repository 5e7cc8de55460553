//! Every crash point of a script of 10,000 commands: before each write, sync, creation and rename the
//! power is cut, with everything surviving that may. Whatever is left opens, holds every
//! acknowledged unit, none by half, in order and without a hole, and goes on.
//!
//! A failure names its point; `JUPAN_CRASH_POINT=<operation>:<survival>` tries that one alone.
//! `JUPAN_CRASH_SEED` writes another script, `JUPAN_CRASH_COMMANDS` a longer one.

use super::script::{Run, Script, open};
use crate::embedded::Stepped;
use crate::simulated::{Disk, Kind, Moment, Random, Survival};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

const COMMANDS: usize = 10_000;
/// Small, so that a start reads little; large enough for groups of many pages.
const SEGMENT_BYTES: u64 = 32 * 1024;
/// One in so many points is read from its first record on.
const READ_WHOLE_EVERY: u64 = 150;
/// One in so many points is crashed again, at every operation of its recovery.
const CRASH_AGAIN_EVERY: u64 = 400;
/// Units before the last acknowledged one that are read at every point.
const READ_BACK_UNITS: usize = 15;

fn from_environment<T: FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// The one point to try, if there is only one.
fn only_point() -> Option<(u64, usize)> {
    let point: String = from_environment("JUPAN_CRASH_POINT")?;
    let (operation, survival) = point.split_once(':')?;
    Some((operation.parse().ok()?, survival.parse().ok()?))
}

/// A moment and what survives it.
struct Point<'a> {
    moment: &'a Moment,
    index: usize,
    survival: Survival,
}

impl std::fmt::Display for Point<'_> {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { moment, index, survival } = self;
        write!(to, "JUPAN_CRASH_POINT={}:{index} ({survival:?}", moment.number())?;
        match moment.next() {
            Some(next) => write!(to, ", before {next})"),
            None => write!(to, ", at the end)"),
        }
    }
}

/// What is known of the script at a point.
#[derive(Clone, Copy)]
struct Known {
    /// Units that somebody was told of.
    durable: usize,
    /// Units that were given to the log.
    pushed: usize,
}

/// Tries points, and counts them.
struct Trial<'a> {
    run: &'a Run,
    tried: &'a mut Tried,
}

#[derive(Default)]
struct Tried {
    moments: BTreeMap<Kind, usize>,
    points: u64,
    second_points: u64,
    read_whole: u64,
}

impl Trial<'_> {
    /// Everything that a crash at this moment may leave.
    fn moment(&mut self, moment: &Moment, known: Known, only: Option<usize>) {
        if let Some(next) = moment.next() {
            *self.tried.moments.entry(next.kind).or_default() += 1;
        }
        for (index, survival) in moment.survivals(0).into_iter().enumerate() {
            if only.is_none_or(|only| only == index) {
                self.point(&Point { moment, index, survival }, known);
            }
        }
    }

    fn point(&mut self, point: &Point<'_>, known: Known) {
        self.tried.points += 1;
        let chance = Random::of(&[point.moment.number(), point.index as u64]);
        let read_whole = chance.is_multiple_of(READ_WHOLE_EVERY);
        self.tried.read_whole += u64::from(read_whole);
        let disk = point.moment.power_cut(point.survival);
        let again = chance.is_multiple_of(CRASH_AGAIN_EVERY) || only_point().is_some();
        if again {
            disk.keep_moments();
        }
        let at = point.to_string();
        let (shown, log) = self.check(&disk, known, read_whole, &at);
        if again {
            self.crash_again(&disk, known, &at);
            self.go_on(&disk, log, shown, &at);
        }
    }

    /// Opens what is left; how many units it shows.
    fn check(&self, disk: &Disk, known: Known, read_whole: bool, at: &str) -> (usize, Stepped) {
        let log = open(disk, SEGMENT_BYTES).unwrap_or_else(|error| panic!("{at}: {error}"));
        let model = self.run.model.borrow();
        let units = model.units_in(log.log()).unwrap_or_else(|cause| panic!("{at}: {cause}"));
        let Known { durable, pushed } = known;
        assert!((durable..=pushed).contains(&units), "{at}: {units}, not {durable} to {pushed}");
        let from = if read_whole { 0 } else { durable.saturating_sub(READ_BACK_UNITS) };
        let read = model.check_from(log.log(), from);
        read.unwrap_or_else(|misread| panic!("{at}: {misread:?}"));
        (units, log)
    }

    /// Crashes at every operation of a recovery that was just made on this disk.
    fn crash_again(&mut self, disk: &Disk, known: Known, at: &str) {
        for moment in disk.take_moments() {
            let killed = self.check(&moment.kill(), known, false, &format!("{at}, killed"));
            drop(killed);
            for survival in moment.survivals(1) {
                self.tried.second_points += 1;
                let cut = format!("{at}, then {} ({survival:?})", moment.number());
                drop(self.check(&moment.power_cut(survival), known, false, &cut));
            }
        }
    }

    /// What a recovery showed stays; and the log takes more.
    fn go_on(&self, disk: &Disk, log: Stepped, shown: usize, at: &str) {
        let known = Known { durable: shown, pushed: shown };
        let at = &format!("{at}, recovered");
        let cut = disk.moment().power_cut(Survival::Nothing);
        drop(self.check(&cut, known, true, at));
        log.close();
        self.take_more(disk, shown, at);
    }

    /// What the log takes now is as durable as everything else.
    fn take_more(&self, disk: &Disk, shown: usize, at: &str) {
        let mut run = self.run.on(disk, shown, shown);
        run.open().unwrap_or_else(|error| panic!("{at}: {error}"));
        for _ in 0..4 {
            assert!(run.push(), "{at}: it takes more");
            run.write();
        }
        let known = Known { durable: run.durable, pushed: run.pushed };
        let cut = disk.moment().power_cut(Survival::Nothing);
        drop(self.check(&cut, known, false, at));
    }
}

/// A process that is killed keeps its page cache: the next one must not trust it.
fn check_kill(run: &Run, moment: &Moment, known: Known) {
    let at = format!("killed at {}", moment.number());
    let trial = Trial { run, tried: &mut Tried::default() };
    let disk = moment.kill();
    let (shown, log) = trial.check(&disk, known, false, &at);
    let at = format!("{at}, and cut later");
    let cut = disk.moment().power_cut(Survival::Nothing);
    drop(trial.check(&cut, Known { durable: shown, pushed: shown }, false, &at));
    drop(log);
    trial.take_more(&disk, shown, &at);
}

/// One turn of the script.
fn turn(run: &mut Run, random: &mut Random) {
    for _ in 0..=random.index(9) {
        assert!(run.push(), "the queue has room");
    }
    match random.below(200) {
        0 => {
            run.close();
            run.open().expect("it opens again");
        }
        1 => {
            run.kill();
            run.open().expect("it opens again");
        }
        2..8 => run.idle(),
        8..60 => run.write_first(1 + random.index(4)),
        _ => run.write(),
    }
}

/// Runs the script on this disk and tries every moment of it.
fn try_all(disk: &Disk, seed: u64, commands: usize) -> Tried {
    let only = only_point();
    disk.keep_moments();
    let mut run = Run::new(disk, Script { seed, large_every: 60 }, SEGMENT_BYTES);
    let mut random = Random::new(seed);
    let mut tried = Tried::default();
    let mut is_over = false;
    while !is_over {
        let durable = run.durable;
        is_over = run.pushed >= commands;
        let mut known = Known { durable, pushed: run.pushed };
        match run.is_open() {
            false => run.open().expect("a new log"),
            true if is_over => run.close(),
            true => turn(&mut run, &mut random),
        }
        known.pushed = known.pushed.max(run.pushed);
        let mut moments = disk.take_moments();
        if is_over {
            moments.push(disk.moment());
        }
        for moment in moments {
            if only.is_none_or(|(operation, _)| operation == moment.number()) {
                if moment.number() < 60 || random.one_in(8) {
                    check_kill(&run, &moment, known);
                }
                let mut trial = Trial { run: &run, tried: &mut tried };
                trial.moment(&moment, known, only.map(|(_, survival)| survival));
            }
        }
    }
    println!("{} units, {} operations: {:?}", run.pushed, disk.operations(), tried.moments);
    tried
}

#[test]
fn nothing_acknowledged_is_lost_wherever_power_fails() {
    let seed = from_environment("JUPAN_CRASH_SEED").unwrap_or(1);
    let commands = from_environment("JUPAN_CRASH_COMMANDS").unwrap_or(COMMANDS);
    let Tried { points, second_points, read_whole, .. } = try_all(&Disk::default(), seed, commands);
    println!("{points} crash points, {read_whole} read whole, {second_points} second crashes");
    let is_whole = only_point().is_none() && commands >= COMMANDS;
    assert!(!is_whole || points > 20_000, "only {points} points");
}

#[test]
fn a_disk_that_lies_is_found_out() {
    for kind in [Kind::Sync, Kind::SyncDir] {
        let disk = Disk::default();
        disk.ignore(kind);
        let tried = catch_unwind(AssertUnwindSafe(|| try_all(&disk, 1, 300)));
        assert!(tried.is_err(), "nothing is lost where {kind:?} does nothing");
    }
}
