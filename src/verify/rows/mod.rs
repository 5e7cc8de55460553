//! Invariants 7 and 9: the store against the journal. Every row says which entry of its lane it is
//! as of, so every row is compared with the fold at exactly that entry, however far ahead of its
//! lane's watermark it is, and while the shop writes.
//!
//! ```text
//!   fold up to each lane's watermark -> look through the store -> fold on
//!     at or before the watermark: compared at once; what is missing or older is a fault
//!     behind it: put aside until the fold comes to its entry
//! ```

mod aside;
mod compare;
mod dumped;
mod faults;
mod running;
mod source;
mod statements;

use super::{
    Failure,
    findings::{Findings, Invariant, Place, RowName},
    fold::Folds,
    lanes::PerLane,
};
use aside::Aside;
pub(super) use dumped::dump;
use faults::{At, Faults};
use jupan_schemas::{
    Entry, Lane, Positions, Stamp, Step,
    rows::{Row, Watermark},
};
use jupan_store::LaneProgress;
pub(super) use running::running;
use serde::Serialize;
pub(super) use source::{Rows, Source, at_rest};
use statements::Statements;

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoreFacts {
    /// Where the rows came from, or why there are none.
    pub(crate) source: &'static str,
    /// Rows and places in lists that were held against the journal.
    pub(crate) rows: u64,
    /// Entries of all lanes that the store does not have yet, for sure.
    pub(crate) behind: u64,
}

/// What is known of one lane.
#[derive(Default)]
struct LaneState {
    /// As the store says.
    told: Option<LaneProgress>,
    /// Journal offset of the next step to be folded.
    next: u64,
    /// Sequence of the last entry that was folded.
    last: u64,
    /// The same when the rows were looked through.
    compared: u64,
    /// Highest sequence of a row that is as it should be.
    highest: u64,
}

impl LaneState {
    fn watermark(&self) -> Option<Watermark> {
        self.told?.visible
    }

    /// Up to which offset the journal is folded before the rows are looked through.
    fn stop(&self) -> u64 {
        self.watermark().map_or(0, |watermark| watermark.journal)
    }
}

/// The store, on its way to be proved.
pub(super) struct Comparison {
    source: Box<dyn Source>,
    lanes: u16,
    states: PerLane<LaneState>,
    statements: Statements,
    aside: Aside,
    faults: Faults,
    facts: StoreFacts,
    is_scanned: bool,
}

impl Comparison {
    /// Asks how far the store is.
    pub(super) fn begin(source: Box<dyn Source>, lanes: u16) -> Result<Self, Failure> {
        let facts = StoreFacts { source: source.name(), ..StoreFacts::default() };
        let mut comparison = Self {
            source,
            lanes,
            states: PerLane::new(lanes, |_| LaneState::default()),
            statements: Statements::new(lanes),
            aside: Aside::default(),
            faults: Faults::default(),
            facts,
            is_scanned: false,
        };
        comparison.ask()?;
        Ok(comparison)
    }

    /// Asks again how far the store is.
    pub(super) fn ask(&mut self) -> Result<(), Failure> {
        for told in self.source.progress()? {
            match self.states.get_mut(told.lane) {
                Some(state) => state.told = Some(told),
                None => self.foreign_lane(told.lane),
            }
        }
        Ok(())
    }

    fn foreign_lane(&mut self, lane: Lane) {
        let place = Place { lane: Some(lane), row: Some(RowName::Watermark), ..Place::default() };
        let expected = format!("one of {} lanes", self.lanes);
        self.faults.anywhere(Invariant::Rows, place, "watermark of a lane", expected, lane);
    }

    /// Whether a step waits until the rows were looked through.
    pub(super) fn is_for_later(&self, lane: Lane, offset: u64) -> bool {
        let state = self.states.get(lane);
        !self.is_scanned && state.is_none_or(|state| offset >= state.stop())
    }

    /// Whether a step was folded before.
    pub(super) fn is_done(&self, lane: Lane, offset: u64) -> bool {
        self.states.get(lane).is_some_and(|state| offset < state.next)
    }

    /// Whether every lane is folded up to its watermark.
    pub(super) fn is_at_watermarks(&self) -> bool {
        self.states.iter().all(|(_, state)| state.next >= state.stop())
    }

    /// Whether every lane is folded up to these offsets.
    pub(super) fn is_at(&self, ends: &[(Lane, u64)]) -> bool {
        let is_at = |(lane, end): &(Lane, u64)| {
            self.states.get(*lane).is_some_and(|state| state.next >= *end)
        };
        ends.iter().all(is_at)
    }

    /// Whether the rows move while they are told.
    pub(super) fn is_running(&self) -> bool {
        self.source.is_running()
    }

    /// Whether everything that was folded is on the store's disk by now.
    pub(super) fn is_persisted(&mut self) -> Result<bool, Failure> {
        let told = self.source.progress()?;
        let is_persisted = |(lane, state): &(Lane, LaneState)| {
            let told = told.iter().find(|told| told.lane == *lane);
            let persisted = told.and_then(|told| told.persisted);
            persisted.map_or(0, |watermark| watermark.journal) >= state.next
        };
        Ok(self.states.iter().all(is_persisted))
    }

    /// Up to which offset each lane's journal is durable by now; `None` where nobody writes.
    pub(super) fn durable(&mut self) -> Result<Option<Vec<(Lane, u64)>>, Failure> {
        self.source.durable()
    }

    /// Takes an entry in that was just folded.
    pub(super) fn entry(&mut self, lane: Lane, entry: &Entry, folds: &mut Folds) {
        let line = statements::line(lane, entry);
        if let Some(state) = self.states.get_mut(lane) {
            state.last = entry.sequence;
        }
        if !self.is_scanned {
            if let Some(line) = line {
                self.statements.add(lane, line);
            }
            return;
        }
        let waiting = self.aside.take(lane, entry.sequence);
        let is_known = folds.shelf(lane).is_some();
        for waiting in waiting.into_iter().filter(|_| is_known) {
            let expected = match waiting.name {
                RowName::Key(key) => folds.row(lane, key),
                _ => line.clone().map(Row::from),
            };
            self.settle(lane, entry.sequence, &waiting, expected.as_ref());
        }
    }

    /// Takes a step in whose entries were all folded.
    pub(super) fn step(&mut self, lane: Lane, offset: u64, step: &Step) {
        let Some(state) = self.states.get_mut(lane) else { return };
        state.next = offset.saturating_add(1);
        let Some(watermark) = state.watermark().filter(|told| told.journal == state.next) else {
            return;
        };
        let last = step.entries.last();
        let own = Watermark {
            step: step.number,
            journal: state.next,
            sequence: last.map_or(0, |entry| entry.sequence),
            stamp: last.map_or(Stamp(0), |entry| entry.stamp),
            positions: step.positions,
        };
        if own != watermark {
            let at =
                At { row: RowName::Watermark, lane, sequence: own.sequence, stamp: own.stamp.0 };
            let (own, watermark) = (format!("{own:?}"), format!("{watermark:?}"));
            self.faults.at(Invariant::Rows, at, "watermark", own, watermark);
        }
    }

    /// Ends the comparison: the journal is read as far as it goes, or as it is needed.
    pub(super) fn finish(&mut self, folds: &mut Folds, was_drained: bool) {
        self.judge_left_over(folds);
        self.judge_missing(folds);
        for (lane, state) in self.states.iter() {
            let last = (state.next, state.last);
            let place =
                Place { lane: Some(*lane), row: Some(RowName::Watermark), ..Place::default() };
            let watermark = state.watermark();
            let told = watermark.map_or((0, 0), |told| (told.journal, told.sequence));
            self.facts.behind += last.1.saturating_sub(told.1);
            let is_of_nothing = watermark.is_some_and(|told| {
                told.journal == 0 && (told.step > 0 || told.positions != Positions::default())
            });
            let applied = state.told.map_or(u64::MAX, |told| told.applied);
            // A running shop's rows move on while they are told.
            if !self.source.is_running() && applied < state.highest {
                let expected = format!("at least {}, which a row has", state.highest);
                let about = "highest sequence of the lane's rows";
                self.faults.anywhere(Invariant::Rows, place, about, expected, applied);
            }
            if told.0 > last.0 || is_of_nothing {
                let expected = format!("at most {}, where the journal ends", last.0);
                let about = "journal offset of the watermark";
                self.faults.anywhere(Invariant::Rows, place, about, expected, told.0);
            } else if was_drained && told.0 < last.0 {
                let about = "journal offset of the watermark after a drain";
                self.faults.anywhere(Invariant::Reads, place, about, last.0, told.0);
            }
        }
    }

    /// What is to be told, with places that still lack step and position.
    pub(super) fn places(&mut self) -> impl Iterator<Item = &mut Place> {
        self.faults.places()
    }

    /// Hands everything over.
    pub(super) fn report(self, findings: &mut Findings) -> StoreFacts {
        self.faults.report(findings);
        self.facts
    }
}
