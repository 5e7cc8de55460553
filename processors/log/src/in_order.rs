//! Many appends at once, in order.

use crate::{AppendError, Appended, Log, NewRecord};
use jupan_schemas::TopicId;
use std::{future::poll_fn, task::Poll};

/// Appends all of these: each is begun before the one behind it, and none waits for another's
/// outcome. What each came to, in their order.
pub async fn append_in_order(
    log: &dyn Log,
    records: Vec<(TopicId, u16, NewRecord)>,
) -> Vec<Result<Appended, AppendError>> {
    let begun = records.into_iter().map(|(topic, partition, record)| {
        let append = log.append(topic, partition, record);
        (append, None)
    });
    let mut appends: Vec<_> = begun.collect();
    // A provider takes a record when its append is first asked how far it is.
    poll_fn(|context| {
        let mut is_done = true;
        for (append, outcome) in appends.iter_mut().filter(|(_, outcome)| outcome.is_none()) {
            match append.as_mut().poll(context) {
                Poll::Ready(found) => *outcome = Some(found),
                Poll::Pending => is_done = false,
            }
        }
        if is_done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    appends.into_iter().filter_map(|(_, outcome)| outcome).collect()
}
