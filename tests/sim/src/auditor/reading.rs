//! From a record of a lane's input to what must come of it.

use super::{
    Now, Posted,
    expected::Expected,
    journal::{LaneAudit, Model, journal},
    keys::Command,
};
use crate::report::{Invariant, Violation};
use jupan_log::LogRecord;
use jupan_schemas::{
    Asker, Code, CommandId, Envelope, Lane, Message, Outcome, ProductCommand, ProductMessage, Role,
    Stamp, ToProducts, ToUsers, UserCommand, UserMessage, Verdict, partition_of,
};

/// What an entry is about, as its record says, and what must come of it.
pub(super) struct Judged {
    pub(super) command_id: Option<CommandId>,
    pub(super) actor: String,
    pub(super) after: Option<Stamp>,
    pub(super) expected: Expected,
}

impl LaneAudit<'_> {
    pub(super) fn command(&mut self, now: &Now, record: &LogRecord) -> Result<Judged, Violation> {
        let (codec, place) = (&self.codec, record.offset);
        let asker =
            |reply_to: Option<u32>| reply_to.map(|reply_to| Asker { reply_to, position: place });
        match &mut self.model {
            Model::Users(model) => {
                let Ok(body) = codec.decode::<UserCommand>(&record.value) else {
                    return Ok(unreadable());
                };
                let wish = Command {
                    id: body.user_id.0,
                    command_id: CommandId::of(Role::Users, body.user_id.0, &body.key),
                    created_at: body.created_at,
                    occurred_at: body.occurred_at,
                    asker: asker(body.reply_to),
                    fingerprint: codec.user_fingerprint(&body),
                    key: body.key,
                    payload: body.payload,
                };
                let misplaced = misplaced(self.lane, self.lanes, record, &wish, &body.actor);
                misplaced.map_or_else(
                    || Ok(judged(&wish, body.actor, model.command(now, &wish).map_err(undue)?)),
                    Ok,
                )
            }
            Model::Products(model) => {
                let Ok(body) = codec.decode::<ProductCommand>(&record.value) else {
                    return Ok(unreadable());
                };
                let wish = Command {
                    id: body.product_id.0,
                    command_id: CommandId::of(Role::Products, body.product_id.0, &body.key),
                    created_at: body.created_at,
                    occurred_at: body.occurred_at,
                    asker: asker(body.reply_to),
                    fingerprint: codec.product_fingerprint(&body),
                    key: body.key,
                    payload: body.payload,
                };
                let misplaced = misplaced(self.lane, self.lanes, record, &wish, &body.actor);
                Ok(misplaced
                    .unwrap_or_else(|| judged(&wish, body.actor, model.command(now, &wish))))
            }
        }
    }

    pub(super) fn message(&mut self, now: &Now, record: &LogRecord) -> Result<Judged, Violation> {
        match self.lane.role {
            Role::Users => {
                let Ok(message) = self.codec.decode::<UserMessage>(&record.value) else {
                    return Ok(unreadable());
                };
                let is_timer = matches!(message.payload, ToUsers::ExpireOrder(_));
                self.receive(now, message, is_timer)
            }
            Role::Products => {
                let Ok(message) = self.codec.decode::<ProductMessage>(&record.value) else {
                    return Ok(unreadable());
                };
                self.receive(now, message, false)
            }
        }
    }

    fn receive<P: Payload>(
        &mut self,
        now: &Now,
        message: Envelope<P>,
        is_timer: bool,
    ) -> Result<Judged, Violation> {
        if is_timer != (message.number == 0) || message.lane >= self.lanes {
            return Ok(unreadable());
        }
        let Envelope { lane, number, stamp, command_id, actor, payload, .. } = message;
        let seen = self.received.entry(lane).or_default();
        if !is_timer && number <= *seen {
            let expected = Expected::nothing(Verdict::Ignored, Code::Ok);
            return Ok(Judged { command_id, actor, after: None, expected });
        }
        if !is_timer {
            *seen += 1;
            let sender = Lane { role: self.lane.role.peer(), index: lane };
            let posted = self.mail.get(&(sender, self.lane));
            let posted = posted.and_then(|all| all.get(usize::try_from(*seen - 1).ok()?));
            let is_it = |posted: &&Posted| {
                number == *seen
                    && (posted.stamp, posted.command_id, &posted.actor)
                        == (stamp, command_id, &actor)
                    && payload.is(&posted.payload)
            };
            if posted.filter(is_it).is_none() {
                let what = format!("message {number} of {sender} is not what it sent");
                return Err(journal(what));
            }
        }
        let expected = payload.judge(&mut self.model, now, lane).map_err(undue)?;
        Ok(Judged { command_id, actor, after: (!is_timer).then_some(stamp), expected })
    }
}

fn undue(what: String) -> Violation {
    Violation::new(Invariant::Holds, what)
}

fn judged<P>(wish: &Command<P>, actor: String, expected: Expected) -> Judged {
    Judged { command_id: Some(wish.command_id), actor, after: None, expected }
}

fn unreadable() -> Judged {
    let expected = Expected::nothing(Verdict::Dead, Code::Malformed);
    Judged { command_id: None, actor: String::new(), after: None, expected }
}

/// A command that can be read and does not belong here.
fn misplaced<P>(
    lane: Lane,
    lanes: u16,
    record: &LogRecord,
    wish: &Command<P>,
    actor: &str,
) -> Option<Judged> {
    let is_endless = actor.len() > 256;
    let is_at_home =
        partition_of(wish.id, lanes) == lane.index && record.key == wish.id.to_string().as_bytes();
    let code = match () {
        () if is_endless => Code::Malformed,
        () if !is_at_home => Code::WrongPartition,
        () => return None,
    };
    let mut expected = Expected::nothing(Verdict::Dead, code);
    expected.tell(wish.command_id, wish.asker, Outcome::of(code));
    let actor = if is_endless { String::new() } else { actor.to_owned() };
    Some(judged(wish, actor, expected))
}

/// What a message says, for the lane that it is for.
trait Payload {
    fn is(&self, message: &Message) -> bool;
    fn judge(&self, model: &mut Model, now: &Now, sender: u16) -> Result<Expected, String>;
}

impl Payload for ToUsers {
    fn is(&self, message: &Message) -> bool {
        Self::try_from(message.clone()).is_ok_and(|payload| payload == *self)
    }

    fn judge(&self, model: &mut Model, now: &Now, sender: u16) -> Result<Expected, String> {
        let Model::Users(model) = model else { return Err("it is for a user lane".to_owned()) };
        match self {
            Self::Reserved(told) => model.reserved(now, sender, told),
            Self::Refused(told) => {
                let why = Outcome { product_id: Some(told.product_id), ..Outcome::of(told.code) };
                model.refused(now, why, told.order_id)
            }
            Self::ExpireOrder(told) => model.expire(now, told.order_id),
        }
    }
}

impl Payload for ToProducts {
    fn is(&self, message: &Message) -> bool {
        Self::try_from(message.clone()).is_ok_and(|payload| payload == *self)
    }

    fn judge(&self, model: &mut Model, now: &Now, sender: u16) -> Result<Expected, String> {
        let Model::Products(model) = model else {
            return Err("it is for a product lane".to_owned());
        };
        match self {
            Self::Reserve(told) => Ok(model.reserve(now, sender, told)),
            Self::Settle(told) => model.end_hold(now, told.order_id, Some(told.sold_at)),
            Self::Release(told) => model.end_hold(now, told.order_id, None),
            Self::Return(told) => Ok(model.give_back(now, told)),
        }
    }
}
