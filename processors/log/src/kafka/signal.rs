//! A bell: one thread waits until another says that there may be something new.

use parking_lot::{Condvar, Mutex};
use std::time::Instant;

/// Counts rings, so that one between a look and a wait is not lost.
#[derive(Debug, Default)]
pub(super) struct Signal {
    rings: Mutex<u64>,
    rang: Condvar,
}

impl Signal {
    pub(super) fn ring(&self) {
        *self.rings.lock() += 1;
        self.rang.notify_all();
    }

    /// Rings so far: take it before looking.
    pub(super) fn rings(&self) -> u64 {
        *self.rings.lock()
    }

    /// Waits until it rang more often than `seen`, at most to the deadline.
    pub(super) fn wait(&self, seen: u64, deadline: Instant) {
        let mut rings = self.rings.lock();
        while *rings == seen {
            if self.rang.wait_until(&mut rings, deadline).timed_out() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn a_ring_before_the_wait_ends_it() {
        let signal = Arc::new(Signal::default());
        let seen = signal.rings();
        signal.ring();
        let begun = Instant::now();
        signal.wait(seen, begun + Duration::from_secs(60));
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_ring_from_another_thread_ends_it() {
        let signal = Arc::new(Signal::default());
        let seen = signal.rings();
        let other = signal.clone();
        let ringing = std::thread::spawn(move || other.ring());
        let begun = Instant::now();
        signal.wait(seen, begun + Duration::from_secs(60));
        assert!(begun.elapsed() < Duration::from_secs(30));
        ringing.join().expect("it rang");
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let signal = Signal::default();
        let deadline = Instant::now() + Duration::from_millis(5);
        signal.wait(signal.rings(), deadline);
        assert!(Instant::now() >= deadline);
    }
}
