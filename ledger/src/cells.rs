//! Cells in memory: one map a kind of row, with what `evolve` and `trim` need to know about each.

use crate::Broken;
use hashbrown::HashMap;
use jupan_schemas::{
    Change, Entry, Micros,
    planted::{Bug, is_planted},
    rows::AsOf,
};
use std::{collections::VecDeque, fmt::Display, hash::Hash};

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

/// What a kind of cell says about its stay in memory.
pub(crate) trait Cell {
    /// Stays in memory, whatever else has to go.
    fn is_pinned(&self) -> bool {
        false
    }

    /// Nothing will ask for it again: goes first.
    fn is_spent(&self) -> bool {
        false
    }
}

/// Which cells one turn of [`Cells::trim`] drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Only those of no more use.
    Spent,
    /// Also those that nobody used since the last turn; the others lose their mark.
    Unused,
    /// All that may be dropped at all.
    Any,
}

/// The cells of one kind that are in memory.
pub(crate) struct Cells<K, V> {
    kind: &'static str,
    slots: HashMap<K, Slot<V>>,
    /// Every key of `slots` once: the order in which cells are asked to leave.
    ring: VecDeque<K>,
}

struct Slot<V> {
    /// `None`: it was looked up and does not exist.
    value: Option<V>,
    as_of: AsOf,
    used: bool,
}

impl<K: Copy + Eq + Hash + Display, V: Cell> Cells<K, V> {
    /// No cells; `kind` names them in errors.
    pub(crate) fn new(kind: &'static str) -> Self {
        Self { kind, slots: HashMap::new(), ring: VecDeque::new() }
    }

    /// How many are in memory, those that do not exist included.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Marks a cell as used; whether it is in memory.
    pub(crate) fn touch(&mut self, key: K) -> bool {
        self.slots.get_mut(&key).map(|slot| slot.used = true).is_some()
    }

    /// Puts a looked-up cell into memory, unless it is there: memory is never behind the rows.
    pub(crate) fn load(&mut self, key: K, found: Option<(V, AsOf)>) {
        let (value, as_of) = found.map_or((None, AsOf::default()), |(v, as_of)| (Some(v), as_of));
        if self.slots.try_insert(key, Slot { value, as_of, used: true }).is_ok() {
            self.ring.push_back(key);
        }
    }

    /// The cell, or `None` where it does not exist.
    ///
    /// # Errors
    /// [`Broken`] where it was not looked up.
    pub(crate) fn find(&self, key: K) -> Result<Option<&V>, Broken> {
        let slot = self.slots.get(&key).ok_or_else(|| self.broken(key, "not loaded"))?;
        Ok(slot.value.as_ref())
    }

    /// The cell and its place in the journal, where it exists and is in memory.
    pub(crate) fn peek(&self, key: K) -> Option<(&V, AsOf)> {
        let slot = self.slots.get(&key)?;
        Some((slot.value.as_ref()?, slot.as_of))
    }

    /// The content of a cell that an entry changes; `None` where the cell is already that far.
    fn behind(&mut self, key: K, now: &Moment) -> Result<Option<&mut Option<V>>, Broken> {
        let kind = self.kind;
        let slot = self.slots.get_mut(&key);
        let slot = slot.ok_or_else(|| Broken::about(kind, key, "not loaded"))?;
        let is_behind = slot.as_of.sequence < now.as_of.sequence || is_planted(Bug::DoubleFold);
        Ok(is_behind.then_some(&mut slot.value))
    }

    /// Makes a cell that does not exist.
    pub(crate) fn create(&mut self, key: K, now: &Moment, value: V) -> Result<(), Broken> {
        match self.behind(key, now)? {
            Some(Some(_)) => Err(self.broken(key, "exists already")),
            Some(empty) => {
                *empty = Some(value);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Makes or replaces a cell.
    pub(crate) fn put(&mut self, key: K, now: &Moment, value: V) -> Result<(), Broken> {
        if let Some(content) = self.behind(key, now)? {
            *content = Some(value);
        }
        Ok(())
    }

    /// A cell to change; `None` where it is already that far.
    pub(crate) fn change(&mut self, key: K, now: &Moment) -> Result<Option<&mut V>, Broken> {
        let kind = self.kind;
        let Some(content) = self.behind(key, now)? else { return Ok(None) };
        match content {
            Some(value) => Ok(Some(value)),
            None => Err(Broken::about(kind, key, "does not exist")),
        }
    }

    /// A cell to change, where there is one that is not yet that far.
    pub(crate) fn change_known(&mut self, key: K, now: &Moment) -> Result<Option<&mut V>, Broken> {
        Ok(self.behind(key, now)?.and_then(Option::as_mut))
    }

    /// Declares that all an entry changes in a cell is done, once for each of its cells: several
    /// changes of one cell in one entry all apply, and the entry as a whole never twice.
    pub(crate) fn seal(&mut self, key: K, now: &Moment) {
        let slot = self.slots.get_mut(&key).filter(|slot| slot.value.is_some());
        if let Some(slot) = slot
            && slot.as_of.sequence < now.as_of.sequence
        {
            slot.as_of = now.as_of;
        }
    }

    /// Asks each cell once to leave, until `excess` have left; returns how many did.
    pub(crate) fn trim(&mut self, acknowledged: u64, excess: usize, turn: Turn) -> usize {
        let mut dropped = 0;
        for _ in 0..self.ring.len() {
            if dropped == excess {
                break;
            }
            let Some(key) = self.ring.pop_front() else { break };
            if self.slots.get_mut(&key).is_some_and(|slot| slot.stays(acknowledged, turn)) {
                self.ring.push_back(key);
            } else {
                self.slots.remove(&key);
                dropped += 1;
            }
        }
        dropped
    }

    fn broken(&self, key: K, what: &'static str) -> Broken {
        Broken::about(self.kind, key, what)
    }
}

impl<V: Cell> Slot<V> {
    fn stays(&mut self, acknowledged: u64, turn: Turn) -> bool {
        let is_pinned = self.value.as_ref().is_some_and(V::is_pinned);
        let is_dirty = self.as_of.sequence > acknowledged && !is_planted(Bug::DirtyEvicted);
        if is_pinned || is_dirty {
            return true;
        }
        let is_spent = self.value.as_ref().is_some_and(V::is_spent);
        match turn {
            Turn::Spent => !is_spent,
            Turn::Unused => !is_spent && std::mem::take(&mut self.used),
            Turn::Any => false,
        }
    }
}
