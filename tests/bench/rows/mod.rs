//! The rows: what is asked for, what was seen, and whether it is good enough.

mod memory;
mod mib;
mod renewal;
mod speed;
mod start;
mod tenant;

use std::process::ExitCode;

use crate::Options;
use crate::child::pinning;
use crate::rig::Rig;

/// How a row ended.
#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Pass,
    Missed,
    /// Requests failed or the setting up did: there is no figure to judge.
    Broken,
    Skipped,
}

/// One line of the table.
struct Row {
    name: String,
    ours: String,
    /// What it is compared with: the floor, or what the arithmetic says.
    base: String,
    judged: String,
    limit: String,
    verdict: Verdict,
    note: String,
}

impl Row {
    /// A figure judged by itself.
    fn figure(name: &str, value: f64, unit: &str, limit: f64) -> Self {
        Self {
            name: name.to_owned(),
            ours: format!("{value:.2} {unit}"),
            base: String::new(),
            judged: format!("{value:.2}"),
            limit: format!("{limit:.2} {unit}"),
            verdict: verdict(value, limit),
            note: String::new(),
        }
    }

    /// A figure that is shown and not judged.
    fn shown(name: &str, value: f64, unit: &str) -> Self {
        let nothing = || "-".to_owned();
        Self { judged: nothing(), limit: nothing(), ..Self::figure(name, value, unit, f64::INFINITY) }
    }

    /// A figure judged by its ratio to another.
    fn ratio(name: &str, (ours, base): (f64, f64), unit: &str, ratio: Ratio, limit: f64) -> Self {
        let Ratio { median, least, most } = ratio;
        Self {
            name: name.to_owned(),
            ours: format!("{ours:.2} {unit}"),
            base: format!("{base:.2} {unit}"),
            judged: format!("{median:.3} ({least:.2}-{most:.2})"),
            limit: format!("{limit:.2} x"),
            verdict: verdict(median, limit),
            note: String::new(),
        }
    }

    fn without_figure(name: &str, verdict: Verdict, note: String) -> Self {
        let dash = || "-".to_owned();
        Self { name: name.to_owned(), ours: dash(), base: dash(), judged: dash(), limit: dash(), verdict, note }
    }

    fn base(mut self, value: f64, unit: &str) -> Self {
        self.base = format!("{value:.2} {unit}");
        self
    }

    fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn print(&self) {
        let verdict = match self.verdict {
            Verdict::Pass => "pass",
            Verdict::Missed => "MISSED",
            Verdict::Broken => "BROKEN",
            Verdict::Skipped => "skipped",
        };
        println!(
            "{:<14} {:>16} {:>16} {:>20} {:>14}  {verdict:<8} {}",
            self.name, self.ours, self.base, self.judged, self.limit, self.note
        );
    }
}

fn verdict(value: f64, limit: f64) -> Verdict {
    if value <= limit { Verdict::Pass } else { Verdict::Missed }
}

/// A ratio over several rounds.
struct Ratio {
    median: f64,
    least: f64,
    most: f64,
}

impl Ratio {
    fn over(ratios: &[f64]) -> Self {
        Self {
            median: median(ratios),
            least: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            most: ratios.iter().copied().fold(0.0, f64::max),
        }
    }

    fn once(ratio: f64) -> Self {
        Self::over(&[ratio])
    }
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// What a row gives: its lines, or why it has none.
type Outcome = Result<Vec<Row>, String>;

/// Measures a row.
type Measure = fn(&Rig) -> Outcome;

/// A row by its name, and whether it says anything when the floor stands in for the proxy.
const ROWS: [(&str, Measure, bool); 15] = [
    ("hot", speed::hot, true),
    ("hot10k", speed::hot10k, true),
    ("newconn", speed::newconn, true),
    ("h2", speed::h2, true),
    ("syscalls", speed::syscalls, true),
    ("herd", tenant::herd, false),
    ("cold10k", tenant::cold10k, false),
    ("body1g", memory::body1g, true),
    ("mib", mib::mib, false),
    ("idle", memory::idle, true),
    ("users", memory::users, false),
    ("start", start::start, true),
    ("renewals", renewal::renewals, false),
    ("grants", renewal::grants, false),
    ("records", renewal::records, false),
];

/// Runs the rows that were asked for, and prints the table.
pub fn run(options: &Options) -> ExitCode {
    for name in &options.rows {
        assert!(ROWS.iter().any(|(known, ..)| known == name), "no row {name}; there are {:?}", ROWS.map(|row| row.0));
    }
    let rig = Rig::start(options.clone());
    let mut table = Vec::new();
    for (name, measure, of_floor) in ROWS {
        if !options.rows.is_empty() && !options.rows.iter().any(|wanted| wanted == name) {
            continue;
        }
        if options.noise && !of_floor {
            table.push(Row::without_figure(name, Verdict::Skipped, "the floor has no tenant".to_owned()));
            continue;
        }
        eprintln!("{name} …");
        match measure(&rig) {
            Ok(rows) => table.extend(rows),
            Err(trouble) => table.push(Row::without_figure(name, Verdict::Broken, trouble)),
        }
    }
    let who = if options.noise { "the floor against itself" } else { "the release binary, production defaults" };
    println!("\n{who}; access log to a file; {}{}", pinning(), if options.quick { "; quick" } else { "" });
    println!(
        "{:<14} {:>16} {:>16} {:>20} {:>14}  {:<8} note",
        "row", "ours", "base", "judged (min-max)", "limit", "verdict"
    );
    table.iter().for_each(Row::print);
    let bad = table.iter().any(|row| match row.verdict {
        Verdict::Pass => false,
        Verdict::Missed => !options.report_only,
        Verdict::Broken => true,
        Verdict::Skipped => options.strict,
    });
    if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
