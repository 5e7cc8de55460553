//! Every bound of a replay, in one place.

use std::time::Duration;

/// Longest line of a file.
pub(super) const LINE_BYTES_MAX: u64 = 64 * 1024;
/// Most lines of one order, as the shop takes them.
pub(super) const ORDER_LINES_MAX: usize = 500;
/// Most units of one product in one order, as the shop takes them.
pub(super) const LINE_UNITS_MAX: i64 = 10_000;
/// Longest `order_ref`: with its prefix it is an idempotency key, of 255 characters at most.
pub(super) const ORDER_REF_CHARS_MAX: usize = 200;
/// Highest amount of one charge, as the shop takes it by default.
pub(super) const CHARGE_MAX: i64 = 10_000_000;
/// Orders that the file's reader may be ahead of the scheduler.
pub(super) const READ_AHEAD_ORDERS: usize = 256;
/// Orders that wait in the scheduler because an earlier one of their user is under way.
pub(super) const WAITING_ORDERS_MAX: usize = 1024;
/// How many different unexpected ends are shown with an example.
pub(super) const EXAMPLES_MAX: usize = 5;
/// How long the best sellers must stay the same to count as final. Tests have a shop that never lags.
pub(super) const TOP_STABLE: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 2000 });
/// Pause between two looks at the best sellers.
pub(super) const TOP_POLL: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 200 });
/// How long to wait for the best sellers to stay the same; a shop that others sell from may never do so.
pub(super) const TOP_WAIT_MAX: Duration = Duration::from_secs(60);
