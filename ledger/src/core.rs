//! What both roles' cores have in common: the verbs, and what a decision is made of.

use jupan_schemas::{
    Answer, Change, Code, CommandId, Entry, Fingerprint, Message, Micros, Money, OrderEvent,
    OrderId, Posting, Role, Sale, SystemBalance, Verdict,
    rows::{Key, Row},
};

/// What a shop allows. Deciding depends on it, folding does not: changed rules never change the
/// past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Lanes of each role.
    pub lanes: u16,
    /// Least amount of one charge.
    pub charge_min: Money,
    /// Most of one charge.
    pub charge_max: Money,
    /// Most lines of one order.
    pub order_lines_max: usize,
    /// Most units of one line.
    pub line_units_max: i64,
    /// How long an order may stay PENDING.
    pub order_deadline_us: i64,
}

impl Rules {
    /// The documented defaults, for so many lanes of each role.
    pub fn new(lanes: u16) -> Self {
        Self {
            lanes,
            charge_min: Money(1),
            charge_max: Money(10_000_000),
            order_lines_max: 500,
            line_units_max: 10_000,
            order_deadline_us: 15 * Micros::MINUTE,
        }
    }
}

/// A command with what its lane worked out about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<C> {
    /// As decoded.
    pub command: C,
    /// Of role, user or product, and key.
    pub command_id: CommandId,
    /// Of the payload.
    pub fingerprint: Fingerprint,
    /// Offset in the command topic: names the asker together with `replyTo`.
    pub position: u64,
}

/// What one input leads to. The lane gives it sequence, stamp and message numbers, and makes the
/// entry of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What became of the input.
    pub verdict: Verdict,
    /// `Ok`, or why it was refused or the order failed.
    pub code: Code,
    /// What changes.
    pub changes: Vec<Change>,
    /// Transfers, with the balances after them; per asset they sum to zero.
    pub postings: Vec<Posting>,
    /// Receiving lane of the other role, and what it is told.
    pub messages: Vec<(u16, Message)>,
    /// Who is told the outcome.
    pub answers: Vec<Answer>,
}

impl Decision {
    /// Nothing changes, nobody is told.
    pub fn nothing(verdict: Verdict, code: Code) -> Self {
        Self {
            verdict,
            code,
            changes: Vec::new(),
            postings: Vec::new(),
            messages: Vec::new(),
            answers: Vec::new(),
        }
    }
}

/// What the outside is told about an entry; derived from it, never journaled itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An order changed.
    Order(OrderEvent),
    /// A product was sold or returned.
    Sale(Sale),
}

/// State and input do not fit together: only a bug or a broken journal does that. The lane stops.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{about}: {what}")]
pub struct Broken {
    /// Which object.
    pub about: String,
    /// Which rule.
    pub what: &'static str,
}

impl Broken {
    /// A rule that one object broke: `order 0198…: does not exist`.
    pub(crate) fn about(kind: &str, id: impl std::fmt::Display, what: &'static str) -> Self {
        Self { about: format!("{kind} {id}"), what }
    }
}

/// One role's state machine over the cells that are in memory.
///
/// A cell is one row's worth of state. It is loaded before it is used: a cell that was looked up
/// and does not exist is loaded as absent. Every cell remembers the sequence of the last entry that
/// changed it, and `evolve` leaves cells alone that are already at or beyond the entry: so a
/// journal can be folded over rows that are ahead of it.
pub trait Core: Send {
    /// Which role.
    const ROLE: Role;
    /// A command or message of this role.
    type Input: std::fmt::Debug + Send;

    /// An empty state of one lane.
    fn new(lane: u16) -> Self;

    /// Adds the keys that deciding and evolving this input needs, as far as the input names them.
    fn footprint(&self, input: &Self::Input, keys: &mut Vec<Key>);

    /// Adds the keys of the cells that this entry changes: what evolving it needs, and whose rows
    /// it makes.
    fn entry_footprint(&self, entry: &Entry, keys: &mut Vec<Key>);

    /// Marks cells as used, and keeps in `keys` only those that are not in memory.
    ///
    /// May add keys that loaded cells name: the end of a hold needs the hold's products, which only
    /// the hold knows. So the lane repeats footprint, `retain_missing` and `load` until nothing is
    /// missing (twice at most).
    fn retain_missing(&mut self, keys: &mut Vec<Key>);

    /// Puts a looked-up cell into memory; `None`: it does not exist. A cell that is in memory
    /// already stays as it is: memory is never behind the rows.
    ///
    /// # Errors
    /// [`Broken`] where key and row do not belong together.
    fn load(&mut self, key: Key, row: Option<Row>) -> Result<(), Broken>;

    /// Decides one input at the append time of its record. Needs its footprint loaded.
    ///
    /// # Errors
    /// [`Broken`]
    fn decide(&self, rules: &Rules, input: &Self::Input, at: Micros) -> Result<Decision, Broken>;

    /// Folds one entry. Needs its footprint loaded.
    ///
    /// # Errors
    /// [`Broken`] where a transfer does not balance, or a balance is not what the posting says, or
    /// is below zero. The state is then of no more use.
    fn evolve(&mut self, entry: &Entry) -> Result<(), Broken>;

    /// The whole row of a cell as of now; `None` where it does not exist or is not loaded.
    fn row(&self, key: Key) -> Option<Row>;

    /// Adds the rows of all cells that were changed since the last call, each once and as of now.
    fn take_changed(&mut self, rows: &mut Vec<Row>);

    /// Adds the rows that an entry makes and that no later entry changes: a wallet's statement.
    fn statement(&self, entry: &Entry, rows: &mut Vec<Row>);

    /// Calls back for each event that the outside is told about an entry, right after it was
    /// evolved.
    fn events(&self, entry: &Entry, tell: &mut dyn FnMut(Event));

    /// Calls back for each order whose deadline an entry sets (`Some`) or takes away (`None`).
    fn deadlines(entry: &Entry, set: &mut dyn FnMut(OrderId, Option<Micros>));

    /// The lane's system accounts.
    fn balances(&self) -> Vec<SystemBalance>;

    /// Takes over the system accounts of the journal's tail, or of the step before the first folded
    /// one.
    fn restore_balances(&mut self, balances: &[SystemBalance]);

    /// Cells in memory.
    fn cells(&self) -> usize;

    /// Forgets what is of no more use: cells that were looked up and do not exist, and those that
    /// have ended (orders, holds) or only a retry asks for (outcomes) once the store has them: up
    /// to the entry `acknowledged`. Returns how many. Not between looking cells up and using them.
    fn release(&mut self, acknowledged: u64) -> usize;

    /// Drops cells until at most `cells_max` are left: those not used since the last call first,
    /// and never one that a later entry than `acknowledged` changed, nor a pending order. Returns
    /// how many it dropped. Costs about what it drops and passes over, so it may be called for
    /// every batch.
    fn trim(&mut self, acknowledged: u64, cells_max: usize) -> usize;
}
