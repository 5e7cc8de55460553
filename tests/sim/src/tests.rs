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

/// More of them: `JUPAN_SEEDS=10000 cargo test -p jupan-sim`.
#[test]
fn whatever_happens_every_input_leads_to_what_it_must() {
    let number = |name: &str, usual| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    let plan = Plan {
        seed: number("JUPAN_SEED", 0),
        seeds: number("JUPAN_SEEDS", 100),
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
    if plan.seeds >= 100 {
        let missing = REACHED.iter().filter(|code| !summary.codes.contains_key(*code));
        assert_eq!(missing.collect::<Vec<_>>(), [&Code::Ok; 0], "never decided");
        let happened = |fault| summary.faults.contains_key(&format!("{fault:?}"));
        let missing = Fault::ALL.map(|(fault, _)| fault).into_iter().filter(|at| !happened(*at));
        assert_eq!(missing.collect::<Vec<_>>(), [], "never happened");
    }
}

/// Every planted bug is found, and the same seed is green without it.
/// `cargo test --release -p jupan-sim --features planted-bugs` prints what found each.
#[cfg(feature = "planted-bugs")]
#[test]
fn every_planted_bug_is_found() {
    use crate::{planted::hunt, run};
    use jupan_schemas::planted::Bug;
    const SEEDS_MAX: u64 = 10_000;
    let missed: Vec<Bug> = std::thread::scope(|scope| {
        let (all, half) = (Bug::ALL, Bug::ALL.len().div_ceil(2));
        let hunts = all.chunks(half).map(|bugs| {
            scope.spawn(move || {
                let is_missed = |bug: &&Bug| {
                    let Some(found) = hunt(**bug, SEEDS_MAX, 1_000) else { return true };
                    println!("{bug:?}: seed {}, {}", found.seed, found.violation);
                    let without = run(found.seed, 1_000).violation;
                    assert_eq!(without, None, "seed {} without {bug:?}", found.seed);
                    false
                };
                bugs.iter().filter(is_missed).copied().collect::<Vec<Bug>>()
            })
        });
        let hunts: Vec<_> = hunts.collect();
        hunts.into_iter().flat_map(|hunt| hunt.join().expect("a hunt")).collect()
    });
    assert_eq!(missed, [], "within {SEEDS_MAX} seeds");
}
