//! One lane's side of the memory log.

use super::{Fault, Placed, Shared, State};
use crate::fixed::{Feed, check_commit, merge};
use crate::layout::Slot;
use crate::{Batch, Commit, Committed, Input, LaneError, LaneLog, LogRecord, NewRecord, ReadLimit};
use bytes::Bytes;
use jupan_schemas::{
    Lane, Micros, Positions, Source, TopicId,
    planted::{Bug, is_planted},
};
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct MemoryLane {
    shared: Arc<Shared>,
    lane: Lane,
    index: usize,
    owner: u64,
    journal: Slot,
    journal_end: u64,
    inputs: [(TopicId, Slot); 2],
    commands: Feed,
    inbox: Feed,
    turn: Source,
    durable_seen: u64,
}

impl MemoryLane {
    pub(super) fn open(shared: &Arc<Shared>, lane: Lane) -> Result<Self, LaneError> {
        let broken = |cause: &str| LaneError::Broken { lane, cause: cause.to_owned() };
        let slot_of = |topic| shared.layout.slot(topic, lane.index);
        let place_of = |topic| slot_of(topic).map(|slot| (topic, slot));
        let commands = place_of(TopicId::commands(lane.role));
        let inputs = commands.zip(place_of(TopicId::inbox(lane.role)));
        let journal = slot_of(TopicId::journal(lane.role));
        let (Some(index), Some(journal), Some(inputs)) =
            (shared.layout.lane_index(lane), journal, inputs)
        else {
            return Err(broken("there is no such lane"));
        };
        let mut state = shared.state.lock();
        if let Some(cause) = state.ended {
            return Err(broken(cause));
        }
        state.owned[index].owner += 1;
        // What a restore reads it also projects: it must not be ahead of what a crash would leave.
        if !is_planted(Bug::ReadBeforeSync) {
            shared.sync(&mut state);
        }
        shared.changed.notify_all();
        let journal_end = state.partitions[journal].end();
        Ok(Self {
            shared: shared.clone(),
            lane,
            index,
            owner: state.owned[index].owner,
            journal,
            journal_end,
            inputs: [inputs.0, inputs.1],
            commands: Feed::default(),
            inbox: Feed::default(),
            turn: Source::Inbox,
            durable_seen: state.owned[index].durable,
        })
    }

    fn broken(&self, cause: &str) -> LaneError {
        LaneError::Broken { lane: self.lane, cause: cause.to_owned() }
    }

    fn check(&self, state: &State) -> Result<(), LaneError> {
        if state.owned[self.index].owner != self.owner && !is_planted(Bug::FenceLost) {
            return Err(LaneError::Fenced { lane: self.lane });
        }
        state.ended.map_or(Ok(()), |cause| Err(self.broken(cause)))
    }

    fn admit(&self, bytes: usize) -> Result<MutexGuard<'_, State>, LaneError> {
        let mut state = self.shared.state.lock();
        loop {
            self.check(&state)?;
            if self.shared.has_room(&state, bytes) {
                return Ok(state);
            }
            self.shared.wait_for_room(&mut state);
        }
    }

    /// The first kept offset of an input must not be beyond where the lane reads.
    fn check_start(
        &self,
        state: &State,
        topic: TopicId,
        slot: Slot,
        position: u64,
    ) -> Result<(), LaneError> {
        let start = state.partitions[slot].start;
        if position >= start {
            return Ok(());
        }
        Err(LaneError::BelowStart { lane: self.lane, topic, position, start })
    }

    fn fill(&mut self, state: &State, limit: ReadLimit) -> Result<(), LaneError> {
        for (topic, slot) in self.inputs {
            let is_inbox = topic == TopicId::inbox(self.lane.role);
            let next = if is_inbox { self.inbox.next } else { self.commands.next };
            self.check_start(state, topic, slot, next)?;
            let feed = if is_inbox { &mut self.inbox } else { &mut self.commands };
            let partition = &state.partitions[slot];
            let room = feed.room(limit);
            feed.fill(partition.read(feed.next, partition.end(), room));
        }
        Ok(())
    }

    /// The commit's records with their slots: steps first.
    fn placed(&self, commit: &Commit) -> Result<Vec<(Slot, NewRecord)>, LaneError> {
        let steps = commit.steps.iter();
        let steps = steps.map(|step| (self.journal, NewRecord::new(Bytes::new(), step.clone())));
        let mut placed: Vec<_> = steps.collect();
        for record in &commit.records {
            let slot = self.shared.layout.commit_slot(record.topic, record.partition);
            let Some(slot) = slot else {
                let (topic, partition) = (record.topic, record.partition);
                return Err(self.broken(&format!("a lane does not write to {topic:?}/{partition}")));
            };
            placed.push((slot, record.record.clone()));
        }
        Ok(placed)
    }

    fn push_commit(&self, state: &mut State, placed: &[(Slot, NewRecord)]) -> u64 {
        let torn = if is_planted(Bug::TornCommit) { placed.len() / 2 } else { 0 };
        if torn > 0 {
            self.push(state, &placed[..torn]);
        }
        let ticket = self.push(state, &placed[torn..]);
        state.owned[self.index].last_ticket = ticket;
        state.commits.push_back((ticket, self.index));
        self.shared.sync_if_automatic(state);
        ticket
    }

    fn push(&self, state: &mut State, placed: &[(Slot, NewRecord)]) -> u64 {
        let placed: Vec<_> =
            placed.iter().map(|(slot, record)| Placed { slot: *slot, record }).collect();
        self.shared.push(state, &placed).0
    }
}

impl LaneLog for MemoryLane {
    fn last_step(&mut self) -> Result<Option<LogRecord>, LaneError> {
        match self.journal_end.checked_sub(1) {
            None => Ok(None),
            Some(last) => Ok(self.read_journal(last, 1)?.records.pop()),
        }
    }

    fn read_journal(&mut self, from: u64, bytes_max: usize) -> Result<Batch, LaneError> {
        let state = self.shared.state.lock();
        let topic = TopicId::journal(self.lane.role);
        self.check_start(&state, topic, self.journal, from)?;
        let limit = ReadLimit { records_max: usize::MAX, bytes_max };
        let records = state.partitions[self.journal].read(from, self.journal_end, limit);
        let next = from + records.len() as u64;
        Ok(Batch { records, next })
    }

    fn seek(&mut self, positions: Positions) -> Result<(), LaneError> {
        let state = self.shared.state.lock();
        for ((topic, slot), position) in
            self.inputs.into_iter().zip([positions.commands, positions.inbox])
        {
            self.check_start(&state, topic, slot, position)?;
        }
        drop(state);
        self.commands.seek(positions.commands);
        self.inbox.seek(positions.inbox);
        Ok(())
    }

    fn poll(&mut self, limit: ReadLimit, wait: Duration) -> Result<Vec<Input>, LaneError> {
        let deadline = Instant::now().checked_add(wait);
        let shared = self.shared.clone();
        let mut state = shared.state.lock();
        loop {
            self.check(&state)?;
            self.fill(&state, limit)?;
            let durable = state.owned[self.index].durable;
            let has_news = durable > self.durable_seen;
            self.durable_seen = durable;
            let inputs = merge(&mut self.commands, &mut self.inbox, &mut self.turn, limit);
            let is_over = shared.options.never_wait
                || deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if has_news || is_over || !inputs.is_empty() {
                return Ok(inputs);
            }
            match deadline {
                Some(deadline) => drop(shared.changed.wait_until(&mut state, deadline)),
                None => shared.changed.wait(&mut state),
            }
        }
    }

    fn commit(&mut self, commit: Commit) -> Result<Committed, LaneError> {
        check_commit(self.lane, &commit)?;
        let placed = self.placed(&commit)?;
        let bytes = placed.iter().map(|(_, record)| record.value.len()).sum();
        let mut state = self.admit(bytes)?;
        let journal = state.partitions[self.journal].end() + commit.steps.len() as u64;
        if placed.is_empty() {
            return Ok(Committed { ticket: state.owned[self.index].last_ticket, journal });
        }
        let lane = self.lane;
        match state.faults.next_commit(lane) {
            None => {
                let ticket = self.push_commit(&mut state, &placed);
                Ok(Committed { ticket, journal })
            }
            Some(Fault::CommitUnknown { happened, .. }) => {
                if happened {
                    self.push_commit(&mut state, &placed);
                }
                state.owned[self.index].owner += 1;
                let cause = "a fault was asked for".to_owned();
                Err(LaneError::Unknown { lane, cause })
            }
            Some(_) => {
                state.owned[self.index].owner += 1;
                Err(LaneError::Fenced { lane })
            }
        }
    }

    fn check_owner(&mut self) -> Result<(), LaneError> {
        self.check(&self.shared.state.lock())
    }

    fn durable(&self) -> u64 {
        self.shared.state.lock().owned[self.index].durable
    }

    fn remind(&mut self, record: NewRecord) -> Result<(), LaneError> {
        let mut state = self.admit(record.value.len())?;
        let times = match state.faults.next_remind() {
            Some(Fault::RemindLost) => 0,
            Some(_) => 2,
            None => 1,
        };
        let slot = self.inputs[1].1;
        for _ in 0..times {
            self.push(&mut state, &[(slot, record.clone())]);
        }
        self.shared.sync_if_automatic(&mut state);
        Ok(())
    }

    fn answer(&mut self, reply_to: u32, result: Bytes) {
        let fault = self.shared.state.lock().faults.next_answer();
        let times = match fault {
            Some(Fault::AnswerLost) => 0,
            Some(_) => 2,
            None => 1,
        };
        for _ in 0..times {
            self.shared.answers.send(reply_to, result.clone());
        }
    }

    fn now(&self) -> Micros {
        self.shared.clock.now()
    }
}
