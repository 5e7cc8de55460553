//! The second pass: the journals alone, folded by reading rows back, must come to the state of the
//! first. On its way it holds the store against the fold.
//!
//! ```text
//!   fold every lane up to its watermark -> look through the store -> fold on, to the end
//! ```
//! A lane that is at its watermark waits for the others: its next steps are read again later.

use super::{
    Failure,
    findings::{Desk, Findings, Invariant, Place},
    fold::Folds,
    frames::Frame,
    horizon::{Horizon, Patience},
    locate,
    records::{Record, Records},
    rows::{Comparison, Source, StoreFacts},
    segments::{Corruption, Directory},
    walk::{Advance, Mark, Walker},
};
use jupan_schemas::{Codec, Hash, Lane, Role, Step, TopicId};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Beside a running shop: a lane that came so near to its watermark is near enough.
const NEAR: Duration = Duration::from_millis(200);
/// Beside a running shop: so often the watermarks are followed before the rows are looked through.
const ROUNDS_MAX: usize = 8;
/// How long a running shop may take to bring its rows to disk.
const DISK_WAIT_MAX: Duration = Duration::from_secs(30);
/// How often it is asked meanwhile.
const DISK_PAUSE: Duration = Duration::from_millis(50);

/// Hashes of every lane's rows; `None` where the lane could not be folded to its end.
pub(super) type Hashes = Vec<(Lane, Option<Hash>)>;

/// What the second pass came to.
pub(super) struct Refolded {
    pub(super) hashes: Hashes,
    pub(super) findings: Findings,
    pub(super) corruption: Option<Corruption>,
    pub(super) store: Option<StoreFacts>,
}

/// Folds every journal again, and holds the store's rows against it. `bytes` tells how far it is;
/// beside a running shop `horizon` follows it.
pub(super) fn run(
    directory: &Directory,
    source: Option<Box<dyn Source>>,
    was_drained: bool,
    horizon: &Horizon,
    bytes: &AtomicU64,
) -> Result<Refolded, Failure> {
    let lanes = directory.lanes;
    let comparison = source.map(|source| Comparison::begin(source, lanes)).transpose()?;
    let folding = Folding {
        lanes,
        codec: directory.codec.clone(),
        folds: Folds::new(lanes, true),
        findings: Findings::default(),
        comparison,
    };
    let walker = Walker::new(directory);
    let patience = Patience::default();
    let mut pass = Pass { walker, folding, mark: None, furthest: 0, patience, horizon, bytes };
    pass.fold_to_watermarks()?;
    pass.look_through()?;
    pass.fold_on()?;
    pass.finish(directory, was_drained)
}

/// The pass on its way.
struct Pass<'a> {
    walker: Walker<'a>,
    folding: Folding,
    /// The first frame with a step that was left for later.
    mark: Option<Mark>,
    furthest: u64,
    patience: Patience,
    horizon: &'a Horizon,
    bytes: &'a AtomicU64,
}

impl Pass<'_> {
    /// Folds one frame more; says whether there may be another.
    fn step(&mut self) -> Result<bool, Failure> {
        let mark = self.walker.mark();
        match self.walker.advance()? {
            Advance::Over => return Ok(false),
            Advance::Pause => self.patience.wait(&self.walker)?,
            Advance::Frame => {
                self.patience.renew();
                if let Some(frame) = self.walker.frame()
                    && self.folding.frame(&frame)
                {
                    self.mark.get_or_insert(mark);
                }
                self.furthest = self.furthest.max(self.walker.walk.end);
                self.bytes.store(self.furthest, Ordering::Relaxed);
                self.horizon.raise(self.furthest);
            }
        }
        Ok(true)
    }

    /// Goes back to what was left for later.
    fn rewind(&mut self) {
        if let Some(mark) = self.mark.take() {
            self.walker.rewind(mark);
        }
    }

    fn fold_to_watermarks(&mut self) -> Result<(), Failure> {
        for _ in 0..ROUNDS_MAX {
            let began = Instant::now();
            while self.folding.comparison.as_ref().is_some_and(|rows| !rows.is_at_watermarks()) {
                if !self.step()? {
                    return Ok(());
                }
            }
            let Some(rows) = &mut self.folding.comparison else { return Ok(()) };
            if !rows.is_running() || began.elapsed() < NEAR {
                return Ok(());
            }
            rows.ask()?;
            self.rewind();
        }
        Ok(())
    }

    fn look_through(&mut self) -> Result<(), Failure> {
        let Some(rows) = &mut self.folding.comparison else { return Ok(()) };
        if self.walker.walk.corruption.is_some() {
            return Ok(());
        }
        let began = Instant::now();
        while rows.is_running() && !rows.is_persisted()? {
            if began.elapsed() > DISK_WAIT_MAX {
                return Err(Failure::Unsaved);
            }
            // tidy: allow(sleep) the shop brings its rows to disk when it likes
            std::thread::sleep(DISK_PAUSE);
        }
        rows.scan(&mut self.folding.folds)
    }

    /// Folds what is left: all of it at rest, and beside a running shop what was durable when its
    /// rows had been told.
    fn fold_on(&mut self) -> Result<(), Failure> {
        let rows = self.folding.comparison.as_mut();
        let ends = rows.map(Comparison::durable).transpose()?.flatten();
        self.rewind();
        loop {
            let is_enough = ends.as_ref().is_some_and(|ends| {
                let rows = self.folding.comparison.as_ref();
                rows.is_some_and(|rows| rows.is_at(ends)) && self.walker.walk.end >= self.furthest
            });
            if is_enough || !self.step()? {
                return Ok(());
            }
        }
    }

    fn finish(self, directory: &Directory, was_drained: bool) -> Result<Refolded, Failure> {
        let Folding { mut folds, mut findings, comparison, .. } = self.folding;
        let corruption = self.walker.walk.corruption;
        let mut store = None;
        if let Some(mut rows) = comparison {
            if corruption.is_none() {
                rows.finish(&mut folds, was_drained);
            }
            locate::complete(directory, self.furthest, rows.places())?;
            store = Some(rows.report(&mut findings));
        }
        Ok(Refolded { hashes: folds.hashes(&mut |_, _| {}), findings, corruption, store })
    }
}

/// What frames are folded into.
struct Folding {
    lanes: u16,
    codec: Codec,
    folds: Folds,
    findings: Findings,
    comparison: Option<Comparison>,
}

impl Folding {
    /// Folds a frame's steps; says whether one of them was left for later.
    fn frame(&mut self, frame: &Frame<'_>) -> bool {
        let mut is_for_later = false;
        // What cannot be read is a finding of the first pass.
        for record in Records::of(frame.payload).into_iter().flatten().flatten() {
            let Some(lane) = journal_of(&record, self.lanes) else { continue };
            if let Some(rows) = &self.comparison {
                if rows.is_done(lane, record.at.offset) {
                    continue;
                }
                if rows.is_for_later(lane, record.at.offset) {
                    is_for_later = true;
                    continue;
                }
            }
            let Ok(step) = self.codec.decode::<Step>(record.value) else { continue };
            let place = Place {
                segment: Some(frame.segment),
                position: Some(frame.position),
                record: Some(record.at),
                lane: Some(lane),
                step: Some(step.number),
                ..Place::default()
            };
            self.step(lane, &step, place);
            if let Some(rows) = &mut self.comparison {
                rows.step(lane, record.at.offset, &step);
            }
        }
        is_for_later
    }

    fn step(&mut self, lane: Lane, step: &Step, place: Place) {
        let mut desk = Desk { findings: &mut self.findings, place };
        for entry in &step.entries {
            desk.place.sequence = Some(entry.sequence);
            self.folds.entry(lane, entry, &mut desk);
            if let Some(rows) = &mut self.comparison {
                rows.entry(lane, entry, &mut self.folds);
            }
        }
        let last = step.entries.last().map_or(0, |entry| entry.sequence);
        self.folds.end_step(lane, last, &|_| true);
    }
}

/// Whose journal a record is of, if it is one of these lanes'.
pub(super) fn journal_of(record: &Record<'_>, lanes: u16) -> Option<Lane> {
    let role = match record.at.topic {
        TopicId::UserJournal => Role::Users,
        TopicId::ProductJournal => Role::Products,
        _ => return None,
    };
    let index = record.at.partition;
    (index < lanes).then_some(Lane { role, index })
}

/// Both folds must come to the same rows. Returns one hash for all of them.
pub(super) fn compare(first: &Hashes, again: Refolded, findings: &mut Findings) -> Option<String> {
    let is_whole =
        |lane: Option<Lane>| first.iter().any(|(own, hash)| Some(*own) == lane && hash.is_some());
    // Where the first fold broke as well, it has said so.
    findings.extend(again.findings, |finding| {
        finding.invariant != Invariant::Journal || is_whole(finding.place.lane)
    });
    let mut all = Vec::new();
    for ((lane, one), (_, other)) in first.iter().zip(&again.hashes) {
        let place = Place { lane: Some(*lane), ..Place::default() };
        let mut desk = Desk { findings: &mut *findings, place };
        desk.same(Invariant::Journal, "state hash of the second fold", one, other);
        all.push(one.map(|hash| hash.0));
    }
    let all: Option<Vec<[u8; 32]>> = all.into_iter().collect();
    all.map(|hashes| Hash::of(hashes.as_flattened()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_state_the_second_time_is_found() {
        let lane = Lane { role: Role::Products, index: 3 };
        let first = vec![(lane, Some(Hash::of(b"one")))];
        for (hash, found) in [(Some(Hash::of(b"one")), 0), (Some(Hash::of(b"other")), 1), (None, 1)]
        {
            let mut findings = Findings::default();
            let again = Refolded {
                hashes: vec![(lane, hash)],
                findings: Findings::default(),
                corruption: None,
                store: None,
            };
            assert!(compare(&first, again, &mut findings).is_some());
            assert_eq!(findings.count(Invariant::Journal), found);
        }
    }
}
