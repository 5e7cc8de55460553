//! What a comparison of the store found. Rows come in no order of the journal, so the first
//! findings by time are kept, not the first ones that were met.

use super::super::findings::{
    FINDINGS_KEPT_MAX, Finding, Findings, Invariant, Place, RowName, shortened,
};
use jupan_schemas::{Lane, rows::Row};
use std::{collections::BTreeMap, fmt};

/// Where a fault of the store belongs in the journal.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) row: RowName,
    pub(super) lane: Lane,
    /// Of the entry that made the row what it is, or should be.
    pub(super) sequence: u64,
    /// That entry's stamp, as the row says.
    pub(super) stamp: i64,
}

/// The first faults of each kind, and how many there are.
#[derive(Default)]
pub(super) struct Faults {
    kept: BTreeMap<(Invariant, i64, u64), Finding>,
    counts: BTreeMap<Invariant, u64>,
}

impl Faults {
    /// Notes a fault at an entry.
    pub(super) fn at(
        &mut self,
        invariant: Invariant,
        at: At,
        about: &str,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) {
        let place = Place {
            row: Some(at.row),
            lane: Some(at.lane),
            sequence: Some(at.sequence),
            ..Place::default()
        };
        self.add(invariant, at.stamp, place, about, &expected, &found);
    }

    /// Notes that something is not there.
    pub(super) fn missing(&mut self, at: At) {
        let expected = format_args!("one as of entry {}", at.sequence);
        self.at(Invariant::Reads, at, "row", expected, "none");
    }

    /// Notes a fault that names no entry.
    pub(super) fn anywhere(
        &mut self,
        invariant: Invariant,
        place: Place,
        about: &str,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) {
        self.add(invariant, i64::MIN, place, about, &expected, &found);
    }

    fn add(
        &mut self,
        invariant: Invariant,
        stamp: i64,
        place: Place,
        about: &str,
        expected: &dyn fmt::Display,
        found: &dyn fmt::Display,
    ) {
        let count = self.counts.entry(invariant).or_default();
        *count += 1;
        let key = (invariant, stamp, *count);
        let (expected, found) = (shortened(expected), shortened(found));
        self.kept
            .insert(key, Finding { invariant, place, about: about.to_owned(), expected, found });
        let first = (invariant, i64::MIN, 0)..=(invariant, i64::MAX, u64::MAX);
        if self.kept.range(first.clone()).nth(FINDINGS_KEPT_MAX).is_some()
            && let Some((last, _)) = self.kept.range(first).next_back()
        {
            let last = *last;
            self.kept.remove(&last);
        }
    }

    /// The places that are kept, to be completed.
    pub(super) fn places(&mut self) -> impl Iterator<Item = &mut Place> {
        self.kept.values_mut().map(|finding| &mut finding.place)
    }

    /// Hands everything over.
    pub(super) fn report(self, findings: &mut Findings) {
        let mut told = BTreeMap::<Invariant, u64>::new();
        for ((invariant, ..), finding) in self.kept {
            *told.entry(invariant).or_default() += 1;
            findings.add(|| finding, invariant);
        }
        for (invariant, count) in self.counts {
            let untold = count - told.get(&invariant).copied().unwrap_or(0);
            findings.add_untold(untold, invariant);
        }
    }
}

/// In which fields two rows of one kind differ, and what stands there.
pub(super) fn difference(expected: &Row, found: &Row) -> (String, String, String) {
    let fields = |row: &Row| match serde_json::to_value(row) {
        Ok(serde_json::Value::Object(tagged)) => match tagged.into_iter().next() {
            Some((_, serde_json::Value::Object(fields))) => fields,
            _ => serde_json::Map::new(),
        },
        _ => serde_json::Map::new(),
    };
    let (expected, found) = (fields(expected), fields(found));
    let differs = |name: &&String| expected.get(*name) != found.get(*name);
    let names: Vec<&String> = expected.keys().filter(differs).collect();
    let told = |fields: &serde_json::Map<String, serde_json::Value>| {
        let values = names.iter().map(|name| fields.get(*name).cloned().unwrap_or_default());
        let values: Vec<String> = values.map(|value| value.to_string()).collect();
        values.join(", ")
    };
    let about: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    (about.join(", "), told(&expected), told(&found))
}
