//! The read side without `async`, for tests.

use crate::{LaneStore, Page, ReadStore, StoreError};
use jupan_schemas::{
    CommandId, Lane, OrderId, ProductId, UserId,
    rows::{Key, OrderRow, OutcomeRow, ProductRow, Row, StatementRow, UserRow, Watermark},
};
use std::{future::Future, sync::Arc};

/// Reads a store, and panics where it fails.
pub struct View<'a, S> {
    store: &'a S,
    runtime: tokio::runtime::Runtime,
}

#[allow(missing_docs, reason = "each method is the port's of the same name")]
impl<'a, S: LaneStore + ReadStore> View<'a, S> {
    /// Of this store.
    #[allow(clippy::expect_used, reason = "a test that has no threads left cannot go on")]
    pub fn of(store: &'a S) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        Self { store, runtime: runtime.expect("a runtime") }
    }

    #[allow(clippy::expect_used, reason = "a read that fails fails the test")]
    fn wait<T>(&self, read: impl Future<Output = Result<T, StoreError>>) -> T {
        self.runtime.block_on(read).expect("a read")
    }

    /// One row, as a lane loads it.
    #[allow(clippy::expect_used, reason = "a read that fails fails the test")]
    pub fn load(&self, key: Key) -> Option<Row> {
        let rows = self.store.load(&[key]).expect("a load");
        assert_eq!(rows.len(), 1, "as many answers as keys");
        rows.into_iter().next().flatten()
    }

    pub fn user(&self, id: u64) -> Option<UserRow> {
        self.wait(self.store.user(UserId(id))).map(Arc::unwrap_or_clone)
    }

    pub fn product(&self, id: u64) -> Option<ProductRow> {
        self.wait(self.store.product(ProductId(id))).map(Arc::unwrap_or_clone)
    }

    pub fn products(&self, after: Option<u64>, limit: usize) -> Page<ProductRow> {
        owned(self.wait(self.store.products(after.map(ProductId), limit)))
    }

    pub fn order(&self, id: OrderId) -> Option<OrderRow> {
        self.wait(self.store.order(id)).map(Arc::unwrap_or_clone)
    }

    pub fn orders(&self, user: u64, before: Option<u64>, limit: usize) -> Page<OrderRow> {
        owned(self.wait(self.store.orders(UserId(user), before, limit)))
    }

    pub fn statement(&self, user: u64, before: Option<u64>, limit: usize) -> Page<StatementRow> {
        owned(self.wait(self.store.statement(UserId(user), before, limit)))
    }

    pub fn outcome(&self, id: CommandId) -> Option<OutcomeRow> {
        self.wait(self.store.outcome(id)).map(Arc::unwrap_or_clone)
    }

    pub fn projected(&self, lane: Lane) -> Option<Watermark> {
        self.wait(self.store.projected(lane))
    }
}

fn owned<T: Clone>(page: Page<Arc<T>>) -> Page<T> {
    let Page { items, more } = page;
    Page { items: items.into_iter().map(Arc::unwrap_or_clone).collect(), more }
}
