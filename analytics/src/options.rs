//! How an analyzer is set up.

use crate::limits;
use jupan_schemas::SchemaIds;
use std::{path::PathBuf, sync::Arc};

/// Whose time says what "now" is: where the default window ends and what is still kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// The log's clock.
    #[default]
    Wall,
    /// The newest sale: for replays of the past. It only rises. Until the first sale, the log's
    /// clock stands in.
    Event,
}

/// Set-up of an [`crate::Analyzer`].
#[derive(Clone)]
pub struct Options {
    /// Whose time counts.
    pub clock: Clock,
    /// For how many days sales are kept: [`limits::SALES_DAYS_MIN`] to [`limits::SALES_DAYS_MAX`].
    pub sales_days: u32,
    /// The directory of the state, which is made where there is none; `None` saves nothing.
    pub data: Option<PathBuf>,
    /// Whether the present list is published: by one of those who count, or by each.
    pub publishes: bool,
    /// Ranks of the published list, 1 to [`crate::LIMIT_MAX`].
    pub published_limit: u32,
    /// The list is published at most this often.
    pub publish_interval_ms: u64,
    /// The state is saved at most this often.
    pub save_interval_ms: u64,
    /// The ids that the log's records carry.
    pub schemas: Arc<SchemaIds>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Clock::Wall,
            sales_days: limits::SALES_DAYS_DEFAULT,
            data: None,
            publishes: true,
            published_limit: limits::PUBLISHED_LIMIT_DEFAULT,
            publish_interval_ms: limits::PUBLISH_INTERVAL_MS_DEFAULT,
            save_interval_ms: limits::SAVE_INTERVAL_MS_DEFAULT,
            schemas: Arc::new(SchemaIds::embedded()),
        }
    }
}
