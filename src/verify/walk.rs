//! Frames, read one after the other.
//!
//! At rest every whole frame counts, up to the log's end. A bad one is damage if the floor lies
//! behind it, or a frame behind it was written after a sync that covered it; otherwise it is a write
//! that never finished, and the log ends there.
//!
//! While a shop writes, a frame counts as soon as it lies before the floor. What is not there yet
//! may come: nobody waits in here, a walk only pauses.

use super::{
    Failure, floor,
    frames::{Found, Frame, Head, SegmentReader, wide},
    segments::{Corruption, Directory, Segment},
};

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
    /// Everything before this position was durable.
    floor: u64,
    /// The frame at hand, and its position.
    head: Option<(u64, Head)>,
    pub(super) walk: Walk,
}

impl<'a> Walker<'a> {
    pub(super) fn new(directory: &'a Directory) -> Self {
        let (segments, floor) = (directory.segments.clone(), directory.floor);
        let (reader, head, walk) = (None, None, Walk::default());
        Self { directory, segments, index: 0, reader, floor, head, walk }
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
        if self.directory.is_running() {
            self.look_for_segment(self.walk.end)?;
            return Ok(Advance::Pause);
        }
        if self.walk.end < self.floor {
            self.walk.corruption = Some(Corruption {
                segment: None,
                position: Some(self.walk.end),
                about: "end of the log".to_owned(),
                expected: format!("at least {}, which was durable", self.floor),
                found: self.walk.end.to_string(),
            });
        }
        Ok(Advance::Over)
    }

    /// Takes new segments in, if there is one that begins at this position.
    fn look_for_segment(&mut self, first: u64) -> Result<(), Failure> {
        if self.directory.has_segment(first) {
            self.segments = self.directory.list_again()?;
        }
        Ok(())
    }

    /// Whether everything before this position was durable, as far as the shop has noted by now.
    fn is_durable(&mut self, position: u64) -> Result<bool, Failure> {
        if position > self.floor && self.directory.is_running() {
            let noted = floor::read(&self.directory.path)?.ok().flatten();
            self.floor = self.floor.max(noted.unwrap_or(0));
        }
        Ok(position <= self.floor)
    }

    fn good(&mut self, segment: &Segment, position: u64, head: Head) -> Result<Advance, Failure> {
        let limit = self.segments.get(self.index + 1).map(|next| next.first);
        if let Some(disorder) = self.disorder(segment, &head, limit) {
            self.walk.corruption = Some(disorder);
            return Ok(Advance::Over);
        }
        if self.directory.is_running() && !self.is_durable(head.end)? {
            return Ok(Advance::Pause);
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
        self.look_for_segment(position)?;
        let is_last = self.segments.len() == self.index + 1;
        let was_durable = is_last && self.is_durable(position + 1)?;
        let reader = self.reader(segment)?;
        reader.forget();
        // What is durable by now may not have been there a moment ago.
        if was_durable
            && !self.directory.has_segment(position)
            && let Found::Bad(what) = self.reader(segment)?.at(position)?
        {
            self.walk.corruption = Some(self.below_floor(segment, position, what));
            return Ok(Advance::Over);
        }
        Ok(Advance::Pause)
    }

    fn below_floor(&self, segment: &Segment, position: u64, what: &str) -> Corruption {
        let expected = format!("a whole frame: everything before {} was durable", self.floor);
        broken(segment, position, expected, what)
    }

    /// In the last segment: is this the log's end, or is something broken that was known to be
    /// durable?
    fn end_or_damage(
        &mut self,
        segment: &Segment,
        position: u64,
        what: &'static str,
    ) -> Result<(), Failure> {
        if position < self.floor {
            self.walk.corruption = Some(self.below_floor(segment, position, what));
            return Ok(());
        }
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
