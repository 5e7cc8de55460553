//! Cells as rows and back, and the sales that an entry makes.

use super::{
    Products,
    state::{Hold, Product, Stock},
};
use crate::{Broken, Event, idempotency::Stored};
use jupan_schemas::{
    Change, Entry, HoldEnded, LinesReturned, Micros, Money, OrderId, PricedLine, ProductId, Sale,
    Units,
    rows::{AsOf, HoldRow, Key, ProductRow, Row},
};

pub(super) fn load(products: &mut Products, key: Key, row: Option<Row>) -> Result<(), Broken> {
    let lane = products.lane;
    match (key, row) {
        (Key::Product(id), None) => products.products.load(id, None),
        (Key::Hold(id, owner), None) if owner == lane => products.holds.load(id, None),
        (Key::Outcome(id), None) => products.outcomes.load(id, None),
        (Key::Product(id), Some(Row::Product(row))) if row.product_id == id && row.lane == lane => {
            products.products.load(id, Some(Product::from_row(row)));
        }
        (Key::Hold(id, owner), Some(Row::Hold(row)))
            if row.order_id == id && row.lane == lane && owner == lane =>
        {
            products.holds.load(id, Some(Hold::from_row(row)));
        }
        (Key::Outcome(id), Some(Row::Outcome(row))) if row.command_id == id && row.lane == lane => {
            products.outcomes.load(id, Some(Stored::from_row(&row)));
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
    let lane = products.lane;
    match key {
        Key::Product(id) => {
            let (product, as_of) = products.products.peek(id)?;
            Some(Row::Product(product.to_row(id, lane, as_of)))
        }
        Key::Hold(id, owner) if owner == lane => {
            let (hold, as_of) = products.holds.peek(id)?;
            Some(Row::Hold(hold.to_row(id, lane, as_of)))
        }
        Key::Outcome(id) => {
            let (stored, as_of) = products.outcomes.peek(id)?;
            Some(Row::Outcome(stored.to_row(id, lane, as_of)))
        }
        Key::Hold(..) | Key::User(_) | Key::Order(_) => None,
    }
}

impl Product {
    fn from_row(row: ProductRow) -> (Self, AsOf) {
        let ProductRow { name, price, supply, available, reserved, sold, .. } = row;
        let ProductRow { created_at, updated_at, as_of, .. } = row;
        let stock = Stock { supply, available, reserved, sold };
        (Self { name, price, stock, created_at, updated_at }, as_of)
    }

    fn to_row(&self, product_id: ProductId, lane: u16, as_of: AsOf) -> ProductRow {
        let Self { name, price, stock, created_at, updated_at } = self.clone();
        let Stock { supply, available, reserved, sold } = stock;
        ProductRow {
            product_id,
            lane,
            as_of,
            name,
            price,
            supply,
            available,
            reserved,
            sold,
            created_at,
            updated_at,
        }
    }
}

impl Hold {
    fn from_row(row: HoldRow) -> (Self, AsOf) {
        let HoldRow { order_id: _, lane: _, as_of, user_lane, lines, end } = row;
        (Self { user_lane, lines, end }, as_of)
    }

    fn to_row(&self, order_id: OrderId, lane: u16, as_of: AsOf) -> HoldRow {
        let Self { user_lane, lines, end } = self.clone();
        HoldRow { order_id, lane, as_of, user_lane, lines, end }
    }
}

/// One sale for each line of a hold that was settled, and for each line that came back.
pub(super) fn events(products: &Products, entry: &Entry) -> Vec<Event> {
    let mut sales = Vec::new();
    for change in &entry.changes {
        match change {
            Change::HoldEnded(HoldEnded { order_id, sold_at: Some(sold_at), .. }) => {
                let Some((hold, _)) = products.holds.peek(*order_id) else { continue };
                let sold = |line| sale(products.lane, entry, *order_id, *sold_at, line);
                sales.extend(hold.lines.iter().map(sold));
            }
            Change::LinesReturned(LinesReturned { order_id, lines, sold_at }) => {
                let returned = |line| {
                    let sale = sale(products.lane, entry, *order_id, *sold_at, line);
                    Sale { units: Units(-sale.units.0), amount: Money(-sale.amount.0), ..sale }
                };
                sales.extend(lines.iter().map(returned));
            }
            _ => {}
        }
    }
    sales.into_iter().map(Event::Sale).collect()
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
