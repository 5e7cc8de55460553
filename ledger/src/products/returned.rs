//! Return: sold units were refunded, `sold -> available`. Each line is a sale the other way round,
//! in the minute of the first one.

use super::{Products, stock};
use crate::{Broken, Decision, Rules};
use jupan_schemas::{
    Account, Change, Code, Entry, LinesReturned, PricedLine, Return, Units, Verdict, partition_of,
};
use std::collections::BTreeSet;

/// Money has gone back for these units: a lane that never sold them has lost something.
fn check(products: &Products, rules: &Rules, told: &Return) -> Result<(), &'static str> {
    let mut seen = BTreeSet::new();
    for line in &told.lines {
        if partition_of(line.product_id.0, rules.lanes) != products.lane {
            return Err("gives back a product of another lane");
        }
        if line.quantity <= Units::ZERO || line.price.checked_times(line.quantity).is_none() {
            return Err("gives back uncountable units");
        }
        if !seen.insert(line.product_id) {
            return Err("gives back a product twice in one message");
        }
    }
    if told.lines.is_empty() { Err("gives back nothing") } else { Ok(()) }
}

pub(super) fn decide(
    products: &Products,
    rules: &Rules,
    told: &Return,
) -> Result<Decision, Broken> {
    let Return { order_id, lines, sold_at } = told.clone();
    check(products, rules, told).map_err(|what| Broken::about("order", order_id, what))?;
    let mut postings = Vec::with_capacity(2 * lines.len());
    for line in &lines {
        let broken = |what| Broken::about("product", line.product_id, what);
        let product = products.products.find(line.product_id)?;
        let product = product.ok_or_else(|| broken("given back, but it does not exist"))?;
        if product.sold < line.quantity {
            return Err(broken("more units are given back than were sold"));
        }
        let (from, to) = (Account::Sold, Account::Available);
        let moved = stock::transfer(product, line.quantity, from, to);
        postings.extend(moved.ok_or_else(|| broken("uncountable units"))?);
    }
    Ok(Decision {
        changes: vec![Change::LinesReturned(LinesReturned { order_id, lines, sold_at })],
        postings,
        ..Decision::nothing(Verdict::Accepted, Code::Ok)
    })
}

/// Folds nothing: the postings say it all, and are checked against the lines here.
pub(super) fn evolve(entry: &Entry, returned: &LinesReturned) -> Result<(), Broken> {
    let is_posted = |line: &PricedLine| {
        entry.postings.iter().any(|posting| {
            posting.account == Account::Sold
                && posting.owner == line.product_id.0
                && posting.delta.checked_neg() == Some(line.quantity.0)
        })
    };
    if returned.lines.iter().all(is_posted) {
        return Ok(());
    }
    Err(Broken::about("order", returned.order_id, "gives back other units than its entry moves"))
}
