//! What calls take besides a body, and the headers of their answers.

use super::{
    operation::{self, reference},
    samples::{KEYS, PRODUCT, USER, command, order},
    shapes,
};
use crate::limits::WAIT_S_MAX;
use serde_json::{Map, Value, json};
use utoipa::{
    ToSchema,
    openapi::{RefOr, schema::Schema},
};

/// Headers of every good answer to a write.
pub(super) const OF_WRITES: &[&str] = &["IdempotencyKey", "PreferenceApplied", "Vary"];
/// Headers of a write's problems: those that were found before the command was made have none.
pub(super) const OF_REFUSED_WRITES: &[&str] =
    &["IdempotencyKeyIfAny", "PreferenceApplied", "VaryIfAny", "LocationIfAny"];

/// A parameter that is described once.
pub(super) fn shared(name: &str) -> Value {
    reference("parameters", name)
}

/// The shared ones.
#[rustfmt::skip]
pub(super) fn components() -> Map<String, Value> {
    let of = [
        ("Caller", parameter::<shapes::UserId>(("header", "X-User-Id"), CALLER)),
        ("Language", parameter::<shapes::Text>(("header", "Accept-Language"), LANGUAGE)),
        ("Prefer", parameter::<shapes::Text>(("header", "Prefer"), &prefer())),
        ("News", parameter::<shapes::Text>(("header", "Prefer"), &news())),
        ("IfNoneMatch", parameter::<shapes::Text>(("header", "If-None-Match"), IF_NONE_MATCH)),
        ("Limit", parameter::<shapes::PageSize>(("query", "limit"), LIMIT)),
        ("Cursor", parameter::<shapes::Cursor>(("query", "cursor"), CURSOR)),
        ("At", parameter::<shapes::Position>(("query", "at"), AT)),
        ("Days", parameter::<shapes::Days>(("query", "days"), "How many days the window spans.")),
        ("Ranks", parameter::<shapes::Ranks>(("query", "limit"), "How many ranks are listed at most.")),
        ("AsOf", parameter::<shapes::GivenTime>(("query", "asOf"), AS_OF)),
        ("Removed", shown(parameter::<shapes::Removed>(("query", "quantity"), REMOVED), 1)),
    ];
    of.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

const LIMIT: &str = "How many items the page has at most.";
const REMOVED: &str = "How many units go; without it, or with at least what is there, the whole \
    line goes.";
const CALLER: &str = "Who asks, as a trusted gateway says it. Without it the caller is taken for \
    the user that the request names; another user than that one is refused.";
const LANGUAGE: &str = "The language of a problem's title: `ko`, else English.";
const IF_NONE_MATCH: &str = "The `ETag` that you have. Nothing new: 304 without a body.";
const CURSOR: &str = "The `next` of the page before; without it the list begins. A cursor belongs \
    to its list: any other text is refused.";
const AT: &str = "The position that the Location of the 202 names. With it an id that cannot be \
    read yet is `PENDING`, never a false 404, on any instance. A position that the log has not \
    reached is refused.";
const AS_OF: &str = "The end of the window, rounded up to a full minute; the clock's present time \
    if you don't say. Later than the clock, or earlier than what is kept, is refused.";

fn prefer() -> String {
    format!(
        "`wait=N`: wait up to N seconds (at most {WAIT_S_MAX}) for the outcome, then 202. \
         `respond-async`: 202 as soon as the command is durable. Anything else is ignored."
    )
}

fn news() -> String {
    format!(
        "`wait=N`: long poll, up to N seconds (at most {WAIT_S_MAX}). With `If-None-Match` the \
         answer comes as soon as the order has another `ETag`; without it, as soon as the order \
         has ended or can be paid."
    )
}

/// What they refer to.
pub(super) fn schemas() -> Vec<(String, RefOr<Schema>)> {
    use operation::schemas as of;
    [
        of::<shapes::UserId>(),
        of::<shapes::ProductId>(),
        of::<shapes::OrderId>(),
        of::<shapes::CommandId>(),
        of::<shapes::PageSize>(),
        of::<shapes::Cursor>(),
        of::<shapes::Position>(),
        of::<shapes::Days>(),
        of::<shapes::Ranks>(),
        of::<shapes::GivenTime>(),
        of::<shapes::Removed>(),
        of::<shapes::KeyText>(),
        of::<shapes::TraceId>(),
        of::<shapes::Text>(),
    ]
    .concat()
}

/// The key of a write: required where a repetition would move money, and with examples where later
/// examples build on what it made.
pub(super) fn key(is_required: bool, examples: &[&str]) -> Value {
    let without = if is_required {
        "Without a key the request is refused: a repetition would move money again."
    } else {
        "The server makes a key where you give none, and returns it."
    };
    let description = format!(
        "Your name for this wish. Whoever repeats the request with its key gets the first outcome \
         again, for 15 days (an order's: for ever). Another request under the key is 422. {without}"
    );
    let mut key = parameter::<shapes::KeyText>(("header", "Idempotency-Key"), &description);
    key["required"] = is_required.into();
    let example = |text: &&str| ((*text).to_owned(), json!({ "value": text }));
    if !examples.is_empty() {
        key["examples"] = examples.iter().map(example).collect::<Map<_, _>>().into();
    }
    key
}

/// The user in the query.
pub(super) fn user() -> Value {
    required::<shapes::UserId>(("query", "userId"), "Which user.", USER.0)
}

/// The product in the query.
pub(super) fn product() -> Value {
    required::<shapes::ProductId>(("query", "productId"), "Which product.", PRODUCT.0)
}

/// The user in the path.
pub(super) fn user_in_path() -> Value {
    required::<shapes::UserId>(("path", "id"), "Which user.", USER.0)
}

/// The product in the path.
pub(super) fn product_in_path() -> Value {
    required::<shapes::ProductId>(("path", "id"), "Which product.", PRODUCT.0)
}

/// The order in the path: in the example the one that the key of this number made.
pub(super) fn order_in_path(number: usize) -> Value {
    let description = format!("Which order. In the example: the one of key `{}`.", KEYS[number]);
    required::<shapes::OrderId>(("path", "id"), &description, order(number))
}

/// The command in the path.
pub(super) fn command_in_path() -> Value {
    required::<shapes::CommandId>(("path", "id"), "Which command.", command())
}

fn required<T: ToSchema>(
    place: (&str, &str),
    description: &str,
    example: impl Into<Value>,
) -> Value {
    let mut required = parameter::<T>(place, description);
    required["required"] = true.into();
    shown(required, example)
}

/// With an example.
fn shown(mut parameter: Value, example: impl Into<Value>) -> Value {
    parameter["example"] = example.into();
    parameter
}

fn parameter<T: ToSchema>((place, name): (&str, &str), description: &str) -> Value {
    json!({ "in": place, "name": name, "description": description, "schema": schema::<T>() })
}

fn schema<T: ToSchema>() -> Value {
    reference("schemas", &T::name())
}

/// A response's header: its component's name, its own, whether it is always there, its schema and
/// what it says.
struct Header {
    component: &'static str,
    name: &'static str,
    is_required: bool,
    schema: fn() -> Value,
    description: &'static str,
}

const fn header(
    component: &'static str,
    name: &'static str,
    is_required: bool,
    schema: fn() -> Value,
    description: &'static str,
) -> Header {
    Header { component, name, is_required, schema, description }
}

fn seconds() -> Value {
    json!({ "type": "integer", "minimum": 1 })
}

fn path() -> Value {
    json!({ "type": "string", "format": "uri-reference", "pattern": "^/" })
}

#[rustfmt::skip]
const HEADERS: [Header; 15] = [
    header("Allow", "Allow", true, schema::<shapes::Text>, "The methods that the path has."),
    header("CacheControl", "Cache-Control", true, schema::<shapes::Text>,
        "Stock is live and orders are private: answers are not to be kept on the way."),
    header("ContentLanguage", "Content-Language", true, || json!({ "enum": ["en", "ko"] }),
        "The language of the title."),
    header("ETag", "ETag", true, schema::<shapes::Text>, "Names this state, for `If-None-Match`."),
    header("ETagIfAny", "ETag", false, schema::<shapes::Text>,
        "Names this state, for `If-None-Match`; absent as long as there is no order."),
    header("IdempotencyKey", "Idempotency-Key", true, schema::<shapes::KeyText>,
        "The key of the write: yours, or the one that was made."),
    header("IdempotencyKeyIfAny", "Idempotency-Key", false, schema::<shapes::KeyText>,
        "The key of the write, if it came to be one."),
    header("Location", "Location", true, path, "Where to look for the outcome."),
    header("LocationIfAny", "Location", false, path, "The order that it is about, if any."),
    header("PreferenceApplied", "Preference-Applied", false, schema::<shapes::Text>,
        "The preference that was followed, if any."),
    header("RetryAfter", "Retry-After", true, seconds, "Try again after so many seconds."),
    header("RetryAfterIfAny", "Retry-After", false, seconds,
        "With `ORDER_NOT_READY`: try again after so many seconds."),
    header("TraceId", "Trace-Id", true, schema::<shapes::TraceId>,
        "The trace of your `traceparent` header, or one that was begun here."),
    header("Vary", "Vary", true, schema::<shapes::Text>, "`Prefer`"),
    header("VaryIfAny", "Vary", false, schema::<shapes::Text>, "`Prefer`, if it came to be a write."),
];

/// All headers of answers.
pub(super) fn headers() -> Map<String, Value> {
    let header = |header: &Header| {
        let Header { component, is_required, schema, description, .. } = header;
        let value =
            json!({ "description": description, "required": is_required, "schema": schema() });
        ((*component).to_owned(), value)
    };
    HEADERS.iter().map(header).collect()
}

/// The name that a header has on the wire.
pub(super) fn header_name(component: &str) -> &'static str {
    let header = HEADERS.iter().find(|header| header.component == component);
    header.expect("the document uses headers of the table only").name
}
