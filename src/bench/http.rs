//! `bench http`: orders over HTTP against this binary as a process of its own, durable.
//!
//! A closed loop: each connection places an order, waits for its outcome (`Prefer: wait`), and places the
//! next, with a new key each. The load shares the processor with the shop, so what it used is shown
//! beside the figures.

mod histogram;
mod load;
mod populate;
mod server;
mod wire;

use super::{
    Plan, machine,
    machine::Facts,
    report::{Report, Round},
    scratch,
};
use load::{Load, Seen, Shape};
use server::Server;
use std::{path::Path, time::Duration};

/// Connections, unless the plan says otherwise.
const CONNECTIONS: usize = 64;
/// Orders before the first counted round.
const WARM_UP: Duration = Duration::from_secs(5);

/// Runs the scenario and verifies what it left.
///
/// # Errors
/// What could not be run.
pub(crate) fn run_scenario(plan: &Plan, facts: &Facts) -> anyhow::Result<Report> {
    let dir = scratch::Dir::new(&plan.dir)?;
    let server = Server::start(dir.path())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(drive(plan, &server, dir.path()));
    drop(runtime);
    let stopped = server.stop();
    let report = measured?;
    stopped?;
    let verified = scratch::verify(dir.path())?;
    Ok(report.finish(facts, verified))
}

async fn drive(plan: &Plan, server: &Server, data: &Path) -> anyhow::Result<Report> {
    server.ready().await?;
    populate::populate(&format!("http://{}", server.address()), plan.users, plan.products).await?;
    let (users, products, lines, hot) = (plan.users, plan.products, plan.lines, plan.hot);
    let shape = Shape { users, products, lines, hot };
    let connections = plan.in_flight.unwrap_or(CONNECTIONS);
    let mut load = Load::new(server.address(), shape, connections);
    load.run(WARM_UP).await?;
    let mut report = Report::default();
    for number in 1..=plan.rounds {
        let log_before = scratch::log_bytes(data)?;
        let before = Used::now(server.pid());
        let seconds = Duration::from_secs(plan.seconds);
        let mut after = before;
        let seen = load.run_and(seconds, || after = Used::now(server.pid())).await?;
        let log_bytes = scratch::log_bytes(data)?.saturating_sub(log_before);
        eprintln!("round {number}: {}", notes(&seen, before, after));
        report.rounds.push(Round {
            orders: seen.ok,
            seconds: seconds.as_secs_f64(),
            cpu_seconds: after.server - before.server,
            latencies_us: seen.latencies.spread(),
            log_bytes,
        });
    }
    Ok(report)
}

/// Processor seconds used so far.
#[derive(Clone, Copy, Debug)]
struct Used {
    server: f64,
    load: f64,
    machine: f64,
}

impl Used {
    fn now(server: u32) -> Self {
        Self {
            server: machine::process_seconds(server).unwrap_or_default(),
            load: machine::process_seconds(std::process::id()).unwrap_or_default(),
            machine: machine::machine_seconds().unwrap_or_default(),
        }
    }
}

/// What a figure must be read with: who used the processor, and what went wrong.
fn notes(seen: &Seen, before: Used, after: Used) -> String {
    let server = after.server - before.server;
    let load = after.load - before.load;
    let other = (after.machine - before.machine - server - load).max(0.0);
    let max_ms = seen.latencies.max_us() / 1000;
    let mut text = format!(
        "{} orders; processor seconds: shop {server:.1}, load {load:.1}, others {other:.1}; \
         slowest {max_ms} ms",
        seen.ok
    );
    for (error, number) in &seen.errors {
        text.push_str(&format!("; {number} x {error}"));
    }
    text
}
