//! A script whose every record follows from its number, driven step by step over a simulated disk,
//! and what a log may hold of it: its first units, whole, in order, and nothing else.

use super::ALL;
use crate::clock::ManualClock;
use crate::embedded::{EmbeddedLog, OpenError, Options, Stepped};
use crate::layout::Slot;
use crate::simulated::{Disk, Random};
use crate::{Commit, CommitRecord, LaneLog, Log, LogRecord, NewRecord};
use jupan_schemas::{Lane, Micros, Role, TopicId};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Of each role.
pub(super) const LANES: u16 = 2;
const SLOTS: usize = TopicId::ALL.len() * LANES as usize;

/// Where a record goes.
type Place = (TopicId, u16);

/// Something that is in the log as a whole or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Append(Place),
    Commit { lane: Lane, parts: usize },
    Remind(Lane),
}

/// What a script says. The number of a unit decides what is in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script {
    pub(super) seed: u64,
    /// Every so many records one is larger than a page.
    pub(super) large_every: u64,
}

impl Script {
    fn unit(&self, number: usize) -> Unit {
        let mut random = Random::new(Random::of(&[self.seed, number as u64]));
        let index = u16::from(random.one_in(2));
        let role = if random.one_in(3) { Role::Products } else { Role::Users };
        match random.below(10) {
            0..7 => Unit::Append((TopicId::commands(role), index)),
            7..9 => Unit::Commit { lane: Lane { role, index }, parts: 1 + random.index(4) },
            _ => Unit::Remind(Lane { role, index }),
        }
    }

    /// Where each record of a unit goes.
    fn places(&self, number: usize) -> Vec<Place> {
        let inbox = |lane: Lane| (TopicId::inbox(lane.role), lane.index);
        match self.unit(number) {
            Unit::Append(place) => vec![place],
            Unit::Remind(lane) => vec![inbox(lane)],
            Unit::Commit { lane, parts } => {
                let to = |part: usize| match part {
                    0 => (TopicId::journal(lane.role), lane.index),
                    1 => (TopicId::ProductInbox, 0),
                    2 => (TopicId::ProductInbox, 1),
                    _ => (TopicId::OrderEvents, lane.index),
                };
                (0..parts).map(to).collect()
            }
        }
    }

    /// The value of a part of a unit.
    fn value(&self, number: usize, part: usize) -> Vec<u8> {
        let mut random = Random::new(Random::of(&[self.seed, number as u64, part as u64]));
        let padding = match random.one_in(self.large_every) {
            true => 4_000 + random.index(6_000),
            false => random.index(60),
        };
        let mut value = format!("unit {number} part {part} ").into_bytes();
        value.extend(std::iter::repeat_n(b'x', padding));
        value
    }

    fn record(&self, number: usize, part: usize) -> NewRecord {
        NewRecord::new(number.to_string(), self.value(number, part))
    }
}

fn slot((topic, partition): Place) -> Slot {
    crate::layout::Layout::new(LANES).slot(topic, partition).expect("a partition")
}

/// Why records are not as they were written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Misread {
    /// The log says so itself.
    Refused(String),
    /// It does not.
    Wrong(String),
}

/// Everything that a script wrote, in the order of the log.
pub(super) struct Model {
    script: Script,
    /// Next offsets of every slot before each unit, and behind the last one.
    ends: Vec<[u64; SLOTS]>,
    /// Per slot: number and part of each record.
    records: Vec<Vec<(usize, usize)>>,
}

impl Model {
    pub(super) fn new(script: Script) -> Self {
        Self { script, ends: vec![[0; SLOTS]], records: vec![Vec::new(); SLOTS] }
    }

    /// Units that are known.
    fn len(&self) -> usize {
        self.ends.len() - 1
    }

    /// Knows at least so many units from now on.
    pub(super) fn extend(&mut self, units: usize) {
        while self.len() < units {
            let number = self.len();
            let mut ends = self.ends[number];
            for (part, place) in self.script.places(number).into_iter().enumerate() {
                ends[slot(place)] += 1;
                self.records[slot(place)].push((number, part));
            }
            self.ends.push(ends);
        }
    }

    fn is_same(&self, record: &LogRecord, slot: Slot) -> bool {
        let offset = usize::try_from(record.offset).expect("it fits");
        self.records[slot].get(offset).is_some_and(|(number, part)| {
            // A step has no key.
            let is_step = *part == 0 && matches!(self.script.unit(*number), Unit::Commit { .. });
            let key = if is_step { String::new() } else { number.to_string() };
            record.key == key && record.value == self.script.value(*number, *part)
        })
    }

    /// How many units the log holds: it has to end behind a whole one in every partition.
    pub(super) fn units_in(&self, log: &EmbeddedLog) -> Result<usize, String> {
        let mut ends = [0; SLOTS];
        for place in places() {
            ends[slot(place)] = log.bounds(place.0, place.1).map_err(|e| e.to_string())?.end;
        }
        let total: u64 = ends.iter().sum();
        let units = self.ends.partition_point(|ends| ends.iter().sum::<u64>() < total);
        match self.ends.get(units) == Some(&ends) {
            true => Ok(units),
            false => Err(format!("its partitions end at {ends:?}, behind no unit")),
        }
    }

    /// Reads the records of all units from one on, and holds each against the script.
    pub(super) fn check_from(&self, log: &EmbeddedLog, unit: usize) -> Result<(), Misread> {
        for place in places() {
            let (slot, end) = (slot(place), log.bounds(place.0, place.1).expect("bounds").end);
            let mut next = self.ends[unit.min(self.len())][slot];
            while next < end {
                let batch = log.read(place.0, place.1, next, ALL);
                let batch = batch.map_err(|error| Misread::Refused(error.to_string()))?;
                for (offset, record) in (next..).zip(&batch.records) {
                    if record.offset != offset || !self.is_same(record, slot) {
                        let what = format!("{place:?} has another record at offset {offset}");
                        return Err(Misread::Wrong(what));
                    }
                }
                if batch.next <= next {
                    let what = format!("{place:?} ends at {next}, before its end {end}");
                    return Err(Misread::Wrong(what));
                }
                next = batch.next;
            }
        }
        Ok(())
    }
}

/// Every partition there is.
fn places() -> impl Iterator<Item = Place> {
    let all = TopicId::ALL.iter().flat_map(|topic| (0..LANES).map(|index| (*topic, index)));
    let layout = crate::layout::Layout::new(LANES);
    all.filter(move |(topic, index)| layout.slot(*topic, *index).is_some())
}

pub(super) fn dir() -> &'static Path {
    Path::new("shop/data")
}

/// Options of a log on a simulated disk.
pub(super) fn options(disk: &Disk, segment_bytes: u64) -> Options {
    let files = Arc::new(disk.clone());
    Options { lanes: Some(LANES), segment_bytes, tail_bytes_max: 0, files, ..Options::default() }
}

/// Opens the log on a simulated disk, without a thread.
pub(super) fn open(disk: &Disk, segment_bytes: u64) -> Result<Stepped, OpenError> {
    Stepped::open(dir(), options(disk, segment_bytes), Arc::new(ManualClock::at(Micros(1))))
}

/// A script on its way.
pub(super) struct Run {
    pub(super) disk: Disk,
    pub(super) model: Rc<RefCell<Model>>,
    segment_bytes: u64,
    log: Option<Opened>,
    /// Units that are in the log or on their way into it.
    pub(super) pushed: usize,
    /// Units that are known durable: somebody was told so.
    pub(super) durable: usize,
}

struct Opened {
    stepped: Stepped,
    lanes: Vec<Box<dyn LaneLog>>,
    /// The number of each unit that somebody waits for.
    appends: Vec<(usize, oneshot::Receiver<()>)>,
    commits: Vec<(usize, usize, u64)>,
}

impl Opened {
    fn new(stepped: Stepped) -> Self {
        let lanes = [Role::Users, Role::Products]
            .into_iter()
            .flat_map(|role| (0..LANES).map(move |index| Lane { role, index }));
        let lanes = lanes.map(|lane| stepped.log().open(lane).expect("a lane opens")).collect();
        Self { stepped, lanes, appends: Vec::new(), commits: Vec::new() }
    }

    fn lane(&mut self, lane: Lane) -> (usize, &mut dyn LaneLog) {
        let base = if lane.role == Role::Users { 0 } else { usize::from(LANES) };
        let index = base + usize::from(lane.index);
        (index, self.lanes[index].as_mut())
    }

    /// Takes what was acknowledged; the highest number of it.
    fn acknowledged(&mut self) -> Option<usize> {
        let mut highest = None;
        self.appends.retain_mut(|(number, waiter)| {
            let is_told = waiter.try_recv().is_ok();
            highest = highest.max(is_told.then_some(*number));
            !is_told
        });
        let durable: Vec<u64> = self.lanes.iter().map(|lane| lane.durable()).collect();
        self.commits.retain(|(number, lane, ticket)| {
            let is_durable = durable[*lane] >= *ticket;
            highest = highest.max(is_durable.then_some(*number));
            !is_durable
        });
        highest
    }
}

impl Run {
    pub(super) fn new(disk: &Disk, script: Script, segment_bytes: u64) -> Self {
        let model = Rc::new(RefCell::new(Model::new(script)));
        let disk = disk.clone();
        Self { disk, model, segment_bytes, log: None, pushed: 0, durable: 0 }
    }

    /// The same script on another disk, where so much of it may be.
    pub(super) fn on(&self, disk: &Disk, durable: usize, pushed: usize) -> Self {
        let (disk, model, segment_bytes) = (disk.clone(), self.model.clone(), self.segment_bytes);
        Self { disk, model, segment_bytes, log: None, pushed, durable }
    }

    /// Opens the log, with all that is in it.
    pub(super) fn open(&mut self) -> Result<(), OpenError> {
        let stepped = open(&self.disk, self.segment_bytes)?;
        let units = self.model.borrow().units_in(stepped.log()).expect("whole units");
        assert!((self.durable..=self.pushed).contains(&units), "{units} units are there");
        (self.pushed, self.durable) = (units, units);
        self.log = Some(Opened::new(stepped));
        Ok(())
    }

    fn opened(&mut self) -> &mut Opened {
        self.log.as_mut().expect("the log is open")
    }

    /// Why the log writes no more.
    pub(super) fn failure(&self) -> Option<String> {
        self.log.as_ref().and_then(|opened| opened.stepped.log().failure())
    }

    pub(super) fn is_open(&self) -> bool {
        self.log.is_some()
    }

    /// Gives the next unit to the log. Whether it was taken.
    pub(super) fn push(&mut self) -> bool {
        let number = self.pushed;
        self.model.borrow_mut().extend(number + 1);
        let script = self.model.borrow().script;
        let opened = self.opened();
        let is_taken = match script.unit(number) {
            Unit::Append((topic, partition)) => {
                let (waiter, told) = oneshot::channel();
                let log = opened.stepped.log();
                let place = (slot((topic, partition)), topic, partition);
                let taken = log.enqueue(place, &script.record(number, 0), Some(waiter));
                opened.appends.push((number, told));
                taken.is_ok()
            }
            Unit::Remind(lane) => opened.lane(lane).1.remind(script.record(number, 0)).is_ok(),
            Unit::Commit { lane, .. } => {
                let (index, owner) = opened.lane(lane);
                let committed = owner.commit(commit(script, number));
                if let Ok(committed) = &committed {
                    opened.commits.push((number, index, committed.ticket));
                }
                committed.is_ok()
            }
        };
        self.pushed += usize::from(is_taken);
        is_taken
    }

    /// Lets the log write all that it took.
    pub(super) fn write(&mut self) {
        while self.opened().stepped.write() {}
        self.listen();
    }

    /// Lets the log write the first units of what it took; the others come while it does.
    pub(super) fn write_first(&mut self, units_max: usize) {
        self.opened().stepped.write_first(units_max);
        self.listen();
    }

    /// Lets the log be idle.
    pub(super) fn idle(&mut self) {
        self.write();
        self.opened().stepped.idle();
        self.listen();
    }

    fn listen(&mut self) {
        let highest = self.opened().acknowledged();
        self.durable = self.durable.max(highest.map_or(0, |number| number + 1));
    }

    /// Closes the log; all that it took is durable then, unless it failed.
    pub(super) fn close(&mut self) {
        let Some(opened) = self.log.take() else { return };
        let log = opened.stepped.log().clone();
        opened.stepped.close();
        if log.failure().is_none() {
            self.durable = self.pushed;
        }
    }

    /// Kills the process: what was not written is gone.
    pub(super) fn kill(&mut self) {
        self.log = None;
    }
}

fn commit(script: Script, number: usize) -> Commit {
    let mut commit = Commit::default();
    for (part, (topic, partition)) in script.places(number).into_iter().enumerate() {
        let record = script.record(number, part);
        match part {
            0 => commit.steps.push(record.value),
            _ => commit.records.push(CommitRecord { topic, partition, record }),
        }
    }
    commit
}
