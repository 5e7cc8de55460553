//! The second pass: the journals alone, folded by reading rows back, must come to the state of the
//! first.

use super::{
    Failure,
    findings::{Desk, Findings, Invariant, Place},
    fold::{self, Folds},
    frames::{self, Frame},
    records::Records,
    segments::Directory,
};
use jupan_schemas::{Codec, Hash, Lane, Role, Step, TopicId};
use std::sync::atomic::{AtomicU64, Ordering};

/// Hashes of every lane's rows; `None` where the lane could not be folded to its end.
pub(super) type Hashes = Vec<(Lane, Option<Hash>)>;

/// What the second pass came to.
pub(super) struct Refolded {
    pub(super) hashes: Hashes,
    pub(super) findings: Findings,
}

/// Folds every journal again; `bytes` tells how far it is.
pub(super) fn run(directory: &Directory, bytes: &AtomicU64) -> Result<Refolded, Failure> {
    let mut findings = Findings::default();
    let mut folds = Folds::new(directory.lanes, true);
    let codec = Codec::embedded();
    frames::walk(&directory.segments, &mut |frame, done| {
        fold_frame(frame, directory.lanes, &codec, &mut folds, &mut findings);
        bytes.store(done, Ordering::Relaxed);
    })?;
    let mut hashes = Vec::new();
    folds.for_each(&mut |lane, rows| hashes.push((lane, rows.map(|rows| fold::hash(&rows)))));
    Ok(Refolded { hashes, findings })
}

fn fold_frame(
    frame: &Frame<'_>,
    lanes: u16,
    codec: &Codec,
    folds: &mut Folds,
    findings: &mut Findings,
) {
    // What cannot be read is a finding of the first pass.
    for record in Records::of(frame.payload).into_iter().flatten().flatten() {
        let role = match record.at.topic {
            TopicId::UserJournal => Role::Users,
            TopicId::ProductJournal => Role::Products,
            _ => continue,
        };
        let lane = Lane { role, index: record.at.partition };
        let Ok(step) = codec.decode::<Step>(record.value) else { continue };
        if lane.index < lanes {
            let place = Place {
                segment: Some(frame.segment),
                position: Some(frame.position),
                record: Some(record.at),
                lane: Some(lane),
                step: Some(step.number),
                sequence: None,
            };
            folds.step(lane, &step, &mut Desk { findings, place });
        }
    }
}

/// Both folds must come to the same rows. Returns one hash for all of them.
pub(super) fn compare(first: &Hashes, again: Refolded, findings: &mut Findings) -> Option<String> {
    let is_whole =
        |lane: Option<Lane>| first.iter().any(|(own, hash)| Some(*own) == lane && hash.is_some());
    // Where the first fold broke as well, it has said so.
    findings.extend(again.findings, |finding| is_whole(finding.place.lane));
    let mut all = Vec::new();
    for ((lane, one), (_, other)) in first.iter().zip(&again.hashes) {
        let place = Place { lane: Some(*lane), ..Place::default() };
        let mut desk = Desk { findings: &mut *findings, place };
        desk.same(Invariant::Journal, "state hash of the second fold", one, other);
        all.push(one.map(|hash| hash.0));
    }
    let all: Option<Vec<[u8; 32]>> = all.into_iter().collect();
    all.map(|hashes| Hash::of(hashes.as_flattened()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_state_the_second_time_is_found() {
        let lane = Lane { role: Role::Products, index: 3 };
        let first = vec![(lane, Some(Hash::of(b"one")))];
        for (hash, found) in [(Some(Hash::of(b"one")), 0), (Some(Hash::of(b"other")), 1), (None, 1)]
        {
            let mut findings = Findings::default();
            let again = Refolded { hashes: vec![(lane, hash)], findings: Findings::default() };
            assert!(compare(&first, again, &mut findings).is_some());
            assert_eq!(findings.count(Invariant::Journal), found);
        }
    }
}
