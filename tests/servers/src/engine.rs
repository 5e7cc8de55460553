//! The container engine, spoken to from a runtime of our own: so callers may have one around them,
//! or none.

use std::{
    process::{Command, Stdio},
    sync::{LazyLock, mpsc::sync_channel},
    time::Duration,
};
use testcontainers::{bollard::Docker, core::client::docker_client_instance};
use tokio::runtime::{Builder, Runtime};

/// Longest time for an image to be pulled and a container to be made.
const CREATION: Duration = Duration::from_secs(600);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("jupan-servers")
        .enable_all()
        .build()
        .expect("a thread can be started")
});

/// What comes of the future. It runs on our runtime, whatever the calling thread is.
pub(crate) fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let (send, receive) = sync_channel(1);
    RUNTIME.spawn(async move { drop(send.send(future.await)) });
    receive.recv().expect("the engine's client does not panic")
}

/// The same, within the time that a container may take to be made.
pub(crate) fn create<T: Send + 'static, E: ToString>(
    future: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, String> {
    wait(async {
        match tokio::time::timeout(CREATION, future).await {
            Ok(created) => created.map_err(|error| error.to_string()),
            Err(_) => Err(format!("nothing came of it in {} s", CREATION.as_secs())),
        }
    })
}

/// A client of the engine.
///
/// # Errors
///
/// If there is no engine, with what to do.
pub(crate) async fn client() -> Result<Docker, String> {
    let client = docker_client_instance().await.map_err(|error| missing(&error.to_string()))?;
    client.ping().await.map_err(|error| missing(&error.to_string()))?;
    Ok(client)
}

/// Whether engine and command line client are there.
pub(crate) fn check() -> Result<(), String> {
    wait(client())?;
    let version = Command::new("docker").arg("--version").stdout(Stdio::null()).status();
    match version {
        Ok(status) if status.success() => Ok(()),
        _ => Err(missing("there is no command docker")),
    }
}

fn missing(reason: &str) -> String {
    format!(
        "no container engine answers ({reason}). `scripts/servers install` installs and starts one; \
         `export $(scripts/servers up)` starts the servers that the tests share"
    )
}
