//! State = fold(journal), twice. The first fold keeps everything in memory, as a running lane would
//! like to. The second forgets all it can after every step and reads rows back, as a lane does that
//! has been restored. Both must come to the same rows.

use super::findings::{Desk, Invariant};
use hashbrown::{HashMap, HashSet};
use jupan_ledger::{Core, products::Products, users::Users};
use jupan_schemas::{
    Entry, Hash, Lane, Role, Step,
    rows::{Key, Row},
};

const RULE: Invariant = Invariant::Journal;

/// The second fold forgets as soon as it has more cells than this in memory.
const CELLS_KEPT_MAX: usize = 64;

/// Rows by rising key.
pub(super) type Rows = Vec<(Key, Row)>;

/// Where a fold finds what it has forgotten.
enum Memory {
    /// Nothing is ever forgotten: only the names of what there is.
    Lasting(HashSet<Key>),
    /// Everything is forgotten after each step.
    ReadBack(HashMap<Key, Row>),
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

    fn fetch(&mut self, entry: &Entry) -> Result<(), jupan_ledger::Broken> {
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
                    Memory::ReadBack(rows) => rows.get(key).cloned(),
                };
                self.core.load(*key, row)?;
            }
            self.touched.extend_from_slice(&self.wanted);
            self.wanted.clear();
            self.core.entry_footprint(entry, &mut self.wanted);
        }
        Ok(())
    }

    fn end_step(&mut self, last: u64) {
        match &mut self.memory {
            Memory::Lasting(keys) => keys.extend(self.touched.drain(..)),
            Memory::ReadBack(rows) => {
                self.touched.sort_unstable();
                self.touched.dedup();
                for key in self.touched.drain(..) {
                    if let Some(row) = self.core.row(key) {
                        rows.insert(key, row);
                    }
                }
                if self.core.cells() > CELLS_KEPT_MAX {
                    self.core.trim(last, 0);
                }
            }
        }
    }

    /// Every row that there is, by key.
    fn rows(&self) -> Rows {
        let mut all: Rows = match &self.memory {
            Memory::Lasting(keys) => {
                keys.iter().filter_map(|key| Some((*key, self.core.row(*key)?))).collect()
            }
            Memory::ReadBack(rows) => rows.iter().map(|(key, row)| (*key, row.clone())).collect(),
        };
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }
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

    /// Folds one entry.
    pub(super) fn entry(&mut self, lane: Lane, entry: &Entry, desk: &mut Desk<'_>) {
        let index = usize::from(lane.index);
        match lane.role {
            Role::Users => self.users[index].entry(entry, desk),
            Role::Products => self.products[index].entry(entry, desk),
        }
    }

    /// Ends a step: what may be forgotten is.
    pub(super) fn end_step(&mut self, lane: Lane, step: &Step) {
        let last = step.entries.last().map_or(0, |entry| entry.sequence);
        let index = usize::from(lane.index);
        match lane.role {
            Role::Users => self.users[index].end_step(last),
            Role::Products => self.products[index].end_step(last),
        }
    }

    /// Folds a whole step.
    pub(super) fn step(&mut self, lane: Lane, step: &Step, desk: &mut Desk<'_>) {
        for entry in &step.entries {
            desk.place.sequence = Some(entry.sequence);
            self.entry(lane, entry, desk);
        }
        self.end_step(lane, step);
    }

    /// Hands out every lane's rows, users first. A lane whose fold broke has none.
    pub(super) fn for_each(&self, visit: &mut dyn FnMut(Lane, Option<Rows>)) {
        for (index, fold) in (0..).zip(&self.users) {
            let rows = (!fold.is_broken).then(|| fold.rows());
            visit(Lane { role: Role::Users, index }, rows);
        }
        for (index, fold) in (0..).zip(&self.products) {
            let rows = (!fold.is_broken).then(|| fold.rows());
            visit(Lane { role: Role::Products, index }, rows);
        }
    }
}

/// One hash for all rows of a lane.
pub(super) fn hash(rows: &[(Key, Row)]) -> Hash {
    let mut text = Vec::new();
    let mut hashes = Vec::with_capacity(rows.len() * 32);
    for (_, row) in rows {
        text.clear();
        // Rows are plain data: writing them into memory cannot fail, and an empty text would show
        // in the hash.
        if serde_json::to_writer(&mut text, row).is_ok() {
            hashes.extend_from_slice(&Hash::of(&text).0);
        }
    }
    Hash::of(&hashes)
}
