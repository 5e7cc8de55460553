//! What the document says of single values is what the code checks.

use super::documented::CONTRACT;
use crate::{call::uuid_form, cursor, idempotency, minted::Minted, number::id_text, times};
use axum::http::{HeaderMap, HeaderValue};
use jupan_schemas::{OrderId, UserId, is_email, is_name};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Whether the document allows it.
fn allows(shape: &str, value: impl Into<Value>) -> bool {
    let schema = json!({ "$ref": format!("#/components/schemas/{shape}") });
    CONTRACT.faults(&schema, &value.into()).is_empty()
}

/// Letters, marks, every blank, controls, and what looks like one of these.
const CHARS: &str = "[a@.이\u{0}-\u{20}\u{7f}-\u{a1}\u{1680}\u{180e}\u{2000}-\u{200f}\u{2028}-\
    \u{202f}\u{205f}\u{2060}\u{3000}\u{feff}😀]{0,4}";
/// Without the second 60, which the server takes in any minute, and the document in the last.
const TIMES: &str = "[0-9]{4}-(0[0-9]|1[0-3])-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:([0-5][0-9]|6[1-9])\
    ([.,][0-9]{0,10})?(Z|z||[+-][0-2][0-9]:?[0-6][0-9])";
const UUIDS: &str = "[0-9a-fA-Fg]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-[7-9a-cA-C][0-9a-f]{3}-\
    [0-9a-f]{11,13}";
const KEYS: &str = "\"?([ -~]|\\\\[\"\\\\]){0,3}\"?";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn names_and_addresses(text in CHARS, other in CHARS) {
        prop_assert_eq!(allows("Name", &*text), is_name(&text), "{:?}", text);
        for address in [text.clone(), format!("{text}@{other}")] {
            prop_assert_eq!(allows("Email", &*address), is_email(&address), "{:?}", address);
        }
    }

    #[test]
    fn keys(text in KEYS) {
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", HeaderValue::from_str(&text).expect("visible"));
        let is_taken = idempotency::key(&headers, &Minted::default()).is_ok();
        prop_assert_eq!(allows("KeyText", &*text), is_taken, "{:?}", text);
    }

    /// Some times have the form and never were: those only the server knows.
    #[test]
    fn times_that_are_taken(text in TIMES) {
        let is_taken = times::parse(&text).is_some();
        prop_assert!(allows("GivenTime", &*text) || !is_taken, "{:?}", text);
    }

    #[test]
    fn ids(text in UUIDS, number in any::<u64>(), shift in 0..64) {
        let order = uuid_form(&text).and_then(|text| text.parse::<OrderId>().ok());
        let is_taken = order.and_then(OrderId::user).is_some();
        prop_assert_eq!(allows("OrderId", &*text), is_taken, "{}", text);
        let number = number >> shift;
        prop_assert_eq!(allows("UserId", number), UserId::new(number).is_some(), "{}", number);
        prop_assert_eq!(id_text(&number.to_string()), Some(number));
    }

    #[test]
    fn cursors(owner: u64, position: u64) {
        let text = cursor::write(cursor::List::Orders, owner, position);
        prop_assert!(allows("Cursor", &*text), "{}", text);
    }
}

#[test]
fn the_longest_that_is_taken() {
    for (shape, letter, longest) in [("Name", "이", 100), ("KeyText", "k", 255)] {
        assert!(allows(shape, letter.repeat(longest)), "{shape}");
        assert!(!allows(shape, letter.repeat(longest + 1)), "{shape}");
    }
    assert!(allows("Email", format!("{}@b", "a".repeat(252))));
    assert!(!allows("Email", format!("{}@b", "a".repeat(253))));
    assert!(allows("KeyText", format!("\"{}\"", "\\\"".repeat(255))));
    assert!(!allows("KeyText", format!("\"{}\"", "\\\"".repeat(256))));
}
