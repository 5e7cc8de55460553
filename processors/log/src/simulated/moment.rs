//! A moment of a disk, and what a crash at that moment may leave.

use super::random::Random;
use super::state::{Change, Names, State, What, lay_over};
use super::{Disk, Operation};
use std::sync::Arc;

/// What the system writes back at once.
const PAGE_BYTES: usize = 4096;
/// What the disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;
/// A write as small as this is there, is not, or is broken.
const NOTE_BYTES: usize = 64;
/// So many pages of the newest write are tried in every combination.
const MASKED_PAGES_MAX: usize = 4;
/// Combinations of pages that are tried where there are more.
const MASKS_MAX: u64 = 10;

/// What a power cut leaves of the changes that no sync covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    Nothing,
    /// Everything.
    Everything,
    /// The first changes, and so many bytes of the next one if that is a write.
    Prefix {
        /// How many changes.
        changes: usize,
        /// Of the next one.
        bytes: usize,
    },
    /// Any pieces of files, each as one of the writes to it left it, and any names.
    Pieces {
        /// A page or a sector.
        piece_bytes: usize,
        /// Which pieces of the newest write survive, from the lowest bit on; otherwise the seed says.
        newest: Option<u64>,
        /// Decides about everything else.
        seed: u64,
    },
    /// As [`Survival::Pieces`], but where the newest write does not survive there is garbage.
    Garbage {
        /// So many bytes of the newest write survive.
        bytes: usize,
        /// Decides about everything else.
        seed: u64,
    },
}

/// A disk between two operations.
#[derive(Clone)]
pub struct Moment {
    state: State,
    /// Operations so far.
    number: u64,
    next: Option<Operation>,
}

impl Moment {
    pub(super) fn new(state: State, number: u64, next: Option<Operation>) -> Self {
        Self { state, number, next }
    }

    /// Operations so far.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The operation that a crash at this moment prevents.
    pub fn next(&self) -> Option<&Operation> {
        self.next.as_ref()
    }

    /// The disk as the next process finds it when this one is killed: what was written is seen, and
    /// no more durable than before.
    pub fn kill(&self) -> Disk {
        Disk::of(self.state.clone())
    }

    /// The disk after a power cut.
    pub fn power_cut(&self, survival: Survival) -> Disk {
        let names = self.names(survival);
        let nodes = (0..self.state.nodes.len()).map(|node| self.file(node, survival)).collect();
        Disk::of(State::restarted(names, nodes))
    }

    /// What is tried at this moment: nothing, everything, prefixes, subsets of pages (all of them
    /// where the newest write has few) and of sectors, garbage.
    pub fn survivals(&self, seed: u64) -> Vec<Survival> {
        let mut random = Random::new(Random::of(&[seed, self.number]));
        let mut all = vec![Survival::Nothing];
        let pending = &self.state.pending;
        let Some(newest) = pending.last() else { return all };
        let pieces = |piece_bytes, newest, seed| Survival::Pieces { piece_bytes, newest, seed };
        all.push(pieces(PAGE_BYTES, None, random.number()));
        // Older changes were tried when they were the newest.
        if newest.number != self.number {
            return all;
        }
        all.push(Survival::Everything);
        let What::Write { place, bytes, .. } = &newest.what else {
            all.push(Survival::Prefix { changes: random.index(pending.len()), bytes: 0 });
            return all;
        };
        let changes = pending.len() - 1;
        if bytes.len() <= NOTE_BYTES {
            all.push(Survival::Garbage { bytes: bytes.len() / 2, seed: random.number() });
            return all;
        }
        let cut = 1 + random.index(bytes.len().saturating_sub(1));
        all.push(Survival::Prefix { changes, bytes: cut });
        let sectors = pieces_of(*place, bytes.len(), SECTOR_BYTES);
        if sectors > 1 {
            let cut = (1 + random.index(sectors - 1)) * SECTOR_BYTES - place % SECTOR_BYTES;
            all.push(Survival::Prefix { changes, bytes: cut.min(bytes.len()) });
            all.push(pieces(SECTOR_BYTES, None, random.number()));
            all.push(pieces(SECTOR_BYTES, Some(random.number()), random.number()));
        }
        let pages = pieces_of(*place, bytes.len(), PAGE_BYTES);
        if pages <= MASKED_PAGES_MAX {
            let masks = 1..(1 << pages) - 1;
            all.extend(masks.map(|mask| pieces(PAGE_BYTES, Some(mask), random.number())));
        } else {
            let masks = (0..MASKS_MAX).map(|_| random.number()).collect::<Vec<_>>();
            all.extend(masks.iter().map(|m| pieces(PAGE_BYTES, Some(*m), random.number())));
        }
        all.push(Survival::Garbage { bytes: 0, seed: random.number() });
        all.push(Survival::Garbage { bytes: cut, seed: random.number() });
        all
    }

    fn changes(&self) -> impl Iterator<Item = (usize, &What)> {
        self.state.pending.iter().map(|change: &Arc<Change>| &change.what).enumerate()
    }

    fn names(&self, survival: Survival) -> Names {
        let mut names = (*self.state.durable_names).clone();
        for (index, what) in self.changes() {
            let What::Names { edits, .. } = what else { continue };
            let survives = match survival {
                Survival::Nothing => false,
                Survival::Everything => true,
                Survival::Prefix { changes, .. } => index < changes,
                Survival::Pieces { seed, .. } | Survival::Garbage { seed, .. } => {
                    Random::of(&[seed, index as u64]).is_multiple_of(2)
                }
            };
            for (key, entry) in edits.iter().filter(|_| survives) {
                match entry {
                    Some(entry) => names.insert(key.clone(), *entry),
                    None => names.remove(key),
                };
            }
        }
        names
    }

    fn file(&self, node: usize, survival: Survival) -> Arc<Vec<u8>> {
        let durable = &self.state.nodes[node].durable;
        let writes: Vec<_> = self
            .changes()
            .filter_map(|(index, what)| match what {
                What::Write { node: written, place, bytes } if *written == node => {
                    Some(Write { index, place: *place, bytes })
                }
                _ => None,
            })
            .collect();
        if writes.is_empty() || survival == Survival::Nothing {
            return durable.clone();
        }
        let mut file = (**durable).clone();
        let newest = self.state.pending.len() - 1;
        match survival {
            Survival::Nothing => {}
            Survival::Everything => writes.iter().for_each(|write| write.lay_over(&mut file)),
            Survival::Prefix { changes, bytes } => {
                for write in writes.iter().filter(|write| write.index <= changes) {
                    let all = if write.index < changes { write.bytes.len() } else { bytes };
                    lay_over(&mut file, write.place, &write.bytes[..all.min(write.bytes.len())]);
                }
            }
            Survival::Pieces { piece_bytes, newest: mask, seed } => {
                let choice = Choice { node, seed, piece_bytes, newest, mask };
                choice.lay_over(&mut file, &writes);
            }
            Survival::Garbage { bytes, seed } => {
                let choice = Choice { node, seed, piece_bytes: PAGE_BYTES, newest, mask: Some(0) };
                choice.lay_over(&mut file, &writes);
                if let Some(write) = writes.last().filter(|write| write.index == newest) {
                    let kept = bytes.min(write.bytes.len());
                    let mut random = Random::new(seed);
                    let mut tail = write.bytes.to_vec();
                    tail[kept..].fill_with(|| random.number().to_le_bytes()[0]);
                    lay_over(&mut file, write.place, &tail);
                }
            }
        }
        Arc::new(file)
    }
}

/// How many pieces of a file a stretch touches.
fn pieces_of(place: usize, bytes: usize, piece_bytes: usize) -> usize {
    (place + bytes).div_ceil(piece_bytes) - place / piece_bytes
}

/// A write that no sync covered.
struct Write<'a> {
    /// Among all changes.
    index: usize,
    place: usize,
    bytes: &'a [u8],
}

impl Write<'_> {
    fn lay_over(&self, file: &mut Vec<u8>) {
        lay_over(file, self.place, self.bytes);
    }

    /// Lays over what lies in this piece of the file.
    fn lay_piece(&self, file: &mut Vec<u8>, start: usize, end: usize) {
        let (from, to) = (start.max(self.place), end.min(self.place + self.bytes.len()));
        if from < to {
            lay_over(file, from, &self.bytes[from - self.place..to - self.place]);
        }
    }
}

/// Which pieces of a file survive.
struct Choice {
    node: usize,
    seed: u64,
    piece_bytes: usize,
    /// Index of the newest change.
    newest: usize,
    mask: Option<u64>,
}

impl Choice {
    /// Each piece is as it was after some of the writes to it.
    fn lay_over(&self, file: &mut Vec<u8>, writes: &[Write<'_>]) {
        let first = writes.iter().map(|write| write.place).min().unwrap_or(0) / self.piece_bytes;
        let ends = writes.iter().map(|write| write.place + write.bytes.len());
        let end = ends.max().unwrap_or(0);
        // The length is a change of its own: what is not written within it is zeros.
        if Random::of(&[self.seed, self.node as u64]).is_multiple_of(2) && file.len() < end {
            file.resize(end, 0);
        }
        for piece in first..end.div_ceil(self.piece_bytes) {
            let upto = self.upto(piece, writes);
            let (start, end) = (piece * self.piece_bytes, (piece + 1) * self.piece_bytes);
            writes[..upto].iter().for_each(|write| write.lay_piece(file, start, end));
        }
    }

    /// How many of the writes a piece has seen.
    fn upto(&self, piece: usize, writes: &[Write<'_>]) -> usize {
        let mut random = Random::new(Random::of(&[self.seed, self.node as u64, piece as u64]));
        let newest = writes.last().filter(|write| write.index == self.newest);
        match (self.mask, newest) {
            (Some(mask), Some(newest)) => {
                let bit = piece.wrapping_sub(newest.place / self.piece_bytes);
                let survives = bit < 64 && mask >> bit & 1 == 1;
                if survives { writes.len() } else { random.index(writes.len()) }
            }
            _ => random.index(writes.len() + 1),
        }
    }
}
