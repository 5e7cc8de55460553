//! What appenders, lanes, readers and the writer share under one lock: the queue, the recent
//! records, the owners.
//!
//! The lock is held to number and to hand over, never to encode, write, sync or decode. The order
//! in which records pass it is the order of the log: what comes later can never outlive what came
//! earlier (prefix durability), and so lanes may read what is not yet synced.

use super::record::{Draft, Outline, Place};
use crate::layout::{Layout, Slot};
use crate::limits::TAKE_RECORDS_MAX;
use crate::{LogRecord, ReadLimit};
use bytes::Bytes;
use jupan_schemas::Micros;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What one unit of the queue added to a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touch {
    pub(crate) slot: Slot,
    pub(crate) first: u64,
    pub(crate) records: usize,
}

/// A unit has one touch when it is an append: no allocation for that.
#[derive(Clone)]
pub(crate) enum Touches {
    One(Touch),
    Many(Arc<[Touch]>),
}

impl Touches {
    pub(crate) fn all(&self) -> &[Touch] {
        match self {
            Self::One(touch) => std::slice::from_ref(touch),
            Self::Many(touches) => touches,
        }
    }
}

/// An append or a commit on its way to the writer.
#[derive(Clone)]
pub(crate) struct Unit {
    pub(crate) ticket: u64,
    pub(crate) bytes: Bytes,
    pub(crate) touches: Touches,
    /// Becomes a frame of its own.
    pub(crate) is_commit: bool,
    pub(crate) at: Micros,
}

/// A record that is kept in memory.
struct Kept {
    unit: Bytes,
    ticket: u64,
    start: u32,
    value_bytes: u32,
}

/// Memory that a record in the tail costs besides its bytes.
const KEPT_BYTES: usize = size_of::<Kept>();

struct Partition {
    /// The last records, without gaps up to `end`.
    tail: VecDeque<Kept>,
    end: u64,
    reader: Option<usize>,
    /// The unit that touched it last, and which of its touches that is.
    touched: (u64, usize),
}

impl Partition {
    fn tail_start(&self) -> u64 {
        self.end - self.tail.len() as u64
    }

    fn durable_end(&self, synced_ticket: u64) -> u64 {
        self.tail_start() + self.tail.partition_point(|kept| kept.ticket <= synced_ticket) as u64
    }
}

/// A unit whose records are in the tails.
struct InMemory {
    ticket: u64,
    weight: usize,
    touches: Touches,
}

/// Who owns a lane, and what its thread waits for.
#[derive(Default)]
pub(crate) struct Owned {
    pub(crate) owner: u64,
    pub(crate) waits: bool,
    /// Commits that are not yet synced.
    pub(crate) unsynced: VecDeque<u64>,
    pub(crate) last_ticket: u64,
}

/// Whether the log takes anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    Closed,
    Failed(String),
}

/// See the module.
pub(crate) struct State {
    pub(crate) phase: Phase,
    pub(crate) owned: Vec<Owned>,
    pub(crate) queue: VecDeque<Unit>,
    /// In the queue or being written.
    pub(crate) unsynced_bytes: usize,
    pub(crate) commits_waiting: usize,
    pub(crate) writer_waits: bool,
    pub(crate) waiters: VecDeque<(u64, oneshot::Sender<()>)>,
    partitions: Vec<Partition>,
    in_memory: VecDeque<InMemory>,
    tail_bytes: usize,
    tail_bytes_max: usize,
    last_ticket: u64,
    synced_ticket: u64,
    last_at: Micros,
}

/// A numbered unit; the lanes to wake are those that wait for its records.
pub(crate) struct Pushed {
    pub(crate) ticket: u64,
    pub(crate) first: u64,
    pub(crate) wake: Vec<usize>,
    pub(crate) wake_writer: bool,
}

/// Which records a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visible {
    /// Those that a finished sync covers.
    Durable,
    /// All: for lanes.
    Appended,
}

/// Where the records of a read are.
pub(crate) enum View {
    /// In memory; to be decoded outside the lock.
    Memory(Vec<(Bytes, u32)>),
    /// In the segments, up to this offset.
    Segments(u64),
    /// There are none.
    Nothing,
}

impl State {
    /// The state of a log whose partitions end there.
    pub(crate) fn new(
        layout: Layout,
        ends: &[u64],
        last_at: Micros,
        tail_bytes_max: usize,
    ) -> Self {
        let partition = |(slot, end): (Slot, &u64)| Partition {
            tail: VecDeque::new(),
            end: *end,
            reader: layout.reader_of(slot),
            touched: (0, 0),
        };
        let lanes = 2 * usize::from(layout.lanes());
        Self {
            phase: Phase::Open,
            owned: (0..lanes).map(|_| Owned::default()).collect(),
            queue: VecDeque::new(),
            unsynced_bytes: 0,
            commits_waiting: 0,
            writer_waits: false,
            waiters: VecDeque::new(),
            partitions: ends.iter().enumerate().map(partition).collect(),
            in_memory: VecDeque::new(),
            tail_bytes: 0,
            tail_bytes_max,
            last_ticket: 0,
            synced_ticket: 0,
            last_at,
        }
    }

    pub(crate) fn end(&self, slot: Slot) -> u64 {
        self.partitions[slot].end
    }

    pub(crate) fn durable_end(&self, slot: Slot) -> u64 {
        self.partitions[slot].durable_end(self.synced_ticket)
    }

    /// Whether the queue has room; an empty one takes a unit of any size.
    pub(crate) fn has_room(&self, bytes: usize, queue_bytes_max: usize) -> bool {
        self.unsynced_bytes == 0 || self.unsynced_bytes.saturating_add(bytes) <= queue_bytes_max
    }

    /// The ticket that the next unit gets.
    pub(crate) fn next_ticket(&self) -> u64 {
        self.last_ticket + 1
    }

    /// Gives the draft its offsets, time and ticket, and hands it to the writer and to the lanes.
    pub(crate) fn push(&mut self, mut draft: Draft, now: Micros, is_commit: bool) -> Pushed {
        let at = self.last_at.max(now);
        self.last_at = at;
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        let mut wake = Vec::new();
        let (touches, first) = self.number(&mut draft, ticket, at);
        let (bytes, places) = draft.finish();
        for Place { slot, start, value_bytes } in places.iter().copied() {
            let kept = Kept { unit: bytes.clone(), ticket, start, value_bytes };
            self.partitions[slot].tail.push_back(kept);
        }
        for touch in touches.all() {
            let reader = self.partitions[touch.slot].reader;
            if let Some((lane, owned)) = reader.and_then(|l| Some((l, self.owned.get_mut(l)?)))
                && std::mem::take(&mut owned.waits)
            {
                wake.push(lane);
            }
        }
        let weight = bytes.len() + places.len() * KEPT_BYTES;
        self.tail_bytes += weight;
        self.unsynced_bytes += bytes.len();
        self.in_memory.push_back(InMemory { ticket, weight, touches: touches.clone() });
        self.queue.push_back(Unit { ticket, bytes, touches, is_commit, at });
        let wake_writer = std::mem::take(&mut self.writer_waits);
        Pushed { ticket, first, wake, wake_writer }
    }

    /// Offsets for every record of the draft, and what it touches; also the first record's offset.
    fn number(&mut self, draft: &mut Draft, ticket: u64, at: Micros) -> (Touches, u64) {
        let mut touches: Vec<Touch> = Vec::new();
        let mut first_offset = None;
        for index in 0..draft.places.len() {
            let place = draft.places[index];
            let partition = &mut self.partitions[place.slot];
            let offset = partition.end;
            partition.end += 1;
            draft.seal(place, offset, at);
            first_offset.get_or_insert(offset);
            if draft.places.len() == 1 {
                let touch = Touch { slot: place.slot, first: offset, records: 1 };
                return (Touches::One(touch), offset);
            }
            if partition.touched.0 == ticket {
                touches[partition.touched.1].records += 1;
            } else {
                partition.touched = (ticket, touches.len());
                touches.push(Touch { slot: place.slot, first: offset, records: 1 });
            }
        }
        (Touches::Many(touches.into()), first_offset.unwrap_or(0))
    }

    /// Takes note that everything up to this ticket is durable; returns the waiters to be told.
    pub(crate) fn synced(&mut self, ticket: u64, bytes: usize) -> Vec<oneshot::Sender<()>> {
        self.synced_ticket = ticket;
        self.unsynced_bytes -= bytes;
        let told = self.waiters.partition_point(|(waited, _)| *waited <= ticket);
        let told = self.waiters.drain(..told).map(|(_, waiter)| waiter).collect();
        self.evict();
        told
    }

    /// Lets go of the oldest synced records beyond the budget.
    fn evict(&mut self) {
        while self.tail_bytes > self.tail_bytes_max
            && let Some(oldest) = self.in_memory.front()
            && oldest.ticket <= self.synced_ticket
        {
            for touch in oldest.touches.all() {
                self.partitions[touch.slot].tail.drain(..touch.records);
            }
            self.tail_bytes -= oldest.weight;
            self.in_memory.pop_front();
        }
    }

    /// Where the records of a slot are, from an offset on.
    pub(crate) fn view(&self, slot: Slot, from: u64, limit: ReadLimit, visible: Visible) -> View {
        let partition = &self.partitions[slot];
        let end = match visible {
            Visible::Durable => partition.durable_end(self.synced_ticket),
            Visible::Appended => partition.end,
        };
        let start = partition.tail_start();
        if from >= end || limit.records_max == 0 {
            return View::Nothing;
        }
        if from < start {
            return View::Segments(start.min(end));
        }
        let skipped = usize::try_from(from - start).unwrap_or(usize::MAX);
        let there = usize::try_from(end - from).unwrap_or(usize::MAX);
        let records_max = there.min(limit.records_max).min(TAKE_RECORDS_MAX);
        let mut taken = Vec::with_capacity(records_max);
        let mut bytes = 0;
        for kept in partition.tail.range(skipped..).take(records_max) {
            taken.push((kept.unit.clone(), kept.start));
            bytes += kept.value_bytes as usize;
            if bytes >= limit.bytes_max {
                break;
            }
        }
        View::Memory(taken)
    }
}

/// Decodes what a view found in memory.
pub(crate) fn decode(layout: Layout, found: &[(Bytes, u32)]) -> Option<Vec<LogRecord>> {
    let record =
        |(unit, start): &(Bytes, u32)| Outline::read(layout, unit, *start as usize)?.record(unit);
    found.iter().map(record).collect()
}
