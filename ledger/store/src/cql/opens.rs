//! Pending orders by the minute of their deadline: listed for timers, and deleted a minute at a time.
//!
//! What lies in a minute says that an order was pending, and mostly also that it no longer is; the
//! order's own row has the last word.

use super::{
    bound::Bound,
    columns::{OpenOrderColumns, order, order_uuid},
    shared::{Shared, beside},
    standings::Sweep,
    statements::Name,
};
use crate::{StoreError, limits};
use hashbrown::{HashMap, HashSet};
use jupan_schemas::{Lane, Micros, OrderId, OrderStatus, UserId, rows::Watermark};
use scylla::serialize::row::SerializeRow;
use std::sync::Arc;
use uuid::Uuid;

const DOING: &str = "list open orders";

impl Shared {
    /// The pending orders of a user lane with their deadlines.
    pub(super) async fn open_orders(
        self: &Arc<Self>,
        lane: Lane,
    ) -> Result<Vec<(OrderId, Micros)>, StoreError> {
        self.know(lane).await?;
        let from = self.standings.oldest_minute(lane);
        let mut open = Vec::new();
        for minute in self.minutes(lane, from, i64::MAX).await? {
            let orders = self.pending_in(lane, minute).await?;
            open.extend(orders.iter().map(|columns| (columns.order(), Micros(columns.deadline))));
        }
        Ok(open)
    }

    /// The minutes of a lane from the oldest on, oldest first.
    async fn minutes(
        &self,
        lane: Lane,
        from: Option<i64>,
        to: i64,
    ) -> Result<Vec<i64>, StoreError> {
        let keys = (i32::from(lane.index), from.unwrap_or(i64::MIN), to);
        let minutes: Vec<(i64,)> =
            self.lanes.rows(DOING, Name::OpenMinutes, &keys, usize::MAX).await?;
        Ok(minutes.into_iter().map(|(minute,)| minute).collect())
    }

    /// The orders of a minute that are still pending.
    async fn pending_in(
        self: &Arc<Self>,
        lane: Lane,
        minute: i64,
    ) -> Result<Vec<OpenOrderColumns>, StoreError> {
        let keys = (i32::from(lane.index), minute);
        let mut orders: Vec<OpenOrderColumns> =
            self.lanes.rows(DOING, Name::OpenOrders, &keys, usize::MAX).await?;
        orders.retain(|columns| columns.pending);
        let mut by_user: HashMap<UserId, Vec<OrderId>> = HashMap::new();
        for order in orders.iter().map(OpenOrderColumns::order) {
            if let Some(user) = order.user() {
                by_user.entry(user).or_default().push(order);
            }
        }
        let questions = by_user.into_iter().flat_map(|(user, ids)| {
            let chunks = ids.chunks(limits::CQL_KEYS_MAX).map(<[OrderId]>::to_vec);
            chunks.map(|ids| (user, ids)).collect::<Vec<_>>()
        });
        let ask = |(user, ids)| {
            let shared = Arc::clone(self);
            async move { shared.pending_of(user, ids).await }
        };
        let pending: HashSet<OrderId> =
            beside(questions.map(ask)).await?.into_iter().flatten().collect();
        orders.retain(|columns| pending.contains(&columns.order()));
        Ok(orders)
    }

    /// Which of a user's orders are pending, by their own rows.
    async fn pending_of(
        &self,
        user: UserId,
        ids: Vec<OrderId>,
    ) -> Result<Vec<OrderId>, StoreError> {
        let ids: Vec<Uuid> = ids.into_iter().map(order_uuid).collect();
        let keys = (user.0.cast_signed(), ids);
        let states: Vec<(Uuid, String)> =
            self.lanes.rows(DOING, Name::OrderStates, &keys, usize::MAX).await?;
        let is_pending = |status: &str| status == OrderStatus::Pending.as_str();
        let pending = states.into_iter().filter(|(_, status)| is_pending(status));
        Ok(pending.map(|(id, _)| order(id)).collect())
    }

    /// Looks through minutes that have passed, if that is due, without anybody waiting for it.
    pub(super) fn sweep(self: &Arc<Self>, lane: Lane, watermark: Watermark) {
        let Some(sweep) = self.standings.begin_sweep(lane, watermark) else { return };
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let oldest = shared.delete_ended(lane, sweep).await;
            if let Err(error) = &oldest {
                tracing::warn!(%lane, %error, "passed minutes are looked through a minute later");
            }
            shared.standings.end_sweep(lane, sweep, oldest.ok());
        });
    }

    /// Deletes the minutes of a sweep whose orders have all ended; returns the first that is left.
    async fn delete_ended(self: &Arc<Self>, lane: Lane, sweep: Sweep) -> Result<i64, StoreError> {
        let mut oldest = sweep.to;
        for minute in self.minutes(lane, sweep.from, sweep.to).await? {
            if self.pending_in(lane, minute).await?.is_empty() {
                let key = (sweep.stamp, i32::from(lane.index), minute);
                self.delete(Name::EndOpenOrders, &key).await?;
                self.delete(Name::EndOpenMinute, &key).await?;
            } else {
                oldest = oldest.min(minute);
            }
        }
        Ok(oldest)
    }

    async fn delete(&self, name: Name, key: &impl SerializeRow) -> Result<(), StoreError> {
        let bound = Bound::new(&self.lanes.prepared, name, key)?;
        self.lanes.write("delete open orders", &[bound]).await
    }
}
