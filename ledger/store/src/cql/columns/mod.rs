//! Rows as the columns of their tables, one file for each of the files in `schemas/cql`. Reading a
//! row that was written gives the same row, for every value.
//!
//! Unsigned numbers keep their bits in a signed column: all that are sorted by are below 2^63.

mod codes;
mod lanes;
mod lines;
mod products;
mod users;

use crate::StoreError;
pub(super) use lanes::{OpenMinuteColumns, OpenOrderColumns, WatermarkColumns, minute};
pub(super) use lines::{command_uuid, order, order_uuid};
pub(super) use products::{
    HoldColumns, ProductColumns, ProductIdColumns, ProductOutcomeColumns, slot,
};
use scylla::{deserialize::row::DeserializeRow, serialize::row::SerializeRow};
pub(super) use users::{
    OrderByUserColumns, OrderColumns, StatementBucketColumns, StatementColumns, UserColumns,
    UserOutcomeColumns, bucket,
};

/// A whole row of a table: its columns in their order, and last its stamp, which is written and
/// read as the row's write time.
pub(super) trait Columns: SerializeRow + for<'f, 'm> DeserializeRow<'f, 'm> {
    /// Where the rows lie.
    const TABLE: &'static str;
    /// The columns without the stamp.
    const NAMES: &'static [&'static str];
    /// A column that is never null and no part of the key: its write time is the row's.
    const STAMPED: &'static str;
}

/// Declares a table's columns. The statements are made of the same names.
macro_rules! columns {
    (
        $(#[$doc:meta])*
        $name:ident in $table:literal, stamp of $stamped:literal {
            $($field:ident: $type:ty,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, scylla::DeserializeRow, scylla::SerializeRow)]
        #[scylla(flavor = "enforce_order", skip_name_checks)]
        pub(in crate::cql) struct $name {
            $(pub(in crate::cql) $field: $type,)*
            pub(in crate::cql) stamp: i64,
        }

        impl $crate::cql::columns::Columns for $name {
            const TABLE: &'static str = $table;
            const NAMES: &'static [&'static str] = &[$(stringify!($field)),*];
            const STAMPED: &'static str = $stamped;
        }
    };
}
use columns;

/// A column holds what this version does not know, or what nobody can have written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column} holds {found}")]
pub(super) struct Corrupt {
    column: &'static str,
    found: String,
}

impl Corrupt {
    fn new(column: &'static str, found: impl Into<String>) -> Self {
        Self { column, found: found.into() }
    }

    /// As the store tells it.
    pub(super) fn while_doing(&self, doing: &'static str) -> StoreError {
        StoreError::Broken { doing, cause: self.to_string() }
    }
}

/// A partition's number in a signed column.
fn partition(column: &'static str, value: i32) -> Result<u16, Corrupt> {
    u16::try_from(value).map_err(|_| Corrupt::new(column, value.to_string()))
}
