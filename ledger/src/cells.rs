//! Cells in memory: one map a kind of row, with what folding, projecting and forgetting need to
//! know about each.
//!
//! A cell *is* its row. Whoever is handed the row shares it, and a later change is made to a copy:
//! so a lane projects a row without copying it, and reads one back the same way.

use crate::Broken;
use hashbrown::DefaultHashBuilder;
use indexmap::{IndexMap, map::Entry as Place};
use jupan_schemas::{
    Change, Entry, Micros,
    planted::{Bug, is_planted},
    rows::AsOf,
};
use std::{collections::VecDeque, fmt::Display, hash::Hash, mem, sync::Arc};

/// When an entry happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Its place in the lane's journal.
    pub(crate) as_of: AsOf,
    /// Append time of its input.
    pub(crate) at: Micros,
}

impl Moment {
    /// The moment of an entry; `None` where it has no input and so changes no cell.
    pub(crate) fn of(entry: &Entry) -> Option<Self> {
        let as_of = AsOf { sequence: entry.sequence, stamp: entry.stamp };
        entry.input.map(|input| Self { as_of, at: input.at })
    }
}

/// Checks an entry without input: it only says that the lane has a new owner.
pub(crate) fn check_opened(entry: &Entry) -> Result<(), Broken> {
    let only_opens = entry.changes.iter().all(|change| matches!(change, Change::Opened(_)));
    if only_opens && entry.postings.is_empty() {
        return Ok(());
    }
    Err(Broken::about("entry", entry.sequence, "it changes something without an input"))
}

/// What a row says about its stay in memory.
pub(crate) trait Cell: Clone {
    /// The last entry that changed it.
    fn as_of(&self) -> AsOf;

    /// Notes the last entry that changed it.
    fn set_as_of(&mut self, as_of: AsOf);

    /// Stays in memory, whatever else has to go.
    fn is_pinned(&self) -> bool {
        false
    }

    /// Hardly anything will ask for it again: it leaves as soon as the store has it.
    fn is_spent(&self) -> bool {
        false
    }
}

/// Which cells one turn of [`Cells::trim`] drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Those that nobody used since the last turn; the others lose their mark.
    Unused,
    /// All that may be dropped at all.
    Any,
}

/// The cells of one kind that are in memory.
pub(crate) struct Cells<K, V> {
    kind: &'static str,
    slots: IndexMap<K, Slot<V>, DefaultHashBuilder>,
    /// Which slot is asked next to leave.
    hand: usize,
    /// Changed since the last [`Cells::take_changed`], each once.
    changed: Vec<K>,
    /// Spent ones with the entry that spent them, in the journal's order.
    spent: VecDeque<(u64, K)>,
    /// Looked up, and found not to exist.
    absent: Vec<K>,
}

struct Slot<V> {
    /// `None`: it was looked up and does not exist.
    value: Option<Arc<V>>,
    /// Asked for since the hand last passed.
    is_used: bool,
    /// Among the changed ones.
    is_changed: bool,
}

impl<V> Slot<V> {
    fn new(value: Option<Arc<V>>) -> Self {
        Self { value, is_used: true, is_changed: false }
    }
}

impl<K: Copy + Eq + Hash + Display, V: Cell> Cells<K, V> {
    /// No cells; `kind` names them in errors.
    pub(crate) fn new(kind: &'static str) -> Self {
        Self {
            kind,
            slots: IndexMap::default(),
            hand: 0,
            changed: Vec::new(),
            spent: VecDeque::new(),
            absent: Vec::new(),
        }
    }

    /// How many are in memory, those that do not exist included.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Marks a cell as used; whether it is in memory.
    pub(crate) fn touch(&mut self, key: K) -> bool {
        self.slots.get_mut(&key).map(|slot| slot.is_used = true).is_some()
    }

    /// Puts a looked-up cell into memory, unless it is there: memory is never behind the rows.
    pub(crate) fn load(&mut self, key: K, found: Option<Arc<V>>) {
        let Place::Vacant(place) = self.slots.entry(key) else { return };
        match &found {
            None => self.absent.push(key),
            Some(row) if row.is_spent() => self.spent.push_back((row.as_of().sequence, key)),
            Some(_) => {}
        }
        place.insert(Slot::new(found));
    }

    /// The cell, or `None` where it does not exist.
    ///
    /// # Errors
    /// [`Broken`] where it was not looked up.
    pub(crate) fn find(&self, key: K) -> Result<Option<&V>, Broken> {
        let slot = self.slots.get(&key).ok_or_else(|| self.broken(key, "not loaded"))?;
        Ok(slot.value.as_deref())
    }

    /// The cell, where it exists and is in memory.
    pub(crate) fn peek(&self, key: K) -> Option<&Arc<V>> {
        self.slots.get(&key)?.value.as_ref()
    }

    /// The content of a cell that an entry changes; `None` where the cell is already that far.
    fn behind(&mut self, key: K, now: &Moment) -> Result<Option<&mut Option<Arc<V>>>, Broken> {
        let kind = self.kind;
        let slot = self.slots.get_mut(&key);
        let slot = slot.ok_or_else(|| Broken::about(kind, key, "not loaded"))?;
        let known = slot.value.as_ref().map_or(0, |row| row.as_of().sequence);
        let is_behind = known < now.as_of.sequence || is_planted(Bug::DoubleFold);
        Ok(is_behind.then_some(&mut slot.value))
    }

    /// Makes a cell that does not exist.
    pub(crate) fn create(&mut self, key: K, now: &Moment, value: V) -> Result<(), Broken> {
        match self.behind(key, now)? {
            Some(Some(_)) => Err(self.broken(key, "exists already")),
            Some(empty) => {
                *empty = Some(Arc::new(value));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Makes or replaces a cell that nothing else can have made: it need not be looked up.
    pub(crate) fn put_unseen(&mut self, key: K, now: &Moment, value: V) -> Result<(), Broken> {
        self.slots.entry(key).or_insert_with(|| Slot::new(None));
        self.put(key, now, value)
    }

    /// Makes or replaces a cell.
    pub(crate) fn put(&mut self, key: K, now: &Moment, value: V) -> Result<(), Broken> {
        if let Some(content) = self.behind(key, now)? {
            *content = Some(Arc::new(value));
        }
        Ok(())
    }

    /// A cell to change; `None` where it is already that far.
    pub(crate) fn change(&mut self, key: K, now: &Moment) -> Result<Option<&mut V>, Broken> {
        let kind = self.kind;
        let Some(content) = self.behind(key, now)? else { return Ok(None) };
        match content {
            Some(row) => Ok(Some(Arc::make_mut(row))),
            None => Err(Broken::about(kind, key, "does not exist")),
        }
    }

    /// A cell to change, where there is one that is not yet that far.
    pub(crate) fn change_known(&mut self, key: K, now: &Moment) -> Result<Option<&mut V>, Broken> {
        Ok(self.behind(key, now)?.and_then(Option::as_mut).map(Arc::make_mut))
    }

    /// Declares that all an entry changes in a cell is done, once for each of its cells: several
    /// changes of one cell in one entry all apply, and the entry as a whole never twice.
    pub(crate) fn seal(&mut self, key: K, now: &Moment) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let Some(row) = &mut slot.value else { return };
        if row.as_of().sequence >= now.as_of.sequence {
            return;
        }
        let row = Arc::make_mut(row);
        row.set_as_of(now.as_of);
        if row.is_spent() {
            self.spent.push_back((now.as_of.sequence, key));
        }
        if !mem::replace(&mut slot.is_changed, true) {
            self.changed.push(key);
        }
    }

    /// Hands out the cells that were changed since the last call.
    pub(crate) fn take_changed(&mut self, mut take: impl FnMut(&Arc<V>)) {
        for key in self.changed.drain(..) {
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            slot.is_changed = false;
            slot.value.iter().for_each(&mut take);
        }
    }

    /// Forgets what is of no more use: cells that do not exist, and spent ones that the store has.
    /// Returns how many. Costs about what it forgets.
    pub(crate) fn release(&mut self, acknowledged: u64) -> usize {
        let before = self.slots.len();
        for key in self.absent.drain(..) {
            if self.slots.get(&key).is_some_and(|slot| slot.value.is_none()) {
                self.slots.swap_remove(&key);
            }
        }
        let is_due = |(sequence, _): &(u64, K)| *sequence <= acknowledged;
        let due = self.spent.iter().take_while(|spent| is_due(spent)).count();
        for (_, key) in self.spent.drain(..due) {
            let row = self.slots.get(&key).and_then(|slot| slot.value.as_deref());
            if row.is_some_and(|row| row.is_spent() && is_acknowledged(row, acknowledged)) {
                self.slots.swap_remove(&key);
            }
        }
        before - self.slots.len()
    }

    /// Asks each cell once to leave, until `excess` have left; returns how many did.
    pub(crate) fn trim(&mut self, acknowledged: u64, excess: usize, turn: Turn) -> usize {
        let mut dropped = 0;
        for _ in 0..self.slots.len() {
            if dropped == excess {
                break;
            }
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            let Some((_, slot)) = self.slots.get_index_mut(self.hand) else { break };
            if slot.stays(acknowledged, turn) {
                self.hand += 1;
            } else {
                // The last cell takes its place, and is the next one to be asked.
                self.slots.swap_remove_index(self.hand);
                dropped += 1;
            }
        }
        dropped
    }

    fn broken(&self, key: K, what: &'static str) -> Broken {
        Broken::about(self.kind, key, what)
    }
}

/// Whether the store has a row as it is in memory.
fn is_acknowledged(row: &impl Cell, acknowledged: u64) -> bool {
    row.as_of().sequence <= acknowledged || is_planted(Bug::DirtyEvicted)
}

impl<V: Cell> Slot<V> {
    fn stays(&mut self, acknowledged: u64, turn: Turn) -> bool {
        let is_kept = |row: &Arc<V>| row.is_pinned() || !is_acknowledged(&**row, acknowledged);
        if self.is_changed || self.value.as_ref().is_some_and(is_kept) {
            return true;
        }
        turn == Turn::Unused && mem::take(&mut self.is_used)
    }
}
