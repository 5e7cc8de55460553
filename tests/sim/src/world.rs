//! One simulated shop: the real lanes over the memory providers, in one thread, and chance decides
//! who turns next, what is synced and what goes wrong.

use crate::{
    auditor::{self, Evidence, Facts},
    faults::Fault,
    gate::Gate,
    lanes::{Place, places},
    mix::Mix,
    ports::Ports,
    random::Random,
    report::Violation,
    sellers::Sellers,
    told::Told,
    workload::{Asked, Workload},
};
use jupan_log::{
    AppendError, Appended, Log, ManualClock, NewRecord,
    memory::{MemoryLog, Options},
};
use jupan_schemas::Micros;
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// When every run begins.
pub(crate) const START: Micros = Micros(1_700_000_000_000_000);

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
    pub(crate) ports: Ports,
    pub(crate) places: Vec<Place>,
    pub(crate) workload: Workload,
    pub(crate) answers_lost: bool,
    pub(crate) faults: BTreeMap<Fault, u64>,
    pub(crate) commands: u64,
    pub(crate) told: Told,
    pub(crate) acknowledged: Vec<Acknowledged>,
    pub(crate) sellers: Sellers,
    /// Commands during which the clock stands still.
    pub(crate) frozen: u32,
    waiting: Vec<(Asked, Appending)>,
    pub(crate) clock_high: Micros,
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
        let gate = Arc::new(Gate::new(&log, clock.clone()));
        let told = Told::new(&log);
        Self {
            random: Random::new(seed, 3),
            places: places(mix.shop.lanes),
            workload: Workload::new(seed),
            sellers: Sellers::new(seed, &mix),
            ports: Ports::new(&mix, log, gate),
            mix,
            clock,
            answers_lost: false,
            faults: BTreeMap::new(),
            commands: 0,
            told,
            acknowledged: Vec::new(),
            frozen: 0,
            waiting: Vec::new(),
            clock_high: START,
        }
    }

    /// From the first command to rest; then everything is audited.
    pub(crate) fn run(&mut self) -> Result<Audited, Violation> {
        let lived = self.live();
        // What it plans knows the ports, and they know it: neither would ever go.
        self.ports.gate.disarm();
        lived.map_err(|found| self.earlier_than(found))?;
        let audited = self.audit(true)?;
        if self.mix.ends_with_gap {
            self.end_with_gap(&audited.facts)?;
        }
        Ok(audited)
    }

    /// A lane that stopped, or an asker that was told something wrong, is late news: the journal
    /// may say where it began.
    fn earlier_than(&mut self, found: Violation) -> Violation {
        self.ports.log.sync();
        self.audit(false).err().unwrap_or(found)
    }

    fn audit(&self, is_at_rest: bool) -> Result<Audited, Violation> {
        let evidence = Evidence::read(&self.ports.log, self.mix.shop.clone())?;
        let facts = auditor::audit(&evidence, is_at_rest)?;
        auditor::check_acknowledged(&evidence, &self.acknowledged)?;
        let all_told = is_at_rest && !self.answers_lost;
        self.told.check(&facts, all_told)?;
        auditor::check_sellers(&facts, &evidence, &self.sellers, is_at_rest)?;
        if is_at_rest {
            auditor::check_rows(&facts, self)?;
        }
        Ok(Audited { facts, evidence })
    }

    fn live(&mut self) -> Result<(), Violation> {
        for asked in self.workload.opening(&self.mix, self.now()) {
            // So that there is room for it.
            self.ports.log.sync();
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
        self.settle()?;
        self.sellers.finish(&self.ports.log, self.clock_high)
    }

    /// Something that is not a command.
    fn act(&mut self) -> Result<(), Violation> {
        let [_, turn, sync, save, fault, sellers] = self.mix.actions;
        match self.random.weighted(&[turn, sync, save, fault, sellers]) {
            0 => {
                let place = self.random.index(self.places.len());
                self.turn(place)?;
                if self.random.one_in(20) {
                    self.turn_stale(place)?;
                }
            }
            1 => self.ports.log.sync(),
            2 => self.ports.store.persist(),
            3 => self.fail()?,
            _ => self.sellers.act(&self.ports.log, self.clock_high)?,
        }
        self.acknowledge();
        Ok(())
    }

    /// One more fault of a kind.
    pub(crate) fn count(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    fn pause(&mut self) {
        let pause = self.random.below(self.mix.pause_us_max);
        if self.frozen > 0 {
            self.frozen -= 1;
            return;
        }
        self.clock.advance(pause.cast_signed());
        self.clock_high = self.clock_high.max(self.now());
    }

    pub(crate) fn now(&self) -> Micros {
        self.ports.log.now()
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
            (self.ports.log.clone(), NewRecord::new(asked.key.clone(), asked.value.clone()));
        let (topic, partition) = (asked.topic, asked.partition);
        let appending = async move { log.append(topic, partition, record).await };
        self.waiting.push((asked, Box::pin(appending)));
        self.acknowledge();
    }

    /// Learns which appends are acknowledged by now.
    pub(crate) fn acknowledge(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        let mut still = Vec::with_capacity(self.waiting.len());
        for (asked, mut appending) in std::mem::take(&mut self.waiting) {
            match appending.as_mut().poll(&mut context) {
                Poll::Pending => still.push((asked, appending)),
                Poll::Ready(Ok(Appended { offset, .. })) => {
                    self.acknowledged.push(Acknowledged { asked, offset });
                }
                Poll::Ready(Err(AppendError::Full)) => self.count(Fault::QueueFull),
                // Not appended, or nobody knows: nothing was promised.
                Poll::Ready(Err(_)) => {}
            }
        }
        self.waiting = still;
    }

    /// Everything dies, and the log comes back with what a crash leaves of it.
    pub(crate) fn restart_log(&mut self, store: impl FnOnce(&mut Self)) -> Result<(), Violation> {
        self.acknowledge();
        for place in &mut self.places {
            place.owner = None;
            place.stale.clear();
        }
        self.ports.log = self.ports.log.crash_by(self.random.bits());
        self.acknowledge();
        store(self);
        self.ports.gate.restart(&self.ports.log);
        self.sellers.crash();
        self.told.subscribe(&self.ports.log);
        Ok(())
    }
}
