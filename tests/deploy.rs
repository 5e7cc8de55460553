//! What is deployed against the code: `docker-compose.yml`, the Dockerfile, and what Prometheus and
//! Grafana are told. What runs of it is tried by `scripts/compose`; here is what drifts unseen.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const DASHBOARD: &str = "deploy/grafana/dashboards/jupan.json";
const RULES: &str = "deploy/prometheus/rules.yml";
const COMPOSE: &str = "docker-compose.yml";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => rust_files(&path, found),
            false if path.extension().is_some_and(|end| end == "rs") => found.push(path),
            false => {}
        }
    }
}

/// Names that begin like our metrics do, wherever they stand.
fn metric_names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("jupan_")).map(str::to_owned).collect()
}

/// Every metric of the production code: a constant by itself, as all of them are.
fn metrics_of_the_code() -> BTreeSet<String> {
    let mut files = Vec::new();
    for folder in
        ["src", "ingest-api/src", "processors/src", "processors/log/src", "ledger/store/src"]
    {
        rust_files(&repository().join(folder), &mut files);
    }
    let texts = files.iter().map(|file| fs::read_to_string(file).expect("a file"));
    let names = |text: String| {
        let constants =
            text.lines().filter_map(|line| line.split_once(": &str = \"jupan_")?.1.split_once('"'));
        constants.map(|(name, _)| format!("jupan_{name}")).collect::<Vec<_>>()
    };
    texts.flat_map(names).collect()
}

/// What is named and is no metric. A timing is also there as its sum and its count.
fn unknown_metrics(text: &str, known: &BTreeSet<String>) -> Vec<String> {
    let is_known = |name: &String| {
        let timed = name.strip_suffix("_sum").or_else(|| name.strip_suffix("_count"));
        known.contains(name)
            || timed.is_some_and(|name| name.ends_with("_seconds") && known.contains(name))
    };
    metric_names(text).into_iter().filter(|name| !is_known(name)).collect()
}

#[test]
fn every_metric_that_is_looked_at_is_one_of_the_code() {
    let known = metrics_of_the_code();
    assert!(known.contains("jupan_lane_commits_total"), "{known:?}");
    for path in [DASHBOARD, RULES] {
        let text = text(path);
        assert!(metric_names(&text).len() > 5, "{path} looks at hardly anything");
        assert_eq!(unknown_metrics(&text, &known), [""; 0], "{path}");
    }
    let planted = "rate(jupan_lane_comits_total[1m]) jupan_lane_commit_seconds_sum jupan_no_sum";
    assert_eq!(unknown_metrics(planted, &known), ["jupan_lane_comits_total", "jupan_no_sum"]);
}

#[test]
fn every_metric_of_the_code_is_looked_at() {
    let shown = metric_names(&text(DASHBOARD));
    let missing: Vec<_> = metrics_of_the_code().difference(&shown).cloned().collect();
    assert_eq!(missing, [""; 0], "add them to {DASHBOARD}");
}

#[test]
fn the_dashboard_has_panels_that_ask() {
    let dashboard: Value = serde_json::from_str(&text(DASHBOARD)).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "two panels have one id");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!targets.is_empty(), "{}", panel["title"]);
        for target in targets {
            let asked = target["expr"].as_str().expect("an expression");
            let depth = |open, close| asked.matches(open).count() == asked.matches(close).count();
            assert!(depth('(', ')') && depth('{', '}') && depth('[', ']'), "{asked}");
        }
    }
}

/// The services of the file, each with its lines.
fn services(compose: &str) -> BTreeMap<&str, String> {
    let part = compose.split_once("\nservices:\n").expect("services").1;
    let part = part.split_once("\nvolumes:\n").expect("volumes").0;
    let mut services = BTreeMap::<&str, String>::new();
    let mut name = "";
    for line in part.lines() {
        let its =
            line.strip_prefix("  ").filter(|rest| rest.starts_with(|c: char| c.is_alphabetic()));
        match its.and_then(|rest| rest.split_once(':')) {
            Some((next, _)) => name = next,
            None => *services.entry(name).or_default() += &format!("{line}\n"),
        }
    }
    services
}

#[test]
fn services_are_bounded_watched_and_on_loopback() {
    let compose = text(COMPOSE);
    let services = services(&compose);
    assert!(services.len() > 10, "{:?}", services.keys());
    for (name, lines) in &services {
        let has = |word: &str| lines.contains(word);
        let is_like_api = has("<<: *api\n");
        assert!(
            has("mem_limit: ") || has("<<: *jupan\n") || is_like_api,
            "{name}: how much memory?"
        );
        assert!(has("healthcheck:") || is_like_api || *name == "init", "{name}: is it well?");
        assert!(has("profiles: [") || is_like_api, "{name}: when does it start?");
        for line in lines.lines().filter(|line| line.contains("ports: ")) {
            let ports = line.matches("127.0.0.1:${JUPAN_").count();
            assert_eq!(ports, line.matches('"').count() / 2, "{name}: {line}");
            assert!(ports > 0, "{name}: {line}");
        }
        for mounted in lines.lines().filter_map(|line| line.trim().strip_prefix("- ./")) {
            let path = mounted.split(':').next().unwrap_or_default();
            assert!(repository().join(path).is_dir(), "{name}: there is no {path}");
        }
    }
}

#[test]
fn versions_are_those_of_the_tests() {
    let compose = text(COMPOSE);
    let images = text("tests/servers/settings/images.env");
    let named: Vec<_> = images.lines().filter_map(|line| line.split_once("_IMAGE=")).collect();
    assert_eq!(named.len(), 3, "{images}");
    for (variable, image) in named {
        let line = format!("image: ${{{variable}_IMAGE:-{image}}}");
        assert!(compose.contains(&line), "{COMPOSE} lacks {line}");
    }
    for line in compose.lines().filter(|line| line.trim().starts_with("image: ")) {
        let tag = line.rsplit_once(":-").and_then(|(_, image)| image.split_once(':'));
        assert!(tag.is_some_and(|(_, tag)| tag != "latest}"), "no variable, or no version: {line}");
    }
    let toolchain: toml::Table = text("rust-toolchain.toml").parse().expect("TOML");
    let rust = toolchain["toolchain"]["channel"].as_str().expect("a version");
    let line = format!("ARG BUILDER=rust:{rust}-slim-bookworm\n");
    assert!(text("Dockerfile").contains(&line), "the Dockerfile lacks {line}");
}
