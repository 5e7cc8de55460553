//! `jupan verify` beside a running shop: its rows move while they are told, and nothing is said to
//! be wrong that is not.

use crate::{
    shop::{Client, Shop, fresh_dir, verify, verify_by, verify_drained},
    writes::{PRODUCTS, STOCK, USERS, Write},
};
use jupan_schemas::{
    UserId,
    rows::{Key, Row},
};
use jupan_store::embedded::tamper::Tamper;
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

const WRITERS: usize = 16;
const ROUNDS: usize = 6;

/// Writes of all kinds until told to stop.
struct Load {
    writers: Vec<tokio::task::JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    async fn start(client: &Client) -> Self {
        for product in 1..=PRODUCTS {
            client.product(product, 10 * product.cast_signed(), STOCK).await;
        }
        for user in 1..=USERS {
            client.user(user).await;
        }
        let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let writer = |_| {
            let (client, stop, next) = (client.clone(), stop.clone(), next.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let write = Write::number(next.fetch_add(1, Ordering::Relaxed));
                    write.send(&client).await;
                }
            })
        };
        Self { writers: (0..WRITERS).map(writer).collect(), stop }
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for writer in self.writers {
            writer.await.expect("a writer");
        }
    }
}

async fn verified(data: &Path) -> Value {
    let data = data.to_owned();
    tokio::task::spawn_blocking(move || verify(&data)).await.expect("a report")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_shop_is_sound_while_it_works() {
    for lanes in ["1", "3"] {
        let data = fresh_dir();
        let shop = Shop::start(data.path(), &["--lanes", lanes]).await;
        let load = Load::start(&shop.client()).await;
        let mut entries = 0;
        for _ in 0..ROUNDS {
            let report = verified(data.path()).await;
            let facts = &report["facts"];
            assert_eq!(facts["store"]["source"], "the running shop");
            let now = facts["entries"].as_u64().expect("a number");
            assert!(now > entries, "{now} entries after {entries}: the shop works meanwhile");
            entries = now;
        }
        load.stop().await;
        // At rest, beside the shop and after it: the same state.
        let before = verified(data.path()).await["facts"]["stateHash"].clone();
        assert!(shop.terminate().0.success());
        let after = verify_drained(data.path());
        assert_eq!(after["facts"]["stateHash"], before);
        assert_eq!(after["facts"]["store"]["behind"], 0);
    }
}

/// What a shop that was killed left on disk is sound before anybody has started again, and while the
/// next start works.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_shop_is_sound_before_and_after_its_next_start() {
    let data = fresh_dir();
    let mut shop = Shop::start(data.path(), &["--lanes", "2"]).await;
    // Writers find the next start where the last one was.
    let address = shop.url.trim_start_matches("http://").to_owned();
    let load = Load::start(&shop.client()).await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        shop.kill();
        verified(data.path()).await;
        shop = Shop::start(data.path(), &["--listen", &address]).await;
        verified(data.path()).await;
    }
    load.stop().await;
    assert!(shop.terminate().0.success());
    verify_drained(data.path());
}

/// The only finding of a report.
fn finding(report: &Value, number: u64) -> &Value {
    let broken: Vec<&Value> = report["invariants"]
        .as_array()
        .expect("invariants")
        .iter()
        .filter(|judged| judged["ok"] == false)
        .collect();
    assert_eq!(broken.len(), 1, "{report:#}");
    assert_eq!((&broken[0]["number"], &broken[0]["findings"]), (&json!(number), &json!(1)));
    &broken[0]["first"][0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_row_is_found_at_rest_and_beside_the_shop() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), &["--lanes", "1"]).await;
    let client = shop.client();
    client.user(1).await;
    client.user(2).await;
    assert_eq!(client.charge(1, "c", 1_000).await.status, 200);
    assert!(shop.terminate().0.success());
    let tamper = Tamper::open(&data.path().join("store"));
    let mut sequence = 0;
    tamper.change(Key::User(UserId(1)), |row| match row {
        Row::User(row) => {
            Arc::make_mut(row).balance.0 += 1;
            sequence = row.as_of.sequence;
        }
        other => panic!("{other:?}"),
    });
    drop(tamper);
    let check = |args: &[&str]| {
        let (code, report) = verify_by(data.path(), args);
        assert_eq!(code, Some(1), "{report:#}");
        let found = finding(&report, 7);
        assert_eq!((&found["row"], &found["about"]), (&json!("user 1"), &json!("balance")));
        assert_eq!((&found["expected"], &found["found"]), (&json!("1000"), &json!("1001")));
        assert_eq!((&found["lane"], &found["entry"]), (&json!("users/0"), &json!(sequence)));
        assert!(found["position"].is_u64() && found["step"].is_u64(), "{found:#}");
        let record = found["record"].as_str().expect("a record");
        assert!(record.starts_with("user-journal/0@"), "{record}");
    };
    check(&["--drained"]);
    let shop = Shop::start(data.path(), &[]).await;
    check(&[]);
    shop.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_the_shops_own() {
    let dir = fresh_dir();
    // Longer than the system takes a socket's path.
    let data = dir.path().join("a-long-name".repeat(12));
    let socket = data.join("verify.sock");
    let shop = Shop::start(&data, &["--lanes", "1"]).await;
    let meta = fs::metadata(&socket).expect("a socket");
    assert!(meta.file_type().is_socket());
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    verified(&data).await;
    shop.kill();
    assert!(socket.exists(), "a killed shop removes nothing");
    let shop = Shop::start(&data, &[]).await;
    verified(&data).await;
    assert!(shop.terminate().0.success());
    assert!(!socket.exists(), "a drained shop leaves no socket");
    // What is no socket is somebody's: the shop does without.
    fs::write(&socket, "precious").expect("written");
    let shop = Shop::start(&data, &[]).await;
    let output = std::process::Command::new(crate::shop::binary())
        .args(["verify", "--data", &data.to_string_lossy()])
        .output();
    let output = output.expect("verify runs");
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("verify.sock") && !said.contains("panicked"), "{said}");
    assert!(shop.terminate().0.success());
    assert_eq!(fs::read_to_string(&socket).expect("a file"), "precious");
}
