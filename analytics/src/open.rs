//! The beginning: what was saved, or nothing.

use crate::{
    FileError, Files, History, LIMIT_MAX, Options,
    feed::Feed,
    files::Directory,
    limits::{SALES_DAYS_MAX, SALES_DAYS_MIN},
    state::{Keeper, Saved},
    view::{Counted, Shared, chain},
};
use jupan_log::{Log, ReadError};
use jupan_schemas::{
    TopicId,
    planted::{Bug, is_planted},
};
use parking_lot::Mutex;
use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

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
    /// The log has no sales.
    #[error("the log's sales cannot be looked at")]
    Log(#[source] ReadError),
    /// The thread cannot be started.
    #[error("the analyzer's thread cannot be started")]
    Thread(#[source] io::Error),
}

impl Feed {
    /// Loads what was saved in `options.data`, to read on from there.
    ///
    /// # Errors
    /// [`StartError`]
    pub(crate) fn open_directory(log: Arc<dyn Log>, options: Options) -> Result<Self, StartError> {
        check(&options)?;
        let directory = options.data.as_deref().map(Directory::open).transpose();
        let directory = directory.map_err(StartError::State)?;
        Self::open(log, options, directory.map(|directory| Box::new(directory) as _))
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
        let (keeper, counted) = match files {
            Some(files) => {
                let (keeper, counted) = load(&*log, &options, files)?;
                (Some(keeper), counted)
            }
            None => (None, nothing(&*log, &options)),
        };
        let shared = Arc::new(Shared {
            log,
            counted: Mutex::new(counted),
            stop: AtomicBool::new(false),
            summing: Mutex::new(()),
        });
        Ok(Self::new(shared, keeper, options))
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

fn nothing(log: &dyn Log, options: &Options) -> Counted {
    let history = History::new(options.clock, options.sales_days);
    Counted::empty(&history, log.partitions())
}

/// What was saved, if it can be used and the log agrees with it.
fn load(
    log: &dyn Log,
    options: &Options,
    files: Box<dyn Files>,
) -> Result<(Keeper, Counted), StartError> {
    let mut keeper = Keeper::new(files);
    let partitions = usize::from(log.partitions());
    let loaded = match keeper.load(options.clock, options.sales_days, partitions) {
        Ok(Some(saved)) if !is_behind(log, &saved.positions)? => Some(saved),
        Ok(Some(_)) => {
            tracing::warn!("the log ends before what was counted; counting again from its start");
            keeper.forget();
            None
        }
        Ok(None) => None,
        Err(cause) => {
            let cause = chain(&cause);
            tracing::warn!(cause, "the saved state cannot be used; counting again from the log");
            None
        }
    };
    let counted = match loaded {
        Some(Saved { history, positions, unreadable }) => {
            tracing::info!(?positions, "counting on from what was saved");
            keeper.remove_old().map_err(StartError::State)?;
            let kept = u64::from(!is_planted(Bug::PositionsForgotten));
            let positions = positions.into_iter().map(|position| position * kept).collect();
            Counted { history, positions, unreadable }
        }
        None => nothing(log, options),
    };
    Ok((keeper, counted))
}

/// Whether the log is not the one that was counted: it ends before the positions.
fn is_behind(log: &dyn Log, positions: &[u64]) -> Result<bool, StartError> {
    for (partition, position) in (0..).zip(positions) {
        let bounds = log.bounds(TopicId::Sales, partition).map_err(StartError::Log)?;
        if bounds.end < *position {
            return Ok(true);
        }
    }
    Ok(false)
}
