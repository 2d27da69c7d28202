//! The findings as a table for people, and as a list for programs.

use std::path::Path;

use serde_json::{Value, json};

use super::finding::{Finding, Outcome};
use crate::command::text::printable;
use crate::config;

const GREEN: &str = "\u{1b}[32m";
const YELLOW: &str = "\u{1b}[33m";
const RED: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";

/// A line for each finding, what to do under it, and a sum.
pub(super) fn table(path: &Path, text: &str, findings: &[Finding], color: bool) -> String {
    let width =
        |of: fn(&Finding) -> &str| findings.iter().map(|finding| of(finding).chars().count()).max().unwrap_or(0);
    let (outcomes, probes) = (width(|finding| finding.outcome.word()), width(|finding| finding.probe));
    let abouts = width(|finding| &finding.about).min(40);
    let mut table = String::new();
    for finding in findings {
        let Finding { probe, about, outcome, message, .. } = finding;
        let word = paint(*outcome, format!("{:outcomes$}", outcome.word()), color);
        table += &format!("{word}  {probe:probes$}  {:abouts$}  {}\n", printable(about), printable(message));
        let place = finding.key.as_deref().and_then(|key| config::position_of(text, key));
        let place = place.map_or_else(String::new, |(line, column)| format!(" ({}:{line}:{column})", path.display()));
        if let Some(hint) = &finding.hint {
            table += &format!("{:outcomes$}  fix: {hint}{place}\n", "");
        }
    }
    let count = |outcome| findings.iter().filter(|finding| finding.outcome == outcome).count();
    let (wrong, away, warnings) = (count(Outcome::Wrong), count(Outcome::OutOfReach), count(Outcome::Warning));
    table += &format!("\n{}: {wrong} wrong, {away} without an answer, {warnings} with a warning\n", path.display());
    table
}

/// `{file, line, column, code, key, message, hint}` as without `--online`, and of each the `probe`, what it is `about` and
/// the `outcome`.
pub(super) fn json(path: &Path, text: &str, findings: &[Finding]) -> String {
    let file = path.display().to_string();
    let row = |finding: &Finding| {
        let place = finding.key.as_deref().and_then(|key| config::position_of(text, key));
        json!({
            "file": file,
            "line": place.map(|(line, _)| line),
            "column": place.map(|(_, column)| column),
            "code": format!("{}_{}", finding.probe.replace(' ', "_"), finding.outcome.name()),
            "key": finding.key,
            "message": finding.message,
            "hint": finding.hint,
            "probe": finding.probe,
            "about": finding.about,
            "outcome": finding.outcome.name(),
        })
    };
    format!("{:#}\n", findings.iter().map(row).collect::<Value>())
}

fn paint(outcome: Outcome, word: String, color: bool) -> String {
    let paint = match outcome {
        Outcome::Fine => GREEN,
        Outcome::Unknown | Outcome::Warning => YELLOW,
        Outcome::Wrong | Outcome::OutOfReach => RED,
    };
    if color { format!("{paint}{word}{PLAIN}") } else { word }
}
