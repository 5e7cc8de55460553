//! The `Prefer` header (RFC 7240): whether a caller waits for an outcome, and how long.

use crate::limits::WAIT_S_MAX;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Which preference was followed.
pub(crate) const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// What a caller prefers. Whatever else the header says is ignored, as the standard asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prefer {
    /// `wait=N`, at most [`WAIT_S_MAX`].
    wait_s: Option<u64>,
    /// `respond-async`.
    at_once: bool,
}

impl Prefer {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut prefer = Self::default();
        for value in headers.get_all(PREFER) {
            let text = value.to_str().unwrap_or_default();
            unquoted(text, ',').for_each(|preference| prefer.add(preference));
        }
        prefer
    }

    /// Takes one preference in; the first of its name counts.
    fn add(&mut self, preference: &str) {
        let token = unquoted(preference, ';').next().unwrap_or_default();
        let (name, value) = token.split_once('=').unwrap_or((token, ""));
        let value = value.trim().trim_matches('"');
        if name.trim().eq_ignore_ascii_case("respond-async") && value.is_empty() {
            self.at_once = true;
        } else if name.trim().eq_ignore_ascii_case("wait") && self.wait_s.is_none() {
            let is_number = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
            // A number that does not fit is just a very long wait.
            self.wait_s = is_number.then(|| value.parse().unwrap_or(u64::MAX).min(WAIT_S_MAX));
        }
    }

    /// How long to wait for an outcome; `None`: answer as soon as the command is durable. With both
    /// preferences the caller wants the outcome if it comes in time.
    pub(crate) fn outcome_wait(self, default: Option<Duration>) -> Option<Duration> {
        match (self.wait_s, self.at_once) {
            (Some(seconds), _) => (seconds > 0).then(|| Duration::from_secs(seconds)),
            (None, true) => None,
            (None, false) => default,
        }
    }

    /// How long a read waits for news: only where it is asked for.
    pub(crate) fn news_wait(self) -> Option<Duration> {
        self.wait_s.map(Duration::from_secs)
    }

    /// What `Preference-Applied` says.
    pub(crate) fn applied(self) -> Option<HeaderValue> {
        match self.wait_s {
            Some(seconds) => HeaderValue::try_from(format!("wait={seconds}")).ok(),
            None => self.at_once.then(|| HeaderValue::from_static("respond-async")),
        }
    }
}

/// Splits at a separator outside of quotes, within which a backslash takes the next character as
/// it is.
fn unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |c: char| {
        let is_plain = !std::mem::take(&mut is_escaped);
        is_quoted ^= is_plain && c == '"';
        is_escaped = is_quoted && is_plain && c == '\\';
        !is_quoted && c == separator
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_read() {
        let table: &[(&[&str], Option<u64>, Option<&str>)] = &[
            (&[], Some(2), None),
            (&["wait=5"], Some(5), Some("wait=5")),
            (&["WAIT=5"], Some(5), Some("wait=5")),
            (&["wait=\"5\""], Some(5), Some("wait=5")),
            (&["wait=0"], None, Some("wait=0")),
            (&["wait=31"], Some(30), Some("wait=30")),
            (&["wait=99999999999999999999999"], Some(30), Some("wait=30")),
            (&["wait=-1"], Some(2), None),
            (&["wait=+1"], Some(2), None),
            (&["wait=1.5"], Some(2), None),
            (&["wait="], Some(2), None),
            (&["wait"], Some(2), None),
            (&["respond-async"], None, Some("respond-async")),
            (&["respond-async, wait=10"], Some(10), Some("wait=10")),
            (&["respond-async", "wait=10"], Some(10), Some("wait=10")),
            (&["wait=3, wait=4"], Some(3), Some("wait=3")),
            (&["return=minimal; foo=\"some parameter\", wait=3;x=y"], Some(3), Some("wait=3")),
            (&["foo=\"a, wait=3\", wait=4"], Some(4), Some("wait=4")),
            (&["foo=\"a\\\", wait=3\";b=\",wait=3\", wait=4"], Some(4), Some("wait=4")),
            (&["foo=\"open, wait=3"], Some(2), None),
            (&["wait=3;foo=\"a, b\""], Some(3), Some("wait=3")),
            (&["wait = 3"], Some(3), Some("wait=3")),
            (&["x;wait=3"], Some(2), None),
            (&["handling=lenient"], Some(2), None),
            (&["\u{ff}"], Some(2), None),
        ];
        for (values, wait_s, applied) in table {
            let mut headers = HeaderMap::new();
            for value in *values {
                headers.append(PREFER, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
            }
            let prefer = Prefer::of(&headers);
            let default = Some(Duration::from_secs(2));
            assert_eq!(prefer.outcome_wait(default).map(|d| d.as_secs()), *wait_s, "{values:?}");
            let said = prefer.applied();
            assert_eq!(said.as_ref().and_then(|v| v.to_str().ok()), *applied, "{values:?}");
        }
        assert_eq!(Prefer::default().outcome_wait(None), None);
        assert_eq!(Prefer::default().news_wait(), None);
    }
}
