//! Which orders and outcomes are surely not on disk: most of those that a lane asks for are new.
//!
//! A chain of Bloom filters, each twice as large as the one before, made when that one is full. A
//! key lies in one of them, a key that lies in none is not on disk. A filter takes a few strange
//! keys for known ones, which costs a look at the disk and nothing else.
//!
//! **Never denied.** A key is added before the batch that writes it is committed, and no key of
//! these tables is ever removed. Whoever asks has found the key in no shard: so it was never
//! flushed, or its shard was settled behind the commit, under the lock that whoever asks took
//! after it, and the key is seen here.
//!
//! **Complete.** Until the keys that were on disk when the store was opened are read (see
//! [`super::gatherer`]), nothing is denied.
//!
//! **Damage.** A look-up that does not happen finds none, and needs none: what it would say stands
//! here. A block that cannot be read when keys are gathered leaves the chain incomplete for good,
//! so that whoever needs a row in it asks the disk and is refused; one that rots later holds known
//! keys only, for which the disk is asked. Rows that are lost whole are noticed by their table's
//! seal at the next start, with and without filters.

use super::layout::Table;
use crate::limits::{KNOWN_KEY_BITS, KNOWN_KEY_HASHES, KNOWN_KEYS_FILTERS};
use fastbloom::AtomicBloomFilter;
use parking_lot::Mutex;
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

/// The tables whose keys are known.
pub(super) const TABLES: [Table; 2] = [Table::Orders, Table::Outcomes];

/// See the module. Asking takes no lock.
pub(super) struct KnownKeys {
    /// In the order in which they are made, each with its first key.
    filters: Box<[OnceLock<AtomicBloomFilter>]>,
    first_filter_keys: usize,
    /// One hash for all filters, from a random seed: nobody can choose keys that look known.
    hasher: RandomState,
    is_complete: AtomicBool,
    filling: Mutex<Filling>,
}

/// Where the next key goes.
#[derive(Default)]
struct Filling {
    filter: usize,
    /// That this filter has by now.
    keys: usize,
}

impl KnownKeys {
    /// Knows nothing and denies nothing, in no memory.
    pub(super) fn new(first_filter_keys: usize) -> Self {
        Self {
            filters: (0..KNOWN_KEYS_FILTERS).map(|_| OnceLock::new()).collect(),
            first_filter_keys,
            hasher: RandomState::new(),
            is_complete: AtomicBool::new(false),
            filling: Mutex::default(),
        }
    }

    /// Whether a table surely lacks a key.
    pub(super) fn lack(&self, table: Table, key: &[u8]) -> bool {
        TABLES.contains(&table) && self.is_complete() && !self.may_have(self.hash(table, key))
    }

    /// Adds the keys of the tables that are known, and passes over others.
    pub(super) fn add<'a>(&self, keys: impl IntoIterator<Item = (Table, &'a [u8])>) {
        let mut filling = self.filling.lock();
        for (table, key) in keys {
            if TABLES.contains(&table) {
                self.add_hash(&mut filling, self.hash(table, key));
            }
        }
    }

    /// Declares that every key on disk was added.
    pub(super) fn complete(&self) {
        self.is_complete.store(true, Ordering::Release);
    }

    pub(super) fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Acquire)
    }

    fn hash(&self, table: Table, key: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u8(table as u8);
        hasher.write(key);
        hasher.finish()
    }

    fn may_have(&self, hash: u64) -> bool {
        self.filters.iter().map_while(OnceLock::get).any(|filter| filter.contains_hash(hash))
    }

    fn add_hash(&self, filling: &mut Filling, hash: u64) {
        // An order is written more than once, and some keys are gathered and written: they count
        // once. One that is taken for known now will be so for ever, too.
        if self.may_have(hash) {
            return;
        }
        let is_last = filling.filter + 1 == KNOWN_KEYS_FILTERS;
        if filling.keys == self.first_filter_keys << filling.filter && !is_last {
            *filling = Filling { filter: filling.filter + 1, keys: 0 };
        }
        filling.keys += 1;
        let keys = self.first_filter_keys << filling.filter;
        let filter = self.filters[filling.filter].get_or_init(|| {
            AtomicBloomFilter::with_num_bits(keys * KNOWN_KEY_BITS).hashes(KNOWN_KEY_HASHES)
        });
        filter.insert_hash(hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// Keys in a filter of that size chain fill all filters, and more.
    const FEW: usize = 4;
    const ALL_KEYS: u64 = (FEW as u64) << KNOWN_KEYS_FILTERS;

    fn keys_of(ids: &[u64]) -> impl Iterator<Item = (Table, [u8; 16])> {
        let table = |id: u64| TABLES[usize::from(id.is_multiple_of(2))];
        ids.iter().map(move |id| (table(*id), u128::from(*id).to_be_bytes()))
    }

    fn add(known: &KnownKeys, ids: &[u64]) {
        let keys: Vec<_> = keys_of(ids).collect();
        known.add(keys.iter().map(|(table, key)| (*table, key.as_slice())));
    }

    fn denied(known: &KnownKeys, ids: &[u64]) -> usize {
        keys_of(ids).filter(|(table, key)| known.lack(*table, key)).count()
    }

    fn filters(known: &KnownKeys) -> usize {
        known.filters.iter().filter(|filter| filter.get().is_some()).count()
    }

    proptest! {
        #[test]
        fn what_was_added_is_never_denied(batches in vec(vec(0..ALL_KEYS, 0..400), 0..20)) {
            let known = KnownKeys::new(FEW);
            known.complete();
            for (at, batch) in batches.iter().enumerate() {
                add(&known, batch);
                for earlier in &batches[..=at] {
                    prop_assert_eq!(denied(&known, earlier), 0);
                }
            }
        }
    }

    #[test]
    fn filters_are_made_when_they_are_needed_and_no_more_than_the_bound() {
        let known = KnownKeys::new(FEW);
        assert_eq!(filters(&known), 0);
        known.complete();
        let ids: Vec<u64> = (0..2 * ALL_KEYS).collect();
        for (keys, made) in [(1, 1), (4, 1), (12, 2), (28, 3), (2 * ALL_KEYS, KNOWN_KEYS_FILTERS)] {
            let ids = &ids[..usize::try_from(keys).expect("few")];
            // What is added again takes no room.
            (0..3).for_each(|_| add(&known, ids));
            // One of the first is sometimes taken for known, and a filter is made later.
            let least = if keys < 100 { made.saturating_sub(1) } else { made };
            assert!((least..=made).contains(&filters(&known)), "{keys} keys: {}", filters(&known));
            assert_eq!(denied(&known, ids), 0, "of {keys}");
        }
    }

    #[test]
    fn few_strange_keys_are_taken_for_known() {
        const STRANGE: u64 = 20_000;
        // As many as fit into six filters.
        let known = KnownKeys::new(1_024);
        let keys = 1_024 * 63;
        add(&known, &(0..keys).collect::<Vec<_>>());
        let strange: Vec<u64> = (1 << 40..(1 << 40) + STRANGE).collect();
        assert_eq!(denied(&known, &strange), 0, "not all keys may be known yet");
        known.complete();
        assert_eq!(filters(&known), 6);
        let taken = strange.len() - denied(&known, &strange);
        // 84 are expected. A hundred more have a chance of less than one in a million millions.
        assert!(taken < 184, "{taken} of {STRANGE}");
    }

    #[test]
    fn other_tables_are_never_denied() {
        let known = KnownKeys::new(FEW);
        known.complete();
        for table in Table::ALL {
            assert_eq!(known.lack(table, &[0; 16]), TABLES.contains(&table), "{}", table.name());
            known.add([(table, [1; 16].as_slice())]);
        }
        assert_eq!(filters(&known), 1, "keys of two tables, and none of others");
    }
}
