//! What can be configured, and why a store cannot be opened.

use jupan_schemas::cql;
use std::{error::Error, time::Duration};

/// Where the servers are, and how they are asked.
#[derive(Clone, Debug)]
pub struct Options {
    /// `HOST:PORT` of some servers of the local datacenter; the others are found through them.
    pub nodes: Vec<String>,
    /// Small letters, digits and `_`.
    pub keyspace: String,
    /// Of each row in each datacenter; counts when the keyspace is created.
    pub replicas: u16,
    /// The datacenter whose servers are asked; may be left out where there is only one.
    pub datacenter: Option<String>,
    /// Partitions of each role: whose products the catalogue is made of.
    pub lanes: u16,
    /// Longest wait of a reader, all tries included.
    pub read_timeout: Duration,
    /// Longest wait of a lane for one try.
    pub lane_timeout: Duration,
    /// How long a lane tries again before its call fails as unavailable.
    pub lane_patience: Duration,
    /// Most requests of lanes on their way at once; more wait.
    pub lane_requests_max: usize,
    /// Most requests of readers on their way at once; more wait, within their timeout.
    pub read_requests_max: usize,
}

impl Options {
    /// The defaults, for these servers and so many lanes of each role.
    pub fn new(nodes: Vec<String>, lanes: u16) -> Self {
        Self {
            nodes,
            keyspace: cql::KEYSPACE.to_owned(),
            replicas: cql::REPLICAS,
            datacenter: None,
            lanes,
            read_timeout: Duration::from_millis(1_500),
            lane_timeout: Duration::from_secs(3),
            lane_patience: Duration::from_secs(8),
            lane_requests_max: 128,
            read_requests_max: 256,
        }
    }
}

/// A cause of the driver's, which no caller needs to know better.
pub(super) type Cause = Box<dyn Error + Send + Sync>;

/// Why a store cannot be opened, or its tables not be made.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The keyspace cannot have that name.
    #[error("`{name}` is no name of a keyspace: small letters, digits and `_`, a letter first")]
    Keyspace {
        /// As configured.
        name: String,
    },
    /// No server can be reached.
    #[error("no CQL server answers at {nodes}")]
    Connect {
        /// As configured.
        nodes: String,
        /// Why not.
        #[source]
        source: Cause,
    },
    /// There are several datacenters, and none is configured, or none of them is the one.
    #[error("which datacenter is the local one? There are {found}")]
    Datacenter {
        /// Their names.
        found: String,
    },
    /// There are no tables.
    #[error("keyspace {keyspace} has no tables of ours: they must be made first (`init`)")]
    NotInitialised {
        /// As configured.
        keyspace: String,
    },
    /// The tables are of another version.
    #[error("keyspace {keyspace} has tables of version {found}, not {known}")]
    Version {
        /// As configured.
        keyspace: String,
        /// Of the tables.
        found: i32,
        /// Of this program.
        known: i32,
    },
    /// A statement is refused: the tables are not what they must be, or may not be used.
    #[error("the server refuses `{statement}`")]
    Statement {
        /// The statement.
        statement: String,
        /// Why.
        #[source]
        source: Cause,
    },
}

impl OpenError {
    pub(super) fn statement(statement: &str, source: impl Into<Cause>) -> Self {
        Self::Statement { statement: statement.to_owned(), source: source.into() }
    }
}
