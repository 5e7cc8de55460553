//! What cannot be judged yet: rows that are ahead of what was read of the journal, and rows that
//! are gone because a later entry may have ended them.

use super::super::findings::RowName;
use hashbrown::HashMap;
use jupan_schemas::{Lane, Micros, OrderId, UserId, rows::Key};

/// Most rows that wait for their entry: beyond it the shop writes faster than it can be read.
pub(super) const ROWS_MAX: usize = 4_000_000;

/// A row that waits for its entry.
pub(super) struct Waiting {
    pub(super) name: RowName,
    pub(super) bytes: Vec<u8>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Aside {
    rows: HashMap<(Lane, u64), Vec<Waiting>>,
    count: usize,
    /// Holds that were open and are gone: they must end.
    pub(super) must_end: Vec<(Lane, Key)>,
    /// Pending orders that are not listed as such any more: they must end.
    pub(super) must_close: Vec<(Lane, OrderId)>,
    /// Orders listed as pending that were not placed yet.
    pub(super) opened: Vec<(u16, OrderId, Micros)>,
    /// Orders in a user's list that were not placed yet.
    pub(super) listed: Vec<(UserId, u64, OrderId)>,
}

impl Aside {
    /// Puts a row aside; says whether there was room.
    pub(super) fn put(&mut self, lane: Lane, sequence: u64, waiting: Waiting) -> bool {
        self.count += 1;
        self.rows.entry((lane, sequence)).or_default().push(waiting);
        self.count <= ROWS_MAX
    }

    /// The rows that wait for an entry.
    pub(super) fn take(&mut self, lane: Lane, sequence: u64) -> Vec<Waiting> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        self.rows.remove(&(lane, sequence)).unwrap_or_default()
    }

    /// Everything whose entry did not come.
    pub(super) fn left_over(&mut self) -> impl Iterator<Item = (Lane, u64, Waiting)> + use<> {
        let rows = std::mem::take(&mut self.rows).into_iter();
        rows.flat_map(|((lane, sequence), all)| {
            all.into_iter().map(move |waiting| (lane, sequence, waiting))
        })
    }
}
