//! A full queue: with room for one command in flight, who comes second is refused before anything is
//! written.

use super::{
    answers::refusal,
    calls::CALLS,
    watched::Watched,
    wire::{Request, Wire},
};
use std::time::Duration;

/// Every write that there is, under this key.
fn writes(key: &str) -> impl Iterator<Item = Request> {
    let writes = CALLS.iter().filter(|call| call.is_write());
    writes.map(move |call| call.request().header("idempotency-key", key))
}

/// The shop is held (SIGSTOP) while they come, so that it meets them at once: the first is in flight
/// until its outcome is known, which takes a sync and a lane, and those that come meanwhile are
/// refused.
#[tokio::test(flavor = "multi_thread")]
async fn with_room_for_one_the_second_is_refused_and_leaves_nothing() {
    let shop = Watched::start(&["--in-flight-max", "1"]).await;
    let (mut refused, mut taken) = (0, 0);
    for round in 0..20 {
        let before = shop.appends().await;
        let mut wires = Vec::new();
        for write in writes(&format!("r{round}")) {
            wires.push((shop.wire().await, write));
        }
        signal(&shop, "STOP");
        for (wire, write) in &mut wires {
            wire.send(&write.bytes()).await.expect("it is open");
        }
        signal(&shop, "CONT");
        let mut let_in = 0;
        for (wire, write) in &mut wires {
            let (status, code) = answer_to(wire, write).await;
            match (status, code.as_str()) {
                (429, "TOO_MANY_REQUESTS") => refused += 1,
                _ => let_in += 1,
            }
        }
        let appended = shop.appends().await - before;
        assert_eq!(appended, let_in, "round {round}: what was refused left nothing");
        taken += let_in;
    }
    println!("room for one: {taken} taken, {refused} refused");
    assert!(refused > 20 && taken >= 20, "{taken} taken, {refused} refused");
    shop.end().await;
}

/// The answer; of a refusal it must be said when to try again.
async fn answer_to(wire: &mut Wire, write: &Request) -> (u16, String) {
    let reply = wire.reply().await.expect("an answer");
    if reply.status < 300 {
        return (reply.status, String::new());
    }
    let (status, code, _) = refusal(&reply, false).unwrap_or_else(|fault| panic!("{fault}"));
    if status == 429 {
        assert_eq!(reply.header("retry-after"), "1", "{write:?}");
    }
    (status, code)
}

fn signal(shop: &Watched, name: &str) {
    let sent = std::process::Command::new("kill")
        .args([&format!("-{name}"), &shop.id().to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
    // A process tells nobody that it is held.
    std::thread::sleep(Duration::from_millis(5));
}
