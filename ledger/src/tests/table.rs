//! Tables: one line a step, `what is done -> what comes of it`, for one lane a role and for
//! several. Blank lines and `#` comments are skipped.
//!
//! ```text
//! user 1 · charge 1 500 · product 7 price 100 stock 3 · change 7 price=200 · restock 7 5
//! order a user 1 7x2 9x1     a PlaceOrder; `a` names the order from here on
//! order b user 1 later cart  from the cart, to be paid later
//! pay a · cancel a · refund a · refund a 7x1       by=2: another user asks
//! add 1 7x2 · remove 1 7 · remove 1 7x1 · cart 1
//! deliver · deliver products · deliver users        all messages, or one hop
//! wait 15m · expire a · release a · rest · trim · restart
//! wallet 1 · stock 7 · status a · due a · refunded a
//! history a · told a · feed a · sales 7 · statement 1 · holds
//! ```
//! Commands take `key=`, `reply=` (or `reply=none`), `made=-15d` (createdAt) and `occurred=-3d`.

use super::{audit, shop::Shop};
use crate::{Event, Rules};
use jupan_schemas::{
    AddToCart, CancelOrder, Change, ChangeProduct, ChargeBalance, Code, CommandId, Entry, Envelope,
    Line, Message, Micros, Money, OrderId, Outcome, PayOrder, Payment, PlaceOrder, ProductCommand,
    ProductId, ProductPayload, RefundOrder, RegisterProduct, RegisterUser, Release, RemoveFromCart,
    Restock, Role, Stamp, Units, UserCommand, UserId, UserPayload, Verdict, partition_of,
    rows::{Key, OrderRow, Row, StatementKind, StatementRow},
};
use std::{collections::BTreeMap, sync::Arc};

/// Runs a table with one, three and twelve lanes a role, and audits the shop after it.
pub(super) fn check(table: &str) {
    check_with(|_| {}, table);
}

/// Like [`check`], with other rules.
pub(super) fn check_with(change: impl Fn(&mut Rules), table: &str) {
    for lanes in [1, 3, 12] {
        let mut rules = Rules::new(lanes);
        change(&mut rules);
        let mut shop = run(rules, table);
        shop.rest();
        audit::audit_at_rest(&shop);
    }
}

/// Runs a table and returns the shop as it is then.
pub(super) fn run(rules: Rules, table: &str) -> Shop {
    let lanes = rules.lanes;
    let mut world = World { shop: Shop::new(rules), orders: BTreeMap::new(), keys: 0 };
    for (number, line) in (1..).zip(table.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (step, expected) = match line.split_once("->") {
            Some((step, expected)) => (step.trim(), Some(expected.trim())),
            None => (line, None),
        };
        let found = world.step(step);
        assert!(
            expected.is_none_or(|expected| expected == found),
            "line {number} with {lanes} lanes: `{line}` gave `{found}`"
        );
        let moves = ["deliver", "expire", "release", "rest", "restart"];
        if moves.iter().any(|word| step.starts_with(word)) {
            audit::audit(&world.shop);
        }
    }
    world.shop
}

struct World {
    shop: Shop,
    orders: BTreeMap<String, OrderId>,
    /// How many keys were made up.
    keys: u32,
}

/// A step's words: first what it does, then positions, then `name=value` options.
struct Words<'a> {
    words: Vec<&'a str>,
    options: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn of(step: &'a str) -> Self {
        let (options, words) = step.split_whitespace().partition::<Vec<_>, _>(|w| w.contains('='));
        Self { words, options: options.iter().filter_map(|w| w.split_once('=')).collect() }
    }

    fn number<T: std::str::FromStr>(&self, place: usize) -> T {
        let word = self.words.get(place).and_then(|word| word.parse().ok());
        word.unwrap_or_else(|| panic!("word {place} is no number"))
    }

    fn text(&self, name: &str, default: &str) -> String {
        self.options.get(name).copied().unwrap_or(default).to_owned()
    }

    fn time(&self, name: &str, now: Micros) -> Option<Micros> {
        self.options.get(name).map(|text| now.plus(duration(text)))
    }

    /// `7x2`: two units of product 7.
    fn lines(&self) -> Vec<Line> {
        let pairs = self.words.iter().filter_map(|word| word.split_once('x'));
        let line = |(product, quantity): (&str, &str)| {
            let product_id = ProductId(product.parse().ok()?);
            Some(Line { product_id, quantity: Units(quantity.parse().ok()?) })
        };
        pairs.filter_map(line).collect()
    }
}

fn duration(text: &str) -> i64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let unit = match unit {
        "d" => Micros::DAY,
        "m" => Micros::MINUTE,
        "s" => Micros::SECOND,
        other => panic!("no unit of time: {other}"),
    };
    number.parse::<i64>().expect("a number") * unit
}

impl World {
    fn step(&mut self, step: &str) -> String {
        let words = Words::of(step);
        match words.words[0] {
            "user" | "charge" | "order" | "add" | "remove" => self.user_command(&words),
            "pay" | "cancel" | "refund" => self.user_command(&words),
            "product" | "change" | "restock" => self.product_command(&words),
            "deliver" | "wait" | "rest" | "trim" | "restart" => self.run(&words),
            "expire" => {
                let order = self.orders[words.words[1]];
                verdict(&self.shop.ring(order))
            }
            "release" => self.inject(&words, |order_id| Message::Release(Release { order_id })),
            _ => self.read(&words),
        }
    }

    fn user_command(&mut self, words: &Words<'_>) -> String {
        let kind = words.words[0];
        let label = words.words[1];
        let user: u64 = match kind {
            "order" => words.number(3),
            "pay" | "cancel" | "refund" => words.options.get("by").map_or_else(
                || self.orders[label].user().expect("an order id").0,
                |by| by.parse().expect("a user"),
            ),
            _ => words.number(1),
        };
        let default = if kind == "order" { label.to_owned() } else { self.made_up_key() };
        let key = words.options.get("key").map_or(default, |key| (*key).to_owned());
        if kind == "order" {
            self.orders.insert(label.to_owned(), OrderId::of(UserId(user), &key));
        }
        let payload = match kind {
            "user" => UserPayload::RegisterUser(RegisterUser {
                name: words.text("name", "Kim"),
                email: words.text("email", "kim@example.com"),
            }),
            "charge" => {
                UserPayload::ChargeBalance(ChargeBalance { amount: Money(words.number(2)) })
            }
            "order" => UserPayload::PlaceOrder(PlaceOrder {
                items: words.lines(),
                from_cart: words.words.contains(&"cart"),
                payment: if words.words.contains(&"later") { Payment::Later } else { Payment::Now },
            }),
            "add" => {
                let Line { product_id, quantity } = words.lines()[0];
                UserPayload::AddToCart(AddToCart { product_id, quantity })
            }
            "remove" => UserPayload::RemoveFromCart(match words.lines().first() {
                Some(line) => {
                    RemoveFromCart { product_id: line.product_id, quantity: Some(line.quantity) }
                }
                None => RemoveFromCart { product_id: ProductId(words.number(2)), quantity: None },
            }),
            _ => order_payload(kind, self.orders[label], words.lines()),
        };
        let now = self.shop.now;
        let command = UserCommand {
            user_id: UserId(user),
            key,
            created_at: words.time("made", now).unwrap_or(now),
            occurred_at: words.time("occurred", now),
            actor: "test".to_owned(),
            trace_id: None,
            reply_to: reply_to(words),
            payload,
        };
        told(&self.shop.user_command(command))
    }

    fn product_command(&mut self, words: &Words<'_>) -> String {
        let id = ProductId(words.number(1));
        let default = self.made_up_key();
        let payload = match words.words[0] {
            "product" => ProductPayload::RegisterProduct(RegisterProduct {
                name: words.text("name", "tea"),
                price: Money(words.number(3)),
                stock: Units(words.number(5)),
            }),
            "change" => ProductPayload::ChangeProduct(ChangeProduct {
                name: words.options.get("name").map(|name| (*name).to_owned()),
                price: words.options.get("price").map(|p| Money(p.parse().expect("a price"))),
            }),
            _ => ProductPayload::Restock(Restock { quantity: Units(words.number(2)) }),
        };
        let now = self.shop.now;
        let command = ProductCommand {
            product_id: id,
            key: words.options.get("key").map_or(default, |key| (*key).to_owned()),
            created_at: words.time("made", now).unwrap_or(now),
            occurred_at: words.time("occurred", now),
            actor: "test".to_owned(),
            trace_id: None,
            reply_to: reply_to(words),
            payload,
        };
        told(&self.shop.product_command(command))
    }

    fn run(&mut self, words: &Words<'_>) -> String {
        match (words.words[0], words.words.get(1).copied()) {
            ("deliver", None) => self.shop.deliver_all(),
            ("deliver", Some("products")) => self.shop.deliver_to(Role::Products),
            ("deliver", Some(_)) => self.shop.deliver_to(Role::Users),
            ("wait", Some(time)) => self.shop.now = self.shop.now.plus(duration(time)),
            ("rest", _) => self.shop.rest(),
            ("trim", _) => {
                self.shop.users.iter_mut().for_each(|lane| {
                    lane.project();
                    lane.trim(0);
                });
                self.shop.products.iter_mut().for_each(|lane| {
                    lane.project();
                    lane.trim(0);
                });
            }
            _ => {
                self.shop.users.iter_mut().for_each(|lane| lane.restart(usize::MAX));
                self.shop.products.iter_mut().for_each(|lane| lane.restart(usize::MAX));
            }
        }
        String::new()
    }

    /// Tells every product lane of an order something that no order's entry sent.
    fn inject(&mut self, words: &Words<'_>, message: impl Fn(OrderId) -> Message) -> String {
        let order = self.orders[words.words[1]];
        let user = order.user().expect("an order id");
        let from = partition_of(user.0, self.shop.rules.lanes);
        let placed = self.order(order).expect("the order exists");
        let mut lanes: Vec<u16> = placed
            .lines
            .iter()
            .map(|line| partition_of(line.product_id.0, self.shop.rules.lanes))
            .collect();
        lanes.sort_unstable();
        lanes.dedup();
        let mut verdicts: Vec<String> = Vec::new();
        for to in lanes {
            let envelope = Envelope {
                lane: from,
                number: 0,
                stamp: Stamp(0),
                command_id: None,
                actor: "test".to_owned(),
                trace_id: None,
                payload: message(order),
            };
            let entry = self.shop.hand_over((Role::Products, from, to), envelope);
            verdicts.push(verdict(&entry));
        }
        verdicts.dedup();
        verdicts.join(" ")
    }

    fn read(&self, words: &Words<'_>) -> String {
        let what = words.words.get(1).copied().unwrap_or_default();
        match words.words[0] {
            "wallet" => match self.row(Role::Users, words.number(1)) {
                Some(Row::User(row)) => row.balance.to_string(),
                _ => "none".to_owned(),
            },
            "stock" => match self.row(Role::Products, words.number(1)) {
                Some(Row::Product(row)) => {
                    format!("{} {} {}", row.available, row.reserved, row.sold)
                }
                _ => "none".to_owned(),
            },
            "status" => {
                self.order(self.orders[what]).map_or_else(|| "none".to_owned(), |o| status(&o))
            }
            "history" => {
                let order = self.order(self.orders[what]).expect("the order exists");
                join(order.history.iter().map(|line| line.status.as_str()))
            }
            "told" => self.told(what),
            "feed" => self.feed(self.orders[what]),
            "sales" => self.sales(words.number(1)),
            "cart" => match self.row(Role::Users, words.number(1)) {
                Some(Row::User(row)) => {
                    let line = |line: &Line| format!("{}x{}", line.product_id, line.quantity);
                    join(row.cart.iter().map(line))
                }
                _ => "none".to_owned(),
            },
            "refunded" => {
                let order = self.order(self.orders[what]).expect("the order exists");
                join(order.lines.iter().map(|line| line.refunded.to_string()))
            }
            "due" => {
                let order = self.order(self.orders[what]).expect("the order exists");
                let due = order.payment_due.map(|due| due.since(self.shop.now) / Micros::MINUTE);
                due.map_or_else(|| "never".to_owned(), |minutes| format!("in {minutes}m"))
            }
            "statement" => self.statement(UserId(words.number(1))),
            "holds" => {
                let rows = self.shop.products.iter().flat_map(|lane| lane.view());
                rows.filter(|(key, _)| matches!(key, Key::Hold(..))).count().to_string()
            }
            other => panic!("no such step: {other}"),
        }
    }

    fn row(&self, role: Role, id: u64) -> Option<Row> {
        let lane = usize::from(partition_of(id, self.shop.rules.lanes));
        match role {
            Role::Users => self.shop.users[lane].view().remove(&Key::User(UserId(id))),
            Role::Products => self.shop.products[lane].view().remove(&Key::Product(ProductId(id))),
        }
    }

    fn order(&self, id: OrderId) -> Option<Arc<OrderRow>> {
        let lane = partition_of(id.user()?.0, self.shop.rules.lanes);
        match self.shop.users[usize::from(lane)].view().remove(&Key::Order(id)) {
            Some(Row::Order(row)) => Some(row),
            _ => None,
        }
    }

    /// All outcomes that those who asked for an order's command got, in order.
    fn told(&self, label: &str) -> String {
        let command: CommandId = self.orders[label].command().expect("an order id");
        let entries = self.shop.users.iter().flat_map(|lane| &lane.journal);
        let answers = entries.flat_map(|entry| &entry.answers);
        let mine = answers.filter(|answer| answer.command_id == command);
        join(mine.map(|answer| answer.outcome.code.as_str()))
    }

    fn feed(&self, order: OrderId) -> String {
        let events = self.shop.users.iter().flat_map(|lane| &lane.events);
        join(events.filter_map(|event| match event {
            Event::Order(event) if event.order_id == order.to_string() => {
                Some(match &event.reason {
                    Some(reason) => format!("{} {reason} {}", event.status, event.total_price),
                    None => format!("{} {}", event.status, event.total_price),
                })
            }
            _ => None,
        }))
    }

    fn sales(&self, product: u64) -> String {
        let events = self.shop.products.iter().flat_map(|lane| &lane.events);
        join(events.filter_map(|event| match event {
            Event::Sale(sale) if sale.product_id.0 == product => {
                let ago = self.shop.now.since(sale.sold_at) / Micros::DAY;
                Some(format!("{} for {} {ago}d ago", sale.units, sale.amount))
            }
            _ => None,
        }))
    }

    fn statement(&self, user: UserId) -> String {
        let rows = self.shop.users.iter().flat_map(|lane| &lane.statement);
        join(rows.filter_map(|row| match row {
            Row::Statement(row) if row.user_id == user => {
                let StatementRow { kind, delta, balance, order_id, .. } = &**row;
                assert_eq!(order_id.is_some(), *kind != StatementKind::Charge);
                Some(format!("{kind:?} {delta} = {balance}"))
            }
            _ => None,
        }))
    }

    fn made_up_key(&mut self) -> String {
        self.keys += 1;
        format!("made up {}", self.keys)
    }
}

fn reply_to(words: &Words<'_>) -> Option<u32> {
    words.options.get("reply").map_or(Some(0), |text| text.parse().ok())
}

fn order_payload(kind: &str, order_id: OrderId, items: Vec<Line>) -> UserPayload {
    match kind {
        "pay" => UserPayload::PayOrder(PayOrder { order_id }),
        "cancel" => UserPayload::CancelOrder(CancelOrder { order_id }),
        "refund" => UserPayload::RefundOrder(RefundOrder { order_id, items }),
        other => panic!("no such command: {other}"),
    }
}

fn join<T: Into<String>>(items: impl Iterator<Item = T>) -> String {
    items.map(Into::into).collect::<Vec<String>>().join(", ")
}

fn verdict(entry: &Entry) -> String {
    let name = format!("{:?}", entry.verdict).to_uppercase();
    if entry.code == Code::Ok { name } else { format!("{name} {}", entry.code) }
}

/// What comes of a command: `again` where the key is known, then the outcome or `PENDING`.
fn told(entry: &Entry) -> String {
    let stored = entry.changes.iter().find_map(|change| match change {
        Change::OutcomeStored(stored) => Some(stored.outcome),
        _ => None,
    });
    let outcome = stored.or_else(|| entry.answers.first().map(|answer| answer.outcome));
    let text = match outcome {
        Some(Outcome { code, balance, product_id, .. }) => {
            let balance = balance.map(|balance| format!(" {balance}")).unwrap_or_default();
            let product = product_id.map(|id| format!(" of {id}")).unwrap_or_default();
            format!("{code}{balance}{product}")
        }
        None if entry.code != Code::Ok => entry.code.to_string(),
        None => "PENDING".to_owned(),
    };
    match entry.verdict {
        Verdict::Duplicate => format!("again {text}"),
        _ => text,
    }
}

fn status(order: &OrderRow) -> String {
    let reason = order.reason.map(|code| format!(" {code}")).unwrap_or_default();
    let product = order.reason_product.map(|id| format!(" of {id}")).unwrap_or_default();
    format!("{}{reason}{product} {}", order.status.as_str(), order.total)
}
