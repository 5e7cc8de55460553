//! The best sellers: every answer and every published list against a recount of all sales that had
//! been counted by then.

use super::{Evidence, Facts};
use crate::{
    report::{Invariant, Violation},
    sellers::{Asked, Sellers},
};
use jupan_analytics::{Clock, TopAnswer, TopError};
use jupan_schemas::{Codec, Micros, Money, Sale, TopProduct, TopProducts, Units};
use std::{cmp::Reverse, collections::BTreeMap};

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// Days of the list that is published.
const PUBLISHED_DAYS: i64 = 3;

fn round_down(at: i64) -> i64 {
    at.div_euclid(MINUTE) * MINUTE
}

fn round_up(at: i64) -> i64 {
    -round_down(-at)
}

fn feeds(what: String) -> Violation {
    Violation::new(Invariant::Feeds, what)
}

/// Checks all that was asked, and all that was published.
pub(crate) fn check_sellers(
    facts: &Facts,
    evidence: &Evidence,
    sellers: &Sellers,
    is_at_rest: bool,
) -> Result<(), Violation> {
    for asked in &sellers.asked {
        check_answer(facts, sellers, asked)?;
    }
    let lists = published(facts, evidence)?;
    if !is_at_rest {
        return Ok(());
    }
    let Some(Asked { positions, answer: Ok(present), .. }) = sellers.asked.last() else {
        return Err(feeds("nobody says what sells best".to_owned()));
    };
    let ends: Vec<u64> = facts.sales.values().map(|sales| sales.len() as u64).collect();
    if *positions != ends {
        return Err(feeds(format!("counted up to {positions:?} of {ends:?}")));
    }
    let last = lists.last().map_or(&[][..], |list| &list.products);
    let limit = usize::try_from(sellers.options.published_limit).unwrap_or(usize::MAX);
    let due = &present.products[..present.products.len().min(limit)];
    // A feed that has begun anew does not publish that nothing was sold.
    if !due.is_empty() && last != due {
        return Err(feeds(format!("published last: {last:?}, due: {due:?}")));
    }
    Ok(())
}

/// Every sale that lies before these positions.
fn counted<'a>(facts: &'a Facts, positions: &[u64]) -> impl Iterator<Item = &'a Sale> {
    let counts = positions.iter().map(|position| usize::try_from(*position).unwrap_or(usize::MAX));
    facts.sales.values().zip(counts).flat_map(|(sales, count)| sales.iter().take(count))
}

/// The best of these positions' sales with `from <= sold_at < to`.
fn best(
    facts: &Facts,
    positions: &[u64],
    (from, to): (Micros, Micros),
    limit: u32,
) -> Vec<TopProduct> {
    let mut sums = BTreeMap::<_, (i64, i64)>::new();
    for sale in counted(facts, positions).filter(|sale| from <= sale.sold_at && sale.sold_at < to) {
        let (units, amount) = sums.entry(sale.product_id).or_default();
        (*units, *amount) = (*units + sale.units.0, *amount + sale.amount.0);
    }
    let mut all: Vec<_> = sums.into_iter().filter(|(_, (units, _))| *units > 0).collect();
    all.sort_by_key(|(product, (units, amount))| (Reverse(*units), Reverse(*amount), *product));
    let ranked = (1..=limit).zip(all).map(|(rank, (product_id, (units, amount)))| {
        let (units, amount) = (Units(units), Money(amount));
        TopProduct { rank, product_id, units, amount }
    });
    ranked.collect()
}

fn check_answer(facts: &Facts, sellers: &Sellers, asked: &Asked) -> Result<(), Violation> {
    let Asked { now, clock_high, positions, query, answer } = asked;
    let newest = counted(facts, positions).map(|sale| sale.sold_at.0).max();
    let newest = newest.filter(|_| sellers.options.clock == Clock::Event);
    let now = newest.unwrap_or(now.0);
    let kept_us = i64::from(sellers.options.sales_days) * DAY;
    let kept_from = round_up(now) - kept_us;
    // By the wall clock, what was given up does not come back at once when the clock falls back.
    let high = if newest.is_some() { now } else { clock_high.0 };
    let kept_from_max = round_up(high) - kept_us;
    let to = match query.as_of {
        Some(as_of) => round_up(as_of.0),
        None if newest.is_some() => round_down(now) + MINUTE,
        None => round_up(now),
    };
    let from = to - i64::from(query.days) * DAY;
    let is_right = match answer {
        Err(TopError::Days) => !(1..=30).contains(&query.days),
        Err(TopError::Limit) => !(1..=100).contains(&query.limit),
        Err(TopError::Future { now: said }) => {
            said.0 == now && query.as_of.is_some_and(|as_of| as_of.0 > now)
        }
        Err(TopError::NotKept { from: said }) => {
            from < said.0 && (kept_from..=kept_from_max).contains(&said.0)
        }
        Ok(answer) => {
            let (window_from, window_to) = (Micros(from), Micros(to));
            let as_of = query.as_of.unwrap_or(Micros(now));
            let products = best(facts, positions, (window_from, window_to), query.limit);
            let due = TopAnswer { products, window_from, window_to, as_of };
            let is_allowed = (1..=30).contains(&query.days) && (1..=100).contains(&query.limit);
            is_allowed && as_of.0 <= now && from >= kept_from && *answer == due
        }
    };
    if is_right {
        return Ok(());
    }
    let window = (Micros(from), Micros(to));
    let due = best(facts, positions, window, query.limit);
    let what =
        format!("asked at {now} for {query:?}: {answer:?}, recounted in {window:?}: {due:?}");
    Err(feeds(what))
}

/// Each published list is right for the positions that it names.
fn published(facts: &Facts, evidence: &Evidence) -> Result<Vec<TopProducts>, Violation> {
    let codec = Codec::embedded();
    let mut lists = Vec::new();
    for record in &evidence.published {
        let list: TopProducts = codec.decode(&record.value).map_err(|error| {
            feeds(format!("the published list at {} is unreadable: {error}", record.offset))
        })?;
        let window = (list.window_from, list.window_to);
        let due = best(facts, &list.positions, window, list.limit);
        let is_whole = window.1.0 % MINUTE == 0 && window.1.since(window.0) == PUBLISHED_DAYS * DAY;
        if !is_whole || record.key != window.1.0.to_string() || list.products != due {
            let what = format!("published at {}: {list:?}, recounted: {due:?}", record.offset);
            return Err(feeds(what));
        }
        lists.push(list);
    }
    Ok(lists)
}
