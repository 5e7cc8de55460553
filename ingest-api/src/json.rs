//! JSON bodies, read strictly: one object, no unknown or repeated fields, of a bounded size, in a
//! bounded time.

use crate::{limits::Limits, problem::Problem};
use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::BytesMut;
use http_body_util::BodyExt;
use jupan_schemas::Code;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{fmt, marker::PhantomData, time::Duration};

/// A struct that is read from an object only. What is derived for structs alone reads arrays, too.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// Reads a request's body.
pub(crate) async fn read<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    limits: &Limits,
) -> Result<T, Problem> {
    check_media_type(headers)?;
    let patience = Duration::from_millis(limits.body_timeout_ms);
    match tokio::time::timeout(patience, collect(body, limits.body_bytes_max)).await {
        Ok(bytes) => parse(&bytes?),
        Err(_) => Err(Problem::new(Code::Timeout).closing()),
    }
}

/// The media type must be said: a web page of another origin can send anything else than
/// `application/json` without asking first.
fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let mut given = headers.get_all(header::CONTENT_TYPE).iter();
    let is_json = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        let essence = text.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    };
    match (given.next(), given.next()) {
        (Some(value), None) if is_json(value) => Ok(()),
        _ => Err(Problem::new(Code::UnsupportedMediaType).field("Content-Type")),
    }
}

/// All bytes of a body. Most bodies come in one piece, which is not copied.
async fn collect(mut body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("a body has at most {bytes_max} bytes");
        Problem::new(Code::PayloadTooLarge).detail(detail).closing()
    };
    if body.size_hint().lower() > u64::try_from(bytes_max).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Problem::new(Code::Malformed).detail("the body broke off").closing());
        };
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + all.len() + data.len() > bytes_max {
            return Err(too_large());
        }
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// Reads a value from bytes.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    match serde_json::from_slice::<Object<T>>(bytes) {
        Ok(Object(value)) => Ok(value),
        Err(error) => Err(problem(&error)),
    }
}

fn problem(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    if let Some(field) = named(&text, "unknown field `") {
        return Problem::new(Code::UnknownField).field(field);
    }
    let problem = Problem::new(Code::Malformed);
    for (start, detail) in [("missing field `", "missing"), ("duplicate field `", "given twice")] {
        if let Some(field) = named(&text, start) {
            return problem.field(field).detail(detail);
        }
    }
    // The library's text may repeat what the caller sent: only the place is told.
    let what = if error.is_data() { "wrong type" } else { "not valid JSON" };
    problem.detail(format!("{what} at line {}, column {}", error.line(), error.column()))
}

/// The field in a message of serde's derived code: ``unknown field `x`, expected …``.
fn named<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.strip_prefix(start)?.split('`').next()
}

/// A JSON answer.
pub(crate) fn answer(status: StatusCode, body: &impl Serialize) -> Result<Response, Problem> {
    typed(status, HeaderValue::from_static("application/json"), body)
}

/// A JSON answer with a media type of its own.
pub(crate) fn typed(
    status: StatusCode,
    media_type: HeaderValue,
    body: &impl Serialize,
) -> Result<Response, Problem> {
    let bytes = serde_json::to_vec(body).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written as JSON");
        Problem::new(Code::Internal)
    })?;
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    Ok(response)
}
