//! What the papers are held against: the code, read as text where it keeps a table of its own.

use crate::library::{Library, is_name};
use jupan_schemas::Code;
use std::collections::{BTreeMap, BTreeSet};

/// Every code by its text, with the name of its variant; `UNKNOWN` included.
pub(crate) fn codes() -> BTreeMap<&'static str, (Code, String)> {
    let all = Code::ALL.iter().copied().chain([Code::Unknown]);
    all.map(|code| (code.as_str(), (code, format!("{code:?}")))).collect()
}

/// The part of a text from one mark to the next other.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start =
        text.find(from).unwrap_or_else(|| panic!("no {from:?}: mend tests/papers")) + from.len();
    let end = text[start..].find(to).unwrap_or_else(|| panic!("no {to:?}: mend tests/papers"));
    &text[start..start + end]
}

/// A file without its tests, comments and attributes.
fn production(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let is_code = |line: &&str| {
        let line = line.trim_start();
        !line.starts_with("//") && !line.starts_with("#[")
    };
    code.lines().filter(is_code).flat_map(|line| [line, "\n"]).collect()
}

/// Status and both titles of every code, from the catalogue in `problem.rs`.
pub(crate) fn catalogue(library: &Library) -> BTreeMap<&'static str, (u16, String, String)> {
    let source = library.text("ingest-api/src/problem.rs");
    let table = between(source, "fn catalogue", "\n}\n");
    let entry = |(text, (_, variant)): (&'static str, (Code, String))| {
        let arm = format!("Code::{variant} =>");
        let rest = between(table, &arm, ")");
        let strings: Vec<&str> =
            between(table, &arm, "\n        Code::").split('"').skip(1).step_by(2).collect();
        let status = rest.trim_start_matches([' ', '\n', '(']).split(',').next();
        let status = status.and_then(|status| status.trim().parse().ok()).expect("a status");
        (text, (status, strings[0].to_owned(), strings[1].to_owned()))
    };
    // The last arm has no other behind it.
    let unknown = codes().remove("UNKNOWN").expect("it is known");
    let known = codes().into_iter().filter(|(text, _)| *text != "UNKNOWN").map(entry);
    let arm = between(table, &format!("Code::{} =>", unknown.1), "\n    }");
    let strings: Vec<&str> = arm.split('"').skip(1).step_by(2).collect();
    let status = arm.trim().trim_start_matches('(').split(',').next().expect("a status");
    let last = (status.parse().expect("a status"), strings[0].to_owned(), strings[1].to_owned());
    known.chain([("UNKNOWN", last)]).collect()
}

/// Who says a code, in the words of the papers, and where that stands.
const ORIGINS: [(&str, &[&str]); 6] = [
    (
        "form",
        &[
            "ingest-api/src/dto.rs",
            "ingest-api/src/json.rs",
            "ingest-api/src/query.rs",
            "ingest-api/src/number.rs",
            "ingest-api/src/caller.rs",
            "ingest-api/src/idempotency.rs",
            "ingest-api/src/call.rs",
        ],
    ),
    (
        "API",
        &[
            "ingest-api/src/routes",
            "ingest-api/src/shop.rs",
            "ingest-api/src/router.rs",
            "ingest-api/src/docs.rs",
        ],
    ),
    ("envelope", &["ledger/src/idempotency.rs"]),
    ("intake", &["processors/src/intake.rs"]),
    ("user lane", &["ledger/src/users"]),
    ("product lane", &["ledger/src/products"]),
];

/// Whether code makes this code's refusal, and does not only compare with it.
fn makes(code: &str, variant: &str) -> bool {
    let name = format!("Code::{variant}");
    code.match_indices(&name).any(|(at, _)| {
        let before = code[..at].trim_end_matches("Some(").trim_end();
        let is_compared = before.ends_with("==") || before.ends_with("!=");
        !is_compared && !code[at + name.len()..].starts_with(is_name)
    })
}

/// Who says each code.
pub(crate) fn origins(library: &Library) -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let submit = production(library.text("ingest-api/src/submit.rs"));
    let append = between(&submit, "async fn append(", "\n    }\n").to_owned();
    let mut sources = vec![("API", submit.replace(&append, "")), ("log", append)];
    for (origin, places) in ORIGINS {
        let files = places.iter().flat_map(|place| library.below(place, ".rs"));
        sources.extend(files.map(|(_, text)| (origin, production(text))));
    }
    let of_code = |(text, (_, variant)): (&'static str, (Code, String))| {
        let saying = sources.iter().filter(|(_, code)| makes(code, &variant));
        (text, saying.map(|(origin, _)| *origin).collect())
    };
    codes().into_iter().map(of_code).collect()
}

/// What orders fail with: what the code that fails them is given, and what product lanes refuse.
pub(crate) fn failures(library: &Library) -> BTreeSet<&'static str> {
    let files = library.below("ledger/src/users", ".rs").map(|(_, text)| production(text));
    let users: String = files.filter(|text| text.contains("end::fail(")).collect();
    let refusals = production(library.text("ledger/src/products/reserve.rs"));
    let is_failure = |(_, (code, variant)): &(&str, (Code, String))| {
        let is_given = ["Outcome::of(Code::", "fail(Code::"]
            .iter()
            .any(|call| users.contains(&format!("{call}{variant})")));
        *code != Code::Ok && (is_given || makes(&refusals, variant))
    };
    codes().into_iter().filter(is_failure).map(|(text, _)| text).collect()
}

/// Every route by method and path, with the query parameters that it knows.
pub(crate) fn routes(library: &Library) -> BTreeMap<String, BTreeSet<String>> {
    let table = between(library.text("ingest-api/src/router.rs"), "fn table()", "\n}\n");
    let mut routes = BTreeMap::new();
    for line in table.lines().map(str::trim) {
        if line.starts_with(".call(\"") || line.starts_with(".page(\"") {
            let mut strings = line.split('"').skip(1).step_by(2).map(str::to_owned);
            let route = strings.next().expect("a route has a name");
            routes.insert(route, strings.collect());
        }
    }
    assert!(routes.len() > 20, "the router's table is read: mend tests/papers");
    routes
}

/// Whether a route only brings files of a page.
pub(crate) fn is_file_of_page(route: &str) -> bool {
    route.ends_with("/{file}") || (route.ends_with('/') && route != "GET /")
}

/// The public structs of a file, with their fields and types, in their order.
pub(crate) fn structs(library: &Library, path: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let code = production(library.text(path));
    let mut structs = BTreeMap::new();
    for part in code.split("pub struct ").skip(1) {
        let Some((name, rest)) = part.split_once(" {\n") else { continue };
        let body = rest.split("\n}").next().unwrap_or_default();
        let field = |line: &str| {
            let (name, kind) = line.trim().strip_prefix("pub ")?.split_once(": ")?;
            Some((name.to_owned(), kind.trim_end_matches(',').to_owned()))
        };
        structs.insert(name.to_owned(), body.lines().filter_map(field).collect());
    }
    structs
}

/// The variants of an enum.
pub(crate) fn variants(library: &Library, path: &str, name: &str) -> Vec<String> {
    let code = production(library.text(path));
    let body = between(&code, &format!("pub enum {name} {{"), "\n}");
    let variant = |line: &str| {
        let name: String = line.trim().chars().take_while(|c| is_name(*c)).collect();
        (!name.is_empty()).then_some(name)
    };
    body.lines().filter_map(variant).collect()
}

/// What can be wished, and what lanes tell lanes.
pub(crate) fn commands_and_messages(library: &Library) -> Vec<String> {
    let of = |path, name| variants(library, path, name);
    let mut names = of("schemas/src/commands.rs", "UserPayload");
    names.extend(of("schemas/src/commands.rs", "ProductPayload"));
    names.extend(of("schemas/src/messages.rs", "ToUsers"));
    names.extend(of("schemas/src/messages.rs", "ToProducts"));
    names
}

/// Every flag of the command line.
pub(crate) fn flags(library: &Library) -> BTreeSet<String> {
    let mut flags = BTreeSet::new();
    for (_, text) in library.below("src", ".rs") {
        for part in text.split("#[arg(").skip(1) {
            let Some((attribute, field)) = part.split_once(")]\n") else { continue };
            let name = field.trim_start().trim_start_matches("pub(crate) ");
            if attribute.contains("long") {
                let name: String = name.chars().take_while(|c| is_name(*c)).collect();
                flags.insert(format!("--{}", name.replace('_', "-")));
            }
        }
    }
    assert!(flags.contains("--data") && flags.contains("--trace-format"), "{flags:?}");
    flags
}

/// Every exit code.
pub(crate) fn exit_codes(library: &Library) -> BTreeSet<u32> {
    let main = library.text("src/main.rs");
    let code = |line: &str| {
        line.strip_prefix("pub(crate) const ")?
            .split_once(": u8 = ")?
            .1
            .strip_suffix(';')?
            .parse()
            .ok()
    };
    main.lines().filter_map(code).collect()
}

/// The numbers of the invariants that `verify` proves.
pub(crate) fn invariants(library: &Library) -> BTreeSet<u32> {
    let body = between(library.text("src/verify/findings.rs"), "fn number(", "\n    }\n");
    let numbers = body.split("Some(").skip(1).filter_map(|rest| rest.split(')').next());
    numbers.filter_map(|number| number.parse().ok()).collect()
}

/// Which crate of ours depends on which, by the names of their folders.
pub(crate) fn dependencies(library: &Library) -> BTreeSet<(String, String)> {
    let mut dependencies = BTreeSet::new();
    for (path, text) in library.below("", "Cargo.toml") {
        let manifest: toml::Table = text.parse().unwrap_or_else(|bad| panic!("{path}: {bad}"));
        let package = manifest.get("package").and_then(|package| package.get("name"));
        let Some(package) = package.and_then(toml::Value::as_str) else { continue };
        let table = manifest.get("dependencies").and_then(toml::Value::as_table);
        let ours = table.into_iter().flat_map(toml::Table::keys).filter_map(|name| short(name));
        dependencies.extend(ours.map(|name| (short(package).unwrap_or_default(), name)));
    }
    dependencies
}

/// `jupan-ingest-api` as `ingest_api`.
fn short(package: &str) -> Option<String> {
    let name = if package == "jupan" { package } else { package.strip_prefix("jupan-")? };
    Some(name.replace('-', "_"))
}

/// What a dead letter says about itself.
pub(crate) fn dead_letter_headers(library: &Library) -> Vec<&str> {
    let draft = library.text("processors/src/draft.rs");
    let made = between(draft, "fn push_dead", "];");
    made.split("header(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}
