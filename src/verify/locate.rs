//! Step, record and position of entries that findings about the store name: faults are few, so the
//! log is read once more for them.

use super::{
    Failure,
    findings::Place,
    records::Records,
    refold::journal_of,
    segments::Directory,
    walk::{Advance, Walker},
};
use jupan_schemas::Step;

/// Completes places that name a lane and an entry, from the log up to `end`.
pub(super) fn complete<'a>(
    directory: &Directory,
    end: u64,
    places: impl Iterator<Item = &'a mut Place>,
) -> Result<(), Failure> {
    let mut wanted: Vec<&mut Place> =
        places.filter(|place| place.lane.is_some() && place.sequence.is_some()).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let codec = &directory.codec;
    let mut walker = Walker::new(directory);
    while walker.walk.end < end && walker.advance()? == Advance::Frame {
        let Some(frame) = walker.frame() else { break };
        for record in Records::of(frame.payload).into_iter().flatten().flatten() {
            let lane = journal_of(&record, directory.lanes);
            if lane.is_none() || wanted.iter().all(|place| place.lane != lane) {
                continue;
            }
            let Ok(step) = codec.decode::<Step>(record.value) else { continue };
            let has = |sequence| step.entries.iter().any(|entry| Some(entry.sequence) == sequence);
            for place in &mut wanted {
                if place.lane == lane && has(place.sequence) {
                    place.step = Some(step.number);
                    place.record = Some(record.at);
                    (place.segment, place.position) = (Some(frame.segment), Some(frame.position));
                }
            }
        }
    }
    Ok(())
}
