//! The write side: rows become mutations, which are written beside each other. When a call returns,
//! all of them are in.

use super::{
    bound::Bound,
    columns::WatermarkColumns,
    mutations::{self, Mutation, Planner, Written},
    owners::{self, Owned, Owner, Owners},
    shared::{Shared, beside},
    statements::Name,
};
use crate::StoreError;
use hashbrown::{HashMap, HashSet};
use jupan_schemas::{
    Lane, ProductId, Role,
    rows::{Row, Watermark},
};
use std::sync::Arc;

const DOING: &str = "write rows";

/// What a lane has written.
struct Known<'a> {
    owners: &'a Owners,
    minutes: HashSet<i64>,
}

impl Written for Known<'_> {
    fn is_listed(&self, product: ProductId) -> bool {
        // A product is listed before its row is written, so one with a row is listed.
        matches!(self.owners.get((Role::Products, product.0)), Some(Owner::Lane(_)))
    }

    fn has_minute(&self, minute: i64) -> bool {
        self.minutes.contains(&minute)
    }
}

impl Shared {
    /// Writes the newest row of each key.
    pub(super) async fn apply(
        self: &Arc<Self>,
        lane: Lane,
        rows: Vec<Row>,
    ) -> Result<(), StoreError> {
        let rows = mutations::newest(rows);
        let owned = self.check_owners(lane, &rows).await?;
        self.know(lane).await?;
        let known = Known { owners: &self.owners, minutes: self.standings.minutes(lane) };
        let plan = Planner::new(&self.lanes.prepared, &known).plan(&rows)?;
        self.write(plan.lists).await?;
        self.write(plan.rows).await?;
        for owned in owned {
            self.owners.learn(owned, Owner::Lane(lane.index));
        }
        self.standings.applied(lane, plan.minutes, &rows);
        Ok(())
    }

    async fn write(self: &Arc<Self>, mutations: Vec<Mutation>) -> Result<(), StoreError> {
        let requests = mutations.into_iter().flat_map(Mutation::requests);
        let write = |request: Vec<Bound>| {
            let shared = Arc::clone(self);
            async move { shared.lanes.write(DOING, &request).await }
        };
        beside(requests.map(write)).await.map(drop)
    }

    /// Refuses rows of another lane; returns whose these are.
    async fn check_owners(
        self: &Arc<Self>,
        lane: Lane,
        rows: &[Row],
    ) -> Result<HashSet<Owned>, StoreError> {
        let mut all = HashSet::new();
        for row in rows {
            all.extend(owners::owned(row)?);
        }
        let unknown = all.iter().filter(|owned| self.owners.get(**owned).is_none());
        let ask = |owned: &Owned| {
            let (shared, owned) = (Arc::clone(self), *owned);
            async move { Ok((owned, shared.lanes.owner(owned).await?)) }
        };
        let found: HashMap<Owned, Owner> = beside(unknown.map(ask)).await?.into_iter().collect();
        for (owned, owner) in &found {
            self.owners.learn(*owned, *owner);
        }
        let owner = |owned| self.owners.get(owned).or_else(|| found.get(&owned).copied());
        owners::check(lane, rows, owner)?;
        Ok(all)
    }

    /// Makes sure that the lane's standing is known.
    pub(super) async fn know(&self, lane: Lane) -> Result<(), StoreError> {
        if !self.standings.is_known(lane) {
            let found = self.lanes.watermark(lane).await?;
            if !self.standings.is_known(lane) {
                self.standings.reset(lane, found.as_ref());
            }
        }
        Ok(())
    }

    /// Reads a lane's watermark anew: another process may have had the lane meanwhile.
    pub(super) async fn found_watermark(
        &self,
        lane: Lane,
    ) -> Result<Option<Watermark>, StoreError> {
        self.save_watermark(lane).await?;
        let found = self.lanes.watermark(lane).await?;
        self.standings.reset(lane, found.as_ref());
        Ok(found.as_ref().map(Watermark::from))
    }

    /// Writes a lane's watermark, if it is not saved.
    pub(super) async fn save_watermark(&self, lane: Lane) -> Result<(), StoreError> {
        let Some((watermark, oldest_minute)) = self.standings.unsaved(lane) else { return Ok(()) };
        let columns = WatermarkColumns::of(lane, watermark, oldest_minute);
        let bound = Bound::new(&self.lanes.prepared, Name::PutWatermark, &columns)?;
        self.lanes.write("write a watermark", &[bound]).await?;
        self.standings.saved(lane, watermark);
        Ok(())
    }

    /// Writes every watermark that is not saved.
    pub(super) async fn save_watermarks(self: &Arc<Self>) -> Result<(), StoreError> {
        let save = |lane: Lane| {
            let shared = Arc::clone(self);
            async move { shared.save_watermark(lane).await }
        };
        beside(self.standings.unsaved_lanes().into_iter().map(save)).await.map(drop)
    }
}
