//! State = fold(journal), twice. The first fold keeps everything in memory, as a running lane would
//! like to. The second forgets all it can after every step and reads rows back, as a lane does that
//! has been restored. Both must come to the same rows.

use super::findings::{Desk, Invariant};
use hashbrown::{HashMap, HashSet};
use jupan_ledger::{Broken, Core, products::Products, users::Users};
use jupan_schemas::{
    Entry, Hash, Lane, OrderStatus, Role,
    rows::{Key, Row},
};

const RULE: Invariant = Invariant::Journal;

/// The second fold forgets as soon as it has more cells than this in memory.
const CELLS_KEPT_MAX: usize = 64;

/// Rows by rising key.
pub(super) type Rows = Vec<(Key, Row)>;

/// A row that was put away, small.
pub(super) struct Packed {
    bytes: Box<[u8]>,
    /// As of which entry.
    pub(super) sequence: u64,
    /// What the store was seen to have of it, and [`Packed::PENDING`].
    pub(super) marks: u8,
}

impl Packed {
    /// The row itself.
    pub(super) const SEEN: u8 = 1;
    /// An order's place in its user's list.
    pub(super) const LISTED: u8 = 2;
    /// An order's place among the pending ones.
    pub(super) const OPEN: u8 = 4;
    /// Not seen, but so: it is a pending order.
    pub(super) const PENDING: u8 = 8;

    fn new(row: &Row) -> Self {
        let is_pending = matches!(row, Row::Order(order) if order.status == OrderStatus::Pending);
        let marks = if is_pending { Self::PENDING } else { 0 };
        let sequence = row.as_of().sequence;
        Self { bytes: pack(row).into_boxed_slice(), sequence, marks }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The row; packed by [`pack`], it can be unpacked.
    pub(super) fn row(&self) -> Option<Row> {
        unpack(&self.bytes)
    }

    /// Whether the store was seen to have this of it.
    pub(super) fn has(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }
}

/// A row's bytes: equal rows have equal bytes.
pub(super) fn pack(row: &Row) -> Vec<u8> {
    // Rows are plain data: writing them into memory cannot fail, and no bytes would show in the
    // hash and in every comparison.
    postcard::to_stdvec(row).unwrap_or_default()
}

/// The row that was packed.
pub(super) fn unpack(bytes: &[u8]) -> Option<Row> {
    postcard::from_bytes(bytes).ok()
}

/// Where a fold finds what it has forgotten.
enum Memory {
    /// Nothing is ever forgotten: only the names of what there is.
    Lasting(HashSet<Key>),
    /// Everything is forgotten after each step.
    ReadBack(HashMap<Key, Packed>),
}

/// One lane's fold.
struct Fold<C> {
    core: C,
    memory: Memory,
    is_broken: bool,
    wanted: Vec<Key>,
    touched: Vec<Key>,
}

impl<C: Core> Fold<C> {
    fn new(lane: u16, reads_back: bool) -> Self {
        let memory = match reads_back {
            false => Memory::Lasting(HashSet::new()),
            true => Memory::ReadBack(HashMap::new()),
        };
        let (wanted, touched) = (Vec::new(), Vec::new());
        Self { core: C::new(lane), memory, is_broken: false, wanted, touched }
    }
}

/// One lane's fold, of whichever role.
trait AnyFold {
    fn entry(&mut self, entry: &Entry, desk: &mut Desk<'_>);
    fn end_step(&mut self, last: u64);
    fn rows(&self) -> Option<Rows>;
    fn hash(&self) -> Option<Hash>;
    fn row(&self, key: Key) -> Option<Row>;
    fn packed(&mut self) -> Option<&mut HashMap<Key, Packed>>;
}

impl<C: Core> AnyFold for Fold<C> {
    /// Folds one entry; a lane whose entry does not fit its state is not folded any further.
    fn entry(&mut self, entry: &Entry, desk: &mut Desk<'_>) {
        if self.is_broken {
            return;
        }
        if let Err(broken) = self.fetch(entry).and_then(|()| self.core.evolve(entry)) {
            self.is_broken = true;
            desk.fault(RULE, "fold of the entry", "a state that it fits", broken);
        }
    }

    fn end_step(&mut self, last: u64) {
        match &mut self.memory {
            Memory::Lasting(keys) => keys.extend(self.touched.drain(..)),
            Memory::ReadBack(rows) => {
                self.touched.sort_unstable();
                self.touched.dedup();
                for key in self.touched.drain(..) {
                    match self.core.row(key) {
                        // Nothing asks for a hold that has ended.
                        Some(row) if is_ended_hold(&row) => drop(rows.remove(&key)),
                        Some(row) => drop(rows.insert(key, Packed::new(&row))),
                        None => {}
                    }
                }
                if self.core.cells() > CELLS_KEPT_MAX {
                    self.core.trim(last, 0);
                }
            }
        }
    }

    /// Every row that there is, by key; none of a fold that broke.
    fn rows(&self) -> Option<Rows> {
        if self.is_broken {
            return None;
        }
        let mut all: Rows = match &self.memory {
            Memory::Lasting(keys) => {
                keys.iter().filter_map(|key| Some((*key, self.core.row(*key)?))).collect()
            }
            Memory::ReadBack(rows) => {
                rows.iter().filter_map(|(key, row)| Some((*key, row.row()?))).collect()
            }
        };
        all.sort_unstable_by_key(|(key, _)| *key);
        Some(all)
    }

    /// One hash for all rows but those of ended holds.
    fn hash(&self) -> Option<Hash> {
        if self.is_broken {
            return None;
        }
        match &self.memory {
            Memory::Lasting(_) => self.rows().map(|rows| hash(&rows)),
            Memory::ReadBack(rows) => {
                let mut all: Vec<_> = rows.iter().map(|(key, row)| (*key, row.bytes())).collect();
                all.sort_unstable_by_key(|(key, _)| *key);
                Some(hash_of(all.into_iter().map(|(_, bytes)| Hash::of(bytes))))
            }
        }
    }

    fn row(&self, key: Key) -> Option<Row> {
        self.core.row(key)
    }

    fn packed(&mut self) -> Option<&mut HashMap<Key, Packed>> {
        match &mut self.memory {
            Memory::ReadBack(rows) if !self.is_broken => Some(rows),
            _ => None,
        }
    }
}

impl<C: Core> Fold<C> {
    fn fetch(&mut self, entry: &Entry) -> Result<(), Broken> {
        self.wanted.clear();
        self.core.entry_footprint(entry, &mut self.wanted);
        loop {
            self.touched.extend_from_slice(&self.wanted);
            self.core.retain_missing(&mut self.wanted);
            if self.wanted.is_empty() {
                break;
            }
            for key in &self.wanted {
                let row = match &self.memory {
                    Memory::Lasting(_) => None,
                    Memory::ReadBack(rows) => rows.get(key).and_then(Packed::row),
                };
                self.core.load(*key, row)?;
            }
            self.touched.extend_from_slice(&self.wanted);
            self.wanted.clear();
            self.core.entry_footprint(entry, &mut self.wanted);
        }
        Ok(())
    }
}

fn is_ended_hold(row: &Row) -> bool {
    matches!(row, Row::Hold(hold) if hold.end.is_some())
}

/// Every lane's fold.
pub(super) struct Folds {
    users: Vec<Fold<Users>>,
    products: Vec<Fold<Products>>,
}

impl Folds {
    /// Folds that keep everything in memory, or that forget and read back.
    pub(super) fn new(lanes: u16, reads_back: bool) -> Self {
        Self {
            users: (0..lanes).map(|lane| Fold::new(lane, reads_back)).collect(),
            products: (0..lanes).map(|lane| Fold::new(lane, reads_back)).collect(),
        }
    }

    fn of(&mut self, lane: Lane) -> Option<&mut dyn AnyFold> {
        let index = usize::from(lane.index);
        match lane.role {
            Role::Users => self.users.get_mut(index).map(|fold| fold as &mut dyn AnyFold),
            Role::Products => self.products.get_mut(index).map(|fold| fold as &mut dyn AnyFold),
        }
    }

    /// Folds one entry.
    pub(super) fn entry(&mut self, lane: Lane, entry: &Entry, desk: &mut Desk<'_>) {
        if let Some(fold) = self.of(lane) {
            fold.entry(entry, desk);
        }
    }

    /// Ends a step: what may be forgotten is.
    pub(super) fn end_step(&mut self, lane: Lane, last: u64) {
        if let Some(fold) = self.of(lane) {
            fold.end_step(last);
        }
    }

    /// A row as of the last entry, where its cell is in memory.
    pub(super) fn row(&mut self, lane: Lane, key: Key) -> Option<Row> {
        self.of(lane)?.row(key)
    }

    /// The rows that a lane has put away; none of a lane whose fold broke.
    pub(super) fn packed(&mut self, lane: Lane) -> Option<&mut HashMap<Key, Packed>> {
        self.of(lane)?.packed()
    }

    fn all(&self) -> impl Iterator<Item = (Lane, &dyn AnyFold)> {
        let users = self.users.iter().map(|fold| fold as &dyn AnyFold);
        let products = self.products.iter().map(|fold| fold as &dyn AnyFold);
        let lane = |role| move |(index, fold)| (Lane { role, index }, fold);
        let users = (0..).zip(users).map(lane(Role::Users));
        users.chain((0..).zip(products).map(lane(Role::Products)))
    }

    /// Hands out every lane's rows, users first. A lane whose fold broke has none.
    pub(super) fn for_each(&self, visit: &mut dyn FnMut(Lane, Option<Rows>)) {
        self.all().for_each(|(lane, fold)| visit(lane, fold.rows()));
    }

    /// Every lane's hash, users first.
    pub(super) fn hashes(&self) -> Vec<(Lane, Option<Hash>)> {
        self.all().map(|(lane, fold)| (lane, fold.hash())).collect()
    }
}

/// One hash for all rows of a lane; ended holds may be forgotten and do not count.
pub(super) fn hash(rows: &[(Key, Row)]) -> Hash {
    let lasting = rows.iter().filter(|(_, row)| !is_ended_hold(row));
    hash_of(lasting.map(|(_, row)| Hash::of(&pack(row))))
}

fn hash_of(rows: impl Iterator<Item = Hash>) -> Hash {
    let all: Vec<u8> = rows.flat_map(|hash| hash.0).collect();
    Hash::of(&all)
}
