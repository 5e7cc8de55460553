//! One record for every schema and every branch of its payload unions: what the golden files hold.

use jupan_schemas::*;
use serde::Serialize;
use std::fmt::Debug;

/// Reads a record and asserts that it is the sample.
type ReadBack = Box<dyn Fn(&Codec, &[u8])>;

/// A record with the name of its golden file.
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) schema: SchemaName,
    pub(crate) record: Vec<u8>,
    read_back: ReadBack,
}

impl Sample {
    fn of<T: Record + Debug + PartialEq + 'static>(name: String, value: T) -> Self {
        let record = Codec::embedded().to_bytes(&value);
        let what = name.clone();
        let read_back = move |codec: &Codec, record: &[u8]| {
            assert_eq!(codec.decode::<T>(record).as_ref(), Ok(&value), "{what}");
        };
        Self { name, schema: T::SCHEMA, record, read_back: Box::new(read_back) }
    }

    /// Asserts that these bytes are this sample.
    pub(crate) fn assert_is(&self, codec: &Codec, record: &[u8]) {
        (self.read_back)(codec, record);
    }
}

/// `OrderEvent` becomes `order-event`.
pub(crate) fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}

/// The name of a schema's sample with this branch.
pub(crate) fn name_of(schema: SchemaName, branch: &str) -> String {
    let branch = branch.rsplit('.').next().unwrap_or(branch);
    format!("{}-{}", kebab(&format!("{schema:?}")), kebab(branch))
}

/// The branch that a value of a union takes.
fn branch_of<T: Serialize>(value: &T) -> String {
    let json = serde_json::to_value(value).expect("has a JSON form");
    json.as_object().and_then(|object| object.keys().next().cloned()).expect("is a branch")
}

pub(crate) fn all() -> Vec<Sample> {
    let flat = vec![
        Sample::of("order-event".into(), order_event()),
        Sample::of("sale".into(), sale()),
        Sample::of("top-products".into(), top_products()),
        Sample::of("command-result".into(), command_result()),
        Sample::of("command-result-bare".into(), bare_command_result()),
        Sample::of("user-command-bare".into(), bare_user_command()),
        Sample::of("step-bare".into(), bare_step()),
    ];
    let mut samples = flat;
    for payload in user_payloads() {
        let name = name_of(SchemaName::UserCommand, &branch_of(&payload));
        samples.push(Sample::of(name, user_command(payload)));
    }
    for payload in product_payloads() {
        let name = name_of(SchemaName::ProductCommand, &branch_of(&payload));
        samples.push(Sample::of(name, product_command(payload)));
    }
    for payload in [
        ToUsers::Reserved(Reserved { order_id: order(), lines: priced_lines() }),
        ToUsers::Refused(refused()),
        ToUsers::ExpireOrder(ExpireOrder { order_id: order() }),
    ] {
        let name = name_of(SchemaName::UserMessage, &branch_of(&payload));
        samples.push(Sample::of(name, envelope(payload)));
    }
    for message in messages() {
        if let Ok(payload) = ToProducts::try_from(message.clone()) {
            let name = name_of(SchemaName::ProductMessage, &branch_of(&payload));
            samples.push(Sample::of(name, envelope(payload)));
        }
        let name = name_of(SchemaName::Step, &branch_of(&message));
        let sent = Sent { lane: 2, number: 41, payload: message };
        samples.push(Sample::of(name, step(Entry { messages: vec![sent], ..entry() })));
    }
    for change in changes() {
        let name = name_of(SchemaName::Step, &branch_of(&change));
        samples.push(Sample::of(name, step(Entry { changes: vec![change], ..entry() })));
    }
    samples
}

fn order() -> OrderId {
    OrderId::of(UserId(7), "order-1")
}

fn command_id() -> CommandId {
    CommandId::of(Role::Users, 7, "order-1")
}

fn trace() -> TraceId {
    TraceId::parse("4bf92f3577b34da6a3ce929d0e0e4736").expect("32 digits")
}

fn lines() -> Vec<Line> {
    vec![
        Line { product_id: ProductId(3), quantity: Units(2) },
        Line { product_id: ProductId(ID_LIMIT - 1), quantity: Units(10_000) },
    ]
}

fn priced_lines() -> Vec<PricedLine> {
    let price = |line: Line| PricedLine {
        product_id: line.product_id,
        quantity: line.quantity,
        price: Money(PRICE_AND_STOCK_MAX),
    };
    lines().into_iter().map(price).collect()
}

fn asker() -> Asker {
    Asker { reply_to: 5, position: 1234 }
}

fn outcome() -> Outcome {
    Outcome {
        code: Code::InsufficientBalance,
        order_id: Some(order()),
        balance: Some(Money(BALANCE_MAX)),
        product_id: Some(ProductId(3)),
    }
}

fn refused() -> Refused {
    Refused { order_id: order(), code: Code::OutOfStock, product_id: ProductId(3) }
}

fn user_payloads() -> Vec<UserPayload> {
    vec![
        UserPayload::RegisterUser(RegisterUser { name: "주판".into(), email: "a@b.kr".into() }),
        UserPayload::ChargeBalance(ChargeBalance { amount: Money(10_000) }),
        UserPayload::AddToCart(AddToCart { product_id: ProductId(3), quantity: Units(1) }),
        UserPayload::RemoveFromCart(RemoveFromCart {
            product_id: ProductId(3),
            quantity: Some(Units(1)),
        }),
        UserPayload::PlaceOrder(PlaceOrder {
            items: lines(),
            from_cart: false,
            payment: Payment::Later,
        }),
        UserPayload::PayOrder(PayOrder { order_id: order() }),
        UserPayload::CancelOrder(CancelOrder { order_id: order() }),
        UserPayload::RefundOrder(RefundOrder { order_id: order(), items: lines() }),
    ]
}

fn user_command(payload: UserPayload) -> UserCommand {
    UserCommand {
        user_id: UserId(7),
        key: "order-1".into(),
        created_at: Micros(1_700_000_000_000_000),
        occurred_at: Some(Micros(1_600_000_000_000_000)),
        actor: "user:7".into(),
        trace_id: Some(trace()),
        reply_to: Some(5),
        payload,
    }
}

fn bare_user_command() -> UserCommand {
    let payload =
        UserPayload::RemoveFromCart(RemoveFromCart { product_id: ProductId(0), quantity: None });
    UserCommand {
        user_id: UserId(0),
        key: "0".into(),
        created_at: Micros(0),
        occurred_at: None,
        actor: String::new(),
        trace_id: None,
        reply_to: None,
        payload,
    }
}

fn product_payloads() -> Vec<ProductPayload> {
    vec![
        ProductPayload::RegisterProduct(RegisterProduct {
            name: "abacus".into(),
            price: Money(12_000),
            stock: Units(100),
        }),
        ProductPayload::ChangeProduct(ChangeProduct {
            name: Some("large abacus".into()),
            price: Some(Money(15_000)),
        }),
        ProductPayload::Restock(Restock { quantity: Units(50) }),
    ]
}

fn product_command(payload: ProductPayload) -> ProductCommand {
    ProductCommand {
        product_id: ProductId(3),
        key: "restock-1".into(),
        created_at: Micros(1_700_000_000_000_000),
        occurred_at: None,
        actor: "importer".into(),
        trace_id: Some(trace()),
        reply_to: None,
        payload,
    }
}

fn messages() -> Vec<Message> {
    vec![
        Message::Reserve(Reserve { order_id: order(), lines: lines() }),
        Message::Reserved(Reserved { order_id: order(), lines: priced_lines() }),
        Message::Refused(refused()),
        Message::Settle(Settle { order_id: order(), sold_at: Micros(1_700_000_000_000_001) }),
        Message::Release(Release { order_id: order() }),
        Message::Return(Return {
            order_id: order(),
            lines: priced_lines(),
            sold_at: Micros(1_700_000_000_000_001),
        }),
    ]
}

fn envelope<P>(payload: P) -> Envelope<P> {
    Envelope {
        lane: 11,
        number: 42,
        stamp: Stamp(1_700_000_000_000_002),
        command_id: Some(command_id()),
        actor: "user:7".into(),
        trace_id: Some(trace()),
        payload,
    }
}

fn changes() -> Vec<Change> {
    let (user_id, product_id, order_id) = (UserId(7), ProductId(3), order());
    let fingerprint = Fingerprint([0xab; 16]);
    let due = Micros(1_700_000_900_000_000);
    vec![
        Change::Opened(Opened { epoch: 3 }),
        Change::UserRegistered(UserRegistered {
            user_id,
            name: "주판".into(),
            email: "a@b.kr".into(),
        }),
        Change::ProductRegistered(ProductRegistered {
            product_id,
            name: "abacus".into(),
            price: Money(12_000),
        }),
        Change::ProductChanged(ProductChanged { product_id, name: None, price: Some(Money(9)) }),
        Change::CartChanged(CartChanged { user_id, lines: lines() }),
        Change::OrderPlaced(OrderPlaced {
            order_id,
            user_id,
            lines: lines(),
            from_cart: true,
            payment: Payment::Now,
            deadline: due,
            occurred_at: Some(Micros(1)),
            fingerprint,
            asker: Some(asker()),
        }),
        Change::LaneReserved(LaneReserved { order_id, lane: 11, lines: priced_lines() }),
        Change::OrderReserved(OrderReserved { order_id, payment_due: due }),
        Change::OrderEnded(OrderEnded {
            order_id,
            status: OrderStatus::Failed,
            code: Code::OutOfStock,
            product_id: Some(product_id),
            total_price: Money(24_000),
        }),
        Change::AskerJoined(AskerJoined { order_id, asker: asker() }),
        Change::LinesRefunded(LinesRefunded {
            order_id,
            lines: lines(),
            status: OrderStatus::Refunded,
        }),
        Change::HoldOpened(HoldOpened { order_id, user_lane: 1, lines: priced_lines() }),
        Change::HoldEnded(HoldEnded {
            order_id,
            end: HoldEnd::Settled,
            sold_at: Some(Micros(1_700_000_000_000_001)),
        }),
        Change::OutcomeStored(OutcomeStored {
            command_id: command_id(),
            fingerprint,
            outcome: outcome(),
        }),
        Change::LinesReturned(LinesReturned {
            order_id,
            lines: priced_lines(),
            sold_at: Micros(1_700_000_000_000_001),
        }),
    ]
}

fn entry() -> Entry {
    let posting = |account, owner, delta, balance| Posting { account, owner, delta, balance };
    Entry {
        sequence: 100,
        stamp: Stamp(1_700_000_000_000_003),
        input: Some(InputRef {
            source: Source::Inbox,
            offset: 77,
            at: Micros(1_700_000_000_000_002),
        }),
        command_id: Some(command_id()),
        actor: "user:7".into(),
        trace_id: Some(trace()),
        verdict: Verdict::Accepted,
        code: Code::Ok,
        changes: Vec::new(),
        postings: vec![
            posting(Account::Wallet, 7, -24_000, 0),
            posting(Account::Revenue, 1, 24_000, 48_000),
        ],
        messages: Vec::new(),
        answers: vec![Answer { command_id: command_id(), asker: asker(), outcome: outcome() }],
    }
}

fn step(entry: Entry) -> Step {
    Step {
        role: Role::Users,
        lane: 1,
        number: 9,
        previous: Hash([0xcd; 32]),
        epoch: 3,
        positions: Positions { commands: 55, inbox: 78 },
        peers: vec![Peer { lane: 2, sent: 41, received: 40 }],
        balances: vec![SystemBalance { account: Account::Revenue, balance: 48_000 }],
        entries: vec![entry],
    }
}

fn bare_step() -> Step {
    Step {
        role: Role::Products,
        lane: 0,
        number: 1,
        previous: Hash::ZERO,
        epoch: 1,
        positions: Positions::default(),
        peers: Vec::new(),
        balances: Vec::new(),
        entries: Vec::new(),
    }
}

fn order_event() -> OrderEvent {
    OrderEvent {
        event_id: "users/1/100".into(),
        order_id: order().to_string(),
        user_id: UserId(7),
        status: "FAILED".into(),
        reason: Some("OUT_OF_STOCK".into()),
        total_price: Money(24_000),
        occurred_at: Micros(1_700_000_000_000_000),
        at: Micros(1_700_000_000_000_002),
        stamp: Stamp(1_700_000_000_000_003),
        lines: vec![OrderEventLine {
            product_id: ProductId(3),
            quantity: Units(2),
            price: Money(12_000),
            refunded: Units(1),
        }],
    }
}

fn sale() -> Sale {
    Sale {
        event_id: "products/11/500/3".into(),
        product_id: ProductId(3),
        order_id: order().to_string(),
        units: Units(-2),
        amount: Money(-24_000),
        sold_at: Micros(1_700_000_000_000_001),
        stamp: Stamp(1_700_000_000_000_004),
    }
}

fn top_products() -> TopProducts {
    let window_to = Micros(1_700_000_040_000_000);
    TopProducts {
        window_from: window_to.plus(-3 * Micros::DAY),
        window_to,
        limit: 5,
        positions: vec![0, 17],
        products: vec![TopProduct {
            rank: 1,
            product_id: ProductId(3),
            units: Units(2),
            amount: Money(24_000),
        }],
    }
}

fn command_result() -> CommandResult {
    let Outcome { code, order_id, balance, product_id } = outcome();
    CommandResult { command_id: command_id(), position: 1234, code, order_id, balance, product_id }
}

fn bare_command_result() -> CommandResult {
    let Outcome { code, order_id, balance, product_id } = Outcome::of(Code::Ok);
    CommandResult { command_id: command_id(), position: 0, code, order_id, balance, product_id }
}
