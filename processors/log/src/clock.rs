//! Time, in one place: providers stamp records with it, nobody else reads it.

use jupan_schemas::Micros;
use std::sync::atomic::{AtomicI64, Ordering};
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

/// A clock that stands still until it is moved; it may also be set back.
#[derive(Debug, Default)]
pub struct ManualClock {
    micros: AtomicI64,
}

impl ManualClock {
    /// A clock that shows this time.
    pub fn at(now: Micros) -> Self {
        Self { micros: AtomicI64::new(now.0) }
    }

    /// Shows this time from now on.
    pub fn set(&self, now: Micros) {
        self.micros.store(now.0, Ordering::SeqCst);
    }

    /// Moves on by so many microseconds.
    pub fn advance(&self, micros: i64) {
        self.micros.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Micros {
        Micros(self.micros.load(Ordering::SeqCst))
    }
}
