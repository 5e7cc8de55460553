//! `bench recovery`: how long a shop takes to be back. An engine writes a journal and is killed in
//! the middle of it; then the real shop starts on what is left, is timed, gets a load, and is killed
//! again, round after round. In the end it starts once without its store, which it rebuilds from the
//! journal, and once in an empty directory.

use super::{
    cpu,
    fill::{Filled, Filler},
    http::{Served, Server, Started},
    plan::Recovery,
    report::{Report, as_f64, median},
    scratch::{self, Verified},
};
use serde::Serialize;
use serde_json::json;
use std::{path::Path, time::Duration};

/// How long an engine that has written its orders goes on before it is killed.
const KILL_AFTER: Duration = Duration::from_millis(300);
/// The first second behind a restart.
const FIRST: Duration = Duration::from_secs(1);
/// How long a shop is idle before its memory is looked at.
const IDLE: Duration = Duration::from_secs(1);

/// One restart behind a kill.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Restart {
    #[serde(flatten)]
    started: Started,
    first_second_orders_per_second: f64,
    orders_per_second: f64,
    resident_mib: f64,
}

/// A start in an empty directory.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Empty {
    ready_ms: f64,
    idle_resident_mib: f64,
}

/// Runs the scenario and verifies what it left.
///
/// # Errors
/// What could not be run.
pub(crate) fn run(plan: &Recovery) -> anyhow::Result<Report> {
    let dir = scratch::Dir::new(&plan.timed.run.dir)?;
    let data = dir.path().join("shop");
    let filled = write_journal(plan, &data)?;
    let restarts = restarts(plan, &data)?;
    let rebuilt = rebuild(plan, &data)?;
    let log_bytes = scratch::log_bytes(&data)?;
    let verified = scratch::verify(&data)?;
    let empty = starts_empty(plan, &dir.path().join("empty"))?;

    let mut report = Report { verified: verified.is_green, ..Report::default() };
    tell_restarts(&filled, &restarts, log_bytes, &verified, &mut report);
    tell_rebuild(plan, &filled, &rebuilt, &verified, &mut report);
    let ready_ms = median(empty.iter().map(|start| start.ready_ms));
    let idle_mib = median(empty.iter().map(|start| start.idle_resident_mib));
    report.say(format!(
        "empty directory: ready after {ready_ms:.0} ms, {idle_mib:.0} MiB in use when idle"
    ));
    report.put("empty", json!({"readyMs": ready_ms, "idleResidentMib": idle_mib, "starts": empty}));
    Ok(report)
}

fn write_journal(plan: &Recovery, data: &Path) -> anyhow::Result<Filled> {
    let (filler, filled) = Filler::start(data, plan.crowd, plan.orders)?;
    std::thread::park_timeout(KILL_AFTER);
    filler.kill()?;
    Ok(filled)
}

/// Starts, times, loads and kills.
fn restarts(plan: &Recovery, data: &Path) -> anyhow::Result<Vec<Restart>> {
    let mut restarts = Vec::new();
    for _ in 0..plan.timed.run.rounds {
        let server = Server::start(data)?;
        let (mut served, started) = Served::watch_start(server, data, plan.crowd)?;
        let first = served.round(false, FIRST)?;
        let round = served.round(false, plan.timed.seconds)?;
        restarts.push(Restart {
            started,
            first_second_orders_per_second: first.per_second().round(),
            orders_per_second: round.per_second().round(),
            resident_mib: resident_mib(served.pid()),
        });
        served.kill_under_load(FIRST)?;
    }
    Ok(restarts)
}

/// Starts without the store: all of it is folded from the journal.
fn rebuild(plan: &Recovery, data: &Path) -> anyhow::Result<Started> {
    std::fs::remove_dir_all(data.join("store"))?;
    let (served, started) = Served::watch_start(Server::start(data)?, data, plan.crowd)?;
    served.stop()?;
    Ok(started)
}

fn starts_empty(plan: &Recovery, data: &Path) -> anyhow::Result<Vec<Empty>> {
    let mut starts = Vec::new();
    for number in 0..plan.timed.run.rounds {
        let data = data.join(number.to_string());
        let served = Served::start(&data, plan.crowd, None)?;
        let ready_ms = served.ready_ms();
        std::thread::park_timeout(IDLE);
        starts.push(Empty { ready_ms, idle_resident_mib: resident_mib(served.pid()) });
        served.stop()?;
    }
    Ok(starts)
}

fn resident_mib(pid: u32) -> f64 {
    (as_f64(cpu::resident_bytes(pid).unwrap_or(0)) / f64::from(1 << 20)).round()
}

fn tell_restarts(
    filled: &Filled,
    restarts: &[Restart],
    log_bytes: u64,
    verified: &Verified,
    report: &mut Report,
) {
    let Verified { entries, orders, .. } = *verified;
    let mib = log_bytes >> 20;
    report.say(format!("journal at the end: {orders} orders, {entries} entries, {mib} MiB of log"));
    for (number, restart) in (1..).zip(restarts) {
        let Restart { started, first_second_orders_per_second: first, .. } = restart;
        report.say(format!(
            "restart {number}: {}; {first:.0} orders/s in the first second, then {:.0}; {:.0} MiB in use",
            started.brief(),
            restart.orders_per_second,
            restart.resident_mib
        ));
    }
    let of = |figure: fn(&Started) -> f64| median(restarts.iter().map(|r| figure(&r.started)));
    let accepted_ms = of(|started| started.accepted_ms);
    let (ready_ms, done_ms) = (of(|started| started.ready_ms), of(|started| started.done_ms));
    report.say(format!(
        "recovery: first accepted order after {accepted_ms:.0} ms, ready after {ready_ms:.0} ms, \
         first done order after {done_ms:.0} ms (medians of {})",
        restarts.len()
    ));
    report.put("firstAcceptedMs", accepted_ms);
    report.put("readyMs", ready_ms);
    report.put("firstDoneMs", done_ms);
    report.put("restarts", restarts);
    report.put("journal", json!({"entries": entries, "orders": orders, "logBytes": log_bytes}));
    report.put("filled", filled);
}

fn tell_rebuild(
    plan: &Recovery,
    filled: &Filled,
    rebuilt: &Started,
    verified: &Verified,
    report: &mut Report,
) {
    let Verified { entries, orders, .. } = *verified;
    let registrations = 2 * plan.crowd.users + plan.crowd.goods.products;
    let per_order = as_f64(entries.saturating_sub(registrations)) / as_f64(orders.max(1));
    let written = per_order * as_f64(filled.orders) / filled.seconds.max(f64::EPSILON);
    let folded = as_f64(entries) / (rebuilt.ready_ms / 1e3).max(f64::EPSILON);
    let ratio = folded / written.max(1.0);
    report.say(format!(
        "without its store: {}; folds {folded:.0} entries/s, {ratio:.2} x the {written:.0} that the \
         engine writes ({:.0} orders/s)",
        rebuilt.brief(),
        as_f64(filled.orders) / filled.seconds.max(f64::EPSILON)
    ));
    report.put(
        "rebuild",
        json!({
            "started": rebuilt, "entriesPerSecond": folded.round(),
            "engineEntriesPerSecond": written.round(), "ratio": ratio,
        }),
    );
}
