//! The catalogue with live stock, and the best sellers.

use super::Operation;
use crate::{
    bodies, dto,
    openapi::parameters::{key, product_in_path, shared},
};
use axum::http::StatusCode;
use jupan_schemas::Code;
use serde_json::json;

const TAG: &str = "products";

pub(super) fn calls() -> Vec<Operation> {
    vec![register(), list(), read(), change(), restock(), best_sellers()]
}

fn register() -> Operation {
    let abacus = json!({ "id": 1001, "name": "Abacus", "price": 12_000, "stock": 100 });
    Operation::write("POST /products", "registerProduct", TAG)
        .about(
            "Put a product into the catalogue",
            "You choose the id. `stock` is the first restock and may be zero. The answer is the \
             product as it was registered; every retry with the same key gets the same.",
        )
        .takes([key(false, &[])])
        .body::<dto::NewProduct>(&[("abacus", "A product with id 1001", abacus)])
        .answers::<bodies::Product>(StatusCode::CREATED, "Registered.", &["Location"])
        .refuses(&[
            Code::InvalidName,
            Code::InvalidPrice,
            Code::InvalidQuantity,
            Code::AlreadyExists,
        ])
}

fn list() -> Operation {
    Operation::read("GET /products", "listProducts", TAG)
        .about("List the catalogue", "By rising id, with the stock of this moment.")
        .asks([shared("Cursor"), shared("Limit")])
        .answers::<bodies::Products>(StatusCode::OK, "A page of the catalogue.", &[])
        .refuses(&[Code::InvalidCursor])
}

fn read() -> Operation {
    Operation::read("GET /products/{id}", "readProduct", TAG)
        .about(
            "Read a product",
            "`stock` is what can be bought now: what orders hold is not in it. It follows the \
             orders within a fraction of a second.",
        )
        .takes([product_in_path()])
        .answers::<bodies::Product>(StatusCode::OK, "The product.", &[])
        .refuses(&[Code::InvalidId, Code::ProductNotFound])
}

fn change() -> Operation {
    Operation::write("PATCH /products/{id}", "changeProduct", TAG)
        .about(
            "Change a product's name or price",
            "At least one of the two. Orders keep the price that they were made with.",
        )
        .takes([product_in_path(), key(false, &[])])
        .body::<dto::ProductChange>(&[("price", "A new price", json!({ "price": 37_000 }))])
        .answers::<bodies::Product>(StatusCode::OK, "The product as it is now.", &[])
        .refuses(&[Code::InvalidName, Code::InvalidPrice, Code::ProductNotFound])
}

fn restock() -> Operation {
    Operation::write("POST /products/{id}/restock", "restockProduct", TAG)
        .about(
            "Add units to a product's stock",
            "Give a key: a repetition without one is another delivery.",
        )
        .takes([product_in_path(), key(false, &[])])
        .body::<dto::Delivery>(&[("ten", "Ten more", json!({ "quantity": 10 }))])
        .answers::<bodies::Product>(StatusCode::OK, "The product as it is now.", &[])
        .refuses(&[Code::InvalidQuantity, Code::ProductNotFound, Code::StockLimit])
}

fn best_sellers() -> Operation {
    Operation::read("GET /products/top", "readBestSellers", TAG)
        .about(
            "What sells best",
            "Ranked by units, then by amount, then by lower id, over the sales of the days before \
             `asOf`. A return takes its units out of the time of its sale.",
        )
        .asks([shared("Days"), shared("Ranks"), shared("AsOf")])
        .answers::<bodies::BestSellers>(StatusCode::OK, "The best sellers.", &[])
        .refuses(&[Code::InvalidTime])
}
