//! What a shop runs on: a log and a store, whoever provides them.

use crate::inspection::Inspection;
use jupan_log::Log;
use jupan_processors::Limits;
use jupan_schemas::SchemaIds;
use jupan_store::{LaneStore, ReadStore};
use std::{io, sync::Arc};
use tokio::sync::Notify;

/// A log and a store that belong together.
pub(crate) trait Engine: Send + Sync + 'static {
    /// Carrier of commands, messages, journals and events.
    fn log(&self) -> Arc<dyn Log>;

    /// Where lanes' rows go and come back from.
    fn lane_store(&self) -> Arc<dyn LaneStore>;

    /// What can be read.
    fn read_store(&self) -> Arc<dyn ReadStore>;

    /// Schema ids of the log's records.
    fn schema_ids(&self) -> Arc<SchemaIds>;

    /// How much a lane takes on at once here.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// Where all of it is, for people.
    fn place(&self) -> String;

    /// Whether log and store can be reached.
    fn is_ready(&self) -> bool;

    /// Why it can no longer be used, if so.
    fn failure(&self) -> Option<String>;

    /// Told when something has failed; a failure may show without.
    fn failed(&self) -> Arc<Notify>;

    /// Lets `jupan verify` look at it while it runs, where that needs this process.
    fn inspection(&self) -> Option<io::Result<Inspection>>;

    /// Writes down what is accepted, and lets go.
    ///
    /// # Errors
    /// What could not be written.
    fn close(&self) -> anyhow::Result<()>;
}
