//! What a test's shop runs on: its data directory, or, with `JUPAN_ENGINE=cluster`, topics and a
//! keyspace of its own on the servers that `jupan_servers` brings. The tests are the same.

use crate::shop::binary;
use jupan_log::{
    Log, SystemClock,
    embedded::EmbeddedLog,
    kafka::{self, KafkaLog},
};
use jupan_schemas::{Codec, SchemaIds, TopicId};
use scylla::client::session_builder::SessionBuilder;
use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

/// Lanes of each role where a test does not say.
const LANES: &str = "2";
/// Left in a data directory whose topics and tables are made.
const MARKER: &str = "cluster-is-made";

/// Whether shops run on a cluster.
pub(crate) fn is_cluster() -> bool {
    match std::env::var("JUPAN_ENGINE").as_deref() {
        Ok("cluster") => true,
        Ok("embedded") | Err(_) => false,
        Ok(other) => panic!("JUPAN_ENGINE is embedded or cluster, not {other}"),
    }
}

/// The flags that name a shop's place, and the test's own flags for it. What must be there before
/// its first start is made.
pub(crate) fn flags(data: &Path, args: &[&str]) -> Vec<String> {
    let data_flags = ["--data".to_owned(), data.display().to_string()];
    let args = args.iter().map(|arg| (*arg).to_owned());
    if !is_cluster() {
        return data_flags.into_iter().chain(args).collect();
    }
    let mut lanes = LANES.to_owned();
    let mut own = Vec::new();
    let mut args = args;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--lanes" => lanes = args.next().expect("--lanes has a value"),
            _ => own.push(arg),
        }
    }
    let cluster = cluster_flags(data);
    make(data, &cluster, &lanes);
    data_flags.into_iter().chain(cluster).chain(own).collect()
}

/// What the topics and the keyspace of this data directory's shop are called.
fn name(data: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    format!("it{:x}", hasher.finish())
}

/// What the topics of a shop of this name begin with.
fn prefix(name: &str) -> String {
    format!("{name}-")
}

/// The flags of a cluster that only this data directory's shop uses.
pub(crate) fn cluster_flags(data: &Path) -> Vec<String> {
    let name = name(data);
    let flag = |name: &str, value: String| [format!("--{name}"), value];
    [
        flag("kafka", jupan_servers::kafka()),
        flag("cql", jupan_servers::cql()),
        flag("registry", jupan_servers::registry()),
        flag("topic-prefix", prefix(&name)),
        flag("keyspace", name),
    ]
    .concat()
}

/// Makes topics and tables, once for a directory.
pub(crate) fn make(data: &Path, cluster: &[String], lanes: &str) {
    let marker = data.join(MARKER);
    if marker.exists() {
        return;
    }
    sweep();
    init(cluster, lanes);
    std::fs::create_dir_all(data).expect("a disk");
    std::fs::write(marker, "").expect("a disk");
    let [cql, keyspace] = ["cql", "keyspace"].map(|name| flag(cluster, name));
    MADE.lock().expect("nobody panics with it").push(Tables {
        data: data.to_owned(),
        cql,
        keyspace,
    });
}

/// The value of a flag that names a part of a cluster.
pub(crate) fn flag(cluster: &[String], name: &str) -> String {
    cluster[value_at(cluster, name)].clone()
}

/// Where it stands among the flags.
pub(crate) fn value_at(cluster: &[String], name: &str) -> usize {
    let at = cluster.iter().position(|flag| flag.strip_prefix("--") == Some(name));
    at.expect("a flag") + 1
}

/// The tables of a shop, and the directory that goes when its test ends.
struct Tables {
    data: PathBuf,
    cql: String,
    keyspace: String,
}

static MADE: Mutex<Vec<Tables>> = Mutex::new(Vec::new());

/// Drops the tables of shops whose tests have ended: a small server has no memory for those of all
/// tests.
fn sweep() {
    let mut made = MADE.lock().expect("nobody panics with it");
    let gone: Vec<Tables> = made.extract_if(.., |tables| !tables.data.exists()).collect();
    drop(made);
    if gone.is_empty() {
        return;
    }
    // Whoever calls may be within a runtime.
    let swept = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        for Tables { cql, keyspace, .. } in gone {
            let drop = format!("DROP KEYSPACE IF EXISTS {keyspace}");
            // A server of the test's own may have gone with it.
            let _ = runtime.block_on(async {
                let session = SessionBuilder::new().known_node(cql).build().await?;
                session.query_unpaged(drop, ()).await.map_err(anyhow::Error::from)
            });
        }
    });
    swept.join().expect("no panic");
}

/// Makes topics and tables, or what is missing of them.
pub(crate) fn init(cluster: &[String], lanes: &str) {
    let made = Command::new(binary())
        .args(["init", "--trace", "warn", "--partitions", lanes, "--replication", "1"])
        .args(cluster)
        .stdout(Stdio::null())
        .status()
        .expect("the binary starts");
    assert!(made.success(), "jupan init: {made}");
}

/// A shop's log, to be read. An embedded one must be at rest: its directory has one owner.
pub(crate) fn log(data: &Path) -> Arc<dyn Log> {
    if !is_cluster() {
        let log = EmbeddedLog::open(data, Default::default(), Arc::new(SystemClock));
        return log.expect("the log opens");
    }
    let prefix = prefix(&name(data));
    let options = kafka::Options { prefix, ..kafka::Options::new(jupan_servers::kafka()) };
    Arc::new(KafkaLog::open(&options, Arc::new(SystemClock)).expect("the log opens"))
}

/// Where each partition of a cluster's log ends.
pub(crate) fn ends(data: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let log = log(data);
    let end = &|topic: TopicId, partition| {
        let bounds = log.bounds(topic, partition).expect("a broker");
        (PathBuf::from(format!("{topic:?}/{partition}")), bounds.end.to_be_bytes().to_vec())
    };
    let of_topic = |topic: TopicId| {
        let partitions = if topic.is_single() { 1 } else { log.partitions() };
        (0..partitions).map(move |partition| end(topic, partition))
    };
    // The others' partitions are counted otherwise, and their owners write when they like.
    let others = [TopicId::CommandResults, TopicId::TopProducts];
    TopicId::ALL.into_iter().filter(|topic| !others.contains(topic)).flat_map(of_topic).collect()
}

/// What the registry calls each schema.
pub(crate) async fn schema_ids(registry: &str, prefix: &str) -> SchemaIds {
    let topics = [
        TopicId::UserCommands,
        TopicId::ProductCommands,
        TopicId::UserInbox,
        TopicId::ProductInbox,
        TopicId::UserJournal,
        TopicId::OrderEvents,
        TopicId::Sales,
        TopicId::TopProducts,
        TopicId::CommandResults,
    ];
    let mut ids = [0; 9];
    for (id, topic) in ids.iter_mut().zip(topics) {
        let url = format!("{registry}/subjects/{prefix}{}-value/versions/latest", topic.name());
        let answer = reqwest::get(url).await.expect("an answer");
        let answer: serde_json::Value = answer.json().await.expect("JSON");
        *id = u32::try_from(answer["id"].as_u64().expect("an id")).expect("32 bits");
    }
    SchemaIds::registered(ids)
}

/// What a shop's records are written with.
pub(crate) async fn codec(data: &Path) -> Codec {
    if !is_cluster() {
        return Codec::embedded();
    }
    let prefix = prefix(&name(data));
    Codec::new(Arc::new(schema_ids(&jupan_servers::registry(), &prefix).await))
}
