//! One thing at a time: fences, gaps, deadlines, bounds, restores.

use super::harness::{Harness, START};
use crate::{Limits, Stop, Worker};
use jupan_ledger::{Core, users::Users};
use jupan_log::{Log, memory::Fault};
use jupan_schemas::{rows::Key, *};
use jupan_store::{LaneStore, ReadStore};
use std::{sync::Arc, time::Duration};

pub(super) fn register(harness: &mut Harness, user: u64, product: u64) {
    let name = "Ada".to_owned();
    let email = "ada@example.org".to_owned();
    harness.user(user, "register", UserPayload::RegisterUser(RegisterUser { name, email }));
    harness.user(
        user,
        "charge",
        UserPayload::ChargeBalance(ChargeBalance { amount: Money(1_000) }),
    );
    let (name, price, stock) = ("Abacus".to_owned(), Money(10), Units(50));
    let payload = ProductPayload::RegisterProduct(RegisterProduct { name, price, stock });
    harness.product(product, "register", payload);
    harness.settle();
}

pub(super) fn place(
    harness: &mut Harness,
    user: u64,
    key: &str,
    product: u64,
    quantity: i64,
) -> OrderId {
    let items = vec![Line { product_id: ProductId(product), quantity: Units(quantity) }];
    let order = PlaceOrder { items, from_cart: false, payment: Payment::Now };
    harness.user(user, key, UserPayload::PlaceOrder(order));
    OrderId::of(UserId(user), key)
}

fn order(harness: &Harness, id: OrderId) -> Option<Arc<rows::OrderRow>> {
    futures(harness.store.order(id)).expect("it reads")
}

pub(super) fn futures<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

#[test]
fn a_stale_owner_writes_nothing() {
    let mut harness = Harness::new(1, Limits::default(), true);
    let lane = Lane { role: Role::Users, index: 0 };
    let mut stale = Worker::<Users>::open(&harness.parts, lane).expect("it opens");
    harness.open(0).expect("a takeover");
    register(&mut harness, 1, 1);
    let before = harness.steps(Role::Users).len();
    let refused = stale.turn(Duration::ZERO);
    assert!(matches!(refused, Err(Stop::Log(jupan_log::LaneError::Fenced { .. }))), "{refused:?}");
    assert_eq!(harness.steps(Role::Users).len(), before);
}

#[test]
fn epochs_rise_with_each_owner_and_the_chain_holds() {
    let mut harness = Harness::new(2, Limits::default(), true);
    register(&mut harness, 1, 1);
    for _ in 0..3 {
        (0..4).for_each(|place| harness.open(place).expect("a takeover"));
        let key = format!("o{}", harness.steps(Role::Users).len());
        place(&mut harness, 1, &key, 1, 1);
        harness.settle();
    }
    for role in [Role::Users, Role::Products] {
        let mut previous = std::collections::HashMap::new();
        for (lane, step, bytes) in harness.steps(role) {
            let (number, hash, epoch) = previous.remove(&lane).unwrap_or((0, Hash::ZERO, 0));
            assert_eq!((step.number, step.previous), (number + 1, hash), "{lane}");
            let opens = matches!(step.entries[0].changes[..], [Change::Opened(_)]);
            assert_eq!(step.epoch, epoch + u64::from(opens), "{lane} step {}", step.number);
            previous.insert(lane, (step.number, Hash::of(&bytes), step.epoch));
        }
        assert!(previous.values().all(|(_, _, epoch)| *epoch == 4), "{previous:?}");
    }
}

/// SK-41: what comes after the deadline ends the order, and the units go back; a lost reminder only
/// delays it.
#[test]
fn a_deadline_ends_an_order_whose_product_lane_sleeps() {
    let mut harness = Harness::new(1, Limits::default(), true);
    register(&mut harness, 1, 1);
    let id = place(&mut harness, 1, "o", 1, 5);
    harness.turn(0);
    assert_eq!(order(&harness, id).expect("placed").status, OrderStatus::Pending);
    harness.log.fail_next(Fault::RemindLost);
    harness.clock.set(START.plus(16 * Micros::MINUTE));
    harness.turn(0);
    harness.turn(0);
    assert_eq!(
        order(&harness, id).expect("placed").status,
        OrderStatus::Pending,
        "the reminder is lost"
    );
    harness.clock.advance(6 * Micros::SECOND);
    harness.turn(0);
    harness.turn(0);
    let ended = order(&harness, id).expect("placed");
    assert_eq!((ended.status, ended.reason), (OrderStatus::Failed, Some(Code::Expired)));
    harness.settle();
    let product = futures(harness.store.product(ProductId(1))).expect("it reads").expect("there");
    assert_eq!((product.available, product.reserved), (Units(50), Units(0)), "released");
}

/// Pending orders keep their deadlines over a restart.
#[test]
fn timers_come_back_from_the_store() {
    let mut harness = Harness::new(1, Limits::default(), true);
    register(&mut harness, 1, 1);
    let id = place(&mut harness, 1, "o", 1, 5);
    harness.turn(0);
    harness.open(0).expect("a takeover");
    harness.clock.set(START.plus(16 * Micros::MINUTE));
    harness.turn(0);
    harness.turn(0);
    assert_eq!(order(&harness, id).expect("placed").reason, Some(Code::Expired));
}

/// A message number that is too high stops the lane by name; one that is known is journaled as ignored.
#[test]
fn a_gap_in_message_numbers_stops_the_lane() {
    let mut harness = Harness::new(1, Limits::default(), true);
    register(&mut harness, 1, 1);
    let id = place(&mut harness, 1, "o", 1, 5);
    harness.settle();
    let message = |number| UserMessage {
        lane: 0,
        number,
        stamp: Stamp(1),
        command_id: None,
        actor: String::new(),
        trace_id: None,
        payload: ToUsers::Refused(Refused {
            order_id: id,
            code: Code::OutOfStock,
            product_id: ProductId(1),
        }),
    };
    let lane = Lane { role: Role::Users, index: 0 };
    let mut worker = Worker::<Users>::open(&harness.parts, lane).expect("it opens");
    let known = harness.codec.to_bytes(&message(1));
    send(&harness, known);
    worker.turn(Duration::ZERO).expect("it is ignored");
    let steps = harness.steps(Role::Users);
    let last = steps.last().and_then(|(_, step, _)| step.entries.last()).expect("an entry").clone();
    assert_eq!((last.verdict, last.changes), (Verdict::Ignored, vec![]));
    let missing = harness.codec.to_bytes(&message(7));
    send(&harness, missing);
    let stopped = worker.turn(Duration::ZERO);
    assert!(matches!(stopped, Err(Stop::Gap { expected: 2, got: 7, .. })), "{stopped:?}");
}

/// Writes into a user lane's inbox as a product lane of another process would.
fn send(harness: &Harness, value: Vec<u8>) {
    let mut other = harness.log.open(Lane { role: Role::Products, index: 0 }).expect("it opens");
    let record = jupan_log::NewRecord::new("", value);
    let record = jupan_log::CommitRecord { topic: TopicId::UserInbox, partition: 0, record };
    let commit = jupan_log::Commit { records: vec![record], ..Default::default() };
    other.commit(commit).expect("it commits");
}

#[test]
fn a_record_from_the_future_stops_the_lane_before_it_commits() {
    let mut harness = Harness::new(1, Limits::default(), true);
    harness.clock.advance(6 * Micros::MINUTE);
    let name = "Ada".to_owned();
    let email = "ada@example.org".to_owned();
    harness.user(1, "register", UserPayload::RegisterUser(RegisterUser { name, email }));
    let before = harness.steps(Role::Users).len();
    harness.clock.set(START);
    let lane = Lane { role: Role::Users, index: 0 };
    let mut worker = Worker::<Users>::open(&harness.parts, lane).expect("it opens");
    assert!(matches!(worker.turn(Duration::ZERO), Err(Stop::ClockAhead { .. })));
    assert_eq!(harness.steps(Role::Users).len(), before + 1, "only its own opening");
}

/// Nothing is projected, and nobody is answered, before it is durable.
#[test]
fn outcomes_wait_for_durability() {
    let mut harness = Harness::new(1, Limits::default(), false);
    harness.log.sync();
    let mut results = harness.log.results().expect("a subscription");
    let name = "Ada".to_owned();
    let email = "ada@example.org".to_owned();
    harness.user(1, "register", UserPayload::RegisterUser(RegisterUser { name, email }));
    for _ in 0..3 {
        harness.turn(0);
    }
    assert_eq!(futures(harness.store.user(UserId(1))).expect("it reads"), None);
    assert!(results.receive(Duration::ZERO).expect("it reads").is_empty());
    harness.log.sync();
    harness.turn(0);
    assert!(futures(harness.store.user(UserId(1))).expect("it reads").is_some());
    assert_eq!(results.receive(Duration::ZERO).expect("it reads").len(), 1);
}

/// A wiped store is rebuilt before the lane goes on, to the same rows.
#[test]
fn a_wiped_store_is_rebuilt() {
    let mut harness = Harness::new(2, Limits::default(), true);
    register(&mut harness, 1, 1);
    let ids: Vec<_> = (0..30).map(|n| place(&mut harness, 1, &format!("o{n}"), 1, 1)).collect();
    harness.settle();
    let mut keys: Vec<Key> = ids.iter().map(|id| Key::Order(*id)).collect();
    keys.extend([Key::User(UserId(1)), Key::Product(ProductId(1))]);
    let before = harness.store.load(&keys).expect("it loads");
    harness.store.wipe();
    (0..4).for_each(|place| harness.open(place).expect("a rebuild"));
    assert_eq!(harness.store.load(&keys).expect("it loads"), before);
    harness.settle();
    assert_eq!(harness.store.load(&keys).expect("it loads"), before);
}

/// Memory stays within its bound, whatever comes by, and what was let go comes back from the store.
#[test]
fn memory_is_bounded() {
    let limits = Limits { cells_max: 64, ..Limits::default() };
    let mut harness = Harness::new(1, limits, true);
    register(&mut harness, 1, 1);
    for user in 2..400 {
        let name = format!("User {user}");
        let email = "u@example.org".to_owned();
        harness.user(user, "register", UserPayload::RegisterUser(RegisterUser { name, email }));
        if user % 20 == 0 {
            harness.settle();
            let super::harness::AnyLane::Users(Some(worker)) = &harness.lanes[0] else { panic!() };
            assert!(worker.core().cells() <= 64 + 3 * 20, "{} cells", worker.core().cells());
        }
    }
    let id = place(&mut harness, 1, "late", 1, 1);
    harness.settle();
    assert_eq!(order(&harness, id).expect("placed").status, OrderStatus::Success);
}

/// Found by the random faults: a takeover projected commits of its predecessor that a crash then
/// took back, so the store was ahead of the journal.
#[test]
fn a_takeover_projects_nothing_that_a_crash_can_take_back() {
    let mut harness = Harness::new(1, Limits::default(), false);
    let name = "Ada".to_owned();
    let email = "ada@example.org".to_owned();
    harness.user(1, "register", UserPayload::RegisterUser(RegisterUser { name, email }));
    harness.turn(0);
    harness.open(0).expect("a takeover");
    let lane = Lane { role: Role::Users, index: 0 };
    let projected = harness.store.watermark(lane).expect("it reads").map_or(0, |mark| mark.step);
    let durable = harness.steps(Role::Users).last().map_or(0, |(_, step, _)| step.number);
    assert!(projected <= durable, "projected step {projected} of {durable} durable ones");
}
