//! The load: connections that each place one order after the other.

use super::{histogram::Histogram, wire::Connection};
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// How long an order that was placed within a round may take to be answered.
const GRACE: Duration = Duration::from_secs(30);
/// Pause after anything else than a done order, so that a shop that refuses is not also flooded.
const PAUSE: Duration = Duration::from_millis(10);
/// The status of an order that was waited for and done.
const DONE: u16 = 201;

/// What orders look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Users 1 to this one, at random.
    pub(crate) users: u64,
    /// Products 1 to this one, at random; at least as many as lines.
    pub(crate) products: u64,
    /// Different products in an order, 1 to 3 units of each.
    pub(crate) lines: u64,
    /// Product 1 is in every order.
    pub(crate) hot: bool,
}

/// What a round of load saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Orders that were answered as done, within the round.
    pub(crate) ok: u64,
    /// Other answers by status, and broken exchanges by kind.
    pub(crate) errors: BTreeMap<String, u64>,
    /// From request to answer, of the orders in `ok`.
    pub(super) latencies: Histogram,
}

impl Seen {
    /// A thousand and one of the times from request to answer, rising, spread as all of them are.
    pub(crate) fn latencies_us(&self) -> Vec<u64> {
        self.latencies.spread()
    }

    fn merge(&mut self, other: &Self) {
        self.ok += other.ok;
        for (error, number) in &other.errors {
            *self.errors.entry(error.clone()).or_default() += number;
        }
        self.latencies.merge(&other.latencies);
    }
}

/// A number that no other call has had: keys begin with it.
pub(super) fn salt() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// Moments at which orders are due, whatever becomes of earlier ones: who comes late because the shop
/// was slow has waited, too.
struct Pace {
    start: Instant,
    pause: Duration,
    next: AtomicU32,
}

impl Pace {
    /// When the next order is due.
    fn due(&self) -> Instant {
        self.start + self.pause * self.next.fetch_add(1, Ordering::Relaxed)
    }
}

/// Connections that are kept from round to round.
pub(crate) struct Load {
    workers: Vec<Worker>,
}

impl Load {
    pub(crate) fn new(address: SocketAddr, shape: Shape, connections: usize) -> Self {
        let salt = salt();
        let worker = |number| Worker::new(address, shape, salt, number);
        Self { workers: (0..connections).map(worker).collect() }
    }

    /// Which orders are placed from now on.
    pub(crate) fn set_hot(&mut self, hot: bool) {
        self.workers.iter_mut().for_each(|worker| worker.shape.hot = hot);
    }

    /// Places orders for so long, and does something at the moment when they stop to count.
    pub(crate) async fn run_and(
        &mut self,
        duration: Duration,
        at_end: impl FnOnce(),
    ) -> anyhow::Result<Seen> {
        let end = Instant::now() + duration;
        let mut tasks: JoinSet<(Worker, Seen)> = JoinSet::new();
        for worker in self.workers.drain(..) {
            tasks.spawn(worker.run(end, None));
        }
        tokio::time::sleep_until(end.into()).await;
        at_end();
        self.gather(tasks).await
    }

    /// Places so many orders a second for so long, however late they are answered.
    pub(crate) async fn run_paced(
        &mut self,
        per_second: u32,
        duration: Duration,
    ) -> anyhow::Result<Seen> {
        let start = Instant::now();
        let pause = Duration::from_secs(1) / per_second.max(1);
        let pace = Arc::new(Pace { start, pause, next: AtomicU32::new(0) });
        let mut tasks: JoinSet<(Worker, Seen)> = JoinSet::new();
        for worker in self.workers.drain(..) {
            tasks.spawn(worker.run(start + duration, Some(Arc::clone(&pace))));
        }
        self.gather(tasks).await
    }

    async fn gather(&mut self, mut tasks: JoinSet<(Worker, Seen)>) -> anyhow::Result<Seen> {
        let mut seen = Seen::default();
        while let Some(ended) = tasks.join_next().await {
            let (worker, of_worker) = ended?;
            seen.merge(&of_worker);
            self.workers.push(worker);
        }
        Ok(seen)
    }
}

/// One connection and what it needs to make orders.
struct Worker {
    connection: Connection,
    random: Random,
    shape: Shape,
    /// All of a request's head but key and length.
    head: Arc<str>,
    salt: u64,
    number: usize,
    next_key: u64,
    body: Vec<u8>,
    request: Vec<u8>,
}

impl Worker {
    fn new(address: SocketAddr, shape: Shape, salt: u64, number: usize) -> Self {
        let head = format!(
            "POST /order HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nprefer: wait=10\r\n"
        );
        let seed = salt ^ u64::try_from(number).unwrap_or_default();
        Self {
            connection: Connection::new(address),
            random: Random(seed),
            shape,
            head: head.into(),
            salt,
            number,
            next_key: 0,
            body: Vec::new(),
            request: Vec::new(),
        }
    }

    async fn run(mut self, end: Instant, pace: Option<Arc<Pace>>) -> (Self, Seen) {
        let mut seen = Seen::default();
        let give_up = tokio::time::sleep_until((end + GRACE).into());
        tokio::pin!(give_up);
        loop {
            let began = pace.as_deref().map_or_else(Instant::now, Pace::due);
            if began >= end {
                break;
            }
            tokio::time::sleep_until(began.into()).await;
            let answer = tokio::select! {
                answer = self.order() => answer,
                () = &mut give_up => Err(io::ErrorKind::TimedOut.into()),
            };
            let now = Instant::now();
            let error = match answer {
                // Too late to count, and no fault.
                Ok(DONE) if now > end && pace.is_none() => break,
                Ok(DONE) => {
                    let us = now.duration_since(began).as_micros();
                    seen.latencies.add(u64::try_from(us).unwrap_or(u64::MAX));
                    seen.ok += 1;
                    continue;
                }
                Ok(status) => status.to_string(),
                Err(error) => error.kind().to_string(),
            };
            *seen.errors.entry(error).or_default() += 1;
            tokio::time::sleep(PAUSE).await;
        }
        (self, seen)
    }

    async fn order(&mut self) -> io::Result<u16> {
        self.write_request()?;
        self.connection.exchange(&self.request).await
    }

    fn write_request(&mut self) -> io::Result<()> {
        self.body.clear();
        let user = 1 + self.random.below(self.shape.users);
        write!(self.body, "{{\"userId\":{user},\"items\":[")?;
        let first = if self.shape.hot { 0 } else { self.random.below(self.shape.products) };
        for line in 0..self.shape.lines {
            let product = self.product(first, line);
            let quantity = 1 + self.random.below(3);
            let comma = if line == 0 { "" } else { "," };
            write!(self.body, "{comma}{{\"productId\":{product},\"quantity\":{quantity}}}")?;
        }
        self.body.extend_from_slice(b"]}");

        let (salt, number, key, length) = (self.salt, self.number, self.next_key, self.body.len());
        self.next_key += 1;
        self.request.clear();
        self.request.extend_from_slice(self.head.as_bytes());
        write!(self.request, "idempotency-key: {salt:x}-{number}-{key}\r\n")?;
        write!(self.request, "content-length: {length}\r\n\r\n")?;
        self.request.extend_from_slice(&self.body);
        Ok(())
    }

    /// The product of a line, never that of another line: the products behind the first one are cut into
    /// as many stretches as there are other lines, and each line takes one of its own stretch.
    fn product(&mut self, first: u64, line: u64) -> u64 {
        let Shape { products, lines, .. } = self.shape;
        if line == 0 {
            return 1 + first;
        }
        let start = |line: u64| 1 + (products - 1) * (line - 1) / (lines - 1);
        let offset = start(line) + self.random.below(start(line + 1) - start(line));
        1 + (first + offset) % products
    }
}

/// A small generator of evenly spread numbers (splitmix64): who buys what need not be a secret.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let wide = u128::from(mixed ^ (mixed >> 31)) * u128::from(limit);
        u64::try_from(wide >> 64).unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
