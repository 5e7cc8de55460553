//! A lane played by hand: reads commands, writes rows, sends outcomes.

use super::rig::{NOW, Rig};
use jupan_log::{LaneLog, Log, ReadLimit};
use jupan_schemas::{
    Code, Codec, CommandId, CommandResult, Fingerprint, Lane, Line, Money, OrderId, OrderStatus,
    Outcome, Payment, Positions, ProductCommand, ProductId, Role, Stamp, Units, UserCommand,
    UserId,
    rows::{
        AsOf, HistoryLine, OrderLine, OrderRow, OutcomeRow, ProductRow, Row, StatementKind,
        StatementRow, UserRow, Watermark,
    },
    topics::{COMMAND_RESULTS, PRODUCT_COMMANDS, USER_COMMANDS},
};
use jupan_store::{LaneStore, memory::MemoryStore};
use std::{sync::Arc, time::Duration};

pub(super) struct Hand {
    lane: Lane,
    log: Box<dyn LaneLog>,
    store: Arc<MemoryStore>,
    codec: Codec,
    sequence: u64,
}

/// One command, as a lane sees it.
pub(super) struct Asked<C> {
    pub(super) id: CommandId,
    pub(super) position: u64,
    pub(super) fingerprint: Fingerprint,
    pub(super) command: C,
}

impl Hand {
    pub(super) fn open(rig: &Rig, role: Role) -> Self {
        let lane = Lane { role, index: 0 };
        let mut log = rig.log.open(lane).expect("a lane");
        log.seek(Positions::default()).expect("the start");
        let store = Arc::clone(&rig.store);
        Self { lane, log, store, codec: Codec::embedded(), sequence: 0 }
    }

    async fn next(&mut self) -> (u64, bytes::Bytes) {
        let limit = ReadLimit { records_max: 1, bytes_max: 1 };
        loop {
            let inputs = self.log.poll(limit, Duration::ZERO).expect("inputs");
            if let Some(input) = inputs.into_iter().next() {
                return (input.record.offset, input.record.value);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The next user command.
    pub(super) async fn user_command(&mut self) -> Asked<UserCommand> {
        let (position, value) = self.next().await;
        let command = USER_COMMANDS.decode(&self.codec, &value).expect("a user command");
        let id = CommandId::of(Role::Users, command.user_id.0, &command.key);
        let fingerprint = self.codec.user_fingerprint(&command);
        Asked { id, position, fingerprint, command }
    }

    /// The next product command.
    pub(super) async fn product_command(&mut self) -> Asked<ProductCommand> {
        let (position, value) = self.next().await;
        let command = PRODUCT_COMMANDS.decode(&self.codec, &value).expect("a product command");
        let id = CommandId::of(Role::Products, command.product_id.0, &command.key);
        let fingerprint = self.codec.product_fingerprint(&command);
        Asked { id, position, fingerprint, command }
    }

    pub(super) fn apply(&mut self, row: impl FnOnce(AsOf) -> Row) {
        self.sequence += 1;
        let stamp = Stamp(i64::try_from(self.sequence).expect("few rows"));
        let row = row(AsOf { sequence: self.sequence, stamp });
        self.store.apply(self.lane, vec![row]).expect("the row of this lane");
    }

    /// Everything before this command offset is readable.
    pub(super) fn project_until(&mut self, commands: u64) {
        let (sequence, stamp) = (self.sequence, Stamp(0));
        let positions = Positions { commands, inbox: 0 };
        let watermark = Watermark { step: commands, journal: commands, sequence, stamp, positions };
        self.store.set_watermark(self.lane, watermark).expect("a watermark");
    }

    /// Tells an asker.
    pub(super) fn answer(&mut self, reply_to: Option<u32>, asked: (CommandId, u64), told: Outcome) {
        let (command_id, position) = asked;
        let Outcome { code, order_id, balance, product_id } = told;
        let result = CommandResult { command_id, position, code, order_id, balance, product_id };
        let mut bytes = Vec::new();
        COMMAND_RESULTS.encode(&self.codec, &result, &mut bytes);
        self.log.answer(reply_to.expect("somebody who waits"), bytes.into());
    }

    /// Stores and tells the outcome of a user's command.
    pub(super) fn finish(&mut self, asked: &Asked<UserCommand>, outcome: Outcome) {
        self.apply(outcome_row(asked.id, asked.fingerprint, outcome));
        self.project_until(asked.position + 1);
        self.answer(asked.command.reply_to, (asked.id, asked.position), outcome);
    }
}

pub(super) fn outcome(code: Code) -> Outcome {
    Outcome { code, order_id: None, balance: None, product_id: None }
}

pub(super) fn outcome_row(
    command_id: CommandId,
    fingerprint: Fingerprint,
    outcome: Outcome,
) -> impl FnOnce(AsOf) -> Row {
    move |as_of| Row::from(OutcomeRow { command_id, lane: 0, as_of, fingerprint, outcome, at: NOW })
}

pub(super) fn user_row(id: u64, balance: i64) -> impl FnOnce(AsOf) -> Row {
    user(id, balance, Vec::new())
}

/// User 1, with a cart.
pub(super) fn user_row_with(balance: i64, cart: Vec<Line>) -> impl FnOnce(AsOf) -> Row {
    user(1, balance, cart)
}

fn user(id: u64, balance: i64, cart: Vec<Line>) -> impl FnOnce(AsOf) -> Row {
    move |as_of| {
        Row::from(UserRow {
            user_id: UserId(id),
            lane: 0,
            as_of,
            name: "Kim".into(),
            email: "kim@example.com".into(),
            balance: Money(balance),
            created_at: NOW,
            updated_at: NOW.plus(as_of.stamp.0),
            cart,
        })
    }
}

pub(super) fn product_row(id: u64, price: i64, available: i64) -> impl FnOnce(AsOf) -> Row {
    move |as_of| {
        Row::from(ProductRow {
            product_id: ProductId(id),
            lane: 0,
            as_of,
            name: format!("product {id}").into(),
            price: Money(price),
            supply: Units(available),
            available: Units(available),
            reserved: Units(0),
            sold: Units(0),
            created_at: NOW,
            updated_at: NOW,
        })
    }
}

pub(super) fn statement_row(user: u64, delta: i64, balance: i64) -> impl FnOnce(AsOf) -> Row {
    move |as_of| {
        Row::from(StatementRow {
            user_id: UserId(user),
            lane: 0,
            as_of,
            kind: if delta < 0 { StatementKind::Payment } else { StatementKind::Charge },
            delta: Money(delta),
            balance: Money(balance),
            order_id: (delta < 0).then(|| OrderId::of(UserId(user), "k")),
            at: NOW,
        })
    }
}

pub(super) fn order_row(
    asked: &Asked<UserCommand>,
    status: OrderStatus,
    outcome: Option<Outcome>,
) -> impl FnOnce(AsOf) -> Row + use<> {
    let user_id = asked.command.user_id;
    let order_id = OrderId::of(user_id, &asked.command.key);
    let (fingerprint, is_priced) = (asked.fingerprint, status != OrderStatus::Pending);
    let reason = outcome.map(|outcome| outcome.code).filter(|code| *code != Code::Ok);
    move |as_of| {
        Row::from(OrderRow {
            order_id,
            user_id,
            lane: 0,
            as_of,
            placed: 1,
            status,
            reason,
            reason_product: None,
            lines: vec![OrderLine {
                product_id: ProductId(10),
                quantity: Units(2),
                price: is_priced.then_some(Money(500)),
                refunded: Units(0),
            }],
            awaits: Vec::new(),
            total: if is_priced { Money(1000) } else { Money(0) },
            from_cart: false,
            payment: Payment::Now,
            deadline: NOW,
            payment_due: None,
            occurred_at: None,
            sold_at: None,
            created_at: NOW,
            updated_at: NOW,
            fingerprint,
            askers: Vec::new(),
            outcome,
            history: vec![HistoryLine { status, reason, at: NOW }],
        })
    }
}
