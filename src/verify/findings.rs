//! What a check has to say: which invariant does not hold, where, and what was expected there.

use jupan_schemas::{Lane, OrderId, TopicId, UserId, rows::Key};
use serde::Serialize;
use std::fmt;

/// So many findings of one invariant are kept word for word; the others are only counted.
pub(super) const FINDINGS_KEPT_MAX: usize = 10;

/// A value in a finding is cut after so many characters: an order may have hundreds of lines.
const VALUE_CHARS_MAX: usize = 400;

/// What is proved, under the numbers that the documentation gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Invariant {
    /// The carrier itself: segments, frames, offsets.
    Log,
    /// 1: double entry in money.
    Money,
    /// 2: double entry in units.
    Stock,
    /// 3: no wallet below zero.
    Wallets,
    /// 4: one outcome for one command.
    Outcomes,
    /// 5: what came in was decided, exactly once, and a refusal changes nothing.
    Inputs,
    /// 6: the journal and the messages.
    Journal,
    /// 7: the store's rows.
    Rows,
    /// 8: orders, their holds and their money.
    Orders,
    /// 9: what was told can be read.
    Reads,
    /// 10: sales and the best sellers.
    TopSellers,
    /// 11: carts.
    Carts,
}

impl Invariant {
    /// All of them, in the order of the report.
    pub(crate) const ALL: [Self; 12] = [
        Self::Log,
        Self::Money,
        Self::Stock,
        Self::Wallets,
        Self::Outcomes,
        Self::Inputs,
        Self::Journal,
        Self::Rows,
        Self::Orders,
        Self::Reads,
        Self::TopSellers,
        Self::Carts,
    ];

    /// Its number, where it has one.
    pub(crate) fn number(self) -> Option<u8> {
        match self {
            Self::Log => None,
            Self::Money => Some(1),
            Self::Stock => Some(2),
            Self::Wallets => Some(3),
            Self::Outcomes => Some(4),
            Self::Inputs => Some(5),
            Self::Journal => Some(6),
            Self::Rows => Some(7),
            Self::Orders => Some(8),
            Self::Reads => Some(9),
            Self::TopSellers => Some(10),
            Self::Carts => Some(11),
        }
    }

    /// What holds, in one line.
    pub(crate) fn statement(self) -> &'static str {
        match self {
            Self::Log => "segments, frames and offsets are whole and dense",
            Self::Money => "postings sum to zero; balances = charges + refunds - payments",
            Self::Stock => "supply = available + reserved + sold; none negative, ever",
            Self::Wallets => "no wallet below zero",
            Self::Outcomes => "one stored outcome per command id, repeatable",
            Self::Inputs => "every input was decided once; what was refused has no effect",
            Self::Journal => "journal dense and chained, messages dense; state = fold(journal)",
            Self::Rows => "each row of the store is the fold at its own sequence, in one lane",
            Self::Reads => "what the store says it has, outcomes and their rows, is in it",
            Self::Orders => {
                "holds belong to pending orders; what is paid is sold, what is paid back is back"
            }
            Self::TopSellers => "sales, order events and best sellers are what the journal says",
            Self::Carts => {
                "a cart is what was put in, less what was taken out, or went into orders"
            }
        }
    }
}

/// A record's topic, partition and offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordRef {
    /// Which topic.
    pub(crate) topic: TopicId,
    /// Which partition.
    pub(crate) partition: u16,
    /// Its offset there.
    pub(crate) offset: u64,
}

impl fmt::Display for RecordRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.topic.name(), self.partition, self.offset)
    }
}

/// What of the store a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum RowName {
    /// A row that is loaded by its key.
    Key(Key),
    /// The change of a wallet that an entry made.
    Statement(UserId, u64),
    /// A user's list of orders, at the entry that placed one.
    Listed(UserId, u64),
    /// The pending orders of a user lane.
    Open(u16, OrderId),
    /// How far a lane says it is.
    Watermark,
}

impl fmt::Display for RowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(Key::User(id)) => write!(f, "user {id}"),
            Self::Key(Key::Product(id)) => write!(f, "product {id}"),
            Self::Key(Key::Order(id)) => write!(f, "order {id}"),
            Self::Key(Key::Outcome(id)) => write!(f, "outcome of command {id}"),
            Self::Key(Key::Hold(id, lane)) => write!(f, "hold of order {id} in products/{lane}"),
            Self::Statement(user, sequence) => write!(f, "change {sequence} of wallet {user}"),
            Self::Listed(user, placed) => write!(f, "order {placed} in the list of user {user}"),
            Self::Open(lane, id) => write!(f, "order {id} among the pending of users/{lane}"),
            Self::Watermark => write!(f, "watermark"),
        }
    }
}

/// Where in the log or the store something was found; what does not apply is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// What of the store.
    pub(crate) row: Option<RowName>,
    /// First position of the segment: its file's name.
    pub(crate) segment: Option<u64>,
    /// Position of the frame.
    pub(crate) position: Option<u64>,
    /// The record.
    pub(crate) record: Option<RecordRef>,
    /// Whose journal.
    pub(crate) lane: Option<Lane>,
    /// Number of the step.
    pub(crate) step: Option<u64>,
    /// Sequence of the entry.
    pub(crate) sequence: Option<u64>,
}

/// The name of the segment file that starts at this position.
pub(crate) fn segment_name(first: u64) -> String {
    format!("{first:020}.seg")
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.row.map(|row| row.to_string()),
            self.lane.map(|lane| lane.to_string()),
            self.step.map(|number| format!("step {number}")),
            self.sequence.map(|sequence| format!("entry {sequence}")),
            self.record.map(|record| record.to_string()),
            self.segment.map(segment_name),
            self.position.map(|position| format!("position {position}")),
        ];
        let known: Vec<String> = parts.into_iter().flatten().collect();
        if known.is_empty() { f.write_str("at rest") } else { f.write_str(&known.join(", ")) }
    }
}

/// One divergence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What does not hold.
    pub(crate) invariant: Invariant,
    /// Where.
    pub(crate) place: Place,
    /// What the finding is about.
    pub(crate) about: String,
    /// What should stand there.
    pub(crate) expected: String,
    /// What stands there.
    pub(crate) found: String,
}

/// The finding as the report carries it.
#[derive(Serialize)]
struct Shown<'a> {
    about: &'a str,
    expected: &'a str,
    found: &'a str,
    row: Option<String>,
    lane: Option<String>,
    step: Option<u64>,
    entry: Option<u64>,
    record: Option<String>,
    segment: Option<String>,
    position: Option<u64>,
}

impl Serialize for Finding {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = Shown {
            about: &self.about,
            expected: &self.expected,
            found: &self.found,
            row: self.place.row.map(|row| row.to_string()),
            lane: self.place.lane.map(|lane| lane.to_string()),
            step: self.place.step,
            entry: self.place.sequence,
            record: self.place.record.map(|record| record.to_string()),
            segment: self.place.segment.map(segment_name),
            position: self.place.position,
        };
        shown.serialize(serializer)
    }
}

/// All that was found: the first few of each invariant, and how many there are.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    kept: Vec<Finding>,
    counts: [u64; Invariant::ALL.len()],
}

impl Findings {
    /// How many findings an invariant has.
    pub(crate) fn count(&self, invariant: Invariant) -> u64 {
        self.counts[invariant as usize]
    }

    /// Whether everything holds.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    /// The first findings of an invariant, in the order of the log.
    pub(crate) fn of(&self, invariant: Invariant) -> impl Iterator<Item = &Finding> {
        self.kept.iter().filter(move |finding| finding.invariant == invariant)
    }

    /// Takes over the kept findings of another collection that are wanted.
    pub(super) fn extend(&mut self, other: Self, wanted: impl Fn(&Finding) -> bool) {
        for finding in other.kept.into_iter().filter(wanted) {
            let invariant = finding.invariant;
            self.add(|| finding, invariant);
        }
    }

    /// Notes findings that are not told.
    pub(super) fn add_untold(&mut self, count: u64, invariant: Invariant) {
        let all = &mut self.counts[invariant as usize];
        *all = all.saturating_add(count);
    }

    /// Notes a divergence.
    pub(super) fn add(&mut self, finding: impl FnOnce() -> Finding, invariant: Invariant) {
        let count = &mut self.counts[invariant as usize];
        *count = count.saturating_add(1);
        if usize::try_from(*count).is_ok_and(|count| count <= FINDINGS_KEPT_MAX) {
            self.kept.push(finding());
        }
    }
}

/// Where a check writes down what it found: the findings, and the place that is being looked at.
pub(super) struct Desk<'a> {
    pub(super) findings: &'a mut Findings,
    pub(super) place: Place,
}

impl Desk<'_> {
    /// Notes a divergence at this place.
    pub(super) fn fault(
        &mut self,
        invariant: Invariant,
        about: impl fmt::Display,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) {
        let place = self.place;
        let finding = || Finding {
            invariant,
            place,
            about: about.to_string(),
            expected: shortened(&expected),
            found: shortened(&found),
        };
        self.findings.add(finding, invariant);
    }

    /// Notes a divergence unless both are equal; says whether they are.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "values made on the spot are what is compared"
    )]
    pub(super) fn same<T: PartialEq + fmt::Debug>(
        &mut self,
        invariant: Invariant,
        about: impl fmt::Display,
        expected: T,
        found: T,
    ) -> bool {
        let equal = expected == found;
        if !equal {
            self.fault(invariant, about, format_args!("{expected:?}"), format_args!("{found:?}"));
        }
        equal
    }

    /// Notes a divergence unless the rule holds; says whether it does.
    pub(super) fn rule(
        &mut self,
        invariant: Invariant,
        about: impl fmt::Display,
        holds: bool,
        expected: &str,
        found: impl fmt::Display,
    ) -> bool {
        if !holds {
            self.fault(invariant, about, expected, found);
        }
        holds
    }
}

pub(super) fn shortened(value: &dyn fmt::Display) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
