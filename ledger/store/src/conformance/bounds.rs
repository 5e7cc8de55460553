//! Rule 7: what is not durable is bounded.

use super::{
    Fixture,
    samples::{self, USERS},
    view::View,
};
use crate::LaneStore;
use jupan_schemas::rows::Row;
use std::{
    sync::atomic::{AtomicU64, Ordering},
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
    let applied = AtomicU64::new(0);
    thread::scope(|scope| {
        let mut writer = None;
        fixture.while_stalled(&store, &mut || {
            writer = Some(scope.spawn(|| {
                for id in 1..=last {
                    let result = store.apply(USERS, vec![Row::User(samples::user(id, id))]);
                    assert!(result.is_ok(), "a row is refused: {result:?}");
                    applied.store(id, Ordering::Release);
                }
            }));
            let reached = standstill(&applied);
            assert!(reached > 0, "nothing is applied");
            assert!(reached <= max, "{reached} rows are not durable, {max} may be");
            let view = View::of(&*store);
            assert_eq!(view.user(reached), Some(samples::user(reached, reached)), "reads work");
            assert_eq!(view.user(last), None, "reads work");
        });
        let finished = writer.is_some_and(|writer| writer.join().is_ok());
        assert!(finished, "the writer does not go on");
    });
    fixture.persist(&store);
    assert_eq!(View::of(&*store).user(last), Some(samples::user(last, last)));
}

fn standstill(applied: &AtomicU64) -> u64 {
    let mut reached = 0;
    loop {
        thread::sleep(STANDSTILL);
        let now = applied.load(Ordering::Acquire);
        if now == reached && now > 0 {
            return reached;
        }
        reached = now;
    }
}
