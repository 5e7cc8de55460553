//! Questions and answers, their bytes, and the asker's side.

use jupan_log::{LogRecord, NewRecord};
use jupan_schemas::{Lane, Micros, TopicId};
use jupan_store::{Bookmark, LaneProgress, Portion, embedded::FORMAT};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    time::Duration,
};

/// Where the socket lies in the data directory.
pub(super) const SOCKET: &str = "verify.sock";
/// How both sides begin. The protocol's number changes with any question or answer.
pub(super) const HELLO: [u8; 8] = [b'J', b'U', b'P', b'A', b'N', 2, FORMAT, 0];
/// Most bytes of keys and values that one question may bring along; a single record may be larger.
pub(crate) const DISPATCH_BYTES_MAX: usize = 256 << 10;
/// Longest question: the largest record, and what is said about it.
pub(super) const QUESTION_BYTES_MAX: usize = DISPATCH_BYTES_MAX + jupan_log::RECORD_BYTES_MAX;
/// Longest answer: a portion of rows, each of which may have hundreds of lines.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The system takes no longer path for a socket.
const PATH_BYTES_MAX: usize = 100;

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Question {
    /// How far every lane is.
    Progress,
    /// The next portion of the store's rows.
    Portion(Option<Bookmark>),
    /// Records of a topic with one partition, by its number, from an offset or the first kept one on.
    Records {
        /// Which topic.
        topic: u8,
        /// From where on.
        from: u64,
    },
    /// Append these, in this order.
    Append(Vec<Dispatch>),
}

/// A record for the log, and its place there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dispatch {
    topic: u8,
    partition: u16,
    key: Vec<u8>,
    value: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
}

impl Dispatch {
    pub(crate) fn new(topic: TopicId, partition: u16, record: &NewRecord) -> Self {
        let headers = record.headers.iter().map(|(name, value)| (name.clone(), value.to_vec()));
        Self {
            topic: topic as u8,
            partition,
            key: record.key.to_vec(),
            value: record.value.to_vec(),
            headers: headers.collect(),
        }
    }

    /// Where it goes, and what; `None` where there is no such topic.
    pub(super) fn record(self) -> Option<(TopicId, u16, NewRecord)> {
        let headers = self.headers.into_iter().map(|(name, value)| (name, value.into()));
        let record =
            NewRecord { headers: headers.collect(), ..NewRecord::new(self.key, self.value) };
        Some((TopicId::from_number(self.topic)?, self.partition, record))
    }
}

/// A record of the log, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Excerpt {
    offset: u64,
    at: i64,
    key: Vec<u8>,
    value: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
}

impl From<LogRecord> for Excerpt {
    fn from(record: LogRecord) -> Self {
        let headers = record.headers.into_iter().map(|(name, value)| (name, value.to_vec()));
        Self {
            offset: record.offset,
            at: record.at.0,
            key: record.key.to_vec(),
            value: record.value.to_vec(),
            headers: headers.collect(),
        }
    }
}

impl From<Excerpt> for LogRecord {
    fn from(told: Excerpt) -> Self {
        let headers = told.headers.into_iter().map(|(name, value)| (name, value.into()));
        Self {
            offset: told.offset,
            at: Micros(told.at),
            key: told.key.into(),
            value: told.value.into(),
            headers: headers.collect(),
        }
    }
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// How far every lane is.
    Progress {
        /// Another number is another start of the shop.
        start: i64,
        /// Of the store.
        lanes: Vec<LaneProgress>,
        /// Up to which offset each journal is durable.
        journals: Vec<(Lane, u64)>,
    },
    /// Rows.
    Portion(Portion),
    /// Records, none at the end.
    Records {
        /// Lanes of each role.
        lanes: u16,
        /// In order.
        records: Vec<Excerpt>,
        /// Where to read on.
        next: u64,
    },
    /// For each record its offset, or why it is not there, and whether that is certain.
    Appended(Vec<Result<u64, (bool, String)>>),
    /// The shop cannot tell.
    Failed(String),
}

/// The socket's address: its path, or a short one to the same place.
pub(super) struct Address {
    pub(super) path: PathBuf,
    /// What the short path goes through.
    _dir: Option<File>,
}

impl Address {
    pub(super) fn of(data: &Path) -> io::Result<Self> {
        let path = data.join(SOCKET);
        if path.as_os_str().len() <= PATH_BYTES_MAX {
            return Ok(Self { path, _dir: None });
        }
        let dir = File::open(data)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd()));
        Ok(Self { path, _dir: Some(dir) })
    }
}

/// The bytes of a question or an answer, with their length before them.
pub(super) fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let body = postcard::to_stdvec(value).map_err(io::Error::other)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(body);
    Ok(bytes)
}

/// Asks a running shop; blocks.
///
/// # Errors
/// [`io::Error`] where nobody answers, or somebody who speaks otherwise.
pub(crate) fn ask(data: &Path, question: &Question) -> io::Result<Answer> {
    let address = Address::of(data)?;
    let mut stream = UnixStream::connect(&address.path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&[&HELLO[..], &encode(question)?].concat())?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let (hello, length) = head.split_at(8);
    if *hello != HELLO {
        return Err(io::Error::other("the shop is of another version: use its own binary"));
    }
    let length = length.try_into().map_or(0, u32::from_le_bytes);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > ANSWER_BYTES_MAX {
        return Err(io::Error::other("an answer that is too long"));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    postcard::from_bytes(&body).map_err(io::Error::other)
}
