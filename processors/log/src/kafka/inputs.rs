//! A lane's two inputs: one client, a queue each, so that a backlog of commands does not stand
//! before the messages of other lanes.

use super::class::{Class, class};
use super::client::{Clients, Isolation};
use super::reader::position;
use super::record;
use super::signal::Signal;
use super::topics::Names;
use super::traces::{Quiet, ring};
use crate::{Input, LaneError, ReadLimit};
use jupan_schemas::{Lane, Positions, Source, TopicId};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// See the module. Belongs to the lane's thread.
pub(super) struct Inputs {
    lane: Lane,
    consumer: Arc<BaseConsumer<Quiet>>,
    feeds: [Feed; 2],
    turn: usize,
    arrivals: Arc<Signal>,
}

/// One input.
struct Feed {
    source: Source,
    topic: TopicId,
    name: String,
    queue: PartitionQueue<Quiet>,
    /// The next offset to hand out, or one before it.
    next: u64,
    /// Whether nothing more is at hand.
    is_dry: bool,
}

/// Why reading stops.
pub(super) enum Stopped {
    /// The next records of this topic are no longer kept.
    NotKept(TopicId, u64),
    /// For the lane's owner.
    Error(LaneError),
}

impl Inputs {
    /// Begins to read both inputs at these positions.
    pub(super) fn new(
        clients: &Clients,
        names: &Names,
        lane: Lane,
        positions: Positions,
    ) -> Result<Self, KafkaError> {
        let purpose = format!("{}-inputs", lane.role.name());
        let config = clients.reader(&purpose, Isolation::Committed);
        let consumer = Arc::new(BaseConsumer::from_config_and_context(&config, Quiet)?);
        let arrivals = Arc::new(Signal::default());
        let feed = |source, topic, next| -> Result<Feed, KafkaError> {
            let name = names.of(topic).to_owned();
            // Before it is assigned, so that no record goes anywhere else.
            let queue = consumer.split_partition_queue(&name, i32::from(lane.index));
            let mut queue = queue.ok_or(KafkaError::NoMessageReceived)?;
            queue.set_nonempty_callback(ring(&arrivals));
            Ok(Feed { source, topic, name, queue, next, is_dry: false })
        };
        let feeds = [
            feed(Source::Commands, TopicId::commands(lane.role), positions.commands)?,
            feed(Source::Inbox, TopicId::inbox(lane.role), positions.inbox)?,
        ];
        let mut list = TopicPartitionList::with_capacity(2);
        for feed in &feeds {
            let offset = Offset::Offset(record::raw(feed.next));
            list.add_partition_offset(&feed.name, i32::from(lane.index), offset)?;
        }
        consumer.assign(&list)?;
        Ok(Self { lane, consumer, feeds, turn: 1, arrivals })
    }

    /// Where both inputs go on.
    pub(super) fn positions(&self) -> Positions {
        Positions { commands: self.feeds[0].next, inbox: self.feeds[1].next }
    }

    /// What is at hand, taking turns; waits for the first record at most to the deadline.
    pub(super) fn poll(
        &mut self,
        limit: ReadLimit,
        deadline: Instant,
    ) -> Result<Vec<Input>, Stopped> {
        loop {
            let rings = self.arrivals.rings();
            let inputs = self.take(limit)?;
            if !inputs.is_empty() || limit.records_max == 0 || Instant::now() >= deadline {
                return Ok(inputs);
            }
            self.arrivals.wait(rings, deadline);
        }
    }

    fn take(&mut self, limit: ReadLimit) -> Result<Vec<Input>, Stopped> {
        // Errors and lines of the client itself come by the main queue, and nothing else does.
        match self.consumer.poll(Duration::ZERO) {
            None => {}
            Some(Err(error)) => self.failed(None, &error)?,
            Some(Ok(message)) => {
                let cause = format!("offset {} came outside its queue", message.offset());
                return Err(Stopped::Error(LaneError::Unknown { lane: self.lane, cause }));
            }
        }
        self.feeds.iter_mut().for_each(|feed| feed.is_dry = false);
        let mut inputs = Vec::new();
        let mut bytes = 0;
        while inputs.len() < limit.records_max && (bytes < limit.bytes_max || inputs.is_empty()) {
            if self.feeds.iter().all(|feed| feed.is_dry) {
                break;
            }
            let turn = self.turn;
            self.turn = 1 - turn;
            match self.feeds[turn].take() {
                Ok(None) => {}
                Ok(Some(input)) => {
                    bytes += input.record.value.len();
                    inputs.push(input);
                }
                Err(error) => self.failed(Some(turn), &error)?,
            }
        }
        self.pass_marks(&mut inputs);
        Ok(inputs)
    }

    /// Behind the last record of an input there may be marks; the position is past them.
    fn pass_marks(&mut self, inputs: &mut [Input]) {
        for feed in self.feeds.iter_mut().filter(|feed| feed.is_dry) {
            let Some(last) = inputs.iter_mut().rfind(|input| input.source == feed.source) else {
                continue;
            };
            feed.next = feed.next.max(position(&self.consumer, &feed.name, self.lane.index));
            last.next = feed.next;
        }
    }

    fn failed(&self, feed: Option<usize>, error: &KafkaError) -> Result<(), Stopped> {
        let code = error.rdkafka_error_code();
        let is_out_of_range = matches!(
            code,
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
        );
        if let (Some(feed), true) = (feed, is_out_of_range) {
            return Err(Stopped::NotKept(self.feeds[feed].topic, self.feeds[feed].next));
        }
        if class(error) == Class::Forbidden {
            let cause = format!("reading its inputs: {error}");
            return Err(Stopped::Error(LaneError::Broken { lane: self.lane, cause }));
        }
        tracing::debug!(target: "kafka", lane = %self.lane, %error, "reading inputs");
        Ok(())
    }
}

impl Feed {
    fn take(&mut self) -> Result<Option<Input>, KafkaError> {
        loop {
            let message = match self.queue.poll(Duration::ZERO) {
                None => {
                    self.is_dry = true;
                    return Ok(None);
                }
                Some(message) => message?,
            };
            let record = record::read(&message);
            // A client that fetches again after a change of leader may hand out what it has.
            if record.offset >= self.next {
                self.next = record.offset + 1;
                return Ok(Some(Input { source: self.source, record, next: self.next }));
            }
        }
    }
}
