//! Records as the client has them, and as the port does.
//!
//! An empty key is sent as no key, and no key is read as an empty one: what is read is what was
//! written. The same holds for values, but an empty one is sent as such: a missing value would ask
//! a compacted topic to delete.

use crate::{Header, LogRecord, NewRecord};
use bytes::Bytes;
use jupan_schemas::{Micros, TRACEPARENT, TRACEPARENT_BYTES};
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Header as KafkaHeader, Headers, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use rdkafka::util::IntoOpaque;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// An offset as the port has it; the client knows negative ones with other meanings.
pub(super) fn offset(raw: i64) -> u64 {
    u64::try_from(raw).unwrap_or(0)
}

/// An offset as the client has it.
pub(super) fn raw(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

/// What was read.
pub(super) fn read(message: &BorrowedMessage<'_>) -> LogRecord {
    // Topics are stamped by the broker, in milliseconds: records of one millisecond share a time.
    let millis = message.timestamp().to_millis().unwrap_or(0);
    LogRecord {
        offset: offset(message.offset()),
        at: Micros(millis.saturating_mul(1_000)),
        key: message.key().map(Bytes::copy_from_slice).unwrap_or_default(),
        value: message.payload().map(Bytes::copy_from_slice).unwrap_or_default(),
        headers: headers(message),
    }
}

/// A record's headers. The client panics at a name that is no text: such a record is somebody's
/// garbage, and must not end the lane that reads it.
fn headers(message: &BorrowedMessage<'_>) -> Vec<Header> {
    let Some(headers) = message.headers() else { return Vec::new() };
    let read = || -> Vec<Header> {
        let named = headers.iter().map(|header| {
            (header.key.to_owned(), header.value.map(Bytes::copy_from_slice).unwrap_or_default())
        });
        named.collect()
    };
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_default()
}

/// What is to be sent.
pub(super) fn to_send<'a, D: IntoOpaque>(
    topic: &'a str,
    partition: u16,
    record: &'a NewRecord,
    tag: D,
) -> BaseRecord<'a, [u8], [u8], D> {
    let mut sent = BaseRecord::with_opaque_to(topic, tag)
        .partition(i32::from(partition))
        .payload(record.value.as_ref());
    if !record.key.is_empty() {
        sent = sent.key(record.key.as_ref());
    }
    if !record.headers.is_empty() || record.trace.is_some() {
        sent = sent.headers(headers_of(record));
    }
    sent
}

fn headers_of(record: &NewRecord) -> OwnedHeaders {
    let empty = OwnedHeaders::new_with_capacity(record.headers.len() + 1);
    let headers = record.headers.iter().fold(empty, |headers, (name, value)| {
        headers.insert(KafkaHeader { key: name, value: Some(value.as_ref()) })
    });
    match record.trace {
        None => headers,
        Some(trace) => {
            let value = trace.to_traceparent();
            headers.insert(KafkaHeader { key: TRACEPARENT, value: Some(value.as_str()) })
        }
    }
}

/// Bytes of a record that count against a topic's largest batch.
pub(super) fn bytes(record: &NewRecord) -> usize {
    let trace = record.trace.map_or(0, |_| TRACEPARENT.len() + TRACEPARENT_BYTES);
    let headers = crate::layout::header_bytes(&record.headers);
    record.key.len() + record.value.len() + headers + trace
}
