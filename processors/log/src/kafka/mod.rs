//! The log on Apache Kafka: one transactional producer a lane, commands and messages by manual
//! assignment, lanes shared out by a group.
//!
//! ```text
//!   append   -> appends ----> commands \                         .-> journal
//!   remind   -> posts ------> inbox     } inputs -> lane -> transaction -> inboxes, events, ...
//!   answer   -> posts ------> command-results -> results         '-> positions (for display)
//!   group    -> which lanes   takeover -> reader <- journal, sales, ...
//! ```
//!
//! How the port's rules are kept here:
//! - **Fence (5)**: a transactional id a lane; who initialises it last ends the others. A lane that
//!   a group gave us also sends that generation with its positions.
//! - **Tail (6)**: see `takeover`. **Unknown outcome (7)**: see `transaction`.
//! - **Positions (8)**: the consumer's, past the marks that end transactions. An input is read from
//!   where the journal says; the positions kept by the group are for display.
//! - **Visibility (9)**: nothing is seen before every replica in sync has it.
//! - **Bounds (12)**: see `limits`.
//!
//! A broker that is away is no failure: appends are refused, lanes take over again until it is back,
//! and [`KafkaLog::is_reachable`] says so. A failure is what does not pass by itself: missing rights.

mod appends;
mod class;
mod client;
mod group;
mod inputs;
mod lane;
mod limits;
mod options;
mod planted;
mod posts;
mod reader;
mod record;
mod reported;
mod results;
mod signal;
mod takeover;
mod topics;
mod traces;
mod transaction;
mod wait;
mod watch;

pub use options::{Options, PARTITIONS};
pub use posts::POSTS_LOST;
pub use topics::{NewTopics, TopicError, init, partitions_of, settings};
pub use watch::{HIDDEN, INPUT_LAG, LaneLag, REACHABLE, TRANSACTION_AGE};

use crate::fixed::check_record;
use crate::layout::Layout;
use crate::{
    AppendError, Appended, Assignment, Batch, Bounds, Clock, LaneError, LaneLog, Log, NewRecord,
    ReadError, ReadLimit, Results,
};
use appends::Appends;
use async_trait::async_trait;
use client::Clients;
use group::{Group, Member, Membership};
use jupan_schemas::{Lane, Micros, Role, TopicId};
use lane::KafkaLane;
use parking_lot::Mutex;
use posts::Posts;
use rdkafka::error::KafkaError;
use reader::{Reader, Stretch};
use results::{Seats, Subscription};
use signal::Signal;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use topics::Names;
use watch::{Watch, Watched};

/// The log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The topics are not as they must be.
    #[error("the log's topics cannot be used")]
    Topics(#[source] TopicError),
    /// A client could not be made: a property is wrong.
    #[error("the clients of the log cannot be made")]
    Client(#[source] KafkaError),
    /// The system gives no thread.
    #[error("the log's watch cannot be started")]
    Thread(#[source] std::io::Error),
}

/// See the module.
pub struct KafkaLog {
    shared: Arc<Shared>,
    // Ends with the log; lanes may outlive it.
    _watch: Watch,
}

/// What the log, its lanes and its threads share.
struct Shared {
    clients: Clients,
    names: Names,
    layout: Layout,
    lanes: u16,
    result_partitions: u16,
    clock: Arc<dyn Clock>,
    reader: Arc<Reader>,
    appends: Appends,
    posts: Posts,
    seats: Arc<Seats>,
    groups: Mutex<BTreeMap<Role, Weak<Group>>>,
    watched: Arc<Watched>,
    arrivals: Arc<Signal>,
    failure: Arc<Mutex<Option<String>>>,
}

impl KafkaLog {
    /// Opens the log on topics that [`init`] has made, and checks them.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(options: &Options, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let found = topics::check(options).map_err(OpenError::Topics)?;
        let clients = Clients::new(options.clone());
        let names = Names::new(&options.prefix);
        let arrivals = Arc::new(Signal::default());
        let failure: Arc<Mutex<Option<String>>> = Arc::default();
        let noted = failure.clone();
        let failed = Box::new(move |cause| {
            noted.lock().get_or_insert(cause);
        });
        let reader = Reader::new(&clients, names.clone(), arrivals.clone());
        let reader = Arc::new(reader.map_err(OpenError::Client)?);
        let appends = Appends::new(&clients, arrivals.clone(), failed);
        let shared = Shared {
            appends: appends.map_err(OpenError::Client)?,
            posts: Posts::new(&clients).map_err(OpenError::Client)?,
            clients,
            names,
            layout: Layout::new(found.lanes),
            lanes: found.lanes,
            result_partitions: found.results,
            clock,
            reader,
            seats: Arc::default(),
            groups: Mutex::default(),
            watched: Watched::new(),
            arrivals,
            failure,
        };
        let watch = Watch::start(shared.watched.clone(), shared.reader.clone());
        let watch = watch.map_err(OpenError::Thread)?;
        Ok(Self { shared: Arc::new(shared), _watch: watch })
    }

    /// Whether a broker answered within the last seconds. Without one nothing can be appended, and
    /// nothing is.
    pub fn is_reachable(&self) -> bool {
        self.shared.watched.is_reachable()
    }

    /// Whether every role that this process joined has an assignment, even one without lanes: a
    /// member that waits for its group can't tell what it owns.
    pub fn is_assigned(&self) -> bool {
        let groups = self.shared.groups.lock();
        groups.values().filter_map(Weak::upgrade).all(|group| group.is_established())
    }

    /// How far the lanes of this process were when it was last looked at, about a second ago.
    pub fn lags(&self) -> Vec<LaneLag> {
        self.shared.watched.lags()
    }
}

impl Shared {
    fn partitions_of(&self, topic: TopicId) -> u16 {
        match topic {
            TopicId::CommandResults => self.result_partitions,
            _ if topic.is_single() => 1,
            _ => self.lanes,
        }
    }

    fn result_partition(&self, reply_to: u32) -> Option<u16> {
        let partition = u16::try_from(reply_to).ok()?;
        (partition < self.result_partitions).then_some(partition)
    }

    fn readable(&self, topic: TopicId, partition: u16) -> Result<(TopicId, u16), ReadError> {
        let is_there = partition < self.partitions_of(topic);
        is_there.then_some((topic, partition)).ok_or(ReadError::NoPartition { topic, partition })
    }

    /// A lane's part in its role's group, if this process is in it.
    fn membership(&self, lane: Lane) -> Result<Option<Membership>, LaneError> {
        let group = self.groups.lock().get(&lane.role).and_then(Weak::upgrade);
        group.map(|group| group.membership(lane)).transpose()
    }

    /// What does not pass by itself is a failure of the log.
    fn note(&self, error: &LaneError) {
        if let LaneError::Broken { .. } = error {
            self.failure.lock().get_or_insert_with(|| error.to_string());
        }
    }
}

#[async_trait]
impl Log for KafkaLog {
    fn partitions(&self) -> u16 {
        self.shared.lanes
    }

    async fn append(
        &self,
        topic: TopicId,
        partition: u16,
        record: NewRecord,
    ) -> Result<Appended, AppendError> {
        let slot = self.shared.layout.producer_slot(topic, partition);
        slot.ok_or(AppendError::NoPartition { topic, partition })?;
        check_record(&record)?;
        // Nothing was sent, so this is certain; in the queue it would end as an unknown outcome.
        if !self.is_reachable() {
            return Err(AppendError::Closed);
        }
        let name = self.shared.names.of(topic);
        let outcome = self.shared.appends.begin(name, partition, &record)?;
        let unknown = |_| AppendError::Unknown { cause: "the log ended".to_owned() };
        outcome.await.map_err(unknown)?
    }

    fn read(
        &self,
        topic: TopicId,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Batch, ReadError> {
        let place = self.shared.readable(topic, partition)?;
        self.shared.reader.read(place, Stretch { from, until: None, limit })
    }

    fn bounds(&self, topic: TopicId, partition: u16) -> Result<Bounds, ReadError> {
        self.shared.reader.bounds(self.shared.readable(topic, partition)?)
    }

    fn wait_for_more(&self, wait: Duration) {
        let arrivals = &self.shared.arrivals;
        arrivals.wait(arrivals.rings(), Instant::now() + wait);
    }

    fn open(&self, lane: Lane) -> Result<Box<dyn LaneLog>, LaneError> {
        Ok(Box::new(KafkaLane::open(&self.shared, lane)?))
    }

    fn assignment(&self, role: Role) -> Result<Box<dyn Assignment>, LaneError> {
        let group = Group::new(role, &self.shared.names);
        self.shared.groups.lock().insert(role, Arc::downgrade(&group));
        let member = Member::join(&self.shared.clients, group).map_err(|error| {
            let (lane, cause) = (Lane { role, index: 0 }, format!("joining its group: {error}"));
            LaneError::Broken { lane, cause }
        })?;
        Ok(Box::new(member))
    }

    fn results(&self) -> Result<Box<dyn Results>, ReadError> {
        let Shared { clients, names, result_partitions, seats, .. } = &*self.shared;
        let name = names.of(TopicId::CommandResults);
        Ok(Box::new(Subscription::new(clients, name, *result_partitions, seats)?))
    }

    fn publish_top(&self, record: NewRecord) -> Result<(), AppendError> {
        check_record(&record)?;
        self.shared.posts.send(self.shared.names.of(TopicId::TopProducts), 0, &record)
    }

    fn now(&self) -> Micros {
        self.shared.clock.now()
    }

    fn failure(&self) -> Option<String> {
        self.shared.failure.lock().clone()
    }
}
