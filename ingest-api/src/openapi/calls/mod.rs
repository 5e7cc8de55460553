//! Every call, by subject. The router's table has the same ones: a test compares them.

mod carts;
mod orders;
mod products;
mod service;
mod users;

use super::operation::Operation;
use serde_json::{Value, json};

/// Subjects, in the order in which they are shown.
const TAGS: [(&str, &str); 6] = [
    ("users", "Users and their wallets."),
    ("products", "The catalogue with live stock, and what sells best."),
    ("carts", "One cart a user, kept by the shop."),
    ("orders", "Orders, from placing to refund."),
    ("commands", "What became of a write."),
    ("service", "Probes, metrics, and this document."),
];

/// The tags as they stand in the document.
pub(super) fn tags() -> Value {
    let tag = |(name, description)| json!({ "name": name, "description": description });
    TAGS.map(tag).to_vec().into()
}

/// All calls.
pub(super) fn all() -> Vec<Operation> {
    let calls =
        [users::calls(), products::calls(), carts::calls(), orders::calls(), service::calls()];
    calls.into_iter().flatten().collect()
}
