//! What a product lane knows: its rows.

use crate::cells::Cell;
pub(crate) use jupan_schemas::rows::{HoldRow as Hold, ProductRow as Product};
use jupan_schemas::{Code, Money, PRICE_AND_STOCK_MAX, is_name, rows::AsOf};

impl Cell for Product {
    fn as_of(&self) -> AsOf {
        self.as_of
    }

    fn set_as_of(&mut self, as_of: AsOf) {
        self.as_of = as_of;
    }
}

/// Stays in memory after its end until its last row is projected.
impl Cell for Hold {
    fn as_of(&self) -> AsOf {
        self.as_of
    }

    fn set_as_of(&mut self, as_of: AsOf) {
        self.as_of = as_of;
    }

    fn is_spent(&self) -> bool {
        !self.is_open()
    }
}

/// Checks a product's name.
pub(crate) fn check_name(name: &str) -> Result<(), Code> {
    if is_name(name) { Ok(()) } else { Err(Code::InvalidName) }
}

/// Checks a product's price.
pub(crate) fn check_price(price: Money) -> Result<(), Code> {
    let is_valid = (0..=PRICE_AND_STOCK_MAX).contains(&price.0);
    if is_valid { Ok(()) } else { Err(Code::InvalidPrice) }
}
