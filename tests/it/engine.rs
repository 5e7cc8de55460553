//! The engine inside the test's process, where a test needs its clock, its lanes or its records.

use jupan_analytics::{TopAnswer, TopError, TopQuery};
use jupan_ingest_api::{Api, Health, Ports, Top};
use jupan_ledger::Rules;
use jupan_log::{
    Clock, Log, LogRecord, NewRecord, ReadLimit, SystemClock,
    embedded::{EmbeddedLog, Options},
};
use jupan_processors::{Host, Limits, Parts};
use jupan_schemas::*;
use jupan_store::embedded::EmbeddedStore;
use std::{path::Path, sync::Arc, time::Duration};
use tokio::net::TcpListener;

/// No best sellers: nothing here asks for them.
struct NoTop;

impl Top for NoTop {
    fn top(&self, _: &TopQuery) -> Result<TopAnswer, TopError> {
        Err(TopError::Days)
    }
}

/// As well as its lanes are.
struct OfLanes(Arc<Host>);

impl Health for OfLanes {
    fn failure(&self) -> Option<String> {
        self.0.failure()
    }

    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }
}

/// The engine inside this process: what the binary wires, with a clock of the test's choice.
pub(crate) struct Engine {
    pub(crate) log: Arc<EmbeddedLog>,
    pub(crate) store: Arc<EmbeddedStore>,
    pub(crate) codec: Codec,
    host: Arc<Host>,
}

impl Engine {
    pub(crate) fn open(data: &Path, lanes: u16) -> Self {
        Self::open_at(data, lanes, Arc::new(SystemClock))
    }

    /// With this clock for the log, and so for everything that has a time.
    pub(crate) fn open_at(data: &Path, lanes: u16, clock: Arc<dyn Clock>) -> Self {
        let options = Options { lanes: Some(lanes), ..Default::default() };
        let log = EmbeddedLog::open(data, options, clock).expect("the log opens");
        let store =
            EmbeddedStore::open(data.join("store"), Default::default()).expect("the store opens");
        let parts = Parts {
            log: log.clone(),
            store: store.clone(),
            schema_ids: Arc::new(SchemaIds::embedded()),
            rules: Rules::new(log.partitions()),
            limits: Limits::default(),
        };
        let host = Host::start(&parts, &[Role::Users, Role::Products]).expect("the lanes start");
        Self { log, store, host: Arc::new(host), codec: Codec::embedded() }
    }

    /// Serves HTTP on a free port as long as this process lives; the URL.
    pub(crate) async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let ports = Ports {
            log: self.log.clone(),
            store: self.store.clone(),
            top: Arc::new(NoTop),
            health: Arc::new(OfLanes(self.host.clone())),
            render_metrics: Arc::new(String::new),
            schema_ids: Arc::new(SchemaIds::embedded()),
            base_url: url.clone(),
            is_demo: false,
        };
        let api = Api::open(ports, jupan_ingest_api::Limits::default()).expect("the API opens");
        tokio::spawn(jupan_ingest_api::serve(listener, api, std::future::pending()));
        url
    }

    pub(crate) async fn user(&mut self, user: u64, key: &str, payload: UserPayload) {
        let command = UserCommand {
            user_id: UserId(user),
            key: key.to_owned(),
            created_at: self.log.now(),
            occurred_at: None,
            actor: format!("user:{user}"),
            trace_id: None,
            reply_to: None,
            payload,
        };
        let value = self.codec.to_bytes(&command);
        self.append(TopicId::UserCommands, user, value).await;
    }

    pub(crate) async fn product(&mut self, product: u64, price: i64, stock: i64) {
        let command = ProductCommand {
            product_id: ProductId(product),
            key: "register".to_owned(),
            created_at: self.log.now(),
            occurred_at: None,
            actor: "operator".to_owned(),
            trace_id: None,
            reply_to: None,
            payload: ProductPayload::RegisterProduct(RegisterProduct {
                name: format!("Product {product}"),
                price: Money(price),
                stock: Units(stock),
            }),
        };
        let value = self.codec.to_bytes(&command);
        self.append(TopicId::ProductCommands, product, value).await;
    }

    async fn append(&self, topic: TopicId, id: u64, value: Vec<u8>) {
        let partition = partition_of(id, self.log.partitions());
        self.log
            .append(topic, partition, NewRecord::new(id.to_string(), value))
            .await
            .expect("appended");
    }

    pub(crate) fn records(&self, topic: TopicId, partition: u16) -> Vec<LogRecord> {
        let (mut all, mut from) = (Vec::new(), 0);
        loop {
            let limit = ReadLimit { records_max: 1_000, bytes_max: 1 << 20 };
            let batch = self.log.read(topic, partition, from, limit).expect("it reads");
            if batch.records.is_empty() {
                return all;
            }
            from = batch.next;
            all.extend(batch.records);
        }
    }

    pub(crate) fn entries(&self, role: Role) -> Vec<(u16, Entry)> {
        let mut entries = Vec::new();
        for lane in 0..self.log.partitions() {
            for record in self.records(TopicId::journal(role), lane) {
                let step: Step = self.codec.decode(&record.value).expect("a step");
                assert_eq!((step.role, step.lane), (role, lane));
                entries.extend(step.entries.into_iter().map(|entry| (lane, entry)));
            }
        }
        entries
    }

    pub(crate) fn close(self) {
        assert!(self.host.drain(Duration::from_secs(5)), "nothing is left over");
        assert_eq!(self.host.failure(), None);
        self.log.close();
        self.store.close().expect("the store closes");
    }
}
