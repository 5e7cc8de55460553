//! The floor: a position that was known durable, noted beside the log. A log that ends before it has
//! lost what was acknowledged; without the note, a last segment that is cut, missing or replaced by
//! an older copy of itself would look like one that nobody had written on.
//!
//! ```text
//! two slots of 64 bytes, at 0 and 512, written in turn:
//! "JUPANFLR" · u32 format = 1 · u32 zero · u64 position · zeros up to byte 60
//! u32 crc32c of bytes 0..60
//! ```
//! It is raised after every sync, before anybody is told of it, in place and without a sync of its
//! own: a kill leaves it exact, a power cut may leave it lower, never wrong. A start writes it anew.

use super::files::{FileError, Files, SegmentFile};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"JUPANFLR";
const FORMAT: u32 = 1;
const SLOT_BYTES: usize = 64;
/// Two slots never share a sector, so that a torn write leaves the other one.
const SLOT_DISTANCE: usize = 512;
const CRC_AT: usize = 60;

/// The note of a running log.
pub(crate) struct Floor {
    path: PathBuf,
    file: Arc<dyn SegmentFile>,
    /// How often it was written; the slots take turns.
    written: u64,
}

/// Where the note of a data directory lies.
pub(crate) fn floor_path(dir: &Path) -> PathBuf {
    dir.join("floor")
}

/// The highest position that an intact slot holds; 0 where there is none.
pub(crate) fn read_floor(files: &dyn Files, path: &Path) -> io::Result<u64> {
    let file = match files.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        opened => opened?,
    };
    let mut bytes = [0; SLOT_DISTANCE + SLOT_BYTES];
    file.read_at(&mut bytes, 0)?;
    let slots = [&bytes[..SLOT_BYTES], &bytes[SLOT_DISTANCE..]];
    Ok(slots.into_iter().filter_map(decode).max().unwrap_or(0))
}

impl Floor {
    /// Writes the note anew: the old one stays until the new one is durable.
    pub(crate) fn create(files: &dyn Files, dir: &Path, position: u64) -> Result<Self, FileError> {
        let path = floor_path(dir);
        let temporary = path.with_extension("tmp");
        let file = FileError::of("create", &temporary, files.create(&temporary))?;
        FileError::of("write", &temporary, file.write_all_at(&encode(position), 0))?;
        FileError::of("sync", &temporary, file.sync_data())?;
        FileError::of("rename", &temporary, files.rename(&temporary, &path))?;
        Ok(Self { path, file, written: 1 })
    }

    /// Notes a position that a finished sync covers.
    pub(crate) fn raise(&mut self, position: u64) -> Result<(), FileError> {
        let place = if self.written.is_multiple_of(2) { 0 } else { SLOT_DISTANCE as u64 };
        FileError::of("write", &self.path, self.file.write_all_at(&encode(position), place))?;
        self.written += 1;
        Ok(())
    }
}

fn encode(position: u64) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    slot[..8].copy_from_slice(MAGIC);
    slot[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    slot[16..24].copy_from_slice(&position.to_le_bytes());
    let crc = crc32c::crc32c(&slot[..CRC_AT]);
    slot[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    slot
}

fn decode(slot: &[u8]) -> Option<u64> {
    let is_ours = slot.starts_with(MAGIC)
        && slot.get(8..12)? == FORMAT.to_le_bytes()
        && slot.get(CRC_AT..SLOT_BYTES)? == crc32c::crc32c(&slot[..CRC_AT]).to_le_bytes();
    let position = slot.get(16..24)?.try_into().ok()?;
    is_ours.then(|| u64::from_le_bytes(position))
}
