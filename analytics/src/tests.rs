//! Tests against a recount of every sale that shares nothing with the code under test but its
//! types.

mod analyzer;
mod brute;
pub(crate) mod fake;
mod memory;
mod windows;

use jupan_schemas::{Micros, Money, ProductId, Sale, Stamp, Units};

/// 2017-03-01T00:00:00Z, where most tests begin.
pub(crate) const BEGIN: Micros = Micros(1_488_326_400_000_000);

/// A sale, or with negative units a return.
pub(crate) fn sale(product: u64, units: i64, price: i64, sold_at: Micros) -> Sale {
    Sale {
        event_id: format!("products/0/1/{product}"),
        product_id: ProductId(product),
        order_id: String::new(),
        units: Units(units),
        amount: Money(units * price),
        sold_at,
        stamp: Stamp(0),
    }
}
