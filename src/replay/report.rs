//! What a replay says at its end.

use super::{
    orders::Tally,
    top::{Ranked, Top},
};
use indicatif::HumanCount;
use jiff::Timestamp;
use serde::Serialize;
use std::{collections::BTreeMap, fmt, time::Duration};

/// The end of a replay, for people ([`fmt::Display`]) and for programs ([`json`](Self::json)).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    orders: u64,
    success: u64,
    failed: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unexpected: BTreeMap<String, u64>,
    orders_per_second: f64,
    top: Vec<Ranked>,
    window_from: String,
    window_to: String,
    #[serde(skip)]
    elapsed: Duration,
    #[serde(skip)]
    examples: Vec<String>,
}

impl Summary {
    pub(super) fn new(tally: Tally, elapsed: Duration, top: Top) -> Self {
        let seconds = elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        Self {
            orders: tally.orders,
            success: tally.success,
            failed: tally.failed,
            unexpected: tally.unexpected,
            orders_per_second: (tally.orders as f64 / seconds * 10.0).round() / 10.0,
            top: top.products,
            window_from: top.window_from,
            window_to: top.window_to,
            elapsed,
            examples: tally.examples,
        }
    }

    /// One line of JSON.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether every order had an end that may be.
    pub(super) fn is_fine(&self) -> bool {
        self.unexpected.is_empty()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (orders, seconds) = (HumanCount(self.orders), self.elapsed.as_secs_f64());
        let rate = self.orders_per_second;
        writeln!(f, "{orders} orders in {seconds:.1} s ({rate:.0} orders/s)")?;
        writeln!(f, "  {:<24}{:>12}", "SUCCESS", HumanCount(self.success).to_string())?;
        for (code, number) in &self.failed {
            writeln!(f, "  {:<24}{:>12}", code, HumanCount(*number).to_string())?;
        }
        for (answer, number) in &self.unexpected {
            writeln!(f, "  unexpected: {:<12}{:>12}", answer, HumanCount(*number).to_string())?;
        }
        for example in &self.examples {
            writeln!(f, "    first: {example}")?;
        }
        writeln!(f, "Best sellers from {} to {}", self.window_from, self.window_to)?;
        for Ranked { rank, id, name, units, amount } in &self.top {
            writeln!(f, "  {rank}  {id:>10}  {name:<36}  {units:>8} units  {amount:>10}")?;
        }
        Ok(())
    }
}

/// One line of JSON: the best sellers at a midnight.
pub(super) fn top_line(at: Timestamp, top: &Top) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Line<'a> {
        as_of: String,
        top: &'a [Ranked],
        window_from: &'a str,
        window_to: &'a str,
    }
    let (window_from, window_to) = (top.window_from.as_str(), top.window_to.as_str());
    let line = Line { as_of: at.to_string(), top: &top.products, window_from, window_to };
    serde_json::to_string(&line).unwrap_or_default()
}
