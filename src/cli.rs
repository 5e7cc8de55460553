//! The command line.

use crate::{
    COULD_NOT_RUN, FINE, WRONG_USE, bench, cluster, dlq, probe, remedies, replay, shop, simulate,
    traces, verify,
};
use clap::{Parser, Subcommand};

/// Wallets, live stock and orders as a stream: one writer per partition, and a ledger that proves itself.
///
/// Without a command it runs the whole shop in one process, with nothing installed.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, max_term_width = 110)]
pub(crate) struct Call {
    #[command(flatten)]
    pub(crate) shop: shop::Options,
    #[command(subcommand)]
    pub(crate) action: Option<Action>,
}

/// What can be run besides the shop.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Every role in one process, on the embedded log and store (the default), or with --kafka and --cql
    All(shop::Options),
    /// The HTTP API alone, on Kafka and CQL
    Api(shop::ApiOptions),
    /// Lanes alone, on Kafka and CQL
    Process(shop::ProcessOptions),
    /// Count and publish best sellers, on Kafka
    Analyze(shop::AnalyzeOptions),
    /// Make topics, keyspace and tables, and register schemas; safe to repeat
    Init(cluster::InitOptions),
    /// Ask a running process whether it can serve: exit code 0, or 1 while it cannot
    Probe(probe::Options),
    /// Drive order files through a running shop; may be killed and run again
    Replay(replay::Options),
    /// Prove the invariants of a shop's data directory from its journal
    Verify(verify::Options),
    /// Dead letters: records that no lane could use
    Dlq(dlq::Options),
    /// Run the real lanes under seeded chance and faults, and audit what they did
    Simulate(simulate::Options),
    /// Measure fixed scenarios in a temporary directory
    Bench(bench::Options),
}

/// Runs a call; the result is the exit code.
pub(crate) fn run(call: Call) -> u8 {
    match call.action {
        None => work(&call.shop.traces, || shop::run_all(&call.shop)),
        Some(Action::All(options)) => work(&options.traces, || shop::run_all(&options)),
        Some(Action::Api(options)) => work(&options.traces, || shop::run_api(&options)),
        Some(Action::Process(options)) => work(&options.traces, || shop::run_process(&options)),
        Some(Action::Analyze(options)) => work(&options.traces, || shop::run_analyze(&options)),
        Some(Action::Init(options)) => work(&options.traces, || cluster::init(&options)),
        Some(Action::Probe(options)) => probe::main(&options),
        Some(Action::Replay(options)) => replay::main(&options),
        Some(Action::Verify(options)) => verify::main(&options),
        Some(Action::Dlq(options)) => dlq::main(&options),
        Some(Action::Simulate(options)) => simulate::main(&options),
        Some(Action::Bench(options)) => bench::main(&options),
    }
}

fn work(traced: &traces::Options, run: impl FnOnce() -> anyhow::Result<()>) -> u8 {
    if let Err(wrong) = traces::start(traced) {
        eprintln!("jupan: {wrong}");
        return WRONG_USE;
    }
    match run() {
        Ok(()) => FINE,
        Err(error) => {
            eprintln!("jupan: {error:#}");
            if let Some(remedy) = remedies::of(&error) {
                eprintln!("jupan: {remedy}");
            }
            COULD_NOT_RUN
        }
    }
}
