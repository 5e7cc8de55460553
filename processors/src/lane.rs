//! One lane: read, prefetch, decide, commit, project, answer. A lane owns its state, its journal
//! and its two inputs; it shares nothing with other lanes but the log.
//!
//! ```text
//!   turn:  project what became durable -> ring timers -> poll inputs
//!            -> prefetch the batch's footprint in one read
//!            -> for each input: decide, evolve, add to the draft
//!            -> commit the draft (the single atomic point)
//!   later: once the commit is durable: rows to the store, answers to their askers, watermark - in this order
//! ```

use crate::{
    draft::{Draft, Sequel, entry_bytes_max},
    head::{Head, numbered},
    intake::{self, DeadLetter, Intake, Meta, Sender},
    limits::Limits,
    metrics::LaneMetrics,
    projection::{Pending, Projection},
    role::Wired,
    stop::Stop,
    timers::Timers,
};
use jupan_ledger::{Broken, Decision, Rules};
use jupan_log::{Input, LaneLog, Log, NewRecord, ReadLimit};
use jupan_schemas::{
    Answer, Code, Codec, Entry, InputRef, Lane, Micros, Outcome, Source, Stamp, TopicId, Verdict,
    planted::{Bug, is_planted},
    rows::Key,
};
use jupan_store::LaneStore;
use std::{mem, sync::Arc, time::Duration};

/// What a lane is made of besides its state.
#[derive(Clone)]
pub struct Parts {
    /// Carrier of inputs, journal, messages and events.
    pub log: Arc<dyn Log>,
    /// Where rows go and come back from.
    pub store: Arc<dyn LaneStore>,
    /// Schema ids of the log.
    pub schema_ids: Arc<jupan_schemas::SchemaIds>,
    /// What the shop allows.
    pub rules: Rules,
    /// How much a lane takes on at once.
    pub limits: Limits,
}

/// What a turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Inputs decided.
    pub inputs: usize,
    /// Entries that became durable and were projected.
    pub projected: usize,
    /// Entries committed and not yet projected.
    pub unprojected: usize,
}

impl Turn {
    /// Whether the lane had nothing to do and waits for nothing.
    pub fn is_idle(&self) -> bool {
        self.inputs == 0 && self.projected == 0 && self.unprojected == 0
    }
}

/// One lane with its state, driven by calling [`Worker::turn`] from one thread.
pub struct Worker<C: Wired> {
    pub(crate) lane: Lane,
    pub(crate) rules: Rules,
    pub(crate) limits: Limits,
    pub(crate) core: C,
    pub(crate) codec: Codec,
    pub(crate) log: Box<dyn LaneLog>,
    pub(crate) projection: Projection,
    pub(crate) head: Head,
    pub(crate) timers: Timers,
    /// Empty between batches, as are the lists: kept for their memory, which is large enough.
    pub(crate) draft: Draft,
    pub(crate) intakes: Vec<Intake<C::Input>>,
    pub(crate) keys: Vec<Key>,
    pub(crate) metrics: LaneMetrics,
}

impl<C: Wired> Worker<C> {
    /// Which lane.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// The state, for checks.
    pub fn core(&self) -> &C {
        &self.core
    }

    /// Takes one batch through the lane, if there is one within `wait`.
    ///
    /// # Errors
    /// [`Stop`]: the lane must not go on with this state; nothing of the batch is committed, or its
    /// fate is unknown.
    pub fn turn(&mut self, wait: Duration) -> Result<Turn, Stop> {
        self.go_round(wait).map_err(|stop| stop.confirmed_by(self.log.as_mut()))
    }

    fn go_round(&mut self, wait: Duration) -> Result<Turn, Stop> {
        let projected = self.project_durable()?;
        self.ring_timers()?;
        let has_room = self.projection.entries() < self.limits.unprojected_entries_max;
        let records_max = if has_room { self.limits.batch_records_max } else { 0 };
        // Without room it is durability that is waited for, which ends a wait only where no input lies ready.
        let longest = if has_room { self.limits.poll_wait } else { self.limits.room_wait };
        let longest = self.projection.patience().map_or(longest, |looks| longest.min(looks));
        let wait = if projected > 0 { Duration::ZERO } else { wait.min(longest) };
        let limit = ReadLimit { records_max, bytes_max: self.limits.batch_bytes_max };
        let asked_at = self.log.now();
        let inputs = self.log.poll(limit, wait)?;
        self.timers.polled(&inputs, limit, asked_at);
        if !inputs.is_empty() {
            self.take(&inputs)?;
        }
        let projected = projected + self.project_durable()?;
        Ok(Turn { inputs: inputs.len(), projected, unprojected: self.projection.entries() })
    }

    /// Waits until everything committed is durable, and projects it.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn finish(mut self) -> Result<(), Stop> {
        while self.projection.entries() > 0 {
            self.project(None)?;
            self.log.poll(ReadLimit { records_max: 0, bytes_max: 0 }, self.limits.room_wait)?;
        }
        Ok(())
    }

    /// Commits a batch of inputs, in one or more commits.
    fn take(&mut self, inputs: &[Input]) -> Result<(), Stop> {
        let now = self.log.now();
        let latest = now.plus(self.limits.clock_ahead_max_us);
        if let Some(ahead) = inputs.iter().find(|input| input.record.at > latest) {
            return Err(Stop::ClockAhead { lane: self.lane, at: ahead.record.at, now });
        }
        let mut intakes = mem::take(&mut self.intakes);
        let (codec, lane, lanes) = (&mut self.codec, self.lane, self.rules.lanes);
        intakes.extend(inputs.iter().map(|input| intake::read::<C>(codec, lane, lanes, input)));
        self.prefetch(&intakes)?;
        let mut draft = mem::replace(&mut self.draft, Draft::new(lane));
        for (input, intake) in inputs.iter().zip(&mut intakes) {
            self.decide(input, intake, &mut draft)?;
            if draft.bytes() >= self.limits.commit_bytes_max {
                self.commit(&mut draft)?;
            }
        }
        if !draft.is_empty() {
            self.commit(&mut draft)?;
        }
        intakes.clear();
        (self.intakes, self.draft) = (intakes, draft);
        self.metrics.batch(self.core.cells(), self.timers.len());
        Ok(())
    }

    /// Loads what the batch needs and memory lacks. Loaded cells may name further ones, so it
    /// repeats until none is missing: a hold names its products.
    fn prefetch(&mut self, intakes: &[Intake<C::Input>]) -> Result<(), Stop> {
        let mut keys = mem::take(&mut self.keys);
        for intake in intakes {
            match intake {
                Intake::Command(input, _) | Intake::Message(input, _, _) => {
                    self.core.footprint(input, &mut keys);
                }
                Intake::Dead(_) => {}
            }
        }
        self.load(&keys)?;
        keys.clear();
        self.keys = keys;
        Ok(())
    }

    /// Loads the cells of a footprint that memory lacks.
    pub(crate) fn load(&mut self, keys: &[Key]) -> Result<(), Stop> {
        let mut missing = keys.to_vec();
        self.core.retain_missing(&mut missing);
        while !missing.is_empty() {
            let rows = self.projection.load(&missing)?;
            self.metrics.loaded(missing.len());
            for (key, row) in missing.iter().zip(rows) {
                self.core.load(*key, row).map_err(|source| self.broken(source))?;
            }
            missing.clear();
            missing.extend_from_slice(keys);
            self.core.retain_missing(&mut missing);
        }
        Ok(())
    }

    /// Decides one input and adds its entry to the draft. Takes the intake's meta along.
    fn decide(
        &mut self,
        input: &Input,
        intake: &mut Intake<C::Input>,
        draft: &mut Draft,
    ) -> Result<(), Stop> {
        let (source, at) = (input.source, input.record.at);
        let (decision, meta, sender) = match intake {
            Intake::Command(command, meta) => {
                (self.core.decide(&self.rules, command, at), mem::take(meta), None)
            }
            Intake::Message(message, meta, sender) if self.is_new(*sender)? => {
                (self.core.decide(&self.rules, message, at), mem::take(meta), Some(*sender))
            }
            Intake::Message(_, meta, _) => {
                (Ok(Decision::nothing(Verdict::Ignored, Code::Ok)), mem::take(meta), None)
            }
            Intake::Dead(letter) => (Ok(dead(letter)), mem::take(&mut letter.meta), None),
        };
        let decision = decision.map_err(|source| self.broken(source))?;
        let bytes = self.make_room(&meta.actor, &decision, draft);
        // From here on the lane stands behind this input: a step that is closed before must not say so.
        let sender = sender.filter(|sender| sender.number > 0);
        if let Some(sender) = sender {
            self.head.receive(sender.lane, sender.number);
        }
        let cause = sender.map(|sender| sender.stamp);
        let entry = self.place(
            Some(InputRef { source, offset: input.record.offset, at }),
            meta,
            cause,
            at,
            decision,
        )?;
        trace_entry(self.lane, &entry);
        if let Intake::Dead(letter) = intake
            && !is_planted(Bug::DeadLetterLost)
        {
            let topic = match source {
                Source::Commands => TopicId::commands(self.lane.role),
                Source::Inbox => TopicId::inbox(self.lane.role),
            };
            draft.push_dead(topic, input, letter);
        }
        self.head.consume(source, input.next);
        self.record(entry, bytes, draft)
    }

    /// Closes the open step if the decision's entry could make it too large; returns the entry's
    /// largest size.
    pub(crate) fn make_room(
        &mut self,
        actor: &str,
        decision: &Decision,
        draft: &mut Draft,
    ) -> usize {
        let bytes = entry_bytes_max(actor, decision);
        if draft.is_step_full(bytes, self.limits.step_bytes_max) {
            self.close_step(draft);
        }
        bytes
    }

    /// Folds an entry into the state and adds it to the draft, with what the outside is told about it.
    pub(crate) fn record(
        &mut self,
        entry: Entry,
        bytes: usize,
        draft: &mut Draft,
    ) -> Result<(), Stop> {
        self.core.evolve(&entry).map_err(|source| self.broken(source))?;
        let (codec, lanes) = (&mut self.codec, self.rules.lanes);
        self.core.events(&entry, &mut |event| {
            draft.push_event(codec, &event, lanes, entry.trace_id);
        });
        let timers = &mut self.timers;
        C::deadlines(&entry, &mut |order, deadline| timers.set(order, deadline));
        let sent = draft.push(&mut self.codec, &self.core, entry, bytes);
        sent.map_err(|_| self.broken_rule("a message goes to a role that does not take it"))
    }

    fn close_step(&mut self, draft: &mut Draft) {
        draft.close_step(&mut self.codec, &mut self.head, self.core.balances());
    }

    /// Whether a message was not received before. A missing one stops the lane: its sender's
    /// numbers are dense.
    fn is_new(&self, sender: Sender) -> Result<bool, Stop> {
        let expected = self.head.received_from(sender.lane) + 1;
        if sender.number > expected && !is_planted(Bug::GapAccepted) {
            let (lane, from, got) = (self.lane, sender.lane, sender.number);
            return Err(Stop::Gap { lane, from, expected, got });
        }
        // A timer's record has no number: the state decides what it is worth.
        let is_new = sender.number == 0 || sender.number >= expected;
        Ok(is_new || is_planted(Bug::RepeatAccepted))
    }

    /// Gives a decision its place in the journal.
    pub(crate) fn place(
        &mut self,
        input: Option<InputRef>,
        meta: Meta,
        cause: Option<Stamp>,
        at: Micros,
        decision: Decision,
    ) -> Result<Entry, Stop> {
        let (sequence, stamp) = self.head.advance(at, cause);
        let Decision { verdict, code, changes, postings, messages, answers } = decision;
        let messages = numbered(&mut self.head, messages)
            .ok_or_else(|| self.broken_rule("a message goes to a lane that is not there"))?;
        Ok(Entry {
            sequence,
            stamp,
            input,
            command_id: meta.command_id,
            actor: meta.actor,
            trace_id: meta.trace_id,
            verdict,
            code,
            changes,
            postings,
            messages,
            answers,
        })
    }

    /// The single atomic point: everything of the draft is in the log, or nothing.
    pub(crate) fn commit(&mut self, draft: &mut Draft) -> Result<(), Stop> {
        self.close_step(draft);
        let (commit, sequel) = draft.take(&self.head);
        let began = self.log.now();
        let committed = self.log.commit(commit)?;
        let at = self.log.now();
        self.metrics.committed(began, at);
        let Sequel { entries, dead_letters, ended, statement: mut rows, answers } = sequel;
        self.core.take_changed(&mut rows);
        self.projection.push(Pending {
            ticket: committed.ticket,
            at,
            entries,
            dead_letters,
            ended,
            rows,
            answers,
            watermark: self.head.watermark(committed.journal),
        });
        self.metrics.unprojected(self.projection.entries());
        Ok(())
    }

    /// Projects what became durable, unless it may lie a little longer.
    fn project_durable(&mut self) -> Result<usize, Stop> {
        let now = self.log.now();
        self.project(Some(now))
    }

    /// Projects what became durable and is due, and lets go of memory that the store has now.
    fn project(&mut self, now: Option<Micros>) -> Result<usize, Stop> {
        let durable = self.durable();
        let log = self.log.as_mut();
        let projected = self.projection.advance(durable, now, &mut self.codec, log)?;
        let entries = projected.entries;
        if entries > 0 {
            let unprojected = self.projection.entries();
            self.metrics.projected(projected, unprojected, self.log.now());
            self.core.release(self.projection.acknowledged());
            if self.core.cells() > self.limits.cells_max {
                // An eighth more than needed, so that it is not needed again at once.
                let keep = self.limits.cells_max - self.limits.cells_max / 8;
                self.core.trim(self.projection.acknowledged(), keep);
            }
        }
        Ok(entries)
    }

    fn durable(&self) -> u64 {
        if is_planted(Bug::AnsweredBeforeSync) { u64::MAX } else { self.log.durable() }
    }

    fn ring_timers(&mut self) -> Result<(), Stop> {
        let (repeat_us, max) = (self.limits.reminder_repeat_us, self.limits.reminders_max);
        for order in self.timers.ring(self.log.now(), repeat_us, max) {
            if let Some(value) = C::encode_reminder(&mut self.codec, self.lane.index, order) {
                self.log.remind(NewRecord::new(bytes::Bytes::new(), value))?;
            }
        }
        Ok(())
    }

    pub(crate) fn broken(&self, source: Broken) -> Stop {
        Stop::Broken { lane: self.lane, source }
    }

    fn broken_rule(&self, what: &'static str) -> Stop {
        self.broken(Broken { about: format!("entry {}", self.head.sequence), what })
    }
}

/// A record that no lane can use changes nothing; whoever asked is told.
fn dead(letter: &DeadLetter) -> Decision {
    let mut decision = Decision::nothing(Verdict::Dead, letter.code);
    if let (Some(command_id), Some(asker)) = (letter.meta.command_id, letter.asker) {
        decision.answers.push(Answer { command_id, asker, outcome: Outcome::of(letter.code) });
    }
    decision
}

/// One DEBUG line an entry: what was decided about which command, never who is behind it.
fn trace_entry(lane: Lane, entry: &Entry) {
    if tracing::enabled!(tracing::Level::DEBUG) {
        tracing::debug!(
            %lane,
            sequence = entry.sequence,
            command_id = entry.command_id.map(tracing::field::display),
            trace_id = entry.trace_id.map(tracing::field::display),
            verdict = ?entry.verdict,
            code = entry.code.as_str(),
            "decided"
        );
    }
}
