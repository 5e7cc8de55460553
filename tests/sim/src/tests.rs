//! Seeds of the test suite; many more by `jupan simulate`.

use crate::{Plan, faults::Fault, simulate};
use jupan_schemas::Code;

/// Every code that a lane decides: a run that never gets there proves nothing about it.
const REACHED: [Code; 32] = [
    Code::Ok,
    Code::Malformed,
    Code::InvalidId,
    Code::InvalidName,
    Code::InvalidEmail,
    Code::InvalidAmount,
    Code::InvalidPrice,
    Code::InvalidQuantity,
    Code::InvalidLines,
    Code::InvalidKey,
    Code::InvalidTime,
    Code::UserNotFound,
    Code::ProductNotFound,
    Code::OrderNotFound,
    Code::InsufficientBalance,
    Code::OutOfStock,
    Code::Cancelled,
    Code::Expired,
    Code::OrderExpired,
    Code::OrderNotPending,
    Code::OrderNotReady,
    Code::OrderNotPaid,
    Code::RefundExceeds,
    Code::CartEmpty,
    Code::CartFull,
    Code::AlreadyExists,
    Code::StockLimit,
    Code::IdempotencyKeyReused,
    Code::CommandTooOld,
    Code::CommandFromFuture,
    Code::BalanceLimit,
    Code::WrongPartition,
];

/// Seeds from which on everything must have been reached.
const SEEDS: u64 = 60;

/// More of them: `JUPAN_SEEDS=10000 cargo test -p jupan-sim`.
#[test]
fn whatever_happens_every_input_leads_to_what_it_must() {
    let number = |name: &str, usual| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    let plan = Plan {
        seed: number("JUPAN_SEED", 0),
        seeds: number("JUPAN_SEEDS", SEEDS),
        commands: 1_000,
        threads: 2,
        repeat_every: 100,
    };
    let summary = simulate(&plan, &|_, _| {});
    let found: Vec<String> =
        summary.violations.iter().map(|(seed, found)| format!("seed {seed}: {found}")).collect();
    let again = "again: jupan simulate --seeds 1 --seed";
    assert!(found.is_empty(), "{}\n{again} {}", found.join("\n"), summary.violations[0].0);
    println!("{summary:?}");
    if plan.seeds >= SEEDS {
        let missing = REACHED.iter().filter(|code| !summary.codes.contains_key(*code));
        assert_eq!(missing.collect::<Vec<_>>(), [&Code::Ok; 0], "never decided");
        let happened = |fault| summary.faults.contains_key(&format!("{fault:?}"));
        let missing = Fault::ALL.map(|(fault, _)| fault).into_iter().filter(|at| !happened(*at));
        assert_eq!(missing.collect::<Vec<_>>(), [], "never happened");
    }
}

/// Found by more seeds: a lane was taken over in the middle of its turn and went on with rows that
/// its successor had moved on, or no longer found a hold that had ended since. It stopped as broken,
/// though nothing was, instead of asking whether the lane was still its own.
#[test]
fn a_former_owner_that_meets_its_successors_rows_is_fenced_not_broken() {
    for seed in [5_000_099, 5_000_658, 5_002_813, 5_004_033, 5_004_431, 5_008_622] {
        assert_eq!(crate::run(seed, 1_000).violation, None, "seed {seed}");
    }
}

/// Found by more seeds: a takeover in the middle of a turn met a record from ahead of its clock, the
/// clock caught up, and only then was the takeover's stop looked at.
#[test]
fn a_clock_that_caught_up_since_still_excuses_a_stop() {
    for seed in [7_026_973, 7_092_575] {
        assert_eq!(crate::run(seed, 1_000).violation, None, "seed {seed}");
    }
}

/// Found by more seeds: reminders were repeated while earlier ones still lay unread, and the lane had
/// more to read with every turn.
#[test]
fn a_lane_that_lags_comes_to_rest() {
    assert_eq!(crate::run(7_020_444, 1_000).violation, None);
}

/// Every planted bug is found, and the same seed is green without it.
/// `cargo test --release -p jupan-sim --features planted-bugs` prints what found each.
#[cfg(feature = "planted-bugs")]
#[test]
fn every_planted_bug_is_found() {
    use crate::{planted::hunt, run};
    use jupan_schemas::planted::Bug;
    use std::sync::atomic::{AtomicUsize, Ordering};
    const SEEDS_MAX: u64 = 10_000;
    let next = AtomicUsize::new(0);
    let hunts = || {
        let mut missed = Vec::new();
        while let Some(bug) = Bug::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Some(found) = hunt(*bug, SEEDS_MAX, 1_000) else {
                missed.push(*bug);
                continue;
            };
            println!("{bug:?}: seed {}, {}", found.seed, found.violation);
            let without = run(found.seed, 1_000).violation;
            assert_eq!(without, None, "seed {} without {bug:?}", found.seed);
        }
        missed
    };
    let missed: Vec<Bug> = std::thread::scope(|scope| {
        let hunters = [scope.spawn(hunts), scope.spawn(hunts)];
        hunters.into_iter().flat_map(|hunter| hunter.join().expect("a hunter")).collect()
    });
    assert_eq!(missed, [], "within {SEEDS_MAX} seeds");
}
