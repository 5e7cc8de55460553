//! Restock: `supply -> available`.

use super::{state::Product, stock};
use crate::idempotency::Ruling;
use jupan_schemas::{Account, Code, Outcome, Posting, Restock, Units};

fn check<'a>(product: Option<&'a Product>, wish: &Restock) -> Result<&'a Product, Code> {
    if wish.quantity <= Units::ZERO {
        return Err(Code::InvalidQuantity);
    }
    let product = product.ok_or(Code::ProductNotFound)?;
    let has_room = stock::has_room_for(product, wish.quantity);
    if has_room { Ok(product) } else { Err(Code::StockLimit) }
}

fn post(product: Option<&Product>, wish: &Restock) -> Result<[Posting; 2], Code> {
    let product = check(product, wish)?;
    let (from, to) = (Account::Supply, Account::Available);
    stock::transfer(product, wish.quantity, from, to).ok_or(Code::StockLimit)
}

pub(super) fn decide(product: Option<&Product>, wish: &Restock) -> Ruling {
    match post(product, wish) {
        Ok(postings) => Ruling::Done {
            outcome: Outcome::of(Code::Ok),
            changes: Vec::new(),
            postings: postings.to_vec(),
        },
        Err(code) => Ruling::refused(code),
    }
}
