//! Producers that append commands as any other system would, and the reader of their outcomes.
//!
//! Both have threads of their own, named so that their processor time can be told from the shop's.
//! A producer appends a batch side by side and waits until it is durable; how many commands are
//! under way at once is bounded by permits, which outcomes give back.

use super::commands::{Kind, Maker, Shape};
use anyhow::{Context as _, bail};
use jupan_log::{AppendError, Appended, Log, Results};
use jupan_schemas::{Code, Codec, CommandId, CommandResult};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// What the names of the load's threads begin with.
pub(super) const THREADS: &str = "bench-";
/// Commands on their way at once, unless the plan says otherwise.
const IN_FLIGHT: usize = 2_048;
/// Commands that a producer appends side by side.
const BATCH: usize = 64;
/// One order in so many is timed.
const SAMPLE: u64 = 64;
/// Longest wait for the last outcomes.
const SETTLE_MAX: Duration = Duration::from_secs(60);
/// Pause of a producer whose append was refused because the log's queue was full.
const FULL_PAUSE: Duration = Duration::from_millis(1);

/// When a run of commands is over.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    /// At a time.
    Time(Instant),
    /// After so many of them.
    Number(u64),
}

/// What came back.
struct Answers {
    permits: Semaphore,
    answered: AtomicU64,
    /// How often which code came back instead of OK.
    failed: Mutex<BTreeMap<&'static str, u64>>,
    sampled: Mutex<HashMap<CommandId, Instant>>,
    latencies_us: Mutex<Vec<u64>>,
    stop: AtomicBool,
}

/// Producers and the reader of their outcomes.
pub(super) struct Load {
    log: Arc<dyn Log>,
    maker: Maker,
    answers: Arc<Answers>,
    in_flight: usize,
    /// Number of the next order.
    next_order: Arc<AtomicU64>,
    runtime: tokio::runtime::Runtime,
}

impl Load {
    pub(super) fn start(
        log: Arc<dyn Log>,
        shape: Shape,
        in_flight: Option<usize>,
    ) -> anyhow::Result<Self> {
        let results = log.results()?;
        let in_flight = in_flight.unwrap_or(IN_FLIGHT).max(1);
        let answers = Arc::new(Answers {
            permits: Semaphore::new(in_flight),
            answered: AtomicU64::new(0),
            failed: Mutex::default(),
            sampled: Mutex::default(),
            latencies_us: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let salt = RandomState::new().hash_one(std::process::id()) & u64::from(u32::MAX);
        let maker =
            Maker::new(log.clone(), results.partition(), shape, u32::try_from(salt).unwrap_or(0));
        let reader = answers.clone();
        std::thread::Builder::new()
            .name(format!("{THREADS}answers"))
            .spawn(move || read(results, &reader))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(format!("{THREADS}producers"))
            .enable_time()
            .build()?;
        Ok(Self { log, maker, answers, in_flight, next_order: Arc::default(), runtime })
    }

    /// Appends the commands with the numbers 0 to `count` and waits for all outcomes.
    pub(super) fn all(&self, kind: Kind, count: u64) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            self.produce(kind, Until::Number(count), &Arc::default()).await?;
            self.settle().await
        })
    }

    /// Places orders, and calls `at_end` when it is over with how many outcomes came by then. Waits
    /// for the rest of them.
    pub(super) fn orders(
        &self,
        hot: bool,
        until: Until,
        at_end: impl FnOnce(u64),
    ) -> anyhow::Result<()> {
        let before = self.answers.answered.load(Ordering::Acquire);
        let next = self.next_order.clone();
        let until = match until {
            Until::Number(count) => Until::Number(next.load(Ordering::Relaxed) + count),
            until @ Until::Time(_) => until,
        };
        self.runtime.block_on(async {
            let produced = self.produce(Kind::Order { hot }, until, &next);
            if let Until::Time(end) = until {
                let ended = async {
                    tokio::time::sleep_until(end.into()).await;
                    at_end(self.answers.answered.load(Ordering::Acquire) - before);
                };
                tokio::join!(produced, ended).0?;
                self.settle().await
            } else {
                produced.await?;
                self.settle().await?;
                at_end(self.answers.answered.load(Ordering::Acquire) - before);
                Ok(())
            }
        })
    }

    /// Times from append to outcome since the last call, rising.
    pub(super) fn take_latencies_us(&self) -> Vec<u64> {
        let mut latencies_us = std::mem::take(&mut *self.answers.latencies_us.lock());
        latencies_us.sort_unstable();
        latencies_us
    }

    async fn produce(&self, kind: Kind, until: Until, next: &Arc<AtomicU64>) -> anyhow::Result<()> {
        let batch = BATCH.min(self.in_flight);
        let producers: Vec<_> = (0..self.in_flight.div_ceil(batch))
            .map(|_| Producer {
                log: self.log.clone(),
                maker: self.maker.clone(),
                answers: self.answers.clone(),
                kind,
                until,
                next: next.clone(),
                batch,
            })
            .map(|producer| self.runtime.spawn(producer.run()))
            .collect();
        for producer in producers {
            producer.await??;
        }
        Ok(())
    }

    /// Waits until every outcome is back.
    async fn settle(&self) -> anyhow::Result<()> {
        let all = u32::try_from(self.in_flight)?;
        let permits = self.answers.permits.acquire_many(all);
        drop(tokio::time::timeout(SETTLE_MAX, permits).await.context("outcomes are missing")??);
        let failed = self.answers.failed.lock();
        if !failed.is_empty() {
            bail!("commands failed: {failed:?}");
        }
        Ok(())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.answers.stop.store(true, Ordering::Release);
    }
}

/// Appends batches one after the other, each once the one before is durable.
struct Producer {
    log: Arc<dyn Log>,
    maker: Maker,
    answers: Arc<Answers>,
    kind: Kind,
    until: Until,
    next: Arc<AtomicU64>,
    batch: usize,
}

type Append<'a> = Pin<Box<dyn Future<Output = Result<Appended, AppendError>> + Send + 'a>>;

impl Producer {
    async fn run(self) -> anyhow::Result<()> {
        let permits = u32::try_from(self.batch)?;
        loop {
            self.answers.permits.acquire_many(permits).await?.forget();
            let numbers = self.numbers();
            let unused = self.batch - usize::try_from(numbers.end - numbers.start)?;
            self.answers.permits.add_permits(unused);
            if numbers.is_empty() {
                return Ok(());
            }
            let mut appends = Vec::with_capacity(self.batch);
            for number in numbers {
                if let Some(append) = self.append(number).await? {
                    appends.push(append);
                }
            }
            durable(appends).await?;
        }
    }

    /// The numbers of the next batch; none when it is over.
    fn numbers(&self) -> std::ops::Range<u64> {
        let batch = self.batch as u64;
        match self.until {
            Until::Time(end) if Instant::now() >= end => 0..0,
            Until::Time(_) => {
                let first = self.next.fetch_add(batch, Ordering::Relaxed);
                first..first + batch
            }
            Until::Number(count) => {
                let up_to = |next: u64| (next < count).then_some((next + batch).min(count));
                let taken = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, up_to);
                taken.map_or(0..0, |first| first..(first + batch).min(count))
            }
        }
    }

    /// Puts one command into the log's queue; what is left is to wait until it is durable.
    async fn append(&self, number: u64) -> anyhow::Result<Option<Append<'_>>> {
        loop {
            let command = self.maker.command(self.kind, number);
            if matches!(self.kind, Kind::Order { .. }) && number.is_multiple_of(SAMPLE) {
                self.answers.sampled.lock().insert(command.id, Instant::now());
            }
            let mut append = self.log.append(command.topic, command.partition, command.record);
            // Nobody is woken for this look: the batch waits for its last append only.
            let looked = append.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            match looked {
                Poll::Pending => return Ok(Some(append)),
                Poll::Ready(Ok(_)) => return Ok(None),
                Poll::Ready(Err(AppendError::Full)) => tokio::time::sleep(FULL_PAUSE).await,
                Poll::Ready(Err(error)) => return Err(error.into()),
            }
        }
    }
}

/// Waits for a batch, its last append first: the log makes them durable in order.
async fn durable(mut appends: Vec<Append<'_>>) -> Result<(), AppendError> {
    while let Some(last) = appends.last_mut() {
        last.as_mut().await?;
        appends.pop();
    }
    Ok(())
}

/// Gives permits back as outcomes come.
fn read(mut results: Box<dyn Results>, answers: &Answers) {
    let codec = Codec::embedded();
    while !answers.stop.load(Ordering::Acquire) {
        let Ok(records) = results.receive(Duration::from_millis(100)) else { return };
        let mut answered = 0;
        for record in &records {
            let Ok(result) = codec.decode::<CommandResult>(record) else { continue };
            answered += 1;
            if result.code != Code::Ok {
                *answers.failed.lock().entry(result.code.as_str()).or_default() += 1;
            }
            if let Some(sent) = answers.sampled.lock().remove(&result.command_id) {
                let micros = u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX);
                answers.latencies_us.lock().push(micros);
            }
        }
        answers.answered.fetch_add(answered, Ordering::AcqRel);
        answers.permits.add_permits(usize::try_from(answered).unwrap_or(0));
    }
}
