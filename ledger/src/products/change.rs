//! ChangeProduct: another name or price, from the next order on. What is held keeps its price.

use super::{
    Products,
    state::{Product, check_name, check_price},
};
use crate::{Broken, cells::Moment, idempotency::Ruling};
use jupan_schemas::{Change, ChangeProduct, Code, Outcome, ProductChanged, ProductId};

fn check(product: Option<&Product>, wish: &ChangeProduct) -> Result<(), Code> {
    if wish.name.is_none() && wish.price.is_none() {
        return Err(Code::Malformed);
    }
    wish.name.as_deref().map_or(Ok(()), check_name)?;
    wish.price.map_or(Ok(()), check_price)?;
    if product.is_none() { Err(Code::ProductNotFound) } else { Ok(()) }
}

pub(super) fn decide(
    product_id: ProductId,
    product: Option<&Product>,
    wish: &ChangeProduct,
) -> Ruling {
    if let Err(code) = check(product, wish) {
        return Ruling::refused(code);
    }
    let ChangeProduct { name, price } = wish.clone();
    Ruling::Done {
        outcome: Outcome::of(Code::Ok),
        changes: vec![Change::ProductChanged(ProductChanged { product_id, name, price })],
        postings: Vec::new(),
    }
}

pub(super) fn evolve(
    products: &mut Products,
    now: &Moment,
    change: &ProductChanged,
) -> Result<(), Broken> {
    let Some(product) = products.products.change(change.product_id, now)? else { return Ok(()) };
    if let Some(name) = &change.name {
        product.name = name.as_str().into();
    }
    if let Some(price) = change.price {
        product.price = price;
    }
    product.updated_at = now.at;
    Ok(())
}
