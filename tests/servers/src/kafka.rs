//! A Kafka broker.

use crate::{
    image::Image,
    server::{Ready, Server, Settings},
};
use std::ops::Deref;

/// Where clients connect, inside of the container.
const CLIENT: u16 = 9092;
/// Where a proxy connects that clients are told of.
const PROXIED: u16 = 9095;

/// What is set for one broker by itself, whatever its image is.
const SETTINGS: &str = include_str!("../settings/kafka.env");

/// A broker that is controller, too: one node, topics of replication factor 1. After a kill it is
/// back in about 7 s.
pub struct Kafka(Server);

impl Kafka {
    /// Starts a broker of the test's own.
    ///
    /// # Panics
    ///
    /// If it does not start, with what to do.
    #[must_use]
    pub fn start() -> Self {
        Self::try_start(None).unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// Starts a broker that can also be reached at [`Kafka::behind_proxy`], and there tells its
    /// clients that it is at `127.0.0.1:proxy_port`: so whoever came through the proxy stays behind
    /// it.
    ///
    /// # Panics
    ///
    /// If it does not start, with what to do.
    #[must_use]
    pub fn start_behind(proxy_port: u16) -> Self {
        Self::try_start(Some(proxy_port)).unwrap_or_else(|reason| panic!("{reason}"))
    }

    pub(crate) fn try_start(proxy_port: Option<u16>) -> Result<Self, String> {
        let inner_ports = [CLIENT, PROXIED];
        let used = if proxy_port.is_some() { &inner_ports[..] } else { &inner_ports[..1] };
        let settings = |ports: &[u16]| Settings {
            what: "kafka",
            image: Image::of("JUPAN_KAFKA_IMAGE"),
            variables: variables(ports[0], proxy_port),
            arguments: Vec::new(),
            ready: Ready::Line("Kafka Server started"),
        };
        let server = Server::start(used, settings)?;
        let output = server.output();
        let version = output.split("Kafka version: ").nth(1).and_then(|rest| rest.lines().next());
        println!("kafka: version {}", version.unwrap_or("unknown"));
        Ok(Self(server))
    }

    /// `host:port` for clients.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port(0))
    }

    /// `host:port` for the proxy that [`Kafka::start_behind`] was told of.
    ///
    /// # Panics
    ///
    /// If it was started without one.
    #[must_use]
    pub fn behind_proxy(&self) -> String {
        format!("127.0.0.1:{}", self.port(1))
    }

    pub(crate) fn into_server(self) -> Server {
        self.0
    }
}

impl Deref for Kafka {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

fn variables(port: u16, proxy_port: Option<u16>) -> Vec<(String, String)> {
    let lines = SETTINGS.lines().filter(|line| !line.starts_with('#'));
    let mut variables: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut advertised = format!("CLIENT://127.0.0.1:{port},BROKER://localhost:9094");
    if let Some(proxy_port) = proxy_port {
        advertised += &format!(",PROXIED://127.0.0.1:{proxy_port}");
        let listeners = variables.iter_mut().find(|(name, _)| name == "KAFKA_LISTENERS");
        let (_, listeners) = listeners.expect("the settings name the listeners");
        *listeners += &format!(",PROXIED://:{PROXIED}");
    }
    variables.push(("KAFKA_ADVERTISED_LISTENERS".to_owned(), advertised));
    variables
}
