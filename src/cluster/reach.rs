//! Whether the store answers, asked every now and then: for readiness, which nobody waits for.

use jupan_schemas::{Lane, Role};
use jupan_store::{ReadStore, cql::CqlStore};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{runtime::Handle, task::AbortHandle};

/// Pause between two questions.
const PAUSE: Duration = Duration::from_secs(1);
/// Any row will do.
const LANE: Lane = Lane { role: Role::Users, index: 0 };

/// See the module.
pub(super) struct Reach {
    is_reachable: Arc<AtomicBool>,
    asking: AbortHandle,
}

impl Reach {
    /// Begins to ask.
    pub(super) fn of(store: &Arc<CqlStore>, runtime: &Handle) -> Self {
        let is_reachable = Arc::new(AtomicBool::new(true));
        let (store, noted) = (store.clone(), is_reachable.clone());
        let asking = runtime.spawn(async move {
            loop {
                let answer = store.projected(LANE).await;
                if noted.swap(answer.is_ok(), Ordering::AcqRel) != answer.is_ok() {
                    match answer {
                        Ok(_) => tracing::info!("the store answers again"),
                        Err(error) => tracing::warn!(%error, "the store does not answer"),
                    }
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { is_reachable, asking: asking.abort_handle() }
    }

    pub(super) fn is_reachable(&self) -> bool {
        self.is_reachable.load(Ordering::Acquire)
    }
}

impl Drop for Reach {
    fn drop(&mut self) {
        self.asking.abort();
    }
}
