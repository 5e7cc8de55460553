//! What a scenario measured, for people and machines.

use super::{Plan, machine::Facts};
use serde_json::json;

/// One counted round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    /// Orders whose outcome came back within the round.
    pub(crate) orders: u64,
    /// Its length.
    pub(crate) seconds: f64,
    /// CPU time of the process that runs the shop.
    pub(crate) cpu_seconds: f64,
    /// Sampled times from append to outcome, rising.
    pub(crate) latencies_us: Vec<u64>,
    /// Bytes the log grew by, to a segment's precision.
    pub(crate) log_bytes: u64,
}

impl Round {
    fn per_second(&self) -> f64 {
        as_f64(self.orders) / self.seconds.max(f64::EPSILON)
    }

    fn percentile_ms(&self, percent: usize) -> f64 {
        let last = self.latencies_us.len().saturating_sub(1);
        as_f64(self.latencies_us.get(last * percent / 100).copied().unwrap_or(0)) / 1e3
    }
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn as_f64(value: u64) -> f64 {
    value as f64
}

/// All rounds of a scenario.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// In order.
    pub(crate) rounds: Vec<Round>,
    /// Whether the invariants hold over what the rounds left.
    pub(crate) verified: bool,
    /// Orders a second if the disk did nothing but append and sync the same bytes.
    limit: Option<f64>,
}

impl Report {
    /// Adds what is known after the rounds.
    pub(crate) fn finish(mut self, facts: &Facts, verified: bool) -> Self {
        self.verified = verified;
        let (bytes, orders) = self
            .rounds
            .iter()
            .fold((0, 0), |(b, o), round| (b + round.log_bytes, o + round.orders));
        if bytes > 0 && orders > 0 {
            self.limit = Some(facts.synced_bytes_per_s() / (as_f64(bytes) / as_f64(orders)));
        }
        self
    }

    fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        let mut figures: Vec<f64> = self.rounds.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or(0.0)
    }

    /// Prints the scenario's figures.
    pub(crate) fn print(&self, name: &str, plan: &Plan, facts: &Facts) {
        let per_second = self.median(Round::per_second);
        let per_cpu_second =
            self.median(|round| as_f64(round.orders) / round.cpu_seconds.max(0.001));
        let (p50, p99) =
            (self.median(|r| r.percentile_ms(50)), self.median(|r| r.percentile_ms(99)));
        let share = self.limit.map(|limit| per_second / limit);
        if plan.json {
            let rounds: Vec<f64> =
                self.rounds.iter().map(|round| round.per_second().round()).collect();
            let line = json!({
                "scenario": name, "hot": plan.hot, "users": plan.users, "products": plan.products,
                "lines": plan.lines, "seconds": plan.seconds, "ordersPerSecond": per_second.round(),
                "rounds": rounds, "p50Ms": p50, "p99Ms": p99, "ordersPerCpuSecond": per_cpu_second.round(),
                "shareOfLimit": share, "verified": self.verified, "machine": facts.to_json(),
            });
            println!("{line}");
            return;
        }
        println!("{facts}");
        for (number, round) in self.rounds.iter().enumerate() {
            println!("round {}: {:.0} orders/s", number + 1, round.per_second());
        }
        println!("{name}: {per_second:.0} orders/s (median of {} rounds)", self.rounds.len());
        println!(
            "  outcome after p50 {p50:.1} ms, p99 {p99:.1} ms; {per_cpu_second:.0} orders a CPU second"
        );
        if let (Some(limit), Some(share)) = (self.limit, share) {
            println!(
                "  raw append + fdatasync of the same bytes: {limit:.0} orders/s; {:.0} % of this limit",
                share * 100.0
            );
        }
        println!(
            "  verify: {}",
            if self.verified { "green" } else { "FAULTS FOUND: these figures do not count" }
        );
    }
}
