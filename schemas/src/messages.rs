//! Messages: what lanes tell lanes. At most one of a kind for an order and a product lane, with all
//! its lines.

use crate::{Code, CommandId, Line, Micros, OrderId, PricedLine, ProductId, Stamp, TraceId};
use serde::{Deserialize, Serialize};

/// Hold these units for an order, or none of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reserve {
    /// For which order.
    pub order_id: OrderId,
    /// All lines of the receiving lane; no product twice.
    pub lines: Vec<Line>,
}

/// The units are held, at these prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reserved {
    /// For which order.
    pub order_id: OrderId,
    /// The lines of the Reserve, priced.
    pub lines: Vec<PricedLine>,
}

/// Nothing is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// For which order.
    pub order_id: OrderId,
    /// Why.
    pub code: Code,
    /// The first line that could not be held.
    pub product_id: ProductId,
}

/// Held units are sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settle {
    /// Whose hold.
    pub order_id: OrderId,
    /// Time of sale, for the best sellers.
    pub sold_at: Micros,
}

/// Held units are available again. Does nothing where there is no hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// Whose hold.
    pub order_id: OrderId,
}

/// Sold units are available again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Return {
    /// Of which order.
    pub order_id: OrderId,
    /// Which units, at the price they were sold for.
    pub lines: Vec<PricedLine>,
    /// Time of the sale: the minute they are taken out of.
    pub sold_at: Micros,
}

/// A timer of the lane rang: the state decides whether the order has really expired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpireOrder {
    /// Which order.
    pub order_id: OrderId,
}

/// What goes between lanes and into the journal; a timer's ExpireOrder is in no journal's list of messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each variant wraps the record of the same name")]
pub enum Message {
    Reserve(Reserve),
    Reserved(Reserved),
    Refused(Refused),
    Settle(Settle),
    Release(Release),
    Return(Return),
}

/// To a user lane: topic `user-inbox`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each variant wraps the record of the same name")]
pub enum ToUsers {
    Reserved(Reserved),
    Refused(Refused),
    ExpireOrder(ExpireOrder),
}

/// To a product lane: topic `product-inbox`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each variant wraps the record of the same name")]
pub enum ToProducts {
    Reserve(Reserve),
    Settle(Settle),
    Release(Release),
    Return(Return),
}

/// The envelope of an inbox record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<P> {
    /// The sending lane, of the other role.
    pub lane: u16,
    /// Dense per pair of lanes, from 1; 0 for a timer's record, which has no sender.
    pub number: u64,
    /// The sending entry's stamp.
    pub stamp: Stamp,
    /// The command that caused it.
    pub command_id: Option<CommandId>,
    /// Who asked.
    pub actor: String,
    /// The asker's trace.
    pub trace_id: Option<TraceId>,
    /// What is told.
    pub payload: P,
}

/// A record of `user-inbox`.
pub type UserMessage = Envelope<ToUsers>;
/// A record of `product-inbox`.
pub type ProductMessage = Envelope<ToProducts>;

impl TryFrom<Message> for ToUsers {
    type Error = WrongReceiver;

    fn try_from(message: Message) -> Result<Self, WrongReceiver> {
        match message {
            Message::Reserved(m) => Ok(Self::Reserved(m)),
            Message::Refused(m) => Ok(Self::Refused(m)),
            _ => Err(WrongReceiver),
        }
    }
}

impl TryFrom<Message> for ToProducts {
    type Error = WrongReceiver;

    fn try_from(message: Message) -> Result<Self, WrongReceiver> {
        match message {
            Message::Reserve(m) => Ok(Self::Reserve(m)),
            Message::Settle(m) => Ok(Self::Settle(m)),
            Message::Release(m) => Ok(Self::Release(m)),
            Message::Return(m) => Ok(Self::Return(m)),
            _ => Err(WrongReceiver),
        }
    }
}

/// A message of a kind that lanes of that role do not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lanes of this role take no such message")]
pub struct WrongReceiver;
