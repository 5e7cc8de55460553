//! Bugs on purpose, and how long it takes to find each: whether the auditor can see at all.

use crate::{campaign::run, report::Violation};
use jupan_schemas::planted::{Bug, plant};

/// A bug that was found.
#[derive(Clone, Debug)]
pub struct Catch {
    /// Which bug.
    pub bug: Bug,
    /// The seed that showed it; the hunt begins with seed 0.
    pub seed: u64,
    /// What was found in it.
    pub violation: Violation,
}

/// Plants a bug, runs seeds until one shows it, and takes the bug out again.
pub fn hunt(bug: Bug, seeds_max: u64, commands: usize) -> Option<Catch> {
    plant(Some(bug));
    let mut found = (0..seeds_max).map(|seed| run(seed, commands));
    let found = found.find_map(|run| Some((run.seed, run.violation?)));
    plant(None);
    found.map(|(seed, violation)| Catch { bug, seed, violation })
}
