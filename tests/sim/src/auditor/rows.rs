//! The rows at rest, and what lanes have in memory, against what the auditor worked out.

use super::{Facts, products::Products, users::Users};
use crate::{
    report::{Invariant, Violation},
    world::World,
};
use jupan_schemas::{
    Lane, UserId,
    rows::{Key, Row, StatementRow},
};
use jupan_store::{LaneStore, ReadStore, memory::MemoryStore};
use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// Rows read at once.
const PAGE: usize = 1_000;

pub(crate) fn of_users(facts: &mut Facts, lane: Lane, model: Users) {
    let mut add = |key, row| facts.rows.insert(key, (lane, Some(row)));
    for (id, row) in model.users {
        add(Key::User(id), Row::from(row));
    }
    for (id, order) in model.orders {
        add(Key::Order(id), Row::from(order.row));
    }
    for (id, (_, row)) in model.keys.kept {
        add(Key::Outcome(id), Row::from(row));
    }
    facts.statements.extend(model.statements);
}

pub(crate) fn of_products(facts: &mut Facts, lane: Lane, model: Products) {
    let mut add = |key, row| facts.rows.insert(key, (lane, row));
    for (id, row) in model.products {
        add(Key::Product(id), Some(Row::from(row)));
    }
    facts.sales.insert(lane.index, model.sales);
    for (id, row) in model.holds {
        add(Key::Hold(id, lane.index), row.end.is_none().then(|| Row::from(row)));
    }
    for (id, (_, row)) in model.keys.kept {
        add(Key::Outcome(id), Some(Row::from(row)));
    }
}

/// Every row is there and equal, none else is, and memory says the same.
pub(crate) fn check_rows(facts: &Facts, world: &World) -> Result<(), Violation> {
    let store = &world.ports.store;
    let keys: Vec<Key> = facts.rows.keys().copied().collect();
    let found = store.load(&keys).unwrap_or_default();
    for ((key, (lane, due)), found) in facts.rows.iter().zip(found) {
        if found != *due {
            let what = format!("{key:?} reads {found:?} where {due:?} is due");
            return Err(Violation::new(Invariant::Rows, what).of(*lane));
        }
        let place = world.places.iter().find(|place| place.lane == *lane);
        let in_memory = place.and_then(|place| place.owner.as_ref()?.row(*key));
        let is_ended = matches!(&in_memory, Some(Row::Hold(hold)) if hold.end.is_some());
        if in_memory.is_some() && !is_ended && in_memory != *due {
            let what = format!("{key:?} is {in_memory:?} in memory where {due:?} is due");
            return Err(Violation::new(Invariant::Journal, what).of(*lane));
        }
    }
    let orders = world.workload.placed().iter().map(|id| Key::Order(*id));
    let users = (0..=world.mix.users + 1).map(|id| Key::User(UserId(id)));
    let unknown: Vec<Key> =
        orders.chain(users).filter(|key| !facts.rows.contains_key(key)).collect();
    let made_up = store.load(&unknown).unwrap_or_default().into_iter().flatten().next();
    match made_up {
        Some(row) => Err(Violation::new(Invariant::Rows, format!("a row of no entry: {row:?}"))),
        None => check_watermarks(facts, store).and_then(|()| check_statements(facts, store)),
    }
}

/// Everything is readable, and said to be.
fn check_watermarks(facts: &Facts, store: &MemoryStore) -> Result<(), Violation> {
    for (lane, due) in &facts.watermarks {
        let found = ready(store.projected(*lane)).flatten();
        if found != Some(*due) {
            let what = format!("readable up to {found:?}, where {due:?} is due");
            return Err(Violation::new(Invariant::Rows, what).of(*lane));
        }
    }
    Ok(())
}

fn check_statements(facts: &Facts, store: &MemoryStore) -> Result<(), Violation> {
    for (user, due) in &facts.statements {
        let mut found: Vec<Arc<StatementRow>> = Vec::new();
        while let Some(page) =
            ready(store.statement(*user, found.last().map(|row| row.as_of.sequence), PAGE))
        {
            found.extend(page.items);
            if !page.more {
                break;
            }
        }
        if !due.iter().rev().eq(found.iter().map(Arc::as_ref)) {
            let what = format!("statement of user {user}: {} of {} lines", found.len(), due.len());
            return Err(Violation::new(Invariant::Rows, what));
        }
    }
    Ok(())
}

/// The memory store never waits.
fn ready<T, E>(future: impl Future<Output = Result<T, E>>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(value)) => Some(value),
        _ => None,
    }
}
