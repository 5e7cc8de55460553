//! Rows by key.

use super::{
    asker::Asker,
    columns::{
        Columns, Corrupt, HoldColumns, OrderColumns, ProductColumns, ProductOutcomeColumns,
        UserColumns, UserOutcomeColumns, WatermarkColumns, command_uuid, order_uuid,
    },
    questions::Question,
    statements::Name,
};
use crate::StoreError;
use jupan_schemas::{
    Lane, Role,
    rows::{HoldRow, OrderRow, OutcomeRow, ProductRow, Row, UserRow},
};
use scylla::serialize::row::SerializeRow;

impl Asker {
    /// The rows that a question is about, as far as they are there, in no order.
    pub(super) async fn answer(&self, question: &Question) -> Result<Vec<Row>, StoreError> {
        match question {
            Question::User(id) => {
                self.read::<UserColumns, UserRow>(Name::User, &(id.0.cast_signed(),)).await
            }
            Question::Product(id) => {
                let key = (id.0.cast_signed(),);
                self.read::<ProductColumns, ProductRow>(Name::Product, &key).await
            }
            Question::Orders(user, ids) => {
                let ids: Vec<_> = ids.iter().map(|id| order_uuid(*id)).collect();
                let keys = (user.0.cast_signed(), ids);
                self.read::<OrderColumns, OrderRow>(Name::Orders, &keys).await
            }
            Question::Outcomes(role, id, ids) => {
                let ids: Vec<_> = ids.iter().map(|id| command_uuid(*id)).collect();
                let keys = (id.cast_signed(), ids);
                match role {
                    Role::Users => {
                        let name = Name::UserOutcomes;
                        self.read::<UserOutcomeColumns, OutcomeRow>(name, &keys).await
                    }
                    Role::Products => {
                        let name = Name::ProductOutcomes;
                        self.read::<ProductOutcomeColumns, OutcomeRow>(name, &keys).await
                    }
                }
            }
            Question::Holds(lane, slot, ids) => {
                let ids: Vec<_> = ids.iter().map(|id| order_uuid(*id)).collect();
                let keys = (i32::from(*lane), *slot, ids);
                self.read::<HoldColumns, HoldRow>(Name::Holds, &keys).await
            }
        }
    }

    async fn read<C, R>(
        &self,
        name: Name,
        keys: &(impl SerializeRow + Sync),
    ) -> Result<Vec<Row>, StoreError>
    where
        C: Columns,
        R: TryFrom<C, Error = Corrupt> + Into<Row>,
    {
        const DOING: &str = "read rows";
        let columns: Vec<C> = self.rows(DOING, name, keys, usize::MAX).await?;
        let rows = columns.into_iter().map(|columns| R::try_from(columns).map(Into::into));
        rows.collect::<Result<_, _>>().map_err(|corrupt| corrupt.while_doing(DOING))
    }

    /// How far a lane is, as it is written.
    pub(super) async fn watermark(
        &self,
        lane: Lane,
    ) -> Result<Option<WatermarkColumns>, StoreError> {
        let key = (lane.role.name(), i32::from(lane.index));
        self.row("read a watermark", Name::Watermark, &key).await
    }
}
