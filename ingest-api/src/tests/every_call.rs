//! Every documented answer is provoked: each call, each of its statuses, each of its codes.

use super::{
    contract::Met,
    documented::{CONTRACT, assert_documented},
    lane::{Asked, Hand, order_row, outcome, outcome_row, product_row, user_row},
    moody::Mood,
    rig::{Reply, Rig},
};
use crate::{Limits, openapi::samples::KEYS};
use axum::{
    body::{Body, HttpBody},
    http::{Request, header},
};
use bytes::Bytes;
use hyper::body::Frame;
use jupan_log::memory::Fault;
use jupan_schemas::{
    Code, CommandId, Fingerprint, Money, OrderId, OrderStatus, Outcome, Payment, PlaceOrder,
    ProductId, Role, UserCommand, UserId, UserPayload,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    convert::Infallible,
    pin::Pin,
    sync::atomic::Ordering,
    task::{Context, Poll},
};
use tokio::join;

/// What no test can bring about: these pages have nothing in them that can panic.
const NEVER: [(&str, &str); 4] = [
    ("GET /", "INTERNAL"),
    ("GET /docs", "INTERNAL"),
    ("GET /metrics", "INTERNAL"),
    ("GET /openapi.json", "INTERNAL"),
];

/// The HTTP library's own answer, before there is a request: see the tests over sockets.
const HEADERS_TOO_LARGE: u16 = 431;

#[tokio::test]
async fn every_documented_answer_is_given() {
    let mut missing = BTreeSet::new();
    let mut operations = BTreeSet::new();
    for promise in CONTRACT.promised() {
        let code = promise.code.as_deref().unwrap_or_default();
        if promise.status == HEADERS_TOO_LARGE || NEVER.contains(&(&promise.operation, code)) {
            continue;
        }
        let call = Call::example(&promise.operation);
        let reply = provoke(call, &promise).await;
        let (status, given) = (reply.status.as_u16(), reply.text_of("code"));
        let given = if promise.code.is_some() { given } else { "" };
        if (status, given) == (promise.status, code) {
            operations.insert(promise.operation);
        } else {
            missing.insert(format!("{promise:?}, but {status} {given}: {}", reply.text));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    let all: BTreeSet<_> = CONTRACT.operations().map(|(name, _)| name).collect();
    assert_eq!(operations, all, "every call was called");
}

/// A request as the document's examples have it.
struct Call {
    operation: String,
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    knows_caller: bool,
}

impl Call {
    fn example(operation: &str) -> Self {
        let (method, path) = operation.split_once(' ').expect("a method and a path");
        let (_, content) =
            CONTRACT.operations().find(|(name, _)| name == operation).expect("an operation");
        let (mut uri, mut separator) = (path.to_owned(), '?');
        let (mut headers, mut knows_caller) = (Vec::new(), false);
        for parameter in CONTRACT.parameters(content) {
            let name = parameter["name"].as_str().expect("a name");
            knows_caller |= name == "X-User-Id";
            if parameter["required"] != true {
                continue;
            }
            let value = example_of(parameter);
            match parameter["in"].as_str() {
                Some("path") => uri = uri.replace(&format!("{{{name}}}"), &value),
                Some("query") => {
                    uri = format!("{uri}{separator}{name}={value}");
                    separator = '&';
                }
                _ => headers.push((name.to_lowercase(), value)),
            }
        }
        let examples = content.pointer("/requestBody/content/application~1json/examples");
        let body = examples.map(|all| first(all)["value"].to_string());
        if body.is_some() {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let (operation, method) = (operation.to_owned(), method.to_owned());
        Self { operation, method, uri, headers, body, knows_caller }
    }

    fn is_write(&self) -> bool {
        self.method != "GET"
    }

    /// The same with this header instead of its own.
    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with more in its query.
    fn asking(mut self, pair: &str) -> Self {
        let separator = if self.uri.contains('?') { '&' } else { '?' };
        self.uri = format!("{}{separator}{pair}", self.uri);
        self
    }

    fn saying(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }

    fn request<B>(&self, body: B) -> Request<B> {
        let request = Request::builder().method(&*self.method).uri(&self.uri);
        let headers = self.headers.iter();
        let request = headers.fold(request, |request, (name, value)| request.header(name, value));
        request.body(body).expect("a request")
    }

    async fn send(&self, rig: &Rig) -> Reply {
        rig.send_request(self.request(self.body.clone().unwrap_or_default())).await
    }
}

fn first(examples: &Value) -> &Value {
    examples.as_object().and_then(|all| all.values().next()).expect("an example")
}

fn example_of(parameter: &Value) -> String {
    let example = match parameter.get("examples") {
        Some(examples) => &first(examples)["value"],
        None => &parameter["example"],
    };
    example.as_str().map_or_else(|| example.to_string(), str::to_owned)
}

fn quick() -> Limits {
    Limits { absent_wait_ms: 5, look_interval_ms: 1, body_timeout_ms: 20, ..Limits::default() }
}

/// A shop with what the examples are about.
fn stocked(limits: Limits) -> (Rig, Hand, Hand) {
    let rig = Rig::with(limits, true);
    let (mut users, mut products) =
        (Hand::open(&rig, Role::Users), Hand::open(&rig, Role::Products));
    users.apply(user_row(1, 700));
    users.apply(user_row(1001, 0));
    products.apply(product_row(101, 500, 9));
    for key in KEYS {
        let asked = placed(key);
        let told = Outcome { order_id: Some(OrderId::of(UserId(1), key)), ..outcome(Code::Ok) };
        users.apply(order_row(&asked, OrderStatus::Success, Some(told)));
    }
    (rig, users, products)
}

/// The command that placed an order.
fn placed(key: &str) -> Asked<UserCommand> {
    let wish = PlaceOrder { items: Vec::new(), from_cart: true, payment: Payment::Now };
    let command = UserCommand {
        user_id: UserId(1),
        key: key.to_owned(),
        created_at: super::rig::NOW,
        occurred_at: None,
        actor: "user:1".to_owned(),
        trace_id: None,
        reply_to: None,
        payload: UserPayload::PlaceOrder(wish),
    };
    let id = CommandId::of(Role::Users, 1, key);
    Asked { id, position: 0, fingerprint: Fingerprint([0; 16]), command }
}

async fn provoke(call: Call, promise: &Met) -> Reply {
    let Some(code) = &promise.code else { return succeed(call, promise.status).await };
    let code = *Code::ALL.iter().find(|known| known.as_str() == code).unwrap_or(&Code::Unknown);
    if let Some(reply) = break_down(&call, code).await {
        return reply;
    }
    if call.operation == "GET /order/{id}" && code != Code::OrderNotFound {
        if let Some(call) = malform(Call::example(&call.operation), code) {
            return call.send(&stocked(quick()).0).await;
        }
        return refused_before(call, code).await;
    }
    match malform(Call::example(&call.operation), code) {
        Some(call) => call.send(&stocked(quick()).0).await,
        None if call.is_write() => told(call, code).await,
        // Nothing is there.
        None => call.send(&Rig::with(quick(), true)).await,
    }
}

async fn succeed(call: Call, status: u16) -> Reply {
    match status {
        202 => call.with("prefer", "respond-async").send(&stocked(quick()).0).await,
        304 => {
            let (rig, ..) = stocked(quick());
            let call = if call.uri == "/" { call.with("accept", "text/html") } else { call };
            let tag = call.send(&rig).await.header("etag").to_owned();
            call.with("if-none-match", &tag).send(&rig).await
        }
        _ if call.is_write() => told(call, Code::Ok).await,
        _ => {
            let (rig, ..) = stocked(quick());
            rig.health.is_ready.store(true, Ordering::SeqCst);
            call.send(&rig).await
        }
    }
}

/// The lane gives this outcome.
async fn told(call: Call, code: Code) -> Reply {
    let (rig, mut users, mut products) = stocked(quick());
    let order_id = Some(OrderId::of(UserId(1), KEYS[0]));
    let is_of_product = call.uri.starts_with("/products");
    let mut outcome = Outcome { order_id, balance: Some(Money(700)), ..outcome(code) };
    if is_of_product {
        outcome = Outcome { product_id: Some(ProductId(101)), order_id: None, ..outcome };
    }
    let play = async {
        if is_of_product {
            let asked = products.product_command().await;
            products.answer(asked.command.reply_to, (asked.id, asked.position), outcome);
        } else {
            let asked = users.user_command().await;
            users.answer(asked.command.reply_to, (asked.id, asked.position), outcome);
        }
    };
    let call = call.with("prefer", "wait=5");
    join!(call.send(&rig), play).0
}

/// The order was refused before it became one.
async fn refused_before(call: Call, code: Code) -> Reply {
    let rig = Rig::with(quick(), true);
    let mut hand = Hand::open(&rig, Role::Users);
    let place = Call::example("POST /order").with("idempotency-key", KEYS[0]);
    assert_eq!(place.send(&rig).await.status, 202);
    let asked = hand.user_command().await;
    hand.apply(outcome_row(asked.id, asked.fingerprint, outcome(code)));
    hand.project_until(1);
    call.asking("at=0").send(&rig).await
}

/// The request in a form that is refused for this code, where its form can be to blame.
fn malform(call: Call, code: Code) -> Option<Call> {
    let first_pair = call.uri.split_once('?').map(|(_, query)| query.to_owned());
    Some(match code {
        Code::UnknownField => call.asking("nonsense=1"),
        Code::Malformed if call.body.is_some() => call.saying("{"),
        Code::Malformed => match first_pair {
            Some(pair) => call.asking(&pair),
            None if call.uri.ends_with("/top") => call.asking("days=x"),
            None if call.uri == "/products" => call.asking("limit=1&limit=1"),
            None => call.asking("at=x"),
        },
        Code::InvalidId if call.knows_caller => call.with("x-user-id", "x"),
        Code::InvalidId => Call { uri: "/products/x".to_owned(), ..call },
        Code::InvalidCursor => call.asking("cursor=x"),
        Code::InvalidTime if !call.is_write() => call.asking("asOf=x"),
        Code::InvalidKey => call.with("idempotency-key", ""),
        Code::UserMismatch => call.with("x-user-id", "2"),
        Code::PayloadTooLarge => call.saying(&" ".repeat(100_000)),
        Code::UnsupportedMediaType => call.with("content-type", "text/plain"),
        _ => return None,
    })
}

/// The code of a shop that is not well, or of a request that does not come.
async fn break_down(call: &Call, code: Code) -> Option<Reply> {
    let limits = Limits { in_flight_max: usize::from(code != Code::TooManyRequests), ..quick() };
    let (rig, ..) = stocked(limits);
    rig.health.is_ready.store(true, Ordering::SeqCst);
    match code {
        Code::TooManyRequests => {}
        Code::Unavailable => {
            rig.health.is_failed.store(true, Ordering::SeqCst);
            *rig.mood.lock() = Mood::Broken;
        }
        Code::Internal => {
            rig.health.panics.store(true, Ordering::SeqCst);
            *rig.mood.lock() = Mood::Panics;
        }
        Code::OutcomeUnknown => rig.log.fail_next(Fault::AppendUnknown { happened: true }),
        Code::Timeout => return Some(stuck(call, &rig).await),
        _ => return None,
    }
    Some(call.send(&rig).await)
}

/// A body that never comes.
struct Stuck;

impl HttpBody for Stuck {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

async fn stuck(call: &Call, rig: &Rig) -> Reply {
    let request = call.request(Body::new(Stuck));
    let (sent, body) = request.into_parts();
    let reply = rig.answer(Request::from_parts(sent.clone(), body)).await;
    assert_documented(&sent, None, &reply);
    assert_eq!(reply.header(header::CONNECTION.as_str()), "close");
    reply
}
