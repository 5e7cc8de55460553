//! Rows that are on disk and still in memory: those of the last flushes, and what was read.
//!
//! They stay as the flushes that they came with, newest first, and leave the same way, the oldest
//! flush as a whole: no row is touched when it becomes recent, and none to find out which is to go.
//! Small flushes share a map, so that a look-up asks a handful of maps at most. An ended hold stays,
//! too: so its beginning, should it be applied again, is not taken for news.

use super::shard::Slot;
use crate::limits::{RECENT_WEIGHT_PER_MAP, RECENT_WEIGHT_PER_SHARD};
use hashbrown::HashMap;
use jupan_schemas::rows::Key;
use std::collections::VecDeque;

/// Rows by key.
pub(super) type SlotMap = HashMap<Key, Slot>;

/// Rows that came together.
#[derive(Default)]
struct Lot {
    rows: SlotMap,
    weight: usize,
}

/// See the module. Holds [`RECENT_WEIGHT_PER_SHARD`] and in any case the last flush.
#[derive(Default)]
pub(super) struct Recent {
    /// Newest first: of two rows of a key the one in front is the newer one.
    lots: VecDeque<Lot>,
    weight: usize,
}

impl Recent {
    pub(super) fn get(&self, key: &Key) -> Option<&Slot> {
        self.lots.iter().find_map(|lot| lot.rows.get(key))
    }

    /// Adds a flush, and returns maps that are of no more use here, the rows of the oldest flushes in
    /// them.
    pub(super) fn add(&mut self, mut rows: SlotMap, weight: usize) -> Vec<SlotMap> {
        let mut outworn = Vec::new();
        match self.lots.front_mut() {
            Some(lot) if lot.weight + weight <= RECENT_WEIGHT_PER_MAP => {
                lot.rows.extend(rows.drain());
                lot.weight += weight;
                outworn.push(rows);
            }
            _ => self.lots.push_front(Lot { rows, weight }),
        }
        self.weight += weight;
        self.forget(&mut outworn);
        outworn
    }

    /// Adds a row that was read from disk, and of which no newer one is known.
    pub(super) fn keep(&mut self, key: Key, slot: Slot) {
        if self.lots.front().is_none_or(|lot| lot.weight + slot.weight > RECENT_WEIGHT_PER_MAP) {
            self.lots.push_front(Lot::default());
        }
        let Some(lot) = self.lots.front_mut() else { return };
        lot.weight += slot.weight;
        self.weight += slot.weight;
        lot.rows.insert(key, slot);
        self.forget(&mut Vec::new());
    }

    fn forget(&mut self, outworn: &mut Vec<SlotMap>) {
        while self.weight > RECENT_WEIGHT_PER_SHARD
            && self.lots.len() > 1
            && let Some(oldest) = self.lots.pop_back()
        {
            self.weight -= oldest.weight;
            outworn.push(oldest.rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{conformance::samples, embedded::shard::Version};
    use jupan_schemas::{UserId, rows::Row};

    fn slot(sequence: u64) -> Slot {
        let row = Row::User(samples::user(1, sequence).into());
        Slot { version: Version::of(&row), row, is_new: false, weight: 1 }
    }

    fn key(id: u64) -> Key {
        Key::User(UserId(id))
    }

    fn sequence_of(recent: &Recent, id: u64) -> Option<u64> {
        recent.get(&key(id)).map(|slot| slot.version.sequence)
    }

    fn flush(recent: &mut Recent, ids: std::ops::Range<u64>, sequence: u64) -> Vec<SlotMap> {
        let weight = usize::try_from(ids.end - ids.start).expect("a small range");
        recent.add(ids.map(|id| (key(id), slot(sequence))).collect(), weight)
    }

    #[test]
    fn a_newer_row_is_found_however_it_came() {
        let many = 2 * RECENT_WEIGHT_PER_MAP as u64;
        let mut recent = Recent::default();
        flush(&mut recent, 0..many, 1);
        flush(&mut recent, 0..1, 2);
        flush(&mut recent, 0..1, 3);
        assert_eq!((sequence_of(&recent, 0), sequence_of(&recent, 1)), (Some(3), Some(1)));
        flush(&mut recent, 0..many, 4);
        assert_eq!((sequence_of(&recent, 0), sequence_of(&recent, 1)), (Some(4), Some(4)));
        assert_eq!(sequence_of(&recent, many), None);
    }

    #[test]
    fn it_is_bounded_and_keeps_the_last_flush() {
        let mut recent = Recent::default();
        for round in 0..1_000 {
            flush(&mut recent, 100 * round..100 * round + 100, 1);
            recent.keep(key(1_000_000 + round), slot(1));
            let rows: usize = recent.lots.iter().map(|lot| lot.rows.len()).sum();
            assert!(rows <= RECENT_WEIGHT_PER_SHARD, "{rows} rows");
            assert!(recent.lots.len() <= 2 * RECENT_WEIGHT_PER_SHARD / RECENT_WEIGHT_PER_MAP + 1);
            assert_eq!(sequence_of(&recent, 100 * round + 99), Some(1));
        }
        let huge = 4 * RECENT_WEIGHT_PER_SHARD as u64;
        flush(&mut recent, 0..huge, 2);
        assert_eq!((recent.lots.len(), sequence_of(&recent, huge - 1)), (1, Some(2)));
        recent.keep(key(huge), slot(3));
        assert_eq!((recent.lots.len(), sequence_of(&recent, 0)), (1, None), "the older one leaves");
    }
}
