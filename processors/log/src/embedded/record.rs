//! Records as bytes within a frame's payload.
//!
//! ```text
//! u8 topic · u16 partition · u64 offset · i64 append time (us) · u32 key length · u32 value length
//! u16 header count · key · value · per header: u16 name length · u32 value length · name · value
//! ```
//! All numbers are little-endian. Offset and append time are not known before the record's turn
//! comes: a [`Draft`] is encoded outside every lock, and sealed with them inside.

use crate::layout::{Layout, Slot};
use crate::{LogRecord, NewRecord};
use bytes::Bytes;
use jupan_schemas::{Micros, TopicId};

/// Bytes before a record's key.
pub(crate) const RECORD_HEADER_BYTES: usize = 29;
const OFFSET_AT: usize = 3;
const TIME_AT: usize = 11;

/// Where a record of a draft lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) slot: Slot,
    pub(crate) start: u32,
    pub(crate) value_bytes: u32,
}

/// Records that are encoded but for their offsets and append time.
#[derive(Default)]
pub(crate) struct Draft {
    bytes: Vec<u8>,
    pub(crate) places: Vec<Place>,
}

impl Draft {
    /// A draft with room for so many records and bytes of keys and values.
    pub(crate) fn with_capacity(records: usize, bytes: usize) -> Self {
        let all = bytes + records * RECORD_HEADER_BYTES;
        Self { bytes: Vec::with_capacity(all), places: Vec::with_capacity(records) }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Encodes one record. Its lengths were checked before: values against a commit's bound, names
    /// against theirs.
    pub(crate) fn push(&mut self, slot: Slot, topic: TopicId, partition: u16, new: &NewRecord) {
        let start = len_u32(self.bytes.len());
        let value_bytes = len_u32(new.value.len());
        self.places.push(Place { slot, start, value_bytes });
        let out = &mut self.bytes;
        out.push(topic as u8);
        out.extend_from_slice(&partition.to_le_bytes());
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(&len_u32(new.key.len()).to_le_bytes());
        out.extend_from_slice(&value_bytes.to_le_bytes());
        out.extend_from_slice(&len_u16(new.headers.len()).to_le_bytes());
        out.extend_from_slice(&new.key);
        out.extend_from_slice(&new.value);
        for (name, value) in &new.headers {
            out.extend_from_slice(&len_u16(name.len()).to_le_bytes());
            out.extend_from_slice(&len_u32(value.len()).to_le_bytes());
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(value);
        }
    }

    /// Writes the offset of the record at this place, and the append time.
    pub(crate) fn seal(&mut self, place: Place, offset: u64, at: Micros) {
        let start = place.start as usize;
        self.bytes[start + OFFSET_AT..][..8].copy_from_slice(&offset.to_le_bytes());
        self.bytes[start + TIME_AT..][..8].copy_from_slice(&at.0.to_le_bytes());
    }

    /// The sealed bytes.
    pub(crate) fn finish(self) -> (Bytes, Vec<Place>) {
        (Bytes::from(self.bytes), self.places)
    }
}

fn len_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn len_u16(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

/// What stands before a record's key, and where the record ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outline {
    pub(crate) slot: Slot,
    pub(crate) offset: u64,
    pub(crate) at: Micros,
    key_start: usize,
    value_start: usize,
    headers_start: usize,
    headers: u16,
    pub(crate) end: usize,
}

impl Outline {
    /// The outline of the record that starts there; `None` where no record of this log does.
    pub(crate) fn read(layout: Layout, bytes: &[u8], start: usize) -> Option<Self> {
        let mut cursor = Cursor { bytes, at: start };
        let topic = cursor.take::<1>()?[0];
        let partition = u16::from_le_bytes(cursor.take()?);
        let offset = u64::from_le_bytes(cursor.take()?);
        let at = Micros(i64::from_le_bytes(cursor.take()?));
        let key_bytes = u32::from_le_bytes(cursor.take()?) as usize;
        let value_bytes = u32::from_le_bytes(cursor.take()?) as usize;
        let headers = u16::from_le_bytes(cursor.take()?);
        let key_start = cursor.at;
        let value_start = key_start.checked_add(key_bytes)?;
        let headers_start = value_start.checked_add(value_bytes)?;
        cursor.at = headers_start;
        for _ in 0..headers {
            cursor.header()?;
        }
        let slot = layout.slot_of_numbers(topic, partition)?;
        let end = cursor.at;
        let outline =
            Self { slot, offset, at, key_start, value_start, headers_start, headers, end };
        (end <= bytes.len()).then_some(outline)
    }

    pub(crate) fn value_bytes(&self) -> usize {
        self.headers_start - self.value_start
    }

    /// The record, sharing the buffer that it lies in.
    pub(crate) fn record(&self, bytes: &Bytes) -> Option<LogRecord> {
        let mut headers = Vec::with_capacity(usize::from(self.headers));
        let mut cursor = Cursor { bytes, at: self.headers_start };
        for _ in 0..self.headers {
            let (name, value) = cursor.header()?;
            let name = std::str::from_utf8(&bytes[name]).ok()?.to_owned();
            headers.push((name, bytes.slice(value)));
        }
        Some(LogRecord {
            offset: self.offset,
            at: self.at,
            key: bytes.slice(self.key_start..self.value_start),
            value: bytes.slice(self.value_start..self.headers_start),
            headers,
        })
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let end = self.at.checked_add(N)?;
        let taken = self.bytes.get(self.at..end)?.try_into().ok()?;
        self.at = end;
        Some(taken)
    }

    fn header(&mut self) -> Option<(std::ops::Range<usize>, std::ops::Range<usize>)> {
        let name_bytes = usize::from(u16::from_le_bytes(self.take()?));
        let value_bytes = u32::from_le_bytes(self.take()?) as usize;
        let name = self.at..self.at.checked_add(name_bytes)?;
        let value = name.end..name.end.checked_add(value_bytes)?;
        self.at = value.end;
        (value.end <= self.bytes.len()).then_some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_of(max: usize) -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), 0..max).prop_map(Bytes::from)
    }

    fn record() -> impl Strategy<Value = NewRecord> {
        let header = ("[a-z]{0,9}", bytes_of(20));
        (bytes_of(20), bytes_of(300), proptest::collection::vec(header, 0..4))
            .prop_map(|(key, value, headers)| NewRecord { headers, ..NewRecord::new(key, value) })
    }

    proptest! {
        #[test]
        fn what_was_sealed_is_read(records in proptest::collection::vec(record(), 1..8)) {
            let layout = Layout::new(4);
            let slot = layout.slot(TopicId::UserInbox, 3).expect("slot");
            let mut draft = Draft::default();
            for new in &records {
                draft.push(slot, TopicId::UserInbox, 3, new);
            }
            for (offset, place) in (70..).zip(draft.places.clone()) {
                draft.seal(place, offset, Micros(-5));
            }
            let (bytes, _) = draft.finish();
            let mut start = 0;
            for (offset, new) in (70..).zip(&records) {
                let outline = Outline::read(layout, &bytes, start).expect("outline");
                let read = outline.record(&bytes).expect("record");
                let want = new.clone();
                prop_assert_eq!(&read, &LogRecord {
                    offset, at: Micros(-5), key: want.key, value: want.value, headers: want.headers,
                });
                start = outline.end;
            }
            prop_assert_eq!(start, bytes.len());
        }

        #[test]
        fn garbage_is_never_read_beyond_its_end(bytes in bytes_of(200), start in 0usize..220) {
            if let Some(outline) = Outline::read(Layout::new(2), &bytes, start) {
                prop_assert!(outline.end <= bytes.len());
                outline.record(&bytes);
            }
        }
    }
}
