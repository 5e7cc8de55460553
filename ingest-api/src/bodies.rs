//! Response bodies, made of rows by hand: what the store keeps and what callers see may change
//! apart.

mod cart;

pub(crate) use cart::Cart;

use crate::{
    openapi::{samples, shapes},
    times::Time,
};
use jupan_schemas::{
    Code, CommandId, Micros, Money, OrderId, OrderStatus, ProductId, RegisterProduct, RegisterUser,
    Units, UserId,
    rows::{OrderRow, ProductRow, StatementKind, StatementRow, UserRow},
};
use serde::{Serialize, Serializer};
use std::fmt::Display;
use utoipa::ToSchema;

fn text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn text_or_nothing<S: Serializer>(
    value: &Option<impl Display>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

/// 202: durable, not yet decided as far as is known here.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Accepted {
    #[serde(serialize_with = "text")]
    #[schema(value_type = shapes::CommandId)]
    command_id: CommandId,
    #[serde(serialize_with = "text_or_nothing", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = shapes::OrderId)]
    order_id: Option<OrderId>,
    #[schema(value_type = shapes::Pending)]
    status: &'static str,
}

impl Accepted {
    pub(crate) fn new(command_id: CommandId, order_id: Option<OrderId>) -> Self {
        Self { command_id, order_id, status: "PENDING" }
    }
}

/// A user.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    #[schema(value_type = shapes::UserId)]
    id: UserId,
    name: String,
    email: String,
    #[schema(value_type = shapes::Time)]
    created_at: Time,
    #[schema(value_type = shapes::Time)]
    updated_at: Time,
}

impl From<&UserRow> for User {
    fn from(row: &UserRow) -> Self {
        Self {
            id: row.user_id,
            name: row.name.to_string(),
            email: row.email.to_string(),
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
        }
    }
}

impl User {
    /// As it was when it was registered: what every retry of the registration gets, too.
    pub(crate) fn registered(id: UserId, user: RegisterUser, at: Micros) -> Self {
        let at = Time(at);
        Self { id, name: user.name, email: user.email, created_at: at, updated_at: at }
    }
}

/// A wallet.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Balance {
    #[schema(value_type = shapes::UserId)]
    pub(crate) user_id: UserId,
    #[schema(value_type = shapes::WalletBalance)]
    pub(crate) balance: Money,
}

/// A page of a wallet's changes.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entries {
    #[schema(value_type = shapes::UserId)]
    pub(crate) user_id: UserId,
    pub(crate) entries: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = shapes::Cursor)]
    pub(crate) next: Option<String>,
}

/// One change of a wallet.
#[derive(Serialize, ToSchema)]
#[schema(examples(samples::payment))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    #[schema(value_type = shapes::Delta)]
    delta: Money,
    #[schema(value_type = shapes::WalletBalance)]
    balance: Money,
    #[schema(value_type = shapes::EntryKind)]
    kind: &'static str,
    #[serde(serialize_with = "text_or_nothing", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = shapes::OrderId)]
    order_id: Option<OrderId>,
    #[schema(value_type = shapes::Time)]
    at: Time,
}

impl From<&StatementRow> for Entry {
    fn from(row: &StatementRow) -> Self {
        let kind = match row.kind {
            StatementKind::Charge => "CHARGE",
            StatementKind::Payment => "PAYMENT",
            StatementKind::Refund => "REFUND",
        };
        let (delta, balance, order_id) = (row.delta, row.balance, row.order_id);
        Self { delta, balance, kind, order_id, at: Time(row.at) }
    }
}

/// A product.
#[derive(Serialize, ToSchema)]
pub(crate) struct Product {
    #[schema(value_type = shapes::ProductId)]
    id: ProductId,
    name: String,
    #[schema(value_type = shapes::Price)]
    price: Money,
    /// Units that can be bought.
    #[schema(value_type = shapes::Stock)]
    stock: Units,
}

impl From<&ProductRow> for Product {
    fn from(row: &ProductRow) -> Self {
        Self {
            id: row.product_id,
            name: row.name.to_string(),
            price: row.price,
            stock: row.available,
        }
    }
}

impl Product {
    /// As it was when it was registered: what every retry of the registration gets, too.
    pub(crate) fn registered(id: ProductId, product: RegisterProduct) -> Self {
        Self { id, name: product.name, price: product.price, stock: product.stock }
    }
}

/// A page of products.
#[derive(Serialize, ToSchema)]
pub(crate) struct Products {
    pub(crate) products: Vec<Product>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = shapes::Cursor)]
    pub(crate) next: Option<String>,
}

/// The best sellers of a window.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BestSellers {
    pub(crate) products: Vec<BestSeller>,
    #[schema(value_type = shapes::Time)]
    pub(crate) window_from: Time,
    #[schema(value_type = shapes::Time)]
    pub(crate) window_to: Time,
    #[schema(value_type = shapes::Time)]
    pub(crate) as_of: Time,
}

/// One rank.
#[derive(Serialize, ToSchema)]
pub(crate) struct BestSeller {
    #[schema(value_type = shapes::Rank)]
    pub(crate) rank: u32,
    #[schema(value_type = shapes::ProductId)]
    pub(crate) id: ProductId,
    /// Absent where the catalogue does not know the product (yet).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub(crate) name: Option<String>,
    #[schema(value_type = shapes::Units)]
    pub(crate) units: Units,
    #[schema(value_type = shapes::Amount)]
    pub(crate) amount: Money,
}

/// An order.
#[derive(Serialize, ToSchema)]
#[schema(examples(samples::paid_order))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    #[serde(serialize_with = "text")]
    #[schema(value_type = shapes::OrderId)]
    order_id: OrderId,
    #[schema(value_type = shapes::UserId)]
    user_id: UserId,
    #[schema(value_type = shapes::OrderStatusText)]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = shapes::OrderReason)]
    reason: Option<&'static str>,
    #[schema(value_type = shapes::Amount)]
    total_price: Money,
    items: Vec<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = shapes::Time)]
    payment_due: Option<Time>,
    #[schema(value_type = shapes::Time)]
    created_at: Time,
    #[schema(value_type = shapes::Time)]
    updated_at: Time,
}

/// One line of an order.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderItem)]
#[serde(rename_all = "camelCase")]
struct Item {
    #[schema(value_type = shapes::ProductId)]
    product_id: ProductId,
    #[schema(value_type = shapes::Units)]
    quantity: Units,
    /// Absent while the product's lane has not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = shapes::Price)]
    price: Option<Money>,
    #[schema(value_type = shapes::Units)]
    refunded_quantity: Units,
}

impl From<&OrderRow> for Order {
    fn from(row: &OrderRow) -> Self {
        let items = row.lines.iter().map(|line| Item {
            product_id: line.product_id,
            quantity: line.quantity,
            price: line.price,
            refunded_quantity: line.refunded,
        });
        Self {
            order_id: row.order_id,
            user_id: row.user_id,
            status: row.status.as_str(),
            reason: row.reason.map(Code::as_str),
            total_price: row.total,
            items: items.collect(),
            payment_due: row.payment_due.map(Time),
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
        }
    }
}

/// A page of a user's orders.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Orders {
    /// Whose orders.
    #[schema(value_type = shapes::UserId)]
    pub(crate) user_id: UserId,
    /// Newest first. A page of large orders may have fewer than asked for.
    pub(crate) orders: Vec<Order>,
    /// Where the list goes on; absent at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = shapes::Cursor)]
    pub(crate) next: Option<String>,
}

/// An order whose command is durable and not yet projected.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PendingOrder {
    #[serde(serialize_with = "text")]
    #[schema(value_type = shapes::OrderId)]
    order_id: OrderId,
    #[schema(value_type = shapes::UserId)]
    user_id: UserId,
    #[schema(value_type = shapes::Pending)]
    status: &'static str,
}

impl PendingOrder {
    pub(crate) fn new(order_id: OrderId, user_id: UserId) -> Self {
        Self { order_id, user_id, status: OrderStatus::Pending.as_str() }
    }
}

/// An order's statuses, oldest first.
#[derive(Serialize, ToSchema)]
#[schema(examples(samples::history))]
pub(crate) struct History {
    history: Vec<HistoryLine>,
}

/// A status of an order, and since when.
#[derive(Serialize, ToSchema)]
struct HistoryLine {
    #[schema(value_type = shapes::OrderStatusText)]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = shapes::OrderReason)]
    reason: Option<&'static str>,
    #[schema(value_type = shapes::Time)]
    at: Time,
}

impl From<&OrderRow> for History {
    fn from(row: &OrderRow) -> Self {
        let history = row.history.iter().map(|line| HistoryLine {
            status: line.status.as_str(),
            reason: line.reason.map(Code::as_str),
            at: Time(line.at),
        });
        Self { history: history.collect() }
    }
}

/// What became of a command.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Command {
    #[serde(serialize_with = "text")]
    #[schema(value_type = shapes::CommandId)]
    command_id: CommandId,
    #[schema(value_type = shapes::CommandStatus)]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = CommandOutcome)]
    outcome: Option<CommandOutcome>,
}

/// What came of a command.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CommandOutcome {
    #[schema(value_type = shapes::OutcomeCode)]
    code: &'static str,
    #[serde(serialize_with = "text_or_nothing", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = shapes::OrderId)]
    order_id: Option<OrderId>,
}

impl Command {
    pub(crate) fn pending(command_id: CommandId) -> Self {
        Self { command_id, status: "PENDING", outcome: None }
    }

    pub(crate) fn done(command_id: CommandId, code: Code, order_id: Option<OrderId>) -> Self {
        let outcome = Some(CommandOutcome { code: code.as_str(), order_id });
        Self { command_id, status: "DONE", outcome }
    }
}
