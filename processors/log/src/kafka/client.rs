//! Client properties: every one that matters, with the reason. What a caller adds (security, for
//! example) comes first, so that it can't undo what correctness stands on.

use super::limits::{
    AHEAD_KIB_MAX, AHEAD_RECORDS_MIN, APPEND, BATCH_BYTES_MAX, BATCH_TAKEN_BYTES_MAX, HANDOVER,
    HEARTBEAT, POST, QUEUE_KIB_MAX, QUEUE_RECORDS_MAX, REQUEST, SESSION, TRANSACTION, millis,
};
use super::options::Options;
use jupan_schemas::{Lane, Role};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

/// Makes the properties of each kind of client.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    options: Options,
}

impl Clients {
    pub(super) fn new(options: Options) -> Self {
        Self { options }
    }

    fn base(&self, purpose: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in &self.options.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.options.brokers);
        config.set("client.id", format!("{}jupan-{purpose}", self.options.prefix));
        // A lane waits for each answer before it goes on: a small packet must not wait for more.
        config.set("socket.nagle.disable", "true");
        config.set("allow.auto.create.topics", "false");
        // The default waits up to 10 s before it tries a broker again that is back.
        config.set("reconnect.backoff.ms", "50").set("reconnect.backoff.max.ms", "1000");
        config.set_log_level(RDKafkaLogLevel::Warning);
        config
    }

    fn producer(&self, purpose: &str) -> ClientConfig {
        let mut config = self.base(purpose);
        // Acknowledged means: on every replica in sync, in order, once.
        config.set("enable.idempotence", "true").set("acks", "all");
        config.set("linger.ms", "0");
        // Between two transactions the coordinator says "not yet" for a moment: the default would
        // wait 100 ms for it.
        config.set("retry.backoff.ms", "1").set("retry.backoff.max.ms", "50");
        config.set("queue.buffering.max.messages", QUEUE_RECORDS_MAX.to_string());
        config.set("queue.buffering.max.kbytes", QUEUE_KIB_MAX.to_string());
        config.set("message.max.bytes", BATCH_TAKEN_BYTES_MAX.to_string());
        config.set("batch.size", BATCH_BYTES_MAX.to_string());
        config.set("compression.type", "none");
        // What every other client computes. Here partitions are always named.
        config.set("partitioner", "murmur2_random");
        config
    }

    /// Ends the lane's transactions, alone: whoever has this id last fences the others.
    pub(super) fn transactions(&self, lane: Lane) -> ClientConfig {
        let mut config = self.producer(&format!("lane-{}-{}", lane.role.name(), lane.index));
        config.set("transactional.id", self.transactional_id(lane));
        config.set("transaction.timeout.ms", millis(TRANSACTION));
        config.set("message.timeout.ms", millis(REQUEST));
        config.set("socket.timeout.ms", millis(REQUEST));
        // Lines about connections, since that is the only way to learn that one broke: see
        // `transaction`.
        config.set("debug", "broker").set_log_level(RDKafkaLogLevel::Debug);
        config
    }

    /// Stable, so that a takeover ends the predecessor's transaction at once.
    pub(super) fn transactional_id(&self, lane: Lane) -> String {
        format!("{}jupan-{}-{}", self.options.prefix, lane.role.name(), lane.index)
    }

    /// Appends commands.
    pub(super) fn appends(&self) -> ClientConfig {
        let mut config = self.producer("append");
        config.set("message.timeout.ms", millis(APPEND));
        config
    }

    /// Sends answers, reminders and best sellers. It has its own queue, so that answers for
    /// nobody don't take the room of commands.
    pub(super) fn posts(&self) -> ClientConfig {
        let mut config = self.producer("post");
        config.set("message.timeout.ms", millis(POST));
        config
    }

    /// Reads partitions that it is told to read; it is in no group, but the client wants a name.
    pub(super) fn reader(&self, purpose: &str, isolation: Isolation) -> ClientConfig {
        let mut config = self.base(purpose);
        config.set("group.id", format!("{}jupan-{purpose}", self.options.prefix));
        config.set("isolation.level", isolation.level());
        config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        // A position that is no longer kept is an error with a name, never a silent jump.
        config.set("auto.offset.reset", "error");
        config.set("queued.max.messages.kbytes", AHEAD_KIB_MAX.to_string());
        config.set("queued.min.messages", AHEAD_RECORDS_MIN.to_string());
        // How long fetching pauses when that much is read ahead; the default of a second would
        // starve a lane that has emptied its queue.
        config.set("fetch.queue.backoff.ms", "2").set("fetch.error.backoff.ms", "50");
        config
    }

    /// A member of the group that shares a role's lanes.
    pub(super) fn member(&self, role: Role) -> ClientConfig {
        let mut config = self.base(&format!("{}-member", role.name()));
        config.set("group.id", format!("{}jupan-{}", self.options.prefix, role.name()));
        // Only this one gives a member the same partitions of both inputs, and revokes all lanes
        // before anything moves, so that a generation is one assignment.
        config.set("group.protocol", "classic").set("partition.assignment.strategy", "range");
        config.set("session.timeout.ms", millis(SESSION));
        config.set("heartbeat.interval.ms", millis(HEARTBEAT));
        config.set("max.poll.interval.ms", millis(HANDOVER));
        config.set("socket.timeout.ms", millis(SESSION));
        config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        if let Some(id) = &self.options.instance_id {
            config.set("group.instance.id", id);
        }
        config
    }

    /// Creates topics and looks at them.
    pub(super) fn admin(&self) -> ClientConfig {
        self.base("admin")
    }
}

/// What a reader sees of transactions.
#[derive(Clone, Copy, Debug)]
pub(super) enum Isolation {
    /// Records of ended transactions only, up to the first open one.
    Committed,
    /// Everything: for outcomes, which are in none, and to learn where a partition really ends.
    Uncommitted,
}

impl Isolation {
    fn level(self) -> &'static str {
        match self {
            Self::Committed => "read_committed",
            Self::Uncommitted => "read_uncommitted",
        }
    }
}
