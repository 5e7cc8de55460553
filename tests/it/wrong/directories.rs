//! Data directories that cannot be used as they are: each is told with its name, a cause and what to
//! do, with the exit code of the README, and is left untouched. Once the obstacle is gone the shop
//! starts, with everything that was acknowledged.

use super::watched::{becoming, check_traces, order, traces, under};
use crate::shop::{Shop, fresh_dir, order_body, verify};
use jupan_store::embedded::tamper::Tamper;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A shop that is refused ends at once; one that is not would serve for ever.
const REFUSED_WITHIN: Duration = Duration::from_secs(30);

/// What any change of a file or directory shows in.
type Traits = (u64, u64, u32, (i64, i64), (i64, i64));

/// Everything below a directory, and when it was last changed.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, Traits> {
    let mut all = BTreeMap::new();
    let meta = fs::symlink_metadata(dir).expect("it is there");
    let (changed, written) = ((meta.ctime(), meta.ctime_nsec()), (meta.mtime(), meta.mtime_nsec()));
    all.insert(dir.to_owned(), (meta.ino(), meta.len(), meta.mode(), changed, written));
    if meta.is_dir() {
        for found in fs::read_dir(dir).expect("a directory") {
            all.append(&mut snapshot(&found.expect("an entry").path()));
        }
    }
    all
}

/// How a program ended, and what it said.
fn run(mut command: Command, args: &[&str]) -> (Option<i32>, String) {
    let child =
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().expect("it starts");
    let end = Instant::now() + REFUSED_WITHIN;
    while child.try_wait().expect("it can be waited for").is_none() {
        if Instant::now() > end {
            child.kill().expect("it runs");
            let output = child.wait_with_output().expect("its output");
            panic!("{args:?} was not refused: {}", String::from_utf8_lossy(&output.stdout));
        }
        // A process is waited for, but not for ever.
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("its output");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// What a refusal says, besides the path of what is in the way.
struct Refusal<'a> {
    /// Where the obstacle is, below the data directory.
    at: &'a str,
    words: &'a [&'a str],
    /// What to do.
    remedy: &'a str,
}

/// A start that must be refused, without a trace of it in the directory.
fn check_start(command: Command, data: &Path, args: &[&str], refusal: &Refusal<'_>) {
    let before = snapshot(data);
    let path = data.to_string_lossy();
    let args = [&["--listen", "127.0.0.1:0", "--trace", "warn", "--data", &path], args].concat();
    let (code, said) = run(command, &args);
    assert_eq!(code, Some(3), "{args:?} said:\n{said}");
    let at = data.join(refusal.at);
    let at = at.to_string_lossy();
    for words in refusal.words.iter().copied().chain([at.trim_end_matches('/'), refusal.remedy]) {
        assert!(said.contains(words), "{args:?} does not say {words:?}, but:\n{said}");
    }
    for words in ["panicked", "RUST_BACKTRACE", "jupan serves"] {
        assert!(!said.contains(words), "{args:?} said:\n{said}");
    }
    assert!(snapshot(data) == before, "{args:?} changed the directory, and said:\n{said}");
}

/// A data directory with some business in it; copies of it are what the tests maltreat.
struct Template(TempDir);

impl Template {
    async fn make() -> Self {
        let dir = fresh_dir();
        let data = dir.path().join("data");
        let shop = Shop::start(&data, &["--lanes", "1"]).await;
        let client = shop.client();
        client.user(1).await;
        client.product(1, 100, 10).await;
        assert_eq!(client.charge(1, "c", 1_000).await.status, 200);
        assert_eq!(client.order(1, "o", &[(1, 3)]).await.status, 201);
        assert!(shop.terminate().0.success());
        Self(dir)
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// A copy, with its holes.
    fn copy(&self) -> TempDir {
        let dir = fresh_dir();
        copy(&self.data(), &dir.path().join("data"));
        dir
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-a", "--sparse=always"]).args([from, to]).status();
    assert!(copied.expect("cp runs").success());
}

fn remove(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path).expect("it goes"),
        Ok(_) => fs::remove_file(path).expect("it goes"),
        Err(_) => {}
    }
}

/// The shop starts, everything of the template is there, and verify is green after it.
async fn check_all_is_there(data: &Path) {
    let shop = Shop::start(data, &[]).await;
    let client = shop.client();
    assert_eq!(client.balance(1).await, 700);
    client.stock_becomes(1, 7).await;
    let placed = client.get(&format!("/order/{}", order("o"))).await;
    assert_eq!(placed.body["status"], "SUCCESS", "{placed:?}");
    let again = client.order(1, "o", &[(1, 3)]).await;
    assert_eq!((again.status, &again.body), (201, &placed.body), "the key is remembered");
    assert_eq!(client.charge(1, "c", 1_000).await.body, json!({"userId": 1, "balance": 1_000}));
    let top = client.get("/products/top").await.body;
    assert_eq!(top["products"][0]["units"], 3, "{top}");
    assert!(shop.terminate().0.success());
    verify(data);
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::write(path, bytes).expect("written");
}

/// Rewrites a file.
fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("a file");
    change(&mut bytes);
    write(path, bytes);
}

/// Puts a file where a directory belongs, or the other way round.
fn swap(path: &Path) {
    let was_dir = path.is_dir();
    remove(path);
    if was_dir { write(path, "x") } else { fs::create_dir(path).expect("made") }
}

/// The first segment of the log, relative to the data directory.
const SEGMENT: &str = "log/00000000000000000000.seg";

/// A segment of another format, with a header that is whole.
fn reformat(bytes: &mut [u8], format: u32) {
    bytes[8..12].copy_from_slice(&format.to_le_bytes());
    let sum = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&sum.to_le_bytes());
}

type Obstacle = fn(&Path);

/// What is in the way: its name, where it is, what the refusal says, what to do, and how it is made.
type Row = (&'static str, &'static str, &'static str, &'static str, Obstacle);

const FACTS: &str = "jupan.json";
const OTHER_VERSION: &str = "Run the version that made it";
const FROM_A_COPY: &str = "Bring the file back from a copy";
const WHOLE_COPY: &str = "Bring the directory back from a copy";
const MOVE_AWAY: &str = "move it away";

const IN_THE_WAY: &[Row] = &[
    ("a directory for facts", FACTS, "cannot be used", MOVE_AWAY, swap),
    ("a directory for the lock", "LOCK", "cannot be used", MOVE_AWAY, swap),
    ("a file for the log", "log", "cannot be used", MOVE_AWAY, swap),
    ("a directory for a segment", SEGMENT, "cannot be used", MOVE_AWAY, swap),
    ("no facts", FACTS, "it is missing, but there are segments", FROM_A_COPY, remove),
    ("emptied facts", FACTS, "cannot be read", FROM_A_COPY, |path| write(path, "")),
    ("cut facts", FACTS, "cannot be read", FROM_A_COPY, |path| edit(path, |b| b.truncate(20))),
    ("facts of zeros", FACTS, "cannot be read", FROM_A_COPY, |path| edit(path, |b| b.fill(0))),
    ("garbled facts", FACTS, "cannot be read", FROM_A_COPY, |path| write(path, b"\xff\0{}x")),
    ("other lanes", FACTS, "its check does not fit", FROM_A_COPY, |path| {
        let facts = fs::read_to_string(path).expect("facts");
        write(path, facts.replace("\"lanes\":1", "\"lanes\":2"));
    }),
    ("no lanes", FACTS, "it names no lanes", FROM_A_COPY, |path| {
        write(path, r#"{"format":1,"lanes":0,"createdAt":"0"}"#);
    }),
    ("too many lanes", FACTS, "cannot be read", FROM_A_COPY, |path| {
        write(path, r#"{"format":1,"lanes":65536,"createdAt":"0"}"#);
    }),
    ("no format", FACTS, "it names no format", FROM_A_COPY, |path| write(path, r#"{"lanes":1}"#)),
    ("a format in words", FACTS, "it names no format", FROM_A_COPY, |path| {
        write(path, r#"{"format":"1"}"#);
    }),
    ("a newer format", FACTS, "has format 2", OTHER_VERSION, |path| {
        write(path, r#"{"format":2,"shards":9}"#);
    }),
    ("a far newer format", FACTS, "has format 18446744073709551615", OTHER_VERSION, |path| {
        write(path, r#"{"format":18446744073709551615}"#);
    }),
    ("an older format", FACTS, "has format 0", OTHER_VERSION, |path| {
        write(path, r#"{"format":0,"lanes":1}"#);
    }),
    ("a segment of a newer format", SEGMENT, "has format 2", OTHER_VERSION, |path| {
        edit(path, |b| reformat(b, 2));
    }),
    ("a segment of an older format", SEGMENT, "has format 0", OTHER_VERSION, |path| {
        edit(path, |b| reformat(b, 0));
    }),
    ("an emptied segment", SEGMENT, "is damaged at position 0", WHOLE_COPY, |path| write(path, "")),
    ("half a header", SEGMENT, "is damaged at position 0", WHOLE_COPY, |path| {
        edit(path, |b| b.truncate(63));
    }),
    ("a segment of zeros", SEGMENT, "is damaged at position 0", WHOLE_COPY, |path| {
        edit(path, |b| b.fill(0));
    }),
    ("a segment of noise", SEGMENT, "is damaged at position 0", WHOLE_COPY, |path| {
        write(path, vec![0xa5; 70_000]);
    }),
    ("a flipped bit in a header", SEGMENT, "is damaged at position 0", WHOLE_COPY, |path| {
        edit(path, |b| b[20] ^= 1);
    }),
    ("a flipped bit in a frame", SEGMENT, "is damaged at position", WHOLE_COPY, |path| {
        edit(path, |b| b[700] ^= 1);
    }),
    ("a hole in the frames", SEGMENT, "is damaged at position", WHOLE_COPY, |path| {
        edit(path, |b| b[500..1_000].fill(0));
    }),
    ("a segment under another name", SEGMENT, "is damaged at position", WHOLE_COPY, |path| {
        fs::rename(path, path.with_file_name(OTHER_NAME)).expect("renamed");
    }),
];

/// A segment's name that is not that of the first.
const OTHER_NAME: &str = "00000000000000000099.seg";

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_cannot_be_used_is_told_and_left_alone() {
    let template = Template::make().await;
    for (what, at, words, remedy, obstacle) in IN_THE_WAY {
        println!("{what}");
        let dir = template.copy();
        let data = dir.path().join("data");
        let path = data.join(at);
        obstacle(&path);
        // A segment under another name is told by that name.
        let told = if path.exists() || *at == FACTS { at } else { "log" };
        check_start(under(""), &data, &[], &Refusal { at: told, words: &[words], remedy });
        let before = snapshot(&data);
        let (code, said) = run(under(""), &["verify", "--data", &data.to_string_lossy()]);
        // Verify takes any lock that can be locked.
        let is_unseen = *what == "a directory for the lock";
        assert!(matches!(code, Some(1 | 3)) || is_unseen, "{what}: {said}");
        assert!(!said.contains("panicked"), "{what}: {said}");
        assert!(snapshot(&data) == before, "{what}: verify changed the directory");
        // The obstacle goes.
        remove(&path);
        remove(&data.join("log").join(OTHER_NAME));
        copy(&template.data().join(at), &path);
        check_all_is_there(&data).await;
    }
}

/// Beside the log nothing is an authority: what is in the way of the store or of the analyzer is told,
/// and what is broken in there is made again.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_from_the_log_is_made_again() {
    let template = Template::make().await;
    for at in ["store", "analytics"] {
        let dir = template.copy();
        let data = dir.path().join("data");
        swap(&data.join(at));
        let path = data.to_string_lossy().into_owned();
        let (code, said) = run(under(""), &["--listen", "127.0.0.1:0", "--data", &path]);
        assert_eq!(code, Some(3), "{at}: {said}");
        let there = data.join(at).to_string_lossy().into_owned();
        for words in [&there, MOVE_AWAY] {
            assert!(said.contains(words), "{at}: no {words:?} in:\n{said}");
        }
        assert!(!said.contains("panicked"), "{at}: {said}");
        remove(&data.join(at));
        check_all_is_there(&data).await;
    }
    let spoil: [(&str, Obstacle); 11] = [
        ("store", |path| remove(path)),
        ("store/tables/0.jnl", |path| edit(path, |b| b[..100_000].fill(0xa5))),
        ("store/tables/0.jnl", |path| edit(path, |b| b[2_000] ^= 1)),
        ("store/tables/keyspaces/1/v0", |path| edit(path, |b| b[9] ^= 1)),
        ("store/tables/version", |path| write(path, "")),
        ("store/tables/keyspaces/0/current", |path| write(path, "garbage")),
        ("store/broken", |path| write(path, "")),
        ("analytics", |path| remove(path)),
        ("analytics/manifest", |path| write(path, "garbage")),
        ("log/00000000000000000000.idx", |path| write(path, "garbage")),
        ("log/00000000000000009999.seg.tmp", |path| write(path, "garbage")),
    ];
    for (at, spoil) in spoil {
        println!("spoilt: {at}");
        let dir = template.copy();
        let data = dir.path().join("data");
        let said = dir.path().join("traces.txt");
        spoil(&data.join(at));
        let mut command = under("");
        command.stderr(traces(&said));
        let shop = Shop::start_by(command, &data, &[]).await;
        assert_eq!(shop.client().balance(1).await, 700);
        assert!(shop.terminate().0.success());
        check_traces(&said);
        check_all_is_there(&data).await;
    }
}

/// Rot in rows that were sorted into files: the next start notices it and brings the store back from
/// the journals.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_rots_is_rebuilt_at_the_next_start() {
    let template = Template::make().await;
    let dir = template.copy();
    let data = dir.path().join("data");
    let files = Tamper::open(&data.join("store")).sort_into_files();
    assert!(!files.is_empty());
    for file in files {
        edit(&file, |bytes| bytes[4] ^= 1 << 7);
    }
    let said = dir.path().join("traces.txt");
    let mut command = under("");
    command.stderr(traces(&said));
    let shop = Shop::start_by(command, &data, &[]).await;
    assert_eq!(shop.client().balance(1).await, 700);
    assert!(shop.terminate().0.success());
    let said = fs::read_to_string(&said).expect("traces");
    assert!(said.contains("the store is wiped and rebuilt from the journal"), "{said}");
    check_all_is_there(&data).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_place_of_a_directory_is_told() {
    let dir = fresh_dir();
    let file = dir.path().join("file");
    write(&file, "precious");
    let refusal = |words| Refusal { at: "", words, remedy: MOVE_AWAY };
    check_start(under(""), &file, &[], &refusal(&["cannot be used"]));
    for below in [file.join("data"), PathBuf::from("/dev/null"), PathBuf::from("/proc/self/data")] {
        let path = below.to_string_lossy().into_owned();
        let (code, said) = run(under(""), &["--listen", "127.0.0.1:0", "--data", &path]);
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains(&path) && !said.contains("panicked"), "{said}");
    }
    assert_eq!(fs::read_to_string(&file).expect("a file"), "precious");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_directory_and_other_lanes_are_told() {
    let template = Template::make().await;
    let data = template.data();
    let other =
        Refusal { at: "", words: &["was made with 1 lanes", "3"], remedy: "Leave --lanes out" };
    check_start(under(""), &data, &["--lanes", "3"], &other);
    // The same number says nothing new.
    let shop = Shop::start(&data, &["--lanes", "1"]).await;
    // While it is at rest, nothing else changes the directory either.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let locked = Refusal {
        at: "",
        words: &["is in use by another process"],
        remedy: "Stop the other process",
    };
    check_start(under(""), &data, &[], &locked);
    assert_eq!(shop.client().balance(1).await, 700);
    assert!(shop.terminate().0.success());
    check_all_is_there(&data).await;
}

/// A program that makes permissions count for whoever runs the tests.
fn bound_by_permissions() -> &'static str {
    let dir = fresh_dir();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).expect("its owner may");
    if fs::write(dir.path().join("file"), "x").is_err() {
        return "";
    }
    // Whoever has every right gives up those that stand above permissions.
    "setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-dac_override,-dac_read_search"
}

/// Everything below a directory is, or is no longer, only to be read.
fn set_read_only(dir: &Path, is_read_only: bool) {
    let mode = if is_read_only { "a-w" } else { "u+w" };
    let changed = Command::new("chmod").args(["-R", mode]).arg(dir).status();
    assert!(changed.expect("chmod runs").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_directory_is_told() {
    let template = Template::make().await;
    let data = template.data();
    let program = bound_by_permissions();
    let remedy = "must be writable for this user";
    set_read_only(&data, true);
    let at_lock = Refusal { at: "LOCK", words: &["Permission denied"], remedy };
    check_start(becoming("", program), &data, &[], &at_lock);
    // Verify only reads.
    let before = snapshot(&data);
    let (code, said) = run(becoming("", program), &["verify", "--data", &data.to_string_lossy()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(snapshot(&data) == before);
    // Only a part of it is.
    set_read_only(&data, false);
    for at in ["log", "store", "analytics"] {
        set_read_only(&data.join(at), true);
        let path = data.to_string_lossy().into_owned();
        let (code, said) =
            run(becoming("", program), &["--listen", "127.0.0.1:0", "--data", &path]);
        assert_eq!(code, Some(3), "{at}: {said}");
        let there = data.join(at).to_string_lossy().into_owned();
        for words in [&there, remedy] {
            assert!(said.contains(words), "{at}: no {words:?} in:\n{said}");
        }
        assert!(!said.contains("panicked"), "{at}: {said}");
        set_read_only(&data, false);
    }
    // What may not be read, either.
    let segment = data.join(SEGMENT);
    fs::set_permissions(&segment, fs::Permissions::from_mode(0o000)).expect("its owner may");
    let at_segment = Refusal { at: SEGMENT, words: &["Permission denied"], remedy };
    check_start(becoming("", program), &data, &[], &at_segment);
    fs::set_permissions(&segment, fs::Permissions::from_mode(0o644)).expect("its owner may");
    check_all_is_there(&data).await;
}

/// A directory that version 1 of the contract made, before there were carts and refunds, with its
/// store: it goes on as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_an_earlier_version_goes_on() {
    let dir = fresh_dir();
    let data = dir.path().join("data");
    fs::create_dir(&data).expect("made");
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/directories/version-1.tar.gz");
    let unpacked = Command::new("tar").arg("-xzf").arg(packed).arg("-C").arg(&data).status();
    assert!(unpacked.expect("tar runs").success());
    verify(&data);
    let shop = Shop::start(&data, &[]).await;
    let client = shop.client();
    for (user, balance) in [(1, 600), (2, 1_600), (3, 2_600)] {
        assert_eq!(client.balance(user).await, balance, "user {user}");
        let again = client.order(user, &format!("order-{user}"), &[(1, 2), (2, 1)]).await;
        assert_eq!((again.status, &again.body["totalPrice"]), (201, &json!(400)), "{again:?}");
    }
    for (product, stock) in [(1, 4), (2, 7), (3, 10)] {
        assert_eq!(client.stock(product).await, stock, "product {product}");
    }
    for (key, reason) in [("sold-out", "OUT_OF_STOCK"), ("too-dear", "INSUFFICIENT_BALANCE")] {
        let failed = client.get(&format!("/order/{}", order(key))).await.body;
        assert_eq!(failed["reason"], reason, "{failed}");
    }
    // What there was not yet works on what there was.
    let bought = order("order-1");
    let refund = json!({"userId": 1, "items": [{"productId": 1, "quantity": 1}]});
    let refunded = client.post(&format!("/order/{bought}/refund"), "refund", refund).await;
    assert_eq!(refunded.status, 200, "{refunded:?}");
    let mut later = order_body(2, &[(3, 4)]);
    later["payment"] = json!("later");
    assert_eq!(client.post("/order", "later", later).await.status, 201);
    client.stock_becomes(1, 5).await;
    client.stock_becomes(3, 6).await;
    assert_eq!(client.balance(1).await, 700);
    assert!(shop.terminate().0.success());
    verify(&data);
}
