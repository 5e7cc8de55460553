//! The beginning: what was saved, or nothing. What was saved is loaded by whoever counts, an
//! [`crate::Analyzer`] on its own thread: days full of sales take their time, and nothing but
//! questions about them has to wait for that.

use crate::{
    FileError, Files, LIMIT_MAX, Options,
    feed::{Failure, Feed},
    files::Directory,
    limits::{SALES_DAYS_MAX, SALES_DAYS_MIN},
    state::{Keeper, Saved},
    view::{Counted, Shared, chain},
};
use jupan_log::Log;
use jupan_schemas::{
    TopicId,
    planted::{Bug, is_planted},
};
use std::{io, sync::Arc};

/// An analyzer cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `sales_days` is out of bounds.
    #[error("sales can be kept for {SALES_DAYS_MIN} to {SALES_DAYS_MAX} days, not {days}")]
    SalesDays {
        /// What was asked for.
        days: u32,
    },
    /// `published_limit` is out of bounds.
    #[error("a published list has 1 to {LIMIT_MAX} ranks, not {limit}")]
    PublishedLimit {
        /// What was asked for.
        limit: u32,
    },
    /// The state's directory cannot be used.
    #[error("the state's directory cannot be used")]
    State(#[source] FileError),
    /// What was saved cannot be loaded.
    #[error("what was saved cannot be loaded")]
    Load(#[source] Failure),
    /// The thread cannot be started.
    #[error("the analyzer's thread cannot be started")]
    Thread(#[source] io::Error),
}

impl Feed {
    /// Ready to load what was saved in `options.data`.
    ///
    /// # Errors
    /// [`StartError`]
    pub(crate) fn in_directory(log: Arc<dyn Log>, options: Options) -> Result<Self, StartError> {
        check(&options)?;
        let directory = options.data.as_deref().map(Directory::open).transpose();
        let directory = directory.map_err(StartError::State)?;
        Ok(Self::unloaded(log, options, directory.map(|directory| Box::new(directory) as _)))
    }

    /// Loads what was saved in these files, whatever `options.data` says, to read on from there;
    /// without files nothing is saved.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn open(
        log: Arc<dyn Log>,
        options: Options,
        files: Option<Box<dyn Files>>,
    ) -> Result<Self, StartError> {
        check(&options)?;
        let mut feed = Self::unloaded(log, options, files);
        feed.load().map_err(StartError::Load)?;
        Ok(feed)
    }

    fn unloaded(log: Arc<dyn Log>, options: Options, files: Option<Box<dyn Files>>) -> Self {
        let counted = Counted::nothing(options.clock, options.sales_days, log.partitions());
        let shared = Arc::new(Shared::new(log, counted));
        Self::new(shared, files.map(Keeper::new), options)
    }

    /// Goes on from what was saved, once, before the first turn. Questions wait until it is over,
    /// however it ends.
    pub(crate) fn load(&mut self) -> Result<(), Failure> {
        let shared = Arc::clone(&self.shared);
        let _loaded = Loaded(&shared);
        let Some(keeper) = &mut self.keeper else { return Ok(()) };
        let Some(saved) = saved(&shared, keeper)? else { return Ok(()) };
        keeper.remove_old().map_err(Failure::Save)?;
        let Saved { history, mut positions, unreadable } = saved;
        tracing::info!(?positions, "counting on from what was saved");
        if is_planted(Bug::PositionsForgotten) {
            positions.fill(0);
        }
        self.saved_positions.clone_from(&positions);
        *shared.counted.lock() = Counted { history, positions, unreadable };
        Ok(())
    }
}

/// Lets questions go on.
struct Loaded<'a>(&'a Shared);

impl Drop for Loaded<'_> {
    fn drop(&mut self) {
        self.0.is_loaded.get_or_init(|| ());
    }
}

fn check(options: &Options) -> Result<(), StartError> {
    let Options { sales_days, published_limit, .. } = *options;
    if !(SALES_DAYS_MIN..=SALES_DAYS_MAX).contains(&sales_days) {
        return Err(StartError::SalesDays { days: sales_days });
    }
    if !(1..=LIMIT_MAX).contains(&published_limit) {
        return Err(StartError::PublishedLimit { limit: published_limit });
    }
    Ok(())
}

/// What was saved, if it can be used and the log agrees with it.
fn saved(shared: &Shared, keeper: &mut Keeper) -> Result<Option<Saved>, Failure> {
    let (clock, sales_days) = {
        let counted = shared.counted.lock();
        (counted.history.clock(), counted.history.sales_days())
    };
    match keeper.load(clock, sales_days, usize::from(shared.log.partitions())) {
        Ok(Some(saved)) if is_behind(&*shared.log, &saved.positions)? => {
            tracing::warn!("the log ends before what was counted; counting again from its start");
            keeper.forget();
            Ok(None)
        }
        Ok(saved) => Ok(saved),
        Err(cause) => {
            let cause = chain(&cause);
            tracing::warn!(cause, "the saved state cannot be used; counting again from the log");
            Ok(None)
        }
    }
}

/// Whether the log is not the one that was counted: it ends before the positions.
fn is_behind(log: &dyn Log, positions: &[u64]) -> Result<bool, Failure> {
    for (partition, position) in (0..).zip(positions) {
        let bounds = log.bounds(TopicId::Sales, partition).map_err(Failure::Read)?;
        if bounds.end < *position {
            return Ok(true);
        }
    }
    Ok(false)
}
