//! Where letters lie, and what is written goes: the log itself, or a running shop that has it.

use super::Place;
use crate::{
    cluster::Cluster,
    inspection::{self, Answer, DISPATCH_BYTES_MAX, Dispatch, Question},
    remedies,
    shop::Engine,
};
use anyhow::{Context, anyhow, bail};
use jupan_log::{
    Clock, Log, LogRecord, NewRecord, ReadLimit, SystemClock, append_in_order,
    embedded::EmbeddedLog,
};
use jupan_schemas::{Codec, Micros, SchemaIds, TopicId};
use std::{path::PathBuf, sync::Arc};
use tokio::runtime::{Builder, Runtime};

/// How much is read at once.
const PORTION: ReadLimit = ReadLimit { records_max: 1_000, bytes_max: 1 << 20 };
/// Records that are on their way at once.
pub(super) const BATCH_RECORDS_MAX: usize = 256;
/// And their bytes.
pub(super) const BATCH_BYTES_MAX: usize = DISPATCH_BYTES_MAX;

/// See the module.
pub(super) struct Desk {
    log: Access,
    lanes: u16,
    schema_ids: Arc<SchemaIds>,
    runtime: Runtime,
}

enum Access {
    /// Kafka.
    Cluster(Box<Cluster>),
    /// A directory on which no shop runs.
    Directory(Arc<EmbeddedLog>),
    /// One on which a shop runs: it is asked.
    Shop(PathBuf),
}

/// Why a record is not in the log, or may not be.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) is_not_appended: bool,
    pub(super) cause: String,
}

impl Desk {
    /// Finds the shop's log.
    ///
    /// # Errors
    /// What cannot be reached or opened.
    pub(super) fn open(place: &Place) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        if place.cluster.is_given() {
            let cluster = Cluster::open_to_read(&place.cluster)?;
            let (lanes, schema_ids) = (cluster.log().partitions(), cluster.schema_ids());
            return Ok(Self {
                log: Access::Cluster(Box::new(cluster)),
                lanes,
                schema_ids,
                runtime,
            });
        }
        let (log, lanes) = embedded(place)?;
        Ok(Self { log, lanes, schema_ids: Arc::new(SchemaIds::embedded()), runtime })
    }

    /// Lanes of each role.
    pub(super) fn lanes(&self) -> u16 {
        self.lanes
    }

    /// The shop's records are read with it.
    pub(super) fn codec(&self) -> Codec {
        Codec::new(self.schema_ids.clone())
    }

    /// The time by which a command that is sent now would be judged, about.
    pub(super) fn now(&self) -> Micros {
        SystemClock.now()
    }

    /// Hands over each record of a topic of one partition, from an offset on, until there are no
    /// more or `take` says that it wants none.
    ///
    /// # Errors
    /// Where the log cannot be read, or what `take` fails with.
    pub(super) fn each(
        &self,
        topic: TopicId,
        from: u64,
        take: &mut dyn FnMut(LogRecord) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let mut from = from;
        loop {
            let (records, next) = self.portion(topic, from)?;
            if records.is_empty() {
                return Ok(());
            }
            from = next;
            for record in records {
                if !take(record)? {
                    return Ok(());
                }
            }
        }
    }

    fn portion(&self, topic: TopicId, from: u64) -> anyhow::Result<(Vec<LogRecord>, u64)> {
        let log: &dyn Log = match &self.log {
            Access::Cluster(cluster) => &*cluster.log(),
            Access::Directory(log) => &**log,
            Access::Shop(data) => return ask_records(data, topic, from).map(|(read, _)| read),
        };
        let bounds = log.bounds(topic, 0)?;
        let mut from = from.max(bounds.start);
        // A broker's own marks may fill a whole portion.
        while from < bounds.end {
            let batch = log.read(topic, 0, from, PORTION)?;
            if !batch.records.is_empty() || batch.next <= from {
                return Ok((batch.records, batch.next));
            }
            from = batch.next;
        }
        Ok((Vec::new(), from))
    }

    /// Appends records in order, within the bounds of a batch; for each its offset, or why it is not
    /// there.
    ///
    /// # Errors
    /// Where nobody can be asked to.
    pub(super) fn append(
        &self,
        records: Vec<(TopicId, u16, NewRecord)>,
    ) -> anyhow::Result<Vec<Result<u64, Failed>>> {
        let log = match &self.log {
            Access::Cluster(cluster) => cluster.log(),
            Access::Directory(log) => log.clone(),
            Access::Shop(data) => return ask_to_append(data, &records),
        };
        let appended = self.runtime.block_on(append_in_order(&*log, records)).into_iter();
        let results = appended.map(|result| {
            result.map(|at| at.offset).map_err(|error| Failed {
                is_not_appended: error.is_not_appended(),
                cause: error.to_string(),
            })
        });
        Ok(results.collect())
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Access::Directory(log) = &self.log {
            log.close();
        }
    }
}

/// A running shop's log, or that of a directory at rest.
fn embedded(place: &Place) -> anyhow::Result<(Access, u16)> {
    let data = &place.data;
    if !data.join("jupan.json").exists() {
        bail!("{} is no data directory of a shop", data.display());
    }
    let asked = ask_records(data, TopicId::DeadLetterMarks, u64::MAX >> 1);
    let silence = match asked {
        Ok((_, lanes)) => return Ok((Access::Shop(data.clone()), lanes)),
        Err(error) => error,
    };
    match EmbeddedLog::open(data, Default::default(), Arc::new(SystemClock)) {
        Ok(log) => {
            let lanes = log.partitions();
            Ok((Access::Directory(log), lanes))
        }
        Err(error) => {
            let error = anyhow!(error).context(format!("{} cannot be used", data.display()));
            Err(match remedies::of(&error) {
                Some(remedy) => error.context(format!("{remedy} A running shop says: {silence:#}")),
                None => error,
            })
        }
    }
}

type Portion = (Vec<LogRecord>, u64);

fn ask_records(
    data: &std::path::Path,
    topic: TopicId,
    from: u64,
) -> anyhow::Result<(Portion, u16)> {
    match ask(data, &Question::Records { topic: topic as u8, from })? {
        Answer::Records { lanes, records, next } => {
            Ok(((records.into_iter().map(Into::into).collect(), next), lanes))
        }
        Answer::Failed(said) => bail!("the running shop cannot read its log: {said}"),
        _ => bail!("the running shop answers something else"),
    }
}

fn ask_to_append(
    data: &std::path::Path,
    records: &[(TopicId, u16, NewRecord)],
) -> anyhow::Result<Vec<Result<u64, Failed>>> {
    let dispatches = records.iter().map(|(topic, at, record)| Dispatch::new(*topic, *at, record));
    match ask(data, &Question::Append(dispatches.collect()))? {
        Answer::Appended(results) if results.len() == records.len() => {
            let failed = |(is_not_appended, cause)| Failed { is_not_appended, cause };
            Ok(results.into_iter().map(|result| result.map_err(failed)).collect())
        }
        Answer::Failed(said) => bail!("the running shop appends nothing: {said}"),
        _ => bail!("the running shop answers something else"),
    }
}

fn ask(data: &std::path::Path, question: &Question) -> anyhow::Result<Answer> {
    inspection::ask(data, question).context("no running shop answers")
}
