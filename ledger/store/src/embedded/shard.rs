//! One part of the memory: the rows of some users or products, from `apply` until they are on disk
//! and a while longer.
//!
//! A row is *hot* until the flusher takes it, *flushing* until the batch with it is durable, then
//! *recent*: on disk, and in memory only as long as there is room. Whoever looks for a row asks in
//! this order and then the disk, so a row that moves on meanwhile is not missed.

use super::recent::{Recent, SlotMap};
use crate::limits::{LINES_PER_ROW, RECENT_ROW_WEIGHT_MAX, REUSED_SLOTS_MAX};
use hashbrown::hash_map::Entry;
use jupan_schemas::{
    OrderId, ProductId, UserId,
    rows::{Key, OrderRow, Row, StatementRow},
};
use std::{cmp::Reverse, mem, sync::Arc};

/// Which of a key's rows it is, and whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// Of the last entry that changed the row.
    pub(super) sequence: u64,
    /// The lane that writes it.
    pub(super) lane: u16,
}

impl Version {
    pub(super) fn of(row: &Row) -> Self {
        Self { sequence: row.as_of().sequence, lane: crate::owner(row).1 }
    }
}

/// A row in memory. What is asked most is beside it: a row itself is rarely in the processor's
/// cache.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) row: Row,
    pub(super) version: Version,
    /// Nothing of this key is on disk, so what ends here leaves nothing to remove there.
    pub(super) is_new: bool,
    /// The largest [`weight`] that the row had here.
    pub(super) weight: usize,
}

/// Rows that are not on disk, and what lists need to find them. Lists are in no order: they are
/// read far less often than written.
#[derive(Default)]
pub(super) struct Unsaved {
    pub(super) rows: SlotMap,
    /// By user and sequence; one that was applied again is there twice.
    pub(super) statement: Vec<(UserId, u64, Arc<StatementRow>)>,
    /// By user and sequence of the entry that placed them, each once.
    orders: Vec<(UserId, u64, OrderId)>,
    /// Each once.
    products: Vec<ProductId>,
    /// Of all rows together.
    pub(super) weight: usize,
}

impl Unsaved {
    /// About how many keys they are on disk.
    pub(super) fn keys(&self) -> usize {
        self.rows.len() + self.orders.len() + self.statement.len()
    }

    /// Forgets all rows, but not the memory for as many.
    fn clear(&mut self) {
        self.rows.clear();
        if self.rows.capacity() > REUSED_SLOTS_MAX {
            self.rows = SlotMap::default();
        }
        self.statement.clear();
        self.statement.shrink_to(REUSED_SLOTS_MAX);
        self.orders.clear();
        self.orders.shrink_to(REUSED_SLOTS_MAX);
        self.products.clear();
        self.weight = 0;
    }
}

/// What a shard has let go of. Freeing it takes a while, and needs no lock.
pub(super) struct Outworn {
    unsaved: Unsaved,
    forgotten: Vec<SlotMap>,
}

impl Outworn {
    /// Frees the rows; what is left is for [`Shard::reuse`].
    pub(super) fn emptied(mut self) -> Unsaved {
        if let Some(largest) = self.forgotten.iter_mut().max_by_key(|rows| rows.capacity()) {
            mem::swap(&mut self.unsaved.rows, largest);
        }
        self.unsaved.clear();
        self.unsaved
    }
}

/// What a row counts for where rows are counted to bound memory.
pub(super) fn weight(row: &Row) -> usize {
    let lines = match row {
        Row::Order(row) => row.lines.len(),
        Row::User(row) => row.cart.len(),
        Row::Hold(row) => row.lines.len(),
        _ => 0,
    };
    1 + lines / LINES_PER_ROW
}

/// What memory says about a key.
pub(super) enum Found {
    /// This is the row.
    Row(Row),
    /// It is a hold that ended.
    Ended,
    /// Only the disk knows. The number tells later whether what it said may be kept; see
    /// [`Shard::keep`].
    Unknown(u64),
}

/// See the module.
#[derive(Default)]
pub(super) struct Shard {
    hot: Unsaved,
    flushing: Option<Arc<Unsaved>>,
    recent: Recent,
    /// Empty, with memory that was used before.
    spare: Unsaved,
    flushes: u64,
}

impl Shard {
    /// Looks a key up.
    pub(super) fn find(&self, key: Key) -> Found {
        match self.slot(key) {
            None => Found::Unknown(self.flushes),
            Some(slot) => match &slot.row {
                Row::Hold(hold) if hold.end.is_some() => Found::Ended,
                row => Found::Row(row.clone()),
            },
        }
    }

    /// Which row of a key memory has; an ended hold is one.
    pub(super) fn version(&self, key: Key) -> Option<Version> {
        self.slot(key).map(|slot| slot.version)
    }

    fn slot(&self, key: Key) -> Option<&Slot> {
        let unsaved = self.unsaved().find_map(|rows| rows.rows.get(&key));
        unsaved.or_else(|| self.recent.get(&key))
    }

    /// Makes a row the visible one unless a newer one is hot, and says how much more weight is not
    /// on disk. `is_new`: nothing of the key is on disk.
    ///
    /// # Errors
    /// The lane whose row is hot, where it is another one.
    pub(super) fn put(
        &mut self,
        key: Key,
        version: Version,
        row: Row,
        is_new: bool,
    ) -> Result<usize, u16> {
        let (hot, weight) = (&mut self.hot, weight(&row));
        let added = match hot.rows.entry(key) {
            Entry::Occupied(mut place) => {
                let slot = place.get_mut();
                if slot.version.lane != version.lane {
                    return Err(slot.version.lane);
                }
                if slot.version.sequence >= version.sequence {
                    return Ok(0);
                }
                let added = weight.saturating_sub(slot.weight);
                *slot = Slot { row, version, is_new: slot.is_new, weight: slot.weight + added };
                added
            }
            Entry::Vacant(place) => {
                match &row {
                    Row::Order(row) => hot.orders.push((row.user_id, row.placed, row.order_id)),
                    Row::Product(row) => hot.products.push(row.product_id),
                    _ => {}
                }
                place.insert(Slot { row, version, is_new, weight });
                weight
            }
        };
        hot.weight += added;
        Ok(added)
    }

    /// Makes a change of a wallet visible, and says how much more weight is not on disk.
    pub(super) fn put_statement(&mut self, row: Arc<StatementRow>) -> usize {
        self.hot.statement.push((row.user_id, row.as_of.sequence, row));
        self.hot.weight += 1;
        1
    }

    /// Keeps what the disk said, unless something was flushed since [`Found::Unknown`] was
    /// returned: then it may be outdated.
    pub(super) fn keep(&mut self, key: Key, row: &Row, flushes: u64) {
        let weight = weight(row);
        if self.flushes == flushes && weight <= RECENT_ROW_WEIGHT_MAX {
            let (row, version) = (row.clone(), Version::of(row));
            self.recent.keep(key, Slot { row, version, is_new: false, weight });
        }
    }

    /// Hands the hot rows to the flusher; they stay readable here.
    pub(super) fn take(&mut self) -> Arc<Unsaved> {
        debug_assert!(self.flushing.is_none(), "one flush at a time");
        let spare = mem::take(&mut self.spare);
        let taken = Arc::new(mem::replace(&mut self.hot, spare));
        self.flushing = Some(Arc::clone(&taken));
        taken
    }

    /// The rows taken last are on disk now. Returns what is to be freed.
    pub(super) fn settle(&mut self) -> Option<Outworn> {
        self.flushes += 1;
        let mut unsaved = self.flushing.take().and_then(Arc::into_inner)?;
        let forgotten = self.recent.add(mem::take(&mut unsaved.rows), unsaved.weight);
        Some(Outworn { unsaved, forgotten })
    }

    /// Memory for the rows to come.
    pub(super) fn reuse(&mut self, emptied: Unsaved) {
        self.spare = emptied;
    }

    /// The newest orders of a user, placed before `before`, that are not on disk.
    pub(super) fn orders_of(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Vec<(u64, OrderId)> {
        let lists = self.unsaved().map(|rows| rows.orders.as_slice());
        newest_first(lists, user, before, limit)
    }

    /// The newest changes of a wallet before `before` that are not on disk.
    pub(super) fn statement(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Vec<Arc<StatementRow>> {
        let lists = self.unsaved().map(|rows| rows.statement.as_slice());
        newest_first(lists, user, before, limit).into_iter().map(|(_, row)| row).collect()
    }

    /// The first products above `after` that are not on disk.
    pub(super) fn products(&self, after: Option<ProductId>, limit: usize) -> Vec<Row> {
        let listed = self.unsaved().flat_map(|rows| rows.products.iter().copied());
        let mut ids: Vec<_> = listed.filter(|id| Some(*id) > after).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.truncate(limit);
        let slots = ids.into_iter().filter_map(|id| self.slot(Key::Product(id)));
        slots.map(|slot| slot.row.clone()).collect()
    }

    /// Visits every order of a lane that is not on disk, older versions of an order before newer
    /// ones.
    pub(super) fn visit_orders(&self, lane: u16, mut visit: impl FnMut(&OrderRow)) {
        let older_first = self.flushing.as_deref().into_iter().chain([&self.hot]);
        for slot in older_first.flat_map(|rows| rows.rows.values()) {
            if let Row::Order(order) = &slot.row
                && order.lane == lane
            {
                visit(order);
            }
        }
    }

    /// Newest rows first.
    fn unsaved(&self) -> impl Iterator<Item = &Unsaved> {
        [&self.hot].into_iter().chain(self.flushing.as_deref())
    }
}

fn newest_first<'a, T: Clone + 'a>(
    lists: impl Iterator<Item = &'a [(UserId, u64, T)]>,
    user: UserId,
    before: Option<u64>,
    limit: usize,
) -> Vec<(u64, T)> {
    let is_asked = |sequence: u64| before.is_none_or(|before| sequence < before);
    let of_user =
        lists.flatten().filter(|(owner, sequence, _)| *owner == user && is_asked(*sequence));
    let mut found: Vec<_> = of_user.map(|(_, sequence, item)| (*sequence, item)).collect();
    found.sort_unstable_by_key(|(sequence, _)| Reverse(*sequence));
    found.dedup_by_key(|(sequence, _)| *sequence);
    found.into_iter().take(limit).map(|(sequence, item)| (sequence, item.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{conformance::samples, limits::RECENT_WEIGHT_PER_SHARD};

    const KEY: Key = Key::User(UserId(1));

    fn user(sequence: u64) -> Row {
        Row::User(samples::user(1, sequence).into())
    }

    fn put(shard: &mut Shard, key: Key, row: Row) -> usize {
        shard.put(key, Version::of(&row), row, false).expect("one lane writes")
    }

    fn flush(shard: &mut Shard) {
        drop(shard.take());
        let outworn = shard.settle().expect("what was taken");
        shard.reuse(outworn.emptied());
    }

    #[test]
    fn what_the_disk_said_before_a_flush_is_not_kept() {
        let mut shard = Shard::default();
        let Found::Unknown(flushes) = shard.find(KEY) else { panic!("a new shard knows nothing") };
        assert_eq!(put(&mut shard, KEY, user(2)), 1);
        flush(&mut shard);
        // So many other rows that the newer one is forgotten.
        for id in 2..4 + RECENT_WEIGHT_PER_SHARD as u64 {
            put(&mut shard, Key::User(UserId(id)), user(3));
        }
        flush(&mut shard);
        shard.keep(KEY, &user(1), flushes);
        assert!(matches!(shard.find(KEY), Found::Unknown(_)), "an outdated row is kept");
        let Found::Unknown(flushes) = shard.find(KEY) else { panic!("nothing was kept") };
        shard.keep(KEY, &user(2), flushes);
        assert!(matches!(shard.find(KEY), Found::Row(kept) if kept == user(2)));
    }

    #[test]
    fn long_rows_weigh_more() {
        let mut shard = Shard::default();
        let mut row = samples::user(1, 1);
        let line = row.cart[0];
        for (lines, added) in [(1, 1), (500, 31), (2, 0), (500, 0)] {
            row.cart = vec![line; lines];
            row.as_of.sequence += 1;
            let row = Row::User(row.clone().into());
            assert_eq!(put(&mut shard, KEY, row), added, "{lines} lines");
        }
        assert_eq!(shard.take().weight, 32);
        shard.settle();
        let Found::Row(Row::User(row)) = shard.find(KEY) else { panic!("the last flush stays") };
        let mut other = Shard::default();
        other.keep(KEY, &Row::User(row), 0);
        assert!(matches!(other.find(KEY), Found::Unknown(_)), "too long to be kept");
    }

    #[test]
    fn a_row_is_readable_all_the_way() {
        let mut shard = Shard::default();
        let check = |shard: &Shard, sequence, when| {
            let found = shard.find(KEY);
            assert!(matches!(found, Found::Row(found) if found == user(sequence)), "{when}");
        };
        put(&mut shard, KEY, user(1));
        check(&shard, 1, "hot");
        let taken = shard.take();
        check(&shard, 1, "flushing");
        put(&mut shard, KEY, user(2));
        check(&shard, 2, "hot before flushing");
        drop(taken);
        shard.settle();
        check(&shard, 2, "hot before recent");
        flush(&mut shard);
        check(&shard, 2, "recent");
        put(&mut shard, KEY, user(1));
        check(&shard, 1, "the caller compares, but for what is hot");
        put(&mut shard, KEY, user(0));
        check(&shard, 1, "hot before older");
    }

    #[test]
    fn lists_show_each_thing_once_and_the_newest_first() {
        let mut shard = Shard::default();
        for sequence in [1, 3, 2, 3] {
            shard.put_statement(Arc::new(samples::statement(1, sequence)));
        }
        drop(shard.take());
        shard.put_statement(Arc::new(samples::statement(1, 4)));
        shard.put_statement(Arc::new(samples::statement(2, 5)));
        let check = |before, limit, want: &[u64]| {
            let rows = shard.statement(UserId(1), before, limit);
            let sequences: Vec<_> = rows.iter().map(|row| row.as_of.sequence).collect();
            assert_eq!(sequences, want, "before {before:?}, {limit} rows");
        };
        check(None, 9, &[4, 3, 2, 1]);
        check(None, 2, &[4, 3]);
        check(Some(3), 9, &[2, 1]);
        check(Some(1), 9, &[]);
    }
}
