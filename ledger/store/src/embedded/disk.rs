//! The rows on disk. Everything here blocks.

use super::integrity::Head;
use super::known_keys::KnownKeys;
use super::layout::{self, KeyBytes, LaneRow, SEAL_KEY, Table};
use crate::limits;
use fjall::{
    AbstractTree, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Slice,
    UserValue,
};
use jupan_schemas::{
    Lane, Micros, OrderId, ProductId, UserId,
    rows::{HoldRow, Key, OrderRow, ProductRow, Row, StatementRow},
};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    mem,
    ops::{Bound, Range},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The defect of a store that another version made.
pub(super) const OTHER_FORMAT: &str = "it has another format";

/// What went wrong between memory and disk.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiskError {
    /// The library or the system below it failed.
    #[error("{0}")]
    Fjall(#[from] fjall::Error),
    /// What is stored cannot be what was written.
    #[error("{table} has a value or key that is none: {cause}")]
    Corrupt { table: &'static str, cause: String },
    /// A row has no bytes; never with this crate's rows.
    #[error("a row cannot be encoded: {0}")]
    Encode(postcard::Error),
    /// The thread that writes is gone.
    #[error("the thread that writes to disk panicked")]
    Panicked,
}

type Result<T, E = DiskError> = std::result::Result<T, E>;

/// The opened tables.
pub(super) struct Disk {
    tables: Vec<Keyspace>,
    database: Database,
    last_batch: AtomicU64,
    /// Of the last batch, to be used again: fresh memory costs more than what is written to it.
    buffers: Mutex<Buffers>,
    pub(super) known_keys: KnownKeys,
    /// Makes every write fail.
    #[cfg(test)]
    pub(super) is_full: std::sync::atomic::AtomicBool,
}

impl Disk {
    /// Opens or makes the tables below `path`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let database = Database::builder(path)
            .cache_size(limits::BLOCK_CACHE_BYTES)
            .max_journaling_size(limits::DISK_JOURNAL_BYTES_MAX)
            .worker_threads(limits::DISK_WORKERS)
            .open()?;
        let options =
            || KeyspaceCreateOptions::default().max_memtable_size(limits::UNSORTED_BYTES_MAX);
        let tables = Table::ALL
            .into_iter()
            .map(|table| database.keyspace(table.name(), options))
            .collect::<fjall::Result<Vec<_>>>()?;
        Ok(Self {
            tables,
            database,
            last_batch: AtomicU64::new(0),
            buffers: Mutex::default(),
            known_keys: KnownKeys::new(limits::KNOWN_KEYS_FIRST),
            #[cfg(test)]
            is_full: false.into(),
        })
    }

    /// Seals a new store, and says why another one cannot be used as it is. `heads`: what its
    /// journals had before they were opened.
    pub(super) fn defect(&self, heads: &[Head]) -> Result<Option<String>> {
        let seals = Table::ALL.map(|table| self.table(table).get(SEAL_KEY));
        let seals = seals.into_iter().collect::<fjall::Result<Vec<_>>>()?;
        let is_new = seals.iter().all(Option::is_none) && self.table(Table::Meta).is_empty()?;
        if is_new && heads.is_empty() {
            self.batch(0).commit()?;
            return Ok(None);
        }
        let batches: Vec<_> =
            seals.iter().map(|seal| layout::sealed_batch(seal.as_deref()?)).collect();
        let Some(last) = batches[Table::Meta as usize] else {
            return Ok(Some(OTHER_FORMAT.into()));
        };
        self.last_batch.store(last, Ordering::Relaxed);
        for table in Table::ALL {
            // One that is ahead has rows of batches that the others have lost.
            if batches[table as usize] != Some(last) || !self.joins(table, heads)? {
                return Ok(Some(format!("table {} and others have lost rows", table.name())));
            }
        }
        Ok(None)
    }

    /// Whether the journals go on where a table's sorted files end: these hold every batch up to some
    /// one, which has the highest number of the library's and the highest of ours, and no other.
    fn joins(&self, table: Table, heads: &[Head]) -> Result<bool> {
        let tree = &self.table(table).tree;
        let (order, sealed) = loop {
            let Some(order) = tree.get_highest_persisted_seqno() else { break (None, 0) };
            let seal = tree.get(SEAL_KEY, order + 1).map_err(fjall::Error::from)?;
            // Otherwise a file was finished meanwhile, and nothing older is kept for us.
            if tree.get_highest_persisted_seqno() == Some(order) {
                let sealed = seal.and_then(|seal| layout::sealed_batch(&seal));
                break (Some(order), sealed.unwrap_or(0));
            }
        };
        let is_gapless = heads.first().is_none_or(|first| first.sealed <= sealed + 1);
        let agree = |head: &Head| (Some(head.order) <= order) == (head.sealed <= sealed);
        Ok(is_gapless && heads.iter().all(agree))
    }

    /// Every lane that ever wrote here.
    pub(super) fn lanes(&self) -> Result<Vec<(Lane, LaneRow)>> {
        let mut lanes = Vec::new();
        for entry in self.table(Table::Meta).iter() {
            let (key, value) = entry.into_inner()?;
            if *key == *SEAL_KEY {
                continue;
            }
            let (role, index) =
                layout::lane_of_key(&key).ok_or_else(|| corrupt(Table::Meta, "key"))?;
            lanes.push((Lane { role, index }, decode(Table::Meta, &value)?));
        }
        Ok(lanes)
    }

    /// Whether there is surely no row with this key; never blocks.
    pub(super) fn lacks(&self, key: Key) -> bool {
        self.known_keys.lack(Table::of(key), layout::row_key(key).as_ref())
    }

    /// A row by its key.
    pub(super) fn row(&self, key: Key) -> Result<Option<Row>> {
        if self.lacks(key) {
            return Ok(None);
        }
        let table = Table::of(key);
        let Some(value) = self.table(table).get(layout::row_key(key))? else { return Ok(None) };
        let row = match key {
            Key::User(_) => Row::User(decode(table, &value)?),
            Key::Product(_) => Row::Product(decode(table, &value)?),
            Key::Order(_) => Row::Order(decode(table, &value)?),
            Key::Outcome(_) => Row::Outcome(decode(table, &value)?),
            Key::Hold(..) => Row::Hold(decode(table, &value)?),
        };
        Ok(Some(row))
    }

    /// The first products above `after`.
    pub(super) fn products(
        &self,
        after: Option<ProductId>,
        limit: usize,
    ) -> Result<Vec<Arc<ProductRow>>> {
        let from = match after {
            Some(id) => Bound::Excluded(layout::row_key(Key::Product(id))),
            None => Bound::Included(layout::row_key(Key::Product(ProductId(0)))),
        };
        self.table(Table::Products)
            .range((from, Bound::Unbounded))
            .take(limit)
            .map(|entry| decode(Table::Products, &entry.value()?))
            .collect()
    }

    /// A user's newest orders placed before the sequence `before`.
    pub(super) fn orders_of(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, OrderId)>> {
        let entries = self.newest_first(Table::OrdersByUser, user, before, limit);
        let order = |(key, value): (Slice, UserValue)| {
            let placed = layout::newest_first_sequence(&key)?;
            Some((placed, OrderId(value.as_ref().try_into().ok()?)))
        };
        entries
            .map(|entry| order(entry?).ok_or_else(|| corrupt(Table::OrdersByUser, "entry")))
            .collect()
    }

    /// The newest changes of a wallet before the sequence `before`.
    pub(super) fn statement(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Arc<StatementRow>>> {
        self.newest_first(Table::Statement, user, before, limit)
            .map(|entry| decode(Table::Statement, &entry?.1))
            .collect()
    }

    fn newest_first(
        &self,
        table: Table,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> impl Iterator<Item = fjall::Result<(Slice, UserValue)>> {
        let from = match before {
            Some(sequence) => Bound::Excluded(layout::newest_first_key(user, sequence)),
            None => Bound::Included(layout::newest_first_key(user, u64::MAX)),
        };
        let to = Bound::Included(layout::newest_first_key(user, 0));
        self.table(table).range((from, to)).take(limit).map(fjall::Guard::into_inner)
    }

    /// The pending orders of a user lane with their deadlines.
    pub(super) fn open_orders(&self, lane: u16) -> Result<Vec<(OrderId, Micros)>> {
        let order = |(key, value): (Slice, UserValue)| {
            Some((layout::open_order_id(&key)?, layout::deadline(&value)?))
        };
        self.table(Table::OpenOrders)
            .prefix(lane.to_be_bytes())
            .map(|entry| {
                order(entry.into_inner()?).ok_or_else(|| corrupt(Table::OpenOrders, "entry"))
            })
            .collect()
    }

    /// An empty batch.
    pub(super) fn batch(&self, capacity: usize) -> Batch<'_> {
        let Buffers { mut writes, values } = mem::take(&mut *self.buffers.lock());
        writes.reserve(capacity);
        Batch { disk: self, writes, values }
    }

    pub(super) fn table(&self, table: Table) -> &Keyspace {
        &self.tables[table as usize]
    }
}

/// Writes that go to disk together.
pub(super) struct Batch<'a> {
    disk: &'a Disk,
    writes: Vec<Write>,
    /// All values, one behind the other.
    values: Vec<u8>,
}

/// What a batch gathers in.
#[derive(Default)]
struct Buffers {
    writes: Vec<Write>,
    values: Vec<u8>,
}

/// One key's new value, as a part of [`Batch::values`], or its end.
struct Write {
    table: Table,
    key: KeyBytes,
    value: Option<Range<usize>>,
}

impl Batch<'_> {
    /// Keys that are written or removed.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.writes.len()
    }

    /// Writes a row by its key.
    pub(super) fn put_row(&mut self, key: Key, row: &Row) -> Result<()> {
        let (table, key) = (Table::of(key), layout::row_key(key));
        match row {
            Row::User(row) => self.put(table, key, &**row),
            Row::Product(row) => self.put(table, key, &**row),
            Row::Order(row) => self.put(table, key, &**row),
            Row::Outcome(row) => self.put(table, key, &**row),
            Row::Hold(row) => self.put(table, key, &**row),
            Row::Statement(row) => self.put_statement(row),
        }
    }

    /// Writes a change of a wallet.
    pub(super) fn put_statement(&mut self, row: &StatementRow) -> Result<()> {
        let key = layout::newest_first_key(row.user_id, row.as_of.sequence);
        self.put(Table::Statement, key, row)
    }

    /// Puts an order into its user's list.
    pub(super) fn list_order(&mut self, order: &OrderRow) {
        let key = layout::newest_first_key(order.user_id, order.placed);
        self.put_bytes(Table::OrdersByUser, key, &order.order_id.0);
    }

    /// Puts an order into its lane's pending ones.
    pub(super) fn open_order(&mut self, order: &OrderRow) {
        let key = layout::open_order_key(order.lane, order.order_id);
        self.put_bytes(Table::OpenOrders, key, &layout::deadline_value(order.deadline));
    }

    /// Takes an order out of its lane's pending ones.
    pub(super) fn close_order(&mut self, order: &OrderRow) {
        self.remove(Table::OpenOrders, layout::open_order_key(order.lane, order.order_id));
    }

    /// Removes the row of an ended hold.
    pub(super) fn remove_hold(&mut self, hold: &HoldRow) {
        self.remove(Table::Holds, layout::row_key(Key::Hold(hold.order_id, hold.lane)));
    }

    /// Writes what is known about a lane.
    pub(super) fn put_lane(&mut self, lane: Lane, row: &LaneRow) -> Result<()> {
        self.put(Table::Meta, layout::lane_key(lane.role, lane.index), row)
    }

    /// Makes all of it durable, or nothing.
    pub(super) fn commit(mut self) -> Result<()> {
        #[cfg(test)]
        if self.disk.is_full.load(Ordering::Relaxed) {
            return Err(DiskError::Fjall(fjall::Error::Io(std::io::ErrorKind::StorageFull.into())));
        }
        // Neighbours are written one after the other: where one belongs is in the processor's cache
        // for the next.
        self.writes
            .sort_unstable_by(|a, b| (a.table, a.key.as_ref()).cmp(&(b.table, b.key.as_ref())));
        // A change of a wallet may be there twice, and is the same.
        self.writes.dedup_by(|a, b| (a.table, a.key.as_ref()) == (b.table, b.key.as_ref()));
        // Known before they can be found.
        let keys = self.writes.iter().map(|write| (write.table, write.key.as_ref()));
        self.disk.known_keys.add(keys);
        let mut batch = OwnedWriteBatch::with_capacity(
            self.disk.database.clone(),
            self.writes.len() + Table::ALL.len(),
        )
        .durability(Some(PersistMode::SyncData));
        for Write { table, key, value } in self.writes.drain(..) {
            let table = self.disk.table(table);
            match value {
                Some(range) => batch.insert(table, key.as_ref(), &self.values[range]),
                None => batch.remove(table, key.as_ref()),
            }
        }
        self.give_back();
        let seal = layout::seal(self.disk.last_batch.fetch_add(1, Ordering::Relaxed) + 1);
        for table in &self.disk.tables {
            batch.insert(table, SEAL_KEY, seal);
        }
        Ok(batch.commit()?)
    }

    /// Keeps the buffers for the next batch, unless this one was unusually large.
    fn give_back(&mut self) {
        let (mut writes, mut values) = (mem::take(&mut self.writes), mem::take(&mut self.values));
        values.clear();
        values.shrink_to(limits::BATCH_BYTES_KEPT);
        writes.shrink_to(limits::BATCH_BYTES_KEPT / size_of::<Write>());
        *self.disk.buffers.lock() = Buffers { writes, values };
    }

    fn put<T: Serialize>(&mut self, table: Table, key: KeyBytes, row: &T) -> Result<()> {
        let start = self.values.len();
        layout::encode(row, &mut self.values).map_err(DiskError::Encode)?;
        self.writes.push(Write { table, key, value: Some(start..self.values.len()) });
        Ok(())
    }

    fn put_bytes(&mut self, table: Table, key: KeyBytes, value: &[u8]) {
        let start = self.values.len();
        self.values.extend_from_slice(value);
        self.writes.push(Write { table, key, value: Some(start..self.values.len()) });
    }

    fn remove(&mut self, table: Table, key: KeyBytes) {
        self.writes.push(Write { table, key, value: None });
    }
}

fn decode<T: DeserializeOwned>(table: Table, value: &[u8]) -> Result<T> {
    layout::decode(value)
        .map_err(|source| DiskError::Corrupt { table: table.name(), cause: source.to_string() })
}

fn corrupt(table: Table, what: &str) -> DiskError {
    DiskError::Corrupt { table: table.name(), cause: format!("unreadable {what}") }
}
