//! Many seeds, some of them twice.

use crate::{
    auditor::Facts,
    report::{Invariant, Run, Summary, VIOLATIONS_MAX, Violation},
    world::{Audited, World},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Which seeds are run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The first one.
    pub seed: u64,
    /// How many.
    pub seeds: u64,
    /// Commands of each.
    pub commands: usize,
    /// Threads; each runs whole seeds.
    pub threads: usize,
    /// Of how many seeds one is run twice.
    pub repeat_every: u64,
}

/// Runs one seed.
pub fn run(seed: u64, commands: usize) -> Run {
    let mut world = World::new(seed, commands);
    let lived = catch_unwind(AssertUnwindSafe(|| world.run()));
    let (audited, violation) = match lived {
        Ok(Ok(audited)) => (Some(audited), None),
        Ok(Err(violation)) => (None, Some(violation)),
        Err(panic) => (None, Some(panicked(panic.as_ref()))),
    };
    let hash = hash(&world, audited.as_ref());
    let Facts { entries, codes, .. } = audited.map(|audited| audited.facts).unwrap_or_default();
    let faults = world.faults.iter().map(|(fault, count)| (format!("{fault:?}"), *count)).collect();
    Run { seed, hash, commands: world.commands, entries, faults, codes, violation }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Violation {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    Violation::new(Invariant::Stops, format!("a panic: {}", text.unwrap_or("without a word")))
}

/// Of inputs, journals, feeds, outcomes told and rows.
fn hash(world: &World, audited: Option<&Audited>) -> [u8; 32] {
    let mut hasher = world.told.hasher.clone();
    let Some(Audited { facts, evidence }) = audited else { return *hasher.finalize().as_bytes() };
    evidence.hash(&mut hasher);
    for (_, row) in facts.rows.values() {
        // Writing into a hash cannot fail.
        serde_json::to_writer(&mut hasher, row).ok();
    }
    *hasher.finalize().as_bytes()
}

/// Runs a seed, and now and then again: it must come to the same.
fn run_checked(plan: &Plan, seed: u64) -> (Run, bool) {
    let mut first = run(seed, plan.commands);
    let again = plan.repeat_every > 0 && seed.is_multiple_of(plan.repeat_every);
    if again && first.violation.is_none() && run(seed, plan.commands).hash != first.hash {
        let what = "the second run of this seed came to another hash";
        first.violation = Some(Violation::new(Invariant::Repeatable, what));
    }
    (first, again)
}

/// Runs a plan; `progress` hears how many seeds are done and how many of them found something.
pub fn simulate(plan: &Plan, progress: &(dyn Fn(u64, usize) + Sync)) -> Summary {
    let (next, summary) = (AtomicU64::new(0), Mutex::new(Summary::default()));
    let lock = || summary.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        for _ in 0..plan.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= plan.seeds || lock().violations.len() >= VIOLATIONS_MAX {
                        return;
                    }
                    let (run, again) = run_checked(plan, plan.seed.wrapping_add(number));
                    let mut summary = lock();
                    summary.add(run);
                    summary.repeated += u64::from(again);
                    progress(summary.seeds, summary.violations.len());
                }
            });
        }
    });
    summary.into_inner().unwrap_or_else(PoisonError::into_inner)
}
