//! A shop that is watched while it is maltreated: what it writes, what it says, what it takes.

use super::wire::{Reply, Request, Wire};
use crate::{
    ground,
    shop::{Client, Shop, binary, fresh_dir, order_body, verify},
};
use jupan_schemas::{CommandId, OrderId, Role, UserId};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Longer than the log waits before it marks its end.
const QUIET: Duration = Duration::from_millis(400);

/// The keys of two orders of user 1 that are to be paid, and never are unless a test does so.
pub(super) const TO_PAY: &str = "to-pay";
pub(super) const TO_CANCEL: &str = "to-cancel";

/// The order of user 1 under this key.
pub(super) fn order(key: &str) -> String {
    OrderId::of(UserId(1), key).to_string()
}

/// The command of user 1 under this key.
pub(super) fn command(key: &str) -> String {
    CommandId::of(Role::Users, 1, key).to_string()
}

/// A shop with users 1 and 2, product 1, and two orders to be paid.
pub(super) struct Watched {
    shop: Shop,
    pub(super) url: String,
    dir: TempDir,
    /// Its traces.
    said: PathBuf,
}

impl Watched {
    pub(super) async fn start(args: &[&str]) -> Self {
        Self::start_under("", args).await
    }

    /// Starts it after a line of shell that sets its circumstances.
    pub(super) async fn start_under(circumstances: &str, args: &[&str]) -> Self {
        let dir = fresh_dir();
        let said = dir.path().join("traces.txt");
        let mut command = under(circumstances);
        command.stderr(traces(&said));
        let shop = Shop::start_by(command, &dir.path().join("data"), args).await;
        let watched = Self { url: shop.url.clone(), shop, dir, said };
        watched.set_up().await;
        watched
    }

    async fn set_up(&self) {
        let client = self.client();
        client.user(1).await;
        client.user(2).await;
        for product in [1, 2] {
            client.product(product, 100, 1_000_000).await;
        }
        for key in ["funds", "more-funds"] {
            assert_eq!(client.charge(1, key, 1_000_000).await.status, 200);
        }
        for key in [TO_PAY, TO_CANCEL] {
            let mut body = order_body(1, &[(1, 3)]);
            body["payment"] = json!("later");
            assert_eq!(client.post("/order", key, body).await.status, 201);
        }
    }

    pub(super) fn client(&self) -> Client {
        self.shop.client()
    }

    pub(super) async fn wire(&self) -> Wire {
        Wire::to(&self.url).await
    }

    /// Its process.
    pub(super) fn id(&self) -> u32 {
        self.shop.id()
    }

    /// One request on a connection of its own.
    pub(super) async fn ask(&self, request: &Request) -> Reply {
        self.wire().await.ask(request).await.expect("an answer")
    }

    /// How many commands HTTP has handed to the log, whatever the log said.
    pub(super) async fn appends(&self) -> u64 {
        let metrics = self.client().get("/metrics").await.body;
        let lines = metrics.as_str().expect("text").lines();
        let appends = lines.filter(|line| line.starts_with("jupan_http_appends_total"));
        let count = |line: &str| line.rsplit(' ').next().and_then(|text| text.parse::<u64>().ok());
        appends.map(|line| count(line).expect("a count")).sum()
    }

    /// What the log holds, once nothing is written any more: its files, or its partitions' ends.
    pub(super) async fn quiet_log(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let written = || match ground::is_cluster() {
            true => ground::ends(&self.data()),
            false => files(&self.data().join("log")),
        };
        let mut before = written();
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            tokio::time::sleep(QUIET).await;
            let now = written();
            if now == before {
                return now;
            }
            assert!(Instant::now() < end, "the log does not come to rest");
            before = now;
        }
    }

    /// The most memory that it has had, in KiB.
    pub(super) fn memory_peak_kib(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// A figure of the kernel about the process.
    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a figure");
        line.split_whitespace().next().and_then(|text| text.parse().ok()).expect("a number")
    }

    /// How many files it has open.
    pub(super) fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id())).expect("it runs").count()
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// It serves, has said nothing of a panic or an error, drains, and verify is green; what verify
    /// found.
    pub(super) async fn end(self) -> Value {
        let data = self.data();
        let health = self.client().get("/healthz").await;
        assert_eq!((health.status, &health.body), (200, &json!({"status": "OK"})));
        assert_eq!(self.client().post("/cart/add", "last", cart(1)).await.status, 200);
        assert!(self.shop.terminate().0.success());
        check_traces(&self.said);
        verify(&data)["facts"].clone()
    }
}

/// The body that puts so many units of product 1 into user 1's cart.
pub(super) fn cart(quantity: i64) -> Value {
    json!({"userId": 1, "productId": 1, "quantity": quantity})
}

/// The binary, run by a shell that first sets the circumstances and then becomes it.
pub(super) fn under(circumstances: &str) -> Command {
    becoming(circumstances, "")
}

/// The same by another program, which takes the binary as its last arguments.
pub(super) fn becoming(circumstances: &str, program: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{circumstances}\nexec {program} \"$0\" \"$@\"");
    command.args(["-c", &script]).arg(binary());
    command
}

/// A file for what a program says.
pub(super) fn traces(path: &Path) -> File {
    File::options().create(true).append(true).open(path).expect("a file")
}

/// Nothing has panicked, and nothing was an error.
pub(super) fn check_traces(traces: &Path) {
    let said = fs::read_to_string(traces).expect("traces");
    for word in ["panicked", "ERROR", "RUST_BACKTRACE"] {
        assert!(!said.contains(word), "the shop said:\n{said}");
    }
}

/// Every file below a directory with its bytes.
pub(super) fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for found in fs::read_dir(dir).expect("a directory") {
        let path = found.expect("an entry").path();
        match path.is_dir() {
            true => all.append(&mut files(&path)),
            false => {
                // A file may be renamed while its directory is read.
                let bytes = fs::read(&path).unwrap_or_default();
                all.insert(path, bytes);
            }
        }
    }
    all
}
