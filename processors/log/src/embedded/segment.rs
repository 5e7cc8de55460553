//! Segments: files of frames, named by the position of their first one.
//!
//! ```text
//! "JUPANSEG" · u32 format = 1 · u32 zero · u64 segment number · u64 first position
//! i64 created (us) · zeros up to byte 60 · u32 crc32c of bytes 0..60 · frames
//! ```
//! Positions count the bytes of all frames of the log; segment headers do not count. Frames at or
//! beyond the next segment's first position were cut off and are ignored.

use super::OpenError;
use super::files::{FileError, Files, SegmentFile};
use jupan_schemas::Micros;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes before a segment's first frame.
pub(crate) const HEADER_BYTES: usize = 64;
/// The only format there has been.
pub(crate) const FORMAT: u32 = 1;
const MAGIC: &[u8; 8] = b"JUPANSEG";
const CRC_AT: usize = 60;

/// A segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) number: u64,
    pub(crate) first: u64,
    pub(crate) created: Micros,
}

impl SegmentHeader {
    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..8].copy_from_slice(MAGIC);
        out[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        out[16..24].copy_from_slice(&self.number.to_le_bytes());
        out[24..32].copy_from_slice(&self.first.to_le_bytes());
        out[32..40].copy_from_slice(&self.created.0.to_le_bytes());
        let crc = crc32c::crc32c(&out[..CRC_AT]);
        out[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads and checks the header of a segment with this name.
    pub(crate) fn read(file: &dyn SegmentFile, path: &Path) -> Result<Self, OpenError> {
        let mut bytes = [0; HEADER_BYTES];
        let read = file.read_at(&mut bytes, 0).map_err(|source| OpenError::io(path, source))?;
        let corrupt = |cause: &str| OpenError::corrupt(path, 0, cause);
        if read < HEADER_BYTES || bytes[..8] != *MAGIC {
            return Err(corrupt("it has no segment header"));
        }
        if crc32c::crc32c(&bytes[..CRC_AT]).to_le_bytes() != bytes[CRC_AT..] {
            return Err(corrupt("the segment header's checksum does not fit"));
        }
        let mut format = [0; 4];
        format.copy_from_slice(&bytes[8..12]);
        let format = u32::from_le_bytes(format);
        if format != FORMAT {
            return Err(OpenError::Format { path: path.to_owned(), format: format.into() });
        }
        let number_at = |at: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&bytes[at..at + 8]);
            number
        };
        let header = Self {
            number: u64::from_le_bytes(number_at(16)),
            first: u64::from_le_bytes(number_at(24)),
            created: Micros(i64::from_le_bytes(number_at(32))),
        };
        match position_of(path) {
            Some(first) if first == header.first => Ok(header),
            _ => Err(corrupt("its name is not its first position")),
        }
    }
}

/// Where in its file a position of a segment lies.
pub(crate) fn file_place(first: u64, position: u64) -> u64 {
    HEADER_BYTES as u64 + (position - first)
}

/// The path of the segment with this first position.
pub(crate) fn segment_path(log_dir: &Path, first: u64) -> PathBuf {
    log_dir.join(format!("{first:020}.seg"))
}

/// The position that a segment's name says.
pub(crate) fn position_of(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".seg")?;
    let is_plain = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    is_plain.then(|| digits.parse().ok()).flatten()
}

/// Writes a segment under another name, makes it durable, and only then gives it its name: whoever
/// sees a segment sees all of it. A segment of the same first position is replaced.
pub(crate) fn create_segment(
    files: &dyn Files,
    log_dir: &Path,
    header: SegmentHeader,
    frames: &[u8],
) -> Result<(PathBuf, Arc<dyn SegmentFile>), FileError> {
    let path = segment_path(log_dir, header.first);
    let temporary = path.with_extension("seg.tmp");
    let file = FileError::of("create", &temporary, files.create(&temporary))?;
    FileError::of("write", &temporary, file.write_all_at(&header.encode(), 0))?;
    if !frames.is_empty() {
        let written = file.write_all_at(frames, HEADER_BYTES as u64);
        FileError::of("write", &temporary, written)?;
    }
    FileError::of("sync", &temporary, file.sync_data())?;
    FileError::of("rename", &temporary, files.rename(&temporary, &path))?;
    FileError::of("sync", log_dir, files.sync_dir(log_dir))?;
    Ok((path, file))
}
