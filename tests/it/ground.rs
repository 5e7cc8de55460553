//! What a test's shop runs on: its data directory, or, with `JUPAN_ENGINE=cluster`, topics and a
//! keyspace of its own on the servers that `jupan_servers` brings. The tests are the same.

use crate::shop::binary;
use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    path::Path,
    process::{Command, Stdio},
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

/// The flags of a cluster that only this data directory's shop uses.
pub(crate) fn cluster_flags(data: &Path) -> Vec<String> {
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    let name = format!("it{:x}", hasher.finish());
    let flag = |name: &str, value: String| [format!("--{name}"), value];
    [
        flag("kafka", jupan_servers::kafka()),
        flag("cql", jupan_servers::cql()),
        flag("registry", jupan_servers::registry()),
        flag("topic-prefix", format!("{name}-")),
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
    init(cluster, lanes);
    std::fs::create_dir_all(data).expect("a disk");
    std::fs::write(marker, "").expect("a disk");
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
