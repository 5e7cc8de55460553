//! A shop of several processes on real servers: an API, an analyzer, and processes with lanes that
//! come and go.

use crate::{
    ground::{self, flag, value_at},
    shop::{COULD_NOT_RUN, Client, Shop, binary, fresh_dir, verify_where},
    writes::{Ledger, PRODUCTS, STOCK, USERS, check_sums, spawn_writer},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    sync::{Mutex, MutexGuard},
    task::JoinHandle,
};

/// Writers of the load.
const WRITERS: u64 = 8;
/// Lanes of each role: more than processes, so that each has some.
pub(crate) const LANES: &str = "4";
/// How long a fleet may take to answer everything that was asked.
const PATIENCE: Duration = Duration::from_secs(120);
/// And for each of many writes on top of that: a machine may be busy.
const PATIENCE_A_WRITE: Duration = Duration::from_millis(20);

/// Fleets share two cores and one broker: one after the other.
static ALONE: Mutex<()> = Mutex::const_new(());

/// How processes end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    /// SIGTERM, and exit code 0.
    Drained,
    /// SIGKILL.
    Killed,
}

/// See the module.
pub(crate) struct Fleet {
    _alone: MutexGuard<'static, ()>,
    data: TempDir,
    cluster: Vec<String>,
    pub(crate) api: Shop,
    analyzer: Shop,
    pub(crate) processors: Vec<Shop>,
    pub(crate) ledger: Arc<Ledger>,
    writers: Vec<JoinHandle<()>>,
}

impl Fleet {
    /// Starts one with so many processes for lanes, on the tests' servers, and fills it with users
    /// and products.
    pub(crate) async fn start(processors: usize) -> Self {
        let data = fresh_dir();
        let cluster = ground::cluster_flags(data.path());
        Self::start_on(data, cluster, processors).await
    }

    /// The same with one server of the test's own, by its flag.
    pub(crate) async fn start_with(flag: &str, address: &str, processors: usize) -> Self {
        let data = fresh_dir();
        let mut cluster = ground::cluster_flags(data.path());
        let at = value_at(&cluster, flag);
        cluster[at] = address.to_owned();
        Self::start_on(data, cluster, processors).await
    }

    /// The same on the servers that these flags name.
    async fn start_on(data: TempDir, cluster: Vec<String>, processors: usize) -> Self {
        let alone = ALONE.lock().await;
        ground::make(data.path(), &cluster, LANES);
        let (processors, api, analyzer) = spawn_all(&cluster, processors).await;
        let fleet = Self {
            _alone: alone,
            data,
            cluster,
            api,
            analyzer,
            processors,
            ledger: Arc::default(),
            writers: Vec::new(),
        };
        let client = fleet.client();
        for product in 1..=PRODUCTS {
            client.product(product, 10 * product.cast_signed(), STOCK).await;
        }
        for user in 1..=USERS {
            client.user(user).await;
        }
        fleet
    }

    pub(crate) fn client(&self) -> Client {
        self.api.client()
    }

    /// The value of a flag that names a part of the cluster.
    pub(crate) fn flag(&self, name: &str) -> String {
        flag(&self.cluster, name)
    }

    /// What the processes for lanes say of a metric, by its labels.
    pub(crate) async fn metric(&self, name: &str) -> BTreeMap<String, f64> {
        let mut found = BTreeMap::new();
        for process in &self.processors {
            let answer = reqwest::get(format!("{}/metrics", process.url)).await.expect("metrics");
            for line in answer.text().await.expect("text").lines() {
                if let Some(rest) = line.strip_prefix(name)
                    && let Some((labels, value)) = rest.rsplit_once(' ')
                    && labels.starts_with('{')
                {
                    let value: f64 = value.parse().expect("a number");
                    *found.entry(labels.to_owned()).or_default() += value;
                }
            }
        }
        found
    }

    /// Another process for lanes; it may not be ready yet.
    pub(crate) async fn join(&mut self) {
        self.processors.push(spawn("process", &self.cluster).await);
    }

    /// The flags that name the cluster.
    pub(crate) fn flags(&self) -> &[String] {
        &self.cluster
    }

    /// Waits until every process says that it can work.
    pub(crate) async fn until_ready(&self) {
        for process in self.processors.iter().chain([&self.api, &self.analyzer]) {
            process.until_ready().await;
        }
    }

    /// Ends every process, does something while none runs, and starts as many anew.
    pub(crate) async fn renew(self, ending: Ending, meanwhile: impl AsyncFnOnce()) -> Self {
        self.ledger.is_over.store(true, Ordering::Relaxed);
        let Self { _alone, data, cluster, api, analyzer, processors, ledger, writers } = self;
        let count = processors.len();
        for process in processors.into_iter().chain([api, analyzer]) {
            end_one(process, ending);
        }
        for writer in writers {
            writer.await.expect("a writer");
        }
        meanwhile().await;
        let (processors, api, analyzer) = spawn_all(&cluster, count).await;
        Self { _alone, data, cluster, api, analyzer, processors, ledger, writers: Vec::new() }
    }

    /// Starts the load.
    pub(crate) fn load(&mut self) {
        self.ledger.is_over.store(false, Ordering::Relaxed);
        let client = self.client();
        self.writers = (0..WRITERS).map(|_| spawn_writer(&client, &self.ledger)).collect();
    }

    /// Ends the load, asks everything again that has no answer, and holds the answers against
    /// wallets and stocks, and the whole shop to its invariants.
    pub(crate) async fn settle(&mut self) -> Value {
        self.ledger.is_over.store(true, Ordering::Relaxed);
        for writer in self.writers.drain(..) {
            writer.await.expect("a writer");
        }
        let client = self.client();
        self.ledger.complete(&client).await;
        let asked = self.ledger.unanswered.lock().expect("lock").len();
        let each = PATIENCE_A_WRITE * u32::try_from(asked).expect("not that many");
        let end = Instant::now() + PATIENCE + each;
        while !self.ledger.unanswered.lock().expect("lock").is_empty() {
            assert!(Instant::now() < end, "some writes get no answer");
            self.ledger.ask_again(&client).await;
        }
        check_sums(&self.ledger, &client).await;
        self.verify(&[])
    }

    /// The same, and asks again whatever was answered, too: every answer must be the same.
    pub(crate) async fn settle_all(&mut self) -> Value {
        let answered: Vec<u64> =
            self.ledger.answered.lock().expect("lock").keys().copied().collect();
        self.ledger.unanswered.lock().expect("lock").extend(answered);
        self.settle().await
    }

    /// Ends every process well, and proves what is left.
    pub(crate) fn end(mut self) -> Value {
        let processes = std::mem::take(&mut self.processors);
        let Self { data, cluster, api, analyzer, _alone, .. } = self;
        for process in [api, analyzer].into_iter().chain(processes) {
            end_one(process, Ending::Drained);
        }
        let report = verify(&cluster, &["--drained"]);
        drop(data);
        report
    }

    /// The exit code of `jupan verify` beside the running fleet, and its report.
    #[cfg(feature = "planted-bugs")]
    pub(crate) fn verdict(&self) -> (Option<i32>, Value) {
        verify_where(&self.cluster)
    }

    /// What `jupan verify` says beside the running fleet; panics unless it is green.
    pub(crate) fn verify(&self, args: &[&str]) -> Value {
        verify(&self.cluster, args)
    }
}

/// So many processes for lanes, an API and an analyzer, all of them ready.
async fn spawn_all(cluster: &[String], lanes: usize) -> (Vec<Shop>, Shop, Shop) {
    let mut processors = Vec::new();
    for _ in 0..lanes {
        processors.push(spawn("process", cluster).await);
    }
    let (api, analyzer) = (spawn("api", cluster).await, spawn("analyze", cluster).await);
    for process in processors.iter().chain([&api, &analyzer]) {
        process.until_ready().await;
    }
    (processors, api, analyzer)
}

fn end_one(process: Shop, ending: Ending) {
    match ending {
        Ending::Killed => process.kill(),
        Ending::Drained => {
            let (status, took) = process.terminate();
            assert!(status.success(), "{status} after {took:?}");
        }
    }
}

pub(crate) async fn spawn(role: &str, cluster: &[String]) -> Shop {
    let child = Command::new(binary())
        .arg(role)
        .args(["--listen", "127.0.0.1:0", "--trace", "warn"])
        .args(cluster)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    Shop::listening(child).await
}

fn verify(cluster: &[String], args: &[&str]) -> Value {
    let args = args.iter().map(|arg| (*arg).to_owned());
    let flags: Vec<String> = cluster.iter().cloned().chain(args).collect();
    let end = Instant::now() + PATIENCE;
    let (code, report) = loop {
        let (code, report) = verify_where(&flags);
        // Beside other load a server may not answer in time.
        if code != Some(COULD_NOT_RUN) || Instant::now() >= end {
            break (code, report);
        }
        println!("verify could not run: {report}");
    };
    assert_eq!(code, Some(0), "{report:#}");
    report
}
