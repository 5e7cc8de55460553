//! One lane of the small shop: a real core, and the journal that it writes.

use super::writer::OwnedRecord;
use jupan_ledger::{Asked, Core, Decision, Event, Rules, products, users};
use jupan_schemas::{
    Answer, Asker, Change, Code, Codec, CommandId, Entry, Envelope, Hash, InputRef, Lane, Message,
    Micros, Opened, Outcome, Peer, Positions, ProductCommand, ProductMessage, Role, Sent, Source,
    Stamp, Step, ToProducts, ToUsers, TopicId, TraceId, UserCommand, UserMessage, Verdict,
    partition_of, rows::Key,
};
use std::collections::VecDeque;

/// A core that can be told what its records say.
pub(crate) trait Driven: Core {
    fn read(codec: &mut Codec, source: Source, record: &OwnedRecord) -> Option<Read<Self::Input>>;
}

pub(crate) struct Read<I> {
    input: I,
    command_id: Option<CommandId>,
    actor: String,
    trace_id: Option<TraceId>,
    stamp: i64,
    sender: Option<(u16, u64)>,
    reply_to: Option<u32>,
    target: Option<u64>,
}

fn told<I, P>(message: &Envelope<P>, input: I) -> Read<I> {
    Read {
        input,
        command_id: message.command_id,
        actor: message.actor.clone(),
        trace_id: message.trace_id,
        stamp: message.stamp.0,
        sender: (message.number > 0).then_some((message.lane, message.number)),
        reply_to: None,
        target: None,
    }
}

impl Driven for users::Users {
    fn read(codec: &mut Codec, source: Source, record: &OwnedRecord) -> Option<Read<Self::Input>> {
        if source == Source::Inbox {
            let message: UserMessage = codec.decode(&record.value).ok()?;
            return Some(told(&message.clone(), users::Input::Message(message)));
        }
        let command: UserCommand = codec.decode(&record.value).ok()?;
        let command_id = CommandId::of(Role::Users, command.user_id.0, &command.key);
        let fingerprint = codec.user_fingerprint(&command);
        let (actor, trace_id) = (command.actor.clone(), command.trace_id);
        let (reply_to, target) = (command.reply_to, Some(command.user_id.0));
        let asked = Asked { command, command_id, fingerprint, position: record.offset };
        let input = users::Input::Command(asked);
        let command_id = Some(command_id);
        Some(Read { input, command_id, actor, trace_id, stamp: 0, sender: None, reply_to, target })
    }
}

impl Driven for products::Products {
    fn read(codec: &mut Codec, source: Source, record: &OwnedRecord) -> Option<Read<Self::Input>> {
        if source == Source::Inbox {
            let message: ProductMessage = codec.decode(&record.value).ok()?;
            return Some(told(&message.clone(), products::Input::Message(message)));
        }
        let command: ProductCommand = codec.decode(&record.value).ok()?;
        let command_id = CommandId::of(Role::Products, command.product_id.0, &command.key);
        let fingerprint = codec.product_fingerprint(&command);
        let (actor, trace_id) = (command.actor.clone(), command.trace_id);
        let (reply_to, target) = (command.reply_to, Some(command.product_id.0));
        let asked = Asked { command, command_id, fingerprint, position: record.offset };
        let input = products::Input::Command(asked);
        let command_id = Some(command_id);
        Some(Read { input, command_id, actor, trace_id, stamp: 0, sender: None, reply_to, target })
    }
}

pub(crate) struct LaneOf<C> {
    lane: Lane,
    core: C,
    step: u64,
    hash: Hash,
    epoch: u64,
    sequence: u64,
    stamp: i64,
    positions: Positions,
    peers: Vec<Peer>,
    pub(crate) waiting: VecDeque<(Source, OwnedRecord)>,
}

/// A record without its offset.
pub(crate) struct Draft {
    pub(crate) topic: TopicId,
    pub(crate) partition: u16,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// What a lane's batch leads to.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) records: Vec<Draft>,
    pub(crate) answers: Vec<Answer>,
}

impl<C: Driven> LaneOf<C> {
    pub(crate) fn new(index: u16, lanes: u16) -> Self {
        Self {
            lane: Lane { role: C::ROLE, index },
            core: C::new(index),
            step: 0,
            hash: Hash::ZERO,
            epoch: 0,
            sequence: 0,
            stamp: 0,
            positions: Positions::default(),
            peers: (0..lanes).map(|lane| Peer { lane, sent: 0, received: 0 }).collect(),
            waiting: VecDeque::new(),
        }
    }

    fn next(&mut self, at: i64, cause: i64) -> (u64, Stamp) {
        self.sequence += 1;
        self.stamp = (self.stamp + 1).max(at).max(cause + 1);
        (self.sequence, Stamp(self.stamp))
    }

    pub(crate) fn open(&mut self, codec: &mut Codec) -> Batch {
        self.epoch += 1;
        let (sequence, stamp) = self.next(0, 0);
        let opened = Change::Opened(Opened { epoch: self.epoch });
        let entry = Entry {
            sequence,
            stamp,
            input: None,
            command_id: None,
            actor: "lane".to_owned(),
            trace_id: None,
            verdict: Verdict::Opened,
            code: Code::Ok,
            changes: vec![opened],
            postings: Vec::new(),
            messages: Vec::new(),
            answers: Vec::new(),
        };
        let mut batch = Batch::default();
        self.close(codec, vec![entry], &mut batch);
        batch
    }

    pub(crate) fn run(&mut self, codec: &mut Codec, rules: &Rules, batch_max: usize) -> Batch {
        let mut batch = Batch::default();
        let mut entries = Vec::new();
        for _ in 0..batch_max {
            let Some((source, record)) = self.waiting.pop_front() else { break };
            entries.push(self.decide(codec, rules, source, &record, &mut batch));
        }
        self.close(codec, entries, &mut batch);
        batch
    }

    fn decide(
        &mut self,
        codec: &mut Codec,
        rules: &Rules,
        source: Source,
        record: &OwnedRecord,
        batch: &mut Batch,
    ) -> Entry {
        let at = Micros(record.at);
        match source {
            Source::Commands => self.positions.commands = record.offset + 1,
            Source::Inbox => self.positions.inbox = record.offset + 1,
        }
        let read = C::read(codec, source, record);
        let is_home = |target: u64| {
            partition_of(target, rules.lanes) == self.lane.index
                && record.key == target.to_string().as_bytes()
        };
        let is_dead = read.as_ref().is_none_or(|read| read.target.is_some_and(|t| !is_home(t)));
        let decision = match &read {
            Some(read) if !is_dead => {
                self.load(|core, keys| core.footprint(&read.input, keys));
                self.core.decide(rules, &read.input, at).expect("the shop is sound")
            }
            _ => {
                let (topic, value) = (TopicId::DeadLetters, record.value.clone());
                batch.records.push(Draft { topic, partition: 0, key: Vec::new(), value });
                self.dead(read.as_ref(), record.offset)
            }
        };
        if let Some((from, number)) = read.as_ref().and_then(|read| read.sender) {
            self.peers[usize::from(from)].received = number;
        }
        let entry = self.entry(source, record, read.as_ref(), decision);
        self.load(|core, keys| core.entry_footprint(&entry, keys));
        self.core.evolve(&entry).expect("the shop is sound");
        self.derive(codec, rules, &entry, batch);
        entry
    }

    fn dead(&self, read: Option<&Read<C::Input>>, position: u64) -> Decision {
        let code = if read.is_some() { Code::WrongPartition } else { Code::Malformed };
        let mut decision = Decision::nothing(Verdict::Dead, code);
        let asker = read.and_then(|read| Some((read.command_id?, read.reply_to?)));
        decision.answers.extend(asker.map(|(command_id, reply_to)| Answer {
            command_id,
            asker: Asker { reply_to, position },
            outcome: Outcome::of(code),
        }));
        decision
    }

    fn load(&mut self, footprint: impl Fn(&C, &mut Vec<Key>)) {
        loop {
            let mut keys = Vec::new();
            footprint(&self.core, &mut keys);
            self.core.retain_missing(&mut keys);
            if keys.is_empty() {
                break;
            }
            for key in keys {
                self.core.load(key, None).expect("absent");
            }
        }
    }

    fn entry(
        &mut self,
        source: Source,
        record: &OwnedRecord,
        read: Option<&Read<C::Input>>,
        decision: Decision,
    ) -> Entry {
        let (sequence, stamp) = self.next(record.at, read.map_or(0, |read| read.stamp));
        let messages = decision.messages.into_iter().map(|(lane, payload)| {
            let peer = &mut self.peers[usize::from(lane)];
            peer.sent += 1;
            Sent { lane, number: peer.sent, payload }
        });
        Entry {
            sequence,
            stamp,
            input: Some(InputRef { source, offset: record.offset, at: Micros(record.at) }),
            command_id: read.and_then(|read| read.command_id),
            actor: read.map(|read| read.actor.clone()).unwrap_or_default(),
            trace_id: read.and_then(|read| read.trace_id),
            verdict: decision.verdict,
            code: decision.code,
            changes: decision.changes,
            postings: decision.postings,
            messages: messages.collect(),
            answers: decision.answers,
        }
    }

    fn derive(&self, codec: &mut Codec, rules: &Rules, entry: &Entry, batch: &mut Batch) {
        self.core.events(entry, &mut |event| {
            let (topic, id, value) = match &event {
                Event::Order(event) => {
                    (TopicId::OrderEvents, event.user_id.0, codec.to_bytes(event))
                }
                Event::Sale(sale) => (TopicId::Sales, sale.product_id.0, codec.to_bytes(sale)),
            };
            let partition = partition_of(id, rules.lanes);
            let key = id.to_string().into_bytes();
            batch.records.push(Draft { topic, partition, key, value });
        });
        for sent in &entry.messages {
            let value = self.message(codec, entry, sent);
            let topic = TopicId::inbox(self.lane.role.peer());
            batch.records.push(Draft { topic, partition: sent.lane, key: Vec::new(), value });
        }
        batch.answers.extend_from_slice(&entry.answers);
    }

    fn message(&self, codec: &mut Codec, entry: &Entry, sent: &Sent) -> Vec<u8> {
        message_bytes(codec, self.lane, entry, sent)
    }

    fn close(&mut self, codec: &mut Codec, entries: Vec<Entry>, batch: &mut Batch) {
        self.step += 1;
        let step = Step {
            role: self.lane.role,
            lane: self.lane.index,
            number: self.step,
            previous: self.hash,
            epoch: self.epoch,
            positions: self.positions,
            peers: self.peers.clone(),
            balances: self.core.balances(),
            entries,
        };
        let bytes = codec.to_bytes(&step);
        self.hash = Hash::of(&bytes);
        let topic = TopicId::journal(self.lane.role);
        let (partition, key) = (self.lane.index, Vec::new());
        batch.records.insert(0, Draft { topic, partition, key, value: bytes });
    }
}

/// An inbox record of a message that an entry sent.
fn message_bytes(codec: &mut Codec, from: Lane, entry: &Entry, sent: &Sent) -> Vec<u8> {
    fn envelope<P>(lane: u16, entry: &Entry, number: u64, payload: P) -> Envelope<P> {
        Envelope {
            lane,
            number,
            stamp: entry.stamp,
            command_id: entry.command_id,
            actor: entry.actor.clone(),
            trace_id: entry.trace_id,
            payload,
        }
    }
    let payload: Message = sent.payload.clone();
    match from.role {
        Role::Users => {
            let payload = payload.try_into().expect("to a product lane");
            codec.to_bytes(&envelope::<ToProducts>(from.index, entry, sent.number, payload))
        }
        Role::Products => {
            let payload = payload.try_into().expect("to a user lane");
            codec.to_bytes(&envelope::<ToUsers>(from.index, entry, sent.number, payload))
        }
    }
}
