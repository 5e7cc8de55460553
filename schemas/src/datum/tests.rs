use super::*;
use proptest::{prelude::any, prop_assert_eq, proptest};
use serde::de::DeserializeOwned;
use std::{collections::BTreeMap, fmt::Debug};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Pair {
    first: bool,
    second: u16,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Either {
    Number(i64),
    Text(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Symbol {
    First,
    Second,
}

fn written<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    write(value, &mut out).map(|()| out)
}

/// A value and its datum, in both directions.
fn check<T: Serialize + DeserializeOwned + Debug + PartialEq>(value: &T, datum: &[u8]) {
    assert_eq!(written(value).as_deref(), Ok(datum), "{value:?}");
    let followed = [datum, &[0xee]].concat();
    let (read, left) = read::<T>(&followed).unwrap_or_else(|error| panic!("{value:?}: {error}"));
    assert_eq!((&read, left), (value, &[0xee][..]));
    for length in 0..datum.len() {
        let error = read_error::<T>(&datum[..length]);
        let is_cut = error.contains("ends early") || error.contains("more items than");
        assert!(is_cut, "{value:?} cut to {length}: {error}");
    }
}

fn read_error<T: DeserializeOwned + Debug>(datum: &[u8]) -> String {
    match read::<T>(datum) {
        Ok((value, _)) => panic!("{datum:?} is read as {value:?}"),
        Err(error) => error.to_string(),
    }
}

fn check_unreadable<T: DeserializeOwned + Debug>(datum: &[u8], why: &str) {
    let error = read_error::<T>(datum);
    assert!(error.contains(why), "{datum:?}: {error}");
}

fn check_unwritable<T: Serialize + Debug>(value: &T, why: &str) {
    let error = written(value).map_err(|error| error.to_string());
    assert!(error.as_ref().is_err_and(|error| error.contains(why)), "{value:?}: {error:?}");
}

const NO_USE: &str = "no use for";

#[test]
fn every_type_has_its_bytes() {
    check(&false, &[0]);
    check(&true, &[1]);
    check(&0i64, &[0]);
    check(&-1i64, &[1]);
    check(&63i64, &[0x7e]);
    check(&-64i64, &[0x7f]);
    check(&64i64, &[0x80, 1]);
    check(&i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    check(&i64::MIN, &[0xff; 9].into_iter().chain([1]).collect::<Vec<u8>>());
    check(&(i64::MAX.cast_unsigned()), &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    check(&i32::MAX.cast_unsigned(), &[0xfe, 0xff, 0xff, 0xff, 0xf]);
    check(&u16::MAX, &[0xfe, 0xff, 7]);
    check(&"주판".to_owned(), "\x0c주판".as_bytes());
    check(&String::new(), &[0]);
    check(&[7u8, 0, 9], &[7, 0, 9]);
    check(&None::<i64>, &[0]);
    check(&Some(5i64), &[2, 10]);
    check(&Symbol::First, &[0]);
    check(&Symbol::Second, &[2]);
    check(&Either::Number(5), &[0, 10]);
    check(&Either::Text("x".into()), &[2, 2, b'x']);
    check(&Vec::<i64>::new(), &[0]);
    check(&vec![1i64, -1], &[4, 2, 1, 0]);
    check(&Pair { first: true, second: 3 }, &[1, 6]);
}

proptest! {
    #[test]
    fn every_integer_comes_back(number in any::<i64>(), shift in 0..64u32) {
        let number = number >> shift;
        let datum = written(&number).expect("is a long");
        prop_assert_eq!(read::<i64>(&datum), Ok((number, &[][..])));
    }
}

#[test]
fn numbers_that_a_type_cannot_hold_are_refused() {
    for negative in [&[1][..], &[0xff; 9].into_iter().chain([1]).collect::<Vec<u8>>()] {
        check_unreadable::<u64>(negative, "expected u64");
        check_unreadable::<u16>(negative, "expected u16");
    }
    check_unreadable::<u32>(&[1], "expected u32");
    check_unreadable::<u16>(&[0x80, 0x80, 8], "expected u16");
    check_unreadable::<i8>(&[0x80, 2], "expected i8");
    check_unreadable::<u32>(&[0x80, 0x80, 0x80, 0x80, 0x10], "more than 32 bits");
    check_unreadable::<i64>(&[0xff; 10], "more than 64 bits");
    check_unreadable::<i64>(&[0x80; 11], "more than 64 bits");
    check_unreadable::<i64>(&[0x80; 9], "ends early");
    check_unwritable(&u64::MAX, "above 2^63 - 1");
    check_unwritable(&(1u64 << 63), "above 2^63 - 1");
    check_unwritable(&(1u32 << 31), "above 2^31 - 1");
}

#[test]
fn what_is_no_value_of_the_type_is_refused() {
    check_unreadable::<bool>(&[2], "neither 0 nor 1");
    check_unreadable::<String>(&[2, 0xff], "not UTF-8");
    check_unreadable::<String>(&[1], "negative");
    check_unreadable::<Option<i64>>(&[4, 0], "no such branch");
    check_unreadable::<Option<i64>>(&[1], "no such branch");
    check_unreadable::<Symbol>(&[4], "variant index 0 <= i < 2");
    check_unreadable::<Symbol>(&[1], "no such symbol");
    check_unreadable::<Either>(&[4], "variant index 0 <= i < 2");
}

#[test]
fn arrays_come_in_blocks() {
    let read = |datum| read::<Vec<i64>>(datum).map_err(|error| error.to_string());
    assert_eq!(read(&[2, 2, 4, 4, 6, 0]), Ok((vec![1, 2, 3], &[][..])));
    assert_eq!(read(&[3, 4, 2, 4, 2, 6, 0]), Ok((vec![1, 2, 3], &[][..])), "with a size");
    check_unreadable::<Vec<i64>>(&[4, 2], "more items than");
    check_unreadable::<Vec<i64>>(&[1 << 5 | 1, 0, 0], "more items than");
    let most = [&[0xff; 9][..], &[1, 0]].concat();
    check_unreadable::<Vec<i64>>(&most, "more items than");
}

#[test]
fn what_the_contract_does_not_have_is_refused() {
    check_unwritable(&0.5f32, NO_USE);
    check_unwritable(&0.5f64, NO_USE);
    check_unwritable(&'x', NO_USE);
    check_unwritable(&7u8, NO_USE);
    check_unwritable(&(), NO_USE);
    check_unwritable(&(1i64, 2i64), NO_USE);
    check_unwritable(&BTreeMap::from([(1, 2)]), NO_USE);
    check_unreadable::<f64>(&[0; 8], NO_USE);
    check_unreadable::<char>(&[0; 8], NO_USE);
    check_unreadable::<u8>(&[0; 8], NO_USE);
    check_unreadable::<()>(&[0; 8], NO_USE);
    check_unreadable::<BTreeMap<i64, i64>>(&[0; 8], NO_USE);
    check_unreadable::<serde_json::Value>(&[0; 8], NO_USE);
}

/// A field that is left out would shift all that follow.
#[test]
fn records_have_all_their_fields() {
    #[derive(Debug, Serialize)]
    struct Partial {
        #[serde(skip_serializing_if = "Option::is_none")]
        first: Option<i64>,
        second: i64,
    }
    check_unwritable(&Partial { first: None, second: 1 }, NO_USE);
    let whole = Partial { first: Some(1), second: 1 };
    assert_eq!(written(&whole).as_deref(), Ok(&[2, 2, 2][..]));
}
