//! Letters and marks, as the log has them.

use super::{Filter, desk::Desk};
use jupan_log::{Header, LogRecord, NewRecord};
use jupan_schemas::{Micros, TopicId, dead_letters as names};
use std::collections::BTreeMap;

/// A record that no lane could use, and what is known of it. What a header should say and does not
/// is empty: a letter is told whatever it is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    /// Which one it is: its offset among the dead letters.
    pub(super) number: u64,
    /// When it became one.
    pub(super) at: Micros,
    /// The refusal.
    pub(super) code: String,
    /// For people.
    pub(super) cause: String,
    /// Topic, partition and offset where it was read.
    pub(super) origin: Origin,
    /// How often it was sent again by then.
    pub(super) redrives: u32,
    /// The record's key.
    pub(super) key: Vec<u8>,
    /// The record's value.
    pub(super) value: Vec<u8>,
}

/// A place in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) topic: String,
    pub(super) partition: String,
    pub(super) offset: String,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}@{}", self.topic, self.partition, self.offset)
    }
}

/// What was done with a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// When.
    pub(super) at: Micros,
    /// By whom.
    pub(super) actor: String,
    /// What.
    pub(super) done: Done,
}

/// What can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// The record was sent again, to there.
    Redriven(Origin),
    /// Nobody wants it; why, if that was said.
    Discarded(Option<String>),
    /// What this version does not know.
    Other(String),
}

/// A header's value as text.
fn text(headers: &[Header], name: &str) -> Option<String> {
    let (_, value) = headers.iter().find(|(found, _)| found == name)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

fn origin(headers: &[Header]) -> Origin {
    let part = |name| text(headers, name).unwrap_or_default();
    Origin {
        topic: part(names::TOPIC),
        partition: part(names::PARTITION),
        offset: part(names::OFFSET),
    }
}

impl From<LogRecord> for Letter {
    fn from(record: LogRecord) -> Self {
        let headers = &record.headers;
        Self {
            number: record.offset,
            at: record.at,
            code: text(headers, names::CODE).unwrap_or_default(),
            cause: text(headers, names::CAUSE).unwrap_or_default(),
            origin: origin(headers),
            redrives: text(headers, names::REDRIVES).and_then(|n| n.parse().ok()).unwrap_or(0),
            key: record.key.to_vec(),
            value: record.value.to_vec(),
        }
    }
}

impl Mark {
    fn of(record: &LogRecord) -> Self {
        let action = text(&record.headers, names::ACTION).unwrap_or_default();
        let done = match action.as_str() {
            names::REDRIVEN => Done::Redriven(origin(&record.headers)),
            names::DISCARDED => Done::Discarded(text(&record.headers, names::REASON)),
            _ => Done::Other(action),
        };
        let actor = text(&record.headers, names::ACTOR).unwrap_or_default();
        Self { at: record.at, actor, done }
    }
}

/// The mark's record. The log says when.
pub(super) fn mark(number: u64, actor: &str, done: &Done) -> NewRecord {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned().into());
    let mut headers = vec![header(names::ACTOR, actor)];
    match done {
        Done::Redriven(to) => headers.extend([
            header(names::ACTION, names::REDRIVEN),
            header(names::TOPIC, &to.topic),
            header(names::PARTITION, &to.partition),
            header(names::OFFSET, &to.offset),
        ]),
        Done::Discarded(reason) => {
            headers.push(header(names::ACTION, names::DISCARDED));
            headers.extend(reason.as_ref().map(|reason| header(names::REASON, reason)));
        }
        Done::Other(action) => headers.push(header(names::ACTION, action)),
    }
    NewRecord { headers, ..NewRecord::new(number.to_string(), Vec::new()) }
}

/// What was done with which letter: the last mark of each counts.
///
/// # Errors
/// Where the log cannot be read.
pub(super) fn marks(desk: &Desk) -> anyhow::Result<BTreeMap<u64, Mark>> {
    let mut marks = BTreeMap::new();
    desk.each(TopicId::DeadLetterMarks, 0, &mut |record| {
        let number = std::str::from_utf8(&record.key).ok().and_then(|key| key.parse().ok());
        if let Some(number) = number {
            marks.insert(number, Mark::of(&record));
        }
        Ok(true)
    })?;
    Ok(marks)
}

impl Filter {
    /// Whether it lets a letter through.
    pub(super) fn lets(&self, letter: &Letter) -> bool {
        let fits = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(found))
        };
        fits(&self.code, &letter.code) && fits(&self.topic, &letter.origin.topic)
    }
}
