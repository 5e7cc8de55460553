//! A lane's transactions: begin, send, await every delivery, send the positions, commit.
//!
//! The lane decides before it begins, so a transaction is open for milliseconds. Deliveries are
//! awaited here: the client's own flush looks for them ten times a second.
//!
//! # When a producer is given up
//! After every error, since none of them proves that nothing happened: the next owner asks the
//! journal. And after a commit during which a connection broke, even if it succeeded: the client
//! repeats a lost commit over a new connection by itself, and the first one may still be on its
//! way. Applied late it would end a later transaction of this producer, half done. A new producer's
//! epoch makes it void.

use super::class::{Class, class, lane_error};
use super::client::Clients;
use super::limits::{ABORT, COMMIT, DELIVERY_PAUSE, TAKEOVER};
use super::record;
use super::traces::{trace_error, trace_line};
use crate::{LaneError, NewRecord};
use jupan_schemas::Lane;
use parking_lot::Mutex;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::{ClientContext, TopicPartitionList};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A record with its place.
pub(super) struct Placed<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: u16,
    pub(super) record: NewRecord,
    /// Whether it is one of the commit's steps.
    pub(super) is_step: bool,
}

/// Where the lane stands in its inputs, under the generation that it has them by.
pub(super) struct Standing<'a> {
    pub(super) offsets: &'a TopicPartitionList,
    pub(super) member: &'a ConsumerGroupMetadata,
}

/// A commit that happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// Offset behind its last step, if it had one.
    pub(super) journal: Option<u64>,
    /// Whether this producer may go on.
    pub(super) is_clean: bool,
}

/// What became of the records of one transaction.
#[derive(Default)]
struct Tally {
    delivered: usize,
    failed: Option<KafkaError>,
    journal: Option<u64>,
}

/// Callbacks of a lane's producer; they run in the lane's thread, when it polls.
#[derive(Default)]
struct Deliveries {
    tally: Mutex<Tally>,
    /// Whatever came: tells a poll that found something from one that did not.
    events: AtomicU64,
    /// Connections that broke.
    breaks: AtomicU64,
}

/// The library's word for a lost connection, in the lines that it writes. It has no other sign of
/// one that it then mends.
const BREAK: &str = "FAIL";
const STEP: usize = 1;
const OTHER: usize = 0;

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, subject: &str, line: &str) {
        self.events.fetch_add(1, Ordering::Relaxed);
        if subject.contains(BREAK) {
            self.breaks.fetch_add(1, Ordering::Relaxed);
        }
        trace_line(level, subject, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.events.fetch_add(1, Ordering::Relaxed);
        trace_error(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: usize) {
        self.events.fetch_add(1, Ordering::Relaxed);
        let mut tally = self.tally.lock();
        match result {
            Ok(message) => {
                tally.delivered += 1;
                if tag == STEP {
                    let behind = record::offset(message.offset()) + 1;
                    tally.journal = tally.journal.max(Some(behind));
                }
            }
            // Those that were purged fail because another one did.
            Err((error, _)) if is_purge(error) && tally.failed.is_some() => {}
            Err((error, _)) => tally.failed = Some(error.clone()),
        }
    }
}

fn is_purge(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    matches!(code, Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight))
}

/// A lane's producer. Belongs to the lane's thread.
pub(super) struct Transactions {
    lane: Lane,
    producer: BaseProducer<Deliveries>,
}

/// What failed, with what was being done.
type Failed = (&'static str, KafkaError);

impl Transactions {
    /// Becomes the only one with the lane's transactional id: the predecessor's open transaction is
    /// ended, and whatever it sends from now on is refused.
    pub(super) fn open(clients: &Clients, lane: Lane) -> Result<Self, LaneError> {
        let config = clients.transactions(lane);
        let producer = BaseProducer::from_config_and_context(&config, Deliveries::default());
        let producer = producer.map_err(|error| LaneError::Broken {
            lane,
            cause: format!("no producer can be made: {error}"),
        })?;
        let deadline = Instant::now() + TAKEOVER;
        loop {
            match producer.init_transactions(left(deadline)) {
                Ok(()) => return Ok(Self { lane, producer }),
                Err(KafkaError::Transaction(error))
                    if error.is_retriable() && Instant::now() < deadline => {}
                Err(error) => {
                    return Err(lane_error(lane, "taking over from the earlier owner", &error));
                }
            }
        }
    }

    /// One transaction. After an error this producer must be dropped.
    pub(super) fn run(
        &self,
        records: &[Placed<'_>],
        standing: Option<&Standing<'_>>,
    ) -> Result<Ended, LaneError> {
        let breaks = self.breaks();
        self.transact(records, standing)
            .map(|journal| Ended { journal, is_clean: self.breaks() == breaks })
            .map_err(|(doing, error)| self.give_up(doing, &error))
    }

    /// Asks the coordinator whether this is still the only one, without leaving anything: positions
    /// are sent in a transaction that is then aborted. A transaction with less in it never leaves
    /// the client, and one with a record would leave its mark in a topic of ours.
    pub(super) fn ask(&self, standing: &Standing<'_>) -> Result<(), LaneError> {
        let breaks = self.breaks();
        let asked = self.producer.begin_transaction().map_err(|error| ("beginning", error));
        let asked = asked.and_then(|()| {
            let sent = self.send_standing(standing, Instant::now() + COMMIT);
            let aborted = self.producer.abort_transaction(ABORT);
            sent.and_then(|()| aborted.map_err(|error| ("aborting", error)))
        });
        asked.map_err(|(doing, error)| self.lane_error(doing, &error))?;
        if self.breaks() == breaks {
            return Ok(());
        }
        let cause = "a connection broke while the coordinator was asked".to_owned();
        Err(LaneError::Unknown { lane: self.lane, cause })
    }

    fn transact(
        &self,
        records: &[Placed<'_>],
        standing: Option<&Standing<'_>>,
    ) -> Result<Option<u64>, Failed> {
        let deadline = Instant::now() + COMMIT;
        *self.producer.context().tally.lock() = Tally::default();
        self.producer.begin_transaction().map_err(|error| ("beginning", error))?;
        for placed in records {
            let tag = if placed.is_step { STEP } else { OTHER };
            let sent = record::to_send(placed.topic, placed.partition, &placed.record, tag);
            self.producer.send(sent).map_err(|(error, _)| ("sending", error))?;
        }
        let journal = self.await_deliveries(records.len(), deadline)?;
        if let Some(standing) = standing {
            self.send_standing(standing, deadline)?;
        }
        let committed = self.producer.commit_transaction(left(deadline));
        committed.map_err(|error| ("committing", error))?;
        Ok(journal)
    }

    /// Waits until every record is on its partition's replicas.
    fn await_deliveries(&self, count: usize, deadline: Instant) -> Result<Option<u64>, Failed> {
        loop {
            self.serve();
            // The reason of a failure, where the deliveries only tell that there is one.
            if let Some((code, _)) = self.producer.client().fatal_error() {
                return Err(("sending", KafkaError::Global(code)));
            }
            let tally = self.producer.context().tally.lock();
            if let Some(error) = &tally.failed {
                return Err(("sending", error.clone()));
            }
            if tally.delivered >= count {
                return Ok(tally.journal);
            }
            drop(tally);
            if Instant::now() >= deadline {
                return Err(("sending", KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)));
            }
            // tidy: allow(sleep) the library has no wait that ends with the last delivery
            std::thread::sleep(DELIVERY_PAUSE);
        }
    }

    fn send_standing(&self, standing: &Standing<'_>, deadline: Instant) -> Result<(), Failed> {
        let Standing { offsets, member } = standing;
        let sent = self.producer.send_offsets_to_transaction(offsets, member, left(deadline));
        sent.map_err(|error| ("sending the positions", error))
    }

    /// Runs the callbacks of everything that has come; a poll takes one event at a time.
    pub(super) fn serve(&self) {
        let events = &self.producer.context().events;
        loop {
            let before = events.load(Ordering::Relaxed);
            self.producer.poll(Duration::ZERO);
            if events.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }

    fn breaks(&self) -> u64 {
        self.serve();
        self.producer.context().breaks.load(Ordering::Relaxed)
    }

    /// A transaction that surely cannot be committed is aborted at once, since readers wait for its
    /// end; every other one is left to the next owner and to the coordinator.
    fn give_up(&self, doing: &str, error: &KafkaError) -> LaneError {
        if matches!(class(error), Class::Displaced | Class::Refused)
            && let Err(error) = self.producer.abort_transaction(ABORT)
        {
            tracing::debug!(lane = %self.lane, %error, "an aborted transaction stays open");
        }
        self.lane_error(doing, error)
    }

    /// An error's own code, or the one that the library noted first and then only hints at.
    fn lane_error(&self, doing: &str, error: &KafkaError) -> LaneError {
        match self.producer.client().fatal_error() {
            Some((code, _)) if class(error) == Class::Unknown => {
                lane_error(self.lane, doing, &KafkaError::Global(code))
            }
            _ => lane_error(self.lane, doing, error),
        }
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_about_a_lost_connection_is_counted_and_no_other() {
        let deliveries = Deliveries::default();
        for (subject, breaks) in [("CONNECT", 0), ("FAIL", 1), ("STATE", 1), ("BROKERFAIL", 2)] {
            deliveries.log(RDKafkaLogLevel::Debug, subject, "a line");
            assert_eq!(deliveries.breaks.load(Ordering::Relaxed), breaks, "{subject}");
        }
    }
}
