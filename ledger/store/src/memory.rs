//! The reference: every row in maps, nothing on disk. For tests, the simulator, and to say what the
//! others must do.

use crate::{LaneStore, Page, ReadStore, StoreError, limits::LIST_ROWS_MAX};
use async_trait::async_trait;
use jupan_schemas::{
    CommandId, Lane, Micros, OrderId, ProductId, UserId,
    planted::{Bug, is_planted},
    rows::{Key, OrderRow, OutcomeRow, ProductRow, Row, StatementRow, UserRow, Watermark},
};
use parking_lot::RwLock;
use std::{
    cmp::Reverse,
    collections::BTreeMap,
    ops::{Bound, RangeBounds},
    sync::Arc,
};

/// Rows and watermarks, as they are at one moment. Ended holds stay, so that their beginning is
/// never taken for news.
#[derive(Clone, Default)]
struct Tables {
    rows: BTreeMap<Key, Row>,
    orders: BTreeMap<(UserId, Reverse<u64>), OrderId>,
    statement: BTreeMap<(UserId, Reverse<u64>), Arc<StatementRow>>,
    watermarks: BTreeMap<Lane, Watermark>,
}

impl Tables {
    fn apply(&mut self, lane: Lane, row: Row) -> Result<(), StoreError> {
        let Some(key) = row.key() else {
            if let Row::Statement(row) = row {
                self.statement.insert((row.user_id, Reverse(row.as_of.sequence)), row);
            }
            return Ok(());
        };
        if let Some(present) = self.rows.get(&key) {
            let (_, owner) = crate::owner(present);
            if owner != lane.index {
                return Err(StoreError::WrongLane { key, owner, lane });
            }
            let is_newer = present.as_of().sequence < row.as_of().sequence;
            if !is_newer && !is_planted(Bug::OlderRowWins) {
                return Ok(());
            }
        }
        if let Row::Order(order) = &row {
            self.orders.insert((order.user_id, Reverse(order.placed)), order.order_id);
        }
        self.rows.insert(key, row);
        Ok(())
    }

    fn raise(&mut self, lane: Lane, watermark: Watermark) {
        let present = self.watermarks.entry(lane).or_insert(watermark);
        if present.step <= watermark.step {
            *present = watermark;
        }
    }

    fn row(&self, key: Key) -> Option<Row> {
        match self.rows.get(&key)? {
            Row::Hold(hold) if hold.end.is_some() => None,
            row => Some(row.clone()),
        }
    }
}

/// The part of the state that a crash leaves.
#[derive(Default)]
struct Durable {
    tables: Tables,
    /// What a crash may lose, in the order in which it was given.
    unsaved: Vec<(Lane, Row)>,
}

#[derive(Default)]
struct State {
    visible: Tables,
    /// Only where crashes are simulated; else everything is durable at once.
    durable: Option<Durable>,
}

/// The store in memory. See the module.
#[derive(Default)]
pub struct MemoryStore(RwLock<State>);

impl MemoryStore {
    /// An empty store that loses nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store that can crash: what is applied is durable only from the next
    /// [`MemoryStore::persist`] on. It remembers everything that is not, so persist often.
    pub fn that_crashes() -> Self {
        let durable = Some(Durable::default());
        Self(RwLock::new(State { visible: Tables::default(), durable }))
    }

    /// Makes everything durable that was applied.
    pub fn persist(&self) {
        let State { visible, durable } = &mut *self.0.write();
        let Some(durable) = durable else { return };
        // What is durable and what is not yet make what is visible: no need to copy all of that.
        for (lane, row) in durable.unsaved.drain(..) {
            durable.tables.apply(lane, row).ok();
        }
        durable.tables.watermarks.clone_from(&visible.watermarks);
    }

    /// Crashes and starts again: what was durable stays; of the rows applied since then those
    /// survive for which `survives` says so, and no watermark does.
    pub fn crash(&self, mut survives: impl FnMut(&Row) -> bool) {
        let mut state = self.0.write();
        let Some(durable) = &mut state.durable else { return };
        for (lane, row) in std::mem::take(&mut durable.unsaved) {
            if survives(&row) {
                // It was accepted before, next to more rows than there are now.
                durable.tables.apply(lane, row).ok();
            }
        }
        let left = durable.tables.clone();
        state.visible = left;
    }

    /// Another store that is as this one is now, to try more than one crash of the same moment.
    pub fn copy(&self) -> Self {
        let State { visible, durable } = &*self.0.read();
        let durable = durable.as_ref().map(|durable| Durable {
            tables: durable.tables.clone(),
            unsaved: durable.unsaved.clone(),
        });
        Self(RwLock::new(State { visible: visible.clone(), durable }))
    }

    /// Loses everything, watermarks too.
    pub fn wipe(&self) {
        let mut state = self.0.write();
        let durable = state.durable.as_ref().map(|_| Durable::default());
        *state = State { visible: Tables::default(), durable };
    }
}

impl LaneStore for MemoryStore {
    fn apply(&self, lane: Lane, rows: Vec<Row>) -> Result<(), StoreError> {
        rows.iter().try_for_each(|row| crate::check_owner(lane, row))?;
        let State { visible, durable } = &mut *self.0.write();
        for row in rows {
            if let Some(durable) = durable {
                durable.unsaved.push((lane, row.clone()));
            }
            visible.apply(lane, row)?;
        }
        Ok(())
    }

    fn set_watermark(&self, lane: Lane, watermark: Watermark) -> Result<(), StoreError> {
        self.0.write().visible.raise(lane, watermark);
        Ok(())
    }

    fn watermark(&self, lane: Lane) -> Result<Option<Watermark>, StoreError> {
        let state = self.0.read();
        let tables = state.durable.as_ref().map_or(&state.visible, |durable| &durable.tables);
        Ok(tables.watermarks.get(&lane).copied())
    }

    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Row>>, StoreError> {
        let state = self.0.read();
        Ok(keys.iter().map(|key| state.visible.row(*key)).collect())
    }

    fn open_orders(&self, lane: Lane) -> Result<Vec<(OrderId, Micros)>, StoreError> {
        let state = self.0.read();
        let open = state.visible.rows.values().filter_map(|row| match row {
            Row::Order(order) if order.is_pending() && crate::check_owner(lane, row).is_ok() => {
                Some((order.order_id, order.deadline))
            }
            _ => None,
        });
        Ok(open.collect())
    }
}

impl MemoryStore {
    fn row(&self, key: Key) -> Option<Row> {
        self.0.read().visible.row(key)
    }
}

#[async_trait]
impl ReadStore for MemoryStore {
    async fn user(&self, id: UserId) -> Result<Option<Arc<UserRow>>, StoreError> {
        Ok(self.row(Key::User(id)).and_then(crate::user))
    }

    async fn product(&self, id: ProductId) -> Result<Option<Arc<ProductRow>>, StoreError> {
        Ok(self.row(Key::Product(id)).and_then(crate::product))
    }

    async fn products(
        &self,
        after: Option<ProductId>,
        limit: usize,
    ) -> Result<Page<Arc<ProductRow>>, StoreError> {
        let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(Key::Product(id)));
        let state = self.0.read();
        let rows = state.visible.rows.range((from, Bound::Unbounded));
        Ok(page(rows.filter_map(|(_, row)| crate::product(row.clone())), limit))
    }

    async fn order(&self, id: OrderId) -> Result<Option<Arc<OrderRow>>, StoreError> {
        Ok(self.row(Key::Order(id)).and_then(crate::order))
    }

    async fn orders(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<Arc<OrderRow>>, StoreError> {
        let State { visible, .. } = &*self.0.read();
        let ids = visible.orders.range(newest_first(user, before)).map(|(_, id)| *id);
        let rows = ids.filter_map(|id| visible.row(Key::Order(id)).and_then(crate::order));
        Ok(page(rows, limit))
    }

    async fn statement(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<Arc<StatementRow>>, StoreError> {
        let state = self.0.read();
        let rows = state.visible.statement.range(newest_first(user, before));
        Ok(page(rows.map(|(_, row)| row.clone()), limit))
    }

    async fn outcome(&self, id: CommandId) -> Result<Option<Arc<OutcomeRow>>, StoreError> {
        Ok(self.row(Key::Outcome(id)).and_then(crate::outcome))
    }

    async fn projected(&self, lane: Lane) -> Result<Option<Watermark>, StoreError> {
        Ok(self.0.read().visible.watermarks.get(&lane).copied())
    }
}

fn newest_first(user: UserId, before: Option<u64>) -> impl RangeBounds<(UserId, Reverse<u64>)> {
    let from = match before {
        Some(sequence) => Bound::Excluded((user, Reverse(sequence))),
        None => Bound::Included((user, Reverse(u64::MAX))),
    };
    (from, Bound::Included((user, Reverse(0))))
}

fn page<T>(items: impl Iterator<Item = T>, limit: usize) -> Page<T> {
    let limit = limit.min(LIST_ROWS_MAX);
    let mut items: Vec<T> = items.take(limit + 1).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    Page { items, more }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::conformance::{self, Fixture};

    /// Of what is not durable when it crashes, nothing or every other row survives.
    pub(crate) struct Stores {
        pub(crate) some_survive: bool,
    }

    impl Fixture for Stores {
        type Store = MemoryStore;

        fn create(&self) -> Arc<MemoryStore> {
            Arc::new(MemoryStore::that_crashes())
        }

        fn persist(&self, store: &MemoryStore) {
            store.persist();
        }

        fn crash(&self, store: Arc<MemoryStore>) -> Arc<MemoryStore> {
            let mut survives = false;
            store.crash(|_| {
                survives = !survives && self.some_survive;
                survives
            });
            store
        }

        fn wipe(&self, store: Arc<MemoryStore>) -> Arc<MemoryStore> {
            store.wipe();
            store
        }

        fn bounded(&self) -> Option<(Arc<MemoryStore>, usize)> {
            None
        }

        fn while_stalled(&self, _: &MemoryStore, run: &mut dyn FnMut()) {
            run();
        }
    }

    #[test]
    fn the_rules_hold() {
        conformance::run_all(&Stores { some_survive: false });
        conformance::run_all(&Stores { some_survive: true });
    }
}
