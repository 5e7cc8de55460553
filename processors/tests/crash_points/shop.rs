//! A shop's lanes over the embedded log on a simulated disk, in one thread.

use super::commands::{START, command};
use jupan_ledger::{Rules, products::Products, users::Users};
use jupan_log::{
    AppendError, Appended, Log, ManualClock, NewRecord, Results,
    embedded::{Options, Stepped},
    simulated::{Disk, Random},
};
use jupan_processors::{Limits, Parts, Stop, Turn, Worker};
use jupan_schemas::*;
use jupan_store::memory::MemoryStore;
use std::{
    future::Future,
    path::Path,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// Of each role.
pub(crate) const LANES: u16 = 2;
/// Small, so that there are many segments.
const SEGMENT_BYTES: u64 = 64 * 1024;

type Appending = Pin<Box<dyn Future<Output = Result<Appended, AppendError>>>>;

/// A command that is in the log, as its sender was told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) number: u64,
    pub(crate) topic: TopicId,
    pub(crate) partition: u16,
    pub(crate) offset: u64,
}

/// See the module.
pub(crate) struct Shop {
    pub(crate) disk: Disk,
    pub(crate) log: Stepped,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) codec: Codec,
    users: Vec<Worker<Users>>,
    products: Vec<Worker<Products>>,
    results: Box<dyn Results>,
    appending: Vec<(u64, TopicId, Appending)>,
}

impl Shop {
    /// Starts on what a disk and a store hold: opens the log and takes every lane over.
    pub(crate) fn open(disk: Disk, store: Arc<MemoryStore>, clock: &Arc<ManualClock>) -> Self {
        let options = Options {
            lanes: Some(LANES),
            segment_bytes: SEGMENT_BYTES,
            tail_bytes_max: 20_000,
            files: Arc::new(disk.clone()),
            ..Options::default()
        };
        let log = Stepped::open(Path::new("data"), options, clock.clone()).expect("a log");
        let results = log.log().results().expect("a subscriber");
        assert_eq!(results.partition(), 0, "where the commands want to be answered");
        let parts = Parts {
            log: log.log().clone(),
            store: store.clone(),
            schema_ids: schema_ids(),
            rules: Rules::new(LANES),
            limits: Limits { batch_records_max: 9, cells_max: 60, ..Limits::default() },
        };
        let lanes = |role| (0..LANES).map(move |index| Lane { role, index });
        let users = lanes(Role::Users).map(|lane| Worker::open(&parts, lane));
        let users = users.collect::<Result<_, Stop>>().expect("user lanes open");
        let products = lanes(Role::Products).map(|lane| Worker::open(&parts, lane));
        let products = products.collect::<Result<_, Stop>>().expect("product lanes open");
        let (codec, appending) = (Codec::new(schema_ids()), Vec::new());
        Self { disk, log, store, codec, users, products, results, appending }
    }

    /// Sends a command.
    pub(crate) fn send(&mut self, number: u64) {
        let made = command(&self.codec, number);
        let record = NewRecord::new(made.key.to_string(), made.value);
        let (log, topic) = (self.log.log().clone(), made.topic);
        let partition = partition_of(made.key, LANES);
        let appending: Appending =
            Box::pin(async move { log.append(topic, partition, record).await });
        self.appending.push((number, topic, appending));
        assert!(self.acknowledged().is_empty(), "nothing is acknowledged before it is written");
    }

    /// What was acknowledged since it was last asked.
    pub(crate) fn acknowledged(&mut self) -> Vec<Acknowledged> {
        let mut told = Vec::new();
        let mut context = Context::from_waker(Waker::noop());
        self.appending.retain_mut(|(number, topic, appending)| {
            let Poll::Ready(appended) = appending.as_mut().poll(&mut context) else { return true };
            let Appended { partition, offset } = appended.expect("an append");
            told.push(Acknowledged { number: *number, topic: *topic, partition, offset });
            false
        });
        told
    }

    /// Outcomes that were sent since it was last asked.
    pub(crate) fn outcomes(&mut self) -> Vec<CommandResult> {
        let results = self.results.receive(Duration::ZERO).expect("results");
        results.iter().map(|result| self.codec.decode(result).expect("an outcome")).collect()
    }

    /// Lets a lane take a batch.
    pub(crate) fn turn(&mut self, place: usize) -> Turn {
        let lanes = usize::from(LANES);
        let turned = match place.checked_sub(lanes) {
            None => self.users[place].turn(Duration::ZERO),
            Some(place) => self.products[place].turn(Duration::ZERO),
        };
        turned.unwrap_or_else(|stop| panic!("lane {place}: {stop:?}"))
    }

    /// Lets some lanes take a batch.
    pub(crate) fn turn_some(&mut self, random: &mut Random) {
        for _ in 0..random.below(6) {
            self.turn(random.index(2 * usize::from(LANES)));
        }
    }

    /// Lets the log write all that it took.
    pub(crate) fn write(&mut self) {
        while self.log.write() {}
    }

    /// Lets every lane finish what there is.
    pub(crate) fn settle(&mut self) {
        for _ in 0..1_000 {
            self.write();
            let turns: Vec<Turn> = (0..2 * usize::from(LANES)).map(|p| self.turn(p)).collect();
            if turns.iter().all(Turn::is_idle) {
                return;
            }
        }
        panic!("the lanes do not come to rest");
    }
}

/// Read once: a shop is opened thousands of times.
fn schema_ids() -> Arc<SchemaIds> {
    static IDS: OnceLock<Arc<SchemaIds>> = OnceLock::new();
    IDS.get_or_init(|| Arc::new(SchemaIds::embedded())).clone()
}

/// A clock that shows when the commands were made.
pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(START))
}
