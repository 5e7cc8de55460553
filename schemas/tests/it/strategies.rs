//! Arbitrary records: every schema, every branch, every optional field there and not there.

use jupan_schemas::*;
use proptest::{
    collection::vec, option, prelude::any, prop_oneof, sample::select, strategy::Just,
    strategy::Strategy,
};

/// A strategy for a record out of one for each of its fields.
macro_rules! record {
    ($function:ident -> $type:ident { $($field:ident: $strategy:expr),* $(,)? }) => {
        pub(crate) fn $function() -> impl Strategy<Value = $type> {
            ($($strategy,)*).prop_map(|($($field,)*)| $type { $($field),* })
        }
    };
}

/// A strategy for an enum out of one for each of its branches.
macro_rules! branches {
    ($function:ident -> $type:ident { $($variant:ident: $strategy:expr),* $(,)? }) => {
        pub(crate) fn $function() -> impl Strategy<Value = $type> {
            prop_oneof![$($strategy.prop_map($type::$variant)),*]
        }
    };
}

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..12).prop_map(String::from_iter)
}

/// What Avro's long can count.
fn count() -> impl Strategy<Value = u64> {
    prop_oneof![0..100u64, 0..=i64::MAX.cast_unsigned(), Just(i64::MAX.cast_unsigned())]
}

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![-100..100i64, any::<i64>(), Just(i64::MIN), Just(i64::MAX)]
}

fn user() -> impl Strategy<Value = UserId> {
    (0..ID_LIMIT).prop_map(UserId)
}

fn product() -> impl Strategy<Value = ProductId> {
    (0..ID_LIMIT).prop_map(ProductId)
}

fn money() -> impl Strategy<Value = Money> {
    number().prop_map(Money)
}

fn units() -> impl Strategy<Value = Units> {
    number().prop_map(Units)
}

fn micros() -> impl Strategy<Value = Micros> {
    number().prop_map(Micros)
}

fn stamp() -> impl Strategy<Value = Stamp> {
    number().prop_map(Stamp)
}

fn order() -> impl Strategy<Value = OrderId> {
    any::<[u8; 16]>().prop_map(OrderId)
}

fn command_id() -> impl Strategy<Value = CommandId> {
    any::<[u8; 16]>().prop_map(CommandId)
}

fn trace() -> impl Strategy<Value = Option<TraceId>> {
    option::of(any::<[u8; 16]>().prop_map(TraceId))
}

fn fingerprint() -> impl Strategy<Value = Fingerprint> {
    any::<[u8; 16]>().prop_map(Fingerprint)
}

fn partition() -> impl Strategy<Value = u32> {
    0..=i32::MAX.cast_unsigned()
}

fn code() -> impl Strategy<Value = Code> {
    prop_oneof![9 => select(Code::ALL), 1 => Just(Code::Unknown)]
}

fn payment() -> impl Strategy<Value = Payment> {
    select(&[Payment::Now, Payment::Later][..])
}

fn status() -> impl Strategy<Value = OrderStatus> {
    use OrderStatus::{Failed, Pending, Refunded, Success, Unknown};
    select(&[Pending, Success, Failed, Refunded, Unknown][..])
}

fn account() -> impl Strategy<Value = Account> {
    use Account::{Available, Funding, Reserved, Revenue, Sold, Supply, Wallet};
    select(&[Funding, Wallet, Revenue, Supply, Available, Reserved, Sold][..])
}

fn verdict() -> impl Strategy<Value = Verdict> {
    use Verdict::{Accepted, Dead, Duplicate, Ignored, Opened, Refused};
    select(&[Accepted, Refused, Duplicate, Ignored, Dead, Opened][..])
}

record!(line -> Line { product_id: product(), quantity: units() });
record!(priced_line -> PricedLine { product_id: product(), quantity: units(), price: money() });

fn lines() -> impl Strategy<Value = Vec<Line>> {
    vec(line(), 0..4)
}

fn priced_lines() -> impl Strategy<Value = Vec<PricedLine>> {
    vec(priced_line(), 0..4)
}

record!(register_user -> RegisterUser { name: text(), email: text() });
record!(charge_balance -> ChargeBalance { amount: money() });
record!(add_to_cart -> AddToCart { product_id: product(), quantity: units() });
record!(remove_from_cart -> RemoveFromCart { product_id: product(), quantity: option::of(units()) });
record!(place_order -> PlaceOrder { items: lines(), from_cart: any::<bool>(), payment: payment() });
record!(pay_order -> PayOrder { order_id: order() });
record!(cancel_order -> CancelOrder { order_id: order() });
record!(refund_order -> RefundOrder { order_id: order(), items: lines() });
branches!(user_payload -> UserPayload {
    RegisterUser: register_user(),
    ChargeBalance: charge_balance(),
    AddToCart: add_to_cart(),
    RemoveFromCart: remove_from_cart(),
    PlaceOrder: place_order(),
    PayOrder: pay_order(),
    CancelOrder: cancel_order(),
    RefundOrder: refund_order(),
});
record!(user_command -> UserCommand {
    user_id: user(),
    key: text(),
    created_at: micros(),
    occurred_at: option::of(micros()),
    actor: text(),
    trace_id: trace(),
    reply_to: option::of(partition()),
    payload: user_payload(),
});

record!(register_product -> RegisterProduct { name: text(), price: money(), stock: units() });
record!(change_product -> ChangeProduct { name: option::of(text()), price: option::of(money()) });
record!(restock -> Restock { quantity: units() });
branches!(product_payload -> ProductPayload {
    RegisterProduct: register_product(),
    ChangeProduct: change_product(),
    Restock: restock(),
});
record!(product_command -> ProductCommand {
    product_id: product(),
    key: text(),
    created_at: micros(),
    occurred_at: option::of(micros()),
    actor: text(),
    trace_id: trace(),
    reply_to: option::of(partition()),
    payload: product_payload(),
});

record!(reserve -> Reserve { order_id: order(), lines: lines() });
record!(reserved -> Reserved { order_id: order(), lines: priced_lines() });
record!(refused -> Refused { order_id: order(), code: code(), product_id: product() });
record!(settle -> Settle { order_id: order(), sold_at: micros() });
record!(release -> Release { order_id: order() });
record!(give_back -> Return { order_id: order(), lines: priced_lines(), sold_at: micros() });
record!(expire_order -> ExpireOrder { order_id: order() });
branches!(message -> Message {
    Reserve: reserve(),
    Reserved: reserved(),
    Refused: refused(),
    Settle: settle(),
    Release: release(),
    Return: give_back(),
});
branches!(to_users -> ToUsers {
    Reserved: reserved(),
    Refused: refused(),
    ExpireOrder: expire_order(),
});
branches!(to_products -> ToProducts {
    Reserve: reserve(),
    Settle: settle(),
    Release: release(),
    Return: give_back(),
});

fn envelope<P: std::fmt::Debug>(
    payload: impl Strategy<Value = P>,
) -> impl Strategy<Value = Envelope<P>> {
    let head = (any::<u16>(), count(), stamp(), option::of(command_id()), text(), trace());
    (head, payload).prop_map(|((lane, number, stamp, command_id, actor, trace_id), payload)| {
        Envelope { lane, number, stamp, command_id, actor, trace_id, payload }
    })
}

pub(crate) fn user_message() -> impl Strategy<Value = UserMessage> {
    envelope(to_users())
}

pub(crate) fn product_message() -> impl Strategy<Value = ProductMessage> {
    envelope(to_products())
}

record!(asker -> Asker { reply_to: partition(), position: count() });
record!(outcome -> Outcome {
    code: code(),
    order_id: option::of(order()),
    balance: option::of(money()),
    product_id: option::of(product()),
});
record!(opened -> Opened { epoch: count() });
record!(user_registered -> UserRegistered { user_id: user(), name: text(), email: text() });
record!(product_registered -> ProductRegistered { product_id: product(), name: text(), price: money() });
record!(product_changed -> ProductChanged {
    product_id: product(),
    name: option::of(text()),
    price: option::of(money()),
});
record!(cart_changed -> CartChanged { user_id: user(), lines: lines() });
record!(order_placed -> OrderPlaced {
    order_id: order(),
    user_id: user(),
    lines: lines(),
    from_cart: any::<bool>(),
    payment: payment(),
    deadline: micros(),
    occurred_at: option::of(micros()),
    fingerprint: fingerprint(),
    asker: option::of(asker()),
});
record!(lane_reserved -> LaneReserved { order_id: order(), lane: any::<u16>(), lines: priced_lines() });
record!(order_reserved -> OrderReserved { order_id: order(), payment_due: micros() });
record!(order_ended -> OrderEnded {
    order_id: order(),
    status: status(),
    code: code(),
    product_id: option::of(product()),
    total_price: money(),
});
record!(asker_joined -> AskerJoined { order_id: order(), asker: asker() });
record!(lines_refunded -> LinesRefunded { order_id: order(), lines: lines(), status: status() });
record!(hold_opened -> HoldOpened {
    order_id: order(),
    user_lane: any::<u16>(),
    lines: priced_lines(),
});
record!(hold_ended -> HoldEnded {
    order_id: order(),
    end: select(&[HoldEnd::Settled, HoldEnd::Released][..]),
    sold_at: option::of(micros()),
});
record!(outcome_stored -> OutcomeStored {
    command_id: command_id(),
    fingerprint: fingerprint(),
    outcome: outcome(),
});
record!(lines_returned -> LinesReturned {
    order_id: order(),
    lines: priced_lines(),
    sold_at: micros(),
});
branches!(change -> Change {
    Opened: opened(),
    UserRegistered: user_registered(),
    ProductRegistered: product_registered(),
    ProductChanged: product_changed(),
    CartChanged: cart_changed(),
    OrderPlaced: order_placed(),
    LaneReserved: lane_reserved(),
    OrderReserved: order_reserved(),
    OrderEnded: order_ended(),
    AskerJoined: asker_joined(),
    LinesRefunded: lines_refunded(),
    HoldOpened: hold_opened(),
    HoldEnded: hold_ended(),
    OutcomeStored: outcome_stored(),
    LinesReturned: lines_returned(),
});

record!(input -> InputRef {
    source: select(&[Source::Commands, Source::Inbox][..]),
    offset: count(),
    at: micros(),
});
record!(posting -> Posting {
    account: account(),
    owner: count(),
    delta: number(),
    balance: number(),
});
record!(sent -> Sent { lane: any::<u16>(), number: count(), payload: message() });
record!(answer -> Answer { command_id: command_id(), asker: asker(), outcome: outcome() });
record!(entry -> Entry {
    sequence: count(),
    stamp: stamp(),
    input: option::of(input()),
    command_id: option::of(command_id()),
    actor: text(),
    trace_id: trace(),
    verdict: verdict(),
    code: code(),
    changes: vec(change(), 0..4),
    postings: vec(posting(), 0..4),
    messages: vec(sent(), 0..3),
    answers: vec(answer(), 0..3),
});
record!(positions -> Positions { commands: count(), inbox: count() });
record!(peer -> Peer { lane: any::<u16>(), sent: count(), received: count() });
record!(system_balance -> SystemBalance { account: account(), balance: number() });
record!(step -> Step {
    role: select(&[Role::Users, Role::Products][..]),
    lane: any::<u16>(),
    number: count(),
    previous: any::<[u8; 32]>().prop_map(Hash),
    epoch: count(),
    positions: positions(),
    peers: vec(peer(), 0..4),
    balances: vec(system_balance(), 0..3),
    entries: vec(entry(), 0..4),
});

record!(order_event_line -> OrderEventLine {
    product_id: product(),
    quantity: units(),
    price: money(),
    refunded: units(),
});
record!(order_event -> OrderEvent {
    event_id: text(),
    order_id: text(),
    user_id: user(),
    status: text(),
    reason: option::of(text()),
    total_price: money(),
    occurred_at: micros(),
    at: micros(),
    stamp: stamp(),
    lines: vec(order_event_line(), 0..4),
});
record!(sale -> Sale {
    event_id: text(),
    product_id: product(),
    order_id: text(),
    units: units(),
    amount: money(),
    sold_at: micros(),
    stamp: stamp(),
});
record!(top_product -> TopProduct {
    rank: partition(),
    product_id: product(),
    units: units(),
    amount: money(),
});
record!(top_products -> TopProducts {
    window_from: micros(),
    window_to: micros(),
    limit: partition(),
    positions: vec(count(), 0..4),
    products: vec(top_product(), 0..4),
});
record!(command_result -> CommandResult {
    command_id: command_id(),
    position: count(),
    code: code(),
    order_id: option::of(order()),
    balance: option::of(money()),
    product_id: option::of(product()),
});
