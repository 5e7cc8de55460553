//! The store in one directory, for one process.
//!
//! Rows are visible in memory when `apply` returns; a thread brings them to disk every now and
//! then, together with the watermarks that they are covered by, in one batch that is durable as a
//! whole or not at all. So the disk is always the projection of a prefix of each lane's journal,
//! plus some later rows, and its watermark says which.
//!
//! **What survives.** A kill loses what was applied since the last batch; the watermark lies behind
//! accordingly and the lane applies those rows again. A store of another format, a broken one, and
//! one whose disk failed under it are wiped when they are opened, and rebuilt.
//!
//! **Repeats.** A row at or below its lane's watermark is ignored. One at or below the lane's
//! highest sequence is compared with the row in memory or on disk. One above it is news, and costs
//! no look-up: this is how a lane normally writes.
//!
//! **What costs a key on disk.** An order that is placed and ends between two batches costs two
//! (its row and its place in the user's list); pending ones one more. A hold that begins and ends
//! between two batches costs none. This relies on a hold being opened by one row only: its first.

mod disk;
mod flusher;
mod gatherer;
#[cfg(test)]
mod golden;
mod integrity;
mod known_keys;
mod lanes;
mod layout;
mod lists;
#[cfg(test)]
mod looked_through;
mod open;
mod recent;
#[cfg(test)]
mod rot;
mod scan;
mod shard;
mod snapshot;
#[cfg(any(test, feature = "conformance"))]
pub mod tamper;
#[cfg(test)]
pub(crate) mod tests;

use crate::{LaneStore, Page, ReadStore, StoreError, limits};
use async_trait::async_trait;
use disk::{Disk, DiskError};
use flusher::Flusher;
use gatherer::Gatherer;
use jupan_schemas::{
    CommandId, Lane, Micros, OrderId, ProductId, Role, UserId,
    rows::{Key, OrderRow, OutcomeRow, ProductRow, Row, StatementRow, UserRow, Watermark},
};
use lanes::{Known, Lanes};
pub use layout::FORMAT;
pub use open::{OpenError, Options};
use parking_lot::Mutex;
use shard::{Found, Shard, Version};
pub use snapshot::{Sighting, Snapshot};
use std::{
    collections::BTreeMap,
    fs::File,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The store in a directory. See the module.
pub struct EmbeddedStore {
    rows: Arc<Rows>,
    flusher: Flusher,
    gatherer: Gatherer,
}

/// What readers, lanes and the flusher share.
struct Rows {
    shards: Vec<Mutex<Shard>>,
    lanes: Lanes,
    disk: Disk,
    /// Rows that are not on disk; a long one counts as several.
    unsaved: AtomicUsize,
    failure: OnceLock<String>,
    /// Made when the disk fails: whoever opens the store next wipes it.
    broken_mark: PathBuf,
    disk_reads: tokio::sync::Semaphore,
    /// Keeps other processes out as long as anything reads or writes here.
    _lock: File,
}

impl EmbeddedStore {
    /// Why the disk is no longer written, if it failed: the process should stop and start again.
    pub fn failure(&self) -> Option<String> {
        self.rows.failure.get().cloned()
    }

    /// How many rows are in memory only; one with many lines counts as several.
    pub fn unsaved_rows(&self) -> usize {
        self.rows.unsaved.load(Ordering::Relaxed)
    }

    /// Brings everything that is applied by now to disk; blocks.
    ///
    /// # Errors
    /// [`StoreError::Broken`]
    pub fn flush(&self) -> Result<(), StoreError> {
        self.flusher.flush()
    }

    /// Brings everything to disk and ends the thread that does so; blocks. Rows are refused from
    /// then on, reads are not.
    ///
    /// # Errors
    /// [`StoreError::Broken`]
    pub fn close(&self) -> Result<(), StoreError> {
        self.gatherer.end();
        self.flusher.close()
    }

    /// Ends the way a killed process does: what is not on disk is lost.
    #[cfg(any(test, feature = "conformance"))]
    pub fn kill(&self) {
        self.gatherer.end();
        self.flusher.kill();
    }

    /// Nothing goes to disk as long as the guard lives.
    #[cfg(any(test, feature = "conformance"))]
    pub fn stall(&self) -> parking_lot::MutexGuard<'_, ()> {
        self.flusher.stall()
    }
}

impl LaneStore for EmbeddedStore {
    fn apply(&self, lane: Lane, rows: Vec<Row>) -> Result<(), StoreError> {
        rows.iter().try_for_each(|row| crate::check_owner(lane, row))?;
        self.flusher.wait_for_room()?;
        self.rows.apply(lane, rows)?;
        self.flusher.added();
        Ok(())
    }

    fn set_watermark(&self, lane: Lane, watermark: Watermark) -> Result<(), StoreError> {
        self.rows.lanes.raise(lane, watermark);
        Ok(())
    }

    fn watermark(&self, lane: Lane) -> Result<Option<Watermark>, StoreError> {
        Ok(self.rows.lanes.persisted(lane))
    }

    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Row>>, StoreError> {
        keys.iter().map(|key| self.rows.find(*key)).collect()
    }

    fn open_orders(&self, lane: Lane) -> Result<Vec<(OrderId, Micros)>, StoreError> {
        match lane.role {
            Role::Users => self.rows.open_orders(lane.index),
            Role::Products => Ok(Vec::new()),
        }
    }
}

impl Rows {
    /// Applies checked rows.
    fn apply(&self, lane: Lane, rows: Vec<Row>) -> Result<(), StoreError> {
        let Some(highest) = rows.iter().map(|row| row.as_of().sequence).max() else {
            return Ok(());
        };
        let known = self.lanes.advance(lane, highest);
        // Counted before they can be seen: what a flush takes off was added before.
        let (given, mut added) = (rows.iter().map(shard::weight).sum::<usize>(), 0);
        self.unsaved.fetch_add(given, Ordering::Relaxed);
        let applied = rows.into_iter().try_for_each(|row| {
            let is_covered = known.covered.is_some_and(|covered| row.as_of().sequence <= covered);
            if !is_covered {
                added += self.apply_one(lane, &known, row)?;
            }
            Ok(())
        });
        self.unsaved.fetch_sub(given - added, Ordering::Relaxed);
        applied
    }

    /// Applies a row, and says how much more weight is not on disk.
    fn apply_one(&self, lane: Lane, known: &Known, row: Row) -> Result<usize, StoreError> {
        let Some(key) = row.key() else {
            return Ok(match row {
                Row::Statement(row) => self.shard(row.user_id.0).lock().put_statement(row),
                _ => 0,
            });
        };
        let version = Version { sequence: row.as_of().sequence, lane: lane.index };
        let (is_repeat, is_first) = (version.sequence <= known.applied, is_first(&row));
        let mut shard = self.shard_of(key).lock();
        // Before the first row of a key there is none, if the row is news: that is the common case.
        let mut present = if is_first && !is_repeat { None } else { shard.version(key) };
        if is_repeat && present.is_none() {
            // No other thread writes this key, so it stays unknown to memory while the disk is
            // asked.
            drop(shard);
            let on_disk = self.disk.row(key).map_err(|error| self.broken("read rows", &error))?;
            present = on_disk.as_ref().map(Version::of);
            shard = self.shard_of(key).lock();
        }
        let put = match present {
            Some(present) if present.lane != lane.index => Err(present.lane),
            Some(present) if present.sequence >= version.sequence => Ok(0),
            Some(_) => shard.put(key, version, row, false),
            None => shard.put(key, version, row, is_first || is_repeat),
        };
        put.map_err(|owner| StoreError::WrongLane { key, owner, lane })
    }

    /// Looks a row up in memory, then on disk: blocks. An ended hold is none.
    fn find(&self, key: Key) -> Result<Option<Row>, StoreError> {
        let found = self.shard_of(key).lock().find(key);
        match found {
            Found::Row(row) => Ok(Some(row)),
            Found::Ended => Ok(None),
            Found::Unknown(flushes) => self.find_on_disk(key, flushes),
        }
    }

    fn find_on_disk(&self, key: Key, flushes: u64) -> Result<Option<Row>, StoreError> {
        let row = self.disk.row(key).map_err(|error| self.broken("read rows", &error))?;
        if let Some(row) = &row {
            self.shard_of(key).lock().keep(key, row, flushes);
        }
        Ok(row)
    }

    fn open_orders(&self, lane: u16) -> Result<Vec<(OrderId, Micros)>, StoreError> {
        // Memory first: an order that is on its way to disk meanwhile is in one of the two.
        let mut unsaved = BTreeMap::new();
        for shard in &self.shards {
            shard.lock().visit_orders(lane, |order| {
                unsaved.insert(order.order_id, order.is_pending().then_some(order.deadline));
            });
        }
        let on_disk = self.disk.open_orders(lane);
        let on_disk = on_disk.map_err(|error| self.broken("list open orders", &error))?;
        let mut open: BTreeMap<_, _> =
            on_disk.into_iter().map(|(order, deadline)| (order, Some(deadline))).collect();
        open.extend(unsaved);
        Ok(open.into_iter().filter_map(|(order, deadline)| Some((order, deadline?))).collect())
    }

    /// Whose rows lie together: a user's in one shard, a product's in one shard.
    fn shard_of(&self, key: Key) -> &Mutex<Shard> {
        let id = match key {
            Key::User(UserId(id)) | Key::Product(ProductId(id)) => id,
            Key::Order(order) | Key::Hold(order, _) => order.user().map_or(0, |user| user.0),
            Key::Outcome(command) => command.target().map_or(0, |(_, id)| id),
        };
        self.shard(id)
    }

    fn shard(&self, id: u64) -> &Mutex<Shard> {
        // The upper bits of a product with a large odd number spread dense ids evenly.
        let spread = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58;
        &self.shards[usize::try_from(spread).unwrap_or(0) % limits::SHARDS]
    }

    /// Notes that the disk failed, and says so.
    fn broken(&self, doing: &'static str, error: &DiskError) -> StoreError {
        let cause = error.to_string();
        if self.failure.set(format!("cannot {doing}: {cause}")).is_ok() {
            tracing::error!(
                doing,
                cause,
                "the store's disk failed; stop, and start again to rebuild"
            );
            if let Err(error) = std::fs::write(&self.broken_mark, &cause) {
                tracing::warn!(%error, "the store could not be marked as broken");
            }
        }
        StoreError::Broken { doing, cause }
    }
}

/// Whether the row is the first of its key, which no older one can precede on disk.
fn is_first(row: &Row) -> bool {
    match row {
        Row::Order(order) => order.as_of.sequence == order.placed,
        Row::Hold(hold) => hold.end.is_none(),
        _ => false,
    }
}

impl EmbeddedStore {
    /// A row, from memory at once or from disk without blocking the caller's thread.
    async fn row(&self, key: Key) -> Result<Option<Row>, StoreError> {
        let found = self.rows.shard_of(key).lock().find(key);
        let row = match found {
            Found::Row(row) => Some(row),
            Found::Ended => None,
            Found::Unknown(_) if self.rows.disk.lacks(key) => None,
            Found::Unknown(flushes) => {
                self.blocking(move |rows| rows.find_on_disk(key, flushes)).await?
            }
        };
        Ok(row)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Rows) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let broken = |cause: String| StoreError::Broken { doing: "read rows", cause };
        let turn = self.rows.disk_reads.acquire().await;
        let _turn = turn.map_err(|closed| broken(closed.to_string()))?;
        let rows = Arc::clone(&self.rows);
        let reader = tokio::task::spawn_blocking(move || read(&rows));
        reader.await.map_err(|panic| broken(panic.to_string()))?
    }
}

#[async_trait]
impl ReadStore for EmbeddedStore {
    async fn user(&self, id: UserId) -> Result<Option<Arc<UserRow>>, StoreError> {
        Ok(self.row(Key::User(id)).await?.and_then(crate::user))
    }

    async fn product(&self, id: ProductId) -> Result<Option<Arc<ProductRow>>, StoreError> {
        Ok(self.row(Key::Product(id)).await?.and_then(crate::product))
    }

    async fn products(
        &self,
        after: Option<ProductId>,
        limit: usize,
    ) -> Result<Page<Arc<ProductRow>>, StoreError> {
        self.blocking(move |rows| rows.products(after, limit)).await
    }

    async fn order(&self, id: OrderId) -> Result<Option<Arc<OrderRow>>, StoreError> {
        Ok(self.row(Key::Order(id)).await?.and_then(crate::order))
    }

    async fn orders(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<Arc<OrderRow>>, StoreError> {
        self.blocking(move |rows| rows.orders(user, before, limit)).await
    }

    async fn statement(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<Arc<StatementRow>>, StoreError> {
        self.blocking(move |rows| rows.statement(user, before, limit)).await
    }

    async fn outcome(&self, id: CommandId) -> Result<Option<Arc<OutcomeRow>>, StoreError> {
        Ok(self.row(Key::Outcome(id)).await?.and_then(crate::outcome))
    }

    async fn projected(&self, lane: Lane) -> Result<Option<Watermark>, StoreError> {
        Ok(self.rows.lanes.visible(lane))
    }
}
