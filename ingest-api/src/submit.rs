//! The one way into the log: a checked wish becomes a command, the command is appended, and the
//! asker gets the outcome, or the word that the command is durable, or the word that nobody knows.

use crate::{
    bodies::Accepted,
    call::{Call, Voice},
    caller::user_actor,
    idempotency::{self, Key},
    json,
    prefer::{self, Prefer},
    problem::Problem,
    shop::Shop,
};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use jupan_log::{AppendError, NewRecord};
use jupan_schemas::{
    Code, CommandId, Fingerprint, Lane, Micros, OUTCOME_KEPT_US, OrderId, Outcome, ProductCommand,
    ProductId, ProductPayload, Role, TopicId, UserCommand, UserId, UserPayload, partition_of,
    topics::{PRODUCT_COMMANDS, USER_COMMANDS},
};
use jupan_store::StoreError;
use std::{future::Future, sync::Arc, time::Duration};
use tokio::time::timeout;

/// What is wished, checked for form.
pub(crate) enum Wish {
    User(UserPayload),
    Product(ProductPayload),
}

/// What is known of a command that is durable.
struct Sent {
    /// Where it lies.
    position: u64,
    /// What came of it, if that is known here already.
    outcome: Option<Outcome>,
}

/// A write, from its headers to its answer.
pub(crate) struct Write {
    shop: Arc<Shop>,
    voice: Voice,
    actor: String,
    key: Key,
    prefer: Prefer,
    wait: Option<Duration>,
    role: Role,
    /// The user or product that it is about.
    id: u64,
    command_id: CommandId,
    order: About,
    occurred_at: Option<Micros>,
}

/// Which order a write is about.
#[derive(Clone, Copy)]
enum About {
    None,
    /// The one that it makes: its outcome is the order's.
    New(OrderId),
    /// One that is there: its outcome is its own.
    Known(OrderId),
}

impl About {
    fn id(self) -> Option<OrderId> {
        match self {
            Self::None => None,
            Self::New(id) | Self::Known(id) => Some(id),
        }
    }
}

impl Write {
    /// A write about a user, by that user. Waits for its outcome, unless the caller prefers
    /// otherwise.
    pub(crate) fn of_user(call: &Call, user: UserId) -> Result<Self, Problem> {
        call.caller()?.must_be(user)?;
        Self::new(call, (Role::Users, user.0), user_actor(user))
    }

    /// A write about a product, by whoever runs the shop. Waits like that of a user.
    pub(crate) fn of_product(call: &Call, product: ProductId) -> Result<Self, Problem> {
        Self::new(call, (Role::Products, product.0), call.caller()?.actor())
    }

    /// A new order: answered as soon as it is durable, unless the caller prefers to wait.
    pub(crate) fn of_order(
        call: &Call,
        user: UserId,
        occurred_at: Option<Micros>,
    ) -> Result<Self, Problem> {
        let write = Self::of_user(call, user)?;
        if occurred_at.is_some_and(|time| time > write.shop.ports.log.now()) {
            let problem = Problem::new(Code::InvalidTime).field("occurredAt");
            return Err(problem.detail("lies in the future"));
        }
        let order = About::New(OrderId::of(user, &write.key.text));
        let wait = write.prefer.outcome_wait(None);
        Ok(Self { order, wait, occurred_at, ..write })
    }

    /// The same write, about one of this user's orders. Another user's order looks like none.
    pub(crate) fn about_order(self, order_id: OrderId, user: UserId) -> Result<Self, Problem> {
        if order_id.user() != Some(user) {
            return Err(Problem::new(Code::OrderNotFound).order(Some(order_id)));
        }
        Ok(Self { order: About::Known(order_id), ..self })
    }

    /// The same write, unless the caller gave no key.
    pub(crate) fn with_given_key(self) -> Result<Self, Problem> {
        self.key.must_be_given()?;
        Ok(self)
    }

    fn new(call: &Call, (role, id): (Role, u64), actor: String) -> Result<Self, Problem> {
        let shop = Arc::clone(&call.shop);
        let key = idempotency::key(call.headers(), &shop.minted)?;
        let prefer = Prefer::of(call.headers());
        let default_wait = Duration::from_millis(shop.limits.outcome_wait_ms);
        let command_id = CommandId::of(role, id, &key.text);
        tracing::Span::current().record("command_id", tracing::field::display(command_id));
        Ok(Self {
            wait: prefer.outcome_wait(Some(default_wait)),
            voice: call.voice.clone(),
            order: About::None,
            occurred_at: None,
            shop,
            actor,
            key,
            prefer,
            role,
            id,
            command_id,
        })
    }

    /// Sends the command and answers the caller; `done` makes the answer of a good outcome.
    pub(crate) async fn answer<F>(
        mut self,
        wish: Wish,
        done: impl FnOnce(Outcome) -> F,
    ) -> Result<Response, Problem>
    where
        F: Future<Output = Result<Response, Problem>>,
    {
        let answer = match self.submit(wish).await {
            Ok(Sent { position, outcome: None }) => self.accepted(position),
            Ok(Sent { position, outcome: Some(outcome) }) if outcome.code == Code::Ok => {
                match done(outcome).await {
                    Ok(response) => Ok(response),
                    // It is done, and only cannot be shown: no problem may deny that.
                    Err(_) => self.accepted(position),
                }
            }
            Ok(Sent { outcome: Some(outcome), .. }) => Err(self.refused(&outcome)),
            Err(problem) => Err(problem),
        };
        let mut response = answer.unwrap_or_else(|problem| problem.respond(&self.voice));
        self.add_headers(&mut response);
        Ok(response)
    }

    fn add_headers(&self, response: &mut Response) {
        // `respond-async` alone was followed only where the answer did not wait for the outcome.
        let is_applied = self.wait.is_some() || response.status() == StatusCode::ACCEPTED;
        let headers = response.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("Prefer"));
        if let Some(key) = self.key.header() {
            headers.insert(idempotency::HEADER, key);
        }
        if let Some(applied) = self.prefer.applied().filter(|_| is_applied) {
            headers.insert(prefer::APPLIED, applied);
        }
    }

    /// 202: the command is durable, and its outcome will be found behind the Location.
    fn accepted(&self, position: u64) -> Result<Response, Problem> {
        let body = Accepted::new(self.command_id, self.order.id());
        let mut response = json::answer(StatusCode::ACCEPTED, &body)?;
        let headers = response.headers_mut();
        headers.insert(header::LOCATION, self.location(Some(position)));
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        Ok(response)
    }

    /// Where the outcome is found. The position lets any instance tell "not yet" from "never".
    fn location(&self, position: Option<u64>) -> HeaderValue {
        let path = match self.order {
            About::New(id) => order_path(id),
            About::None | About::Known(_) => format!("/commands/{}", self.command_id),
        };
        let path = position.map_or_else(|| path.clone(), |at| format!("{path}?at={at}"));
        HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/"))
    }

    async fn submit(&mut self, wish: Wish) -> Result<Sent, Problem> {
        let shop = Arc::clone(&self.shop);
        let _pass = shop.admit()?;
        let (record, fingerprint) = self.record(wish);
        let waiter = self.wait.map(|wait| (wait, shop.waiters.seat(self.command_id, fingerprint)));
        let position = self.append(record).await?;
        let Some((wait, mut waiter)) = waiter else { return Ok(Sent { position, outcome: None }) };
        waiter.appended_at(position);
        let outcome = match timeout(wait, waiter.outcome()).await {
            Ok(outcome) => Some(outcome),
            Err(_) => self.stored(fingerprint, position).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "a late outcome cannot be looked up");
                None
            }),
        };
        Ok(Sent { position, outcome })
    }

    /// The encoded command, and the fingerprint that those have who ask the same under the same
    /// key.
    fn record(&mut self, wish: Wish) -> (NewRecord, Option<Fingerprint>) {
        let mut value = Vec::with_capacity(256);
        let key = self.key.text.clone();
        let actor = std::mem::take(&mut self.actor);
        let created_at = self.shop.ports.log.now();
        let occurred_at = self.occurred_at;
        let trace_id = Some(self.voice.trace_id);
        // Who does not wait is not answered: one record less.
        let reply_to = self.wait.map(|_| self.shop.reply_to);
        let is_shared = self.wait.is_some() && !self.key.is_made;
        let codec = &self.shop.codec;
        let fingerprint = match wish {
            Wish::User(payload) => {
                let user_id = UserId(self.id);
                #[rustfmt::skip]
                let command = UserCommand {
                    user_id, key, created_at, occurred_at, actor, trace_id, reply_to, payload,
                };
                USER_COMMANDS.encode(codec, &command, &mut value);
                is_shared.then(|| codec.user_fingerprint(&command))
            }
            Wish::Product(payload) => {
                let product_id = ProductId(self.id);
                #[rustfmt::skip]
                let command = ProductCommand {
                    product_id, key, created_at, occurred_at, actor, trace_id, reply_to, payload,
                };
                PRODUCT_COMMANDS.encode(codec, &command, &mut value);
                is_shared.then(|| codec.product_fingerprint(&command))
            }
        };
        let record = NewRecord::new(Bytes::from(self.id.to_string()), Bytes::from(value));
        (record.traced(trace_id), fingerprint)
    }

    /// Appends the command; `Ok` only when it is durable.
    async fn append(&self, record: NewRecord) -> Result<u64, Problem> {
        let log = &self.shop.ports.log;
        let partition = partition_of(self.id, log.partitions());
        let patience = Duration::from_millis(self.shop.limits.append_timeout_ms);
        let append = log.append(TopicId::commands(self.role), partition, record);
        let appended = timeout(patience, append).await.unwrap_or_else(|_| {
            Err(AppendError::Unknown { cause: "no answer in time".to_owned() })
        });
        self.shop.appends.count(&appended);
        let code = match appended {
            Ok(appended) => return Ok(appended.offset),
            Err(AppendError::Full) => Code::TooManyRequests,
            Err(AppendError::TooLarge { .. }) => Code::PayloadTooLarge,
            Err(AppendError::Closed) => Code::Unavailable,
            Err(AppendError::NoPartition { .. }) => Code::Internal,
            Err(AppendError::Unknown { cause }) => {
                tracing::warn!(%cause, "whether a command was appended is unknown");
                let unknown = Problem::new(Code::OutcomeUnknown).order(self.order.id());
                return Err(unknown.header(header::LOCATION, self.location(None)));
            }
        };
        Err(Problem::new(code))
    }

    /// The stored outcome, for a waiter that was not told in time: what is told may be lost, what
    /// is stored is not.
    async fn stored(
        &self,
        fingerprint: Option<Fingerprint>,
        position: u64,
    ) -> Result<Option<Outcome>, StoreError> {
        let Some((of_body, outcome)) = self.first_use().await? else { return Ok(None) };
        if fingerprint.is_none_or(|own| own == of_body) {
            return Ok(outcome);
        }
        // Another body has the key. That is this command's end, too, unless its lane has yet to
        // come to it.
        let index = partition_of(self.id, self.shop.ports.log.partitions());
        let lane = Lane { role: self.role, index };
        let watermark = self.shop.ports.store.projected(lane).await?;
        let is_decided = watermark.is_some_and(|mark| mark.positions.commands > position);
        let code = Code::IdempotencyKeyReused;
        let reused = Outcome { code, order_id: None, balance: None, product_id: None };
        Ok(is_decided.then_some(reused))
    }

    /// The body that the key stands for, and what came of it, if that is known by now.
    async fn first_use(&self) -> Result<Option<(Fingerprint, Option<Outcome>)>, StoreError> {
        let ports = &self.shop.ports;
        // An order remembers the key that made it, whatever is asked under that key now.
        if self.role == Role::Users
            && let Some(row) =
                ports.store.order(OrderId::of(UserId(self.id), &self.key.text)).await?
        {
            return Ok(Some((row.fingerprint, row.outcome)));
        }
        let row = ports.store.outcome(self.command_id).await?;
        // A key whose outcome is older than that is free again.
        let row = row.filter(|row| ports.log.now().since(row.at) <= OUTCOME_KEPT_US);
        Ok(row.map(|row| (row.fingerprint, Some(row.outcome))))
    }

    /// The problem that an outcome is, with the order that the write is about.
    fn refused(&self, outcome: &Outcome) -> Problem {
        let problem = refused(outcome);
        match self.order {
            About::Known(id) => problem.order(Some(id)),
            About::None | About::New(_) => problem,
        }
    }
}

/// The problem that an outcome is, where it is not a good one.
pub(crate) fn refused(outcome: &Outcome) -> Problem {
    let problem = Problem::new(outcome.code).order(outcome.order_id).product(outcome.product_id);
    match outcome.order_id.map(|id| HeaderValue::try_from(order_path(id))) {
        Some(Ok(location)) => problem.header(header::LOCATION, location),
        _ => problem,
    }
}

/// Where an order is read.
pub(crate) fn order_path(id: OrderId) -> String {
    format!("/order/{id}")
}
