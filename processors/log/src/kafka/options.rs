//! What a process has to say to use the log on Kafka.

/// Partitions of a keyed topic where nobody says otherwise.
pub const PARTITIONS: u16 = 12;

/// Where the brokers are, and what is ours there.
#[derive(Clone, Debug)]
pub struct Options {
    /// `HOST:PORT`, several separated by commas.
    pub brokers: String,
    /// In front of every topic's, group's and transactional id's name; may be empty. Processes with
    /// the same prefix are one shop.
    pub prefix: String,
    /// A name that stays the same over restarts makes a member of a group that comes back within
    /// the session's time keep its lanes; it must be unique among the processes of a role.
    pub instance_id: Option<String>,
    /// Client properties for every client, for security above all. What correctness stands on
    /// can't be changed by them.
    pub properties: Vec<(String, String)>,
}

impl Options {
    /// These brokers, no prefix.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            prefix: String::new(),
            instance_id: None,
            properties: Vec::new(),
        }
    }
}
