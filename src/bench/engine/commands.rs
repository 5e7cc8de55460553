//! The commands that the load appends: the same ones for the same numbers.

use jupan_log::{Log, NewRecord};
use jupan_schemas::{
    ChargeBalance, Codec, CommandId, Line, Micros, Money, Payment, PlaceOrder, ProductCommand,
    ProductId, ProductPayload, RegisterProduct, RegisterUser, Role, TopicId, Units, UserCommand,
    UserId, UserPayload, partition_of,
};
use std::sync::Arc;

/// What each user is charged: more than a bench can spend, and little enough that the wallets of
/// millions of users add up.
const WALLET: Money = Money(100_000_000_000);
/// What is in stock of each product: more than a bench can buy.
const STOCK: Units = Units(1_000_000_000_000);
/// Spreads dense numbers.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What orders look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Users 1 to this one, spread evenly.
    pub(crate) users: u64,
    /// Products 1 to this one, spread evenly; at least as many as lines.
    pub(crate) products: u64,
    /// Different products in an order, 1 to 3 units of each.
    pub(crate) lines: u64,
}

/// A command as it goes into the log.
pub(super) struct Command {
    pub(super) topic: TopicId,
    pub(super) partition: u16,
    pub(super) id: CommandId,
    pub(super) record: NewRecord,
}

/// Which command a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Product `number + 1` with its stock.
    Product,
    /// User `number + 1`.
    User,
    /// Money for user `number + 1`.
    Charge,
    /// An order; a hot one has product 1 in it.
    Order {
        /// Whether it is hot.
        hot: bool,
    },
}

/// Makes commands.
#[derive(Clone)]
pub(super) struct Maker {
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    partitions: u16,
    reply_to: u32,
    shape: Shape,
    /// Tells the keys of this process from those of others on the same data.
    salt: u32,
}

impl Maker {
    pub(super) fn new(log: Arc<dyn Log>, reply_to: u32, shape: Shape, salt: u32) -> Self {
        let (codec, partitions) = (Arc::new(Codec::embedded()), log.partitions());
        Self { log, codec, partitions, reply_to, shape, salt }
    }

    pub(super) fn command(&self, kind: Kind, number: u64) -> Command {
        let id = number + 1;
        match kind {
            Kind::Product => self.product(id),
            Kind::User => {
                let (name, email) = (format!("User {id}"), format!("user{id}@example.org"));
                let register = RegisterUser { name, email };
                self.user(id, "register".to_owned(), UserPayload::RegisterUser(register))
            }
            Kind::Charge => {
                let charge = ChargeBalance { amount: WALLET };
                self.user(id, "charge".to_owned(), UserPayload::ChargeBalance(charge))
            }
            Kind::Order { hot } => {
                let (user, items) = self.shape.order(number, hot);
                let order = PlaceOrder { items, from_cart: false, payment: Payment::Now };
                let key = format!("{:x}-{number}", self.salt);
                self.user(user, key, UserPayload::PlaceOrder(order))
            }
        }
    }

    fn product(&self, id: u64) -> Command {
        let key = "register".to_owned();
        let command_id = CommandId::of(Role::Products, id, &key);
        let command = ProductCommand {
            product_id: ProductId(id),
            key,
            created_at: self.now(),
            occurred_at: None,
            actor: "bench".to_owned(),
            trace_id: None,
            reply_to: Some(self.reply_to),
            payload: ProductPayload::RegisterProduct(RegisterProduct {
                name: format!("Product {id}"),
                price: Money(1 + i64::try_from(id % 97).unwrap_or(0)),
                stock: STOCK,
            }),
        };
        let value = self.codec.to_bytes(&command);
        self.place(TopicId::ProductCommands, id, command_id, value)
    }

    fn user(&self, id: u64, key: String, payload: UserPayload) -> Command {
        let command_id = CommandId::of(Role::Users, id, &key);
        let command = UserCommand {
            user_id: UserId(id),
            key,
            created_at: self.now(),
            occurred_at: None,
            actor: "bench".to_owned(),
            trace_id: None,
            reply_to: Some(self.reply_to),
            payload,
        };
        self.place(TopicId::UserCommands, id, command_id, self.codec.to_bytes(&command))
    }

    fn place(&self, topic: TopicId, key: u64, id: CommandId, value: Vec<u8>) -> Command {
        let partition = partition_of(key, self.partitions);
        Command { topic, partition, id, record: NewRecord::new(key.to_string(), value) }
    }

    fn now(&self) -> Micros {
        self.log.now()
    }
}

impl Shape {
    /// The user and the lines of an order.
    pub(crate) fn order(&self, number: u64, hot: bool) -> (u64, Vec<Line>) {
        let mixed = number.wrapping_add(1).wrapping_mul(SPREAD) >> 11;
        let first = if hot { 0 } else { mixed / self.users % self.products };
        let stride = 1 + mixed % 7;
        // A stride that meets a product twice would make fewer lines.
        let stride = if stride * self.lines > self.products { 1 } else { stride };
        let lines = (0..self.lines.min(self.products)).map(|line| Line {
            product_id: ProductId((first + line * stride) % self.products + 1),
            quantity: Units(1 + i64::try_from((mixed >> 3) % 3).unwrap_or(0)),
        });
        (mixed % self.users + 1, lines.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn orders_have_different_products_of_the_shop() {
        for (users, products, lines, hot) in
            [(10_000, 1_000, 3, false), (10, 500, 3, true), (1, 3, 3, true), (5, 100, 100, false)]
        {
            let shape = Shape { users, products, lines };
            let (mut seen_users, mut bought) = (HashSet::new(), HashSet::new());
            for number in 0..20_000 {
                let (user, items) = shape.order(number, hot);
                let ids: HashSet<u64> = items.iter().map(|line| line.product_id.0).collect();
                assert_eq!(ids.len() as u64, lines, "{shape:?} {items:?}");
                assert!(ids.iter().all(|id| (1..=products).contains(id)), "{items:?}");
                assert!(!hot || ids.contains(&1), "{items:?}");
                assert!(items.iter().all(|line| (1..=3).contains(&line.quantity.0)), "{items:?}");
                seen_users.insert(user);
                bought.extend(ids);
            }
            assert!(seen_users.iter().all(|user| (1..=users).contains(user)));
            assert!(seen_users.len() as u64 > users * 3 / 4, "{shape:?}: {}", seen_users.len());
            assert!(hot || bought.len() as u64 == products, "{shape:?}: {}", bought.len());
        }
    }
}
