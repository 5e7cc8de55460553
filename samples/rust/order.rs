//! Another system in Rust: registers users and products, charges wallets and orders, without HTTP.
//!
//! It writes commands to Kafka, reads their outcomes from `command-results` and what became of the
//! orders from `order-events`. docs/contract.md tells the rules; nothing of the shop's own code is in
//! here, only crates that anybody has.
//!
//! ```text
//! scripts/samples rust --kafka HOST:9092 --registry http://HOST:8081
//! ```

use anyhow::{Context, bail, ensure};
use apache_avro::types::Value;
use clap::Parser;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    producer::{FutureProducer, FutureRecord},
};
use schema_registry_converter::{
    async_impl::{
        avro::{AvroDecoder, AvroEncoder},
        schema_registry::SrSettings,
    },
    schema_registry_common::SubjectNameStrategy,
};
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant, UNIX_EPOCH},
};
use uuid::Uuid;

const PRICE: i64 = 1_200;
const STOCK: i64 = 10;
const CHARGE: i64 = 50_000;
const QUANTITY: i64 = 2;
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);
/// The partition of `command-results` that outcomes are wanted in.
const REPLY_TO: i32 = 2;

/// Another system, which orders without HTTP
#[derive(Parser)]
struct Flags {
    /// Kafka's bootstrap servers
    #[arg(long, value_name = "HOST:PORT")]
    kafka: String,
    /// The schema registry
    #[arg(long, value_name = "URL")]
    registry: String,
    /// What the names of the shop's topics begin with
    #[arg(long, default_value = "", value_name = "TEXT")]
    topic_prefix: String,
    /// The first user and product
    #[arg(long, default_value_t = 3_000, value_name = "ID")]
    first: u64,
    /// How many of each
    #[arg(long, default_value_t = 12, value_name = "N")]
    count: u64,
}

/// Who a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Target {
    User(u64),
    Product(u64),
}

impl Target {
    fn topic(self) -> &'static str {
        match self {
            Self::User(_) => "user-commands",
            Self::Product(_) => "product-commands",
        }
    }

    fn id(self) -> u64 {
        match self {
            Self::User(id) | Self::Product(id) => id,
        }
    }

    /// The name of a command: a UUIDv8 of role (1 bit), id (53 bits) and hash of its key (68 bits).
    fn command_id(self, key: &str) -> Uuid {
        let hash = u128::from_be_bytes(
            blake3::hash(key.as_bytes()).as_bytes()[..16].try_into().expect("16 bytes"),
        );
        let role = u128::from(matches!(self, Self::Product(_)));
        let bits = role << 121 | u128::from(self.id()) << 68 | hash >> 60;
        // Around the version, 8, and the variant.
        let (high, middle) = (bits >> 74, bits >> 62 & 0xfff);
        Uuid::from_u128(high << 80 | 8 << 76 | middle << 64 | 2 << 62 | bits & ((1 << 62) - 1))
    }

    fn text(self) -> String {
        match self {
            Self::User(id) => format!("user {id}"),
            Self::Product(id) => format!("product {id}"),
        }
    }
}

/// What can be wished, as a branch of the command's payload. Branches keep their places.
fn payload(branch: u32, fields: &[(&str, Value)]) -> Value {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    Value::Union(branch, Box::new(Value::Record(fields.collect())))
}

fn text(text: impl Into<String>) -> Value {
    Value::String(text.into())
}

fn long(number: u64) -> anyhow::Result<Value> {
    Ok(Value::Long(i64::try_from(number).context("an id is below 2^53")?))
}

fn some(branch: Value) -> Value {
    Value::Union(1, Box::new(branch))
}

fn none() -> Value {
    Value::Union(0, Box::new(Value::Null))
}

/// A field of a record.
fn field<'a>(record: &'a Value, name: &str) -> anyhow::Result<&'a Value> {
    let Value::Record(fields) = record else { bail!("{record:?} is no record") };
    let found = fields.iter().find(|(field, _)| field == name);
    found.map(|(_, value)| value).with_context(|| format!("there is no {name} in {fields:?}"))
}

/// The same, of one that may be absent.
fn present<'a>(record: &'a Value, name: &str) -> anyhow::Result<&'a Value> {
    match field(record, name)? {
        Value::Union(_, value) => Ok(value),
        value => Ok(value),
    }
}

fn string<'a>(record: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    match present(record, name)? {
        Value::String(text) | Value::Enum(_, text) => Ok(text),
        other => bail!("{name} is {other:?}"),
    }
}

fn uuid(record: &Value, name: &str) -> anyhow::Result<Uuid> {
    let Value::Fixed(_, bytes) = present(record, name)? else { bail!("{name} is no id") };
    Ok(Uuid::from_slice(bytes)?)
}

/// A command that was written, and where.
struct Asked {
    wish: &'static str,
    target: Target,
    partition: i32,
    offset: i64,
}

/// Sends commands and waits for their outcomes, which come to one partition of `command-results`.
struct Shop {
    flags: Flags,
    encoder: AvroEncoder,
    decoder: AvroDecoder,
    producer: FutureProducer,
    results: BaseConsumer,
    waiting: HashMap<Uuid, Asked>,
}

impl Shop {
    fn new(flags: Flags) -> anyhow::Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &flags.kafka)
            .set("enable.idempotence", "true")
            // Java's default; this client's own would send commands to other lanes than their users'.
            .set("partitioner", "murmur2_random")
            .set("batch.size", "131072")
            .create()?;
        let results: BaseConsumer = consumer(&flags)?;
        let topic = format!("{}command-results", flags.topic_prefix);
        // The end is asked for before anything is sent, so that no outcome is missed.
        let (_, end) = results.fetch_watermarks(&topic, REPLY_TO, PATIENCE)?;
        let mut mine = TopicPartitionList::new();
        mine.add_partition_offset(&topic, REPLY_TO, Offset::Offset(end))?;
        results.assign(&mine)?;
        let registry = || SrSettings::new(flags.registry.clone());
        let (encoder, decoder) = (AvroEncoder::new(registry()), AvroDecoder::new(registry()));
        Ok(Self { flags, encoder, decoder, producer, results, waiting: HashMap::new() })
    }

    async fn ask(
        &mut self,
        target: Target,
        key: &'static str,
        wish: &'static str,
        payload: Value,
    ) -> anyhow::Result<()> {
        let id_field = if matches!(target, Target::User(_)) { "userId" } else { "productId" };
        #[allow(clippy::disallowed_methods, reason = "another system has a clock of its own")]
        // tidy: allow(system_time) another system has a clock of its own
        let now = std::time::SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
        let command = vec![
            (id_field, long(target.id())?),
            // The same key and payload get the same outcome again: this sample may be run twice.
            ("key", text(key)),
            ("createdAt", Value::TimestampMicros(i64::try_from(now)?)),
            ("occurredAt", none()),
            ("actor", text("sample-rust")),
            ("traceId", none()),
            ("replyTo", some(Value::Int(REPLY_TO))),
            ("payload", payload),
        ];
        let topic = format!("{}{}", self.flags.topic_prefix, target.topic());
        let subject = SubjectNameStrategy::TopicNameStrategy(topic.clone(), false);
        let value = self.encoder.encode(command, subject).await?;
        let id = target.id().to_string();
        let record = FutureRecord::to(&topic).key(&id).payload(&value);
        let sent = self.producer.send(record, PATIENCE).await;
        let written = sent.map_err(|(error, _)| error).context("a command did not arrive")?;
        let (partition, offset) = (written.partition, written.offset);
        self.waiting.insert(target.command_id(key), Asked { wish, target, partition, offset });
        Ok(())
    }

    /// What became of everything that was asked for, by wish and id.
    async fn outcomes(&mut self) -> anyhow::Result<HashMap<(&'static str, u64), Value>> {
        let (mut outcomes, end) = (HashMap::new(), Instant::now() + PATIENCE);
        while !self.waiting.is_empty() {
            ensure!(Instant::now() < end, "no outcome of {:?}", self.waiting.keys());
            let Some(record) = self.results.poll(POLL) else { continue };
            let result = self.decoder.decode(record?.payload()).await?.value;
            let command_id = uuid(&result, "commandId")?;
            // Others may be answered in this partition, too, and an outcome may come twice.
            let position = field(&result, "position")?;
            let is_mine = |asked: &Asked| *position == Value::Long(asked.offset);
            if !self.waiting.get(&command_id).is_some_and(is_mine) {
                continue;
            }
            let Some(asked) = self.waiting.remove(&command_id) else { continue };
            let Asked { wish, target, partition, .. } = asked;
            let (what, code) = (target.text(), string(&result, "code")?);
            println!("{what} partition {partition} {wish} {code}");
            ensure!(code == "OK", "{wish} of {what}: {code}");
            outcomes.insert((wish, target.id()), result);
        }
        Ok(outcomes)
    }

    /// Reads until every order has ended: whoever wants the feed only needs this.
    async fn events(&self, mut waiting: HashMap<String, u64>) -> anyhow::Result<()> {
        let reader: BaseConsumer = consumer(&self.flags)?;
        let topic = format!("{}order-events", self.flags.topic_prefix);
        let found = reader.fetch_metadata(Some(&topic), PATIENCE)?;
        let ids: HashSet<i32> = found
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions())
            .map(|one| one.id())
            .collect();
        let mut all = TopicPartitionList::new();
        for partition in ids {
            all.add_partition_offset(&topic, partition, Offset::Beginning)?;
        }
        reader.assign(&all)?;
        let end = Instant::now() + PATIENCE;
        while !waiting.is_empty() {
            ensure!(Instant::now() < end, "no event of {waiting:?}");
            let Some(record) = reader.poll(POLL) else { continue };
            let event = self.decoder.decode(record?.payload()).await?.value;
            let (order, status) = (string(&event, "orderId")?, string(&event, "status")?);
            // Other systems' orders, repeats, and this order while it was pending are passed over.
            if status == "PENDING" {
                continue;
            }
            let Some(user) = waiting.remove(order) else { continue };
            let total = field(&event, "totalPrice")?;
            println!("order {order} of user {user} {status} {}", QUANTITY * PRICE);
            let is_theirs = *field(&event, "userId")? == long(user)?;
            let is_paid = status == "SUCCESS" && *total == Value::Long(QUANTITY * PRICE);
            ensure!(is_theirs && is_paid, "order {order}: {event:?}");
        }
        Ok(())
    }
}

fn consumer(flags: &Flags) -> anyhow::Result<BaseConsumer> {
    Ok(ClientConfig::new()
        .set("bootstrap.servers", &flags.kafka)
        // It joins no group, but the client wants a name.
        .set("group.id", format!("{}sample-rust", flags.topic_prefix))
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .create()?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let ids = flags.first..flags.first + flags.count;
    let mut shop = Shop::new(flags)?;
    for n in ids.clone() {
        let fields = [
            ("name", text(format!("Abacus {n}"))),
            ("price", Value::Long(PRICE)),
            ("stock", Value::Long(STOCK)),
        ];
        shop.ask(Target::Product(n), "sample-register", "RegisterProduct", payload(0, &fields))
            .await?;
        let fields = [("name", text(format!("Ada {n}"))), ("email", text("ada@example.org"))];
        shop.ask(Target::User(n), "sample-register", "RegisterUser", payload(0, &fields)).await?;
    }
    // An order needs both, and they are other partitions: nothing but their outcomes says that they
    // are there.
    shop.outcomes().await?;
    for n in ids.clone() {
        // The same partition, so the charge comes before the order.
        let fields = [("amount", Value::Long(CHARGE))];
        shop.ask(Target::User(n), "sample-charge", "ChargeBalance", payload(1, &fields)).await?;
        let line = [("productId", long(n)?), ("quantity", Value::Long(QUANTITY))];
        let line = line.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let fields = [
            ("items", Value::Array(vec![Value::Record(line)])),
            ("fromCart", Value::Boolean(false)),
            ("payment", Value::Enum(0, "NOW".to_owned())),
        ];
        shop.ask(Target::User(n), "sample-order", "PlaceOrder", payload(4, &fields)).await?;
    }
    let outcomes = shop.outcomes().await?;
    let mut orders = HashMap::new();
    for n in ids {
        let balance = present(&outcomes[&("ChargeBalance", n)], "balance")?;
        ensure!(*balance == Value::Long(CHARGE), "user {n} has {balance:?}");
        orders.insert(uuid(&outcomes[&("PlaceOrder", n)], "orderId")?.to_string(), n);
    }
    shop.events(orders).await
}
