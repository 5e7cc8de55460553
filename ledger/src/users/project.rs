//! Cells as rows, and what an entry adds to statements and events.

use super::Users;
use crate::{Broken, Event};
use jupan_schemas::{
    Account, Change, Code, Entry, Money, OrderEvent, OrderEventLine, OrderId, OrderStatus, Posting,
    UserId,
    rows::{AsOf, Key, Row, StatementKind, StatementRow},
};
use std::sync::Arc;

pub(super) fn load(users: &mut Users, key: Key, row: Option<Row>) -> Result<(), Broken> {
    let lane = users.lane;
    match (key, row) {
        (Key::User(id), None) => users.users.load(id, None),
        (Key::Order(id), None) => users.orders.load(id, None),
        (Key::Outcome(id), None) => users.outcomes.load(id, None),
        (Key::User(id), Some(Row::User(row))) if row.user_id == id && row.lane == lane => {
            users.users.load(id, Some(row));
        }
        (Key::Order(id), Some(Row::Order(row))) if row.order_id == id && row.lane == lane => {
            users.orders.load(id, Some(row));
        }
        (Key::Outcome(id), Some(Row::Outcome(row))) if row.command_id == id && row.lane == lane => {
            users.outcomes.load(id, Some(row));
        }
        (key, _) => {
            return Err(Broken {
                about: format!("{key:?} in user lane {lane}"),
                what: "the row is not of this key and lane",
            });
        }
    }
    Ok(())
}

pub(super) fn row(users: &Users, key: Key) -> Option<Row> {
    match key {
        Key::User(id) => users.users.peek(id).cloned().map(Row::User),
        Key::Order(id) => users.orders.peek(id).cloned().map(Row::Order),
        Key::Outcome(id) => users.outcomes.peek(id).cloned().map(Row::Outcome),
        Key::Product(_) | Key::Hold(..) => None,
    }
}

pub(super) fn take_changed(users: &mut Users, rows: &mut Vec<Row>) {
    users.users.take_changed(|row| rows.push(Row::User(Arc::clone(row))));
    users.orders.take_changed(|row| rows.push(Row::Order(Arc::clone(row))));
    users.outcomes.take_changed(|row| rows.push(Row::Outcome(Arc::clone(row))));
}

/// One line for each change of a wallet.
pub(super) fn statement(lane: u16, entry: &Entry, rows: &mut Vec<Row>) {
    let Some(input) = entry.input else { return };
    let as_of = AsOf { sequence: entry.sequence, stamp: entry.stamp };
    let order_id = entry.changes.iter().find_map(|change| match change {
        Change::OrderEnded(ended) => Some(ended.order_id),
        Change::LinesRefunded(refunded) => Some(refunded.order_id),
        _ => None,
    });
    let line = |posting: &Posting| StatementRow {
        user_id: UserId(posting.owner),
        lane,
        as_of,
        kind: kind(posting, order_id),
        delta: Money(posting.delta),
        balance: Money(posting.balance),
        order_id,
        at: input.at,
    };
    let wallets = entry.postings.iter().filter(|posting| posting.account == Account::Wallet);
    rows.extend(wallets.map(|posting| Row::Statement(Arc::new(line(posting)))));
}

fn kind(posting: &Posting, order_id: Option<OrderId>) -> StatementKind {
    match order_id {
        None => StatementKind::Charge,
        Some(_) if posting.delta < 0 => StatementKind::Payment,
        Some(_) => StatementKind::Refund,
    }
}

/// One event for each change of an order that the outside can see.
pub(super) fn events(users: &Users, entry: &Entry, tell: &mut dyn FnMut(Event)) {
    let changed = entry.changes.iter().filter_map(|change| match change {
        Change::OrderPlaced(placed) => Some((placed.order_id, OrderStatus::Pending)),
        Change::OrderReserved(reserved) => Some((reserved.order_id, OrderStatus::Pending)),
        Change::OrderEnded(ended) => Some((ended.order_id, ended.status)),
        Change::LinesRefunded(refunded) => Some((refunded.order_id, refunded.status)),
        _ => None,
    });
    let events = changed.filter_map(|(id, status)| event(users, entry, id, status));
    events.map(Event::Order).for_each(tell);
}

fn event(users: &Users, entry: &Entry, id: OrderId, status: OrderStatus) -> Option<OrderEvent> {
    let order = users.orders.peek(id)?;
    let lines = order.lines.iter().map(|line| OrderEventLine {
        product_id: line.product_id,
        quantity: line.quantity,
        price: line.price.unwrap_or(Money::ZERO),
        refunded: line.refunded,
    });
    Some(OrderEvent {
        event_id: format!("users/{}/{}", users.lane, entry.sequence),
        order_id: id.to_string(),
        user_id: order.user_id,
        status: status.as_str().to_owned(),
        reason: order.reason.map(Code::as_str).map(str::to_owned),
        total_price: order.total,
        occurred_at: order.occurred_at.unwrap_or(order.created_at),
        at: entry.input?.at,
        stamp: entry.stamp,
        lines: lines.collect(),
    })
}
