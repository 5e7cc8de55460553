//! One lane's side of the log: takeover, its inputs, its commits.

use super::Shared;
use super::group::Membership;
use super::inputs::{Inputs, Stopped};
use super::limits::{
    COMMIT_RECORD_BYTES_MAX, COMMIT_RECORDS_MAX, INPUT_BYTES_MAX, RECORD_FRAMING_BYTES,
};
use super::planted::{UNKNOWN_COMMIT_REPEATED, is_planted};
use super::reader::Stretch;
use super::record;
use super::reported::Reported;
use super::takeover::{self, of_read};
use super::topics::inputs;
use super::transaction::{Ended, Placed, Standing, Transactions};
use super::watch::Progress;
use crate::{
    Batch, Bounds, COMMIT_BYTES_MAX, Commit, CommitRecord, Committed, Input, LaneError, LaneLog,
    LogRecord, NewRecord, ReadLimit,
};
use bytes::Bytes;
use jupan_schemas::{Lane, Micros, Positions, TopicId};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct KafkaLane {
    shared: Arc<Shared>,
    lane: Lane,
    state: State,
    membership: Option<Membership>,
    /// The journal as it was when the lane was opened: everything in it is ended by then.
    journal: Bounds,
    /// Behind the last step, of earlier owners or of this one.
    journal_end: u64,
    inputs: Option<Inputs>,
    ticket: u64,
    seen: u64,
    progress: Arc<Progress>,
    reported: Reported,
}

/// Whether the lane may still write.
enum State {
    Owner(Transactions),
    Fenced,
    Unknown(String),
    Broken(String),
}

impl KafkaLane {
    /// Becomes the owner: first nobody else may write, then the journal's end is asked for, then
    /// every transaction below it is waited for.
    pub(super) fn open(shared: &Arc<Shared>, lane: Lane) -> Result<Self, LaneError> {
        if lane.index >= shared.lanes {
            return Err(LaneError::Broken { lane, cause: "there is no such lane".to_owned() });
        }
        let membership = shared.membership(lane)?;
        let transactions = Transactions::open(&shared.clients, lane).inspect_err(|error| {
            if matches!(error, LaneError::Fenced { .. })
                && let Some(membership) = &membership
            {
                membership.note_fenced();
            }
            shared.note(error);
        })?;
        let journal =
            takeover::settled_journal(shared, lane).inspect_err(|error| shared.note(error))?;
        Ok(Self {
            shared: shared.clone(),
            lane,
            state: State::Owner(transactions),
            membership,
            journal,
            journal_end: journal.end,
            inputs: None,
            ticket: 0,
            seen: 0,
            progress: shared.watched.add(lane),
            reported: Reported::default(),
        })
    }

    fn check(&self) -> Result<&Transactions, LaneError> {
        let lane = self.lane;
        match &self.state {
            State::Owner(transactions) => Ok(transactions),
            State::Fenced => Err(LaneError::Fenced { lane }),
            State::Unknown(cause) => Err(LaneError::Unknown { lane, cause: cause.clone() }),
            State::Broken(cause) => Err(LaneError::Broken { lane, cause: cause.clone() }),
        }
    }

    /// The lane's producer is dropped: whatever is asked of the lane from now on fails like this.
    fn end(&mut self, error: &LaneError) {
        self.state = match error {
            LaneError::Fenced { .. } => State::Fenced,
            LaneError::Unknown { cause, .. } => State::Unknown(cause.clone()),
            LaneError::Broken { cause, .. } => State::Broken(cause.clone()),
            LaneError::BelowStart { .. } => State::Broken(error.to_string()),
        };
        if let (State::Fenced, Some(membership)) = (&self.state, &self.membership) {
            membership.note_fenced();
        }
        self.shared.note(error);
    }

    fn journal_place(&self) -> (TopicId, u16) {
        (TopicId::journal(self.lane.role), self.lane.index)
    }

    fn read_steps(&self, from: u64, limit: ReadLimit) -> Result<Batch, LaneError> {
        let stretch = Stretch { from, until: Some(self.journal.end), limit };
        let read = self.shared.reader.read(self.journal_place(), stretch);
        read.map_err(|error| of_read(self.lane, &error))
    }

    /// Begins to read both inputs. Commands that are no longer kept may have been lost; messages
    /// have numbers that tell, so the inbox goes on at its start.
    fn begin_inputs(&mut self, positions: Positions) -> Result<(), LaneError> {
        let lane = self.lane;
        let [commands, inbox] = inputs(lane.role);
        let bounds = |topic| {
            let found = self.shared.reader.bounds((topic, lane.index));
            found.map_err(|error| of_read(lane, &error))
        };
        let kept = bounds(commands)?;
        if positions.commands < kept.start {
            let (position, start) = (positions.commands, kept.start);
            return Err(LaneError::BelowStart { lane, topic: commands, position, start });
        }
        beyond(lane, commands, positions.commands, kept)?;
        let kept = bounds(inbox)?;
        beyond(lane, inbox, positions.inbox, kept)?;
        if positions.inbox < kept.start {
            let (position, start) = (positions.inbox, kept.start);
            tracing::warn!(%lane, position, start, "messages are no longer kept: going on behind");
        }
        let positions = Positions { inbox: positions.inbox.max(kept.start), ..positions };
        let inputs = Inputs::new(&self.shared.clients, &self.shared.names, lane, positions);
        let inputs = inputs.map_err(|error| LaneError::Unknown {
            lane,
            cause: format!("reading its inputs: {error}"),
        })?;
        self.inputs = Some(inputs);
        self.progress.stands_at(positions);
        Ok(())
    }

    fn poll_inputs(
        &mut self,
        limit: ReadLimit,
        deadline: Instant,
    ) -> Result<Vec<Input>, LaneError> {
        let Some(inputs) = &mut self.inputs else {
            self.begin_inputs(Positions::default())?;
            return Ok(Vec::new());
        };
        let polled = inputs.poll(limit, deadline);
        let positions = inputs.positions();
        match polled {
            Ok(polled) => {
                self.progress.stands_at(positions);
                Ok(polled)
            }
            // Retention has overtaken the lane, or a leader was lost: look again from the start of
            // what is kept, which says what that means.
            Err(Stopped::NotKept(topic, position)) => {
                tracing::warn!(lane = %self.lane, ?topic, position, "position is out of range");
                self.begin_inputs(positions)?;
                Ok(Vec::new())
            }
            Err(Stopped::Error(error)) => Err(error),
        }
    }

    /// The commit's records with their places: steps first.
    fn placed(&self, commit: Commit) -> Vec<Placed<'_>> {
        let (journal, index) = self.journal_place();
        let topic = self.shared.names.of(journal);
        let steps = commit.steps.into_iter().map(|step| {
            let record = NewRecord::new(Bytes::new(), step);
            Placed { topic, partition: index, record, is_step: true }
        });
        let records = commit.records.into_iter().map(|part| {
            let topic = self.shared.names.of(part.topic);
            Placed { topic, partition: part.partition, record: part.record, is_step: false }
        });
        steps.chain(records).collect()
    }

    /// Whether a lane may commit this. What is refused here was not begun: the lane may go on.
    fn check_commit(&self, commit: &Commit) -> Result<(), LaneError> {
        let steps: usize = commit.steps.iter().map(Bytes::len).sum();
        let records: usize = commit.records.iter().map(|part| part.record.value.len()).sum();
        let (bytes, count) = (steps + records, commit.steps.len() + commit.records.len());
        if bytes > COMMIT_BYTES_MAX {
            let cause = format!("a commit of {bytes} bytes is larger than {COMMIT_BYTES_MAX}");
            return Err(self.broken(cause));
        }
        if count > COMMIT_RECORDS_MAX {
            let cause = format!("a commit of {count} records has more than {COMMIT_RECORDS_MAX}");
            return Err(self.broken(cause));
        }
        commit.records.iter().try_for_each(|part| self.check_record(part))
    }

    fn check_record(&self, part: &CommitRecord) -> Result<(), LaneError> {
        let (topic, partition) = (part.topic, part.partition);
        let is_journal = matches!(topic, TopicId::UserJournal | TopicId::ProductJournal);
        if is_journal || partition >= self.shared.partitions_of(topic) {
            return Err(self.broken(format!("a lane does not write to {topic:?}/{partition}")));
        }
        let bytes = record::bytes(&part.record);
        if bytes > largest(topic) {
            return Err(self.broken(format!("{topic:?} takes no record of {bytes} bytes")));
        }
        Ok(())
    }

    fn broken(&self, cause: String) -> LaneError {
        LaneError::Broken { lane: self.lane, cause }
    }

    /// The lane's positions as a list for the coordinator.
    fn offsets(&self, positions: Positions) -> Result<TopicPartitionList, LaneError> {
        let mut list = TopicPartitionList::with_capacity(2);
        let [commands, inbox] = inputs(self.lane.role);
        for (topic, position) in [(commands, positions.commands), (inbox, positions.inbox)] {
            let name = self.shared.names.of(topic);
            let offset = Offset::Offset(record::raw(position));
            list.add_partition_offset(name, i32::from(self.lane.index), offset)
                .map_err(|error| self.broken(error.to_string()))?;
        }
        Ok(list)
    }

    /// The generation that a commit is bound to; `None` for a lane that no group gave us.
    fn member(&self) -> Result<Option<Arc<ConsumerGroupMetadata>>, LaneError> {
        self.membership.as_ref().map(Membership::member).transpose()
    }

    /// One transaction. Says, too, whether its producer may go on.
    fn run(&self, commit: Commit, is_told: bool) -> Result<(Committed, bool), LaneError> {
        let positions = commit.positions;
        let records = self.placed(commit);
        if records.is_empty() {
            self.check()?;
            let journal = self.journal_end;
            return Ok((Committed { ticket: self.ticket, journal }, true));
        }
        let ended = self.transact(&records, positions, is_told)?;
        let journal = ended.journal.unwrap_or(self.journal_end);
        Ok((Committed { ticket: self.ticket + 1, journal }, ended.is_clean))
    }

    /// A transaction that tells the group the lane's positions, or does not. Told or not, the
    /// generation that the lane has its inputs by must not be over. Where it is over without our
    /// knowing, a successor fences this producer before it reads the journal.
    fn transact(
        &self,
        records: &[Placed<'_>],
        positions: Positions,
        is_told: bool,
    ) -> Result<Ended, LaneError> {
        let transactions = self.check()?;
        let offsets = self.offsets(positions)?;
        let member = self.member()?;
        let standing = member.as_deref().map(|member| Standing { offsets: &offsets, member });
        self.progress.transaction(Some(Instant::now()));
        let ended = transactions.run(records, standing.as_ref().filter(|_| is_told));
        self.progress.transaction(None);
        ended
    }

    /// Tells the group where a lane stands that has nothing to commit.
    fn report(&mut self) -> Result<(), LaneError> {
        let Some(positions) = self.reported.overdue() else { return Ok(()) };
        let ended = self.transact(&[], positions, true)?;
        self.reported.note(positions, true);
        self.note_clean(ended.is_clean);
        Ok(())
    }

    /// A producer whose connection broke is given up, whatever the broker said.
    fn note_clean(&mut self, is_clean: bool) {
        if !is_clean {
            let cause = "a connection broke while it was committing".to_owned();
            tracing::warn!(lane = %self.lane, cause, "the lane's producer is given up");
            self.state = State::Unknown(cause);
        }
    }
}

impl LaneLog for KafkaLane {
    fn last_step(&mut self) -> Result<Option<LogRecord>, LaneError> {
        takeover::last_step(self.journal, |from, limit| self.read_steps(from, limit))
    }

    fn read_journal(&mut self, from: u64, bytes_max: usize) -> Result<Batch, LaneError> {
        let (lane, topic, start) = (self.lane, self.journal_place().0, self.journal.start);
        if from < start {
            return Err(LaneError::BelowStart { lane, topic, position: from, start });
        }
        if from >= self.journal.end {
            return Ok(Batch { records: Vec::new(), next: from });
        }
        self.read_steps(from, ReadLimit { records_max: usize::MAX, bytes_max })
    }

    fn seek(&mut self, positions: Positions) -> Result<(), LaneError> {
        self.check()?;
        // A takeover is over when the inputs are sought: nobody reads the journal on.
        self.shared.reader.leave(self.journal_place());
        self.inputs = None;
        self.begin_inputs(positions)
    }

    fn poll(&mut self, limit: ReadLimit, wait: Duration) -> Result<Vec<Input>, LaneError> {
        let deadline = Instant::now() + wait;
        self.check()?.serve();
        let has_news = self.ticket > self.seen;
        self.seen = self.ticket;
        let deadline = if has_news { Instant::now() } else { deadline };
        if !has_news {
            self.report().inspect_err(|error| self.end(error))?;
        }
        if limit.records_max > 0 {
            let polled = self.poll_inputs(limit, deadline);
            return polled.inspect_err(|error| self.end(error));
        }
        // What is committed is durable, so there is nothing to wait for but the time.
        std::thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
        Ok(Vec::new())
    }

    fn commit(&mut self, commit: Commit) -> Result<Committed, LaneError> {
        self.check_commit(&commit)?;
        let again = is_planted(UNKNOWN_COMMIT_REPEATED).then(|| commit.clone());
        let (positions, is_told) = (commit.positions, self.reported.is_due());
        let mut ended = self.run(commit, is_told);
        if let (Some(again), Err(LaneError::Unknown { .. })) = (again, &ended) {
            self.state = State::Owner(Transactions::open(&self.shared.clients, self.lane)?);
            ended = self.run(again, is_told);
        }
        match ended {
            Ok((committed, is_clean)) => {
                (self.ticket, self.journal_end) = (committed.ticket, committed.journal);
                self.reported.note(positions, is_told);
                self.note_clean(is_clean);
                Ok(committed)
            }
            Err(error) => {
                self.end(&error);
                Err(error)
            }
        }
    }

    fn check_owner(&mut self) -> Result<(), LaneError> {
        let transactions = self.check()?;
        let member = self.member()?;
        let nobody = if member.is_none() { self.shared.reader.no_member() } else { None };
        let Some(member) = member.as_deref().or(nobody.as_ref()) else {
            return Err(self.broken("the coordinator cannot be asked".to_owned()));
        };
        let offsets = self.offsets(Positions::default())?;
        let asked = transactions.ask(&Standing { offsets: &offsets, member });
        asked.inspect_err(|error| self.end(error))
    }

    /// What a commit returned is on every replica in sync, so it is durable.
    fn durable(&self) -> u64 {
        self.ticket
    }

    fn remind(&mut self, record: NewRecord) -> Result<(), LaneError> {
        self.check()?;
        let inbox = self.shared.names.of(TopicId::inbox(self.lane.role));
        // One that is lost rings again.
        let sent = self.shared.posts.send(inbox, self.lane.index, &record);
        if let Err(error) = sent {
            tracing::debug!(lane = %self.lane, %error, "a reminder was not sent");
        }
        Ok(())
    }

    fn answer(&mut self, reply_to: u32, result: Bytes) {
        let Some(partition) = self.shared.result_partition(reply_to) else { return };
        let name = self.shared.names.of(TopicId::CommandResults);
        let record = NewRecord::new(Bytes::new(), result);
        if let Err(error) = self.shared.posts.send(name, partition, &record) {
            tracing::debug!(lane = %self.lane, %error, "an answer was not sent");
        }
    }

    fn now(&self) -> Micros {
        self.shared.clock.now()
    }
}

/// A position must not lie behind the partition's end: then it is another partition than the one
/// that was read.
fn beyond(lane: Lane, topic: TopicId, position: u64, kept: Bounds) -> Result<(), LaneError> {
    if position <= kept.end {
        return Ok(());
    }
    let end = kept.end;
    let cause =
        format!("{topic:?} ends at {end}, before the position {position}: records are gone");
    Err(LaneError::Broken { lane, cause })
}

/// Largest record that a commit may write to a topic.
fn largest(topic: TopicId) -> usize {
    match topic {
        TopicId::UserInbox
        | TopicId::ProductInbox
        | TopicId::UserCommands
        | TopicId::ProductCommands => INPUT_BYTES_MAX - RECORD_FRAMING_BYTES,
        _ => COMMIT_RECORD_BYTES_MAX,
    }
}
