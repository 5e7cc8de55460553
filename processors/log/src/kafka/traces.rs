//! What the client library says, as traces, and what of it is news.

use super::signal::Signal;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use std::sync::Arc;

/// A client's lines are details of what the watch reports once and in our words.
pub(super) fn trace_line(level: RDKafkaLogLevel, subject: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Debug | RDKafkaLogLevel::Info => {
            tracing::trace!(target: "kafka", subject, line);
        }
        _ => tracing::debug!(target: "kafka", subject, line),
    }
}

pub(super) fn trace_error(error: &KafkaError, reason: &str) {
    tracing::debug!(target: "kafka", %error, reason, "client error");
}

/// Callbacks of a client that has nothing else to say.
#[derive(Clone, Debug, Default)]
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, subject: &str, line: &str) {
        trace_line(level, subject, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        trace_error(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

/// A callback that rings when a queue is no longer empty.
pub(super) fn ring(signal: &Arc<Signal>) -> impl Fn() + Send + Sync + 'static {
    let signal = signal.clone();
    move || signal.ring()
}
