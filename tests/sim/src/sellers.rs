//! The best sellers: the real feed over the simulated log, asked about windows whose edges lie at a
//! sale, saved, killed, and started again. What it answers is judged at the end.

use crate::{
    disk::Disk,
    mix::Mix,
    ports::SCHEMA_IDS,
    random::Random,
    report::{Invariant, Violation},
};
use jupan_analytics::{Failure, Feed, Options, StartError, TopAnswer, TopError, TopQuery};
use jupan_log::{Log, ReadLimit, memory::MemoryLog};
use jupan_schemas::{Codec, Micros, Sale, TopicId};
use std::sync::Arc;

/// Lengths of windows, the running one most often.
const DAYS: [u32; 6] = [1, 3, 3, 3, 7, 30];

/// A question, when it was asked, and what was answered.
pub(crate) struct Asked {
    pub(crate) now: Micros,
    /// The latest time that any clock had shown by then.
    pub(crate) clock_high: Micros,
    /// What had been counted of each partition.
    pub(crate) positions: Vec<u64>,
    pub(crate) query: TopQuery,
    pub(crate) answer: Result<TopAnswer, TopError>,
}

/// See the module.
pub(crate) struct Sellers {
    pub(crate) asked: Vec<Asked>,
    pub(crate) options: Options,
    random: Random,
    codec: Codec,
    disk: Disk,
    /// `None` while nobody counts.
    feed: Option<Feed>,
}

impl Sellers {
    pub(crate) fn new(seed: u64, mix: &Mix) -> Self {
        let options = Options {
            clock: mix.sales_clock,
            sales_days: mix.sales_days,
            schemas: SCHEMA_IDS.clone(),
            ..Options::default()
        };
        Self {
            asked: Vec::new(),
            options,
            random: Random::new(seed, 4),
            codec: Codec::embedded(),
            disk: Disk::default(),
            feed: None,
        }
    }

    /// Does one thing, and now and then fails to.
    pub(crate) fn act(&mut self, log: &MemoryLog, clock_high: Micros) -> Result<(), Violation> {
        match self.random.weighted(&[40, 35, 8, 12, 4, 3]) {
            0 => self.turn(log).map(drop),
            1 => {
                let query = self.query(log);
                self.ask(log, clock_high, query)
            }
            2 => self.with(log, |feed| {
                feed.publish();
                Ok(())
            }),
            3 => self.with(log, Feed::save),
            4 => {
                self.feed = None;
                Ok(())
            }
            _ => {
                self.disk.fail(self.random.between(1, 6).unsigned_abs());
                Ok(())
            }
        }
    }

    /// The power fails.
    pub(crate) fn crash(&mut self) {
        self.feed = None;
        self.disk.crash(&mut self.random);
    }

    /// Counts all there is, asks for the present list and publishes it.
    pub(crate) fn finish(&mut self, log: &MemoryLog, clock_high: Micros) -> Result<(), Violation> {
        self.disk.fail(0);
        log.sync();
        while self.turn(log)? {}
        self.ask(log, clock_high, TopQuery { days: 3, limit: 100, as_of: None })?;
        self.with(log, |feed| {
            feed.publish();
            feed.save()
        })?;
        log.sync();
        Ok(())
    }

    fn turn(&mut self, log: &MemoryLog) -> Result<bool, Violation> {
        let mut has_read = false;
        self.with(log, |feed| {
            has_read = feed.turn()?;
            Ok(())
        })?;
        Ok(has_read)
    }

    /// Asks now, whatever has been counted by now.
    pub(crate) fn ask(
        &mut self,
        log: &MemoryLog,
        clock_high: Micros,
        query: TopQuery,
    ) -> Result<(), Violation> {
        let mut asked = None;
        self.with(log, |feed| {
            let (view, now) = (feed.view(), log.now());
            let positions = view.status().positions;
            let answer = view.top(&query);
            asked = Some(Asked { now, clock_high, positions, query, answer });
            Ok(())
        })?;
        self.asked.extend(asked);
        Ok(())
    }

    /// Does something with the feed, which is opened first where nobody counts. A disk that fails
    /// excuses it.
    fn with(
        &mut self,
        log: &MemoryLog,
        act: impl FnOnce(&mut Feed) -> Result<(), Failure>,
    ) -> Result<(), Violation> {
        let mut feed = match self.feed.take() {
            Some(feed) => feed,
            None => match self.open(log) {
                Ok(feed) => feed,
                Err(error) => return self.excuse(&error),
            },
        };
        match act(&mut feed) {
            Ok(()) => self.feed = Some(feed),
            Err(error) => return self.excuse(&error),
        }
        Ok(())
    }

    fn open(&self, log: &MemoryLog) -> Result<Feed, StartError> {
        let (log, files) = (Arc::new(log.clone()), Box::new(self.disk.clone()));
        Feed::open(log, self.options.clone(), Some(files))
    }

    fn excuse(&self, error: &dyn std::error::Error) -> Result<(), Violation> {
        if self.disk.take_failed() > 0 {
            return Ok(());
        }
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        Err(Violation::new(Invariant::Feeds, format!("{error}: {source}")))
    }

    /// Any window; often one that begins or ends where a sale lies.
    fn query(&mut self, log: &MemoryLog) -> TopQuery {
        let is_odd = self.random.one_in(20);
        let days = if is_odd { self.random.one_of([0, 31]) } else { self.random.one_of(DAYS) };
        let is_odd = self.random.one_in(20);
        let limit = self.random.one_of(if is_odd { [0, 101] } else { [3, 100] });
        let as_of = match self.random.below(16) {
            0..4 => None,
            4 => Some(log.now().plus(self.random.between(-1, 1))),
            5 => Some(log.now().plus(self.random.between(-40 * Micros::DAY, 0))),
            _ => self.some_sale(log).map(|sale| self.edge(sale.sold_at, days)),
        };
        // Most of what has no answer yet is asked without a time.
        let as_of = as_of.filter(|as_of| *as_of <= log.now() || self.random.one_in(10));
        TopQuery { days, limit, as_of }
    }

    /// A time at which a window of so many days begins, or ends, next to a sale.
    fn edge(&mut self, sold_at: Micros, days: u32) -> Micros {
        let ends = if self.random.one_in(2) { i64::from(days) * Micros::DAY } else { 0 };
        let in_minute = sold_at.0.rem_euclid(Micros::MINUTE);
        let on_minute = self.random.one_of([0, -in_minute, Micros::MINUTE - in_minute]);
        let off = [0, 1, -1, Micros::MINUTE, -Micros::MINUTE];
        let off = self.random.one_of(off);
        sold_at.plus(ends + on_minute + off)
    }

    /// A sale that is durable.
    pub(crate) fn some_sale(&mut self, log: &MemoryLog) -> Option<Sale> {
        let partition = u16::try_from(self.random.below(u64::from(log.partitions()))).unwrap_or(0);
        let bounds = log.bounds(TopicId::Sales, partition).ok()?;
        let from = self.random.below(bounds.end);
        let limit = ReadLimit { records_max: 1, bytes_max: usize::MAX };
        let batch = log.read(TopicId::Sales, partition, from, limit).ok()?;
        self.codec.decode(&batch.records.first()?.value).ok()
    }
}
