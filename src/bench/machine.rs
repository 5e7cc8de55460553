//! What a figure was measured on: processor, memory, kernel, and what the disk below the data gives at
//! most.
//!
//! A figure without these says nothing, and one from a file system in memory says something untrue: a
//! sync that syncs nothing. Such a directory is refused.

use serde::Serialize;
use serde_json::Value;
use std::{
    fmt,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long each block size is tried for the facts.
const SYNC_TIME: Duration = Duration::from_millis(500);
/// A small commit.
const SMALL_BLOCK_BYTES: usize = 4 * 1024;
/// The largest group that the log writes at once.
pub(crate) const GROUP_BLOCK_BYTES: usize = 256 * 1024;
/// Most bytes that are written for one block size.
const WRITTEN_BYTES_MAX: u64 = 4 << 30;

/// No figure can be had here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The directory is in memory, so a sync costs nothing and proves nothing.
    #[error(
        "{} is on {file_system}, which is in memory: choose a directory on a disk",
        directory.display()
    )]
    InMemory {
        /// Which directory.
        directory: PathBuf,
        /// `tmpfs` or `ramfs`.
        file_system: String,
    },
    /// The directory cannot be used.
    #[error("{} cannot be used", directory.display())]
    Unusable {
        /// Which directory.
        directory: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl Refused {
    /// The exit code that tells it: 2 wrong use, 3 could not run.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::InMemory { .. } => 2,
            Self::Unusable { .. } => 3,
        }
    }
}

/// What the machine is and can do at most.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Facts {
    /// Model name of the first processor.
    pub(crate) processor: String,
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// Memory in MiB.
    pub(crate) memory_mib: u64,
    /// Kernel release.
    pub(crate) kernel: String,
    /// Type of the file system that holds the directory.
    pub(crate) file_system: String,
    /// What the device below it gives, by block size.
    pub(crate) syncs: Vec<SyncRate>,
}

/// Appends, each followed by `fdatasync`, one at a time.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SyncRate {
    /// Bytes of one append.
    pub(crate) block_bytes: usize,
    /// Appends a second.
    pub(crate) per_second: f64,
    /// Bytes a second.
    pub(crate) bytes_per_second: f64,
    /// Median time of one, in microseconds.
    pub(crate) p50_us: f64,
    /// Time that one of a hundred takes longer than, in microseconds.
    pub(crate) p99_us: f64,
}

impl Facts {
    /// The facts as JSON.
    pub(crate) fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, memory_mib, kernel, file_system, syncs } = self;
        writeln!(f, "{processor}, {cores} cores, {memory_mib} MiB, Linux {kernel}, {file_system}")?;
        for SyncRate { block_bytes, per_second, bytes_per_second, p50_us, p99_us } in syncs {
            let (kib, mib) = (block_bytes / 1024, bytes_per_second / f64::from(1 << 20));
            writeln!(
                f,
                "append {kib} KiB + fdatasync: {per_second:.0}/s, {mib:.0} MiB/s, \
                 p50 {p50_us:.0} us, p99 {p99_us:.0} us"
            )?;
        }
        Ok(())
    }
}

/// Collects the facts and measures the disk below `directory`, which must exist. Blocks for about a
/// second.
pub(crate) fn facts(directory: &Path) -> Result<Facts, Refused> {
    let unusable = |source| Refused::Unusable { directory: directory.to_owned(), source };
    let directory = directory.canonicalize().map_err(unusable)?;
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let file_system = file_system(&mounts, &directory).unwrap_or_else(unknown);
    if matches!(file_system.as_str(), "tmpfs" | "ramfs") {
        return Err(Refused::InMemory { directory, file_system });
    }
    let blocks = [SMALL_BLOCK_BYTES, GROUP_BLOCK_BYTES].into_iter();
    let syncs: io::Result<_> = blocks.map(|bytes| sync(&directory, bytes, SYNC_TIME)).collect();
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    Ok(Facts {
        processor: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(unknown),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_mib: memory_mib(&read("/proc/meminfo")),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        file_system,
        syncs: syncs.map_err(unusable)?,
    })
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// The value of the first `name : value` line.
fn field(text: &str, name: &str) -> Option<String> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

fn memory_mib(meminfo: &str) -> u64 {
    let kib = field(meminfo, "MemTotal").and_then(|text| text.split(' ').next()?.parse().ok());
    kib.map_or(0, |kib: u64| kib / 1024)
}

/// The type of the file system at `path`: of the mount whose point is its longest prefix, the last of
/// them where one hides another.
fn file_system(mounts: &str, path: &Path) -> Option<String> {
    let mut longest: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(_), Some(point), Some(kind)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let point = PathBuf::from(unescaped(point));
        let length = point.components().count();
        if path.starts_with(&point) && longest.is_none_or(|(before, _)| before <= length) {
            longest = Some((length, kind));
        }
    }
    longest.map(|(_, kind)| kind.to_owned())
}

/// A mount point as it is: the kernel writes blanks, tabs, line ends and backslashes as three octal digits.
fn unescaped(point: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(point.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

/// A file that is gone when its owner is.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing is lost with it, and there is nobody to tell.
        let _ = fs::remove_file(&self.0);
    }
}

/// Appends and syncs blocks for a while.
///
/// # Errors
/// Those of the file system.
pub(crate) fn sync(directory: &Path, block_bytes: usize, time: Duration) -> io::Result<SyncRate> {
    let scratch = Scratch(directory.join(format!("sync-{}.tmp", std::process::id())));
    let mut file = File::create(&scratch.0)?;
    // Not all zeros, which some devices don't store.
    let pattern = (0_u8..=250).cycle();
    let block: Vec<u8> = pattern.take(block_bytes).collect();
    let mut times_us = Vec::new();
    let (start, mut written) = (Instant::now(), 0);
    while start.elapsed() < time && written < WRITTEN_BYTES_MAX {
        let began = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times_us.push(began.elapsed().as_secs_f64() * 1e6);
        written += u64::try_from(block_bytes).unwrap_or(u64::MAX);
    }
    let seconds = start.elapsed().as_secs_f64();
    times_us.sort_by(f64::total_cmp);
    let at = |percent: usize| times_us.get((times_us.len() - 1) * percent / 100).copied();
    Ok(SyncRate {
        block_bytes,
        per_second: times_us.len() as f64 / seconds,
        bytes_per_second: written as f64 / seconds,
        p50_us: at(50).unwrap_or_default(),
        p99_us: at(99).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
/dev/vda / ext4 rw,relatime 0 0
tmpfs /fast tmpfs rw 0 0
/dev/vdb /fast/disk xfs rw 0 0
/dev/vdc /data/my\\040disk btrfs rw 0 0
ramfs /hidden ramfs rw 0 0
/dev/vdd /hidden ext4 rw 0 0
odd
";

    #[test]
    fn the_mount_with_the_longest_prefix_tells_the_file_system() {
        for (path, expected) in [
            ("/", "ext4"),
            ("/srv/shop", "ext4"),
            ("/fast", "tmpfs"),
            ("/fast/shop", "tmpfs"),
            ("/fastother", "ext4"),
            ("/fast/disk/shop", "xfs"),
            ("/data/my disk/shop", "btrfs"),
            ("/hidden/shop", "ext4"),
        ] {
            let found = file_system(MOUNTS, Path::new(path));
            assert_eq!(found.as_deref(), Some(expected), "{path}");
        }
        assert_eq!(file_system("", Path::new("/")), None);
    }

    #[test]
    fn facts_are_read_from_proc() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Abacus 9000: fast\nmodel name\t: other\n";
        assert_eq!(field(cpuinfo, "model name").as_deref(), Some("Abacus 9000: fast"));
        assert_eq!(field(cpuinfo, "none"), None);
        assert_eq!(memory_mib("MemTotal:       24689484 kB\nMemFree: 1 kB\n"), 24_110);
        assert_eq!(memory_mib(""), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_refused_and_what_is_not_there_is_an_error() {
        if Path::new("/dev/shm").is_dir() {
            let refused = facts(Path::new("/dev/shm")).expect_err("in memory");
            assert_eq!(refused.exit_code(), 2, "{refused}");
        }
        let refused = facts(Path::new("/none/such")).expect_err("not there");
        assert_eq!(refused.exit_code(), 3, "{refused}");
    }

    #[test]
    fn a_sync_is_measured_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().expect("a directory");
        let time = Duration::from_millis(50);
        let rate = sync(directory.path(), 4096, time).expect("a writable directory");
        assert!(rate.per_second > 0.0 && rate.p50_us <= rate.p99_us, "{rate:?}");
        assert_eq!(fs::read_dir(directory.path()).expect("the directory").count(), 0);
    }

    #[test]
    fn facts_are_told_to_people_and_machines() {
        let rate = SyncRate {
            block_bytes: 4096,
            per_second: 9.0,
            bytes_per_second: 1.0,
            p50_us: 1.0,
            p99_us: 2.0,
        };
        let facts = Facts {
            processor: unknown(),
            cores: 2,
            memory_mib: 1,
            kernel: unknown(),
            file_system: "ext4".to_owned(),
            syncs: vec![rate],
        };
        assert_eq!(facts.to_json()["fileSystem"], "ext4");
        assert_eq!(facts.to_json()["syncs"][0]["perSecond"], 9.0);
        let text = facts.to_string();
        assert!(text.starts_with("unknown, 2 cores, 1 MiB, Linux unknown, ext4"), "{text}");
        assert!(text.contains("append 4 KiB + fdatasync: 9/s"), "{text}");
    }
}
