//! The wire between Kafka's clients and their broker, in our hands: requests of transactions are
//! held up, their answers are, or the connection ends at the worst moment. Everything else goes
//! through as it comes.

mod frame;
#[cfg(test)]
mod tests;

use frame::Request;
pub use frame::Step;
use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, LazyLock, Mutex, OnceLock},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader, Interest},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::AbortHandle,
};

/// Larger requests and answers end a connection.
const FRAME_BYTES_MAX: usize = 128 * 1024 * 1024;

/// A thread of its own: hooks may block it, and then everything on the wire waits.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("jupan-proxy")
        .enable_all()
        .build()
        .expect("a thread can be started")
});

/// Called with the client's end of the connection.
pub type Hook = Box<dyn FnOnce(SocketAddr) + Send>;

/// When something happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The client has sent it; the broker does not have it.
    Request,
    /// The broker has answered it; the client does not know.
    Response,
}

/// What happens.
pub enum Fault {
    /// It waits for so long, with whatever comes behind it on its connection. A request then goes
    /// to the broker even if its client has left.
    Hold(Duration),
    /// The client's connection ends at once; the request goes to the broker after so long.
    Strand(Duration),
    /// The hook is called, then the connection ends; what stood at it is lost.
    Cut(Hook),
}

/// What happens to one request.
pub struct Rule {
    /// Which requests count.
    pub step: Step,
    /// Whose count; everybody's, unless it is said.
    pub transactional_id: Option<String>,
    /// Which of them it happens to, from 1.
    pub nth: u32,
    /// When.
    pub moment: Moment,
    /// What.
    pub fault: Fault,
}

/// It has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// Whose transaction it was.
    pub transactional_id: String,
    /// Whether the client's end was closed when the broker, or the client, got what was held up.
    pub client_left: bool,
    /// How the broker answered the end of a transaction: 0 is well.
    pub end_code: Option<i16>,
}

/// A rule, with who waits for it.
struct Planned {
    rule: Rule,
    happened: oneshot::Sender<Happened>,
}

#[derive(Default)]
struct Plans(Mutex<Vec<Planned>>);

impl Plans {
    /// The plan for this request, which no longer counts afterwards.
    fn take(&self, request: &Request) -> Option<Planned> {
        let mut plans = self.0.lock().expect("nobody panics with it");
        let at = plans.iter_mut().position(|Planned { rule, .. }| {
            let is_its = rule.transactional_id.as_ref();
            let is_its = is_its.is_none_or(|id| *id == request.transactional_id);
            if rule.step != request.step || !is_its {
                return false;
            }
            rule.nth -= 1;
            rule.nth == 0
        })?;
        Some(plans.remove(at))
    }
}

/// See the module. It listens from the start, so that the broker can be told its port.
pub struct Proxy {
    port: u16,
    plans: Arc<Plans>,
    broker: Arc<OnceLock<String>>,
    accepting: AbortHandle,
}

impl Proxy {
    /// Listens on a free port. Connections end at once until [`Proxy::forward_to`].
    ///
    /// # Panics
    ///
    /// If the machine has no free port.
    #[must_use]
    pub fn listen() -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket of ours");
        let port = listener.local_addr().expect("it is bound").port();
        let (plans, broker) = (Arc::<Plans>::default(), Arc::<OnceLock<String>>::default());
        let accepting = RUNTIME.spawn(accept(listener, plans.clone(), broker.clone()));
        Self { port, plans, broker, accepting: accepting.abort_handle() }
    }

    /// For [`crate::Kafka::start_behind`].
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host:port` for clients.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// Says where the broker is: [`crate::Kafka::behind_proxy`].
    ///
    /// # Panics
    ///
    /// If it was said before.
    pub fn forward_to(&self, broker: String) {
        self.broker.set(broker).expect("a proxy has one broker");
    }

    /// Follows a rule, once; tells when the broker has answered what was held up, or when the
    /// connection was cut.
    ///
    /// # Panics
    ///
    /// If the rule counts from 0.
    #[must_use]
    pub fn plan(&self, rule: Rule) -> oneshot::Receiver<Happened> {
        assert!(rule.nth > 0, "the first is number 1");
        let (happened, told) = oneshot::channel();
        let mut plans = self.plans.0.lock().expect("nobody panics with it");
        plans.push(Planned { rule, happened });
        told
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: std::net::TcpListener,
    plans: Arc<Plans>,
    broker: Arc<OnceLock<String>>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (client, peer) = listener.accept().await?;
        let (plans, Some(broker)) = (plans.clone(), broker.get().cloned()) else { continue };
        // A broker that is away ends the connection.
        tokio::spawn(async move { connect(client, peer, &broker, plans).await });
    }
}

async fn connect(
    client: TcpStream,
    peer: SocketAddr,
    broker: &str,
    plans: Arc<Plans>,
) -> io::Result<()> {
    let broker = TcpStream::connect(broker).await?;
    client.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    let ((from_client, to_client), (from_broker, to_broker)) =
        (client.into_split(), broker.into_split());
    let to_client = tokio::sync::Mutex::new(Some(to_client));
    let line = Arc::new(Line { peer, plans, due: Mutex::default(), to_client });
    tokio::spawn(carry_answers(line.clone(), from_broker));
    carry_requests(&line, from_client, to_broker).await
}

/// One client's connection.
struct Line {
    peer: SocketAddr,
    plans: Arc<Plans>,
    /// What was planned for requests that the broker has, by correlation id.
    due: Mutex<HashMap<i32, Due>>,
    /// None when the connection was cut, or the client has left.
    to_client: tokio::sync::Mutex<Option<OwnedWriteHalf>>,
}

/// A plan whose request went to the broker.
struct Due {
    happened: oneshot::Sender<Happened>,
    transactional_id: String,
    step: Step,
    client_left: bool,
    /// What is still to happen.
    fault: Option<Fault>,
}

impl Line {
    async fn cut(&self) {
        self.to_client.lock().await.take();
    }

    /// A client that has left is no reason not to hear the broker out.
    async fn answer(&self, frame: &[u8]) {
        let mut to_client = self.to_client.lock().await;
        if let Some(open) = to_client.as_mut()
            && write_frame(open, frame).await.is_err()
        {
            to_client.take();
        }
    }
}

/// Carries requests until one side ends. The broker then sees the end behind the last of them.
async fn carry_requests(
    line: &Line,
    from_client: OwnedReadHalf,
    mut to_broker: OwnedWriteHalf,
) -> io::Result<()> {
    let mut from_client = BufReader::new(from_client);
    let mut frame = Vec::new();
    loop {
        read_frame(&mut from_client, &mut frame).await?;
        let planned = frame::request(&frame)
            .and_then(|request| line.plans.take(&request).map(|planned| (request, planned)));
        let Some((request, Planned { rule, happened })) = planned else {
            write_frame(&mut to_broker, &frame).await?;
            continue;
        };
        let Request { step, correlation_id, transactional_id } = request;
        let mut due = Due { happened, transactional_id, step, client_left: false, fault: None };
        let mut is_cut = false;
        match rule.fault {
            fault if rule.moment == Moment::Response => due.fault = Some(fault),
            Fault::Hold(wait) => {
                tokio::time::sleep(wait).await;
                let ready = from_client.get_ref().ready(Interest::READABLE);
                due.client_left = has_left(ready).await;
            }
            Fault::Strand(wait) => {
                line.cut().await;
                (is_cut, due.client_left) = (true, true);
                tokio::time::sleep(wait).await;
            }
            Fault::Cut(hook) => {
                hook(line.peer);
                line.cut().await;
                due.tell(None);
                return Ok(());
            }
        }
        line.due.lock().expect("nobody panics with it").insert(correlation_id, due);
        write_frame(&mut to_broker, &frame).await?;
        if is_cut {
            return Ok(());
        }
    }
}

/// Carries answers until the broker ends the connection.
async fn carry_answers(line: Arc<Line>, from_broker: OwnedReadHalf) {
    let mut from_broker = BufReader::new(from_broker);
    let mut frame = Vec::new();
    while read_frame(&mut from_broker, &mut frame).await.is_ok() {
        let correlation_id = frame::correlation_id(&frame);
        let due = correlation_id
            .and_then(|id| line.due.lock().expect("nobody panics with it").remove(&id));
        let Some(mut due) = due else {
            line.answer(&frame).await;
            continue;
        };
        let end_code = match due.step {
            Step::Commit | Step::Abort => frame::end_code(&frame),
            _ => None,
        };
        match due.fault.take() {
            None => line.answer(&frame).await,
            Some(Fault::Hold(wait)) => {
                tokio::time::sleep(wait).await;
                due.client_left = match line.to_client.lock().await.as_ref() {
                    Some(open) => has_left(open.ready(Interest::READABLE)).await,
                    None => true,
                };
                line.answer(&frame).await;
            }
            Some(Fault::Strand(_)) => line.cut().await,
            Some(Fault::Cut(hook)) => {
                hook(line.peer);
                line.cut().await;
            }
        }
        due.tell(end_code);
    }
    line.cut().await;
}

impl Due {
    fn tell(self, end_code: Option<i16>) {
        let Self { happened, transactional_id, client_left, .. } = self;
        // Who planned it may not want to know.
        drop(happened.send(Happened { transactional_id, client_left, end_code }));
    }
}

/// Whether the other end is closed by now.
async fn has_left(ready: impl Future<Output = io::Result<tokio::io::Ready>>) -> bool {
    match tokio::time::timeout(Duration::ZERO, ready).await {
        Ok(Ok(ready)) => ready.is_read_closed(),
        Ok(Err(_)) => true,
        Err(_) => false,
    }
}

/// Reads a frame without its length, into the same bytes each time.
async fn read_frame(from: &mut BufReader<OwnedReadHalf>, frame: &mut Vec<u8>) -> io::Result<()> {
    let length = usize::try_from(from.read_i32().await?).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    frame.resize(length, 0);
    from.read_exact(frame).await.map(|_| ())
}

async fn write_frame(to: &mut OwnedWriteHalf, frame: &[u8]) -> io::Result<()> {
    let length = i32::try_from(frame.len()).expect("a frame that was read is small");
    to.write_all(&[&length.to_be_bytes(), frame].concat()).await
}
