//! `jupan simulate`: the real lanes under seeded chance and faults, audited from their journals.

use crate::{COULD_NOT_RUN, FINE, FOUND_A_FAULT};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jupan_sim::{Plan, Summary, Violation, simulate};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

// A release must not have bugs on purpose in it.
const _: () = assert!(!jupan_schemas::planted::CAN_BE_PLANTED);

/// Which seeds are run.
#[derive(Clone, Debug, Args)]
#[group(id = "simulate")]
pub(crate) struct Options {
    /// The first seed; a seed says everything that happens
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// How many seeds
    #[arg(
        long,
        default_value_t = 1_000,
        value_name = "M",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    seeds: u64,
    /// Commands of each seed, beside those that open the shop
    #[arg(
        long,
        default_value_t = 1_000,
        value_name = "K",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    commands: u32,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Of how many seeds one is run twice, to see that it does the same.
const REPEAT_EVERY: u64 = 100;

/// Runs the seeds; the result is the exit code.
pub(crate) fn main(options: &Options) -> u8 {
    let Ok(commands) = usize::try_from(options.commands) else { return COULD_NOT_RUN };
    let plan = Plan {
        seed: options.seed,
        seeds: options.seeds,
        commands,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        repeat_every: REPEAT_EVERY,
    };
    let bar = progress(options.seeds);
    let begun = Instant::now();
    let summary = simulate(&plan, &|seeds, faulty| {
        bar.set_position(seeds);
        if faulty > 0 {
            bar.set_message(format!("{faulty} with a fault"));
        }
    });
    bar.finish_and_clear();
    println!("{}", told(options, &summary, begun.elapsed()));
    if summary.violations.is_empty() { FINE } else { FOUND_A_FAULT }
}

fn progress(seeds: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{pos} of {len} seeds, {per_sec}, {eta} left {msg}");
    let bar = ProgressBar::new(seeds);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// So many a second, whole.
fn rate(count: u64, elapsed: Duration) -> u64 {
    let millis = elapsed.as_millis().max(1);
    u64::try_from(u128::from(count) * 1_000 / millis).unwrap_or(u64::MAX)
}

/// What shows a seed's fault again.
fn again(seed: u64, options: &Options) -> String {
    format!("jupan simulate --seed {seed} --seeds 1 --commands {}", options.commands)
}

/// What is printed: one line, or with `--json` one object; before it a seed with a fault a line.
fn told(options: &Options, summary: &Summary, elapsed: Duration) -> String {
    let (seeds, commands) = (rate(summary.seeds, elapsed), rate(summary.commands, elapsed));
    let hash: String = summary.hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    if options.json {
        let codes = summary.codes.iter().map(|(code, count)| (code.as_str(), *count));
        let violations =
            summary.violations.iter().map(|(seed, found)| json_of(*seed, found, options));
        let result = json!({
            "seeds": summary.seeds,
            "repeated": summary.repeated,
            "commands": summary.commands,
            "entries": summary.entries,
            "faults": summary.faults,
            "codes": codes.collect::<BTreeMap<_, _>>(),
            "hash": hash,
            "seedsPerSecond": seeds,
            "commandsPerSecond": commands,
            "violations": violations.collect::<Vec<_>>(),
        });
        return result.to_string();
    }
    let again = |(seed, found): &(u64, Violation)| {
        format!("seed {seed}: {found}\n  again: {}\n", again(*seed, options))
    };
    let found: String = summary.violations.iter().map(again).collect();
    let Summary { seeds: run, repeated, commands: all, entries, violations, .. } = summary;
    let faults: u64 = summary.faults.values().sum();
    format!(
        "{found}{run} seeds ({repeated} of them twice), {all} commands, {entries} entries, \
         {faults} faults: {} violations; {seeds} seeds/s, {commands} commands/s; hash {hash}",
        violations.len()
    )
}

fn json_of(seed: u64, found: &Violation, options: &Options) -> Value {
    json!({
        "seed": seed,
        "invariant": found.invariant.number(),
        "name": format!("{:?}", found.invariant),
        "lane": found.lane.map(|lane| lane.to_string()),
        "entry": found.sequence,
        "what": found.what,
        "again": again(seed, options),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jupan_schemas::{Lane, Role};
    use jupan_sim::Invariant;

    #[test]
    fn a_seed_with_a_fault_is_told_with_how_to_repeat_it() {
        let found = Violation {
            invariant: Invariant::Holds,
            lane: Some(Lane { role: Role::Users, index: 2 }),
            sequence: Some(7),
            what: "messages are missing".to_owned(),
        };
        let summary = Summary { seeds: 50, violations: vec![(41, found)], ..Summary::default() };
        let mut options = Options { seed: 0, seeds: 50, commands: 300, json: false };
        let again = "jupan simulate --seed 41 --seeds 1 --commands 300";
        let text = told(&options, &summary, Duration::from_secs(2));
        let first = format!(
            "seed 41: invariant 8 (Holds), lane users/2, entry 7: messages are missing\n  \
             again: {again}\n50 seeds "
        );
        assert!(text.starts_with(&first), "{text}");
        options.json = true;
        let text = told(&options, &summary, Duration::from_secs(2));
        let json: Value = serde_json::from_str(&text).expect("one object");
        assert_eq!(json["seedsPerSecond"], 25);
        let violation = &json["violations"][0];
        assert_eq!((&violation["invariant"], &violation["again"]), (&json!(8), &json!(again)));
    }
}
