//! The command line.

use crate::{COULD_NOT_RUN, WRONG_USE, all, bench, remedies, replay, simulate, traces, verify};
use clap::{Parser, Subcommand};

/// Wallets, live stock and orders as a stream: one writer per partition, and a ledger that proves itself.
///
/// Without a command it runs the whole shop in one process, with nothing installed.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, max_term_width = 110)]
pub(crate) struct Call {
    #[command(flatten)]
    pub(crate) shop: all::Options,
    #[command(subcommand)]
    pub(crate) action: Option<Action>,
}

/// What can be run besides the shop.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Every role in one process, on the embedded log and store (the default)
    All(all::Options),
    /// Drive order files through a running shop; may be killed and run again
    Replay(replay::Options),
    /// Prove the invariants of a shop's data directory from its journal
    Verify(verify::Options),
    /// Run the real lanes under seeded chance and faults, and audit what they did
    Simulate(simulate::Options),
    /// Measure fixed scenarios in a temporary directory
    Bench(bench::Options),
}

/// Runs a call; the result is the exit code.
pub(crate) fn run(call: Call) -> u8 {
    match call.action {
        None => shop(&call.shop),
        Some(Action::All(options)) => shop(&options),
        Some(Action::Replay(options)) => replay::main(&options),
        Some(Action::Verify(options)) => verify::main(&options),
        Some(Action::Simulate(options)) => simulate::main(&options),
        Some(Action::Bench(options)) => bench::main(&options),
    }
}

fn shop(options: &all::Options) -> u8 {
    if let Err(wrong) = traces::start(&options.traces) {
        eprintln!("jupan: {wrong}");
        return WRONG_USE;
    }
    match all::run(options) {
        Ok(()) => crate::FINE,
        Err(error) => {
            eprintln!("jupan: {error:#}");
            if let Some(remedy) = remedies::of(&error) {
                eprintln!("jupan: {remedy}");
            }
            COULD_NOT_RUN
        }
    }
}
