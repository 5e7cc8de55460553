//! What every command goes through, whatever it wishes: the checks of its envelope, the first
//! outcome of its key, and how a ruling becomes a decision.

use crate::{
    Asked, Broken, Decision,
    cells::{Cell, Cells, Moment},
    limits,
};
use jupan_schemas::{
    Answer, Asker, Change, Code, CommandId, Fingerprint, KEY_CHARS_MAX, Message, Micros,
    OUTCOME_KEPT_US, OrderId, Outcome, OutcomeStored, Posting, ProductCommand, UserCommand,
    Verdict,
    planted::{Bug, is_planted},
    rows::{AsOf, OutcomeRow},
};

/// What all commands have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) command_id: CommandId,
    pub(crate) fingerprint: Fingerprint,
    /// Who waits, if anybody does.
    pub(crate) asker: Option<Asker>,
    pub(crate) occurred_at: Option<Micros>,
    created_at: Micros,
    key: &'a str,
    is_id_valid: bool,
}

macro_rules! head_of {
    ($command:ty, $id:ident) => {
        impl<'a> From<&'a Asked<$command>> for Head<'a> {
            fn from(asked: &'a Asked<$command>) -> Self {
                let Asked { command, command_id, fingerprint, position } = asked;
                let asker = |reply_to| Asker { reply_to, position: *position };
                Self {
                    command_id: *command_id,
                    fingerprint: *fingerprint,
                    asker: command.reply_to.map(asker),
                    occurred_at: command.occurred_at,
                    created_at: command.created_at,
                    key: &command.key,
                    is_id_valid: command.$id.is_valid(),
                }
            }
        }
    };
}
head_of!(UserCommand, user_id);
head_of!(ProductCommand, product_id);

/// What a command's own rules say about it.
#[derive(Clone, Debug)]
pub(crate) enum Ruling {
    /// It is done.
    Done { outcome: Outcome, changes: Vec<Change>, postings: Vec<Posting> },
    /// It is decided against.
    Refused(Outcome),
    /// An order has moved on. The decision answers those who wait for the order; who asked for the
    /// move is told this outcome.
    OfOrder { outcome: Outcome, decision: Decision },
    /// An order is pending. It remembers its own key, and its outcome comes later.
    Begun { changes: Vec<Change>, messages: Vec<(u16, Message)> },
}

impl Ruling {
    /// Refused, with nothing to say but why.
    pub(crate) fn refused(code: Code) -> Self {
        Self::Refused(Outcome::of(code))
    }

    /// A wish about an order is refused. An order that is not there is not named: it may be
    /// somebody else's.
    pub(crate) fn of_order(code: Code, order_id: OrderId) -> Self {
        let order_id = (code != Code::OrderNotFound).then_some(order_id);
        Self::Refused(Outcome { order_id, ..Outcome::of(code) })
    }
}

impl Head<'_> {
    /// Checks the envelope. What is found here is never stored: the key was not looked up yet, and
    /// may stand for an outcome already.
    pub(crate) fn check(&self, at: Micros) -> Result<(), Code> {
        let is_key_valid = !self.key.is_empty() && self.key.chars().count() <= KEY_CHARS_MAX;
        let age_us = at.since(self.created_at);
        if !self.is_id_valid {
            Err(Code::InvalidId)
        } else if !is_key_valid {
            Err(Code::InvalidKey)
        } else if age_us > limits::COMMAND_AGE_MAX_US {
            Err(Code::CommandTooOld)
        } else if age_us < -limits::COMMAND_AHEAD_MAX_US {
            Err(Code::CommandFromFuture)
        } else if self.occurred_at.is_some_and(|occurred_at| occurred_at > at) {
            Err(Code::InvalidTime)
        } else {
            Ok(())
        }
    }

    /// Refused for this asker only: the key stands for whatever it stood for.
    pub(crate) fn refuse(&self, outcome: Outcome) -> Decision {
        let answers = self.answers(outcome);
        Decision { answers, ..Decision::nothing(Verdict::Refused, outcome.code) }
    }

    /// The key is known: its first outcome again.
    pub(crate) fn repeat(&self, outcome: Outcome) -> Decision {
        let answers = self.answers(outcome);
        Decision { answers, ..Decision::nothing(Verdict::Duplicate, outcome.code) }
    }

    /// What the key's first outcome decides, if there is one that still counts.
    pub(crate) fn known(&self, stored: Option<&OutcomeRow>, at: Micros) -> Option<Decision> {
        let kept_us = OUTCOME_KEPT_US - i64::from(is_planted(Bug::KeyForgottenEarly));
        let stored = stored.filter(|_| !is_planted(Bug::DedupeSkipped));
        let stored = stored.filter(|stored| at.since(stored.at) <= kept_us)?;
        if stored.fingerprint == self.fingerprint || is_planted(Bug::OtherBodyAccepted) {
            return Some(self.repeat(stored.outcome));
        }
        Some(self.refuse(Outcome::of(Code::IdempotencyKeyReused)))
    }

    /// Makes a ruling the decision: its outcome is stored and told.
    pub(crate) fn conclude(&self, ruling: Ruling) -> Decision {
        match ruling {
            Ruling::Done { outcome, mut changes, postings } => {
                changes.push(self.stored(outcome));
                let answers = self.answers(outcome);
                let accepted = Decision::nothing(Verdict::Accepted, outcome.code);
                Decision { changes, postings, answers, ..accepted }
            }
            Ruling::OfOrder { outcome, mut decision } => {
                decision.code = outcome.code;
                decision.changes.push(self.stored(outcome));
                decision.answers.extend(self.answers(outcome));
                decision
            }
            // Asked again, it may be decided otherwise: the key stays free for that.
            Ruling::Refused(outcome)
                if outcome.code.is_for_this_asker_only() && !is_planted(Bug::NotReadyStored) =>
            {
                self.refuse(outcome)
            }
            Ruling::Refused(outcome) => {
                let (changes, answers) = (vec![self.stored(outcome)], self.answers(outcome));
                Decision { changes, answers, ..Decision::nothing(Verdict::Refused, outcome.code) }
            }
            Ruling::Begun { changes, messages } => {
                let begun = Decision::nothing(Verdict::Accepted, Code::Ok);
                Decision { changes, messages, ..begun }
            }
        }
    }

    fn stored(&self, outcome: Outcome) -> Change {
        let (command_id, fingerprint) = (self.command_id, self.fingerprint);
        Change::OutcomeStored(OutcomeStored { command_id, fingerprint, outcome })
    }

    fn answers(&self, outcome: Outcome) -> Vec<Answer> {
        let answer = |asker| Answer { command_id: self.command_id, asker, outcome };
        self.asker.map(answer).into_iter().collect()
    }
}

impl Cell for OutcomeRow {
    fn as_of(&self) -> AsOf {
        self.as_of
    }

    fn set_as_of(&mut self, as_of: AsOf) {
        self.as_of = as_of;
    }

    /// Only a retry asks for it again.
    fn is_spent(&self) -> bool {
        true
    }
}

/// Folds a stored outcome; one that no longer counted is replaced.
pub(crate) fn evolve(
    outcomes: &mut Cells<CommandId, OutcomeRow>,
    lane: u16,
    now: &Moment,
    stored: &OutcomeStored,
) -> Result<(), Broken> {
    let OutcomeStored { command_id, fingerprint, outcome } = *stored;
    let as_of = AsOf::default();
    let row = OutcomeRow { command_id, lane, as_of, fingerprint, outcome, at: now.at };
    outcomes.put(command_id, now, row)
}
