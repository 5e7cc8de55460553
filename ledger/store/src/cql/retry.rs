//! Which failures pass, and how long they are waited for. Every request is idempotent, so one whose
//! outcome is unknown is just made again.

use super::metrics;
use crate::{StoreError, limits};
use scylla::errors::{DbError, ExecutionError, PrepareError, RequestAttemptError};
use std::{
    error::Error,
    future::Future,
    time::{Duration, Instant},
};

/// Whether it may go well another time: servers are away, too slow or too busy.
pub(super) trait MayPass: Error {
    fn may_pass(&self) -> bool;
}

impl MayPass for ExecutionError {
    fn may_pass(&self) -> bool {
        match self {
            Self::ConnectionPoolError(_) | Self::RequestTimeout(_) | Self::EmptyPlan => true,
            Self::LastAttemptError(error) => error.may_pass(),
            Self::PrepareError(error) => error.may_pass(),
            _ => false,
        }
    }
}

impl MayPass for PrepareError {
    fn may_pass(&self) -> bool {
        match self {
            Self::ConnectionPoolError(_) => true,
            Self::AllAttemptsFailed { first_attempt } => first_attempt.may_pass(),
            _ => false,
        }
    }
}

impl MayPass for RequestAttemptError {
    fn may_pass(&self) -> bool {
        match self {
            Self::UnableToAllocStreamId | Self::BrokenConnectionError(_) => true,
            Self::DbError(error, _) => matches!(
                error,
                DbError::Unavailable { .. }
                    | DbError::Overloaded
                    | DbError::IsBootstrapping
                    | DbError::ReadTimeout { .. }
                    | DbError::WriteTimeout { .. }
                    | DbError::ReadFailure { .. }
                    | DbError::WriteFailure { .. }
                    | DbError::RateLimitReached { .. }
                    | DbError::ServerError
            ),
            _ => false,
        }
    }
}

/// A request that fails: as the store tells it.
pub(super) fn failed(doing: &'static str, error: &impl MayPass) -> StoreError {
    let cause = error.to_string();
    if error.may_pass() {
        StoreError::Unavailable { doing, cause }
    } else {
        StoreError::Broken { doing, cause }
    }
}

/// Makes a request again and again while it fails in a way that may pass, for so long at most.
pub(super) async fn patiently<T, F>(
    patience: Duration,
    mut request: impl FnMut() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let start = Instant::now();
    let mut pause = limits::CQL_RETRY_PAUSE;
    loop {
        match request().await {
            Err(StoreError::Unavailable { doing, cause }) if start.elapsed() + pause < patience => {
                metrics::retried();
                tracing::debug!(doing, cause, "asking the CQL servers again");
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(limits::CQL_RETRY_PAUSE_MAX);
            }
            result => return result,
        }
    }
}
