//! A store that can be told to fail.

use async_trait::async_trait;
use jupan_schemas::{
    CommandId, Lane, OrderId, ProductId, UserId,
    rows::{OrderRow, OutcomeRow, ProductRow, StatementRow, UserRow, Watermark},
};
use jupan_store::{Page, ReadStore, StoreError, memory::MemoryStore};
use parking_lot::Mutex;
use std::sync::Arc;

/// What becomes of every read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    #[default]
    Fine,
    Broken,
    Panics,
}

pub(super) struct Moody {
    pub(super) store: Arc<MemoryStore>,
    pub(super) mood: Arc<Mutex<Mood>>,
}

impl Moody {
    fn asked(&self) -> Result<&MemoryStore, StoreError> {
        match *self.mood.lock() {
            Mood::Fine => Ok(&self.store),
            Mood::Broken => {
                Err(StoreError::Broken { doing: "read", cause: "the test says so".to_owned() })
            }
            Mood::Panics => panic!("the test asked for a panic"),
        }
    }
}

#[async_trait]
impl ReadStore for Moody {
    async fn user(&self, id: UserId) -> Result<Option<Arc<UserRow>>, StoreError> {
        self.asked()?.user(id).await
    }

    async fn product(&self, id: ProductId) -> Result<Option<Arc<ProductRow>>, StoreError> {
        self.asked()?.product(id).await
    }

    async fn products(
        &self,
        after: Option<ProductId>,
        limit: usize,
    ) -> Result<Page<Arc<ProductRow>>, StoreError> {
        self.asked()?.products(after, limit).await
    }

    async fn order(&self, id: OrderId) -> Result<Option<Arc<OrderRow>>, StoreError> {
        self.asked()?.order(id).await
    }

    async fn orders(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<Arc<OrderRow>>, StoreError> {
        self.asked()?.orders(user, before, limit).await
    }

    async fn statement(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<Arc<StatementRow>>, StoreError> {
        self.asked()?.statement(user, before, limit).await
    }

    async fn outcome(&self, id: CommandId) -> Result<Option<Arc<OutcomeRow>>, StoreError> {
        self.asked()?.outcome(id).await
    }

    async fn projected(&self, lane: Lane) -> Result<Option<Watermark>, StoreError> {
        self.asked()?.projected(lane).await
    }
}
