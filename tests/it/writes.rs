//! A load of all kinds of writes, each with a number by which it can be sent again, and what must be
//! true of the answers: whatever was answered stays so, and wallets and stocks say the same.

use crate::shop::{Answer, Client, order_body};
use jupan_schemas::{OrderId, UserId};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;

/// Orders that are looked up at once, and writes that are asked again.
const LOOKS: usize = 16;
/// Pause of a writer whose write the shop could not take: it says so at once, and would be asked
/// thousands of times while it waits for a server.
const AWAY_PAUSE: Duration = Duration::from_millis(200);
/// What a load must have had, or its sums say little.
const KINDS: [&str; 6] =
    ["charge 200 ", "order 201 ", "payment 200 ", "cancel 200 ", "refund 200 ", "add 200 "];
/// Writes one after the other that have every kind for sure, wherever they begin.
const KINDS_WRITES: u64 = 128;
pub(crate) const USERS: u64 = 16;
pub(crate) const PRODUCTS: u64 = 8;
pub(crate) const STOCK: i64 = 100_000_000;

/// One write, so that it can be sent again.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) body: Value,
}

impl Write {
    /// The n-th write, always the same for the same n: charges, carts and orders of all users in
    /// turn, orders paid at once and later, and what becomes of the latter.
    pub(crate) fn number(n: u64) -> Self {
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

    pub(crate) async fn send(&self, client: &Client) -> Option<Answer> {
        self.try_send(client).await.filter(is_final)
    }

    /// Whatever the shop says, if anything.
    async fn try_send(&self, client: &Client) -> Option<Answer> {
        let (method, wait) = (reqwest::Method::POST, "wait=20");
        client.try_write(method, &self.path, &self.key, wait, &self.body).await.ok()
    }
}

fn is_final(answer: &Answer) -> bool {
    // Not ready is said of the moment, not of the key.
    answer.status < 500 && answer.status != 429 && answer.code() != "ORDER_NOT_READY"
}

fn key(n: u64) -> String {
    format!("k{n}")
}

/// Eight writes in a row are about one user.
fn user(n: u64) -> u64 {
    n / 8 % USERS + 1
}

/// What must never change between two answers to one key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Essence {
    status: u16,
    code: String,
    balance: Option<i64>,
    order: Option<String>,
}

impl Essence {
    fn of(answer: &Answer) -> Self {
        Self {
            status: answer.status,
            code: answer.code().to_owned(),
            balance: answer.body["balance"].as_i64(),
            order: answer.body["orderId"].as_str().map(str::to_owned),
        }
    }
}

/// Writes without an answer are asked again after the restart; what was answered must be answered the same.
#[derive(Default)]
pub(crate) struct Ledger {
    /// By number.
    pub(crate) answered: Mutex<BTreeMap<u64, Essence>>,
    pub(crate) unanswered: Mutex<Vec<u64>>,
    pub(crate) next: AtomicU64,
    /// Writers end when this is set.
    pub(crate) is_over: AtomicBool,
}

impl Ledger {
    pub(crate) fn note(&self, number: u64, answer: Option<Answer>) {
        match answer {
            Some(answer) if answer.status != 202 => {
                let essence = Essence::of(&answer);
                let earlier = self.answered.lock().expect("lock").insert(number, essence.clone());
                if let Some(earlier) = earlier {
                    assert_eq!(earlier, essence, "{:?}", Write::number(number));
                }
            }
            _ => self.unanswered.lock().expect("lock").push(number),
        }
    }

    pub(crate) async fn ask_again(&self, client: &Client) {
        let again = std::mem::take(&mut *self.unanswered.lock().expect("lock"));
        let (mut again, mut asked) = (again.into_iter(), JoinSet::new());
        loop {
            while asked.len() < LOOKS
                && let Some(number) = again.next()
            {
                let client = client.clone();
                asked.spawn(async move { (number, Write::number(number).send(&client).await) });
            }
            let Some(told) = asked.join_next().await else { return };
            let (number, answer) = told.expect("a write");
            self.note(number, answer);
        }
    }

    /// Goes on with one write after the other until every kind was answered: a short load may have
    /// come to some of them only where there was nothing to pay or to refund yet.
    pub(crate) async fn complete(&self, client: &Client) {
        for _ in 0..KINDS_WRITES {
            if self.missing().is_empty() {
                return;
            }
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            self.note(number, Write::number(number).send(client).await);
        }
    }

    /// Kinds of writes that no answer is about yet.
    fn missing(&self) -> Vec<&'static str> {
        let kinds = kinds(&self.answered.lock().expect("lock"));
        KINDS.into_iter().filter(|kind| !kinds.contains_key(*kind)).collect()
    }

    /// A number of an order that is paid at once and was not sent before.
    pub(crate) fn next_order(&self) -> u64 {
        let eight = self.next.fetch_add(8, Ordering::Relaxed);
        (eight..eight + 8).find(|number| number % 8 == 1).expect("one of eight")
    }
}

/// When the shop is killed: numbers that look random, and are the same for the same seed.
pub(crate) struct Moments(pub(crate) u64);

impl Moments {
    /// A number below a limit.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// A number that the environment may say.
pub(crate) fn told(variable: &str, default: u64) -> u64 {
    let told = std::env::var(variable).ok();
    told.map_or(default, |number| {
        number.parse().unwrap_or_else(|_| panic!("{variable} is a number"))
    })
}

/// Writes until the shop is gone, or the load is over.
pub(crate) fn spawn_writer(client: &Client, ledger: &Arc<Ledger>) -> tokio::task::JoinHandle<()> {
    let (client, ledger) = (client.clone(), ledger.clone());
    tokio::spawn(async move {
        while !ledger.is_over.load(Ordering::Relaxed) {
            let number = ledger.next.fetch_add(1, Ordering::Relaxed);
            let told = Write::number(number).try_send(&client).await;
            let is_away = told.as_ref().is_some_and(|answer| answer.status >= 500);
            let answer = told.filter(is_final);
            let is_answered = answer.is_some();
            ledger.note(number, answer);
            if !is_answered && client.try_get("/healthz").await.is_err() {
                return;
            }
            if is_away {
                tokio::time::sleep(AWAY_PAUSE).await;
            }
        }
    })
}

/// A sample of what was answered before is answered the same again.
pub(crate) async fn check_a_few(ledger: &Ledger, client: &Client, cycle: u64) {
    let sample: Vec<(u64, Essence)> = {
        let answered = ledger.answered.lock().expect("lock");
        let step = (answered.len() / 20).max(1);
        let sampled = answered.iter().skip((cycle % 7) as usize).step_by(step);
        sampled.map(|(number, essence)| (*number, essence.clone())).collect()
    };
    for (number, essence) in sample {
        let again = Write::number(number).send(client).await.expect("an answer");
        assert_eq!(essence, Essence::of(&again), "cycle {cycle}, write {number}");
    }
}

/// How many answers of each kind there are: what was asked, status and code.
fn kinds(answered: &BTreeMap<u64, Essence>) -> BTreeMap<String, u32> {
    let mut kinds = BTreeMap::new();
    for (number, Essence { status, code, .. }) in answered {
        let path = Write::number(*number).path;
        let kind = path.rsplit('/').next().unwrap_or_default();
        *kinds.entry(format!("{kind} {status} {code}")).or_default() += 1;
    }
    kinds
}

/// Every wallet and every stock is exactly what the answered charges and the orders say.
pub(crate) async fn check_sums(ledger: &Ledger, client: &Client) {
    let answered = ledger.answered.lock().expect("lock").clone();
    let mut balances: BTreeMap<u64, i64> = BTreeMap::new();
    let mut stocks: BTreeMap<u64, i64> = (1..=PRODUCTS).map(|product| (product, STOCK)).collect();
    let kinds = kinds(&answered);
    println!("{kinds:#?}");
    assert_eq!(ledger.missing(), [""; 0], "the load had each kind");
    let mut orders = Vec::new();
    for (number, Essence { status, order, .. }) in answered {
        let write = Write::number(number);
        if write.path == "/balance/charge" {
            assert_eq!(status, 200, "{write:?}");
            let user = write.body["userId"].as_u64().expect("a user");
            *balances.entry(user).or_default() += write.body["amount"].as_i64().expect("an amount");
        }
        if status == 201 {
            orders.push(order.expect("an order"));
        }
    }
    settle_all(orders, client, &mut balances, &mut stocks).await;
    for (user, balance) in balances {
        assert_eq!(client.balance(user).await, balance, "user {user}");
    }
    for (product, stock) in stocks {
        client.stock_becomes(product, stock).await;
    }
}

/// Looks all orders up, and takes from wallets and stocks what they say.
async fn settle_all(
    mut orders: Vec<String>,
    client: &Client,
    balances: &mut BTreeMap<u64, i64>,
    stocks: &mut BTreeMap<u64, i64>,
) {
    let mut looks = JoinSet::new();
    loop {
        while let Some(id) = orders.pop_if(|_| looks.len() < LOOKS) {
            let client = client.clone();
            looks.spawn(async move { client.get(&format!("/order/{id}")).await });
        }
        let Some(looked) = looks.join_next().await else { return };
        let order = looked.expect("a look");
        assert_eq!(order.status, 200, "{order:?}");
        settle(&order.body, balances, stocks);
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
