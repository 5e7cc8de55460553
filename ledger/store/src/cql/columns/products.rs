//! The tables of `schemas/cql/products.cql`.

use super::{
    Corrupt, columns,
    lines::{self, PricedLineFields, ToldFields, all},
    partition,
    users::as_of,
};
use jupan_schemas::{
    Micros, Money, OrderId, ProductId, Units,
    rows::{HoldRow, OutcomeRow, ProductRow},
};
use std::sync::Arc;
use uuid::Uuid;

/// Partitions that a lane's holds lie in. Never change it: holds would not be found.
const SLOTS: u8 = 32;

columns! {
    /// A product with its stock.
    ProductColumns in "products", stamp of "lane" {
        product_id: i64,
        lane: i32,
        sequence: i64,
        name: Arc<str>,
        price: i64,
        supply: i64,
        available: i64,
        reserved: i64,
        sold: i64,
        created_at: i64,
        updated_at: i64,
    }
}

columns! {
    /// A product's place in the catalogue of its lane.
    ProductIdColumns in "product_ids", stamp of "sequence" {
        lane: i32,
        product_id: i64,
        sequence: i64,
    }
}

columns! {
    /// The first outcome of a product's command.
    ProductOutcomeColumns in "product_outcomes", stamp of "lane" {
        product_id: i64,
        command_id: Uuid,
        lane: i32,
        sequence: i64,
        fingerprint: Vec<u8>,
        outcome: ToldFields,
        at: i64,
    }
}

columns! {
    /// An open hold.
    HoldColumns in "holds", stamp of "sequence" {
        lane: i32,
        slot: i32,
        order_id: Uuid,
        sequence: i64,
        user_lane: i32,
        lines: Vec<PricedLineFields>,
    }
}

/// Which of its lane's partitions an order's hold lies in: the last bits of an order id are hash.
pub(in crate::cql) fn slot(order: OrderId) -> i32 {
    i32::from(order.0[15] % SLOTS)
}

impl From<&ProductRow> for ProductColumns {
    fn from(row: &ProductRow) -> Self {
        Self {
            product_id: row.product_id.0.cast_signed(),
            lane: row.lane.into(),
            sequence: row.as_of.sequence.cast_signed(),
            name: row.name.clone(),
            price: row.price.0,
            supply: row.supply.0,
            available: row.available.0,
            reserved: row.reserved.0,
            sold: row.sold.0,
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
            stamp: row.as_of.stamp.0,
        }
    }
}

impl TryFrom<ProductColumns> for ProductRow {
    type Error = Corrupt;

    fn try_from(columns: ProductColumns) -> Result<Self, Corrupt> {
        Ok(Self {
            product_id: ProductId(columns.product_id.cast_unsigned()),
            lane: partition("lane", columns.lane)?,
            as_of: as_of(columns.sequence, columns.stamp),
            name: columns.name,
            price: Money(columns.price),
            supply: Units(columns.supply),
            available: Units(columns.available),
            reserved: Units(columns.reserved),
            sold: Units(columns.sold),
            created_at: Micros(columns.created_at),
            updated_at: Micros(columns.updated_at),
        })
    }
}

impl From<&ProductRow> for ProductIdColumns {
    fn from(row: &ProductRow) -> Self {
        Self {
            lane: row.lane.into(),
            product_id: row.product_id.0.cast_signed(),
            sequence: row.as_of.sequence.cast_signed(),
            stamp: row.as_of.stamp.0,
        }
    }
}

impl ProductOutcomeColumns {
    /// Of a command of this product.
    pub(in crate::cql) fn of(product: ProductId, row: &OutcomeRow) -> Self {
        Self {
            product_id: product.0.cast_signed(),
            command_id: lines::command_uuid(row.command_id),
            lane: row.lane.into(),
            sequence: row.as_of.sequence.cast_signed(),
            fingerprint: row.fingerprint.0.to_vec(),
            outcome: row.outcome.into(),
            at: row.at.0,
            stamp: row.as_of.stamp.0,
        }
    }
}

impl TryFrom<ProductOutcomeColumns> for OutcomeRow {
    type Error = Corrupt;

    fn try_from(columns: ProductOutcomeColumns) -> Result<Self, Corrupt> {
        Ok(Self {
            command_id: lines::command(columns.command_id),
            lane: partition("lane", columns.lane)?,
            as_of: as_of(columns.sequence, columns.stamp),
            fingerprint: lines::fingerprint(columns.fingerprint)?,
            outcome: columns.outcome.try_into()?,
            at: Micros(columns.at),
        })
    }
}

impl From<&HoldRow> for HoldColumns {
    fn from(row: &HoldRow) -> Self {
        Self {
            lane: row.lane.into(),
            slot: slot(row.order_id),
            order_id: lines::order_uuid(row.order_id),
            sequence: row.as_of.sequence.cast_signed(),
            user_lane: row.user_lane.into(),
            lines: all(row.lines.clone()),
            stamp: row.as_of.stamp.0,
        }
    }
}

impl TryFrom<HoldColumns> for HoldRow {
    type Error = Corrupt;

    fn try_from(columns: HoldColumns) -> Result<Self, Corrupt> {
        Ok(Self {
            order_id: lines::order(columns.order_id),
            lane: partition("lane", columns.lane)?,
            as_of: as_of(columns.sequence, columns.stamp),
            user_lane: partition("user_lane", columns.user_lane)?,
            lines: all(columns.lines),
            end: None,
        })
    }
}
