//! The data directory and its segment files, as they are written down in the format. This is a
//! reader of its own: it shares no code with the engine that writes them.
//!
//! ```text
//! 00000000000000000000.seg: header (64 bytes) | frame | frame | ... | zeros (preallocated)
//! header: "JUPANSEG" | format u32 | 0 u32 | segment number u64 | first position u64 | created i64
//!         | zeros | crc32c u32 of the bytes before it
//! ```
//! A position counts the bytes of all frames of all segments; headers do not count.

use super::{Failure, findings::segment_name, floor, settings};
use jupan_schemas::Codec;
use std::{
    fs::{File, TryLockError},
    io::Read,
    path::{Path, PathBuf},
};

/// Bytes before a segment's first frame.
pub(super) const HEADER_BYTES: usize = 64;
/// How every segment begins.
pub(super) const MAGIC: &[u8; 8] = b"JUPANSEG";
/// The format that this version reads, of the directory and of its segments.
pub(super) const FORMAT: u32 = 1;

/// One segment file.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Where it lies.
    pub(super) path: PathBuf,
    /// Dense from 1; seeds the frames' checksums.
    pub(super) number: u64,
    /// Position of its first frame.
    pub(super) first: u64,
    /// Size of the file.
    pub(super) file_bytes: u64,
}

/// A fault of the carrier: what follows it cannot be trusted, so reading ends there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Corruption {
    /// First position of the segment, if it is about one.
    pub(super) segment: Option<u64>,
    /// Where in the log.
    pub(super) position: Option<u64>,
    /// What is broken.
    pub(super) about: String,
    /// What should stand there.
    pub(super) expected: String,
    /// What stands there.
    pub(super) found: String,
}

/// An opened data directory.
pub(super) struct Directory {
    /// Where it lies.
    pub(super) path: PathBuf,
    /// Lanes of each role.
    pub(super) lanes: u16,
    /// By rising first position, as they were when it was opened.
    pub(super) segments: Vec<Segment>,
    /// Everything before this position was durable when it was opened.
    pub(super) floor: u64,
    /// What cannot be read: it and what follows it is left out.
    pub(super) corruption: Option<Corruption>,
    /// How its records are read.
    pub(super) codec: Codec,
    /// Whether it is a copy of partitions, whose offsets have gaps and whose order is made.
    pub(super) is_captured: bool,
    /// While this is held, no shop starts here. Without it one is running.
    lock: Option<File>,
}

impl Directory {
    /// Opens a directory for reading.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let lanes = settings::lanes(&path.join("jupan.json"))?;
        let lock = lock(&path.join("LOCK"))?;
        let mut directory = Self {
            path: path.to_owned(),
            lanes: 0,
            segments: Vec::new(),
            floor: 0,
            corruption: None,
            codec: Codec::embedded(),
            is_captured: false,
            lock,
        };
        match lanes {
            Ok(lanes) => directory.lanes = lanes,
            Err(corruption) => {
                directory.corruption = Some(corruption);
                return Ok(directory);
            }
        }
        match floor::read(path)? {
            Ok(floor) => directory.floor = floor.unwrap_or(0),
            Err(corruption) => directory.corruption = Some(corruption),
        }
        let (segments, corruption) = list(&path.join("log"))?;
        directory.segments = segments;
        directory.corruption = directory.corruption.or(corruption);
        Ok(directory)
    }

    /// Opens a copy of a log whose records have ids of their own.
    pub(super) fn open_captured(path: &Path, codec: Codec) -> Result<Self, Failure> {
        Ok(Self { codec, is_captured: true, ..Self::open(path)? })
    }

    /// Whether a shop writes here meanwhile.
    pub(super) fn is_running(&self) -> bool {
        self.lock.is_none()
    }

    /// Whether there is a segment by now that begins at this position.
    pub(super) fn has_segment(&self, first: u64) -> bool {
        self.path.join("log").join(segment_name(first)).exists()
    }

    /// The segments as they are by now.
    pub(super) fn list_again(&self) -> Result<Vec<Segment>, Failure> {
        Ok(list(&self.path.join("log"))?.0)
    }

    /// What there was to read when it was opened.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.file_bytes).sum()
    }
}

/// A running shop holds this lock alone; any number of readers share it.
fn lock(path: &Path) -> Result<Option<File>, Failure> {
    let file = File::open(path).map_err(|source| Failure::read(path, source))?;
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(Failure::read(path, source)),
    }
}

fn list(log: &Path) -> Result<(Vec<Segment>, Option<Corruption>), Failure> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(log).map_err(|source| Failure::read(log, source))? {
        let entry = entry.map_err(|source| Failure::read(log, source))?;
        if let Some(first) = entry.file_name().to_str().and_then(first_of_name) {
            names.push((first, entry.path()));
        }
    }
    names.sort();
    let mut segments: Vec<Segment> = Vec::with_capacity(names.len());
    for (first, path) in names {
        let segment = open_segment(first, &path)?;
        match segment.and_then(|segment| in_order(segments.last(), segment)) {
            Ok(segment) => segments.push(segment),
            Err(corruption) => return Ok((segments, Some(corruption))),
        }
    }
    Ok((segments, None))
}

fn first_of_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

/// The first segment begins at 0, and numbers are dense.
fn in_order(before: Option<&Segment>, segment: Segment) -> Result<Segment, Corruption> {
    let number = before.map_or(0, |before| before.number) + 1;
    if before.is_none() && segment.first != 0 {
        let (expected, found) = ("position 0".to_owned(), format!("position {}", segment.first));
        return Err(broken(segment.first, "first segment", expected, found));
    }
    if segment.number != number {
        let (expected, found) = (number.to_string(), segment.number.to_string());
        return Err(broken(segment.first, "segment number", expected, found));
    }
    Ok(segment)
}

fn open_segment(first: u64, path: &Path) -> Result<Result<Segment, Corruption>, Failure> {
    let io = |source| Failure::read(path, source);
    let file = File::open(path).map_err(io)?;
    let file_bytes = file.metadata().map_err(io)?.len();
    let mut header = Vec::with_capacity(HEADER_BYTES);
    let wanted = u64::try_from(HEADER_BYTES).unwrap_or(0);
    file.take(wanted).read_to_end(&mut header).map_err(io)?;
    let damage =
        |expected: String, found: String| Ok(Err(broken(first, "segment header", expected, found)));
    match parse_header(&header) {
        Ok((number, claimed)) if claimed == first => {
            Ok(Ok(Segment { path: path.to_owned(), number, first, file_bytes }))
        }
        Ok((_, claimed)) => damage(segment_name(first), segment_name(claimed)),
        Err(what) => damage("a segment header".to_owned(), what.to_owned()),
    }
}

fn broken(first: u64, about: &str, expected: String, found: String) -> Corruption {
    let (segment, position) = (Some(first), Some(first));
    Corruption { segment, position, about: about.to_owned(), expected, found }
}

/// Number and first position, or what is wrong with the header.
fn parse_header(bytes: &[u8]) -> Result<(u64, u64), &'static str> {
    let header: &[u8; HEADER_BYTES] = bytes.try_into().map_err(|_| "a file of under 64 bytes")?;
    if header[..8] != MAGIC[..] {
        return Err("other first bytes than JUPANSEG");
    }
    if u32_at(header, 60) != crc32c::crc32c(&header[..60]) {
        return Err("a wrong checksum");
    }
    if u32_at(header, 8) != FORMAT {
        return Err("another format than 1");
    }
    Ok((u64_at(header, 16), u64_at(header, 24)))
}

/// The little-endian number at this place; zero beyond the end.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map_or(0, u32::from_le_bytes)
}

/// The little-endian number at this place; zero beyond the end.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let eight = bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok());
    eight.map_or(0, u64::from_le_bytes)
}
