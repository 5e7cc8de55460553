//! What the headers of dead letters, and of the marks on them, are called.
//!
//! A letter's key and value are those of the record that could not be used, byte for byte; what is
//! known about it stands in headers, as text. A mark has the letter's offset for its key, no value,
//! and headers too. Both only ever get new headers: readers pass over what they don't know.

/// Letter: the refusal, by the name of its code.
pub const CODE: &str = "code";
/// Letter: the cause, for people.
pub const CAUSE: &str = "cause";
/// Letter: the topic where the record was read, without the prefix. Mark: where it was sent again.
pub const TOPIC: &str = "topic";
/// Letter: the partition there. Mark: likewise.
pub const PARTITION: &str = "partition";
/// Letter: the record's offset there. Mark: likewise.
pub const OFFSET: &str = "offset";
/// Letter, and a record that was sent again: how often it was by then. Absent: never.
pub const REDRIVES: &str = "redrives";
/// Mark: what was done, [`REDRIVEN`] or [`DISCARDED`].
pub const ACTION: &str = "action";
/// Mark: who did it.
pub const ACTOR: &str = "actor";
/// Mark: why, if that was said.
pub const REASON: &str = "reason";

/// The record was sent again, to where it belongs.
pub const REDRIVEN: &str = "redriven";
/// Nobody wants it any more.
pub const DISCARDED: &str = "discarded";

/// All headers of a letter that are this project's.
pub const LETTER: [&str; 6] = [CODE, CAUSE, TOPIC, PARTITION, OFFSET, REDRIVES];
/// All headers of a mark.
pub const MARK: [&str; 6] = [ACTION, ACTOR, TOPIC, PARTITION, OFFSET, REASON];
