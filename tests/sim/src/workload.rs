//! What is asked: every command, with usual values and edges, again with the same body and with
//! another one, and records that no lane can use.

use crate::{mix::Mix, random::Random, wishes::Wish};
use bytes::Bytes;
use jupan_schemas::{
    ChargeBalance, Codec, CommandId, Micros, Money, OrderId, PayOrder, ProductCommand, ProductId,
    ProductPayload, RegisterProduct, Role, TopicId, Units, UserCommand, UserId, UserPayload,
    partition_of, rows::Key,
};

/// A record to append.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) topic: TopicId,
    pub(crate) partition: u16,
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
}

/// A command that was sent, for retries and for orders to name.
#[derive(Clone, Debug)]
enum Sent {
    User(u64, String, UserPayload),
    Product(u64, String, ProductPayload),
}

/// The askers of one run.
pub(crate) struct Workload {
    pub(crate) random: Random,
    codec: Codec,
    sent: Vec<Sent>,
    /// Orders that may have been placed.
    pub(crate) placed: Vec<OrderId>,
    pub(crate) next_key: u64,
    burst_of: Option<Sent>,
    burst_left: u32,
}

/// Sent commands that a retry looks back at.
const RETRIES_FROM: usize = 60;
/// Longest row of repetitions: more than may wait for one order.
const ASKED_AGAIN_MAX: u32 = 140;
/// Partitions of outcomes that askers name; the simulator listens to the first ones.
const REPLY_TO_MAX: u64 = 12;

impl Workload {
    pub(crate) fn new(seed: u64) -> Self {
        let random = Random::new(seed, 2);
        let (sent, placed) = (Vec::new(), Vec::new());
        let (codec, burst_of) = (Codec::embedded(), None);
        Self { random, codec, sent, placed, next_key: 0, burst_of, burst_left: 0 }
    }

    /// Orders that may have been placed, and may be not.
    pub(crate) fn placed(&self) -> &[OrderId] {
        &self.placed
    }

    /// Users and products first, so that a run need not wait for chance.
    pub(crate) fn opening(&mut self, mix: &Mix, now: Micros) -> Vec<Asked> {
        let mut asked = Vec::new();
        for user in 1..=mix.users {
            let payload = self.user_payload(mix, Wish::RegisterUser, user);
            asked.push(self.of_user(mix, user, format!("r{user}"), payload, now));
            let amount = Money(mix.goods.charge_usual.min(mix.shop.charge_max));
            let payload = UserPayload::ChargeBalance(ChargeBalance { amount });
            asked.push(self.of_user(mix, user, format!("c{user}"), payload, now));
        }
        for product in 1..=mix.goods.products {
            let price = Money(self.random.between(0, mix.goods.price_max));
            let stock = Units(self.random.between(0, mix.goods.stock_max));
            let name = format!("Product {product}");
            let payload = ProductPayload::RegisterProduct(RegisterProduct { name, price, stock });
            asked.push(self.of_product(mix, product, format!("r{product}"), payload, now));
        }
        asked
    }

    /// The next command.
    pub(crate) fn next(&mut self, mix: &Mix, now: Micros) -> Asked {
        if let Some(asked) = self.burst(mix, now) {
            return asked;
        }
        if self.random.percent(mix.retry_percent)
            && let Some(asked) = self.again(mix, now)
        {
            return asked;
        }
        let wish = Wish::ALL[self.random.weighted(&mix.wishes)];
        self.next_key += 1;
        let key = self.key(mix);
        match wish {
            Wish::RegisterProduct | Wish::ChangeProduct | Wish::Restock => {
                let product = self.id(mix, mix.goods.products);
                let payload = self.product_payload(mix, wish);
                self.of_product(mix, product, key, payload, now)
            }
            Wish::Garbage => self.garbage(mix, now),
            Wish::Misplaced => self.misplaced(mix, now),
            _ => {
                let user = self.id(mix, mix.users);
                let payload = self.user_payload(mix, wish, user);
                self.of_user(mix, user, key, payload, now)
            }
        }
    }

    /// Somebody asks for the same order over and over, from everywhere.
    fn burst(&mut self, mix: &Mix, now: Micros) -> Option<Asked> {
        if self.burst_left == 0 && self.random.one_in(150) {
            self.burst_left = self.random.one_of([3, 15, ASKED_AGAIN_MAX]);
            let is_order =
                |sent: &&Sent| matches!(sent, Sent::User(.., UserPayload::PlaceOrder(_)));
            self.burst_of = self.sent.iter().rev().find(is_order).cloned();
        }
        self.burst_left = self.burst_left.saturating_sub(1);
        match self.burst_of.clone().filter(|_| self.burst_left > 0)? {
            Sent::User(user, key, payload) => Some(self.of_user(mix, user, key, payload, now)),
            Sent::Product(..) => None,
        }
    }

    /// A payment of this order, whoever asks.
    pub(crate) fn pay(&mut self, mix: &Mix, order_id: OrderId, now: Micros) -> Asked {
        self.next_key += 1;
        let user = order_id.user().map_or(1, |user| user.0);
        let payload = UserPayload::PayOrder(PayOrder { order_id });
        self.of_user(mix, user, format!("k{}", self.next_key), payload, now)
    }

    /// An earlier command again, with the same body or another one.
    pub(crate) fn again(&mut self, mix: &Mix, now: Micros) -> Option<Asked> {
        let from = self.sent.len().saturating_sub(RETRIES_FROM);
        let whole = self.random.one_in(10);
        let sent = self.random.pick(&self.sent[if whole { 0 } else { from }..]).cloned()?;
        let other_body = self.random.percent(mix.other_body_percent);
        Some(match sent {
            Sent::User(user, key, payload) => {
                let kinds = &Wish::ALL[..10];
                let wish = kinds[self.random.index(kinds.len())];
                let payload = if other_body { self.user_payload(mix, wish, user) } else { payload };
                self.of_user(mix, user, key, payload, now)
            }
            Sent::Product(product, key, payload) => {
                let kinds = &Wish::ALL[10..13];
                let wish = kinds[self.random.index(kinds.len())];
                let payload = if other_body { self.product_payload(mix, wish) } else { payload };
                self.of_product(mix, product, key, payload, now)
            }
        })
    }

    /// The key of a sent command's stored outcome, for runs up to the edge of what it stands for.
    pub(crate) fn some_command(&mut self) -> Option<Key> {
        let sent = self.random.pick(&self.sent)?;
        Some(Key::Outcome(match sent {
            Sent::User(user, key, _) => CommandId::of(Role::Users, *user, key),
            Sent::Product(product, key, _) => CommandId::of(Role::Products, *product, key),
        }))
    }

    /// A command with this id again, unchanged.
    pub(crate) fn repeat(&mut self, mix: &Mix, key: Key, now: Micros) -> Asked {
        let is_it = |sent: &&Sent| match sent {
            Sent::User(user, k, _) => key == Key::Outcome(CommandId::of(Role::Users, *user, k)),
            Sent::Product(product, k, _) => {
                key == Key::Outcome(CommandId::of(Role::Products, *product, k))
            }
        };
        match self.sent.iter().rev().find(is_it).cloned() {
            Some(Sent::User(user, key, payload)) => self.of_user(mix, user, key, payload, now),
            Some(Sent::Product(product, key, payload)) => {
                self.of_product(mix, product, key, payload, now)
            }
            None => self.next(mix, now),
        }
    }

    /// Few of the partitions are listened to; where many duplicates ask, an order has no room for all.
    fn reply_to(&mut self) -> Option<u32> {
        let partition = self.random.below(REPLY_TO_MAX);
        (!self.random.one_in(8)).then(|| u32::try_from(partition).unwrap_or(0))
    }

    /// Mostly now; at the edges of what is taken, or beyond them.
    fn created_at(&mut self, mix: &Mix, now: Micros) -> Micros {
        if !self.random.percent(mix.edge_percent) {
            return now;
        }
        let (old, ahead) = (-14 * Micros::DAY, 5 * Micros::MINUTE);
        let edges = [old - 1, old, old + 1, ahead - 1, ahead, ahead + 1];
        now.plus(self.random.one_of(edges))
    }

    fn occurred_at(&mut self, now: Micros) -> Option<Micros> {
        match self.random.below(30) {
            0 => Some(now),
            1 => Some(now.plus(1)),
            2..5 => {
                let days = self.random.one_of([1, 3, 40]);
                let ago = self.random.between(1, days * Micros::DAY);
                Some(now.plus(-ago))
            }
            _ => None,
        }
    }

    fn actor(&mut self, mix: &Mix, user: u64) -> String {
        let is_odd = self.random.percent(mix.edge_percent) && self.random.one_in(4);
        if !is_odd {
            return format!("user:{user}");
        }
        "a".repeat(self.random.size(256, 257))
    }

    fn of_user(
        &mut self,
        mix: &Mix,
        user: u64,
        key: String,
        payload: UserPayload,
        now: Micros,
    ) -> Asked {
        self.sent.push(Sent::User(user, key.clone(), payload.clone()));
        if let UserPayload::PlaceOrder(_) = &payload {
            self.placed.push(OrderId::of(UserId(user), &key));
        }
        let command = UserCommand {
            user_id: UserId(user),
            key,
            created_at: self.created_at(mix, now),
            occurred_at: self.occurred_at(now),
            actor: self.actor(mix, user),
            trace_id: None,
            reply_to: self.reply_to(),
            payload,
        };
        let value = self.codec.to_bytes(&command);
        asked(TopicId::UserCommands, mix, user, value)
    }

    fn of_product(
        &mut self,
        mix: &Mix,
        product: u64,
        key: String,
        payload: ProductPayload,
        now: Micros,
    ) -> Asked {
        self.sent.push(Sent::Product(product, key.clone(), payload.clone()));
        let command = ProductCommand {
            product_id: ProductId(product),
            key,
            created_at: self.created_at(mix, now),
            occurred_at: self.occurred_at(now),
            actor: self.actor(mix, product),
            trace_id: None,
            reply_to: self.reply_to(),
            payload,
        };
        let value = self.codec.to_bytes(&command);
        asked(TopicId::ProductCommands, mix, product, value)
    }

    /// Bytes that are no command, some of them nearly one.
    fn garbage(&mut self, mix: &Mix, now: Micros) -> Asked {
        let user = self.id(mix, mix.users);
        let payload = self.user_payload(mix, Wish::Charge, user);
        let mut asked = self.of_user(mix, user, format!("k{}", self.next_key), payload, now);
        self.sent.pop();
        let mut value = asked.value.to_vec();
        match self.random.below(5) {
            0 => value.clear(),
            1 => value.truncate(self.random.index(value.len())),
            2 => value.push(0),
            3 => value[4] ^= 0x40,
            _ => {
                let len = self.random.size(1, 40);
                value = (0..len).map(|_| self.random.bits().to_le_bytes()[0]).collect();
            }
        }
        asked.value = value.into();
        if self.random.one_in(4) {
            asked.topic = TopicId::ProductCommands;
        }
        asked
    }

    /// A command on another partition than its key's, or under another key.
    fn misplaced(&mut self, mix: &Mix, now: Micros) -> Asked {
        let user = self.id(mix, mix.users);
        let payload = self.user_payload(mix, Wish::Charge, user);
        let mut asked = self.of_user(mix, user, format!("k{}", self.next_key), payload, now);
        if mix.shop.lanes > 1 && self.random.one_in(2) {
            asked.partition = (asked.partition + 1) % mix.shop.lanes;
        } else {
            asked.key = Bytes::from_static(b"07");
        }
        asked
    }
}

fn asked(topic: TopicId, mix: &Mix, id: u64, value: Vec<u8>) -> Asked {
    let partition = partition_of(id, mix.shop.lanes);
    Asked { topic, partition, key: id.to_string().into(), value: value.into() }
}
