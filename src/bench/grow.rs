//! `bench grow`: what an order costs in a shop with many users, and in one with many orders behind
//! it. A shop of each size is made; then all of them get the same number of orders in turns, and
//! each is compared with the first of its kind within the same round.

use super::{
    engine::{Cost, Engine, Shape},
    plan::Grow,
    report::{Report, as_f64, listed, median, us_an_order},
    scratch,
};
use serde::Serialize;
use serde_json::json;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Users of the shops that differ in their orders.
const USERS: u64 = 10_000;

/// In what the shops differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Users,
    Orders,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Orders => "orders",
        }
    }
}

/// One shop, and what orders cost there.
struct Sized {
    what: What,
    size: u64,
    data: PathBuf,
    engine: Engine,
    costs: Vec<Cost>,
}

/// What a shop's orders cost beside those of the first of its kind.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Compared {
    size: u64,
    cpu_us_per_order: f64,
    thread_us_per_order: BTreeMap<String, f64>,
    orders_per_second: f64,
    /// Processor time an order, round by round: of this shop for each of the first one's.
    ratios: Vec<f64>,
    ratio: f64,
}

/// Runs the scenario and verifies what it left.
///
/// # Errors
/// What could not be run.
pub(crate) fn run(plan: &Grow) -> anyhow::Result<Report> {
    let dir = scratch::Dir::new(&plan.run.dir)?;
    let mut shops = Vec::new();
    let users = plan.user_steps.iter().map(|size| (What::Users, *size));
    let orders = plan.order_steps.iter().map(|size| (What::Orders, *size));
    for (what, size) in users.chain(orders) {
        shops.push(Sized::make(plan, dir.path(), what, size)?);
    }
    for _ in 0..plan.run.rounds {
        for shop in &mut shops {
            shop.costs.push(shop.engine.cost(plan.round_orders)?);
        }
    }
    let mut report = Report { verified: true, ..Report::default() };
    for what in [What::Users, What::Orders] {
        let of_kind: Vec<&Sized> = shops.iter().filter(|shop| shop.what == what).collect();
        tell(what, &compared(&of_kind), &mut report);
    }
    for shop in shops {
        shop.engine.close()?;
        report.verified &= scratch::verify(&shop.data)?.is_green;
        // The next one needs the room.
        std::fs::remove_dir_all(&shop.data)?;
    }
    Ok(report)
}

impl Sized {
    fn make(plan: &Grow, dir: &Path, what: What, size: u64) -> anyhow::Result<Self> {
        let data = dir.join(format!("{}-{size}", what.name()));
        let users = if what == What::Users { size } else { USERS };
        let shape = Shape { users, products: plan.goods.products, lines: plan.goods.lines };
        let engine = Engine::open(&data, shape, None)?;
        engine.populate()?;
        if what == What::Orders {
            engine.fill(size)?;
        }
        eprintln!("a shop with {size} {} is made", what.name());
        Ok(Self { what, size, data, engine, costs: Vec::new() })
    }
}

fn compared(shops: &[&Sized]) -> Vec<Compared> {
    let Some(first) = shops.first() else { return Vec::new() };
    let compare = |shop: &&Sized| {
        let pairs = shop.costs.iter().zip(&first.costs);
        let ratios: Vec<f64> = pairs.map(|(cost, first)| cost.beside(first)).collect();
        Compared {
            size: shop.size,
            cpu_us_per_order: median(shop.costs.iter().map(Cost::cpu_us_per_order)),
            thread_us_per_order: us_an_order(
                shop.costs.iter().map(|cost| (&cost.spent.threads, cost.orders)),
            ),
            orders_per_second: median(shop.costs.iter().map(Cost::per_second)).round(),
            ratio: median(ratios.iter().copied()),
            ratios,
        }
    };
    shops.iter().map(compare).collect()
}

fn tell(what: What, compared: &[Compared], report: &mut Report) {
    for compared in compared {
        let Compared { size, cpu_us_per_order, orders_per_second, ratio, .. } = compared;
        report.say(format!(
            "grow: {size} {}: {cpu_us_per_order:.1} us of the shop's processor time an order, \
             {ratio:.2} x the first; {orders_per_second:.0} orders/s",
            what.name()
        ));
        report.say(format!("  of which {}", listed(&compared.thread_us_per_order)));
    }
    report.put(what.name(), json!(compared));
}

impl Cost {
    fn cpu_us_per_order(&self) -> f64 {
        self.spent.shop * 1e6 / as_f64(self.orders.max(1))
    }

    fn per_second(&self) -> f64 {
        as_f64(self.orders) / self.seconds.max(f64::EPSILON)
    }

    fn beside(&self, first: &Self) -> f64 {
        self.cpu_us_per_order() / first.cpu_us_per_order().max(f64::EPSILON)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::cpu::Spent;

    #[test]
    fn costs_are_compared_an_order() {
        let cost = |orders, shop| Cost {
            orders,
            seconds: 2.0,
            spent: Spent { shop, load: 9.0, others: 9.0, ..Spent::default() },
        };
        let (first, other) = (cost(1_000, 0.02), cost(2_000, 0.05));
        assert_eq!((first.cpu_us_per_order(), other.beside(&first)), (20.0, 1.25));
        assert_eq!(other.per_second(), 1_000.0);
    }

    #[test]
    fn sizes_are_told_with_their_ratio() {
        let compared = Compared {
            size: 1_000_000,
            cpu_us_per_order: 31.04,
            thread_us_per_order: BTreeMap::from([("jupan-log".to_owned(), 2.0)]),
            orders_per_second: 30_000.0,
            ratios: vec![1.1, 1.2, 1.3],
            ratio: 1.2,
        };
        let mut report = Report::default();
        tell(What::Users, &[compared], &mut report);
        let expected = "grow: 1000000 users: 31.0 us of the shop's processor time an order, 1.20 x the \
                        first; 30000 orders/s";
        assert_eq!(report.text, [expected, "  of which jupan-log 2.0"]);
        assert_eq!(report.json["users"][0]["ratios"], json!([1.1, 1.2, 1.3]));
    }
}
