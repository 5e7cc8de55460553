//! Rule 7: what is not durable is bounded.

use super::{
    Fixture,
    samples::{self, USERS},
    view::View,
};
use crate::LaneStore;
use jupan_schemas::rows::Row;
use std::{
    sync::mpsc::{Receiver, sync_channel},
    thread,
    time::Duration,
};

/// How long a writer must stand still to count as waiting.
const STANDSTILL: Duration = Duration::from_millis(150);

/// Rule 7: `apply` waits when too much is not durable; reads still work, and the writer goes on
/// when it can.
pub fn bounds(fixture: &impl Fixture) {
    let Some((store, unsaved_rows_max)) = fixture.bounded() else { return };
    let max = u64::try_from(unsaved_rows_max).unwrap_or(u64::MAX);
    let last = 4 * max;
    let (applied, progress) = sync_channel(4 * unsaved_rows_max);
    thread::scope(|scope| {
        let writer = || {
            for id in 1..=last {
                let result = store.apply(USERS, vec![Row::from(samples::user(id, id))]);
                assert!(result.is_ok(), "a row is refused: {result:?}");
                assert!(applied.send(id).is_ok(), "nobody looks");
            }
        };
        let mut writing = None;
        fixture.while_stalled(&store, &mut || {
            writing = Some(scope.spawn(writer));
            let reached = standstill(&progress);
            assert!(reached <= max, "{reached} rows are not durable, {max} may be");
            let view = View::of(&*store);
            assert_eq!(view.user(reached), Some(samples::user(reached, reached)), "reads work");
            assert_eq!(view.user(last), None, "reads work");
        });
        let finished = writing.is_some_and(|writing| writing.join().is_ok());
        assert!(finished, "the writer does not go on");
    });
    fixture.persist(&store);
    assert_eq!(View::of(&*store).user(last), Some(samples::user(last, last)));
}

/// The last row that was applied before the writer stood still.
fn standstill(progress: &Receiver<u64>) -> u64 {
    let mut reached = progress.recv().unwrap_or(0);
    while let Ok(id) = progress.recv_timeout(STANDSTILL) {
        reached = id;
    }
    reached
}
