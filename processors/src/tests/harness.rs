//! Lanes over the memory providers, driven turn by turn in one thread: a seed decides who turns
//! next, what is synced, who crashes. Everything a run does follows from its seed.

use crate::{Limits, Parts, Stop, Turn, Worker};
use jupan_ledger::{Rules, products::Products, users::Users};
use jupan_log::{
    Log, ManualClock, NewRecord, ReadLimit,
    memory::{MemoryLog, Options},
};
use jupan_schemas::*;
use jupan_store::memory::MemoryStore;
use std::{sync::Arc, time::Duration};

/// A small random number generator (SplitMix64), so that a seed says everything.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit.max(1)
    }

    pub(super) fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    /// One of these, of which there is at least one.
    pub(super) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        let count = u64::try_from(all.len()).expect("small");
        all[usize::try_from(self.below(count)).expect("small")]
    }
}

/// One lane of either role; closed while it has crashed.
pub(super) enum AnyLane {
    Users(Option<Worker<Users>>),
    Products(Option<Worker<Products>>),
}

impl AnyLane {
    fn open(&mut self, parts: &Parts, index: u16) -> Result<(), Stop> {
        match self {
            Self::Users(worker) => {
                *worker = Some(Worker::open(parts, Lane { role: Role::Users, index })?);
            }
            Self::Products(worker) => {
                *worker = Some(Worker::open(parts, Lane { role: Role::Products, index })?);
            }
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<Turn, Stop> {
        match self {
            Self::Users(Some(worker)) => worker.turn(Duration::ZERO),
            Self::Products(Some(worker)) => worker.turn(Duration::ZERO),
            Self::Users(None) | Self::Products(None) => Ok(Turn::default()),
        }
    }

    fn close(&mut self) {
        match self {
            Self::Users(worker) => *worker = None,
            Self::Products(worker) => *worker = None,
        }
    }
}

/// A shop's lanes without threads.
pub(super) struct Harness {
    pub(super) clock: Arc<ManualClock>,
    pub(super) log: MemoryLog,
    pub(super) store: Arc<MemoryStore>,
    pub(super) parts: Parts,
    pub(super) lanes: Vec<AnyLane>,
    pub(super) codec: Codec,
    runtime: tokio::runtime::Runtime,
}

pub(super) const START: Micros = Micros(1_700_000_000_000_000);

impl Harness {
    pub(super) fn new(lanes: u16, limits: Limits, auto_sync: bool) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let options = Options { lanes, auto_sync, never_wait: true, ..Options::default() };
        let log = MemoryLog::new(options, clock.clone());
        let store = Arc::new(MemoryStore::that_crashes());
        let parts = Parts {
            log: Arc::new(log.clone()),
            store: store.clone(),
            schema_ids: Arc::new(SchemaIds::embedded()),
            rules: Rules::new(lanes),
            limits,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let codec = Codec::embedded();
        let mut harness = Self { clock, log, store, parts, lanes: Vec::new(), codec, runtime };
        for _ in 0..lanes {
            harness.lanes.push(AnyLane::Users(None));
            harness.lanes.push(AnyLane::Products(None));
        }
        for lane in 0..harness.lanes.len() {
            harness.open(lane).expect("an empty log opens");
        }
        harness
    }

    /// Opens, or takes over, the lane in this place; again if the log's fault hits the opening itself.
    pub(super) fn open(&mut self, place: usize) -> Result<(), Stop> {
        let index = u16::try_from(place / 2).expect("few lanes");
        for _ in 0..100 {
            match self.lanes[place].open(&self.parts, index) {
                Err(Stop::Log(_)) => {}
                opened => return opened,
            }
        }
        self.lanes[place].open(&self.parts, index)
    }

    /// One turn; a lane whose commit's fate is unknown or that was fenced takes over again.
    pub(super) fn turn(&mut self, place: usize) -> Turn {
        match self.lanes[place].turn() {
            Ok(turn) => turn,
            Err(Stop::Log(_)) => {
                self.lanes[place].close();
                self.open(place).expect("a takeover");
                Turn { inputs: 1, ..Turn::default() }
            }
            Err(stop) => panic!("lane {place}: {stop:?}"),
        }
    }

    /// Turns every lane until none has anything to do.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            self.log.sync();
            let turns: Vec<Turn> = (0..self.lanes.len()).map(|place| self.turn(place)).collect();
            self.log.sync();
            if turns.iter().all(Turn::is_idle) {
                return;
            }
            // What lies a moment before it is projected needs one to pass.
            if !self.parts.limits.coalesce_wait.is_zero() {
                self.clock.advance(1_000);
            }
        }
        panic!("the lanes do not come to rest");
    }

    /// Every process dies: what was not synced may be gone, and what the store had not persisted too.
    pub(super) fn crash(&mut self, random: &mut Random) {
        self.lanes.iter_mut().for_each(AnyLane::close);
        self.log = self.log.crash_by(random.below(u64::MAX));
        self.store.crash(|_| random.one_in(2));
        self.parts.log = Arc::new(self.log.clone());
        for place in 0..self.lanes.len() {
            self.open(place).expect("a restart");
        }
    }

    /// Appends without waiting for durability.
    pub(super) fn append(&mut self, topic: TopicId, id: u64, value: Vec<u8>) {
        let partition = partition_of(id, self.parts.rules.lanes);
        let record = NewRecord::new(id.to_string(), value);
        let log = self.log.clone();
        let pending = async move {
            tokio::select! {
                biased;
                appended = log.append(topic, partition, record) => drop(appended),
                () = std::future::ready(()) => {}
            }
        };
        self.runtime.block_on(pending);
    }

    pub(super) fn user(&mut self, user: u64, key: &str, payload: UserPayload) {
        let command = UserCommand {
            user_id: UserId(user),
            key: key.to_owned(),
            created_at: self.log.now(),
            occurred_at: None,
            actor: format!("user:{user}"),
            trace_id: None,
            reply_to: Some(0),
            payload,
        };
        let value = self.codec.to_bytes(&command);
        self.append(TopicId::UserCommands, user, value);
    }

    pub(super) fn product(&mut self, product: u64, key: &str, payload: ProductPayload) {
        let command = ProductCommand {
            product_id: ProductId(product),
            key: key.to_owned(),
            created_at: self.log.now(),
            occurred_at: None,
            actor: "operator".to_owned(),
            trace_id: None,
            reply_to: Some(0),
            payload,
        };
        let value = self.codec.to_bytes(&command);
        self.append(TopicId::ProductCommands, product, value);
    }

    /// Every step of a role, in order, lane by lane.
    pub(super) fn steps(&self, role: Role) -> Vec<(Lane, Step, Vec<u8>)> {
        let mut steps = Vec::new();
        for index in 0..self.parts.rules.lanes {
            let limit = ReadLimit { records_max: usize::MAX, bytes_max: usize::MAX };
            let batch = self.log.read(TopicId::journal(role), index, 0, limit).expect("it reads");
            for record in batch.records {
                let step = self.codec.decode(&record.value).expect("a step");
                steps.push((Lane { role, index }, step, record.value.to_vec()));
            }
        }
        steps
    }
}
