//! Cells as rows and back, and what an entry adds to statements and events.

use super::{
    Users,
    state::{Order, User},
};
use crate::{Broken, Event, idempotency::Stored};
use jupan_schemas::{
    Account, Change, Code, Entry, Money, OrderEvent, OrderEventLine, OrderId, OrderStatus, Posting,
    UserId,
    rows::{AsOf, Key, OrderRow, Row, StatementKind, StatementRow, UserRow},
};

pub(super) fn load(users: &mut Users, key: Key, row: Option<Row>) -> Result<(), Broken> {
    let lane = users.lane;
    match (key, row) {
        (Key::User(id), None) => users.users.load(id, None),
        (Key::Order(id), None) => users.orders.load(id, None),
        (Key::Outcome(id), None) => users.outcomes.load(id, None),
        (Key::User(id), Some(Row::User(row))) if row.user_id == id && row.lane == lane => {
            users.users.load(id, Some(User::from_row(row)));
        }
        (Key::Order(id), Some(Row::Order(row))) if row.order_id == id && row.lane == lane => {
            users.orders.load(id, Some(Order::from_row(row)));
        }
        (Key::Outcome(id), Some(Row::Outcome(row))) if row.command_id == id && row.lane == lane => {
            users.outcomes.load(id, Some(Stored::from_row(&row)));
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
        Key::User(id) => {
            let (user, as_of) = users.users.peek(id)?;
            Some(Row::User(user.to_row(id, users.lane, as_of)))
        }
        Key::Order(id) => {
            let (order, as_of) = users.orders.peek(id)?;
            Some(Row::Order(order.to_row(id, users.lane, as_of)))
        }
        Key::Outcome(id) => {
            let (stored, as_of) = users.outcomes.peek(id)?;
            Some(Row::Outcome(stored.to_row(id, users.lane, as_of)))
        }
        Key::Product(_) | Key::Hold(..) => None,
    }
}

impl User {
    fn from_row(row: UserRow) -> (Self, AsOf) {
        let UserRow { name, email, balance, created_at, updated_at, cart, as_of, .. } = row;
        (Self { name, email, balance, created_at, updated_at, cart }, as_of)
    }

    fn to_row(&self, user_id: UserId, lane: u16, as_of: AsOf) -> UserRow {
        let Self { name, email, balance, created_at, updated_at, cart } = self.clone();
        UserRow { user_id, lane, as_of, name, email, balance, created_at, updated_at, cart }
    }
}

impl Order {
    fn from_row(row: OrderRow) -> (Self, AsOf) {
        let order = Self {
            user_id: row.user_id,
            placed: row.placed,
            status: row.status,
            reason: row.reason,
            reason_product: row.reason_product,
            lines: row.lines,
            awaits: row.awaits,
            total: row.total,
            from_cart: row.from_cart,
            payment: row.payment,
            deadline: row.deadline,
            payment_due: row.payment_due,
            occurred_at: row.occurred_at,
            sold_at: row.sold_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            fingerprint: row.fingerprint,
            askers: row.askers,
            outcome: row.outcome,
            history: row.history,
        };
        (order, row.as_of)
    }

    fn to_row(&self, order_id: OrderId, lane: u16, as_of: AsOf) -> OrderRow {
        let order = self.clone();
        OrderRow {
            order_id,
            user_id: order.user_id,
            lane,
            as_of,
            placed: order.placed,
            status: order.status,
            reason: order.reason,
            reason_product: order.reason_product,
            lines: order.lines,
            awaits: order.awaits,
            total: order.total,
            from_cart: order.from_cart,
            payment: order.payment,
            deadline: order.deadline,
            payment_due: order.payment_due,
            occurred_at: order.occurred_at,
            sold_at: order.sold_at,
            created_at: order.created_at,
            updated_at: order.updated_at,
            fingerprint: order.fingerprint,
            askers: order.askers,
            outcome: order.outcome,
            history: order.history,
        }
    }
}

/// One line for each change of a wallet.
pub(super) fn statement(lane: u16, entry: &Entry) -> Vec<Row> {
    let Some(input) = entry.input else { return Vec::new() };
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
    wallets.map(|posting| Row::Statement(line(posting))).collect()
}

fn kind(posting: &Posting, order_id: Option<OrderId>) -> StatementKind {
    match order_id {
        None => StatementKind::Charge,
        Some(_) if posting.delta < 0 => StatementKind::Payment,
        Some(_) => StatementKind::Refund,
    }
}

/// One event for each change of an order that the outside can see.
pub(super) fn events(users: &Users, entry: &Entry) -> Vec<Event> {
    let changed = entry.changes.iter().filter_map(|change| match change {
        Change::OrderPlaced(placed) => Some((placed.order_id, OrderStatus::Pending)),
        Change::OrderReserved(reserved) => Some((reserved.order_id, OrderStatus::Pending)),
        Change::OrderEnded(ended) => Some((ended.order_id, ended.status)),
        Change::LinesRefunded(refunded) => Some((refunded.order_id, refunded.status)),
        _ => None,
    });
    changed.filter_map(|(id, status)| event(users, entry, id, status)).map(Event::Order).collect()
}

fn event(users: &Users, entry: &Entry, id: OrderId, status: OrderStatus) -> Option<OrderEvent> {
    let (order, _) = users.orders.peek(id)?;
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
