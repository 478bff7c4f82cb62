//! Alerts and dashboard: they name metrics that exist, and the alerts fire when they should.

use std::{collections::BTreeSet, path::Path};

use harness::promtool;
use serde_json::Value;

const METRICS: &str = include_str!("../../../docs/metrics.md");
const ALERTS: &str = include_str!("../../../docs/alerts.yml");
const ALERT_TESTS: &str = include_str!("../../../docs/alerts_test.yml");
const OPERATIONS: &str = include_str!("../../../docs/operations.md");
const DASHBOARD: &str = include_str!("../../../docs/dashboard.json");

/// The names of metrics in `text`, without what Prometheus appends to those of histograms.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let words = words.filter(|word| word.starts_with("superoffice_"));
    words.map(|word| word.strip_suffix("_bucket").unwrap_or(word)).collect()
}

fn documented() -> BTreeSet<&'static str> {
    METRICS
        .lines()
        .filter(|line| line.starts_with("| `superoffice_"))
        .map(|line| line.split('`').nth(1).unwrap())
        .collect()
}

/// Returns the rest of each line of `text` that begins with `key`.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix(key)).collect()
}

#[test]
fn alerts_and_their_tests_name_documented_metrics() {
    for text in [ALERTS, ALERT_TESTS] {
        let unknown: Vec<_> = names(text).difference(&documented()).copied().collect();
        assert_eq!(unknown, Vec::<&str>::new());
    }
}

#[test]
fn each_alert_is_tested_and_explained_in_operations() {
    let alerts = values(ALERTS, "alert: ");
    assert!(alerts.len() > 10, "{alerts:?}");
    let tested: BTreeSet<_> = values(ALERT_TESTS, "alertname: ").into_iter().collect();
    assert_eq!(alerts.iter().copied().collect::<BTreeSet<_>>(), tested);
    let headings = OPERATIONS.lines().filter(|line| line.starts_with("##"));
    let anchor = |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    let anchors: BTreeSet<_> = headings.map(anchor).collect();
    let runbooks = values(ALERTS, "runbook: docs/operations.md#");
    assert_eq!(runbooks.len(), alerts.len());
    assert_eq!(values(ALERTS, "summary: ").len(), alerts.len());
    for runbook in runbooks {
        assert!(anchors.contains(runbook), "{runbook}");
    }
}

#[test]
fn alerts_fire_when_they_should_and_not_before() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
    let path = |file: &str| Path::new(docs).join(file).to_str().unwrap().to_owned();
    let (alerts, tests) = (path("alerts.yml"), path("alerts_test.yml"));
    for arguments in [["check", "rules", &alerts], ["test", "rules", &tests]] {
        let Some(output) = promtool(&arguments, b"") else { return };
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{text}");
    }
}

#[test]
fn dashboard_shows_every_documented_metric_and_no_other() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut shown = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let place = &panel["gridPos"];
        assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24, "{panel}");
        for target in panel["targets"].as_array().into_iter().flatten() {
            shown.extend(names(target["expr"].as_str().unwrap()));
        }
    }
    assert_eq!(shown, documented());
}

#[test]
fn queries_of_the_dashboard_are_valid() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter();
    let targets = targets.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (number, target) in targets.enumerate() {
        let query = target["expr"].as_str().unwrap();
        let query = query.replace("$__rate_interval", "5m").replace("$environment", ".*");
        let query = serde_json::to_string(&query).unwrap();
        rules += &format!("      - record: query:number{number}\n        expr: {query}\n");
    }
    let directory = harness::Directory::new();
    let file = directory.join("queries.yml");
    std::fs::write(&file, rules).unwrap();
    let Some(output) = promtool(&["check", "rules", file.to_str().unwrap()], b"") else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
