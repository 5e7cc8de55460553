//! Commands on their way into the log: sent by one producer, answered when they are durable.

use super::class::{Class, class_of};
use super::client::Clients;
use super::record;
use super::signal::Signal;
use super::traces::{trace_error, trace_line};
use crate::{AppendError, Appended, NewRecord};
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{NoCustomPartitioner, ProducerContext, ThreadedProducer};
use std::sync::Arc;
use tokio::sync::oneshot;

type Outcome = Result<Appended, AppendError>;

/// See the module. Its callbacks run in a thread of its own.
pub(super) struct Appends {
    producer: ThreadedProducer<Deliveries>,
}

struct Deliveries {
    arrivals: Arc<Signal>,
    failed: Box<dyn Fn(String) + Send + Sync>,
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
    type DeliveryOpaque = Box<oneshot::Sender<Outcome>>;

    fn delivery(&self, result: &DeliveryResult<'_>, asker: Self::DeliveryOpaque) {
        let outcome = match result {
            Ok(message) => {
                let partition = u16::try_from(message.partition()).unwrap_or(u16::MAX);
                Ok(Appended { partition, offset: record::offset(message.offset()) })
            }
            Err((error, message)) => {
                let failed = append_error(error, message.payload_len());
                if matches!(failed, AppendError::Closed) && is_forbidden(error) {
                    (self.failed)(format!("commands cannot be appended: {error}"));
                }
                Err(failed)
            }
        };
        // Who no longer listens was cancelled; the record stays.
        let _ = asker.send(outcome);
        self.arrivals.ring();
    }
}

fn is_forbidden(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(|code| class_of(code) == Class::Forbidden)
}

/// What the broker refused, or what never left the queue, is not in the log. Anything else may be.
fn append_error(error: &KafkaError, bytes: usize) -> AppendError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::QueueFull) => AppendError::Full,
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::MessageBatchTooLarge) => {
            AppendError::TooLarge { bytes }
        }
        Some(RDKafkaErrorCode::PurgeQueue) => AppendError::Closed,
        Some(code) if matches!(class_of(code), Class::Forbidden | Class::Refused) => {
            AppendError::Closed
        }
        _ => AppendError::Unknown { cause: error.to_string() },
    }
}

impl Appends {
    /// `failed` is told why appending can't work any more.
    pub(super) fn new(
        clients: &Clients,
        arrivals: Arc<Signal>,
        failed: Box<dyn Fn(String) + Send + Sync>,
    ) -> Result<Self, KafkaError> {
        let context = Deliveries { arrivals, failed };
        let producer = ThreadedProducer::from_config_and_context(&clients.appends(), context)?;
        Ok(Self { producer })
    }

    /// Sends a record; the outcome comes when it is known. A full queue refuses at once.
    pub(super) fn begin(
        &self,
        topic: &str,
        partition: u16,
        record: &NewRecord,
    ) -> Result<oneshot::Receiver<Outcome>, AppendError> {
        let (asker, outcome) = oneshot::channel();
        let sent = record::to_send(topic, partition, record, Box::new(asker));
        match self.producer.send(sent) {
            Ok(()) => Ok(outcome),
            // It never entered the queue, whatever the reason.
            Err((error, _)) => Err(match append_error(&error, record.value.len()) {
                AppendError::Unknown { .. } => AppendError::Closed,
                refused => refused,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RDKafkaErrorCode as Code;

    #[test]
    fn only_what_surely_stayed_out_is_not_appended() {
        let rows = [
            (Code::QueueFull, true),
            (Code::PurgeQueue, true),
            (Code::MessageSizeTooLarge, true),
            (Code::TopicAuthorizationFailed, true),
            (Code::InvalidRecord, true),
            (Code::PurgeInflight, false),
            (Code::MessageTimedOut, false),
            (Code::RequestTimedOut, false),
            (Code::BrokerTransportFailure, false),
            (Code::NotEnoughReplicasAfterAppend, false),
            (Code::OutOfOrderSequenceNumber, false),
        ];
        for (code, is_not_appended) in rows {
            let error = append_error(&KafkaError::MessageProduction(code), 1);
            assert_eq!(error.is_not_appended(), is_not_appended, "{code:?}: {error}");
        }
    }
}
