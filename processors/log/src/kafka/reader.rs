//! Reading partitions from a position: one client for all of them, a queue each.
//!
//! Committed records are what is read. Where a partition ends is asked of the broker: its **high
//! watermark** is behind everything that is durable, its **last stable offset** is where the first
//! open transaction begins, and no committed record is shown beyond it.

use super::class::{Class, class};
use super::client::{Clients, Isolation};
use super::limits::{READ, READ_PAUSE};
use super::record;
use super::signal::Signal;
use super::topics::Names;
use super::traces::{Quiet, ring};
use crate::{Batch, Bounds, ReadError, ReadLimit};
use jupan_schemas::TopicId;
use parking_lot::Mutex;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A partition.
pub(super) type Place = (TopicId, u16);

/// See the module.
pub(super) struct Reader {
    names: Names,
    committed: Arc<BaseConsumer<Quiet>>,
    uncommitted: BaseConsumer<Quiet>,
    cursors: Mutex<HashMap<Place, Arc<Mutex<Cursor>>>>,
    arrivals: Arc<Signal>,
}

/// Where reading of one partition stands.
struct Cursor {
    queue: PartitionQueue<Quiet>,
    /// Reading on from anywhere between these two needs no seek: there are only marks between
    /// them. `None`: the queue is not where it was left.
    goes_on: Option<(u64, u64)>,
}

/// What taking records from a queue ended with.
#[derive(Clone, Copy)]
enum Hand {
    /// Nothing more is at hand.
    Dry,
    /// The limit.
    Full,
    /// A record behind this end.
    Beyond(u64),
}

/// How far a read goes.
#[derive(Clone, Copy)]
pub(super) struct Stretch {
    pub(super) from: u64,
    /// `None`: to where the partition ends by now.
    pub(super) until: Option<u64>,
    pub(super) limit: ReadLimit,
}

impl Reader {
    pub(super) fn new(
        clients: &Clients,
        names: Names,
        arrivals: Arc<Signal>,
    ) -> Result<Self, KafkaError> {
        let consumer = |isolation| {
            let mut config = clients.reader("reader", isolation);
            // A partition that is read for the first time waits for the fetch that is on its way.
            config.set("fetch.wait.max.ms", "50");
            BaseConsumer::from_config_and_context(&config, Quiet)
        };
        let committed = Arc::new(consumer(Isolation::Committed)?);
        let uncommitted = consumer(Isolation::Uncommitted)?;
        Ok(Self { names, committed, uncommitted, cursors: Mutex::default(), arrivals })
    }

    /// Committed records, in order. Empty only where there are none up to the end.
    pub(super) fn read(&self, place: Place, stretch: Stretch) -> Result<Batch, ReadError> {
        let cursor = self.cursor(place, stretch.from)?;
        let mut cursor = cursor.lock();
        self.go_to(place, &mut cursor, stretch.from)?;
        let deadline = Instant::now() + READ;
        let mut end = stretch.until;
        let mut batch = Batch { records: Vec::new(), next: stretch.from };
        loop {
            let rings = self.arrivals.rings();
            let hand = self.drain(place, &mut cursor, stretch, &mut batch)?;
            let position = match hand {
                Hand::Dry => self.position(place).max(batch.next),
                Hand::Full => batch.next,
                Hand::Beyond(until) => until,
            };
            if !batch.records.is_empty() || matches!(hand, Hand::Full) {
                cursor.left_at(batch.next, position);
                batch.next = position;
                return Ok(batch);
            }
            let end = match end {
                Some(end) => end,
                None => *end.insert(self.stable_end(place)?),
            };
            if position >= end {
                cursor.left_at(stretch.from, position);
                batch.next = position;
                return Ok(batch);
            }
            if Instant::now() >= deadline {
                return Err(unavailable(place, "no record came in time".to_owned()));
            }
            self.arrivals.wait(rings, deadline.min(Instant::now() + READ_PAUSE));
        }
    }

    /// Stops reading ahead in a partition that nobody reads on.
    pub(super) fn leave(&self, place: Place) {
        if self.cursors.lock().remove(&place).is_some()
            && let Err(error) = self.committed.incremental_unassign(&self.partition(place))
        {
            tracing::debug!(topic = ?place.0, partition = place.1, %error, "still read ahead");
        }
    }

    /// First kept offset and high watermark.
    pub(super) fn bounds(&self, place: Place) -> Result<Bounds, ReadError> {
        let (start, end) = watermarks(&self.uncommitted, self.names.of(place.0), place)?;
        Ok(Bounds { start, end })
    }

    /// Last stable offset.
    pub(super) fn stable_end(&self, place: Place) -> Result<u64, ReadError> {
        watermarks(&self.committed, self.names.of(place.0), place).map(|(_, end)| end)
    }

    /// High watermarks and last stable offsets of many partitions: one request a broker.
    pub(super) fn ends(&self, places: &[Place], wait: Duration) -> Result<Ends, KafkaError> {
        let asked = || {
            let mut list = TopicPartitionList::with_capacity(places.len());
            for (topic, partition) in places {
                let name = self.names.of(*topic);
                list.add_partition_offset(name, i32::from(*partition), Offset::End)?;
            }
            Ok::<_, KafkaError>(list)
        };
        serve(&self.uncommitted);
        let high = self.uncommitted.offsets_for_times(asked()?, wait)?;
        let stable = self.committed.offsets_for_times(asked()?, wait)?;
        let of = |list: &TopicPartitionList, (topic, partition): Place| -> Option<u64> {
            let found = list.find_partition(self.names.of(topic), i32::from(partition))?;
            found.error().ok()?;
            match found.offset() {
                Offset::Offset(offset) => Some(record::offset(offset)),
                _ => None,
            }
        };
        let pairs = places.iter().filter_map(|place| {
            Some((*place, End { high: of(&high, *place)?, stable: of(&stable, *place)? }))
        });
        Ok(pairs.collect())
    }

    /// The metadata of a client that is in no group: the coordinator checks no generation for it.
    pub(super) fn no_member(&self) -> Option<ConsumerGroupMetadata> {
        self.committed.group_metadata()
    }

    fn cursor(&self, place: Place, from: u64) -> Result<Arc<Mutex<Cursor>>, ReadError> {
        let mut cursors = self.cursors.lock();
        if let Some(cursor) = cursors.get(&place) {
            return Ok(cursor.clone());
        }
        let broken = |error: KafkaError| read_error(place, &error);
        let name = self.names.of(place.0);
        // Before it is assigned, so that no record goes anywhere else.
        let queue = self.committed.split_partition_queue(name, i32::from(place.1));
        let mut queue = queue.ok_or_else(|| broken(KafkaError::NoMessageReceived))?;
        queue.set_nonempty_callback(ring(&self.arrivals));
        let mut list = TopicPartitionList::with_capacity(1);
        let offset = Offset::Offset(record::raw(from));
        list.add_partition_offset(name, i32::from(place.1), offset).map_err(broken)?;
        self.committed.incremental_assign(&list).map_err(broken)?;
        let cursor = Arc::new(Mutex::new(Cursor { queue, goes_on: Some((from, from)) }));
        cursors.insert(place, cursor.clone());
        Ok(cursor)
    }

    fn go_to(&self, place: Place, cursor: &mut Cursor, from: u64) -> Result<(), ReadError> {
        if cursor.goes_on.is_some_and(|(last, next)| last <= from && from <= next) {
            return Ok(());
        }
        cursor.goes_on = None;
        let mut list = TopicPartitionList::with_capacity(1);
        let (name, partition) = (self.names.of(place.0), i32::from(place.1));
        let broken = |error: KafkaError| read_error(place, &error);
        let offset = Offset::Offset(record::raw(from));
        list.add_partition_offset(name, partition, offset).map_err(broken)?;
        let sought = self.committed.seek_partitions(list, READ).and_then(|list| {
            list.find_partition(name, partition).map_or(Ok(()), |found| found.error())
        });
        if let Err(error) = sought {
            // The next read begins anew.
            self.leave(place);
            return Err(broken(error));
        }
        cursor.goes_on = Some((from, from));
        Ok(())
    }

    /// Takes what is at hand, up to the limit.
    fn drain(
        &self,
        place: Place,
        cursor: &mut Cursor,
        stretch: Stretch,
        batch: &mut Batch,
    ) -> Result<Hand, ReadError> {
        let mut bytes = 0;
        serve(&self.committed);
        while batch.records.len() < stretch.limit.records_max
            && (bytes < stretch.limit.bytes_max || batch.records.is_empty())
        {
            let message = match cursor.queue.poll(Duration::ZERO) {
                None => return Ok(Hand::Dry),
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    self.read_failed(place, stretch.from, &error)?;
                    continue;
                }
            };
            let offset = record::offset(message.offset());
            if let Some(until) = stretch.until.filter(|until| offset >= *until) {
                cursor.goes_on = None;
                return Ok(Hand::Beyond(until));
            }
            if offset >= batch.next {
                let read = record::read(&message);
                bytes += read.value.len();
                batch.next = offset + 1;
                batch.records.push(read);
            }
        }
        Ok(Hand::Full)
    }

    /// An error in the place of a record: of the position, of our rights, or one that passes.
    fn read_failed(&self, place: Place, from: u64, error: &KafkaError) -> Result<(), ReadError> {
        let code = error.rdkafka_error_code();
        if matches!(
            code,
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
        ) {
            self.leave(place);
            let (topic, partition) = place;
            let start = self.bounds(place)?.start;
            if from < start {
                return Err(ReadError::BelowStart { topic, partition, from, start });
            }
            return Err(unavailable(place, error.to_string()));
        }
        if class(error) == Class::Forbidden {
            return Err(read_error(place, error));
        }
        tracing::debug!(target: "kafka", topic = ?place.0, partition = place.1, %error, "reading");
        Ok(())
    }

    /// Where reading goes on, behind marks, too. 0 where the client does not know.
    fn position(&self, place: Place) -> u64 {
        position(&self.committed, self.names.of(place.0), place.1)
    }

    fn partition(&self, (topic, partition): Place) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(self.names.of(topic), i32::from(partition));
        list
    }
}

impl Cursor {
    /// Reading goes on behind the last record, or behind the marks that follow it.
    fn left_at(&mut self, last: u64, position: u64) {
        if self.goes_on.is_some() {
            self.goes_on = Some((last, position));
        }
    }
}

/// Ends of partitions.
pub(super) type Ends = HashMap<Place, End>;

/// Where a partition ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// High watermark.
    pub(super) high: u64,
    /// Last stable offset.
    pub(super) stable: u64,
}

/// The next offset that a consumer will hand out, behind marks, too; 0 where it does not know.
pub(super) fn position(consumer: &BaseConsumer<Quiet>, name: &str, partition: u16) -> u64 {
    let positions = consumer.position().ok();
    let found = positions.as_ref().and_then(|list| list.find_partition(name, i32::from(partition)));
    match found.map(|found| found.offset()) {
        Some(Offset::Offset(offset)) => record::offset(offset),
        _ => 0,
    }
}

/// Errors and lines of a client itself come by its main queue, which must not grow.
fn serve(consumer: &BaseConsumer<Quiet>) {
    while let Some(event) = consumer.poll(Duration::ZERO) {
        if let Err(error) = event {
            tracing::debug!(target: "kafka", %error, "reader");
        }
    }
}

fn watermarks(
    consumer: &BaseConsumer<Quiet>,
    name: &str,
    place: Place,
) -> Result<(u64, u64), ReadError> {
    serve(consumer);
    let asked = || consumer.fetch_watermarks(name, i32::from(place.1), READ);
    // Where a broker was away or overloaded, the client goes on believing what it last heard: another
    // leader, or no partition at all, and no question about it goes out. Fresh metadata helps.
    let found = asked().or_else(|error| match class(&error) {
        Class::Forbidden => Err(error),
        _ => consumer.fetch_metadata(Some(name), READ).and_then(|_| asked()),
    });
    let (start, end) = found.map_err(|error| read_error(place, &error))?;
    Ok((record::offset(start), record::offset(end)))
}

fn unavailable((topic, partition): Place, cause: String) -> ReadError {
    ReadError::Unavailable { topic, partition, cause }
}

/// A broker that is away comes back; a right that is missing does not.
fn read_error(place: Place, error: &KafkaError) -> ReadError {
    let (topic, partition) = place;
    let cause = error.to_string();
    match class(error) {
        Class::Forbidden => ReadError::Broken { topic, partition, cause },
        _ => ReadError::Unavailable { topic, partition, cause },
    }
}
