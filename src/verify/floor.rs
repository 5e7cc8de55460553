//! The floor: how far the log was known durable, noted beside it after every sync. A log that ends
//! before it has lost what was acknowledged; beside a running shop everything before it may be read.
//!
//! ```text
//! two slots of 64 bytes, at 0 and 512, written in turn:
//! "JUPANFLR" | format u32 | 0 u32 | position u64 | zeros | crc32c u32 of the bytes before it
//! ```

use super::{
    Failure,
    segments::{Corruption, FORMAT, u32_at, u64_at},
};
use std::{io::ErrorKind, path::Path};

const MAGIC: &[u8; 8] = b"JUPANFLR";
const SLOT_BYTES: usize = 64;
const SLOT_PLACES: [usize; 2] = [0, 512];

/// The position that is noted; `None` in a directory that was made before there were notes.
pub(super) fn read(data: &Path) -> Result<Result<Option<u64>, Corruption>, Failure> {
    let path = data.join("floor");
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Ok(None)),
        read => read.map_err(|source| Failure::read(&path, source))?,
    };
    let slots = SLOT_PLACES.map(|place| bytes.get(place..place + SLOT_BYTES).and_then(position));
    // A torn write breaks one of them, never both.
    Ok(match slots.into_iter().flatten().max() {
        Some(position) => Ok(Some(position)),
        None => Err(Corruption {
            segment: None,
            position: None,
            about: "floor".to_owned(),
            expected: "a position, in one of two slots".to_owned(),
            found: format!("none in {} bytes", bytes.len()),
        }),
    })
}

fn position(slot: &[u8]) -> Option<u64> {
    let is_whole = slot.starts_with(MAGIC)
        && u32_at(slot, 8) == FORMAT
        && u32_at(slot, SLOT_BYTES - 4) == crc32c::crc32c(&slot[..SLOT_BYTES - 4]);
    is_whole.then(|| u64_at(slot, 16))
}
