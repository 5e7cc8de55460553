//! A small client of the shop's HTTP API, for the commands that drive a running shop from outside.
//!
//! Every write carries an idempotency key, so that it may be sent again whenever its answer is lost: the
//! shop does it once and repeats the first outcome. [`Client::insist`] rests on that.

use serde_json::Value;
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Longest time for a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time for a whole exchange; longer than any `Prefer: wait` that is sent from here.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the shop may take to decide before it answers 202.
const WAIT_SECONDS: u32 = 10;
/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// First pause before a request is sent again; it doubles up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(25);
/// Longest pause before a request is sent again, even where the shop asks for more.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Silence after which the operator is told that requests are being repeated.
const NOTICE_AFTER: Duration = Duration::from_secs(2);

/// The URL is none that a shop can be reached at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UrlError {
    /// It cannot be read.
    #[error("`{url}` is not a URL")]
    Unreadable {
        /// What was given.
        url: String,
        /// What the parser said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It is not plain HTTP.
    #[error("`{url}` is not an http:// URL; the shop itself speaks plain HTTP only")]
    NotHttp {
        /// What was given.
        url: String,
    },
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up")]
    Setup(#[source] reqwest::Error),
}

/// The shop gave no usable answer for longer than the patience lasts.
#[derive(Debug, thiserror::Error)]
#[error("no progress for {seconds} s at {path}; last: {reason}")]
pub(crate) struct Stalled {
    /// How long nothing got done.
    seconds: u64,
    /// Which call was being repeated.
    path: String,
    /// Why the last attempt did not count.
    reason: String,
}

/// A call of the API, ready to be sent any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    path: String,
    /// Key and JSON body of a write; absent: a read.
    write: Option<(String, String)>,
}

impl Request {
    /// A write with its idempotency key.
    pub(crate) fn post(path: &str, key: String, body: &Value) -> Self {
        Self { path: path.to_owned(), write: Some((key, body.to_string())) }
    }

    /// A read.
    pub(crate) fn get(path: &str) -> Self {
        Self { path: path.to_owned(), write: None }
    }
}

/// What the shop answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// The JSON body, or null where it is none.
    pub(crate) body: Value,
    /// Where to look for the outcome, of a 202.
    pub(crate) location: Option<String>,
    retry_after: Option<Duration>,
}

impl Answer {
    /// An answer that nobody sent.
    #[cfg(test)]
    pub(crate) fn new(status: u16, body: Value) -> Self {
        Self { status, body, location: None, retry_after: None }
    }

    /// The stable code of a problem.
    pub(crate) fn code(&self) -> Option<&str> {
        self.text("code")
    }

    /// A text field of the body.
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.body.get(field).and_then(Value::as_str)
    }

    /// Whether the shop took it, but has not decided.
    pub(crate) fn is_pending(&self) -> bool {
        self.status == 202
    }

    /// Nothing was decided, or nobody knows: the same request is sent again.
    fn is_retryable(&self) -> bool {
        matches!(self.status, 408 | 429 | 502 | 503 | 504)
    }

    /// `409 OUT_OF_STOCK`, for people.
    pub(crate) fn brief(&self) -> String {
        match self.code() {
            Some(code) => format!("{} {code}", self.status),
            None => self.status.to_string(),
        }
    }
}

/// How long the shop may go without getting anything done; shared by all requests of a run.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    start: Instant,
    /// Milliseconds from `start` to the last answer that brought the run forward.
    last_progress_ms: AtomicU64,
    noticed: AtomicBool,
}

impl Patience {
    /// Starts the watch.
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            start: Instant::now(),
            last_progress_ms: AtomicU64::new(0),
            noticed: AtomicBool::new(false),
        }
    }

    /// Something got done.
    pub(crate) fn progress(&self) {
        let now_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_progress_ms.store(now_ms, Ordering::Relaxed);
        self.noticed.store(false, Ordering::Relaxed);
    }

    fn idle(&self) -> Duration {
        let last = Duration::from_millis(self.last_progress_ms.load(Ordering::Relaxed));
        self.start.elapsed().saturating_sub(last)
    }

    /// Pauses before the next attempt, or gives up.
    pub(crate) async fn pause(
        &self,
        pauses: &mut Pauses,
        path: &str,
        reason: &str,
    ) -> Result<(), Stalled> {
        let idle = self.idle();
        if idle >= self.limit {
            let (path, reason) = (path.to_owned(), reason.to_owned());
            return Err(Stalled { seconds: idle.as_secs(), path, reason });
        }
        if idle >= NOTICE_AFTER && !self.noticed.swap(true, Ordering::Relaxed) {
            tracing::warn!(path, reason, "the shop gives no usable answer; trying again");
        }
        tokio::time::sleep(pauses.next().min(self.limit - idle)).await;
        Ok(())
    }
}

/// The pauses of one request: each twice as long as the one before, up to a cap.
#[derive(Debug)]
pub(crate) struct Pauses {
    next: Duration,
    /// What the shop asked for, once.
    asked: Option<Duration>,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { next: PAUSE_FIRST, asked: None }
    }
}

impl Pauses {
    fn next(&mut self) -> Duration {
        let own = self.next;
        self.next = (own * 2).min(PAUSE_MAX);
        self.asked.take().map_or(own, |asked| asked.max(own).min(PAUSE_MAX))
    }
}

/// A client of one shop, with kept connections. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    /// A client of the shop at `url`, which keeps up to `connections` idle connections.
    pub(crate) fn new(url: &str, connections: usize) -> Result<Self, UrlError> {
        let parsed = reqwest::Url::parse(url).map_err(|source| UrlError::Unreadable {
            url: url.to_owned(),
            source: source.into(),
        })?;
        if parsed.scheme() != "http" {
            return Err(UrlError::NotHttp { url: url.to_owned() });
        }
        // A proxy of the environment is for the world outside; the shop is next door.
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(EXCHANGE_TIMEOUT)
            .pool_max_idle_per_host(connections)
            .tcp_nodelay(true)
            .build()
            .map_err(UrlError::Setup)?;
        Ok(Self { http, base: url.trim_end_matches('/').to_owned() })
    }

    /// Sends once. An error means that no complete answer came, so whether the shop did it is unknown.
    pub(crate) async fn send(&self, request: &Request) -> Result<Answer, String> {
        let url = format!("{}{}", self.base, request.path);
        let call = match &request.write {
            Some((key, body)) => self
                .http
                .post(url)
                .header("idempotency-key", key)
                .header("content-type", "application/json")
                .body(body.clone()),
            None => self.http.get(url),
        };
        let call = call.header("prefer", format!("wait={WAIT_SECONDS}"));
        let mut response = call.send().await.map_err(|error| root_cause(&error))?;
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let location = header("location").filter(|path| path.starts_with('/'));
        let retry_after = header("retry-after").and_then(|text| text.parse().ok());
        let retry_after = retry_after.map(Duration::from_secs);
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| root_cause(&error))? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(format!("an answer of more than {ANSWER_BYTES_MAX} bytes"));
            }
            bytes.extend_from_slice(&chunk);
        }
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status, body, location, retry_after })
    }

    /// Sends again and again until there is an answer that sending again would not change; a 202 is one.
    /// Whether the answer is progress is the caller's to say.
    pub(crate) async fn insist(
        &self,
        request: &Request,
        patience: &Patience,
    ) -> Result<Answer, Stalled> {
        let mut pauses = Pauses::default();
        loop {
            let reason = match self.send(request).await {
                Ok(answer) if answer.is_retryable() => {
                    pauses.asked = answer.retry_after;
                    answer.brief()
                }
                Ok(answer) => return Ok(answer),
                Err(lost) => lost,
            };
            patience.pause(&mut pauses, &request.path, &reason).await?;
        }
    }

    /// Like [`insist`](Self::insist), but a 202 counts as no answer yet: the request, with its key, is
    /// sent again.
    pub(crate) async fn outcome(
        &self,
        request: &Request,
        patience: &Patience,
    ) -> Result<Answer, Stalled> {
        let mut pauses = Pauses::default();
        loop {
            let answer = self.insist(request, patience).await?;
            if !answer.is_pending() {
                patience.progress();
                return Ok(answer);
            }
            patience.pause(&mut pauses, &request.path, "202 and still pending").await?;
        }
    }
}

/// The innermost cause: `connection refused` tells more than the layers around it.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_urls_are_taken() {
        for (url, good) in [
            ("http://127.0.0.1:8080", true),
            ("http://shop.example/prefix/", true),
            ("https://shop.example", false),
            ("127.0.0.1:8080", false),
            ("", false),
        ] {
            assert_eq!(Client::new(url, 1).is_ok(), good, "{url}");
        }
    }

    #[test]
    fn pauses_double_up_to_a_cap_and_heed_the_shop() {
        let mut pauses = Pauses::default();
        let ms: Vec<_> = (0..9).map(|_| pauses.next().as_millis()).collect();
        assert_eq!(ms, [25, 50, 100, 200, 400, 800, 1600, 2000, 2000]);
        let mut pauses = Pauses { asked: Some(Duration::from_secs(1)), ..Pauses::default() };
        assert_eq!(pauses.next(), Duration::from_secs(1));
        assert_eq!(pauses.next(), Duration::from_millis(50));
        pauses.asked = Some(Duration::from_secs(3600));
        assert_eq!(pauses.next(), PAUSE_MAX);
    }
}
