//! The log without its thread, for tests: whoever drives it makes the writer's steps, so that one
//! thread decides what happens when, and a run follows from its seed.

use super::files::FileError;
use super::shared::Work;
use super::state::Unit;
use super::writer::Writer;
use super::{EmbeddedLog, OpenError, Options, start};
use crate::Clock;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// A log whose writes and syncs happen in [`Stepped::write`], [`Stepped::idle`] and
/// [`Stepped::close`], and nowhere else. Whoever waits for one on the same thread waits for ever.
pub struct Stepped {
    log: Arc<EmbeddedLog>,
    writer: Writer,
    group: VecDeque<Unit>,
}

impl Stepped {
    /// Opens the log in a directory; see [`EmbeddedLog::open`].
    ///
    /// # Errors
    /// [`OpenError`]; also where only the writer's first step fails.
    pub fn open(dir: &Path, options: Options, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let (shared, mut writer, lock) = start(dir, options, clock)?;
        writer.begin()?;
        let log = EmbeddedLog::running(shared, None, lock);
        Ok(Self { log, writer, group: VecDeque::new() })
    }

    /// The log, for everybody else.
    pub fn log(&self) -> &Arc<EmbeddedLog> {
        &self.log
    }

    /// Writes and syncs the next group, and tells who waits for it. Whether there was one.
    pub fn write(&mut self) -> bool {
        self.write_first(usize::MAX)
    }

    /// As [`Stepped::write`], with at most so many appends and commits: as if the others had come
    /// while the writer was busy.
    pub fn write_first(&mut self, units_max: usize) -> bool {
        let has_group = self.log.shared.take_group(&mut self.group, units_max);
        has_group && self.carry_out(&Work::Group)
    }

    /// Marks what was written, as the log does after some idleness.
    pub fn idle(&mut self) {
        self.carry_out(&Work::Mark);
    }

    /// Ends as [`EmbeddedLog::close`] does: what was taken is written, synced and marked.
    pub fn close(mut self) {
        self.log.shared.close();
        while self.write() {}
        self.carry_out(&Work::End);
        self.log.close();
    }

    /// Nothing happens any more once the log has failed.
    fn carry_out(&mut self, work: &Work) -> bool {
        if self.log.shared.has_failed() {
            return false;
        }
        let done: Result<ControlFlow<()>, FileError> = self.writer.carry_out(work, &mut self.group);
        if let Err(error) = &done {
            self.log.shared.fail(&error.told());
        }
        done.is_ok()
    }
}
