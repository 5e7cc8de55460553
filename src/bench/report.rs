//! What rounds of orders came to, for people and machines.

use super::cpu::Spent;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A share of the processor time that makes figures doubtful when others have it.
const OTHERS_PERCENT_MAX: f64 = 10.0;

/// What a scenario found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// For people, a line each.
    pub(crate) text: Vec<String>,
    /// For machines.
    pub(crate) json: Map<String, Value>,
    /// Whether the invariants hold over everything that it left behind.
    pub(crate) verified: bool,
}

impl Report {
    /// Adds a line for people.
    pub(crate) fn say(&mut self, line: impl Into<String>) {
        self.text.push(line.into());
    }

    /// Adds a figure for machines.
    pub(crate) fn put(&mut self, name: &str, figure: impl Serialize) {
        self.json.insert(name.to_owned(), json!(figure));
    }

    /// Adds all figures of rounds.
    pub(crate) fn put_all(&mut self, figures: &Figures) {
        if let Value::Object(fields) = json!(figures) {
            self.json.extend(fields);
        }
    }
}

/// One counted round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    /// Orders whose outcome came back within the round.
    pub(crate) orders: u64,
    /// Its length.
    pub(crate) seconds: f64,
    /// Who used the processor.
    pub(crate) spent: Spent,
    /// Times from append or request to outcome, rising.
    pub(crate) latencies_us: Vec<u64>,
    /// Bytes the log grew by.
    pub(crate) log_bytes: u64,
    /// Bytes a second of raw append + fdatasync right behind the round.
    pub(crate) raw_bytes_per_second: f64,
    /// Answers that were no done order, and broken exchanges, by kind.
    pub(crate) errors: BTreeMap<String, u64>,
}

impl Round {
    /// Orders a second.
    pub(crate) fn per_second(&self) -> f64 {
        as_f64(self.orders) / self.seconds.max(f64::EPSILON)
    }

    fn percentile_ms(&self, percent: usize) -> f64 {
        percentile(&self.latencies_us, percent) / 1e3
    }

    fn per_cpu_second(&self) -> f64 {
        as_f64(self.orders) / self.spent.shop.max(0.001)
    }

    fn bytes_per_order(&self) -> f64 {
        as_f64(self.log_bytes) / as_f64(self.orders.max(1))
    }

    /// Orders a second if the disk did nothing but append and sync the same bytes.
    fn raw_per_second(&self) -> f64 {
        self.raw_bytes_per_second / self.bytes_per_order().max(1.0)
    }

    /// The round in a line.
    pub(crate) fn brief(&self) -> String {
        let Spent { shop, load, others, .. } = self.spent;
        let slowest_ms = self.percentile_ms(100);
        let mut text = format!(
            "{:.0} orders/s; slowest {slowest_ms:.0} ms; processor seconds: shop {shop:.1}, load \
             {load:.1}, others {others:.1}",
            self.per_second()
        );
        for (error, number) in &self.errors {
            text.push_str(&format!("; {number} x {error}"));
        }
        text
    }
}

/// Medians of rounds of the same kind.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figures {
    /// Orders a second.
    pub(crate) orders_per_second: f64,
    /// The same of each round, in order.
    pub(crate) rounds: Vec<f64>,
    p50_ms: f64,
    p99_ms: f64,
    /// Orders a processor second of the shop.
    orders_per_cpu_second: f64,
    /// Of a round.
    cpu_seconds: Spent,
    /// Microseconds of the shop's threads, by their kind.
    thread_us_per_order: BTreeMap<String, f64>,
    /// Microseconds of processes beside the shop.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    beside_us_per_order: BTreeMap<String, f64>,
    /// Where the shop's log is on this machine's disk.
    #[serde(flatten)]
    limit: Option<Limit>,
    errors: BTreeMap<String, u64>,
}

/// What the disk would give at most.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Limit {
    log_bytes_per_order: f64,
    raw_orders_per_second: f64,
    share_of_limit: f64,
}

impl Figures {
    /// Their medians.
    pub(crate) fn of(rounds: &[Round]) -> Self {
        let of = |figure: &dyn Fn(&Round) -> f64| median(rounds.iter().map(figure));
        let mut errors = BTreeMap::new();
        for (error, number) in rounds.iter().flat_map(|round| &round.errors) {
            *errors.entry(error.clone()).or_default() += number;
        }
        Self {
            orders_per_second: of(&Round::per_second).round(),
            rounds: rounds.iter().map(|round| round.per_second().round()).collect(),
            p50_ms: of(&|round| round.percentile_ms(50)),
            p99_ms: of(&|round| round.percentile_ms(99)),
            orders_per_cpu_second: of(&Round::per_cpu_second).round(),
            cpu_seconds: Spent {
                shop: of(&|round| round.spent.shop),
                load: of(&|round| round.spent.load),
                others: of(&|round| round.spent.others),
                threads: BTreeMap::new(),
                beside: BTreeMap::new(),
            },
            thread_us_per_order: us_an_order(
                rounds.iter().map(|round| (&round.spent.threads, round.orders)),
            ),
            beside_us_per_order: us_an_order(
                rounds.iter().map(|round| (&round.spent.beside, round.orders)),
            ),
            limit: rounds.iter().any(|round| round.log_bytes > 0).then(|| Limit {
                log_bytes_per_order: of(&Round::bytes_per_order).round(),
                raw_orders_per_second: of(&Round::raw_per_second).round(),
                share_of_limit: of(&|round| round.per_second() / round.raw_per_second().max(1.0)),
            }),
            errors,
        }
    }

    /// The figures for people.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let Self { orders_per_second, rounds, p50_ms, p99_ms, orders_per_cpu_second, .. } = self;
        let Spent { shop, load, others, .. } = self.cpu_seconds;
        let of_all = |part: f64| 100.0 * part / (shop + load + others).max(0.01);
        let mut lines = vec![
            format!("{name}: {orders_per_second:.0} orders/s (median of {} rounds)", rounds.len()),
            format!("  outcome after p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms"),
            format!(
                "  {orders_per_cpu_second:.0} orders a processor second of the shop; of the time used \
                 {:.0} % were the shop's, {:.0} % the load's, {:.0} % others'",
                of_all(shop),
                of_all(load),
                of_all(others)
            ),
        ];
        if let Some(Limit { log_bytes_per_order, raw_orders_per_second, share_of_limit }) =
            self.limit
        {
            lines.push(format!(
                "  raw append + fdatasync of the same bytes ({log_bytes_per_order:.0} an order): \
                 {raw_orders_per_second:.0} orders/s; {:.0} % of this limit",
                share_of_limit * 100.0
            ));
        }
        lines.push(format!("  us an order: {}", listed(&self.thread_us_per_order)));
        if !self.beside_us_per_order.is_empty() {
            lines.push(format!("  beside the shop: {}", listed(&self.beside_us_per_order)));
        } else if of_all(others) > OTHERS_PERCENT_MAX {
            lines.push(
                "  others used much of the processor: repeat it on a quiet machine".to_owned(),
            );
        }
        let errors = self.errors.iter().map(|(error, number)| format!("  {number} x {error}"));
        lines.extend(errors);
        lines
    }
}

/// Microseconds of each name an order: medians over the processor seconds that were spent for so many.
pub(crate) fn us_an_order<'s>(
    spent: impl Iterator<Item = (&'s BTreeMap<String, f64>, u64)>,
) -> BTreeMap<String, f64> {
    let spent: Vec<_> = spent.collect();
    let names: BTreeSet<&String> = spent.iter().flat_map(|(spent, _)| spent.keys()).collect();
    let of = |name: &String| {
        let each = spent.iter().map(|(spent, orders)| {
            spent.get(name).copied().unwrap_or_default() * 1e6 / as_f64((*orders).max(1))
        });
        (median(each) * 10.0).round() / 10.0
    };
    let all = names.into_iter().map(|name| (name.clone(), of(name)));
    all.filter(|(_, us)| *us > 0.0).collect()
}

/// `lane-users 12.0, jupan-log 3.1`, the largest first.
pub(crate) fn listed(us_by_name: &BTreeMap<String, f64>) -> String {
    let mut all: Vec<_> = us_by_name.iter().collect();
    all.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let all = all.iter().map(|(name, us)| format!("{name} {us:.1}"));
    all.collect::<Vec<_>>().join(", ")
}

/// The value that half of them do not exceed; 0 of none.
pub(crate) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}

/// The value that so many of a hundred rising ones do not exceed; 0 of none.
pub(crate) fn percentile(rising: &[u64], percent: usize) -> f64 {
    let last = rising.len().saturating_sub(1);
    as_f64(rising.get(last * percent / 100).copied().unwrap_or(0))
}

/// For figures that people read.
#[allow(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn as_f64(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(orders: u64, shop: f64, log_bytes: u64) -> Round {
        Round {
            orders,
            seconds: 2.0,
            spent: Spent {
                shop,
                load: 1.0,
                others: 0.0,
                threads: BTreeMap::from([
                    ("lane-users".to_owned(), shop),
                    ("idle".to_owned(), 0.0),
                ]),
                beside: BTreeMap::from([("kafka".to_owned(), 2.0 * shop)]),
            },
            latencies_us: (1..=1000).collect(),
            log_bytes,
            raw_bytes_per_second: 1e6,
            errors: BTreeMap::from([("503".to_owned(), 2)]),
        }
    }

    #[test]
    fn figures_are_medians_of_rounds() {
        let rounds =
            [round(1000, 1.0, 100_000), round(4000, 3.0, 400_000), round(2000, 4.0, 200_000)];
        let figures = Figures::of(&rounds);
        let json = json!(figures);
        for (name, expected) in [
            ("ordersPerSecond", 1000.0),
            ("p50Ms", 0.5),
            ("p99Ms", 0.99),
            ("ordersPerCpuSecond", 1000.0),
            ("logBytesPerOrder", 100.0),
            ("rawOrdersPerSecond", 10_000.0),
            ("shareOfLimit", 0.1),
        ] {
            assert_eq!(json[name].as_f64(), Some(expected), "{name}: {json}");
        }
        assert_eq!(json["rounds"], json!([500.0, 2000.0, 1000.0]));
        assert_eq!(json["cpuSeconds"]["shop"], 3.0);
        assert_eq!(json["threadUsPerOrder"], json!({"lane-users": 1000.0}));
        assert_eq!(json["besideUsPerOrder"], json!({"kafka": 2000.0}));
        assert_eq!(json["errors"]["503"], 6);
        let text = figures.lines("engine").join("\n");
        for part in [
            "engine: 1000 orders/s (median of 3 rounds)",
            "10 % of this limit",
            "beside the shop: kafka 2000.0",
            "6 x 503",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(
            rounds[0]
                .brief()
                .starts_with("500 orders/s; slowest 1 ms; processor seconds: shop 1.0")
        );
    }

    #[test]
    fn nothing_measured_is_nothing_broken() {
        let json = json!(Figures::of(&[]));
        assert_eq!(json["ordersPerSecond"], 0.0);
        assert_eq!((median([].into_iter()), percentile(&[], 99)), (0.0, 0.0));
    }
}
