//! # Replay: order files driven through a running shop
//!
//! Where in the flow: outside of it. A replay is a customer of the HTTP API like any other; it shares no
//! state with the shop and links none of its engine.
//!
//! Steps: read the files once for what they demand; register products (with stock) and users; charge the
//! users; read the orders again and place them in file order, with `occurredAt`; ask for the best
//! sellers.
//!
//! Every write has a key that follows from the files alone, so whatever got lost is sent again and takes
//! effect once: replay and shop may each be killed and started again, at any time, and the end is the
//! same.
//!
//! What never happens:
//! - two orders of one user under way at once, or started in another order than the file's;
//! - an order that the shop took twice;
//! - a line that is skipped because it could not be read: that stops the replay before the first order;
//! - memory that grows with the file, other than by 8 bytes an order.

mod demand;
mod files;
mod limits;
mod orders;
mod report;
mod schedule;
mod setup;
mod top;

use crate::{
    COULD_NOT_RUN, FINE, FOUND_A_FAULT, WRONG_USE,
    client::{Client, Patience, Stalled, UrlError},
    traces,
};
use demand::{Demand, Share};
use files::FileError;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use report::Summary;
use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

/// `jupan replay`: drives order files through a running shop.
///
/// May be killed and run again, and so may the shop: every write has a key that follows from the files,
/// so nothing takes effect twice. For other files, shares or wallets, start with an empty shop.
///
/// Exit codes: 0 every order ended as SUCCESS or FAILED; 1 an order ended otherwise; 2 wrong use or
/// files; 3 the shop could not be driven.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "replay")]
pub(crate) struct Options {
    /// CSV of `product_id,name,price`; gzipped if its name ends in .gz
    #[arg(long, value_name = "FILE")]
    pub(crate) products: PathBuf,

    /// CSV of `ts,user_id,order_ref,product_id,quantity,unit_price`, sorted by ts, lines of an order
    /// adjacent; gzipped if its name ends in .gz
    #[arg(long, value_name = "FILE")]
    pub(crate) orders: PathBuf,

    /// The shop
    #[arg(long, env = "JUPAN_URL", value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,

    /// Stock of each product: this share of the units that the orders file asks for, rounded up
    #[arg(long, env = "JUPAN_STOCK_SHARE", value_name = "DECIMAL", default_value = "1.0")]
    pub(crate) stock_share: Share,

    /// Charge every user this much, in minor units (0: nothing) [default: what its orders cost]
    #[arg(long, env = "JUPAN_WALLET", value_name = "AMOUNT",
        value_parser = clap::value_parser!(i64).range(0..=jupan_schemas::BALANCE_MAX))]
    pub(crate) wallet: Option<i64>,

    /// Requests under way at once; of one user never more than one order
    #[arg(long, env = "JUPAN_CONCURRENCY", value_name = "N", default_value_t = 64,
        value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) concurrency: u16,

    /// Give up after so many seconds in which nothing got done
    #[arg(long, env = "JUPAN_PATIENCE", value_name = "SECONDS", default_value_t = 120)]
    pub(crate) patience: u64,

    /// Also print the best sellers at every midnight UTC within the file, one line of JSON each
    #[arg(long, env = "JUPAN_TOPS")]
    pub(crate) tops: bool,

    /// No progress bars; the last line on stdout is the summary as JSON
    #[arg(long, env = "JUPAN_JSON")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) traces: traces::Options,
}

/// Why a replay could not be finished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file is not as it must be.
    #[error(transparent)]
    File(#[from] FileError),
    /// The orders file was different when it was read again.
    #[error("{} changed while it was replayed", file.display())]
    FileChanged {
        /// The orders file.
        file: PathBuf,
    },
    /// The shop's URL is none.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The shop did not answer for too long.
    #[error(transparent)]
    Stalled(#[from] Stalled),
    /// A product or user is there, but not from here.
    #[error(
        "{subject} is in the shop already, registered by somebody else; replay into an empty shop"
    )]
    Taken {
        /// `product 7`.
        subject: String,
    },
    /// A product, user or charge was made from other files or with other options.
    #[error(
        "{subject} came into the shop by a replay of other files or options; go on with those, \
         or replay into an empty shop"
    )]
    OtherReplay {
        /// `product 7`.
        subject: String,
    },
    /// The shop refused what must be there before the first order.
    #[error("{subject} was refused: {answer}")]
    Refused {
        /// `product 7`.
        subject: String,
        /// Status and code.
        answer: String,
    },
    /// The best sellers cannot be had.
    #[error(
        "the best sellers {at} cannot be had: {answer} (a shop that replays old orders needs \
         `--clock event` and `--sales-days` that cover the file)"
    )]
    Top {
        /// `now`, or `at TIME`.
        at: String,
        /// Status and code.
        answer: String,
    },
    /// A part of the replay itself failed.
    #[error("a part of the replay broke down")]
    Task(#[from] tokio::task::JoinError),
    /// Nothing can be printed.
    #[error("the report cannot be written")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// The exit code that tells this kind of error: 2 wrong use or files, 3 could not run.
    fn exit_code(&self) -> u8 {
        match self {
            Self::File(_) | Self::FileChanged { .. } | Self::Url(_) => WRONG_USE,
            _ => COULD_NOT_RUN,
        }
    }
}

/// What all steps share.
struct Shop {
    client: Client,
    patience: Patience,
    concurrency: usize,
    bars: bool,
}

impl Shop {
    /// A progress bar on stderr, if anybody looks.
    fn bar(&self, label: &'static str, length: u64) -> ProgressBar {
        let target =
            if self.bars { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        let template = "{prefix:>9} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.with_prefix(label)
    }
}

/// Runs the command; the result is the exit code.
pub(crate) fn main(options: &Options) -> u8 {
    if let Err(wrong) = traces::start(&options.traces) {
        eprintln!("jupan replay: {wrong}");
        return WRONG_USE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("jupan replay: no threads to run on: {error}");
            return COULD_NOT_RUN;
        }
    };
    match runtime.block_on(run(options, &mut std::io::stdout())) {
        Ok(code) => code,
        Err(error) => {
            let code = error.exit_code();
            eprintln!("jupan replay: {:#}", anyhow::Error::from(error));
            code
        }
    }
}

/// Replays the files, prints the report to `out` and returns its exit code.
async fn run(options: &Options, out: &mut impl Write) -> Result<u8, Error> {
    let concurrency = usize::from(options.concurrency);
    let client = Client::new(&options.url, concurrency)?;
    let (products, orders) = (options.products.clone(), options.orders.clone());
    let demand = tokio::task::spawn_blocking(move || demand::read(&products, &orders)).await??;
    if demand.other_price_lines > 0 {
        let lines = demand.other_price_lines;
        tracing::warn!(
            lines,
            "order lines name another price than the products file, which counts"
        );
    }
    let patience = Patience::new(Duration::from_secs(options.patience));
    let bars = !options.json && std::io::stderr().is_terminal();
    let shop = Arc::new(Shop { client, patience, concurrency, bars });

    setup::register_products(&shop, &demand, options.stock_share).await?;
    setup::register_users(&shop, &demand).await?;
    setup::charge(&shop, &demand, options.wallet).await?;

    let start = Instant::now();
    let tally = orders::drive(&shop, &options.orders, demand.orders).await?;
    let elapsed = start.elapsed();
    if (tally.orders, tally.lines) != (demand.orders, demand.lines) {
        return Err(Error::FileChanged { file: options.orders.clone() });
    }
    let top = top::settled(&shop).await?;
    if options.tops {
        print_tops(&shop, &demand, out).await?;
    }
    let summary = Summary::new(tally, elapsed, top);
    if options.json {
        writeln!(out, "{}", summary.json())?;
    } else {
        write!(out, "{summary}")?;
    }
    Ok(if summary.is_fine() { FINE } else { FOUND_A_FAULT })
}

async fn print_tops(shop: &Shop, demand: &Demand, out: &mut impl Write) -> Result<(), Error> {
    for at in demand.span.into_iter().flat_map(demand::midnights) {
        let top = top::fetch(shop, Some(at)).await?;
        writeln!(out, "{}", report::top_line(at, &top))?;
    }
    Ok(())
}

#[cfg(test)]
mod fake_shop;
#[cfg(test)]
mod tests;
