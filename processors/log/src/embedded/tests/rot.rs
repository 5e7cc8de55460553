//! Rot: whatever happens to the bytes of any file of the log, each record is there as it was
//! written, or a start or a read refuses. What may be lost in silence is the last group before a
//! power cut that took the log's floor along: nothing tells it from a torn write. It is counted apart.
//!
//! `JUPAN_FLIPS=<times>` tries that many times as many random places.

use super::script::{Misread, Run, Script, dir, open};
use crate::simulated::{Disk, Random, Survival};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const SMALL: Script = Script { seed: 5, large_every: 1_000 };
const LARGE: Script = Script { seed: 6, large_every: 100 };
/// Units of the last group before the kill.
const LAST_GROUP: usize = 3;

/// How a log came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// It was drained.
    Drained,
    /// Its process was killed.
    Killed,
    /// The power was cut, and its floor with it.
    Cut,
}

/// A log whose files are damaged, one at a time.
struct Sample {
    run: Run,
    segment_bytes: u64,
    /// Units that may be lost without a word.
    unproven: usize,
    /// Its files at earlier times, oldest first.
    earlier: Vec<BTreeMap<PathBuf, Vec<u8>>>,
}

/// What became of a log after damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// The start refused.
    RefusedAtStart,
    /// A read refused.
    RefusedAtRead,
    /// Everything is there.
    Whole,
    /// A part of the last group is gone.
    LastGroupLost,
}

type Counts = BTreeMap<Verdict, usize>;

fn contents(disk: &Disk) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = disk.files_below(dir()).into_iter();
    files.map(|path| (path.clone(), disk.contents(&path).expect("a file"))).collect()
}

impl Sample {
    fn write(script: Script, segment_bytes: u64, units: usize, end: End) -> Self {
        let mut run = Run::new(&Disk::default(), script, segment_bytes);
        let mut random = Random::new(script.seed);
        let mut earlier = Vec::new();
        run.open().expect("a new log");
        while run.pushed < units {
            (0..=random.index(3)).for_each(|_| assert!(run.push()));
            match random.below(80) {
                0 => {
                    run.close();
                    run.open().expect("it opens again");
                }
                1..6 => run.idle(),
                _ => run.write(),
            }
            if random.one_in((units as u64 / 60).max(1)) {
                earlier.push(contents(&run.disk));
            }
        }
        run.write();
        (0..LAST_GROUP).for_each(|_| assert!(run.push()));
        run.write();
        match end {
            End::Drained => run.close(),
            End::Killed => run.kill(),
            End::Cut => {
                run.kill();
                run.disk = run.disk.moment().power_cut(Survival::Nothing);
            }
        }
        let unproven = if end == End::Cut { LAST_GROUP } else { 0 };
        Self { run, segment_bytes, unproven, earlier }
    }

    fn small(end: End) -> Self {
        Self::write(SMALL, 4096, 60, end)
    }

    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        contents(&self.run.disk)
    }

    /// Puts these bytes in the place of a file (or nothing at all) and looks what becomes of the log.
    fn judge(&self, path: &Path, bytes: Option<&[u8]>, what: &str) -> Verdict {
        let disk = self.run.disk.moment().kill();
        match bytes {
            Some(bytes) => disk.put(path, bytes),
            None => disk.take_away(path),
        }
        let what = format!("{}: {what}", path.display());
        let Ok(log) = open(&disk, self.segment_bytes) else { return Verdict::RefusedAtStart };
        let model = self.run.model.borrow();
        let units = model.units_in(log.log());
        let units = units.unwrap_or_else(|cause| panic!("{what}: {cause}"));
        let durable = self.run.durable;
        assert!(units + self.unproven >= durable, "{what}: {units} of {durable} units are left");
        match model.check_from(log.log(), 0) {
            Err(Misread::Wrong(cause)) => panic!("{what}: {cause}"),
            Err(Misread::Refused(_)) => Verdict::RefusedAtRead,
            Ok(()) if units < durable => Verdict::LastGroupLost,
            Ok(()) => Verdict::Whole,
        }
    }
}

fn flip(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

fn kind_of(path: &Path) -> String {
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    name.rsplit('.').next().expect("a part").to_owned()
}

fn times() -> usize {
    std::env::var("JUPAN_FLIPS").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// One bit of each byte of a file, all bits of a short one; in the zeros behind its end few. All of
/// them where that was asked for.
fn bits_of(bytes: &[u8], random: &mut Random) -> Vec<usize> {
    if bytes.len() < 200 || times() > 1 {
        return (0..8 * bytes.len()).collect();
    }
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let places = (0..used).chain((used..bytes.len()).step_by(50));
    places.map(|at| 8 * at + random.index(8)).collect()
}

#[test]
fn a_flipped_bit_anywhere_in_a_small_log_is_found_or_harmless() {
    let mut counts: BTreeMap<(End, String), Counts> = BTreeMap::new();
    let mut random = Random::new(1);
    for end in [End::Drained, End::Killed, End::Cut] {
        let sample = Sample::small(end);
        for (path, bytes) in sample.files() {
            let counts = counts.entry((end, kind_of(&path))).or_default();
            for bit in bits_of(&bytes, &mut random) {
                let flipped = flip(&bytes, bit);
                let verdict = sample.judge(&path, Some(&flipped), &format!("bit {bit}"));
                *counts.entry(verdict).or_default() += 1;
            }
        }
    }
    let flips: usize = counts.values().flat_map(BTreeMap::values).sum();
    println!("{flips} flipped bits: {counts:?}");
    assert!(flips >= 10_000, "only {flips}");
    let of = |end, kind: &str, verdict| {
        counts[&(end, kind.to_owned())].get(&verdict).copied().unwrap_or(0)
    };
    for end in [End::Drained, End::Killed, End::Cut] {
        assert!(of(end, "seg", Verdict::RefusedAtStart) > 100);
        // Where the indexes are gone, too, a start reads every segment.
        assert_eq!(of(end, "seg", Verdict::RefusedAtRead) > 100, end != End::Cut);
        for harmless in ["idx", "floor"] {
            let verdicts = &counts[&(end, harmless.to_owned())];
            let is_whole = verdicts.keys().all(|verdict| *verdict == Verdict::Whole);
            assert!(is_whole, "{harmless} is made again: {verdicts:?}");
        }
        let lost = of(end, "seg", Verdict::LastGroupLost);
        assert_eq!(lost > 0, end == End::Cut, "{end:?}: {lost} flips lost the last group");
    }
}

#[test]
fn random_flips_in_a_large_log_are_found_or_harmless() {
    let mut counts = Counts::new();
    let sample = Sample::write(LARGE, 32 * 1024, 8_000, End::Killed);
    let files: Vec<_> = sample.files().into_iter().collect();
    let mut random = Random::new(2);
    for _ in 0..250 * times() {
        let (path, bytes) = &files[random.index(files.len())];
        let bit = random.index(8 * bytes.len().max(1));
        let verdict = sample.judge(path, Some(&flip(bytes, bit)), &format!("bit {bit}"));
        *counts.entry(verdict).or_default() += 1;
    }
    println!("random flips in {} files: {counts:?}", files.len());
    assert!(files.len() > 30 && counts.len() > 2, "{counts:?}");
}

#[test]
fn a_file_that_is_cut_missing_or_empty_is_found_or_harmless() {
    let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
    for end in [End::Drained, End::Killed] {
        let sample = Sample::small(end);
        for (path, bytes) in sample.files() {
            let counts = counts.entry(kind_of(&path)).or_default();
            let step = if bytes.len() < 500 { 1 } else { 5 };
            for cut in (0..bytes.len()).step_by(step) {
                let verdict = sample.judge(&path, Some(&bytes[..cut]), &format!("cut at {cut}"));
                *counts.entry(verdict).or_default() += 1;
            }
            let zeros = vec![0; bytes.len()];
            for (what, bytes) in [("missing", None), ("zeros", Some(&zeros[..]))] {
                let verdict = sample.judge(&path, bytes, what);
                let is_needed = matches!(&*kind_of(&path), "seg" | "json");
                let refused = [Verdict::RefusedAtStart, Verdict::RefusedAtRead].contains(&verdict);
                assert_eq!(refused, is_needed, "{} {what}: {verdict:?}", path.display());
                *counts.entry(verdict).or_default() += 1;
            }
        }
    }
    println!("cut, missing, zeros: {counts:#?}");
}

#[test]
fn files_and_pieces_in_the_wrong_place_are_found_or_harmless() {
    let mut counts = Counts::new();
    let mut random = Random::new(3);
    for end in [End::Drained, End::Killed] {
        let sample = Sample::small(end);
        let files = sample.files();
        for (from, other) in &files {
            for (to, bytes) in files.iter().filter(|(to, _)| kind_of(to) == kind_of(from)) {
                let what = format!("{} over it", from.display());
                let verdict = sample.judge(to, Some(other), &what);
                let is_whole = verdict == Verdict::Whole;
                assert_eq!(is_whole, kind_of(to) != "seg" || other == bytes, "{what}: {verdict:?}");
                for _ in 0..20 * times() {
                    let mut misdirected = bytes.clone();
                    let what = misdirect(&mut misdirected, other, &mut random);
                    let verdict = sample.judge(to, Some(&misdirected), &what);
                    *counts.entry(verdict).or_default() += 1;
                }
            }
        }
    }
    println!("pieces of other files or places: {counts:?}");
    assert!(counts.len() > 2, "{counts:?}");
}

/// Writes a piece of a file to another place.
fn misdirect(bytes: &mut [u8], other: &[u8], random: &mut Random) -> String {
    let piece = [64, 512, 4096][random.index(3)].min(bytes.len()).min(other.len());
    let (from, to) = (random.index(other.len() - piece + 1), random.index(bytes.len() - piece + 1));
    let (from, to) = match random.one_in(2) {
        true => (from / 512 * 512, to / 512 * 512),
        false => (from, to),
    };
    bytes[to..to + piece].copy_from_slice(&other[from..from + piece]);
    format!("{piece} bytes from {from} at {to}")
}

#[test]
fn old_versions_of_files_and_pieces_are_found_or_harmless() {
    let mut counts = Counts::new();
    let mut random = Random::new(4);
    for end in [End::Drained, End::Killed] {
        let sample = Sample::small(end);
        let files = sample.files();
        assert!(sample.earlier.len() > 20, "{} earlier versions", sample.earlier.len());
        for (age, earlier) in sample.earlier.iter().enumerate() {
            for (path, old) in earlier.iter().filter(|(path, old)| files.get(*path) != Some(old)) {
                let verdict = sample.judge(path, Some(old), &format!("as of {age}"));
                *counts.entry(verdict).or_default() += 1;
                let Some(bytes) = files.get(path) else { continue };
                for _ in 0..10 * times() {
                    let piece = random.index(old.len().min(bytes.len()) / 512 + 1) * 512;
                    let mut rolled_back = bytes.clone();
                    let end = (piece + 512).min(old.len()).min(bytes.len());
                    rolled_back[piece.min(end)..end].copy_from_slice(&old[piece.min(end)..end]);
                    let what = format!("byte {piece} as of {age}");
                    let verdict = sample.judge(path, Some(&rolled_back), &what);
                    *counts.entry(verdict).or_default() += 1;
                }
            }
        }
    }
    println!("old versions: {counts:?}");
    assert!(counts.contains_key(&Verdict::RefusedAtStart), "{counts:?}");
}
