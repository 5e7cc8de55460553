//! Orders, from placing to refund, and what became of any command.

use super::Operation;
use crate::{
    bodies, dto,
    openapi::{
        parameters::{command_in_path, key, order_in_path, shared, user},
        samples::{KEYS, PRODUCT},
    },
};
use axum::http::StatusCode;
use jupan_schemas::Code;
use serde_json::json;

const TAG: &str = "orders";

pub(super) fn calls() -> Vec<Operation> {
    vec![place(), list(), read(), history(), pay(), cancel(), refund(), command()]
}

/// What a PlaceOrder can be refused for before it is an order.
const NO_ORDER: [Code; 5] = [
    Code::InvalidId,
    Code::InvalidLines,
    Code::InvalidQuantity,
    Code::UserNotFound,
    Code::CartEmpty,
];

fn place() -> Operation {
    let items = json!([{ "productId": PRODUCT.0, "quantity": 2 }]);
    let now = json!({ "userId": 1, "items": items });
    let later = json!({ "userId": 1, "items": items, "payment": "later" });
    let cart = json!({ "userId": 1, "fromCart": true, "payment": "later" });
    Operation::write("POST /order", "placeOrder", TAG)
        .about(
            "Place an order",
            "Of listed `items`, or of everything in the cart (`fromCart`). The units are held \
             first; then the order is paid at once (`payment: \"now\"`), or stays `PENDING` with \
             `paymentDue` until it is paid, cancelled or too late (`\"later\"`).\n\n\
             Unlike other writes it does not wait unless you ask: the answer is 202 with a \
             Location to poll. With `Prefer: wait=5` it is the order (201), or the problem that \
             the order failed with; its GET is then 200 with `FAILED` and the reason. What fails \
             costs nothing and gives all units back, to the cart too.\n\n\
             Each example has a key of its own: choose both alike.",
        )
        .takes([key(false, &KEYS)])
        .body::<dto::NewOrder>(&[
            (KEYS[0], "Two units, paid now", now),
            (KEYS[1], "Two units, to be paid later", later),
            (KEYS[2], "Everything in the cart, to be paid later", cart),
        ])
        .answers::<bodies::Order>(
            StatusCode::CREATED,
            "Waited for and done: paid, or held until it is paid.",
            &["Location", "ETag"],
        )
        .refuses(&NO_ORDER)
        .refuses(&[
            Code::InvalidTime,
            Code::UserMismatch,
            Code::ProductNotFound,
            Code::InsufficientBalance,
            Code::OutOfStock,
            Code::TotalLimit,
            Code::Cancelled,
            Code::Expired,
        ])
}

fn list() -> Operation {
    Operation::read("GET /order", "listOrders", TAG)
        .about("List a user's orders", "Newest first. A page of large orders may be shorter.")
        .asks([user(), shared("Cursor"), shared("Limit")])
        .takes([shared("Caller")])
        .answers::<bodies::Orders>(StatusCode::OK, "A page of orders.", &[])
        .refuses(&[Code::InvalidId, Code::InvalidCursor, Code::UserMismatch, Code::UserNotFound])
}

fn read() -> Operation {
    Operation::read("GET /order/{id}", "readOrder", TAG)
        .about(
            "Read an order, or wait for its news",
            "The Location of a placed order's 202 leads here, with `at`: the answer is `PENDING` \
             (without lines) until the order can be read, and never a false 404. An order that \
             was refused before it became one is answered with that problem. Without `at` an \
             unknown id is waited for shortly, then 404. Another user's order is 404.\n\n\
             Long poll: `Prefer: wait=10` with `If-None-Match: <the ETag that you have>` answers \
             as soon as the order has changed, or 304 when the time is over.",
        )
        .takes([order_in_path(0)])
        .asks([shared("At")])
        .takes([shared("News"), shared("IfNoneMatch"), shared("Caller")])
        .answers_either::<bodies::Order, bodies::PendingOrder>(
            StatusCode::OK,
            "The order, or that it is on its way.",
            &["ETagIfAny"],
        )
        .answers_bare(StatusCode::NOT_MODIFIED, "You have this state.", &["ETag"])
        .refuses(&NO_ORDER)
        .refuses(&[Code::OrderNotFound, Code::Unknown])
}

fn history() -> Operation {
    Operation::read("GET /order/{id}/history", "readOrderHistory", TAG)
        .about("Read how an order came to be as it is", "Its statuses with time, oldest first.")
        .takes([order_in_path(0), shared("Caller")])
        .answers::<bodies::History>(StatusCode::OK, "The history.", &[])
        .refuses(&[Code::InvalidId, Code::OrderNotFound])
}

fn pay() -> Operation {
    Operation::write("POST /order/{id}/payment", "payOrder", TAG)
        .about(
            "Pay an order that was to be paid later",
            "Until its `paymentDue`. While its units are not all held yet: `ORDER_NOT_READY`, \
             which does not use up the key: try again. If the wallet holds too little, the order \
             fails and its units are free again.",
        )
        .takes([order_in_path(1), key(true, &["pay-my-second-order"])])
        .body::<dto::OrderOwner>(&[("pay", "User 1 pays", json!({ "userId": 1 }))])
        .answers::<bodies::Order>(StatusCode::OK, "Paid.", &["ETag"])
        .refuses(&[
            Code::UserMismatch,
            Code::OrderNotFound,
            Code::OrderExpired,
            Code::OrderNotPending,
            Code::OrderNotReady,
            Code::InsufficientBalance,
            Code::TotalLimit,
        ])
}

fn cancel() -> Operation {
    Operation::write("POST /order/{id}/cancel", "cancelOrder", TAG)
        .about(
            "Cancel a pending order",
            "It fails at once with `CANCELLED`, whoever waits for it is told so, and its units \
             are free again; what came from the cart goes back there.",
        )
        .takes([order_in_path(2), key(false, &[])])
        .body::<dto::OrderOwner>(&[("cancel", "User 1 cancels", json!({ "userId": 1 }))])
        .answers::<bodies::Order>(StatusCode::OK, "Cancelled.", &["ETag"])
        .refuses(&[Code::UserMismatch, Code::OrderNotFound, Code::OrderNotPending])
}

fn refund() -> Operation {
    let some = json!({ "userId": 1, "items": [{ "productId": PRODUCT.0, "quantity": 1 }] });
    Operation::write("POST /order/{id}/refund", "refundOrder", TAG)
        .about(
            "Give money back for a paid order",
            "The listed units, or (without `items`) all that is left; again and again, up to what \
             was bought. The money goes to the wallet and the units to the stock. The order is \
             `REFUNDED` when nothing is left.",
        )
        .takes([order_in_path(0), key(true, &["refund-of-my-first-order"])])
        .body::<dto::Refund>(&[
            ("one", "One unit", some),
            ("rest", "All that is left", json!({ "userId": 1 })),
        ])
        .answers::<bodies::Order>(StatusCode::OK, "Refunded.", &["ETag"])
        .refuses(&[
            Code::InvalidLines,
            Code::InvalidQuantity,
            Code::UserMismatch,
            Code::OrderNotFound,
            Code::OrderNotPaid,
            Code::RefundExceeds,
            Code::BalanceLimit,
        ])
}

fn command() -> Operation {
    Operation::read("GET /commands/{id}", "readCommand", "commands")
        .about(
            "What became of a write",
            "The Location of a 202 leads here, unless an order was placed. `DONE` has the \
             outcome: `OK`, or the code that a waiting caller would have got. Outcomes can be \
             asked for at least 15 days.",
        )
        .takes([command_in_path()])
        .asks([shared("At")])
        .takes([shared("Caller")])
        .answers::<bodies::Command>(StatusCode::OK, "What is known of it.", &[])
        .refuses(&[Code::InvalidId, Code::CommandNotFound])
}
