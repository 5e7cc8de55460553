//! Frames: the units that are there as a whole or not at all.
//!
//! ```text
//! u32 payload length (> 0) · u32 crc32c · u64 frame number · u64 synced-through · payload
//! ```
//! The crc covers the segment's number, the frame's position, its number, synced-through and
//! payload: bytes that were written for another place never pass. Synced-through is a position:
//! everything before it was known durable when this frame was written. A length of zero means that
//! there are no more frames.

use super::files::SegmentFile;
use crate::limits::FRAME_PAYLOAD_BYTES_MAX;
use bytes::Bytes;
use std::io;

/// Bytes before a frame's payload.
pub(crate) const FRAME_HEADER_BYTES: usize = 24;
/// First byte of a payload that holds records.
pub(crate) const KIND_RECORDS: u8 = 1;
/// The only byte of a payload that proves what is before it.
pub(crate) const KIND_MARK: u8 = 2;

/// A frame as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) number: u64,
    pub(crate) synced_through: u64,
    /// With its kind as first byte.
    pub(crate) payload: Bytes,
    /// The position behind it.
    pub(crate) end: u64,
}

impl Frame {
    pub(crate) fn is_mark(&self) -> bool {
        self.payload.first() == Some(&KIND_MARK)
    }
}

fn crc(segment: u64, position: u64, number: u64, synced_through: u64, payload: &[u8]) -> u32 {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&segment.to_le_bytes());
    seed[8..16].copy_from_slice(&position.to_le_bytes());
    seed[16..24].copy_from_slice(&number.to_le_bytes());
    seed[24..].copy_from_slice(&synced_through.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&seed), payload)
}

/// Where a frame is written: the segment seeds its crc.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameHead {
    pub(crate) segment: u64,
    pub(crate) position: u64,
    pub(crate) number: u64,
    pub(crate) synced_through: u64,
}

/// Appends a frame whose payload is a kind and these parts; returns its size.
pub(crate) fn write_frame<'a>(
    out: &mut Vec<u8>,
    head: FrameHead,
    kind: u8,
    parts: impl Iterator<Item = &'a [u8]>,
) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
    out.push(kind);
    parts.for_each(|part| out.extend_from_slice(part));
    let payload = start + FRAME_HEADER_BYTES;
    let length = u32::try_from(out.len() - payload).unwrap_or(u32::MAX);
    let FrameHead { segment, position, number, synced_through } = head;
    let crc = crc(segment, position, number, synced_through, &out[payload..]);
    let header = &mut out[start..payload];
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[4..8].copy_from_slice(&crc.to_le_bytes());
    header[8..16].copy_from_slice(&number.to_le_bytes());
    header[16..].copy_from_slice(&synced_through.to_le_bytes());
    out.len() - start
}

/// Reads the frames of one segment in blocks.
pub(crate) struct FrameReader<'a> {
    file: &'a dyn SegmentFile,
    segment: u64,
    first: u64,
    block_bytes: usize,
    block: Bytes,
    block_position: u64,
}

/// There is nothing at the position, as at the end of every segment.
pub(crate) const NO_FRAME: &str = "there is no frame";

/// What stands at a position.
pub(crate) enum At {
    /// A frame.
    Frame(Frame),
    /// No frame, or none that is intact.
    Bad(&'static str),
}

impl<'a> FrameReader<'a> {
    pub(crate) fn new(
        file: &'a dyn SegmentFile,
        segment: u64,
        first: u64,
        block_bytes: usize,
    ) -> Self {
        Self { file, segment, first, block_bytes, block: Bytes::new(), block_position: first }
    }

    /// At least `bytes` bytes from a position on, or what the file has.
    fn window(&mut self, position: u64, bytes: usize) -> io::Result<Bytes> {
        let into = position.checked_sub(self.block_position).and_then(|n| usize::try_from(n).ok());
        let held = into.filter(|into| into.saturating_add(bytes) <= self.block.len());
        let into = match held {
            Some(into) => into,
            None => {
                let place = super::segment::file_place(self.first, position);
                let left = self.file.len()?.saturating_sub(place);
                let left = usize::try_from(left).unwrap_or(usize::MAX);
                let mut buffer = vec![0; self.block_bytes.max(bytes).min(left)];
                let read = self.file.read_at(&mut buffer, place)?;
                buffer.truncate(read);
                self.block = Bytes::from(buffer);
                self.block_position = position;
                0
            }
        };
        Ok(self.block.slice(into..))
    }

    /// What stands at this position.
    pub(crate) fn at(&mut self, position: u64) -> io::Result<At> {
        let window = self.window(position, FRAME_HEADER_BYTES)?;
        let Some(header) = window.first_chunk::<FRAME_HEADER_BYTES>() else {
            return Ok(At::Bad(NO_FRAME));
        };
        let length = u32_at(header, 0) as usize;
        if length == 0 {
            return Ok(At::Bad(NO_FRAME));
        }
        if length > FRAME_PAYLOAD_BYTES_MAX {
            return Ok(At::Bad("the frame's length is impossible"));
        }
        let (number, synced_through) = (u64_at(header, 8), u64_at(header, 16));
        let expected = u32_at(header, 4);
        let size = FRAME_HEADER_BYTES + length;
        let window = self.window(position, size)?;
        if window.len() < size {
            return Ok(At::Bad("the segment ends within the frame"));
        }
        let payload = window.slice(FRAME_HEADER_BYTES..size);
        if crc(self.segment, position, number, synced_through, &payload) != expected {
            return Ok(At::Bad("the frame's checksum does not fit"));
        }
        let end = position.saturating_add(size as u64);
        Ok(At::Frame(Frame { number, synced_through, payload, end }))
    }

    /// The first intact frame behind a bad one that proves the bad one's position to have been
    /// durable. Looks at every byte up to the file's end; length, number and synced-through are
    /// compared first, since they rule out almost everything at little cost.
    pub(crate) fn proof_behind(&mut self, bad: u64, last_number: u64) -> io::Result<Option<u64>> {
        let end = self.first + self.file.len()?.saturating_sub(super::segment::HEADER_BYTES as u64);
        let frames_max = end.saturating_sub(bad) / (FRAME_HEADER_BYTES as u64 + 1) + 1;
        let mut position = bad + 1;
        while position + (FRAME_HEADER_BYTES as u64) < end {
            let window = self.window(position, FRAME_HEADER_BYTES + 1)?;
            let mut start = 0;
            while let Some(header) = window.get(start..start + FRAME_HEADER_BYTES) {
                let length = u32_at(header, 0) as usize;
                if length == 0 || length > FRAME_PAYLOAD_BYTES_MAX {
                    start += no_frame_in(&window[start..]);
                    continue;
                }
                let here = position + start as u64;
                let (number, synced_through) = (u64_at(header, 8), u64_at(header, 16));
                let may_prove = number > last_number
                    && number - last_number <= frames_max
                    && synced_through > bad
                    && synced_through <= here;
                if may_prove && matches!(self.at(here)?, At::Frame(_)) {
                    return Ok(Some(here));
                }
                start += 1;
            }
            position += start.max(1) as u64;
        }
        Ok(None)
    }
}

/// At how many bytes from the first on no frame starts, if none does at the first: in the zeros
/// ahead of the log's end many at once.
fn no_frame_in(bytes: &[u8]) -> usize {
    const ZEROS: [u8; 4096] = [0; 4096];
    // A length that is not zero may begin with three zeros.
    if bytes.starts_with(&ZEROS) { ZEROS.len() - 3 } else { 1 }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}
