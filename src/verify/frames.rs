//! Frames: what a commit wrote, whole or not at all.
//!
//! ```text
//! payload length u32 | crc32c u32 | frame number u64 | synced-through u64 | payload
//! the checksum covers: segment number | position | frame number | synced-through | payload
//! ```

use super::{
    Failure,
    segments::{HEADER_BYTES, Segment, u32_at, u64_at},
};
use std::{fs::File, io, ops::Range, os::unix::fs::FileExt};

/// Bytes before a frame's payload.
pub(super) const FRAME_HEADER_BYTES: usize = 24;
/// No frame is longer than this: a commit holds at most 1 MiB of values.
const PAYLOAD_BYTES_MAX: usize = 64 << 20;
/// Read from a file at once.
const WINDOW_BYTES: usize = 1 << 20;

/// One good frame.
pub(super) struct Frame<'a> {
    /// First position of its segment.
    pub(super) segment: u64,
    /// Its own.
    pub(super) position: u64,
    /// What it carries.
    pub(super) payload: &'a [u8],
}

/// What stands at a position.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// A frame.
    Good(Head),
    /// None, and what it looks like.
    Bad(&'static str),
}

/// A good frame's header, and where its payload is in the window.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) number: u64,
    pub(super) synced_through: u64,
    /// Position behind the frame.
    pub(super) end: u64,
    payload: Range<usize>,
}

/// One segment file, of which a stretch is in memory.
pub(super) struct SegmentReader {
    segment: Segment,
    file: File,
    window: Vec<u8>,
    /// Place of the window in the file.
    start: u64,
}

impl SegmentReader {
    pub(super) fn open(segment: &Segment) -> Result<Self, Failure> {
        let opened = File::open(&segment.path);
        let file = opened.map_err(|source| Failure::read(&segment.path, source))?;
        Ok(Self { segment: segment.clone(), file, window: Vec::new(), start: 0 })
    }

    /// What stands at a position. A frame's bytes are in the window until the next call.
    pub(super) fn at(&mut self, position: u64) -> Result<Found, Failure> {
        let place = wide(HEADER_BYTES) + (position - self.segment.first);
        let header = self.load(place, FRAME_HEADER_BYTES)?;
        if header.len() < FRAME_HEADER_BYTES {
            return Ok(Found::Bad("the file's end"));
        }
        let length = usize::try_from(u32_at(&self.window[header], 0)).unwrap_or(usize::MAX);
        if length == 0 {
            return Ok(Found::Bad("no frame"));
        }
        if length > PAYLOAD_BYTES_MAX {
            return Ok(Found::Bad("a length that no frame has"));
        }
        let whole = self.load(place, FRAME_HEADER_BYTES + length)?;
        if whole.len() < FRAME_HEADER_BYTES + length {
            return Ok(Found::Bad("a frame beyond the file's end"));
        }
        let (header, payload) = self.window[whole.clone()].split_at(FRAME_HEADER_BYTES);
        if u32_at(header, 4) != checksum(self.segment.number, position, header, payload) {
            return Ok(Found::Bad("a frame with a wrong checksum"));
        }
        Ok(Found::Good(Head {
            number: u64_at(header, 8),
            synced_through: u64_at(header, 16),
            end: position.saturating_add(wide(whole.len())),
            payload: whole.start + FRAME_HEADER_BYTES..whole.end,
        }))
    }

    /// The payload of a frame that was just read.
    pub(super) fn payload(&self, head: &Head) -> &[u8] {
        self.window.get(head.payload.clone()).unwrap_or_default()
    }

    /// What is in memory may have changed in the file.
    pub(super) fn forget(&mut self) {
        self.window.clear();
    }

    /// Where in the window these bytes of the file are; fewer at the file's end.
    fn load(&mut self, place: u64, bytes: usize) -> Result<Range<usize>, Failure> {
        let into = place.checked_sub(self.start).and_then(|into| usize::try_from(into).ok());
        if let Some(into) = into.filter(|into| into + bytes <= self.window.len()) {
            return Ok(into..into + bytes);
        }
        self.window.resize(WINDOW_BYTES.max(bytes), 0);
        self.start = place;
        let read = read_at(&self.file, &mut self.window, place);
        let read = read.map_err(|source| Failure::read(&self.segment.path, source))?;
        self.window.truncate(read);
        Ok(0..bytes.min(read))
    }

    /// Everything from a position to the file's end.
    pub(super) fn rest(&self, position: u64) -> Result<Vec<u8>, Failure> {
        let failed = |source| Failure::read(&self.segment.path, source);
        let place = wide(HEADER_BYTES) + (position - self.segment.first);
        let end = self.file.metadata().map_err(failed)?.len();
        let mut rest = vec![0; usize::try_from(end.saturating_sub(place)).unwrap_or(0)];
        let read = read_at(&self.file, &mut rest, place).map_err(failed)?;
        rest.truncate(read);
        Ok(rest)
    }

    /// The first good frame in `rest` that was written after a sync that covered the position
    /// `bad`, where `rest` begins. A broken length hides where the next frame begins, so every byte
    /// is tried.
    pub(super) fn find_witness(&self, bad: u64, rest: &[u8]) -> Option<u64> {
        let last = rest.len().checked_sub(FRAME_HEADER_BYTES)?;
        for start in 1..last {
            let length = usize::try_from(u32_at(rest, start)).unwrap_or(usize::MAX);
            if length == 0 || length > rest.len() - start - FRAME_HEADER_BYTES {
                continue;
            }
            let position = bad + wide(start);
            let synced_through = u64_at(rest, start + 16);
            if synced_through <= bad || synced_through > position {
                continue;
            }
            let (header, behind) = rest[start..].split_at(FRAME_HEADER_BYTES);
            if u32_at(header, 4)
                == checksum(self.segment.number, position, header, &behind[..length])
            {
                return Some(position);
            }
        }
        None
    }
}

/// Fills a buffer from a place on; less only at the file's end.
fn read_at(file: &File, buffer: &mut [u8], place: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], place + wide(filled)) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The checksum of a frame: of its place as well, so that bytes that were left over from elsewhere
/// never fit.
pub(super) fn checksum(segment: u64, position: u64, header: &[u8], payload: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&segment.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &position.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &header[8..FRAME_HEADER_BYTES]);
    crc32c::crc32c_append(crc, payload)
}

pub(super) fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
