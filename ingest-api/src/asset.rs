//! What stays the same for as long as the process runs: pages, scripts, the API's document.

use crate::{etag, hex};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;

/// Bytes with a media type, and a tag by which a browser knows that it has them.
pub(crate) struct Asset {
    media_type: &'static str,
    bytes: Bytes,
    tag: String,
}

impl Asset {
    pub(crate) fn new(media_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let tag = format!("\"{}\"", hex::encode(&blake3::hash(&bytes).as_bytes()[..16]));
        Self { media_type, bytes, tag }
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The bytes, or 304 where the caller has them. They may be kept, and asked for every time: a
    /// new version of the program brings new ones under the same path.
    pub(crate) fn answer(&self, headers: &HeaderMap) -> Response {
        let mut response = Response::default();
        if etag::is_seen(&self.tag, headers) == Some(true) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            *response.body_mut() = Body::from(self.bytes.clone());
            add(&mut response, header::CONTENT_TYPE, self.media_type);
            add(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        }
        add(&mut response, header::CACHE_CONTROL, "no-cache");
        if let Ok(tag) = HeaderValue::try_from(&self.tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

fn add(response: &mut Response, name: HeaderName, value: &'static str) {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
}
