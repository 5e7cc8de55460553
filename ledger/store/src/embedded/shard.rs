//! One part of the memory: the rows of some users or products, from `apply` until they are on disk
//! and a while longer.
//!
//! A row is *hot* until the flusher takes it, *flushing* until the batch with it is durable, then
//! *clean*: on disk, and in memory only as long as there is room. Whoever looks for a row asks in
//! this order and then the disk, so a row that moves on meanwhile is not missed.

use super::generations::Generations;
use crate::limits::{CLEAN_ROWS_PER_SHARD, CLEAN_WEIGHT_MAX, ENDED_HOLDS_PER_SHARD, LINES_PER_ROW};
use hashbrown::HashMap;
use jupan_schemas::{
    OrderId, ProductId, UserId,
    rows::{Key, OrderRow, Row, StatementRow},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    mem,
    ops::Bound,
    sync::Arc,
};

/// A list of one user's things, newest first.
type NewestFirst<T> = BTreeMap<(UserId, Reverse<u64>), T>;

/// A row that is not on disk.
pub(super) struct Slot {
    pub(super) row: Row,
    /// Nothing of this key is on disk, so what ends here leaves nothing to remove there.
    pub(super) is_new: bool,
    /// The largest [`weight`] that the row had here.
    weight: usize,
}

/// Rows that are not on disk, and what lists need to find them.
#[derive(Default)]
pub(super) struct Unsaved {
    pub(super) rows: HashMap<Key, Slot>,
    pub(super) statement: NewestFirst<Arc<StatementRow>>,
    orders: NewestFirst<OrderId>,
    products: BTreeSet<ProductId>,
    /// Of all rows together.
    pub(super) weight: usize,
}

impl Unsaved {
    /// About how many keys they are on disk.
    pub(super) fn keys(&self) -> usize {
        self.rows.len() + self.orders.len() + self.statement.len()
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
    /// It is a hold that ended, with this sequence.
    Ended(u64),
    /// Only the disk knows. The number tells later whether what it said may be kept; see
    /// [`Shard::keep`].
    Unknown(u64),
}

/// See the module.
pub(super) struct Shard {
    hot: Unsaved,
    flushing: Option<Arc<Unsaved>>,
    clean: Generations<Key, Row>,
    ended: Generations<(OrderId, u16), u64>,
    flushes: u64,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            hot: Unsaved::default(),
            flushing: None,
            clean: Generations::new(CLEAN_ROWS_PER_SHARD),
            ended: Generations::new(ENDED_HOLDS_PER_SHARD),
            flushes: 0,
        }
    }
}

impl Shard {
    /// Looks a key up.
    pub(super) fn find(&mut self, key: Key) -> Found {
        let unsaved = self.unsaved().find_map(|rows| rows.rows.get(&key).map(|slot| &slot.row));
        let row = match unsaved {
            Some(row) => Some(row.clone()),
            None => self.clean.get(&key),
        };
        match (&row, key) {
            (Some(Row::Hold(hold)), _) if hold.end.is_some() => Found::Ended(hold.as_of.sequence),
            (Some(_), _) => row.map_or(Found::Unknown(self.flushes), Found::Row),
            (None, Key::Hold(order, lane)) => match self.ended.get(&(order, lane)) {
                Some(sequence) => Found::Ended(sequence),
                None => Found::Unknown(self.flushes),
            },
            (None, _) => Found::Unknown(self.flushes),
        }
    }

    /// Makes a row the visible one, and says how much more weight is not on disk.
    pub(super) fn put(&mut self, key: Key, row: Row, is_new: bool) -> usize {
        let hot = &mut self.hot;
        match &row {
            Row::Order(order) => {
                hot.orders.insert((order.user_id, Reverse(order.placed)), order.order_id);
            }
            Row::Product(product) => {
                hot.products.insert(product.product_id);
            }
            _ => {}
        }
        let weight = weight(&row);
        let added = match hot.rows.get_mut(&key) {
            Some(slot) => {
                let added = weight.saturating_sub(slot.weight);
                slot.weight += added;
                slot.row = row;
                added
            }
            None => {
                hot.rows.insert(key, Slot { row, is_new, weight });
                weight
            }
        };
        hot.weight += added;
        added
    }

    /// Makes a change of a wallet visible, and says how much more weight is not on disk.
    pub(super) fn put_statement(&mut self, row: Arc<StatementRow>) -> usize {
        let place = (row.user_id, Reverse(row.as_of.sequence));
        let added = usize::from(self.hot.statement.insert(place, row).is_none());
        self.hot.weight += added;
        added
    }

    /// Keeps what the disk said, unless something was flushed since [`Found::Unknown`] was
    /// returned: then it may be outdated.
    pub(super) fn keep(&mut self, key: Key, row: &Row, flushes: u64) {
        if self.flushes == flushes && is_kept(row) {
            self.clean.put(key, row.clone());
        }
    }

    /// Hands the hot rows to the flusher; they stay readable here.
    pub(super) fn take(&mut self) -> Arc<Unsaved> {
        debug_assert!(self.flushing.is_none(), "one flush at a time");
        let taken = Arc::new(mem::take(&mut self.hot));
        self.flushing = Some(Arc::clone(&taken));
        taken
    }

    /// The rows taken last are on disk now.
    pub(super) fn settle(&mut self) {
        self.flushes += 1;
        let Some(flushed) = self.flushing.take().and_then(Arc::into_inner) else { return };
        for (key, slot) in flushed.rows {
            match &slot.row {
                Row::Hold(hold) if hold.end.is_some() => {
                    self.ended.put((hold.order_id, hold.lane), hold.as_of.sequence);
                }
                row if is_kept(row) => self.clean.put(key, slot.row),
                _ => {}
            }
        }
    }

    /// The newest orders of a user, placed before `before`, that are not on disk.
    pub(super) fn orders_of(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Vec<(u64, OrderId)> {
        let of = |rows| newest_first(rows, user, before, limit);
        self.unsaved()
            .flat_map(|rows| of(&rows.orders))
            .map(|(placed, order)| (placed, *order))
            .collect()
    }

    /// The newest changes of a wallet before `before` that are not on disk.
    pub(super) fn statement(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Vec<Arc<StatementRow>> {
        self.unsaved()
            .flat_map(|rows| newest_first(&rows.statement, user, before, limit))
            .map(|(_, row)| Arc::clone(row))
            .collect()
    }

    /// The first products above `after` that are not on disk.
    pub(super) fn products(&self, after: Option<ProductId>, limit: usize) -> Vec<Row> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.unsaved()
            .flat_map(|rows| {
                let ids = rows.products.range((from, Bound::Unbounded)).take(limit);
                ids.filter_map(|id| rows.rows.get(&Key::Product(*id)))
            })
            .map(|slot| slot.row.clone())
            .collect()
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

/// Rows that are read again soon, unless they are huge. Outcomes are not, ended holds are
/// remembered elsewhere.
fn is_kept(row: &Row) -> bool {
    matches!(row, Row::User(_) | Row::Product(_) | Row::Order(_)) && weight(row) <= CLEAN_WEIGHT_MAX
}

fn newest_first<T>(
    list: &NewestFirst<T>,
    user: UserId,
    before: Option<u64>,
    limit: usize,
) -> impl Iterator<Item = (u64, &T)> {
    let from = match before {
        Some(sequence) => Bound::Excluded((user, Reverse(sequence))),
        None => Bound::Included((user, Reverse(u64::MAX))),
    };
    let to = Bound::Included((user, Reverse(0)));
    list.range((from, to)).take(limit).map(|((_, sequence), item)| (sequence.0, item))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::samples;
    use jupan_schemas::UserId;

    #[test]
    fn what_the_disk_said_before_a_flush_is_not_kept() {
        let (key, mut shard) = (Key::User(UserId(1)), Shard::default());
        let row = |sequence| Row::User(samples::user(1, sequence).into());
        let Found::Unknown(flushes) = shard.find(key) else { panic!("a new shard knows nothing") };
        assert_eq!(shard.put(key, row(2), false), 1);
        drop(shard.take());
        shard.settle();
        // So many other rows that the newer one is forgotten.
        for id in 2..2 + 2 * CLEAN_ROWS_PER_SHARD as u64 {
            shard.clean.put(Key::User(UserId(id)), row(3));
        }
        shard.keep(key, &row(1), flushes);
        assert!(matches!(shard.find(key), Found::Unknown(_)), "an outdated row is kept");
        let Found::Unknown(flushes) = shard.find(key) else { panic!("nothing was kept") };
        shard.keep(key, &row(2), flushes);
        assert!(matches!(shard.find(key), Found::Row(kept) if kept == row(2)));
    }

    #[test]
    fn long_rows_weigh_more() {
        let (key, mut shard) = (Key::User(UserId(1)), Shard::default());
        let mut row = samples::user(1, 1);
        let line = row.cart[0];
        for (lines, added) in [(1, 1), (500, 31), (2, 0), (500, 0)] {
            row.cart = vec![line; lines];
            assert_eq!(
                shard.put(key, Row::User(row.clone().into()), false),
                added,
                "{lines} lines"
            );
        }
        assert_eq!(shard.take().weight, 32);
        shard.settle();
        assert!(matches!(shard.find(key), Found::Unknown(_)), "too long to be kept");
    }

    #[test]
    fn a_row_is_readable_all_the_way() {
        let (key, mut shard) = (Key::User(UserId(1)), Shard::default());
        let row = |sequence| Row::User(samples::user(1, sequence).into());
        let check = |shard: &mut Shard, sequence, when| {
            assert!(
                matches!(shard.find(key), Found::Row(found) if found == row(sequence)),
                "{when}"
            );
        };
        shard.put(key, row(1), false);
        check(&mut shard, 1, "hot");
        let taken = shard.take();
        check(&mut shard, 1, "flushing");
        shard.put(key, row(2), false);
        check(&mut shard, 2, "hot before flushing");
        drop(taken);
        shard.settle();
        check(&mut shard, 2, "hot before clean");
        drop(shard.take());
        shard.settle();
        check(&mut shard, 2, "clean");
    }
}
