//! The journal: steps and their entries. A step's record is what a lane commits; everything else a
//! lane writes derives from it. What an entry changes is in `changes.rs`.

use crate::{
    Change, Code, CommandId, Hash, Message, Micros, Money, OrderId, ProductId, Role, Stamp, TraceId,
};
use serde::{Deserialize, Serialize};

/// Largest encoded step. A lane cuts its batch into several steps of one commit rather than write a
/// larger one.
pub const STEP_BYTES_MAX: usize = 256 * 1024;

/// The entries of one batch of inputs: one record of a role's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Whose journal.
    pub role: Role,
    /// Which lane of the role.
    pub lane: u16,
    /// Dense per lane, from 1.
    pub number: u64,
    /// Hash of the previous step's encoded record; [`Hash::ZERO`] before the first.
    pub previous: Hash,
    /// The owner who wrote it: never falls.
    pub epoch: u64,
    /// Both inputs' next offsets, after this step.
    pub positions: Positions,
    /// Last message numbers sent to and received from each lane of the other role, after this step.
    pub peers: Vec<Peer>,
    /// The lane's system accounts, after this step.
    pub balances: Vec<SystemBalance>,
    /// One for each input.
    pub entries: Vec<Entry>,
}

/// The next unread offset of each input of a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    /// In the role's command topic.
    pub commands: u64,
    /// In the role's inbox.
    pub inbox: u64,
}

/// Message numbers exchanged with one lane of the other role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Which lane.
    pub lane: u16,
    /// The last number sent to it; 0: none yet.
    pub sent: u64,
    /// The last number received from it; 0: none yet.
    pub received: u64,
}

/// One system account of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemBalance {
    /// Which account.
    pub account: Account,
    /// Its balance: negative for a source.
    pub balance: i64,
}

/// What happened: exactly one for each input record, and one without input when a lane changes its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Dense per lane, from 1.
    pub sequence: u64,
    /// Logical time.
    pub stamp: Stamp,
    /// The record that it is about; absent: `Opened`.
    pub input: Option<InputRef>,
    /// The command behind it.
    pub command_id: Option<CommandId>,
    /// Who asked.
    pub actor: String,
    /// The asker's trace.
    pub trace_id: Option<TraceId>,
    /// What became of the input.
    pub verdict: Verdict,
    /// Why, where it was refused or the order failed.
    pub code: Code,
    /// What it changes.
    pub changes: Vec<Change>,
    /// Transfers; their deltas sum to zero per asset.
    pub postings: Vec<Posting>,
    /// What other lanes are told.
    pub messages: Vec<Sent>,
    /// What askers are told.
    pub answers: Vec<Answer>,
}

/// Where an input was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRef {
    /// Which of the lane's two inputs.
    pub source: Source,
    /// Its offset there.
    pub offset: u64,
    /// Its append time, assigned by the log: the time of the decision.
    pub at: Micros,
}

/// The two inputs of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Source {
    /// The role's command topic.
    Commands,
    /// The role's inbox.
    Inbox,
}

/// What became of one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// It was done, or begun.
    Accepted,
    /// It was decided against; the asker is told why.
    Refused,
    /// The key is known: the first outcome again.
    Duplicate,
    /// It had nothing to do.
    Ignored,
    /// It could not be read or does not belong here: it went to the dead letters.
    Dead,
    /// A new owner took the lane over.
    Opened,
}

/// Accounts of the double entry, in money (first three) and in units of one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Account {
    /// Where charged money comes from; one a lane.
    Funding,
    /// A user's money.
    Wallet,
    /// Where paid money goes; one a lane.
    Revenue,
    /// Where restocked units come from; one a product.
    Supply,
    /// Units that can be bought.
    Available,
    /// Units that are held.
    Reserved,
    /// Units that are sold.
    Sold,
}

/// One leg of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    /// Which kind of account.
    pub account: Account,
    /// The user of a wallet, the product of units, the lane of a system account.
    pub owner: u64,
    /// What is added.
    pub delta: i64,
    /// What the account holds after this posting.
    pub balance: i64,
}

/// A message as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The receiving lane, of the other role.
    pub lane: u16,
    /// Dense per pair of lanes, from 1.
    pub number: u64,
    /// What is told.
    pub payload: Message,
}

/// Who waits for an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asker {
    /// Partition of `command-results`.
    pub reply_to: u32,
    /// Offset of the asking command: one asker may ask twice.
    pub position: u64,
}

/// What an asker gets told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// `Ok`, or why not.
    pub code: Code,
    /// The order that it is about.
    pub order_id: Option<OrderId>,
    /// The wallet after a charge.
    pub balance: Option<Money>,
    /// The product that a refusal is about.
    pub product_id: Option<ProductId>,
}

impl Outcome {
    /// An outcome that is only a code.
    pub fn of(code: Code) -> Self {
        Self { code, order_id: None, balance: None, product_id: None }
    }

    /// An outcome that is a code about an order.
    pub fn of_order(code: Code, order_id: OrderId) -> Self {
        Self { order_id: Some(order_id), ..Self::of(code) }
    }
}

/// An outcome on its way to one asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Which command.
    pub command_id: CommandId,
    /// Who asked.
    pub asker: Asker,
    /// What it is told.
    pub outcome: Outcome,
}
