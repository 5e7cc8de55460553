//! What a letter is judged to be, and what marks look like on the log.

use super::{
    letters::{Done, Letter, Origin, mark},
    standing::{Standing, judge},
};
use jupan_schemas::{
    ChargeBalance, Codec, Micros, Money, ProductCommand, ProductId, ProductPayload, Restock, Units,
    UserCommand, UserId, UserPayload, partition_of,
};

const NOW: Micros = Micros(1_000 * Micros::DAY);
const LANES: u16 = 12;

fn charge(user: u64, actor: &str, created_at: i64) -> Vec<u8> {
    Codec::embedded().to_bytes(&UserCommand {
        user_id: UserId(user),
        key: "k".to_owned(),
        created_at: Micros(created_at),
        occurred_at: None,
        actor: actor.to_owned(),
        trace_id: None,
        reply_to: None,
        payload: UserPayload::ChargeBalance(ChargeBalance { amount: Money(5) }),
    })
}

fn restock(product: u64) -> Vec<u8> {
    Codec::embedded().to_bytes(&ProductCommand {
        product_id: ProductId(product),
        key: "k".to_owned(),
        created_at: NOW,
        occurred_at: None,
        actor: "operator".to_owned(),
        trace_id: None,
        reply_to: None,
        payload: ProductPayload::Restock(Restock { quantity: Units(5) }),
    })
}

fn letter(value: Vec<u8>) -> Letter {
    Letter {
        number: 7,
        at: NOW,
        code: "MALFORMED".to_owned(),
        cause: String::new(),
        origin: Origin::default(),
        redrives: 0,
        key: Vec::new(),
        value,
    }
}

fn check(value: Vec<u8>, expected: &str) {
    let standing = judge(&Codec::embedded(), &letter(value), LANES, NOW);
    assert!(standing.to_string().starts_with(expected), "{standing}, not {expected}");
}

#[test]
fn a_letter_goes_where_its_body_says() {
    for id in [1, 2, 77, 1_000_000] {
        let partition = partition_of(id, LANES);
        check(charge(id, "user:1", NOW.0), &format!("can go to user-commands/{partition}"));
        check(restock(id), &format!("can go to product-commands/{partition}"));
    }
    let Standing::Usable(home) =
        judge(&Codec::embedded(), &letter(charge(77, "", NOW.0)), LANES, NOW)
    else {
        panic!("it is usable");
    };
    assert_eq!(home.key, "77");
}

#[test]
fn what_would_come_back_or_count_twice_is_not_sent() {
    let day = Micros::DAY;
    let whole = charge(1, "user:1", NOW.0);
    check(Vec::new(), "unreadable: shorter than");
    check(b"{\"userId\":1}".to_vec(), "unreadable: first byte");
    check(whole[..whole.len() - 1].to_vec(), "unreadable: ");
    check(charge(1, &"x".repeat(257), NOW.0), "its actor is longer than");
    check(charge(1, "user:1", NOW.0 - 14 * day - 1), "a command older than 14 days");
    check(charge(1, "user:1", NOW.0 - 14 * day), "can go to");
    check(charge(1, "user:1", NOW.0 + 5 * Micros::MINUTE + 1), "made in the future");
}

/// Other tools may read marks: these are their bytes.
#[test]
fn marks_are_written_as_they_always_were() {
    let check = |done: Done, expected: &[(&str, &str)]| {
        let record = mark(17, "kim", &done);
        assert_eq!((&record.key[..], &record.value[..]), (&b"17"[..], &b""[..]));
        let headers = record.headers.iter();
        let found: Vec<_> = headers
            .map(|(name, value)| (name.as_str(), std::str::from_utf8(value).expect("text")))
            .collect();
        assert_eq!(found, expected);
    };
    let to = Origin {
        topic: "user-commands".to_owned(),
        partition: "3".to_owned(),
        offset: "991".to_owned(),
    };
    check(
        Done::Redriven(to),
        &[
            ("actor", "kim"),
            ("action", "redriven"),
            ("topic", "user-commands"),
            ("partition", "3"),
            ("offset", "991"),
        ],
    );
    check(Done::Discarded(None), &[("actor", "kim"), ("action", "discarded")]);
    check(
        Done::Discarded(Some("noise".to_owned())),
        &[("actor", "kim"), ("action", "discarded"), ("reason", "noise")],
    );
}
