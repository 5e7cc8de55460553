//! What a disk holds: what processes see, what is durable, and the changes between the two.

use super::random::Random;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A path as bytes: cheap to compare, and what is in a directory lies together.
pub(super) type Key = Vec<u8>;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Dir,
    File(usize),
}

pub(super) type Names = BTreeMap<Key, Entry>;

/// A file, whatever its names are.
#[derive(Clone, Default)]
pub(super) struct Node {
    pub(super) seen: Arc<Vec<u8>>,
    pub(super) durable: Arc<Vec<u8>>,
    /// A sync failed: processes may see what will never be durable.
    is_doomed: bool,
}

/// A change that no sync has covered yet.
pub(super) struct Change {
    /// Of the operation that made it.
    pub(super) number: u64,
    pub(super) what: What,
}

pub(super) enum What {
    Write { node: usize, place: usize, bytes: Vec<u8> },
    Names { dir: Key, edits: Vec<(Key, Option<Entry>)> },
}

/// Operations after which the system writes a change back by itself.
const WRITTEN_BACK_AFTER: u64 = 200;

/// See the module. Clones share what neither changes.
#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) names: Arc<Names>,
    pub(super) durable_names: Arc<Names>,
    pub(super) nodes: Arc<Vec<Node>>,
    /// In the order in which they were made.
    pub(super) pending: Vec<Arc<Change>>,
}

pub(super) fn key(path: &Path) -> Key {
    path.as_os_str().as_encoded_bytes().to_vec()
}

fn path(key: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(key).into_owned())
}

/// The directory that a name is in; an empty one is always there.
pub(super) fn parent(key: &[u8]) -> &[u8] {
    let slash = key.iter().rposition(|byte| *byte == b'/');
    slash.map_or(&[], |slash| &key[..slash])
}

fn is_root(dir: &[u8]) -> bool {
    matches!(dir, b"" | b"." | b"/")
}

/// Lays bytes over a file, which grows if it has to.
pub(super) fn lay_over(file: &mut Vec<u8>, place: usize, bytes: &[u8]) {
    let end = place + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[place..end].copy_from_slice(bytes);
}

fn apply(names: &mut Names, edits: &[(Key, Option<Entry>)]) {
    for (key, entry) in edits {
        match entry {
            Some(entry) => names.insert(key.clone(), *entry),
            None => names.remove(key),
        };
    }
}

impl State {
    pub(super) fn entry(&self, key: &[u8]) -> Option<Entry> {
        if is_root(key) { Some(Entry::Dir) } else { self.names.get(key).copied() }
    }

    pub(super) fn is_dir(&self, key: &[u8]) -> bool {
        self.entry(key) == Some(Entry::Dir)
    }

    pub(super) fn file(&self, key: &[u8]) -> Option<usize> {
        match self.entry(key)? {
            Entry::File(node) => Some(node),
            Entry::Dir => None,
        }
    }

    /// The name that a file has now.
    pub(super) fn name_of(&self, node: usize) -> PathBuf {
        let found = self.names.iter().find(|(_, entry)| **entry == Entry::File(node));
        found.map_or_else(PathBuf::new, |(name, _)| path(name))
    }

    pub(super) fn seen(&self, node: usize) -> &[u8] {
        self.nodes.get(node).map_or(&[], |node| &node.seen)
    }

    pub(super) fn list(&self, dir: &[u8]) -> io::Result<Vec<PathBuf>> {
        if !self.is_dir(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let names = self.below(dir).filter(|(name, _)| parent(name) == dir);
        Ok(names.map(|(name, _)| path(name)).collect())
    }

    pub(super) fn files_below(&self, dir: &[u8]) -> Vec<PathBuf> {
        let files = self.below(dir).filter(|(_, entry)| matches!(entry, Entry::File(_)));
        files.map(|(name, _)| path(name)).collect()
    }

    fn below(&self, dir: &[u8]) -> impl Iterator<Item = (&Key, &Entry)> {
        let prefix = [dir, b"/"].concat();
        let from = self.names.range(prefix.clone()..);
        from.take_while(move |(name, _)| name.starts_with(&prefix))
    }

    /// Changes names of one directory together.
    pub(super) fn name(
        &mut self,
        dir: Key,
        edits: Vec<(Key, Option<Entry>)>,
        number: u64,
    ) -> io::Result<()> {
        if !self.is_dir(&dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        apply(Arc::make_mut(&mut self.names), &edits);
        self.pending.push(Arc::new(Change { number, what: What::Names { dir, edits } }));
        Ok(())
    }

    pub(super) fn create(&mut self, key: Key, number: u64) -> io::Result<usize> {
        let node = self.nodes.len();
        self.name(parent(&key).to_vec(), vec![(key, Some(Entry::File(node)))], number)?;
        Arc::make_mut(&mut self.nodes).push(Node::default());
        Ok(node)
    }

    pub(super) fn rename(&mut self, from: &Key, to: Key, number: u64) -> io::Result<()> {
        let node = self.file(from).ok_or(io::ErrorKind::NotFound)?;
        let edits = vec![(from.clone(), None), (to, Some(Entry::File(node)))];
        self.name(parent(from).to_vec(), edits, number)
    }

    pub(super) fn remove(&mut self, key: Key, number: u64) -> io::Result<()> {
        self.file(&key).ok_or(io::ErrorKind::NotFound)?;
        self.name(parent(&key).to_vec(), vec![(key, None)], number)
    }

    pub(super) fn write(
        &mut self,
        node: usize,
        bytes: &[u8],
        place: u64,
        number: u64,
    ) -> io::Result<()> {
        let place = usize::try_from(place).map_err(io::Error::other)?;
        if let Some(node) = Arc::make_mut(&mut self.nodes).get_mut(node) {
            lay_over(Arc::make_mut(&mut node.seen), place, bytes);
        }
        let what = What::Write { node, place, bytes: bytes.to_vec() };
        self.pending.push(Arc::new(Change { number, what }));
        Ok(())
    }

    pub(super) fn sync(&mut self, synced: usize) {
        self.settle(|what| matches!(what, What::Write { node, .. } if *node == synced));
        if let Some(node) = Arc::make_mut(&mut self.nodes).get_mut(synced)
            && !node.is_doomed
        {
            // The same bytes, in one copy.
            node.durable = node.seen.clone();
        }
    }

    pub(super) fn sync_dir(&mut self, synced: &[u8]) -> io::Result<()> {
        if !self.is_dir(synced) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let is_same = |dir: &[u8]| dir == synced || (is_root(dir) && is_root(synced));
        self.settle(|what| matches!(what, What::Names { dir, .. } if is_same(dir)));
        Ok(())
    }

    /// What was changed long ago is durable by now.
    pub(super) fn write_back(&mut self, number: u64) {
        let is_old = |change: &Arc<Change>| change.number + WRITTEN_BACK_AFTER < number;
        while self.pending.first().is_some_and(is_old) {
            let oldest = self.pending.remove(0);
            self.make_durable(&oldest.what);
        }
    }

    /// Makes the changes of this kind durable.
    fn settle(&mut self, is_covered: impl Fn(&What) -> bool) {
        let pending = std::mem::take(&mut self.pending);
        let (covered, left): (Vec<_>, Vec<_>) =
            pending.into_iter().partition(|change| is_covered(&change.what));
        self.pending = left;
        covered.iter().for_each(|change| self.make_durable(&change.what));
    }

    fn make_durable(&mut self, what: &What) {
        match what {
            What::Write { node, place, bytes } => {
                if let Some(node) = Arc::make_mut(&mut self.nodes).get_mut(*node) {
                    lay_over(Arc::make_mut(&mut node.durable), *place, bytes);
                }
            }
            What::Names { edits, .. } => apply(Arc::make_mut(&mut self.durable_names), edits),
        }
    }

    /// A sync of the file failed: each of its writes is durable, or never will be.
    pub(super) fn doom(&mut self, doomed: usize, random: &mut Random) {
        if let Some(node) = Arc::make_mut(&mut self.nodes).get_mut(doomed) {
            node.is_doomed = true;
        }
        for change in std::mem::take(&mut self.pending) {
            let is_of_file = matches!(&change.what, What::Write { node, .. } if *node == doomed);
            if !is_of_file {
                self.pending.push(change);
            } else if random.one_in(2) {
                self.make_durable(&change.what);
            }
        }
    }

    /// A sync of the directory failed: each of its changes is durable, or waits for the next one.
    pub(super) fn settle_some(&mut self, synced: &[u8], random: &mut Random) {
        for change in std::mem::take(&mut self.pending) {
            let is_of_dir = matches!(&change.what, What::Names { dir, .. } if dir == synced);
            if is_of_dir && random.one_in(2) {
                self.make_durable(&change.what);
            } else {
                self.pending.push(change);
            }
        }
    }

    /// What nobody wrote: it is there, and durable.
    pub(super) fn put(&mut self, key: Key, bytes: &[u8]) {
        let bytes = Arc::new(bytes.to_vec());
        let nodes = Arc::make_mut(&mut self.nodes);
        nodes.push(Node { seen: bytes.clone(), durable: bytes, is_doomed: false });
        let entry = Entry::File(nodes.len() - 1);
        Arc::make_mut(&mut self.names).insert(key.clone(), entry);
        Arc::make_mut(&mut self.durable_names).insert(key, entry);
    }

    pub(super) fn take_away(&mut self, key: &[u8]) {
        Arc::make_mut(&mut self.names).remove(key);
        Arc::make_mut(&mut self.durable_names).remove(key);
    }

    /// What is left when everything but the durable is lost.
    pub(super) fn restarted(mut names: Names, nodes: Vec<Arc<Vec<u8>>>) -> Self {
        let present = names.clone();
        // Nothing is left of a directory whose own name is lost.
        names.retain(|name, _| {
            let mut dir = parent(name);
            while !is_root(dir) {
                if !present.contains_key(dir) {
                    return false;
                }
                dir = parent(dir);
            }
            true
        });
        let node =
            |bytes: Arc<Vec<u8>>| Node { seen: bytes.clone(), durable: bytes, is_doomed: false };
        let names = Arc::new(names);
        Self {
            names: names.clone(),
            durable_names: names,
            nodes: Arc::new(nodes.into_iter().map(node).collect()),
            pending: Vec::new(),
        }
    }
}
