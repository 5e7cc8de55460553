//! The changes that entries make: what `evolve` folds into a lane's state, and nothing that it could not.

use crate::{
    Asker, Code, CommandId, Fingerprint, Line, Micros, Money, OrderId, Outcome, Payment,
    PricedLine, ProductId, UserId,
};
use serde::{Deserialize, Serialize};

/// A change of the lane's state. A hold is its own change: an entry never repeats all holds of a hot product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each variant wraps the record of the same name")]
pub enum Change {
    Opened(Opened),
    UserRegistered(UserRegistered),
    ProductRegistered(ProductRegistered),
    ProductChanged(ProductChanged),
    CartChanged(CartChanged),
    OrderPlaced(OrderPlaced),
    LaneReserved(LaneReserved),
    OrderReserved(OrderReserved),
    OrderEnded(OrderEnded),
    AskerJoined(AskerJoined),
    LinesRefunded(LinesRefunded),
    HoldOpened(HoldOpened),
    HoldEnded(HoldEnded),
    OutcomeStored(OutcomeStored),
    LinesReturned(LinesReturned),
}

/// A new owner took the lane over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Its epoch: the tail's + 1.
    pub epoch: u64,
}

/// The user is known from now on, with an empty wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserRegistered {
    /// Who.
    pub user_id: UserId,
    /// Shown name.
    pub name: String,
    /// Address.
    pub email: String,
}

/// The product is in the catalogue; its first units are postings of the same entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductRegistered {
    /// Which.
    pub product_id: ProductId,
    /// Shown name.
    pub name: String,
    /// Price of one unit.
    pub price: Money,
}

/// Name or price changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductChanged {
    /// Which.
    pub product_id: ProductId,
    /// The new name, where it changed.
    pub name: Option<String>,
    /// The new price, where it changed.
    pub price: Option<Money>,
}

/// The whole cart after the entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CartChanged {
    /// Whose.
    pub user_id: UserId,
    /// All its lines.
    pub lines: Vec<Line>,
}

/// The order is PENDING.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderPlaced {
    /// Which order.
    pub order_id: OrderId,
    /// Whose.
    pub user_id: UserId,
    /// Its lines, each product once, in the order of the command.
    pub lines: Vec<Line>,
    /// Whether the lines came out of the cart.
    pub from_cart: bool,
    /// When it is paid.
    pub payment: Payment,
    /// When it ends as EXPIRED if nothing else ended it.
    pub deadline: Micros,
    /// Imports only: when it really happened.
    pub occurred_at: Option<Micros>,
    /// Of its PlaceOrder.
    pub fingerprint: Fingerprint,
    /// Who waits.
    pub asker: Option<Asker>,
}

/// A product lane holds its lines of the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LaneReserved {
    /// Which order.
    pub order_id: OrderId,
    /// Which product lane.
    pub lane: u16,
    /// Its lines, priced.
    pub lines: Vec<PricedLine>,
}

/// Everything is held; a PayOrder is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderReserved {
    /// Which order.
    pub order_id: OrderId,
    /// Until when.
    pub payment_due: Micros,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OrderStatus {
    /// A symbol of a newer version.
    Unknown,
    /// Units are being held, or payment is due.
    Pending,
    /// Paid and sold.
    Success,
    /// Ended without money or stock moved.
    Failed,
    /// Everything was given back.
    Refunded,
}

impl OrderStatus {
    /// The stable text, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Pending => "PENDING",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::Refunded => "REFUNDED",
        }
    }
}

/// The order is SUCCESS or FAILED.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderEnded {
    /// Which order.
    pub order_id: OrderId,
    /// SUCCESS or FAILED.
    pub status: OrderStatus,
    /// `Ok`, or why it failed.
    pub code: Code,
    /// The product that the failure is about.
    pub product_id: Option<ProductId>,
    /// What it cost, or would have cost where all prices were known; else zero.
    pub total_price: Money,
}

/// A duplicate waits for the order's outcome, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AskerJoined {
    /// Which order.
    pub order_id: OrderId,
    /// Who waits.
    pub asker: Asker,
}

/// Units were given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinesRefunded {
    /// Of which order.
    pub order_id: OrderId,
    /// Which units, now.
    pub lines: Vec<Line>,
    /// SUCCESS, or REFUNDED when nothing is left.
    pub status: OrderStatus,
}

/// Units are held for an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldOpened {
    /// For which order.
    pub order_id: OrderId,
    /// The user lane that will end it.
    pub user_lane: u16,
    /// Which units, at which price.
    pub lines: Vec<PricedLine>,
}

/// The two ends of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HoldEnd {
    /// Sold.
    Settled,
    /// Available again.
    Released,
}

/// A hold is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldEnded {
    /// Whose.
    pub order_id: OrderId,
    /// How.
    pub end: HoldEnd,
    /// Time of sale, where it was settled.
    pub sold_at: Option<Micros>,
}

/// The first outcome of a command id: what a retry with the same key and body gets again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeStored {
    /// Which command.
    pub command_id: CommandId,
    /// Of its payload.
    pub fingerprint: Fingerprint,
    /// What the asker was told.
    pub outcome: Outcome,
}

/// Sold units are available again; the transfers are postings of the same entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinesReturned {
    /// Of which order.
    pub order_id: OrderId,
    /// Which units, at the price they were sold for.
    pub lines: Vec<PricedLine>,
    /// Time of the sale: the minute they are taken out of.
    pub sold_at: Micros,
}
