//! Requests: by lanes, which wait for servers that are away, or by readers, which do not.

use super::{
    bound::{Bound, Values},
    metrics,
    retry::{failed, patiently},
    statements::{Name, Prepared},
};
use crate::StoreError;
use scylla::{
    client::session::Session,
    deserialize::row::DeserializeRow,
    errors::ExecutionError,
    response::{PagingState, query_result::QueryResult},
    serialize::row::SerializeRow,
    statement::batch::{Batch, BatchStatement, BatchType},
};
use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// One kind of asker, with its statements.
pub(super) struct Asker {
    pub(super) session: Arc<Session>,
    pub(super) prepared: Prepared,
    /// How long it asks again.
    pub(super) patience: Duration,
    /// Bounds what is on its way.
    pub(super) turns: Semaphore,
    /// Mutations that it wrote.
    pub(super) mutations: AtomicU64,
}

impl Asker {
    /// Writes statements about one partition.
    pub(super) async fn write(
        &self,
        doing: &'static str,
        request: &[Bound],
    ) -> Result<(), StoreError> {
        let batch = if request.len() > 1 { Some(self.batch(request)) } else { None };
        let write = async || {
            let _turn = self.turn(doing).await?;
            let written = self.send(request, batch.as_ref()).await;
            written.map_err(|error| failed(doing, &error))
        };
        patiently(self.patience, write).await?;
        self.mutations.fetch_add(1, Ordering::Relaxed);
        metrics::wrote(request.len());
        Ok(())
    }

    async fn send(&self, request: &[Bound], batch: Option<&Batch>) -> Result<(), ExecutionError> {
        match (batch, request) {
            (Some(batch), _) => {
                let values: Vec<&Values> = request.iter().map(|bound| &bound.values).collect();
                self.session.batch(batch, values).await.map(drop)
            }
            (None, [bound]) => {
                let statement = self.prepared.get(bound.name);
                self.session.execute_unpaged(statement, &bound.values).await.map(drop)
            }
            (None, _) => Ok(()),
        }
    }

    /// Unlogged: what lies in one partition is written as a whole anyway.
    fn batch(&self, request: &[Bound]) -> Batch {
        let statement = |bound: &Bound| {
            BatchStatement::PreparedStatement(self.prepared.get(bound.name).clone())
        };
        let statements = request.iter().map(statement).collect();
        let mut batch = Batch::new_with_statements(BatchType::Unlogged, statements);
        batch.set_is_idempotent(true);
        let first = request.first().map(|bound| self.prepared.get(bound.name));
        let profile = first.and_then(|statement| statement.get_execution_profile_handle());
        batch.set_execution_profile_handle(profile.cloned());
        batch
    }

    async fn turn(&self, doing: &'static str) -> Result<SemaphorePermit<'_>, StoreError> {
        let closed = |_| StoreError::Broken { doing, cause: "it is closed".to_owned() };
        self.turns.acquire().await.map_err(closed)
    }

    /// All rows, or the first so many.
    pub(super) async fn rows<R>(
        &self,
        doing: &'static str,
        name: Name,
        values: &(impl SerializeRow + Sync),
        rows_max: usize,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'f, 'm> DeserializeRow<'f, 'm>,
    {
        let (mut rows, mut state) = (Vec::new(), PagingState::start());
        loop {
            let request = || self.page(doing, name, values, state.clone());
            let (page, next) = patiently(self.patience, request).await?;
            read_rows(doing, page, &mut rows)?;
            match next {
                ControlFlow::Continue(next) if rows.len() < rows_max => state = next,
                _ => break,
            }
        }
        rows.truncate(rows_max);
        Ok(rows)
    }

    /// One page of a statement without values, and where the next one begins.
    pub(super) async fn whole_page<R>(
        &self,
        doing: &'static str,
        name: Name,
        state: PagingState,
    ) -> Result<(Vec<R>, ControlFlow<(), PagingState>), StoreError>
    where
        R: for<'f, 'm> DeserializeRow<'f, 'm>,
    {
        let request = || self.page(doing, name, &(), state.clone());
        let (page, next) = patiently(self.patience, request).await?;
        let mut rows = Vec::new();
        read_rows(doing, page, &mut rows)?;
        Ok((rows, next))
    }

    async fn page(
        &self,
        doing: &'static str,
        name: Name,
        values: &(impl SerializeRow + Sync),
        state: PagingState,
    ) -> Result<(QueryResult, ControlFlow<(), PagingState>), StoreError> {
        let _turn = self.turn(doing).await?;
        metrics::read();
        let statement = self.prepared.get(name);
        let answer = self.session.execute_single_page(statement, values, state).await;
        let (page, next) = answer.map_err(|error| failed(doing, &error))?;
        Ok((page, next.into_paging_control_flow()))
    }

    /// At most one row.
    pub(super) async fn row<R>(
        &self,
        doing: &'static str,
        name: Name,
        values: &(impl SerializeRow + Sync),
    ) -> Result<Option<R>, StoreError>
    where
        R: for<'f, 'm> DeserializeRow<'f, 'm>,
    {
        Ok(self.rows(doing, name, values, 1).await?.pop())
    }
}

fn read_rows<R>(doing: &'static str, page: QueryResult, rows: &mut Vec<R>) -> Result<(), StoreError>
where
    R: for<'f, 'm> DeserializeRow<'f, 'm>,
{
    let broken = |cause: String| StoreError::Broken { doing, cause };
    let page = page.into_rows_result().map_err(|error| broken(error.to_string()))?;
    for row in page.rows::<R>().map_err(|error| broken(error.to_string()))? {
        rows.push(row.map_err(|error| broken(error.to_string()))?);
    }
    Ok(())
}
