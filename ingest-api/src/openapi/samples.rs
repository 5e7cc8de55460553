//! What the document's examples are about: user 1 and the products of the demo, and orders whose
//! ids follow from the keys that the examples order with. Pasted one after the other they work.

use crate::cursor::{self, List};
use jupan_schemas::{CommandId, OrderId, ProductId, Role, UserId};
use serde_json::{Value, json};

/// Who acts in the examples.
pub(super) const USER: UserId = UserId(1);
/// What is bought in the examples.
pub(super) const PRODUCT: ProductId = ProductId(101);
/// Keys of the orders that the examples place: paid now, paid later, and from the cart.
pub(crate) const KEYS: [&str; 3] = ["my-first-order", "my-second-order", "my-third-order"];
/// The trace of the problems that are shown.
pub(super) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The order that the key of this number makes.
pub(super) fn order(number: usize) -> String {
    OrderId::of(USER, KEYS[number]).to_string()
}

/// The command that the first key names.
pub(super) fn command() -> String {
    CommandId::of(Role::Users, USER.0, KEYS[0]).to_string()
}

/// A cursor of the list of products.
pub(super) fn cursor() -> String {
    cursor::write(List::Products, 0, PRODUCT.0)
}

const TIMES: [&str; 2] = ["2025-03-14T15:09:26.535897Z", "2025-03-14T15:09:26.548213Z"];

/// The first order, paid.
pub(crate) fn paid_order() -> Value {
    json!({
        "orderId": order(0),
        "userId": USER.0,
        "status": "SUCCESS",
        "totalPrice": 76_000,
        "items": [{
            "productId": PRODUCT.0,
            "quantity": 2,
            "price": 38_000,
            "refundedQuantity": 0,
        }],
        "createdAt": TIMES[0],
        "updatedAt": TIMES[1],
    })
}

/// How it came to be paid.
pub(crate) fn history() -> Value {
    json!({ "history": [
        { "status": "PENDING", "at": TIMES[0] },
        { "status": "SUCCESS", "at": TIMES[1] },
    ]})
}

/// Its payment.
pub(crate) fn payment() -> Value {
    json!({
        "delta": -76_000,
        "balance": 924_000,
        "kind": "PAYMENT",
        "orderId": order(0),
        "at": TIMES[1],
    })
}

/// What was refused.
pub(crate) fn problem() -> Value {
    json!({
        "type": "urn:jupan:code:OUT_OF_STOCK",
        "title": "Out of stock",
        "status": 409,
        "code": "OUT_OF_STOCK",
        "traceId": TRACE,
        "orderId": order(0),
        "productId": PRODUCT.0,
    })
}
