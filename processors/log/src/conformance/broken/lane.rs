//! The lane's side of the flawed provider.

use super::super::value;
use super::Flaw;
use super::log::Flawed;
use crate::{
    Batch, Commit, Committed, Input, LaneError, LaneLog, Log, LogRecord, NewRecord, ReadLimit,
};
use bytes::Bytes;
use jupan_schemas::{Lane, Micros, Positions, TopicId};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub(super) struct FlawedLane {
    inner: Box<dyn LaneLog>,
    log: Arc<Flawed>,
    lane: Lane,
    last: Committed,
    swapped: Option<Commit>,
    polled: usize,
    asked: AtomicUsize,
}

impl FlawedLane {
    pub(super) fn open(log: &Arc<Flawed>, lane: Lane) -> Result<Self, LaneError> {
        let durable = log.inner.bounds(TopicId::journal(lane.role), lane.index);
        *log.durable_journal.lock() = durable.ok().map(|bounds| bounds.end);
        let inner = log.inner.open(lane)?;
        let last = Committed { ticket: 0, journal: 0 };
        let (swapped, polled, asked) = (None, 0, AtomicUsize::new(0));
        Ok(Self { inner, log: log.clone(), lane, last, swapped, polled, asked })
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.log.flaw == flaw
    }

    /// Commits, with the flaws that concern what is written.
    fn write(&mut self, mut commit: Commit) -> Result<Committed, LaneError> {
        if self.has(Flaw::ReversesCommits) {
            commit.records.reverse();
        }
        if self.has(Flaw::TearsCommits) {
            let records = std::mem::take(&mut commit.records);
            self.inner.commit(commit)?;
            return self.inner.commit(Commit { records, ..Commit::default() });
        }
        if self.has(Flaw::SwapsCommits) && commit.steps.contains(&value(3)) {
            self.swapped = Some(commit);
            let Committed { ticket, journal } = self.last;
            return Ok(Committed { ticket: ticket + 1, journal: journal + 1 });
        }
        let done = self.inner.commit(commit)?;
        match self.swapped.take() {
            Some(swapped) => self.inner.commit(swapped),
            None => Ok(done),
        }
    }

    /// What becomes of a commit that was refused.
    fn refused(&mut self, error: LaneError, commit: Commit) -> Result<Committed, LaneError> {
        let is_fenced = matches!(error, LaneError::Fenced { .. });
        if is_fenced && (self.has(Flaw::FencesNobody) || self.has(Flaw::FencesTooLate)) {
            let done = self.log.inner.open(self.lane)?.commit(commit)?;
            return if self.has(Flaw::FencesNobody) { Ok(done) } else { Err(error) };
        }
        if !is_fenced && self.has(Flaw::DecidesUnknownLater) {
            *self.log.late.lock() = Some(commit);
        }
        Err(error)
    }
}

impl LaneLog for FlawedLane {
    fn last_step(&mut self) -> Result<Option<LogRecord>, LaneError> {
        self.inner.last_step()
    }

    fn read_journal(&mut self, from: u64, bytes_max: usize) -> Result<Batch, LaneError> {
        let mut batch = self.inner.read_journal(from, bytes_max)?;
        if self.has(Flaw::HidesTail) && batch.records.pop().is_some() {
            batch.next -= 1;
            if batch.records.is_empty() {
                batch.next = from;
            }
        }
        Ok(batch)
    }

    fn seek(&mut self, mut positions: Positions) -> Result<(), LaneError> {
        if self.has(Flaw::IgnoresSeek) {
            positions = Positions::default();
        }
        match self.inner.seek(positions) {
            Err(LaneError::BelowStart { start, .. }) if self.has(Flaw::SilentSeekBelowStart) => {
                self.inner.seek(Positions { commands: start, ..positions })
            }
            sought => sought,
        }
    }

    fn poll(&mut self, limit: ReadLimit, wait: Duration) -> Result<Vec<Input>, LaneError> {
        let mut inputs = self.inner.poll(limit, wait)?;
        let before = self.polled;
        self.polled += inputs.len();
        if before < 4 && self.polled >= 4 {
            match self.log.flaw {
                Flaw::PollsTwice => inputs.extend(inputs.last().cloned()),
                Flaw::SkipsInputs => drop(inputs.pop()),
                _ => {}
            }
        }
        Ok(inputs)
    }

    fn commit(&mut self, commit: Commit) -> Result<Committed, LaneError> {
        let late = self.log.late.lock().take();
        if let Some(late) = late {
            self.inner.commit(late)?;
        }
        let done = match self.write(commit.clone()) {
            Ok(done) => done,
            Err(error) => self.refused(error, commit)?,
        };
        self.last = done;
        self.log.sync();
        Ok(done)
    }

    fn check_owner(&mut self) -> Result<(), LaneError> {
        match self.log.flaw {
            Flaw::CallsAnyoneOwner => Ok(()),
            Flaw::CallsNobodyOwner => Err(LaneError::Fenced { lane: self.lane }),
            _ => self.inner.check_owner(),
        }
    }

    fn durable(&self) -> u64 {
        let is_odd = self.asked.fetch_add(1, Ordering::SeqCst) % 2 == 1;
        match self.log.flaw {
            Flaw::DurableTooHigh => u64::MAX,
            Flaw::DurableFalls if is_odd => 0,
            Flaw::NeverDurable => 0,
            _ => self.inner.durable(),
        }
    }

    fn remind(&mut self, record: NewRecord) -> Result<(), LaneError> {
        self.inner.remind(record)
    }

    fn answer(&mut self, reply_to: u32, result: Bytes) {
        match self.log.flaw {
            Flaw::ChangesAnswers => {
                self.inner.answer(reply_to, [&result[..], b"!"].concat().into());
            }
            Flaw::Misdelivers => {
                self.inner.answer(reply_to ^ 1, result.clone());
                self.inner.answer(reply_to, result);
            }
            _ => self.inner.answer(reply_to, result),
        }
    }

    fn now(&self) -> Micros {
        self.inner.now()
    }
}
