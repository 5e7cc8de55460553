//! The papers against the code: what `docs/` and README.ko.md tell is what the code has. A check
//! reports everything it finds, with the place, and has a test of its own that plants the drift
//! which it must find. The examples of the API's paper are run against the real binary.

#[path = "papers/contract.rs"]
mod contract;
#[path = "papers/library.rs"]
mod library;
#[path = "papers/mermaid.rs"]
mod mermaid;
#[path = "papers/planted.rs"]
mod planted;
#[path = "papers/running.rs"]
mod running;
#[path = "papers/shell.rs"]
mod shell;
#[path = "papers/truth.rs"]
mod truth;

use library::{
    Finding, Library, REPOSITORY, Table, anchors, blocks, has_word, is_name, is_paper, links,
    spans, spans_of, split, tables, tables_of,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

const API: &str = "docs/api.md";
const ERD: &str = "docs/erd.md";
const ERRORS: &str = "docs/errors.md";
const LAYERS: &str = "docs/layers.md";
const SEQUENCES: &str = "docs/sequences.md";
const STATES: &str = "docs/order-states.md";
const ENGLISH: &str = "README.md";
const KOREAN: &str = "README.ko.md";
/// Lines of a paper.
const PAPER_LINES: RangeInclusive<usize> = 80..=250;

type Check = fn(&Library) -> Vec<Finding>;

/// Every code has its row, with status, titles, origin and what becomes of the key.
fn codes(library: &Library) -> Vec<Finding> {
    let mut findings = Vec::new();
    let columns = ["code", "status", "title", "제목", "from", "key", "what to do"];
    let (catalogue, origins) = (truth::catalogue(library), truth::origins(library));
    let row = |code: &str| {
        let (status, english, korean) = &catalogue[code];
        vec![status.to_string(), english.clone(), korean.clone()]
    };
    let table = code_rows(library, ERRORS, &columns, 0, &mut findings);
    for (code, (line, cells)) in &table {
        let mut find = |what: String| findings.push(Finding::new(ERRORS, *line, what));
        if cells[1..4] != row(code) {
            find(format!("{code} is {:?} in problem.rs", row(code)));
        }
        let told: BTreeSet<&str> = cells[4].split(", ").filter(|word| *word != "-").collect();
        // That all went well is said everywhere, and is no refusal.
        if *code != "OK" && told != origins[code] {
            find(format!("{code} comes from {:?}", origins[code]));
        }
        if let Some(wrong) = key_fault(code, &origins[code], cells[5]) {
            find(format!("the key of {code}: {wrong}"));
        }
        if cells[6].is_empty() {
            find(format!("{code}: say what its caller does"));
        }
    }
    let table = code_rows(library, KOREAN, &["상태", "코드", "제목"], 1, &mut findings);
    for (code, (line, cells)) in table {
        let expected = [&row(code)[0], &format!("`{code}`"), &row(code)[2]];
        if cells != expected {
            findings.push(Finding::new(KOREAN, line, format!("{code} is {expected:?}")));
        }
    }
    findings
}

/// The rows of the tables with these columns, by the code in one of them: each code once.
fn code_rows<'a>(
    library: &'a Library,
    path: &str,
    columns: &[&str],
    of_code: usize,
    findings: &mut Vec<Finding>,
) -> BTreeMap<&'static str, library::TableRow<'a>> {
    let codes = truth::codes();
    let mut rows = BTreeMap::new();
    for table in tables_of(library.text(path), columns) {
        for (line, cells) in table.rows {
            let name = cells[of_code].trim_matches('`');
            match codes.keys().find(|code| **code == name) {
                Some(code) if !rows.contains_key(code) => drop(rows.insert(*code, (line, cells))),
                Some(code) => {
                    findings.push(Finding::new(path, line, format!("{code} is here twice")));
                }
                None => findings.push(Finding::new(path, line, format!("{name:?} is no code"))),
            }
        }
    }
    let missing = codes.keys().filter(|code| !rows.contains_key(*code));
    findings.extend(missing.map(|code| Finding::new(path, 0, format!("{code} is missing"))));
    rows
}

/// What is wrong with what is said about a code's key.
fn key_fault(code: &str, origins: &BTreeSet<&str>, told: &str) -> Option<String> {
    let is_stored = !truth::codes()[code].0.is_for_this_asker_only();
    let by_lane = is_stored && origins.iter().any(|origin| origin.ends_with(" lane"));
    let otherwise = code != "OK" && origins.iter().any(|origin| !origin.ends_with(" lane"));
    let expected: &[&str] = match (by_lane, otherwise) {
        (true, true) => &["free; used by a lane"],
        (true, false) => &["used"],
        (false, _) => &["free", "unknown"],
    };
    (!expected.contains(&told)).then(|| format!("{expected:?} is expected, not {told:?}"))
}

const METHODS: [&str; 5] = ["GET", "POST", "PATCH", "PUT", "DELETE"];

/// The route that a span names, without its query.
fn route_of(span: &str) -> Option<String> {
    let (method, path) = span.split_once(' ')?;
    let path = path.split(['?', ' ']).next()?;
    (METHODS.contains(&method) && path.starts_with('/')).then(|| format!("{method} {path}"))
}

/// The routes that a text names.
fn named_routes(text: &str) -> BTreeMap<String, usize> {
    let named = spans(text).into_iter();
    named.filter_map(|(line, span)| Some((route_of(span)?, line))).collect()
}

/// Every route is in the API's paper and in both front doors, and no other one is anywhere.
fn routes(library: &Library) -> Vec<Finding> {
    let (mut findings, routes) = (Vec::new(), truth::routes(library));
    for (path, text) in library.papers() {
        for (route, line) in named_routes(text) {
            if !routes.contains_key(&route) {
                findings.push(Finding::new(path, line, format!("{route} is no route")));
            }
        }
    }
    for path in [API, ENGLISH, KOREAN] {
        let named = named_routes(library.text(path));
        let needed = routes.keys().filter(|route| path == API || !truth::is_file_of_page(route));
        for route in needed.filter(|route| !named.contains_key(*route)) {
            findings.push(Finding::new(path, 0, format!("{route} is missing")));
        }
    }
    for (route, (line, cells)) in api_rows(library.text(API)) {
        let spans = spans_of(cells[1]).into_iter();
        let told: BTreeSet<String> =
            spans.filter_map(|span| span.strip_prefix('?').map(str::to_owned)).collect();
        if routes.get(&route).is_some_and(|known| *known != told) {
            let what = format!("{route} takes the parameters {:?}", routes[&route]);
            findings.push(Finding::new(API, line, what));
        }
    }
    findings
}

/// The rows of the API's paper, by route.
fn api_rows(text: &str) -> BTreeMap<String, library::TableRow<'_>> {
    let tables = tables_of(text, &["call", "takes", "answers", "refuses"]);
    let rows = tables.into_iter().flat_map(|table: Table<'_>| table.rows);
    let named = rows.filter_map(|row| Some((route_of(row.1[0].trim_matches('`'))?, row)));
    named.collect()
}

/// Every status, every reason to fail and every status's way are in the paper on states.
fn states(library: &Library) -> Vec<Finding> {
    let (text, mut findings) = (library.text(STATES), Vec::new());
    let mut find = |line, what: String| findings.push(Finding::new(STATES, line, what));
    let statuses: BTreeSet<String> =
        truth::variants(library, "schemas/src/changes.rs", "OrderStatus")
            .into_iter()
            .map(|status| status.to_uppercase())
            .filter(|status| status != "UNKNOWN")
            .collect();
    let drawn = blocks(text, "mermaid").into_iter().next().map_or(Vec::new(), |block| block.lines);
    for status in &statuses {
        let is_in =
            |table: &Table<'_>| table.rows.iter().any(|(_, cells)| has_word(cells[0], status));
        if !tables_of(text, &["status", "means"]).iter().any(is_in) {
            find(0, format!("the status {status} is not explained"));
        }
        if !drawn.iter().any(|line| has_word(line, status)) {
            find(0, format!("the status {status} is not drawn"));
        }
    }
    let is_known =
        |id: &str| id == "[*]" || id == "awaiting" || id == "payable" || statuses.contains(id);
    for (from, to, _) in drawn.iter().filter_map(|line| mermaid::transition(line)) {
        if !is_known(from) || !is_known(to) {
            find(0, format!("{from} --> {to}: one of them is no status"));
        }
    }
    let failures = truth::failures(library);
    let mut told = BTreeSet::new();
    for table in tables_of(text, &["reason", "decided by"]) {
        told.extend(table.rows.iter().flat_map(|(_, cells)| spans_of(cells[0])));
    }
    if told != failures {
        find(0, format!("orders fail for {failures:?}, not for {told:?}"));
    }
    let mut reached = BTreeSet::new();
    for table in tables_of(text, &["from", "input", "to"]) {
        for (line, cells) in table.rows.iter().filter(|(_, cells)| cells[2].starts_with("FAILED")) {
            for reason in spans_of(cells[2]) {
                reached.insert(reason);
                if !failures.contains(reason) {
                    find(*line, format!("no order fails for {reason}"));
                }
            }
        }
    }
    for reason in failures.difference(&reached) {
        find(0, format!("no transition leads to FAILED {reason}"));
    }
    findings
}

/// Every command and every message is in the sequences, what orders see also in their states.
fn messages(library: &Library) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in truth::commands_and_messages(library) {
        let is_of_orders = name.ends_with("Order") || name.starts_with("Re") && name != "Restock";
        let is_of_orders = is_of_orders || matches!(name.as_str(), "Settle");
        let is_of_states =
            is_of_orders && !name.starts_with("Register") && name != "RemoveFromCart";
        for (path, is_needed) in [(SEQUENCES, true), (STATES, is_of_states)] {
            if is_needed && !has_word(library.text(path), &name) {
                findings.push(Finding::new(path, 0, format!("{name} is missing")));
            }
        }
    }
    let changes = truth::variants(library, "schemas/src/changes.rs", "Change");
    let of_orders = ["Order", "Lane", "Asker", "Lines", "Hold"];
    for change in changes.iter().filter(|name| of_orders.iter().any(|of| name.starts_with(of))) {
        if !spans(library.text(STATES)).iter().any(|(_, span)| span == change) {
            findings.push(Finding::new(STATES, 0, format!("the change {change} is missing")));
        }
    }
    findings
}

/// The type of a field, as the diagrams write it.
fn drawn_type(kind: &str) -> String {
    if let Some(inner) = kind.strip_prefix("Option<").and_then(|rest| rest.strip_suffix('>')) {
        format!("{}(optional)", drawn_type(inner))
    } else if let Some(inner) = kind.strip_prefix("Vec<").and_then(|rest| rest.strip_suffix('>')) {
        format!("{}[]", drawn_type(inner))
    } else if kind == "Arc<str>" {
        // Shared text: what it is shared by is no matter of the row.
        "String".to_owned()
    } else {
        kind.to_owned()
    }
}

/// Every row has its fields in the ERD, and every table on disk and account its place.
fn rows(library: &Library) -> Vec<Finding> {
    let (text, mut findings) = (library.text(ERD), Vec::new());
    let mut find = |what: String| findings.push(Finding::new(ERD, 0, what));
    let mut structs = truth::structs(library, "schemas/src/rows.rs");
    let needed: Vec<String> = structs.keys().cloned().collect();
    structs.extend(truth::structs(library, "schemas/src/commands.rs"));
    let mut drawn = BTreeMap::new();
    for block in blocks(text, "mermaid").iter().filter(|block| block.lines[0] == "erDiagram") {
        drawn.extend(mermaid::attributes(block.lines.iter().skip(1).copied()));
    }
    for name in needed.iter().filter(|name| !drawn.contains_key(name.as_str())) {
        find(format!("{name} is missing"));
    }
    for (entity, attributes) in drawn {
        let Some(fields) = structs.get(entity) else {
            find(format!("{entity} is no row and no part of one"));
            continue;
        };
        let expected: Vec<(&str, String)> =
            fields.iter().map(|(name, kind)| (name.as_str(), drawn_type(kind))).collect();
        let found: Vec<(&str, String)> =
            attributes.into_iter().map(|(name, kind)| (name, kind.to_owned())).collect();
        if found != expected {
            find(format!("{entity} has {expected:?}, not {found:?}"));
        }
    }
    let layout = library.text("ledger/store/src/embedded/layout.rs");
    let names = layout.split("fn name(").nth(1).and_then(|rest| rest.split("\n    }\n").next());
    let names = names.unwrap_or_default().split('"').skip(1).step_by(2);
    let accounts = truth::variants(library, "schemas/src/steps.rs", "Account");
    for name in names.map(str::to_owned).chain(accounts) {
        if !spans(text).iter().any(|(_, span)| *span == name) {
            find(format!("`{name}` is missing"));
        }
    }
    findings
}

/// Relative links lead somewhere, and a link that names a function leads to a test of that name.
fn references(library: &Library) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in library.papers() {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, label, target) in links(text) {
            if target.starts_with("http") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.to_owned() } else { resolve(folder, file) };
            let mut find = |what: String| findings.push(Finding::new(path, line, what));
            if !library.has(&file) {
                find(format!("{target} leads nowhere"));
            } else if !anchor.is_empty() && !anchors(library.text(&file)).contains(anchor) {
                find(format!("{file} has no heading for #{anchor}"));
            } else if let Some(name) =
                label.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'))
                && file.ends_with(".rs")
                && !has_test(library.text(&file), name)
            {
                find(format!("{file} has no test {name}"));
            }
        }
    }
    findings
}

fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether there is a test of this name: a function behind a test attribute, or one that a table of
/// tests makes.
fn has_test(text: &str, name: &str) -> bool {
    let function = format!("fn {name}(");
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line.contains(&function) && is_test {
            return true;
        }
        if line.ends_with(&format!("=> {name},")) {
            return true;
        }
        is_test = match line {
            line if line.starts_with("#[test]") || line.starts_with("#[tokio::test") => true,
            line => is_test && (line.starts_with("#[") || line.starts_with("//")),
        };
    }
    false
}

/// Diagrams are well formed.
fn diagrams(library: &Library) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in library.papers() {
        for block in blocks(text, "mermaid") {
            let faults = mermaid::faults(&block).into_iter();
            findings.extend(faults.map(|(line, what)| Finding::new(path, line, what)));
        }
    }
    findings
}

/// The arrows between crates are those of the manifests.
fn layers(library: &Library) -> Vec<Finding> {
    let drawn: BTreeSet<(String, String)> = blocks(library.text(LAYERS), "mermaid")
        .iter()
        .flat_map(|block| mermaid::arrows(block.lines.iter().copied()))
        .map(|(from, to)| (from.to_owned(), to.to_owned()))
        .collect();
    let meant = truth::dependencies(library);
    let differs = drawn.symmetric_difference(&meant);
    let what = |(from, to): &(String, String)| {
        let is = if meant.contains(&(from.clone(), to.clone())) { "is missing" } else { "is none" };
        Finding::new(LAYERS, 0, format!("{from} --> {to} {is}"))
    };
    differs.map(what).collect()
}

/// Both front doors name the same flags, exit codes and invariants: those of the code.
fn front_doors(library: &Library) -> Vec<Finding> {
    let mut findings = Vec::new();
    let known = truth::flags(library);
    let flags = |path: &str| -> BTreeSet<String> {
        let words = library.text(path).split(|c: char| !is_name(c) && c != '-');
        words.filter(|word| known.contains(*word)).map(str::to_owned).collect()
    };
    for flag in flags(ENGLISH).symmetric_difference(&flags(KOREAN)) {
        let path = if flags(ENGLISH).contains(flag) { KOREAN } else { ENGLISH };
        findings.push(Finding::new(path, 0, format!("{flag} is only in the other one")));
    }
    for (path, begin, number) in [(ENGLISH, "Exit codes: ", "no."), (KOREAN, "종료 코드: ", "번호")]
    {
        let sentence = library.text(path).split(begin).nth(1).unwrap_or_default();
        let sentence = sentence.split('.').next().unwrap_or_default();
        let told: BTreeSet<u32> =
            sentence.split(' ').filter_map(|word| word.trim().parse().ok()).collect();
        if told != truth::exit_codes(library) {
            let what = format!("the exit codes are {:?}", truth::exit_codes(library));
            findings.push(Finding::new(path, 0, what));
        }
        let tables = tables_of(library.text(path), &[number]);
        let rows = tables.iter().flat_map(|table| &table.rows);
        let told: BTreeSet<u32> = rows.filter_map(|(_, cells)| cells[0].parse().ok()).collect();
        if told != truth::invariants(library) {
            let what = format!("verify proves {:?}", truth::invariants(library));
            findings.push(Finding::new(path, 0, what));
        }
    }
    findings
}

/// Names of code, files and flags that the papers use exist.
fn names(library: &Library) -> Vec<Finding> {
    let mut findings = Vec::new();
    let words = library.words();
    let flags = truth::flags(library);
    for (path, text) in library.papers().filter(|(path, _)| is_paper(path) || *path == KOREAN) {
        for (line, span) in spans(text) {
            let mut find =
                |what: &str| findings.push(Finding::new(path, line, format!("`{span}` {what}")));
            if is_code_name(span) && !words.contains(span) {
                find("is no name in the code");
            } else if is_file_name(span) && !is_somewhere(library, span) {
                find("is no file and no folder");
            } else if span.starts_with("jupan ") || span.starts_with("--") {
                let used = span.split(' ').filter(|word| word.starts_with("--"));
                if used.clone().any(|flag| !flags.contains(flag)) {
                    find("has a flag that the command line does not know");
                }
            }
        }
        for block in blocks(text, "mermaid") {
            let text = block.lines.join("\n");
            let drawn = text.split(|c| !is_name(c)).filter(|word| has_two_humps(word));
            let unknown = drawn.filter(|word| !words.contains(*word)).map(|word| {
                Finding::new(
                    path,
                    block.line,
                    format!("{word}, in the diagram, is no name in the code"),
                )
            });
            findings.extend(unknown);
        }
    }
    findings
}

/// `like_this`, `LikeThis`, `likeThis` or `LIKE_THIS`: what only code is called.
fn is_code_name(span: &str) -> bool {
    let humps =
        span.chars().zip(span.chars().skip(1)).any(|(a, b)| a.is_lowercase() && b.is_uppercase());
    span.chars().all(is_name) && (humps || span.contains('_'))
}

/// `LikeThis`
fn has_two_humps(word: &str) -> bool {
    word.starts_with(|c: char| c.is_uppercase()) && is_code_name(word) && !word.contains('_')
}

fn is_file_name(span: &str) -> bool {
    let is_plain = span.chars().all(|c| is_name(c) || matches!(c, '/' | '.' | '-'));
    let has_end = [".rs", ".md", ".py", ".avsc", ".toml"].iter().any(|end| span.ends_with(end));
    let is_folder = span.contains('/') && !span.starts_with('/') && !span.starts_with('.');
    is_plain && (has_end || is_folder)
}

/// A path from the root on, or the end of one.
fn is_somewhere(library: &Library, span: &str) -> bool {
    // What a shop's user has, or makes.
    let is_theirs = matches!(span, "jupan.toml");
    is_theirs || library.has(span) || library.below("", &format!("/{span}")).next().is_some()
}

/// Papers have their size, a summary in Korean, and tables whose rows are whole.
fn forms(library: &Library) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in library.papers() {
        let lines = text.lines().count();
        if is_paper(path) && !PAPER_LINES.contains(&lines) {
            let what = format!("{lines} lines: a paper has {PAPER_LINES:?}");
            findings.push(Finding::new(path, 0, what));
        }
        let (prose, _) = split(text);
        if is_paper(path)
            && !prose.iter().take(4).any(|(_, line)| line.starts_with("> **한국어 요약.**"))
        {
            findings.push(Finding::new(path, 3, "a paper opens with a summary in Korean"));
        }
        for table in tables(text) {
            let width = table.header.len();
            let odd = table.rows.iter().filter(|(_, cells)| cells.len() != width);
            findings.extend(odd.map(|(line, cells)| {
                let what = format!("{} cells below a header of {width}", cells.len());
                Finding::new(path, *line, what)
            }));
            if table.rows.is_empty() {
                findings.push(Finding::new(path, table.line, "a table without rows"));
            }
        }
    }
    findings
}

// The papers are as the code is.

fn assert_true(check: Check) {
    let findings = check(&REPOSITORY);
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} findings:\n{}", lines.len(), lines.join("\n"));
}

macro_rules! papers {
    ($($check:path => $test:ident),* $(,)?) => {
        $(#[test] fn $test() { assert_true($check); })*
    };
}
papers! {
    codes => every_code_is_told_as_it_is,
    routes => every_route_is_told_and_no_other,
    states => every_status_and_failure_is_told,
    messages => every_command_and_message_is_told,
    rows => every_row_is_drawn_with_its_fields,
    references => every_link_leads_to_what_it_names,
    diagrams => every_diagram_is_well_formed,
    layers => crates_depend_on_each_other_as_drawn,
    front_doors => both_readmes_tell_the_same,
    names => every_name_exists,
    forms => every_paper_has_its_form,
    contract::asyncapi => the_document_for_other_systems_is_true,
    contract::contract => the_contract_tells_every_topic_command_and_code,
}
