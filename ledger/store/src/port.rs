//! The store port: rows out of the journal, for readers and for lanes that load them back.
//!
//! # Rules every provider keeps (the conformance suite has a test for each)
//! 1. **Newest wins.** Of two rows with the same key the one with the higher sequence stays, in
//!    whatever order and however often they are applied. Rows of one key come from one lane only; a
//!    second lane's row is refused.
//! 2. **Watermark last.** A lane's watermark is raised after the rows it covers are applied, and
//!    never falls. What [`LaneStore::watermark`] returns after a crash covers only rows that
//!    survived it.
//! 3. **Read your writes.** A row is readable as soon as `apply` has returned. Readers never see an
//!    older row of a key after a newer one.
//! 4. **Rebuild.** A store that is empty, or whose watermark lies behind, is brought to the same
//!    rows by applying the journal's rows again from that watermark on.
//! 5. **Only what is given.** The store sees committed, durable rows only; it never reads the log,
//!    and never decides.
//! 6. **Ended holds** are gone for readers and loaders; pending orders are listed per lane until
//!    they end.
//! 7. **Bounds.** What is not yet on disk is bounded: `apply` waits when it is not, and reads still
//!    work.

use async_trait::async_trait;
use jupan_schemas::{
    CommandId, Lane, Micros, OrderId, ProductId, UserId,
    rows::{Key, OrderRow, OutcomeRow, ProductRow, Row, StatementRow, UserRow, Watermark},
};
use std::sync::{
    Arc,
    mpsc::{Receiver, TryRecvError},
};

/// A lane's side of the store. Calls may block: they are for the lane's own thread.
pub trait LaneStore: Send + Sync {
    /// Applies rows of one lane.
    ///
    /// # Errors
    /// [`StoreError`]
    fn apply(&self, lane: Lane, rows: Vec<Row>) -> Result<(), StoreError>;

    /// Begins to apply rows of one lane, so that the lane can go on meanwhile; it begins the next ones
    /// when these have ended. Whoever drops the answer does not know what became of them.
    fn begin(&self, lane: Lane, rows: Vec<Row>) -> Applying {
        Applying::ended(self.apply(lane, rows))
    }

    /// Declares that every row up to this point is applied.
    ///
    /// # Errors
    /// [`StoreError`]
    fn set_watermark(&self, lane: Lane, watermark: Watermark) -> Result<(), StoreError>;

    /// Where a restore starts: after a crash it may lie behind what was readable before.
    ///
    /// # Errors
    /// [`StoreError`]
    fn watermark(&self, lane: Lane) -> Result<Option<Watermark>, StoreError>;

    /// Loads rows by key, in the order of the keys; ended holds and unknown keys are `None`.
    ///
    /// # Errors
    /// [`StoreError`]
    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Row>>, StoreError>;

    /// Ids and deadlines of the lane's pending orders: its timers.
    ///
    /// # Errors
    /// [`StoreError`]
    fn open_orders(&self, lane: Lane) -> Result<Vec<(OrderId, Micros)>, StoreError>;
}

/// Rows on their way into the store.
#[must_use]
pub struct Applying(State);

enum State {
    Ended(Option<Result<(), StoreError>>),
    UnderWay(Receiver<Result<(), StoreError>>),
}

impl Applying {
    /// They were applied, or were not, before this was made.
    pub fn ended(result: Result<(), StoreError>) -> Self {
        Self(State::Ended(Some(result)))
    }

    /// Somebody else applies them and tells.
    pub fn under_way(told: Receiver<Result<(), StoreError>>) -> Self {
        Self(State::UnderWay(told))
    }

    /// What became of them, once that is known; told once.
    pub fn result(&mut self) -> Option<Result<(), StoreError>> {
        match &mut self.0 {
            State::Ended(result) => result.take(),
            State::UnderWay(told) => match told.try_recv() {
                Ok(result) => Some(result),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(Err(StoreError::Unavailable {
                    doing: "write rows",
                    cause: "who was writing them is gone".to_owned(),
                })),
            },
        }
    }
}

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// In the list's order.
    pub items: Vec<T>,
    /// Whether there are more behind the last item.
    pub more: bool,
}

/// The read side, for the API: never blocks a tokio worker.
#[async_trait]
pub trait ReadStore: Send + Sync {
    /// A user with wallet.
    async fn user(&self, id: UserId) -> Result<Option<Arc<UserRow>>, StoreError>;

    /// A product with its stock.
    async fn product(&self, id: ProductId) -> Result<Option<Arc<ProductRow>>, StoreError>;

    /// Products by rising id, from the first one above `after`.
    async fn products(
        &self,
        after: Option<ProductId>,
        limit: usize,
    ) -> Result<Page<Arc<ProductRow>>, StoreError>;

    /// An order.
    async fn order(&self, id: OrderId) -> Result<Option<Arc<OrderRow>>, StoreError>;

    /// A user's orders, newest first, from the first one placed before the entry `before`.
    async fn orders(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<Arc<OrderRow>>, StoreError>;

    /// A wallet's changes, newest first, from the first one before the entry `before`.
    async fn statement(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<Arc<StatementRow>>, StoreError>;

    /// The first outcome of a command.
    async fn outcome(&self, id: CommandId) -> Result<Option<Arc<OutcomeRow>>, StoreError>;

    /// How far a lane is readable.
    async fn projected(&self, lane: Lane) -> Result<Option<Watermark>, StoreError>;
}

/// The store is broken or away, or was asked to break a rule.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A row belongs to another lane than the one that writes it.
    #[error("row {key:?} belongs to partition {owner}, not to lane {lane}")]
    WrongLane {
        /// Which row.
        key: Key,
        /// Who owns it.
        owner: u16,
        /// Who wrote it.
        lane: Lane,
    },
    /// The provider cannot be reached, or not in time. Nothing is broken, but what was to be
    /// written may be written or not: a lane is taken over again, a reader asks again.
    #[error("the store cannot {doing} for now: {cause}")]
    Unavailable {
        /// What it was doing.
        doing: &'static str,
        /// What happened.
        cause: String,
    },
    /// The provider failed.
    #[error("the store cannot {doing}: {cause}")]
    Broken {
        /// What it was doing.
        doing: &'static str,
        /// What happened.
        cause: String,
    },
}
