//! What a lane sends outside its transactions and without waiting: answers and reminders. Either
//! may be lost: the stored outcome counts, and a timer rings again. So a full queue drops them, and
//! a broker that is away never holds a lane up.

use super::client::Clients;
use super::record;
use super::traces::{trace_error, trace_line};
use crate::{AppendError, NewRecord};
use metrics::{Counter, counter};
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{NoCustomPartitioner, ProducerContext, ThreadedProducer};

/// Answers, reminders and published best sellers that were not sent.
pub const POSTS_LOST: &str = "jupan_log_posts_lost_total";

/// See the module.
pub(super) struct Posts {
    producer: ThreadedProducer<Deliveries>,
    lost: Counter,
}

struct Deliveries {
    lost: Counter,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, subject: &str, line: &str) {
        trace_line(level, subject, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        trace_error(&error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.lost.increment(1);
            tracing::debug!(target: "kafka", %error, "a post was lost");
        }
    }
}

impl Posts {
    pub(super) fn new(clients: &Clients) -> Result<Self, KafkaError> {
        let lost = counter!(POSTS_LOST);
        let context = Deliveries { lost: lost.clone() };
        let producer = ThreadedProducer::from_config_and_context(&clients.posts(), context)?;
        Ok(Self { producer, lost })
    }

    /// Sends a record, or says why not; it does not wait for anything.
    pub(super) fn send(
        &self,
        topic: &str,
        partition: u16,
        record: &NewRecord,
    ) -> Result<(), AppendError> {
        let sent = self.producer.send(record::to_send(topic, partition, record, ()));
        sent.map_err(|(error, _)| {
            self.lost.increment(1);
            match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => AppendError::Full,
                _ => AppendError::Closed,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::QUEUE_RECORDS_MAX;
    use super::super::options::Options;
    use super::*;

    #[test]
    fn a_broker_that_is_away_fills_the_queue_and_holds_nobody_up() {
        let posts = Posts::new(&Clients::new(Options::new("127.0.0.1:1"))).expect("a producer");
        let record = NewRecord::new("1", "an answer");
        let taken = (0..=QUEUE_RECORDS_MAX).map(|_| posts.send("anything", 0, &record));
        let refused = taken.filter_map(Result::err).collect::<Vec<_>>();
        assert!(matches!(refused[..], [AppendError::Full, ..]), "{refused:?}");
    }
}
