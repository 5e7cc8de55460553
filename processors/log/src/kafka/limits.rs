//! Every bound of the Kafka provider, and how they hang together.
//!
//! ```text
//!   TRANSACTION_STEP 8 s  <  REQUEST 9 s  <  TRANSACTION 10 s      a lane hears of a lost answer before
//!                                                                  the client repeats the request by itself
//!   HEARTBEAT 2 s  <  SESSION 6 s                                  a dead process loses its lanes
//! ```

use crate::{COMMIT_BYTES_MAX, RECORD_BYTES_MAX};
use std::time::Duration;

/// After this long the coordinator ends a transaction that nobody ends: until then a dead lane
/// holds up whoever reads committed records.
pub(super) const TRANSACTION: Duration = Duration::from_secs(10);
/// Longest wait for the answer to one request of a lane's producer.
pub(super) const REQUEST: Duration = Duration::from_secs(9);
/// Longest commit of a lane, from the first record to the coordinator's answer. Beyond it the
/// outcome is unknown. Shorter than [`REQUEST`], since the client repeats a request whose answer
/// is late, and a commit that is asked for twice may end a later transaction, too.
pub(super) const COMMIT: Duration = Duration::from_secs(8);
/// How often a lane tells the group where it stands.
pub(super) const POSITIONS_EVERY: Duration = Duration::from_millis(500);
/// Longest wait for the answer to an abort of a lane.
pub(super) const ABORT: Duration = Duration::from_secs(3);
/// Pause between two looks for deliveries: they take about 2 ms.
pub(super) const DELIVERY_PAUSE: Duration = Duration::from_micros(100);

/// Longest wait for the coordinator when a lane is taken over.
pub(super) const TAKEOVER: Duration = Duration::from_secs(20);
/// Longest wait for open transactions of others in a journal.
pub(super) const OPEN_TRANSACTIONS: Duration = Duration::from_secs(30);
/// Pause between two looks whether they have ended.
pub(super) const OPEN_TRANSACTIONS_PAUSE: Duration = Duration::from_millis(20);
/// Offsets before a journal's end that are searched for its last step first; eight times as many
/// each time there is none.
pub(super) const TAIL_OFFSETS: u64 = 32;

/// Without a heartbeat for this long, a member loses its lanes.
pub(super) const SESSION: Duration = Duration::from_secs(6);
/// Time between two heartbeats.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long the lanes of a member may take to stop when they are handed on: a commit, and what has
/// to be projected after it.
pub(super) const HANDOVER: Duration = Duration::from_secs(60);
/// A lane that was fenced while its member stays in the group is assigned again after this long:
/// three heartbeats, so a member that was expelled knows it by then.
pub(super) const FENCE_SETTLES: Duration = SESSION;

/// Longest wait for what a read or a look at the bounds asks the broker.
pub(super) const READ: Duration = Duration::from_secs(5);
/// Longest wait for one record while a read knows that there are more.
pub(super) const READ_PAUSE: Duration = Duration::from_millis(20);
/// Longest wait for the broker's answer about topics.
pub(super) const ADMIN: Duration = Duration::from_secs(20);
/// Time between two looks at whether the broker is there, and how far the lanes are.
pub(super) const WATCH: Duration = Duration::from_secs(1);

/// Time after which the outcome of an append that was not answered is unknown.
pub(super) const APPEND: Duration = Duration::from_secs(10);
/// Time after which an answer or a reminder that could not be sent is given up.
pub(super) const POST: Duration = Duration::from_secs(5);
/// Records that may wait to be sent, in each producer.
pub(super) const QUEUE_RECORDS_MAX: u32 = 50_000;
/// Kibibytes that may wait to be sent, in each producer.
pub(super) const QUEUE_KIB_MAX: usize = 8 * 1024;
/// Kibibytes that are read ahead of a partition.
pub(super) const AHEAD_KIB_MAX: usize = 2 * 1024;
/// Records that are read ahead of a partition.
pub(super) const AHEAD_RECORDS_MIN: usize = 10_000;

/// Bytes of records of a partition that are sent at once.
pub(super) const BATCH_BYTES_MAX: usize = RECORD_BYTES_MAX;
/// More than a record costs besides key, value and headers, with its batch.
pub(super) const RECORD_FRAMING_BYTES: usize = 64 * 1024;
/// Largest batch that an input topic takes. The broker keeps these topics uncompressed, so no
/// record is larger either: it fits a commit when it has to go to the dead letters.
pub(super) const INPUT_BYTES_MAX: usize = 2 * RECORD_BYTES_MAX;
/// Largest batch that the other topics take: one record may be all of a commit.
pub(super) const BATCH_TAKEN_BYTES_MAX: usize = COMMIT_BYTES_MAX + 2 * RECORD_FRAMING_BYTES;
/// Largest record of a commit: key, value and headers.
pub(super) const COMMIT_RECORD_BYTES_MAX: usize = COMMIT_BYTES_MAX + RECORD_FRAMING_BYTES;
/// Records of one commit.
pub(super) const COMMIT_RECORDS_MAX: usize = 20_000;

/// A duration as client properties have it.
pub(super) fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}
