//! What a command's position says about an id that the store does not have.

use crate::{problem::Problem, shop::Shop};
use jupan_schemas::{Code, Lane, Role, TopicId, partition_of};
use std::sync::Arc;

/// How far a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nobody said where it lies.
    Unsaid,
    /// It is in the log, and its lane's rows are not yet readable.
    NotYet,
    /// Whatever it led to is readable.
    Projected,
}

/// Compares a position with its lane's watermark. A position that the log has not reached is
/// nobody's command.
pub(super) async fn standing(
    shop: &Shop,
    (role, id): (Role, u64),
    position: Option<u64>,
) -> Result<Standing, Problem> {
    let Some(position) = position else { return Ok(Standing::Unsaid) };
    let log = Arc::clone(&shop.ports.log);
    let index = partition_of(id, log.partitions());
    let bounds = move || log.bounds(TopicId::commands(role), index);
    let bounds = tokio::task::spawn_blocking(bounds).await.map_err(|error| {
        tracing::error!(%error, "the log cannot be asked");
        Problem::new(Code::Internal)
    })?;
    if position >= bounds?.end {
        let problem = Problem::new(Code::Malformed).field("at");
        return Err(problem.detail("lies beyond the end of the log"));
    }
    let watermark = shop.ports.store.projected(Lane { role, index }).await?;
    let is_projected = watermark.is_some_and(|mark| mark.positions.commands > position);
    Ok(if is_projected { Standing::Projected } else { Standing::NotYet })
}
