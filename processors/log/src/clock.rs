//! Time, in one place: providers stamp records with it, nobody else reads it.

use jupan_schemas::Micros;
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time. Injected, so that tests and the simulator decide it.
pub trait Clock: Send + Sync {
    /// Now, in UTC.
    fn now(&self) -> Micros;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Micros {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}
