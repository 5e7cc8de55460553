//! Puts the steps of all lanes, and what goes with them, into one order in which causes come first.

use super::{
    super::{Failure, lanes::PerLane},
    Shop,
    partition::Partition,
    writer::Writer,
};
use hashbrown::{HashMap, HashSet};
use jupan_log::LogRecord;
use jupan_schemas::{
    Codec, Entry, InputRef, Lane, OrderEvent, ProductMessage, Role, Sale, Source, Stamp, Step,
    TopicId, UserMessage, Verdict,
};
use std::{collections::BTreeMap, path::Path};

/// Copies a shop's log into an empty directory. Whatever is in the journals by now is in the copy.
///
/// # Errors
/// [`Failure`] where the log cannot be read, or the copy not written.
pub(in super::super) fn line_up(shop: &Shop, dir: &Path) -> Result<(), Failure> {
    let log = &*shop.log;
    let lanes = log.partitions();
    let out = Writer::create(dir, lanes)?;
    let mut ends = HashMap::new();
    for role in [Role::Users, Role::Products] {
        for index in 0..lanes {
            let bounds = log.bounds(TopicId::journal(role), index);
            let bounds = bounds.map_err(|source| Failure::Log { source })?;
            ends.insert(Lane { role, index }, bounds.end);
        }
    }
    let mut lining = Lining::open(shop, lanes, out)?;
    for lane in lining.lanes.iter().map(|(lane, _)| *lane).collect::<Vec<_>>() {
        while lining.is_before(lane, ends[&lane])? {
            lining.bring(lane)?;
        }
    }
    lining.finish()
}

/// One lane's partitions.
struct LaneParts<'a> {
    journal: Partition<'a>,
    /// The next step, if it can be read, with its record.
    next: Option<(Option<Step>, LogRecord)>,
    commands: Partition<'a>,
    inbox: Inbox<'a>,
    /// Order events of a user lane, sales of a product lane: the partition of the same number has
    /// those of this lane, and no others.
    told: Partition<'a>,
    last: Stamp,
    /// Messages sent to each lane of the other role.
    sent: HashMap<u16, u64>,
}

/// An inbox: messages come with their sender's step, the rest when it is read.
struct Inbox<'a> {
    partition: Partition<'a>,
    /// Read, and not lined up yet.
    waiting: BTreeMap<u64, (Option<(u16, u64)>, LogRecord)>,
    by_number: HashMap<(u16, u64), u64>,
    read_to: u64,
}

/// Who sent a message of an inbox, and its number; `None` where no lane numbered it.
fn sender(codec: &Codec, role: Role, record: &LogRecord) -> Option<(u16, u64)> {
    let (lane, number) = match role {
        Role::Users => {
            let message = codec.decode::<UserMessage>(&record.value).ok()?;
            (message.lane, message.number)
        }
        Role::Products => {
            let message = codec.decode::<ProductMessage>(&record.value).ok()?;
            (message.lane, message.number)
        }
    };
    (number > 0).then_some((lane, number))
}

impl Inbox<'_> {
    /// Reads one record more; false at the end.
    fn read(&mut self, codec: &Codec, role: Role) -> Result<bool, Failure> {
        let Some(record) = self.partition.take()? else { return Ok(false) };
        let sender = sender(codec, role, &record);
        self.read_to = record.offset + 1;
        if let Some(sender) = sender {
            // Of a doubled message the first counts; the other one stands alone.
            self.by_number.entry(sender).or_insert(record.offset);
        }
        self.waiting.insert(record.offset, (sender, record));
        Ok(true)
    }

    /// What waits at an offset.
    fn at(&mut self, offset: u64, codec: &Codec, role: Role) -> Result<Option<Kind>, Failure> {
        while self.read_to <= offset && self.read(codec, role)? {}
        Ok(self.waiting.get(&offset).map(|(sender, _)| *sender))
    }

    /// Takes a message by its number.
    fn message(
        &mut self,
        key: (u16, u64),
        codec: &Codec,
        role: Role,
    ) -> Result<Option<LogRecord>, Failure> {
        while !self.by_number.contains_key(&key) && self.read(codec, role)? {}
        let taken = self.by_number.remove(&key).and_then(|offset| self.waiting.remove(&offset));
        Ok(taken.map(|(_, record)| record))
    }
}

type Kind = Option<(u16, u64)>;

/// Dead letters, by the record that they were: topic, partition, offset, as their headers say.
struct DeadLetters<'a> {
    partition: Partition<'a>,
    waiting: BTreeMap<(String, String, String), LogRecord>,
}

impl DeadLetters<'_> {
    fn take(&mut self, lane: Lane, input: InputRef) -> Result<Option<LogRecord>, Failure> {
        let topic = match input.source {
            Source::Commands => TopicId::commands(lane.role),
            Source::Inbox => TopicId::inbox(lane.role),
        };
        let key = (topic.name().to_owned(), lane.index.to_string(), input.offset.to_string());
        while !self.waiting.contains_key(&key) {
            let Some(record) = self.partition.take()? else { break };
            let header = |name: &str| {
                let found = record.headers.iter().find(|(header, _)| header == name);
                found.map_or_else(String::new, |(_, value)| {
                    String::from_utf8_lossy(value).into_owned()
                })
            };
            self.waiting.insert((header("topic"), header("partition"), header("offset")), record);
        }
        Ok(self.waiting.remove(&key))
    }
}

struct Lining<'a> {
    codec: &'a Codec,
    lanes: PerLane<LaneParts<'a>>,
    dead: DeadLetters<'a>,
    results: Vec<Partition<'a>>,
    /// Lanes whose journals have nothing more, though somebody read what they sent.
    silent: HashSet<Lane>,
    out: Writer,
}

impl<'a> Lining<'a> {
    fn open(shop: &'a Shop, lanes: u16, out: Writer) -> Result<Self, Failure> {
        let (log, codec) = (&*shop.log, &shop.codec);
        let part = |topic, index| Partition::open(log, topic, index);
        let open = |lane: Lane| {
            let Lane { role, index } = lane;
            let told = match role {
                Role::Users => TopicId::OrderEvents,
                Role::Products => TopicId::Sales,
            };
            let inbox = part(TopicId::inbox(role), index)?;
            Ok(LaneParts {
                journal: part(TopicId::journal(role), index)?,
                next: None,
                commands: part(TopicId::commands(role), index)?,
                inbox: Inbox {
                    partition: inbox,
                    waiting: BTreeMap::new(),
                    by_number: HashMap::new(),
                    read_to: 0,
                },
                told: part(told, index)?,
                last: Stamp(i64::MIN),
                sent: HashMap::new(),
            })
        };
        let results = (0..).zip(&shop.results).map(|(index, end)| {
            Ok(Partition::open(log, TopicId::CommandResults, index)?.until(*end))
        });
        let dead = part(TopicId::DeadLetters, 0)?;
        Ok(Self {
            codec,
            lanes: PerLane::try_new(lanes, open)?,
            dead: DeadLetters { partition: dead, waiting: BTreeMap::new() },
            results: results.collect::<Result<_, Failure>>()?,
            silent: HashSet::new(),
            out,
        })
    }

    /// Whether a lane's next step lies before an offset of its journal.
    fn is_before(&mut self, lane: Lane, end: u64) -> Result<bool, Failure> {
        let Some(parts) = self.lanes.get_mut(lane) else { return Ok(false) };
        Ok(parts.look_ahead(self.codec)?.is_some_and(|(_, record)| record.offset < end))
    }

    /// Lines up a lane's next step, behind all that it follows from.
    fn bring(&mut self, lane: Lane) -> Result<(), Failure> {
        let mut wanted = vec![lane];
        while let Some(lane) = wanted.last().copied() {
            if !self.has_next(lane)? {
                self.silent.insert(lane);
                wanted.pop();
                continue;
            }
            match self.missing_sender(lane)? {
                // Lanes that wait for each other contradict each other: the checks say so.
                Some(sender) if !wanted.contains(&sender) && !self.silent.contains(&sender) => {
                    wanted.push(sender);
                }
                _ => {
                    self.line_up_step(lane)?;
                    wanted.pop();
                }
            }
        }
        Ok(())
    }

    /// Whether a lane has another step, even one from after the beginning.
    fn has_next(&mut self, lane: Lane) -> Result<bool, Failure> {
        let codec = self.codec;
        let Some(parts) = self.lanes.get_mut(lane) else { return Ok(false) };
        if parts.look_ahead(codec)?.is_some() {
            return Ok(true);
        }
        parts.journal.extend()?;
        parts.inbox.partition.extend()?;
        parts.told.extend()?;
        let has_next = parts.look_ahead(codec)?.is_some();
        if has_next {
            // What its step sent lies in partitions whose ends were taken before.
            self.dead.partition.extend()?;
            for (_, parts) in self.lanes.iter_mut() {
                parts.inbox.partition.extend()?;
            }
        }
        Ok(has_next)
    }

    /// The lane that sent a message which the next step of this one read, and whose own step with it
    /// is not there yet.
    fn missing_sender(&mut self, lane: Lane) -> Result<Option<Lane>, Failure> {
        let codec = self.codec;
        let Some(parts) = self.lanes.get_mut(lane) else { return Ok(None) };
        let Some((Some(step), _)) = &parts.next else { return Ok(None) };
        let mut missing = Vec::new();
        for input in step.entries.iter().filter_map(|entry| entry.input) {
            if input.source == Source::Inbox
                && let Some(Some(sender)) = parts.inbox.at(input.offset, codec, lane.role)?
            {
                missing.push(sender);
            }
        }
        for (index, number) in missing {
            let sender = Lane { role: lane.role.peer(), index };
            let sent = self.lanes.get_mut(sender).map(|parts| parts.sent_to(lane.index));
            if sent.is_some_and(|sent| sent < number) {
                return Ok(Some(sender));
            }
        }
        Ok(None)
    }

    fn line_up_step(&mut self, lane: Lane) -> Result<(), Failure> {
        let codec = self.codec;
        let Some(parts) = self.lanes.get_mut(lane) else { return Ok(()) };
        let Some((step, record)) = parts.next.take() else { return Ok(()) };
        for input in step.iter().flat_map(|step| &step.entries).filter_map(|entry| entry.input) {
            parts.line_up_input(lane, input, codec, &mut self.out)?;
        }
        self.out.end_frame()?;
        self.out.add(TopicId::journal(lane.role), lane.index, &record);
        if let Some(step) = step {
            parts.last = step.entries.last().map_or(parts.last, |entry| entry.stamp);
            parts.line_up_told(lane, codec, &mut self.out)?;
            self.line_up_letters(lane, &step)?;
            self.line_up_messages(lane, &step)?;
        }
        self.out.end_frame()
    }

    fn line_up_letters(&mut self, lane: Lane, step: &Step) -> Result<(), Failure> {
        let is_dead = |entry: &&Entry| entry.verdict == Verdict::Dead;
        for input in step.entries.iter().filter(is_dead).filter_map(|entry| entry.input) {
            if let Some(letter) = self.dead.take(lane, input)? {
                self.out.add(TopicId::DeadLetters, self.dead.partition.index, &letter);
            }
        }
        Ok(())
    }

    fn line_up_messages(&mut self, lane: Lane, step: &Step) -> Result<(), Failure> {
        for sent in step.entries.iter().flat_map(|entry| &entry.messages) {
            if let Some(parts) = self.lanes.get_mut(lane) {
                parts.sent.insert(sent.lane, sent.number);
            }
            let receiver = Lane { role: lane.role.peer(), index: sent.lane };
            let Some(parts) = self.lanes.get_mut(receiver) else { continue };
            let key = (lane.index, sent.number);
            if let Some(record) = parts.inbox.message(key, self.codec, receiver.role)? {
                self.out.add(TopicId::inbox(receiver.role), receiver.index, &record);
            }
        }
        Ok(())
    }

    /// What no step took along: unread inputs, and what should not be there.
    fn finish(mut self) -> Result<(), Failure> {
        let codec = self.codec;
        let mut sent = HashMap::new();
        for (lane, parts) in self.lanes.iter() {
            for (to, number) in &parts.sent {
                sent.insert((*lane, *to), *number);
            }
        }
        for (lane, parts) in self.lanes.iter_mut() {
            while let Some(record) = parts.commands.take()? {
                self.out.add_alone(TopicId::commands(lane.role), lane.index, &record)?;
            }
            while parts.inbox.read(codec, lane.role)? {}
            for (sender, record) in parts.inbox.waiting.values() {
                let is_of_later_step = sender.is_some_and(|(index, number)| {
                    let sender = Lane { role: lane.role.peer(), index };
                    sent.get(&(sender, lane.index)).copied().unwrap_or(0) < number
                });
                if !is_of_later_step {
                    self.out.add_alone(TopicId::inbox(lane.role), lane.index, record)?;
                }
            }
            // What is dated before the last step, and was not taken along, is one too many.
            parts.line_up_told(*lane, codec, &mut self.out)?;
        }
        for partition in &mut self.results {
            while let Some(record) = partition.take()? {
                self.out.add_alone(TopicId::CommandResults, partition.index, &record)?;
            }
        }
        self.out.finish()
    }
}

impl LaneParts<'_> {
    fn sent_to(&self, lane: u16) -> u64 {
        self.sent.get(&lane).copied().unwrap_or(0)
    }

    /// The next step. One that cannot be read stands alone: the checks will say so.
    fn look_ahead(&mut self, codec: &Codec) -> Result<Option<&(Option<Step>, LogRecord)>, Failure> {
        if self.next.is_none()
            && let Some(record) = self.journal.take()?
        {
            self.next = Some((codec.decode::<Step>(&record.value).ok(), record));
        }
        Ok(self.next.as_ref())
    }

    /// A command with all before it, or what no lane numbered.
    fn line_up_input(
        &mut self,
        lane: Lane,
        input: InputRef,
        codec: &Codec,
        out: &mut Writer,
    ) -> Result<(), Failure> {
        match input.source {
            Source::Commands => {
                while self.commands.peek()?.is_some_and(|record| record.offset <= input.offset) {
                    if let Some(record) = self.commands.take()? {
                        out.add_alone(TopicId::commands(lane.role), lane.index, &record)?;
                    }
                }
            }
            Source::Inbox => {
                self.inbox.at(input.offset, codec, lane.role)?;
                if let Some((_, record)) = self.inbox.waiting.remove(&input.offset) {
                    out.add_alone(TopicId::inbox(lane.role), lane.index, &record)?;
                }
            }
        }
        Ok(())
    }

    /// Order events or sales up to the last step's stamp.
    fn line_up_told(&mut self, lane: Lane, codec: &Codec, out: &mut Writer) -> Result<(), Failure> {
        let topic = self.told.topic;
        while let Some(record) = self.told.peek()? {
            let stamp = match lane.role {
                Role::Users => codec.decode(&record.value).map(|event: OrderEvent| event.stamp),
                Role::Products => codec.decode(&record.value).map(|sale: Sale| sale.stamp),
            };
            if stamp.is_ok_and(|stamp| stamp > self.last) {
                break;
            }
            if let Some(record) = self.told.take()? {
                out.add(topic, lane.index, &record);
            }
        }
        Ok(())
    }
}
