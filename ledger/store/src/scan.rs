//! Looking through everything that a store keeps, portion by portion, without changing it: for
//! whoever holds it against the journal.

use crate::StoreError;
use jupan_schemas::{
    Lane, Micros, OrderId, UserId,
    rows::{Row, Watermark},
};
use serde::{Deserialize, Serialize};

/// A store that can be looked through. Calls may block.
pub trait ScanStore {
    /// How far every lane is that ever wrote here.
    ///
    /// # Errors
    /// [`StoreError`]
    fn progress(&self) -> Result<Vec<LaneProgress>, StoreError>;

    /// The next portion: of every row that a lane's persisted watermark covered when the scan began,
    /// that one or a newer one, and some of those beyond.
    ///
    /// # Errors
    /// [`StoreError`]
    fn scan(&self, from: Option<&Bookmark>) -> Result<Portion, StoreError>;
}

/// One thing that is kept.
#[allow(clippy::large_enum_variant, reason = "most of them are rows")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stored {
    /// A row, under its own key.
    Row(Row),
    /// A place in a user's list of orders.
    Listed {
        /// Whose list.
        user_id: UserId,
        /// Sequence of the entry that placed the order.
        placed: u64,
        /// Which order.
        order_id: OrderId,
    },
    /// An order among the pending ones of a user lane.
    Open {
        /// Which lane.
        lane: u16,
        /// Which order.
        order_id: OrderId,
        /// When it ends if nothing else ended it.
        deadline: Micros,
    },
    /// Bytes that are nothing this version writes, or that lie in another's place.
    Foreign {
        /// In which table.
        table: String,
        /// Under which key, in hexadecimal digits.
        key: String,
        /// What is wrong.
        cause: String,
    },
}

/// Where a scan goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark {
    /// Which of the provider's tables.
    pub(crate) table: u8,
    /// What its provider needs to find the place.
    pub(crate) key: Vec<u8>,
}

/// What a scan found at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portion {
    /// In no order that matters.
    pub items: Vec<Stored>,
    /// Where the next portion begins; none: this was the last.
    pub next: Option<Bookmark>,
}

/// How far a lane's rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneProgress {
    /// Which lane.
    pub lane: Lane,
    /// Every row up to here can be read.
    pub visible: Option<Watermark>,
    /// Every row up to here is on disk.
    pub persisted: Option<Watermark>,
    /// No row has a higher sequence.
    pub applied: u64,
}
