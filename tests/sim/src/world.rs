//! One simulated shop: the real lanes over the memory providers, in one thread, and chance decides
//! who turns next, what is synced and what goes wrong.

use crate::{
    auditor::{self, Evidence, Facts},
    lanes::{Owner, Place, places},
    mix::Mix,
    random::Random,
    report::{Invariant, Violation},
    store::{SimStore, parts},
    told::Told,
    workload::{Asked, Workload},
};
use jupan_log::{
    AppendError, Appended, LaneError, Log, ManualClock, NewRecord,
    memory::{MemoryLog, Options},
};
use jupan_processors::{Parts, Stop, Turn};
use jupan_schemas::{
    Codec, Envelope, Lane, Micros, OrderId, Release, Role, Stamp, ToProducts, UserId,
};
use jupan_store::LaneStore;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// When every run begins.
pub(crate) const START: Micros = Micros(1_700_000_000_000_000);
/// Stale owners of one lane that are still around.
pub(crate) const LANES_STALE_MAX: usize = 2;
/// Rounds in which lanes must have come to rest.
const REST_ROUNDS_MAX: usize = 40_000;
/// Times that the clock is moved on for orders whose reminder was lost.
const REMINDER_ROUNDS_MAX: usize = 60;

type Appending = Pin<Box<dyn Future<Output = Result<Appended, AppendError>> + Send>>;

/// A command that was acknowledged: it must be where it was said to be.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) asked: Asked,
    pub(crate) offset: u64,
}

/// A run that was found in order.
pub(crate) struct Audited {
    pub(crate) facts: Facts,
    pub(crate) evidence: Evidence,
}

/// See the module.
pub(crate) struct World {
    pub(crate) mix: Mix,
    pub(crate) random: Random,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) log: MemoryLog,
    pub(crate) store: Arc<SimStore>,
    pub(crate) places: Vec<Place>,
    pub(crate) workload: Workload,
    pub(crate) answers_lost: bool,
    pub(crate) faults: u64,
    pub(crate) commands: u64,
    pub(crate) told: Told,
    pub(crate) acknowledged: Vec<Acknowledged>,
    parts: Parts,
    waiting: Vec<(Asked, Appending)>,
    clock_high: Micros,
}

impl World {
    pub(crate) fn new(seed: u64, commands: usize) -> Self {
        let mix = Mix::draw(seed, commands);
        let clock = Arc::new(ManualClock::at(START));
        let options = Options {
            lanes: mix.shop.lanes,
            auto_sync: mix.auto_sync,
            never_wait: true,
            queue_bytes_max: mix.queue_bytes_max,
            ..Options::default()
        };
        let log = MemoryLog::new(options, clock.clone());
        let store = Arc::new(SimStore::new());
        let parts = parts(&mix, Arc::new(log.clone()), store.clone());
        let told = Told::new(&log);
        Self {
            random: Random::new(seed, 3),
            places: places(mix.shop.lanes),
            workload: Workload::new(seed),
            mix,
            clock,
            log,
            store,
            answers_lost: false,
            faults: 0,
            commands: 0,
            told,
            acknowledged: Vec::new(),
            parts,
            waiting: Vec::new(),
            clock_high: START,
        }
    }

    /// From the first command to rest; then everything is audited.
    pub(crate) fn run(&mut self) -> Result<Audited, Violation> {
        self.live().map_err(|found| self.earlier_than(found))?;
        let audited = self.audit(true)?;
        if self.mix.ends_with_gap {
            self.end_with_gap(&audited.facts)?;
        }
        Ok(audited)
    }

    /// A lane that stopped, or an asker that was told something wrong, is late news: the journal
    /// may say where it began.
    fn earlier_than(&mut self, found: Violation) -> Violation {
        self.log.sync();
        self.audit(false).err().unwrap_or(found)
    }

    fn audit(&self, is_at_rest: bool) -> Result<Audited, Violation> {
        let evidence = Evidence::read(&self.log, self.mix.shop.clone())?;
        let facts = auditor::audit(&evidence, is_at_rest)?;
        auditor::check_acknowledged(&evidence, &self.acknowledged)?;
        let all_told = is_at_rest && !self.answers_lost;
        self.told.check(&facts, all_told)?;
        if is_at_rest {
            auditor::check_rows(&facts, self)?;
        }
        Ok(Audited { facts, evidence })
    }

    fn live(&mut self) -> Result<(), Violation> {
        for asked in self.workload.opening(&self.mix, self.now()) {
            self.append(asked);
            self.act()?;
        }
        for _ in 0..self.mix.commands {
            while self.random.weighted(&self.mix.actions) != 0 {
                self.act()?;
            }
            self.pause();
            let asked = self.workload.next(&self.mix, self.now());
            self.append(asked);
        }
        self.settle()
    }

    /// Something that is not a command.
    fn act(&mut self) -> Result<(), Violation> {
        let [_, turn, sync, save, fault] = self.mix.actions;
        match self.random.weighted(&[turn, sync, save, fault]) {
            0 => {
                let place = self.random.index(self.places.len());
                self.turn(place)?;
                if self.random.one_in(20) {
                    self.turn_stale(place)?;
                }
            }
            1 => self.log.sync(),
            2 => self.store.memory.persist(),
            _ => self.fail()?,
        }
        self.acknowledge();
        Ok(())
    }

    fn pause(&mut self) {
        let pause = self.random.below(self.mix.pause_us_max);
        self.clock.advance(pause.cast_signed());
        self.clock_high = self.clock_high.max(self.now());
    }

    pub(crate) fn now(&self) -> Micros {
        self.log.now()
    }

    /// Moves the clock on; never back.
    pub(crate) fn clock_to(&mut self, to: Micros) {
        self.clock.set(self.now().max(to));
        self.clock_high = self.clock_high.max(self.now());
    }

    /// Appends without waiting until it is durable.
    pub(crate) fn append(&mut self, asked: Asked) {
        self.commands += 1;
        let (log, record) =
            (self.log.clone(), NewRecord::new(asked.key.clone(), asked.value.clone()));
        let (topic, partition) = (asked.topic, asked.partition);
        let appending = async move { log.append(topic, partition, record).await };
        self.waiting.push((asked, Box::pin(appending)));
        self.acknowledge();
    }

    /// Learns which appends are acknowledged by now.
    fn acknowledge(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        let mut still = Vec::with_capacity(self.waiting.len());
        for (asked, mut appending) in self.waiting.drain(..) {
            match appending.as_mut().poll(&mut context) {
                Poll::Pending => still.push((asked, appending)),
                Poll::Ready(Ok(Appended { offset, .. })) => {
                    self.acknowledged.push(Acknowledged { asked, offset });
                }
                // Not appended, or nobody knows: nothing was promised.
                Poll::Ready(Err(_)) => {}
            }
        }
        self.waiting = still;
    }

    /// One turn of a lane's owner, or its takeover where it has none.
    pub(crate) fn turn(&mut self, place: usize) -> Result<Turn, Violation> {
        let Place { lane, owner, .. } = &mut self.places[place];
        let (lane, busy) = (*lane, Turn { inputs: 1, ..Turn::default() });
        let turned = match owner {
            Some(owner) => owner.turn(),
            None => Owner::open(&self.parts, lane).map(|opened| {
                *owner = Some(opened);
                busy
            }),
        };
        let turned = turned.or_else(|stop| {
            self.places[place].owner = None;
            self.excuse(lane, &stop).map(|()| busy)
        });
        self.listen()?;
        turned
    }

    /// An owner that was replaced and does not know.
    fn turn_stale(&mut self, place: usize) -> Result<(), Violation> {
        if self.places[place].stale.is_empty() {
            return Ok(());
        }
        let (lane, mut stale) = (self.places[place].lane, self.places[place].stale.remove(0));
        match stale.turn() {
            Ok(_) => self.places[place].stale.push(stale),
            Err(stop) => self.excuse(lane, &stop)?,
        }
        self.listen()
    }

    /// Whether a lane may have stopped for this.
    fn excuse(&mut self, lane: Lane, stop: &Stop) -> Result<(), Violation> {
        let is_excused = match stop {
            Stop::Log(error) => {
                matches!(error, LaneError::Fenced { .. } | LaneError::Unknown { .. })
            }
            Stop::Store(_) => self.store.take_failed() > 0,
            Stop::ClockAhead { .. } => self.now() < self.clock_high,
            _ => false,
        };
        if let Stop::ClockAhead { .. } = stop
            && self.random.one_in(4)
        {
            self.clock_to(self.clock_high);
        }
        if is_excused {
            return Ok(());
        }
        let source = std::error::Error::source(stop).map(ToString::to_string).unwrap_or_default();
        Err(Violation::new(Invariant::Stops, format!("{stop}: {source}")).of(lane))
    }

    /// Hears what was told since the last time, and looks it up at once.
    fn listen(&mut self) -> Result<(), Violation> {
        let keeps_all = self.clock_high.since(START) < 14 * Micros::DAY;
        self.told.listen(&self.store.memory, keeps_all)
    }

    /// Everything dies, and the log comes back with what a crash leaves of it.
    pub(crate) fn restart_log(&mut self, store: impl FnOnce(&mut Self)) -> Result<(), Violation> {
        self.acknowledge();
        for place in &mut self.places {
            place.owner = None;
            place.stale.clear();
        }
        self.log = self.log.crash_by(self.random.bits());
        self.acknowledge();
        store(self);
        self.parts.log = Arc::new(self.log.clone());
        self.told.subscribe(&self.log);
        Ok(())
    }

    /// Turns every lane until no order is pending and nobody has anything to do.
    fn settle(&mut self) -> Result<(), Violation> {
        self.store.heal();
        self.clock_to(self.clock_high);
        for place in 0..self.places.len() {
            self.turn_stale(place)?;
        }
        self.rest()?;
        let deadline = self.mix.shop.order_deadline_us;
        self.clock_to(self.now().plus(deadline + Micros::MINUTE));
        for _ in 0..REMINDER_ROUNDS_MAX {
            self.rest()?;
            let lanes = self.places.iter().map(|place| place.lane);
            let open = |lane| self.store.memory.open_orders(lane).is_ok_and(|open| open.is_empty());
            if lanes.into_iter().all(open) {
                return Ok(());
            }
            self.clock_to(self.now().plus(10 * Micros::SECOND));
        }
        Err(Violation::new(Invariant::Holds, "orders stay pending after their deadline"))
    }

    fn rest(&mut self) -> Result<(), Violation> {
        for _ in 0..REST_ROUNDS_MAX {
            self.log.sync();
            let mut is_idle = true;
            for place in 0..self.places.len() {
                is_idle &= self.turn(place)?.is_idle();
            }
            self.acknowledge();
            if is_idle {
                return Ok(());
            }
        }
        Err(Violation::new(Invariant::Rest, "the lanes do not come to rest"))
    }

    /// A message whose predecessor is missing must stop its receiver.
    fn end_with_gap(&mut self, facts: &Facts) -> Result<(), Violation> {
        let receiver = Lane { role: Role::Products, index: 0 };
        let order_id = OrderId::of(UserId(1), "missing");
        let message = Envelope {
            lane: 0,
            number: facts.received(receiver, 0) + 2,
            stamp: Stamp(0),
            command_id: None,
            actor: String::new(),
            trace_id: None,
            payload: ToProducts::Release(Release { order_id }),
        };
        let place = self.places.iter().position(|place| place.lane == receiver).unwrap_or(0);
        let value = Codec::embedded().to_bytes(&message);
        // Commits that are made to fail are tried until the message is there.
        for _ in 0..20 {
            self.inject(receiver, value.clone());
            for _ in 0..3 {
                self.log.sync();
                let Place { owner, .. } = &mut self.places[place];
                let turned = match owner {
                    Some(owner) => owner.turn().map(drop),
                    None => Owner::open(&self.parts, receiver).map(|opened| *owner = Some(opened)),
                };
                match turned {
                    Err(Stop::Gap { .. }) => return Ok(()),
                    Err(_) => self.places[place].owner = None,
                    Ok(()) => {}
                }
            }
        }
        let what = "a message whose predecessor is missing did not stop its receiver";
        Err(Violation::new(Invariant::Journal, what).of(receiver))
    }
}
