//! The smallest shop that writes a whole log: real cores, one thread, time by hand.

use super::{
    lane::{Batch, Draft, LaneOf},
    writer::{Group, OwnedRecord},
};
use jupan_ledger::{Rules, products, users};
use jupan_schemas::{
    AddToCart, Answer, CancelOrder, ChargeBalance, Codec, CommandResult, Envelope, ExpireOrder,
    Line, Micros, Money, OrderId, PayOrder, Payment, PlaceOrder, ProductCommand, ProductId,
    ProductPayload, RefundOrder, RegisterProduct, RegisterUser, RemoveFromCart, Sale, Source,
    Stamp, ToUsers, TopProduct, TopProducts, TopicId, TraceId, Units, UserCommand, UserId,
    UserMessage, UserPayload, partition_of,
};
use std::collections::BTreeMap;

/// Where the shop's time begins.
const START: i64 = 1_700_000_000_000_000;

/// Products with units, as lines.
fn lines(items: &[(u64, i64)]) -> Vec<Line> {
    let line = |(product, units): &(u64, i64)| Line {
        product_id: ProductId(*product),
        quantity: Units(*units),
    };
    items.iter().map(line).collect()
}

/// A whole shop and its log.
pub(crate) struct Shop {
    pub(crate) lanes: u16,
    pub(crate) rules: Rules,
    pub(crate) codec: Codec,
    pub(crate) log: Vec<Group>,
    pub(crate) now: i64,
    /// Of the next commands.
    pub(crate) occurred_at: Option<Micros>,
    /// How long ago the next commands were made.
    pub(crate) age_us: i64,
    /// Where the next commands want to be answered.
    pub(crate) reply_to: u32,
    ends: BTreeMap<(TopicId, u16), u64>,
    users: Vec<LaneOf<users::Users>>,
    products: Vec<LaneOf<products::Products>>,
    /// Answers are sent later than their commit, and not by the lane's commit.
    answers: Vec<Answer>,
    pub(crate) batch_max: usize,
}

impl Shop {
    pub(crate) fn new(lanes: u16) -> Self {
        let mut shop = Self {
            lanes,
            rules: Rules::new(lanes),
            codec: Codec::embedded(),
            log: Vec::new(),
            now: START,
            occurred_at: None,
            age_us: 0,
            reply_to: 1,
            ends: BTreeMap::new(),
            users: (0..lanes).map(|index| LaneOf::new(index, lanes)).collect(),
            products: (0..lanes).map(|index| LaneOf::new(index, lanes)).collect(),
            answers: Vec::new(),
            batch_max: 3,
        };
        shop.open();
        shop
    }

    /// Every lane gets a new owner.
    pub(crate) fn open(&mut self) {
        for lane in 0..usize::from(self.lanes) {
            let batch = self.users[lane].open(&mut self.codec);
            self.commit(batch);
            let batch = self.products[lane].open(&mut self.codec);
            self.commit(batch);
        }
    }

    /// Makes a record at the end of its partition, and hands inputs to their lane.
    pub(crate) fn record(
        &mut self,
        topic: TopicId,
        partition: u16,
        key: &[u8],
        value: Vec<u8>,
    ) -> OwnedRecord {
        let end = self.ends.entry((topic, partition)).or_default();
        let offset = *end;
        *end += 1;
        let (key, headers) = (key.to_vec(), Vec::new());
        let record = OwnedRecord { topic, partition, offset, at: self.now, key, value, headers };
        let slot = usize::from(partition);
        let waiting = match topic {
            TopicId::UserCommands => Some((&mut self.users[slot].waiting, Source::Commands)),
            TopicId::UserInbox => Some((&mut self.users[slot].waiting, Source::Inbox)),
            TopicId::ProductCommands => Some((&mut self.products[slot].waiting, Source::Commands)),
            TopicId::ProductInbox => Some((&mut self.products[slot].waiting, Source::Inbox)),
            _ => None,
        };
        if let Some((waiting, source)) = waiting {
            waiting.push_back((source, record.clone()));
        }
        record
    }

    /// Appends one record in a frame of its own.
    pub(crate) fn append(&mut self, topic: TopicId, partition: u16, key: &[u8], value: Vec<u8>) {
        self.now += 100;
        let record = self.record(topic, partition, key, value);
        self.log.push(vec![record]);
    }

    fn commit(&mut self, batch: Batch) {
        self.now += 10;
        let mut group = Vec::new();
        for Draft { topic, partition, key, value } in batch.records {
            let mut record = self.record(topic, partition, &key, value);
            if topic == TopicId::DeadLetters {
                record.headers.push(("cause".to_owned(), b"test".to_vec()));
            }
            group.push(record);
        }
        self.log.push(group);
        self.answers.extend(batch.answers);
    }

    /// Runs every lane until nothing is left to read.
    pub(crate) fn run(&mut self) {
        while self.turn() {}
        self.answer();
    }

    /// Gives every lane one batch; says whether there was anything to do.
    pub(crate) fn turn(&mut self) -> bool {
        let users = self.turn_users();
        self.turn_products() || users
    }

    /// Gives every user lane one batch.
    pub(crate) fn turn_users(&mut self) -> bool {
        let mut is_busy = false;
        for lane in 0..usize::from(self.lanes) {
            if !self.users[lane].waiting.is_empty() {
                let batch = self.users[lane].run(&mut self.codec, &self.rules, self.batch_max);
                self.commit(batch);
                is_busy = true;
            }
        }
        is_busy
    }

    /// Gives every product lane one batch.
    pub(crate) fn turn_products(&mut self) -> bool {
        let mut is_busy = false;
        for lane in 0..usize::from(self.lanes) {
            if !self.products[lane].waiting.is_empty() {
                let batch = self.products[lane].run(&mut self.codec, &self.rules, self.batch_max);
                self.commit(batch);
                is_busy = true;
            }
        }
        is_busy
    }

    fn answer(&mut self) {
        for answer in std::mem::take(&mut self.answers) {
            let Answer { command_id, asker, outcome } = answer;
            let result = CommandResult {
                command_id,
                position: asker.position,
                code: outcome.code,
                order_id: outcome.order_id,
                balance: outcome.balance,
                product_id: outcome.product_id,
            };
            let value = self.codec.to_bytes(&result);
            let partition = u16::try_from(asker.reply_to).expect("few partitions");
            self.append(TopicId::CommandResults, partition, b"", value);
        }
    }

    pub(crate) fn user(&mut self, user: u64, key: &str, payload: UserPayload) {
        let partition = partition_of(user, self.lanes);
        self.user_at(partition, user, key, payload);
    }

    pub(crate) fn user_at(&mut self, partition: u16, user: u64, key: &str, payload: UserPayload) {
        let command = UserCommand {
            user_id: UserId(user),
            key: key.to_owned(),
            created_at: Micros(self.now - self.age_us),
            occurred_at: self.occurred_at,
            actor: format!("user:{user}"),
            trace_id: Some(TraceId([9; 16])),
            reply_to: (user != 3).then_some(self.reply_to),
            payload,
        };
        let value = self.codec.to_bytes(&command);
        self.append(TopicId::UserCommands, partition, user.to_string().as_bytes(), value);
    }

    pub(crate) fn product(&mut self, product: u64, key: &str, payload: ProductPayload) {
        let command = ProductCommand {
            product_id: ProductId(product),
            key: key.to_owned(),
            created_at: Micros(self.now),
            occurred_at: None,
            actor: "admin".to_owned(),
            trace_id: None,
            reply_to: Some(0),
            payload,
        };
        let value = self.codec.to_bytes(&command);
        let partition = partition_of(product, self.lanes);
        self.append(TopicId::ProductCommands, partition, product.to_string().as_bytes(), value);
    }

    /// Orders so many units of each product, paid now.
    pub(crate) fn order(&mut self, user: u64, key: &str, items: &[(u64, i64)]) -> OrderId {
        let items = lines(items);
        self.place(user, key, PlaceOrder { items, from_cart: false, payment: Payment::Now })
    }

    /// The same, to be paid later.
    pub(crate) fn order_later(&mut self, user: u64, key: &str, items: &[(u64, i64)]) -> OrderId {
        let items = lines(items);
        self.place(user, key, PlaceOrder { items, from_cart: false, payment: Payment::Later })
    }

    /// Orders what is in the cart.
    pub(crate) fn order_cart(&mut self, user: u64, key: &str, payment: Payment) -> OrderId {
        self.place(user, key, PlaceOrder { items: Vec::new(), from_cart: true, payment })
    }

    pub(crate) fn place(&mut self, user: u64, key: &str, wish: PlaceOrder) -> OrderId {
        self.user(user, key, UserPayload::PlaceOrder(wish));
        OrderId::of(UserId(user), key)
    }

    pub(crate) fn pay(&mut self, user: u64, key: &str, order_id: OrderId) {
        self.user(user, key, UserPayload::PayOrder(PayOrder { order_id }));
    }

    pub(crate) fn cancel(&mut self, user: u64, key: &str, order_id: OrderId) {
        self.user(user, key, UserPayload::CancelOrder(CancelOrder { order_id }));
    }

    /// Wants money back for so many units of each product; none: for all that is left.
    pub(crate) fn refund(&mut self, user: u64, key: &str, order_id: OrderId, items: &[(u64, i64)]) {
        let items = lines(items);
        self.user(user, key, UserPayload::RefundOrder(RefundOrder { order_id, items }));
    }

    pub(crate) fn add(&mut self, user: u64, key: &str, (product, units): (u64, i64)) {
        let (product_id, quantity) = (ProductId(product), Units(units));
        self.user(user, key, UserPayload::AddToCart(AddToCart { product_id, quantity }));
    }

    pub(crate) fn remove(&mut self, user: u64, key: &str, product: u64, units: Option<i64>) {
        let (product_id, quantity) = (ProductId(product), units.map(Units));
        self.user(user, key, UserPayload::RemoveFromCart(RemoveFromCart { product_id, quantity }));
    }

    /// The timer of an order's lane rings.
    pub(crate) fn remind(&mut self, order: OrderId) {
        let user = order.user().expect("an order id");
        let lane = partition_of(user.0, self.lanes);
        let message: UserMessage = Envelope {
            lane,
            number: 0,
            stamp: Stamp(0),
            command_id: None,
            actor: "timer".to_owned(),
            trace_id: None,
            payload: ToUsers::ExpireOrder(ExpireOrder { order_id: order }),
        };
        let value = self.codec.to_bytes(&message);
        self.append(TopicId::UserInbox, lane, b"", value);
    }

    pub(crate) fn register(&mut self, user: u64, balance: i64) {
        let (name, email) = (format!("user {user}"), format!("u{user}@example.org"));
        let wish = RegisterUser { name, email };
        self.user(user, &format!("register-{user}"), UserPayload::RegisterUser(wish));
        if balance > 0 {
            let wish = ChargeBalance { amount: Money(balance) };
            self.user(user, &format!("charge-{user}"), UserPayload::ChargeBalance(wish));
        }
    }

    pub(crate) fn stock(&mut self, product: u64, price: i64, stock: i64) {
        let wish = RegisterProduct {
            name: format!("product {product}"),
            price: Money(price),
            stock: Units(stock),
        };
        let key = format!("register-{product}");
        self.product(product, &key, ProductPayload::RegisterProduct(wish));
    }

    /// Publishes the best sellers of all that was sold so far, counted from the records.
    pub(crate) fn publish_top(&mut self, limit: usize) {
        let to = (self.now / Micros::MINUTE + 1) * Micros::MINUTE;
        let from = to - 3 * Micros::DAY;
        let mut positions = vec![0; usize::from(self.lanes)];
        let mut sums: BTreeMap<ProductId, (i64, i64)> = BTreeMap::new();
        for record in self.log.iter().flatten().filter(|r| r.topic == TopicId::Sales) {
            let sale: Sale = self.codec.decode(&record.value).expect("a sale");
            positions[usize::from(record.partition)] = record.offset + 1;
            if !(from..to).contains(&sale.sold_at.0) {
                continue;
            }
            let sum = sums.entry(sale.product_id).or_default();
            *sum = (sum.0 + sale.units.0, sum.1 + sale.amount.0);
        }
        let mut all: Vec<_> = sums.into_iter().filter(|(_, (units, _))| *units > 0).collect();
        all.sort_by_key(|(product, (units, amount))| (-units, -amount, *product));
        all.truncate(limit);
        let ranked = (1..).zip(all).map(|(rank, (product_id, (units, amount)))| TopProduct {
            rank,
            product_id,
            units: Units(units),
            amount: Money(amount),
        });
        let list = TopProducts {
            window_from: Micros(from),
            window_to: Micros(to),
            limit: u32::try_from(limit).expect("small"),
            positions,
            products: ranked.collect(),
        };
        let value = self.codec.to_bytes(&list);
        self.append(TopicId::TopProducts, 0, to.to_string().as_bytes(), value);
    }
}
