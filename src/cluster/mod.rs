//! # The cluster engine: Kafka, a CQL store and a schema registry
//!
//! `jupan init` makes topics, keyspace and tables and registers schemas; every other role opens what
//! is there, and refuses what is not as it must be.
//!
//! **Invariants, as absences**
//! - No role but `init` makes or changes anything at the servers.
//! - No record is written with ids that the log's own records do not have.

mod options;
mod reach;
mod registry;

pub(crate) use options::{InitOptions, Options};

use crate::{inspection::Inspection, shop::Engine};
use anyhow::{Context, bail};
use jupan_log::{
    Log, LogRecord, ReadLimit, SystemClock,
    kafka::{self, KafkaLog, NewTopics},
};
use jupan_processors::Limits;
use jupan_schemas::{Codec, DecodeError, SchemaIds, Step, TopicId};
use jupan_store::{
    LaneStore, ReadStore, ScanStore,
    cql::{self, CqlStore},
};
use reach::Reach;
use registry::Registry;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    runtime::{Handle, Runtime},
    sync::Notify,
};

/// Each write to the store is a round trip: a hold that begins and ends within this time is none, a
/// product that many buy is one. Stock is seen this much later by others.
const COALESCE_WAIT: Duration = Duration::from_millis(20);

/// What a lane remembers at most that the store does not have: while the store is away it grows to
/// this, and whoever takes the lane over has to write it once more.
const UNPROJECTED_ENTRIES_MAX: usize = 8_192;

/// Log and store of a cluster.
pub(crate) struct Cluster {
    log: Arc<KafkaLog>,
    store: Arc<CqlStore>,
    schema_ids: Arc<SchemaIds>,
    reach: Reach,
    place: String,
    identity: Option<String>,
    failed: Arc<Notify>,
    /// Of whoever has none that lives long enough.
    _runtime: Option<Runtime>,
}

impl Cluster {
    /// Opens what `jupan init` has made. The driver of the store runs on this runtime.
    ///
    /// # Errors
    /// What cannot be reached, or is not as it must be.
    pub(crate) fn open(options: &Options, runtime: &Handle) -> anyhow::Result<Self> {
        let (Some(brokers), Some(nodes)) = (&options.kafka, &options.cql) else {
            bail!("--kafka and --cql say where the shop is");
        };
        let log = KafkaLog::open(&options.for_kafka(brokers), Arc::new(SystemClock))
            .with_context(|| format!("the log on Kafka at {brokers} cannot be opened"))?;
        let schema_ids = Arc::new(match &options.registry {
            None => SchemaIds::embedded(),
            Some(url) => runtime.block_on(Registry::new(url, &options.topic_prefix)?.ids())?,
        });
        let first = first_step(&log)?;
        if let Some(first) = &first {
            check_ids(first, &Codec::new(schema_ids.clone()), options.registry.is_some())?;
        }
        let identity = first.map(|first| format!("{}{}", options.topic_prefix, first.at.0));
        let tables = options.for_cql(nodes, log.partitions());
        let store = runtime
            .block_on(CqlStore::open(&tables))
            .with_context(|| format!("the store at {nodes} cannot be opened"))?;
        let place = format!("on Kafka at {brokers} and CQL at {nodes}");
        Ok(Self {
            reach: Reach::of(&store, runtime),
            log: Arc::new(log),
            store,
            schema_ids,
            place,
            identity,
            failed: Arc::default(),
            _runtime: None,
        })
    }

    /// The same for a process that has no runtime of its own.
    ///
    /// # Errors
    /// See [`Cluster::open`].
    pub(crate) fn open_to_read(options: &Options) -> anyhow::Result<Self> {
        let runtime = Runtime::new()?;
        let cluster = Self::open(options, runtime.handle())?;
        Ok(Self { _runtime: Some(runtime), ..cluster })
    }

    /// What no other shop is called, once this one has run: a file name. What is counted of a shop and
    /// saved here must not be taken for another's, on other servers or made anew.
    pub(crate) fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// The store's rows, all of them.
    pub(crate) fn rows(&self) -> &dyn ScanStore {
        &*self.store
    }
}

/// The first record that is kept of any lane of users; `None` in a shop that has never run.
fn first_step(log: &KafkaLog) -> anyhow::Result<Option<LogRecord>> {
    let limit = ReadLimit { records_max: 1, bytes_max: 1 };
    for partition in 0..log.partitions() {
        let start = log.bounds(TopicId::UserJournal, partition)?.start;
        let batch = log.read(TopicId::UserJournal, partition, start, limit)?;
        if let Some(first) = batch.records.into_iter().next() {
            return Ok(Some(first));
        }
    }
    Ok(None)
}

/// One process with a registry and one without would not understand each other: the first record of
/// a journal tells whose ids the shop has.
fn check_ids(first: &LogRecord, codec: &Codec, has_registry: bool) -> anyhow::Result<()> {
    if let Err(DecodeError::UnknownSchema { id }) = codec.decode::<Step>(&first.value) {
        let hint = match has_registry {
            true => "was this shop made without --registry, or with another one?",
            false => "was this shop made with a --registry?",
        };
        bail!("the journals' records have a schema id {id} that is not known: {hint}");
    }
    Ok(())
}

/// Makes topics, keyspace and tables, and registers the schemas.
///
/// # Errors
/// What cannot be made, and why. What was made until then stays, and is found by the next call.
pub(crate) fn init(options: &InitOptions) -> anyhow::Result<()> {
    make(&options.cluster, options.partitions, options.replication)
}

/// The same for whoever has no flags of `jupan init`.
///
/// # Errors
/// See [`init`].
pub(crate) fn make(cluster: &Options, partitions: u16, replication: u16) -> anyhow::Result<()> {
    let (Some(brokers), Some(nodes)) = (&cluster.kafka, &cluster.cql) else {
        bail!("--kafka and --cql say where the shop is to be made");
    };
    let runtime = Runtime::new()?;
    if let Some(url) = &cluster.registry {
        // First: a schema that breaks its rule must change nothing.
        runtime.block_on(Registry::new(url, &cluster.topic_prefix)?.register())?;
        println!("schemas are registered at {url}");
    }
    let topics =
        NewTopics { partitions, result_partitions: partitions, replicas: Some(replication) };
    kafka::init(&cluster.for_kafka(brokers), topics)
        .with_context(|| format!("the topics at {brokers} cannot be made"))?;
    println!("topics are there, with {partitions} partitions, at {brokers}");
    let tables = cql::Options { replicas: replication, ..cluster.for_cql(nodes, partitions) };
    runtime
        .block_on(cql::init(&tables))
        .with_context(|| format!("the tables at {nodes} cannot be made"))?;
    println!("tables are there, in keyspace {}, at {nodes}", cluster.keyspace);
    Ok(())
}

impl Engine for Cluster {
    fn log(&self) -> Arc<dyn Log> {
        self.log.clone()
    }

    fn lane_store(&self) -> Arc<dyn LaneStore> {
        self.store.clone()
    }

    fn read_store(&self) -> Arc<dyn ReadStore> {
        self.store.clone()
    }

    fn schema_ids(&self) -> Arc<SchemaIds> {
        self.schema_ids.clone()
    }

    fn limits(&self) -> Limits {
        let (coalesce_wait, unprojected_entries_max) = (COALESCE_WAIT, UNPROJECTED_ENTRIES_MAX);
        Limits { coalesce_wait, unprojected_entries_max, ..Limits::default() }
    }

    fn place(&self) -> String {
        self.place.clone()
    }

    fn is_ready(&self) -> bool {
        self.log.is_reachable() && self.reach.is_reachable()
    }

    fn failure(&self) -> Option<String> {
        self.log.failure()
    }

    fn failed(&self) -> Arc<Notify> {
        self.failed.clone()
    }

    fn inspection(&self) -> Option<io::Result<Inspection>> {
        // Whoever may read topics and tables can verify the shop without this process.
        None
    }

    fn close(&self) -> anyhow::Result<()> {
        self.store.flush().context("the watermarks cannot be saved; lanes project a little again")
    }
}
