//! A rehearsal for people and for programs.

use serde_json::{Map, Value, json};

use crate::command::text::printable;
use crate::error::Code;
use crate::proxy::rehearsal::{Fact, Refused, Rehearsal, Says, Step, Verdict};

/// How wide the names of facts are.
const NAME: usize = 12;

/// A process of its own sees the tenant and the store, and no more.
const UNSEEN: &str = "What a running proxy holds in its memory alone is not seen from here.";

const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";

/// For people: a line for each step, one below it for each fact, and how it would end.
pub(super) fn text(rehearsal: &Rehearsal, color: bool) -> String {
    let mut all = vec![format!("{} {}", rehearsal.method, printable(&rehearsal.target)), String::new()];
    for Step { name, passes, facts } in &rehearsal.steps {
        all.push(format!("{}  {name}", mark(*passes, color)));
        all.extend(facts.iter().map(|fact| lines(fact, color)));
    }
    all.push(String::new());
    match &rehearsal.verdict {
        Verdict::Sent { method, url } => all.push(format!("It would be sent: {method} {}", printable(url))),
        Verdict::Answered => all.push("The proxy would answer it by itself.".to_owned()),
        Verdict::Refused(refused) => all.extend(refusal(refused)),
    }
    all.extend([UNSEEN.to_owned(), String::new()]);
    all.join("\n")
}

fn refusal(refused: &Refused) -> [String; 3] {
    let row = refused.error.code().row();
    [
        format!("It would be refused: {} {} (fault: {})", row.status.as_u16(), row.code, row.fault.name()),
        format!("  {}", printable(&refused.error.to_string())),
        format!("  {}", how_to_get_a_token(refused).unwrap_or(row.cure)),
    ]
}

/// For programs: `{request, steps, verdict, note}`.
pub(super) fn json(rehearsal: &Rehearsal) -> Value {
    let steps: Vec<Value> = rehearsal.steps.iter().map(step).collect();
    let verdict = match &rehearsal.verdict {
        Verdict::Sent { method, url } => json!({ "outcome": "sent", "method": method.as_str(), "url": url }),
        Verdict::Answered => json!({ "outcome": "answered" }),
        Verdict::Refused(refused) => {
            let row = refused.error.code().row();
            json!({
                "outcome": "refused",
                "status": row.status.as_u16(),
                "code": row.code,
                "fault": row.fault.name(),
                "title": row.title,
                "detail": refused.error.to_string(),
                "cure": how_to_get_a_token(refused).unwrap_or(row.cure),
                "provider": refused.provider.as_deref(),
            })
        }
    };
    json!({
        "request": { "method": rehearsal.method.as_str(), "target": rehearsal.target },
        "steps": steps,
        "verdict": verdict,
        "note": UNSEEN,
    })
}

fn step(step: &Step) -> Value {
    let facts: Map<String, Value> = step.facts.iter().map(|fact| (fact.name.replace(' ', "_"), value(fact))).collect();
    json!({ "step": step.name, "outcome": if step.passes { "ok" } else { "refused" }, "facts": facts })
}

fn value(fact: &Fact) -> Value {
    let says = match &fact.says {
        Says::One(text) => Value::from(text.as_str()),
        Says::Several(texts) => Value::from(texts.as_slice()),
    };
    match &fact.expected {
        Some(expected) => json!({ "is": says, "expected": expected, "ok": fact.is_fine }),
        None => says,
    }
}

fn lines(fact: &Fact, color: bool) -> String {
    let name = fact.name;
    let line = |text: &String| format!("      {name:NAME$}{}", printable(text));
    match (&fact.says, &fact.expected) {
        (Says::One(text), Some(expected)) => {
            let (mark, expected) = (mark(fact.is_fine, color), printable(expected));
            format!("  {mark}  {name:NAME$}{}  ({expected})", printable(text))
        }
        (Says::One(text), None) => line(text),
        (Says::Several(texts), _) if texts.is_empty() => line(&"nothing".to_owned()),
        (Says::Several(texts), _) => texts.iter().map(line).collect::<Vec<_>>().join("\n"),
    }
}

fn mark(is_fine: bool, color: bool) -> String {
    let (word, paint) = if is_fine { ("ok", GREEN) } else { ("NO", RED) };
    if color { format!("{paint}{word}{PLAIN}") } else { word.to_owned() }
}

/// Who has no token can get one here.
fn how_to_get_a_token(refused: &Refused) -> Option<&'static str> {
    let code = refused.error.code();
    (code == Code::MissingToken).then_some(
        "Log in with `idp-proxy login`, or name a file that has a token with --token-file; `dev` writes such files.",
    )
}
