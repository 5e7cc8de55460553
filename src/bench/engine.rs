//! `bench engine`: orders through log and lanes without HTTP. Producers append PlaceOrder commands
//! as any other system would, and count an order when its outcome comes back: durable, projected,
//! answered.

use super::{
    Plan,
    machine::{self, Facts},
    report::{Report, Round},
};
use crate::all::Shop;
use anyhow::{Context, bail};
use clap::Parser;
use jupan_log::{Log, NewRecord, Results};
use jupan_schemas::{
    ChargeBalance, Code, Codec, CommandId, CommandResult, Line, Money, Payment, PlaceOrder,
    ProductCommand, ProductId, ProductPayload, RegisterProduct, RegisterUser, Role, TopicId, Units,
    UserCommand, UserId, UserPayload, partition_of,
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// Orders on their way at once, unless the plan says otherwise.
const IN_FLIGHT: usize = 8_192;
/// Appends that wait for a sync at once.
const PRODUCERS: usize = 1_024;
/// One order in so many is timed.
const SAMPLE: u64 = 64;
/// What each user is charged: more than a bench can spend.
const WALLET: Money = Money(500_000_000_000_000);
/// Longest wait for the last outcomes.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// Runs the scenario and verifies what it left.
///
/// # Errors
/// What could not be run.
pub(crate) fn run(plan: &Plan, facts: &Facts) -> anyhow::Result<Report> {
    let dir = super::scratch::Dir::new(&plan.dir)?;
    let report = measure(plan, dir.path())?;
    let verified = super::scratch::verify(dir.path())?;
    Ok(report.finish(facts, verified))
}

fn measure(plan: &Plan, data: &Path) -> anyhow::Result<Report> {
    let call = ["jupan", "--charge-max", "1000000000000000", "--data"].map(Into::into);
    let call = call.into_iter().chain([data.as_os_str().to_owned()]);
    let options = crate::cli::Call::try_parse_from(call)?.shop;
    let shop = Shop::open(&options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(drive(plan, &shop, data));
    runtime.shutdown_timeout(Duration::from_secs(1));
    let closed = shop.close();
    let report = measured?;
    closed.map(|()| report)
}

async fn drive(plan: &Plan, shop: &Shop, data: &Path) -> anyhow::Result<Report> {
    let load = Load::new(plan, shop.log.clone())?;
    load.populate(plan).await?;
    load.round(plan, Duration::from_secs(2)).await?;
    let mut report = Report::default();
    for _ in 0..plan.rounds {
        let before = super::scratch::log_bytes(data)?;
        let mut round = load.round(plan, Duration::from_secs(plan.seconds)).await?;
        round.log_bytes = super::scratch::log_bytes(data)?.saturating_sub(before);
        report.rounds.push(round);
    }
    load.stop();
    Ok(report)
}

/// What comes back.
struct Answers {
    permits: Semaphore,
    answered: AtomicU64,
    failed: AtomicU64,
    sampled: Mutex<HashMap<CommandId, Instant>>,
    latencies_us: Mutex<Vec<u64>>,
    stop: AtomicBool,
}

/// Producers and the reader of their outcomes.
struct Load {
    log: Arc<dyn Log>,
    partitions: u16,
    reply_to: u32,
    answers: Arc<Answers>,
    in_flight: usize,
    next_key: Arc<AtomicU64>,
}

impl Load {
    fn new(plan: &Plan, log: Arc<dyn Log>) -> anyhow::Result<Self> {
        let results = log.results()?;
        let reply_to = results.partition();
        let in_flight = plan.in_flight.unwrap_or(IN_FLIGHT);
        let answers = Arc::new(Answers {
            permits: Semaphore::new(in_flight),
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            sampled: Mutex::default(),
            latencies_us: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let reader = answers.clone();
        std::thread::Builder::new()
            .name("bench-answers".into())
            .spawn(move || read(results, &reader))?;
        let partitions = log.partitions();
        Ok(Self { log, partitions, reply_to, answers, in_flight, next_key: Arc::default() })
    }

    fn stop(&self) {
        self.answers.stop.store(true, Ordering::Release);
    }

    async fn populate(&self, plan: &Plan) -> anyhow::Result<()> {
        let codec = Codec::embedded();
        for id in 1..=plan.products {
            let command = self.product(id);
            self.send(TopicId::ProductCommands, id, codec.to_bytes(&command)).await?;
        }
        for id in 1..=plan.users {
            let (name, email) = (format!("User {id}"), format!("user{id}@example.org"));
            let register = UserPayload::RegisterUser(RegisterUser { name, email });
            let command = self.user(id, "register", register);
            self.send(TopicId::UserCommands, id, codec.to_bytes(&command)).await?;
        }
        // Appends that wait side by side have no order between them.
        self.settle().await?;
        for id in 1..=plan.users {
            let charge = UserPayload::ChargeBalance(ChargeBalance { amount: WALLET });
            let command = self.user(id, "charge", charge);
            self.send(TopicId::UserCommands, id, codec.to_bytes(&command)).await?;
        }
        self.settle().await
    }

    fn product(&self, id: u64) -> ProductCommand {
        ProductCommand {
            product_id: ProductId(id),
            key: "register".to_owned(),
            created_at: self.log.now(),
            occurred_at: None,
            actor: "bench".to_owned(),
            trace_id: None,
            reply_to: Some(self.reply_to),
            payload: ProductPayload::RegisterProduct(RegisterProduct {
                name: format!("Product {id}"),
                price: Money(1 + i64::try_from(id % 97).unwrap_or(0)),
                stock: Units(1_000_000_000_000),
            }),
        }
    }

    fn user(&self, id: u64, key: &str, payload: UserPayload) -> UserCommand {
        UserCommand {
            user_id: UserId(id),
            key: key.to_owned(),
            created_at: self.log.now(),
            occurred_at: None,
            actor: "bench".to_owned(),
            trace_id: None,
            reply_to: Some(self.reply_to),
            payload,
        }
    }

    /// Takes a permit, which the outcome gives back, and appends.
    async fn send(&self, topic: TopicId, id: u64, value: Vec<u8>) -> anyhow::Result<()> {
        self.answers.permits.acquire().await?.forget();
        let log = self.log.clone();
        let record = NewRecord::new(id.to_string(), value);
        let partition = partition_of(id, self.partitions);
        // Many appends share a sync: they wait side by side, bounded by the permits.
        tokio::spawn(async move { log.append(topic, partition, record).await });
        Ok(())
    }

    /// Waits until every outcome is back.
    async fn settle(&self) -> anyhow::Result<()> {
        let all = u32::try_from(self.in_flight)?;
        let permits = self.answers.permits.acquire_many(all);
        drop(tokio::time::timeout(SETTLE_MAX, permits).await.context("outcomes are missing")??);
        match self.answers.failed.load(Ordering::Acquire) {
            0 => Ok(()),
            failed => bail!("{failed} commands failed"),
        }
    }

    async fn round(&self, plan: &Plan, length: Duration) -> anyhow::Result<Round> {
        self.answers.latencies_us.lock().clear();
        let before = self.answers.answered.load(Ordering::Acquire);
        let own_cpu = || machine::process_seconds(std::process::id()).unwrap_or_default();
        let (cpu, start) = (own_cpu(), Instant::now());
        let end = start + length;
        let producers: Vec<_> = (0..PRODUCERS.min(self.in_flight))
            .map(|_| tokio::spawn(self.producer(plan).run(end)))
            .collect();
        tokio::time::sleep_until(end.into()).await;
        let orders = self.answers.answered.load(Ordering::Acquire) - before;
        let (seconds, cpu_seconds) = (start.elapsed().as_secs_f64(), own_cpu() - cpu);
        for producer in producers {
            producer.await??;
        }
        self.settle().await?;
        let mut latencies_us = std::mem::take(&mut *self.answers.latencies_us.lock());
        latencies_us.sort_unstable();
        Ok(Round { orders, seconds, cpu_seconds, latencies_us, ..Round::default() })
    }

    fn producer(&self, plan: &Plan) -> Producer {
        Producer {
            log: self.log.clone(),
            partitions: self.partitions,
            reply_to: self.reply_to,
            answers: self.answers.clone(),
            next_key: self.next_key.clone(),
            codec: Codec::embedded(),
            users: plan.users,
            products: plan.products,
            lines: plan.lines,
            hot: plan.hot,
        }
    }
}

/// Appends orders one after the other, each once the one before is durable.
struct Producer {
    log: Arc<dyn Log>,
    partitions: u16,
    reply_to: u32,
    answers: Arc<Answers>,
    next_key: Arc<AtomicU64>,
    codec: Codec,
    users: u64,
    products: u64,
    lines: u64,
    hot: bool,
}

impl Producer {
    async fn run(self, end: Instant) -> anyhow::Result<()> {
        while Instant::now() < end {
            self.answers.permits.acquire().await?.forget();
            let number = self.next_key.fetch_add(1, Ordering::Relaxed);
            let (user, key, items) = self.order(number);
            let command = UserCommand {
                user_id: UserId(user),
                key,
                created_at: self.log.now(),
                occurred_at: None,
                actor: "bench".to_owned(),
                trace_id: None,
                reply_to: Some(self.reply_to),
                payload: UserPayload::PlaceOrder(PlaceOrder {
                    items,
                    from_cart: false,
                    payment: Payment::Now,
                }),
            };
            if number.is_multiple_of(SAMPLE) {
                let id = CommandId::of(Role::Users, user, &command.key);
                self.answers.sampled.lock().insert(id, Instant::now());
            }
            let record = NewRecord::new(user.to_string(), self.codec.to_bytes(&command));
            self.log
                .append(TopicId::UserCommands, partition_of(user, self.partitions), record)
                .await?;
        }
        Ok(())
    }

    /// The same order for the same number: users and products spread by a multiplicative hash.
    fn order(&self, number: u64) -> (u64, String, Vec<Line>) {
        let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
        let first = if self.hot { 0 } else { mixed / self.users };
        let lines = (0..self.lines.min(self.products)).map(|line| Line {
            product_id: ProductId((first + line * (1 + mixed % 7)) % self.products + 1),
            quantity: Units(1 + i64::try_from((mixed >> 3) % 3).unwrap_or(0)),
        });
        (mixed % self.users + 1, format!("bench-{number}"), lines.collect())
    }
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
                answers.failed.fetch_add(1, Ordering::AcqRel);
            }
            if answers.sampled.lock().is_empty() {
                continue;
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
