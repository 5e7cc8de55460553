//! What encoding and decoding cost: `cargo run --release -p jupan-schemas --example codec`.

use jupan_schemas::{
    Account, Answer, Asker, Change, Code, Codec, CommandId, Entry, Fingerprint, Hash, InputRef,
    Line, Message, Micros, OrderId, OrderPlaced, Outcome, Payment, Peer, PlaceOrder, Positions,
    Posting, ProductId, Record, Reserve, Role, Sent, Source, Stamp, Step, SystemBalance, TraceId,
    Units, UserCommand, UserId, UserPayload, Verdict,
};
use std::{hint::black_box, time::Instant};

/// Calls of one measurement: few, so that some measurement is not disturbed. The best one counts.
const CALLS: u32 = 500;
const ROUNDS: u32 = 1_000;

const NOW: Micros = Micros(1_700_000_000_000_000);

fn main() {
    report("place-order command", &command());
    report("step of 3 entries", &step());
}

fn report<T: Record>(what: &str, value: &T) {
    let codec = Codec::embedded();
    let record = codec.to_bytes(value);
    let mut out = Vec::with_capacity(2 * record.len());
    let encode = nanoseconds(|| {
        out.clear();
        codec.encode(black_box(value), &mut out);
        black_box(&out);
    });
    let decode = nanoseconds(|| {
        black_box(codec.decode::<T>(black_box(&record)).is_ok());
    });
    println!("{what}: {} bytes, encode {encode} ns, decode {decode} ns", record.len());
}

/// What one call takes.
fn nanoseconds(mut work: impl FnMut()) -> u128 {
    let round = |_| {
        let start = Instant::now();
        (0..CALLS).for_each(|_| work());
        start.elapsed().as_nanos() / u128::from(CALLS)
    };
    (0..ROUNDS).map(round).min().unwrap_or_default()
}

fn lines() -> Vec<Line> {
    let line = |id| Line { product_id: ProductId(id), quantity: Units(2) };
    [1_201, 77, 9_000_123].map(line).into()
}

fn command() -> UserCommand {
    let payload = PlaceOrder { items: lines(), from_cart: false, payment: Payment::Now };
    UserCommand {
        user_id: UserId(4_711),
        key: "7f1f6d6e-9c1b-4f7e-8d2a-3b1c5a9e0d42".into(),
        created_at: NOW,
        occurred_at: None,
        actor: "user:4711".into(),
        trace_id: Some(TraceId([0x4b; 16])),
        reply_to: Some(3),
        payload: UserPayload::PlaceOrder(payload),
    }
}

/// The entry of an order that asks one product lane.
fn entry(sequence: u64) -> Entry {
    let order_id = OrderId::of(UserId(4_711), "key");
    let asker = Asker { reply_to: 3, position: 1_000_000 + sequence };
    let placed = OrderPlaced {
        order_id,
        user_id: UserId(4_711),
        lines: lines(),
        from_cart: false,
        payment: Payment::Now,
        deadline: NOW.plus(Micros::MINUTE),
        occurred_at: None,
        fingerprint: Fingerprint([0xab; 16]),
        asker: Some(asker),
    };
    let posting = |account, delta| Posting { account, owner: 4_711, delta, balance: 1_000_000 };
    let command_id = CommandId::of(Role::Users, 4_711, "key");
    let reserve = Message::Reserve(Reserve { order_id, lines: lines() });
    Entry {
        sequence,
        stamp: Stamp(NOW.0),
        input: Some(InputRef { source: Source::Commands, offset: 1_000_000 + sequence, at: NOW }),
        command_id: Some(command_id),
        actor: "user:4711".into(),
        trace_id: Some(TraceId([0x4b; 16])),
        verdict: Verdict::Accepted,
        code: Code::Ok,
        changes: vec![Change::OrderPlaced(placed)],
        postings: vec![posting(Account::Wallet, -24_000), posting(Account::Revenue, 24_000)],
        messages: vec![Sent { lane: 5, number: sequence, payload: reserve }],
        answers: vec![Answer { command_id, asker, outcome: Outcome::of(Code::Ok) }],
    }
}

fn step() -> Step {
    Step {
        role: Role::Users,
        lane: 1,
        number: 900_000,
        previous: Hash([0xcd; 32]),
        epoch: 3,
        positions: Positions { commands: 1_000_003, inbox: 2_000_000 },
        peers: (0..4).map(|lane| Peer { lane, sent: 500_000, received: 500_001 }).collect(),
        balances: vec![SystemBalance { account: Account::Revenue, balance: 24_000_000 }],
        entries: (1..=3).map(entry).collect(),
    }
}
