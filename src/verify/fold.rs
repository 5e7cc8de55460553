//! State = fold(journal), twice. The first fold keeps everything that is open in memory, as a
//! running lane does, and what has ended for a while. The second forgets all it can after every step
//! and reads rows back, as a lane does that has been restored. Both must come to the same rows.

use super::{
    findings::{Desk, Invariant},
    shelf::{Shelf, has_ended, pack},
};
use hashbrown::HashSet;
use jupan_ledger::{Broken, Core, products::Products, users::Users};
use jupan_schemas::{
    Entry, Hash, Lane, Role,
    rows::{HoldRow, Key, Row},
};

const RULE: Invariant = Invariant::Journal;

/// The second fold forgets as soon as it has more cells than this in memory.
const CELLS_KEPT_MAX: usize = 64;

/// The first fold forgets what has ended so many entries ago; in tests, too, something comes to that.
const ENTRIES_REMEMBERED: u64 = if cfg!(test) { 20 } else { 16_384 };

/// Whether an ended hold is as it should be: then nothing asks for it any more.
pub(super) type FitsHold<'a> = &'a dyn Fn(&HoldRow) -> bool;

/// One lane's fold.
struct Fold<C> {
    core: C,
    shelf: Shelf,
    /// Keys of what a fold never forgets; none: it forgets everything.
    open: Option<HashSet<Key>>,
    is_broken: bool,
    wanted: Vec<Key>,
    changed: Vec<Row>,
}

impl<C: Core> Fold<C> {
    fn new(lane: u16, forgets: bool) -> Self {
        Self {
            core: C::new(lane),
            shelf: Shelf::default(),
            open: (!forgets).then(HashSet::new),
            is_broken: false,
            wanted: Vec::new(),
            changed: Vec::new(),
        }
    }

    /// Looks up what an entry needs and memory lacks. Loaded cells may name further ones.
    fn fetch(&mut self, entry: &Entry) -> Result<(), Broken> {
        self.wanted.clear();
        self.core.entry_footprint(entry, &mut self.wanted);
        loop {
            self.core.retain_missing(&mut self.wanted);
            if self.wanted.is_empty() {
                return Ok(());
            }
            for key in self.wanted.drain(..) {
                self.core.load(key, self.shelf.row(key))?;
            }
            self.core.entry_footprint(entry, &mut self.wanted);
        }
    }
}

/// One lane's fold, of whichever role.
trait AnyFold {
    /// Folds one entry; a lane whose entry does not fit its state is not folded any further.
    fn entry(&mut self, entry: &Entry, desk: &mut Desk<'_>);

    /// Ends a step: what may be forgotten is.
    fn end_step(&mut self, last: u64, fits: FitsHold<'_>);

    /// One hash for all rows but those of ended holds, in whatever order; none of a fold that broke.
    /// A fold that does not forget hands every row out on the way.
    fn hash(&self, visit: &mut dyn FnMut(&Row)) -> Option<Hash>;

    /// A row as of the last entry, where its cell is in memory.
    fn row(&self, key: Key) -> Option<Row>;

    /// The rows that were put away; none of a fold that broke.
    fn shelf(&mut self) -> Option<&mut Shelf>;
}

impl<C: Core> AnyFold for Fold<C> {
    fn entry(&mut self, entry: &Entry, desk: &mut Desk<'_>) {
        if self.is_broken {
            return;
        }
        if let Err(broken) = self.fetch(entry).and_then(|()| self.core.evolve(entry)) {
            self.is_broken = true;
            desk.fault(RULE, "fold of the entry", "a state that it fits", broken);
        }
    }

    fn end_step(&mut self, last: u64, fits: FitsHold<'_>) {
        let Self { core, shelf, open, changed, .. } = self;
        core.take_changed(changed);
        for row in changed.drain(..) {
            let Some(key) = row.key() else { continue };
            let is_open = !has_ended(&row) && !is_ended_hold(&row);
            match (open.as_mut(), &row) {
                (Some(open), _) if is_open => drop(open.insert(key)),
                (open, row) => {
                    open.map(|open| open.remove(&key));
                    match row {
                        Row::Hold(hold) if !is_open && fits(hold) => shelf.remove(key),
                        row => shelf.put(row),
                    }
                }
            }
        }
        match open {
            Some(_) => drop(core.release(last.saturating_sub(ENTRIES_REMEMBERED))),
            None => {
                core.release(last);
                if core.cells() > CELLS_KEPT_MAX {
                    core.trim(last, 0);
                }
            }
        }
    }

    fn hash(&self, visit: &mut dyn FnMut(&Row)) -> Option<Hash> {
        if self.is_broken {
            return None;
        }
        let mut sum = Sum::default();
        let mut take = |bytes: &[u8], row: Option<Row>| {
            if !row.as_ref().is_some_and(is_ended_hold) {
                sum.add(bytes);
            }
            row.iter().for_each(&mut *visit);
        };
        // A fold that forgets has no ended holds: its rows need not be looked into.
        let looks_into = self.open.is_some();
        for (_, kept) in self.shelf.iter() {
            take(kept.bytes, looks_into.then(|| kept.row()).flatten());
        }
        for row in self.open.iter().flatten().filter_map(|key| self.core.row(*key)) {
            take(&pack(&row), Some(row));
        }
        Some(sum.hash())
    }

    fn row(&self, key: Key) -> Option<Row> {
        self.core.row(key)
    }

    fn shelf(&mut self) -> Option<&mut Shelf> {
        Some(&mut self.shelf).filter(|_| !self.is_broken)
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
    /// Folds that keep what is open in memory, or that forget everything and read it back.
    pub(super) fn new(lanes: u16, forgets: bool) -> Self {
        Self {
            users: (0..lanes).map(|lane| Fold::new(lane, forgets)).collect(),
            products: (0..lanes).map(|lane| Fold::new(lane, forgets)).collect(),
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

    /// Ends a step: what may be forgotten is. An ended hold that does not fit is kept to the end.
    pub(super) fn end_step(&mut self, lane: Lane, last: u64, fits: FitsHold<'_>) {
        if let Some(fold) = self.of(lane) {
            fold.end_step(last, fits);
        }
    }

    /// A row as of the last entry, where its cell is in memory.
    pub(super) fn row(&mut self, lane: Lane, key: Key) -> Option<Row> {
        self.of(lane)?.row(key)
    }

    /// The rows that a lane has put away; none of a lane whose fold broke.
    pub(super) fn shelf(&mut self, lane: Lane) -> Option<&mut Shelf> {
        self.of(lane)?.shelf()
    }

    /// Every lane's hash, users first. Folds that do not forget hand every row out on the way.
    pub(super) fn hashes(&self, visit: &mut dyn FnMut(Lane, &Row)) -> Vec<(Lane, Option<Hash>)> {
        let users = self.users.iter().map(|fold| fold as &dyn AnyFold);
        let products = self.products.iter().map(|fold| fold as &dyn AnyFold);
        let lane = |role| move |(index, fold)| (Lane { role, index }, fold);
        let users = (0..).zip(users).map(lane(Role::Users));
        let all = users.chain((0..).zip(products).map(lane(Role::Products)));
        all.map(|(lane, fold)| (lane, fold.hash(&mut |row| visit(lane, row)))).collect()
    }
}

/// A sum over rows that comes out the same in any order: each word of their hashes, and their
/// number.
#[derive(Default)]
struct Sum {
    words: [u64; 4],
    rows: u64,
}

impl Sum {
    fn add(&mut self, row: &[u8]) {
        let hash = Hash::of(row).0;
        let (words, _) = hash.as_chunks::<8>();
        for (sum, word) in self.words.iter_mut().zip(words) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*word));
        }
        self.rows += 1;
    }

    fn hash(&self) -> Hash {
        let [a, b, c, d] = self.words;
        Hash::of([a, b, c, d, self.rows].map(u64::to_le_bytes).as_flattened())
    }
}
