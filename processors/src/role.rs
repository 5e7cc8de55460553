//! What differs between the roles outside the core: how inputs look as bytes, and what the other
//! role is told.

use crate::intake::{Meta, Sender};
use jupan_ledger::{Asked, Core, products, users};
use jupan_schemas::{
    Asker, Codec, CommandId, DecodeError, Envelope, ExpireOrder, Message, OrderId, ProductCommand,
    ProductMessage, ProductMessageRef, Role, Stamp, ToUsers, UserCommand, UserMessage,
    UserMessageRef, WrongReceiver,
};

/// A decoded command.
pub struct Decoded<I> {
    /// For the core.
    pub input: I,
    /// Whom or what it is about: the record's key.
    pub target: u64,
    /// For the entry.
    pub meta: Meta,
    /// Who waits.
    pub asker: Option<Asker>,
}

/// A decoded message: input, meta, sender, and whether it is a timer's.
pub type DecodedMessage<I> = (I, Meta, Sender, bool);

/// A core together with the encoding of its inputs.
pub trait Wired: Core + 'static {
    /// Reads a record of the role's command topic.
    #[doc(hidden)]
    fn decode_command(
        codec: &mut Codec,
        bytes: &[u8],
        position: u64,
    ) -> Result<Decoded<Self::Input>, DecodeError>;

    /// Reads a record of the role's inbox.
    #[doc(hidden)]
    fn decode_message(
        codec: &Codec,
        bytes: &[u8],
    ) -> Result<DecodedMessage<Self::Input>, DecodeError>;

    /// Writes a message to the other role.
    #[doc(hidden)]
    fn encode_message(
        codec: &mut Codec,
        envelope: Envelope<&Message, &str>,
        out: &mut Vec<u8>,
    ) -> Result<(), WrongReceiver>;

    /// Writes a timer's record for the lane's own inbox; only user lanes have timers.
    #[doc(hidden)]
    fn encode_reminder(codec: &mut Codec, lane: u16, order: OrderId) -> Option<Vec<u8>>;
}

fn asker(reply_to: Option<u32>, position: u64) -> Option<Asker> {
    reply_to.map(|reply_to| Asker { reply_to, position })
}

fn sender<P>(envelope: &Envelope<P>) -> Sender {
    Sender { lane: envelope.lane, number: envelope.number, stamp: envelope.stamp }
}

/// Takes the actor out of the envelope: only the entry says who asked.
fn meta<P>(envelope: &mut Envelope<P>) -> Meta {
    Meta {
        command_id: envelope.command_id,
        actor: std::mem::take(&mut envelope.actor),
        trace_id: envelope.trace_id,
    }
}

fn with_payload<P, Q: TryFrom<P>, A>(envelope: Envelope<P, A>) -> Result<Envelope<Q, A>, Q::Error> {
    let Envelope { lane, number, stamp, command_id, actor, trace_id, payload } = envelope;
    Ok(Envelope { lane, number, stamp, command_id, actor, trace_id, payload: payload.try_into()? })
}

impl Wired for users::Users {
    fn decode_command(
        codec: &mut Codec,
        bytes: &[u8],
        position: u64,
    ) -> Result<Decoded<Self::Input>, DecodeError> {
        let mut command: UserCommand = codec.decode(bytes)?;
        let target = command.user_id.0;
        let command_id = CommandId::of(Role::Users, target, &command.key);
        let meta = Meta {
            command_id: Some(command_id),
            actor: std::mem::take(&mut command.actor),
            trace_id: command.trace_id,
        };
        let asker = asker(command.reply_to, position);
        let fingerprint = codec.user_fingerprint(&command);
        let input = users::Input::Command(Asked { command, command_id, fingerprint, position });
        Ok(Decoded { input, target, meta, asker })
    }

    fn decode_message(
        codec: &Codec,
        bytes: &[u8],
    ) -> Result<DecodedMessage<Self::Input>, DecodeError> {
        let mut message: UserMessage = codec.decode(bytes)?;
        let is_timer = matches!(message.payload, ToUsers::ExpireOrder(_));
        let (meta, sender) = (meta(&mut message), sender(&message));
        Ok((users::Input::Message(message), meta, sender, is_timer))
    }

    fn encode_message(
        codec: &mut Codec,
        envelope: Envelope<&Message, &str>,
        out: &mut Vec<u8>,
    ) -> Result<(), WrongReceiver> {
        let message: ProductMessageRef<'_> = with_payload(envelope)?;
        codec.encode(&message, out);
        Ok(())
    }

    fn encode_reminder(codec: &mut Codec, lane: u16, order: OrderId) -> Option<Vec<u8>> {
        let message: UserMessage = Envelope {
            lane,
            number: 0,
            stamp: Stamp(0),
            command_id: None,
            actor: "timer".to_owned(),
            trace_id: None,
            payload: ToUsers::ExpireOrder(ExpireOrder { order_id: order }),
        };
        Some(codec.to_bytes(&message))
    }
}

impl Wired for products::Products {
    fn decode_command(
        codec: &mut Codec,
        bytes: &[u8],
        position: u64,
    ) -> Result<Decoded<Self::Input>, DecodeError> {
        let mut command: ProductCommand = codec.decode(bytes)?;
        let target = command.product_id.0;
        let command_id = CommandId::of(Role::Products, target, &command.key);
        let meta = Meta {
            command_id: Some(command_id),
            actor: std::mem::take(&mut command.actor),
            trace_id: command.trace_id,
        };
        let asker = asker(command.reply_to, position);
        let fingerprint = codec.product_fingerprint(&command);
        let input = products::Input::Command(Asked { command, command_id, fingerprint, position });
        Ok(Decoded { input, target, meta, asker })
    }

    fn decode_message(
        codec: &Codec,
        bytes: &[u8],
    ) -> Result<DecodedMessage<Self::Input>, DecodeError> {
        let mut message: ProductMessage = codec.decode(bytes)?;
        let (meta, sender) = (meta(&mut message), sender(&message));
        Ok((products::Input::Message(message), meta, sender, false))
    }

    fn encode_message(
        codec: &mut Codec,
        envelope: Envelope<&Message, &str>,
        out: &mut Vec<u8>,
    ) -> Result<(), WrongReceiver> {
        let message: UserMessageRef<'_> = with_payload(envelope)?;
        codec.encode(&message, out);
        Ok(())
    }

    fn encode_reminder(_: &mut Codec, _: u16, _: OrderId) -> Option<Vec<u8>> {
        None
    }
}
