//! A commit in the making: entries gather into steps, steps and all that derives from them into one commit.

use crate::{head::Head, intake::DeadLetter, role::Wired};
use bytes::Bytes;
use jupan_ledger::{Decision, Event};
use jupan_log::{Commit, CommitRecord, Header, Input, NewRecord};
use jupan_schemas::{
    Answer, Change, Code, Codec, Entry, Envelope, Hash, KeyText, Lane, Message, STEP_BYTES_MAX,
    Step, SystemBalance, TopicId, TraceId, WrongReceiver, dead_letters, partition_of,
    planted::{Bug, is_planted},
    rows::Row,
};

/// Longest count of how often a record was sent again; a longer one is none of ours.
const REDRIVES_BYTES_MAX: usize = 10;

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

/// What follows a commit once it is durable.
#[derive(Default)]
pub(crate) struct Sequel {
    /// Entries of the whole commit.
    pub(crate) entries: usize,
    /// Dead letters of the whole commit.
    pub(crate) dead_letters: usize,
    /// What the orders that it ends end with, one code each.
    pub(crate) ended: Vec<Code>,
    /// Rows that only this commit writes.
    pub(crate) statement: Vec<Row>,
    /// Outcomes to send once the rows are there.
    pub(crate) answers: Vec<Answer>,
}

/// A message, event or dead letter. Its key starts where the record before it ends.
struct Drafted {
    topic: TopicId,
    partition: u16,
    key_end: usize,
    value_end: usize,
    headers: Vec<Header>,
    trace: Option<TraceId>,
}

/// A commit in the making. A lane makes one after the other in the same draft: its buffers and
/// lists are memory that is warm and large enough.
pub(crate) struct Draft {
    lane: Lane,
    /// Closed steps, encoded.
    steps: Vec<Bytes>,
    /// Where a step is encoded.
    step: Vec<u8>,
    /// Entries of the open step, and an upper bound of their size.
    open: Vec<Entry>,
    open_bytes: usize,
    records: Vec<Drafted>,
    /// Keys and values of the records, one behind the other.
    encoded: Vec<u8>,
    bytes: usize,
    sequel: Sequel,
}

impl Draft {
    pub(crate) fn new(lane: Lane) -> Self {
        Self {
            lane,
            steps: Vec::new(),
            step: Vec::new(),
            open: Vec::new(),
            open_bytes: 0,
            records: Vec::new(),
            encoded: Vec::new(),
            bytes: 0,
            sequel: Sequel::default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sequel.entries == 0
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
            let envelope = Envelope {
                lane: self.lane.index,
                number: sent.number,
                stamp: entry.stamp,
                command_id: entry.command_id,
                actor: entry.actor.as_str(),
                trace_id: entry.trace_id,
                payload: &sent.payload,
            };
            let key_end = self.encoded.len();
            C::encode_message(codec, envelope, &mut self.encoded)?;
            let topic = TopicId::inbox(self.lane.role.peer());
            self.add((topic, sent.lane), key_end, Vec::new(), entry.trace_id);
        }
        core.statement(&entry, &mut self.sequel.statement);
        self.sequel.answers.extend_from_slice(&entry.answers);
        self.sequel.ended.extend(entry.changes.iter().filter_map(|change| match change {
            Change::OrderEnded(ended) => Some(ended.code),
            _ => None,
        }));
        self.open_bytes += entry_bytes;
        self.bytes += entry_bytes;
        self.sequel.entries += 1;
        self.open.push(entry);
        Ok(())
    }

    /// Adds what the outside is told.
    pub(crate) fn push_event(
        &mut self,
        codec: &mut Codec,
        event: &Event,
        lanes: u16,
        trace: Option<TraceId>,
    ) {
        let (topic, key) = match event {
            Event::Order(event) => (TopicId::OrderEvents, event.user_id.0),
            Event::Sale(sale) => (TopicId::Sales, sale.product_id.0),
        };
        self.encoded.extend_from_slice(KeyText::of(key).as_bytes());
        let key_end = self.encoded.len();
        match event {
            Event::Order(event) => codec.encode(event, &mut self.encoded),
            Event::Sale(sale) => codec.encode(sale, &mut self.encoded),
        }
        self.add((topic, partition_of(key, lanes)), key_end, Vec::new(), trace);
    }

    /// Adds a dead letter: the raw bytes, with cause and origin as headers.
    pub(crate) fn push_dead(&mut self, topic: TopicId, input: &Input, letter: &DeadLetter) {
        let header = |name: &str, text: String| (name.to_owned(), Bytes::from(text));
        let mut headers = vec![
            header(dead_letters::CODE, letter.code.as_str().to_owned()),
            header(dead_letters::CAUSE, letter.cause.clone()),
            header(dead_letters::TOPIC, topic.name().to_owned()),
            header(dead_letters::PARTITION, self.lane.index.to_string()),
            header(dead_letters::OFFSET, input.record.offset.to_string()),
        ];
        // So that what comes back again and again is not sent again for ever.
        let redrives = input.record.headers.iter().find(|(name, _)| name == dead_letters::REDRIVES);
        headers.extend(redrives.filter(|(_, count)| count.len() <= REDRIVES_BYTES_MAX).cloned());
        self.encoded.extend_from_slice(&input.record.key);
        let key_end = self.encoded.len();
        self.encoded.extend_from_slice(&input.record.value);
        self.sequel.dead_letters += 1;
        self.add((TopicId::DeadLetters, 0), key_end, headers, letter.meta.trace_id);
    }

    /// Adds the record whose key and value were encoded last.
    fn add(
        &mut self,
        (topic, partition): (TopicId, u16),
        key_end: usize,
        headers: Vec<Header>,
        trace: Option<TraceId>,
    ) {
        let value_end = self.encoded.len();
        let start = self.records.last().map_or(0, |last| last.value_end);
        self.bytes += value_end - start + 64;
        self.records.push(Drafted { topic, partition, key_end, value_end, headers, trace });
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
        self.sequel.statement.retain(|_| !is_planted(Bug::StatementLost) || self.steps.is_empty());
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
        self.step.clear();
        codec.encode(&step, &mut self.step);
        let bytes = self.step.len();
        assert!(bytes <= STEP_BYTES_MAX, "a step of {bytes} bytes: estimates are too low");
        head.close_step(&self.step);
        self.steps.push(Bytes::copy_from_slice(&self.step));
        self.open = step.entries;
        self.open.clear();
        self.open_bytes = 0;
    }

    /// What to commit once the last step is closed, and what follows it. Leaves an empty draft.
    pub(crate) fn take(&mut self, head: &Head) -> (Commit, Sequel) {
        debug_assert!(self.open.is_empty(), "the last step is closed");
        let encoded = Bytes::copy_from_slice(&self.encoded);
        let mut start = 0;
        let records = self.records.drain(..).map(|drafted| {
            let Drafted { topic, partition, key_end, value_end, headers, trace } = drafted;
            let (key, value) = (encoded.slice(start..key_end), encoded.slice(key_end..value_end));
            start = value_end;
            CommitRecord { topic, partition, record: NewRecord { key, value, headers, trace } }
        });
        let commit = Commit {
            steps: std::mem::take(&mut self.steps),
            records: records.collect(),
            positions: head.positions,
        };
        self.encoded.clear();
        self.bytes = 0;
        (commit, std::mem::take(&mut self.sequel))
    }
}
