//! Commands: wishes on the input topics, from the HTTP API and from other systems alike.

use crate::{Fingerprint, Micros, Money, OrderId, ProductId, Role, TraceId, Units, UserId};
use serde::{Deserialize, Serialize};

/// Longest idempotency key, in characters.
pub const KEY_CHARS_MAX: usize = 255;

/// How long a key stands for its first outcome, by the append times of its commands, in
/// microseconds. The lanes decide by it; whoever reads a stored outcome tells by it whether that
/// may still be a command's own. Orders remember their keys for ever.
pub const OUTCOME_KEPT_US: i64 = 15 * Micros::DAY;

/// Units of one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Which product.
    pub product_id: ProductId,
    /// How many units.
    pub quantity: Units,
}

/// Units of one product, and the price of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PricedLine {
    /// Which product.
    pub product_id: ProductId,
    /// How many units.
    pub quantity: Units,
    /// Price of one unit.
    pub price: Money,
}

/// A wish about one user: topic `user-commands`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserCommand {
    /// Whom it is about; also the record's key.
    pub user_id: UserId,
    /// Idempotency key, 1 to [`KEY_CHARS_MAX`] characters.
    pub key: String,
    /// When the caller made it.
    pub created_at: Micros,
    /// Imports only: when it really happened. Dates the order and its sales, and no deadline.
    pub occurred_at: Option<Micros>,
    /// Who asks, for the journal: `user:7`, `importer`.
    pub actor: String,
    /// The caller's trace.
    pub trace_id: Option<TraceId>,
    /// Partition of `command-results` to answer to; absent: nobody waits.
    pub reply_to: Option<u32>,
    /// What is wished.
    pub payload: UserPayload,
}

/// What can be wished about a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each variant wraps the record of the same name")]
pub enum UserPayload {
    RegisterUser(RegisterUser),
    ChargeBalance(ChargeBalance),
    AddToCart(AddToCart),
    RemoveFromCart(RemoveFromCart),
    PlaceOrder(PlaceOrder),
    PayOrder(PayOrder),
    CancelOrder(CancelOrder),
    RefundOrder(RefundOrder),
}

/// Makes the user known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterUser {
    /// Shown name.
    pub name: String,
    /// Address; kept, never used as a key.
    pub email: String,
}

/// Puts money into the wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeBalance {
    /// How much; within the configured charge limits.
    pub amount: Money,
}

/// Adds units to the cart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddToCart {
    /// Which product.
    pub product_id: ProductId,
    /// How many more.
    pub quantity: Units,
}

/// Takes units, or the whole line, out of the cart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoveFromCart {
    /// Which product.
    pub product_id: ProductId,
    /// How many fewer; absent: all.
    pub quantity: Option<Units>,
}

/// When an order is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Payment {
    /// As soon as its units are held.
    Now,
    /// By a PayOrder before the deadline.
    Later,
}

/// Makes an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlaceOrder {
    /// What is bought; the same product twice is one line. Empty with `from_cart`.
    pub items: Vec<Line>,
    /// Buy what is in the cart.
    pub from_cart: bool,
    /// When it is paid.
    pub payment: Payment,
}

/// Pays an order that was placed to be paid later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PayOrder {
    /// Which order.
    pub order_id: OrderId,
}

/// Fails a pending order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelOrder {
    /// Which order.
    pub order_id: OrderId,
}

/// Gives money back for a paid order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundOrder {
    /// Which order.
    pub order_id: OrderId,
    /// Which units; empty: all that is not yet refunded.
    pub items: Vec<Line>,
}

/// A wish about one product: topic `product-commands`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductCommand {
    /// What it is about; also the record's key.
    pub product_id: ProductId,
    /// Idempotency key, 1 to [`KEY_CHARS_MAX`] characters.
    pub key: String,
    /// When the caller made it.
    pub created_at: Micros,
    /// Imports only.
    pub occurred_at: Option<Micros>,
    /// Who asks, for the journal.
    pub actor: String,
    /// The caller's trace.
    pub trace_id: Option<TraceId>,
    /// Partition of `command-results` to answer to; absent: nobody waits.
    pub reply_to: Option<u32>,
    /// What is wished.
    pub payload: ProductPayload,
}

/// What can be wished about a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each variant wraps the record of the same name")]
pub enum ProductPayload {
    RegisterProduct(RegisterProduct),
    ChangeProduct(ChangeProduct),
    Restock(Restock),
}

/// Puts a product into the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterProduct {
    /// Shown name.
    pub name: String,
    /// Price of one unit.
    pub price: Money,
    /// The first restock; may be zero.
    pub stock: Units,
}

/// Changes name or price, or both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeProduct {
    /// The new name.
    pub name: Option<String>,
    /// The new price of one unit.
    pub price: Option<Money>,
}

/// Adds available units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restock {
    /// How many more.
    pub quantity: Units,
}

/// What tells "the same key, another body" apart: a hash of the role and of the decoded payload, in
/// the encoding of this version and in an empty envelope. The envelope does not count: a retry has
/// another `createdAt` and trace.
pub fn fingerprint(role: Role, payload_datum: &[u8]) -> Fingerprint {
    let mut hasher = blake3::Hasher::new();
    hasher.update(role.name().as_bytes()).update(&[0]).update(payload_datum);
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    Fingerprint(bytes)
}
