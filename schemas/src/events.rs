//! What the outside reads: flat records, so that any tool can map them to a table.

use crate::{Code, CommandId, Micros, Money, OrderId, ProductId, Stamp, Units, UserId};
use serde::{Deserialize, Serialize};

/// One change of one order, with its lines: topic `order-events`, the data platform's feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderEvent {
    /// `users/<lane>/<sequence>`: the same on every read, so that a consumer can drop repeats.
    pub event_id: String,
    /// The order, as text.
    pub order_id: String,
    /// Whose.
    pub user_id: UserId,
    /// Where it stands now.
    pub status: String,
    /// Why it failed.
    pub reason: Option<String>,
    /// What it cost; zero while prices are not known.
    pub total_price: Money,
    /// When the order was placed.
    pub occurred_at: Micros,
    /// When it changed.
    pub at: Micros,
    /// Logical time.
    pub stamp: Stamp,
    /// Its lines; the price is zero while not known.
    pub lines: Vec<OrderEventLine>,
}

/// One line of an [`OrderEvent`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderEventLine {
    /// Which product.
    pub product_id: ProductId,
    /// How many units.
    pub quantity: Units,
    /// Price of one unit.
    pub price: Money,
    /// How many of the units were given back so far.
    pub refunded: Units,
}

/// One product sold or returned: topic `sales`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sale {
    /// `products/<lane>/<sequence>/<product>`: the same on every read.
    pub event_id: String,
    /// Which product.
    pub product_id: ProductId,
    /// In which order, as text.
    pub order_id: String,
    /// How many; negative for a return.
    pub units: Units,
    /// Units times price; negative for a return.
    pub amount: Money,
    /// Time of the sale, for a return too.
    pub sold_at: Micros,
    /// Logical time.
    pub stamp: Stamp,
}

/// The best sellers of one window: topic `top-products`, compacted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopProducts {
    /// First instant of the window.
    pub window_from: Micros,
    /// First instant after the window; also the record's key.
    pub window_to: Micros,
    /// How many ranks were asked for.
    pub limit: u32,
    /// The next unread offset of each partition of `sales`: what the list counts.
    pub positions: Vec<u64>,
    /// Best first.
    pub products: Vec<TopProduct>,
}

/// One rank of [`TopProducts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopProduct {
    /// From 1.
    pub rank: u32,
    /// Which product.
    pub product_id: ProductId,
    /// Units sold in the window.
    pub units: Units,
    /// What they cost.
    pub amount: Money,
}

/// An outcome for one asker: topic `command-results`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandResult {
    /// Which command.
    pub command_id: CommandId,
    /// Offset of the asker's command in its partition.
    pub position: u64,
    /// `Ok`, or why not.
    pub code: Code,
    /// The order that it is about.
    pub order_id: Option<OrderId>,
    /// The wallet after a charge.
    pub balance: Option<Money>,
    /// The product that a refusal is about.
    pub product_id: Option<ProductId>,
}
