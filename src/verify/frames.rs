//! Frames, read one after the other: what a commit wrote, whole or not at all.
//!
//! ```text
//! payload length u32 | crc32c u32 | frame number u64 | synced-through u64 | payload
//! the checksum covers: segment number | position | frame number | synced-through | payload
//! ```
//! A frame behind a bad one proves damage only if it was written after a sync that covered the bad
//! one. Otherwise the bad one is a write that never finished, and the log ends there.

use super::{
    Failure,
    segments::{Corruption, HEADER_BYTES, Segment, u32_at, u64_at},
};
use std::{
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
};

/// Bytes before a frame's payload.
pub(super) const FRAME_HEADER_BYTES: usize = 24;
/// No frame is longer than this: a commit holds at most 1 MiB of values.
const PAYLOAD_BYTES_MAX: usize = 64 << 20;
const READ_BUFFER_BYTES: usize = 1 << 20;

/// One good frame.
pub(super) struct Frame<'a> {
    /// First position of its segment.
    pub(super) segment: u64,
    /// Its own.
    pub(super) position: u64,
    /// What it carries.
    pub(super) payload: &'a [u8],
}

/// How a walk over the log ended.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Good frames.
    pub(super) frames: u64,
    /// Position behind the last of them.
    pub(super) end: u64,
    /// Bytes of a write behind the end that never finished.
    pub(super) unfinished_bytes: u64,
    /// Damage; nothing behind it was read.
    pub(super) corruption: Option<Corruption>,
}

/// Reads every frame that counts, in order. `visit` also gets the bytes of files that lie behind
/// it.
pub(super) fn walk(
    segments: &[Segment],
    visit: &mut dyn FnMut(&Frame<'_>, u64),
) -> Result<Walk, Failure> {
    let mut walk = Walk::default();
    let mut passed_bytes = 0;
    for (index, segment) in segments.iter().enumerate() {
        let limit = segments.get(index + 1).map(|next| next.first);
        if segment.first != walk.end {
            walk.corruption = Some(hole(segment, walk.end));
            return Ok(walk);
        }
        Reader::open(segment)?.run(limit, &mut walk, &mut |frame| {
            visit(frame, passed_bytes + frame.position - frame.segment);
        })?;
        if walk.corruption.is_some() {
            return Ok(walk);
        }
        passed_bytes += segment.file_bytes;
    }
    Ok(walk)
}

fn hole(segment: &Segment, end: u64) -> Corruption {
    Corruption {
        segment: segment.first,
        position: end,
        about: "position behind the last frame".to_owned(),
        expected: end.to_string(),
        found: format!("a segment that begins at {}", segment.first),
    }
}

struct Reader<'a> {
    segment: &'a Segment,
    file: BufReader<File>,
    payload: Vec<u8>,
}

/// What stands at a position.
enum Found {
    Good { number: u64, synced_through: u64 },
    Bad(&'static str),
}

impl<'a> Reader<'a> {
    fn open(segment: &'a Segment) -> Result<Self, Failure> {
        let io = |source| Failure::read(&segment.path, source);
        let mut file = File::open(&segment.path).map_err(io)?;
        file.seek(SeekFrom::Start(wide(HEADER_BYTES))).map_err(io)?;
        let file = BufReader::with_capacity(READ_BUFFER_BYTES, file);
        Ok(Self { segment, file, payload: Vec::new() })
    }

    /// Reads up to `limit`, where the next segment takes over; without one, up to the log's end.
    fn run(
        &mut self,
        limit: Option<u64>,
        walk: &mut Walk,
        visit: &mut dyn FnMut(&Frame<'_>),
    ) -> Result<(), Failure> {
        while limit.is_none_or(|limit| walk.end < limit) {
            match self.next(walk.end)? {
                Found::Good { number, synced_through } => {
                    let position = walk.end;
                    let end = position + wide(FRAME_HEADER_BYTES + self.payload.len());
                    if let Some(corruption) =
                        self.disorder(walk, number, synced_through, end, limit)
                    {
                        walk.corruption = Some(corruption);
                        return Ok(());
                    }
                    visit(&Frame { segment: self.segment.first, position, payload: &self.payload });
                    walk.frames = number;
                    walk.end = end;
                }
                Found::Bad(what) if limit.is_some() => {
                    let expected = "a whole frame: the next segment begins later".to_owned();
                    walk.corruption = Some(self.corruption(walk.end, expected, what));
                    return Ok(());
                }
                Found::Bad(what) => return self.end_or_damage(what, walk),
            }
        }
        Ok(())
    }

    fn disorder(
        &self,
        walk: &Walk,
        number: u64,
        synced_through: u64,
        end: u64,
        limit: Option<u64>,
    ) -> Option<Corruption> {
        let fault = |about: &str, expected: String, found: u64| Corruption {
            segment: self.segment.first,
            position: walk.end,
            about: about.to_owned(),
            expected,
            found: found.to_string(),
        };
        if number != walk.frames + 1 {
            return Some(fault("frame number", (walk.frames + 1).to_string(), number));
        }
        if synced_through > walk.end {
            let expected = format!("at most its own position {}", walk.end);
            return Some(fault("synced-through", expected, synced_through));
        }
        let limit = limit.filter(|limit| end > *limit)?;
        Some(fault("end of the frame", format!("at most {limit}"), end))
    }

    /// Reads the frame at a position, and its payload.
    fn next(&mut self, position: u64) -> Result<Found, Failure> {
        let mut header = [0u8; FRAME_HEADER_BYTES];
        if !self.fill(&mut header)? {
            return Ok(Found::Bad("the file's end"));
        }
        let length = usize::try_from(u32_at(&header, 0)).unwrap_or(usize::MAX);
        if length == 0 {
            return Ok(Found::Bad("no frame"));
        }
        if length > PAYLOAD_BYTES_MAX {
            return Ok(Found::Bad("a length that no frame has"));
        }
        let mut payload = std::mem::take(&mut self.payload);
        payload.resize(length, 0);
        let whole = self.fill(&mut payload)?;
        self.payload = payload;
        if !whole {
            return Ok(Found::Bad("a frame beyond the file's end"));
        }
        if u32_at(&header, 4) != checksum(self.segment.number, position, &header, &self.payload) {
            return Ok(Found::Bad("a frame with a wrong checksum"));
        }
        Ok(Found::Good { number: u64_at(&header, 8), synced_through: u64_at(&header, 16) })
    }

    fn fill(&mut self, out: &mut [u8]) -> Result<bool, Failure> {
        match self.file.read_exact(out) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(Failure::read(&self.segment.path, error)),
        }
    }

    /// In the last segment: is this the log's end, or is something broken that was known to be
    /// durable?
    fn end_or_damage(&mut self, what: &'static str, walk: &mut Walk) -> Result<(), Failure> {
        let io = |source| Failure::read(&self.segment.path, source);
        let mut file = File::open(&self.segment.path).map_err(io)?;
        let start = wide(HEADER_BYTES) + (walk.end - self.segment.first);
        file.seek(SeekFrom::Start(start)).map_err(io)?;
        let mut rest = Vec::new();
        file.read_to_end(&mut rest).map_err(io)?;
        if let Some(witness) = find_witness(self.segment.number, walk.end, &rest) {
            let expected = format!("a whole frame: the one at {witness} knows it as synced");
            walk.corruption = Some(self.corruption(walk.end, expected, what));
        } else {
            let used = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            walk.unfinished_bytes = wide(used);
        }
        Ok(())
    }

    fn corruption(&self, position: u64, expected: String, found: &str) -> Corruption {
        Corruption {
            segment: self.segment.first,
            position,
            about: "frame".to_owned(),
            expected,
            found: found.to_owned(),
        }
    }
}

/// The first good frame in `rest` that was written after a sync that covered the position `bad`,
/// where `rest` begins. A broken length hides where the next frame begins, so every byte is tried.
fn find_witness(segment: u64, bad: u64, rest: &[u8]) -> Option<u64> {
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
        if u32_at(header, 4) == checksum(segment, position, header, &behind[..length]) {
            return Some(position);
        }
    }
    None
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
