//! Times on the wire: RFC 3339, written in UTC, with at most microseconds.

use jiff::Timestamp;
use jupan_schemas::Micros;
use serde::{Serialize, Serializer};

/// The first microsecond that RFC 3339 can write.
const YEAR_0: i64 = -62_167_219_200_000_000;

/// Reads an RFC 3339 time with any offset. Digits beyond microseconds are cut off.
pub(crate) fn parse(text: &str) -> Option<Micros> {
    // The library reads more than RFC 3339 has; this is the form that it may see.
    let (date_time, offset) = text.split_at_checked(19)?;
    let (fraction, zone) = offset.split_at_checked(offset.find(['Z', '+', '-'])?)?;
    let is_form = has_form(date_time, "dddd-dd-ddTdd:dd:dd")
        && (fraction.is_empty() || is_fraction(fraction))
        && (zone == "Z" || has_form(&zone[1..], "dd:dd") && &zone[1..3] < "24");
    let parsed = is_form.then(|| text.parse::<Timestamp>().ok()).flatten()?;
    Some(Micros(parsed.as_microsecond()))
}

fn has_form(text: &str, form: &str) -> bool {
    let fits = |(c, f): (u8, u8)| if f == b'd' { c.is_ascii_digit() } else { c == f };
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(fits)
}

fn is_fraction(text: &str) -> bool {
    let digits = text.strip_prefix('.').unwrap_or("");
    (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Writes a time; one outside of the years 0 to 9999 becomes the nearest inside.
pub(crate) fn text<S: Serializer>(time: &Micros, serializer: S) -> Result<S::Ok, S::Error> {
    let micros = time.0.max(YEAR_0);
    serializer.collect_str(&Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX))
}

/// A time inside a body.
#[derive(Clone, Copy)]
pub(crate) struct Time(pub(crate) Micros);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        text(&self.0, serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, micros) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:01.5Z", 1_500_000),
            ("1970-01-01T09:00:00+09:00", 0),
            ("1970-01-01T00:00:00.000001999Z", 1),
            ("2017-03-14T10:00:00-05:00", 1_489_503_600_000_000),
            ("1969-12-31T23:59:59Z", -1_000_000),
        ] {
            assert_eq!(parse(text), Some(Micros(micros)), "{text}");
        }
        for text in [
            "",
            "2017",
            "2017-03-14",
            "2017-03-14T10:00:00",
            "2017-03-14 10:00:00Z",
            "2017-13-14T10:00:00Z",
            "2017-03-14T10:00:00z",
            "2017-03-14T10:00:00+0900",
            "2017-03-14T10:00:00Z[Asia/Seoul]",
            "2017-03-14T10:00:00.Z",
            "2017-03-14T10:00:00+09:00[Asia/Seoul]",
            "+12017-03-14T10:00:00Z",
            "2017-03-14T10:00:00,5Z",
            "2017-03-14T10:00:00 09:00",
            "20١7-03-14T10:00:00Z",
            "2017-03-14T24:01:00Z",
            "2017-03-14T10:00:00+24:00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_written() {
        let written = |micros| serde_json::to_string(&Time(Micros(micros))).expect("text");
        assert_eq!(written(0), r#""1970-01-01T00:00:00Z""#);
        assert_eq!(written(1_489_503_600_000_001), r#""2017-03-14T15:00:00.000001Z""#);
        assert!(written(i64::MAX).starts_with(r#""9999-"#));
        assert_eq!(written(i64::MIN), r#""0000-01-01T00:00:00Z""#);
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(micros in -60_000_000_000_000_000_i64..200_000_000_000_000_000) {
            let written = serde_json::to_string(&Time(Micros(micros))).expect("text");
            proptest::prop_assert_eq!(parse(written.trim_matches('"')), Some(Micros(micros)));
        }
    }
}
