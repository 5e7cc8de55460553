//! Every bound of the store, in one place. What can be configured is in
//! [`Options`](crate::embedded::Options).

use std::time::Duration;

/// Most rows of one list; a longer wish is cut to it.
pub const LIST_ROWS_MAX: usize = 1_000;

/// Parts of the memory of the embedded store, each behind its own lock. A user's rows share one.
pub(crate) const SHARDS: usize = 64;

/// What rows of one shard that are on disk may weigh together and stay in memory; the last flush
/// stays in any case. In 64 shards about 65,000 rows, 30 to 60 MB of usual orders.
pub(crate) const RECENT_WEIGHT_PER_SHARD: usize = 1_024;

/// Small flushes share a map up to this weight.
pub(crate) const RECENT_WEIGHT_PER_MAP: usize = 256;

/// Emptied maps and lists that had room for more are not used again.
pub(crate) const REUSED_SLOTS_MAX: usize = 8_192;

/// As many lines as make a row count as one more, where rows are counted to bound memory.
pub(crate) const LINES_PER_ROW: usize = 16;

/// Rows that count for more do not stay in memory after they were read from disk.
pub(crate) const RECENT_ROW_WEIGHT_MAX: usize = 8;

/// Memory for a batch's values, and as much for its keys, that is kept from one batch to the next.
pub(crate) const BATCH_BYTES_KEPT: usize = 8 << 20;

/// Reads that may wait for the disk at once; more wait for their turn.
pub(crate) const DISK_READS_MAX: usize = 64;

/// Orders and outcomes in the first filter that knows what is on disk; each further filter takes
/// twice as many as the one before.
pub(crate) const KNOWN_KEYS_FIRST: usize = 1 << 17;

/// Bits of a filter for each key that it takes: 256 KiB for the first, 2 to 4 bytes a key in all.
pub(crate) const KNOWN_KEY_BITS: usize = 16;

/// Bits that a key sets in its filter: a full one takes 7 in 10,000 strange keys for known.
pub(crate) const KNOWN_KEY_HASHES: u32 = 7;

/// Most filters: 134 million keys in 256 MiB. What comes then makes the last one surer and surer
/// that it knows a key, until the disk is asked as if there was no filter.
pub(crate) const KNOWN_KEYS_FILTERS: usize = 10;

/// How long the keys on disk are read at once when a store is opened, and then, for as long as
/// that took, are not: half a core at most.
pub(crate) const KNOWN_KEYS_TURN: Duration = Duration::from_millis(10);

/// The longest pause between two such turns, however long the disk took.
pub(crate) const KNOWN_KEYS_PAUSE_MAX: Duration = Duration::from_millis(100);

/// Things that a scan tells at once, whatever their size.
pub(crate) const SCAN_ITEMS_MAX: usize = 1_024;

/// Bytes of keys and values after which a scan's portion is full.
pub(crate) const SCAN_BYTES: usize = 256 * 1024;

/// How long `apply` waits for room before it calls the disk broken.
pub(crate) const ROOM_WAIT_MAX: Duration = Duration::from_secs(60);

/// Bytes of disk blocks that are kept in memory.
pub(crate) const BLOCK_CACHE_BYTES: u64 = 64 << 20;

/// Bytes of one table that are written but not yet sorted into files; there may be four such
/// portions a table.
pub(crate) const UNSORTED_BYTES_MAX: u64 = 16 << 20;

/// Bytes of the disk library's own journals.
pub(crate) const DISK_JOURNAL_BYTES_MAX: u64 = 256 << 20;

/// Threads that sort and merge files.
pub(crate) const DISK_WORKERS: usize = 2;

/// Requests to a CQL server in one batch, which lies in one partition.
#[cfg(feature = "cql")]
pub(crate) const CQL_BATCH_STATEMENTS_MAX: usize = 100;

/// Bytes of one batch's values. Servers warn of larger ones, and refuse those of 50 KiB.
#[cfg(feature = "cql")]
pub(crate) const CQL_BATCH_BYTES_MAX: usize = 30 * 1024;

/// Keys of one partition that are asked for at once.
#[cfg(feature = "cql")]
pub(crate) const CQL_KEYS_MAX: usize = 50;

/// Rows of one page of an answer.
#[cfg(feature = "cql")]
pub(crate) const CQL_PAGE_ROWS: i32 = 1_000;

/// Owners of users and products in each of two generations that are kept in memory.
#[cfg(feature = "cql")]
pub(crate) const CQL_OWNERS_MAX: usize = 1 << 18;

/// How often a list is gone on with where listed rows are missing: they are being written.
#[cfg(feature = "cql")]
pub(crate) const CQL_LIST_ROUNDS_MAX: usize = 8;

/// Pause between two writes of a lane's watermark: it may lie behind, and each costs a write.
#[cfg(feature = "cql")]
pub(crate) const CQL_WATERMARK_PAUSE: Duration = Duration::from_millis(20);

/// First pause before a failed request is made again; each further one is twice as long.
#[cfg(feature = "cql")]
pub(crate) const CQL_RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Longest such pause.
#[cfg(feature = "cql")]
pub(crate) const CQL_RETRY_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Longest wait for a connection.
#[cfg(feature = "cql")]
pub(crate) const CQL_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause between two looks at the cluster's servers and tables; changes of them are told anyway.
#[cfg(feature = "cql")]
pub(crate) const CQL_METADATA_PAUSE: Duration = Duration::from_secs(300);

/// Pause between two signs of life on an idle connection.
#[cfg(feature = "cql")]
pub(crate) const CQL_KEEPALIVE_PAUSE: Duration = Duration::from_secs(10);

/// A connection without a sign of life for so long is given up.
#[cfg(feature = "cql")]
pub(crate) const CQL_KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two questions whether all servers know a table that was made.
#[cfg(feature = "cql")]
pub(crate) const CQL_SCHEMA_PAUSE: Duration = Duration::from_millis(20);
