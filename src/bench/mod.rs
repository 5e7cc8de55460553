//! `jupan bench`: fixed scenarios in a directory of their own, with the machine's facts, medians of
//! several rounds, and a share-of-the-limit line. A run counts only if `verify` is green after it.
//!
//! ```text
//!   engine   orders without HTTP         hot       one product in every order, beside uniform orders
//!   http     orders over HTTP            recovery  kills and restarts
//!   window   the best sellers' call      grow      many users, many orders
//!   cluster  Kafka and a CQL store: latencies at a rate, orders a second, takeovers
//! ```
//! A scenario says what it found as a [`Report`]; this module puts machine and verdict around it.

mod cluster;
mod cpu;
mod engine;
mod fill;
mod grow;
mod hot;
mod http;
mod machine;
mod plan;
mod prepare;
mod recovery;
mod report;
mod scratch;
mod window;

use crate::{COULD_NOT_RUN, FINE, FOUND_A_FAULT, WRONG_USE};
use clap::{Args, Subcommand};
use machine::Facts;
use plan::{Goods, Run};
use report::Report;
use serde_json::{Value, json};

/// What is measured, and how often.
#[derive(Clone, Debug, Args)]
#[group(id = "bench")]
pub(crate) struct Options {
    #[command(subcommand)]
    scenario: Scenario,
}

/// The scenarios, and what helps them.
#[derive(Clone, Debug, Subcommand)]
enum Scenario {
    /// Orders through log and lanes, without HTTP, durable
    Engine(plan::Orders),
    /// Orders over HTTP, durable, against this binary as a process of its own
    Http(plan::Orders),
    /// One product in every order beside uniform orders, without HTTP and over it, as a ratio
    Hot(plan::Hot),
    /// Kill, restart, and the time to the first accepted order; also memory and an empty start
    Recovery(plan::Recovery),
    /// Processor time an order with many users, and with many orders behind it
    Grow(plan::Grow),
    /// Time of the call for the top 5 over many orders
    Window(plan::Window),
    /// A shop on Kafka and a CQL store: latencies at a rate, uniform and hot orders, takeovers
    Cluster(plan::Cluster),
    /// Users with money and products with stock in a running shop, for a load from outside
    Prepare(plan::Prepare),
    /// A journal for `recovery`
    #[command(hide = true)]
    Fill(plan::Fill),
}

impl Scenario {
    /// Its name, and what it is told, where it measures.
    fn measured(&self) -> Option<(&'static str, &Run, Goods)> {
        Some(match self {
            Self::Engine(plan) => ("engine", &plan.timed.run, plan.crowd.goods),
            Self::Http(plan) => ("http", &plan.timed.run, plan.crowd.goods),
            Self::Hot(plan) => ("hot", &plan.timed.run, plan.crowd.goods),
            Self::Recovery(plan) => ("recovery", &plan.timed.run, plan.crowd.goods),
            Self::Grow(plan) => ("grow", &plan.run, plan.goods),
            Self::Window(plan) => ("window", &plan.run, plan.goods),
            Self::Cluster(plan) => ("cluster", &plan.timed.run, plan.crowd.goods),
            Self::Prepare(_) | Self::Fill(_) => return None,
        })
    }

    fn run(&self) -> anyhow::Result<Report> {
        match self {
            Self::Engine(plan) => engine::run(plan),
            Self::Http(plan) => http::run(plan),
            Self::Hot(plan) => hot::run(plan),
            Self::Recovery(plan) => recovery::run(plan),
            Self::Grow(plan) => grow::run(plan),
            Self::Window(plan) => window::run(plan),
            Self::Cluster(plan) => cluster::run(plan),
            Self::Prepare(plan) => prepare::run(plan).map(|()| Report::default()),
            Self::Fill(plan) => fill::run(plan).map(|()| Report::default()),
        }
    }
}

/// Runs a scenario; the result is the exit code.
pub(crate) fn main(options: &Options) -> u8 {
    let scenario = &options.scenario;
    let Some((name, run, goods)) = scenario.measured() else {
        return ended(scenario.run().map(|_| FINE));
    };
    if goods.lines > goods.products {
        eprintln!("jupan bench: an order of {} lines needs as many products", goods.lines);
        return WRONG_USE;
    }
    let facts = match machine::facts(&run.dir) {
        Ok(facts) => facts,
        Err(refused) => {
            eprintln!("jupan bench: {refused}");
            return refused.exit_code();
        }
    };
    ended(scenario.run().map(|report| {
        print(name, run, goods, &facts, &report);
        if report.verified { FINE } else { FOUND_A_FAULT }
    }))
}

fn ended(result: anyhow::Result<u8>) -> u8 {
    result.unwrap_or_else(|error| {
        eprintln!("jupan bench: {error:#}");
        COULD_NOT_RUN
    })
}

fn print(name: &str, run: &Run, goods: Goods, facts: &Facts, report: &Report) {
    if run.json {
        let mut line = report.json.clone();
        let around = json!({
            "scenario": name, "verified": report.verified, "machine": facts.to_json(),
            "products": goods.products, "lines": goods.lines,
        });
        if let Value::Object(around) = around {
            line.extend(around);
        }
        println!("{}", Value::Object(line));
        return;
    }
    println!("{facts}");
    report.text.iter().for_each(|line| println!("{line}"));
    let green = if report.verified { "green" } else { "FAULTS FOUND: these figures do not count" };
    println!("verify: {green}");
}
