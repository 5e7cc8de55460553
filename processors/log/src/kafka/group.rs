//! Which lanes this process owns: a member of the role's group, which shares the partitions of both
//! inputs out by range.
//!
//! ```text
//!   poll -> Assigned(lanes)                      the generation begins: lanes may commit
//!   poll -> Revoked(lanes)   | lanes stop ...    still this generation, so their commits count
//!   poll    the member lets go                   the generation is over: lanes are refused
//! ```
//! The member reads nothing itself: lanes read their partitions with clients of their own. A
//! generation is one assignment, since every rebalance revokes all lanes first; so its metadata
//! is taken once, when it is sure to be established.

use super::class::{Class, class};
use super::client::Clients;
use super::limits::FENCE_SETTLES;
use super::topics::Names;
use super::traces::{trace_error, trace_line};
use crate::{Assignment, AssignmentChange, LaneError};
use jupan_schemas::{Lane, Role, TopicId};
use parking_lot::Mutex;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a role's member and its lanes share.
pub(super) struct Group {
    role: Role,
    inputs: [String; 2],
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Counts assignments; a lane belongs to one of them.
    assignment: u64,
    /// Present from when an assignment comes to when it is let go.
    member: Option<Arc<ConsumerGroupMetadata>>,
    lanes: BTreeSet<u16>,
    changes: VecDeque<AssignmentChange>,
    /// Whether the client waits for the lanes of a revoked assignment to stop.
    is_letting_go: bool,
    /// Lanes that were fenced, and when.
    fenced: Vec<(u16, Instant)>,
    /// Whether nobody listens any more: then nothing is waited for.
    is_closing: bool,
}

impl Group {
    pub(super) fn new(role: Role, names: &Names) -> Arc<Self> {
        let inputs = [TopicId::commands(role), TopicId::inbox(role)];
        let inputs = inputs.map(|topic| names.of(topic).to_owned());
        Arc::new(Self { role, inputs, state: Mutex::default() })
    }

    /// A lane's part in the present assignment.
    pub(super) fn membership(self: &Arc<Self>, lane: Lane) -> Result<Membership, LaneError> {
        let state = self.state.lock();
        let owned = state.member.is_some() && state.lanes.contains(&lane.index);
        let assignment = state.assignment;
        drop(state);
        let membership = Membership { group: self.clone(), lane, assignment };
        owned.then_some(membership).ok_or(LaneError::Fenced { lane })
    }

    /// Whether there is an assignment at present, even one without lanes.
    pub(super) fn is_established(&self) -> bool {
        self.state.lock().member.is_some()
    }

    fn assigned(&self, list: &TopicPartitionList, member: Option<ConsumerGroupMetadata>) {
        let lanes = shared_by(list, &self.inputs);
        let mut state = self.state.lock();
        state.assignment += 1;
        state.fenced.clear();
        state.member = member.map(Arc::new);
        let new = lanes.iter().map(|index| AssignmentChange::Assigned(self.lane(*index)));
        state.changes.extend(new);
        tracing::info!(
            role = self.role.name(),
            lanes = ?lanes,
            "lanes assigned"
        );
        state.lanes = lanes;
    }

    /// Says whether the client can let go at once.
    fn revoked(&self) -> bool {
        let mut state = self.state.lock();
        tracing::info!(role = self.role.name(), lanes = ?state.lanes, "lanes revoked");
        let lanes = std::mem::take(&mut state.lanes);
        let old = lanes.iter().map(|index| AssignmentChange::Revoked(self.lane(*index)));
        state.changes.extend(old);
        state.is_letting_go = !state.is_closing && !lanes.is_empty();
        if !state.is_letting_go {
            state.member = None;
        }
        !state.is_letting_go
    }

    fn lane(&self, index: u16) -> Lane {
        Lane { role: self.role, index }
    }

    /// Lanes that were fenced although this member still has them: nobody else will take them over.
    fn restart_fenced(&self) {
        let mut state = self.state.lock();
        let State { fenced, lanes, changes, .. } = &mut *state;
        fenced.retain(|(index, since)| {
            let is_settled = since.elapsed() >= FENCE_SETTLES;
            if is_settled && lanes.contains(index) {
                let lane = self.lane(*index);
                changes.push_back(AssignmentChange::Revoked(lane));
                changes.push_back(AssignmentChange::Assigned(lane));
            }
            !is_settled
        });
    }
}

/// The partitions that are assigned in both inputs.
fn shared_by(list: &TopicPartitionList, inputs: &[String; 2]) -> BTreeSet<u16> {
    let partitions = |name: &String| -> BTreeSet<u16> {
        let elements = list.elements_for_topic(name);
        elements.iter().filter_map(|found| u16::try_from(found.partition()).ok()).collect()
    };
    let [commands, inbox] = inputs.each_ref().map(partitions);
    if commands != inbox {
        // The member that shared them out has not heard of a new topic yet; it will do so again.
        tracing::warn!(?commands, ?inbox, "inputs are assigned apart; only whole lanes are taken");
    }
    commands.intersection(&inbox).copied().collect()
}

/// A lane's part in one assignment.
pub(super) struct Membership {
    group: Arc<Group>,
    lane: Lane,
    assignment: u64,
}

impl Membership {
    /// The generation by which the lane is owned.
    ///
    /// # Errors
    /// [`LaneError::Fenced`] once it is over: without a generation the coordinator would not check
    /// any.
    pub(super) fn member(&self) -> Result<Arc<ConsumerGroupMetadata>, LaneError> {
        let state = self.group.state.lock();
        let member = state.member.as_ref().filter(|_| state.assignment == self.assignment);
        member.cloned().ok_or(LaneError::Fenced { lane: self.lane })
    }

    /// Notes that another producer took the lane. If the group still says that it is ours when the
    /// member must have heard otherwise, it is assigned again.
    pub(super) fn note_fenced(&self) {
        let mut state = self.group.state.lock();
        if state.assignment == self.assignment {
            state.fenced.push((self.lane.index, Instant::now()));
        }
    }
}

/// Callbacks of the member; they run in its poll.
pub(super) struct MemberContext(Arc<Group>);

impl ClientContext for MemberContext {
    fn log(&self, level: RDKafkaLogLevel, subject: &str, line: &str) {
        trace_line(level, subject, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        trace_error(&error, reason);
    }
}

impl ConsumerContext for MemberContext {
    /// The client waits until it is told what to read: nothing, or that it may let go.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let answered = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let answered = consumer.assign(&TopicPartitionList::new());
            self.0.assigned(list, consumer.group_metadata());
            answered
        } else if self.0.revoked() {
            consumer.unassign()
        } else {
            Ok(())
        };
        if let Err(error) = answered {
            tracing::warn!(%error, role = self.0.role.name(), "the group's change failed");
        }
    }
}

/// A member of a role's group.
pub(super) struct Member {
    group: Arc<Group>,
    consumer: BaseConsumer<MemberContext>,
}

impl Member {
    /// Joins; the first assignment comes by [`Assignment::poll`].
    pub(super) fn join(clients: &Clients, group: Arc<Group>) -> Result<Self, KafkaError> {
        let config = clients.member(group.role);
        let consumer =
            BaseConsumer::from_config_and_context(&config, MemberContext(group.clone()))?;
        let [commands, inbox] = &group.inputs;
        consumer.subscribe(&[commands, inbox])?;
        Ok(Self { group, consumer })
    }

    /// The lanes of the revoked assignment have stopped.
    fn let_go(&self) -> Result<(), KafkaError> {
        let mut state = self.group.state.lock();
        if !std::mem::take(&mut state.is_letting_go) {
            return Ok(());
        }
        state.member = None;
        drop(state);
        self.consumer.unassign()
    }

    fn failed(&self, error: &KafkaError) -> Result<(), LaneError> {
        let role = self.group.role.name();
        if class(error) == Class::Forbidden {
            let cause = format!("the group of the {role} lanes: {error}");
            return Err(LaneError::Broken { lane: self.group.lane(0), cause });
        }
        tracing::debug!(target: "kafka", role, %error, "group");
        Ok(())
    }
}

impl Assignment for Member {
    fn poll(&mut self, wait: Duration) -> Result<Vec<AssignmentChange>, LaneError> {
        if let Err(error) = self.let_go() {
            self.failed(&error)?;
        }
        match self.consumer.poll(wait) {
            // It reads nothing, so nothing comes but errors.
            None | Some(Ok(_)) => {}
            Some(Err(error)) => self.failed(&error)?,
        }
        self.group.restart_fenced();
        Ok(self.group.state.lock().changes.drain(..).collect())
    }

    fn is_settled(&self) -> bool {
        let state = self.group.state.lock();
        state.member.is_some() && state.changes.is_empty()
    }
}

impl Drop for Member {
    /// Leaves the group. The client asks once more to let go while it closes.
    fn drop(&mut self) {
        self.group.state.lock().is_closing = true;
        if let Err(error) = self.let_go() {
            tracing::debug!(%error, role = self.group.role.name(), "leaving the group");
        }
        self.group.state.lock().member = None;
    }
}
