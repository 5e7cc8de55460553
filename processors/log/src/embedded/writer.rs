//! The one thread that writes: it takes what is queued, writes it as a group, syncs once, and
//! tells.
//!
//! The first error ends it. Neither a write nor a sync is tried again: after a failed sync the
//! system may have dropped what it could not write, and the next sync would succeed without it.

use super::catalog::Active;
use super::files::{FileError, Files};
use super::floor::Floor;
use super::frame::{FRAME_HEADER_BYTES, FrameHead, KIND_MARK, KIND_RECORDS, write_frame};
use super::index::{Samples, Tally};
use super::segment::{HEADER_BYTES, SegmentHeader, create_segment, file_place};
use super::shared::{Shared, Work};
use super::state::Unit;
use crate::limits::{GROUP_BYTES, ZERO_AHEAD_BYTES};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) log_dir: PathBuf,
    pub(crate) segment_bytes: u64,
    pub(crate) segment: Arc<Active>,
    /// Of everything written; the samples are the segment's.
    pub(crate) tally: Tally,
    /// Behind the last frame, encoded or written.
    pub(crate) position: u64,
    /// Everything before it is durable.
    pub(crate) synced: u64,
    /// The file is zeros from the last frame up to here, as a position.
    pub(crate) zeroed: u64,
    pub(crate) is_marked: bool,
    pub(crate) floor: Floor,
    /// Frames that are encoded and not yet written.
    pub(crate) frames: Vec<u8>,
}

impl Writer {
    /// Writes until the log is closed or broken.
    pub(crate) fn run(mut self) {
        let shared = self.shared.clone();
        let guard = EndGuard(&shared);
        if let Err(error) = self.work() {
            shared.fail(&error.told());
        }
        std::mem::forget(guard);
    }

    fn work(&mut self) -> Result<(), FileError> {
        self.begin()?;
        let mut group = VecDeque::new();
        loop {
            let work = self.shared.next_work(&mut group, self.is_marked);
            if self.carry_out(&work, &mut group)?.is_break() {
                return Ok(());
            }
        }
    }

    /// What a start copied is proven at once.
    pub(crate) fn begin(&mut self) -> Result<(), FileError> {
        self.mark()
    }

    pub(crate) fn carry_out(
        &mut self,
        work: &Work,
        group: &mut VecDeque<Unit>,
    ) -> Result<ControlFlow<()>, FileError> {
        match work {
            Work::Group => self.write_group(group)?,
            Work::Mark => self.mark()?,
            Work::End => {
                self.mark()?;
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Writes the group's units as frames: a commit is one, appends that follow each other share
    /// one.
    fn write_group(&mut self, group: &mut VecDeque<Unit>) -> Result<(), FileError> {
        let bytes = group.iter().map(|unit| unit.bytes.len()).sum();
        let ticket = group.back().map_or(0, |unit| unit.ticket);
        while let Some(first) = group.front() {
            let mut units = 1;
            let mut size = first.bytes.len();
            if !first.is_commit {
                for unit in group.range(1..).take_while(|unit| !unit.is_commit) {
                    if size + unit.bytes.len() > GROUP_BYTES {
                        break;
                    }
                    size += unit.bytes.len();
                    units += 1;
                }
            }
            self.make_room(size)?;
            self.encode(group.range(..units));
            group.drain(..units);
        }
        self.flush()?;
        self.shared.synced(ticket, bytes);
        Ok(())
    }

    fn encode<'u>(&mut self, units: impl Iterator<Item = &'u Unit> + Clone) {
        let position = self.position;
        let parts = units.clone().map(|unit| &unit.bytes[..]);
        self.write_frame(KIND_RECORDS, parts);
        let mut samples = self.segment.samples.lock();
        for unit in units {
            self.tally.last_at = self.tally.last_at.max(unit.at);
            for touch in unit.touches.all() {
                samples.note(touch.slot, touch.first, position);
                self.tally.ends[touch.slot] = touch.first + touch.records as u64;
            }
        }
    }

    /// A mark proves everything before it, so that damage can be told from a torn write.
    fn mark(&mut self) -> Result<(), FileError> {
        if self.is_marked {
            return Ok(());
        }
        self.make_room(0)?;
        self.write_frame(KIND_MARK, std::iter::empty());
        self.flush()
    }

    fn write_frame<'u>(&mut self, kind: u8, parts: impl Iterator<Item = &'u [u8]>) {
        let head = FrameHead {
            segment: self.segment.number,
            position: self.position,
            number: self.tally.last_number + 1,
            synced_through: self.synced,
        };
        self.position += write_frame(&mut self.frames, head, kind, parts) as u64;
        self.tally.last_number += 1;
        self.is_marked = kind == KIND_MARK;
    }

    /// Writes and syncs what is encoded. Zeros ahead of small groups keep their syncs from changing
    /// the file's size.
    fn flush(&mut self) -> Result<(), FileError> {
        if self.frames.is_empty() {
            return Ok(());
        }
        let start = self.position - self.frames.len() as u64;
        let segment_end = self.segment.first + self.segment_bytes - HEADER_BYTES as u64;
        if self.position > self.zeroed {
            let is_small = self.frames.len() as u64 <= ZERO_AHEAD_BYTES / 2;
            let ahead = if is_small { ZERO_AHEAD_BYTES } else { 0 };
            self.zeroed = (self.position + ahead).min(segment_end).max(self.position);
            let zeros = usize::try_from(self.zeroed - self.position).unwrap_or(0);
            self.frames.resize(self.frames.len() + zeros, 0);
        }
        let place = file_place(self.segment.first, start);
        let (file, path) = (&self.segment.file, &self.segment.path);
        FileError::of("write", path, file.write_all_at(&self.frames, place))?;
        FileError::of("sync", path, file.sync_data())?;
        self.frames.clear();
        self.synced = self.position;
        self.floor.raise(self.synced)
    }

    /// Goes on in a new segment if a frame with so many bytes of records does not fit any more.
    fn make_room(&mut self, bytes: usize) -> Result<(), FileError> {
        let frame = (FRAME_HEADER_BYTES + 1 + bytes) as u64;
        let end = file_place(self.segment.first, self.position) + frame;
        if end <= self.segment_bytes || self.position == self.segment.first {
            return Ok(());
        }
        // A segment is made only when all before it are durable: a start relies on that.
        self.flush()?;
        let header = SegmentHeader {
            number: self.segment.number + 1,
            first: self.position,
            created: self.shared.clock.now(),
        };
        let (path, file) = create_segment(self.files.as_ref(), &self.log_dir, header, &[])?;
        let samples = Mutex::new(Samples::new(self.shared.layout));
        let next = Active { number: header.number, first: header.first, path, file, samples };
        self.shared.catalog.roll(next, self.position, self.tally.clone())?;
        self.segment = self.shared.catalog.active();
        self.zeroed = self.position;
        Ok(())
    }
}

/// A writer that ends without a word, by a panic, must not leave anybody waiting.
struct EndGuard<'a>(&'a Shared);

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        self.0.fail("the writer ended unexpectedly");
    }
}
