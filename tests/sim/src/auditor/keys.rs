//! What a key stands for: one outcome for 15 days.

use super::{Now, expected::Expected};
use jupan_schemas::{
    Asker, Change, Code, CommandId, Fingerprint, Micros, Outcome, OutcomeStored, Verdict,
    rows::OutcomeRow,
};
use std::collections::BTreeMap;

/// A command as its record says.
#[derive(Clone, Debug)]
pub(crate) struct Command<P> {
    pub(crate) id: u64,
    pub(crate) key: String,
    pub(crate) command_id: CommandId,
    pub(crate) created_at: Micros,
    pub(crate) occurred_at: Option<Micros>,
    pub(crate) asker: Option<Asker>,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) payload: P,
}

const KEPT_US: i64 = 15 * 24 * 3600 * 1_000_000;
const AGE_MAX_US: i64 = 14 * 24 * 3600 * 1_000_000;
const AHEAD_MAX_US: i64 = 5 * 60 * 1_000_000;

impl<P: Clone + PartialEq> Command<P> {
    /// What is wrong with its form, at the time of its record.
    fn fault(&self, at: Micros) -> Option<Code> {
        let age = at.0 - self.created_at.0;
        match () {
            () if self.id >= 1 << 53 => Some(Code::InvalidId),
            () if self.key.is_empty() || self.key.chars().count() > 255 => Some(Code::InvalidKey),
            () if age > AGE_MAX_US => Some(Code::CommandTooOld),
            () if -age > AHEAD_MAX_US => Some(Code::CommandFromFuture),
            () if self.occurred_at.is_some_and(|occurred| occurred > at) => Some(Code::InvalidTime),
            () => None,
        }
    }

    /// An answer that says nothing about what the key stands for.
    pub(crate) fn refused(&self, code: Code) -> Expected {
        let mut expected = Expected::nothing(Verdict::Refused, code);
        expected.tell(self.command_id, self.asker, Outcome::of(code));
        expected
    }

    /// The first outcome again.
    pub(crate) fn repeated(&self, outcome: Outcome) -> Expected {
        let mut expected = Expected::nothing(Verdict::Duplicate, outcome.code);
        expected.tell(self.command_id, self.asker, outcome);
        expected
    }
}

/// The outcomes of one lane, with the body that each was for.
pub(crate) struct Keys<P> {
    lane: u16,
    pub(crate) kept: BTreeMap<CommandId, (P, OutcomeRow)>,
}

impl<P: Clone + PartialEq> Keys<P> {
    pub(crate) fn new(lane: u16) -> Self {
        Self { lane, kept: BTreeMap::new() }
    }

    /// What is decided by form alone; `None` where the command has to be looked at.
    pub(crate) fn form(command: &Command<P>, at: Micros) -> Option<Expected> {
        command.fault(at).map(|code| command.refused(code))
    }

    /// What the key decides.
    pub(crate) fn known(&self, command: &Command<P>, at: Micros) -> Option<Expected> {
        let (body, row) = self.kept.get(&command.command_id)?;
        if at.0 - row.at.0 > KEPT_US {
            None
        } else if *body == command.payload {
            Some(command.repeated(row.outcome))
        } else {
            Some(command.refused(Code::IdempotencyKeyReused))
        }
    }

    /// The command is decided: who asked is told, and the key remembers.
    pub(crate) fn conclude(
        &mut self,
        command: &Command<P>,
        now: &Now,
        outcome: Outcome,
        mut expected: Expected,
    ) -> Expected {
        expected.code = outcome.code;
        expected.tell(command.command_id, command.asker, outcome);
        if outcome.code == Code::OrderNotReady {
            return expected;
        }
        let Command { command_id, fingerprint, .. } = *command;
        let row = OutcomeRow {
            command_id,
            lane: self.lane,
            as_of: now.as_of,
            fingerprint,
            outcome,
            at: now.at,
        };
        self.kept.insert(command_id, (command.payload.clone(), row));
        expected.change(Change::OutcomeStored(OutcomeStored { command_id, fingerprint, outcome }));
        expected
    }

    /// The command is decided against.
    pub(crate) fn refuse(&mut self, command: &Command<P>, now: &Now, outcome: Outcome) -> Expected {
        let refused = Expected::nothing(Verdict::Refused, outcome.code);
        self.conclude(command, now, outcome, refused)
    }

    /// The command is done, with this outcome.
    pub(crate) fn accept(
        &mut self,
        command: &Command<P>,
        now: &Now,
        outcome: Outcome,
        changes: Vec<Change>,
    ) -> Expected {
        let accepted = Expected { changes, ..Expected::accepted() };
        self.conclude(command, now, outcome, accepted)
    }
}

/// A code with nothing to add.
pub(crate) fn plain(code: Code) -> Outcome {
    Outcome { code, order_id: None, balance: None, product_id: None }
}
