//! Schemas at a Confluent-compatible registry: registered by `jupan init` under the rules by which
//! they may change, looked up by everybody else. Records themselves never wait for it.

use anyhow::{Context, bail};
use jupan_schemas::{SchemaIds, SchemaName, TopicId, evolution};
use schema_registry_converter::{
    async_impl::schema_registry::{
        SrSettings, get_schema_by_subject_and_version, is_compatible_schema, post_schema,
    },
    schema_registry_common::{RegisteredSchema, SchemaType, SuppliedSchema},
};
use std::time::Duration;

/// Longest time for one question.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How a subject's schemas may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compatibility {
    /// Old and new read each other: flat records, read by many.
    FullTransitive,
    /// New reads all that was ever written: envelopes, whose new branches old lanes cannot know.
    BackwardTransitive,
}

impl Compatibility {
    fn of(name: SchemaName) -> Self {
        match name {
            SchemaName::UserCommand
            | SchemaName::ProductCommand
            | SchemaName::UserMessage
            | SchemaName::ProductMessage
            | SchemaName::Step => Self::BackwardTransitive,
            SchemaName::OrderEvent
            | SchemaName::Sale
            | SchemaName::TopProducts
            | SchemaName::CommandResult => Self::FullTransitive,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::FullTransitive => "FULL_TRANSITIVE",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
        }
    }
}

/// What each topic's values are written with. Dead letters are bytes of any kind.
const VALUES: [(TopicId, SchemaName); 10] = [
    (TopicId::UserCommands, SchemaName::UserCommand),
    (TopicId::ProductCommands, SchemaName::ProductCommand),
    (TopicId::UserInbox, SchemaName::UserMessage),
    (TopicId::ProductInbox, SchemaName::ProductMessage),
    (TopicId::UserJournal, SchemaName::Step),
    (TopicId::ProductJournal, SchemaName::Step),
    (TopicId::OrderEvents, SchemaName::OrderEvent),
    (TopicId::Sales, SchemaName::Sale),
    (TopicId::TopProducts, SchemaName::TopProducts),
    (TopicId::CommandResults, SchemaName::CommandResult),
];

/// A registry, and the topics' prefix in the names of its subjects.
pub(super) struct Registry {
    url: String,
    topic_prefix: String,
    settings: SrSettings,
    http: reqwest::Client,
}

impl Registry {
    /// A registry at a base URL; nothing is asked yet.
    ///
    /// # Errors
    /// Where no client can be made.
    pub(super) fn new(url: &str, topic_prefix: &str) -> anyhow::Result<Self> {
        let url = url.trim_end_matches('/').to_owned();
        let settings = SrSettings::new_builder(url.clone()).set_timeout(TIMEOUT).build()?;
        let http = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self { url, topic_prefix: topic_prefix.to_owned(), settings, http })
    }

    fn subject(&self, topic: TopicId) -> String {
        format!("{}{}-value", self.topic_prefix, topic.name())
    }

    /// Registers every schema of this version, each under its rule. Nothing is registered where one
    /// of them breaks its rule in the eyes of the registry, or one of ours in our own.
    ///
    /// # Errors
    /// Which schema is refused, and by which rule, or why the registry cannot be asked.
    pub(super) async fn register(&self) -> anyhow::Result<()> {
        for (topic, name) in VALUES {
            let subject = self.subject(topic);
            self.set_compatibility(&subject, Compatibility::of(name)).await?;
            self.check(&subject, name).await?;
        }
        for (topic, name) in VALUES {
            let subject = self.subject(topic);
            post_schema(&self.settings, subject.clone(), supplied(name))
                .await
                .with_context(|| format!("{subject} cannot be registered at {}", self.url))?;
        }
        Ok(())
    }

    /// Whether this version's schema may stand beside those that a subject has.
    async fn check(&self, subject: &str, name: SchemaName) -> anyhow::Result<()> {
        let registered = self.schemas(subject).await?;
        for schema in &registered {
            if is_same(&schema.schema, name.text())? {
                return Ok(());
            }
        }
        let rule = Compatibility::of(name).name();
        if !registered.is_empty() {
            let asked =
                is_compatible_schema(&self.settings, subject.to_owned(), supplied(name)).await;
            if !asked.with_context(|| self.unanswered(subject))? {
                bail!("the registry refuses this version's {name:?} as {subject}: not {rule}");
            }
        }
        // A registry does not mind where a branch or a field stands. Lanes and golden bytes do.
        for schema in &registered {
            let is_later = evolution::check(name, name.text(), &schema.schema).is_ok();
            if let Err(broken) = evolution::check(name, &schema.schema, name.text())
                && !is_later
                && let Some(first) = broken.first()
            {
                bail!(
                    "this version's schema cannot follow one that {subject} ({rule}) has: {first}"
                );
            }
        }
        Ok(())
    }

    async fn set_compatibility(&self, subject: &str, rule: Compatibility) -> anyhow::Result<()> {
        let answer = self
            .http
            .put(format!("{}/config/{subject}", self.url))
            .header("Content-Type", "application/vnd.schemaregistry.v1+json")
            .body(format!(r#"{{"compatibility":"{}"}}"#, rule.name()))
            .send()
            .await
            .with_context(|| self.unanswered(subject))?;
        if !answer.status().is_success() {
            bail!("the registry does not take {} for {subject}: {}", rule.name(), answer.status());
        }
        Ok(())
    }

    /// The ids of this version's schemas, and of all others that are registered and can be read.
    ///
    /// # Errors
    /// Where one of them is not registered, or the registry cannot be asked.
    pub(super) async fn ids(&self) -> anyhow::Result<SchemaIds> {
        let mut current: [Option<u32>; SchemaName::ALL.len()] = Default::default();
        let mut others = Vec::new();
        for (topic, name) in VALUES {
            let subject = self.subject(topic);
            let mut is_there = false;
            for schema in self.schemas(&subject).await? {
                let is_ours = is_same(&schema.schema, name.text())?;
                is_there |= is_ours;
                let slot = &mut current[name as usize];
                match (is_ours, *slot) {
                    (true, None) => *slot = Some(schema.id),
                    (true, Some(id)) if id == schema.id => {}
                    _ => others.push((schema.id, name, schema.schema)),
                }
            }
            if !is_there {
                bail!("{subject} lacks this version's schema at {}: run `jupan init`", self.url);
            }
        }
        // Every slot is filled: a topic that lacks its schema has ended this.
        let mut ids = SchemaIds::registered(current.map(Option::unwrap_or_default));
        for (id, name, text) in others {
            if let Err(error) = ids.add_older(id, name, &text) {
                tracing::warn!(id, ?name, %error, "a registered schema cannot be read by this version");
            }
        }
        Ok(ids)
    }

    async fn schemas(&self, subject: &str) -> anyhow::Result<Vec<RegisteredSchema>> {
        let mut schemas = Vec::new();
        for version in self.versions(subject).await? {
            let schema =
                get_schema_by_subject_and_version(&self.settings, subject, Some(version)).await;
            schemas.push(schema.with_context(|| self.unanswered(subject))?);
        }
        Ok(schemas)
    }

    /// The versions of a subject; none where nobody has registered it.
    async fn versions(&self, subject: &str) -> anyhow::Result<Vec<u32>> {
        let asked = self.http.get(format!("{}/subjects/{subject}/versions", self.url)).send().await;
        let answer = asked.with_context(|| self.unanswered(subject))?;
        if answer.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        let versions = answer.error_for_status().with_context(|| self.unanswered(subject))?;
        versions.json().await.with_context(|| self.unanswered(subject))
    }

    fn unanswered(&self, subject: &str) -> String {
        format!("the registry at {} cannot be asked about {subject}", self.url)
    }
}

fn supplied(name: SchemaName) -> SuppliedSchema {
    SuppliedSchema::new(None, SchemaType::Avro, name.text().to_owned())
}

/// Whether two texts are the same JSON: a registry may write it otherwise.
fn is_same(one: &str, other: &str) -> anyhow::Result<bool> {
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text);
    Ok(read(one).context("a registered schema is no JSON")? == read(other)?)
}
