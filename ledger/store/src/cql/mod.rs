//! The store on ScyllaDB or Apache Cassandra, for many processes at once.
//!
//! A row is written whole, under its stamp as write time: of two rows of a key the newer one stays,
//! whatever the order in which they come, and a former owner's late writes change nothing. Reads and
//! writes ask a local quorum, so a row is readable everywhere as soon as `apply` has returned.
//!
//! ```text
//!   apply:  newest row of each key -> owners known? -> mutations by partition -> written beside each other
//!   rows:   columns (one file a group of tables) -> bound (values as bytes) -> mutations -> asker
//!   reads:  keys -> questions by partition -> asker -> columns -> rows
//! ```
//!
//! **What a call costs.** All rows of a user are one mutation (its statement another), those of a
//! product one; the holds of a lane share 32 partitions, its pending orders one a minute, so many
//! orders need few of them. A watermark is saved at most every 20 ms; readers elsewhere see it
//! that much later.
//!
//! **Threads.** [`CqlStore::open`] notes the runtime that it is called in: its owner, the caller,
//! keeps it for as long as the store is used. Calls of lanes block their own thread, and must not
//! come from a thread of a runtime. Readers may await in any runtime.
//!
//! **Servers that are away.** A lane's call asks again for [`Options::lane_patience`], then fails as
//! [`StoreError::Unavailable`]: whoever runs the lane takes it over again. A reader's call fails
//! within [`Options::read_timeout`].

mod answers;
mod asker;
mod bound;
mod columns;
mod lists;
pub mod metrics;
mod mutations;
mod opens;
mod options;
mod owners;
mod questions;
mod retry;
mod scan;
mod schema;
mod session;
mod shared;
mod standings;
mod statements;
#[cfg(test)]
mod tests;
mod writes;

use crate::{Applying, LaneStore, Page, ReadStore, StoreError, limits};
use asker::Asker;
use async_trait::async_trait;
use jupan_schemas::{
    CommandId, Lane, Micros, OrderId, ProductId, Role, UserId,
    rows::{Key, OrderRow, OutcomeRow, ProductRow, Row, StatementRow, UserRow, Watermark},
};
pub use options::{OpenError, Options};
use questions::Question;
pub use schema::init;
use shared::{Shared, beside};
use statements::Prepared;
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::sync_channel,
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore},
    task::AbortHandle,
};

/// The store on CQL servers. See the module.
pub struct CqlStore {
    shared: Arc<Shared>,
    runtime: Handle,
    /// Saves watermarks.
    saver: AbortHandle,
}

impl CqlStore {
    /// Connects, and looks whether the tables are there. The runtime it is called in drives the
    /// store from then on.
    ///
    /// # Errors
    /// [`OpenError`]
    pub async fn open(options: &Options) -> Result<Arc<Self>, OpenError> {
        schema::check_name(options)?;
        let (session, datacenter) = session::connect(options).await?;
        schema::check(&session, options).await?;
        let prepared = Prepared::new(&session, &options.keyspace).await?;
        let session = Arc::new(session);
        let asker = |timeout: Duration, patience: Duration, requests_max: usize| Asker {
            session: Arc::clone(&session),
            prepared: prepared.with(&session::profile(&datacenter, timeout)),
            patience,
            turns: Semaphore::new(requests_max),
            mutations: AtomicU64::new(0),
        };
        let shared = Arc::new(Shared {
            lanes: asker(options.lane_timeout, options.lane_patience, options.lane_requests_max),
            readers: asker(options.read_timeout, Duration::ZERO, options.read_requests_max),
            owners: owners::Owners::default(),
            standings: standings::Standings::default(),
            unsaved: Notify::new(),
            partitions: options.lanes,
            read_timeout: options.read_timeout,
        });
        let saver = tokio::spawn(save_watermarks(Arc::clone(&shared))).abort_handle();
        tracing::info!(keyspace = options.keyspace, datacenter, "store opened");
        Ok(Arc::new(Self { shared, runtime: Handle::current(), saver }))
    }

    /// Saves the watermarks that are not saved yet; blocks like a lane's call.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn flush(&self) -> Result<(), StoreError> {
        self.runtime.block_on(self.shared.save_watermarks())
    }

    /// Mutations written by this store: requests about one partition each.
    pub fn mutations(&self) -> u64 {
        self.shared.lanes.mutations.load(Ordering::Relaxed)
    }

    /// A reader's call: within its time, on the store's runtime.
    async fn ask<T, F>(
        &self,
        question: impl FnOnce(Arc<Shared>) -> F + Send,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
        T: Send + 'static,
    {
        const DOING: &str = "read rows";
        let timeout = self.shared.read_timeout;
        let question = question(Arc::clone(&self.shared));
        let asking = self.runtime.spawn(async move {
            match tokio::time::timeout(timeout, question).await {
                Ok(answer) => answer,
                Err(_) => Err(StoreError::Unavailable {
                    doing: DOING,
                    cause: format!("no answer within {timeout:?}"),
                }),
            }
        });
        let broken = |cause: String| StoreError::Broken { doing: DOING, cause };
        let answer = asking.await.map_err(|panic| broken(panic.to_string()))?;
        if answer.is_err() {
            metrics::failed_read();
        }
        answer
    }

    async fn row(&self, key: Key) -> Result<Option<Row>, StoreError> {
        let Some(question) = Question::of(key) else { return Ok(None) };
        self.ask(|shared| async move { Ok(shared.readers.answer(&question).await?.pop()) }).await
    }
}

/// What is not saved then is lost, as in a crash: [`CqlStore::flush`] comes first.
impl Drop for CqlStore {
    fn drop(&mut self) {
        self.saver.abort();
    }
}

/// Saves watermarks as they rise, each lane's at most once a pause.
async fn save_watermarks(shared: Arc<Shared>) {
    loop {
        shared.unsaved.notified().await;
        if let Err(error) = shared.save_watermarks().await {
            tracing::warn!(%error, "watermarks are saved later");
            shared.unsaved.notify_one();
        }
        tokio::time::sleep(limits::CQL_WATERMARK_PAUSE).await;
    }
}

impl LaneStore for CqlStore {
    fn apply(&self, lane: Lane, rows: Vec<Row>) -> Result<(), StoreError> {
        rows.iter().try_for_each(|row| crate::check_owner(lane, row))?;
        self.runtime.block_on(self.shared.apply(lane, rows))
    }

    fn begin(&self, lane: Lane, rows: Vec<Row>) -> Applying {
        if let Err(refused) = rows.iter().try_for_each(|row| crate::check_owner(lane, row)) {
            return Applying::ended(Err(refused));
        }
        let (tell, told) = sync_channel(1);
        let shared = Arc::clone(&self.shared);
        self.runtime.spawn(async move {
            // A lane that is gone restores from what is there.
            let _ = tell.send(shared.apply(lane, rows).await);
        });
        Applying::under_way(told)
    }

    fn set_watermark(&self, lane: Lane, watermark: Watermark) -> Result<(), StoreError> {
        self.runtime.block_on(async {
            self.shared.know(lane).await?;
            if self.shared.standings.raise(lane, watermark) {
                self.shared.unsaved.notify_one();
                if lane.role == Role::Users {
                    self.shared.sweep(lane, watermark);
                }
            }
            Ok(())
        })
    }

    fn watermark(&self, lane: Lane) -> Result<Option<Watermark>, StoreError> {
        self.runtime.block_on(self.shared.found_watermark(lane))
    }

    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Row>>, StoreError> {
        let ask = |question: Question| {
            let shared = Arc::clone(&self.shared);
            async move { shared.lanes.answer(&question).await }
        };
        let questions = Question::all(keys).into_iter().map(ask);
        let found = lists::by_key(self.runtime.block_on(beside(questions))?);
        let rows: Vec<Option<Row>> = keys.iter().map(|key| found.get(key).cloned()).collect();
        for (key, row) in keys.iter().zip(&rows) {
            self.shared.owners.learn_loaded(*key, row.as_ref());
        }
        Ok(rows)
    }

    fn open_orders(&self, lane: Lane) -> Result<Vec<(OrderId, Micros)>, StoreError> {
        match lane.role {
            Role::Users => self.runtime.block_on(self.shared.open_orders(lane)),
            Role::Products => Ok(Vec::new()),
        }
    }
}

#[async_trait]
impl ReadStore for CqlStore {
    async fn user(&self, id: UserId) -> Result<Option<Arc<UserRow>>, StoreError> {
        Ok(self.row(Key::User(id)).await?.and_then(crate::user))
    }

    async fn product(&self, id: ProductId) -> Result<Option<Arc<ProductRow>>, StoreError> {
        Ok(self.row(Key::Product(id)).await?.and_then(crate::product))
    }

    async fn products(
        &self,
        after: Option<ProductId>,
        limit: usize,
    ) -> Result<Page<Arc<ProductRow>>, StoreError> {
        self.ask(move |shared| async move { shared.products(after, limit).await }).await
    }

    async fn order(&self, id: OrderId) -> Result<Option<Arc<OrderRow>>, StoreError> {
        Ok(self.row(Key::Order(id)).await?.and_then(crate::order))
    }

    async fn orders(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<Arc<OrderRow>>, StoreError> {
        self.ask(move |shared| async move { shared.orders(user, before, limit).await }).await
    }

    async fn statement(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<Arc<StatementRow>>, StoreError> {
        self.ask(move |shared| async move { shared.statement(user, before, limit).await }).await
    }

    async fn outcome(&self, id: CommandId) -> Result<Option<Arc<OutcomeRow>>, StoreError> {
        Ok(self.row(Key::Outcome(id)).await?.and_then(crate::outcome))
    }

    async fn projected(&self, lane: Lane) -> Result<Option<Watermark>, StoreError> {
        let unsaved = self.shared.standings.unsaved(lane).map(|(watermark, _)| watermark);
        let read = move |shared: Arc<Shared>| async move { shared.readers.watermark(lane).await };
        let saved = self.ask(read).await?.as_ref().map(Watermark::from);
        Ok(unsaved.into_iter().chain(saved).max_by_key(|watermark| watermark.step))
    }
}
