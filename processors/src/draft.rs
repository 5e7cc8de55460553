//! A commit in the making: entries gather into steps, steps and all that derives from them into one commit.

use crate::{head::Head, intake::DeadLetter, role::Wired};
use bytes::Bytes;
use jupan_ledger::{Decision, Event};
use jupan_log::{Commit, CommitRecord, Input, NewRecord};
use jupan_schemas::{
    Answer, Change, Codec, Entry, Envelope, Hash, Lane, Message, STEP_BYTES_MAX, Step,
    SystemBalance, TopicId, WrongReceiver, partition_of,
    planted::{Bug, is_planted},
    rows::Row,
};

/// An upper bound of the encoded size of a decision's entry, without encoding it: numbers count as
/// their longest form.
pub(crate) fn entry_bytes_max(actor: &str, decision: &Decision) -> usize {
    const FIXED: usize = 160;
    const LINE: usize = 32;
    let changes: usize =
        decision.changes.iter().map(|change| FIXED + change_bytes_max(change)).sum();
    let lines_of = |message: &Message| match message {
        Message::Reserve(m) => m.lines.len(),
        Message::Reserved(m) => m.lines.len(),
        Message::Return(m) => m.lines.len(),
        Message::Refused(_) | Message::Settle(_) | Message::Release(_) => 0,
    };
    let messages: usize =
        decision.messages.iter().map(|(_, message)| 80 + LINE * lines_of(message)).sum();
    FIXED
        + actor.len()
        + changes
        + 40 * decision.postings.len()
        + messages
        + 120 * decision.answers.len()
}

fn change_bytes_max(change: &Change) -> usize {
    match change {
        Change::UserRegistered(c) => c.name.len() + c.email.len(),
        Change::ProductRegistered(c) => c.name.len(),
        Change::ProductChanged(c) => c.name.as_ref().map_or(0, String::len),
        Change::CartChanged(c) => 32 * c.lines.len(),
        Change::OrderPlaced(c) => 32 * c.lines.len(),
        Change::LaneReserved(c) => 32 * c.lines.len(),
        Change::LinesRefunded(c) => 32 * c.lines.len(),
        Change::HoldOpened(c) => 32 * c.lines.len(),
        _ => 0,
    }
}

/// About how many bytes a step has besides its entries; more only costs a copy.
const STEP_HEAD_BYTES: usize = 1024;

/// A commit in the making.
pub(crate) struct Draft {
    lane: Lane,
    /// Closed steps, encoded.
    steps: Vec<Bytes>,
    /// Entries of the open step, and an upper bound of their size.
    open: Vec<Entry>,
    open_bytes: usize,
    records: Vec<CommitRecord>,
    bytes: usize,
    /// Entries of the whole commit.
    pub(crate) entries: usize,
    /// Dead letters of the whole commit.
    pub(crate) dead_letters: usize,
    /// Rows that only this commit writes.
    pub(crate) statement: Vec<Row>,
    /// Outcomes to send once the commit is durable and projected.
    pub(crate) answers: Vec<Answer>,
}

impl Draft {
    pub(crate) fn new(lane: Lane) -> Self {
        Self {
            lane,
            steps: Vec::new(),
            open: Vec::new(),
            open_bytes: 0,
            records: Vec::new(),
            bytes: 0,
            entries: 0,
            dead_letters: 0,
            statement: Vec::new(),
            answers: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Upper bound of the commit's size so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the open step must be closed before an entry of this size is added.
    pub(crate) fn is_step_full(&self, entry_bytes: usize, step_bytes_max: usize) -> bool {
        !self.open.is_empty() && self.open_bytes + entry_bytes > step_bytes_max
    }

    /// Adds an entry, and the messages it sends.
    pub(crate) fn push<C: Wired>(
        &mut self,
        codec: &mut Codec,
        core: &C,
        entry: Entry,
        entry_bytes: usize,
    ) -> Result<(), WrongReceiver> {
        for sent in &entry.messages {
            let mut value = Vec::with_capacity(96);
            let envelope = Envelope {
                lane: self.lane.index,
                number: sent.number,
                stamp: entry.stamp,
                command_id: entry.command_id,
                actor: entry.actor.clone(),
                trace_id: entry.trace_id,
                payload: sent.payload.clone(),
            };
            C::encode_message(codec, envelope, &mut value)?;
            let topic = TopicId::inbox(self.lane.role.peer());
            self.add(topic, sent.lane, NewRecord::new(Bytes::new(), value));
        }
        self.statement.extend(core.statement(&entry));
        self.answers.extend_from_slice(&entry.answers);
        self.open_bytes += entry_bytes;
        self.bytes += entry_bytes;
        self.entries += 1;
        self.open.push(entry);
        Ok(())
    }

    /// Adds what the outside is told.
    pub(crate) fn push_event(&mut self, codec: &mut Codec, event: &Event, lanes: u16) {
        let (topic, key, value) = match event {
            Event::Order(event) => (TopicId::OrderEvents, event.user_id.0, codec.to_bytes(event)),
            Event::Sale(sale) => (TopicId::Sales, sale.product_id.0, codec.to_bytes(sale)),
        };
        self.add(topic, partition_of(key, lanes), NewRecord::new(key.to_string(), value));
    }

    /// Adds a dead letter: the raw bytes, with cause and origin as headers.
    pub(crate) fn push_dead(&mut self, topic: TopicId, input: &Input, letter: &DeadLetter) {
        let header = |name: &str, text: String| (name.to_owned(), Bytes::from(text));
        let record = NewRecord {
            key: input.record.key.clone(),
            value: input.record.value.clone(),
            headers: vec![
                header("code", letter.code.as_str().to_owned()),
                header("cause", letter.cause.clone()),
                header("topic", topic.name().to_owned()),
                header("partition", self.lane.index.to_string()),
                header("offset", input.record.offset.to_string()),
            ],
        };
        self.dead_letters += 1;
        self.add(TopicId::DeadLetters, 0, record);
    }

    fn add(&mut self, topic: TopicId, partition: u16, record: NewRecord) {
        self.bytes += record.value.len() + record.key.len() + 64;
        self.records.push(CommitRecord { topic, partition, record });
    }

    /// Closes the open step: its header says where the lane stands after it.
    pub(crate) fn close_step(
        &mut self,
        codec: &mut Codec,
        head: &mut Head,
        balances: Vec<SystemBalance>,
    ) {
        if self.open.is_empty() {
            return;
        }
        self.statement.retain(|_| !is_planted(Bug::StatementLost) || self.steps.is_empty());
        let step = Step {
            role: self.lane.role,
            lane: self.lane.index,
            number: head.step + 1,
            previous: if is_planted(Bug::ChainBroken) { Hash::ZERO } else { head.hash },
            epoch: head.epoch,
            positions: head.positions,
            peers: head.peers(),
            balances,
            entries: std::mem::take(&mut self.open),
        };
        let mut record = Vec::with_capacity(self.open_bytes + STEP_HEAD_BYTES);
        codec.encode(&step, &mut record);
        record.shrink_to_fit();
        assert!(
            record.len() <= STEP_BYTES_MAX,
            "a step of {} bytes: estimates are too low",
            record.len()
        );
        head.close_step(&record);
        self.open_bytes = 0;
        self.steps.push(record.into());
    }

    /// What to commit, once the last step is closed.
    pub(crate) fn take_commit(&mut self, head: &Head) -> Commit {
        debug_assert!(self.open.is_empty(), "the last step is closed");
        Commit {
            steps: std::mem::take(&mut self.steps),
            records: std::mem::take(&mut self.records),
            positions: head.positions,
        }
    }
}
