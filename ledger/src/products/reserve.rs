//! Reserve: `available -> reserved` for all lines of an order in this lane, at today's prices, or
//! for none of them.

use super::{
    Products,
    state::{Hold, Product},
    stock,
};
use crate::{Broken, Decision, Rules, cells::Moment};
use jupan_schemas::{
    Account, Change, Code, HoldOpened, Line, Message, PricedLine, ProductId, Refused, Reserve,
    Reserved, Units, Verdict, partition_of, rows::AsOf,
};

/// A line with its product.
type Found<'a> = (Line, &'a Product);
/// Why nothing is held, and the product that it is about.
type Reason = (Code, ProductId);

/// The lane's lines, equal ones added up.
fn merge(products: &Products, rules: &Rules, told: &Reserve) -> Result<Vec<Line>, Broken> {
    let broken = |what| Broken::about("order", told.order_id, what);
    let mut lines: Vec<Line> = Vec::with_capacity(told.lines.len());
    for line in &told.lines {
        if partition_of(line.product_id.0, rules.lanes) != products.lane {
            return Err(broken("asks this lane to hold a product of another one"));
        }
        if line.quantity <= Units::ZERO {
            return Err(broken("asks to hold less than one unit"));
        }
        match lines.iter_mut().find(|known| known.product_id == line.product_id) {
            None => lines.push(*line),
            Some(known) => {
                let sum = known.quantity.checked_add(line.quantity);
                known.quantity = sum.ok_or_else(|| broken("asks for uncountable units"))?;
            }
        }
    }
    if lines.is_empty() { Err(broken("asks to hold nothing")) } else { Ok(lines) }
}

fn check<'a>(
    products: &'a Products,
    lines: &[Line],
) -> Result<Result<Vec<Found<'a>>, Reason>, Broken> {
    let mut found = Vec::with_capacity(lines.len());
    for line in lines {
        match products.products.find(line.product_id)? {
            Some(product) => found.push((*line, product)),
            None => return Ok(Err((Code::ProductNotFound, line.product_id))),
        }
    }
    let short = found.iter().find(|(line, product)| line.quantity > product.available);
    match short {
        Some((line, _)) => Ok(Err((Code::OutOfStock, line.product_id))),
        None => Ok(Ok(found)),
    }
}

pub(super) fn decide(
    products: &Products,
    rules: &Rules,
    user_lane: u16,
    told: &Reserve,
) -> Result<Decision, Broken> {
    // A hold that is not in memory is not looked for: message numbers keep a Reserve from coming
    // twice. If one did, it would hold twice.
    if products.holds.peek(told.order_id).is_some_and(|hold| hold.is_open()) {
        return Ok(Decision::nothing(Verdict::Ignored, Code::Ok));
    }
    let lines = merge(products, rules, told)?;
    match check(products, &lines)? {
        Ok(found) => hold(user_lane, told, &found),
        Err(reason) => Ok(refuse(user_lane, told, reason)),
    }
}

fn hold(user_lane: u16, told: &Reserve, found: &[Found<'_>]) -> Result<Decision, Broken> {
    let order_id = told.order_id;
    let (from, to) = (Account::Available, Account::Reserved);
    let mut postings = Vec::with_capacity(2 * found.len());
    for (line, product) in found {
        let moved = stock::transfer(product, line.quantity, from, to);
        let uncountable =
            || Broken::about("product", line.product_id, "uncountable reserved units");
        postings.extend(moved.ok_or_else(uncountable)?);
    }
    let priced = found.iter().map(|(line, product)| PricedLine {
        product_id: line.product_id,
        quantity: line.quantity,
        price: product.price,
    });
    let lines: Vec<PricedLine> = priced.collect();
    let reserved = Reserved { order_id, lines: lines.clone() };
    Ok(Decision {
        changes: vec![Change::HoldOpened(HoldOpened { order_id, user_lane, lines })],
        postings,
        messages: vec![(user_lane, Message::Reserved(reserved))],
        ..Decision::nothing(Verdict::Accepted, Code::Ok)
    })
}

fn refuse(user_lane: u16, told: &Reserve, (code, product_id): Reason) -> Decision {
    let refused = Refused { order_id: told.order_id, code, product_id };
    let messages = vec![(user_lane, Message::Refused(refused))];
    Decision { messages, ..Decision::nothing(Verdict::Refused, code) }
}

pub(super) fn evolve(
    products: &mut Products,
    now: &Moment,
    opened: &HoldOpened,
) -> Result<(), Broken> {
    let HoldOpened { order_id, user_lane, lines } = opened.clone();
    let (lane, as_of) = (products.lane, AsOf::default());
    let hold = Hold { order_id, lane, as_of, user_lane, lines, end: None };
    products.holds.put_unseen(order_id, now, hold)
}
