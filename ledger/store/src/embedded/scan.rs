//! Looking through everything that the store keeps, portion by portion, without changing it: for
//! whoever holds it against the journal.
//!
//! A scan holds nothing open between two portions and no lock for longer than one key takes, so it
//! may be as slow as it likes. It goes by what is on disk; a row that memory knows better is told
//! as memory has it, because that is what is read. Rows that are in memory only are left out: what
//! a lane's persisted watermark covers is on disk.

use super::{
    EmbeddedStore, Rows,
    disk::{Disk, DiskError},
    layout::{self, KeyBytes, SEAL_KEY, Table},
    shard::Found,
};
use crate::{Bookmark, LaneProgress, Portion, ScanStore, StoreError, Stored, limits};
use jupan_schemas::{OrderId, UserId, rows::Row};
use serde::de::DeserializeOwned;
use std::ops::Bound;

/// The tables that are scanned, in this order.
const TABLES: [Table; 8] = [
    Table::Users,
    Table::Products,
    Table::Orders,
    Table::OrdersByUser,
    Table::Outcomes,
    Table::Holds,
    Table::Statement,
    Table::OpenOrders,
];

impl EmbeddedStore {
    /// How far every lane is that ever wrote here.
    pub fn progress(&self) -> Vec<LaneProgress> {
        self.rows.lanes.progress()
    }

    /// The next portion of a scan; blocks.
    ///
    /// # Errors
    /// [`StoreError::Broken`]
    pub fn scan(&self, from: Option<&Bookmark>) -> Result<Portion, StoreError> {
        let broken = |error: DiskError| StoreError::Broken {
            doing: "look through the rows",
            cause: error.to_string(),
        };
        let mut portion = self.rows.disk.scan(from).map_err(broken)?;
        portion.items.retain_mut(|item| self.rows.is_current(item));
        Ok(portion)
    }
}

impl ScanStore for EmbeddedStore {
    fn progress(&self) -> Result<Vec<LaneProgress>, StoreError> {
        Ok(self.progress())
    }

    fn scan(&self, from: Option<&Bookmark>) -> Result<Portion, StoreError> {
        self.scan(from)
    }
}

impl Rows {
    /// Makes of a stored row what readers see; whether they see one at all.
    fn is_current(&self, item: &mut Stored) -> bool {
        let Stored::Row(row) = item else { return true };
        let Some(key) = row.key() else { return true };
        let found = self.shard_of(key).lock().find(key);
        match found {
            Found::Row(newer) => *row = newer,
            Found::Ended => return false,
            Found::Unknown(_) => {}
        }
        true
    }
}

impl Disk {
    /// The next portion of what is on disk.
    pub(super) fn scan(&self, from: Option<&Bookmark>) -> Result<Portion, DiskError> {
        let first = from.map_or(0, |mark| usize::from(mark.table));
        let mut items = Vec::new();
        let mut bytes = 0;
        for (number, table) in (0..).zip(TABLES).skip(first) {
            let after = from.filter(|mark| mark.table == number).map(|mark| mark.key.as_slice());
            let start = Bound::Excluded(after.unwrap_or(SEAL_KEY).to_vec());
            for entry in self.table(table).range((start, Bound::Unbounded)) {
                let (key, value) = entry.into_inner()?;
                bytes += key.len() + value.len();
                items.push(stored(table, &key, &value));
                if items.len() >= limits::SCAN_ITEMS_MAX || bytes >= limits::SCAN_BYTES {
                    let next = Some(Bookmark { table: number, key: key.to_vec() });
                    return Ok(Portion { items, next });
                }
            }
        }
        Ok(Portion { items, next: None })
    }
}

/// What a key and its value say.
fn stored(table: Table, key: &[u8], value: &[u8]) -> Stored {
    let read = match table {
        Table::Users => row(key, value, Row::User),
        Table::Products => row(key, value, Row::Product),
        Table::Orders => row(key, value, Row::Order),
        Table::Outcomes => row(key, value, Row::Outcome),
        Table::Holds => row(key, value, Row::Hold),
        Table::Statement => row(key, value, Row::Statement),
        Table::OrdersByUser => listed(key, value).ok_or_else(|| "it names no order".to_owned()),
        Table::OpenOrders => open(key, value).ok_or_else(|| "it names no order".to_owned()),
        Table::Meta => Err("it is no row".to_owned()),
    };
    read.unwrap_or_else(|cause| Stored::Foreign {
        table: table.name().to_owned(),
        key: key.iter().map(|byte| format!("{byte:02x}")).collect(),
        cause,
    })
}

fn row<T: DeserializeOwned>(
    key: &[u8],
    value: &[u8],
    kind: impl Fn(T) -> Row,
) -> Result<Stored, String> {
    let row = kind(layout::decode(value).map_err(|error| error.to_string())?);
    let own = own_key(&row);
    if own.as_ref() != key {
        return Err(format!("it is that of {:?}", row.key()));
    }
    Ok(Stored::Row(row))
}

/// The key under which a row lies.
fn own_key(row: &Row) -> KeyBytes {
    match (row, row.key()) {
        (_, Some(key)) => layout::row_key(key),
        (Row::Statement(row), None) => layout::newest_first_key(row.user_id, row.as_of.sequence),
        (row, None) => layout::newest_first_key(UserId(0), row.as_of().sequence),
    }
}

fn listed(key: &[u8], value: &[u8]) -> Option<Stored> {
    let user: [u8; 16] = key.try_into().ok()?;
    let user_id = UserId(u64::from_be_bytes(*user.first_chunk()?));
    let placed = layout::newest_first_sequence(key)?;
    Some(Stored::Listed { user_id, placed, order_id: OrderId(value.try_into().ok()?) })
}

fn open(key: &[u8], value: &[u8]) -> Option<Stored> {
    let whole: [u8; 18] = key.try_into().ok()?;
    let lane = u16::from_be_bytes(*whole.first_chunk()?);
    let order_id = layout::open_order_id(key)?;
    Some(Stored::Open { lane, order_id, deadline: layout::deadline(value)? })
}
