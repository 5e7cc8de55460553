//! The tables of `schemas/cql/lanes.cql`.

use super::{columns, lines};
use jupan_schemas::{
    Lane, Micros, OrderId, Positions, Stamp,
    rows::{OrderRow, Watermark},
};
use uuid::Uuid;

columns! {
    /// How far a lane is.
    WatermarkColumns in "watermarks", stamp of "step" {
        role: String,
        lane: i32,
        step: i64,
        journal: i64,
        sequence: i64,
        commands: i64,
        inbox: i64,
        oldest_minute: Option<i64>,
    }
}

columns! {
    /// A pending order, or one that was.
    OpenOrderColumns in "open_orders", stamp of "sequence" {
        lane: i32,
        minute: i64,
        order_id: Uuid,
        sequence: i64,
        deadline: i64,
        pending: bool,
    }
}

columns! {
    /// Says that a lane has orders with deadlines in a minute.
    OpenMinuteColumns in "open_minutes", stamp of "sequence" {
        lane: i32,
        minute: i64,
        sequence: i64,
    }
}

/// The minute that a time lies in.
pub(in crate::cql) fn minute(at: Micros) -> i64 {
    at.0.div_euclid(Micros::MINUTE)
}

impl WatermarkColumns {
    /// Of this lane; no pending order of it has a deadline before `oldest_minute`.
    pub(in crate::cql) fn of(lane: Lane, watermark: Watermark, oldest_minute: Option<i64>) -> Self {
        Self {
            role: lane.role.name().to_owned(),
            lane: lane.index.into(),
            step: watermark.step.cast_signed(),
            journal: watermark.journal.cast_signed(),
            sequence: watermark.sequence.cast_signed(),
            commands: watermark.positions.commands.cast_signed(),
            inbox: watermark.positions.inbox.cast_signed(),
            oldest_minute,
            stamp: watermark.stamp.0,
        }
    }
}

impl From<&WatermarkColumns> for Watermark {
    fn from(columns: &WatermarkColumns) -> Self {
        Self {
            step: columns.step.cast_unsigned(),
            journal: columns.journal.cast_unsigned(),
            sequence: columns.sequence.cast_unsigned(),
            stamp: Stamp(columns.stamp),
            positions: Positions {
                commands: columns.commands.cast_unsigned(),
                inbox: columns.inbox.cast_unsigned(),
            },
        }
    }
}

impl From<&OrderRow> for OpenOrderColumns {
    fn from(row: &OrderRow) -> Self {
        Self {
            lane: row.lane.into(),
            minute: minute(row.deadline),
            order_id: lines::order_uuid(row.order_id),
            sequence: row.as_of.sequence.cast_signed(),
            deadline: row.deadline.0,
            pending: row.is_pending(),
            stamp: row.as_of.stamp.0,
        }
    }
}

impl OpenOrderColumns {
    /// Which order.
    pub(in crate::cql) fn order(&self) -> OrderId {
        lines::order(self.order_id)
    }
}

impl From<&OrderRow> for OpenMinuteColumns {
    fn from(row: &OrderRow) -> Self {
        Self {
            lane: row.lane.into(),
            minute: minute(row.deadline),
            sequence: row.as_of.sequence.cast_signed(),
            stamp: row.as_of.stamp.0,
        }
    }
}
