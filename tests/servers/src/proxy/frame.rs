//! As much of Kafka's requests as a rule asks about: the header, and the first fields of those that
//! make up a transaction.

/// A part of a transaction: one request of its producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Records for one partition.
    Produce,
    /// Names partitions that the transaction writes to.
    AddPartitions,
    /// Names a group whose positions the transaction moves.
    AddOffsets,
    /// The group's positions.
    SendOffsets,
    /// Its end, well.
    Commit,
    /// Its end, as if it had not been.
    Abort,
}

/// A request that belongs to a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) step: Step,
    pub(super) correlation_id: i32,
    pub(super) transactional_id: String,
}

/// The API's number, the first version that has the transactional id as its first field, the first
/// version with compact strings and a header with tags, and the last version that we know.
type Api = (i16, i16, i16, i16);

const PRODUCE: Api = (0, 3, 9, 13);
// From version 4 on a request is for several transactions: brokers ask each other so.
const ADD_PARTITIONS: Api = (24, 0, 3, 3);
const ADD_OFFSETS: Api = (25, 0, 3, 4);
const END: Api = (26, 0, 3, 5);
const SEND_OFFSETS: Api = (28, 0, 3, 5);
const APIS: [Api; 5] = [PRODUCE, ADD_PARTITIONS, ADD_OFFSETS, END, SEND_OFFSETS];

/// Reads a request without its length; `None` for one that belongs to no transaction.
pub(super) fn request(frame: &[u8]) -> Option<Request> {
    let mut fields = Fields(frame);
    let (key, version) = (fields.i16()?, fields.i16()?);
    let correlation_id = fields.i32()?;
    let api = APIS.into_iter().find(|api| api.0 == key)?;
    let (_, first, first_compact, last) = api;
    if version < first || version > last {
        return None;
    }
    // The client's name has the old form in every version.
    fields.text()?;
    let transactional_id = if version >= first_compact {
        fields.tags()?;
        fields.compact_text()?
    } else {
        fields.text()?
    };
    let step = match api {
        PRODUCE => Step::Produce,
        ADD_PARTITIONS => Step::AddPartitions,
        ADD_OFFSETS => Step::AddOffsets,
        SEND_OFFSETS => Step::SendOffsets,
        _ => {
            // The producer's id and its epoch stand before the word how it ends.
            fields.take(8 + 2)?;
            if fields.take(1)? == [0] { Step::Abort } else { Step::Commit }
        }
    };
    // A record outside of any transaction has no id, either.
    Some(Request { step, correlation_id, transactional_id: transactional_id? })
}

/// Which request a response without its length is for.
pub(super) fn correlation_id(frame: &[u8]) -> Option<i32> {
    Fields(frame).i32()
}

/// The error code in a response to [`Step::Commit`] or [`Step::Abort`] in a version before the
/// header had tags; 0 is none.
pub(super) fn end_code(frame: &[u8]) -> Option<i16> {
    let mut fields = Fields(frame);
    // The correlation id, and how long the broker wants to be left alone.
    fields.take(4 + 4)?;
    fields.i16()
}

/// What is left to read. Every field is `None` where the bytes end early.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn i16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn i32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// A text, or the absence of one.
    fn text(&mut self) -> Option<Option<String>> {
        match usize::try_from(self.i16()?) {
            Ok(length) => self.utf8(length).map(Some),
            Err(_) => Some(None),
        }
    }

    fn compact_text(&mut self) -> Option<Option<String>> {
        match self.varint()? {
            0 => Some(None),
            length => self.utf8(length - 1).map(Some),
        }
    }

    fn utf8(&mut self, length: usize) -> Option<String> {
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    fn tags(&mut self) -> Option<()> {
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = self.varint()?;
            self.take(length)?;
        }
        Some(())
    }

    fn varint(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in (0..32).step_by(7) {
            let byte = self.take(1)?[0];
            value |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header for a client that is called `c`.
    fn header(key: u8, version: u8) -> Vec<u8> {
        vec![0, key, 0, version, 0, 0, 1, 2, 0, 1, b'c']
    }

    fn frame(key: u8, version: u8, body: &[&[u8]]) -> Vec<u8> {
        [header(key, version), body.concat()].concat()
    }

    const OLD: &[u8] = &[0, 2, b'm', b'e'];
    const NO_TAGS: &[u8] = &[0];
    const TAGS: &[u8] = &[2, 0, 1, 9, 200, 1, 2, 9, 9];
    const COMPACT: &[u8] = &[3, b'm', b'e'];
    const PRODUCER: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 7, 0, 3];

    #[test]
    fn requests_of_transactions_are_known_in_every_version() {
        let rows: [(Vec<u8>, Step); 11] = [
            (frame(0, 3, &[OLD, b"more"]), Step::Produce),
            (frame(0, 8, &[OLD]), Step::Produce),
            (frame(0, 9, &[NO_TAGS, COMPACT, b"more"]), Step::Produce),
            (frame(0, 10, &[TAGS, COMPACT]), Step::Produce),
            (frame(24, 0, &[OLD, PRODUCER]), Step::AddPartitions),
            (frame(25, 0, &[OLD, PRODUCER]), Step::AddOffsets),
            (frame(28, 3, &[NO_TAGS, COMPACT]), Step::SendOffsets),
            (frame(26, 0, &[OLD, PRODUCER, &[1]]), Step::Commit),
            (frame(26, 1, &[OLD, PRODUCER, &[0]]), Step::Abort),
            (frame(26, 3, &[NO_TAGS, COMPACT, PRODUCER, &[1, 0]]), Step::Commit),
            (frame(26, 5, &[TAGS, COMPACT, PRODUCER, &[0, 0]]), Step::Abort),
        ];
        for (frame, step) in rows {
            let transactional_id = "me".to_owned();
            let expected = Request { step, correlation_id: 0x102, transactional_id };
            assert_eq!(request(&frame), Some(expected), "{frame:?}");
        }
    }

    #[test]
    fn a_client_without_a_name_is_known_too() {
        let nameless = [&[0, 26, 0, 1, 0, 0, 1, 2, 255, 255][..], OLD, PRODUCER, &[1]].concat();
        assert_eq!(request(&nameless).map(|request| request.step), Some(Step::Commit));
    }

    #[test]
    fn everything_else_belongs_to_no_transaction() {
        let rows: [(&str, Vec<u8>); 9] = [
            ("a fetch", frame(1, 11, &[OLD])),
            ("a record outside of transactions", frame(0, 8, &[&[255, 255], b"more"])),
            ("the same, compact", frame(0, 9, &[NO_TAGS, &[0], b"more"])),
            ("too old", frame(0, 2, &[OLD])),
            ("newer than we know", frame(26, 6, &[NO_TAGS, COMPACT, PRODUCER, &[1]])),
            ("of several transactions", frame(24, 4, &[NO_TAGS, &[2], COMPACT])),
            ("cut short", frame(26, 1, &[OLD, PRODUCER])),
            ("a text that ends early", frame(26, 1, &[&[0, 9, b'm']])),
            ("a number without an end", frame(26, 3, &[&[255; 9]])),
        ];
        for (what, frame) in rows {
            assert_eq!(request(&frame), None, "{what}");
        }
        for length in 0..11 {
            assert_eq!(request(&header(26, 1)[..length]), None, "{length} bytes of a header");
        }
    }

    #[test]
    fn a_response_says_for_what_it_is_and_how_it_ended() {
        let response = [0, 0, 1, 2, 0, 0, 0, 0, 0, 47];
        assert_eq!((correlation_id(&response), end_code(&response)), (Some(0x102), Some(47)));
        assert_eq!((correlation_id(&response[..3]), end_code(&response[..9])), (None, None));
    }
}
