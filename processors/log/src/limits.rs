//! Every bound of this crate in one place.

use std::time::Duration;

/// A group of frames that is written and synced at once stops growing here: larger writes cost more
/// a byte.
pub(crate) const GROUP_BYTES: usize = 256 * 1024;
/// Largest payload of a frame: a commit's values and what names them.
pub(crate) const FRAME_PAYLOAD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Largest key and headers of one record, taken together.
pub(crate) const KEY_AND_HEADERS_BYTES_MAX: usize = 64 * 1024 - 1;
/// A segment of the embedded log.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// The smallest segment that a test may ask for.
pub const SEGMENT_BYTES_MIN: u64 = 4 * 1024;
/// Bytes that are appended and not yet durable; beyond it appends are refused and commits wait.
pub const QUEUE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of recent records kept in memory for readers.
pub const TAIL_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Outcomes that one subscriber may have waiting; the oldest is dropped beyond it.
pub const RESULTS_MAX: usize = 65_536;
/// Subscribers of outcomes at one time.
pub(crate) const SUBSCRIBERS_MAX: usize = 4_096;
/// Idleness after which a mark proves the last frame.
pub const MARK_AFTER: Duration = Duration::from_millis(100);
/// Zeros written ahead of small groups, so that their sync need not change the file's size.
pub(crate) const ZERO_AHEAD_BYTES: u64 = 256 * 1024;
/// Distance between two places of a partition that the index knows.
pub(crate) const SAMPLE_EVERY_BYTES: u64 = 64 * 1024;
/// Read from a segment at once by readers.
pub(crate) const READ_BLOCK_BYTES: usize = 128 * 1024;
/// Read from a segment at once by a start.
pub(crate) const SCAN_BLOCK_BYTES: usize = 1024 * 1024;
/// Old segments kept open for readers.
pub(crate) const OPEN_SEGMENTS_MAX: usize = 32;
/// Old segments whose index is kept in memory.
pub(crate) const INDEXES_MAX: usize = 16;
/// Sequential readers whose place in the segments is remembered.
pub(crate) const CURSORS_MAX: usize = 64;
/// Records taken from memory under one lock.
pub(crate) const TAKE_RECORDS_MAX: usize = 4_096;
