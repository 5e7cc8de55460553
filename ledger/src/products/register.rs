//! RegisterProduct: into the catalogue; `supply -> available` for its first units.

use super::{
    Products,
    state::{Product, Stock, check_name, check_price},
};
use crate::{Broken, cells::Moment, idempotency::Ruling};
use jupan_schemas::{
    Account, Change, Code, Outcome, PRICE_AND_STOCK_MAX, ProductId, ProductRegistered,
    RegisterProduct,
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
    let RegisterProduct { name, price, stock } = wish.clone();
    let (from, to) = (Account::Supply, Account::Available);
    let first = (stock.0 > 0).then(|| Stock::default().transfer(product_id, stock, from, to));
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
        name: change.name.clone(),
        price: change.price,
        stock: Stock::default(),
        created_at: now.at,
        updated_at: now.at,
    };
    products.products.create(change.product_id, now, product)
}
