//! The embedded engine: one directory, nothing installed.

use super::{Options, engine::Engine};
use crate::{demo, inspection::Inspection};
use anyhow::Context;
use jupan_log::{
    Log, SystemClock,
    embedded::{self as embedded_log, EmbeddedLog},
};
use jupan_schemas::SchemaIds;
use jupan_store::{LaneStore, ReadStore, embedded::EmbeddedStore};
use std::{io, path::PathBuf, sync::Arc};
use tokio::sync::Notify;

/// Log and store of one data directory.
pub(crate) struct Embedded {
    pub(crate) log: Arc<EmbeddedLog>,
    pub(crate) store: Arc<EmbeddedStore>,
    schema_ids: Arc<SchemaIds>,
    data: PathBuf,
    failed: Arc<Notify>,
}

impl Embedded {
    /// Opens the data directory.
    ///
    /// # Errors
    /// What cannot be opened, and why.
    pub(crate) fn open(options: &Options) -> anyhow::Result<Self> {
        let failed = Arc::new(Notify::new());
        let told = failed.clone();
        let on_failure: embedded_log::OnFailure = Box::new(move |_| told.notify_one());
        let log_options = embedded_log::Options {
            lanes: options.lanes,
            on_failure: Some(on_failure),
            ..Default::default()
        };
        let data = options.data.clone();
        let log = EmbeddedLog::open(&data, log_options, Arc::new(SystemClock))
            .with_context(|| format!("the log in {} cannot be opened", data.display()))?;
        if options.demo {
            demo::claim(&data, &*log)?;
        }
        let store_dir = data.join("store");
        let store = EmbeddedStore::open(&store_dir, Default::default())
            .with_context(|| format!("the store in {} cannot be opened", store_dir.display()))?;
        Ok(Self { log, store, schema_ids: Arc::new(SchemaIds::embedded()), data, failed })
    }
}

impl Engine for Embedded {
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

    fn place(&self) -> String {
        format!("data in {}", self.data.display())
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn failure(&self) -> Option<String> {
        self.log.failure().or_else(|| self.store.failure())
    }

    fn failed(&self) -> Arc<Notify> {
        self.failed.clone()
    }

    fn inspection(&self) -> Option<io::Result<Inspection>> {
        Some(Inspection::open(&self.data, self.log.clone(), self.store.clone()))
    }

    fn close(&self) -> anyhow::Result<()> {
        self.log.close();
        self.store.close().context("the store cannot be closed")
    }
}
