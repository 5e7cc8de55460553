//! Rows to test with. Two versions of a row differ in more than their sequence.

use jupan_schemas::{
    Asker, Code, CommandId, Fingerprint, HoldEnd, Lane, Line, Micros, Money, OrderId, OrderStatus,
    Outcome, Payment, Positions, PricedLine, ProductId, Role, Stamp, Units, UserId,
    rows::{
        AsOf, HistoryLine, HoldRow, OrderLine, OrderRow, OutcomeRow, ProductRow, StatementKind,
        StatementRow, UserRow, Watermark,
    },
};

/// The lane that owns every sample of a user.
pub const USERS: Lane = Lane { role: Role::Users, index: 0 };
/// The lane that owns every sample of a product.
pub const PRODUCTS: Lane = Lane { role: Role::Products, index: 0 };

fn as_of(sequence: u64) -> AsOf {
    AsOf { sequence, stamp: Stamp(at(sequence).0) }
}

fn at(sequence: u64) -> Micros {
    Micros(1_764_000_000_000_000).plus(amount(sequence))
}

fn amount(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

/// The sample order's id.
pub fn order_id(user: u64, number: u64) -> OrderId {
    OrderId::of(UserId(user), &format!("order {number}"))
}

/// The sample command's id.
pub fn command_id(user: u64, number: u64) -> CommandId {
    CommandId::of(Role::Users, user, &format!("command {number}"))
}

/// A user whose balance tells the version.
pub fn user(id: u64, sequence: u64) -> UserRow {
    UserRow {
        user_id: UserId(id),
        lane: USERS.index,
        as_of: as_of(sequence),
        name: format!("user {id}").into(),
        email: format!("user{id}@example.com").into(),
        balance: Money(amount(sequence)),
        created_at: at(1),
        updated_at: at(sequence),
        cart: vec![Line { product_id: ProductId(3), quantity: Units(2) }],
    }
}

/// A product whose available units tell the version.
pub fn product(id: u64, sequence: u64) -> ProductRow {
    ProductRow {
        product_id: ProductId(id),
        lane: PRODUCTS.index,
        as_of: as_of(sequence),
        name: format!("product {id}").into(),
        price: Money(1_500),
        supply: Units(amount(sequence) + 5),
        available: Units(amount(sequence)),
        reserved: Units(3),
        sold: Units(2),
        created_at: at(1),
        updated_at: at(sequence),
    }
}

/// An order in its state at `sequence`, placed at `placed`.
pub fn order(user: u64, number: u64, placed: u64, sequence: u64, status: OrderStatus) -> OrderRow {
    let is_pending = status == OrderStatus::Pending;
    let order_id = order_id(user, number);
    let line = OrderLine {
        product_id: ProductId(3),
        quantity: Units(2),
        price: (!is_pending).then_some(Money(1_500)),
        refunded: Units::ZERO,
    };
    let history = |status, sequence| HistoryLine { status, reason: None, at: at(sequence) };
    let mut row = OrderRow {
        order_id,
        user_id: UserId(user),
        lane: USERS.index,
        as_of: as_of(sequence),
        placed,
        status,
        reason: (status == OrderStatus::Failed).then_some(Code::OutOfStock),
        reason_product: (status == OrderStatus::Failed).then_some(ProductId(3)),
        lines: vec![line],
        awaits: if is_pending { vec![PRODUCTS.index] } else { Vec::new() },
        total: line.price.map_or(Money::ZERO, |_| Money(3_000)),
        from_cart: false,
        payment: Payment::Now,
        deadline: at(placed).plus(15 * Micros::MINUTE),
        payment_due: None,
        occurred_at: None,
        sold_at: (status == OrderStatus::Success).then(|| at(sequence)),
        created_at: at(placed),
        updated_at: at(sequence),
        fingerprint: Fingerprint([7; 16]),
        askers: if is_pending { vec![Asker { reply_to: 1, position: 9 }] } else { Vec::new() },
        outcome: None,
        history: vec![history(OrderStatus::Pending, placed)],
    };
    if !is_pending {
        row.history.push(history(status, sequence));
        row.outcome = Some(Outcome { order_id: Some(order_id), ..Outcome::of(Code::Ok) });
    }
    row
}

/// The outcome of a charge whose balance tells the version.
pub fn outcome(user: u64, number: u64, sequence: u64) -> OutcomeRow {
    OutcomeRow {
        command_id: command_id(user, number),
        lane: USERS.index,
        as_of: as_of(sequence),
        fingerprint: Fingerprint([8; 16]),
        outcome: Outcome { balance: Some(Money(amount(sequence))), ..Outcome::of(Code::Ok) },
        at: at(sequence),
    }
}

/// A hold for an order.
pub fn hold(user: u64, number: u64, sequence: u64, end: Option<HoldEnd>) -> HoldRow {
    HoldRow {
        order_id: order_id(user, number),
        lane: PRODUCTS.index,
        as_of: as_of(sequence),
        user_lane: USERS.index,
        lines: vec![PricedLine {
            product_id: ProductId(3),
            quantity: Units(2),
            price: Money(1_500),
        }],
        end,
    }
}

/// A payment whose balance tells the sequence.
pub fn statement(user: u64, sequence: u64) -> StatementRow {
    StatementRow {
        user_id: UserId(user),
        lane: USERS.index,
        as_of: as_of(sequence),
        kind: StatementKind::Payment,
        delta: Money(-3_000),
        balance: Money(amount(sequence)),
        order_id: Some(order_id(user, 1)),
        at: at(sequence),
    }
}

/// The watermark after a step whose last entry is `sequence`.
pub fn watermark(step: u64, sequence: u64) -> Watermark {
    Watermark {
        step,
        journal: step + 1,
        sequence,
        stamp: Stamp(at(sequence).0),
        positions: Positions { commands: sequence, inbox: 2 * sequence },
    }
}
