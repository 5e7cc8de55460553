//! What frozen columns are made of: the types of `schemas/cql/types.cql`.

use super::{Corrupt, codes};
use jupan_schemas::{
    Asker, CommandId, Fingerprint, Line, Micros, Money, OrderId, Outcome, PricedLine, ProductId,
    Units,
    rows::{HistoryLine, OrderLine},
};
use scylla::{DeserializeValue, SerializeValue};
use uuid::Uuid;

/// Declares a type's fields, in their order.
macro_rules! fields {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, DeserializeValue, SerializeValue)]
        #[scylla(flavor = "enforce_order")]
        pub(in crate::cql) struct $name {
            $($field: $type,)*
        }
    };
}
fields! {
    /// `cart_line`
    CartLineFields {
        product_id: i64,
        quantity: i64,
    }
}
fields! {
    /// `order_line`
    OrderLineFields {
        product_id: i64,
        quantity: i64,
        price: Option<i64>,
        refunded: i64,
    }
}
fields! {
    /// `history_line`
    HistoryLineFields {
        status: String,
        reason: Option<String>,
        at: i64,
    }
}
fields! {
    /// `asker`
    AskerFields {
        reply_to: i64,
        position: i64,
    }
}
fields! {
    /// `told`
    ToldFields {
        code: String,
        order_id: Option<Uuid>,
        balance: Option<i64>,
        product_id: Option<i64>,
    }
}
fields! {
    /// `priced_line`
    PricedLineFields {
        product_id: i64,
        quantity: i64,
        price: i64,
    }
}

/// All items of a list, as fields or back.
pub(super) fn all<A, B>(items: Vec<A>) -> Vec<B>
where
    B: From<A>,
{
    items.into_iter().map(B::from).collect()
}

/// All items of a list, where some may not be readable.
pub(super) fn try_all<A, B>(items: Vec<A>) -> Result<Vec<B>, Corrupt>
where
    B: TryFrom<A, Error = Corrupt>,
{
    items.into_iter().map(B::try_from).collect()
}

pub(super) fn product(id: i64) -> ProductId {
    ProductId(id.cast_unsigned())
}

pub(in crate::cql) fn order_uuid(id: OrderId) -> Uuid {
    Uuid::from_bytes(id.0)
}

pub(in crate::cql) fn order(id: Uuid) -> OrderId {
    OrderId(id.into_bytes())
}

pub(in crate::cql) fn command_uuid(id: CommandId) -> Uuid {
    Uuid::from_bytes(id.0)
}

pub(super) fn command(id: Uuid) -> CommandId {
    CommandId(id.into_bytes())
}

pub(super) fn fingerprint(bytes: Vec<u8>) -> Result<Fingerprint, Corrupt> {
    let bytes = bytes.try_into();
    bytes.map(Fingerprint).map_err(|found: Vec<u8>| {
        Corrupt::new("fingerprint", format!("{} bytes instead of 16", found.len()))
    })
}

impl From<Line> for CartLineFields {
    fn from(line: Line) -> Self {
        Self { product_id: line.product_id.0.cast_signed(), quantity: line.quantity.0 }
    }
}

impl From<CartLineFields> for Line {
    fn from(fields: CartLineFields) -> Self {
        Self { product_id: product(fields.product_id), quantity: Units(fields.quantity) }
    }
}

impl From<OrderLine> for OrderLineFields {
    fn from(line: OrderLine) -> Self {
        Self {
            product_id: line.product_id.0.cast_signed(),
            quantity: line.quantity.0,
            price: line.price.map(|price| price.0),
            refunded: line.refunded.0,
        }
    }
}

impl From<OrderLineFields> for OrderLine {
    fn from(fields: OrderLineFields) -> Self {
        Self {
            product_id: product(fields.product_id),
            quantity: Units(fields.quantity),
            price: fields.price.map(Money),
            refunded: Units(fields.refunded),
        }
    }
}

impl From<HistoryLine> for HistoryLineFields {
    fn from(line: HistoryLine) -> Self {
        Self {
            status: line.status.as_str().to_owned(),
            reason: line.reason.map(|reason| reason.as_str().to_owned()),
            at: line.at.0,
        }
    }
}

impl TryFrom<HistoryLineFields> for HistoryLine {
    type Error = Corrupt;

    fn try_from(fields: HistoryLineFields) -> Result<Self, Corrupt> {
        Ok(Self {
            status: codes::status(&fields.status)?,
            reason: fields.reason.as_deref().map(codes::code).transpose()?,
            at: Micros(fields.at),
        })
    }
}

impl From<Asker> for AskerFields {
    fn from(asker: Asker) -> Self {
        Self { reply_to: asker.reply_to.into(), position: asker.position.cast_signed() }
    }
}

impl TryFrom<AskerFields> for Asker {
    type Error = Corrupt;

    fn try_from(fields: AskerFields) -> Result<Self, Corrupt> {
        let reply_to = u32::try_from(fields.reply_to);
        let reply_to =
            reply_to.map_err(|_| Corrupt::new("reply_to", fields.reply_to.to_string()))?;
        Ok(Self { reply_to, position: fields.position.cast_unsigned() })
    }
}

impl From<Outcome> for ToldFields {
    fn from(outcome: Outcome) -> Self {
        Self {
            code: outcome.code.as_str().to_owned(),
            order_id: outcome.order_id.map(order_uuid),
            balance: outcome.balance.map(|balance| balance.0),
            product_id: outcome.product_id.map(|id| id.0.cast_signed()),
        }
    }
}

impl TryFrom<ToldFields> for Outcome {
    type Error = Corrupt;

    fn try_from(fields: ToldFields) -> Result<Self, Corrupt> {
        Ok(Self {
            code: codes::code(&fields.code)?,
            order_id: fields.order_id.map(order),
            balance: fields.balance.map(Money),
            product_id: fields.product_id.map(product),
        })
    }
}

impl From<PricedLine> for PricedLineFields {
    fn from(line: PricedLine) -> Self {
        Self {
            product_id: line.product_id.0.cast_signed(),
            quantity: line.quantity.0,
            price: line.price.0,
        }
    }
}

impl From<PricedLineFields> for PricedLine {
    fn from(fields: PricedLineFields) -> Self {
        Self {
            product_id: product(fields.product_id),
            quantity: Units(fields.quantity),
            price: Money(fields.price),
        }
    }
}
