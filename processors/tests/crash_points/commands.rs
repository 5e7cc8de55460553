//! Commands that follow from their numbers.

use jupan_log::simulated::Random;
use jupan_schemas::*;

const USERS: u64 = 7;
const PRODUCTS: u64 = 5;
/// When every command was made.
pub(crate) const START: Micros = Micros(1_700_000_000_000_000);

/// A command on its way to a lane.
pub(crate) struct Made {
    pub(crate) topic: TopicId,
    /// Of the user or product.
    pub(crate) key: u64,
    pub(crate) value: Vec<u8>,
}

fn key(number: u64) -> String {
    format!("k{number}")
}

/// Whose command it is, if a user's.
fn user_of(number: u64) -> u64 {
    1 + Random::of(&[number, 1]) % USERS
}

fn line(random: &mut Random) -> Line {
    let product_id = ProductId(1 + random.below(PRODUCTS + 1));
    Line { product_id, quantity: Units(1 + random.below(4).cast_signed()) }
}

fn on_an_order(random: &mut Random, number: u64) -> (u64, UserPayload) {
    let earlier = number - 1 - random.below(30.min(number - 1));
    let user = user_of(earlier);
    let order_id = OrderId::of(UserId(user), &key(earlier));
    let payload = match random.below(4) {
        0 => UserPayload::CancelOrder(CancelOrder { order_id }),
        1 => UserPayload::RefundOrder(RefundOrder { order_id, items: Vec::new() }),
        _ => UserPayload::PayOrder(PayOrder { order_id }),
    };
    (user, payload)
}

fn place(random: &mut Random, from_cart: bool) -> UserPayload {
    let payment = if random.one_in(2) { Payment::Later } else { Payment::Now };
    let items = if from_cart { Vec::new() } else { (0..2).map(|_| line(random)).collect() };
    UserPayload::PlaceOrder(PlaceOrder { items, from_cart, payment })
}

/// The command with this number; now and then the one with an earlier number again.
pub(crate) fn command(codec: &Codec, number: u64) -> Made {
    let mut random = Random::new(Random::of(&[number, 2]));
    let user = user_of(number);
    let product = 1 + random.below(PRODUCTS);
    if number < USERS {
        let (name, email) = (format!("User {number}"), "u@example.org".to_owned());
        let register = UserPayload::RegisterUser(RegisterUser { name, email });
        return of_user(codec, number, (number + 1, register));
    }
    if number < USERS + PRODUCTS {
        let (name, price, stock) = ("Abacus".to_owned(), Money(3), Units(20));
        let register = RegisterProduct { name, price, stock };
        let payload = ProductPayload::RegisterProduct(register);
        return of_product(codec, number, number - USERS + 1, payload);
    }
    let add = |random: &mut Random| {
        let Line { product_id, quantity } = line(random);
        UserPayload::AddToCart(AddToCart { product_id, quantity })
    };
    let amount = Money(1 + random.below(30).cast_signed());
    match random.below(20) {
        0 => command(codec, random.below(number)),
        1 | 2 => {
            let quantity = Units(1 + random.below(15).cast_signed());
            of_product(codec, number, product, ProductPayload::Restock(Restock { quantity }))
        }
        3..6 => {
            of_user(codec, number, (user, UserPayload::ChargeBalance(ChargeBalance { amount })))
        }
        6 | 7 => of_user(codec, number, (user, add(&mut random))),
        8 => of_user(codec, number, (user, place(&mut random, true))),
        9..14 => of_user(codec, number, on_an_order(&mut random, number)),
        _ => of_user(codec, number, (user, place(&mut random, false))),
    }
}

fn of_user(codec: &Codec, number: u64, (user, payload): (u64, UserPayload)) -> Made {
    let command = UserCommand {
        user_id: UserId(user),
        key: key(number),
        created_at: START,
        occurred_at: None,
        actor: format!("user:{user}"),
        trace_id: None,
        reply_to: Some(0),
        payload,
    };
    Made { topic: TopicId::UserCommands, key: user, value: codec.to_bytes(&command) }
}

fn of_product(codec: &Codec, number: u64, product: u64, payload: ProductPayload) -> Made {
    let command = ProductCommand {
        product_id: ProductId(product),
        key: key(number),
        created_at: START,
        occurred_at: None,
        actor: "operator".to_owned(),
        trace_id: None,
        reply_to: Some(0),
        payload,
    };
    Made { topic: TopicId::ProductCommands, key: product, value: codec.to_bytes(&command) }
}
