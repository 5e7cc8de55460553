//! A shop in a hundred lines, for the tests of the replay: it keeps keys as the real one does, and it
//! fails on purpose in every way that must not matter.

use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What the shop holds and what it has seen.
#[derive(Default)]
pub(super) struct State {
    /// First answer and body of every key.
    keys: HashMap<String, (Value, u16, Value)>,
    pub(super) prices: BTreeMap<u64, i64>,
    pub(super) stock: BTreeMap<u64, i64>,
    pub(super) wallets: BTreeMap<u64, i64>,
    sold: BTreeMap<u64, i64>,
    /// User and key of every order, as they came first.
    pub(super) started: Vec<(u64, String)>,
    /// `occurredAt` of every order, as they came first.
    pub(super) times: Vec<String>,
    orders: HashMap<String, Value>,
    /// Orders under way, by user.
    under_way: HashMap<u64, u32>,
    pub(super) two_at_once: bool,
    pub(super) requests: u64,
    /// From this request on, every connection is closed without an answer.
    pub(super) dies_at: Option<u64>,
    /// Of a thousand requests, how many go wrong.
    pub(super) chaos_permille: u64,
    random: u64,
}

impl State {
    fn random(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
        (self.random >> 33) % below
    }

    fn answer(
        &mut self,
        method: &str,
        path: &str,
        key: Option<String>,
        body: &Value,
    ) -> (u16, Value) {
        let Some(key) = key else { return self.read(path) };
        assert_eq!(method, "POST");
        if let Some((first, status, outcome)) = self.keys.get(&key) {
            let reused = (422, json!({"code": "IDEMPOTENCY_KEY_REUSED"}));
            return if first == body { (*status, outcome.clone()) } else { reused };
        }
        let (status, outcome) = match path {
            "/products" => self.register_product(body),
            "/users" => {
                let known = self.wallets.insert(number(body, "id"), 0);
                assert_eq!(known, None, "a user twice");
                (201, json!({}))
            }
            "/balance/charge" => {
                let amount = signed(body, "amount");
                assert!((1..=10_000_000).contains(&amount));
                *self.wallets.get_mut(&number(body, "userId")).expect("a user") += amount;
                (200, json!({}))
            }
            "/order" => self.place(&key, body),
            _ => panic!("unknown path {path}"),
        };
        self.keys.insert(key, (body.clone(), status, outcome.clone()));
        (status, outcome)
    }

    /// Forgets one key.
    pub(super) fn forget(&mut self, key: &str) {
        self.keys.remove(key);
    }

    /// Forgets the keys of all orders.
    pub(super) fn forget_orders(&mut self) {
        self.keys.retain(|key, _| !key.starts_with("replay-order-"));
    }

    fn register_product(&mut self, body: &Value) -> (u16, Value) {
        let id = number(body, "id");
        if self.prices.contains_key(&id) {
            return (409, json!({"code": "ALREADY_EXISTS"}));
        }
        self.prices.insert(id, signed(body, "price"));
        self.stock.insert(id, signed(body, "stock"));
        (201, json!({}))
    }

    fn place(&mut self, key: &str, body: &Value) -> (u16, Value) {
        let user = number(body, "userId");
        self.started.push((user, key.to_owned()));
        self.times.push(body["occurredAt"].as_str().expect("a time").to_owned());
        let items = body["items"].as_array().expect("items");
        let items: Vec<_> = items
            .iter()
            .map(|item| (number(item, "productId"), signed(item, "quantity")))
            .collect();
        let total: i64 = items.iter().map(|(product, units)| self.prices[product] * units).sum();
        let id = format!("id-{key}");
        let Some(balance) = self.wallets.get(&user) else {
            return (404, json!({"code": "USER_NOT_FOUND", "status": 404}));
        };
        let code = if items.iter().any(|(product, units)| self.stock[product] < *units) {
            Some((409, "OUT_OF_STOCK"))
        } else {
            (*balance < total).then_some((402, "INSUFFICIENT_BALANCE"))
        };
        if let Some((status, code)) = code {
            self.orders.insert(id.clone(), json!({"status": "FAILED", "reason": code}));
            return (status, json!({"code": code, "status": status, "orderId": id}));
        }
        for (product, units) in items {
            *self.stock.get_mut(&product).expect("a product") -= units;
            *self.sold.entry(product).or_default() += units;
        }
        *self.wallets.get_mut(&user).expect("a user") -= total;
        self.orders.insert(id.clone(), json!({"status": "SUCCESS"}));
        (201, json!({"orderId": id, "status": "SUCCESS"}))
    }

    fn read(&mut self, path: &str) -> (u16, Value) {
        if let Some(id) = path.strip_prefix("/order/") {
            let id = id.split('?').next().unwrap_or_default().to_owned();
            return match self.random(3) {
                0 => (200, json!({"orderId": id, "status": "PENDING"})),
                1 => (404, json!({"code": "ORDER_NOT_FOUND"})),
                _ => (200, self.orders[&id].clone()),
            };
        }
        assert!(path.starts_with("/products/top?days=3&limit=5"), "{path}");
        let mut sold: Vec<_> = self.sold.iter().map(|(id, units)| (-units, *id)).collect();
        sold.sort_unstable();
        let rank = |(index, (units, id)): (usize, &(i64, u64))| {
            let rank = index + 1;
            json!({"rank": rank, "id": id, "name": "?", "units": -units, "amount": 1})
        };
        let products: Vec<_> = sold.iter().take(5).enumerate().map(rank).collect();
        (200, json!({"products": products, "windowFrom": "F", "windowTo": "T", "asOf": "A"}))
    }
}

fn number(body: &Value, field: &str) -> u64 {
    body[field].as_u64().unwrap_or_else(|| panic!("{field} in {body}"))
}

fn signed(body: &Value, field: &str) -> i64 {
    body[field].as_i64().unwrap_or_else(|| panic!("{field} in {body}"))
}

/// A running fake shop; ends with its runtime.
pub(super) struct FakeShop {
    pub(super) url: String,
    state: Arc<Mutex<State>>,
}

impl FakeShop {
    pub(super) async fn start(chaos_permille: u64, seed: u64) -> Self {
        let state = State { chaos_permille, random: seed, ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { url, state }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the shop did not panic")
    }
}

/// Serves one connection until either side closes it.
async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            read_more(&mut stream, &mut bytes).await?;
        };
        let text = String::from_utf8(bytes[..head].to_vec()).expect("UTF-8");
        let header = |name: &str| {
            let line = text.lines().find(|line| line.to_lowercase().starts_with(name))?;
            Some(line[name.len()..].trim().to_owned())
        };
        let length = header("content-length:").map_or(0, |text| text.parse().expect("a length"));
        while bytes.len() < head + length {
            read_more(&mut stream, &mut bytes).await?;
        }
        let body = serde_json::from_slice(&bytes[head..head + length]).unwrap_or(Value::Null);
        bytes.drain(..head + length);
        let mut words = text.split(' ');
        let (method, path) = (words.next()?, words.next()?);
        assert_eq!(header("prefer:").as_deref(), Some("wait=10"));
        let reply = handle(&state, method, path, header("idempotency-key:"), &body).await?;
        stream.write_all(reply.as_bytes()).await.ok()?;
    }
}

async fn read_more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    stream.read_buf(bytes).await.ok().filter(|read| *read > 0).map(|_| ())
}

/// Answers one request, or not: `None` closes the connection.
async fn handle(
    state: &Mutex<State>,
    method: &str,
    path: &str,
    key: Option<String>,
    body: &Value,
) -> Option<String> {
    let user = (path == "/order").then(|| number(body, "userId"));
    if let Some(user) = user {
        let mut state = state.lock().expect("no panic");
        let under_way = state.under_way.entry(user).or_default();
        *under_way += 1;
        let two = *under_way > 1;
        state.two_at_once |= two;
    }
    // Gives orders of other users time to come in between.
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    let mut state = state.lock().expect("no panic");
    if let Some(user) = user {
        *state.under_way.get_mut(&user).expect("entered above") -= 1;
    }
    state.requests += 1;
    if state.dies_at.is_some_and(|at| state.requests >= at) {
        return None;
    }
    let trouble = state.random(1000) < state.chaos_permille;
    let kind = if trouble { state.random(8) } else { u64::MAX };
    let again = |status| Some(reply(status, "retry-after: 0\r\n", &json!({})));
    match kind {
        0 => return None,
        1 => return again(429),
        2 => return again(503),
        3 => return again(408),
        _ => {}
    }
    let (status, outcome) = state.answer(method, path, key, body);
    let id = outcome["orderId"].as_str().map(str::to_owned);
    match (kind, id) {
        (4, _) => None,
        (5, _) => again(504),
        (6, Some(id)) if method == "POST" => {
            let location = format!("location: /order/{id}?at=7\r\n");
            Some(reply(202, &location, &json!({"orderId": id, "status": "PENDING"})))
        }
        (7, Some(_)) if method == "POST" => Some(reply(202, "", &json!({"status": "PENDING"}))),
        _ => Some(reply(status, "", &outcome)),
    }
}

fn reply(status: u16, headers: &str, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\n\r\n{body}")
}
