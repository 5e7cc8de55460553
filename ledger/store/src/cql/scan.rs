//! Looking through every table, a page at a time, for whoever holds the rows against the journal.
//!
//! A page is read as lanes read: with a local quorum, and patiently. Rows move meanwhile; each is
//! told as it is when its page is read.

use super::{
    CqlStore,
    asker::Asker,
    columns::{
        Columns, Corrupt, HoldColumns, OrderByUserColumns, OrderColumns, ProductColumns,
        ProductOutcomeColumns, StatementColumns, UserColumns, UserOutcomeColumns, order,
    },
    statements::Name,
};
use crate::{Bookmark, LaneProgress, Portion, ScanStore, StoreError, Stored};
use jupan_schemas::{
    Lane, Role, UserId,
    rows::{HoldRow, OrderRow, OutcomeRow, ProductRow, Row, StatementRow, UserRow, Watermark},
};
use scylla::response::PagingState;
use std::ops::ControlFlow;

const DOING: &str = "look through the rows";

/// The tables in the order in which they are looked through; behind them come the pending orders.
pub(super) const TABLES: [Name; 8] = [
    Name::AllUsers,
    Name::AllProducts,
    Name::AllOrders,
    Name::AllOrdersByUser,
    Name::AllUserOutcomes,
    Name::AllProductOutcomes,
    Name::AllHolds,
    Name::AllStatements,
];

impl ScanStore for CqlStore {
    fn progress(&self) -> Result<Vec<LaneProgress>, StoreError> {
        let roles = [Role::Users, Role::Products].into_iter();
        let lanes = roles
            .flat_map(|role| (0..self.shared.partitions).map(move |index| Lane { role, index }));
        let mut progress = Vec::new();
        for lane in lanes {
            let found = self.runtime.block_on(self.shared.lanes.watermark(lane))?;
            let Some(watermark) = found.as_ref().map(Watermark::from) else { continue };
            let (visible, applied) = (Some(watermark), watermark.sequence);
            progress.push(LaneProgress { lane, visible, persisted: visible, applied });
        }
        Ok(progress)
    }

    fn scan(&self, from: Option<&Bookmark>) -> Result<Portion, StoreError> {
        let first = || (0, PagingState::start());
        let (number, state) = from.map_or_else(first, |bookmark| {
            let state = match bookmark.key.as_slice() {
                [] => PagingState::start(),
                bytes => PagingState::new_from_raw_bytes(bytes),
            };
            (bookmark.table, state)
        });
        let Some(name) = TABLES.get(usize::from(number)) else { return self.scan_open() };
        let (items, next) = self.runtime.block_on(self.shared.lanes.scan(*name, state))?;
        let next = match next {
            ControlFlow::Continue(state) => {
                let key = state.as_bytes_slice().map(|bytes| bytes.to_vec()).unwrap_or_default();
                Bookmark { table: number, key }
            }
            ControlFlow::Break(()) => Bookmark { table: number + 1, key: Vec::new() },
        };
        Ok(Portion { items, next: Some(next) })
    }
}

impl CqlStore {
    /// The pending orders of all lanes: the last portion.
    fn scan_open(&self) -> Result<Portion, StoreError> {
        let mut items = Vec::new();
        for index in 0..self.shared.partitions {
            let lane = Lane { role: Role::Users, index };
            let open = self.runtime.block_on(self.shared.open_orders(lane))?;
            items.extend(open.into_iter().map(|(order_id, deadline)| Stored::Open {
                lane: index,
                order_id,
                deadline,
            }));
        }
        Ok(Portion { items, next: None })
    }
}

type Page = (Vec<Stored>, ControlFlow<(), PagingState>);

impl Asker {
    async fn scan(&self, name: Name, state: PagingState) -> Result<Page, StoreError> {
        match name {
            Name::AllUsers => self.scan_rows::<UserColumns, UserRow>(name, state).await,
            Name::AllProducts => self.scan_rows::<ProductColumns, ProductRow>(name, state).await,
            Name::AllOrders => self.scan_rows::<OrderColumns, OrderRow>(name, state).await,
            Name::AllUserOutcomes => {
                self.scan_rows::<UserOutcomeColumns, OutcomeRow>(name, state).await
            }
            Name::AllProductOutcomes => {
                self.scan_rows::<ProductOutcomeColumns, OutcomeRow>(name, state).await
            }
            Name::AllHolds => self.scan_rows::<HoldColumns, HoldRow>(name, state).await,
            Name::AllStatements => {
                self.scan_rows::<StatementColumns, StatementRow>(name, state).await
            }
            _ => {
                let listed = |columns: OrderByUserColumns| Stored::Listed {
                    user_id: UserId(columns.user_id.cast_unsigned()),
                    placed: columns.placed.cast_unsigned(),
                    order_id: order(columns.order_id),
                };
                let (columns, next) = self.whole_page(DOING, name, state).await?;
                Ok((columns.into_iter().map(listed).collect(), next))
            }
        }
    }

    async fn scan_rows<C, R>(&self, name: Name, state: PagingState) -> Result<Page, StoreError>
    where
        C: Columns,
        R: TryFrom<C, Error = Corrupt> + Into<Row>,
    {
        let (columns, next) = self.whole_page::<C>(DOING, name, state).await?;
        let stored = |columns: C| match R::try_from(columns) {
            Ok(row) => Stored::Row(row.into()),
            Err(corrupt) => Stored::Foreign {
                table: C::TABLE.to_owned(),
                key: String::new(),
                cause: corrupt.to_string(),
            },
        };
        Ok((columns.into_iter().map(stored).collect(), next))
    }
}
