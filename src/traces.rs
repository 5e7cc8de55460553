//! Diagnostic output: traces to standard error, as text or JSON. They carry command id, trace id
//! and lane, and never names, addresses or keys.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How traces look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Which traces, and how they look.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "traces")]
pub(crate) struct Options {
    /// Which traces to show: a level (error, warn, info, debug, trace), or directives such as
    /// `info,jupan_processors=debug`
    #[arg(
        long,
        env = "JUPAN_TRACE",
        default_value = "info,fjall=warn,lsm_tree=warn",
        value_name = "FILTER"
    )]
    pub(crate) trace: String,
    /// How traces look
    #[arg(long, env = "JUPAN_TRACE_FORMAT", value_enum, default_value = "text")]
    pub(crate) trace_format: Format,
}

/// Starts tracing for the process.
///
/// # Errors
/// What is wrong with the filter.
pub(crate) fn start(options: &Options) -> Result<(), String> {
    let filter = EnvFilter::try_new(&options.trace).map_err(|error| format!("--trace: {error}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(true);
    match options.trace_format {
        Format::Text => builder.init(),
        Format::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
