//! Response bodies, made of rows by hand: what the store keeps and what callers see may change
//! apart.

use crate::times::Time;
use jupan_schemas::{
    Code, CommandId, Micros, Money, OrderId, OrderStatus, ProductId, RegisterProduct, RegisterUser,
    Units, UserId,
    rows::{OrderRow, ProductRow, StatementKind, StatementRow, UserRow},
};
use serde::{Serialize, Serializer};
use std::fmt::Display;

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
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Accepted {
    #[serde(serialize_with = "text")]
    command_id: CommandId,
    #[serde(serialize_with = "text_or_nothing", skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    status: &'static str,
}

impl Accepted {
    pub(crate) fn new(command_id: CommandId, order_id: Option<OrderId>) -> Self {
        Self { command_id, order_id, status: "PENDING" }
    }
}

/// A user.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    id: UserId,
    name: String,
    email: String,
    created_at: Time,
    updated_at: Time,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.user_id,
            name: row.name,
            email: row.email,
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
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Balance {
    pub(crate) user_id: UserId,
    pub(crate) balance: Money,
}

/// A page of a wallet's changes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entries {
    pub(crate) user_id: UserId,
    pub(crate) entries: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// One change of a wallet.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    delta: Money,
    balance: Money,
    kind: &'static str,
    #[serde(serialize_with = "text_or_nothing", skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
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
#[derive(Serialize)]
pub(crate) struct Product {
    id: ProductId,
    name: String,
    price: Money,
    /// Units that can be bought.
    stock: Units,
}

impl From<ProductRow> for Product {
    fn from(row: ProductRow) -> Self {
        Self { id: row.product_id, name: row.name, price: row.price, stock: row.available }
    }
}

impl Product {
    /// As it was when it was registered: what every retry of the registration gets, too.
    pub(crate) fn registered(id: ProductId, product: RegisterProduct) -> Self {
        Self { id, name: product.name, price: product.price, stock: product.stock }
    }
}

/// A page of products.
#[derive(Serialize)]
pub(crate) struct Products {
    pub(crate) products: Vec<Product>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// The best sellers of a window.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BestSellers {
    pub(crate) products: Vec<BestSeller>,
    pub(crate) window_from: Time,
    pub(crate) window_to: Time,
    pub(crate) as_of: Time,
}

/// One rank.
#[derive(Serialize)]
pub(crate) struct BestSeller {
    pub(crate) rank: u32,
    pub(crate) id: ProductId,
    /// Absent where the catalogue does not know the product (yet).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) units: Units,
    pub(crate) amount: Money,
}

/// An order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    #[serde(serialize_with = "text")]
    order_id: OrderId,
    user_id: UserId,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    total_price: Money,
    items: Vec<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_due: Option<Time>,
    created_at: Time,
    updated_at: Time,
}

/// One line of an order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    product_id: ProductId,
    quantity: Units,
    /// Absent while the product's lane has not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<Money>,
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

/// An order whose command is durable and not yet projected.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PendingOrder {
    #[serde(serialize_with = "text")]
    order_id: OrderId,
    user_id: UserId,
    status: &'static str,
}

impl PendingOrder {
    pub(crate) fn new(order_id: OrderId, user_id: UserId) -> Self {
        Self { order_id, user_id, status: OrderStatus::Pending.as_str() }
    }
}

/// An order's statuses, oldest first.
#[derive(Serialize)]
pub(crate) struct History {
    history: Vec<HistoryLine>,
}

#[derive(Serialize)]
struct HistoryLine {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
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
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Command {
    #[serde(serialize_with = "text")]
    command_id: CommandId,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<CommandOutcome>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CommandOutcome {
    code: &'static str,
    #[serde(serialize_with = "text_or_nothing", skip_serializing_if = "Option::is_none")]
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
