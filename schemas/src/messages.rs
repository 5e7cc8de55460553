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

/// [`ToUsers`] as it is written: borrowed from the entry that sends it. Timers have no entry.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs, reason = "each variant wraps the record of the same name")]
pub enum ToUsersRef<'a> {
    Reserved(&'a Reserved),
    Refused(&'a Refused),
}

/// [`ToProducts`] as it is written: borrowed from the entry that sends it.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs, reason = "each variant wraps the record of the same name")]
pub enum ToProductsRef<'a> {
    Reserve(&'a Reserve),
    Settle(&'a Settle),
    Release(&'a Release),
    Return(&'a Return),
}

/// The envelope of an inbox record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<P, A = String> {
    /// The sending lane, of the other role.
    pub lane: u16,
    /// Dense per pair of lanes, from 1; 0 for a timer's record, which has no sender.
    pub number: u64,
    /// The sending entry's stamp.
    pub stamp: Stamp,
    /// The command that caused it.
    pub command_id: Option<CommandId>,
    /// Who asked.
    pub actor: A,
    /// The asker's trace.
    pub trace_id: Option<TraceId>,
    /// What is told.
    pub payload: P,
}

/// A record of `user-inbox`.
pub type UserMessage = Envelope<ToUsers>;
/// A record of `product-inbox`.
pub type ProductMessage = Envelope<ToProducts>;
/// A record of `user-inbox` as it is written.
pub type UserMessageRef<'a> = Envelope<ToUsersRef<'a>, &'a str>;
/// A record of `product-inbox` as it is written.
pub type ProductMessageRef<'a> = Envelope<ToProductsRef<'a>, &'a str>;

/// Which messages a role takes, said once for both of their forms.
macro_rules! taken {
    ($owned:ident, $borrowed:ident: $($kind:ident)*) => {
        impl TryFrom<Message> for $owned {
            type Error = WrongReceiver;

            fn try_from(message: Message) -> Result<Self, WrongReceiver> {
                match message {
                    $(Message::$kind(m) => Ok(Self::$kind(m)),)*
                    _ => Err(WrongReceiver),
                }
            }
        }

        impl<'a> TryFrom<&'a Message> for $borrowed<'a> {
            type Error = WrongReceiver;

            fn try_from(message: &'a Message) -> Result<Self, WrongReceiver> {
                match message {
                    $(Message::$kind(m) => Ok(Self::$kind(m)),)*
                    _ => Err(WrongReceiver),
                }
            }
        }
    };
}
taken!(ToUsers, ToUsersRef: Reserved Refused);
taken!(ToProducts, ToProductsRef: Reserve Settle Release Return);

/// A message of a kind that lanes of that role do not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lanes of this role take no such message")]
pub struct WrongReceiver;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Codec, Money, Units, UserId};

    fn envelope<P, A: From<&'static str>>(payload: P) -> Envelope<P, A> {
        let (actor, trace_id) = ("user:7".into(), TraceId::parse(&"4b".repeat(16)));
        let command_id = OrderId::of(UserId(7), "k").command();
        Envelope { lane: 3, number: 41, stamp: Stamp(9), command_id, actor, trace_id, payload }
    }

    fn owned(codec: &Codec, message: Message) -> Vec<u8> {
        match ToUsers::try_from(message.clone()) {
            Ok(payload) => codec.to_bytes::<UserMessage>(&envelope(payload)),
            Err(WrongReceiver) => {
                let payload = ToProducts::try_from(message).expect("a message of either role");
                codec.to_bytes::<ProductMessage>(&envelope(payload))
            }
        }
    }

    fn borrowed(codec: &Codec, message: &Message) -> Vec<u8> {
        match ToUsersRef::try_from(message) {
            Ok(payload) => codec.to_bytes::<UserMessageRef<'_>>(&envelope(payload)),
            Err(WrongReceiver) => {
                let payload = ToProductsRef::try_from(message).expect("a message of either role");
                codec.to_bytes::<ProductMessageRef<'_>>(&envelope(payload))
            }
        }
    }

    /// The golden files hold the owned form.
    #[test]
    fn a_borrowed_message_is_written_like_an_owned_one() {
        let order_id = OrderId::of(UserId(7), "k");
        let (product_id, quantity) = (ProductId(5), Units(2));
        let lines = vec![PricedLine { product_id, quantity, price: Money(300) }];
        let sold_at = Micros(17);
        let asked = vec![Line { product_id, quantity }];
        let codec = Codec::embedded();
        for message in [
            Message::Reserve(Reserve { order_id, lines: asked }),
            Message::Reserved(Reserved { order_id, lines: lines.clone() }),
            Message::Refused(Refused { order_id, code: Code::OutOfStock, product_id }),
            Message::Settle(Settle { order_id, sold_at }),
            Message::Release(Release { order_id }),
            Message::Return(Return { order_id, lines, sold_at }),
        ] {
            assert_eq!(borrowed(&codec, &message), owned(&codec, message.clone()), "{message:?}");
        }
    }
}
