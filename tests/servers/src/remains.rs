//! Nothing of ours remains. Statics are not dropped, and a killed process drops nothing at all: so
//! a shell outside of the process waits for its end, on a pipe that closes with it, and removes
//! whatever carries our label.

use std::{
    fs,
    hash::{BuildHasher, Hasher, RandomState},
    os::unix::process::CommandExt,
    process::{self, ChildStdin, Command, Stdio},
    sync::LazyLock,
};

/// Waits for its input to end, then removes the containers with the label `$1`; goes on until none
/// has come for some seconds, since the engine may be at work on one at the end.
const WATCHER: &str = r#"
cat >/dev/null
quiet=0
rounds=0
while [ "$quiet" -lt 5 ] && [ "$rounds" -lt 120 ]; do
    rounds=$((rounds + 1))
    containers=$(docker ps -aq --filter "label=$1" 2>/dev/null)
    if [ -z "$containers" ]; then
        quiet=$((quiet + 1))
    else
        quiet=0
        docker rm -f -v $containers >/dev/null 2>&1
    fi
    sleep 1
done
"#;

/// The names that `scripts/servers` gives the same labels.
const RUN: &str = "jupan-test.run";
const OWNER: &str = "jupan-test.owner";

struct Watch {
    run: String,
    /// Closed with the process, by whatever ends it; processes that we start do not inherit it.
    _open: ChildStdin,
}

static WATCH: LazyLock<Watch> = LazyLock::new(|| {
    let chance = RandomState::new().build_hasher().finish();
    let run = format!("process-{}-{chance:016x}", process::id());
    #[allow(clippy::zombie_processes, reason = "it ends after this process, which it watches")]
    let mut watcher = Command::new("sh")
        .args(["-c", WATCHER, "watcher", &format!("{RUN}={run}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Of its own, so that a terminal's Ctrl-C ends the tests and not the watcher.
        .process_group(0)
        .spawn()
        .expect("there is a shell");
    let open = watcher.stdin.take().expect("its input is a pipe");
    Watch { run, _open: open }
});

/// The label of all containers of this process, as `name=value`.
#[must_use]
pub fn run_label() -> String {
    format!("{RUN}={}", WATCH.run)
}

/// The labels that every container of this process carries. From now on they are removed after it.
pub(crate) fn labels() -> [(&'static str, String); 2] {
    [(RUN, WATCH.run.clone()), (OWNER, owner())]
}

/// This process, so that `scripts/servers` takes no other one for it: boot, process namespace,
/// process id and start.
fn owner() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let stat = read("/proc/self/stat");
    // The name in front may hold spaces; behind it the start is the 20th field.
    let start = stat.rsplit(") ").next().and_then(|fields| fields.split(' ').nth(19));
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let boot = read("/proc/sys/kernel/random/boot_id");
    let (namespace, start) = (namespace.display(), start.unwrap_or_default());
    format!("{}/{namespace}/{}/{start}", boot.trim(), process::id())
}
