//! A shop without lanes: the API over the memory log and store.

use super::{
    documented::assert_documented,
    moody::{Mood, Moody},
};
use crate::{Api, Health, Limits, Ports, Top};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode},
};
use http_body_util::BodyExt;
use jupan_analytics::{DAYS_MAX, TopAnswer, TopError, TopQuery};
use jupan_log::{
    Log, ManualClock,
    memory::{MemoryLog, Options},
};
use jupan_schemas::{Micros, Money, ProductId, SchemaIds, TopProduct, TopicId, Units};
use jupan_store::memory::MemoryStore;
use parking_lot::Mutex;
use serde_json::Value;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tower::ServiceExt;

/// The time of every test, until it moves the clock: 2025-01-01T00:00:00Z.
pub(super) const NOW: Micros = Micros(1_735_689_600_000_000);

pub(super) const ORDER: &str = r#"{"userId":1,"items":[{"productId":10,"quantity":2}]}"#;

#[derive(Default)]
pub(super) struct TestHealth {
    pub(super) is_failed: AtomicBool,
    pub(super) is_ready: AtomicBool,
    pub(super) panics: AtomicBool,
}

impl Health for TestHealth {
    fn failure(&self) -> Option<String> {
        assert!(!self.panics.load(Ordering::SeqCst), "the test asked for a panic");
        self.is_failed.load(Ordering::SeqCst).then(|| "the test says so".to_owned())
    }

    fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::SeqCst)
    }
}

/// Two products, whatever the window.
struct TwoProducts;

impl Top for TwoProducts {
    fn top(&self, query: &TopQuery) -> Result<TopAnswer, TopError> {
        if !(1..=DAYS_MAX).contains(&query.days) {
            return Err(TopError::Days);
        }
        let as_of = query.as_of.unwrap_or(NOW);
        if as_of > NOW {
            return Err(TopError::Future { now: NOW });
        }
        let rank = |rank, id| TopProduct {
            rank,
            product_id: ProductId(id),
            units: Units(9),
            amount: Money(900),
        };
        let window_from = as_of.plus(-i64::from(query.days) * Micros::DAY);
        Ok(TopAnswer {
            products: vec![rank(1, 10), rank(2, 99)],
            window_from,
            window_to: as_of,
            as_of,
        })
    }
}

pub(super) struct Rig {
    pub(super) log: MemoryLog,
    pub(super) clock: Arc<ManualClock>,
    pub(super) store: Arc<MemoryStore>,
    pub(super) mood: Arc<Mutex<Mood>>,
    pub(super) health: Arc<TestHealth>,
    pub(super) router: Router,
    pub(super) api: Api,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(Limits::default(), true)
    }

    pub(super) fn with(limits: Limits, auto_sync: bool) -> Self {
        Self::with_queue(limits, auto_sync, 100_000)
    }

    /// Over a log that has so many bytes waiting to become durable at most; one record always fits.
    pub(super) fn with_queue(limits: Limits, auto_sync: bool, queue_bytes_max: usize) -> Self {
        let options = Options { lanes: 1, auto_sync, queue_bytes_max, ..Options::default() };
        let clock = Arc::new(ManualClock::at(NOW));
        let log = MemoryLog::new(options, Arc::clone(&clock) as _);
        let (store, mood) = (Arc::new(MemoryStore::new()), Arc::default());
        let health = Arc::new(TestHealth::default());
        let ports = Ports {
            log: Arc::new(log.clone()),
            store: Arc::new(Moody { store: Arc::clone(&store), mood: Arc::clone(&mood) }),
            top: Arc::new(TwoProducts),
            health: Arc::clone(&health) as _,
            render_metrics: Arc::new(|| "# metrics\n".to_owned()),
            schema_ids: Arc::new(SchemaIds::embedded()),
            base_url: "http://127.0.0.1:8080".to_owned(),
            is_demo: false,
        };
        let api = Api::open(ports, limits).expect("the memory log has results");
        Self { log, clock, store, mood, health, router: api.router(), api }
    }

    /// How many commands there are.
    pub(super) fn appended(&self) -> u64 {
        let end = |topic| self.log.bounds(topic, 0).expect("a topic").end;
        end(TopicId::UserCommands) + end(TopicId::ProductCommands)
    }

    pub(super) async fn get(&self, uri: &str) -> Reply {
        self.send(Method::GET, uri, &[], "").await
    }

    pub(super) async fn post(&self, uri: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.send(Method::POST, uri, headers, body).await
    }

    pub(super) async fn send(
        &self,
        method: Method,
        uri: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(uri);
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send_request(request.body(body.to_owned()).expect("a request")).await
    }

    /// Every answer is held to the API's document.
    pub(super) async fn send_request(&self, request: Request<String>) -> Reply {
        let (sent, sent_body) = request.into_parts();
        let request = Request::from_parts(sent.clone(), Body::from(sent_body.clone()));
        let reply = self.answer(request).await;
        assert_documented(&sent, Some(sent_body), &reply);
        reply
    }

    pub(super) async fn answer(&self, request: Request<Body>) -> Reply {
        let Ok(response) = self.router.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body in memory").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Reply { status: parts.status, headers: parts.headers, text, json }
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
    pub(super) json: Value,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub(super) fn text_of(&self, field: &str) -> &str {
        self.json[field].as_str().unwrap_or_default()
    }

    /// Status and code of a problem; no code where it is none.
    #[track_caller]
    pub(super) fn problem(&self) -> (u16, &str) {
        if self.header("content-type") == "application/problem+json" {
            assert_eq!(self.json["status"], self.status.as_u16(), "{self:?}");
            assert_eq!(self.text_of("traceId"), self.header("trace-id"), "{self:?}");
            assert!(!self.text_of("title").is_empty(), "{self:?}");
        }
        (self.status.as_u16(), self.text_of("code"))
    }
}
