//! What a forger can do to a log: change records, and mend the chain and the checksums behind the
//! change.

use super::{
    shop::Shop,
    writer::{self, OwnedRecord},
};
use crate::verify::{
    Options, Report,
    findings::{Invariant, Place},
    run,
};
use jupan_schemas::{Account, Codec, Entry, Hash, Lane, Record, Role, Sale, Step, TopicId};
use tempfile::TempDir;

pub(crate) const USERS_0: Lane = Lane { role: Role::Users, index: 0 };
pub(crate) const PRODUCTS_0: Lane = Lane { role: Role::Products, index: 0 };

/// Where a fault was planted.
#[derive(Clone, Copy, Default)]
pub(crate) struct Planted {
    pub(crate) lane: Option<Lane>,
    pub(crate) step: Option<u64>,
    pub(crate) sequence: Option<u64>,
}

pub(crate) fn at(lane: Lane, (step, sequence): (u64, u64)) -> Planted {
    Planted { lane: Some(lane), step: Some(step), sequence: Some(sequence) }
}

pub(crate) fn at_step(lane: Lane, step: u64) -> Planted {
    Planted { lane: Some(lane), step: Some(step), sequence: None }
}

/// Looks for a fault where it was planted.
pub(crate) fn find(shop: &Shop, invariant: Invariant, about: &str, planted: Planted) {
    let report = verify(shop);
    assert_eq!(report.exit_code(), 1, "`{about}`: nothing found");
    let is_it = |place: Place| {
        planted.lane.is_none_or(|lane| place.lane == Some(lane))
            && planted.step.is_none_or(|step| place.step == Some(step))
            && planted.sequence.is_none_or(|sequence| place.sequence == Some(sequence))
    };
    let found = report
        .findings
        .of(invariant)
        .any(|finding| finding.about.contains(about) && is_it(finding.place));
    let (step, sequence) = (planted.step, planted.sequence);
    assert!(found, "`{about}` not found at step {step:?}, entry {sequence:?}\n{}", text(&report));
}

/// Saves a log and verifies it.
pub(crate) fn verify(shop: &Shop) -> Report {
    let dir = TempDir::new().expect("a temporary directory");
    writer::save(dir.path(), shop.lanes, &shop.log, 4096);
    verify_directory(&dir)
}

pub(crate) fn options(dir: &TempDir) -> Options {
    let data = dir.path().to_owned();
    Options {
        data,
        json: false,
        overdue_slack_ms: 60_000,
        drained: false,
        cluster: Default::default(),
    }
}

pub(crate) fn verify_directory(dir: &TempDir) -> Report {
    run(&options(dir), &mut |progress| assert!(progress.bytes_done <= progress.bytes_total))
        .expect("a directory that can be read")
}

/// The report as text, for messages.
pub(crate) fn text(report: &Report) -> String {
    let mut out = Vec::new();
    report.print(false, &mut out).expect("memory");
    String::from_utf8(out).expect("text")
}

/// Every step of a lane, with the place of its record.
pub(crate) fn steps(shop: &Shop, lane: Lane) -> Vec<((usize, usize), Step)> {
    let codec = Codec::embedded();
    let mut all = Vec::new();
    for (group, records) in shop.log.iter().enumerate() {
        for (index, record) in records.iter().enumerate() {
            if record.topic == TopicId::journal(lane.role) && record.partition == lane.index {
                all.push(((group, index), codec.decode(&record.value).expect("a step")));
            }
        }
    }
    all
}

/// Writes a step back where it was.
pub(crate) fn put_step(shop: &mut Shop, (group, index): (usize, usize), step: &Step) {
    let bytes = shop.codec.to_bytes(step);
    shop.log[group][index].value = bytes;
}

/// Makes every step of a lane name the one before it, as the chain wants it.
pub(crate) fn mend_chain(shop: &mut Shop, lane: Lane) {
    let mut previous = Hash::ZERO;
    for (place, mut step) in steps(shop, lane) {
        step.previous = previous;
        put_step(shop, place, &step);
        previous = Hash::of(&shop.log[place.0][place.1].value);
    }
}

/// Changes the first entry of a lane for which `change` says true; returns its step and sequence.
pub(crate) fn change_entry(
    shop: &mut Shop,
    lane: Lane,
    mut change: impl FnMut(&mut Entry) -> bool,
) -> (u64, u64) {
    for (place, mut step) in steps(shop, lane) {
        let changed = step.entries.iter_mut().find_map(|entry| {
            let sequence = entry.sequence;
            change(entry).then_some(sequence)
        });
        if let Some(sequence) = changed {
            put_step(shop, place, &step);
            mend_chain(shop, lane);
            return (step.number, sequence);
        }
    }
    panic!("no entry to change in {lane}");
}

/// Changes every step of a lane, and mends the chain.
pub(crate) fn change_steps(shop: &mut Shop, lane: Lane, mut change: impl FnMut(&mut Step)) {
    for (place, mut step) in steps(shop, lane) {
        change(&mut step);
        put_step(shop, place, &step);
    }
    mend_chain(shop, lane);
}

/// Moves one won more into a user's wallet, in one entry, and mends every later balance, every
/// header and the chain.
pub(crate) fn shift_money(shop: &mut Shop, sequence: u64, from: Account, owner: u64) {
    let mut is_behind = false;
    change_steps(shop, USERS_0, |step| {
        for entry in &mut step.entries {
            let is_it = entry.sequence == sequence;
            is_behind |= is_it;
            for posting in &mut entry.postings {
                let change = match posting.account {
                    Account::Wallet if posting.owner == owner => 1,
                    account if account == from => -1,
                    _ => 0,
                };
                posting.delta += if is_it { change } else { 0 };
                posting.balance += if is_behind { change } else { 0 };
            }
        }
        for balance in &mut step.balances {
            if is_behind && balance.account == from {
                balance.balance -= 1;
            }
        }
    });
}

/// Drops the sales that an entry of a product lane has made.
pub(crate) fn drop_sales(shop: &mut Shop, lane: Lane, sequence: u64) {
    let event = format!("{lane}/{sequence}/");
    let codec = Codec::embedded();
    for group in &mut shop.log {
        group.retain(|record| {
            let is_sale = record.topic == TopicId::Sales;
            let sale = is_sale.then(|| codec.decode::<Sale>(&record.value).expect("a sale"));
            sale.is_none_or(|sale| !sale.event_id.starts_with(&event))
        });
    }
    renumber(shop);
}

/// Drops the first record for which `wanted` says true, and closes the gap in the offsets.
pub(crate) fn drop_record(shop: &mut Shop, wanted: impl Fn(&OwnedRecord) -> bool) {
    let found = shop.log.iter_mut().find_map(|group| {
        let index = group.iter().position(&wanted)?;
        Some(group.remove(index))
    });
    assert!(found.is_some(), "no record to drop");
    renumber(shop);
}

/// Writes the first record for which `wanted` says true twice.
pub(crate) fn double_record(shop: &mut Shop, wanted: impl Fn(&OwnedRecord) -> bool) {
    let found = shop.log.iter_mut().find_map(|group| {
        let index = group.iter().position(&wanted)?;
        group.insert(index, group[index].clone());
        Some(())
    });
    assert!(found.is_some(), "no record to double");
    renumber(shop);
}

/// Changes the value of the first record of a topic for which `change` says true.
pub(crate) fn change_record<T: Record>(
    shop: &mut Shop,
    topic: TopicId,
    mut change: impl FnMut(&mut T) -> bool,
) {
    for record in shop.log.iter_mut().flatten().filter(|record| record.topic == topic) {
        let Ok(mut value) = shop.codec.decode::<T>(&record.value) else { continue };
        if change(&mut value) {
            record.value = shop.codec.to_bytes(&value);
            return;
        }
    }
    panic!("no record to change");
}

/// Makes all offsets dense again, in the order of the log.
pub(crate) fn renumber(shop: &mut Shop) {
    let mut ends = std::collections::BTreeMap::new();
    for record in shop.log.iter_mut().flatten() {
        let end = ends.entry((record.topic, record.partition)).or_insert(0);
        record.offset = *end;
        *end += 1;
    }
}
