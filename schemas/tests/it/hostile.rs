//! Bytes that nobody of ours wrote: refused, without a panic and without allocating what they
//! claim. The whole binary runs under an allocation limit (`main.rs`).

use crate::{other_id, reader, recode, samples, with_id};
use jupan_schemas::{Codec, DecodeError, SchemaName};
use proptest::{
    collection::vec, prelude::any, prop_assert_eq, proptest, sample::Index, sample::select,
};

/// The record under the id of either path.
fn both_paths(schema: SchemaName, datum: &[u8]) -> [Vec<u8>; 2] {
    let record = [&[0; 5][..], datum].concat();
    [schema.embedded_id(), other_id(schema)].map(|id| with_id(&record, id))
}

fn is_shape(outcome: &Result<Vec<u8>, DecodeError>) -> bool {
    matches!(outcome, Err(DecodeError::Shape { .. }))
}

#[test]
fn every_prefix_is_refused() {
    let reader = reader();
    for sample in samples::all() {
        for length in 5..sample.record.len() {
            for record in both_paths(sample.schema, &sample.record[5..length]) {
                let outcome = recode(&reader, sample.schema, &record);
                assert!(is_shape(&outcome), "{} cut to {length}: {outcome:?}", sample.name);
            }
        }
        for length in 0..5 {
            let outcome = recode(&reader, sample.schema, &sample.record[..length]);
            assert_eq!(outcome, Err(DecodeError::TooShort));
        }
    }
}

#[test]
fn what_is_left_over_is_refused() {
    let reader = reader();
    for sample in samples::all() {
        let longer = [&sample.record[5..], &[0, 0]].concat();
        for record in both_paths(sample.schema, &longer) {
            let outcome = recode(&reader, sample.schema, &record);
            assert_eq!(outcome, Err(DecodeError::LeftOver { bytes: 2 }), "{}", sample.name);
        }
    }
}

#[test]
fn headers_of_others_are_refused() {
    let reader = reader();
    for sample in samples::all() {
        let foreign = [&[1], &sample.record[1..]].concat();
        let outcome = recode(&reader, sample.schema, &foreign);
        assert_eq!(outcome, Err(DecodeError::NotOurs { first: 1 }));
        for other in SchemaName::ALL.into_iter().filter(|other| *other != sample.schema) {
            for id in [other.embedded_id(), other_id(other), 0, u32::MAX] {
                let outcome = recode(&reader, sample.schema, &with_id(&sample.record, id));
                assert_eq!(outcome, Err(DecodeError::UnknownSchema { id }), "{}", sample.name);
            }
        }
    }
}

/// A zigzag varint.
fn long(number: i64) -> Vec<u8> {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
    bytes
}

/// Lengths and counts that no datum can hold.
const ABSURD: [i64; 6] = [1 << 24, 1 << 40, 1 << 62, i64::MAX, -(1 << 40), i64::MIN];

fn check_refused(what: &str, schema: SchemaName, datum: &[u8]) {
    let reader = reader();
    // What follows the claim is long enough for a reader that allocates before it reads.
    for rest in [0, 1, 4096] {
        for record in both_paths(schema, &[datum, &vec![0; rest]].concat()) {
            let outcome = recode(&reader, schema, &record);
            assert!(outcome.is_err(), "{what} with {rest} bytes behind it: {outcome:?}");
        }
    }
}

#[test]
fn absurd_claims_are_refused() {
    for claim in ABSURD {
        let claim = long(claim);
        let size = long(1 << 40);
        // userId 0, then the length of key.
        check_refused("key", SchemaName::UserCommand, &[&[0], &claim[..]].concat());
        // An empty envelope, branch PlaceOrder, then the count of items.
        let place_order = [0, 0, 0, 0, 0, 0, 0, 8];
        check_refused("items", SchemaName::UserCommand, &[&place_order, &claim[..]].concat());
        let sized = [&place_order, &claim[..], &size].concat();
        check_refused("items of a size", SchemaName::UserCommand, &sized);
        // windowFrom, windowTo, limit, then the count of positions.
        check_refused("positions", SchemaName::TopProducts, &[&[0; 3], &claim[..]].concat());
        // role, lane, number, previous, epoch, positions, no peers, no balances, then the count of entries.
        check_refused("entries", SchemaName::Step, &[&[0; 40], &claim[..]].concat());
    }
}

/// Zero bytes after a claim make valid items: only the count can refuse them.
#[test]
fn more_items_than_bytes_are_refused() {
    let claim = [&[0; 3][..], &long(1 << 20), &[0; 4096]].concat();
    for record in both_paths(SchemaName::TopProducts, &claim) {
        let outcome = recode(&reader(), SchemaName::TopProducts, &record);
        let Err(DecodeError::Shape { message }) = outcome else { panic!("{outcome:?}") };
        assert!(message.contains("more items than"), "{message}");
    }
}

#[test]
fn integers_of_more_than_64_bits_are_refused() {
    check_refused("userId", SchemaName::UserCommand, &[0xff; 11]);
    check_refused("userId below zero", SchemaName::UserCommand, &[&[1][..], &[0; 20]].concat());
}

proptest! {
    #[test]
    fn noise_never_panics(schema in select(&SchemaName::ALL[..]), datum in vec(any::<u8>(), 0..200)) {
        for record in both_paths(schema, &datum) {
            check_canonical(schema, &record)?;
        }
    }

    /// Small numbers are what lengths, branches and counts are made of: these get further in.
    #[test]
    fn small_noise_never_panics(schema in select(&SchemaName::ALL[..]), datum in vec(0u8..20, 0..300)) {
        for record in both_paths(schema, &datum) {
            check_canonical(schema, &record)?;
        }
    }

    #[test]
    fn changed_bytes_never_panic(
        sample in any::<Index>(), changes in vec((any::<Index>(), any::<u8>()), 1..4), cut in any::<Index>(),
    ) {
        let samples = samples::all();
        let sample = sample.get(&samples);
        let mut datum = sample.record[5..].to_vec();
        for (place, byte) in changes {
            let place = place.index(datum.len());
            datum[place] = byte;
        }
        datum.remove(cut.index(datum.len()));
        for record in both_paths(sample.schema, &datum) {
            check_canonical(sample.schema, &record)?;
        }
    }
}

/// What is read out of arbitrary bytes can be written, and is then read as the same.
fn check_canonical(
    schema: SchemaName,
    record: &[u8],
) -> Result<(), proptest::test_runner::TestCaseError> {
    thread_local! {
        static READER: Codec = reader();
    }
    if let Ok(written) = READER.with(|reader| recode(reader, schema, record)) {
        let again = recode(&Codec::embedded(), schema, &written);
        prop_assert_eq!(again, Ok(written));
    }
    Ok(())
}
