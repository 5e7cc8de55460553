//! Where a partition's offsets lie in a segment: sparse samples, kept beside a finished segment in
//! a file that can be rebuilt from it at any time. With its summary, a start need not read the
//! segment.
//!
//! ```text
//! "JUPANIDX" · u32 format = 1 · u32 slots · u64 segment number · u64 first position
//! u64 end position · u64 last frame number · i64 last append time
//! per slot: u64 next offset, u32 samples · u32 crc32c of all before
//! per slot and sample: u64 offset, u64 position · u32 crc32c of the samples
//! ```

use super::files::{FileError, Files, SegmentFile};
use super::frame::{Frame, KIND_MARK, KIND_RECORDS};
use super::record::Outline;
use crate::layout::{Layout, Slot};
use crate::limits::SAMPLE_EVERY_BYTES;
use jupan_schemas::Micros;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"JUPANIDX";
const FORMAT: u32 = 1;
const HEAD_BYTES: usize = 56;
const SLOT_BYTES: usize = 12;
const SAMPLE_BYTES: usize = 16;

/// Per slot: offset and position of the frame that has it, at least [`SAMPLE_EVERY_BYTES`] apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Samples {
    slots: Vec<Vec<(u64, u64)>>,
}

impl Samples {
    pub(crate) fn new(layout: Layout) -> Self {
        Self { slots: vec![Vec::new(); layout.slots()] }
    }

    /// Notes that the frame at `position` has this offset, the slot's first one in it.
    pub(crate) fn note(&mut self, slot: Slot, offset: u64, position: u64) {
        let Some(samples) = self.slots.get_mut(slot) else { return };
        let is_far = |&(_, last): &(u64, u64)| position >= last + SAMPLE_EVERY_BYTES;
        if samples.last().is_none_or(is_far) {
            samples.push((offset, position));
        }
    }

    /// The frame to look at for this offset, for a reader that knows it is at or behind `position`.
    pub(crate) fn locate(&self, slot: Slot, offset: u64, position: u64) -> Option<u64> {
        let samples = self.slots.get(slot)?;
        let behind = samples.partition_point(|&(first, _)| first <= offset);
        let (_, sampled) = *samples.get(behind.checked_sub(1)?)?;
        let found = position.max(sampled);
        (found < sampled + SAMPLE_EVERY_BYTES).then_some(found)
    }
}

/// What is known about the log up to a position of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) layout: Layout,
    /// Per slot: the next offset.
    pub(crate) ends: Vec<u64>,
    pub(crate) last_number: u64,
    pub(crate) last_at: Micros,
    /// Of the segment being tallied.
    pub(crate) samples: Samples,
}

impl Tally {
    pub(crate) fn new(layout: Layout) -> Self {
        Self {
            layout,
            ends: vec![0; layout.slots()],
            last_number: 0,
            last_at: Micros(i64::MIN),
            samples: Samples::new(layout),
        }
    }

    /// Counts a frame; numbers and offsets that do not continue what was counted are named.
    pub(crate) fn add(&mut self, position: u64, frame: &Frame) -> Result<(), String> {
        if frame.number != self.last_number + 1 {
            return Err(format!("frame {} follows frame {}", frame.number, self.last_number));
        }
        if frame.synced_through > position {
            return Err(format!("synced-through {} is not written yet", frame.synced_through));
        }
        match frame.payload.first() {
            Some(&KIND_RECORDS) => self.add_records(position, &frame.payload)?,
            Some(&KIND_MARK) if frame.payload.len() == 1 => {}
            _ => return Err("a frame of an unknown kind".to_owned()),
        }
        self.last_number = frame.number;
        Ok(())
    }

    fn add_records(&mut self, position: u64, payload: &[u8]) -> Result<(), String> {
        let mut start = 1;
        while start < payload.len() {
            let outline = Outline::read(self.layout, payload, start)
                .ok_or_else(|| format!("byte {start} of a frame starts no record"))?;
            let end = &mut self.ends[outline.slot];
            if outline.offset != *end {
                let (slot, offset) = (outline.slot, outline.offset);
                return Err(format!("offset {offset} follows offset {end} in slot {slot}"));
            }
            *end += 1;
            self.samples.note(outline.slot, outline.offset, position);
            self.last_at = self.last_at.max(outline.at);
            start = outline.end;
        }
        Ok(())
    }
}

/// The index file of a segment.
pub(crate) fn index_path(segment: &Path) -> PathBuf {
    segment.with_extension("idx")
}

/// Which stretch of the log an index describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) number: u64,
    pub(crate) first: u64,
    pub(crate) end: u64,
}

/// Writes the index of a finished segment. It is not synced: a lost or torn one is rebuilt.
pub(crate) fn write_index(
    files: &dyn Files,
    segment: &Path,
    stretch: Stretch,
    tally: &Tally,
) -> Result<(), FileError> {
    let path = index_path(segment);
    let temporary = path.with_extension("idx.tmp");
    let file = FileError::of("create", &temporary, files.create(&temporary))?;
    let written = file.write_all_at(&encode(stretch, tally), 0);
    FileError::of("write", &temporary, written)?;
    FileError::of("rename", &temporary, files.rename(&temporary, &path))
}

fn encode(stretch: Stretch, tally: &Tally) -> Vec<u8> {
    let mut out = Vec::new();
    let slots = tally.ends.len();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&u32::try_from(slots).unwrap_or(u32::MAX).to_le_bytes());
    for number in [stretch.number, stretch.first, stretch.end, tally.last_number] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&tally.last_at.0.to_le_bytes());
    for (end, samples) in tally.ends.iter().zip(&tally.samples.slots) {
        out.extend_from_slice(&end.to_le_bytes());
        out.extend_from_slice(&u32::try_from(samples.len()).unwrap_or(u32::MAX).to_le_bytes());
    }
    seal(&mut out, 0);
    let start = out.len();
    for (offset, position) in tally.samples.slots.iter().flatten() {
        out.extend_from_slice(&offset.to_le_bytes());
        out.extend_from_slice(&position.to_le_bytes());
    }
    seal(&mut out, start);
    out
}

fn seal(out: &mut Vec<u8>, start: usize) {
    let crc = crc32c::crc32c(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// What an index file's summary says: ends, last frame and last time, and how many samples each
/// slot has.
pub(crate) struct Summary {
    pub(crate) ends: Vec<u64>,
    pub(crate) last_number: u64,
    pub(crate) last_at: Micros,
    samples: Vec<u32>,
}

/// Reads the summary of the index of this stretch; `None` if there is no intact one.
pub(crate) fn read_summary(
    file: &dyn SegmentFile,
    layout: Layout,
    stretch: Stretch,
) -> Option<Summary> {
    let bytes = read_sealed(file, 0, HEAD_BYTES + layout.slots() * SLOT_BYTES)?;
    let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let small = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let is_ours = bytes[..8] == *MAGIC
        && small(8)? == FORMAT
        && small(12)? as usize == layout.slots()
        && number(16)? == stretch.number
        && number(24)? == stretch.first
        && number(32)? == stretch.end;
    let slot_at = |slot: usize| HEAD_BYTES + slot * SLOT_BYTES;
    is_ours.then_some(())?;
    Some(Summary {
        ends: (0..layout.slots()).map(|slot| number(slot_at(slot))).collect::<Option<_>>()?,
        last_number: number(40)?,
        last_at: Micros(number(48)?.cast_signed()),
        samples: (0..layout.slots()).map(|s| small(slot_at(s) + 8)).collect::<Option<_>>()?,
    })
}

/// Reads the samples of the index of this stretch; `None` if there is no intact one.
pub(crate) fn read_samples(
    file: &dyn SegmentFile,
    layout: Layout,
    stretch: Stretch,
) -> Option<Samples> {
    let summary = read_summary(file, layout, stretch)?;
    let total: usize = summary.samples.iter().map(|count| *count as usize).sum();
    let start = HEAD_BYTES + layout.slots() * SLOT_BYTES + 4;
    let bytes = read_sealed(file, start as u64, total.checked_mul(SAMPLE_BYTES)?)?;
    let mut pairs = bytes.chunks_exact(SAMPLE_BYTES).map(|pair| {
        let (offset, position) = pair.split_at(8);
        let number = |b: &[u8]| b.try_into().map_or(0, u64::from_le_bytes);
        (number(offset), number(position))
    });
    let counts = summary.samples.iter().map(|count| *count as usize);
    Some(Samples { slots: counts.map(|count| pairs.by_ref().take(count).collect()).collect() })
}

/// Bytes that are followed by their crc.
fn read_sealed(file: &dyn SegmentFile, place: u64, bytes: usize) -> Option<Vec<u8>> {
    let size = usize::try_from(file.len().ok()?).ok()?;
    if bytes.checked_add(4)? > size {
        return None;
    }
    let mut buffer = vec![0; bytes + 4];
    let read = file.read_at(&mut buffer, place).ok()?;
    let crc = buffer.split_off(bytes);
    (read == bytes + 4 && crc32c::crc32c(&buffer).to_le_bytes() == crc[..]).then_some(buffer)
}
