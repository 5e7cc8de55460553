//! Our topics at the broker: their names, what they must be like, their creation, and the check at
//! a start. Nothing here changes a topic that exists: what is wrong is named, with what to do.

use super::client::Clients;
use super::limits::{ADMIN, BATCH_TAKEN_BYTES_MAX, INPUT_BYTES_MAX};
use super::options::Options;
use super::traces::Quiet;
use super::wait::wait_for;
use jupan_schemas::{Role, TopicId};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::collections::{BTreeMap, HashMap};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Commands and messages are kept at least this long.
const INPUTS_KEPT_MS: i64 = 30 * DAY_MS;
/// Sales are kept at least this long: best sellers are counted again from them.
const SALES_KEPT_MS: i64 = 33 * DAY_MS;
/// Outcomes are for who waits now.
const RESULTS_KEPT_MS: i64 = 60 * 60 * 1000;

/// The names of all topics, with the shop's prefix.
#[derive(Clone, Debug)]
pub(super) struct Names(Vec<String>);

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self(TopicId::ALL.iter().map(|topic| format!("{prefix}{}", topic.name())).collect())
    }

    pub(super) fn of(&self, topic: TopicId) -> &str {
        let at = TopicId::ALL.iter().position(|other| *other == topic);
        at.and_then(|at| self.0.get(at)).map_or("", String::as_str)
    }
}

/// How many partitions and replicas new topics get.
#[derive(Clone, Copy, Debug)]
pub struct NewTopics {
    /// Partitions of the keyed topics, which is the number of lanes of each role. It stays as it is.
    pub partitions: u16,
    /// Partitions of `command-results`: one for each instance of the API.
    pub result_partitions: u16,
    /// Replicas of each partition; `None`: as the broker does by default.
    pub replicas: Option<u16>,
}

impl Default for NewTopics {
    fn default() -> Self {
        let partitions = super::options::PARTITIONS;
        Self { partitions, result_partitions: partitions, replicas: None }
    }
}

/// The topics are not as they must be.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// The broker does not answer.
    #[error("the brokers at {brokers} cannot be asked about the topics")]
    Unreachable {
        /// Where they should be.
        brokers: String,
        /// What happened.
        #[source]
        source: KafkaError,
    },
    /// A topic cannot be made.
    #[error("topic {topic} cannot be created: {cause}")]
    Create {
        /// Its name.
        topic: String,
        /// What the broker says.
        cause: String,
    },
    /// A topic is not there.
    #[error("topic {topic} is missing: run `jupan init`")]
    Missing {
        /// Its name.
        topic: String,
    },
    /// A topic has another number of partitions than its lanes.
    #[error(
        "topic {topic} has {found} partitions where {needed} are needed: the number of lanes is \
         fixed when a shop is made, so use its number, or another prefix for a new shop"
    )]
    Partitions {
        /// Its name.
        topic: String,
        /// How many it has.
        found: usize,
        /// How many it must have.
        needed: usize,
    },
    /// A topic has a setting that lets records get lost, or dates them wrongly.
    #[error(
        "topic {topic} has {setting}={found} where {needed} is needed: set it with \
         `kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config \
         {setting}={example}`"
    )]
    Setting {
        /// Its name.
        topic: String,
        /// Which setting.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        needed: String,
        /// A value that is fine.
        example: String,
    },
}

/// What a setting must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Exactly(&'static str),
    /// -1 means without limit where that makes sense, so it is enough, too.
    AtLeast(i64),
    Equal(i64),
}

impl Need {
    fn is_met(self, found: &str) -> bool {
        match self {
            Self::Exactly(needed) => found == needed,
            Self::AtLeast(least) => {
                found.parse().is_ok_and(|found: i64| found == -1 || (least >= 0 && found >= least))
            }
            Self::Equal(needed) => found.parse() == Ok(needed),
        }
    }

    fn describe(self) -> String {
        match self {
            Self::Exactly(needed) => needed.to_owned(),
            Self::AtLeast(-1) => "-1".to_owned(),
            Self::AtLeast(least) => format!("{least} or more"),
            Self::Equal(needed) => needed.to_string(),
        }
    }

    fn example(self) -> String {
        match self {
            Self::Exactly(needed) => needed.to_owned(),
            Self::AtLeast(value) | Self::Equal(value) => value.to_string(),
        }
    }
}

fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// What every topic must be like, and is made like.
fn needs(topic: TopicId) -> Vec<(&'static str, Need)> {
    // Times of records are the broker's: deadlines and stamps stand on that.
    let mut needs = vec![
        ("message.timestamp.type", Need::Exactly("LogAppendTime")),
        // A replica that lags behind must not become the truth.
        ("unclean.leader.election.enable", Need::Exactly("false")),
    ];
    let taken = Need::AtLeast(size(BATCH_TAKEN_BYTES_MAX));
    let kept = |needs: &mut Vec<_>, millis| {
        needs.push(("cleanup.policy", Need::Exactly("delete")));
        needs.push(("retention.ms", Need::AtLeast(millis)));
        needs.push(("retention.bytes", Need::AtLeast(-1)));
    };
    match topic {
        TopicId::UserCommands
        | TopicId::ProductCommands
        | TopicId::UserInbox
        | TopicId::ProductInbox => {
            kept(&mut needs, INPUTS_KEPT_MS);
            // Both together bound a record: whatever is read fits into the dead letters.
            needs.push(("compression.type", Need::Exactly("uncompressed")));
            needs.push(("max.message.bytes", Need::Equal(size(INPUT_BYTES_MAX))));
        }
        TopicId::UserJournal | TopicId::ProductJournal => {
            kept(&mut needs, -1);
            needs.push(("max.message.bytes", taken));
        }
        TopicId::OrderEvents | TopicId::Sales => {
            kept(&mut needs, SALES_KEPT_MS);
            needs.push(("max.message.bytes", taken));
        }
        TopicId::DeadLetters => {
            kept(&mut needs, INPUTS_KEPT_MS);
            needs.push(("max.message.bytes", taken));
        }
        TopicId::TopProducts | TopicId::DeadLetterMarks => {
            needs.push(("cleanup.policy", Need::Exactly("compact")));
            needs.push(("max.message.bytes", taken));
        }
        TopicId::CommandResults => needs.push(("max.message.bytes", taken)),
    }
    needs
}

/// Settings of new topics that a start does not insist on.
fn wishes(topic: TopicId) -> Vec<(&'static str, String)> {
    match topic {
        // For ever, unless the operator decides otherwise.
        TopicId::OrderEvents | TopicId::Sales => vec![("retention.ms", "-1".to_owned())],
        TopicId::CommandResults => vec![("retention.ms", RESULTS_KEPT_MS.to_string())],
        _ => Vec::new(),
    }
}

/// What a topic is made with, by the broker's names: what is wished for stands over what is merely
/// enough.
pub fn settings(topic: TopicId) -> BTreeMap<&'static str, String> {
    let needs = needs(topic).into_iter().map(|(setting, need)| (setting, need.example()));
    needs.chain(wishes(topic)).collect()
}

/// Partitions that a topic must have; `command-results` may have any number.
pub fn partitions_of(topic: TopicId, new: NewTopics) -> u16 {
    match topic {
        TopicId::CommandResults => new.result_partitions.max(1),
        _ if topic.is_single() => 1,
        _ => new.partitions.max(1),
    }
}

/// What the check of a start found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Lanes of each role.
    pub(super) lanes: u16,
    /// Partitions of `command-results`.
    pub(super) results: u16,
}

/// Creates the topics that are missing, and checks all of them. Safe to repeat.
///
/// # Errors
/// [`TopicError`]: what could not be created, or exists and is not as it must be.
pub fn init(options: &Options, new: NewTopics) -> Result<(), TopicError> {
    let admin = Admin::new(options)?;
    let existing = admin.partitions()?;
    let names = Names::new(&options.prefix);
    let is_missing = |topic: &TopicId| !existing.contains_key(names.of(*topic));
    let missing: Vec<_> = TopicId::ALL.into_iter().filter(is_missing).collect();
    admin.create(&missing, &names, new)?;
    admin.await_all(&names)?;
    let found = admin.check(&names)?;
    if found.lanes != new.partitions {
        let topic = names.of(TopicId::UserCommands).to_owned();
        let (found, needed) = (usize::from(found.lanes), usize::from(new.partitions));
        return Err(TopicError::Partitions { topic, found, needed });
    }
    Ok(())
}

/// Checks all topics.
pub(super) fn check(options: &Options) -> Result<Found, TopicError> {
    Admin::new(options)?.check(&Names::new(&options.prefix))
}

struct Admin<'a> {
    options: &'a Options,
    client: AdminClient<Quiet>,
}

impl<'a> Admin<'a> {
    fn new(options: &'a Options) -> Result<Self, TopicError> {
        let config = Clients::new(options.clone()).admin();
        let client = AdminClient::from_config_and_context(&config, Quiet);
        let client = client.map_err(|source| unreachable(options, source))?;
        Ok(Self { options, client })
    }

    fn admin_options() -> AdminOptions {
        AdminOptions::new().request_timeout(Some(ADMIN)).operation_timeout(Some(ADMIN))
    }

    /// Partitions of every topic that the broker has.
    fn partitions(&self) -> Result<HashMap<String, usize>, TopicError> {
        let metadata = self.client.inner().fetch_metadata(None, ADMIN);
        let metadata = metadata.map_err(|source| unreachable(self.options, source))?;
        let topics = metadata.topics().iter().filter(|topic| topic.error().is_none());
        Ok(topics.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect())
    }

    fn create(&self, topics: &[TopicId], names: &Names, new: NewTopics) -> Result<(), TopicError> {
        let settings: Vec<_> = topics.iter().map(|topic| settings(*topic)).collect();
        let asked = topics.iter().zip(&settings).map(|(topic, settings)| {
            let replicas = TopicReplication::Fixed(new.replicas.map_or(-1, i32::from));
            let partitions = i32::from(partitions_of(*topic, new));
            let asked = NewTopic::new(names.of(*topic), partitions, replicas);
            settings.iter().fold(asked, |asked, (setting, value)| asked.set(setting, value))
        });
        let asked: Vec<_> = asked.collect();
        if asked.is_empty() {
            return Ok(());
        }
        let failed = |topic: String, cause: String| TopicError::Create { topic, cause };
        let created = wait_for(self.client.create_topics(&asked, &Self::admin_options()));
        let created = created.map_err(|error| {
            let all: Vec<_> = topics.iter().map(|topic| names.of(*topic)).collect();
            failed(all.join(", "), error.to_string())
        })?;
        for result in created {
            match result {
                Ok(topic) => tracing::info!(topic, "topic created"),
                // Another process made it meanwhile.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => return Err(failed(topic, code.to_string())),
            }
        }
        Ok(())
    }

    /// A new topic is known to the broker that made it a moment before the others.
    fn await_all(&self, names: &Names) -> Result<(), TopicError> {
        let deadline = std::time::Instant::now() + ADMIN;
        loop {
            let existing = self.partitions()?;
            let is_missing = |topic: &&TopicId| !existing.contains_key(names.of(**topic));
            match TopicId::ALL.iter().find(is_missing) {
                None => return Ok(()),
                Some(topic) if std::time::Instant::now() >= deadline => {
                    return Err(TopicError::Missing { topic: names.of(*topic).to_owned() });
                }
                Some(_) => std::thread::park_timeout(super::limits::READ_PAUSE),
            }
        }
    }

    fn check(&self, names: &Names) -> Result<Found, TopicError> {
        let found = self.check_partitions(names)?;
        self.check_settings(names)?;
        Ok(found)
    }

    fn check_partitions(&self, names: &Names) -> Result<Found, TopicError> {
        let existing = self.partitions()?;
        let count = |topic: TopicId| {
            let name = names.of(topic);
            let missing = || TopicError::Missing { topic: name.to_owned() };
            existing.get(name).copied().ok_or_else(missing)
        };
        let of = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        let lanes = of(count(TopicId::UserCommands)?);
        let results = of(count(TopicId::CommandResults)?);
        let new = NewTopics { partitions: lanes, result_partitions: results, replicas: None };
        for topic in TopicId::ALL {
            let (found, needed) = (count(topic)?, usize::from(partitions_of(topic, new)));
            if found != needed {
                let topic = names.of(topic).to_owned();
                return Err(TopicError::Partitions { topic, found, needed });
            }
        }
        Ok(Found { lanes, results })
    }

    fn check_settings(&self, names: &Names) -> Result<(), TopicError> {
        let asked: Vec<_> =
            TopicId::ALL.iter().map(|topic| ResourceSpecifier::Topic(names.of(*topic))).collect();
        let described = wait_for(self.client.describe_configs(&asked, &Self::admin_options()));
        let described = described.map_err(|source| unreachable(self.options, source))?;
        for (topic, described) in TopicId::ALL.into_iter().zip(described) {
            let described =
                described.map_err(|code| unreachable(self.options, KafkaError::AdminOp(code)))?;
            for (setting, need) in needs(topic) {
                let found = described.get(setting).and_then(|entry| entry.value.clone());
                let found = found.unwrap_or_default();
                if !need.is_met(&found) {
                    let topic = names.of(topic).to_owned();
                    let (needed, example) = (need.describe(), need.example());
                    return Err(TopicError::Setting { topic, setting, found, needed, example });
                }
            }
        }
        Ok(())
    }
}

fn unreachable(options: &Options, source: KafkaError) -> TopicError {
    TopicError::Unreachable { brokers: options.brokers.clone(), source }
}

/// The command topic and the inbox of a role.
pub(super) fn inputs(role: Role) -> [TopicId; 2] {
    [TopicId::commands(role), TopicId::inbox(role)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_prefix() {
        for prefix in ["", "test-1."] {
            let names = Names::new(prefix);
            for topic in TopicId::ALL {
                assert_eq!(names.of(topic), format!("{prefix}{}", topic.name()));
            }
        }
    }

    #[test]
    fn a_need_is_met_or_not() {
        let rows = [
            (Need::Exactly("LogAppendTime"), "LogAppendTime", true),
            (Need::Exactly("LogAppendTime"), "CreateTime", false),
            (Need::AtLeast(100), "100", true),
            (Need::AtLeast(100), "99", false),
            (Need::AtLeast(100), "-1", true),
            (Need::AtLeast(-1), "-1", true),
            (Need::AtLeast(-1), "9223372036854775807", false),
            (Need::AtLeast(100), "", false),
            (Need::Equal(100), "100", true),
            (Need::Equal(100), "101", false),
            (Need::Equal(100), "-1", false),
        ];
        for (need, found, is_met) in rows {
            assert_eq!(need.is_met(found), is_met, "{need:?} {found}");
        }
    }

    #[test]
    fn a_new_topic_passes_the_check() {
        for topic in TopicId::ALL {
            let settings = settings(topic);
            for (setting, need) in needs(topic) {
                let value = &settings[setting];
                assert!(need.is_met(value), "{topic:?} {setting}={value}");
            }
        }
    }

    #[test]
    fn journals_are_kept_for_ever_and_never_compacted() {
        for topic in [TopicId::UserJournal, TopicId::ProductJournal] {
            let needs: HashMap<_, _> = needs(topic).into_iter().collect();
            assert_eq!(needs["retention.ms"], Need::AtLeast(-1), "{topic:?}");
            assert_eq!(needs["retention.bytes"], Need::AtLeast(-1), "{topic:?}");
            assert_eq!(needs["cleanup.policy"], Need::Exactly("delete"), "{topic:?}");
        }
    }
}
