//! The one thread that writes to disk: every so often, earlier when many rows wait, and when it is
//! asked to.

use super::{
    Rows,
    disk::{Batch, DiskError},
    shard::Unsaved,
};
use crate::{StoreError, embedded::Options, limits::ROOM_WAIT_MAX};
use jupan_schemas::rows::Row;
use parking_lot::{Condvar, Mutex};
use std::{
    io,
    sync::{Arc, atomic::Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// What the thread is to do, and how far it is.
#[derive(Default)]
struct Agenda {
    /// Flushes asked for and done: the latter never lags behind by more than those that wait.
    wanted: u64,
    done: u64,
    /// Many rows wait.
    is_urgent: bool,
    ending: Option<Ending>,
    has_ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Everything goes to disk first.
    Drain,
    /// As if the process was killed.
    #[cfg(any(test, feature = "conformance"))]
    Kill,
}

struct Desk {
    agenda: Mutex<Agenda>,
    /// The thread has something to do.
    work: Condvar,
    /// The thread has done something.
    progress: Condvar,
    /// Held during a flush; tests hold it to stall the disk.
    gate: Mutex<()>,
}

/// Starts, asks and ends the thread.
pub(super) struct Flusher {
    rows: Arc<Rows>,
    desk: Arc<Desk>,
    unsaved_rows_max: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Flusher {
    pub(super) fn start(rows: Arc<Rows>, options: &Options) -> io::Result<Self> {
        let desk = Arc::new(Desk {
            agenda: Mutex::default(),
            work: Condvar::new(),
            progress: Condvar::new(),
            gate: Mutex::new(()),
        });
        let interval = Duration::from_millis(options.flush_interval_ms.max(1));
        let thread = thread::Builder::new().name("jupan-store".into()).spawn({
            let (rows, desk) = (Arc::clone(&rows), Arc::clone(&desk));
            move || run(&rows, &desk, interval)
        })?;
        let thread = Mutex::new(Some(thread));
        Ok(Self { rows, desk, unsaved_rows_max: options.dirty_rows_max.max(1), thread })
    }

    /// Waits until less than twice the limit is not on disk.
    pub(super) fn wait_for_room(&self) -> Result<(), StoreError> {
        let mut deadline = None;
        loop {
            self.check("apply rows")?;
            if self.rows.unsaved.load(Ordering::Relaxed) < 2 * self.unsaved_rows_max {
                return Ok(());
            }
            let now = Instant::now();
            let deadline = *deadline.get_or_insert(now + ROOM_WAIT_MAX);
            if now >= deadline {
                let cause = format!("the disk took no rows for {} s", ROOM_WAIT_MAX.as_secs());
                return Err(StoreError::Broken { doing: "apply rows", cause });
            }
            let mut agenda = self.desk.agenda.lock();
            agenda.is_urgent = true;
            self.desk.work.notify_one();
            self.desk
                .progress
                .wait_until(&mut agenda, deadline.min(now + Duration::from_millis(50)));
        }
    }

    /// Wakes the thread when so much waits that it is urgent.
    pub(super) fn added(&self) {
        if self.rows.unsaved.load(Ordering::Relaxed) > self.unsaved_rows_max / 4 * 3 {
            self.desk.agenda.lock().is_urgent = true;
            self.desk.work.notify_one();
        }
    }

    /// Waits until everything that is applied by now is on disk.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        let mut agenda = self.desk.agenda.lock();
        agenda.wanted += 1;
        let ticket = agenda.wanted;
        self.desk.work.notify_one();
        while agenda.done < ticket && !agenda.has_ended {
            self.desk.progress.wait(&mut agenda);
        }
        let is_done = agenda.done >= ticket;
        drop(agenda);
        if is_done { Ok(()) } else { self.check("flush") }
    }

    /// Brings everything to disk and ends the thread.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        self.end(Ending::Drain);
        match self.rows.failure.get() {
            Some(cause) => Err(StoreError::Broken { doing: "close", cause: cause.clone() }),
            None => Ok(()),
        }
    }

    #[cfg(any(test, feature = "conformance"))]
    pub(super) fn kill(&self) {
        self.end(Ending::Kill);
    }

    #[cfg(any(test, feature = "conformance"))]
    pub(super) fn stall(&self) -> parking_lot::MutexGuard<'_, ()> {
        self.desk.gate.lock()
    }

    fn end(&self, ending: Ending) {
        self.desk.agenda.lock().ending.get_or_insert(ending);
        self.desk.work.notify_one();
        // The lock is held while joining, so that nobody else returns before it is over. A panic
        // was noted already.
        if let Some(thread) = self.thread.lock().take() {
            thread.join().ok();
        }
    }

    fn check(&self, doing: &'static str) -> Result<(), StoreError> {
        if let Some(cause) = self.rows.failure.get() {
            return Err(StoreError::Broken { doing, cause: cause.clone() });
        }
        let agenda = self.desk.agenda.lock();
        if agenda.ending.is_some() || agenda.has_ended {
            return Err(StoreError::Broken { doing, cause: "it is closed".into() });
        }
        Ok(())
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.end(Ending::Drain);
    }
}

/// The thread.
fn run(rows: &Rows, desk: &Desk, interval: Duration) {
    let _ended = Ended { rows, desk };
    loop {
        let mut agenda = desk.agenda.lock();
        let is_due = |agenda: &Agenda| {
            agenda.is_urgent || agenda.ending.is_some() || agenda.done < agenda.wanted
        };
        if !is_due(&agenda) {
            desk.work.wait_for(&mut agenda, interval);
        }
        let (ending, ticket) = (agenda.ending, agenda.wanted);
        agenda.is_urgent = false;
        drop(agenda);
        #[cfg(any(test, feature = "conformance"))]
        if ending == Some(Ending::Kill) {
            return;
        }
        let open_gate = desk.gate.lock();
        if let Err(error) = rows.flush() {
            rows.broken("write rows", &error);
            return;
        }
        drop(open_gate);
        desk.agenda.lock().done = ticket;
        desk.progress.notify_all();
        if ending.is_some() {
            return;
        }
    }
}

/// Tells whoever waits that the thread is gone, whatever the reason.
struct Ended<'a> {
    rows: &'a Rows,
    desk: &'a Desk,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.rows.broken("write rows", &DiskError::Panicked);
        }
        self.desk.agenda.lock().has_ended = true;
        self.desk.progress.notify_all();
    }
}

impl Rows {
    /// Brings what is hot to disk, with the watermarks of the moment before.
    fn flush(&self) -> Result<(), DiskError> {
        let watermarks = self.lanes.watermarks();
        if self.unsaved.load(Ordering::Relaxed) == 0 && self.lanes.unsaved(&watermarks).is_empty() {
            return Ok(());
        }
        let taken: Vec<_> = self.shards.iter().map(|shard| shard.lock().take()).collect();
        let lanes = self.lanes.unsaved(&watermarks);
        let mut batch =
            self.disk.batch(lanes.len() + taken.iter().map(|rows| rows.keys()).sum::<usize>());
        taken.iter().try_for_each(|rows| write(rows, &mut batch))?;
        lanes.iter().try_for_each(|(lane, row)| batch.put_lane(*lane, row))?;
        batch.commit()?;
        self.lanes.saved(&lanes);
        let weight: usize = taken.iter().map(|rows| rows.weight).sum();
        for (shard, taken) in self.shards.iter().zip(taken) {
            drop(taken);
            let outworn = shard.lock().settle();
            if let Some(outworn) = outworn {
                let emptied = outworn.emptied();
                shard.lock().reuse(emptied);
            }
        }
        self.unsaved.fetch_sub(weight, Ordering::Relaxed);
        Ok(())
    }
}

/// Adds the rows to a batch.
pub(super) fn write(rows: &Unsaved, batch: &mut Batch<'_>) -> Result<(), DiskError> {
    for (key, slot) in &rows.rows {
        match &slot.row {
            Row::Hold(hold) if hold.end.is_some() => {
                if !slot.is_new {
                    batch.remove_hold(hold);
                }
            }
            row => batch.put_row(*key, row)?,
        }
        if let Row::Order(order) = &slot.row {
            batch.list_order(order);
            if order.is_pending() {
                batch.open_order(order);
            } else if !slot.is_new {
                batch.close_order(order);
            }
        }
    }
    rows.statement.iter().try_for_each(|(_, _, row)| batch.put_statement(row))
}
