//! How far the first pass may read. At rest that is as far as there is anything. Beside a running
//! shop the second pass goes ahead and says where both of them end; and neither waits for ever for
//! what the shop has yet to write.

use super::{Failure, walk::Walker};
use parking_lot::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long a log that must go on may stand still.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked at meanwhile.
const PAUSE: Duration = Duration::from_millis(5);

/// A position that rises until it is final.
pub(super) struct Horizon {
    state: Mutex<(u64, bool)>,
    moved: Condvar,
}

impl Horizon {
    /// Everything may be read, or nothing yet.
    pub(super) fn new(is_running: bool) -> Self {
        let state = if is_running { (0, false) } else { (u64::MAX, true) };
        Self { state: Mutex::new(state), moved: Condvar::new() }
    }

    /// Everything before this position may be read.
    pub(super) fn raise(&self, position: u64) {
        let mut state = self.state.lock();
        state.0 = state.0.max(position);
        self.moved.notify_all();
    }

    /// It stays where it is from now on.
    pub(super) fn close(&self) {
        self.state.lock().1 = true;
        self.moved.notify_all();
    }

    /// Waits until something behind `position` may be read; false: never again.
    pub(super) fn reaches_beyond(&self, position: u64) -> bool {
        let mut state = self.state.lock();
        self.moved.wait_while(&mut state, |(limit, is_final)| *limit <= position && !*is_final);
        state.0 > position
    }
}

/// Closes a horizon, whatever else happens.
pub(super) struct Closing<'a>(pub(super) &'a Horizon);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Waits for a log that must go on.
#[derive(Default)]
pub(super) struct Patience(Option<Instant>);

impl Patience {
    /// It went on.
    pub(super) fn renew(&mut self) {
        self.0 = None;
    }

    /// Waits a little, unless it was too long.
    pub(super) fn wait(&mut self, walker: &Walker<'_>) -> Result<(), Failure> {
        if self.0.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            return Err(Failure::Stuck { position: walker.walk.end });
        }
        // tidy: allow(sleep) a file tells nobody that it has grown
        std::thread::sleep(PAUSE);
        Ok(())
    }
}
