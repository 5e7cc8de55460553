//! The rows of a running shop, as it tells them itself.

use super::{
    super::Failure,
    source::{Rows, Source},
};
use crate::inspection::{Answer, Question, ask};
use jupan_schemas::Lane;
use jupan_store::{Bookmark, LaneProgress, Portion};
use std::path::{Path, PathBuf};

/// A running shop.
struct Running {
    data: PathBuf,
    /// Which start of it.
    start: i64,
}

/// Asks the shop that runs on a directory.
pub(in super::super) fn running(data: &Path) -> Result<Rows, Failure> {
    let mut shop = Running { data: data.to_owned(), start: 0 };
    let (start, ..) = shop.ask_progress()?;
    shop.start = start;
    Ok(Rows::From(Box::new(shop)))
}

type Progress = (i64, Vec<LaneProgress>, Vec<(Lane, u64)>);

impl Running {
    fn ask(&self, question: &Question) -> Result<Answer, Failure> {
        ask(&self.data, question)
            .map_err(|source| Failure::Silent { data: self.data.clone(), source })
    }

    fn ask_progress(&self) -> Result<Progress, Failure> {
        match self.ask(&Question::Progress)? {
            Answer::Progress { start, lanes, journals } => Ok((start, lanes, journals)),
            other => Err(Failure::Unhelpful { said: format!("{other:?}") }),
        }
    }

    fn progress_of_this_start(&self) -> Result<Progress, Failure> {
        let progress = self.ask_progress()?;
        if progress.0 == self.start { Ok(progress) } else { Err(Failure::Restarted) }
    }
}

impl Source for Running {
    fn name(&self) -> &'static str {
        "the running shop"
    }

    fn is_running(&self) -> bool {
        true
    }

    fn progress(&mut self) -> Result<Vec<LaneProgress>, Failure> {
        Ok(self.progress_of_this_start()?.1)
    }

    fn portion(&mut self, from: Option<&Bookmark>) -> Result<Result<Portion, String>, Failure> {
        match self.ask(&Question::Portion(from.cloned()))? {
            Answer::Portion(portion) => Ok(Ok(portion)),
            Answer::Failed(cause) => Ok(Err(cause)),
            other => Err(Failure::Unhelpful { said: format!("{other:?}") }),
        }
    }

    fn durable(&mut self) -> Result<Option<Vec<(Lane, u64)>>, Failure> {
        Ok(Some(self.progress_of_this_start()?.2))
    }
}
