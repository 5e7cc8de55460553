//! The `Idempotency-Key` header: who repeats a request with its key gets the first outcome again.

use crate::{hex, minted::Minted, problem::Problem};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use jupan_schemas::{Code, KEY_CHARS_MAX};

/// Both ways: what the caller chose, or what the server made.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// A request's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) text: String,
    /// Whether nobody else can know it (yet): the caller gave none.
    pub(crate) is_made: bool,
}

/// Reads the caller's key, quoted (as the draft standard has it) or bare, or makes one.
pub(crate) fn key(headers: &HeaderMap, minted: &Minted) -> Result<Key, Problem> {
    let mut given = headers.get_all(HEADER).iter();
    match (given.next(), given.next()) {
        (None, _) => Ok(Key { text: hex::encode(&minted.bytes()), is_made: true }),
        (Some(value), None) => match parse(value.as_bytes()) {
            Some(text) => Ok(Key { text, is_made: false }),
            None => Err(invalid("1 to 255 visible ASCII characters, quoted or bare")),
        },
        (Some(_), Some(_)) => Err(invalid("more than one key")),
    }
}

impl Key {
    /// Refuses a made key: who did not choose one cannot ask again, and must not pay twice.
    pub(crate) fn must_be_given(&self) -> Result<(), Problem> {
        if self.is_made { Err(invalid("missing")) } else { Ok(()) }
    }

    /// The key as a header that is read as this key again: quoted where it begins like a quoted
    /// one.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let text = match self.text.starts_with('"') {
            true => format!("\"{}\"", self.text.replace('\\', r"\\").replace('"', r#"\""#)),
            false => self.text.clone(),
        };
        HeaderValue::try_from(text).ok()
    }
}

fn invalid(detail: &str) -> Problem {
    Problem::new(Code::InvalidKey).field("Idempotency-Key").detail(detail)
}

/// The key itself: without quotes, and with quoted characters as they are meant.
fn parse(value: &[u8]) -> Option<String> {
    let text = match value.strip_prefix(b"\"") {
        Some(rest) => unquote(rest)?,
        None => String::from_utf8(value.to_vec()).ok()?,
    };
    let is_visible = text.bytes().all(|b| b.is_ascii_graphic());
    (is_visible && (1..=KEY_CHARS_MAX).contains(&text.len())).then_some(text)
}

/// A structured-field string behind its opening quote (RFC 9651: only `\"` and `\\` are escapes).
fn unquote(rest: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(rest.len());
    let mut bytes = rest.iter();
    loop {
        match bytes.next()? {
            b'"' => return bytes.next().is_none().then_some(text),
            b'\\' => match bytes.next()? {
                escaped @ (b'"' | b'\\') => text.push(char::from(*escaped)),
                _ => return None,
            },
            plain if plain.is_ascii() => text.push(char::from(*plain)),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read() {
        let longest = "k".repeat(KEY_CHARS_MAX);
        let quoted = format!("\"{longest}\"");
        let too_long = format!("{longest}k");
        let table: &[(&str, Option<&str>)] = &[
            ("abc", Some("abc")),
            ("\"abc\"", Some("abc")),
            (r#""a\"b\\c""#, Some(r#"a"b\c"#)),
            (r#""\"a\\""#, Some(r#""a\"#)),
            (r"a\b", Some(r"a\b")),
            ("a\"b", Some("a\"b")),
            ("8e03978e-40d5-43e8-bc93-6894a57f9324", Some("8e03978e-40d5-43e8-bc93-6894a57f9324")),
            (&longest, Some(&longest)),
            (&quoted, Some(&longest)),
            (&too_long, None),
            ("", None),
            ("\"", None),
            ("\"\"", None),
            ("\"abc", None),
            ("\"abc\"d", None),
            ("\"abc\\", None),
            (r#""a\bc""#, None),
            ("a b", None),
            ("\"a b\"", None),
            ("키", None),
            ("\"키\"", None),
            ("a\tb", None),
            ("a\u{7f}", None),
        ];
        for (header, key) in table {
            assert_eq!(parse(header.as_bytes()).as_deref(), *key, "{header}");
            let Some(key) = key.map(|text| Key { text: text.to_owned(), is_made: false }) else {
                continue;
            };
            let told = key.header().expect("a header");
            assert_eq!(parse(told.as_bytes()), Some(key.text), "{header} is told as {told:?}");
        }
    }

    #[test]
    fn a_missing_key_is_made_and_a_second_one_is_refused() {
        let minted = Minted::default();
        let mut headers = HeaderMap::new();
        let (one, other) = (key(&headers, &minted), key(&headers, &minted));
        assert!(one.as_ref().is_ok_and(|key| key.is_made && key.text.len() == 32) && one != other);
        headers.append(HEADER, "k".parse().expect("a value"));
        assert_eq!(key(&headers, &minted), Ok(Key { text: "k".to_owned(), is_made: false }));
        headers.append(HEADER, "k".parse().expect("a value"));
        assert_eq!(key(&headers, &minted).map_err(|p| p.code()), Err(Code::InvalidKey));
    }
}
