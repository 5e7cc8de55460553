//! Every statement, as text and prepared. All are idempotent; all that writes a row writes it whole.

use super::{
    columns::{
        Columns, HoldColumns, OpenMinuteColumns, OpenOrderColumns, OrderByUserColumns,
        OrderColumns, ProductColumns, ProductIdColumns, ProductOutcomeColumns,
        StatementBucketColumns, StatementColumns, UserColumns, UserOutcomeColumns,
        WatermarkColumns,
    },
    options::OpenError,
};
use crate::limits;
use scylla::{
    client::{execution_profile::ExecutionProfileHandle, session::Session},
    statement::prepared::PreparedStatement,
};

/// Declares statements by name, and their texts as functions of the keyspace.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident => $text:expr;)*) => {
        /// Every statement by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Name {
            $($(#[$doc])* $name,)*
        }

        impl Name {
            /// All of them, in the order of their numbers.
            pub(super) const ALL: &[Self] = &[$(Self::$name),*];

            /// Its text.
            pub(super) fn text(self, keyspace: &str) -> String {
                match self {
                    $(Self::$name => {
                        let text: fn(&str) -> String = $text;
                        text(keyspace)
                    })*
                }
            }
        }
    };
}

statements! {
    PutUser => insert::<UserColumns>;
    PutOrder => insert::<OrderColumns>;
    PutOrderByUser => insert::<OrderByUserColumns>;
    PutUserOutcome => insert::<UserOutcomeColumns>;
    PutStatement => insert::<StatementColumns>;
    PutStatementBucket => insert::<StatementBucketColumns>;
    PutProduct => insert::<ProductColumns>;
    PutProductId => insert::<ProductIdColumns>;
    PutProductOutcome => insert::<ProductOutcomeColumns>;
    PutHold => insert::<HoldColumns>;
    /// An ended hold is no row; its stamp keeps it from coming back.
    EndHold => |keyspace| {
        delete::<HoldColumns>(keyspace, "lane = ? AND slot = ? AND order_id = ?")
    };
    PutOpenOrder => insert::<OpenOrderColumns>;
    PutOpenMinute => insert::<OpenMinuteColumns>;
    /// A whole minute, once all of its orders have ended.
    EndOpenOrders => |keyspace| delete::<OpenOrderColumns>(keyspace, "lane = ? AND minute = ?");
    EndOpenMinute => |keyspace| delete::<OpenMinuteColumns>(keyspace, "lane = ? AND minute = ?");
    PutWatermark => insert::<WatermarkColumns>;
    User => |keyspace| select::<UserColumns>(keyspace, "user_id = ?");
    UserLane => |keyspace| {
        format!("SELECT lane FROM {keyspace}.users WHERE user_id = ?")
    };
    Orders => |keyspace| select::<OrderColumns>(keyspace, "user_id = ? AND order_id IN ?");
    OrderStates => |keyspace| {
        format!("SELECT order_id, status FROM {keyspace}.orders \
                 WHERE user_id = ? AND order_id IN ?")
    };
    OrdersByUser => |keyspace| {
        format!("SELECT placed, order_id FROM {keyspace}.orders_by_user \
                 WHERE user_id = ? AND placed < ? LIMIT ?")
    };
    UserOutcomes => |keyspace| {
        select::<UserOutcomeColumns>(keyspace, "user_id = ? AND command_id IN ?")
    };
    StatementBuckets => |keyspace| {
        format!("SELECT bucket FROM {keyspace}.statement_buckets \
                 WHERE user_id = ? AND bucket <= ?")
    };
    Statement => |keyspace| {
        let keys = "user_id = ? AND bucket = ? AND sequence < ? LIMIT ?";
        select::<StatementColumns>(keyspace, keys)
    };
    Product => |keyspace| select::<ProductColumns>(keyspace, "product_id = ?");
    ProductLane => |keyspace| {
        format!("SELECT lane FROM {keyspace}.products WHERE product_id = ?")
    };
    ProductIds => |keyspace| {
        format!("SELECT product_id FROM {keyspace}.product_ids \
                 WHERE lane = ? AND product_id > ? LIMIT ?")
    };
    ProductOutcomes => |keyspace| {
        select::<ProductOutcomeColumns>(keyspace, "product_id = ? AND command_id IN ?")
    };
    Holds => |keyspace| {
        select::<HoldColumns>(keyspace, "lane = ? AND slot = ? AND order_id IN ?")
    };
    OpenOrders => |keyspace| select::<OpenOrderColumns>(keyspace, "lane = ? AND minute = ?");
    OpenMinutes => |keyspace| {
        format!("SELECT minute FROM {keyspace}.open_minutes \
                 WHERE lane = ? AND minute >= ? AND minute < ?")
    };
    AllUsers => all::<UserColumns>;
    AllProducts => all::<ProductColumns>;
    AllOrders => all::<OrderColumns>;
    AllOrdersByUser => all::<OrderByUserColumns>;
    AllUserOutcomes => all::<UserOutcomeColumns>;
    AllProductOutcomes => all::<ProductOutcomeColumns>;
    AllHolds => all::<HoldColumns>;
    AllStatements => all::<StatementColumns>;
    Watermark => |keyspace| select::<WatermarkColumns>(keyspace, "role = ? AND lane = ?");
}

fn insert<C: Columns>(keyspace: &str) -> String {
    let (table, names) = (C::TABLE, C::NAMES.join(", "));
    let marks = vec!["?"; C::NAMES.len()].join(", ");
    format!("INSERT INTO {keyspace}.{table} ({names}) VALUES ({marks}) USING TIMESTAMP ?")
}

fn select<C: Columns>(keyspace: &str, keys: &str) -> String {
    let (table, names, stamped) = (C::TABLE, C::NAMES.join(", "), C::STAMPED);
    format!("SELECT {names}, WRITETIME({stamped}) FROM {keyspace}.{table} WHERE {keys}")
}

/// Every row of a table, whatever its partition: read in pages.
fn all<C: Columns>(keyspace: &str) -> String {
    let (table, names, stamped) = (C::TABLE, C::NAMES.join(", "), C::STAMPED);
    format!("SELECT {names}, WRITETIME({stamped}) FROM {keyspace}.{table}")
}

fn delete<C: Columns>(keyspace: &str, keys: &str) -> String {
    format!("DELETE FROM {keyspace}.{} USING TIMESTAMP ? WHERE {keys}", C::TABLE)
}

/// All statements, prepared for one kind of asker.
pub(super) struct Prepared(Vec<PreparedStatement>);

impl Prepared {
    /// Prepares them: the server refuses those whose table is not what it must be.
    pub(super) async fn new(session: &Session, keyspace: &str) -> Result<Self, OpenError> {
        let mut all = Vec::with_capacity(Name::ALL.len());
        for name in Name::ALL {
            let text = name.text(keyspace);
            let prepared = session.prepare(text.as_str()).await;
            let mut prepared = prepared.map_err(|error| OpenError::statement(&text, error))?;
            prepared.set_is_idempotent(true);
            prepared.set_page_size(limits::CQL_PAGE_ROWS);
            all.push(prepared);
        }
        Ok(Self(all))
    }

    /// The same statements as requests of this kind.
    pub(super) fn with(&self, profile: &ExecutionProfileHandle) -> Self {
        let mut all = self.0.clone();
        for prepared in &mut all {
            prepared.set_execution_profile_handle(Some(profile.clone()));
        }
        Self(all)
    }

    /// One of them.
    pub(super) fn get(&self, name: Name) -> &PreparedStatement {
        &self.0[name as usize]
    }
}
