//! Every row comes back from its columns as it was, through the types that the files declare.

use super::ddl::Ddl;
use crate::cql::{
    bound::{Bound, Specs},
    columns::{
        Columns, HoldColumns, OpenMinuteColumns, OpenOrderColumns, OrderByUserColumns,
        OrderColumns, ProductColumns, ProductIdColumns, ProductOutcomeColumns,
        StatementBucketColumns, StatementColumns, UserColumns, UserOutcomeColumns,
        WatermarkColumns,
    },
    statements::Name,
};
use jupan_schemas::{
    Asker, Code, CommandId, Fingerprint, Lane, Line, Micros, Money, OrderId, OrderStatus, Outcome,
    Payment, Positions, PricedLine, ProductId, Role, Stamp, Units, UserId,
    rows::{
        AsOf, HistoryLine, HoldRow, OrderLine, OrderRow, OutcomeRow, ProductRow, StatementKind,
        StatementRow, UserRow, Watermark,
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use scylla::{deserialize::FrameSlice, deserialize::row::ColumnIterator};
use std::sync::{Arc, LazyLock};

static DDL: LazyLock<Ddl> = LazyLock::new(Ddl::read);

/// Writes columns as a statement does, and reads them as an answer.
fn written_and_read<C: Columns>(name: Name, columns: &C) -> C {
    let bound = Bound::new(&*DDL, name, columns).expect("values");
    assert_eq!(DDL.of(name).len(), C::NAMES.len() + 1, "{name:?}");
    let specs = DDL.row(C::TABLE, C::NAMES);
    C::type_check(&specs).expect("the types of the table");
    let cells = ColumnIterator::new(&specs, FrameSlice::new_borrowed(bound.values.as_bytes()));
    C::deserialize(cells).expect("the row")
}

fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), 0u64..10, Just(u64::MAX), Just(i64::MAX as u64)]
}

fn units() -> impl Strategy<Value = Units> {
    any::<i64>().prop_map(Units)
}

fn money() -> impl Strategy<Value = Money> {
    any::<i64>().prop_map(Money)
}

fn times() -> impl Strategy<Value = Micros> {
    any::<i64>().prop_map(Micros)
}

fn as_of() -> impl Strategy<Value = AsOf> {
    (numbers(), any::<i64>()).prop_map(|(sequence, stamp)| AsOf { sequence, stamp: Stamp(stamp) })
}

fn texts() -> impl Strategy<Value = Arc<str>> {
    any::<String>().prop_map(Into::into)
}

fn codes() -> impl Strategy<Value = Code> {
    select(Code::ALL)
}

fn statuses() -> impl Strategy<Value = OrderStatus> {
    use OrderStatus::{Failed, Pending, Refunded, Success};
    select(vec![Pending, Success, Failed, Refunded])
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let ids = (option::of(any::<[u8; 16]>()), option::of(numbers()));
    (codes(), ids, option::of(money())).prop_map(|(code, (order, product), balance)| Outcome {
        code,
        order_id: order.map(OrderId),
        balance,
        product_id: product.map(ProductId),
    })
}

fn fingerprints() -> impl Strategy<Value = Fingerprint> {
    any::<[u8; 16]>().prop_map(Fingerprint)
}

fn users() -> impl Strategy<Value = UserRow> {
    let line = (numbers(), units())
        .prop_map(|(id, quantity)| Line { product_id: ProductId(id), quantity });
    let who = (numbers(), any::<u16>(), as_of(), texts(), texts());
    (who, money(), times(), times(), vec(line, 0..4)).prop_map(
        |((id, lane, as_of, name, email), balance, created_at, updated_at, cart)| UserRow {
            user_id: UserId(id),
            lane,
            as_of,
            name,
            email,
            balance,
            created_at,
            updated_at,
            cart,
        },
    )
}

fn products() -> impl Strategy<Value = ProductRow> {
    let what = (numbers(), any::<u16>(), as_of(), texts(), money());
    (what, [units(), units(), units(), units()], times(), times()).prop_map(
        |((id, lane, as_of, name, price), units, created_at, updated_at)| {
            let [supply, available, reserved, sold] = units;
            ProductRow {
                product_id: ProductId(id),
                lane,
                as_of,
                name,
                price,
                supply,
                available,
                reserved,
                sold,
                created_at,
                updated_at,
            }
        },
    )
}

fn order_lines() -> impl Strategy<Value = Vec<OrderLine>> {
    let line = (numbers(), units(), option::of(money()), units()).prop_map(
        |(id, quantity, price, refunded)| OrderLine {
            product_id: ProductId(id),
            quantity,
            price,
            refunded,
        },
    );
    vec(line, 0..4)
}

fn histories() -> impl Strategy<Value = Vec<HistoryLine>> {
    let line = (statuses(), option::of(codes()), times())
        .prop_map(|(status, reason, at)| HistoryLine { status, reason, at });
    vec(line, 0..4)
}

fn askers() -> impl Strategy<Value = Vec<Asker>> {
    let asker =
        (any::<u32>(), numbers()).prop_map(|(reply_to, position)| Asker { reply_to, position });
    vec(asker, 0..4)
}

prop_compose! {
    fn orders()(
        ids in (any::<[u8; 16]>(), numbers(), any::<u16>()),
        as_of in as_of(),
        placed in numbers(),
        status in statuses(),
        reason in (option::of(codes()), option::of(numbers())),
        lines in order_lines(),
        awaits in vec(any::<u16>(), 0..4),
        total in money(),
        from_cart in any::<bool>(),
        payment in select(vec![Payment::Now, Payment::Later]),
        deadline in times(),
        may_be in [option::of(times()), option::of(times()), option::of(times())],
        at in (times(), times()),
        fingerprint in fingerprints(),
        askers in askers(),
        outcome in option::of(outcomes()),
        history in histories(),
    ) -> OrderRow {
        let [payment_due, occurred_at, sold_at] = may_be;
        OrderRow {
            order_id: OrderId(ids.0),
            user_id: UserId(ids.1),
            lane: ids.2,
            as_of,
            placed,
            status,
            reason: reason.0,
            reason_product: reason.1.map(ProductId),
            lines,
            awaits,
            total,
            from_cart,
            payment,
            deadline,
            payment_due,
            occurred_at,
            sold_at,
            created_at: at.0,
            updated_at: at.1,
            fingerprint,
            askers,
            outcome,
            history,
        }
    }
}

fn outcome_rows() -> impl Strategy<Value = OutcomeRow> {
    (any::<[u8; 16]>(), any::<u16>(), as_of(), fingerprints(), outcomes(), times()).prop_map(
        |(id, lane, as_of, fingerprint, outcome, at)| OutcomeRow {
            command_id: CommandId(id),
            lane,
            as_of,
            fingerprint,
            outcome,
            at,
        },
    )
}

fn statements() -> impl Strategy<Value = StatementRow> {
    use StatementKind::{Charge, Payment, Refund};
    let who = (numbers(), any::<u16>(), as_of(), select(vec![Charge, Payment, Refund]));
    (who, money(), money(), option::of(any::<[u8; 16]>()), times()).prop_map(
        |((user, lane, as_of, kind), delta, balance, order, at)| StatementRow {
            user_id: UserId(user),
            lane,
            as_of,
            kind,
            delta,
            balance,
            order_id: order.map(OrderId),
            at,
        },
    )
}

fn holds() -> impl Strategy<Value = HoldRow> {
    let line = (numbers(), units(), money()).prop_map(|(id, quantity, price)| PricedLine {
        product_id: ProductId(id),
        quantity,
        price,
    });
    (any::<[u8; 16]>(), any::<u16>(), as_of(), any::<u16>(), vec(line, 0..4)).prop_map(
        |(order, lane, as_of, user_lane, lines)| HoldRow {
            order_id: OrderId(order),
            lane,
            as_of,
            user_lane,
            lines,
            end: None,
        },
    )
}

fn watermarks() -> impl Strategy<Value = Watermark> {
    let numbers = [numbers(), numbers(), numbers(), numbers(), numbers()];
    (numbers, any::<i64>()).prop_map(|([step, journal, sequence, commands, inbox], stamp)| {
        let positions = Positions { commands, inbox };
        Watermark { step, journal, sequence, stamp: Stamp(stamp), positions }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn users_come_back(row in users()) {
        let columns = written_and_read(Name::PutUser, &UserColumns::from(&row));
        prop_assert_eq!(UserRow::try_from(columns), Ok(row));
    }

    #[test]
    fn products_come_back(row in products()) {
        let columns = written_and_read(Name::PutProduct, &ProductColumns::from(&row));
        prop_assert_eq!(ProductRow::try_from(columns), Ok(row.clone()));
        let listed = ProductIdColumns::from(&row);
        prop_assert_eq!(written_and_read(Name::PutProductId, &listed), listed);
    }

    #[test]
    fn orders_come_back(row in orders()) {
        let columns = written_and_read(Name::PutOrder, &OrderColumns::from(&row));
        prop_assert_eq!(OrderRow::try_from(columns), Ok(row.clone()));
        let listed = OrderByUserColumns::from(&row);
        prop_assert_eq!(written_and_read(Name::PutOrderByUser, &listed), listed);
        let open = OpenOrderColumns::from(&row);
        prop_assert_eq!(open.order(), row.order_id);
        prop_assert_eq!(written_and_read(Name::PutOpenOrder, &open), open);
        let minute = OpenMinuteColumns::from(&row);
        prop_assert_eq!(written_and_read(Name::PutOpenMinute, &minute), minute);
    }

    #[test]
    fn outcomes_come_back(row in outcome_rows()) {
        let columns = UserOutcomeColumns::of(UserId(7), &row);
        let columns = written_and_read(Name::PutUserOutcome, &columns);
        prop_assert_eq!(OutcomeRow::try_from(columns), Ok(row.clone()));
        let columns = ProductOutcomeColumns::of(ProductId(7), &row);
        let columns = written_and_read(Name::PutProductOutcome, &columns);
        prop_assert_eq!(OutcomeRow::try_from(columns), Ok(row));
    }

    #[test]
    fn statements_come_back(row in statements()) {
        let columns = written_and_read(Name::PutStatement, &StatementColumns::from(&row));
        prop_assert_eq!(StatementRow::try_from(columns), Ok(row.clone()));
        let head = StatementBucketColumns::from(&row);
        prop_assert_eq!(written_and_read(Name::PutStatementBucket, &head), head);
    }

    #[test]
    fn holds_come_back(row in holds()) {
        let columns = written_and_read(Name::PutHold, &HoldColumns::from(&row));
        prop_assert_eq!(HoldRow::try_from(columns), Ok(row));
    }

    #[test]
    fn watermarks_come_back(watermark in watermarks(), oldest in option::of(any::<i64>())) {
        let lane = Lane { role: Role::Products, index: 7 };
        let columns = WatermarkColumns::of(lane, watermark, oldest);
        let columns = written_and_read(Name::PutWatermark, &columns);
        prop_assert_eq!(Watermark::from(&columns), watermark);
        prop_assert_eq!(columns.oldest_minute, oldest);
    }
}
