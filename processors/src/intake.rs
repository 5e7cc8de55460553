//! From a record to an input: decode, check where it lies, and set aside what no lane can use.

use crate::role::{Decoded, Wired};
use jupan_log::Input;
use jupan_schemas::{
    Asker, Code, Codec, CommandId, DecodeError, KeyText, Lane, Source, Stamp, TraceId,
    partition_of,
    planted::{Bug, is_planted},
};

/// Longest name of who asks: it goes into every entry and message that the command leads to.
pub const ACTOR_BYTES_MAX: usize = 256;

/// What the lane knows about an input besides its content.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// The command behind it.
    pub command_id: Option<CommandId>,
    /// Who asked.
    pub actor: String,
    /// The asker's trace.
    pub trace_id: Option<TraceId>,
}

/// The sender of a message.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    /// Its lane, of the other role.
    pub lane: u16,
    /// Its number for this message; 0: a timer of this lane.
    pub number: u64,
    /// Its stamp.
    pub stamp: Stamp,
}

/// A record, as far as it could be read.
#[derive(Debug)]
pub(crate) enum Intake<I> {
    /// For the core.
    Command(I, Meta),
    /// For the core, if its number is the next one.
    Message(I, Meta, Sender),
    /// For the dead letters.
    Dead(DeadLetter),
}

/// A record that no lane can use, and why.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    /// What is known of it.
    pub(crate) meta: Meta,
    /// For the asker, if there is one.
    pub(crate) code: Code,
    /// For the operator.
    pub(crate) cause: String,
    /// Who is told.
    pub(crate) asker: Option<Asker>,
}

impl DeadLetter {
    fn unreadable(error: &DecodeError) -> Self {
        Self { meta: Meta::default(), code: Code::Malformed, cause: error.to_string(), asker: None }
    }

    fn misplaced(cause: String) -> Self {
        Self { meta: Meta::default(), code: Code::Malformed, cause, asker: None }
    }
}

/// Reads one record of a lane's input.
pub(crate) fn read<C: Wired>(
    codec: &mut Codec,
    lane: Lane,
    lanes: u16,
    input: &Input,
) -> Intake<C::Input> {
    match input.source {
        Source::Commands => read_command::<C>(codec, lane, lanes, input),
        Source::Inbox => read_message::<C>(codec, lanes, input),
    }
}

fn read_command<C: Wired>(
    codec: &mut Codec,
    lane: Lane,
    lanes: u16,
    input: &Input,
) -> Intake<C::Input> {
    let asked = match C::decode_command(codec, &input.record.value, input.record.offset) {
        Ok(asked) => asked,
        Err(error) => return Intake::Dead(DeadLetter::unreadable(&error)),
    };
    // Who sends a trace along may say it in the header only.
    let trace_id = asked.meta.trace_id.or_else(|| input.record.trace());
    let asked = Decoded { meta: Meta { trace_id, ..asked.meta }, ..asked };
    if asked.meta.actor.len() > ACTOR_BYTES_MAX {
        let cause = format!("the actor is longer than {ACTOR_BYTES_MAX} bytes");
        let meta = Meta { actor: String::new(), ..asked.meta };
        let (code, asker) = (Code::Malformed, asked.asker);
        return Intake::Dead(DeadLetter { meta, code, cause, asker });
    }
    let key_fits = input.record.key == KeyText::of(asked.target).as_bytes();
    let is_at_home = partition_of(asked.target, lanes) == lane.index;
    if (key_fits && is_at_home) || is_planted(Bug::PartitionUnchecked) {
        return Intake::Command(asked.input, asked.meta);
    }
    let cause =
        format!("the record lies in partition {} or has another key than its body", lane.index);
    Intake::Dead(DeadLetter {
        meta: asked.meta,
        code: Code::WrongPartition,
        cause,
        asker: asked.asker,
    })
}

fn read_message<C: Wired>(codec: &Codec, lanes: u16, input: &Input) -> Intake<C::Input> {
    match C::decode_message(codec, &input.record.value) {
        Err(error) => Intake::Dead(DeadLetter::unreadable(&error)),
        Ok((_, _, sender, is_timer)) if is_timer != (sender.number == 0) => {
            let cause = format!("message number {} does not fit its kind", sender.number);
            Intake::Dead(DeadLetter::misplaced(cause))
        }
        Ok((_, _, sender, _)) if sender.lane >= lanes => {
            Intake::Dead(DeadLetter::misplaced(format!("there is no lane {}", sender.lane)))
        }
        Ok((input, meta, sender, _)) => Intake::Message(input, meta, sender),
    }
}
