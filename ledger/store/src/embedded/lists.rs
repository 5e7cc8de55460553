//! Lists: what is not on disk and what is, merged. Everything here blocks.
//!
//! Memory is read first. Both sides give one item more than asked for, so that the merged list
//! knows exactly whether more follow.

use super::{Rows, disk::DiskError};
use crate::{Page, StoreError, limits::LIST_ROWS_MAX};
use jupan_schemas::{
    ProductId, UserId,
    rows::{Key, OrderRow, ProductRow, Row, StatementRow},
};
use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

impl Rows {
    pub(super) fn products(
        &self,
        after: Option<ProductId>,
        limit: usize,
    ) -> Result<Page<Arc<ProductRow>>, StoreError> {
        let limit = limit.min(LIST_ROWS_MAX);
        let unsaved: Vec<_> =
            self.shards.iter().flat_map(|shard| shard.lock().products(after, limit + 1)).collect();
        let on_disk = self.disk.products(after, limit + 1);
        let on_disk = on_disk.map_err(|error| self.broken("list products", &error))?;
        let mut merged: BTreeMap<_, _> =
            on_disk.into_iter().map(|row| (row.product_id, row)).collect();
        for row in unsaved {
            let Row::Product(row) = row else { continue };
            let is_newer = |old: &Arc<ProductRow>| old.as_of.sequence < row.as_of.sequence;
            if merged.get(&row.product_id).is_none_or(is_newer) {
                merged.insert(row.product_id, row);
            }
        }
        Ok(page(merged.into_values(), limit))
    }

    pub(super) fn orders(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<Arc<OrderRow>>, StoreError> {
        let limit = limit.min(LIST_ROWS_MAX);
        let unsaved = self.shard(user.0).lock().orders_of(user, before, limit + 1);
        let on_disk = self.disk.orders_of(user, before, limit + 1);
        let on_disk = on_disk.map_err(|error| self.broken("list orders", &error))?;
        let merged: BTreeMap<_, _> = unsaved
            .into_iter()
            .chain(on_disk)
            .map(|(placed, order)| (Reverse(placed), order))
            .collect();
        let ids = page(merged.into_values(), limit);
        let rows = ids.items.into_iter().map(|id| match self.find(Key::Order(id))? {
            Some(row) => Ok(crate::order(row)),
            None => {
                let cause = format!("order {id} is listed and has no row");
                let error = DiskError::Corrupt { table: "orders_by_user", cause };
                Err(self.broken("list orders", &error))
            }
        });
        let items: Vec<_> = rows.collect::<Result<_, _>>()?;
        Ok(Page { items: items.into_iter().flatten().collect(), more: ids.more })
    }

    pub(super) fn statement(
        &self,
        user: UserId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<Arc<StatementRow>>, StoreError> {
        let limit = limit.min(LIST_ROWS_MAX);
        let unsaved = self.shard(user.0).lock().statement(user, before, limit + 1);
        let on_disk = self.disk.statement(user, before, limit + 1);
        let on_disk = on_disk.map_err(|error| self.broken("list a statement", &error))?;
        let merged: BTreeMap<_, _> = unsaved
            .into_iter()
            .chain(on_disk)
            .map(|row| (Reverse(row.as_of.sequence), row))
            .collect();
        Ok(page(merged.into_values(), limit))
    }
}

/// The first items, and whether there are more.
fn page<T>(items: impl ExactSizeIterator<Item = T>, limit: usize) -> Page<T> {
    let more = items.len() > limit;
    Page { items: items.take(limit).collect(), more }
}
