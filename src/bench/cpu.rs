//! Who used the processor: the shop, the load, and everybody else on the machine.
//!
//! The load shares the cores with the shop, so orders a second say little without it. Where both
//! are in one process they are told apart by the names of their threads.

use serde::Serialize;
use std::{collections::BTreeMap, fs};

/// Ticks of processor time in a second, as `/proc` counts it (`USER_HZ`): 100 on all of today's
/// Linux.
const TICKS_PER_SECOND: f64 = 100.0;
/// Bytes of a page, as `/proc/<pid>/statm` counts memory.
const PAGE_BYTES: u64 = 4096;

/// Where shop and load run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Meter {
    /// The shop is this process, the load is in ours.
    Process(u32),
    /// Both are in ours; the load's threads have names that begin so.
    Threads(&'static str),
}

/// Processor seconds used up to a moment.
#[derive(Clone, Debug)]
pub(crate) struct Used {
    shop: f64,
    load: f64,
    machine: f64,
    threads: BTreeMap<String, f64>,
}

/// Processor seconds used between two moments.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spent {
    /// By the shop.
    pub(crate) shop: f64,
    /// By the load.
    pub(crate) load: f64,
    /// By other processes and by the kernel for nobody.
    pub(crate) others: f64,
    /// By the shop's threads, those of a kind together; what ended meanwhile is not among them.
    pub(crate) threads: BTreeMap<String, f64>,
    /// By other processes that were named, who are among the others, too.
    pub(crate) beside: BTreeMap<String, f64>,
}

/// Processor seconds that named processes have used by now, those with the same name together.
pub(crate) fn used_by(named: &[(String, u32)]) -> BTreeMap<String, f64> {
    let mut used = BTreeMap::new();
    for (name, pid) in named {
        *used.entry(name.clone()).or_default() += process_seconds(*pid).unwrap_or_default();
    }
    used
}

/// What they have used since then.
pub(crate) fn used_since(
    named: &[(String, u32)],
    before: &BTreeMap<String, f64>,
) -> BTreeMap<String, f64> {
    let now = used_by(named).into_iter();
    now.map(|(name, now)| (name.clone(), now - before.get(&name).copied().unwrap_or_default()))
        .collect()
}

impl Meter {
    /// What has been used by now.
    pub(crate) fn read(self) -> Used {
        let own = process_seconds(std::process::id()).unwrap_or_default();
        let machine = machine_seconds().unwrap_or_default();
        match self {
            Self::Process(shop) => {
                let threads = thread_seconds(shop);
                let shop = process_seconds(shop).unwrap_or_default();
                Used { shop, load: own, machine, threads }
            }
            Self::Threads(name) => {
                let all = thread_seconds(std::process::id()).into_iter();
                let (of_load, threads): (BTreeMap<_, _>, BTreeMap<_, _>) =
                    all.partition(|(its, _)| its.starts_with(name));
                let load = of_load.values().sum();
                Used { shop: own - load, load, machine, threads }
            }
        }
    }

    /// What has been used since then.
    pub(crate) fn since(self, before: &Used) -> Spent {
        let now = self.read();
        let (shop, load) = (now.shop - before.shop, now.load - before.load);
        let others = (now.machine - before.machine - shop - load).max(0.0);
        let used_before = |name| before.threads.get(name).copied().unwrap_or_default();
        let spent = now.threads.iter().map(|(name, now)| (name.clone(), now - used_before(name)));
        Spent { shop, load, others, threads: spent.collect(), beside: BTreeMap::new() }
    }
}

/// Processor seconds that a process has used; `None` if there is no such process.
fn process_seconds(pid: u32) -> Option<f64> {
    seconds_of_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Processor seconds that the threads of a process have used, by the kind of thread.
fn thread_seconds(pid: u32) -> BTreeMap<String, f64> {
    let mut seconds = BTreeMap::new();
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return seconds };
    // A thread may end meanwhile.
    let stats =
        threads.flatten().filter_map(|its| fs::read_to_string(its.path().join("stat")).ok());
    for stat in stats {
        if let (Some(name), Some(its)) = (name_of_stat(&stat), seconds_of_stat(&stat)) {
            *seconds.entry(kind_of_thread(name).to_owned()).or_default() += its;
        }
    }
    seconds
}

/// A thread's name without what tells it from its kind: `lane-users/0`, `fjall:worker#1`.
fn kind_of_thread(name: &str) -> &str {
    name.split(['/', '#']).next().unwrap_or(name)
}

/// Processor seconds that all processes and the kernel have used on all cores.
fn machine_seconds() -> Option<f64> {
    ticks_of_machine(&fs::read_to_string("/proc/stat").ok()?)
}

/// Memory of a process that is in use right now; `None` if there is no such process.
pub(crate) fn resident_bytes(pid: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE_BYTES)
}

/// The name in a line of `stat`; it may hold blanks and parentheses.
fn name_of_stat(stat: &str) -> Option<&str> {
    stat.split_once('(')?.1.rsplit_once(')').map(|(name, _)| name)
}

/// `utime` and `stime`, fields 14 and 15.
fn seconds_of_stat(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

/// The first eight numbers of the line `cpu`, without idle and waiting for disks.
fn ticks_of_machine(stat: &str) -> Option<f64> {
    let line = stat.lines().find(|line| line.starts_with("cpu "))?;
    let ticks: Option<Vec<f64>> =
        line.split_whitespace().skip(1).take(8).map(|text| text.parse().ok()).collect();
    let ticks = ticks?;
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some((ticks.iter().sum::<f64>() - idle) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    #[test]
    fn times_are_read_from_proc() {
        let stat = "7 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 3 4 5";
        assert_eq!(seconds_of_stat(stat), Some(3.0));
        assert_eq!(name_of_stat(stat), Some("a (b) c"));
        assert_eq!(kind_of_thread("lane-users/0"), "lane-users");
        assert_eq!(kind_of_thread("jupan-log"), "jupan-log");
        assert_eq!(seconds_of_stat("7 (a) S 1"), None);
        let stat = "cpu  100 0 200 9999 777 0 0 0 0 0\ncpu0 1 2 3\n";
        assert_eq!(ticks_of_machine(stat), Some(3.0));
        assert_eq!(ticks_of_machine("cpu  1 2 3"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_load_is_told_apart_from_the_shop() {
        let ended = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ended);
        let meter = Meter::Threads("meter-t");
        let before = meter.read();
        let busy = std::thread::Builder::new().name("meter-tested".to_owned()).spawn(move || {
            let mut number = 1_u64;
            while !told.load(Ordering::Relaxed) {
                number = std::hint::black_box(number.wrapping_mul(3));
            }
        });
        let mut spent = Spent::default();
        while spent.load < 0.04 {
            std::thread::yield_now();
            spent = meter.since(&before);
        }
        ended.store(true, Ordering::Relaxed);
        busy.expect("a thread").join().expect("it ends");
        assert!(spent.shop >= 0.0 && spent.others >= 0.0, "{spent:?}");
        assert!(!spent.threads.keys().any(|name| name.starts_with("meter-t")), "{spent:?}");
        assert!(resident_bytes(std::process::id()).is_some_and(|bytes| bytes > 1 << 20));
        assert_eq!((resident_bytes(u32::MAX), process_seconds(u32::MAX)), (None, None));
    }
}
