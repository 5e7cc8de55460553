//! Records within a frame, and the density of their offsets.
//!
//! ```text
//! payload: kind u8 (1 records, 2 mark) | record | record | ...
//! record: topic u8 | partition u16 | offset u64 | append time i64
//!         | key length u32 | value length u32 | header count u16 | key | value | header | ...
//! header: name length u16 | value length u32 | name | value
//! ```

use super::findings::{Desk, Invariant, RecordRef};
use hashbrown::HashMap;
use jupan_schemas::{Micros, TRACEPARENT, TopicId, TraceId};

/// A payload of records.
pub(super) const KIND_RECORDS: u8 = 1;
/// A payload that only says what is synced.
pub(super) const KIND_MARK: u8 = 2;

/// One record, borrowed from its frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// Where it lies.
    pub(super) at: RecordRef,
    /// When the log took it.
    pub(super) appended: Micros,
    /// What the topic is partitioned by.
    pub(super) key: &'a [u8],
    /// The encoded value.
    pub(super) value: &'a [u8],
    /// How many headers it has.
    pub(super) headers: u16,
    /// The trace that its headers name.
    pub(super) trace: Option<TraceId>,
}

/// A payload that is not made of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// The records of one payload, in order. After an error there are no more.
pub(super) struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// Reads the kind of a payload, and what follows.
    pub(super) fn of(payload: &'a [u8]) -> Result<Self, Malformed> {
        match payload.split_first() {
            Some((&KIND_RECORDS, rest)) => Ok(Self { rest }),
            Some((&KIND_MARK, [])) => Ok(Self { rest: &[] }),
            Some((&KIND_MARK, _)) => Err(Malformed("a mark with something behind it")),
            Some(_) => Err(Malformed("an unknown kind of payload")),
            None => Err(Malformed("nothing")),
        }
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(Malformed("a cut record"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed("a cut record"))
    }

    fn length(&mut self) -> Result<usize, Malformed> {
        Ok(usize::try_from(u32::from_le_bytes(self.array()?)).unwrap_or(usize::MAX))
    }

    fn record(&mut self) -> Result<Record<'a>, Malformed> {
        let [topic] = self.array()?;
        let topic = TopicId::from_number(topic).ok_or(Malformed("an unknown topic"))?;
        let partition = u16::from_le_bytes(self.array()?);
        let offset = u64::from_le_bytes(self.array()?);
        let appended = Micros(i64::from_le_bytes(self.array()?));
        let key_bytes = self.length()?;
        let value_bytes = self.length()?;
        let headers = u16::from_le_bytes(self.array()?);
        let key = self.take(key_bytes)?;
        let value = self.take(value_bytes)?;
        let mut trace = None;
        for _ in 0..headers {
            let name_bytes = usize::from(u16::from_le_bytes(self.array()?));
            let value_bytes = self.length()?;
            let (name, text) = (self.take(name_bytes)?, self.take(value_bytes)?);
            if name == TRACEPARENT.as_bytes() && trace.is_none() {
                trace = Some(text);
            }
        }
        let trace = trace.and_then(|text| std::str::from_utf8(text).ok());
        let trace = trace.and_then(TraceId::of_traceparent);
        let at = RecordRef { topic, partition, offset };
        Ok(Record { at, appended, key, value, headers, trace })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = self.record();
        if record.is_err() {
            self.rest = &[];
        }
        Some(record)
    }
}

/// The next offset of every partition.
#[derive(Default)]
pub(super) struct Offsets {
    next: HashMap<(TopicId, u16), u64>,
}

impl Offsets {
    /// Notes a gap or a repetition, and goes on from what is there.
    pub(super) fn check(&mut self, at: RecordRef, desk: &mut Desk<'_>) {
        let next = self.next.entry((at.topic, at.partition)).or_default();
        desk.same(Invariant::Log, "offset", *next, at.offset);
        *next = at.offset.saturating_add(1);
    }
}
