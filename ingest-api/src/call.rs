//! One request on its way through a route.

use crate::{
    caller::Caller,
    hex, json,
    minted::Minted,
    problem::{Language, Problem},
    query::Parameters,
    shop::Shop,
};
use axum::{
    body::Body,
    extract::{FromRequestParts, Path},
    http::{HeaderMap, HeaderName, HeaderValue, request},
};
use jupan_schemas::{Code, OrderId, ProductId, TraceId, UserId};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// On every response, so that a caller can name the request.
pub(crate) const TRACE_ID: HeaderName = HeaderName::from_static("trace-id");
const TRACEPARENT: HeaderName = HeaderName::from_static(jupan_schemas::TRACEPARENT);

/// How to speak to this caller: in which language, and about which trace.
#[derive(Clone, Debug)]
pub(crate) struct Voice {
    pub(crate) language: Language,
    pub(crate) trace_id: TraceId,
    trace_text: HeaderValue,
}

impl Voice {
    /// Takes over the caller's trace (W3C `traceparent`), or begins one.
    pub(crate) fn of(headers: &HeaderMap, minted: &Minted) -> Self {
        let given = headers
            .get(TRACEPARENT)
            .and_then(|value| TraceId::of_traceparent(value.to_str().ok()?));
        let trace_id = given.unwrap_or_else(|| minted.trace_id());
        let text = HeaderValue::try_from(hex::encode(&trace_id.0));
        let trace_text = text.unwrap_or(HeaderValue::from_static(""));
        Self { language: Language::of(headers), trace_id, trace_text }
    }

    /// The trace id as hexadecimal text.
    pub(crate) fn trace_text(&self) -> &str {
        self.trace_text.to_str().unwrap_or_default()
    }

    /// The same as a header.
    pub(crate) fn trace_header(&self) -> HeaderValue {
        self.trace_text.clone()
    }
}

/// One request.
pub(crate) struct Call {
    pub(crate) shop: Arc<Shop>,
    pub(crate) voice: Voice,
    pub(crate) query: Parameters,
    parts: request::Parts,
    body: Body,
}

impl Call {
    pub(crate) fn new(
        shop: Arc<Shop>,
        voice: Voice,
        query: Parameters,
        (parts, body): (request::Parts, Body),
    ) -> Self {
        Self { shop, voice, query, parts, body }
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Who asks.
    pub(crate) fn caller(&self) -> Result<Caller, Problem> {
        Caller::of(self.headers())
    }

    /// The user that the query names, and whose things the caller may see.
    pub(crate) fn asked_user(&self) -> Result<UserId, Problem> {
        let user = self.query.user_id()?;
        self.caller()?.must_be(user)?;
        Ok(user)
    }

    /// The body, once.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        let body = std::mem::take(&mut self.body);
        json::read(&self.parts.headers, body, &self.shop.limits).await
    }

    /// The user that the path names.
    pub(crate) async fn user_id(&mut self) -> Result<UserId, Problem> {
        self.path_id(|text| crate::number::id_text(text).and_then(UserId::new)).await
    }

    /// The product that the path names.
    pub(crate) async fn product_id(&mut self) -> Result<ProductId, Problem> {
        self.path_id(|text| crate::number::id_text(text).and_then(ProductId::new)).await
    }

    /// The order that the path names, and the user that its id names.
    pub(crate) async fn order_id(&mut self) -> Result<(OrderId, UserId), Problem> {
        let read = |text: &str| {
            let id = uuid_form(text)?.parse::<OrderId>().ok()?;
            Some((id, id.user()?))
        };
        self.path_id(read).await
    }

    /// What stands for `{id}` in the route.
    pub(crate) async fn path_id<T>(
        &mut self,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Problem> {
        let invalid = || Problem::new(Code::InvalidId).field("id");
        let path = Path::<String>::from_request_parts(&mut self.parts, &()).await;
        let Path(text) = path.map_err(|_| invalid())?;
        read(&text).ok_or_else(invalid)
    }
}

/// Only the hyphenated form of a UUID: one id, one text.
pub(crate) fn uuid_form(text: &str) -> Option<&str> {
    (text.len() == 36).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_parents_are_read() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (text, fits) in [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future", true),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736", false),
            ("", false),
        ] {
            assert_eq!(
                TraceId::of_traceparent(text),
                TraceId::parse(trace).filter(|_| fits),
                "{text}"
            );
        }
    }
}
