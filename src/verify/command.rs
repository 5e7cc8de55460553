//! `jupan verify` on the command line.

use super::{Failure, Progress, Report, of_cluster, run};
use crate::{
    cluster::{self, Cluster},
    shop::Engine,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jupan_schemas::Codec;
use std::{
    error::Error,
    io::{IsTerminal, stderr, stdout},
    path::PathBuf,
};

/// Exit code where nothing could be proved.
const COULD_NOT_RUN: u8 = 3;
/// What a drain and a start may take.
pub(super) const OVERDUE_SLACK_MS: u64 = 60_000;

/// What to prove, and how to say it.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "verify")]
pub(crate) struct Options {
    /// The shop's data directory; the shop may be running. With --kafka and --cql the shop is there
    #[arg(long, env = "JUPAN_DATA", default_value = "./jupan-data", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// One JSON document instead of text
    #[arg(long, env = "JUPAN_JSON")]
    pub(crate) json: bool,
    /// How long an order may stay pending beyond its deadline while its lane runs
    #[arg(long, env = "JUPAN_OVERDUE_SLACK_MS", default_value_t = OVERDUE_SLACK_MS)]
    pub(crate) overdue_slack_ms: u64,
    #[command(flatten)]
    pub(crate) cluster: cluster::Options,
    /// The shop has drained: its store must have everything that the journal has
    #[arg(long, env = "JUPAN_DRAINED", value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) drained: bool,
}

/// Runs the command; the result is the exit code.
pub(crate) fn main(options: &Options) -> u8 {
    let bar = bar();
    let mut report = |progress: Progress| {
        bar.set_length(progress.bytes_total);
        bar.set_position(progress.bytes_done);
    };
    let result = match options.cluster.is_given() {
        false => run(options, &mut report),
        true => match Cluster::open_to_read(&options.cluster) {
            Ok(cluster) => {
                let codec = Codec::new(cluster.schema_ids());
                of_cluster(cluster.log(), cluster.rows(), codec, options, &mut report)
            }
            Err(error) => {
                eprintln!("jupan verify: {error:#}");
                return COULD_NOT_RUN;
            }
        },
    };
    bar.finish_and_clear();
    match result {
        Ok(report) => print(&report, options.json),
        Err(failure) => {
            eprintln!("jupan verify: {}", chain(&failure));
            COULD_NOT_RUN
        }
    }
}

fn print(report: &Report, json: bool) -> u8 {
    match report.print(json, &mut stdout().lock()) {
        Ok(()) => report.exit_code(),
        Err(error) => {
            eprintln!("jupan verify: the report cannot be written: {error}");
            COULD_NOT_RUN
        }
    }
}

fn bar() -> ProgressBar {
    let target = match stderr().is_terminal() {
        true => ProgressDrawTarget::stderr_with_hz(10),
        false => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(None, target);
    let style = ProgressStyle::with_template("verify {bar:40} {bytes}/{total_bytes} {eta}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

fn chain(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut source = failure.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
