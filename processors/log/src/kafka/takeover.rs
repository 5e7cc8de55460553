//! What a new owner finds. Its predecessor is fenced by now; what is below the journal's high
//! watermark is all that there is or ever will be of earlier owners. Committed records alone would
//! not do: they end at the first open transaction, and newer commits may lie behind it.

use super::Shared;
use super::limits::{OPEN_TRANSACTIONS, OPEN_TRANSACTIONS_PAUSE, TAIL_OFFSETS};
use crate::{Batch, Bounds, LaneError, LogRecord, ReadError, ReadLimit};
use jupan_schemas::{Lane, TopicId};
use std::time::Instant;

/// The journal's bounds, once no open transaction hides anything of it.
pub(super) fn settled_journal(shared: &Shared, lane: Lane) -> Result<Bounds, LaneError> {
    let place = (TopicId::journal(lane.role), lane.index);
    let bounds = shared.reader.bounds(place).map_err(|error| of_read(lane, &error))?;
    let deadline = Instant::now() + OPEN_TRANSACTIONS;
    let mut is_told = false;
    loop {
        let stable = shared.reader.stable_end(place).map_err(|error| of_read(lane, &error))?;
        if stable >= bounds.end {
            return Ok(bounds);
        }
        let name = shared.names.of(place.0);
        if Instant::now() >= deadline {
            let cause = format!(
                "a transaction of somebody else is open in partition {} of {name} at offset \
                 {stable}, before its end {}: it hides the journal's tail",
                lane.index, bounds.end
            );
            return Err(LaneError::Unknown { lane, cause });
        }
        if !is_told {
            tracing::warn!(
                %lane, topic = name, stable, end = bounds.end,
                "waiting for an open transaction of somebody else"
            );
            is_told = true;
        }
        std::thread::park_timeout(OPEN_TRANSACTIONS_PAUSE);
    }
}

/// The journal's last step. Marks and aborted records lie among the steps, so its offset is not
/// known: it is searched for backwards, in growing stretches.
pub(super) fn last_step(
    journal: Bounds,
    read: impl Fn(u64, ReadLimit) -> Result<Batch, LaneError>,
) -> Result<Option<LogRecord>, LaneError> {
    let limit = ReadLimit { records_max: usize::MAX, bytes_max: usize::MAX };
    let mut until = journal.end;
    let mut offsets = TAIL_OFFSETS;
    while until > journal.start {
        let begin = until.saturating_sub(offsets).max(journal.start);
        let mut last = None;
        let mut from = begin;
        while from < until {
            let batch = read(from, limit)?;
            if batch.records.is_empty() {
                break;
            }
            from = batch.next;
            last = batch.records.into_iter().rfind(|record| record.offset < until).or(last);
        }
        if last.is_some() {
            return Ok(last);
        }
        until = begin;
        offsets = offsets.saturating_mul(8);
    }
    Ok(None)
}

/// A broker that does not answer leaves a lane without knowledge, not without a log.
pub(super) fn of_read(lane: Lane, error: &ReadError) -> LaneError {
    match *error {
        ReadError::BelowStart { topic, from, start, .. } => {
            LaneError::BelowStart { lane, topic, position: from, start }
        }
        ReadError::Unavailable { .. } => LaneError::Unknown { lane, cause: error.to_string() },
        ReadError::NoPartition { .. } | ReadError::Broken { .. } => {
            LaneError::Broken { lane, cause: error.to_string() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use jupan_schemas::Micros;

    /// A journal with steps at these offsets and marks everywhere else.
    fn found(steps: &[u64], bounds: Bounds) -> Option<u64> {
        let read = |from: u64, limit: ReadLimit| {
            let at = steps.iter().filter(|at| **at >= from).take(limit.records_max.min(3));
            let records: Vec<_> = at.map(|at| record(*at)).collect();
            let next = records.last().map_or(bounds.end, |last| last.offset + 1);
            Ok(Batch { records, next })
        };
        last_step(bounds, read).expect("it can be read").map(|record| record.offset)
    }

    fn record(offset: u64) -> LogRecord {
        let (key, value) = (Bytes::new(), Bytes::new());
        LogRecord { offset, at: Micros(0), key, value, headers: Vec::new() }
    }

    #[test]
    fn the_last_step_is_found_behind_any_number_of_marks() {
        let rows: [(&[u64], u64, u64); 8] = [
            (&[], 0, 0),
            (&[], 0, 5_000),
            (&[0], 0, 2),
            (&[0], 0, 100_000),
            (&[3, 9, 11], 0, 12),
            (&[3, 9, 70_000], 0, 70_001),
            (&[3, 9, 500], 0, 70_001),
            (&[40, 41, 42, 43, 44, 45, 46], 40, 60),
        ];
        for (steps, start, end) in rows {
            let bounds = Bounds { start, end };
            assert_eq!(found(steps, bounds), steps.last().copied(), "{steps:?} {bounds:?}");
        }
    }
}
