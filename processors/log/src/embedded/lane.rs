//! One lane's side of the embedded log.

use super::record::Draft;
use super::shared::Shared;
use super::state::{Phase, State, View, Visible};
use crate::fixed::{Feed, check_commit, merge};
use crate::layout::{Slot, header_bytes};
use crate::limits::FRAME_PAYLOAD_BYTES_MAX;
use crate::{
    Batch, Commit, CommitRecord, Committed, Input, LaneError, LaneLog, LogRecord, NewRecord,
    ReadLimit,
};
use bytes::Bytes;
use jupan_schemas::{Lane, Micros, Positions, Source, TopicId};
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a takeover waits for the sync of its journal's tail before it looks whether the log
/// still works.
const TAIL_WAIT: Duration = Duration::from_millis(10);

pub(crate) struct EmbeddedLane {
    shared: Arc<Shared>,
    lane: Lane,
    index: usize,
    /// Another number there means another owner.
    owner: u64,
    journal: Slot,
    /// Behind the journal's last step when the lane was opened.
    journal_end: u64,
    inputs: [Slot; 2],
    commands: Feed,
    inbox: Feed,
    turn: Source,
    durable_seen: u64,
}

impl EmbeddedLane {
    pub(crate) fn open(shared: &Arc<Shared>, lane: Lane) -> Result<Self, LaneError> {
        let layout = shared.layout;
        let slot_of = |topic| layout.slot(topic, lane.index);
        let journal = slot_of(TopicId::journal(lane.role));
        let inputs = slot_of(TopicId::commands(lane.role)).zip(slot_of(TopicId::inbox(lane.role)));
        let (Some(index), Some(journal), Some(inputs)) = (layout.lane_index(lane), journal, inputs)
        else {
            return Err(LaneError::Broken { lane, cause: "there is no such lane".to_owned() });
        };
        let mut state = shared.state();
        usable(&state, lane)?;
        state.owned[index].owner += 1;
        let owner = state.owned[index].owner;
        let journal_end = state.end(journal);
        drop(state);
        // The earlier owner may be waiting: for records, or for room.
        shared.wake_lane(index);
        // What a restore reads it also projects: it must not be ahead of what a crash would leave.
        loop {
            let state = shared.state();
            usable(&state, lane)?;
            if state.durable_end(journal) >= journal_end {
                break;
            }
            drop(state);
            shared.wait_for_sync(TAIL_WAIT);
        }
        Ok(Self {
            shared: shared.clone(),
            lane,
            index,
            owner,
            journal,
            journal_end,
            inputs: [inputs.0, inputs.1],
            commands: Feed::default(),
            inbox: Feed::default(),
            turn: Source::Inbox,
            durable_seen: shared.lane(index).durable.load(Ordering::Acquire),
        })
    }

    fn check(&self, state: &State) -> Result<(), LaneError> {
        if state.owned[self.index].owner != self.owner {
            return Err(LaneError::Fenced { lane: self.lane });
        }
        usable(state, self.lane)
    }

    fn broken(&self, cause: String) -> LaneError {
        LaneError::Broken { lane: self.lane, cause }
    }

    /// Waits until the queue has room for so many bytes.
    fn admit(&self, bytes: usize) -> Result<MutexGuard<'_, State>, LaneError> {
        let mut state = self.shared.state();
        loop {
            self.check(&state)?;
            if state.has_room(bytes, self.shared.queue_bytes_max) {
                return Ok(state);
            }
            self.shared.wait_for_room(&mut state);
        }
    }

    /// Encodes a commit, outside every lock.
    fn draft(&self, commit: Commit) -> Result<Draft, LaneError> {
        check_commit(self.lane, &commit)?;
        let steps: usize = commit.steps.iter().map(Bytes::len).sum();
        let others = commit.records.iter().map(|CommitRecord { record, .. }| {
            record.key.len() + record.value.len() + header_bytes(&record.headers)
        });
        let count = commit.steps.len() + commit.records.len();
        let mut draft = Draft::with_capacity(count, steps + others.sum::<usize>());
        let journal = TopicId::journal(self.lane.role);
        for step in commit.steps {
            let record = NewRecord::new(Bytes::new(), step);
            draft.push(self.journal, journal, self.lane.index, &record);
        }
        for CommitRecord { topic, partition, record } in &commit.records {
            let Some(slot) = self.shared.layout.commit_slot(*topic, *partition) else {
                let cause = format!("a lane does not write to {topic:?}/{partition}");
                return Err(self.broken(cause));
            };
            draft.push(slot, *topic, *partition, record);
        }
        let bytes = draft.bytes();
        if bytes > FRAME_PAYLOAD_BYTES_MAX - 1 {
            return Err(self.broken(format!("a commit of {count} records takes {bytes} bytes")));
        }
        Ok(draft)
    }

    /// Tops up both feeds. Registers the lane to be woken if there is nothing to hand out.
    fn fill(&mut self, limit: ReadLimit, may_wait: bool) -> Result<(), LaneError> {
        let mut state = self.shared.state();
        self.check(&state)?;
        let [commands, inbox] = self.inputs;
        let limits = [self.commands.room(limit), self.inbox.room(limit)];
        let views = [
            state.view(commands, self.commands.next, limits[0], Visible::Appended),
            state.view(inbox, self.inbox.next, limits[1], Visible::Appended),
        ];
        let found = views.iter().any(|view| !matches!(view, View::Nothing));
        let has_inputs = found || !self.commands.is_empty() || !self.inbox.is_empty();
        // A poll for no records waits for news of durability only.
        let is_ready = has_inputs && limit.records_max > 0;
        state.owned[self.index].waits = may_wait && !is_ready && !self.has_durable_news();
        drop(state);
        let feeds = [(&mut self.commands, commands), (&mut self.inbox, inbox)];
        for ((view, limit), (feed, slot)) in views.into_iter().zip(limits).zip(feeds) {
            let records = self.shared.resolve(view, slot, feed.next, limit);
            let lane = self.lane;
            feed.fill(records.map_err(|cause| LaneError::Broken { lane, cause })?);
        }
        Ok(())
    }

    fn has_durable_news(&self) -> bool {
        self.durable() > self.durable_seen
    }

    /// What a poll returns, or `None` if it should go on waiting.
    fn hand_out(&mut self, limit: ReadLimit, is_over: bool) -> Option<Vec<Input>> {
        let has_news = self.has_durable_news();
        self.durable_seen = self.durable();
        let inputs = merge(&mut self.commands, &mut self.inbox, &mut self.turn, limit);
        (is_over || has_news || !inputs.is_empty()).then_some(inputs)
    }
}

fn usable(state: &State, lane: Lane) -> Result<(), LaneError> {
    let cause = match &state.phase {
        Phase::Open => return Ok(()),
        Phase::Closed => "it is closed".to_owned(),
        Phase::Failed(cause) => cause.clone(),
    };
    Err(LaneError::Broken { lane, cause })
}

impl LaneLog for EmbeddedLane {
    fn last_step(&mut self) -> Result<Option<LogRecord>, LaneError> {
        match self.journal_end.checked_sub(1) {
            None => Ok(None),
            Some(last) => Ok(self.read_journal(last, 1)?.records.pop()),
        }
    }

    fn read_journal(&mut self, from: u64, bytes_max: usize) -> Result<Batch, LaneError> {
        let left = usize::try_from(self.journal_end.saturating_sub(from)).unwrap_or(usize::MAX);
        let limit = ReadLimit { records_max: left, bytes_max };
        let read = self.shared.read(self.journal, from, limit, Visible::Appended);
        let records = read.map_err(|cause| self.broken(cause))?;
        let next = from + records.len() as u64;
        Ok(Batch { records, next })
    }

    fn seek(&mut self, positions: Positions) -> Result<(), LaneError> {
        self.commands.seek(positions.commands);
        self.inbox.seek(positions.inbox);
        Ok(())
    }

    fn poll(&mut self, limit: ReadLimit, wait: Duration) -> Result<Vec<Input>, LaneError> {
        let deadline = Instant::now().checked_add(wait);
        loop {
            let is_over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            self.fill(limit, !is_over)?;
            if let Some(inputs) = self.hand_out(limit, is_over) {
                return Ok(inputs);
            }
            self.shared.lane(self.index).wait_until(deadline);
        }
    }

    fn commit(&mut self, commit: Commit) -> Result<Committed, LaneError> {
        let steps = commit.steps.len() as u64;
        let draft = self.draft(commit)?;
        let mut state = self.admit(draft.bytes())?;
        let journal = state.end(self.journal) + steps;
        let owned = &mut state.owned[self.index];
        if draft.places.is_empty() {
            return Ok(Committed { ticket: owned.last_ticket, journal });
        }
        let pushed = self.shared.push_commit(state, draft, self.index);
        Ok(Committed { ticket: pushed, journal })
    }

    fn check_owner(&mut self) -> Result<(), LaneError> {
        self.check(&self.shared.state())
    }

    fn durable(&self) -> u64 {
        self.shared.lane(self.index).durable.load(Ordering::Acquire)
    }

    fn remind(&mut self, record: NewRecord) -> Result<(), LaneError> {
        let inbox = TopicId::inbox(self.lane.role);
        let records = vec![CommitRecord { topic: inbox, partition: self.lane.index, record }];
        let draft = self.draft(Commit { records, ..Commit::default() })?;
        let state = self.admit(draft.bytes())?;
        self.shared.push(state, draft, false, None);
        Ok(())
    }

    fn answer(&mut self, reply_to: u32, result: Bytes) {
        self.shared.answers.send(reply_to, result);
    }

    fn now(&self) -> Micros {
        self.shared.clock.now()
    }
}
