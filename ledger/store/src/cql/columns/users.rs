//! The tables of `schemas/cql/users.cql`.

use super::{
    Corrupt, codes, columns,
    lines::{
        self, AskerFields, CartLineFields, HistoryLineFields, OrderLineFields, ToldFields, all,
        try_all,
    },
    partition,
};
use jupan_schemas::{
    Micros, Money, Stamp, UserId,
    rows::{AsOf, OrderRow, OutcomeRow, StatementRow, UserRow},
};
use std::sync::Arc;
use uuid::Uuid;

/// Entries of a lane whose changes of one wallet lie in one partition: a wallet that half of a
/// lane's entries change fills 200 MB of it.
const BUCKET_ENTRIES: u64 = 1 << 22;

columns! {
    /// A user with wallet.
    UserColumns in "users", stamp of "lane" {
        user_id: i64,
        lane: i32,
        sequence: i64,
        name: Arc<str>,
        email: Arc<str>,
        balance: i64,
        created_at: i64,
        updated_at: i64,
        cart: Vec<CartLineFields>,
    }
}

columns! {
    /// An order.
    OrderColumns in "orders", stamp of "lane" {
        user_id: i64,
        order_id: Uuid,
        lane: i32,
        sequence: i64,
        placed: i64,
        status: String,
        reason: Option<String>,
        reason_product: Option<i64>,
        lines: Vec<OrderLineFields>,
        awaits: Vec<i32>,
        total: i64,
        from_cart: bool,
        payment: String,
        deadline: i64,
        payment_due: Option<i64>,
        occurred_at: Option<i64>,
        sold_at: Option<i64>,
        created_at: i64,
        updated_at: i64,
        fingerprint: Vec<u8>,
        askers: Vec<AskerFields>,
        outcome: Option<ToldFields>,
        history: Vec<HistoryLineFields>,
    }
}

columns! {
    /// An order's place in the list of its user's.
    OrderByUserColumns in "orders_by_user", stamp of "lane" {
        user_id: i64,
        placed: i64,
        lane: i32,
        order_id: Uuid,
    }
}

columns! {
    /// The first outcome of a user's command.
    UserOutcomeColumns in "user_outcomes", stamp of "lane" {
        user_id: i64,
        command_id: Uuid,
        lane: i32,
        sequence: i64,
        fingerprint: Vec<u8>,
        outcome: ToldFields,
        at: i64,
    }
}

columns! {
    /// A change of a wallet.
    StatementColumns in "statement", stamp of "lane" {
        user_id: i64,
        bucket: i64,
        sequence: i64,
        lane: i32,
        kind: String,
        delta: i64,
        balance: i64,
        order_id: Option<Uuid>,
        at: i64,
    }
}

columns! {
    /// Says that a wallet has changes in a bucket.
    StatementBucketColumns in "statement_buckets", stamp of "lane" {
        user_id: i64,
        bucket: i64,
        lane: i32,
        sequence: i64,
    }
}

/// The bucket of a user's statement that an entry's changes lie in.
pub(in crate::cql) fn bucket(sequence: u64) -> i64 {
    (sequence / BUCKET_ENTRIES).cast_signed()
}

impl From<&UserRow> for UserColumns {
    fn from(row: &UserRow) -> Self {
        Self {
            user_id: row.user_id.0.cast_signed(),
            lane: row.lane.into(),
            sequence: row.as_of.sequence.cast_signed(),
            name: row.name.clone(),
            email: row.email.clone(),
            balance: row.balance.0,
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
            cart: all(row.cart.clone()),
            stamp: row.as_of.stamp.0,
        }
    }
}

impl TryFrom<UserColumns> for UserRow {
    type Error = Corrupt;

    fn try_from(columns: UserColumns) -> Result<Self, Corrupt> {
        Ok(Self {
            user_id: UserId(columns.user_id.cast_unsigned()),
            lane: partition("lane", columns.lane)?,
            as_of: as_of(columns.sequence, columns.stamp),
            name: columns.name,
            email: columns.email,
            balance: Money(columns.balance),
            created_at: Micros(columns.created_at),
            updated_at: Micros(columns.updated_at),
            cart: all(columns.cart),
        })
    }
}

impl From<&OrderRow> for OrderColumns {
    fn from(row: &OrderRow) -> Self {
        Self {
            user_id: row.user_id.0.cast_signed(),
            order_id: lines::order_uuid(row.order_id),
            lane: row.lane.into(),
            sequence: row.as_of.sequence.cast_signed(),
            placed: row.placed.cast_signed(),
            status: row.status.as_str().to_owned(),
            reason: row.reason.map(|reason| reason.as_str().to_owned()),
            reason_product: row.reason_product.map(|id| id.0.cast_signed()),
            lines: all(row.lines.clone()),
            awaits: row.awaits.iter().map(|lane| i32::from(*lane)).collect(),
            total: row.total.0,
            from_cart: row.from_cart,
            payment: codes::payment_text(row.payment).to_owned(),
            deadline: row.deadline.0,
            payment_due: row.payment_due.map(|at| at.0),
            occurred_at: row.occurred_at.map(|at| at.0),
            sold_at: row.sold_at.map(|at| at.0),
            created_at: row.created_at.0,
            updated_at: row.updated_at.0,
            fingerprint: row.fingerprint.0.to_vec(),
            askers: all(row.askers.clone()),
            outcome: row.outcome.map(ToldFields::from),
            history: all(row.history.clone()),
            stamp: row.as_of.stamp.0,
        }
    }
}

impl TryFrom<OrderColumns> for OrderRow {
    type Error = Corrupt;

    fn try_from(columns: OrderColumns) -> Result<Self, Corrupt> {
        let awaits = columns.awaits.into_iter().map(|lane| partition("awaits", lane));
        Ok(Self {
            order_id: lines::order(columns.order_id),
            user_id: UserId(columns.user_id.cast_unsigned()),
            lane: partition("lane", columns.lane)?,
            as_of: as_of(columns.sequence, columns.stamp),
            placed: columns.placed.cast_unsigned(),
            status: codes::status(&columns.status)?,
            reason: columns.reason.as_deref().map(codes::code).transpose()?,
            reason_product: columns.reason_product.map(lines::product),
            lines: all(columns.lines),
            awaits: awaits.collect::<Result<_, _>>()?,
            total: Money(columns.total),
            from_cart: columns.from_cart,
            payment: codes::payment(&columns.payment)?,
            deadline: Micros(columns.deadline),
            payment_due: columns.payment_due.map(Micros),
            occurred_at: columns.occurred_at.map(Micros),
            sold_at: columns.sold_at.map(Micros),
            created_at: Micros(columns.created_at),
            updated_at: Micros(columns.updated_at),
            fingerprint: lines::fingerprint(columns.fingerprint)?,
            askers: try_all(columns.askers)?,
            outcome: columns.outcome.map(TryInto::try_into).transpose()?,
            history: try_all(columns.history)?,
        })
    }
}

impl From<&OrderRow> for OrderByUserColumns {
    fn from(row: &OrderRow) -> Self {
        Self {
            user_id: row.user_id.0.cast_signed(),
            placed: row.placed.cast_signed(),
            lane: row.lane.into(),
            order_id: lines::order_uuid(row.order_id),
            stamp: row.as_of.stamp.0,
        }
    }
}

impl UserOutcomeColumns {
    /// Of a command of this user.
    pub(in crate::cql) fn of(user: UserId, row: &OutcomeRow) -> Self {
        Self {
            user_id: user.0.cast_signed(),
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

impl TryFrom<UserOutcomeColumns> for OutcomeRow {
    type Error = Corrupt;

    fn try_from(columns: UserOutcomeColumns) -> Result<Self, Corrupt> {
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

impl From<&StatementRow> for StatementColumns {
    fn from(row: &StatementRow) -> Self {
        Self {
            user_id: row.user_id.0.cast_signed(),
            bucket: bucket(row.as_of.sequence),
            sequence: row.as_of.sequence.cast_signed(),
            lane: row.lane.into(),
            kind: codes::kind_text(row.kind).to_owned(),
            delta: row.delta.0,
            balance: row.balance.0,
            order_id: row.order_id.map(lines::order_uuid),
            at: row.at.0,
            stamp: row.as_of.stamp.0,
        }
    }
}

impl TryFrom<StatementColumns> for StatementRow {
    type Error = Corrupt;

    fn try_from(columns: StatementColumns) -> Result<Self, Corrupt> {
        Ok(Self {
            user_id: UserId(columns.user_id.cast_unsigned()),
            lane: partition("lane", columns.lane)?,
            as_of: as_of(columns.sequence, columns.stamp),
            kind: codes::kind(&columns.kind)?,
            delta: Money(columns.delta),
            balance: Money(columns.balance),
            order_id: columns.order_id.map(lines::order),
            at: Micros(columns.at),
        })
    }
}

impl From<&StatementRow> for StatementBucketColumns {
    fn from(row: &StatementRow) -> Self {
        Self {
            user_id: row.user_id.0.cast_signed(),
            bucket: bucket(row.as_of.sequence),
            lane: row.lane.into(),
            sequence: row.as_of.sequence.cast_signed(),
            stamp: row.as_of.stamp.0,
        }
    }
}

/// Which entry a row is as of.
pub(super) fn as_of(sequence: i64, stamp: i64) -> AsOf {
    AsOf { sequence: sequence.cast_unsigned(), stamp: Stamp(stamp) }
}
