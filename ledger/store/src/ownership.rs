//! Which lane a row belongs to, and typed views of rows: shared by all providers.

use crate::StoreError;
use jupan_schemas::{
    Lane, Role,
    rows::{Key, OrderRow, OutcomeRow, ProductRow, Row, UserRow},
};
use std::sync::Arc;

/// The role, where the row tells, and the partition of the lane that a row belongs to.
pub(crate) fn owner(row: &Row) -> (Option<Role>, u16) {
    match row {
        Row::User(row) => (Some(Role::Users), row.lane),
        Row::Product(row) => (Some(Role::Products), row.lane),
        Row::Order(row) => (Some(Role::Users), row.lane),
        Row::Outcome(row) => (row.command_id.target().map(|(role, _)| role), row.lane),
        Row::Hold(row) => (Some(Role::Products), row.lane),
        Row::Statement(row) => (Some(Role::Users), row.lane),
    }
}

/// Refuses a row of another lane.
pub(crate) fn check_owner(lane: Lane, row: &Row) -> Result<(), StoreError> {
    let (role, index) = owner(row);
    if index == lane.index && role.is_none_or(|role| role == lane.role) {
        return Ok(());
    }
    Err(StoreError::WrongLane { key: key_to_blame(row), owner: index, lane })
}

/// A row's key; a statement row, which has none, is named by its user.
pub(crate) fn key_to_blame(row: &Row) -> Key {
    match row {
        Row::User(row) => Key::User(row.user_id),
        Row::Product(row) => Key::Product(row.product_id),
        Row::Order(row) => Key::Order(row.order_id),
        Row::Outcome(row) => Key::Outcome(row.command_id),
        Row::Hold(row) => Key::Hold(row.order_id, row.lane),
        Row::Statement(row) => Key::User(row.user_id),
    }
}

pub(crate) fn user(row: Row) -> Option<Arc<UserRow>> {
    if let Row::User(row) = row { Some(row) } else { None }
}

pub(crate) fn product(row: Row) -> Option<Arc<ProductRow>> {
    if let Row::Product(row) = row { Some(row) } else { None }
}

pub(crate) fn order(row: Row) -> Option<Arc<OrderRow>> {
    if let Row::Order(row) = row { Some(row) } else { None }
}

pub(crate) fn outcome(row: Row) -> Option<Arc<OutcomeRow>> {
    if let Row::Outcome(row) = row { Some(row) } else { None }
}
