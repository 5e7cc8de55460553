//! Whatever a shop is told, in whatever order its messages come and whenever a lane forgets or
//! restarts: the invariants hold.

use super::{audit, shop::Shop};
use crate::Rules;
use jupan_schemas::{
    AddToCart, CancelOrder, ChangeProduct, ChargeBalance, Line, Micros, Money, OrderId, PayOrder,
    Payment, PlaceOrder, ProductCommand, ProductId, ProductPayload, RefundOrder, RegisterProduct,
    RegisterUser, RemoveFromCart, Restock, Units, UserCommand, UserId, UserPayload,
};
use proptest::{collection::vec, prelude::*, sample::select};

#[derive(Clone, Debug)]
enum Op {
    User(Envelope, UserPayload),
    Product(Envelope, ProductPayload),
    /// About one of the orders, mostly by its own user.
    OfOrder(Envelope, usize, bool, Wish),
    /// The same command once more, from another asker.
    Again(usize, u32),
    Deliver(usize),
    DeliverAll,
    Wait(i64),
    /// The timer of one of the orders, pending or not.
    Ring(usize),
    Project,
    Trim(usize),
    Restart(usize),
}

/// What a command has beside its payload; ids and keys are few, so that they meet.
#[derive(Clone, Debug)]
struct Envelope {
    id: u64,
    key: u8,
    reply_to: Option<u32>,
    occurred_ago: Option<i64>,
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let occurred =
        prop_oneof![9 => Just(None), 1 => select(vec![-1, 0, Micros::DAY]).prop_map(Some)];
    (1..4_u64, any::<u8>(), proptest::option::of(0..12_u32), occurred).prop_map(
        |(id, key, reply_to, occurred_ago)| Envelope { id, key: key % 40, reply_to, occurred_ago },
    )
}

fn quantity() -> impl Strategy<Value = Units> {
    let edges = vec![-1, 0, 9_999, 10_000, 10_001, i64::MAX];
    prop_oneof![9 => 1..4_i64, 1 => select(edges)].prop_map(Units)
}

fn price() -> impl Strategy<Value = Money> {
    let edges = vec![-1, 0, 1_000_000_000_000, 1_000_000_000_001];
    prop_oneof![9 => 1..300_i64, 1 => select(edges)].prop_map(Money)
}

fn stock() -> impl Strategy<Value = Units> {
    let edges = vec![-1, 0, 1_000_000_000_000, i64::MAX];
    prop_oneof![9 => 1..9_i64, 1 => select(edges)].prop_map(Units)
}

fn line() -> impl Strategy<Value = Line> {
    (1..6_u64, quantity()).prop_map(|(id, quantity)| Line { product_id: ProductId(id), quantity })
}

fn user_payload() -> impl Strategy<Value = UserPayload> {
    let payment = || select(vec![Payment::Now, Payment::Later]);
    let place = |(items, payment)| PlaceOrder { items, from_cart: false, payment };
    let cart = |payment| PlaceOrder { items: Vec::new(), from_cart: true, payment };
    let amount = prop_oneof![9 => 1..2_000_i64, 1 => select(vec![-1, 0, 10_000_000, i64::MAX])];
    let kim = || RegisterUser { name: "Kim".to_owned(), email: "a@b".to_owned() };
    let add = |Line { product_id, quantity }| AddToCart { product_id, quantity };
    let remove = |(id, quantity)| RemoveFromCart { product_id: ProductId(id), quantity };
    prop_oneof![
        2 => Just(UserPayload::RegisterUser(kim())),
        3 => amount.prop_map(|a| UserPayload::ChargeBalance(ChargeBalance { amount: Money(a) })),
        9 => (vec(line(), 0..5), payment())
            .prop_map(move |order| UserPayload::PlaceOrder(place(order))),
        5 => line().prop_map(move |line| UserPayload::AddToCart(add(line))),
        1 => (1..6_u64, proptest::option::of(quantity()))
            .prop_map(move |line| UserPayload::RemoveFromCart(remove(line))),
        4 => payment().prop_map(move |payment| UserPayload::PlaceOrder(cart(payment))),
    ]
}

/// What can be wished about an order that is there.
#[derive(Clone, Debug)]
enum Wish {
    Pay,
    Cancel,
    Refund(Vec<Line>),
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        3 => Just(Wish::Pay),
        1 => Just(Wish::Cancel),
        2 => vec(line(), 0..3).prop_map(Wish::Refund),
    ]
}

fn product_payload() -> impl Strategy<Value = ProductPayload> {
    let tea = |(price, stock)| RegisterProduct { name: "tea".to_owned(), price, stock };
    let change = |price| ProductPayload::ChangeProduct(ChangeProduct { name: None, price });
    prop_oneof![
        3 => (price(), stock()).prop_map(move |p| ProductPayload::RegisterProduct(tea(p))),
        1 => proptest::option::of(price()).prop_map(change),
        2 => stock().prop_map(|quantity| ProductPayload::Restock(Restock { quantity })),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let waits = vec![Micros::MINUTE, 14 * Micros::MINUTE, 16 * Micros::MINUTE, 16 * Micros::DAY];
    prop_oneof![
        16 => (envelope(), user_payload()).prop_map(|(e, p)| Op::User(e, p)),
        8 => (envelope(), any::<usize>(), proptest::bool::weighted(0.95), wish())
            .prop_map(|(e, i, is_own, wish)| Op::OfOrder(e, i, is_own, wish)),
        8 => (envelope(), product_payload()).prop_map(|(e, p)| Op::Product(e, p)),
        4 => (any::<usize>(), 0..12_u32).prop_map(|(i, reply_to)| Op::Again(i, reply_to)),
        24 => any::<usize>().prop_map(Op::Deliver),
        1 => Just(Op::DeliverAll),
        2 => select(waits).prop_map(Op::Wait),
        3 => any::<usize>().prop_map(Op::Ring),
        3 => Just(Op::Project),
        4 => (0..20_usize).prop_map(Op::Trim),
        2 => (0..30_usize).prop_map(Op::Restart),
    ]
}

/// A shop that was told some things, and all it was told.
struct Told {
    shop: Shop,
    users: Vec<UserCommand>,
    products: Vec<ProductCommand>,
}

impl Told {
    /// Users 1 to 3 with some money and products 1 to 3 with some stock; the rest is unknown.
    fn new(lanes: u16) -> Self {
        let shop = Shop::new(Rules { order_lines_max: 4, ..Rules::new(lanes) });
        let mut told = Self { shop, users: Vec::new(), products: Vec::new() };
        let envelope = |id, key| Envelope { id, key, reply_to: None, occurred_ago: None };
        for id in 1..4 {
            let (name, email) = ("Lee".to_owned(), "a@b".to_owned());
            let user = UserPayload::RegisterUser(RegisterUser { name, email });
            told.user(&envelope(id, 100), user);
            let charge = ChargeBalance { amount: Money(1_000) };
            told.user(&envelope(id, 101), UserPayload::ChargeBalance(charge));
            let (name, price, stock) = ("tea".to_owned(), Money(90), Units(6));
            let product = RegisterProduct { name, price, stock };
            told.product(&envelope(id, 100), ProductPayload::RegisterProduct(product));
        }
        told
    }

    fn user(&mut self, envelope: &Envelope, payload: UserPayload) {
        let command = UserCommand {
            user_id: UserId(envelope.id),
            key: envelope.key.to_string(),
            created_at: self.shop.now,
            occurred_at: envelope.occurred_ago.map(|ago| self.shop.now.plus(-ago * 2_000)),
            actor: "test".to_owned(),
            trace_id: None,
            reply_to: envelope.reply_to,
            payload,
        };
        self.users.push(command.clone());
        self.shop.user_command(command);
    }

    fn product(&mut self, envelope: &Envelope, payload: ProductPayload) {
        let command = ProductCommand {
            product_id: ProductId(envelope.id),
            key: envelope.key.to_string(),
            created_at: self.shop.now,
            occurred_at: None,
            actor: "test".to_owned(),
            trace_id: None,
            reply_to: envelope.reply_to,
            payload,
        };
        self.products.push(command.clone());
        self.shop.product_command(command);
    }

    fn again(&mut self, i: usize, reply_to: u32) {
        let i = i % (self.users.len() + self.products.len());
        match self.users.get(i).cloned() {
            Some(command) => {
                let created_at = self.shop.now;
                let reply_to = Some(reply_to);
                self.shop.user_command(UserCommand { created_at, reply_to, ..command });
            }
            None => {
                let command = self.products[i - self.users.len()].clone();
                self.shop.product_command(command);
            }
        }
    }

    /// The ids of all orders that were wished for, or would have been.
    fn orders(&self) -> Vec<OrderId> {
        let is_order = |command: &&UserCommand| {
            matches!(command.payload, UserPayload::PlaceOrder(_)) || command.key == "100"
        };
        let orders = self.users.iter().filter(is_order);
        orders.map(|command| OrderId::of(command.user_id, &command.key)).collect()
    }

    fn of_order(&mut self, envelope: &Envelope, i: usize, is_own: bool, wish: Wish) {
        let orders = self.orders();
        let order_id = orders[i % orders.len()];
        let owner = order_id.user().expect("an order id").0;
        let id = if is_own { owner } else { envelope.id };
        let payload = match wish {
            Wish::Pay => UserPayload::PayOrder(PayOrder { order_id }),
            Wish::Cancel => UserPayload::CancelOrder(CancelOrder { order_id }),
            Wish::Refund(items) => UserPayload::RefundOrder(RefundOrder { order_id, items }),
        };
        self.user(&Envelope { id, ..envelope.clone() }, payload);
    }

    fn ring(&mut self, i: usize) {
        let orders = self.orders();
        self.shop.ring(orders[i % orders.len()]);
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::User(envelope, payload) => self.user(&envelope, payload),
            Op::Product(envelope, payload) => self.product(&envelope, payload),
            Op::OfOrder(envelope, i, is_own, wish) => self.of_order(&envelope, i, is_own, wish),
            Op::Again(i, reply_to) => self.again(i, reply_to),
            Op::Deliver(i) => {
                let pairs = self.shop.pairs();
                if !pairs.is_empty() {
                    self.shop.deliver(pairs[i % pairs.len()]);
                }
            }
            Op::DeliverAll => self.shop.deliver_all(),
            Op::Wait(micros) => self.shop.now = self.shop.now.plus(micros),
            Op::Ring(i) => self.ring(i),
            Op::Project => self.project(),
            Op::Trim(left) => {
                self.shop.users.iter_mut().for_each(|lane| lane.trim(left));
                self.shop.products.iter_mut().for_each(|lane| lane.trim(left));
            }
            Op::Restart(behind) => self.restart(behind),
        }
    }

    fn project(&mut self) {
        self.shop.users.iter_mut().for_each(|lane| lane.project());
        self.shop.products.iter_mut().for_each(|lane| lane.project());
    }

    fn restart(&mut self, behind: usize) {
        self.shop.users.iter_mut().for_each(|lane| lane.restart(behind));
        self.shop.products.iter_mut().for_each(|lane| lane.restart(behind));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn invariants_hold(lanes in 1..4_u16, ops in vec(op(), 1..150)) {
        let mut told = Told::new(lanes);
        for (i, op) in ops.into_iter().enumerate() {
            told.run(op);
            if i % 30 == 29 {
                audit::audit(&told.shop);
            }
        }
        told.shop.rest();
        audit::audit_at_rest(&told.shop);
        told.project();
        told.restart(usize::MAX);
        audit::audit_at_rest(&told.shop);
    }
}
