//! Providers that break one rule each, and the test that must notice.

use super::Fixture;
use crate::{LaneStore, Page, ReadStore, StoreError, memory::MemoryStore};
use async_trait::async_trait;
use jupan_schemas::{
    CommandId, Lane, Micros, Money, OrderId, ProductId, UserId,
    rows::{Key, OrderRow, OutcomeRow, ProductRow, Row, StatementRow, UserRow, Watermark},
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What a provider does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing: the wrapper itself is sound.
    None,
    /// 1: the row that came last stays.
    LastWriteWins,
    /// 1: any lane may write any row.
    AdoptsRows,
    /// 2: a watermark survives a crash, its rows do not.
    WatermarkFirst,
    /// 2: a lower watermark replaces a higher one.
    WatermarkFalls,
    /// 3: rows are seen one call late.
    SeenLater,
    /// 3: every other read returns what was there before.
    Flickers,
    /// 4: rows that were given once are not taken again, even after a wipe.
    SkipsRepeats,
    /// 5: users that nobody registered.
    Invents,
    /// 5: part of a row is lost.
    Truncates,
    /// 6: a hold does not end.
    KeepsHolds,
    /// 6: no order is pending.
    ForgetsPending,
    /// 6: pending orders of all lanes in one list.
    MixesLanes,
    /// 7: says that its memory is bounded.
    Boundless,
    /// Lists: oldest first.
    OldestFirst,
    /// Lists: a full page means that there are more.
    GuessesMore,
    /// Lists: a page begins with the last item of the one before.
    RepeatsCursor,
}

#[derive(Default)]
struct Memory {
    /// The row given last, and the one before.
    last: BTreeMap<Key, [Option<Row>; 2]>,
    watermarks: BTreeMap<Lane, Watermark>,
    /// Not passed on yet.
    late: Vec<(Lane, Vec<Row>)>,
    given: BTreeSet<(Key, u64)>,
    pending: Vec<(OrderId, Micros)>,
    reads: usize,
}

struct Faulty {
    fault: Fault,
    inner: MemoryStore,
    memory: Mutex<Memory>,
}

impl Faulty {
    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn remember(&self, rows: &[Row]) {
        let mut memory = self.memory.lock();
        for row in rows {
            if let Row::Order(order) = row
                && order.is_pending()
            {
                memory.pending.push((order.order_id, order.deadline));
            }
            let Some(key) = row.key() else { continue };
            let [present, previous] = memory.last.entry(key).or_default();
            *previous = present.replace(row.clone());
        }
    }

    fn distort(&self, lane: Lane, row: &mut Row) {
        match row {
            Row::User(row) if self.is(Fault::AdoptsRows) => Arc::make_mut(row).lane = lane.index,
            Row::User(row) if self.is(Fault::Truncates) => Arc::make_mut(row).cart.clear(),
            Row::Hold(row) if self.is(Fault::KeepsHolds) => Arc::make_mut(row).end = None,
            _ => {}
        }
    }

    /// What the fault makes of a row that is asked for.
    fn answer(&self, key: Key, row: Option<Row>) -> Option<Row> {
        let mut memory = self.memory.lock();
        memory.reads += 1;
        let is_odd = memory.reads % 2 == 1;
        let [present, previous] = memory.last.get(&key).cloned().unwrap_or_default();
        match (self.fault, key) {
            (Fault::LastWriteWins, _) => present,
            (Fault::Flickers, _) if is_odd => previous.or(row),
            (Fault::Invents, Key::User(id)) if row.is_none() => {
                let mut user = super::samples::user(id.0, 1);
                user.balance = Money::ZERO;
                Some(Row::from(user))
            }
            _ => row,
        }
    }

    fn row(&self, key: Key) -> Result<Option<Row>, StoreError> {
        Ok(self.load(&[key])?.swap_remove(0))
    }

    fn page<T>(&self, mut page: Page<T>, limit: usize) -> Page<T> {
        if self.is(Fault::OldestFirst) {
            page.items.reverse();
        }
        if self.is(Fault::GuessesMore) {
            page.more = page.items.len() == limit;
        }
        page
    }

    fn cursor(&self, before: Option<u64>) -> Option<u64> {
        if self.is(Fault::RepeatsCursor) { before.map(|sequence| sequence + 1) } else { before }
    }
}

impl LaneStore for Faulty {
    fn apply(&self, lane: Lane, mut rows: Vec<Row>) -> Result<(), StoreError> {
        self.remember(&rows);
        rows.iter_mut().for_each(|row| self.distort(lane, row));
        let mut memory = self.memory.lock();
        match self.fault {
            Fault::SkipsRepeats => {
                rows.retain(|row| {
                    row.key().is_none_or(|key| memory.given.insert((key, row.as_of().sequence)))
                });
                self.inner.apply(lane, rows)
            }
            Fault::SeenLater => {
                let late = std::mem::replace(&mut memory.late, vec![(lane, rows)]);
                late.into_iter().try_for_each(|(lane, rows)| self.inner.apply(lane, rows))
            }
            _ => self.inner.apply(lane, rows),
        }
    }

    fn set_watermark(&self, lane: Lane, watermark: Watermark) -> Result<(), StoreError> {
        self.memory.lock().watermarks.insert(lane, watermark);
        self.inner.set_watermark(lane, watermark)
    }

    fn watermark(&self, lane: Lane) -> Result<Option<Watermark>, StoreError> {
        match self.memory.lock().watermarks.get(&lane) {
            Some(watermark) if self.is(Fault::WatermarkFirst) => Ok(Some(*watermark)),
            _ => self.inner.watermark(lane),
        }
    }

    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Row>>, StoreError> {
        let rows = self.inner.load(keys)?;
        Ok(keys.iter().zip(rows).map(|(key, row)| self.answer(*key, row)).collect())
    }

    fn open_orders(&self, lane: Lane) -> Result<Vec<(OrderId, Micros)>, StoreError> {
        match self.fault {
            Fault::ForgetsPending => Ok(Vec::new()),
            Fault::MixesLanes => Ok(self.memory.lock().pending.clone()),
            _ => self.inner.open_orders(lane),
        }
    }
}

#[async_trait]
impl ReadStore for Faulty {
    async fn user(&self, id: UserId) -> Result<Option<Arc<UserRow>>, StoreError> {
        Ok(self.row(Key::User(id))?.and_then(crate::user))
    }

    async fn product(&self, id: ProductId) -> Result<Option<Arc<ProductRow>>, StoreError> {
        Ok(self.row(Key::Product(id))?.and_then(crate::product))
    }

    async fn products(
        &self,
        after: Option<ProductId>,
        limit: usize,
    ) -> Result<Page<Arc<ProductRow>>, StoreError> {
        Ok(self.page(self.inner.products(after, limit).await?, limit))
    }

    async fn order(&self, id: OrderId) -> Result<Option<Arc<OrderRow>>, StoreError> {
        Ok(self.row(Key::Order(id))?.and_then(crate::order))
    }

    async fn orders(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<Arc<OrderRow>>, StoreError> {
        Ok(self.page(self.inner.orders(user, self.cursor(before), limit).await?, limit))
    }

    async fn statement(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<Arc<StatementRow>>, StoreError> {
        Ok(self.page(self.inner.statement(user, self.cursor(before), limit).await?, limit))
    }

    async fn outcome(&self, id: CommandId) -> Result<Option<Arc<OutcomeRow>>, StoreError> {
        Ok(self.row(Key::Outcome(id))?.and_then(crate::outcome))
    }

    async fn projected(&self, lane: Lane) -> Result<Option<Watermark>, StoreError> {
        let last = self.memory.lock().watermarks.get(&lane).copied();
        if self.is(Fault::WatermarkFalls) { Ok(last) } else { self.inner.projected(lane).await }
    }
}

/// Faulty stores over the reference, and the reference itself in a wrapper.
struct Over(Fault);

impl Fixture for Over {
    type Store = Faulty;

    fn create(&self) -> Arc<Faulty> {
        let inner = MemoryStore::that_crashes();
        Arc::new(Faulty { fault: self.0, inner, memory: Mutex::default() })
    }

    fn persist(&self, store: &Faulty) {
        store.inner.persist();
    }

    fn crash(&self, store: Arc<Faulty>) -> Arc<Faulty> {
        store.inner.crash(|_| false);
        store
    }

    fn wipe(&self, store: Arc<Faulty>) -> Arc<Faulty> {
        store.inner.wipe();
        store
    }

    fn bounded(&self) -> Option<(Arc<Faulty>, usize)> {
        (self.0 == Fault::Boundless).then(|| (self.create(), 16))
    }

    fn while_stalled(&self, _: &Faulty, run: &mut dyn FnMut()) {
        run();
    }
}

#[test]
fn the_wrapper_keeps_the_rules() {
    super::run_all(&Over(Fault::None));
}

/// The rule's own test must fail; the suite as a whole does so with any of them.
#[test]
fn each_fault_fails_its_rule() {
    type Rule = fn(&Over);
    let cases: [(Fault, Rule); 16] = [
        (Fault::LastWriteWins, super::newest_wins),
        (Fault::AdoptsRows, super::one_lane),
        (Fault::WatermarkFirst, super::watermark_last),
        (Fault::WatermarkFalls, super::watermark_last),
        (Fault::SeenLater, super::read_your_writes),
        (Fault::Flickers, super::read_your_writes),
        (Fault::SkipsRepeats, super::rebuild),
        (Fault::Invents, super::only_what_is_given),
        (Fault::Truncates, super::only_what_is_given),
        (Fault::KeepsHolds, super::ended_holds),
        (Fault::ForgetsPending, super::pending_orders),
        (Fault::MixesLanes, super::pending_orders),
        (Fault::Boundless, super::bounds),
        (Fault::OldestFirst, super::lists),
        (Fault::GuessesMore, super::lists),
        (Fault::RepeatsCursor, super::lists),
    ];
    for (fault, rule) in cases {
        let result = std::panic::catch_unwind(|| rule(&Over(fault)));
        assert!(result.is_err(), "{fault:?} is not noticed");
    }
}
