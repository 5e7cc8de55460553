//! Bytes of what has ended, side by side and found by its id: a few bytes each beside its own, since
//! a journal ends orders without end.
//!
//! ```text
//! chunk: record | record | ...    never moved while half of it is in use
//! record: length u32 | marks u8 | name, 17 bytes | the rest of the bytes
//! ```

use hashbrown::{DefaultHashBuilder, HashTable};
use jupan_schemas::{CommandId, OrderId, rows::Key};
use std::hash::BuildHasher;

/// What the bytes of a packed order and of a packed outcome begin with, before their id.
const ORDER: u8 = 2;
const OUTCOME: u8 = 3;

/// Bytes of a name: the kind and the id.
pub(super) const NAME_BYTES: usize = 17;
/// Bytes of a record before its own.
const HEAD_BYTES: usize = 5;
/// Bytes of a chunk, unless one record alone has more.
const CHUNK_BYTES: usize = 1 << 20;
/// In the marks of a record that was removed or replaced.
const GONE: u8 = 0x80;

/// What packed bytes begin with.
pub(super) type Name = [u8; NAME_BYTES];

/// The name of an order or outcome; others are not archived.
pub(super) fn name_of(key: Key) -> Option<Name> {
    let (kind, id) = match key {
        Key::Order(id) => (ORDER, id.0),
        Key::Outcome(id) => (OUTCOME, id.0),
        Key::User(_) | Key::Product(_) | Key::Hold(..) => return None,
    };
    let mut name = [kind; NAME_BYTES];
    name[1..].copy_from_slice(&id);
    Some(name)
}

/// What packed bytes are of.
pub(super) fn key_of(bytes: &[u8]) -> Option<Key> {
    let (kind, rest) = bytes.split_first()?;
    let id = *rest.first_chunk()?;
    match *kind {
        ORDER => Some(Key::Order(OrderId(id))),
        OUTCOME => Some(Key::Outcome(CommandId(id))),
        _ => None,
    }
}

/// Some records, one behind the other.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    /// Bytes of the records that are gone.
    gone: usize,
}

/// Where a record lies.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Spot {
    chunk: u32,
    offset: u32,
}

/// See the module.
#[derive(Default)]
pub(super) struct Archive {
    chunks: Vec<Chunk>,
    index: HashTable<Spot>,
    hasher: DefaultHashBuilder,
}

impl Archive {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// The bytes with this name.
    pub(super) fn get(&self, name: &Name) -> Option<&[u8]> {
        self.find(name).map(|spot| record(&self.chunks, spot))
    }

    /// What was marked.
    pub(super) fn marks(&self, name: &Name) -> u8 {
        self.find(name).map_or(0, |spot| self.chunks[spot.chunk()].bytes[spot.offset() + 4])
    }

    /// Marks what has this name; says whether there is such a thing.
    pub(super) fn mark(&mut self, name: &Name, marks: u8) -> bool {
        let Some(spot) = self.find(name) else { return false };
        self.chunks[spot.chunk()].bytes[spot.offset() + 4] |= marks & !GONE;
        true
    }

    /// Puts bytes away that begin with their name, in the place of those that have it.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let Some(name) = bytes.first_chunk().copied() else { return };
        self.remove(&name);
        let spot = self.write(bytes, 0);
        let Self { chunks, index, hasher } = self;
        let hash_of = |spot: &Spot| match record(chunks, *spot).first_chunk::<NAME_BYTES>() {
            Some(name) => hasher.hash_one(name),
            None => 0,
        };
        index.insert_unique(hasher.hash_one(name), spot, hash_of);
    }

    /// Forgets what has this name.
    pub(super) fn remove(&mut self, name: &Name) {
        let Some(spot) = self.find(name) else { return };
        let hash = self.hasher.hash_one(name);
        if let Ok(found) = self.index.find_entry(hash, |other| *other == spot) {
            found.remove();
        }
        let whole = HEAD_BYTES + record(&self.chunks, spot).len();
        let chunk = &mut self.chunks[spot.chunk()];
        chunk.bytes[spot.offset() + 4] |= GONE;
        chunk.gone += whole;
        if chunk.gone * 2 > CHUNK_BYTES && spot.chunk() + 1 < self.chunks.len() {
            self.clear_out(spot.chunk());
        }
    }

    /// All bytes with their marks, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], u8)> {
        let spots = self.index.iter().copied();
        spots.map(|spot| {
            (record(&self.chunks, spot), self.chunks[spot.chunk()].bytes[spot.offset() + 4])
        })
    }

    fn find(&self, name: &Name) -> Option<Spot> {
        let hash = self.hasher.hash_one(name);
        let is_it = |spot: &Spot| record(&self.chunks, *spot).starts_with(name);
        self.index.find(hash, is_it).copied()
    }

    /// Writes a record behind all others.
    fn write(&mut self, bytes: &[u8], marks: u8) -> Spot {
        let whole = HEAD_BYTES + bytes.len();
        let has_room = |chunk: &Chunk| chunk.bytes.len() + whole <= chunk.bytes.capacity();
        if !self.chunks.last().is_some_and(has_room) {
            let bytes = Vec::with_capacity(whole.max(CHUNK_BYTES));
            self.chunks.push(Chunk { bytes, gone: 0 });
        }
        let last = self.chunks.len() - 1;
        let chunk = &mut self.chunks[last].bytes;
        let spot = Spot::of(last, chunk.len());
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        chunk.extend_from_slice(&length.to_le_bytes());
        chunk.push(marks);
        chunk.extend_from_slice(bytes);
        spot
    }

    /// Moves what is left of a chunk behind all others.
    fn clear_out(&mut self, index: usize) {
        let old = std::mem::take(&mut self.chunks[index]).bytes;
        let mut offset = 0;
        while let Some(head) = old.get(offset..offset + HEAD_BYTES) {
            let bytes = &old[offset + HEAD_BYTES..][..length(head)];
            if let (0, Some(name)) = (head[4] & GONE, bytes.first_chunk::<NAME_BYTES>()) {
                let (before, now) = (Spot::of(index, offset), self.write(bytes, head[4]));
                let hash = self.hasher.hash_one(name);
                if let Some(spot) = self.index.find_mut(hash, |spot| *spot == before) {
                    *spot = now;
                }
            }
            offset += HEAD_BYTES + bytes.len();
        }
    }
}

impl Spot {
    fn of(chunk: usize, offset: usize) -> Self {
        let narrow = |place| u32::try_from(place).unwrap_or(u32::MAX);
        Self { chunk: narrow(chunk), offset: narrow(offset) }
    }

    fn chunk(self) -> usize {
        usize::try_from(self.chunk).unwrap_or(usize::MAX)
    }

    fn offset(self) -> usize {
        usize::try_from(self.offset).unwrap_or(usize::MAX)
    }
}

fn record(chunks: &[Chunk], spot: Spot) -> &[u8] {
    let from = &chunks[spot.chunk()].bytes[spot.offset()..];
    &from[HEAD_BYTES..][..length(from)]
}

fn length(head: &[u8]) -> usize {
    let length = head.first_chunk().map_or(0, |length| u32::from_le_bytes(*length));
    usize::try_from(length).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Against a map that is one: put, replaced, marked and removed at random.
    #[test]
    fn it_keeps_what_a_map_would_keep() {
        let mut random = 7_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
            (random >> 33) % below
        };
        let (mut archive, mut map) = (Archive::default(), BTreeMap::<Name, (Vec<u8>, u8)>::new());
        for _ in 0..60_000 {
            let mut name = [ORDER; NAME_BYTES];
            name[9..].copy_from_slice(&next(3_000).to_le_bytes());
            match next(8) {
                0 => {
                    archive.remove(&name);
                    map.remove(&name);
                }
                1 => {
                    let is_there = archive.mark(&name, 3);
                    let known = map.get_mut(&name).map(|(_, marks)| *marks |= 3);
                    assert_eq!(known.is_some(), is_there);
                }
                _ => {
                    let mut bytes = name.to_vec();
                    bytes.extend((0..next(600)).map(|byte| byte.to_le_bytes()[0]));
                    archive.put(&bytes);
                    map.insert(name, (bytes, 0));
                }
            }
        }
        assert_eq!(archive.len(), map.len());
        let mut all: Vec<(Vec<u8>, u8)> =
            archive.iter().map(|(bytes, marks)| (bytes.to_vec(), marks)).collect();
        all.sort();
        assert_eq!(all, map.values().cloned().collect::<Vec<_>>());
        for (name, (bytes, marks)) in &map {
            assert_eq!((archive.get(name), archive.marks(name)), (Some(bytes.as_slice()), *marks));
        }
        let held: usize = archive.chunks.iter().map(|chunk| chunk.bytes.capacity()).sum();
        let used: usize = map.values().map(|(bytes, _)| bytes.len() + HEAD_BYTES).sum();
        assert!(held < 3 * used + 3 * CHUNK_BYTES, "{held} bytes for {used}");
    }
}
