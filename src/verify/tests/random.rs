//! Whatever a shop is told, in whatever order its lanes run: at any moment its log is sound.

use super::{
    forge::{steps, text, verify},
    shop::Shop,
    writer::OwnedRecord,
};
use jupan_ledger::Rules;
use jupan_schemas::{
    ChangeProduct, ChargeBalance, InputRef, Lane, Line, Micros, Money, OrderEvent, OrderId,
    Payment, PlaceOrder, ProductId, ProductPayload, RegisterProduct, RegisterUser, Restock, Role,
    Source, TopicId, Units, UserCommand, UserId, UserPayload,
};
use std::collections::{BTreeSet, HashSet};

/// How many seeds a run tries, unless `JUPAN_SEEDS` says otherwise.
const SEEDS: u64 = 60;

pub(crate) fn seeds(default: u64) -> u64 {
    let told = std::env::var("JUPAN_SEEDS").ok();
    told.map_or(default, |seeds| seeds.parse().expect("JUPAN_SEEDS is a number"))
}

/// Numbers that look random and are the same every time.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }

    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// Once in so many times.
    fn rarely(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// A shop and what it was told.
struct Told {
    shop: Shop,
    numbers: Numbers,
    commands: Vec<(u64, String, UserPayload)>,
    orders: Vec<OrderId>,
}

impl Told {
    /// Users 1 to 4 and products 1 to 4; 5 is nobody and nothing.
    fn new(seed: u64) -> Self {
        let mut numbers = Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        numbers.below(2);
        let mut shop = Shop::new(numbers.one_of(&[1, 1, 2, 3]));
        shop.batch_max = 1 + numbers.below(4);
        shop.rules = Self::rules(&mut numbers, shop.lanes);
        for id in 1..5 {
            shop.register(id, numbers.one_of(&[0, 300, 2_000, 9_000, 9_000]));
            shop.stock(id, numbers.one_of(&[0, 30, 90, 400]), numbers.one_of(&[0, 4, 40, 40]));
        }
        shop.run();
        Self { shop, numbers, commands: Vec::new(), orders: Vec::new() }
    }

    fn rules(numbers: &mut Numbers, lanes: u16) -> Rules {
        Rules {
            order_lines_max: numbers.one_of(&[2, 3, 500]),
            line_units_max: numbers.one_of(&[4, 12, 10_000]),
            charge_max: Money(i64::MAX),
            ..Rules::new(lanes)
        }
    }

    fn units(&mut self) -> Units {
        let edges = [-1, 0, 12, 13, 10_001, i64::MAX];
        Units(if self.numbers.rarely(12) { self.numbers.one_of(&edges) } else { self.small() })
    }

    fn small(&mut self) -> i64 {
        self.numbers.one_of(&[1, 1, 2, 3])
    }

    fn product_id(&mut self) -> ProductId {
        ProductId(if self.numbers.rarely(60) { 1 << 60 } else { self.id() })
    }

    fn id(&mut self) -> u64 {
        if self.numbers.rarely(25) { 5 } else { self.numbers.one_of(&[1, 1, 2, 2, 3, 4]) }
    }

    fn lines(&mut self, count_max: usize) -> Vec<Line> {
        let count = self.numbers.below(2 * count_max).div_ceil(2);
        (0..count).map(|_| Line { product_id: self.product_id(), quantity: self.units() }).collect()
    }

    /// One of the last orders that were wished for or placed, and mostly its own user.
    fn order(&mut self) -> (u64, OrderId) {
        let mut orders = self.orders.clone();
        if !self.numbers.rarely(8) {
            let events = self.shop.log.iter().flatten();
            let events = events.filter(|record| record.topic == TopicId::OrderEvents);
            let read = |record: &OwnedRecord| self.shop.codec.decode::<OrderEvent>(&record.value);
            let placed: HashSet<String> =
                events.map(|record| read(record).expect("an event").order_id).collect();
            orders.retain(|order| placed.contains(&order.to_string()));
        }
        if orders.is_empty() || self.numbers.rarely(30) {
            let user = self.id();
            return (user, OrderId::of(UserId(user), "never"));
        }
        let order = orders[orders.len() - 1 - self.numbers.below(orders.len().min(6))];
        let owner = order.user().expect("an order id").0;
        (if self.numbers.rarely(15) { self.id() } else { owner }, order)
    }

    fn wish(&mut self) -> (u64, UserPayload) {
        use jupan_schemas::{AddToCart, CancelOrder, PayOrder, RefundOrder, RemoveFromCart};
        let payment = self.numbers.one_of(&[Payment::Now, Payment::Later]);
        let user = self.id();
        match self.numbers.below(26) {
            0 => {
                let (name, email) = ("Lee".to_owned(), "a@b".to_owned());
                (user, UserPayload::RegisterUser(RegisterUser { name, email }))
            }
            1..4 => {
                let amounts = [-1, 0, 10, 100, 1_000, 999_999_999_990_000, i64::MAX];
                let amount = Money(self.numbers.one_of(&amounts));
                (user, UserPayload::ChargeBalance(ChargeBalance { amount }))
            }
            4..8 => {
                let from_cart = self.numbers.rarely(30);
                let items = self.lines(3);
                (user, UserPayload::PlaceOrder(PlaceOrder { items, from_cart, payment }))
            }
            8..11 => {
                let (items, from_cart) = (Vec::new(), true);
                (user, UserPayload::PlaceOrder(PlaceOrder { items, from_cart, payment }))
            }
            11..16 => {
                let (product_id, quantity) = (self.product_id(), self.units());
                (user, UserPayload::AddToCart(AddToCart { product_id, quantity }))
            }
            16..18 => {
                let (product_id, units) = (self.product_id(), self.units());
                let quantity = (!self.numbers.rarely(3)).then_some(units);
                (user, UserPayload::RemoveFromCart(RemoveFromCart { product_id, quantity }))
            }
            18..21 => {
                let (user, order_id) = self.order();
                (user, UserPayload::PayOrder(PayOrder { order_id }))
            }
            21..22 => {
                let (user, order_id) = self.order();
                (user, UserPayload::CancelOrder(CancelOrder { order_id }))
            }
            _ => {
                let (user, order_id) = self.order();
                let items = self.lines(2);
                (user, UserPayload::RefundOrder(RefundOrder { order_id, items }))
            }
        }
    }

    fn command(&mut self) {
        let (user, wish) = self.wish();
        let key = format!("k{}", self.numbers.below(150));
        if matches!(wish, UserPayload::PlaceOrder(_)) {
            self.orders.push(OrderId::of(UserId(user), &key));
        }
        self.shop.reply_to = u32::try_from(self.numbers.below(12)).expect("few");
        let ago = [0, Micros::DAY, -1, 3 * Micros::DAY];
        let occurred = self.numbers.rarely(8).then(|| self.numbers.one_of(&ago));
        self.shop.occurred_at = occurred.map(|ago| Micros(self.shop.now - ago * 1_000));
        let ages = [20 * Micros::DAY, -10 * Micros::MINUTE];
        let is_odd = self.numbers.rarely(30);
        self.shop.age_us = if is_odd { self.numbers.one_of(&ages) } else { 0 };
        self.shop.user(user, &key, wish.clone());
        (self.shop.occurred_at, self.shop.age_us) = (None, 0);
        self.commands.push((user, key, wish));
    }

    fn again(&mut self) {
        if self.commands.is_empty() {
            return;
        }
        let (user, key, wish) = self.commands[self.numbers.below(self.commands.len())].clone();
        self.shop.reply_to = u32::try_from(self.numbers.below(12)).expect("few");
        self.shop.user(user, &key, wish);
    }

    fn administer(&mut self) {
        let (id, key) = (self.id(), format!("p{}", self.numbers.below(40)));
        let price = Money(self.numbers.one_of(&[0, 20, 70, 1_000_000_000_000]));
        let stock = self.units();
        let wish = match self.numbers.below(3) {
            0 => {
                let name = "tea".to_owned();
                ProductPayload::RegisterProduct(RegisterProduct { name, price, stock })
            }
            1 => ProductPayload::ChangeProduct(ChangeProduct { name: None, price: Some(price) }),
            _ => ProductPayload::Restock(Restock { quantity: stock }),
        };
        self.shop.product(id, &key, wish);
    }

    /// Time goes by, and the timers ring.
    fn wait(&mut self) {
        let waits = [1, 1, 14, 16, 4 * 24 * 60, 16 * 24 * 60];
        self.shop.now += self.numbers.one_of(&waits) * Micros::MINUTE;
        self.ring();
    }

    fn ring(&mut self) {
        for order in self.orders.clone() {
            self.shop.remind(order);
        }
    }

    /// New owners, and perhaps other limits.
    fn open(&mut self) {
        self.shop.run();
        self.shop.open();
        self.shop.rules = Self::rules(&mut self.numbers, self.shop.lanes);
    }

    fn act(&mut self) {
        match self.numbers.below(40) {
            0..18 => self.command(),
            18..20 => self.again(),
            20..22 => self.administer(),
            22..28 => drop(self.shop.turn_users()),
            28..33 => drop(self.shop.turn_products()),
            33..36 => self.shop.run(),
            36 if self.numbers.rarely(2) => self.wait(),
            36 => self.shop.run(),
            37 => {
                let order = self.order().1;
                self.shop.remind(order);
            }
            38 if self.numbers.rarely(3) => self.open(),
            38 => {}
            _ => self.shop.publish_top(3),
        }
    }
}

/// A shop that was told anything.
pub(crate) fn anything(seed: u64) -> Shop {
    let mut told = Told::new(seed);
    let count = 40 + told.numbers.below(160);
    for _ in 0..count {
        told.act();
    }
    told.ring();
    if told.numbers.rarely(2) {
        told.shop.run();
    }
    told.shop
}

#[test]
fn whatever_happens_is_sound() {
    for seed in 0..seeds(SEEDS) {
        let report = verify(&anything(seed));
        assert!(report.is_ok() && report.is_complete, "seed {seed}\n{}", text(&report));
    }
}

/// What commands came to, as `PayOrder ORDER_EXPIRED`.
fn decisions(shop: &Shop, out: &mut BTreeSet<String>) {
    for index in 0..shop.lanes {
        let is_command = |record: &&OwnedRecord| {
            record.topic == TopicId::UserCommands && record.partition == index
        };
        let commands: Vec<&OwnedRecord> = shop.log.iter().flatten().filter(is_command).collect();
        let steps = steps(shop, Lane { role: Role::Users, index });
        for entry in steps.into_iter().flat_map(|(_, step)| step.entries) {
            let Some(InputRef { source: Source::Commands, offset, .. }) = entry.input else {
                continue;
            };
            let record = commands[usize::try_from(offset).expect("small")];
            let command: UserCommand = shop.codec.decode(&record.value).expect("a command");
            let wish = format!("{:?}", command.payload);
            let wish = wish.split('(').next().expect("a name");
            out.insert(format!("{wish} {}", entry.code));
        }
    }
}

/// A driver that never pays, or only ever asks for what is not there, proves nothing.
#[test]
fn random_shops_come_to_every_decision() {
    let mut found = BTreeSet::new();
    (0..SEEDS).for_each(|seed| decisions(&anything(seed), &mut found));
    for (wish, codes) in [
        ("PlaceOrder", "OK CART_EMPTY INVALID_LINES INVALID_QUANTITY INVALID_ID USER_NOT_FOUND"),
        ("AddToCart", "OK CART_FULL INVALID_QUANTITY INVALID_ID USER_NOT_FOUND COMMAND_TOO_OLD"),
        ("RemoveFromCart", "OK INVALID_QUANTITY INVALID_ID USER_NOT_FOUND COMMAND_FROM_FUTURE"),
        ("PayOrder", "OK ORDER_NOT_FOUND ORDER_NOT_READY ORDER_EXPIRED ORDER_NOT_PENDING"),
        ("PayOrder", "INSUFFICIENT_BALANCE IDEMPOTENCY_KEY_REUSED INVALID_TIME"),
        ("CancelOrder", "OK ORDER_NOT_FOUND ORDER_NOT_PENDING"),
        ("RefundOrder", "OK ORDER_NOT_FOUND ORDER_NOT_PAID REFUND_EXCEEDS INVALID_QUANTITY"),
        ("ChargeBalance", "OK BALANCE_LIMIT INVALID_AMOUNT USER_NOT_FOUND"),
    ] {
        for code in codes.split(' ') {
            assert!(found.contains(&format!("{wish} {code}")), "no {wish} came to {code}");
        }
    }
}
