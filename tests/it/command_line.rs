//! The command line: exit codes, clear refusals, a drain in time.

use crate::shop::{Shop, binary, fresh_dir, verify, verify_drained};
use std::{
    io::{Read, Write},
    net::TcpListener,
    process::{Command, Output},
    time::Duration,
};

fn jupan(args: &[&str]) -> Output {
    Command::new(binary()).args(args).output().expect("the binary runs")
}

/// Runs a call that must fail: its exit code, and a word that its standard error must have.
fn check_refusal(args: &[&str], code: i32, word: &str) {
    let output = jupan(args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
    assert!(errors.to_lowercase().contains(word), "{args:?}: {errors}");
    assert!(!errors.contains("panicked"), "{args:?}: {errors}");
}

#[test]
fn wrong_use_is_told_with_exit_code_2() {
    check_refusal(&["--lsten", "x"], 2, "lsten");
    check_refusal(&["--listen", "nowhere"], 2, "listen");
    check_refusal(&["dance"], 2, "dance");
    check_refusal(&["--sales-days", "1"], 2, "sales-days");
    check_refusal(&["--trace", "a=b=c", "--data", "/dev/null/x"], 2, "trace");
    check_refusal(&["replay"], 2, "--products");
    check_refusal(&["replay", "--products", "none.csv", "--orders", "none.csv"], 2, "none.csv");
    for scenario in ["engine", "http", "hot", "recovery", "grow", "window"] {
        check_refusal(&["bench", scenario, "--dir", "/dev/shm"], 2, "tmpfs");
        check_refusal(&["bench", scenario, "--no-verify"], 2, "--no-verify");
        check_refusal(
            &["bench", scenario, "--products", "3", "--lines", "4"],
            2,
            "as many products",
        );
    }
    check_refusal(&["bench", "engine", "--seconds", "0"], 2, "seconds");
    assert_eq!(jupan(&["--help"]).status.code(), Some(0));
    assert_eq!(jupan(&["--version"]).status.code(), Some(0));
}

#[test]
fn what_cannot_run_is_told_with_exit_code_3() {
    let data = fresh_dir();
    let missing = data.path().join("missing");
    check_refusal(&["verify", "--data", &missing.to_string_lossy()], 3, "missing");
    let file = data.path().join("file");
    std::fs::write(&file, "x").expect("written");
    check_refusal(&["--listen", "127.0.0.1:0", "--data", &file.to_string_lossy()], 3, "file");
    let data = data.path().to_string_lossy().into_owned();
    check_refusal(&["--listen", "0.0.0.0:0", "--data", &data], 3, "--trusted-network");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_network_is_served_and_the_probe_says_when() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), &["--listen", "0.0.0.0:0", "--trusted-network"]).await;
    let url = shop.url.replace("0.0.0.0", "127.0.0.1");
    let output = jupan(&["probe", "--url", &url]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(shop.terminate().0.success());
    check_refusal(&["probe", "--url", &url], 3, "refused");
    check_refusal(&["probe", "--url", "https://127.0.0.1:1"], 2, "plain http");
    // A server that answers, but not as a shop that is ready does.
    let (listener, url) = not_ready();
    let answering = std::thread::spawn(move || answer_503(&listener));
    check_refusal(&["probe", "--url", &url], 1, "not ready: 503");
    answering.join().expect("it was asked");
}

fn not_ready() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, url)
}

fn answer_503(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().expect("a request");
    let mut request = [0; 1_024];
    let read = stream.read(&mut request).expect("its head");
    assert!(request[..read].starts_with(b"GET /readyz HTTP/1.1\r\n"));
    stream.write_all(b"HTTP/1.1 503 \r\ncontent-length: 0\r\n\r\n").expect("sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_has_one_shop() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), &[]).await;
    let path = data.path().to_string_lossy().into_owned();
    check_refusal(&["--listen", "127.0.0.1:0", "--data", &path], 3, "in use");
    let address = shop.url.trim_start_matches("http://").to_owned();
    let other = fresh_dir();
    let other = other.path().to_string_lossy().into_owned();
    check_refusal(&["--listen", &address, "--data", &other], 3, "listened");
    assert!(shop.terminate().0.success());
    verify(data.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_finishes_what_is_accepted() {
    let data = fresh_dir();
    let shop = Shop::start(data.path(), &[]).await;
    let client = shop.client();
    client.user(1).await;
    client.product(1, 1, 1_000_000).await;
    assert_eq!(client.charge(1, "c", 1_000_000).await.status, 200);
    let mut ids = Vec::new();
    for n in 0..200 {
        let body = crate::shop::order_body(1, &[(1, 1)]);
        let key = format!("o{n}");
        let answer = client
            .try_write(reqwest::Method::POST, "/order", &key, "respond-async", &body)
            .await
            .expect("an answer");
        assert_eq!(answer.status, 202, "{answer:?}");
        let location = answer.location.expect("a location");
        ids.push(location.split('?').next().unwrap_or_default().to_owned());
    }
    let (status, took) = shop.terminate();
    assert!(status.success() && took < Duration::from_secs(10), "{status} after {took:?}");
    verify_drained(data.path());
    let shop = Shop::start(data.path(), &[]).await;
    let client = shop.client();
    for id in ids {
        assert_eq!(client.get(&id).await.body["status"], "SUCCESS");
    }
}

/// The simulator of the binary: the same seeds say the same, and nothing is found in them.
#[test]
fn a_simulation_says_what_it_did() {
    let call = ["simulate", "--seed", "7", "--seeds", "3", "--commands", "200", "--json"];
    let counted = || {
        let output = jupan(&call);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let result: serde_json::Value =
            serde_json::from_slice(&output.stdout).expect("JSON, and nothing else");
        let count = |name: &str| result[name].as_u64().expect("a count");
        assert_eq!(result["violations"], serde_json::json!([]));
        let hash = result["hash"].as_str().expect("a hash").to_owned();
        (count("seeds"), count("commands"), count("entries"), hash)
    };
    let first = counted();
    assert_eq!(first.0, 3);
    assert!(first.1 >= 600 && first.2 > 0, "{first:?}");
    assert_eq!(counted(), first, "another process, the same seeds");
    check_refusal(&["simulate", "--seeds", "0"], 2, "seeds");
}
