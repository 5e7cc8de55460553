//! No container outlives its process by more than seconds, however that ends.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Longest time for the watcher to remove what a process left.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that holds a registry of its own, and the label of that.
fn hold() -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hold"))
        .env_remove("JUPAN_TEST_REGISTRY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let is_label = |line: &String| line.starts_with("jupan-test.run=");
    let label = lines.by_ref().map_while(Result::ok).find(is_label).expect("it says its label");
    (child, label)
}

fn containers(label: &str) -> usize {
    let filter = format!("label={label}");
    let listed = Command::new("docker").args(["ps", "-aq", "--filter", &filter]).output();
    let listed = listed.expect("there is a command docker");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    listed.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count()
}

fn signal(name: &str, child: &Child) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

/// Ends a process.
type End = fn(&mut Child);

#[test]
fn nothing_remains_of_a_process_however_it_ends() {
    let ends: [(&str, End); 4] = [
        ("its end", |child| drop(child.stdin.take())),
        ("SIGINT", |child| signal("-INT", child)),
        ("SIGTERM", |child| signal("-TERM", child)),
        ("SIGKILL", |child| signal("-KILL", child)),
    ];
    for (name, end) in ends {
        let (mut child, label) = hold();
        assert_eq!(containers(&label), 1, "before {name}");
        end(&mut child);
        child.wait().expect("it ends");
        let began = Instant::now();
        while containers(&label) > 0 {
            assert!(began.elapsed() < PATIENCE, "the container is still there after {name}");
            thread::sleep(Duration::from_millis(100));
        }
        println!("{name}: gone after {:?}", began.elapsed());
    }
}
