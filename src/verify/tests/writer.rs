//! Writes the format that the reader reads, from its description alone.

use crate::verify::{
    frames::{FRAME_HEADER_BYTES, checksum},
    records::{KIND_MARK, KIND_RECORDS},
    segments::{FORMAT, HEADER_BYTES, MAGIC},
};
use jupan_schemas::TopicId;
use std::path::Path;

/// One record of a log that is being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnedRecord {
    pub(crate) topic: TopicId,
    pub(crate) partition: u16,
    pub(crate) offset: u64,
    pub(crate) at: i64,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

/// Records that are written together; none: a mark.
pub(crate) type Group = Vec<OwnedRecord>;

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("tests are small").to_le_bytes()
}

fn short(count: usize) -> [u8; 2] {
    u16::try_from(count).expect("tests are small").to_le_bytes()
}

pub(crate) fn payload(group: &Group) -> Vec<u8> {
    let mut out = vec![if group.is_empty() { KIND_MARK } else { KIND_RECORDS }];
    for record in group {
        out.push(record.topic as u8);
        out.extend(record.partition.to_le_bytes());
        out.extend(record.offset.to_le_bytes());
        out.extend(record.at.to_le_bytes());
        out.extend(length(record.key.len()));
        out.extend(length(record.value.len()));
        out.extend(short(record.headers.len()));
        out.extend(&record.key);
        out.extend(&record.value);
        for (name, value) in &record.headers {
            out.extend(short(name.len()));
            out.extend(length(value.len()));
            out.extend(name.as_bytes());
            out.extend(value);
        }
    }
    out
}

/// One segment file in the making.
pub(crate) struct SegmentWriter {
    number: u64,
    first: u64,
    bytes: Vec<u8>,
}

impl SegmentWriter {
    pub(crate) fn new(number: u64, first: u64) -> Self {
        let mut bytes = Vec::new();
        bytes.extend(MAGIC);
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend(0u32.to_le_bytes());
        bytes.extend(number.to_le_bytes());
        bytes.extend(first.to_le_bytes());
        bytes.extend(7i64.to_le_bytes());
        bytes.resize(HEADER_BYTES - 4, 0);
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        Self { number, first, bytes }
    }

    /// Position behind the last frame.
    pub(crate) fn end(&self) -> u64 {
        self.first + u64::try_from(self.bytes.len() - HEADER_BYTES).expect("small")
    }

    pub(crate) fn push(&mut self, number: u64, synced_through: u64, payload: &[u8]) {
        let mut header = [0u8; FRAME_HEADER_BYTES];
        header[..4].copy_from_slice(&length(payload.len()));
        header[8..16].copy_from_slice(&number.to_le_bytes());
        header[16..].copy_from_slice(&synced_through.to_le_bytes());
        let crc = checksum(self.number, self.end(), &header, payload);
        header[4..8].copy_from_slice(&crc.to_le_bytes());
        self.bytes.extend(header);
        self.bytes.extend(payload);
    }

    /// Flips one bit of a byte, counted from the file's end before the zeros.
    pub(crate) fn flip(&mut self, from_end: usize) {
        let at = self.bytes.len() - from_end;
        self.bytes[at] ^= 1;
    }

    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Writes the file, with zeros behind it as a preallocated one has.
    pub(crate) fn save(&self, dir: &Path) {
        let mut bytes = self.bytes.clone();
        bytes.extend([0; 4096]);
        let name = format!("{:020}.seg", self.first);
        std::fs::write(dir.join("log").join(name), bytes).expect("a temporary directory");
    }
}

/// Makes a data directory without segments.
pub(crate) fn directory(dir: &Path, lanes: u16) {
    std::fs::create_dir_all(dir.join("log")).expect("a temporary directory");
    std::fs::write(dir.join("LOCK"), "").expect("a temporary directory");
    let settings = format!(r#"{{"format":1,"lanes":{lanes},"createdAt":"7"}}"#);
    std::fs::write(dir.join("jupan.json"), settings).expect("a temporary directory");
}

/// Notes a position as durable, in one of the two slots of the note.
pub(crate) fn note_floor(dir: &Path, position: u64) {
    let mut slot = Vec::new();
    slot.extend(b"JUPANFLR");
    slot.extend(FORMAT.to_le_bytes());
    slot.extend(0u32.to_le_bytes());
    slot.extend(position.to_le_bytes());
    slot.resize(60, 0);
    slot.extend(crc32c::crc32c(&slot).to_le_bytes());
    let mut bytes = vec![0; 512];
    bytes.extend(slot);
    std::fs::write(dir.join("floor"), bytes).expect("a temporary directory");
}

/// Writes a whole log, a new segment whenever one has grown enough. Each frame knows the one before
/// the last as synced.
pub(crate) fn save(dir: &Path, lanes: u16, groups: &[Group], segment_bytes: u64) {
    directory(dir, lanes);
    let mut segment = SegmentWriter::new(1, 0);
    let mut synced = 0;
    for (number, group) in (1..).zip(groups) {
        if segment.end() - segment.first >= segment_bytes {
            segment.save(dir);
            segment = SegmentWriter::new(segment.number + 1, segment.end());
        }
        let before = segment.end();
        segment.push(number, synced, &payload(group));
        synced = before;
    }
    segment.save(dir);
}
