//! Takeover: becoming the owner of a lane. Fence the predecessor, fold what the store lacks,
//! project it, send its outcomes again, open a new epoch, and go on reading where the journal's
//! tail says.

use crate::{
    draft::Draft,
    head::Head,
    intake::Meta,
    lane::{Parts, Worker},
    metrics::LaneMetrics,
    projection::Projection,
    role::Wired,
    stop::Stop,
    timers::Timers,
};
use jupan_ledger::Decision;
use jupan_log::LogRecord;
use jupan_schemas::{
    Answer, Change, Code, Codec, Lane, Micros, Opened, Step, Verdict,
    planted::{Bug, is_planted},
    rows::{Row, Watermark},
};

impl<C: Wired> Worker<C> {
    /// Takes a lane over and opens it.
    ///
    /// # Errors
    /// [`Stop`]: the lane is not opened.
    pub fn open(parts: &Parts, lane: Lane) -> Result<Self, Stop> {
        let log = parts.log.open(lane)?;
        let mut worker = Self {
            lane,
            rules: parts.rules.clone(),
            limits: parts.limits.clone(),
            core: C::new(lane.index),
            codec: Codec::new(parts.schema_ids.clone()),
            log,
            projection: Projection::new(lane, parts.store.clone(), parts.limits.coalescing()),
            head: Head::new(parts.rules.lanes),
            timers: Timers::default(),
            draft: Draft::new(lane),
            intakes: Vec::new(),
            keys: Vec::new(),
            metrics: LaneMetrics::new(lane),
        };
        let restored = worker.restore(parts);
        restored.map_err(|stop| stop.confirmed_by(worker.log.as_mut()))?;
        tracing::info!(
            %lane,
            epoch = worker.head.epoch,
            step = worker.head.step,
            pending_orders = worker.timers.len(),
            "lane opened"
        );
        Ok(worker)
    }

    /// Becomes what the journal's tail says, and opens an epoch.
    fn restore(&mut self, parts: &Parts) -> Result<(), Stop> {
        self.fold_journal(parts.store.watermark(self.lane)?)?;
        for (order, deadline) in parts.store.open_orders(self.lane)? {
            let deadline = Some(deadline).filter(|_| !is_planted(Bug::HoldOutlivesDeadline));
            self.timers.set(order, deadline);
        }
        let mut positions = self.head.positions;
        positions.commands += u64::from(is_planted(Bug::OffsetSkipped));
        positions.commands -= u64::from(is_planted(Bug::OffsetRepeated)).min(positions.commands);
        self.log.seek(positions)?;
        self.open_epoch()
    }

    /// Folds the journal from the watermark to its tail, and projects what it folds.
    fn fold_journal(&mut self, watermark: Option<Watermark>) -> Result<(), Stop> {
        let Some(tail) = self.log.last_step()? else {
            return match watermark {
                Some(watermark) => Err(self.misfit(watermark.step, STORE_AHEAD)),
                None => Ok(()),
            };
        };
        let last = self.decode(&tail)?;
        if watermark.is_some_and(|watermark| watermark.step > last.number) {
            return Err(self.misfit(last.number, STORE_AHEAD));
        }
        let mut from = watermark.map_or(0, |watermark| watermark.journal);
        let mut known = watermark.map_or(0, |watermark| watermark.step);
        let mut is_first = true;
        while known < last.number {
            let batch = self.log.read_journal(from, self.limits.restore_bytes_max)?;
            if batch.records.is_empty() {
                return Err(self.misfit(known + 1, "the journal ends before its tail"));
            }
            from = batch.next;
            let mut folded = Folded::default();
            for record in &batch.records {
                let step = self.decode(record)?;
                if step.number > known {
                    if is_first {
                        self.start_from(&step, watermark);
                        is_first = false;
                    }
                    self.fold_step(&step, record, &mut folded)?;
                    known = step.number;
                }
            }
            self.project_folded(folded, from)?;
        }
        self.head = Head::after(&last, &tail.value, self.rules.lanes);
        let kept = if is_planted(Bug::BalancesForgotten) { 0 } else { last.balances.len() };
        self.core.restore_balances(&last.balances[..kept]);
        Ok(())
    }

    /// Before the first folded step: what the store has is taken as it is.
    fn start_from(&mut self, step: &Step, watermark: Option<Watermark>) {
        if let Some(watermark) = watermark {
            self.head.step = watermark.step;
            self.head.sequence = watermark.sequence;
            self.head.stamp = watermark.stamp;
            self.head.hash = step.previous;
        }
    }

    fn fold_step(
        &mut self,
        step: &Step,
        record: &LogRecord,
        folded: &mut Folded,
    ) -> Result<(), Stop> {
        let fits = self.head.continues(self.lane, step);
        fits.map_err(|what| self.misfit(step.number, what))?;
        let mut keys = Vec::new();
        step.entries.iter().for_each(|entry| self.core.entry_footprint(entry, &mut keys));
        self.load(&keys)?;
        for entry in &step.entries {
            self.core.evolve(entry).map_err(|source| self.broken(source))?;
            self.core.statement(entry, &mut folded.statement);
            folded.answers.extend_from_slice(&entry.answers);
        }
        self.head = Head::after(step, &record.value, self.rules.lanes);
        Ok(())
    }

    fn project_folded(&mut self, folded: Folded, journal: u64) -> Result<(), Stop> {
        let Folded { statement: mut rows, mut answers } = folded;
        self.core.take_changed(&mut rows);
        rows.retain(|_| !is_planted(Bug::RowsLostAtTakeover));
        answers.retain(|_| !is_planted(Bug::AnswersNotRepeated));
        let watermark = self.head.watermark(journal);
        self.projection.catch_up(rows, &answers, watermark, &mut self.codec, self.log.as_mut())?;
        self.core.release(self.projection.acknowledged());
        self.core.trim(self.projection.acknowledged(), self.limits.cells_max);
        Ok(())
    }

    /// The first commit of each owner: a new epoch, without an input.
    fn open_epoch(&mut self) -> Result<(), Stop> {
        self.head.epoch += u64::from(!is_planted(Bug::EpochKept));
        let mut decision = Decision::nothing(Verdict::Opened, Code::Ok);
        decision.changes.push(Change::Opened(Opened { epoch: self.head.epoch }));
        let meta = Meta { actor: "lane".to_owned(), ..Meta::default() };
        let mut draft = Draft::new(self.lane);
        let bytes = self.make_room(&meta.actor, &decision, &mut draft);
        // No input, so no time of its own: its stamp is the next one.
        let entry = self.place(None, meta, None, Micros(0), decision)?;
        self.record(entry, bytes, &mut draft)?;
        self.commit(&mut draft)
    }

    fn decode(&self, record: &LogRecord) -> Result<Step, Stop> {
        let (lane, offset) = (self.lane, record.offset);
        self.codec.decode(&record.value).map_err(|source| Stop::Unreadable { lane, offset, source })
    }

    fn misfit(&self, step: u64, what: &'static str) -> Stop {
        Stop::Journal { lane: self.lane, step, what }
    }
}

const STORE_AHEAD: &str =
    "the store is ahead of the journal: it belongs to another log and must be wiped";

/// What a stretch of journal changes.
#[derive(Default)]
struct Folded {
    statement: Vec<Row>,
    answers: Vec<Answer>,
}
