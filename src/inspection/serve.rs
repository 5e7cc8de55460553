//! The shop's side of the socket.

use super::wire::{Address, Answer, Dispatch, HELLO, QUESTION_BYTES_MAX, Question, encode};
use jupan_log::{AppendError, Appended, Log, ReadLimit, append_in_order, embedded::EmbeddedLog};
use jupan_schemas::{Lane, Role, TopicId};
use jupan_store::embedded::EmbeddedStore;
use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    task::{AbortHandle, JoinSet},
    time::timeout,
};

/// Connections that are answered at once; more wait.
const CONNECTIONS_MAX: usize = 4;
/// How long an asker may take to ask, or to read what it asked for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(100);
/// How much of a topic one answer tells.
const RECORDS: ReadLimit = ReadLimit { records_max: 1_000, bytes_max: 1 << 20 };

/// The open socket; dropping it removes it.
pub(crate) struct Inspection {
    address: Address,
    server: AbortHandle,
}

/// What is told of.
struct Told {
    log: Arc<EmbeddedLog>,
    store: Arc<EmbeddedStore>,
    start: i64,
}

impl Inspection {
    /// Opens the socket in a data directory whose lock this process holds, in place of one that a
    /// killed shop has left. Must be called within a runtime.
    ///
    /// # Errors
    /// Why there is no socket. The shop is none the worse for it.
    pub(crate) fn open(
        data: &Path,
        log: Arc<EmbeddedLog>,
        store: Arc<EmbeddedStore>,
    ) -> io::Result<Self> {
        let address = Address::of(data)?;
        if fs::symlink_metadata(&address.path).is_ok_and(|meta| meta.file_type().is_socket()) {
            fs::remove_file(&address.path)?;
        }
        let listener = UnixListener::bind(&address.path)?;
        fs::set_permissions(&address.path, Permissions::from_mode(0o600))?;
        let start = log.now().0;
        let server = tokio::spawn(serve(listener, Arc::new(Told { log, store, start })));
        Ok(Self { address, server: server.abort_handle() })
    }
}

impl Drop for Inspection {
    fn drop(&mut self) {
        self.server.abort();
        if let Err(error) = fs::remove_file(&self.address.path) {
            tracing::warn!(%error, "the socket for inspection is left behind");
        }
    }
}

async fn serve(listener: UnixListener, told: Arc<Told>) {
    let own = rustix::process::geteuid().as_raw();
    let mut connections = JoinSet::new();
    loop {
        if connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
            continue;
        }
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match stream {
            // The mode of the socket says the same, but only since just after it was made.
            Ok((stream, _))
                if stream.peer_cred().is_ok_and(|peer| [0, own].contains(&peer.uid())) =>
            {
                connections.spawn(timeout(PATIENCE, answer(stream, told.clone())));
            }
            Ok(_) => tracing::warn!("another user asked for the rows"),
            Err(error) => {
                tracing::debug!(%error, "a connection for inspection was not taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn answer(mut stream: UnixStream, told: Arc<Told>) -> io::Result<()> {
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    stream.write_all(&HELLO).await?;
    let (hello, length) = head.split_at(8);
    let length = length.try_into().map_or(0, u32::from_le_bytes);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if *hello != HELLO || length > QUESTION_BYTES_MAX {
        return Ok(());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let question: Question = postcard::from_bytes(&body).map_err(io::Error::other)?;
    if let Question::Append(dispatches) = question {
        stream.write_all(&encode(&told.append(dispatches).await)?).await?;
        return stream.shutdown().await;
    }
    // Rows come from the disk, and are many: neither belongs on a worker.
    let bytes = tokio::task::spawn_blocking(move || encode(&told.answer(&question)));
    stream.write_all(&bytes.await.map_err(io::Error::other)??).await?;
    stream.shutdown().await
}

impl Told {
    fn answer(&self, question: &Question) -> Answer {
        match question {
            Question::Progress => self.progress(),
            Question::Portion(from) => match self.store.scan(from.as_ref()) {
                Ok(portion) => Answer::Portion(portion),
                Err(error) => Answer::Failed(error.to_string()),
            },
            Question::Records { topic, from } => self.records(*topic, *from),
            Question::Append(_) => Answer::Failed("appending takes its own way".to_owned()),
        }
    }

    fn records(&self, topic: u8, from: u64) -> Answer {
        let Some(topic) = TopicId::from_number(topic).filter(|topic| topic.is_single()) else {
            return Answer::Failed(format!("{topic} is no topic of one partition"));
        };
        let read = self
            .log
            .bounds(topic, 0)
            .and_then(|bounds| self.log.read(topic, 0, from.max(bounds.start), RECORDS));
        match read {
            Ok(batch) => Answer::Records {
                lanes: self.log.partitions(),
                records: batch.records.into_iter().map(Into::into).collect(),
                next: batch.next,
            },
            Err(error) => Answer::Failed(error.to_string()),
        }
    }

    async fn append(&self, dispatches: Vec<Dispatch>) -> Answer {
        let records: Option<Vec<_>> = dispatches.into_iter().map(Dispatch::record).collect();
        let Some(records) = records else {
            return Answer::Failed("there is no such topic".to_owned());
        };
        let appended = append_in_order(&*self.log, records).await.into_iter();
        let told = |result: Result<Appended, AppendError>| {
            result.map(|at| at.offset).map_err(|error| (error.is_not_appended(), error.to_string()))
        };
        Answer::Appended(appended.map(told).collect())
    }

    fn progress(&self) -> Answer {
        // The rows first: what they are as of is durable by then.
        let lanes = self.store.progress();
        let mut journals = Vec::new();
        for role in [Role::Users, Role::Products] {
            for index in 0..self.log.partitions() {
                match self.log.bounds(TopicId::journal(role), index) {
                    Ok(bounds) => journals.push((Lane { role, index }, bounds.end)),
                    Err(error) => return Answer::Failed(error.to_string()),
                }
            }
        }
        Answer::Progress { start: self.start, lanes, journals }
    }
}
