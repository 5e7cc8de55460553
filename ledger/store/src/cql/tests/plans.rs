//! Which mutations rows become.

use super::ddl::Ddl;
use crate::{
    conformance::samples,
    cql::{
        mutations::{Mutation, Partition, Plan, Planner, Written, newest},
        statements::Name,
    },
    limits,
};
use jupan_schemas::{
    CommandId, HoldEnd, Line, Micros, OrderStatus, ProductId, Role, Stamp, Units, UserId, rows::Row,
};
use std::collections::BTreeMap;

/// What was written before.
#[derive(Default)]
struct Before {
    product: Option<u64>,
    minute: Option<i64>,
}

impl Written for Before {
    fn is_listed(&self, product: ProductId) -> bool {
        self.product == Some(product.0)
    }

    fn has_minute(&self, minute: i64) -> bool {
        self.minute == Some(minute)
    }
}

fn plan(rows: Vec<Row>, before: &Before) -> Plan {
    Planner::new(&Ddl::read(), before).plan(&newest(rows)).expect("a plan")
}

/// The names of the statements for each partition.
fn names(mutations: &[Mutation]) -> BTreeMap<Partition, Vec<Name>> {
    let names = |mutation: &Mutation| mutation.statements.iter().map(|bound| bound.name).collect();
    mutations.iter().map(|mutation| (mutation.partition, names(mutation))).collect()
}

fn order(user: u64, number: u64, sequence: u64, status: OrderStatus) -> Row {
    Row::from(samples::order(user, number, number, sequence, status))
}

/// The minute of a sample order's deadline.
const MINUTE: i64 = 29_400_015;

#[test]
fn the_rows_of_a_user_are_one_mutation() {
    let before = Before { minute: Some(MINUTE), ..Before::default() };
    let plan = plan(
        vec![
            order(7, 1, 10, OrderStatus::Success),
            Row::from(samples::user(7, 10)),
            Row::from(samples::outcome(7, 1, 10)),
            Row::from(samples::statement(7, 10)),
            Row::from(samples::user(8, 11)),
        ],
        &before,
    );
    let user = vec![
        Name::PutOrder,
        Name::PutOrderByUser,
        Name::PutUser,
        Name::PutUserOutcome,
        Name::PutStatementBucket,
    ];
    let expected = BTreeMap::from([
        (Partition::User(UserId(7)), user),
        (Partition::Statement(UserId(7), 0), vec![Name::PutStatement]),
        (Partition::User(UserId(8)), vec![Name::PutUser]),
        (Partition::OpenOrders(MINUTE), vec![Name::PutOpenOrder]),
    ]);
    assert_eq!(names(&plan.rows), expected);
    assert!(plan.lists.is_empty());
}

#[test]
fn only_the_newest_row_of_a_key_is_written() {
    let rows = newest(vec![
        order(7, 1, 10, OrderStatus::Pending),
        Row::from(samples::statement(7, 10)),
        order(7, 1, 12, OrderStatus::Success),
        order(7, 1, 11, OrderStatus::Pending),
        Row::from(samples::statement(7, 12)),
    ]);
    let sequences: Vec<u64> = rows.iter().map(|row| row.as_of().sequence).collect();
    assert_eq!(sequences, [12, 10, 12]);
}

#[test]
fn a_hold_that_has_ended_is_no_row() {
    let ended = Row::from(samples::hold(7, 1, 11, Some(HoldEnd::Settled)));
    let open = Row::from(samples::hold(7, 1, 10, None));
    for rows in [vec![open.clone(), ended.clone()], vec![ended.clone(), open.clone()], vec![ended]]
    {
        let plan = plan(rows, &Before::default());
        let written: Vec<Vec<Name>> = names(&plan.rows).into_values().collect();
        assert_eq!(written, [vec![Name::EndHold]]);
    }
    let plan = plan(vec![open], &Before::default());
    assert_eq!(names(&plan.rows).into_values().collect::<Vec<_>>(), [vec![Name::PutHold]]);
}

#[test]
fn a_product_is_listed_first_and_once() {
    let rows = || vec![Row::from(samples::product(3, 10)), Row::from(samples::product(4, 11))];
    let before = Before { product: Some(3), ..Before::default() };
    let plan = plan(rows(), &before);
    assert_eq!(
        names(&plan.lists),
        BTreeMap::from([(Partition::Catalogue, vec![Name::PutProductId])])
    );
    assert_eq!(plan.rows.len(), 2);
}

#[test]
fn outcomes_lie_with_whom_they_are_about() {
    let mut outcome = samples::outcome(7, 1, 10);
    outcome.command_id = CommandId::of(Role::Products, 7, "key");
    let rows = vec![Row::from(outcome), Row::from(samples::outcome(7, 1, 10))];
    let expected = BTreeMap::from([
        (Partition::Product(ProductId(7)), vec![Name::PutProductOutcome]),
        (Partition::User(UserId(7)), vec![Name::PutUserOutcome]),
    ]);
    assert_eq!(names(&plan(rows, &Before::default()).rows), expected);
    let mut outcome = samples::outcome(7, 1, 10);
    outcome.command_id = CommandId([0; 16]);
    let nobodys = [Row::from(outcome)];
    assert!(Planner::new(&Ddl::read(), &Before::default()).plan(&nobodys).is_err());
}

#[test]
fn pending_orders_are_noted_by_minute() {
    use OrderStatus::{Pending, Success};
    // Status, minutes between stamp and deadline, whether the minute is known already, and whether
    // order and minute are noted.
    for (status, ahead, is_known, notes_order, notes_minute) in [
        (Pending, 15, false, true, true),
        (Pending, 15, true, true, false),
        (Pending, 0, true, true, false),
        (Pending, -1, true, true, true),
        (Success, 15, true, true, false),
        (Success, 0, false, true, false),
        (Success, -1, true, false, false),
    ] {
        let mut row = samples::order(7, 1, 1, 1, status);
        row.as_of.stamp = Stamp(row.deadline.0 - ahead * Micros::MINUTE);
        let minute = row.deadline.0.div_euclid(Micros::MINUTE);
        let before = Before { minute: is_known.then_some(minute), ..Before::default() };
        let plan = plan(vec![Row::from(row)], &before);
        let names = names(&plan.rows);
        let what = format!("{status:?}, {ahead} minutes ahead, known: {is_known}");
        assert_eq!(names.contains_key(&Partition::OpenOrders(minute)), notes_order, "{what}");
        assert_eq!(names.contains_key(&Partition::OpenMinutes), notes_minute, "{what}");
        assert_eq!(plan.minutes == [minute], notes_minute, "{what}");
    }
}

#[test]
fn many_orders_need_few_mutations_of_product_lanes() {
    let holds = (0..256).map(|n| Row::from(samples::hold(n, n, 10 + n, None)));
    let plan = plan(holds.collect(), &Before::default());
    assert!(plan.rows.len() <= 32, "{} mutations", plan.rows.len());
    let statements: usize = plan.rows.iter().map(|mutation| mutation.statements.len()).sum();
    assert_eq!(statements, 256);
}

#[test]
fn requests_are_bounded() {
    let statements = (0..250).map(|n| Row::from(samples::statement(7, n)));
    let mut rows: Vec<Row> = statements.collect();
    for (user, lines) in [(8, 100), (9, 500), (10, 2_000)] {
        for number in 0..20 {
            let mut row = samples::user(user, 300 + number);
            row.cart = vec![Line { product_id: ProductId(1), quantity: Units(1) }; lines];
            rows.push(Row::from(row));
            let mut row = samples::order(user, number, 300, 300, OrderStatus::Success);
            row.lines = vec![row.lines[0]; lines];
            rows.push(Row::from(row));
        }
    }
    let plan = plan(rows, &Before::default());
    for mutation in plan.rows {
        let all = mutation.statements.clone();
        let requests = mutation.requests();
        for request in &requests {
            let bytes: usize = request.iter().map(|bound| bound.values.bytes()).sum();
            assert!(request.len() <= limits::CQL_BATCH_STATEMENTS_MAX);
            assert!(
                !request.is_empty() && (request.len() == 1 || bytes <= limits::CQL_BATCH_BYTES_MAX)
            );
        }
        assert_eq!(requests.concat(), all, "nothing is lost, and nothing changes places");
    }
}
