//! Every code's status and titles, and the problem documents (RFC 9457) that tell them. The only
//! place of the program where a code becomes a status: one code, one status, wherever it comes
//! from.

use crate::{
    call::Voice,
    json,
    limits::ECHO_CHARS_MAX,
    openapi::{samples, shapes},
};
use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use jupan_schemas::{Code, OrderId, ProductId};
use serde::Serialize;
use utoipa::ToSchema;

/// What a code means to a person and to HTTP.
pub(crate) struct Meaning {
    pub(crate) status: StatusCode,
    pub(crate) english: &'static str,
    pub(crate) korean: &'static str,
}

/// Status, English and Korean title.
#[rustfmt::skip]
fn catalogue(code: Code) -> (u16, &'static str, &'static str) {
    match code {
        Code::Ok => (200, "Done", "처리되었습니다"),
        Code::Malformed => (400, "The request cannot be read", "요청을 해석할 수 없습니다"),
        Code::UnknownField => (400, "The request has a field that is not known", "알 수 없는 필드가 있습니다"),
        Code::InvalidId => (400, "Not a valid id", "올바른 식별자가 아닙니다"),
        Code::InvalidName => (400, "Not a valid name", "올바른 이름이 아닙니다"),
        Code::InvalidEmail => (400, "Not a valid e-mail address", "올바른 이메일 주소가 아닙니다"),
        Code::InvalidAmount => (400, "Not an allowed amount", "허용되지 않는 금액입니다"),
        Code::InvalidPrice => (400, "Not an allowed price", "허용되지 않는 가격입니다"),
        Code::InvalidQuantity => (400, "Not an allowed quantity", "허용되지 않는 수량입니다"),
        Code::InvalidLines => (400, "The order has no items, or too many", "주문 상품이 없거나 너무 많습니다"),
        Code::InvalidKey => (400, "Not a valid idempotency key", "올바른 멱등성 키가 아닙니다"),
        Code::InvalidTime => (400, "Not an allowed time", "허용되지 않는 시각입니다"),
        Code::InvalidCursor => (400, "Not a valid cursor or page size", "올바른 커서나 페이지 크기가 아닙니다"),
        Code::UserNotFound => (404, "No such user", "사용자를 찾을 수 없습니다"),
        Code::ProductNotFound => (404, "No such product", "상품을 찾을 수 없습니다"),
        Code::OrderNotFound => (404, "No such order", "주문을 찾을 수 없습니다"),
        Code::CommandNotFound => (404, "No such command", "명령을 찾을 수 없습니다"),
        Code::RouteNotFound => (404, "No such path", "존재하지 않는 경로입니다"),
        Code::MethodNotAllowed => (405, "The path does not allow this method", "허용되지 않는 메서드입니다"),
        Code::UserMismatch => (403, "The caller is not the user named", "요청한 사용자와 호출자가 다릅니다"),
        Code::Forbidden => (403, "Not allowed", "권한이 없습니다"),
        Code::InsufficientBalance => (402, "The balance is too low", "잔액이 부족합니다"),
        Code::OutOfStock => (409, "Out of stock", "재고가 부족합니다"),
        Code::Cancelled => (409, "The order was cancelled", "취소된 주문입니다"),
        Code::Expired => (409, "The order has expired", "기한이 지나 종료된 주문입니다"),
        Code::OrderExpired => (409, "The order's payment came too late", "결제 기한이 지난 주문입니다"),
        Code::OrderNotPending => (409, "The order is no longer pending", "이미 종료된 주문입니다"),
        Code::OrderNotReady => (409, "The order is not ready yet", "아직 준비되지 않은 주문입니다"),
        Code::OrderNotPaid => (409, "The order is not paid", "결제되지 않은 주문입니다"),
        Code::RefundExceeds => (409, "More than can be refunded", "환불 가능한 범위를 넘었습니다"),
        Code::CartEmpty => (409, "The cart is empty", "장바구니가 비어 있습니다"),
        Code::CartFull => (409, "The cart is full", "장바구니가 가득 찼습니다"),
        Code::AlreadyExists => (409, "The id is taken", "이미 사용 중인 식별자입니다"),
        Code::BalanceLimit => (409, "The balance would be too high", "보유 한도를 초과합니다"),
        Code::StockLimit => (409, "The stock would be too high", "재고 한도를 초과합니다"),
        Code::TotalLimit => (409, "The order's total is too high", "주문 금액 한도를 초과합니다"),
        Code::IdempotencyKeyReused =>
            (422, "The key was used for another request", "다른 요청에 이미 사용된 멱등성 키입니다"),
        Code::CommandTooOld => (400, "The command is too old", "너무 오래된 명령입니다"),
        Code::CommandFromFuture => (400, "The command is from the future", "미래 시각의 명령입니다"),
        Code::WrongPartition => (400, "The command lies on the wrong partition", "잘못된 파티션의 명령입니다"),
        Code::Unsupported => (400, "Not supported", "지원하지 않는 요청입니다"),
        Code::PayloadTooLarge => (413, "The body is too large", "요청 본문이 너무 큽니다"),
        Code::UnsupportedMediaType => (
            415, "The body must be application/json",
            "본문은 application/json이어야 합니다",
        ),
        Code::TooManyRequests => (
            429, "Too many requests; nothing was done",
            "요청이 너무 많아 처리되지 않았습니다",
        ),
        Code::Unavailable => (
            503, "Not available now; nothing was done",
            "지금은 이용할 수 없어 처리되지 않았습니다",
        ),
        Code::OutcomeUnknown => (
            504, "The outcome is unknown; ask again with the same key",
            "결과를 알 수 없습니다. 같은 키로 다시 요청하세요",
        ),
        Code::Timeout => (408, "The request came too slowly", "요청 시간이 초과되었습니다"),
        Code::Internal => (500, "The server failed", "서버 오류가 발생했습니다"),
        Code::Unknown => (500, "A code of a newer version", "새 버전의 알 수 없는 코드입니다"),
    }
}

/// Looks a code up.
pub(crate) fn meaning(code: Code) -> Meaning {
    let (status, english, korean) = catalogue(code);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Meaning { status, english, korean }
}

/// The languages that titles exist in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Language {
    #[default]
    English,
    Korean,
}

impl Language {
    /// What `Accept-Language` likes best; English where it likes both the same, or neither.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(header::ACCEPT_LANGUAGE) else { return Self::English };
        let text = value.to_str().unwrap_or_default();
        let weight =
            |language: &str| text.split(',').filter_map(|range| weight(range, language)).max();
        if weight("ko") > weight("en") { Self::Korean } else { Self::English }
    }

    fn tag(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::English => "en",
            Self::Korean => "ko",
        })
    }
}

/// The weight, in thousandths, of one language range such as `ko-KR;q=0.8` if it is about this
/// language.
fn weight(range: &str, language: &str) -> Option<u32> {
    let mut parts = range.split(';').map(str::trim);
    let primary = parts.next()?.split('-').next()?;
    if !primary.eq_ignore_ascii_case(language) {
        return None;
    }
    let Some(q) = parts.find_map(|part| part.strip_prefix("q=")) else { return Some(1000) };
    let (whole, fraction) = q.split_once('.').unwrap_or((q, ""));
    let digits = format!("{whole}{fraction:0<3}");
    digits.get(..4).and_then(|d| d.parse().ok()).or(Some(0))
}

/// A refusal on its way to the caller. Boxed: the good path carries only a pointer for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem(Box<Content>);

#[derive(Debug, PartialEq, Eq)]
struct Content {
    code: Code,
    detail: Option<String>,
    field: Option<String>,
    order_id: Option<OrderId>,
    product_id: Option<ProductId>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem that says no more than its code.
    pub(crate) fn new(code: Code) -> Self {
        let content = Content {
            code,
            detail: None,
            field: None,
            order_id: None,
            product_id: None,
            headers: Vec::new(),
        };
        let problem = Self(Box::new(content));
        match code {
            Code::TooManyRequests | Code::Unavailable | Code::OrderNotReady => {
                problem.header(header::RETRY_AFTER, HeaderValue::from_static("1"))
            }
            _ => problem,
        }
    }

    /// What is wrong exactly, in English.
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Which field, parameter or header it is about.
    pub(crate) fn field(mut self, name: &str) -> Self {
        self.0.field = Some(name.chars().take(ECHO_CHARS_MAX).collect());
        self
    }

    /// Which order it is about.
    pub(crate) fn order(mut self, id: Option<OrderId>) -> Self {
        self.0.order_id = id;
        self
    }

    /// Which product it is about.
    pub(crate) fn product(mut self, id: Option<ProductId>) -> Self {
        self.0.product_id = id;
        self
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Ends the connection: what is left of the request is not read.
    pub(crate) fn closing(self) -> Self {
        self.header(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// Its code.
    #[cfg(test)]
    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    /// The problem document.
    pub(crate) fn respond(self, voice: &Voice) -> Response {
        let content = *self.0;
        let Meaning { status, english, korean } = meaning(content.code);
        let code = content.code.as_str();
        let document = Document {
            r#type: format!("urn:jupan:code:{code}"),
            title: if voice.language == Language::Korean { korean } else { english },
            status: status.as_u16(),
            detail: content.detail,
            code,
            trace_id: voice.trace_text(),
            field: content.field,
            order_id: content.order_id.map(|id| id.to_string()),
            product_id: content.product_id,
        };
        let media_type = HeaderValue::from_static("application/problem+json");
        let mut response = json::typed(status, media_type, &document).unwrap_or_else(|_| {
            // A document of strings and numbers can always be written.
            let mut bare = Response::default();
            *bare.status_mut() = status;
            bare
        });
        response.headers_mut().insert(header::CONTENT_LANGUAGE, voice.language.tag());
        response.headers_mut().extend(content.headers);
        response
    }
}

/// Why a request was refused (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem, examples(samples::problem))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document<'a> {
    /// The code as a name: `urn:jupan:code:` and the code.
    #[schema(pattern = "^urn:jupan:code:[A-Z_]+$")]
    r#type: String,
    /// What the code means, in the language of `Accept-Language`.
    title: &'a str,
    /// The response's status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong exactly, in English.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    detail: Option<String>,
    #[schema(value_type = shapes::ProblemCode)]
    code: &'a str,
    #[schema(value_type = shapes::TraceId)]
    trace_id: &'a str,
    /// Which field, parameter or header it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, max_length = 64)]
    field: Option<String>,
    /// Which order it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = shapes::OrderId)]
    order_id: Option<String>,
    /// Which product it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = shapes::ProductId)]
    product_id: Option<ProductId>,
}

impl From<jupan_store::StoreError> for Problem {
    fn from(error: jupan_store::StoreError) -> Self {
        tracing::warn!(%error, "a request cannot be answered from the store");
        Self::new(Code::Unavailable)
    }
}

impl From<jupan_log::ReadError> for Problem {
    fn from(error: jupan_log::ReadError) -> Self {
        tracing::warn!(%error, "a request cannot be answered from the log");
        Self::new(Code::Unavailable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_code_has_a_status_and_two_titles_of_its_own() {
        let (mut english, mut korean) = (HashSet::new(), HashSet::new());
        for code in Code::ALL.iter().copied().chain([Code::Unknown]) {
            let (status, en, ko) = catalogue(code);
            assert!(matches!(status, 200 | 400..=499 | 500 | 503 | 504), "{code}: {status}");
            assert_eq!(code == Code::Ok, status == 200, "{code}");
            assert!(en.is_ascii() && !en.is_empty() && english.insert(en), "{code}: {en}");
            assert!(
                ko.chars().any(|c| ('가'..='힣').contains(&c)) && korean.insert(ko),
                "{code}: {ko}"
            );
        }
    }

    #[test]
    fn languages_are_chosen() {
        let table = [
            ("", Language::English),
            ("ko", Language::Korean),
            ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", Language::Korean),
            ("en-US,en;q=0.9,ko;q=0.8", Language::English),
            ("KO", Language::Korean),
            ("ko;q=0.5, en;q=0.4", Language::Korean),
            ("ko;q=0.05, en;q=0.4", Language::English),
            ("ko;q=0.5, en;q=0.5", Language::English),
            ("fr, ko;q=0.1", Language::Korean),
            ("kok", Language::English),
            ("ko;q=x, en;q=0.1", Language::English),
        ];
        for (text, language) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, text.parse().expect("a value"));
            assert_eq!(Language::of(&headers), language, "{text}");
        }
        assert_eq!(Language::of(&HeaderMap::new()), Language::English);
    }
}
