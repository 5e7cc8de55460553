//! Carts.

use super::Operation;
use crate::{
    bodies, dto,
    openapi::{
        parameters::{key, product, shared, user},
        samples::PRODUCT,
    },
};
use axum::http::StatusCode;
use jupan_schemas::Code;
use serde_json::json;

const TAG: &str = "carts";

pub(super) fn calls() -> Vec<Operation> {
    vec![add(), read(), remove()]
}

fn read() -> Operation {
    Operation::read("GET /cart", "readCart", TAG)
        .about(
            "Read a cart",
            "With the names and prices of today: nothing is held or promised by lying in a cart.",
        )
        .asks([user()])
        .takes([shared("Caller")])
        .answers::<bodies::Cart>(StatusCode::OK, "The cart.", &[])
        .refuses(&[Code::InvalidId, Code::UserMismatch, Code::UserNotFound])
}

fn add() -> Operation {
    let addition = json!({ "userId": 1, "productId": PRODUCT.0, "quantity": 2 });
    Operation::write("POST /cart/add", "addToCart", TAG)
        .about(
            "Put units into a cart",
            "What is there already adds up. Give a key: a repetition without one adds again.",
        )
        .takes([key(false, &[])])
        .body::<dto::CartAddition>(&[("two", "Two units for user 1", addition)])
        .answers::<bodies::Cart>(StatusCode::OK, "The cart as it is now.", &[])
        .refuses(&[
            Code::InvalidQuantity,
            Code::UserMismatch,
            Code::UserNotFound,
            Code::ProductNotFound,
            Code::CartFull,
        ])
}

fn remove() -> Operation {
    Operation::write("DELETE /cart/remove", "removeFromCart", TAG)
        .about("Take units out of a cart", "What is not there is gone already: that is no problem.")
        .asks([user(), product(), shared("Removed")])
        .takes([key(false, &[])])
        .answers::<bodies::Cart>(StatusCode::OK, "The cart as it is now.", &[])
        .refuses(&[Code::InvalidQuantity, Code::UserMismatch, Code::UserNotFound])
}
