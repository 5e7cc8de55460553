//! Every bound of this crate.

use jupan_schemas::Micros;
use std::time::Duration;

/// Days of the window that has running totals.
pub const RUNNING_DAYS: u32 = 3;
/// Fewest days of sales that may be kept: the running window must fit in.
pub const SALES_DAYS_MIN: u32 = RUNNING_DAYS;
/// Days of sales that are kept unless configured.
pub const SALES_DAYS_DEFAULT: u32 = 33;
/// Most days of sales that may be kept.
pub const SALES_DAYS_MAX: u32 = 400;
/// Ranks of the published list unless configured.
pub const PUBLISHED_LIMIT_DEFAULT: u32 = 10;
/// The present list is published at most this often unless configured.
pub const PUBLISH_INTERVAL_MS_DEFAULT: u64 = 1_000;
/// The state is saved at most this often unless configured.
pub const SAVE_INTERVAL_MS_DEFAULT: u64 = 5_000;

/// Records of one read, and so of one fold under the lock.
pub(crate) const READ_RECORDS_MAX: usize = 1_024;
/// Bytes of one read.
pub(crate) const READ_BYTES_MAX: usize = 1024 * 1024;
/// Longest wait of the feed for more sales; also bounds how long a stop goes unnoticed.
pub(crate) const IDLE_WAIT: Duration = Duration::from_millis(50);
/// A sale dated so much later than the log took it cannot be true. Lanes refuse anything 5 minutes
/// ahead; the rest of the day is room for other writers. One such record must not carry the event
/// clock away.
pub(crate) const AHEAD_MICROS_MAX: i64 = Micros::DAY;
/// The clock may fall back so many minutes before sales that were given up as too old are counted
/// again.
pub(crate) const CLOCK_FALL_MINUTES_MAX: i64 = 60;
