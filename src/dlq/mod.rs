//! # `jupan dlq`: what became of records that no lane could use
//!
//! A letter is such a record, byte for byte, with cause and origin. `list` and `show` tell them,
//! `redrive` sends those that can be used to where they belong, `discard` says that nobody wants
//! one. What was done is a mark in a topic of its own, by the letter's offset.
//!
//! ```text
//!   dead-letters ------> letters --judged--> redrive --> user-commands, product-commands
//!   dead-letter-marks --/                      |  discard
//!          ^-----------------------------------+----'
//! ```
//!
//! **Invariants, as absences**
//! - No letter is changed or removed: the log's retention alone does that.
//! - No command is decided twice because it was sent again twice: it keeps its idempotency key, and
//!   a command too old for that is not sent at all. So all of this may be killed and run again.
//! - No letter goes round for ever: a record that was sent again says how often.
//! - No message between lanes is sent: only lanes do that.

mod desk;
mod letters;
mod standing;
mod tell;
mod work;

#[cfg(test)]
mod tests;

use crate::{COULD_NOT_RUN, cluster};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Dead letters.
#[derive(Clone, Debug, Args)]
#[group(id = "dlq")]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

/// What is done with them.
#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// Tell the letters, oldest first, and what can be done with each
    List(ListOptions),
    /// Tell all that is known of one letter, its bytes, too
    Show(ShowOptions),
    /// Send letters that can be used to where they belong; safe to repeat
    Redrive(RedriveOptions),
    /// Mark letters that nobody wants; their bytes stay as long as the log keeps them
    Discard(DiscardOptions),
}

/// Whose letters, and how to tell of them.
#[derive(Clone, Debug, Args)]
#[group(id = "dlq-where")]
struct Place {
    /// The shop's data directory; the shop may be running. With --kafka and --cql the shop is there
    #[arg(long, env = "JUPAN_DATA", default_value = "./jupan-data", value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    cluster: cluster::Options,
    /// JSON lines instead of text
    #[arg(long, env = "JUPAN_JSON")]
    json: bool,
}

/// Which of them.
#[derive(Clone, Debug, Default, Args)]
#[group(id = "dlq-filter")]
struct Filter {
    /// Only those that were refused with this code
    #[arg(long, env = "JUPAN_CODE", value_name = "CODE")]
    code: Option<String>,
    /// Only those that were read in this topic, named without the prefix
    #[arg(long, env = "JUPAN_TOPIC", value_name = "TOPIC")]
    topic: Option<String>,
}

/// What `list` is told.
#[derive(Clone, Debug, Args)]
struct ListOptions {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    filter: Filter,
    /// Also those with which something was done already
    #[arg(long, env = "JUPAN_ALL")]
    all: bool,
    /// The first offset to look at
    #[arg(long, env = "JUPAN_FROM", default_value_t = 0, value_name = "OFFSET")]
    from: u64,
    /// Letters at most
    #[arg(long, env = "JUPAN_LIMIT", default_value_t = 100, value_name = "N")]
    limit: usize,
}

/// What `show` is told.
#[derive(Clone, Debug, Args)]
struct ShowOptions {
    #[command(flatten)]
    place: Place,
    /// The letter's offset
    letter: u64,
}

/// Which letters something is done with.
#[derive(Clone, Debug, Args)]
#[group(id = "dlq-chosen")]
struct Chosen {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    filter: Filter,
    /// The letters' offsets
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    letters: Vec<u64>,
    /// All that are open, as far as --code and --topic let them through
    #[arg(long, env = "JUPAN_ALL")]
    all: bool,
    /// Say what would be done, and change nothing
    #[arg(long, env = "JUPAN_DRY_RUN")]
    dry_run: bool,
    /// Who does it, for the mark
    #[arg(long, env = "JUPAN_ACTOR", default_value_t = user(), value_name = "NAME")]
    actor: String,
}

/// What `redrive` is told.
#[derive(Clone, Debug, Args)]
struct RedriveOptions {
    #[command(flatten)]
    chosen: Chosen,
    /// How often the same record may be sent again
    #[arg(long, env = "JUPAN_REDRIVES_MAX", default_value_t = 3, value_name = "N")]
    redrives_max: u32,
}

/// What `discard` is told.
#[derive(Clone, Debug, Args)]
struct DiscardOptions {
    #[command(flatten)]
    chosen: Chosen,
    /// Why, for the mark
    #[arg(long, env = "JUPAN_REASON", value_name = "TEXT")]
    reason: Option<String>,
}

/// Whoever is logged in.
fn user() -> String {
    std::env::var("USER").unwrap_or_else(|_| "operator".to_owned())
}

/// Runs the command; the result is the exit code.
pub(crate) fn main(options: &Options) -> u8 {
    let done = match &options.action {
        Action::List(options) => tell::list(options),
        Action::Show(options) => tell::show(options),
        Action::Redrive(options) => work::redrive(options),
        Action::Discard(options) => work::discard(options),
    };
    done.unwrap_or_else(|error| {
        eprintln!("jupan dlq: {error:#}");
        COULD_NOT_RUN
    })
}
