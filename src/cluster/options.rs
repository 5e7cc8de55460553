//! Where a cluster is: flags, variables and keys of the configuration file.

use crate::traces;
use jupan_log::kafka;
use jupan_store::cql;

/// Kafka, CQL store and registry.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "cluster")]
pub(crate) struct Options {
    /// Kafka's bootstrap servers
    #[arg(long, env = "JUPAN_KAFKA", value_name = "HOST:PORT,…", requires = "cql")]
    pub(crate) kafka: Option<String>,
    /// Contact points of ScyllaDB, or another CQL store
    #[arg(long, env = "JUPAN_CQL", value_name = "HOST:PORT,…", requires = "kafka")]
    pub(crate) cql: Option<String>,
    /// A Confluent-compatible schema registry; without it records carry ids of this project's own
    #[arg(long, env = "JUPAN_REGISTRY", value_name = "URL", requires = "kafka")]
    pub(crate) registry: Option<String>,
    /// What the names of topics, groups and transactions begin with
    #[arg(long, env = "JUPAN_TOPIC_PREFIX", default_value = "", value_name = "TEXT")]
    pub(crate) topic_prefix: String,
    /// The CQL keyspace
    #[arg(long, env = "JUPAN_KEYSPACE", default_value = "jupan", value_name = "NAME")]
    pub(crate) keyspace: String,
}

impl Default for Options {
    fn default() -> Self {
        let keyspace = "jupan".to_owned();
        Self { kafka: None, cql: None, registry: None, topic_prefix: String::new(), keyspace }
    }
}

impl Options {
    /// The log's options.
    pub(super) fn for_kafka(&self, brokers: &str) -> kafka::Options {
        let prefix = self.topic_prefix.clone();
        kafka::Options { prefix, ..kafka::Options::new(brokers) }
    }

    /// The store's options.
    pub(super) fn for_cql(&self, nodes: &str, lanes: u16) -> cql::Options {
        let nodes = nodes.split(',').map(|node| node.trim().to_owned()).collect();
        cql::Options { keyspace: self.keyspace.clone(), ..cql::Options::new(nodes, lanes) }
    }

    /// Whether a cluster is asked for.
    pub(crate) fn is_given(&self) -> bool {
        self.kafka.is_some()
    }
}

/// What `jupan init` makes.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "init")]
pub(crate) struct InitOptions {
    #[command(flatten)]
    pub(crate) cluster: Options,
    /// Partitions of every keyed topic, which are the lanes of each role; fixed for ever
    #[arg(
        long,
        env = "JUPAN_PARTITIONS",
        default_value_t = 12,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=256)
    )]
    pub(crate) partitions: u16,
    /// Copies of each topic and row; 3 on a cluster that is to survive a broker
    #[arg(
        long,
        env = "JUPAN_REPLICATION",
        default_value_t = 1,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=9)
    )]
    pub(crate) replication: u16,
    #[command(flatten)]
    pub(crate) traces: traces::Options,
}
