//! What values are wrong where, and what each is refused with.

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Id,
    Amount,
    Price,
    Stock,
    Quantity,
    Name,
    Email,
    Flag,
    /// `"now"` or `"later"`.
    Choice,
    Time,
    Items,
    Limit,
    Cursor,
    Position,
    Days,
    Ranks,
}

/// A wrong value and the code that it is refused with.
pub(super) type Wrong = (Vec<u8>, &'static str);

/// Numbers that JSON has and no integer field takes.
const NO_INTEGERS: &[&str] = &[
    r#""1""#,
    r#""""#,
    r#""1.0""#,
    r#"" 1""#,
    r#""one""#,
    "1.0",
    "1.5",
    "-1.5",
    "1e0",
    "1E3",
    "1e-1",
    "-0",
    "-0.0",
    "1e300",
    "0.1e1",
    "null",
    "true",
    "false",
    "[]",
    "[1]",
    "{}",
    r#"{"a":1}"#,
    "-1",
    "-9223372036854775808",
    "-9223372036854775809",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "100000000000000000000000000000000000000000000000000",
];

/// What some take for numbers, and JSON does not.
const NO_JSON: &[&str] = &[
    "01",
    "+1",
    ".5",
    "1.",
    "0x1",
    "1_000",
    "1,000",
    "NaN",
    "Infinity",
    "-Infinity",
    "-",
    "1e",
    "--1",
    "1e400",
    "-1e999",
    "１",
    "'1'",
    "undefined",
    "None",
    "",
    " ",
    "\u{0}",
    "1\u{0}",
    "\"\\u12\"",
    "\"\\x41\"",
    "\"open",
    "\"tab\tbed\"",
    "\"line\nfeed\"",
    "tru",
    "nul",
    "[1",
    "{\"a\"",
    "[1,]",
    "{\"a\":1,}",
    "/* */1",
    "1//",
];

/// Text, where text belongs, that is none or cannot be.
const NO_TEXT: &[&str] =
    &["1", "1.5", "null", "true", "[]", r#"["Ada"]"#, "{}", r#""\ud800""#, r#""\udc00x""#];

/// Bytes that are no UTF-8: alone, cut off, overlong, a surrogate, beyond Unicode.
const NO_UTF8: &[&[u8]] = &[
    b"\"\xff\"",
    b"\"\x80\"",
    b"\"\xc3\"",
    b"\"\xe2\x82\"",
    b"\"\xc0\xaf\"",
    b"\"\xed\xa0\x80\"",
    b"\"\xf5\x80\x80\x80\"",
];

/// JSON that nests almost as deep as a body may be long.
fn deep(open: &str, close: &str) -> Vec<u8> {
    let levels = 30_000 / open.len();
    format!("{}{}", open.repeat(levels), close.repeat(levels)).into_bytes()
}

fn texts(of: &[&str], code: &'static str) -> impl Iterator<Item = Wrong> {
    of.iter().map(move |text| (text.as_bytes().to_vec(), code)).collect::<Vec<_>>().into_iter()
}

/// Wrong JSON for a field of this kind.
pub(super) fn wrong_json(kind: Kind) -> Vec<Wrong> {
    const MALFORMED: &str = "MALFORMED";
    let mut all: Vec<Wrong> = texts(NO_JSON, MALFORMED).collect();
    all.extend(NO_UTF8.iter().map(|bytes| (bytes.to_vec(), MALFORMED)));
    all.push((deep("{\"a\":", "}"), MALFORMED));
    let integer = |code, edges: &[&str]| {
        let deep = [(deep("[", "]"), code), (deep("[{\"a\":[", "]}]"), code)];
        texts(NO_INTEGERS, code).chain(texts(edges, code)).chain(deep).collect()
    };
    let more: Vec<Wrong> = match kind {
        Kind::Id => integer("INVALID_ID", &["9007199254740992", "9223372036854775807"]),
        Kind::Amount => integer("INVALID_AMOUNT", &["0"]),
        Kind::Price => integer("INVALID_PRICE", &["1000000000001", "9223372036854775807"]),
        Kind::Stock => integer("INVALID_QUANTITY", &["1000000000001"]),
        Kind::Quantity => integer("INVALID_QUANTITY", &["0"]),
        Kind::Name => names(),
        Kind::Email => emails(),
        Kind::Flag => {
            texts(&["1", "0", r#""true""#, "null", "[]", "{}", "True"], MALFORMED).collect()
        }
        Kind::Choice => {
            let choices = [r#""""#, r#""Now""#, r#""now ""#, r#""never""#, r#""NOW\u0000""#];
            texts(NO_TEXT, MALFORMED).chain(texts(&choices, MALFORMED)).collect()
        }
        Kind::Time => times(),
        Kind::Items => items(),
        _ => unreachable!("{kind:?} stands in queries only"),
    };
    all.extend(more);
    all
}

fn names() -> Vec<Wrong> {
    let long = format!("\"{}\"", "이".repeat(101));
    let blank = [
        r#""""#,
        r#""   ""#,
        r#""\u0000""#,
        r#""a\nb""#,
        r#""\u007f""#,
        r#""\u0085x""#,
        r#""\u2003""#,
    ];
    texts(NO_TEXT, "MALFORMED")
        .chain([(deep("[", "]"), "MALFORMED")])
        .chain(texts(&blank, "INVALID_NAME"))
        .chain(texts(&[&long], "INVALID_NAME"))
        .collect()
}

fn emails() -> Vec<Wrong> {
    let long = format!("\"{}@x\"", "e".repeat(253));
    let wrong = [
        r#""""#,
        r#""ada""#,
        r#""@""#,
        r#""@x""#,
        r#""a@""#,
        r#""a@b@c""#,
        r#""a b@c""#,
        r#""a@b\u0000""#,
        r#""a@b\r\nBcc: c@d""#,
        r#""a@\u00a0b""#,
        &long,
    ];
    texts(NO_TEXT, "MALFORMED").chain(texts(&wrong, "INVALID_EMAIL")).collect()
}

fn times() -> Vec<Wrong> {
    let wrong = [
        r#""""#,
        r#""yesterday""#,
        r#""2025-03-14""#,
        r#""2025-03-14T15:09:26""#,
        r#""2025-02-30T00:00:00Z""#,
        r#""2025-03-14T25:00:00Z""#,
        r#""2025-03-14 15:09:26Z""#,
        r#""9999-12-31T23:59:59Z""#,
        r#""2025-03-14T15:09:26Z\u0000""#,
        r#""1741964966""#,
        r#""+2025-03-14T15:09:26Z""#,
    ];
    texts(NO_TEXT, "MALFORMED").chain(texts(&wrong, "INVALID_TIME")).collect()
}

fn items() -> Vec<Wrong> {
    let malformed = [
        "null",
        "{}",
        "1",
        r#""1""#,
        "true",
        "[1]",
        "[null]",
        "[[1,1]]",
        "[[]]",
        r#"["1"]"#,
        "[{}]",
        r#"{"productId":1,"quantity":1}"#,
        r#"[{"productId":1}]"#,
        r#"[{"quantity":1}]"#,
        r#"[{"productId":1,"quantity":1,"quantity":1}]"#,
        r#"[{"productId":1,"quantity":1},]"#,
        r#"[{"productId":1,"quantity":1},null]"#,
    ];
    let unknown = [
        r#"[{"productId":1,"quantity":1,"price":0}]"#,
        r#"[{"ProductId":1,"quantity":1}]"#,
        r#"[{"productId":1,"quantity":1},{"productId":1,"quantity":1,"x":null}]"#,
    ];
    let mut all: Vec<Wrong> = texts(&malformed, "MALFORMED").collect();
    all.extend(texts(&unknown, "UNKNOWN_FIELD"));
    all.extend(texts(&["[]", "[ ]"], "INVALID_LINES"));
    all.extend([(deep("[", "]"), "MALFORMED"), (deep("[{\"a\":[", "]}]"), "UNKNOWN_FIELD")]);
    let line = |part: &str, value: &[u8]| {
        let [before, after] = match part {
            "productId" => [&b"[{\"productId\":"[..], b",\"quantity\":1}]"],
            _ => [&b"[{\"productId\":1,\"quantity\":"[..], b"}]"],
        };
        [before, value, after].concat()
    };
    for (part, kind) in [("productId", Kind::Id), ("quantity", Kind::Quantity)] {
        all.extend(wrong_json(kind).into_iter().map(|(value, code)| (line(part, &value), code)));
    }
    all
}

/// Wrong text for a parameter of this kind, as it stands in a query.
pub(super) fn wrong_text(kind: Kind) -> Vec<(String, &'static str)> {
    let long = "9".repeat(5_000);
    let numbers = [
        "",
        "x",
        "-1",
        "+1",
        "1.0",
        "1e0",
        "01",
        "0x1",
        "%201",
        "1%20",
        "1+",
        "%00",
        "1%00",
        "%ff",
        "%zz",
        "%",
        "1,2",
        "null",
        "NaN",
        "18446744073709551616",
        "%EF%BC%91",
        "[1]",
        &long,
    ];
    let times = [
        "",
        "now",
        "2025-03-14",
        "2025-03-14T15:09:26",
        "2025-03-14T15:09:26%2B0900",
        "9999-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "%00",
        &long,
    ];
    let cursors =
        ["", "x", "0", "%00", "%ff", &"0".repeat(42), &"f".repeat(42), &"F".repeat(42), &long];
    let of = |texts: &[&str], code: &'static str| {
        texts.iter().map(|text| ((*text).to_owned(), code)).collect::<Vec<_>>()
    };
    let more = |code, edges: &[&str]| [of(&numbers, code), of(edges, code)].concat();
    match kind {
        Kind::Id => more("INVALID_ID", &["9007199254740992"]),
        Kind::Quantity => more("INVALID_QUANTITY", &["0", "9223372036854775808"]),
        Kind::Limit => more("INVALID_CURSOR", &["0", "501"]),
        Kind::Cursor => of(&cursors, "INVALID_CURSOR"),
        Kind::Position => of(&numbers, "MALFORMED"),
        Kind::Days => more("MALFORMED", &["0", "31"]),
        Kind::Ranks => more("MALFORMED", &["0", "1001", "4294967296"]),
        Kind::Time => of(&times, "INVALID_TIME"),
        _ => unreachable!("{kind:?} stands in bodies only"),
    }
}

/// Wrong ids for the path of this route.
pub(super) fn wrong_ids(route: &str) -> Vec<String> {
    let long = "9".repeat(5_000);
    let uuid = "00000000-0000-8096-ae58-2cc8f39fd829";
    let texts: &[&str] = match route.contains("/users/") || route.contains("/products/") {
        true => &[
            "x",
            "-1",
            "+1",
            "1.0",
            "01",
            "1e0",
            "9007199254740992",
            "18446744073709551616",
            "%00",
            "%ff",
            "1%00",
            "%201",
            "1%20",
            "%2e%2e",
            "..%2f1",
            "{id}",
            "%EF%BC%91",
            "null",
            &long,
        ],
        false => &[
            "1",
            "x",
            "%00",
            "%ff",
            &uuid.replace('-', ""),
            "00000000-0000-0000-0000-000000000000",
            "00000000-0000-4096-ae58-2cc8f39fd829",
            "00000000-0000-8096-ce58-2cc8f39fd829",
            "urn:uuid:00000000-0000-8096-ae58-2cc8f39fd829",
            "%7B00000000-0000-8096-ae58-2cc8f39fd829%7D",
            "00000000-0000-8096-ae58-2cc8f39fd82",
            "00000000-0000-8096-ae58-2cc8f39fd8299",
            "00000000-0000-8096-ae58-2cc8f39fd82g",
            "00000000+0000+8096+ae58+2cc8f39fd829",
            &long,
        ],
    };
    texts.iter().map(|text| (*text).to_owned()).collect()
}
