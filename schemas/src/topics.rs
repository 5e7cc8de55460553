//! Topics: name, key, partitioning and codec in one value, so that they cannot drift apart.

use crate::{
    Codec, CommandResult, DecodeError, OrderEvent, ProductCommand, ProductMessage, Role, Sale,
    Step, TopProducts, UserCommand, UserMessage, codec::Record,
};
use std::marker::PhantomData;

/// Every topic. The numbers are persisted in the embedded log: never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum TopicId {
    /// Wishes about users, by user id.
    UserCommands = 1,
    /// Wishes about products, by product id.
    ProductCommands = 2,
    /// Messages to user lanes.
    UserInbox = 3,
    /// Messages to product lanes.
    ProductInbox = 4,
    /// Steps of user lanes.
    UserJournal = 5,
    /// Steps of product lanes.
    ProductJournal = 6,
    /// The data platform's feed, by user id.
    OrderEvents = 7,
    /// Units sold and returned, by product id.
    Sales = 8,
    /// The present top sellers.
    TopProducts = 9,
    /// Outcomes, by the asker's `replyTo`.
    CommandResults = 10,
    /// What could not be read or did not belong there.
    DeadLetters = 11,
    /// What became of dead letters, by their offset.
    DeadLetterMarks = 12,
}

impl TopicId {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::UserCommands,
        Self::ProductCommands,
        Self::UserInbox,
        Self::ProductInbox,
        Self::UserJournal,
        Self::ProductJournal,
        Self::OrderEvents,
        Self::Sales,
        Self::TopProducts,
        Self::CommandResults,
        Self::DeadLetters,
        Self::DeadLetterMarks,
    ];

    /// Its name, without a configured prefix.
    pub fn name(self) -> &'static str {
        match self {
            Self::UserCommands => "user-commands",
            Self::ProductCommands => "product-commands",
            Self::UserInbox => "user-inbox",
            Self::ProductInbox => "product-inbox",
            Self::UserJournal => "user-journal",
            Self::ProductJournal => "product-journal",
            Self::OrderEvents => "order-events",
            Self::Sales => "sales",
            Self::TopProducts => "top-products",
            Self::CommandResults => "command-results",
            Self::DeadLetters => "dead-letters",
            Self::DeadLetterMarks => "dead-letter-marks",
        }
    }

    /// Whether it has one partition, however many lanes there are.
    pub fn is_single(self) -> bool {
        matches!(self, Self::TopProducts | Self::DeadLetters | Self::DeadLetterMarks)
    }

    /// The topic with this persisted number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| *topic as u8 == number)
    }

    /// A role's command topic.
    pub fn commands(role: Role) -> Self {
        match role {
            Role::Users => Self::UserCommands,
            Role::Products => Self::ProductCommands,
        }
    }

    /// A role's inbox.
    pub fn inbox(role: Role) -> Self {
        match role {
            Role::Users => Self::UserInbox,
            Role::Products => Self::ProductInbox,
        }
    }

    /// A role's journal.
    pub fn journal(role: Role) -> Self {
        match role {
            Role::Users => Self::UserJournal,
            Role::Products => Self::ProductJournal,
        }
    }
}

/// A topic together with the type of its values.
pub struct Topic<T> {
    /// Which topic.
    pub id: TopicId,
    values: PhantomData<fn() -> T>,
}

impl<T: Record> Topic<T> {
    const fn new(id: TopicId) -> Self {
        Self { id, values: PhantomData }
    }

    /// Appends the value's record to `out`.
    pub fn encode(&self, codec: &Codec, value: &T, out: &mut Vec<u8>) {
        codec.encode(value, out);
    }

    /// Reads a record's value, written by this or an older version.
    ///
    /// # Errors
    /// [`DecodeError`] where the bytes are no record of this topic.
    pub fn decode(&self, codec: &Codec, bytes: &[u8]) -> Result<T, DecodeError> {
        codec.decode(bytes)
    }
}

/// Wishes about users.
pub const USER_COMMANDS: Topic<UserCommand> = Topic::new(TopicId::UserCommands);
/// Wishes about products.
pub const PRODUCT_COMMANDS: Topic<ProductCommand> = Topic::new(TopicId::ProductCommands);
/// Messages to user lanes.
pub const USER_INBOX: Topic<UserMessage> = Topic::new(TopicId::UserInbox);
/// Messages to product lanes.
pub const PRODUCT_INBOX: Topic<ProductMessage> = Topic::new(TopicId::ProductInbox);
/// Steps of user lanes.
pub const USER_JOURNAL: Topic<Step> = Topic::new(TopicId::UserJournal);
/// Steps of product lanes.
pub const PRODUCT_JOURNAL: Topic<Step> = Topic::new(TopicId::ProductJournal);
/// The data platform's feed.
pub const ORDER_EVENTS: Topic<OrderEvent> = Topic::new(TopicId::OrderEvents);
/// Units sold and returned.
pub const SALES: Topic<Sale> = Topic::new(TopicId::Sales);
/// The present top sellers.
pub const TOP_PRODUCTS: Topic<TopProducts> = Topic::new(TopicId::TopProducts);
/// Outcomes.
pub const COMMAND_RESULTS: Topic<CommandResult> = Topic::new(TopicId::CommandResults);
