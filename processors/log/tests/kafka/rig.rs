//! A broker, a shop of its own for each test, and a way to do to it what nobody should.

use jupan_log::conformance::Fixture;
use jupan_log::kafka::{self, KafkaLog, NewTopics, Options};
use jupan_log::{Clock, Log, ReadLimit, SystemClock};
use jupan_schemas::{Role, TopicId};
use parking_lot::Mutex;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) const LANES: u16 = 2;
pub(crate) const ALL: ReadLimit = ReadLimit { records_max: 1_000, bytes_max: usize::MAX };
/// How long anything may take that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where the broker is.
pub(crate) fn brokers() -> String {
    jupan_servers::kafka()
}

/// Options with a prefix that nobody has used.
pub(crate) fn fresh() -> Options {
    let chance = RandomState::new().hash_one("a prefix");
    Options { prefix: format!("t{chance:016x}."), ..Options::new(brokers()) }
}

pub(crate) fn new_topics() -> NewTopics {
    NewTopics { partitions: LANES, result_partitions: 3, replicas: None }
}

/// A new shop's options.
pub(crate) fn made() -> Options {
    let options = fresh();
    kafka::init(&options, new_topics()).expect("topics are made");
    options
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

pub(crate) fn open(options: &Options) -> KafkaLog {
    KafkaLog::open(options, clock()).expect("the log opens")
}

/// Repeats a look until it is true.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it did not happen: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Somebody else's transaction with one record, left open.
pub(crate) fn foreign_transaction(options: &Options, topic: TopicId, at: u16) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers());
    config.set("transactional.id", format!("{}foreign", options.prefix));
    let producer: BaseProducer = config.create().expect("a producer");
    producer.init_transactions(PATIENCE).expect("init");
    producer.begin_transaction().expect("begin");
    let name = format!("{}{}", options.prefix, topic.name());
    let record = BaseRecord::<str, str>::to(&name).partition(i32::from(at)).payload("foreign");
    producer.send(record).map_err(|(error, _)| error).expect("send");
    producer.flush(PATIENCE).expect("flush");
    producer
}

/// What a producer was told about its one record.
#[derive(Default)]
struct Told(Mutex<Option<Option<RDKafkaErrorCode>>>);

impl ClientContext for Told {}

impl ProducerContext for Told {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let code = result.as_ref().err().and_then(|(error, _)| error.rdkafka_error_code());
        *self.0.lock() = Some(code);
    }
}

/// Sends one record as an outside producer with compression would; says why it was refused.
pub(crate) fn send_compressed(name: &str, value: &[u8]) -> Option<RDKafkaErrorCode> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers()).set("compression.type", "lz4");
    config.set("message.max.bytes", "20000000");
    let producer: BaseProducer<Told> =
        config.create_with_context(Told::default()).expect("a producer");
    let record = BaseRecord::<[u8], [u8]>::to(name).partition(0).payload(value);
    match producer.send(record) {
        Ok(()) => {}
        Err((KafkaError::MessageProduction(code), _)) => return Some(code),
        Err((error, _)) => panic!("{error}"),
    }
    producer.flush(PATIENCE).expect("flush");
    producer.context().0.lock().expect("it was told")
}

/// The offset that a role's group keeps for partition 0 of a topic.
pub(crate) fn group_offset(options: &Options, role: Role, topic: TopicId) -> Option<i64> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers());
    config.set("group.id", format!("{}jupan-{}", options.prefix, role.name()));
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    let name = format!("{}{}", options.prefix, topic.name());
    list.add_partition(&name, 0);
    let found = consumer.committed_offsets(list, PATIENCE).expect("the offsets are told");
    found.find_partition(&name, 0).and_then(|found| found.offset().to_raw())
}

pub(crate) fn admin() -> AdminClient<DefaultClientContext> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers()).create().expect("an admin client")
}

/// Waits for one of the client's futures.
pub(crate) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// Opens logs of shops of their own.
#[derive(Default)]
pub(crate) struct Rig {
    /// The options of each log that is open, by its address.
    opened: Mutex<BTreeMap<usize, Options>>,
    last: Mutex<Option<Options>>,
}

impl Rig {
    fn keep(&self, options: Options) -> Arc<dyn Log> {
        let log: Arc<dyn Log> = Arc::new(open(&options));
        self.opened.lock().insert(address(&log), options.clone());
        *self.last.lock() = Some(options);
        log
    }
}

fn address(log: &Arc<dyn Log>) -> usize {
    Arc::as_ptr(log).cast::<()>() as usize
}

impl Fixture for Rig {
    fn open(&self) -> Arc<dyn Log> {
        self.keep(made())
    }

    /// A process that dies takes nothing with it: the broker has it all.
    fn reopen_after_crash(&self, log: Arc<dyn Log>) -> Arc<dyn Log> {
        let options = self.opened.lock().remove(&address(&log)).expect("it was opened here");
        drop(log);
        self.keep(options)
    }

    fn queue_bytes_max(&self) -> usize {
        8 * 1024 * 1024
    }

    fn trim(&self, topic: TopicId, partition: u16, start: u64) -> bool {
        let options = self.last.lock().clone().expect("a log is open");
        let mut list = TopicPartitionList::new();
        let name = format!("{}{}", options.prefix, topic.name());
        let offset = Offset::Offset(i64::try_from(start).expect("it fits"));
        list.add_partition_offset(&name, i32::from(partition), offset).expect("a partition");
        let asked = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
        let trimmed = wait_for(admin().delete_records(&list, &asked)).expect("it is trimmed");
        trimmed.elements().iter().for_each(|found| found.error().expect("it is trimmed"));
        true
    }
}
