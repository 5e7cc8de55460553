//! How many appends and commits a second the embedded log takes on this machine's disk:
//! `cargo run --release -p jupan-log --example append [directory]`.

use jupan_log::embedded::{EmbeddedLog, Options};
use jupan_log::{Commit, CommitRecord, Log, NewRecord, ReadLimit, SystemClock};
use jupan_schemas::{Lane, Role, TopicId};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const RUN: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn Error>> {
    let parent = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let dir = std::path::Path::new(&parent).join(format!("append-{}", std::process::id()));
    let options = Options { lanes: Some(1), ..Options::default() };
    let log = EmbeddedLog::open(&dir, options, Arc::new(SystemClock))?;
    for in_flight in [1, 64, 1_000] {
        appends(&log, in_flight)?;
    }
    for orders in [1, 64, 250] {
        commits(&log, orders)?;
    }
    log.close();
    drop(log);
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

/// 300-byte commands, so many of them waiting at a time.
fn appends(log: &Arc<EmbeddedLog>, in_flight: usize) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let done = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let producers: Vec<_> = (0..in_flight)
        .map(|_| {
            let (log, done) = (log.clone(), done.clone());
            runtime.spawn(async move {
                while begun.elapsed() < RUN {
                    let record = NewRecord::new("1234567", vec![7; 300]);
                    if log.append(TopicId::UserCommands, 0, record).await.is_ok() {
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for producer in producers {
        runtime.block_on(producer)?;
    }
    let count = done.load(Ordering::Relaxed);
    println!("appends, {in_flight:>5} in flight: {:>9.0}/s", rate(count, begun));
    Ok(())
}

/// Commits of so many orders: a step with 500 bytes an order, and 11 records of 50 bytes each. A
/// reader follows the journal; at most 4 commits wait for their sync.
fn commits(log: &Arc<EmbeddedLog>, orders: usize) -> Result<(), Box<dyn Error>> {
    let mut lane = log.open(Lane { role: Role::Users, index: 0 })?;
    let record = NewRecord::new("1234567", vec![7; 50]);
    let topics = [TopicId::ProductInbox, TopicId::OrderEvents, TopicId::Sales];
    let place = |n: usize| CommitRecord {
        topic: topics[n % topics.len()],
        partition: 0,
        record: record.clone(),
    };
    let commit = Commit {
        steps: vec![vec![7; 500 * orders].into()],
        records: (0..11 * orders).map(place).collect(),
        ..Commit::default()
    };
    let begun = Instant::now();
    let mut tickets = std::collections::VecDeque::new();
    let mut count = 0;
    while begun.elapsed() < RUN {
        tickets.push_back(lane.commit(commit.clone())?.ticket);
        count += 1;
        while tickets.len() > 4 {
            lane.poll(ReadLimit { records_max: 0, bytes_max: 0 }, Duration::from_secs(1))?;
            let durable = lane.durable();
            tickets.retain(|ticket| *ticket > durable);
        }
    }
    let commits = rate(count, begun);
    let total = rate(count * orders, begun);
    println!("commits of {orders:>4} orders: {commits:>7.0}/s, {total:>9.0} orders/s");
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "a rate to be read by people")]
fn rate(count: usize, begun: Instant) -> f64 {
    count as f64 / begun.elapsed().as_secs_f64()
}
