//! The segments as readers see them: which one holds an offset, its file, and where in it to look.

use super::files::{FileError, Files, SegmentFile};
use super::frame::{At, Frame, FrameReader};
use super::index::{Samples, Stretch, Tally, index_path, read_samples, write_index};
use super::record::Outline;
use super::recover::Closed;
use crate::layout::{Layout, Slot};
use crate::limits::{CURSORS_MAX, INDEXES_MAX, OPEN_SEGMENTS_MAX, READ_BLOCK_BYTES};
use crate::{LogRecord, ReadLimit};
use parking_lot::{Mutex, RwLock};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The segment that is being written.
pub(crate) struct Active {
    pub(crate) number: u64,
    pub(crate) first: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn SegmentFile>,
    pub(crate) samples: Mutex<Samples>,
}

struct Segments {
    closed: Vec<Arc<Closed>>,
    active: Arc<Active>,
}

/// All segments, with bounded caches for the old ones.
pub(crate) struct Catalog {
    files: Arc<dyn Files>,
    layout: Layout,
    segments: RwLock<Segments>,
    open: Mutex<Recent<u64, Arc<dyn SegmentFile>>>,
    indexes: Mutex<Recent<u64, Arc<Samples>>>,
    /// Where the next record of a sequential reader lies, by slot and offset.
    cursors: Mutex<Recent<(Slot, u64), u64>>,
}

/// What a read asks for: records of a slot from an offset up to, but not including, `until`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) slot: Slot,
    pub(crate) from: u64,
    pub(crate) until: u64,
    pub(crate) limit: ReadLimit,
}

/// One segment, opened for a read.
enum Segment {
    Closed(Arc<Closed>, Arc<dyn SegmentFile>, Arc<Samples>),
    Active(Arc<Active>),
}

impl Catalog {
    pub(crate) fn new(
        files: Arc<dyn Files>,
        layout: Layout,
        closed: Vec<Closed>,
        active: Active,
    ) -> Self {
        let closed = closed.into_iter().map(Arc::new).collect();
        let segments = RwLock::new(Segments { closed, active: Arc::new(active) });
        Self {
            files,
            layout,
            segments,
            open: Mutex::new(Recent::new(OPEN_SEGMENTS_MAX)),
            indexes: Mutex::new(Recent::new(INDEXES_MAX)),
            cursors: Mutex::new(Recent::new(CURSORS_MAX)),
        }
    }

    pub(crate) fn active(&self) -> Arc<Active> {
        self.segments.read().active.clone()
    }

    /// Ends the active segment at `end` and goes on with the next one.
    pub(crate) fn roll(&self, next: Active, end: u64, mut tally: Tally) -> Result<(), FileError> {
        let old = self.active();
        let stretch = Stretch { number: old.number, first: old.first, end };
        tally.samples = old.samples.lock().clone();
        write_index(self.files.as_ref(), &old.path, stretch, &tally)?;
        self.indexes.lock().put(stretch.number, Arc::new(tally.samples));
        let closed = Closed { stretch, path: old.path.clone(), ends: tally.ends };
        let mut segments = self.segments.write();
        segments.closed.push(Arc::new(closed));
        segments.active = Arc::new(next);
        Ok(())
    }

    /// Reads durable records from the segments; at least one, unless nothing was wanted.
    pub(crate) fn read(&self, wanted: Wanted) -> io::Result<Vec<LogRecord>> {
        let Wanted { slot, from, .. } = wanted;
        let position = self.cursors.lock().take(&(slot, from)).unwrap_or(0);
        let mut reading = Reading { wanted, layout: self.layout, next: from, bytes: 0, position };
        let mut records = Vec::new();
        while !reading.is_done(&records) {
            let segment = self.find(slot, reading.next)?;
            let read = reading.read_segment(&segment, &mut records);
            read.map_err(|error| in_file(segment.path(), &error))?;
        }
        self.cursors.lock().put((slot, reading.next), reading.position);
        Ok(records)
    }

    /// The segment that holds this offset.
    fn find(&self, slot: Slot, offset: u64) -> io::Result<Segment> {
        let closed = {
            let segments = self.segments.read();
            let index = segments.closed.partition_point(|closed| closed.ends[slot] <= offset);
            match segments.closed.get(index) {
                None => return Ok(Segment::Active(segments.active.clone())),
                Some(closed) => closed.clone(),
            }
        };
        let file = self.file(&closed)?;
        let samples = self.samples(&closed, file.as_ref())?;
        Ok(Segment::Closed(closed, file, samples))
    }

    fn file(&self, closed: &Closed) -> io::Result<Arc<dyn SegmentFile>> {
        if let Some(file) = self.open.lock().get(&closed.stretch.number) {
            return Ok(file);
        }
        let opened = self.files.open(&closed.path);
        let file = opened.map_err(|error| in_file(&closed.path, &error))?;
        self.open.lock().put(closed.stretch.number, file.clone());
        Ok(file)
    }

    fn samples(&self, closed: &Closed, file: &dyn SegmentFile) -> io::Result<Arc<Samples>> {
        let stretch = closed.stretch;
        if let Some(samples) = self.indexes.lock().get(&stretch.number) {
            return Ok(samples);
        }
        let index = self.files.open(&index_path(&closed.path)).ok();
        let stored = index.and_then(|index| read_samples(index.as_ref(), self.layout, stretch));
        let samples = match stored {
            Some(samples) => samples,
            None => {
                let sampled = self.sample_again(stretch, file);
                sampled.map_err(|error| in_file(&closed.path, &error))?
            }
        };
        let samples = Arc::new(samples);
        self.indexes.lock().put(stretch.number, samples.clone());
        Ok(samples)
    }

    /// The index of a segment whose index file was lost while the log is open.
    fn sample_again(&self, stretch: Stretch, file: &dyn SegmentFile) -> io::Result<Samples> {
        let mut samples = Samples::new(self.layout);
        let mut reader = FrameReader::new(file, stretch.number, stretch.first, READ_BLOCK_BYTES);
        let mut position = stretch.first;
        while position < stretch.end {
            let frame = intact(reader.at(position)?, position)?;
            for outline in outlines(self.layout, &frame) {
                let outline = outline?;
                samples.note(outline.slot, outline.offset, position);
            }
            position = frame.end;
        }
        Ok(samples)
    }
}

impl Segment {
    fn path(&self) -> &Path {
        match self {
            Self::Closed(closed, ..) => &closed.path,
            Self::Active(active) => &active.path,
        }
    }

    fn reader(&self) -> FrameReader<'_> {
        let (file, number, first) = match self {
            Self::Closed(closed, file, _) => (file, closed.stretch.number, closed.stretch.first),
            Self::Active(active) => (&active.file, active.number, active.first),
        };
        FrameReader::new(file.as_ref(), number, first, READ_BLOCK_BYTES)
    }

    fn holds(&self, slot: Slot, offset: u64) -> bool {
        match self {
            Self::Closed(closed, ..) => offset < closed.ends[slot],
            Self::Active(_) => true,
        }
    }

    fn locate(&self, slot: Slot, offset: u64, position: u64) -> io::Result<u64> {
        let located = match self {
            Self::Closed(_, _, samples) => samples.locate(slot, offset, position),
            Self::Active(active) => active.samples.lock().locate(slot, offset, position),
        };
        located.ok_or_else(|| damaged(format!("the index has no offset {offset} there")))
    }
}

/// A read on its way through the frames.
struct Reading {
    wanted: Wanted,
    layout: Layout,
    next: u64,
    bytes: usize,
    /// Of the frame that has, or comes before, the next record.
    position: u64,
}

impl Reading {
    fn is_done(&self, records: &[LogRecord]) -> bool {
        let limit = self.wanted.limit;
        self.next >= self.wanted.until
            || records.len() >= limit.records_max
            || (self.bytes >= limit.bytes_max && !records.is_empty())
    }

    fn read_segment(&mut self, segment: &Segment, records: &mut Vec<LogRecord>) -> io::Result<()> {
        let slot = self.wanted.slot;
        let mut reader = segment.reader();
        while !self.is_done(records) && segment.holds(slot, self.next) {
            self.position = segment.locate(slot, self.next, self.position)?;
            let frame = intact(reader.at(self.position)?, self.position)?;
            self.read_frame(&frame, records)?;
            if !self.is_done(records) {
                self.position = frame.end;
            }
        }
        Ok(())
    }

    fn read_frame(&mut self, frame: &Frame, records: &mut Vec<LogRecord>) -> io::Result<()> {
        for outline in outlines(self.layout, frame) {
            let outline = outline?;
            if outline.slot != self.wanted.slot || outline.offset < self.next {
                continue;
            }
            if self.is_done(records) {
                break;
            }
            let record = outline.record(&frame.payload);
            let record = record.filter(|record| record.offset == self.next);
            let cause = || damaged(format!("offset {} is missing", self.next));
            records.push(record.ok_or_else(cause)?);
            self.next += 1;
            self.bytes += outline.value_bytes();
        }
        Ok(())
    }
}

/// The records of a frame, as outlines.
fn outlines(layout: Layout, frame: &Frame) -> impl Iterator<Item = io::Result<Outline>> {
    let mut start = 1;
    std::iter::from_fn(move || {
        if start >= frame.payload.len() {
            return None;
        }
        let outline = Outline::read(layout, &frame.payload, start);
        start = outline.map_or(usize::MAX, |outline| outline.end);
        Some(outline.ok_or_else(|| damaged("a frame holds something else than records".to_owned())))
    })
}

fn intact(at: At, position: u64) -> io::Result<Frame> {
    match at {
        At::Frame(frame) => Ok(frame),
        At::Bad(cause) => Err(damaged(format!("at position {position}: {cause}"))),
    }
}

/// Names the segment that could not be read.
fn in_file(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn damaged(cause: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, cause)
}

/// A few values, the most recently used ones.
struct Recent<K, V> {
    kept: VecDeque<(K, V)>,
    kept_max: usize,
}

impl<K: PartialEq, V: Clone> Recent<K, V> {
    fn new(kept_max: usize) -> Self {
        Self { kept: VecDeque::with_capacity(kept_max), kept_max }
    }

    fn take(&mut self, key: &K) -> Option<V> {
        let index = self.kept.iter().position(|(kept, _)| kept == key)?;
        self.kept.remove(index).map(|(_, value)| value)
    }

    fn get(&mut self, key: &K) -> Option<V> {
        let index = self.kept.iter().position(|(kept, _)| kept == key)?;
        let found = self.kept.remove(index)?;
        let value = found.1.clone();
        self.kept.push_back(found);
        Some(value)
    }

    fn put(&mut self, key: K, value: V) {
        self.take(&key);
        if self.kept.len() >= self.kept_max {
            self.kept.pop_front();
        }
        self.kept.push_back((key, value));
    }
}
