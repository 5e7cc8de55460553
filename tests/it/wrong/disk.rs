//! A full disk: at the start it is told; in the middle of load the shop ends, as it must after a write
//! that failed; and everything that was acknowledged is there once there is room again.
//!
//! Two media: a limit on the size of files (any user can set it, and the system answers "file too
//! large"), and, where this user may mount, a small file system in memory ("no space left").

use super::watched::{becoming, traces};
use crate::shop::{Answer, Shop, fresh_dir};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

const AMOUNT: i64 = 3;

/// Where the data lies, and how little room there is.
struct Medium {
    /// Sets the limit; before the binary starts.
    circumstances: &'static str,
    /// Enters the place where the data is.
    program: String,
    data: PathBuf,
    /// What the system says when there is no room.
    words: &'static str,
    is_limited: bool,
}

impl Medium {
    fn command(&self) -> Command {
        becoming(self.circumstances, &self.program)
    }

    /// A command line, where the data is.
    fn sh(&self, script: &str) {
        let done = becoming("", &format!("{} sh -c '{script}' --", self.program)).status();
        assert!(done.expect("a shell").success(), "{script}");
    }

    /// Leaves no room, or next to none, while the shop runs.
    fn fill(&self, shop: &Shop) {
        if self.is_limited {
            let limit = fs::read_dir(self.data.join("log")).expect("a directory");
            let sizes = limit.map(|found| found.expect("a file").metadata().expect("a size").len());
            let longest = sizes.max().expect("a segment");
            let limited = Command::new("prlimit")
                .args(["--pid", &shop.id().to_string(), &format!("--fsize={longest}")])
                .status();
            assert!(limited.expect("prlimit runs").success());
        } else {
            self.fill_up("of=");
        }
    }

    /// Fills the file system to its last byte.
    fn fill_up(&self, of: &str) {
        let filler = self.filler();
        self.sh(&format!("dd if=/dev/zero {of}{filler} bs=4k 2>/dev/null || true; sync"));
    }

    fn make_room(&self) {
        if !self.is_limited {
            self.sh(&format!("rm -f {}", self.filler()));
        }
    }

    fn filler(&self) -> String {
        self.data.with_file_name("filler").to_string_lossy().into_owned()
    }
}

/// A small file system in memory, in a mount namespace of its own; gone with its keeper.
struct SmallDisk {
    keeper: Child,
    dir: tempfile::TempDir,
    is_own_user: bool,
}

impl SmallDisk {
    /// `None` where this user may mount nothing.
    fn mount(kib: u32) -> Option<Self> {
        for (flags, is_own_user) in [("-m", false), ("-Urm", true)] {
            let dir = fresh_dir();
            let script =
                format!("mount -t tmpfs -o size={kib}k none \"$0\" && echo mounted && exec cat");
            let mut keeper = Command::new("unshare")
                .args([flags, "sh", "-c", &script])
                .arg(dir.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("unshare runs");
            let said = BufReader::new(keeper.stdout.take().expect("piped")).lines().next();
            if said.is_some_and(|line| line.is_ok_and(|line| line == "mounted")) {
                return Some(Self { keeper, dir, is_own_user });
            }
            keeper.wait().expect("it ends");
        }
        None
    }

    fn medium(&self) -> Medium {
        let user = if self.is_own_user { "--user --preserve-credentials" } else { "" };
        Medium {
            circumstances: "",
            program: format!("nsenter --target {} --mount {user}", self.keeper.id()),
            data: self.dir.path().join("data"),
            words: "No space left on device",
            is_limited: false,
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.keeper.kill());
        drop(self.keeper.wait());
    }
}

fn limited(dir: &Path) -> Medium {
    Medium {
        // The signal that comes with the error would end the process without a word.
        circumstances: "trap '' XFSZ",
        program: String::new(),
        data: dir.join("data"),
        words: "File too large",
        is_limited: true,
    }
}

/// Charges with a key each, by many clients at once, until the shop is gone; those acknowledged.
async fn load(shop: &Shop, next: &Arc<AtomicU64>) -> BTreeMap<u64, Answer> {
    let writers: Vec<_> = (0..16)
        .map(|_| {
            let (client, next) = (shop.client(), next.clone());
            tokio::spawn(async move {
                let mut acknowledged = BTreeMap::new();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let body = json!({"userId": 1, "amount": AMOUNT});
                    let sent = client
                        .try_write(
                            reqwest::Method::POST,
                            "/balance/charge",
                            &key(n),
                            "wait=20",
                            &body,
                        )
                        .await;
                    match sent {
                        Ok(answer) if answer.status == 200 => drop(acknowledged.insert(n, answer)),
                        Ok(answer) => {
                            let code = answer.code();
                            let is_clear = matches!(
                                (answer.status, code),
                                (503, "UNAVAILABLE") | (504, "OUTCOME_UNKNOWN") | (202, "")
                            );
                            assert!(is_clear, "{answer:?}");
                        }
                        Err(_) => return acknowledged,
                    }
                }
            })
        })
        .collect();
    let mut all = BTreeMap::new();
    for writer in writers {
        all.append(&mut writer.await.expect("no panic"));
    }
    all
}

fn key(n: u64) -> String {
    format!("k{n}")
}

/// The message of a shop that had to stop.
fn check_end(status: std::process::ExitStatus, said: &str, medium: &Medium) {
    assert_eq!(status.code(), Some(3), "{said}");
    let data = medium.data.to_string_lossy();
    let last =
        said.lines().filter(|line| line.starts_with("jupan: ")).collect::<Vec<_>>().join("\n");
    for words in [&data, medium.words, "start again"] {
        assert!(last.contains(words), "no {words:?} in:\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

/// Full at the start.
fn check_full_at_start(medium: &Medium) {
    let mut command = match medium.is_limited {
        true => becoming("trap '' XFSZ; ulimit -f 0", ""),
        false => {
            medium.fill_up("of=");
            medium.command()
        }
    };
    let data = medium.data.to_string_lossy().into_owned();
    let ended = command.args(["--listen", "127.0.0.1:0", "--data", &data]).output();
    let ended = ended.expect("it ends");
    check_end(ended.status, &String::from_utf8_lossy(&ended.stderr), medium);
    medium.make_room();
}

async fn check(medium: &Medium) -> usize {
    let dir = fresh_dir();
    check_full_at_start(medium);
    let said = dir.path().join("traces.txt");
    let start = || async {
        let mut command = medium.command();
        command.stderr(traces(&said));
        Shop::start_by(command, &medium.data, &[]).await
    };
    let shop = start().await;
    shop.client().user(1).await;
    let next = Arc::new(AtomicU64::new(0));
    let (acknowledged, ()) = tokio::join!(load(&shop, &next), async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        medium.fill(&shop);
    });
    check_end(shop.until_ended().await, &fs::read_to_string(&said).expect("traces"), medium);
    medium.make_room();
    let shop = start().await;
    let client = shop.client();
    let asked = next.load(Ordering::Relaxed);
    for n in 0..asked {
        let again = client.charge(1, &key(n), AMOUNT).await;
        assert_eq!(again.status, 200, "{again:?}");
        if let Some(earlier) = acknowledged.get(&n) {
            assert_eq!(earlier.body, again.body, "charge {n} was acknowledged");
        }
    }
    let total = AMOUNT * i64::try_from(asked).expect("few");
    assert_eq!(client.balance(1).await, total, "every charge once");
    assert!(shop.terminate().0.success());
    let mut verify = medium.command();
    verify.args(["verify", "--data"]).arg(&medium.data);
    let output = verify.output().expect("verify runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    acknowledged.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_may_not_grow_ends_the_shop_and_loses_nothing() {
    let dir = fresh_dir();
    let acknowledged = check(&limited(dir.path())).await;
    println!("File too large: {acknowledged} acknowledged charges, all there");
    assert!(acknowledged > 20, "the load did something: {acknowledged}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_ends_the_shop_and_loses_nothing() {
    // Where nothing may be mounted, files that may not grow have to stand for it here, too.
    let (disk, dir) = (SmallDisk::mount(8 << 10), fresh_dir());
    let medium = disk.as_ref().map_or_else(|| limited(dir.path()), SmallDisk::medium);
    let acknowledged = check(&medium).await;
    println!("{}: {acknowledged} acknowledged charges, all there", medium.words);
    assert!(acknowledged > 20, "the load did something: {acknowledged}");
}
