//! What to do about a data directory or an address that cannot be used: the second line of the message.

use jupan_analytics::FileError;
use jupan_ingest_api::ListenError;
use jupan_log::embedded::OpenError as LogError;
use jupan_store::embedded::OpenError as StoreError;
use std::{error::Error, io};

const ELSEWHERE: &str = "give this one a directory of its own: --data DIR";

/// What helps, where that is known.
pub(crate) fn of(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(remedy)
}

fn remedy(cause: &(dyn Error + 'static)) -> Option<String> {
    if cause.is::<ListenError>() {
        return Some(
            "Put a gateway before it that knows its callers; or say --trusted-network, where whoever \
             reaches the address may act for any user."
                .to_owned(),
        );
    }
    if let Some(log) = cause.downcast_ref() {
        return of_log(log);
    }
    if let Some(store) = cause.downcast_ref() {
        return match store {
            StoreError::Io { source, .. } => of_io(source),
            StoreError::Locked { .. } => Some(format!("Stop the other process, or {ELSEWHERE}.")),
            StoreError::Tables { .. } => {
                Some("The store may be moved away: it is made again from the log.".to_owned())
            }
        };
    }
    cause.downcast_ref().and_then(|FileError { source, .. }| of_io(source))
}

fn of_log(error: &LogError) -> Option<String> {
    Some(match error {
        LogError::Io { source, .. } => return of_io(source),
        LogError::Locked { .. } => format!("Stop the other process, or {ELSEWHERE}."),
        LogError::Format { .. } => {
            format!("Nothing was changed. Run the version that made it, or {ELSEWHERE}.")
        }
        LogError::Lanes { .. } => format!("Nothing was changed. Leave --lanes out, or {ELSEWHERE}."),
        LogError::Facts { .. } => "Nothing was changed. Bring the file back from a copy; it is one \
            line: {\"format\":1,\"lanes\":N,\"createdAt\":\"0\"}, with as many lanes as the directory \
            was made with."
            .to_owned(),
        LogError::Corrupt { .. } => "Nothing of the log was changed. Bring the directory back from a \
            copy; `jupan verify --data DIR` tells how much of it can be read."
            .to_owned(),
    })
}

fn of_io(source: &io::Error) -> Option<String> {
    use io::ErrorKind as Kind;
    Some(match source.kind() {
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
            format!("The directory and all in it must be writable for this user; or {ELSEWHERE}.")
        }
        Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => {
            "Make room and start again: what was acknowledged is there.".to_owned()
        }
        Kind::NotADirectory | Kind::IsADirectory | Kind::AlreadyExists => {
            format!("Something else is in its place: move it away, or {ELSEWHERE}.")
        }
        // An input/output error, which std has no kind for.
        _ if source.raw_os_error() == Some(5) => {
            "The disk refused it: look at the disk and the system's messages, then start again."
                .to_owned()
        }
        _ => return None,
    })
}
