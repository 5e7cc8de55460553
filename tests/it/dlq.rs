//! Dead letters: told, sent again once, discarded, beside a running shop and at rest.

use crate::{
    ground,
    shop::{Client, Shop, binary, fresh_dir, verify},
};
use jupan_log::{Log, NewRecord};
use jupan_schemas::{
    ChargeBalance, Codec, Micros, Money, TopicId, UserCommand, UserId, UserPayload, partition_of,
};
use serde_json::{Value, json};
use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const LANES: u16 = 3;
const PATIENCE: Duration = Duration::from_secs(30);

fn charge(codec: &Codec, user: u64, key: &str, amount: i64, created_at: Micros) -> Vec<u8> {
    codec.to_bytes(&UserCommand {
        user_id: UserId(user),
        key: key.to_owned(),
        created_at,
        occurred_at: None,
        actor: "till".to_owned(),
        trace_id: None,
        reply_to: None,
        payload: UserPayload::ChargeBalance(ChargeBalance { amount: Money(amount) }),
    })
}

/// The exit code, and the lines.
fn dlq(data: &Path, args: &[&str]) -> (Option<i32>, Vec<Value>) {
    let output = Command::new(binary())
        .args(["dlq"])
        .args(args)
        .arg("--json")
        .args(ground::flags(data, &[]))
        .stderr(Stdio::inherit())
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON lines"));
    (output.status.code(), lines.collect())
}

/// Asks until there are so many letters.
fn letters(data: &Path, count: usize) -> Vec<Value> {
    let end = Instant::now() + PATIENCE;
    loop {
        let (code, letters) = dlq(data, &["list"]);
        assert_eq!(code, Some(0));
        if letters.len() >= count || Instant::now() > end {
            assert_eq!(letters.len(), count, "{letters:#?}");
            return letters;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

async fn balance_becomes(client: &Client, user: u64, expected: i64) {
    let end = Instant::now() + PATIENCE;
    while client.balance(user).await != expected {
        assert!(Instant::now() < end, "the balance of {user} becomes {expected}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What other systems send: garbage, one charge to another's partition, one under another's key,
/// one that is too old, and one to the wrong topic.
async fn send_what_is_wrong(data: &Path, log: &dyn Log) {
    let codec = ground::codec(data).await;
    let now = log.now();
    let (home, other) = (partition_of(1, LANES), (partition_of(1, LANES) + 1) % LANES);
    let old = Micros(now.0 - 15 * Micros::DAY);
    for (topic, partition, key, value) in [
        (TopicId::UserCommands, home, "1", b"\x1b[31mno record".to_vec()),
        (TopicId::UserCommands, other, "1", charge(&codec, 1, "astray", 100, now)),
        (TopicId::UserCommands, home, "2", charge(&codec, 1, "mislabelled", 20, now)),
        (TopicId::UserCommands, other, "1", charge(&codec, 1, "late", 3_000, old)),
        (TopicId::ProductCommands, home, "1", charge(&codec, 1, "elsewhere", 4, now)),
    ] {
        let record = NewRecord::new(key, value);
        log.append(topic, partition, record).await.expect("appended");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_sent_again_once_and_change_nothing_twice() {
    let data = fresh_dir();
    let data = data.path();
    let lanes = LANES.to_string();
    let shop = Shop::start(data, &["--lanes", &lanes]).await;
    shop.client().user(1).await;
    assert!(shop.terminate().0.success());
    let log = ground::log(data);
    send_what_is_wrong(data, &*log).await;
    drop(log);
    let shop = Shop::start(data, &[]).await;
    let client = shop.client();

    let found = letters(data, 5);
    let mut standings: Vec<_> =
        found.iter().map(|l| (l["code"].as_str(), l["standing"].as_str())).collect();
    standings.sort_unstable();
    let (malformed, wrong) = (Some("MALFORMED"), Some("WRONG_PARTITION"));
    let (usable, useless) = (Some("usable"), Some("useless"));
    let expected = [
        (malformed, usable),
        (malformed, useless),
        (wrong, usable),
        (wrong, usable),
        (wrong, useless),
    ];
    assert_eq!(standings, expected, "{found:#?}");
    let garbage = found.iter().find(|l| l["code"] == "MALFORMED" && l["standing"] == "useless");
    let garbage = garbage.expect("it is there")["letter"].to_string();
    let (code, shown) = dlq(data, &["show", &garbage]);
    assert_eq!((code, &shown[0]["value"]), (Some(0), &json!("1b5b33316d6e6f207265636f7264")));

    let (code, dry) = dlq(data, &["redrive", "--all", "--dry-run"]);
    let end = json!({"redriven": 3, "skipped": 0, "refused": 2, "missing": 0, "dryRun": true});
    assert_eq!((code, dry.last()), (Some(1), Some(&end)));
    assert_eq!(client.balance(1).await, 0, "nothing was sent");
    letters(data, 5);

    let (code, redriven) = dlq(data, &["redrive", "--all", "--actor", "kim"]);
    assert_eq!((code, &redriven.last().expect("a line")["redriven"]), (Some(1), &json!(3)));
    balance_becomes(&client, 1, 124).await;
    let left = letters(data, 2);
    let (code, again) = dlq(data, &["redrive", "--all"]);
    assert_eq!((code, &again.last().expect("a line")["redriven"]), (Some(1), &json!(0)));
    // By number it says what was done with it.
    let done = redriven.iter().find(|l| l["result"] == "done").expect("one");
    let (code, skipped) = dlq(data, &["redrive", &done["letter"].to_string()]);
    assert_eq!((code, &skipped[0]["result"]), (Some(0), &json!("skipped")));
    assert!(skipped[0]["told"].as_str().expect("text").ends_with("by kim"), "{skipped:?}");
    let (code, none) = dlq(data, &["discard", "1000000"]);
    assert_eq!((code, &none[0]["result"]), (Some(1), &json!("missing")));

    // The rest while no shop runs.
    assert!(shop.terminate().0.success());
    let numbers: Vec<_> = left.iter().map(|letter| letter["letter"].to_string()).collect();
    let (code, gone) = dlq(data, &["discard", &numbers[0], &numbers[1], "--reason", "noise"]);
    assert_eq!((code, &gone.last().expect("a line")["discarded"]), (Some(0), &json!(2)));
    assert!(letters(data, 0).is_empty());
    let (_, all) = dlq(data, &["list", "--all"]);
    assert_eq!(all.len(), 5, "no letter is gone");
    let shop = Shop::start(data, &[]).await;
    assert_eq!(shop.client().balance(1).await, 124);
    assert!(shop.terminate().0.success());
    verify(data);
}

/// A call that was killed between the commands and their marks: the next one sends them again, and
/// they are decided once.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_without_its_mark_is_sent_again_and_decided_once() {
    let data = fresh_dir();
    let data = data.path();
    let shop = Shop::start(data, &["--lanes", "3"]).await;
    shop.client().user(1).await;
    assert!(shop.terminate().0.success());
    let log = ground::log(data);
    let codec = ground::codec(data).await;
    let astray = charge(&codec, 1, "astray", 100, log.now());
    let (home, other) = (partition_of(1, LANES), (partition_of(1, LANES) + 1) % LANES);
    for partition in [other, home] {
        let record = NewRecord::new("1", astray.clone());
        log.append(TopicId::UserCommands, partition, record).await.expect("appended");
    }
    drop(log);
    let shop = Shop::start(data, &[]).await;
    let client = shop.client();
    letters(data, 1);
    balance_becomes(&client, 1, 100).await;
    let (code, redriven) = dlq(data, &["redrive", "--all"]);
    assert_eq!((code, &redriven.last().expect("a line")["redriven"]), (Some(0), &json!(1)));
    assert_eq!(client.charge(1, "then", 1).await.status, 200);
    assert_eq!(client.balance(1).await, 101);
    assert!(shop.terminate().0.success());
    verify(data);
}

/// What comes back again and again is not sent for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_was_sent_again_too_often_stays() {
    let data = fresh_dir();
    let data = data.path();
    let shop = Shop::start(data, &["--lanes", "3"]).await;
    assert!(shop.terminate().0.success());
    let log = ground::log(data);
    let other = (partition_of(1, LANES) + 1) % LANES;
    let mut record =
        NewRecord::new("1", charge(&ground::codec(data).await, 1, "k", 100, log.now()));
    record.headers.push(("redrives".to_owned(), "3".into()));
    log.append(TopicId::UserCommands, other, record).await.expect("appended");
    drop(log);
    let shop = Shop::start(data, &[]).await;
    assert_eq!(letters(data, 1)[0]["redrives"], json!(3));
    let (code, refused) = dlq(data, &["redrive", "--all"]);
    assert_eq!((code, &refused[0]["result"]), (Some(1), &json!("refused")));
    let (code, sent) = dlq(data, &["redrive", "--all", "--redrives-max", "4"]);
    assert_eq!((code, &sent[0]["result"]), (Some(0), &json!("done")));
    assert!(shop.terminate().0.success());
    verify(data);
}

#[test]
fn without_a_shop_there_is_a_clear_word() {
    let data = fresh_dir();
    let output = Command::new(binary())
        .args(["dlq", "list", "--data"])
        .arg(data.path())
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no data directory of a shop"), "{said}");
    assert!(std::fs::read_dir(data.path()).expect("a directory").next().is_none());
    for wrong in [&["redrive"][..], &["redrive", "1", "--all"], &["discard", "x"], &["burn"]] {
        let output = Command::new(binary()).arg("dlq").args(wrong).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}
