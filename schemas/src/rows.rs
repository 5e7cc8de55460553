//! Rows: projections of entries, what a person can read and what a lane loads back. A row is whole
//! (never a difference), names the lane that owns it and the sequence of the last entry that
//! changed it, so that it can be written twice, late or out of order without harm. The journal
//! stays the authority.

use crate::{
    Asker, Code, CommandId, Fingerprint, HoldEnd, Lane, Line, Micros, Money, OrderId, OrderStatus,
    Outcome, Payment, Positions, PricedLine, ProductId, Stamp, Units, UserId,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which entry a row is as of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AsOf {
    /// Of the last entry of the owning lane that changed the row; the newer row has the higher one.
    pub sequence: u64,
    /// That entry's stamp.
    pub stamp: Stamp,
}

/// Names what a lane can load. Every key belongs to one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A user with wallet.
    User(UserId),
    /// A product with its stock.
    Product(ProductId),
    /// An order.
    Order(OrderId),
    /// The first outcome of a user's or product's command.
    Outcome(CommandId),
    /// A hold, kept by the product lane that the number names.
    Hold(OrderId, u16),
}

/// One row of the projection: a handle, so that a lane's memory, the store and readers share it. Who
/// changes a shared row changes a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each variant wraps the row of the same name")]
pub enum Row {
    User(Arc<UserRow>),
    Product(Arc<ProductRow>),
    Order(Arc<OrderRow>),
    Outcome(Arc<OutcomeRow>),
    Hold(Arc<HoldRow>),
    Statement(Arc<StatementRow>),
}

impl Row {
    /// What the row is loaded by; statement rows are only listed.
    pub fn key(&self) -> Option<Key> {
        match self {
            Self::User(row) => Some(Key::User(row.user_id)),
            Self::Product(row) => Some(Key::Product(row.product_id)),
            Self::Order(row) => Some(Key::Order(row.order_id)),
            Self::Outcome(row) => Some(Key::Outcome(row.command_id)),
            Self::Hold(row) => Some(Key::Hold(row.order_id, row.lane)),
            Self::Statement(_) => None,
        }
    }

    /// Which entry it is as of.
    pub fn as_of(&self) -> AsOf {
        match self {
            Self::User(row) => row.as_of,
            Self::Product(row) => row.as_of,
            Self::Order(row) => row.as_of,
            Self::Outcome(row) => row.as_of,
            Self::Hold(row) => row.as_of,
            Self::Statement(row) => row.as_of,
        }
    }
}

macro_rules! from_rows {
    ($($row:ident => $variant:ident;)*) => {$(
        impl From<$row> for Row {
            fn from(row: $row) -> Self {
                Self::$variant(Arc::new(row))
            }
        }
    )*};
}
from_rows! {
    UserRow => User;
    ProductRow => Product;
    OrderRow => Order;
    OutcomeRow => Outcome;
    HoldRow => Hold;
    StatementRow => Statement;
}

/// A user with wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRow {
    /// Who.
    pub user_id: UserId,
    /// The owning lane's partition.
    pub lane: u16,
    /// Which entry the row is as of.
    pub as_of: AsOf,
    /// Shown name.
    pub name: Arc<str>,
    /// Address.
    pub email: Arc<str>,
    /// What the wallet holds.
    pub balance: Money,
    /// When the user was registered.
    pub created_at: Micros,
    /// When the row last changed.
    pub updated_at: Micros,
    /// What is in the cart.
    pub cart: Vec<Line>,
}

/// A product with its stock. `supply = available + reserved + sold`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductRow {
    /// Which.
    pub product_id: ProductId,
    /// The owning lane's partition.
    pub lane: u16,
    /// Which entry the row is as of.
    pub as_of: AsOf,
    /// Shown name.
    pub name: Arc<str>,
    /// Price of one unit.
    pub price: Money,
    /// All units that ever came in.
    pub supply: Units,
    /// Units that can be bought.
    pub available: Units,
    /// Units that are held.
    pub reserved: Units,
    /// Units that are sold.
    pub sold: Units,
    /// When the product was registered.
    pub created_at: Micros,
    /// When the row last changed.
    pub updated_at: Micros,
}

/// One line of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// Which product.
    pub product_id: ProductId,
    /// How many units.
    pub quantity: Units,
    /// Price of one unit, once its lane has answered.
    pub price: Option<Money>,
    /// How many of the units were given back.
    pub refunded: Units,
}

/// One change of an order's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryLine {
    /// The status from then on.
    pub status: OrderStatus,
    /// Why, where it failed.
    pub reason: Option<Code>,
    /// Since when.
    pub at: Micros,
}

/// An order: all that its lane needs to go on with it, and all that its user reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRow {
    /// Which.
    pub order_id: OrderId,
    /// Whose.
    pub user_id: UserId,
    /// The owning lane's partition.
    pub lane: u16,
    /// Which entry the row is as of.
    pub as_of: AsOf,
    /// Of the entry that placed it: the order of a user's orders.
    pub placed: u64,
    /// Where it stands.
    pub status: OrderStatus,
    /// Why it failed.
    pub reason: Option<Code>,
    /// The product that the failure is about.
    pub reason_product: Option<ProductId>,
    /// Its lines, each product once.
    pub lines: Vec<OrderLine>,
    /// Product lanes whose answer is outstanding.
    pub awaits: Vec<u16>,
    /// What it costs; zero while not known.
    pub total: Money,
    /// Whether the lines came out of the cart.
    pub from_cart: bool,
    /// When it is paid.
    pub payment: Payment,
    /// When it ends as EXPIRED if nothing else ended it.
    pub deadline: Micros,
    /// Until when to pay, once everything is held.
    pub payment_due: Option<Micros>,
    /// Imports only: when it really happened.
    pub occurred_at: Option<Micros>,
    /// Time of sale, once it is SUCCESS.
    pub sold_at: Option<Micros>,
    /// When it was placed.
    pub created_at: Micros,
    /// When it last changed.
    pub updated_at: Micros,
    /// Of its PlaceOrder.
    pub fingerprint: Fingerprint,
    /// Who waits for its outcome, while it is pending.
    pub askers: Vec<Asker>,
    /// Its first outcome, once it has one.
    pub outcome: Option<Outcome>,
    /// Its statuses, oldest first.
    pub history: Vec<HistoryLine>,
}

impl OrderRow {
    /// Whether it has not ended yet.
    pub fn is_pending(&self) -> bool {
        self.status == OrderStatus::Pending
    }
}

/// The first outcome of a command id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeRow {
    /// Which command.
    pub command_id: CommandId,
    /// The owning lane's partition.
    pub lane: u16,
    /// Which entry the row is as of.
    pub as_of: AsOf,
    /// Of the command's payload.
    pub fingerprint: Fingerprint,
    /// What the asker was told.
    pub outcome: Outcome,
    /// Append time of the command: its 15 days count from here.
    pub at: Micros,
}

/// Stock promised to an order by one product lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRow {
    /// For which order.
    pub order_id: OrderId,
    /// The owning lane's partition.
    pub lane: u16,
    /// Which entry the row is as of.
    pub as_of: AsOf,
    /// The user lane that will end it.
    pub user_lane: u16,
    /// Which units, at which price.
    pub lines: Vec<PricedLine>,
    /// How it ended; an ended hold is gone for readers, and its row may be deleted.
    pub end: Option<HoldEnd>,
}

impl HoldRow {
    /// Whether the units are still promised.
    pub fn is_open(&self) -> bool {
        self.end.is_none()
    }
}

/// Why a wallet changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StatementKind {
    /// Money was put in.
    Charge,
    /// An order was paid.
    Payment,
    /// Money came back from an order.
    Refund,
}

/// One change of a wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementRow {
    /// Whose wallet.
    pub user_id: UserId,
    /// The owning lane's partition.
    pub lane: u16,
    /// Which entry made it; with the user it names the row.
    pub as_of: AsOf,
    /// Why.
    pub kind: StatementKind,
    /// What was added.
    pub delta: Money,
    /// What the wallet held then.
    pub balance: Money,
    /// The order paid or refunded.
    pub order_id: Option<OrderId>,
    /// When: the append time of the record that caused it.
    pub at: Micros,
}

/// How far a lane's entries are projected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// Number of the last step whose rows are all in.
    pub step: u64,
    /// Offset in the journal of the step after it.
    pub journal: u64,
    /// Sequence of that step's last entry.
    pub sequence: u64,
    /// Stamp of that entry.
    pub stamp: Stamp,
    /// Both inputs' next offsets after that step: what lies before them is projected.
    pub positions: Positions,
}

/// A lane and how far it is projected: what the read side may promise.
pub type Watermarks = Vec<(Lane, Watermark)>;
