//! Style as a test: what reviewers would otherwise have to say again and again. A check reports
//! everything it finds, with the place and with what to do instead, and has a test of its own that
//! plants what it must find.
//!
//! An exception is a comment on the line, on the line before, or (for the whole file) above its
//! first line of code: `tidy: allow(<rule>) <reason>`. It needs a reason and has to be needed.

#[path = "tidy/planted.rs"]
mod planted;
#[path = "tidy/source.rs"]
mod source;

use source::{File, Finding, REPOSITORY, Tree, functions, is_name, line_of, places};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

/// Lines of a file, of whatever kind they are.
const FILE_LINES_MAX: usize = 600;
/// Lines of a file that only holds tests.
const TEST_FILE_LINES_MAX: usize = 800;
/// Lines outside tests from which on a file is listed, without failing.
const PRODUCTION_LINES_AIM: usize = 400;
/// Lines of a function outside tests, signature and braces included.
const FUNCTION_LINES_MAX: usize = 70;
/// Characters of a line of Rust.
const LINE_CHARS_MAX: usize = 110;
/// Characters of the shortest reason that says something.
const REASON_CHARS_MIN: usize = 10;

// Exceptions.

/// The rule and the reason of an exception in this line.
fn exception(line: &str) -> Option<(&str, &str)> {
    let (before, rest) = line.split_once("tidy: allow(")?;
    let is_comment = before.trim_end().ends_with(['/', '#', '!']);
    let (rule, reason) = rest.split_once(')')?;
    is_comment.then_some((rule, reason.trim()))
}

/// The lines of a file's exceptions, with the lines they hold for.
fn exceptions(file: &File) -> Vec<(usize, &str, &str, RangeInclusive<usize>)> {
    let is_code = |line: &str| !line.trim().is_empty() && !line.trim().starts_with("#![");
    let first_code = if file.is_rust() { file.code.lines().position(is_code) } else { None };
    let head = first_code.unwrap_or(0);
    let lines = file.text.lines().enumerate();
    let found = lines.filter_map(|(at, line)| exception(line).map(|found| (at, found)));
    let reach = |(at, (rule, reason))| {
        let lines = if at < head { 0..=usize::MAX } else { at + 1..=at + 2 };
        (at + 1, rule, reason, lines)
    };
    found.map(reach).collect()
}

/// What is found and not excepted.
fn unexcepted(tree: &Tree, mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.retain(|finding| {
        let file = tree.find(&finding.path);
        !file.is_some_and(|file| {
            let mut exceptions = exceptions(file).into_iter();
            exceptions
                .any(|(_, rule, _, lines)| rule == finding.rule && lines.contains(&finding.line))
        })
    });
    findings
}

type Check = fn(&Tree) -> Vec<Finding>;

/// Every check that findings can be excepted from.
const CHECKS: [Check; 9] = [
    file_sizes,
    function_sizes,
    line_lengths,
    banned_calls,
    pure_manifests,
    dependency_directions,
    readme_names,
    absolute_paths,
    crate_heads,
];

/// Exceptions without a reason, or without anything to except.
fn idle_exceptions(tree: &Tree) -> Vec<Finding> {
    let all: Vec<Finding> = CHECKS.iter().flat_map(|check| check(tree)).collect();
    let mut findings = Vec::new();
    for file in &tree.0 {
        for (line, rule, reason, lines) in exceptions(file) {
            let is_used = all.iter().any(|finding| {
                finding.path == file.path && finding.rule == rule && lines.contains(&finding.line)
            });
            if reason.chars().count() < REASON_CHARS_MIN {
                findings.push(file.finding(line, "exceptions", "say why this is an exception"));
            } else if !is_used && !file.path.ends_with("tidy.rs") {
                findings.push(file.finding(line, "exceptions", "nothing to except: remove it"));
            }
        }
    }
    findings
}

// The checks.

fn file_sizes(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        let lines = file.code.lines().count();
        let lines_max = if file.is_whole_test() { TEST_FILE_LINES_MAX } else { FILE_LINES_MAX };
        let production = file.production().count();
        if lines > lines_max {
            let advice = format!(
                "{lines} lines, at most {lines_max}: split it by subject, tests go beside it"
            );
            findings.push(file.finding(0, "file_size", advice));
        } else if production > PRODUCTION_LINES_AIM {
            println!(
                "{}: {production} lines outside tests, aim for {PRODUCTION_LINES_AIM}",
                file.path
            );
        }
    }
    findings
}

fn function_sizes(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        for (name, first, last) in functions(&file.code) {
            let lines = last - first + 1;
            if lines > FUNCTION_LINES_MAX && !file.is_test[first - 1] {
                let advice = format!(
                    "{name} has {lines} lines, at most {FUNCTION_LINES_MAX}: give its parts names"
                );
                findings.push(file.finding(first, "function_size", advice));
            }
        }
    }
    findings
}

fn line_lengths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        for (at, line) in file.text.lines().enumerate() {
            let chars = line.chars().count();
            if chars > LINE_CHARS_MAX {
                let advice =
                    format!("{chars} characters, at most {LINE_CHARS_MAX}: break the line");
                findings.push(file.finding(at + 1, "line_length", advice));
            }
        }
    }
    findings
}

/// What is not called, and what is done instead.
struct Ban {
    rule: &'static str,
    pattern: &'static str,
    instead: &'static str,
    /// Whether it is banned in this file, and there in tests, too.
    scope: fn(&str) -> Scope,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Everywhere,
    OutsideTests,
    Nowhere,
}

fn everywhere(_: &str) -> Scope {
    Scope::Everywhere
}

fn outside_tests(_: &str) -> Scope {
    Scope::OutsideTests
}

fn outside_the_clock(path: &str) -> Scope {
    if path == "processors/log/src/clock.rs" { Scope::Nowhere } else { Scope::Everywhere }
}

fn in_pure_crates(path: &str) -> Scope {
    let is_pure = path.starts_with("ledger/src/") || path.starts_with("schemas/src/");
    if is_pure { Scope::Everywhere } else { Scope::Nowhere }
}

fn outside_main(path: &str) -> Scope {
    if path == "src/main.rs" { Scope::Nowhere } else { Scope::Everywhere }
}

/// The binary, examples and samples talk to a terminal, build scripts to cargo, tests to their reader.
fn in_libraries(path: &str) -> Scope {
    let is_example = path.split('/').any(|part| part == "examples" || part == "samples");
    let may_print = path.starts_with("src/") || path.ends_with("build.rs") || is_example;
    if may_print { Scope::Nowhere } else { Scope::OutsideTests }
}

const fn ban(
    rule: &'static str,
    scope: fn(&str) -> Scope,
    pattern: &'static str,
    instead: &'static str,
) -> Ban {
    Ban { rule, pattern, instead, scope }
}

const BANS: &[Ban] = &[
    ban("system_time", outside_the_clock, "SystemTime::now", "take the time from the log's Clock"),
    ban(
        "instant",
        in_pure_crates,
        "Instant::now",
        "the core knows no clock: take the record's append time",
    ),
    ban(
        "unbounded",
        everywhere,
        "unbounded_channel",
        "every queue is bounded: channel(<limit>) with a name in limits.rs",
    ),
    ban(
        "unbounded",
        everywhere,
        "std::sync::mpsc::channel(",
        "every queue is bounded: sync_channel(<limit>)",
    ),
    ban(
        "unbounded",
        everywhere,
        "mpsc::channel()",
        "every queue is bounded: sync_channel(<limit>)",
    ),
    ban("unfinished", everywhere, "todo!(", "finish it, or leave it out"),
    ban("unfinished", everywhere, "unimplemented!(", "finish it, or leave it out"),
    ban("dbg", everywhere, "dbg!(", "remove it, or trace it with tracing::debug!"),
    ban("ignored_test", everywhere, "#[ignore", "a test runs, or it is not there"),
    ban(
        "exit",
        outside_main,
        "process::exit",
        "return the exit code to main, so that a drain can finish",
    ),
    ban("sleep", outside_tests, "thread::sleep", "wait for what you wait for, with a deadline"),
    ban("print", in_libraries, "println!(", "use tracing"),
    ban("print", in_libraries, "eprintln!(", "use tracing"),
    ban("unwrap", outside_tests, ".unwrap()", "return the error, or say why it cannot happen"),
];

fn banned_calls(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        for ban in BANS {
            let scope = (ban.scope)(&file.path);
            for at in places(&file.code, ban.pattern) {
                let line = line_of(&file.code, at);
                let is_banned = match scope {
                    Scope::Everywhere => true,
                    Scope::OutsideTests => !file.is_test[line - 1],
                    Scope::Nowhere => false,
                };
                if is_banned {
                    let advice = format!("{} is banned: {}", ban.pattern, ban.instead);
                    findings.push(file.finding(line, ban.rule, advice));
                }
            }
        }
    }
    findings
}

/// A crate, as its manifest says.
struct Manifest<'a> {
    file: &'a File,
    name: String,
    /// With the section that each stands in.
    dependencies: BTreeMap<String, &'static str>,
}

impl<'a> Manifest<'a> {
    fn read(file: &'a File) -> Option<Self> {
        let File { text, path, .. } = file;
        let manifest: toml::Table = text.parse().unwrap_or_else(|bad| panic!("{path}: {bad}"));
        let name = manifest.get("package")?.get("name")?.as_str()?.to_owned();
        let mut dependencies = BTreeMap::new();
        for section in ["dev-dependencies", "build-dependencies", "dependencies"] {
            let table = manifest.get(section).and_then(toml::Value::as_table);
            let names = table.into_iter().flat_map(toml::Table::keys);
            dependencies.extend(names.map(|name| (name.clone(), section)));
        }
        Some(Self { file, name, dependencies })
    }
}

fn manifests(tree: &Tree) -> impl Iterator<Item = Manifest<'_>> {
    let is_manifest = |file: &&File| file.path.rsplit('/').next() == Some("Cargo.toml");
    tree.0.iter().filter(is_manifest).filter_map(Manifest::read)
}

/// Everything that a pure crate depends on: nothing here does I/O, has a clock or a thread.
const PURE: [(&str, &[&str]); 2] = [
    ("jupan-ledger", &["hashbrown", "indexmap", "jupan-schemas", "thiserror"]),
    ("jupan-schemas", &["apache-avro", "blake3", "serde", "thiserror", "uuid"]),
];

fn pure_manifests(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Manifest { file, name, dependencies } in manifests(tree) {
        let Some((_, allowed)) = PURE.iter().find(|(pure, _)| *pure == name) else { continue };
        let found = dependencies.iter().filter(|(_, section)| **section != "dev-dependencies");
        let found: Vec<&str> = found.map(|(dependency, _)| dependency.as_str()).collect();
        if found != *allowed {
            let advice = format!("{name} is pure and depends on {allowed:?}, here on {found:?}");
            findings.push(file.finding(0, "purity", advice));
        }
    }
    findings
}

/// Which crates of ours a crate may see. Only the binary sees everything.
const SEES: [(&str, &[&str]); 9] = [
    ("jupan-schemas", &[]),
    ("jupan-ledger", &["jupan-schemas"]),
    ("jupan-log", &["jupan-schemas"]),
    ("jupan-store", &["jupan-schemas"]),
    ("jupan-processors", &["jupan-ledger", "jupan-log", "jupan-schemas", "jupan-store"]),
    ("jupan-analytics", &["jupan-log", "jupan-schemas"]),
    ("jupan-ingest-api", &["jupan-analytics", "jupan-log", "jupan-schemas", "jupan-store"]),
    ("jupan-servers", &[]),
    (
        "jupan-sim",
        &[
            "jupan-analytics",
            "jupan-ledger",
            "jupan-log",
            "jupan-processors",
            "jupan-schemas",
            "jupan-store",
        ],
    ),
];

fn dependency_directions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Manifest { file, name, dependencies } in manifests(tree) {
        if name == "jupan" {
            continue;
        }
        let Some((_, seen)) = SEES.iter().find(|(known, _)| *known == name) else {
            let advice = format!("{name} is new: say in tests/tidy.rs which crates it may see");
            findings.push(file.finding(0, "direction", advice));
            continue;
        };
        for (dependency, section) in dependencies {
            // Real servers are for everybody's tests.
            let is_for_tests = dependency == "jupan-servers" && section == "dev-dependencies";
            let is_seen = is_for_tests || seen.contains(&dependency.as_str());
            if dependency.starts_with("jupan") && !is_seen {
                let advice =
                    format!("{name} must not see {dependency} ({section}); it sees {seen:?}");
                findings.push(file.finding(0, "direction", advice));
            }
        }
    }
    findings
}

fn readme_names(tree: &Tree) -> Vec<Finding> {
    let missing = File {
        path: "README.md".to_owned(),
        text: String::new(),
        code: String::new(),
        is_test: Vec::new(),
    };
    let readme = tree.find("README.md").unwrap_or(&missing);
    let top =
        tree.0.iter().filter_map(|file| file.path.split_once('/').map(|(top, _)| top.to_owned()));
    let crates = manifests(tree).filter_map(|Manifest { file, .. }| {
        let folder = file.path.strip_suffix("/Cargo.toml")?;
        folder.rsplit('/').next().map(str::to_owned)
    });
    let names: BTreeSet<String> = top.chain(crates).collect();
    let unnamed = names.into_iter().filter(|name| {
        let folder = format!("{name}/");
        let is_free =
            |at: usize| !readme.text[..at].ends_with(|c: char| is_name(c) || c == '-' || c == '.');
        !readme.text.match_indices(&folder).any(|(at, _)| is_free(at))
    });
    let advice = |name| format!("the code map names every folder and crate, but not {name}/");
    unnamed.map(|name| readme.finding(0, "code_map", advice(name))).collect()
}

/// Folders of one machine, spelled so that this file does not name them itself.
const MACHINE: [&str; 4] =
    [concat!("/", "work"), concat!("/", "tmp/"), concat!("/", "root"), concat!("/", "home")];

fn absolute_paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    // A path inside of an image is the same on every machine.
    let on_machines = |file: &&File| !file.path.starts_with("tests/servers/images/");
    for file in tree.0.iter().filter(on_machines) {
        for (at, line) in file.text.lines().enumerate() {
            let is_path = |(start, found): (usize, &str)| {
                let before = line[..start].chars().next_back();
                let after = line[start + found.len()..].chars().next();
                let starts = !before.is_some_and(|c| is_name(c) || ".-/~}>)".contains(c));
                starts && (found.ends_with('/') || !after.is_some_and(|c| is_name(c) || c == '-'))
            };
            for folder in MACHINE {
                if line.match_indices(folder).any(is_path) {
                    let advice = format!(
                        "{folder} is a folder of one machine: use a relative or temporary one"
                    );
                    findings.push(file.finding(at + 1, "absolute_path", advice));
                }
            }
        }
    }
    findings
}

fn crate_heads(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust().filter(|file| file.path.ends_with("src/lib.rs")) {
        let head: Vec<&str> =
            file.text.lines().map_while(|line| line.strip_prefix("//!")).collect();
        if !head.first().is_some_and(|title| title.starts_with(" # ")) {
            findings.push(file.finding(
                1,
                "crate_head",
                "open with `//! # ` and what the crate is",
            ));
        }
        for words in ["Where in the flow", "Invariants"] {
            if !head.iter().any(|line| line.contains(words)) {
                let advice = format!("the crate's head has a part \"{words}\"");
                findings.push(file.finding(1, "crate_head", advice));
            }
        }
    }
    findings
}

// The repository is tidy.

fn assert_tidy(check: Check) {
    let findings = unexcepted(&REPOSITORY, check(&REPOSITORY));
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} findings:\n{}", lines.len(), lines.join("\n"));
}

macro_rules! tidy {
    ($($check:ident => $test:ident),* $(,)?) => {
        $(#[test] fn $test() { assert_tidy($check); })*
    };
}
tidy! {
    file_sizes => files_are_short,
    function_sizes => functions_fit_a_screen,
    line_lengths => lines_are_short,
    banned_calls => nothing_banned_is_called,
    pure_manifests => pure_crates_depend_on_pure_crates,
    dependency_directions => dependencies_point_one_way,
    readme_names => the_readme_names_every_folder_and_crate,
    absolute_paths => no_path_of_one_machine_is_named,
    crate_heads => every_crate_says_what_it_is,
    idle_exceptions => every_exception_is_needed,
}
