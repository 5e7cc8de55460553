//! Where the store's rows come from: its files, or the shop that runs on them.

use super::super::{Failure, scratch::Scratch};
use jupan_schemas::Lane;
use jupan_store::{
    Bookmark, LaneProgress, Portion,
    embedded::{Sighting, Snapshot},
};
use std::path::Path;

/// Tells the store's rows.
pub(in super::super) trait Source: Send {
    /// What it is, for the report.
    fn name(&self) -> &'static str;

    /// Whether the rows move while they are told.
    fn is_running(&self) -> bool;

    /// How far each lane is.
    fn progress(&mut self) -> Result<Vec<LaneProgress>, Failure>;

    /// The next portion of everything that is stored, or why it cannot be read on.
    fn portion(&mut self, from: Option<&Bookmark>) -> Result<Result<Portion, String>, Failure>;

    /// Up to which offset each lane's journal is durable by now; `None` where nobody writes.
    fn durable(&mut self) -> Result<Option<Vec<(Lane, u64)>>, Failure>;
}

/// What was found where the rows should be.
pub(in super::super) enum Rows {
    /// None: the next start makes them from the journals.
    None(&'static str),
    /// Some that nobody can read, though they should be fine.
    Broken(String),
    /// These.
    From(Box<dyn Source>),
}

/// The store's files, while no shop runs.
struct AtRest {
    snapshot: Snapshot,
    _scratch: Scratch,
}

/// Looks at a store that nobody has open.
pub(in super::super) fn at_rest(data: &Path) -> Result<Rows, Failure> {
    let scratch = Scratch::below(&std::env::temp_dir())?;
    let sighting = Snapshot::open(&data.join("store"), scratch.path());
    let sighting = sighting.map_err(|source| Failure::Store { source })?;
    Ok(match sighting {
        Sighting::None => Rows::None("there is no store yet"),
        Sighting::Condemned(_) => Rows::None("the next start makes the store anew"),
        Sighting::Unusable(cause) => Rows::Broken(cause),
        Sighting::Store(snapshot) => Rows::From(Box::new(AtRest { snapshot, _scratch: scratch })),
    })
}

impl Source for AtRest {
    fn name(&self) -> &'static str {
        "the directory"
    }

    fn is_running(&self) -> bool {
        false
    }

    fn progress(&mut self) -> Result<Vec<LaneProgress>, Failure> {
        Ok(self.snapshot.progress())
    }

    fn portion(&mut self, from: Option<&Bookmark>) -> Result<Result<Portion, String>, Failure> {
        Ok(self.snapshot.scan(from).map_err(|error| error.to_string()))
    }

    fn durable(&mut self) -> Result<Option<Vec<(Lane, u64)>>, Failure> {
        Ok(None)
    }
}
