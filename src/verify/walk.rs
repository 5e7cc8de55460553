//! Frames, read one after the other.
//!
//! At rest every whole frame counts, up to the log's end. A frame behind a bad one proves damage
//! only if it was written after a sync that covered the bad one; otherwise the bad one is a write
//! that never finished, and the log ends there.
//!
//! While a shop writes, a frame counts as soon as a later one says that it is durable. What is not
//! there yet may come: nobody waits in here, a walk only pauses.

use super::{
    Failure,
    frames::{Found, Frame, Head, SegmentReader, wide},
    segments::{Corruption, Directory, Segment},
};

/// How far ahead of a frame its proof is looked for: more than a writer ever writes between two
/// syncs.
const PROOF_BYTES_MAX: u64 = 8 << 20;

/// What a walk came to.
#[derive(Clone, Debug, Default)]
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

/// What [`Walker::advance`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advance {
    /// The next frame is there.
    Frame,
    /// None yet, or none that is known to be durable.
    Pause,
    /// There are no more.
    Over,
}

/// A place to come back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    index: usize,
    end: u64,
    frames: u64,
}

/// Reads every frame that counts, in order.
pub(super) struct Walker<'a> {
    directory: &'a Directory,
    segments: Vec<Segment>,
    index: usize,
    reader: Option<SegmentReader>,
    /// Everything before this position is durable.
    proven: u64,
    /// The frame at hand, and its position.
    head: Option<(u64, Head)>,
    pub(super) walk: Walk,
}

impl<'a> Walker<'a> {
    pub(super) fn new(directory: &'a Directory) -> Self {
        let segments = directory.segments.clone();
        // A segment is made only when all before it are durable.
        let proven = segments.last().map_or(0, |last| last.first);
        let (reader, head, walk) = (None, None, Walk::default());
        Self { directory, segments, index: 0, reader, proven, head, walk }
    }

    /// This position is known to be durable, whatever the frames say.
    pub(super) fn prove(&mut self, position: u64) {
        self.proven = self.proven.max(position);
    }

    /// Where the walk is: before the frame that comes next.
    pub(super) fn mark(&self) -> Mark {
        Mark { index: self.index, end: self.walk.end, frames: self.walk.frames }
    }

    /// Goes back.
    pub(super) fn rewind(&mut self, mark: Mark) {
        if self.index != mark.index {
            self.reader = None;
        }
        self.index = mark.index;
        (self.walk.end, self.walk.frames) = (mark.end, mark.frames);
    }

    /// Goes to the next frame.
    pub(super) fn advance(&mut self) -> Result<Advance, Failure> {
        if self.walk.corruption.is_some() {
            return Ok(Advance::Over);
        }
        self.enter_segment();
        let Some(segment) = self.segments.get(self.index).cloned() else {
            return self.without_segment();
        };
        if segment.first > self.walk.end {
            self.walk.corruption = Some(hole(&segment, self.walk.end));
            return Ok(Advance::Over);
        }
        let position = self.walk.end;
        match self.reader(&segment)?.at(position)? {
            Found::Good(head) => self.good(&segment, position, head),
            Found::Bad(what) => self.bad(&segment, position, what),
        }
    }

    /// The frame that the walk went to last.
    pub(super) fn frame(&self) -> Option<Frame<'_>> {
        let ((position, head), reader) = (self.head.as_ref()?, self.reader.as_ref()?);
        let segment = self.segments.get(self.index)?.first;
        Some(Frame { segment, position: *position, payload: reader.payload(head) })
    }

    /// The segment that has the position to be read, where there is one that has more than it.
    fn enter_segment(&mut self) {
        while let Some(next) = self.segments.get(self.index + 1)
            && next.first <= self.walk.end
        {
            self.index += 1;
            self.reader = None;
        }
    }

    fn reader(&mut self, segment: &Segment) -> Result<&mut SegmentReader, Failure> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => SegmentReader::open(segment)?,
        };
        Ok(self.reader.insert(reader))
    }

    fn without_segment(&mut self) -> Result<Advance, Failure> {
        if !self.directory.is_running() {
            return Ok(Advance::Over);
        }
        self.look_for_segment(self.walk.end)?;
        Ok(Advance::Pause)
    }

    /// Takes new segments in, if there is one that begins at this position. Whoever made it had
    /// everything before it synced.
    fn look_for_segment(&mut self, first: u64) -> Result<(), Failure> {
        if self.directory.has_segment(first) {
            self.segments = self.directory.list_again()?;
            self.prove(self.segments.last().map_or(0, |last| last.first));
        }
        Ok(())
    }

    fn good(
        &mut self,
        segment: &Segment,
        position: u64,
        mut head: Head,
    ) -> Result<Advance, Failure> {
        let limit = self.segments.get(self.index + 1).map(|next| next.first);
        if let Some(disorder) = self.disorder(segment, &head, limit) {
            self.walk.corruption = Some(disorder);
            return Ok(Advance::Over);
        }
        self.prove(head.synced_through);
        if self.directory.is_running() && head.end > self.proven {
            let last = self.look_for_proof(segment, &head)?;
            if head.end > self.proven {
                self.look_for_segment(last)?;
                return Ok(Advance::Pause);
            }
            // What is in memory has moved on meanwhile.
            let Found::Good(again) = self.reader(segment)?.at(position)? else {
                return Ok(Advance::Pause);
            };
            head = again;
        }
        self.walk.frames += 1;
        self.walk.end = head.end;
        self.head = Some((position, head));
        Ok(Advance::Frame)
    }

    fn disorder(&self, segment: &Segment, head: &Head, limit: Option<u64>) -> Option<Corruption> {
        let position = self.walk.end;
        let fault = |about: &str, expected: String, found: u64| Corruption {
            segment: Some(segment.first),
            position: Some(position),
            about: about.to_owned(),
            expected,
            found: found.to_string(),
        };
        let number = self.walk.frames + 1;
        if head.number != number {
            return Some(fault("frame number", number.to_string(), head.number));
        }
        if head.synced_through > position {
            let expected = format!("at most its own position {position}");
            return Some(fault("synced-through", expected, head.synced_through));
        }
        let limit = limit.filter(|limit| head.end > *limit)?;
        Some(fault("end of the frame", format!("at most {limit}"), head.end))
    }

    /// Looks at the frames behind one for what they know to be durable; returns where they end.
    fn look_for_proof(&mut self, segment: &Segment, head: &Head) -> Result<u64, Failure> {
        let (mut position, mut number) = (head.end, head.number);
        let until = head.end.saturating_add(PROOF_BYTES_MAX);
        while position < until {
            let Found::Good(next) = self.reader(segment)?.at(position)? else {
                self.reader(segment)?.forget();
                break;
            };
            if next.number != number + 1 || next.synced_through > position {
                break;
            }
            self.prove(next.synced_through);
            (position, number) = (next.end, next.number);
        }
        Ok(position)
    }

    fn bad(
        &mut self,
        segment: &Segment,
        position: u64,
        what: &'static str,
    ) -> Result<Advance, Failure> {
        if let Some(limit) = self.segments.get(self.index + 1).map(|next| next.first) {
            let expected = format!("frames up to {limit}");
            self.walk.corruption = Some(broken(segment, position, expected, what));
            return Ok(Advance::Over);
        }
        if !self.directory.is_running() {
            self.end_or_damage(segment, position, what)?;
            return Ok(Advance::Over);
        }
        self.reader(segment)?.forget();
        self.look_for_segment(position)?;
        Ok(Advance::Pause)
    }

    /// A running shop's log does not go on: has something been damaged that was known durable?
    pub(super) fn look_for_damage(&mut self) -> Result<(), Failure> {
        let Some(segment) = self.segments.get(self.index).cloned() else { return Ok(()) };
        let position = self.walk.end;
        let reader = self.reader(&segment)?;
        let rest = reader.rest(position)?;
        let Some(witness) = reader.find_witness(position, &rest) else { return Ok(()) };
        // The witness may have been written while the bytes before it were read.
        reader.forget();
        if let Found::Bad(what) = reader.at(position)? {
            let expected = format!("a whole frame: the one at {witness} knows it as synced");
            self.walk.corruption = Some(broken(&segment, position, expected, what));
        }
        Ok(())
    }

    /// In the last segment: is this the log's end, or is something broken that was known to be
    /// durable?
    fn end_or_damage(
        &mut self,
        segment: &Segment,
        position: u64,
        what: &'static str,
    ) -> Result<(), Failure> {
        let reader = self.reader(segment)?;
        let rest = reader.rest(position)?;
        if let Some(witness) = reader.find_witness(position, &rest) {
            let expected = format!("a whole frame: the one at {witness} knows it as synced");
            self.walk.corruption = Some(broken(segment, position, expected, what));
        } else {
            let used = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            self.walk.unfinished_bytes = wide(used);
        }
        Ok(())
    }
}

fn broken(segment: &Segment, position: u64, expected: String, found: &str) -> Corruption {
    Corruption {
        segment: Some(segment.first),
        position: Some(position),
        about: "frame".to_owned(),
        expected,
        found: found.to_owned(),
    }
}

fn hole(segment: &Segment, end: u64) -> Corruption {
    Corruption {
        segment: Some(segment.first),
        position: Some(end),
        about: "position behind the last frame".to_owned(),
        expected: end.to_string(),
        found: format!("a segment that begins at {}", segment.first),
    }
}
