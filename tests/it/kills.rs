//! SIGKILL under load: what was acknowledged is there, once.

use crate::shop::{Answer, Client, Shop, fresh_dir, order_body, verify};
use jupan_schemas::{OrderId, UserId};
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
    path: String,
    key: String,
    body: Value,
}

impl Write {
    /// The n-th write, always the same for the same n: charges, carts and orders of all users in
    /// turn, orders paid at once and later, and what becomes of the latter.
    fn number(n: u64) -> Self {
        let user = user(n);
        let write = |path: &str, body| Self { path: path.to_owned(), key: key(n), body };
        let first = n % PRODUCTS + 1;
        let items = [(first, 1 + (n % 2).cast_signed()), ((first + 2) % PRODUCTS + 1, 1)];
        match n % 8 {
            0 | 3 => write("/balance/charge", json!({"userId": user, "amount": 1_000 + n % 500})),
            1 | 5 => write("/order", order_body(user, &items)),
            2 => {
                let mut body = order_body(user, &items);
                body["payment"] = json!("later");
                write("/order", body)
            }
            4 => Self::about_order(n, n - 2, ["payment", "payment", "cancel"]),
            6 => {
                let body = json!({"userId": user, "productId": first, "quantity": 1});
                write("/cart/add", body)
            }
            _ if n % 16 == 7 => write("/order", json!({"userId": user, "fromCart": true})),
            _ => Self::about_order(n, n - 10, ["refund", "cancel", "refund"]),
        }
    }

    /// What becomes of the order that an earlier write may have made.
    fn about_order(n: u64, order: u64, what: [&str; 3]) -> Self {
        let user = user(order);
        let id = OrderId::of(UserId(user), &key(order));
        let what = what[usize::try_from(n / 16 % 3).expect("is small")];
        let path = format!("/order/{id}/{what}");
        Self { path, key: key(n), body: json!({"userId": user}) }
    }

    async fn send(&self, client: &Client) -> Option<Answer> {
        let sent =
            client.try_write(reqwest::Method::POST, &self.path, &self.key, "wait=20", &self.body);
        let is_final = |answer: &Answer| {
            // Not ready is said of the moment, not of the key.
            answer.status < 500 && answer.status != 429 && answer.code() != "ORDER_NOT_READY"
        };
        sent.await.ok().filter(is_final)
    }
}

fn key(n: u64) -> String {
    format!("k{n}")
}

/// Eight writes in a row are about one user.
fn user(n: u64) -> u64 {
    n / 8 % USERS + 1
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
            let is_answered = answer.is_some();
            ledger.note(write, answer);
            if !is_answered && client.try_get("/healthz").await.is_err() {
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

/// Every wallet and every stock is exactly what the answered charges and the orders say.
async fn check_sums(ledger: &Ledger, client: &Client) {
    let answered = ledger.answered.lock().expect("lock").clone();
    assert!(answered.len() > 500, "the load did something: {}", answered.len());
    let mut balances: BTreeMap<u64, i64> = BTreeMap::new();
    let mut stocks: BTreeMap<u64, i64> = (1..=PRODUCTS).map(|product| (product, STOCK)).collect();
    let mut paths: BTreeMap<String, u32> = BTreeMap::new();
    for (key, answer) in &answered {
        let write = Write::number(key.trim_start_matches('k').parse().expect("a number"));
        let kind = write.path.rsplit('/').next().unwrap_or_default().to_owned();
        *paths.entry(format!("{kind} {} {}", answer.status, answer.code())).or_default() += 1;
        if write.path == "/balance/charge" {
            assert_eq!(answer.status, 200, "{answer:?}");
            let user = write.body["userId"].as_u64().expect("a user");
            *balances.entry(user).or_default() += write.body["amount"].as_i64().expect("an amount");
        }
        if answer.status == 201 {
            let id = answer.body["orderId"].as_str().expect("an order");
            let order = client.get(&format!("/order/{id}")).await;
            assert_eq!(order.status, 200, "{order:?}");
            settle(&order.body, &mut balances, &mut stocks);
        }
    }
    println!("{paths:#?}");
    for kind in ["charge 200", "order 201", "payment 200", "cancel 200", "refund 200", "add 200"] {
        assert!(paths.contains_key(&format!("{kind} ")), "the load had a {kind}: {paths:?}");
    }
    for (user, balance) in balances {
        assert_eq!(client.balance(user).await, balance, "user {user}");
    }
    for (product, stock) in stocks {
        client.stock_becomes(product, stock).await;
    }
}

/// What an order took, as it says itself.
fn settle(order: &Value, balances: &mut BTreeMap<u64, i64>, stocks: &mut BTreeMap<u64, i64>) {
    let number = |value: &Value| value.as_i64().expect("a number");
    let is_paid = order["status"] == "SUCCESS" || order["status"] == "REFUNDED";
    for item in order["items"].as_array().expect("items") {
        let left = number(&item["quantity"]) - number(&item["refundedQuantity"]);
        let product = item["productId"].as_u64().expect("a product");
        if is_paid || order["status"] == "PENDING" {
            *stocks.entry(product).or_default() -= left;
        }
        if is_paid {
            let user = order["userId"].as_u64().expect("a user");
            *balances.entry(user).or_default() -= left * number(&item["price"]);
        }
    }
}
