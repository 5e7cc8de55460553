//! What a run found, and how a campaign went.

use jupan_schemas::{Code, Lane};
use std::{collections::BTreeMap, fmt};

/// What must hold in every run, numbered as `jupan verify` numbers it; 12 and on are the simulator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Postings sum to zero, balances are what the postings add up to.
    Postings = 1,
    /// Supply is available + reserved + sold; none is negative.
    Stock = 2,
    /// No wallet is below zero.
    Wallets = 3,
    /// One outcome a command, repeatable, the same for all who are told.
    Outcomes = 4,
    /// What was acknowledged is decided exactly once, as it must be; what was refused has no effect.
    Acknowledged = 5,
    /// Journals are dense and chained, epochs and message numbers rise, memory is their fold.
    Journal = 6,
    /// Rows are the fold of a prefix; at rest of everything.
    Rows = 7,
    /// Every hold has its order, and its end.
    Holds = 8,
    /// Who saw an outcome reads it.
    Reads = 9,
    /// What is told about orders and sales, and what sells best, is what happened.
    Feeds = 10,
    /// A cart is what was put in, less what was taken out or went into orders.
    Carts = 11,
    /// Lanes come to rest.
    Rest = 12,
    /// No lane stops but for a reason from outside.
    Stops = 13,
    /// The same seed does the same.
    Repeatable = 14,
}

impl Invariant {
    /// Its number.
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// In which lane, where it is one's.
    pub lane: Option<Lane>,
    /// At which entry of its journal.
    pub sequence: Option<u64>,
    /// What is, and what had to be.
    pub what: String,
}

impl Violation {
    pub(crate) fn new(invariant: Invariant, what: impl Into<String>) -> Self {
        Self { invariant, lane: None, sequence: None, what: what.into() }
    }

    pub(crate) fn of(mut self, lane: Lane) -> Self {
        self.lane.get_or_insert(lane);
        self
    }

    pub(crate) fn at(mut self, sequence: u64) -> Self {
        self.sequence.get_or_insert(sequence);
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {} ({:?})", self.invariant.number(), self.invariant)?;
        if let Some(lane) = self.lane {
            write!(f, ", lane {lane}")?;
        }
        if let Some(sequence) = self.sequence {
            write!(f, ", entry {sequence}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// One seed's run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Which seed.
    pub seed: u64,
    /// Of everything that happened: inputs, journals, feeds, outcomes, rows.
    pub hash: [u8; 32],
    /// Commands appended or tried.
    pub commands: u64,
    /// Entries journaled.
    pub entries: u64,
    /// How often each fault was made to happen.
    pub faults: BTreeMap<String, u64>,
    /// How often each code was decided: what the run reached.
    pub codes: BTreeMap<Code, u64>,
    /// The first thing found.
    pub violation: Option<Violation>,
}

/// Many seeds' runs.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Seeds run.
    pub seeds: u64,
    /// Of them run twice.
    pub repeated: u64,
    /// Of all that happened in them, whatever the order in which they were run.
    pub hash: [u8; 32],
    /// Commands over all seeds.
    pub commands: u64,
    /// Entries over all seeds.
    pub entries: u64,
    /// How often each fault was made to happen, over all seeds.
    pub faults: BTreeMap<String, u64>,
    /// How often each code was decided, over all seeds.
    pub codes: BTreeMap<Code, u64>,
    /// Seeds with what was found in them, lowest seed first; at most [`VIOLATIONS_MAX`].
    pub violations: Vec<(u64, Violation)>,
}

/// Most violations that a campaign goes on after.
pub const VIOLATIONS_MAX: usize = 20;

impl Summary {
    pub(crate) fn add(&mut self, run: Run) {
        self.seeds += 1;
        let fold = |(whole, part): (&mut u8, u8)| *whole ^= part;
        self.hash.iter_mut().zip(run.hash).for_each(fold);
        self.commands += run.commands;
        self.entries += run.entries;
        for (fault, count) in run.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        for (code, count) in run.codes {
            *self.codes.entry(code).or_default() += count;
        }
        if let Some(violation) = run.violation {
            self.violations.push((run.seed, violation));
            self.violations.sort_by_key(|(seed, _)| *seed);
            self.violations.truncate(VIOLATIONS_MAX);
        }
    }
}
