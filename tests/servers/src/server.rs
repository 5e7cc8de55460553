//! One container with a server in it, which may be killed and started again.

use crate::{engine, image::Image, remains};
use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, Hasher, RandomState},
    net::TcpListener,
    ops::Range,
    sync::{Arc, LazyLock, Mutex},
    thread,
    time::{Duration, Instant},
};
use testcontainers::{
    ContainerAsync, ContainerRequest, GenericImage, ImageExt, TestcontainersError,
    bollard::{models::PortBinding, query_parameters::KillContainerOptionsBuilder},
    core::IntoContainerPort,
    runners::AsyncRunner,
};

/// Longest time for a server to become ready: three of them may start on two busy cores.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks at whether it is.
const LOOK: Duration = Duration::from_millis(100);
/// Ports that containers get: below those that the system gives to outgoing connections, so that
/// none of them takes a server's port while it is down.
const PORTS: Range<u16> = 20_000..32_000;
/// How often another port is tried when somebody else has just taken it.
const PORT_ATTEMPTS: u32 = 10;
/// Lines of a server's output that a failure shows.
const LAST_LINES: usize = 40;

type Container = ContainerAsync<GenericImage>;

/// How a server says that it is ready.
#[derive(Clone, Copy)]
pub(crate) enum Ready {
    /// By a line of its output, once more at every start.
    Line(&'static str),
    /// By an answer at its first port.
    Answer(fn(u16) -> bool),
}

/// What a server is started with.
pub(crate) struct Settings {
    pub(crate) what: &'static str,
    pub(crate) image: Image,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) arguments: Vec<String>,
    pub(crate) ready: Ready,
}

/// A server in a container, on ports of the loopback interface that stay the same. Removed when
/// dropped, and with the process.
pub struct Server {
    what: &'static str,
    ports: Vec<u16>,
    ready: Ready,
    /// Taken when it is removed.
    container: Option<Arc<Container>>,
}

impl Server {
    /// Starts a server with these ports of its own published. `settings` is told the ports that
    /// they are published as.
    pub(crate) fn start(
        inner_ports: &[u16],
        settings: impl Fn(&[u16]) -> Settings,
    ) -> Result<Self, String> {
        engine::check()?;
        let mut attempts_left = PORT_ATTEMPTS;
        loop {
            let ports: Vec<u16> = inner_ports.iter().map(|_| free_port()).collect();
            let Settings { what, image, variables, arguments, ready } = settings(&ports);
            let named = image.to_string();
            let published: Vec<_> = inner_ports.iter().copied().zip(ports.clone()).collect();
            let request = request(image, &published, variables, arguments);
            let began = Instant::now();
            match engine::create(request.start()) {
                Ok(container) => {
                    let container = Some(Arc::new(container));
                    let server = Self { what, ports, ready, container };
                    server.until_ready(0)?;
                    println!("{what}: {named}, ready after {:?}", began.elapsed());
                    return Ok(server);
                }
                Err(reason) if is_about_ports(&reason) && attempts_left > 0 => attempts_left -= 1,
                Err(reason) => {
                    return Err(format!(
                        "{what} does not start from {named}: {reason}. Where the public images \
                         cannot be pulled, `export $(scripts/servers up)` builds stand-ins, and \
                         names them to the tests"
                    ));
                }
            }
        }
    }

    /// The port of this machine for the server's first port, then its second.
    pub(crate) fn port(&self, at: usize) -> u16 {
        self.ports[at]
    }

    /// Kills it: SIGKILL, at once.
    pub fn kill(&self) {
        self.call("kill", |container| async move {
            let signal = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
            let killed = engine::client().await?.kill_container(container.id(), Some(signal)).await;
            killed.map_err(|error| error.to_string())
        });
        self.until_down();
    }

    /// Stops it in order: SIGTERM, and SIGKILL after 30 s.
    pub fn stop(&self) {
        self.call(
            "stop",
            |container| async move { told(container.stop_with_timeout(Some(30)).await) },
        );
        self.until_down();
    }

    /// Starts it again with its data, after it was killed or stopped, and waits until it is ready.
    pub fn start_again(&self) {
        let lines_before = self.ready_lines();
        self.call("start again", |container| async move { told(container.start().await) });
        if let Err(reason) = self.until_ready(lines_before) {
            panic!("{reason}");
        }
    }

    /// Freezes all its processes. Its connections stay open, and nothing answers.
    pub fn pause(&self) {
        self.call("pause", |container| async move { told(container.pause().await) });
    }

    /// Lets it go on where it was frozen.
    pub fn unpause(&self) {
        self.call("unpause", |container| async move { told(container.unpause().await) });
    }

    /// Everything that it has said so far: standard output, then standard error.
    #[must_use]
    pub fn output(&self) -> String {
        self.call("read", |container| async move {
            let mut output = told(container.stdout_to_vec().await)?;
            output.extend(told(container.stderr_to_vec().await)?);
            Ok(String::from_utf8_lossy(&output).into_owned())
        })
    }

    /// Whether its process runs, frozen or not.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.call("look at", |container| async move { told(container.is_running().await) })
    }

    fn call<T: Send + 'static, F>(
        &self,
        verb: &str,
        call: impl FnOnce(Arc<Container>) -> F + Send + 'static,
    ) -> T
    where
        F: Future<Output = Result<T, String>> + Send + 'static,
    {
        let container =
            Arc::clone(self.container.as_ref().expect("it is there until it is dropped"));
        engine::wait(call(container))
            .unwrap_or_else(|reason| panic!("cannot {verb} {}: {reason}", self.what))
    }

    fn ready_lines(&self) -> usize {
        match self.ready {
            Ready::Line(line) => self.output().matches(line).count(),
            Ready::Answer(_) => 0,
        }
    }

    fn until_ready(&self, lines_before: usize) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let is_ready = match self.ready {
                Ready::Line(_) => self.ready_lines() > lines_before,
                Ready::Answer(answers) => answers(self.port(0)),
            };
            if is_ready {
                return Ok(());
            }
            let (is_down, waited) = (!self.is_running(), began.elapsed());
            if is_down || waited > PATIENCE {
                let state = if is_down { "has ended" } else { "is not ready" };
                let (what, said) = (self.what, self.last_lines());
                return Err(format!("{what} {state} after {waited:?}; it said:\n{said}"));
            }
            thread::sleep(LOOK);
        }
    }

    fn until_down(&self) {
        let end = Instant::now() + PATIENCE;
        while self.is_running() {
            assert!(Instant::now() < end, "{} goes on though it was killed or stopped", self.what);
            thread::sleep(LOOK);
        }
    }

    fn last_lines(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("{} said before the test failed:\n{}", self.what, self.last_lines());
        }
        // No call is under way. If the engine refuses, the watcher removes it.
        if let Some(container) = self.container.take().and_then(Arc::into_inner) {
            drop(engine::wait(container.rm()));
        }
    }
}

fn request(
    image: Image,
    published: &[(u16, u16)],
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
) -> ContainerRequest<GenericImage> {
    let exposed = published.iter().fold(GenericImage::new(image.name, image.tag), |image, port| {
        image.with_exposed_port(port.0.tcp())
    });
    let binding = |&(inner, outer): &(u16, u16)| {
        let binding = PortBinding {
            host_ip: Some("127.0.0.1".to_owned()),
            host_port: Some(outer.to_string()),
        };
        (format!("{inner}/tcp"), Some(vec![binding]))
    };
    let bindings: HashMap<_, _> = published.iter().map(binding).collect();
    let request = exposed
        .with_cmd(arguments)
        .with_labels(remains::labels())
        .with_startup_timeout(PATIENCE)
        .with_host_config_modifier(move |host| {
            host.publish_all_ports = Some(false);
            host.port_bindings = Some(bindings.clone());
        });
    variables.into_iter().fold(request, |request, (name, value)| request.with_env_var(name, value))
}

fn told<T>(called: Result<T, TestcontainersError>) -> Result<T, String> {
    called.map_err(|error| error.to_string())
}

fn is_about_ports(reason: &str) -> bool {
    reason.contains("already allocated") || reason.contains("already in use")
}

/// A port that nobody has, and that this process has not given away before.
fn free_port() -> u16 {
    static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    let mut given = GIVEN.lock().expect("nobody panics with it");
    loop {
        let chance = RandomState::new().build_hasher().finish() % PORTS.len() as u64;
        let port = PORTS.start + u16::try_from(chance).expect("a range of ports is small");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && given.insert(port) {
            return port;
        }
    }
}
