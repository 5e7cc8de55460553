//! Folding entries of a product lane: every change and posting into its cell, then the cells' place
//! in the journal.

use super::{Products, change, end, register, reserve, returned, stock};
use crate::{
    Broken,
    cells::{Moment, check_opened},
    idempotency,
    postings::check_balanced,
};
use jupan_schemas::{Change, Entry, Posting, ProductId, rows::Key};

pub(super) fn evolve(products: &mut Products, entry: &Entry) -> Result<(), Broken> {
    check_balanced(entry.sequence, &entry.postings)?;
    let Some(now) = Moment::of(entry) else { return check_opened(entry) };
    for change in &entry.changes {
        apply(products, entry, &now, change)?;
    }
    for posting in &entry.postings {
        post(products, &now, posting)?;
    }
    let mut keys = Vec::with_capacity(entry.changes.len() + entry.postings.len());
    footprint(products.lane, entry, &mut keys);
    for key in keys {
        match key {
            Key::Product(id) => {
                check_complete(products, id)?;
                products.products.seal(id, &now);
            }
            Key::Hold(id, _) => products.holds.seal(id, &now),
            Key::Outcome(id) => products.outcomes.seal(id, &now),
            Key::User(_) | Key::Order(_) => {}
        }
    }
    Ok(())
}

fn apply(
    products: &mut Products,
    entry: &Entry,
    now: &Moment,
    change: &Change,
) -> Result<(), Broken> {
    match change {
        Change::Opened(_) => Ok(()),
        Change::ProductRegistered(change) => register::evolve(products, now, change),
        Change::ProductChanged(change) => change::evolve(products, now, change),
        Change::HoldOpened(change) => reserve::evolve(products, now, change),
        Change::HoldEnded(change) => end::evolve(products, now, change),
        Change::OutcomeStored(change) => {
            idempotency::evolve(&mut products.outcomes, products.lane, now, change)
        }
        Change::LinesReturned(change) => returned::evolve(entry, change),
        Change::UserRegistered(_)
        | Change::CartChanged(_)
        | Change::OrderPlaced(_)
        | Change::LaneReserved(_)
        | Change::OrderReserved(_)
        | Change::OrderEnded(_)
        | Change::AskerJoined(_)
        | Change::LinesRefunded(_) => {
            Err(Broken::about("entry", entry.sequence, "a user lane's change"))
        }
    }
}

fn post(products: &mut Products, now: &Moment, posting: &Posting) -> Result<(), Broken> {
    if let Some(product) = products.products.change(ProductId(posting.owner), now)? {
        stock::post(product, posting)?;
        product.updated_at = now.at;
    }
    Ok(())
}

/// A transfer keeps every unit somewhere: read back for each product that an entry touched.
fn check_complete(products: &Products, id: ProductId) -> Result<(), Broken> {
    let product = products.products.find(id)?;
    if product.is_none_or(stock::is_complete) {
        return Ok(());
    }
    Err(Broken::about("product", id, "supply is not available + reserved + sold"))
}

/// The cells that an entry changes.
pub(super) fn footprint(lane: u16, entry: &Entry, keys: &mut Vec<Key>) {
    keys.extend(entry.changes.iter().filter_map(|change| match change {
        Change::ProductRegistered(change) => Some(Key::Product(change.product_id)),
        Change::ProductChanged(change) => Some(Key::Product(change.product_id)),
        Change::HoldOpened(change) => Some(Key::Hold(change.order_id, lane)),
        Change::HoldEnded(change) => Some(Key::Hold(change.order_id, lane)),
        Change::OutcomeStored(change) => Some(Key::Outcome(change.command_id)),
        Change::Opened(_)
        | Change::UserRegistered(_)
        | Change::CartChanged(_)
        | Change::OrderPlaced(_)
        | Change::LaneReserved(_)
        | Change::OrderReserved(_)
        | Change::OrderEnded(_)
        | Change::AskerJoined(_)
        | Change::LinesRefunded(_)
        // Its products are those of the postings.
        | Change::LinesReturned(_) => None,
    }));
    // All accounts of a product lane are a product's: both postings of a transfer name it.
    let mut last = None;
    for posting in &entry.postings {
        if last.replace(posting.owner) != Some(posting.owner) {
            keys.push(Key::Product(ProductId(posting.owner)));
        }
    }
}
