//! What every handle of an open log shares: the state, who waits for it, the segments, the
//! subscribers.

use super::OnFailure;
use super::catalog::{Catalog, Wanted};
use super::record::Draft;
use super::state::{Phase, Pushed, State, Unit, View, Visible, decode};
use crate::answers::Answers;
use crate::layout::{Layout, Slot};
use crate::limits::GROUP_BYTES;
use crate::{Clock, LogRecord, ReadLimit};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

pub(crate) struct Shared {
    pub(crate) layout: Layout,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) catalog: Catalog,
    pub(crate) answers: Arc<Answers>,
    pub(crate) queue_bytes_max: usize,
    pub(crate) mark_after: Duration,
    state: Mutex<State>,
    /// The writer waits here for units.
    work: Condvar,
    /// Commits wait here for room in the queue.
    room: Condvar,
    lanes: Vec<LaneSignal>,
    /// Counts syncs; readers wait here.
    syncs: Mutex<u64>,
    synced: Condvar,
    on_failure: Option<OnFailure>,
}

/// Wakes one lane's thread; a wake that comes before the wait is kept.
#[derive(Default)]
pub(crate) struct LaneSignal {
    is_woken: Mutex<bool>,
    woken: Condvar,
    /// Highest ticket of this lane that is durable.
    pub(crate) durable: AtomicU64,
}

impl LaneSignal {
    fn wake(&self) {
        *self.is_woken.lock() = true;
        self.woken.notify_one();
    }

    pub(crate) fn wait_until(&self, deadline: Option<Instant>) {
        let mut is_woken = self.is_woken.lock();
        match deadline {
            Some(deadline) => {
                self.woken.wait_while_until(&mut is_woken, |is_woken| !*is_woken, deadline);
            }
            None => self.woken.wait_while(&mut is_woken, |is_woken| !*is_woken),
        }
        *is_woken = false;
    }
}

/// What the writer does next.
pub(crate) enum Work {
    /// Write the group.
    Group,
    /// Prove what was written.
    Mark,
    /// Nothing comes any more.
    End,
}

/// Everything that a [`Shared`] is made from.
pub(crate) struct Parts {
    pub(crate) layout: Layout,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) catalog: Catalog,
    pub(crate) state: State,
    pub(crate) queue_bytes_max: usize,
    pub(crate) results_max: usize,
    pub(crate) mark_after: Duration,
    pub(crate) on_failure: Option<OnFailure>,
}

/// Moves units into a group until it is large enough.
fn fill(group: &mut VecDeque<Unit>, state: &mut State, units_max: usize) {
    let mut bytes = 0;
    while bytes < GROUP_BYTES
        && group.len() < units_max
        && let Some(unit) = state.queue.pop_front()
    {
        bytes += unit.bytes.len();
        group.push_back(unit);
    }
}

thread_local! {
    /// The sync that this thread's last wait saw.
    static SEEN_SYNC: Cell<u64> = const { Cell::new(0) };
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Self {
        let lanes = parts.state.owned.iter().map(|_| LaneSignal::default()).collect();
        Self {
            layout: parts.layout,
            clock: parts.clock,
            catalog: parts.catalog,
            answers: Answers::new(parts.results_max, false),
            queue_bytes_max: parts.queue_bytes_max,
            mark_after: parts.mark_after,
            state: Mutex::new(parts.state),
            work: Condvar::new(),
            room: Condvar::new(),
            lanes,
            syncs: Mutex::new(0),
            synced: Condvar::new(),
            on_failure: parts.on_failure,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(crate) fn lane(&self, index: usize) -> &LaneSignal {
        &self.lanes[index]
    }

    /// Numbers a unit and wakes who waits for it.
    pub(crate) fn push(
        &self,
        mut state: MutexGuard<'_, State>,
        draft: Draft,
        is_commit: bool,
        waiter: Option<oneshot::Sender<()>>,
    ) -> Pushed {
        let pushed = state.push(draft, self.clock.now(), is_commit);
        if let Some(waiter) = waiter {
            state.waiters.push_back((pushed.ticket, waiter));
        }
        drop(state);
        if pushed.wake_writer {
            self.work.notify_one();
        }
        pushed.wake.iter().for_each(|lane| self.lanes[*lane].wake());
        pushed
    }

    /// Numbers a lane's commit; its ticket becomes the lane's durable one when it is synced.
    pub(crate) fn push_commit(
        &self,
        mut state: MutexGuard<'_, State>,
        draft: Draft,
        lane: usize,
    ) -> u64 {
        let ticket = state.next_ticket();
        let owned = &mut state.owned[lane];
        owned.last_ticket = ticket;
        owned.unsynced.push_back(ticket);
        self.push(state, draft, true, None).ticket
    }

    /// Wakes whoever waits on behalf of a lane, so that it sees that the lane has another owner.
    pub(crate) fn wake_lane(&self, lane: usize) {
        self.lanes[lane].wake();
        self.room.notify_all();
    }

    /// Waits until the queue has room for a commit. The caller must look at the state again
    /// afterwards.
    pub(crate) fn wait_for_room(&self, state: &mut MutexGuard<'_, State>) {
        state.commits_waiting += 1;
        self.room.wait(state);
        state.commits_waiting -= 1;
    }

    /// Takes the next group from the queue. `is_marked`: nothing written waits for its proof.
    pub(crate) fn next_work(&self, group: &mut VecDeque<Unit>, is_marked: bool) -> Work {
        let mut state = self.state.lock();
        let idle_until = Instant::now() + self.mark_after;
        while state.queue.is_empty() {
            if state.phase != Phase::Open {
                return Work::End;
            }
            state.writer_waits = true;
            if is_marked {
                self.work.wait(&mut state);
            } else if self.work.wait_until(&mut state, idle_until).timed_out() {
                break;
            }
        }
        state.writer_waits = false;
        fill(group, &mut state, usize::MAX);
        if group.is_empty() { Work::Mark } else { Work::Group }
    }

    /// Takes the next group from the queue, if there is one.
    #[cfg(any(test, feature = "conformance"))]
    pub(crate) fn take_group(&self, group: &mut VecDeque<Unit>, units_max: usize) -> bool {
        fill(group, &mut self.state.lock(), units_max);
        !group.is_empty()
    }

    /// Whether nothing is written any more.
    #[cfg(any(test, feature = "conformance"))]
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Failed(_))
    }

    /// Tells everybody that all units up to this ticket are durable.
    pub(crate) fn synced(&self, ticket: u64, bytes: usize) {
        let mut state = self.state.lock();
        let told = state.synced(ticket, bytes);
        let mut wake = Vec::new();
        for (lane, owned) in state.owned.iter_mut().enumerate() {
            let covered = owned.unsynced.partition_point(|unsynced| *unsynced <= ticket);
            let Some(durable) = owned.unsynced.drain(..covered).next_back() else { continue };
            self.lanes[lane].durable.store(durable, Ordering::Release);
            if std::mem::take(&mut owned.waits) {
                wake.push(lane);
            }
        }
        let has_room = state.commits_waiting > 0;
        drop(state);
        if has_room {
            self.room.notify_all();
        }
        for waiter in told {
            // One that no longer listens was cancelled; its record stays.
            let _ = waiter.send(());
        }
        wake.into_iter().for_each(|lane| self.lanes[lane].wake());
        self.wake_readers();
    }

    fn wake_readers(&self) {
        *self.syncs.lock() += 1;
        self.synced.notify_all();
    }

    /// Waits for a sync later than the last one that this thread knew of.
    pub(crate) fn wait_for_sync(&self, wait: Duration) {
        let seen = SEEN_SYNC.get();
        let mut syncs = self.syncs.lock();
        if *syncs == seen {
            self.synced.wait_while_for(&mut syncs, |syncs| *syncs == seen, wait);
        }
        SEEN_SYNC.set(*syncs);
    }

    /// Takes no more; the writer ends when the queue is written.
    pub(crate) fn close(&self) {
        self.end(Phase::Closed);
    }

    /// Takes no more, ever: whether anything that waits was written is unknown.
    pub(crate) fn fail(&self, cause: &str) {
        tracing::error!(cause, "the log cannot be written; it stays as it is until a restart");
        let is_news = self.end(Phase::Failed(cause.to_owned()));
        if let Some(hook) = self.on_failure.as_ref().filter(|_| is_news) {
            hook(cause);
        }
    }

    /// Whether the log had not failed before.
    fn end(&self, phase: Phase) -> bool {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Failed(_)) {
            return false;
        }
        let has_failed = phase != Phase::Closed;
        state.phase = phase;
        // Dropping a waiter tells it that the outcome is unknown.
        let waiters = if has_failed { std::mem::take(&mut state.waiters) } else { VecDeque::new() };
        drop(state);
        drop(waiters);
        self.work.notify_all();
        self.room.notify_all();
        self.lanes.iter().for_each(LaneSignal::wake);
        self.wake_readers();
        true
    }

    /// Records of a slot, from memory or from the segments.
    pub(crate) fn read(
        &self,
        slot: Slot,
        from: u64,
        limit: ReadLimit,
        visible: Visible,
    ) -> Result<Vec<LogRecord>, String> {
        let view = self.state.lock().view(slot, from, limit, visible);
        self.resolve(view, slot, from, limit)
    }

    /// Fetches what a view found.
    pub(crate) fn resolve(
        &self,
        view: View,
        slot: Slot,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Vec<LogRecord>, String> {
        match view {
            View::Nothing => Ok(Vec::new()),
            View::Memory(found) => decode(self.layout, &found)
                .ok_or_else(|| format!("offset {from} cannot be decoded in memory")),
            View::Segments(until) => {
                let wanted = Wanted { slot, from, until, limit };
                self.catalog.read(wanted).map_err(|error| error.to_string())
            }
        }
    }
}
