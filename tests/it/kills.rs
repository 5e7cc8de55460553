//! SIGKILL under load: what was acknowledged is there, once.

use crate::shop::{Answer, Client, Shop, fresh_dir, order_body, verify};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const CYCLES: u64 = 20;
const USERS: u64 = 16;
const PRODUCTS: u64 = 8;
const STOCK: i64 = 1_000_000;

/// One write, so that it can be sent again.
#[derive(Clone, Debug)]
struct Write {
    path: &'static str,
    key: String,
    body: Value,
}

impl Write {
    /// The n-th write: charges and orders of all users in turn, always the same for the same n.
    fn number(n: u64) -> Self {
        let user = n % USERS + 1;
        let key = format!("k{n}");
        if n.is_multiple_of(3) {
            let amount = 1_000 + n % 500;
            return Self {
                path: "/balance/charge",
                key,
                body: json!({"userId": user, "amount": amount}),
            };
        }
        let first = n % PRODUCTS + 1;
        let items = [(first, 1 + (n % 2).cast_signed()), ((first + 2) % PRODUCTS + 1, 1)];
        Self { path: "/order", key, body: order_body(user, &items) }
    }

    async fn send(&self, client: &Client) -> Option<Answer> {
        let sent =
            client.try_write(reqwest::Method::POST, self.path, &self.key, "wait=20", &self.body);
        sent.await.ok().filter(|answer| answer.status < 500 && answer.status != 429)
    }
}

/// Writes without an answer are asked again after the restart; what was answered must be answered the same.
#[derive(Default)]
struct Ledger {
    answered: Mutex<BTreeMap<String, Answer>>,
    unanswered: Mutex<Vec<Write>>,
}

impl Ledger {
    fn note(&self, write: Write, answer: Option<Answer>) {
        match answer {
            Some(answer) if answer.status != 202 => {
                let earlier =
                    self.answered.lock().expect("lock").insert(write.key.clone(), answer.clone());
                if let Some(earlier) = earlier {
                    assert_eq!(essence(&earlier), essence(&answer), "{write:?}");
                }
            }
            _ => self.unanswered.lock().expect("lock").push(write),
        }
    }
}

/// What must never change between two answers to one key.
fn essence(answer: &Answer) -> (u16, Value, Value, Value) {
    let body = &answer.body;
    (answer.status, body["code"].clone(), body["balance"].clone(), body["orderId"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled() {
    let data = fresh_dir();
    let mut shop = Shop::start(data.path(), &[]).await;
    let client = shop.client();
    for product in 1..=PRODUCTS {
        client.product(product, 10 * product.cast_signed(), STOCK).await;
    }
    for user in 1..=USERS {
        client.user(user).await;
    }
    let (ledger, next) = (Arc::new(Ledger::default()), Arc::new(AtomicU64::new(0)));
    for cycle in 0..CYCLES {
        let client = shop.client();
        let again = std::mem::take(&mut *ledger.unanswered.lock().expect("lock"));
        for write in again {
            let answer = write.send(&client).await;
            ledger.note(write, answer);
        }
        check_a_few(&ledger, &client, cycle).await;
        let load: Vec<_> = (0..32).map(|_| spawn_writer(&client, &ledger, &next)).collect();
        tokio::time::sleep(Duration::from_millis(60 + 37 * (cycle % 7))).await;
        shop.kill();
        for writer in load {
            writer.await.expect("a writer");
        }
        shop = Shop::start(data.path(), &[]).await;
    }
    let client = shop.client();
    while let Some(write) = { ledger.unanswered.lock().expect("lock").pop() } {
        let answer = write.send(&client).await;
        ledger.note(write, answer);
    }
    check_sums(&ledger, &client).await;
    assert!(shop.terminate().0.success());
    verify(data.path());
}

/// Writes until the shop is gone.
fn spawn_writer(
    client: &Client,
    ledger: &Arc<Ledger>,
    next: &Arc<AtomicU64>,
) -> tokio::task::JoinHandle<()> {
    let (client, ledger, next) = (client.clone(), ledger.clone(), next.clone());
    tokio::spawn(async move {
        loop {
            let write = Write::number(next.fetch_add(1, Ordering::Relaxed));
            let answer = write.send(&client).await;
            let is_gone = answer.is_none();
            ledger.note(write, answer);
            if is_gone {
                return;
            }
        }
    })
}

/// A sample of what was answered before is answered the same again.
async fn check_a_few(ledger: &Ledger, client: &Client, cycle: u64) {
    let answered = ledger.answered.lock().expect("lock").clone();
    for (key, answer) in answered.iter().skip((cycle % 7) as usize).step_by(97).take(20) {
        let number = key.trim_start_matches('k').parse().expect("a number");
        let again = Write::number(number).send(client).await.expect("an answer");
        assert_eq!(essence(answer), essence(&again), "cycle {cycle}, key {key}");
    }
}

/// Every wallet and every stock is exactly what the answers say.
async fn check_sums(ledger: &Ledger, client: &Client) {
    let mut balances = BTreeMap::new();
    let mut stocks = BTreeMap::new();
    let answered = ledger.answered.lock().expect("lock").clone();
    assert!(answered.len() > 500, "the load did something: {}", answered.len());
    for (key, answer) in &answered {
        let write = Write::number(key.trim_start_matches('k').parse().expect("a number"));
        let user = write.body["userId"].as_u64().expect("a user");
        match (write.path, answer.status) {
            ("/balance/charge", 200) => {
                *balances.entry(user).or_insert(0) +=
                    write.body["amount"].as_i64().expect("an amount");
            }
            ("/order", 201) => {
                *balances.entry(user).or_insert(0) -=
                    answer.body["totalPrice"].as_i64().expect("a total");
                for item in write.body["items"].as_array().expect("items") {
                    let product = item["productId"].as_u64().expect("a product");
                    *stocks.entry(product).or_insert(0) +=
                        item["quantity"].as_i64().expect("units");
                }
            }
            ("/order", 402) => {}
            other => panic!("unexpected end {other:?}: {answer:?}"),
        }
    }
    for (user, balance) in balances {
        assert_eq!(client.balance(user).await, balance, "user {user}");
    }
    for (product, sold) in stocks {
        client.stock_becomes(product, STOCK - sold).await;
    }
}
