//! A CQL store: ScyllaDB, or whatever speaks its protocol.

use crate::{
    image::Image,
    server::{Ready, Server, Settings},
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    ops::Deref,
    time::Duration,
};

const NATIVE: u16 = 9042;
/// Longest time for a ready server to answer.
const ANSWER: Duration = Duration::from_secs(2);
/// A frame of the native protocol, version 4: OPTIONS without a body. The answer is SUPPORTED.
const OPTIONS: [u8; 9] = [4, 0, 0, 0, 5, 0, 0, 0, 0];
const SUPPORTED: u8 = 6;

/// What is set for one node by itself, whatever its image is.
const SETTINGS: &str = include_str!("../settings/cql.args");

/// When an acknowledged write is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitLog {
    /// Some seconds later, as servers have it by default: a kill may lose acknowledged writes.
    Periodic,
    /// Before it is acknowledged.
    Synced,
}

/// A store of one node, in `datacenter1`.
pub struct Cql(Server);

impl Cql {
    /// Starts a store of the test's own.
    ///
    /// # Panics
    ///
    /// If it does not start, with what to do.
    #[must_use]
    pub fn start(commit_log: CommitLog) -> Self {
        Self::try_start(commit_log).unwrap_or_else(|reason| panic!("{reason}"))
    }

    pub(crate) fn try_start(commit_log: CommitLog) -> Result<Self, String> {
        let mut arguments: Vec<String> = SETTINGS.lines().map(str::to_owned).collect();
        if commit_log == CommitLog::Synced {
            arguments.push("--commitlog-sync=batch".to_owned());
        }
        let settings = |_: &[u16]| Settings {
            what: "cql",
            image: Image::of("JUPAN_CQL_IMAGE"),
            variables: Vec::new(),
            arguments: arguments.clone(),
            ready: Ready::Answer(answers),
        };
        let server = Server::start(&[NATIVE], settings)?;
        let output = server.output();
        let told = ["Cassandra version: ", "Scylla version "].into_iter().find_map(|name| {
            let version = output.split(name).nth(1)?.split_whitespace().next()?;
            Some(format!("{name}{version}"))
        });
        println!("cql: {}", told.unwrap_or_else(|| "version unknown".to_owned()));
        Ok(Self(server))
    }

    /// `host:port` for drivers.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port(0))
    }

    pub(crate) fn into_server(self) -> Server {
        self.0
    }
}

impl Deref for Cql {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

/// Whether the server behind this port talks CQL. A connection alone says nothing: the engine
/// accepts it itself.
fn answers(port: u16) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.write_all(&OPTIONS)?;
        let mut head = [0; 5];
        stream.read_exact(&mut head)?;
        std::io::Result::Ok(head[4] == SUPPORTED)
    };
    ask().unwrap_or(false)
}
