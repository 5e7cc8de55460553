//! RegisterProduct: into the catalogue; `supply -> available` for its first units.

use super::{
    Products,
    state::{Product, check_name, check_price},
    stock,
};
use crate::{Broken, cells::Moment, idempotency::Ruling};
use jupan_schemas::{
    Change, Code, Outcome, PRICE_AND_STOCK_MAX, ProductId, ProductRegistered, RegisterProduct,
    Units, rows::AsOf,
};

fn check(product: Option<&Product>, wish: &RegisterProduct) -> Result<(), Code> {
    check_name(&wish.name)?;
    check_price(wish.price)?;
    if !(0..=PRICE_AND_STOCK_MAX).contains(&wish.stock.0) {
        return Err(Code::InvalidQuantity);
    }
    if product.is_some() { Err(Code::AlreadyExists) } else { Ok(()) }
}

pub(super) fn decide(
    product_id: ProductId,
    product: Option<&Product>,
    wish: &RegisterProduct,
) -> Ruling {
    if let Err(code) = check(product, wish) {
        return Ruling::refused(code);
    }
    let RegisterProduct { name, price, stock: units } = wish.clone();
    let first = (units.0 > 0).then(|| stock::first(product_id, units));
    Ruling::Done {
        outcome: Outcome::of(Code::Ok),
        changes: vec![Change::ProductRegistered(ProductRegistered { product_id, name, price })],
        postings: first.flatten().map_or_else(Vec::new, Vec::from),
    }
}

pub(super) fn evolve(
    products: &mut Products,
    now: &Moment,
    change: &ProductRegistered,
) -> Result<(), Broken> {
    let product = Product {
        product_id: change.product_id,
        lane: products.lane,
        as_of: AsOf::default(),
        name: change.name.as_str().into(),
        price: change.price,
        supply: Units::ZERO,
        available: Units::ZERO,
        reserved: Units::ZERO,
        sold: Units::ZERO,
        created_at: now.at,
        updated_at: now.at,
    };
    products.products.create(change.product_id, now, product)
}
