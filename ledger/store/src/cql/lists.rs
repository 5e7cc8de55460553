//! Lists, each page exactly as long as it was asked for, and never more than a bounded part read.
//!
//! A row that is listed and not there yet is being written by a call that has not returned: it is
//! passed over.

use super::{
    columns::{Corrupt, StatementColumns, bucket, order},
    questions::Question,
    shared::{Shared, beside},
    statements::Name,
};
use crate::{Page, StoreError, limits, order as order_of, product as product_of};
use hashbrown::HashMap;
use jupan_schemas::{
    OrderId, ProductId, UserId,
    rows::{Key, OrderRow, ProductRow, Row, StatementRow},
};
use std::sync::Arc;
use uuid::Uuid;

impl Shared {
    /// Rows by key for a reader.
    pub(super) async fn read(
        self: &Arc<Self>,
        questions: Vec<Question>,
    ) -> Result<HashMap<Key, Row>, StoreError> {
        let ask = |question: Question| {
            let shared = Arc::clone(self);
            async move { shared.readers.answer(&question).await }
        };
        Ok(by_key(beside(questions.into_iter().map(ask)).await?))
    }

    pub(super) async fn products(
        self: &Arc<Self>,
        after: Option<ProductId>,
        limit: usize,
    ) -> Result<Page<Arc<ProductRow>>, StoreError> {
        let mut list = Gathered::new(limit);
        let mut after = after.map_or(-1, |id| i64::try_from(id.0).unwrap_or(i64::MAX));
        while list.wants_more() {
            let ids = self.product_ids(after, list.missing()).await?;
            let is_end = ids.len() < list.missing();
            after = ids.last().map_or(after, |id| id.0.cast_signed());
            let keys: Vec<Key> = ids.into_iter().map(Key::Product).collect();
            let mut rows = self.read(Question::all(&keys)).await?;
            let rows = keys.iter().filter_map(|key| rows.remove(key));
            list.add(rows.filter_map(product_of), is_end);
        }
        Ok(list.page())
    }

    /// The first so many ids behind `after`, of all lanes together.
    async fn product_ids(
        self: &Arc<Self>,
        after: i64,
        count: usize,
    ) -> Result<Vec<ProductId>, StoreError> {
        let part = |lane: u16| {
            let shared = Arc::clone(self);
            async move {
                let keys = (i32::from(lane), after, limit_of(count));
                shared.readers.rows("list products", Name::ProductIds, &keys, count).await
            }
        };
        let parts: Vec<Vec<(i64,)>> = beside((0..self.partitions).map(part)).await?;
        let mut ids: Vec<i64> = parts.into_iter().flatten().map(|(id,)| id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.truncate(count);
        Ok(ids.into_iter().map(|id| ProductId(id.cast_unsigned())).collect())
    }

    pub(super) async fn orders(
        self: &Arc<Self>,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<Arc<OrderRow>>, StoreError> {
        let mut list = Gathered::new(limit);
        let mut before = before_of(before);
        while list.wants_more() {
            let count = list.missing();
            let keys = (user.0.cast_signed(), before, limit_of(count));
            let listed: Vec<(i64, Uuid)> =
                self.readers.rows("list orders", Name::OrdersByUser, &keys, count).await?;
            let is_end = listed.len() < count;
            before = listed.last().map_or(before, |(placed, _)| *placed);
            let ids: Vec<OrderId> = listed.into_iter().map(|(_, id)| order(id)).collect();
            let keys: Vec<Key> = ids.into_iter().map(Key::Order).collect();
            let mut rows = self.read(Question::all(&keys)).await?;
            let rows = keys.iter().filter_map(|key| rows.remove(key));
            list.add(rows.filter_map(order_of), is_end);
        }
        Ok(list.page())
    }

    pub(super) async fn statement(
        self: &Arc<Self>,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<Arc<StatementRow>>, StoreError> {
        const DOING: &str = "list a statement";
        let mut list = Gathered::new(limit);
        let newest = before.map_or(i64::MAX, bucket);
        let keys = (user.0.cast_signed(), newest);
        // Each of them has a row that is asked for, except the one that `before` lies in.
        let buckets_max = list.missing() + 1;
        let buckets: Vec<(i64,)> =
            self.readers.rows(DOING, Name::StatementBuckets, &keys, buckets_max).await?;
        for (bucket,) in buckets {
            let count = list.missing();
            let keys = (user.0.cast_signed(), bucket, before_of(before), limit_of(count));
            let rows: Vec<StatementColumns> =
                self.readers.rows(DOING, Name::Statement, &keys, count).await?;
            let rows = rows.into_iter().map(StatementRow::try_from);
            let rows: Vec<StatementRow> = rows
                .collect::<Result<_, _>>()
                .map_err(|corrupt: Corrupt| corrupt.while_doing(DOING))?;
            list.add(rows.into_iter().map(Arc::new), false);
            if list.missing() == 0 {
                break;
            }
        }
        Ok(list.page())
    }
}

/// Rows of several answers by their keys.
pub(super) fn by_key(answers: Vec<Vec<Row>>) -> HashMap<Key, Row> {
    let rows = answers.into_iter().flatten();
    rows.filter_map(|row| row.key().map(|key| (key, row))).collect()
}

/// What comes before an entry; before none: all.
fn before_of(before: Option<u64>) -> i64 {
    before.map_or(i64::MAX, |sequence| i64::try_from(sequence).unwrap_or(i64::MAX))
}

fn limit_of(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A page that is being gathered, with one item more than asked for: it says that there are more.
struct Gathered<T> {
    items: Vec<T>,
    limit: usize,
    is_end: bool,
    rounds: usize,
}

impl<T> Gathered<T> {
    fn new(limit: usize) -> Self {
        let limit = limit.min(limits::LIST_ROWS_MAX);
        Self { items: Vec::new(), limit, is_end: false, rounds: 0 }
    }

    fn missing(&self) -> usize {
        (self.limit + 1).saturating_sub(self.items.len())
    }

    fn wants_more(&self) -> bool {
        self.missing() > 0 && !self.is_end && self.rounds < limits::CQL_LIST_ROUNDS_MAX
    }

    fn add(&mut self, items: impl Iterator<Item = T>, is_end: bool) {
        self.items.extend(items);
        self.is_end = is_end;
        self.rounds += 1;
    }

    fn page(mut self) -> Page<T> {
        // Where too many listed rows were missing, the page is short, and more may follow.
        let gave_up = !self.is_end && self.rounds >= limits::CQL_LIST_ROUNDS_MAX;
        let more = self.items.len() > self.limit || gave_up;
        self.items.truncate(self.limit);
        Page { items: self.items, more }
    }
}
