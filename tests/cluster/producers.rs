//! Other systems write commands to Kafka and read outcomes from it, without HTTP: same keys, same
//! outcomes, and nothing that they get wrong stops anybody.

use crate::{
    fleet::Fleet,
    ground::schema_ids,
    shop::{Client, order_body},
    writes::told,
};
use jupan_log::{Clock as _, SystemClock};
use jupan_schemas::*;
use rdkafka::{
    ClientConfig, ClientContext, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::{BorrowedMessage, Header, Headers as _, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext},
};
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// How long an outcome may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long each of many commands may take on top of that: a machine may be busy.
const PATIENCE_A_COMMAND: Duration = Duration::from_millis(5);
/// Commands among which there is garbage, unless `JUPAN_COMMANDS` says otherwise.
const COMMANDS: u64 = 10_000;
/// Partitions of a fleet's topics.
const LANES: u16 = 4;
/// Where this system wants its outcomes.
const REPLY_TO: u32 = 1;

/// Hears what became of each record: every one must arrive.
#[derive(Default)]
struct Delivered(Mutex<Option<String>>);

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, delivered: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = delivered {
            // The client calls this: a panic would end the process.
            self.0.lock().expect("lock").get_or_insert(error.to_string());
        }
    }
}

/// Another system: a producer with Kafka's usual partitioner, and the registry's schema ids.
struct Outside {
    brokers: String,
    prefix: String,
    producer: BaseProducer<Delivered>,
    codec: Codec,
}

impl Outside {
    async fn of(fleet: &Fleet) -> Self {
        let (brokers, registry) = (fleet.flag("kafka"), fleet.flag("registry"));
        let prefix = fleet.flag("topic-prefix");
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &brokers)
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            // A batch is taken or refused as a whole: larger ones than a record may be are refused.
            .set("batch.size", "131072")
            .create_with_context(Delivered::default())
            .expect("a producer");
        let codec = Codec::new(Arc::new(schema_ids(&registry, &prefix).await));
        Self { brokers, prefix, producer, codec }
    }

    fn user(&self, user: u64, key: &str, payload: UserPayload) -> Vec<u8> {
        self.codec.to_bytes(&UserCommand {
            user_id: UserId(user),
            key: key.to_owned(),
            created_at: now(),
            occurred_at: None,
            actor: "another system".to_owned(),
            trace_id: None,
            reply_to: Some(REPLY_TO),
            payload,
        })
    }

    /// Sends a value with a key; the partitioner finds its place, unless one is named.
    fn send(&self, topic: TopicId, key: &str, value: &[u8], partition: Option<i32>) {
        let name = format!("{}{}", self.prefix, topic.name());
        let mut record = BaseRecord::to(&name).key(key).payload(value);
        record.partition = partition;
        self.send_record(record);
    }

    /// The same, with a trace in the header only.
    fn send_traced(&self, topic: TopicId, key: &str, value: &[u8], trace: TraceId) {
        let name = format!("{}{}", self.prefix, topic.name());
        let traceparent = trace.to_traceparent();
        let header = Header { key: TRACEPARENT, value: Some(&traceparent) };
        let headers = OwnedHeaders::new().insert(header);
        self.send_record(BaseRecord::to(&name).key(key).payload(value).headers(headers));
    }

    fn send_record(&self, mut record: BaseRecord<'_, str, [u8]>) {
        while let Err((error, again)) = self.producer.send(record) {
            assert!(error.to_string().contains("full"), "{error}");
            self.producer.poll(Duration::from_millis(10));
            record = again;
        }
        self.producer.poll(Duration::ZERO);
    }

    fn flush(&self) {
        self.producer.flush(PATIENCE).expect("the broker takes it");
        let failed = self.producer.context().0.lock().expect("lock").clone();
        assert_eq!(failed, None, "every record arrives");
    }

    /// Reads a partition of a topic from its beginning, as anybody may.
    fn reader(&self, topic: TopicId, partition: i32) -> BaseConsumer {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", "outside")
            .set("enable.auto.commit", "false")
            .create()
            .expect("a consumer");
        let mut list = TopicPartitionList::new();
        let name = format!("{}{}", self.prefix, topic.name());
        list.add_partition_offset(&name, partition, Offset::Beginning).expect("an offset");
        consumer.assign(&list).expect("a partition");
        consumer
    }

    /// The outcome of a command, as it was told.
    fn outcome(&self, results: &BaseConsumer, id: CommandId) -> CommandResult {
        until(results, |record| {
            let value = record.payload().unwrap_or_default();
            self.codec.decode::<CommandResult>(value).ok().filter(|told| told.command_id == id)
        })
    }
}

/// Reads until something is found.
fn until<T>(consumer: &BaseConsumer, find: impl Fn(&BorrowedMessage<'_>) -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(Ok(record)) = consumer.poll(Duration::from_millis(100))
            && let Some(found) = find(&record)
        {
            return found;
        }
    }
    panic!("it did not come");
}

fn now() -> Micros {
    SystemClock.now()
}

fn command_id(user: u64, key: &str) -> CommandId {
    CommandId::of(Role::Users, user, key)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_system_orders_without_http() {
    let fleet = Fleet::start(1).await;
    let (client, outside) = (fleet.client(), Outside::of(&fleet).await);
    let results = outside.reader(TopicId::CommandResults, 1);
    let user = 4711;
    let text = user.to_string();
    let send = |key: &str, payload| {
        let value = outside.user(user, key, payload);
        outside.send(TopicId::UserCommands, &text, &value, None);
    };
    send(
        "register",
        UserPayload::RegisterUser(RegisterUser {
            name: "Elsewhere".to_owned(),
            email: "e@example.org".to_owned(),
        }),
    );
    send("charge", UserPayload::ChargeBalance(ChargeBalance { amount: Money(10_000) }));
    let items = vec![Line { product_id: ProductId(3), quantity: Units(2) }];
    let payment = Payment::Now;
    let order = UserPayload::PlaceOrder(PlaceOrder { items, from_cart: false, payment });
    let trace = TraceId::parse(&"5c".repeat(16)).expect("a trace");
    outside.send_traced(TopicId::UserCommands, &text, &outside.user(user, "order", order), trace);
    outside.flush();
    let charged = outside.outcome(&results, command_id(user, "charge"));
    assert_eq!((charged.code, charged.balance), (Code::Ok, Some(Money(10_000))));
    let ordered = outside.outcome(&results, command_id(user, "order"));
    assert_eq!(
        (ordered.code, ordered.order_id),
        (Code::Ok, Some(OrderId::of(UserId(user), "order")))
    );
    assert_eq!(client.balance(user).await, 10_000 - 2 * 30);
    traces_go_along(&outside, user, trace);
    one_space_of_keys(&client, user).await;
    what_is_wrong_is_told(&outside, &results, &text, &client).await;
    fleet.verify(&[]);
    fleet.end();
}

/// A trace in a command's header is in the headers of all that it leads to, and HTTP's commands name
/// theirs.
fn traces_go_along(outside: &Outside, user: u64, trace: TraceId) {
    let trace_of = |record: &BorrowedMessage<'_>| {
        let found = record.headers()?.iter().find(|header| header.key == TRACEPARENT)?.value?;
        TraceId::of_traceparent(std::str::from_utf8(found).ok()?)
    };
    let home = |id| i32::from(partition_of(id, LANES));
    for (topic, partition) in [
        (TopicId::OrderEvents, home(user)),
        (TopicId::Sales, home(3)),
        (TopicId::ProductInbox, home(3)),
        (TopicId::UserInbox, home(user)),
    ] {
        let reader = outside.reader(topic, partition);
        until(&reader, |record| (trace_of(record) == Some(trace)).then_some(()));
    }
    let commands = outside.reader(TopicId::UserCommands, home(1));
    let (said, told) = until(&commands, |record| {
        let command: UserCommand = outside.codec.decode(record.payload()?).ok()?;
        (command.user_id == UserId(1)).then(|| (command.trace_id, trace_of(record)))
    });
    assert!(said.is_some() && said == told, "{said:?} in the body, {told:?} in the header");
}

/// HTTP gets the first outcome of a key that Kafka brought, and is refused with another body.
async fn one_space_of_keys(client: &Client, user: u64) {
    let charge = |amount: i64| json!({"userId": user, "amount": amount});
    let again = client.post("/balance/charge", "charge", charge(10_000)).await;
    assert_eq!((again.status, &again.body["balance"]), (200, &json!(10_000)), "{again:?}");
    let other = client.post("/balance/charge", "charge", charge(9)).await;
    assert_eq!((other.status, other.code()), (422, "IDEMPOTENCY_KEY_REUSED"), "{other:?}");
    let again = client.post("/order", "order", order_body(user, &[(3, 2)])).await;
    assert_eq!(again.status, 201, "{again:?}");
}

/// A command in another's partition and bytes of no kind: told, kept, and in nobody's way.
async fn what_is_wrong_is_told(
    outside: &Outside,
    results: &BaseConsumer,
    user: &str,
    client: &Client,
) {
    let id: u64 = user.parse().expect("a number");
    let elsewhere = i32::from((partition_of(id, LANES) + 1) % LANES);
    let charge = UserPayload::ChargeBalance(ChargeBalance { amount: Money(5) });
    let value = outside.user(id, "misplaced", charge);
    outside.send(TopicId::UserCommands, user, &value, Some(elsewhere));
    let garbage = b"no Avro at all";
    outside.send(TopicId::UserCommands, user, garbage, None);
    outside.flush();
    let told = outside.outcome(results, command_id(id, "misplaced"));
    assert_eq!(told.code, Code::WrongPartition);
    let letters = outside.reader(TopicId::DeadLetters, 0);
    let header = |record: &BorrowedMessage<'_>, name: &str| {
        let headers = record.headers().expect("headers");
        let found = headers.iter().find(|header| header.key == name).and_then(|one| one.value);
        String::from_utf8_lossy(found.unwrap_or_default()).into_owned()
    };
    let origin = until(&letters, |record| {
        (record.payload() == Some(garbage))
            .then(|| (header(record, "topic"), header(record, "code")))
    });
    assert_eq!(origin, ("user-commands".to_owned(), "MALFORMED".to_owned()));
    let charged = client.charge(id, "after", 1).await;
    assert_eq!(charged.status, 200, "the partition goes on: {charged:?}");
}

/// One command in a hundred is garbage, wherever it comes from: all the others have their effect.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_among_many_commands() {
    let commands = told("JUPAN_COMMANDS", COMMANDS);
    const USERS: u64 = 50;
    let fleet = Fleet::start(2).await;
    let (client, outside) = (fleet.client(), Outside::of(&fleet).await);
    for user in 101..=100 + USERS {
        client.user(user).await;
    }
    let mut sums = [0_i64; 51];
    for n in 0..commands {
        let user = 101 + n % USERS;
        let text = user.to_string();
        if n % 100 == 7 {
            let value: Vec<u8> = (0..n % 40).map(|byte| (byte ^ n).to_le_bytes()[0]).collect();
            outside.send(TopicId::UserCommands, &text, &value, None);
            continue;
        }
        let amount = 1 + (n % 9).cast_signed();
        sums[usize::try_from(n % USERS).expect("small")] += amount;
        let charge = UserPayload::ChargeBalance(ChargeBalance { amount: Money(amount) });
        let value = outside.user(user, &format!("n{n}"), charge);
        outside.send(TopicId::UserCommands, &text, &value, None);
    }
    outside.flush();
    // A write behind each user's others says that they are done.
    for user in 101..=100 + USERS {
        let end = Instant::now()
            + PATIENCE
            + PATIENCE_A_COMMAND * u32::try_from(commands).expect("small");
        loop {
            let last = client.charge(user, "last", 1).await;
            // Refused before it was written, or not decided yet: the same key asks again.
            let asks_again = last.status == 503 || last.status == 202;
            assert!(last.status == 200 || asks_again && Instant::now() < end, "{last:?}");
            if last.status == 200 {
                break;
            }
        }
        let sum = sums[usize::try_from(user - 101).expect("small")] + 1;
        assert_eq!(client.balance(user).await, sum, "user {user}");
    }
    let report = fleet.verify(&[]);
    println!("{} entries", report["facts"]["entries"]);
    fleet.end();
}
