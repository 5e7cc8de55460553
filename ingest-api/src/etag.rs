//! Entity tags: which state of a thing a caller has seen.

use axum::http::{HeaderMap, header};

/// Whether `If-None-Match` names this tag, strong or weak; `None` without the header.
pub(crate) fn is_seen(tag: &str, headers: &HeaderMap) -> Option<bool> {
    let is_same = |given: &str| {
        let given = given.trim();
        given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag
    };
    let values = headers.get_all(header::IF_NONE_MATCH);
    let mut matches = values.iter().map(|v| v.to_str().unwrap_or_default().split(',').any(is_same));
    let first = matches.next()?;
    Some(first || matches.any(|is_match| is_match))
}
