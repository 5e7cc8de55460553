//! The engine inside one process, with few and with many lanes: the same messages, and no lane in
//! another's state.

use crate::{
    engine::Engine,
    shop::{fresh_dir, verify},
};
use jupan_log::{Log, LogRecord, NewRecord};
use jupan_schemas::*;
use jupan_store::ReadStore;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

fn kind<T: std::fmt::Debug>(value: &T) -> String {
    format!("{value:?}").split(['(', ' ']).next().unwrap_or_default().to_owned()
}

/// An order's records, by logical time: lane, what came in, what it changed, what it sent.
fn story(engine: &Engine, command_id: CommandId) -> Vec<String> {
    let mut lines = Vec::new();
    for role in [Role::Users, Role::Products] {
        for (lane, entry) in engine.entries(role) {
            if entry.command_id == Some(command_id) {
                let changes: Vec<_> = entry.changes.iter().map(kind).collect();
                let sent: Vec<_> = entry
                    .messages
                    .iter()
                    .map(|sent| {
                        format!("{} to {}/{}", kind(&sent.payload), role.peer().name(), sent.lane)
                    })
                    .collect();
                let input = entry.input.map(|input| kind(&input.source)).unwrap_or_default();
                lines.push((
                    entry.stamp,
                    format!(
                        "{:<12} {input:<8} {:?} {changes:?} postings {} sends {sent:?}",
                        format!("{}/{lane}", role.name()),
                        entry.verdict,
                        entry.postings.len()
                    ),
                ));
            }
        }
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

/// Every key that an entry's postings name belongs to the lane that wrote the entry.
fn check_lanes_keep_to_themselves(engine: &Engine) {
    let lanes = engine.log.partitions();
    let mut seen = 0;
    for role in [Role::Users, Role::Products] {
        for (lane, entry) in engine.entries(role) {
            for posting in &entry.postings {
                let owner = match posting.account {
                    Account::Funding | Account::Revenue => {
                        u16::try_from(posting.owner).expect("a lane")
                    }
                    _ => partition_of(posting.owner, lanes),
                };
                assert_eq!(owner, lane, "{role:?}: {posting:?}");
                seen += 1;
            }
        }
    }
    assert!(seen > 0);
}

async fn check_one_order(lanes: u16) {
    let data = fresh_dir();
    let mut engine = Engine::open(data.path(), lanes);
    assert_eq!(engine.log.partitions(), lanes);
    for product in [1, 2, 3] {
        engine.product(product, 100, 10).await;
    }
    let register = RegisterUser { name: "Ada".into(), email: "ada@example.org".into() };
    engine.user(1, "register", UserPayload::RegisterUser(register)).await;
    engine
        .user(1, "charge", UserPayload::ChargeBalance(ChargeBalance { amount: Money(1_000) }))
        .await;
    // Products are in other lanes than users: an order that overtakes them would rightly be refused.
    while engine.store.product(ProductId(3)).await.expect("it reads").is_none()
        || engine.store.product(ProductId(1)).await.expect("it reads").is_none()
        || engine.store.product(ProductId(2)).await.expect("it reads").is_none()
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let items = [1, 2, 3].map(|id| Line { product_id: ProductId(id), quantity: Units(2) }).to_vec();
    let place = PlaceOrder { items, from_cart: false, payment: Payment::Now };
    engine.user(1, "order", UserPayload::PlaceOrder(place)).await;
    let order = OrderId::of(UserId(1), "order");
    loop {
        let row = engine.store.order(order).await.expect("it reads");
        if let Some(row) = row.filter(|row| row.status != OrderStatus::Pending) {
            assert_eq!((row.status, row.total), (OrderStatus::Success, Money(600)));
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for product in [1, 2, 3] {
        let is_settled =
            |row: Option<Arc<rows::ProductRow>>| row.is_some_and(|row| row.sold == Units(2));
        while !is_settled(engine.store.product(ProductId(product)).await.expect("it reads")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let story = story(&engine, CommandId::of(Role::Users, 1, "order"));
    println!("one order with {lanes} + {lanes} lanes:\n  {}", story.join("\n  "));
    let mut product_lanes: Vec<_> = [1, 2, 3].map(|id| partition_of(id, lanes)).to_vec();
    product_lanes.sort_unstable();
    product_lanes.dedup();
    // Placed, then for each product lane: reserved, its answer, settled.
    assert_eq!(story.len(), 1 + 3 * product_lanes.len(), "{story:#?}");
    assert!(story[0].contains("OrderPlaced"));
    check_lanes_keep_to_themselves(&engine);
    for product in [1, 2, 3] {
        let row =
            engine.store.product(ProductId(product)).await.expect("it reads").expect("it is there");
        assert_eq!((row.available, row.reserved, row.sold), (Units(8), Units(0), Units(2)));
        assert_eq!(row.lane, partition_of(product, lanes));
    }
    engine.close();
    verify(data.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_order_with_1_and_1_lanes() {
    check_one_order(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_order_with_12_and_12_lanes() {
    check_one_order(12).await;
}

/// AR-1103, E2: garbage goes to the dead letters and never stalls a partition.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_goes_to_the_dead_letters() {
    let data = fresh_dir();
    let mut engine = Engine::open(data.path(), 2);
    let good_lane = partition_of(1, 2);
    let command = UserCommand {
        user_id: UserId(1),
        key: "misplaced".to_owned(),
        created_at: engine.log.now(),
        occurred_at: None,
        actor: String::new(),
        trace_id: None,
        reply_to: Some(0),
        payload: UserPayload::ChargeBalance(ChargeBalance { amount: Money(5) }),
    };
    let value = engine.codec.to_bytes(&command);
    let truncated = value[..value.len() - 1].to_vec();
    let endless = engine.codec.to_bytes(&UserCommand { actor: "a".repeat(200_000), ..command });
    let letters = [
        (good_lane, "1", endless),
        (good_lane, "1", vec![]),
        (good_lane, "1", vec![0, 0, 0, 9, 9, 1, 2]),
        (good_lane, "1", truncated),
        (good_lane, "2", value.clone()),
        (1 - good_lane, "1", value.clone()),
    ];
    for (partition, key, bytes) in letters.clone() {
        let record = NewRecord::new(key, bytes);
        engine.log.append(TopicId::UserCommands, partition, record).await.expect("appended");
    }
    let register = RegisterUser { name: "Ada".into(), email: "ada@example.org".into() };
    engine.user(1, "register", UserPayload::RegisterUser(register)).await;
    while engine.store.user(UserId(1)).await.expect("it reads").is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let end = Instant::now() + Duration::from_secs(10);
    while engine.records(TopicId::DeadLetters, 0).len() < letters.len() && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let dead = engine.records(TopicId::DeadLetters, 0);
    let mut values: Vec<_> = dead.iter().map(|record| record.value.to_vec()).collect();
    let mut expected: Vec<_> = letters.into_iter().map(|(_, _, bytes)| bytes).collect();
    values.sort();
    expected.sort();
    assert_eq!(values, expected, "byte for byte");
    let header = |record: &LogRecord, name: &str| {
        let found = record.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    };
    assert!(dead.iter().all(|record| header(record, "topic") == "user-commands"));
    assert_eq!(dead.iter().filter(|record| header(record, "code") == "WRONG_PARTITION").count(), 2);
    engine.close();
    verify(data.path());
}
