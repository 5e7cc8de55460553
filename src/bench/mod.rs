//! `jupan bench`: fixed scenarios in a directory of their own, with the machine's facts, medians of
//! several rounds, and a share-of-the-limit line. A run counts only if `verify` is green after it.

mod engine;
mod http;
mod machine;
mod report;
mod scratch;

use crate::{COULD_NOT_RUN, FINE, FOUND_A_FAULT, WRONG_USE};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What is measured, and how often.
#[derive(Clone, Debug, Args)]
#[group(id = "bench")]
pub(crate) struct Options {
    #[command(subcommand)]
    scenario: Scenario,
}

/// The scenarios.
#[derive(Clone, Debug, Subcommand)]
enum Scenario {
    /// Orders through log and lanes, without HTTP, durable
    Engine(Plan),
    /// Orders over HTTP, durable, against this binary as a process of its own
    Http(Plan),
}

/// How a scenario is run.
#[derive(Clone, Debug, Args)]
pub(crate) struct Plan {
    /// Where the temporary data directory is made; not on a memory file system
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Counted rounds
    #[arg(
        long,
        default_value_t = 3,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=100)
    )]
    pub(crate) rounds: u32,
    /// Length of one round
    #[arg(
        long,
        default_value_t = 10,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    pub(crate) seconds: u64,
    /// Registered users
    #[arg(
        long,
        default_value_t = 10_000,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(crate) users: u64,
    /// Registered products
    #[arg(
        long,
        default_value_t = 1_000,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(3..)
    )]
    pub(crate) products: u64,
    /// Lines an order
    #[arg(
        long,
        default_value_t = 3,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=100)
    )]
    pub(crate) lines: u64,
    /// Product 1 is in every order
    #[arg(long)]
    pub(crate) hot: bool,
    /// Orders in flight (engine) or connections (http)
    #[arg(long, value_name = "N")]
    pub(crate) in_flight: Option<usize>,
    /// End with one JSON line instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs a scenario; the result is the exit code.
pub(crate) fn main(options: &Options) -> u8 {
    let (name, plan) = match &options.scenario {
        Scenario::Engine(plan) => ("engine", plan),
        Scenario::Http(plan) => ("http", plan),
    };
    if plan.lines > plan.products {
        eprintln!("jupan bench: an order of {} lines needs as many products", plan.lines);
        return WRONG_USE;
    }
    let facts = match machine::facts(&plan.dir) {
        Ok(facts) => facts,
        Err(refused) => {
            eprintln!("jupan bench: {refused}");
            return refused.exit_code();
        }
    };
    let measured = match &options.scenario {
        Scenario::Engine(plan) => engine::run(plan, &facts),
        Scenario::Http(plan) => http::run_scenario(plan, &facts),
    };
    match measured {
        Ok(report) => {
            report.print(name, plan, &facts);
            if report.verified { FINE } else { FOUND_A_FAULT }
        }
        Err(error) => {
            eprintln!("jupan bench: {error:#}");
            COULD_NOT_RUN
        }
    }
}
