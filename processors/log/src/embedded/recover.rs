//! The start: what the directory holds is proven or cut, and what was not proven is written anew
//! before anybody reads.
//!
//! All segments but the last were finished: whoever made the next one had synced them. Only the
//! last may end in the middle of a frame. Its first bad frame is a torn write, unless an intact
//! frame behind it, or the log's floor, says that the bad one's position was durable: then it is
//! corruption, and the start is refused. Frames that no later frame proves are copied into a new
//! segment: they may be in the machine's cache only, and a sync of the same file proves nothing
//! after an earlier one failed.

use super::OpenError;
use super::files::{Files, SegmentFile};
use super::frame::{At, Frame, FrameHead, FrameReader, NO_FRAME, write_frame};
use super::index::{Stretch, Tally, index_path, read_summary, write_index};
use super::segment::{SegmentHeader, create_segment, position_of};
use crate::Clock;
use crate::layout::Layout;
use crate::limits::SCAN_BLOCK_BYTES;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A segment that takes no more frames.
#[derive(Clone, Debug)]
pub(crate) struct Closed {
    pub(crate) stretch: Stretch,
    pub(crate) path: PathBuf,
    /// Per slot: the next offset behind it.
    pub(crate) ends: Vec<u64>,
}

/// What a start found, and where the writer goes on.
pub(crate) struct Recovered {
    pub(crate) closed: Vec<Closed>,
    pub(crate) header: SegmentHeader,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn SegmentFile>,
    /// Of the whole log; its samples are the last segment's.
    pub(crate) tally: Tally,
    pub(crate) position: u64,
    /// Whether the last frame is a mark, so that there is nothing to prove.
    pub(crate) is_marked: bool,
}

/// Where the directory is and how it is read.
pub(crate) struct Place<'a> {
    pub(crate) files: &'a dyn Files,
    pub(crate) log_dir: &'a Path,
    pub(crate) layout: Layout,
    pub(crate) clock: &'a dyn Clock,
    /// Everything before it was durable when the log was last open.
    pub(crate) floor: u64,
}

struct Found {
    path: PathBuf,
    file: Arc<dyn SegmentFile>,
    header: SegmentHeader,
}

impl Place<'_> {
    pub(crate) fn recover(&self) -> Result<Recovered, OpenError> {
        let mut found = self.segments()?;
        let mut tally = Tally::new(self.layout);
        let Some(last) = found.pop() else {
            self.refuse_below_floor(self.log_dir, 0)?;
            return self.first_segment(tally);
        };
        let mut closed = Vec::with_capacity(found.len() + 1);
        for (index, segment) in found.iter().enumerate() {
            let next = found.get(index + 1).map_or(last.header.first, |next| next.header.first);
            closed.push(self.finished(segment, next, &mut tally)?);
        }
        self.copy_unproven(&last, closed, tally)
    }

    /// The segments in order, after leftovers of an unfinished start or roll are removed.
    fn segments(&self) -> Result<Vec<Found>, OpenError> {
        let list = self.files.list(self.log_dir);
        let mut paths = list.map_err(|source| OpenError::io(self.log_dir, source))?;
        paths.sort_unstable();
        let mut found: Vec<Found> = Vec::new();
        for path in paths {
            let extension = path.extension().and_then(|extension| extension.to_str());
            if extension == Some("tmp") {
                self.files.remove(&path).map_err(|source| OpenError::io(&path, source))?;
            } else if extension == Some("seg") {
                let file = self.files.open(&path).map_err(|s| OpenError::io(&path, s))?;
                let header = SegmentHeader::read(file.as_ref(), &path)?;
                let number = found.len() as u64 + 1;
                if header.number != number {
                    let cause = format!("segment {number} is missing: this is {}", header.number);
                    return Err(OpenError::corrupt(&path, header.first, &cause));
                }
                found.push(Found { path, file, header });
            }
        }
        match found.first() {
            Some(first) if position_of(&first.path) != Some(0) => {
                Err(OpenError::corrupt(&first.path, 0, "the segment before it is missing"))
            }
            _ => Ok(found),
        }
    }

    /// Nothing was changed yet when this is asked.
    fn refuse_below_floor(&self, path: &Path, end: u64) -> Result<(), OpenError> {
        let floor = self.floor;
        let cause = format!("the log ends there, but everything before {floor} was durable");
        if end < floor { Err(OpenError::corrupt(path, end, &cause)) } else { Ok(()) }
    }

    fn first_segment(&self, tally: Tally) -> Result<Recovered, OpenError> {
        let header = SegmentHeader { number: 1, first: 0, created: self.clock.now() };
        let (path, file) = create_segment(self.files, self.log_dir, header, &[])?;
        let closed = Vec::new();
        Ok(Recovered { closed, header, path, file, tally, position: 0, is_marked: true })
    }

    /// A segment that is not the last one: its index says what is in it, or else its frames do.
    fn finished(&self, found: &Found, end: u64, tally: &mut Tally) -> Result<Closed, OpenError> {
        let SegmentHeader { number, first, .. } = found.header;
        let stretch = Stretch { number, first, end };
        let index = self.files.open(&index_path(&found.path)).ok();
        let summary = index.and_then(|file| read_summary(file.as_ref(), self.layout, stretch));
        if let Some(summary) = summary {
            tally.ends = summary.ends;
            tally.last_number = summary.last_number;
            tally.last_at = tally.last_at.max(summary.last_at);
        } else {
            tracing::info!(segment = number, "reading a segment that has no index");
            self.read_all(found, end, tally)?;
            self.finish(found, stretch, tally)?;
        }
        Ok(Closed { stretch, path: found.path.clone(), ends: tally.ends.clone() })
    }

    /// Counts every frame from the segment's start up to `end`; anything else there is corruption.
    fn read_all(&self, found: &Found, end: u64, tally: &mut Tally) -> Result<(), OpenError> {
        tally.samples = super::index::Samples::new(self.layout);
        let mut reader = found.reader();
        let mut position = found.header.first;
        while position < end {
            let frame = match found.frame(&mut reader, position)? {
                At::Frame(frame) if frame.end <= end => frame,
                At::Frame(_) => {
                    let cause = "a frame reaches into the next segment";
                    return Err(OpenError::corrupt(&found.path, position, cause));
                }
                At::Bad(cause) => return Err(OpenError::corrupt(&found.path, position, cause)),
            };
            let added = tally.add(position, &frame);
            added.map_err(|cause| OpenError::corrupt(&found.path, position, &cause))?;
            position = frame.end;
        }
        Ok(())
    }

    fn finish(&self, found: &Found, stretch: Stretch, tally: &Tally) -> Result<(), OpenError> {
        Ok(write_index(self.files, &found.path, stretch, tally)?)
    }

    /// Finds the end of the last segment and copies what is not proven of it into a new one.
    fn copy_unproven(
        &self,
        last: &Found,
        mut closed: Vec<Closed>,
        before: Tally,
    ) -> Result<Recovered, OpenError> {
        let tail = self.scan(last, before.clone())?;
        let SegmentHeader { number, first, .. } = last.header;
        // A segment that is copied as a whole is replaced and keeps its number: the new file has
        // none of the old one's bytes, and numbers stay dense.
        let is_replaced = tail.proven == first;
        let mut tally = before;
        if !is_replaced {
            let stretch = Stretch { number, first, end: tail.proven };
            self.read_all(last, tail.proven, &mut tally)?;
            closed.push(Closed { stretch, path: last.path.clone(), ends: tally.ends.clone() });
        }
        let proven = tally.clone();
        let new_number = if is_replaced { number } else { number + 1 };
        let created = self.clock.now();
        let header = SegmentHeader { number: new_number, first: tail.proven, created };
        let copied = self.copy(last, header, tail.end, &mut tally)?;
        let (path, file) = create_segment(self.files, self.log_dir, header, &copied.frames)?;
        if let Some(old) = closed.last().filter(|_| !is_replaced) {
            self.finish(last, old.stretch, &proven)?;
        }
        let bytes = copied.frames.len();
        tracing::info!(segment = new_number, position = tail.end, bytes, "the log is read");
        let is_marked = copied.is_marked;
        Ok(Recovered { closed, header, path, file, tally, position: tail.end, is_marked })
    }

    /// Looks for the end of the last segment, and refuses damage in what was known durable.
    fn scan(&self, last: &Found, mut tally: Tally) -> Result<Tail, OpenError> {
        let mut reader = last.reader();
        let mut tail = Tail { proven: last.header.first, end: last.header.first };
        let mut boundaries = vec![tail.end];
        let bad = loop {
            match last.frame(&mut reader, tail.end)? {
                At::Bad(cause) => break cause,
                At::Frame(frame) => {
                    let added = tally.add(tail.end, &frame);
                    added.map_err(|cause| OpenError::corrupt(&last.path, tail.end, &cause))?;
                    tail.proven = tail.proven.max(frame.synced_through);
                    tail.end = frame.end;
                    boundaries.push(tail.end);
                }
            }
        };
        let proof = reader.proof_behind(tail.end, tally.last_number);
        if let Some(by) = proof.map_err(|source| OpenError::io(&last.path, source))? {
            let cause = format!("{bad}, but the frame at {by} proves that there was one");
            return Err(OpenError::corrupt(&last.path, tail.end, &cause));
        }
        self.refuse_below_floor(&last.path, tail.end)?;
        if bad != NO_FRAME {
            tracing::warn!(position = tail.end, cause = bad, "an unfinished write is cut off");
        }
        if boundaries.binary_search(&tail.proven).is_err() {
            let cause = format!("position {} starts no frame", tail.proven);
            return Err(OpenError::corrupt(&last.path, tail.proven, &cause));
        }
        Ok(tail)
    }

    /// The frames from the new segment's start up to `end`, encoded for it.
    fn copy(
        &self,
        last: &Found,
        header: SegmentHeader,
        end: u64,
        tally: &mut Tally,
    ) -> Result<Copied, OpenError> {
        tally.samples = super::index::Samples::new(self.layout);
        let mut reader = last.reader();
        let mut position = header.first;
        let mut copied = Copied { frames: Vec::new(), is_marked: true };
        while position < end {
            let At::Frame(frame) = last.frame(&mut reader, position)? else {
                let cause = "the frame changed while it was copied";
                return Err(OpenError::corrupt(&last.path, position, cause));
            };
            let added = tally.add(position, &frame);
            added.map_err(|cause| OpenError::corrupt(&last.path, position, &cause))?;
            encode_again(&mut copied.frames, header.number, position, &frame);
            copied.is_marked = frame.is_mark();
            position = frame.end;
        }
        Ok(copied)
    }
}

/// The end of the last segment; everything before `proven` was known durable.
struct Tail {
    proven: u64,
    end: u64,
}

struct Copied {
    frames: Vec<u8>,
    is_marked: bool,
}

impl Found {
    fn reader(&self) -> FrameReader<'_> {
        let SegmentHeader { number, first, .. } = self.header;
        FrameReader::new(self.file.as_ref(), number, first, SCAN_BLOCK_BYTES)
    }

    fn frame(&self, reader: &mut FrameReader<'_>, position: u64) -> Result<At, OpenError> {
        reader.at(position).map_err(|source| OpenError::io(&self.path, source))
    }
}

fn encode_again(out: &mut Vec<u8>, segment: u64, position: u64, frame: &Frame) {
    let Frame { number, synced_through, payload, .. } = frame;
    let head = FrameHead { segment, position, number: *number, synced_through: *synced_through };
    let kind = payload.first().copied().unwrap_or_default();
    write_frame(out, head, kind, std::iter::once(&payload[1..]));
}
