//! Cells as rows, and the sales that an entry makes.

use super::Products;
use crate::{Broken, Event};
use jupan_schemas::{
    Change, Entry, HoldEnded, LinesReturned, Micros, Money, OrderId, PricedLine, Sale, Units,
    rows::{Key, Row},
};
use std::sync::Arc;

pub(super) fn load(products: &mut Products, key: Key, row: Option<Row>) -> Result<(), Broken> {
    let lane = products.lane;
    match (key, row) {
        (Key::Product(id), None) => products.products.load(id, None),
        (Key::Hold(id, owner), None) if owner == lane => products.holds.load(id, None),
        (Key::Outcome(id), None) => products.outcomes.load(id, None),
        (Key::Product(id), Some(Row::Product(row))) if row.product_id == id && row.lane == lane => {
            products.products.load(id, Some(row));
        }
        (Key::Hold(id, owner), Some(Row::Hold(row)))
            if row.order_id == id && row.lane == lane && owner == lane =>
        {
            products.holds.load(id, Some(row));
        }
        (Key::Outcome(id), Some(Row::Outcome(row))) if row.command_id == id && row.lane == lane => {
            products.outcomes.load(id, Some(row));
        }
        (key, _) => {
            return Err(Broken {
                about: format!("{key:?} in product lane {lane}"),
                what: "the row is not of this key and lane",
            });
        }
    }
    Ok(())
}

pub(super) fn row(products: &Products, key: Key) -> Option<Row> {
    match key {
        Key::Product(id) => products.products.peek(id).cloned().map(Row::Product),
        Key::Hold(id, owner) if owner == products.lane => {
            products.holds.peek(id).cloned().map(Row::Hold)
        }
        Key::Outcome(id) => products.outcomes.peek(id).cloned().map(Row::Outcome),
        Key::Hold(..) | Key::User(_) | Key::Order(_) => None,
    }
}

pub(super) fn take_changed(products: &mut Products, rows: &mut Vec<Row>) {
    products.products.take_changed(|row| rows.push(Row::Product(Arc::clone(row))));
    products.holds.take_changed(|row| rows.push(Row::Hold(Arc::clone(row))));
    products.outcomes.take_changed(|row| rows.push(Row::Outcome(Arc::clone(row))));
}

/// One sale for each line of a hold that was settled, and for each line that came back.
pub(super) fn events(products: &Products, entry: &Entry, tell: &mut dyn FnMut(Event)) {
    for change in &entry.changes {
        match change {
            Change::HoldEnded(HoldEnded { order_id, sold_at: Some(sold_at), .. }) => {
                let Some(hold) = products.holds.peek(*order_id) else { continue };
                let sold = |line| sale(products.lane, entry, *order_id, *sold_at, line);
                hold.lines.iter().map(sold).map(Event::Sale).for_each(&mut *tell);
            }
            Change::LinesReturned(LinesReturned { order_id, lines, sold_at }) => {
                let returned = |line| {
                    let sale = sale(products.lane, entry, *order_id, *sold_at, line);
                    Sale { units: Units(-sale.units.0), amount: Money(-sale.amount.0), ..sale }
                };
                lines.iter().map(returned).map(Event::Sale).for_each(&mut *tell);
            }
            _ => {}
        }
    }
}

fn sale(lane: u16, entry: &Entry, order_id: OrderId, sold_at: Micros, line: &PricedLine) -> Sale {
    let product_id = line.product_id;
    Sale {
        event_id: format!("products/{lane}/{}/{product_id}", entry.sequence),
        product_id,
        order_id: order_id.to_string(),
        units: line.quantity,
        // The decision, or folding the end of the hold, has checked that it can be counted.
        amount: line.price.checked_times(line.quantity).unwrap_or(Money(i64::MAX)),
        sold_at,
        stamp: entry.stamp,
    }
}
