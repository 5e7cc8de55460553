//! Bugs on purpose: one of them can be switched on for a thread, to see whether what looks for bugs
//! finds it. A search that finds nothing says little until it is known what it would find.
//!
//! **Why the places that ask may stand in the code that they spoil.** Only a bug at the very line
//! that guards against it shows that the line is guarded. Without the feature `planted-bugs`
//! [`is_planted`] is the constant `false`, so the compiler leaves nothing of them; the feature is on
//! in one test of the simulator and nowhere else, and the binary does not compile with it
//! (`src/simulate.rs`). So that they are read past easily, all have one form: one condition
//! `is_planted(Bug::Name)`, in an expression, or before a line that has no business there.

macro_rules! bugs {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug {
            $($(#[$doc])* $name,)*
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

bugs! {
    /// A key's first outcome is not looked up.
    DedupeSkipped,
    /// Another body with a known key gets the first one's outcome.
    OtherBodyAccepted,
    /// A key is forgotten a microsecond early.
    KeyForgottenEarly,
    /// "Not ready yet" uses the key up.
    NotReadyStored,
    /// The same product twice in an order counts once.
    EqualLinesOversold,
    /// A cart stays as it was when it is bought.
    CartBoughtTwice,
    /// One lane is not told that an order failed.
    ReleaseForgotten,
    /// One lane is told twice that an order is paid.
    SettledTwice,
    /// After a takeover no deadline rings.
    HoldOutlivesDeadline,
    /// An answer after the deadline still counts.
    ReservedAfterDeadline,
    /// Payment is refused at the deadline itself.
    DeadlineEdge,
    /// A reminder ends an order whatever the time.
    EarlyExpiry,
    /// What was given back can be given back again.
    RefundTooMuch,
    /// One lane is not told of a refund.
    ReturnForgotten,
    /// A late sale is dated now.
    LateSaleDatedNow,
    /// Of all who wait for an order only the first is told.
    AskerForgotten,
    /// Memory lets go of what the store does not have yet.
    DirtyEvicted,
    /// A fold repeats what a row has already.
    DoubleFold,
    /// Outcomes are told before their rows can be read.
    OutcomeBeforeRow,
    /// The watermark is raised before the rows are there.
    WatermarkBeforeRows,
    /// Appends are acknowledged before they are synced.
    AcknowledgedBeforeSync,
    /// A lane projects and answers before its commit is synced.
    AnsweredBeforeSync,
    /// A takeover reads what is not synced.
    ReadBeforeSync,
    /// A takeover skips a command.
    OffsetSkipped,
    /// A takeover reads a command again.
    OffsetRepeated,
    /// A former owner still writes.
    FenceLost,
    /// A commit's journal and its messages are two units.
    TornCommit,
    /// A gap in message numbers is accepted.
    GapAccepted,
    /// A message that came before is taken again.
    RepeatAccepted,
    /// A new owner keeps the old one's epoch.
    EpochKept,
    /// A stamp does not look at what caused it.
    StampBeforeCause,
    /// After a takeover a message number is used again.
    NumberReused,
    /// A takeover does not repeat outcomes.
    AnswersNotRepeated,
    /// A takeover folds, and writes no rows.
    RowsLostAtTakeover,
    /// A takeover forgets the lane's own accounts.
    BalancesForgotten,
    /// What cannot be read goes nowhere.
    DeadLetterLost,
    /// A command on a wrong partition is taken.
    PartitionUnchecked,
    /// Steps do not name the ones before them.
    ChainBroken,
    /// Of a commit of several steps the statement is not written.
    StatementLost,
    /// A row of an earlier entry takes the place of a later one.
    OlderRowWins,
    /// A window that ends on a full minute ends a minute late.
    WindowEdge,
    /// A minute that leaves the running window stays counted.
    MinuteStays,
    /// Of the days of sales that changed one is not saved.
    DayUnsaved,
    /// What was saved of the sales is counted once more.
    PositionsForgotten,
}

/// Whether this build can have planted bugs at all.
pub const CAN_BE_PLANTED: bool = cfg!(feature = "planted-bugs");

#[cfg(feature = "planted-bugs")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Switches one bug on in this thread, and every other one off.
#[cfg(feature = "planted-bugs")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether this bug is on in this thread.
#[cfg(feature = "planted-bugs")]
pub fn is_planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether this bug is on: never, in this build.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
pub const fn is_planted(_: Bug) -> bool {
    false
}
