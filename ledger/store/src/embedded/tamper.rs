//! Changes what a closed store has on disk, past all its rules: for tests of those who must find
//! it. Whatever is not there makes a test panic.

use super::{
    disk::Disk,
    integrity,
    layout::{self, LaneRow, Table},
};
use jupan_schemas::{
    Lane, Micros, OrderId, UserId,
    rows::{Key, OrderRow, Row, Watermark},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A store that nobody else has open.
pub struct Tamper(Disk);

impl Tamper {
    /// Opens the tables of a store.
    pub fn open(dir: &Path) -> Self {
        let tables = dir.join("tables");
        let heads = integrity::heads(&tables).expect("readable files").expect("sound files");
        let disk = Disk::open(&tables).expect("a closed store");
        // From here on the disk also knows which batch was the last: the next one has to follow it.
        assert_eq!(disk.defect(&heads).expect("readable tables"), None, "the store is damaged");
        Self(disk)
    }

    /// Sorts all rows into files, as is done with many of them; these files, but for those of what is
    /// known about lanes.
    pub fn sort_into_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for table in Table::ALL {
            let keyspace = self.0.table(table);
            keyspace.rotate_memtable_and_wait().expect("a disk");
            if table != Table::Meta {
                let sorted = fs::read_dir(keyspace.path().join("tables")).expect("a table's files");
                files.extend(sorted.map(|entry| entry.expect("a file").path()));
            }
        }
        files
    }

    /// A row as it is stored.
    pub fn row(&self, key: Key) -> Row {
        self.0.row(key).expect("readable tables").expect("a stored row")
    }

    /// Stores a row under its own key.
    pub fn put(&self, row: &Row) {
        let mut batch = self.0.batch(1);
        match (row, row.key()) {
            (_, Some(key)) => batch.put_row(key, row).expect("a row"),
            (Row::Statement(row), None) => batch.put_statement(row).expect("a row"),
            (_, None) => {}
        }
        batch.commit().expect("a disk");
    }

    /// Changes a stored row.
    pub fn change(&self, key: Key, change: impl FnOnce(&mut Row)) {
        let mut row = self.row(key);
        change(&mut row);
        self.put(&row);
    }

    /// Stores a row under another key.
    pub fn misplace(&self, key: Key, row: &Row) {
        let mut value = Vec::new();
        match row {
            Row::User(row) => layout::encode(row, &mut value),
            Row::Product(row) => layout::encode(row, &mut value),
            Row::Order(row) => layout::encode(row, &mut value),
            Row::Outcome(row) => layout::encode(row, &mut value),
            Row::Hold(row) => layout::encode(row, &mut value),
            Row::Statement(row) => layout::encode(row, &mut value),
        }
        .expect("a row");
        self.insert(Table::of(key), layout::row_key(key).as_ref(), &value);
    }

    /// Replaces a stored value by other bytes.
    pub fn garble(&self, key: Key, value: &[u8]) {
        self.insert(Table::of(key), layout::row_key(key).as_ref(), value);
    }

    /// Removes a row.
    pub fn remove(&self, key: Key) {
        self.row(key);
        self.take(Table::of(key), layout::row_key(key).as_ref());
    }

    /// Changes the change of a wallet that an entry made.
    pub fn change_statement(
        &self,
        user: UserId,
        sequence: u64,
        change: impl FnOnce(&mut jupan_schemas::rows::StatementRow),
    ) {
        let rows = self.0.statement(user, Some(sequence + 1), 1).expect("readable tables");
        let mut row = rows.into_iter().next().expect("a stored row");
        assert_eq!(row.as_of.sequence, sequence, "the change of another entry");
        change(Arc::make_mut(&mut row));
        self.put(&Row::Statement(row));
    }

    /// Removes the change of a wallet that an entry made.
    pub fn remove_statement(&self, user: UserId, sequence: u64) {
        self.take(Table::Statement, layout::newest_first_key(user, sequence).as_ref());
    }

    /// Puts an order into a user's list.
    pub fn list(&self, user: UserId, placed: u64, order: OrderId) {
        let key = layout::newest_first_key(user, placed);
        self.insert(Table::OrdersByUser, key.as_ref(), &order.0);
    }

    /// Takes an order out of its user's list.
    pub fn unlist(&self, order: &OrderRow) {
        let key = layout::newest_first_key(order.user_id, order.placed);
        self.take(Table::OrdersByUser, key.as_ref());
    }

    /// Puts an order among the pending ones of a lane.
    pub fn open_order(&self, lane: u16, order: OrderId, deadline: Micros) {
        let key = layout::open_order_key(lane, order);
        self.insert(Table::OpenOrders, key.as_ref(), &layout::deadline_value(deadline));
    }

    /// Takes an order out of the pending ones of a lane.
    pub fn close_order(&self, lane: u16, order: OrderId) {
        self.take(Table::OpenOrders, layout::open_order_key(lane, order).as_ref());
    }

    /// What the store knows about a lane: its watermark, and its highest sequence.
    pub fn lane(&self, lane: Lane) -> (Watermark, u64) {
        let lanes = self.0.lanes().expect("readable tables");
        let (_, row) = lanes.into_iter().find(|(other, _)| *other == lane).expect("a lane");
        (row.watermark.expect("a watermark"), row.applied)
    }

    /// Replaces what the store knows about a lane.
    pub fn set_lane(&self, lane: Lane, watermark: Watermark, applied: u64) {
        let mut batch = self.0.batch(1);
        let row = LaneRow { watermark: Some(watermark), applied };
        batch.put_lane(lane, &row).expect("a row");
        batch.commit().expect("a disk");
    }

    fn insert(&self, table: Table, key: &[u8], value: &[u8]) {
        self.0.table(table).insert(key, value).expect("a disk");
    }

    fn take(&self, table: Table, key: &[u8]) {
        let table = self.0.table(table);
        assert!(table.get(key).expect("readable tables").is_some(), "nothing to remove");
        table.remove(key).expect("a disk");
    }
}
