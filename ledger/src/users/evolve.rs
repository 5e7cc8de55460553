//! Folding entries of a user lane: every change and posting into its cell, then the cells' place in
//! the journal.

use super::{Users, cart, end, place, refund, register, reserved};
use crate::{
    Broken,
    cells::{Moment, check_opened},
    idempotency,
    postings::{self, balance_at_least_zero, check_balanced},
};
use jupan_schemas::{Account, Change, Entry, Micros, Money, OrderId, Posting, UserId, rows::Key};

pub(super) fn evolve(users: &mut Users, entry: &Entry) -> Result<(), Broken> {
    check_balanced(entry.sequence, &entry.postings)?;
    let Some(now) = Moment::of(entry) else { return check_opened(entry) };
    for change in &entry.changes {
        apply(users, entry, &now, change)?;
    }
    for posting in &entry.postings {
        post(users, &now, posting)?;
    }
    let mut keys = Vec::with_capacity(entry.changes.len() + entry.postings.len());
    footprint(entry, &mut keys);
    keys.into_iter().for_each(|key| match key {
        Key::User(id) => users.users.seal(id, &now),
        Key::Order(id) => users.orders.seal(id, &now),
        Key::Outcome(id) => users.outcomes.seal(id, &now),
        Key::Product(_) | Key::Hold(..) => {}
    });
    Ok(())
}

fn apply(users: &mut Users, entry: &Entry, now: &Moment, change: &Change) -> Result<(), Broken> {
    match change {
        Change::Opened(_) => Ok(()),
        Change::UserRegistered(change) => register::evolve(users, now, change),
        Change::OrderPlaced(change) => place::evolve(users, entry, now, change),
        Change::AskerJoined(change) => place::evolve_joined(users, now, change),
        Change::LaneReserved(change) => reserved::evolve(users, now, change),
        Change::OrderEnded(change) => end::evolve(users, entry, now, change),
        Change::OutcomeStored(change) => {
            idempotency::evolve(&mut users.outcomes, users.lane, now, change)
        }
        Change::CartChanged(change) => cart::evolve(users, now, change),
        Change::OrderReserved(change) => reserved::evolve_payable(users, now, change),
        Change::LinesRefunded(change) => refund::evolve(users, entry, now, change),
        Change::ProductRegistered(_)
        | Change::ProductChanged(_)
        | Change::HoldOpened(_)
        | Change::HoldEnded(_)
        | Change::LinesReturned(_) => {
            Err(Broken::about("entry", entry.sequence, "a product lane's change"))
        }
    }
}

fn post(users: &mut Users, now: &Moment, posting: &Posting) -> Result<(), Broken> {
    let sequence = now.as_of.sequence;
    match posting.account {
        Account::Funding => users.funding.post(users.lane, sequence, posting),
        Account::Revenue => users.revenue.post(users.lane, sequence, posting),
        Account::Wallet => {
            if let Some(user) = users.users.change(UserId(posting.owner), now)? {
                user.balance = Money(balance_at_least_zero(user.balance.0, posting)?);
                user.updated_at = now.at;
            }
            Ok(())
        }
        Account::Supply | Account::Available | Account::Reserved | Account::Sold => {
            Err(postings::broken(posting, "units of a product in a user lane"))
        }
    }
}

/// The cells that an entry changes.
pub(super) fn footprint(entry: &Entry, keys: &mut Vec<Key>) {
    keys.extend(entry.changes.iter().filter_map(|change| match change {
        Change::UserRegistered(change) => Some(Key::User(change.user_id)),
        Change::CartChanged(change) => Some(Key::User(change.user_id)),
        Change::OrderPlaced(change) => Some(Key::Order(change.order_id)),
        Change::LaneReserved(change) => Some(Key::Order(change.order_id)),
        Change::OrderReserved(change) => Some(Key::Order(change.order_id)),
        Change::OrderEnded(change) => Some(Key::Order(change.order_id)),
        Change::AskerJoined(change) => Some(Key::Order(change.order_id)),
        Change::LinesRefunded(change) => Some(Key::Order(change.order_id)),
        Change::OutcomeStored(change) => Some(Key::Outcome(change.command_id)),
        Change::Opened(_)
        | Change::ProductRegistered(_)
        | Change::ProductChanged(_)
        | Change::HoldOpened(_)
        | Change::HoldEnded(_)
        | Change::LinesReturned(_) => None,
    }));
    let wallets = entry.postings.iter().filter(|posting| posting.account == Account::Wallet);
    keys.extend(wallets.map(|posting| Key::User(UserId(posting.owner))));
}

pub(super) fn deadlines(entry: &Entry, set: &mut dyn FnMut(OrderId, Option<Micros>)) {
    for change in &entry.changes {
        match change {
            Change::OrderPlaced(placed) => set(placed.order_id, Some(placed.deadline)),
            Change::OrderEnded(ended) => set(ended.order_id, None),
            _ => {}
        }
    }
}
