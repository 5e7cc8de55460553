//! # `jupan verify`: proves a shop's invariants from its data directory
//!
//! Opens the directory itself, read-only, and shares nothing with the engine but the codec and
//! `evolve`: segments, frames and records are read by a reader of its own, balances are added up
//! from postings alone, and orders and carts are followed by a model of its own. That model works
//! out what every input must come to before it looks at the entry; what an entry says it decided
//! and left behind is compared, never believed.
//!
//! ```text
//!   segments -> frames -> records
//!     first pass:  inputs, journal, accounts, outcomes, orders, holds, carts, sales, fold
//!     second pass: fold again, by reading rows back: the same state hash
//!                  and the store's rows against it, each at its own entry
//! ```
//!
//! Beside a running shop both passes read what it has noted as durable, and the shop tells its rows
//! itself. What was read is a prefix of one file, in which every cause lies before its
//! effect: a cut through all lanes at which sums, holds and messages must fit.
//!
//! **Invariants, as absences**
//! - Nothing is written, neither in the log nor in the store.
//! - There is no check that believes a balance, a status or a hash because the journal says so.
//! - There is no record that is left out: every one is decided, derived, or named as a fault.
//! - No record is kept that an entry is about: what is in flight, and what the entries came to, is
//!   all there is, and of what has ended no more than a later entry may ask for, small.
//! - There is no row that is compared with another moment than its own.

mod accounts;
mod archive;
mod audit;
mod book;
mod capture;
mod carts;
mod catalogue;
mod command;
mod derived;
mod due;
mod ends;
mod envelope;
mod findings;
mod floor;
mod fold;
mod frames;
mod holds;
mod horizon;
mod inputs;
mod journal;
mod lanes;
mod limits;
mod locate;
mod order;
mod orders;
mod outcomes;
mod payments;
mod placing;
mod records;
mod refold;
mod refunds;
mod refusals;
mod report;
mod rest;
mod rows;
mod scratch;
mod segments;
mod settings;
mod shelf;
mod state;
mod tops;
mod walk;

#[cfg(test)]
mod tests;

pub(crate) use command::{Options, main};
pub(crate) use report::Report;

use crate::{cluster::Cluster, shop::Engine};
use audit::Audit;
use findings::{Desk, Findings, Invariant, Place};
use horizon::{Closing, Horizon, Patience};
use jupan_log::Log;
use jupan_schemas::{Codec, OrderStatus};
use jupan_store::ScanStore;
use refold::{Hashes, Refolded};
use report::{Facts, MoneyFacts, Speed, UnitFacts};
use rows::Rows;
use scratch::Scratch;
use segments::{Corruption, Directory};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use walk::{Advance, Walk, Walker};

/// How often the progress is told while only the second pass is left.
const REPORT_EVERY: Duration = Duration::from_millis(10);

/// How far a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes of the log that were looked at, over both passes.
    pub(crate) bytes_done: u64,
    /// Bytes to look at in all.
    pub(crate) bytes_total: u64,
}

/// Why nothing can be proved. Faults of the shop are findings, not failures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// There is no shop.
    #[error("{path} does not exist: this is no data directory of a shop", path = path.display())]
    NoShop {
        /// What is missing.
        path: PathBuf,
    },
    /// A shop runs on the directory and does not answer.
    #[error(
        "{data} is locked: a shop is running, and does not answer at verify.sock there",
        data = data.display()
    )]
    Silent {
        /// The data directory.
        data: PathBuf,
        /// Why there is no answer.
        #[source]
        source: std::io::Error,
    },
    /// A running shop says that it cannot tell its rows.
    #[error("the running shop cannot tell its rows: {said}")]
    Unhelpful {
        /// What it says.
        said: String,
    },
    /// The shop has ended, and another start of it is running.
    #[error("the shop was started again meanwhile: verify it once more")]
    Restarted,
    /// The log should go on and does not.
    #[error("the running shop's log does not go on at position {position}")]
    Stuck {
        /// Where.
        position: u64,
    },
    /// A shop's log cannot be read.
    #[error("the shop's log cannot be read")]
    Log {
        /// Why.
        #[source]
        source: jupan_log::ReadError,
    },
    /// A shop's store cannot be read.
    #[error("the shop's store cannot be read")]
    Rows {
        /// Why.
        #[source]
        source: jupan_store::StoreError,
    },
    /// The shop's rows do not come to disk.
    #[error("the running shop does not bring its rows to disk")]
    Unsaved,
    /// Rows change faster than the journal is read.
    #[error("more than {rows} rows have changed while they were told: stop the shop first")]
    TooMany {
        /// The limit.
        rows: usize,
    },
    /// The store's files cannot be looked at.
    #[error("the store cannot be looked at")]
    Store {
        /// Why.
        #[source]
        source: jupan_store::embedded::OpenError,
    },
    /// A file cannot be read.
    #[error("{path} cannot be read", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// `jupan.json` is not what it should be.
    #[error("{path} cannot be understood", path = path.display())]
    Settings {
        /// Where it lies.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The directory has a format that this version does not read.
    #[error("{path} names format {found}; this version reads format 1", path = path.display())]
    Format {
        /// Where it is said.
        path: PathBuf,
        /// The format named.
        found: u32,
    },
}

impl Failure {
    fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }
}

/// Proves the invariants of a data directory whose shop has ended well, without telling how far it
/// is.
///
/// # Errors
/// [`Failure`] where nothing can be proved.
pub(crate) fn of(data: &Path) -> Result<Report, Failure> {
    run(&drained(data), &mut |_| {})
}

/// The same of a cluster whose shop has ended well.
///
/// # Errors
/// [`Failure`] where nothing can be proved.
pub(crate) fn of_ended(cluster: &Cluster) -> Result<Report, Failure> {
    let codec = Codec::new(cluster.schema_ids());
    let options = drained(Path::new(""));
    of_cluster(cluster.log(), cluster.rows(), codec, &options, &mut |_| {})
}

fn drained(data: &Path) -> Options {
    Options {
        data: data.to_owned(),
        json: false,
        overdue_slack_ms: command::OVERDUE_SLACK_MS,
        drained: true,
        cluster: Default::default(),
    }
}

/// Proves the invariants of a data directory, and reports what does not hold.
///
/// # Errors
/// [`Failure`] where nothing can be proved.
pub(crate) fn run(options: &Options, report: &mut dyn FnMut(Progress)) -> Result<Report, Failure> {
    let began = Instant::now();
    let directory = Directory::open(&options.data)?;
    let mut findings = Findings::default();
    let was_drained = options.drained && !directory.is_running();
    let rows = look_for_rows(&directory, was_drained, &mut findings)?;
    let evidence = Evidence { directory, rows, findings, was_drained, began };
    prove(evidence, options.overdue_slack_ms, report)
}

/// Proves the invariants of a shop whose log and store anybody may read, whether it runs or not:
/// from copies of both, made below the temporary directory.
///
/// # Errors
/// [`Failure`] where nothing can be proved.
pub(crate) fn of_cluster(
    log: Arc<dyn Log>,
    store: &dyn ScanStore,
    codec: Codec,
    options: &Options,
    report: &mut dyn FnMut(Progress),
) -> Result<Report, Failure> {
    let began = Instant::now();
    let scratch = Scratch::below(&std::env::temp_dir())?;
    let shop = capture::Shop::new(log, codec.clone())?;
    let rows = Some(rows::dump(store, &scratch.path().join("rows"))?);
    let copy = scratch.path().join("log");
    capture::line_up(&shop, &copy)?;
    let directory = Directory::open_captured(&copy, codec)?;
    let (findings, was_drained) = (Findings::default(), options.drained);
    let evidence = Evidence { directory, rows, findings, was_drained, began };
    prove(evidence, options.overdue_slack_ms, report)
}

/// What is to be proved.
struct Evidence {
    directory: Directory,
    rows: Option<Box<dyn rows::Source>>,
    /// What was found on the way here.
    findings: Findings,
    was_drained: bool,
    began: Instant,
}

fn prove(
    evidence: Evidence,
    overdue_slack_ms: u64,
    report: &mut dyn FnMut(Progress),
) -> Result<Report, Failure> {
    let Evidence { directory, rows, findings, was_drained, began } = evidence;
    let mut audit = Audit::new(&directory);
    audit.findings = findings;
    let (walk, again) = read_twice(&directory, rows, was_drained, &mut audit, report)?;
    let corruption =
        first_damage(&directory, walk.corruption.as_ref().or(again.corruption.as_ref()));
    if let Some(corruption) = corruption {
        damaged(corruption, &mut audit.findings);
    }
    let is_complete = corruption.is_none();
    if is_complete {
        at_rest(&mut audit, overdue_slack_ms);
    }
    let mut facts = facts(&directory, &walk, &audit);
    facts.store = again.store;
    let first = first_fold(&mut audit);
    let mut findings = audit.findings;
    facts.state_hash = refold::compare(&first, again, &mut findings);
    let speed = Speed::new(facts.entries, began.elapsed());
    Ok(Report { facts, findings, is_complete, speed })
}

/// Where the store's rows come from, if there are any.
fn look_for_rows(
    directory: &Directory,
    was_drained: bool,
    findings: &mut Findings,
) -> Result<Option<Box<dyn rows::Source>>, Failure> {
    if directory.lanes == 0 {
        return Ok(None);
    }
    let rows = match directory.is_running() {
        true => rows::running(&directory.path)?,
        false => rows::at_rest(&directory.path)?,
    };
    let mut desk = Desk { findings, place: Place::default() };
    match rows {
        Rows::From(source) => return Ok(Some(source)),
        Rows::Broken(cause) => desk.fault(Invariant::Rows, "store", "readable tables", cause),
        Rows::None(why) if was_drained => {
            desk.fault(Invariant::Reads, "store after a drain", "all rows", why);
        }
        Rows::None(_) => {}
    }
    Ok(None)
}

/// Both passes, side by side: the second shares nothing with the first but the files.
fn read_twice(
    directory: &Directory,
    rows: Option<Box<dyn rows::Source>>,
    was_drained: bool,
    audit: &mut Audit,
    report: &mut dyn FnMut(Progress),
) -> Result<(Walk, Refolded), Failure> {
    let bytes_again = AtomicU64::new(0);
    let horizon = Horizon::new(directory.is_running());
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            let _closing = Closing(&horizon);
            refold::run(directory, rows, was_drained, &horizon, &bytes_again)
        });
        let mut tell = |bytes: u64| {
            let bytes_done = bytes + bytes_again.load(Ordering::Relaxed);
            // A running shop's log grows meanwhile.
            let bytes_total = directory.bytes().saturating_mul(2).max(bytes_done);
            report(Progress { bytes_done, bytes_total });
        };
        let walk = first_pass(directory, audit, &horizon, &mut tell);
        while !second.is_finished() {
            // tidy: allow(sleep) only the progress bar waits here
            std::thread::sleep(REPORT_EVERY);
            tell(directory.bytes());
        }
        let again = second.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((walk?, again?))
    })
}

fn first_pass(
    directory: &Directory,
    audit: &mut Audit,
    horizon: &Horizon,
    tell: &mut dyn FnMut(u64),
) -> Result<Walk, Failure> {
    let mut walker = Walker::new(directory);
    let mut patience = Patience::default();
    while horizon.reaches_beyond(walker.walk.end) {
        match walker.advance()? {
            Advance::Frame => patience.renew(),
            Advance::Pause => {
                patience.wait(&walker)?;
                continue;
            }
            Advance::Over => break,
        }
        if let Some(frame) = walker.frame() {
            audit.frame(&frame);
        }
        tell(walker.walk.end);
    }
    Ok(walker.walk)
}

/// A segment that cannot be listed ends the list: that the log ends there as well is no news.
fn first_damage<'a>(
    directory: &'a Directory,
    met: Option<&'a Corruption>,
) -> Option<&'a Corruption> {
    let last = directory.segments.last().map_or(0, |last| last.first);
    let is_news = |met: &&Corruption| met.segment.is_some_and(|segment| segment < last);
    match &directory.corruption {
        Some(listed) => Some(met.filter(is_news).unwrap_or(listed)),
        None => met,
    }
}

fn damaged(corruption: &Corruption, findings: &mut Findings) {
    let Corruption { segment, position, about, expected, found } = corruption;
    let place = Place { segment: *segment, position: *position, ..Place::default() };
    Desk { findings, place }.fault(Invariant::Log, about, expected, found);
}

/// What is only true, or only known, behind the last step.
fn at_rest(audit: &mut Audit, slack_ms: u64) {
    let slack_us = i64::try_from(slack_ms).unwrap_or(i64::MAX).saturating_mul(1000);
    let unread = audit.inputs.unread_messages();
    rest::check(&audit.orders, &unread, &audit.journals, slack_us, &mut audit.findings);
    let place = Place::default();
    audit.accounts.finish(&mut Desk { findings: &mut audit.findings, place });
}

/// The rows of the first fold say the same as the model; returns their hashes.
fn first_fold(audit: &mut Audit) -> Hashes {
    let Audit { findings, folds, accounts, orders, outcomes, .. } = audit;
    let model = state::Model { accounts, orders, outcomes };
    let mut count = state::Count::default();
    let hashes = folds.hashes(&mut |lane, row| model.compare(lane, row, &mut count, findings));
    let is_whole = hashes.iter().all(|(_, hash)| hash.is_some());
    if is_whole {
        let own = state::Count {
            users: orders.users.len(),
            products: orders.prices.len(),
            orders: orders.orders.len(),
        };
        let mut desk = Desk { findings, place: Place::default() };
        desk.same(Invariant::Journal, "rows of the fold", own, count);
    }
    hashes
}

fn facts(directory: &Directory, walk: &Walk, audit: &Audit) -> Facts {
    let (steps, entries) = audit.journals.counts();
    let top = audit.sales.last_window(5);
    let totals = audit.accounts.totals();
    let mut facts = Facts {
        lanes: directory.lanes,
        segments: directory.segments.len(),
        log_bytes: walk.end,
        unfinished_bytes: walk.unfinished_bytes,
        frames: walk.frames,
        steps,
        entries,
        unread_inputs: audit.inputs.unread(),
        users: audit.orders.users.len(),
        products: audit.orders.prices.len(),
        money: MoneyFacts {
            charged: totals.charged,
            paid: totals.paid,
            refunded: totals.refunded,
            held: audit.accounts.held(),
        },
        carts: audit.orders.carts.filled(),
        top_lists: audit.sales.lists(),
        top_window_to: top.as_ref().map(|(to, _)| *to),
        top: top.map_or_else(Vec::new, |(_, top)| top),
        ..Facts::default()
    };
    let mut units = UnitFacts::default();
    audit.orders.orders.for_each(&mut |order| {
        *facts.orders.entry(order.status.as_str()).or_default() += 1;
        facts.payable += u64::from(order.payment_due.is_some());
        if order.status == OrderStatus::Failed {
            *facts.failed.entry(order.reason.as_str()).or_default() += 1;
        }
        for line in &order.lines {
            units.refunded += i128::from(line.refunded.0);
            units.returned += i128::from(line.returned.0);
        }
    });
    for stock in audit.accounts.stocks() {
        units.supplied -= i128::from(stock.supply);
        units.available += i128::from(stock.available);
        units.reserved += i128::from(stock.reserved);
        units.sold += i128::from(stock.sold);
    }
    facts.units = units;
    facts
}
