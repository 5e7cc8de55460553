//! What the store's calls and its tasks in the background share.

use super::{asker::Asker, owners::Owners, standings::Standings};
use crate::StoreError;
use std::{future::Future, time::Duration};
use tokio::{sync::Notify, task::JoinSet};

/// See the module.
pub(super) struct Shared {
    /// Asks for lanes, and writes.
    pub(super) lanes: Asker,
    /// Asks for readers.
    pub(super) readers: Asker,
    pub(super) owners: Owners,
    pub(super) standings: Standings,
    /// A watermark is not saved.
    pub(super) unsaved: Notify,
    /// Partitions of each role.
    pub(super) partitions: u16,
    /// Longest wait of a reader.
    pub(super) read_timeout: Duration,
}

/// Runs tasks beside each other, and gathers what they return, in no order. The first that fails
/// ends the others: what they do can be done again.
pub(super) async fn beside<T, F>(tasks: impl IntoIterator<Item = F>) -> Result<Vec<T>, StoreError>
where
    F: Future<Output = Result<T, StoreError>> + Send + 'static,
    T: Send + 'static,
{
    let mut running: JoinSet<Result<T, StoreError>> = tasks.into_iter().collect();
    let mut results = Vec::with_capacity(running.len());
    while let Some(ended) = running.join_next().await {
        let ended = ended.map_err(|error| StoreError::Broken {
            doing: "run a request",
            cause: error.to_string(),
        })?;
        results.push(ended?);
    }
    Ok(results)
}
