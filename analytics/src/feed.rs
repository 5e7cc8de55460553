//! The thread that reads `sales`, counts them, and sees to it that they are saved and published.

use crate::{
    Clock, FileError, LIMIT_MAX, Options, Overflow, TopAnswer, TopQuery,
    history::Asked,
    limits::{self, AHEAD_MICROS_MAX, IDLE_WAIT},
    publish::Publisher,
    state::{Keeper, Picture},
    view::{Counted, Shared, View},
};
use jupan_log::{Batch, LogRecord, ReadError, ReadLimit};
use jupan_schemas::{Codec, Sale, TopProducts, TopicId, topics};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

/// Why an analyzer stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The log cannot be read.
    #[error("the sales cannot be read")]
    Read(#[source] ReadError),
    /// A sale that would make sums wrap. Nothing from it on was counted.
    #[error("sales/{partition} has a sale up to offset {next} that cannot be counted")]
    Sum {
        /// Where it lies.
        partition: u16,
        /// Behind the batch that it lies in.
        next: u64,
        /// Which product.
        #[source]
        source: Overflow,
    },
    /// The state cannot be saved.
    #[error("the state cannot be saved")]
    Save(#[source] FileError),
    /// The thread ended in a panic.
    #[error("the analyzer's thread panicked")]
    Panicked,
}

/// Loads, reads, counts, saves and publishes, when it is told to: by [`crate::Analyzer`] on a thread of its
/// own, or turn by turn.
pub struct Feed {
    pub(crate) shared: Arc<Shared>,
    pub(crate) keeper: Option<Keeper>,
    codec: Codec,
    publisher: Publisher,
    publishes: bool,
    published_limit: u32,
    publish_interval: Duration,
    save_interval: Duration,
    pub(crate) saved_positions: Vec<u64>,
    /// When something was last published and saved; `None` makes the first time due at once.
    published_at: Option<Instant>,
    saved_at: Option<Instant>,
}

impl Feed {
    pub(crate) fn new(shared: Arc<Shared>, keeper: Option<Keeper>, options: Options) -> Self {
        let saved_positions = shared.counted.lock().positions.clone();
        Self {
            shared,
            keeper,
            codec: Codec::new(options.schemas),
            publisher: Publisher::default(),
            publishes: options.publishes,
            published_limit: options.published_limit.clamp(1, LIMIT_MAX),
            publish_interval: Duration::from_millis(options.publish_interval_ms),
            save_interval: Duration::from_millis(options.save_interval_ms),
            saved_positions,
            published_at: None,
            saved_at: Some(Instant::now()),
        }
    }

    /// For questions; outlives the feed, and then stays as it is.
    pub fn view(&self) -> View {
        View::of(&self.shared)
    }

    /// Loads, and reads until it is told to stop; then publishes and saves once more.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        self.load()?;
        self.saved_at = Some(Instant::now());
        while !self.shared.stop.load(Ordering::Acquire) {
            let has_read = self.turn()?;
            if is_due(self.published_at, self.publish_interval) {
                self.publish();
            }
            if is_due(self.saved_at, self.save_interval) {
                self.save()?;
            }
            if !has_read {
                self.shared.log.wait_for_more(IDLE_WAIT);
            }
        }
        self.publish();
        self.save()
    }

    /// Moves windows on to the present time, reads each partition once and counts what is there;
    /// says whether there was anything.
    ///
    /// # Errors
    /// [`Failure`]
    pub fn turn(&mut self) -> Result<bool, Failure> {
        self.keep_time();
        self.read_round()
    }

    fn read_round(&mut self) -> Result<bool, Failure> {
        let (records_max, bytes_max) = (limits::READ_RECORDS_MAX, limits::READ_BYTES_MAX);
        let limit = ReadLimit { records_max, bytes_max };
        let mut has_read = false;
        for partition in 0..self.shared.log.partitions() {
            let from = self.shared.counted.lock().positions[usize::from(partition)];
            match self.shared.log.read(TopicId::Sales, partition, from, limit) {
                Ok(batch) if batch.next == from => {}
                Ok(batch) => {
                    has_read = true;
                    self.fold(partition, &batch)?;
                }
                Err(ReadError::BelowStart { start, .. }) if start > from => {
                    tracing::warn!(partition, from, start, "uncounted sales are no longer kept");
                    self.shared.counted.lock().positions[usize::from(partition)] = start;
                    has_read = true;
                }
                // Counting waits until somebody answers again.
                Err(error @ ReadError::Unavailable { .. }) => {
                    tracing::debug!(partition, %error, "sales are read later");
                }
                Err(source) => return Err(Failure::Read(source)),
            }
        }
        Ok(has_read)
    }

    /// Decodes without the lock, counts with it: questions see all of a batch, with its position,
    /// or nothing.
    fn fold(&mut self, partition: u16, batch: &Batch) -> Result<(), Failure> {
        let mut sales = Vec::with_capacity(batch.records.len());
        let mut unreadable = 0;
        for record in &batch.records {
            match self.decode(record) {
                Ok(sale) => sales.push(sale),
                Err(cause) => {
                    unreadable += 1;
                    let (topic, offset) = (TopicId::Sales.name(), record.offset);
                    tracing::warn!(topic, partition, offset, %cause, "unreadable sale skipped");
                }
            }
        }
        let next = batch.next;
        let mut counted = self.shared.counted.lock();
        for sale in &sales {
            let broken = |source| Failure::Sum { partition, next, source };
            counted.history.fold(sale).map_err(broken)?;
        }
        counted.unreadable += unreadable;
        counted.positions[usize::from(partition)] = next;
        Ok(())
    }

    fn decode(&self, record: &LogRecord) -> Result<Sale, String> {
        let decoded = topics::SALES.decode(&self.codec, &record.value);
        let sale = decoded.map_err(|cause| cause.to_string())?;
        if !sale.product_id.is_valid() {
            return Err(format!("no product can have the id {}", sale.product_id));
        }
        if sale.sold_at.since(record.at) > AHEAD_MICROS_MAX {
            return Err("dated long after the log took it".into());
        }
        Ok(sale)
    }

    /// Moves windows on as time goes; counts again from the log where the clock fell far back.
    fn keep_time(&mut self) {
        let log = &self.shared.log;
        let mut counted = self.shared.counted.lock();
        let now = log.now();
        if counted.history.is_ahead_of(now) {
            tracing::warn!("the clock fell back beyond sales that were given up; counting again");
            *counted = Counted::empty(&counted.history, log.partitions());
            // Equal to no positions, so that the next save happens whatever is read until then.
            self.saved_positions.clear();
        }
        counted.history.advance(now);
    }

    /// Publishes the present list, if it says something new and publishing is asked for.
    pub fn publish(&mut self) {
        if !self.publishes {
            return;
        }
        if let Some(top) = self.present_list() {
            self.publisher.offer(&*self.shared.log, &mut self.codec, top);
            self.published_at = Some(Instant::now());
        }
    }

    /// The list with the positions that it counts, both as of one moment.
    fn present_list(&self) -> Option<TopProducts> {
        let limit = self.published_limit;
        let query = TopQuery { days: limits::RUNNING_DAYS, limit, as_of: None };
        let mut counted = self.shared.counted.lock();
        let has_clock =
            counted.history.newest_sale().is_some() || counted.history.clock() == Clock::Wall;
        let now = self.shared.log.now();
        let positions = counted.positions.clone();
        match counted.history.ask(&query, now) {
            Ok(Asked::Answer(TopAnswer { products, window_from, window_to, .. })) if has_clock => {
                Some(TopProducts { window_from, window_to, limit, positions, products })
            }
            _ => None,
        }
    }

    /// Saves counts and positions together, if they have changed.
    ///
    /// # Errors
    /// [`Failure::Save`]: the state that is saved is the one before, or this one.
    pub fn save(&mut self) -> Result<(), Failure> {
        self.saved_at = Some(Instant::now());
        let Some(keeper) = &mut self.keeper else { return Ok(()) };
        let picture = {
            let counted = &mut *self.shared.counted.lock();
            if counted.positions == self.saved_positions {
                return Ok(());
            }
            self.saved_positions.clone_from(&counted.positions);
            Picture::take(&mut counted.history, &counted.positions, counted.unreadable)
        };
        keeper.save(picture).map_err(Failure::Save)
    }
}

fn is_due(last: Option<Instant>, interval: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() >= interval)
}
