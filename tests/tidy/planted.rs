//! Every check finds what is planted, and nothing else.

use super::*;

fn tree(files: &[(&str, &str)]) -> Tree {
    Tree::of(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())))
}

/// Checks that exactly these lines are found.
fn check_planted(check: Check, files: &[(&str, &str)], expected: &[&str]) {
    let tree = tree(files);
    let found = unexcepted(&tree, check(&tree));
    let found: Vec<_> =
        found.iter().map(|one| format!("{}:{} {}", one.path, one.line, one.rule)).collect();
    assert_eq!(found, expected);
}

#[test]
fn long_files_are_found() {
    let lines = |count: usize| "x;\n".repeat(count);
    let tested = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", lines(300), lines(300));
    let files = [
        ("a/src/fits.rs", &lines(600)[..]),
        ("a/src/long.rs", &lines(601)),
        ("a/src/tested.rs", &tested),
        ("a/src/tests.rs", &lines(800)),
        ("a/tests/long.rs", &lines(801)),
        ("a/src/readme.md", &lines(900)),
    ];
    let expected =
        ["a/src/long.rs:0 file_size", "a/src/tested.rs:0 file_size", "a/tests/long.rs:0 file_size"];
    check_planted(file_sizes, &files, &expected);
}

#[test]
fn long_functions_are_found() {
    let function = |lines: usize| {
        let body = "    let brace = '{'; // }\n".repeat(lines - 2);
        format!("pub fn of(a: [u8; 4]) -> u8 {{\n{body}}}\n")
    };
    let tested =
        format!("trait T {{\nfn of();\n}}\n#[cfg(test)]\nmod tests {{\n{}}}\n", function(90));
    let module = "#[cfg(test)]\nmod model;\n";
    let files = [
        ("a/src/fits.rs", &function(70)[..]),
        ("a/src/long.rs", &format!("// Two.\n{}", function(71))),
        ("a/src/tested.rs", &tested),
        ("a/src/lib.rs", module),
        ("a/src/model.rs", &function(90)),
        ("a/src/tests.rs", &function(90)),
    ];
    check_planted(function_sizes, &files, &["a/src/long.rs:2 function_size"]);
}

#[test]
fn long_lines_are_found() {
    let text = format!("{}\n{}\n", "주".repeat(110), "x".repeat(111));
    check_planted(line_lengths, &[("a.rs", &text), ("a.md", &text)], &["a.rs:2 line_length"]);
}

#[test]
fn banned_calls_are_found() {
    let all: String = BANS.iter().map(|ban| format!("{}\n", ban.pattern)).collect();
    let found = |path: &str| {
        let tree = tree(&[(path, &all)]);
        let lines = banned_calls(&tree).into_iter().map(|finding| finding.line);
        lines.collect::<Vec<_>>()
    };
    // One pattern a line, in the order of the table: the number of a line is that of its ban.
    let but = |left_out: &[usize]| -> Vec<usize> {
        (1..=BANS.len()).filter(|line| !left_out.contains(line)).collect()
    };
    assert_eq!(found("ledger/src/lib.rs"), but(&[]));
    assert_eq!(found("processors/src/lib.rs"), but(&[2]));
    assert_eq!(found("processors/log/src/clock.rs"), but(&[1, 2]));
    assert_eq!(found("src/serve.rs"), but(&[2, 12, 13]));
    assert_eq!(found("analytics/examples/fold.rs"), but(&[2, 12, 13]));
    assert_eq!(found("src/main.rs"), but(&[2, 10, 12, 13]));
    assert_eq!(found("processors/src/lane/tests.rs"), but(&[2, 11, 12, 13, 14]));
}

#[test]
fn what_is_only_text_is_not_banned() {
    let text = r##"
        // todo!() and x.unwrap()
        /* dbg!(1) */
        let s = "todo!() \" dbg!(1)"; let r = r#"x.unwrap() " "#; let c = ['"', '\'', '\\'];
        let lifetime: &'static str = my_todo!(1);
    "##;
    check_planted(banned_calls, &[("a.rs", text)], &[]);
}

#[test]
fn impure_manifests_are_found() {
    let manifest = |name: &str, dependencies: &str| {
        format!(
            "[package]\nname = \"{name}\"\n[dependencies]\n{dependencies}\n\
             [dev-dependencies]\nproptest = \"1\"\n"
        )
    };
    let pure = "hashbrown.workspace = true\nindexmap.workspace = true\njupan-schemas.workspace = true\n\
         thiserror.workspace = true";
    let files = [
        ("ledger/Cargo.toml", &manifest("jupan-ledger", &format!("{pure}\ntokio = \"1\""))[..]),
        ("other/Cargo.toml", &manifest("jupan-log", "tokio = \"1\"")),
        ("schemas/Cargo.toml", &manifest("jupan-schemas", "serde = \"1\"")),
    ];
    let expected = ["ledger/Cargo.toml:0 purity", "schemas/Cargo.toml:0 purity"];
    check_planted(pure_manifests, &files, &expected);
    check_planted(pure_manifests, &[("ledger/Cargo.toml", &manifest("jupan-ledger", pure))], &[]);
}

#[test]
fn dependencies_against_the_direction_are_found() {
    let manifest = |name: &str, section: &str, seen: &str| {
        format!("[package]\nname = \"{name}\"\n[{section}]\n{seen}.workspace = true\n")
    };
    let files = [
        ("Cargo.toml", &manifest("jupan", "dependencies", "jupan-ledger")[..]),
        ("analytics/Cargo.toml", &manifest("jupan-analytics", "dependencies", "jupan-store")),
        (
            "ingest-api/Cargo.toml",
            &manifest("jupan-ingest-api", "dev-dependencies", "jupan-ledger"),
        ),
        ("log/Cargo.toml", &manifest("jupan-log", "dependencies", "jupan-schemas")),
        ("new/Cargo.toml", &manifest("jupan-new", "dependencies", "serde")),
    ];
    let expected = [
        "analytics/Cargo.toml:0 direction",
        "ingest-api/Cargo.toml:0 direction",
        "new/Cargo.toml:0 direction",
    ];
    check_planted(dependency_directions, &files, &expected);
}

#[test]
fn folders_that_the_readme_leaves_out_are_found() {
    let store = ("ledger/store/Cargo.toml", "[package]\nname = \"jupan-store\"\n");
    let others = [(".ci/run", ""), ("docs/a.md", ""), store];
    let with = |readme| [&others[..], &[("README.md", readme)]].concat();
    let unnamed = "README.md:0 code_map";
    check_planted(readme_names, &others, &[unnamed; 4]);
    check_planted(readme_names, &with("my-docs/ ledger/store/ .ci/"), &[unnamed]);
    check_planted(readme_names, &with("docs/ ledger/\n  store/ .ci/"), &[]);
}

#[test]
fn paths_of_one_machine_are_found() {
    let [work, temporary, root, home] = MACHINE;
    let text = format!(
        "cd {work}\n\"{temporary}x\"\n{root}/.cargo\npath={home}/me\n\
         ledger{work}load.rs {work}space http://host{home} {temporary}",
    );
    let found = [1, 2, 3, 4, 5].map(|line| format!("run.sh:{line} absolute_path"));
    check_planted(absolute_paths, &[("run.sh", &text)], &found.each_ref().map(String::as_str));
    check_planted(absolute_paths, &[("a.md", &format!("a{work}load {work}ing src{root}s"))], &[]);
}

#[test]
fn crates_that_do_not_say_what_they_are_are_found() {
    let good = "//! # A crate\n//!\n//! **Where in the flow:** here.\n//!\n//! **Invariants**\n";
    let files = [
        ("a/src/lib.rs", good),
        ("b/src/lib.rs", "//! A crate\n//! **Where in the flow:** here.\n"),
        ("c/src/lib.rs", "mod a;\n//! # Where in the flow, Invariants\n"),
    ];
    let expected =
        [&["b/src/lib.rs:1 crate_head"; 2][..], &["c/src/lib.rs:1 crate_head"; 3]].concat();
    check_planted(crate_heads, &files, &expected);
}

#[test]
fn exceptions_hold_for_their_place_and_have_a_reason() {
    let allow = concat!("// tidy: ", "allow(sleep)");
    let sleep = "std::thread::sleep(pause);";
    let here = format!(
        "use std;\n{allow} the disk needs it\n{sleep}\n{sleep}\n{sleep} {allow} the disk needs it\n"
    );
    let whole = format!(
        "//! A test double.\n{allow} it stands in for a slow disk\nuse std;\n{sleep}\n{sleep}\n"
    );
    let idle = format!("use std;\n{allow} nothing sleeps here\n\n{allow} why\n{sleep}\n");
    let files =
        [("a/src/here.rs", &here[..]), ("a/src/whole.rs", &whole), ("a/src/idle.rs", &idle)];
    check_planted(banned_calls, &files, &["a/src/here.rs:4 sleep"]);
    let expected = ["a/src/idle.rs:2 exceptions", "a/src/idle.rs:4 exceptions"];
    check_planted(
        |tree| {
            let mut findings = idle_exceptions(tree);
            findings.retain(|finding| finding.rule == "exceptions");
            findings
        },
        &files,
        &expected,
    );
}
