//! A schema registry.

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

const HTTP: u16 = 8080;
/// Longest time for a ready server to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// A schema registry in memory, with a Confluent-compatible API.
pub struct Registry(Server);

impl Registry {
    /// Starts a registry of the test's own.
    ///
    /// # Panics
    ///
    /// If it does not start, with what to do.
    #[must_use]
    pub fn start() -> Self {
        Self::try_start().unwrap_or_else(|reason| panic!("{reason}"))
    }

    pub(crate) fn try_start() -> Result<Self, String> {
        let settings = |_: &[u16]| Settings {
            what: "registry",
            image: Image::of("JUPAN_REGISTRY_IMAGE"),
            variables: Vec::new(),
            arguments: Vec::new(),
            ready: Ready::Answer(answers),
        };
        let server = Server::start(&[HTTP], settings)?;
        let info = get(server.port(0), "/apis/registry/v3/system/info").unwrap_or_default();
        let info = info.lines().last().unwrap_or_default();
        println!("registry: {info}");
        Ok(Self(server))
    }

    /// The base URL of its Confluent-compatible API, without a slash at its end.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}/apis/ccompat/v7", self.port(0))
    }

    pub(crate) fn into_server(self) -> Server {
        self.0
    }
}

impl Deref for Registry {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

fn answers(port: u16) -> bool {
    get(port, "/apis/ccompat/v7/subjects").is_some_and(|answer| answer.contains(" 200 "))
}

/// What it answers to a GET, with its head; nothing if it does not answer.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
