//! What rows become: mutations, each of one partition. Nothing here talks to a server.
//!
//! A user's rows of one call are one mutation, a product's another. A lane's holds share few
//! partitions, and so do its pending orders of one minute: many orders, few mutations.

use super::{
    bound::{Bound, Specs},
    columns::{
        HoldColumns, OpenMinuteColumns, OpenOrderColumns, OrderByUserColumns, OrderColumns,
        ProductColumns, ProductIdColumns, ProductOutcomeColumns, StatementBucketColumns,
        StatementColumns, UserColumns, UserOutcomeColumns, bucket, minute, slot,
    },
    statements::Name,
};
use crate::{StoreError, limits};
use hashbrown::{HashMap, hash_map::Entry};
use jupan_schemas::{
    Micros, ProductId, Role, UserId,
    rows::{Key, OrderRow, OutcomeRow, ProductRow, Row, StatementRow},
};
use scylla::serialize::row::SerializeRow;
use std::mem;

/// Where rows lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Partition {
    User(UserId),
    Statement(UserId, i64),
    Product(ProductId),
    /// The lane's part of the catalogue.
    Catalogue,
    /// By slot.
    Holds(i32),
    /// By minute.
    OpenOrders(i64),
    OpenMinutes,
}

/// Statements about one partition.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mutation {
    pub(super) partition: Partition,
    pub(super) statements: Vec<Bound>,
}

impl Mutation {
    /// As requests that no server finds too large; most are one.
    pub(super) fn requests(self) -> Vec<Vec<Bound>> {
        let (mut requests, mut open, mut bytes) = (Vec::new(), Vec::new(), 0);
        for bound in self.statements {
            let more = bound.values.bytes();
            let is_full = open.len() >= limits::CQL_BATCH_STATEMENTS_MAX
                || bytes + more > limits::CQL_BATCH_BYTES_MAX;
            if is_full && !open.is_empty() {
                requests.push(mem::take(&mut open));
                bytes = 0;
            }
            bytes += more;
            open.push(bound);
        }
        requests.push(open);
        requests
    }
}

/// What the rows of one call become.
#[derive(Default)]
pub(super) struct Plan {
    /// Come first: a product is listed before it is there.
    pub(super) lists: Vec<Mutation>,
    pub(super) rows: Vec<Mutation>,
    /// Of deadlines of pending orders, in no order.
    pub(super) minutes: Vec<i64>,
}

/// What is known to be written already.
pub(super) trait Written {
    /// Whether a product is in the catalogue.
    fn is_listed(&self, product: ProductId) -> bool;
    /// Whether a minute is among those of the lane.
    fn has_minute(&self, minute: i64) -> bool;
}

/// The newest row of each key; statement rows all, each once.
pub(super) fn newest(rows: Vec<Row>) -> Vec<Row> {
    let mut places: HashMap<Key, usize> = HashMap::with_capacity(rows.len());
    let mut newest: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(key) = row.key() else {
            newest.push(row);
            continue;
        };
        match places.entry(key) {
            Entry::Vacant(place) => {
                place.insert(newest.len());
                newest.push(row);
            }
            Entry::Occupied(place) => {
                let present = &mut newest[*place.get()];
                if present.as_of().sequence < row.as_of().sequence {
                    *present = row;
                }
            }
        }
    }
    newest
}

/// Whose command an outcome is of.
pub(super) fn target(row: &OutcomeRow) -> Result<(Role, u64), StoreError> {
    row.command_id.target().ok_or_else(|| StoreError::Broken {
        doing: "write rows",
        cause: format!("command {} names nobody", row.command_id),
    })
}

/// Gathers statements by partition.
pub(super) struct Planner<'a, S, W> {
    specs: &'a S,
    written: &'a W,
    places: HashMap<Partition, usize>,
    plan: Plan,
}

impl<'a, S: Specs, W: Written> Planner<'a, S, W> {
    pub(super) fn new(specs: &'a S, written: &'a W) -> Self {
        Self { specs, written, places: HashMap::new(), plan: Plan::default() }
    }

    /// All mutations of these rows, in the order of their first rows.
    pub(super) fn plan(mut self, rows: &[Row]) -> Result<Plan, StoreError> {
        for row in rows {
            self.add(row)?;
        }
        Ok(self.plan)
    }

    fn add(&mut self, row: &Row) -> Result<(), StoreError> {
        match row {
            Row::User(row) => {
                let columns = UserColumns::from(&**row);
                self.put(Partition::User(row.user_id), Name::PutUser, &columns)
            }
            Row::Order(row) => self.add_order(row),
            Row::Outcome(row) => self.add_outcome(row),
            Row::Statement(row) => self.add_statement(row),
            Row::Product(row) => self.add_product(row),
            Row::Hold(row) => {
                let partition = Partition::Holds(slot(row.order_id));
                let columns = HoldColumns::from(&**row);
                if row.is_open() {
                    return self.put(partition, Name::PutHold, &columns);
                }
                let key = (columns.stamp, columns.lane, columns.slot, columns.order_id);
                self.put(partition, Name::EndHold, &key)
            }
        }
    }

    fn add_order(&mut self, row: &OrderRow) -> Result<(), StoreError> {
        let user = Partition::User(row.user_id);
        self.put(user, Name::PutOrder, &OrderColumns::from(row))?;
        self.put(user, Name::PutOrderByUser, &OrderByUserColumns::from(row))?;
        let (deadline, now) = (minute(row.deadline), minute(Micros(row.as_of.stamp.0)));
        // Once its minute has passed, an ended order is not noted any more: the minute may be gone.
        if row.is_pending() || now <= deadline {
            let columns = OpenOrderColumns::from(row);
            self.put(Partition::OpenOrders(deadline), Name::PutOpenOrder, &columns)?;
        }
        let is_late = deadline < now;
        if row.is_pending() && (is_late || !self.has_minute(deadline)) {
            let columns = OpenMinuteColumns::from(row);
            self.put(Partition::OpenMinutes, Name::PutOpenMinute, &columns)?;
            self.plan.minutes.push(deadline);
        }
        Ok(())
    }

    fn has_minute(&self, minute: i64) -> bool {
        self.plan.minutes.contains(&minute) || self.written.has_minute(minute)
    }

    fn add_outcome(&mut self, row: &OutcomeRow) -> Result<(), StoreError> {
        match target(row)? {
            (Role::Users, id) => {
                let columns = UserOutcomeColumns::of(UserId(id), row);
                self.put(Partition::User(UserId(id)), Name::PutUserOutcome, &columns)
            }
            (Role::Products, id) => {
                let columns = ProductOutcomeColumns::of(ProductId(id), row);
                self.put(Partition::Product(ProductId(id)), Name::PutProductOutcome, &columns)
            }
        }
    }

    fn add_statement(&mut self, row: &StatementRow) -> Result<(), StoreError> {
        let head = StatementBucketColumns::from(row);
        self.put(Partition::User(row.user_id), Name::PutStatementBucket, &head)?;
        let partition = Partition::Statement(row.user_id, bucket(row.as_of.sequence));
        self.put(partition, Name::PutStatement, &StatementColumns::from(row))
    }

    fn add_product(&mut self, row: &ProductRow) -> Result<(), StoreError> {
        if !self.written.is_listed(row.product_id) {
            let columns = ProductIdColumns::from(row);
            let bound = Bound::new(self.specs, Name::PutProductId, &columns)?;
            match self.plan.lists.first_mut() {
                Some(list) => list.statements.push(bound),
                None => {
                    let statements = vec![bound];
                    self.plan.lists.push(Mutation { partition: Partition::Catalogue, statements });
                }
            }
        }
        let columns = ProductColumns::from(row);
        self.put(Partition::Product(row.product_id), Name::PutProduct, &columns)
    }

    fn put(
        &mut self,
        partition: Partition,
        name: Name,
        values: &impl SerializeRow,
    ) -> Result<(), StoreError> {
        let bound = Bound::new(self.specs, name, values)?;
        let mutations = &mut self.plan.rows;
        let place = *self.places.entry(partition).or_insert_with(|| {
            mutations.push(Mutation { partition, statements: Vec::new() });
            mutations.len() - 1
        });
        mutations[place].statements.push(bound);
        Ok(())
    }
}
