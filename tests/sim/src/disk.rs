//! A directory in memory that can lose power: contents are synced when they are written, names only
//! when somebody syncs the directory.

use crate::random::Random;
use jupan_analytics::{FileError, Files};
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What one operation makes of names: each has these bytes from then on, or is gone.
type Change = Vec<(String, Option<Vec<u8>>)>;

#[derive(Default)]
struct State {
    durable: BTreeMap<String, Vec<u8>>,
    /// Seen by everybody, and not yet durable.
    unsynced: Vec<Change>,
    /// Operations until one fails; 0: none fails.
    fails_in: u64,
    failed: u64,
}

fn apply(files: &mut BTreeMap<String, Vec<u8>>, change: &Change) {
    for (name, bytes) in change {
        match bytes {
            Some(bytes) => drop(files.insert(name.clone(), bytes.clone())),
            None => drop(files.remove(name)),
        }
    }
}

impl State {
    fn visible(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = self.durable.clone();
        self.unsynced.iter().for_each(|change| apply(&mut files, change));
        files
    }

    fn check(&mut self, action: &'static str, name: &str) -> Result<(), FileError> {
        let left = self.fails_in;
        self.fails_in = left.saturating_sub(1);
        if left != 1 {
            return Ok(());
        }
        self.failed += 1;
        let source = io::Error::new(io::ErrorKind::StorageFull, "a fault was asked for");
        Err(FileError { action, path: name.into(), source })
    }
}

/// See the module. Its copies are the same directory.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the n-th next operation fail, from 1; 0: none.
    pub(crate) fn fail(&self, nth: u64) {
        self.state().fails_in = nth;
    }

    /// Operations that failed since the last time this was asked.
    pub(crate) fn take_failed(&self) -> u64 {
        std::mem::take(&mut self.state().failed)
    }

    /// The power fails: of what is not durable, any part may be there.
    pub(crate) fn crash(&self, random: &mut Random) {
        let State { durable, unsynced, .. } = &mut *self.state();
        for change in unsynced.drain(..) {
            if random.one_in(2) {
                apply(durable, &change);
            }
        }
    }
}

impl Files for Disk {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FileError> {
        Ok(self.state().visible().remove(name))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FileError> {
        let mut state = self.state();
        let written = state.check("write", name);
        // One that fails may leave a part behind.
        let bytes = if written.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        state.unsynced.push(vec![(name.to_owned(), Some(bytes.to_vec()))]);
        written
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), FileError> {
        let mut state = self.state();
        state.check("replace", to)?;
        let bytes = state.visible().remove(from);
        state.unsynced.push(vec![(from.to_owned(), None), (to.to_owned(), bytes)]);
        Ok(())
    }

    fn sync(&self) -> Result<(), FileError> {
        let mut state = self.state();
        state.check("sync", "")?;
        let State { durable, unsynced, .. } = &mut *state;
        unsynced.drain(..).for_each(|change| apply(durable, &change));
        Ok(())
    }

    fn remove_others(&self, keep: &dyn Fn(&str) -> bool) -> Result<(), FileError> {
        let mut state = self.state();
        let others: Vec<String> = state.visible().into_keys().filter(|name| !keep(name)).collect();
        for name in others {
            state.check("remove", &name)?;
            state.unsynced.push(vec![(name, None)]);
        }
        Ok(())
    }
}
