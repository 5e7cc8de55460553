//! What is saved: its bytes, and whether any kill leaves a whole state behind.

use super::*;
use crate::{
    TopQuery,
    files::Directory,
    tests::{BEGIN, sale},
};
use jupan_schemas::Sale;
use proptest::prelude::*;
use std::{fs, path::Path};

fn open(path: &Path) -> Keeper {
    Keeper::new(Box::new(Directory::open(path).unwrap()))
}

fn golden_manifest() -> Manifest {
    Manifest {
        clock: 1,
        sales_days: 33,
        positions: vec![0, 300, 70_000],
        newest: Some(BEGIN.0),
        kept_from: -5,
        dropped: 2,
        unreadable: 1,
        next_file: 130,
        days: vec![NamedDay { day: 17_226, file: 129, crc: 0xdead_beef }],
    }
}

fn golden_day() -> DayFile {
    let products = vec![(1, 5, 500), (9_007_199_254_740_991, -1, -999_999)];
    DayFile { day: 17_226, minutes: vec![(0, products), (1_439, vec![(7, 1, 0)])] }
}

/// To write the golden file of a new format, run the tests with `JUPAN_GOLDEN=write`; keep those of
/// older ones.
fn check_golden<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    name: &str,
    value: &T,
) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("JUPAN_GOLDEN").is_some() {
        fs::write(&path, frame(value)).unwrap();
    }
    let bytes = fs::read(&path).unwrap();
    assert_eq!(frame(value), bytes, "{name} has other bytes: raise FORMAT");
    assert_eq!(unframe::<T>(name, &bytes).unwrap(), *value);
    for place in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[place] ^= 0x10;
        assert!(unframe::<T>(name, &broken).is_err(), "{name}: byte {place}");
        assert!(unframe::<T>(name, &bytes[..place]).is_err(), "{name}: cut at {place}");
    }
}

#[test]
fn the_bytes_of_the_state() {
    check_golden("manifest-1.bin", &golden_manifest());
    check_golden("day-1.bin", &golden_day());
}

#[test]
fn a_day_that_cannot_be_is_refused() {
    assert!(day_of(&DayFile { day: 1, minutes: vec![(1_440, vec![])] }).is_none());
}

#[test]
fn a_whole_file_that_is_not_the_named_one_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let mut keeper = open(data.path());
    let mut saved = load(&mut keeper);
    count_on(&mut saved, &[sale(1, 2, 3, BEGIN)], 1);
    keeper.save(Picture::take(&mut saved.history, &saved.positions, 0)).unwrap();
    let named = keeper.days.values().copied().next().unwrap();
    let other = DayFile { day: named.day, minutes: vec![(0, vec![(1, 20, 60)])] };
    fs::write(data.path().join(named.name()), frame(&other)).unwrap();
    let loaded = keeper.load(CLOCK, SALES_DAYS, 2);
    assert!(matches!(loaded.map(|_| ()), Err(Unusable::Broken { .. })));
}

/// Where a save ends when the process is killed.
#[derive(Clone, Copy, Debug)]
enum Kill {
    /// Some of the day files are there, the last of them cut short.
    InDays,
    AfterDays,
    /// The next manifest is there, cut short.
    InManifest,
    BeforeSwitch,
    BeforeRemoval,
    AfterSave,
}

/// Saves up to the kill, with the steps of [`Keeper::save`].
fn save_until(keeper: &mut Keeper, path: &Path, picture: Picture, kill: Kill) {
    let before = keeper.days.clone();
    let manifest = keeper.write_days(picture).unwrap();
    match kill {
        Kill::InDays => {
            let new = manifest.days.iter().filter(|day| before.get(&day.day) != Some(*day));
            for (number, day) in new.enumerate() {
                let name = path.join(day.name());
                match number {
                    0 => fs::write(&name, &fs::read(&name).unwrap()[..3]).unwrap(),
                    1 => fs::remove_file(&name).unwrap(),
                    _ => {}
                }
            }
            return;
        }
        Kill::AfterDays => return,
        Kill::InManifest => {
            let bytes = frame(&manifest);
            keeper.write_next_manifest(&bytes[..bytes.len() / 2]).unwrap();
            return;
        }
        Kill::BeforeSwitch | Kill::BeforeRemoval | Kill::AfterSave => {
            keeper.write_next_manifest(&frame(&manifest)).unwrap();
        }
    }
    if !matches!(kill, Kill::BeforeSwitch) {
        keeper.switch_manifest().unwrap();
    }
    if matches!(kill, Kill::AfterSave) {
        keeper.remove_old().unwrap();
    }
}

/// One life of an analyzer: load, count on, save a few times, and get killed in the last save.
struct Life {
    /// How many sales are counted before each save.
    saves: Vec<usize>,
    kill: Kill,
}

const CLOCK: Clock = Clock::Event;
const SALES_DAYS: u32 = 5;

fn load(keeper: &mut Keeper) -> Saved {
    let empty =
        || Saved { history: History::new(CLOCK, SALES_DAYS), positions: vec![0, 0], unreadable: 0 };
    keeper.load(CLOCK, SALES_DAYS, 2).unwrap().unwrap_or_else(empty)
}

/// Counts on; sale number n lies in partition n mod 2 at offset n / 2.
fn count_on(saved: &mut Saved, sales: &[Sale], count: usize) {
    let from = usize::try_from(saved.positions.iter().sum::<u64>()).unwrap();
    for (number, sale) in sales.iter().enumerate().skip(from).take(count) {
        saved.history.fold(sale).unwrap();
        saved.positions[number % 2] += 1;
        saved.unreadable += u64::from(number % 5 == 0);
    }
}

fn contents(saved: &Saved) -> (Facts, Vec<DayFile>, Vec<u64>, u64) {
    let days = saved.history.buckets().days();
    let days = days.map(|(number, day)| file_of(number, &day.sold_minutes()));
    (saved.history.facts(), days.collect(), saved.positions.clone(), saved.unreadable)
}

fn check_lives(sales: &[Sale], lives: &[Life]) {
    let data = tempfile::tempdir().unwrap();
    for life in lives {
        let mut keeper = open(data.path());
        let mut saved = load(&mut keeper);
        keeper.remove_old().unwrap();
        for (number, count) in life.saves.iter().enumerate() {
            count_on(&mut saved, sales, *count);
            let picture = Picture::take(&mut saved.history, &saved.positions, saved.unreadable);
            if number + 1 == life.saves.len() {
                save_until(&mut keeper, data.path(), picture, life.kill);
            } else {
                keeper.save(picture).unwrap();
            }
        }
    }
    let mut keeper = open(data.path());
    let mut killed = load(&mut keeper);
    count_on(&mut killed, sales, sales.len());
    let mut whole =
        Saved { history: History::new(CLOCK, SALES_DAYS), positions: vec![0, 0], unreadable: 0 };
    count_on(&mut whole, sales, sales.len());
    assert_eq!(contents(&killed), contents(&whole));
    for days in 1..SALES_DAYS {
        let query = TopQuery { days, limit: 10, as_of: None };
        let answer = killed.history.top(&query, BEGIN);
        assert_eq!(answer, whole.history.top(&query, BEGIN), "{query:?}");
    }
    let picture = Picture::take(&mut killed.history, &killed.positions, killed.unreadable);
    keeper.save(picture).unwrap();
    let days = killed.history.buckets().days().count();
    let files = fs::read_dir(data.path()).unwrap().count();
    assert_eq!(files, days + 2, "a day each, the manifest and the lock");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    #[test]
    fn kills_at_any_step_change_nothing(
        sold in prop::collection::vec((1..5_u64, -2..4_i64, 0..8_i64, 0..3_i64), 1..80),
        lives in prop::collection::vec(
            (prop::collection::vec(0..20_usize, 1..4), 0..6_usize),
            1..6,
        ),
    ) {
        let sales: Vec<_> = sold
            .into_iter()
            .map(|(product, units, day, minute)| {
                let at = BEGIN.plus(day * Micros::DAY + minute * Micros::MINUTE);
                sale(product, units, 7, at)
            })
            .collect();
        let kills = [
            Kill::InDays, Kill::AfterDays, Kill::InManifest, Kill::BeforeSwitch,
            Kill::BeforeRemoval, Kill::AfterSave,
        ];
        let lives: Vec<_> =
            lives.into_iter().map(|(saves, kill)| Life { saves, kill: kills[kill] }).collect();
        check_lives(&sales, &lives);
    }
}
