//! A shop as a process of its own, and a client of it.

use crate::{
    contract::{self, Contract, Sent},
    ground,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::OnceCell;

/// Longest time for a shop to start or to drain before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// The exit code of a call that could not be run.
pub(crate) const COULD_NOT_RUN: i32 = 3;

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("JUPAN_BIN").map_or_else(|| env!("CARGO_BIN_EXE_jupan").into(), PathBuf::from)
}

/// A fresh data directory that goes with the test.
pub(crate) fn fresh_dir() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("jupan-it-").tempdir().expect("a temporary directory")
}

/// A running shop; killed when dropped.
pub(crate) struct Shop {
    child: Child,
    pub(crate) url: String,
}

impl Shop {
    /// Starts a shop on a free port and waits until it is ready.
    pub(crate) async fn start(data: &Path, args: &[&str]) -> Self {
        Self::start_by(Command::new(binary()), data, args).await
    }

    /// The same by a command of the test's choice, which is or becomes the binary.
    pub(crate) async fn start_by(command: Command, data: &Path, args: &[&str]) -> Self {
        let shop = Self::listening(spawn(command, data, args)).await;
        shop.until_ready().await;
        shop
    }

    /// Starts a shop on a free port; it listens, and may not be ready yet.
    pub(crate) async fn start_listening(data: &Path) -> Self {
        Self::listening(spawn(Command::new(binary()), data, &[])).await
    }

    /// Starts a shop, and kills it wherever it is after so long.
    pub(crate) async fn start_and_kill(data: &Path, after: Duration) {
        let mut child = spawn(Command::new(binary()), data, &[]);
        tokio::time::sleep(after).await;
        child.kill().expect("it was running");
        child.wait().expect("it ends");
    }

    /// A process that says its address on its first line.
    pub(crate) async fn listening(mut child: Child) -> Self {
        let stdout = child.stdout.take().expect("piped");
        let (send, receive) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            let url = first.split_whitespace().find_map(|word| {
                word.starts_with("http://").then(|| word.trim_end_matches(',').to_owned())
            });
            drop(send.send(url));
            lines.for_each(drop);
        });
        let url = tokio::time::timeout(PATIENCE, receive).await.expect("the shop starts in time");
        let Some(url) = url.ok().flatten() else {
            let status = child.wait().expect("it ended");
            panic!("the shop ended at its start: {status}");
        };
        Self { child, url }
    }

    /// Waits until it is.
    pub(crate) async fn until_ready(&self) {
        let client = reqwest::Client::new();
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let answer = client.get(format!("{}/readyz", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the shop is not ready in time");
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url)
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it ends by itself.
    pub(crate) async fn until_ended(mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the shop does not end");
    }

    /// SIGKILL, at once.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it was running");
        self.child.wait().expect("it ends");
    }

    /// SIGTERM, and what came of it.
    pub(crate) fn terminate(mut self) -> (ExitStatus, Duration) {
        let start = Instant::now();
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return (status, start.elapsed());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the shop does not drain in time");
    }
}

fn spawn(mut command: Command, data: &Path, args: &[&str]) -> Child {
    let is_told_where = args.contains(&"--listen");
    command
        .args(if is_told_where { &[][..] } else { &["--listen", "127.0.0.1:0"][..] })
        .args(["--trace", "warn"])
        .args(ground::flags(data, args))
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

impl Drop for Shop {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// A client that keeps connections.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    /// What the shop promises; asked for once.
    contract: Arc<OnceCell<Arc<Contract>>>,
}

impl Client {
    /// A client of the shop at this URL.
    pub(crate) fn new(url: &str) -> Self {
        Self { http: reqwest::Client::new(), url: url.to_owned(), contract: Arc::default() }
    }

    /// A GET; panics if there is no answer.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let request = self.http.get(format!("{}{path}", self.url));
        self.read(request).await.expect("an answer")
    }

    /// A GET; `Err` if there is no answer.
    pub(crate) async fn try_get(&self, path: &str) -> Result<Answer, reqwest::Error> {
        self.read(self.http.get(format!("{}{path}", self.url))).await
    }

    /// A write with a key, waiting for its outcome; `Err` if there is no answer.
    pub(crate) async fn try_write(
        &self,
        method: reqwest::Method,
        path: &str,
        key: &str,
        prefer: &str,
        body: &Value,
    ) -> Result<Answer, reqwest::Error> {
        let request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .header("Idempotency-Key", key)
            .header("Prefer", prefer)
            .json(body);
        self.read(request).await
    }

    /// Sends a request. Every answer is held to the document of the shop.
    async fn read(&self, request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
        let contract =
            self.contract.get_or_try_init(|| contract::of(&self.http, &self.url)).await?;
        let request = request.build()?;
        let sent = Sent::of(&request);
        let answer = self.http.execute(request).await?;
        let status = answer.status().as_u16();
        let location = answer.headers().get("location");
        let location = location.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let text = sent.checked(contract, answer).await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status, location, body })
    }

    /// A POST with a key, waiting for its outcome.
    pub(crate) async fn post(&self, path: &str, key: &str, body: Value) -> Answer {
        self.try_write(reqwest::Method::POST, path, key, "wait=30", &body).await.expect("an answer")
    }

    /// A PATCH with a key, waiting for its outcome.
    pub(crate) async fn patch(&self, path: &str, key: &str, body: Value) -> Answer {
        self.try_write(reqwest::Method::PATCH, path, key, "wait=30", &body)
            .await
            .expect("an answer")
    }

    /// A DELETE with a key, waiting for its outcome.
    pub(crate) async fn delete(&self, path: &str, key: &str) -> Answer {
        let request = self
            .http
            .delete(format!("{}{path}", self.url))
            .header("Idempotency-Key", key)
            .header("Prefer", "wait=30");
        self.read(request).await.expect("an answer")
    }

    pub(crate) async fn user(&self, id: u64) {
        let body =
            json!({"id": id, "name": format!("User {id}"), "email": format!("u{id}@example.org")});
        self.register("/users", &format!("user-{id}"), body).await;
    }

    pub(crate) async fn charge(&self, user: u64, key: &str, amount: i64) -> Answer {
        self.post("/balance/charge", key, json!({"userId": user, "amount": amount})).await
    }

    pub(crate) async fn product(&self, id: u64, price: i64, stock: i64) {
        let body =
            json!({"id": id, "name": format!("Product {id}"), "price": price, "stock": stock});
        self.register("/products", &format!("product-{id}"), body).await;
    }

    /// Asks again as long as servers beside other load keep the shop from deciding.
    async fn register(&self, path: &str, key: &str, body: Value) {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.post(path, key, body.clone()).await;
            let asks_again = [202, 503, 504].contains(&answer.status) && Instant::now() < end;
            if !asks_again {
                return assert_eq!(answer.status, 201, "{answer:?}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn order(&self, user: u64, key: &str, items: &[(u64, i64)]) -> Answer {
        self.post("/order", key, order_body(user, items)).await
    }

    pub(crate) async fn stock(&self, product: u64) -> i64 {
        self.get(&format!("/products/{product}")).await.body["stock"].as_i64().expect("a stock")
    }

    /// Waits until the stock is what it must become: stock follows its own lane, so an outcome of
    /// a user's lane may be known a moment earlier, and a refused order's units come back after it.
    pub(crate) async fn stock_becomes(&self, product: u64, expected: i64) {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let stock = self.stock(product).await;
            if stock == expected {
                return;
            }
            assert!(Instant::now() < end, "stock of {product} is {stock}, not {expected}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn balance(&self, user: u64) -> i64 {
        self.get(&format!("/balance?userId={user}")).await.body["balance"]
            .as_i64()
            .expect("a balance")
    }
}

pub(crate) fn order_body(user: u64, items: &[(u64, i64)]) -> Value {
    let items: Vec<Value> = items
        .iter()
        .map(|(product, quantity)| json!({"productId": product, "quantity": quantity}))
        .collect();
    json!({"userId": user, "items": items})
}

/// Runs `jupan verify` on a directory, whether its shop runs or not; panics with its report unless
/// it is green.
pub(crate) fn verify(data: &Path) -> Value {
    let (code, report) = verify_by(data, &[]);
    assert_eq!(code, Some(0), "{report:#}");
    report
}

/// The same on a directory whose shop has drained: its store must have everything.
pub(crate) fn verify_drained(data: &Path) -> Value {
    let (code, report) = verify_by(data, &["--drained"]);
    assert_eq!(code, Some(0), "{report:#}");
    report
}

/// The exit code of `jupan verify`, and its report.
pub(crate) fn verify_by(data: &Path, args: &[&str]) -> (Option<i32>, Value) {
    verify_where(&ground::flags(data, args))
}

/// The same of a shop that these flags name. Without a report there is what it said about that.
pub(crate) fn verify_where(flags: &[String]) -> (Option<i32>, Value) {
    let output = Command::new(binary())
        .args(["verify", "--json"])
        .args(flags)
        .output()
        .expect("verify runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = text.lines().last().unwrap_or_default();
    let (code, report) = (output.status.code(), serde_json::from_str(last));
    let report = match report {
        Err(_) if code == Some(COULD_NOT_RUN) => Value::String(errors),
        report => report.unwrap_or_else(|error| panic!("{error}: {text}\n{errors}")),
    };
    (code, report)
}
