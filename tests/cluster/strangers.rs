//! Another system leaves a transaction open on a topic of commands: whoever reads committed records
//! stops there until it ends. So its partition stalls, the others do not, and nothing is lost or
//! changes its place.

use crate::{
    faults::{rounds, wait_ms},
    fleet::{Fleet, LANES},
    shop::Client,
};
use jupan_schemas::{TopicId, partition_of};
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use reqwest::Method;
use serde_json::json;
use std::time::{Duration, Instant};

/// After this long the coordinator ends the stranger's transaction.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What the broker, its readers and a busy machine take on top of it.
const SLACK: Duration = Duration::from_secs(20);
/// How long a partition without a stranger may take.
const FREE: Duration = Duration::from_secs(8);
/// How long the stranger's producer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Charges that are sent one after the other while the partition stalls.
const CHARGES: i64 = 20;
/// Users of whom the load knows nothing begin here.
const FIRST_USER: u64 = 1_000;

/// One record in a transaction that nobody will end.
fn open_transaction(fleet: &Fleet, partition: u16) -> BaseProducer {
    let prefix = fleet.flag("topic-prefix");
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", fleet.flag("kafka"))
        .set("transactional.id", format!("{prefix}stranger"))
        .set("transaction.timeout.ms", TIMEOUT.as_millis().to_string())
        .create()
        .expect("a producer");
    producer.init_transactions(PATIENCE).expect("init");
    producer.begin_transaction().expect("begin");
    let topic = format!("{prefix}{}", TopicId::UserCommands.name());
    let record = BaseRecord::<str, str>::to(&topic).partition(i32::from(partition));
    let sent = producer.send(record.key("1").payload("never committed"));
    sent.map_err(|(error, _)| error).expect("it is taken");
    producer.flush(PATIENCE).expect("it is on the broker");
    producer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_open_transaction_stalls_its_partition_until_it_times_out() {
    let (rounds, mut moments) = rounds();
    let mut fleet = Fleet::start(2).await;
    let lanes: u16 = LANES.parse().expect("a number");
    for round in 0..rounds {
        let partition = u16::try_from(moments.below(u64::from(lanes))).expect("small");
        let first = FIRST_USER * (round + 1);
        let mut users = first..first + FIRST_USER;
        let held = users.clone().find(|user| partition_of(*user, lanes) == partition);
        let free = users.find(|user| partition_of(*user, lanes) != partition);
        let (held, free) = (held.expect("one of many"), free.expect("one of many"));
        let client = fleet.client();
        client.user(held).await;
        client.user(free).await;
        fleet.load();
        wait_ms(&mut moments, 2_000).await;
        let stranger = open_transaction(&fleet, partition);
        let began = Instant::now();
        let positions = promise(&client, held).await;
        assert!(positions.is_sorted(), "{positions:?}");
        let other = client.charge(free, "free", 1).await;
        assert_eq!(other.status, 200, "{other:?}");
        assert!(began.elapsed() < FREE, "another partition stalls, too: {:?}", began.elapsed());
        let lag = until_lag_shows(&fleet, partition).await;
        let first = client.charge(held, "held-0", 1).await;
        let stalled = began.elapsed();
        assert_eq!(first.status, 200, "{first:?}");
        for n in 0..CHARGES {
            let charged = client.charge(held, &format!("held-{n}"), 1).await;
            assert_eq!(charged.status, 200, "{charged:?}");
            assert_eq!(charged.body["balance"], 1 + n, "in the order in which they were sent");
        }
        assert!(stalled > TIMEOUT / 2, "the transaction held nothing up: {stalled:?}");
        assert!(stalled < TIMEOUT + SLACK, "{stalled:?}");
        drop(stranger);
        let report = fleet.settle_all().await;
        let dead = fleet.metric("jupan_lane_dead_letters_total").await;
        assert!(dead.values().all(|count| *count == 0.0), "its record came through: {dead:?}");
        println!(
            "round {round}: partition {partition} stalled for {stalled:?}, lag {lag}; {} entries",
            report["facts"]["entries"]
        );
    }
    fleet.end();
}

/// Charges that are accepted, and where.
async fn promise(client: &Client, user: u64) -> Vec<u64> {
    let mut positions = Vec::new();
    for n in 0..CHARGES {
        let (key, body) = (format!("held-{n}"), json!({"userId": user, "amount": 1}));
        let path = "/balance/charge";
        let sent = client.try_write(Method::POST, path, &key, "respond-async", &body).await;
        let sent = sent.expect("an answer");
        assert_eq!(sent.status, 202, "{sent:?}");
        let place = sent.location.expect("a Location");
        let position = place.split("?at=").nth(1).expect("a position");
        positions.push(position.parse().expect("a number"));
    }
    positions
}

/// The lag of the lane that is held up shows to whoever looks at metrics.
async fn until_lag_shows(fleet: &Fleet, partition: u16) -> f64 {
    let end = Instant::now() + FREE;
    loop {
        let lags = fleet.metric("jupan_log_input_lag_offsets").await;
        let lane = format!("lane=\"users/{partition}\"");
        let is_it = |labels: &str| labels.contains(&lane) && labels.contains("commands");
        let lag = lags.iter().find_map(|(labels, lag)| is_it(labels).then_some(*lag));
        if let Some(lag) = lag.filter(|lag| *lag >= CHARGES as f64) {
            return lag;
        }
        assert!(Instant::now() < end, "no lag of {lane}: {lags:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
