//! Each server does what the tests stand on, shared and on its own, and comes back with its data
//! after a kill.

use jupan_servers::{CommitLog, Cql, Kafka};
use rdkafka::{
    ClientConfig, Message,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseProducer, BaseRecord, Producer},
};
use scylla::client::{session::Session, session_builder::SessionBuilder};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// Does something to a server.
type Step<S> = fn(&S);

/// A client's configuration for the broker at this address.
fn client(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address);
    config
}

async fn create_topic(address: &str, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = client(address).create().expect("a client");
    let topics = [NewTopic::new(topic, 1, TopicReplication::Fixed(1))];
    let created = admin.create_topics(&topics, &AdminOptions::new()).await.expect("an answer");
    assert_eq!(created, [Ok(topic.to_owned())]);
}

/// Sends a record in a transaction of its own.
fn transact(producer: &BaseProducer, topic: &str, value: &str, commits: bool) {
    producer.begin_transaction().expect("it begins");
    producer.send(BaseRecord::<(), str>::to(topic).payload(value)).expect("there is room");
    producer.flush(PATIENCE).expect("it is delivered");
    let ended = if commits {
        producer.commit_transaction(PATIENCE)
    } else {
        producer.abort_transaction(PATIENCE)
    };
    ended.expect("it ends");
}

fn transactional_producer(address: &str, id: &str) -> BaseProducer {
    let producer: BaseProducer =
        client(address).set("transactional.id", id).create().expect("a producer");
    producer.init_transactions(PATIENCE).expect("there is a coordinator");
    producer
}

/// The committed records of a topic, up to the last one of these.
fn committed_until(address: &str, topic: &str, last: &str) -> Vec<String> {
    let consumer: BaseConsumer = client(address)
        .set("group.id", topic)
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    consumer.subscribe(&[topic]).expect("it subscribes");
    let end = Instant::now() + PATIENCE;
    let mut values = Vec::new();
    while values.last().is_none_or(|value| value != last) {
        assert!(Instant::now() < end, "only {values:?} came");
        if let Some(record) = consumer.poll(Duration::from_millis(100)) {
            let record = record.expect("it can be read");
            let value = record.payload().map(String::from_utf8_lossy).unwrap_or_default();
            values.push(value.into_owned());
        }
    }
    values
}

#[tokio::test]
async fn the_shared_kafka_keeps_what_is_committed() {
    let address = jupan_servers::kafka();
    // The broker may have seen this test before.
    let topic = format!("smoke-transactions-{}", std::process::id());
    let topic = topic.as_str();
    create_topic(&address, topic).await;
    let producer = transactional_producer(&address, topic);
    for (value, commits) in
        [("aborted", false), ("first", true), ("aborted", false), ("last", true)]
    {
        transact(&producer, topic, value, commits);
    }
    assert_eq!(committed_until(&address, topic, "last"), ["first", "last"]);
    let unknown = client(&address).create::<BaseConsumer>().expect("a consumer");
    let metadata = unknown.fetch_metadata(Some("smoke-never-made"), PATIENCE).expect("an answer");
    assert!(metadata.topics()[0].error().is_some(), "topics are not made by themselves");
}

#[tokio::test]
async fn a_killed_kafka_comes_back_with_its_records() {
    let kafka = Kafka::start();
    let (address, topic) = (kafka.address(), "smoke-kills");
    create_topic(&address, topic).await;
    transact(&transactional_producer(&address, topic), topic, "before", true);
    let steps: [(&str, Step<Kafka>); 2] =
        [("killed", |kafka| kafka.kill()), ("stopped", |kafka| kafka.stop())];
    for (value, end) in steps {
        end(&kafka);
        assert!(!kafka.is_running(), "{value}");
        let began = Instant::now();
        kafka.start_again();
        assert_eq!(kafka.address(), address);
        transact(&transactional_producer(&address, topic), topic, value, true);
        println!("kafka was {value}; a transaction {:?} after its start", began.elapsed());
    }
    assert_eq!(committed_until(&address, topic, "stopped"), ["before", "killed", "stopped"]);
}

#[tokio::test]
async fn a_paused_kafka_answers_nothing_until_it_goes_on() {
    let kafka = Kafka::start();
    let consumer: BaseConsumer = client(&kafka.address()).create().expect("a consumer");
    kafka.pause();
    assert!(consumer.fetch_metadata(None, Duration::from_secs(2)).is_err());
    kafka.unpause();
    consumer.fetch_metadata(None, PATIENCE).expect("it answers again");
}

#[tokio::test]
async fn clients_behind_a_proxy_are_told_of_the_proxy() {
    let proxy_port = 1;
    let kafka = Kafka::start_behind(proxy_port);
    let rows =
        [(kafka.address(), kafka.address()), (kafka.behind_proxy(), "127.0.0.1:1".to_owned())];
    for (asked, told) in rows {
        let consumer: BaseConsumer = client(&asked).create().expect("a consumer");
        let metadata = consumer.fetch_metadata(None, PATIENCE).expect("an answer");
        let broker = &metadata.brokers()[0];
        assert_eq!(format!("{}:{}", broker.host(), broker.port()), told, "asked at {asked}");
    }
}

async fn session(address: &str) -> Session {
    SessionBuilder::new().known_node(address).build().await.expect("a session")
}

async fn create_table(session: &Session, keyspace: &str) {
    let keyspaces = "WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}";
    for statement in [
        format!("CREATE KEYSPACE {keyspace} {keyspaces}"),
        format!("CREATE TABLE {keyspace}.numbers (name text PRIMARY KEY, number bigint)"),
    ] {
        session.query_unpaged(statement, ()).await.expect("the schema can be changed");
    }
}

async fn insert(session: &Session, keyspace: &str, name: &str, number: i64) {
    let statement = format!("INSERT INTO {keyspace}.numbers (name, number) VALUES (?, ?)");
    session.query_unpaged(statement, (name, number)).await.expect("the row is taken");
}

async fn select(session: &Session, keyspace: &str, name: &str) -> Option<i64> {
    let statement = format!("SELECT number FROM {keyspace}.numbers WHERE name = ?");
    let found = session.query_unpaged(statement, (name,)).await.expect("an answer");
    let rows = found.into_rows_result().expect("rows");
    rows.maybe_first_row::<(i64,)>().expect("of this form").map(|row| row.0)
}

#[tokio::test]
async fn the_shared_store_keeps_rows() {
    let session = session(&jupan_servers::cql()).await;
    let keyspace = "smoke";
    session
        .query_unpaged(format!("DROP KEYSPACE IF EXISTS {keyspace}"), ())
        .await
        .expect("the schema can be changed");
    create_table(&session, keyspace).await;
    assert_eq!(select(&session, keyspace, "seven").await, None);
    insert(&session, keyspace, "seven", 7).await;
    assert_eq!(select(&session, keyspace, "seven").await, Some(7));
}

#[tokio::test]
async fn a_killed_store_that_syncs_comes_back_with_every_acknowledged_row() {
    let store = Cql::start(CommitLog::Synced);
    let keyspace = "smoke";
    create_table(&session(&store.address()).await, keyspace).await;
    let steps: [(&str, Step<Cql>); 2] =
        [("killed", |cql| cql.kill()), ("stopped", |cql| cql.stop())];
    for (name, end) in steps {
        insert(&session(&store.address()).await, keyspace, name, 7).await;
        end(&store);
        assert!(!store.is_running(), "{name}");
        let began = Instant::now();
        store.start_again();
        assert_eq!(select(&session(&store.address()).await, keyspace, name).await, Some(7));
        println!("the store was {name}; the row is read {:?} after its start", began.elapsed());
    }
}

#[tokio::test]
async fn the_shared_registry_finds_what_is_registered() {
    let registry = jupan_servers::registry();
    assert!(!registry.ends_with('/'), "{registry}");
    let http = reqwest::Client::new();
    let schema = r#"{"type":"record","name":"Smoke","fields":[{"name":"number","type":"long"}]}"#;
    let versions = format!("{registry}/subjects/smoke-value/versions");
    let registered = http.post(versions).json(&json!({ "schema": schema })).send().await;
    let registered: Value = registered.expect("an answer").json().await.expect("JSON");
    let id = registered["id"].as_u64().expect("an id");
    let found = http.get(format!("{registry}/schemas/ids/{id}")).send().await.expect("an answer");
    let found: Value = found.json().await.expect("JSON");
    let found: Value =
        serde_json::from_str(found["schema"].as_str().expect("a schema")).expect("JSON");
    assert_eq!(found, serde_json::from_str::<Value>(schema).expect("JSON"));
}
