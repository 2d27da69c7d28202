//! `idp-proxy man`: the manual page, in man(7)'s macros, made of what the parser knows.

use std::fmt::Write as _;
use std::io::Write;

use clap::{Arg, Command};

use super::{Exit, complain, help};

/// What nothing but the page says.
const FILES: [(&str, &str); 2] = [
    ("proxy.toml", "The configuration, in the folder that a command runs in unless --config names another."),
    (
        "~/.local/state/idp-proxy/sessions.json",
        "The sessions of `idp-proxy login`, for their owner alone; below XDG_STATE_HOME where that is set.",
    ),
];
const VARIABLES: [(&str, &str); 6] = [
    ("BROWSER", "The program by which `idp-proxy login` opens a page."),
    ("IDP_PROXY_LOG", "Shows more of the proxy's own doings: debug, trace."),
    ("IDP_PROXY_URL", "The proxy that login, token, curl and their like are about, where --proxy names none."),
    ("NO_COLOR", "Set to anything, it keeps colour out of all output."),
    ("SSL_CERT_FILE", "The only authorities that are trusted for outgoing TLS, in PEM."),
    ("XDG_STATE_HOME", "Where sessions are kept, in place of ~/.local/state."),
];

/// Writes the page.
pub(super) fn run(out: &mut dyn Write) -> Exit {
    match out.write_all(page(&help::command_line()).as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Done,
        Err(error) => complain(&error),
    }
}

fn page(root: &Command) -> String {
    let mut page = Page::default();
    page.request(&format!("TH IDP-PROXY 1 \"\" \"idp-proxy {}\" \"\"", env!("CARGO_PKG_VERSION")));
    page.section("NAME");
    page.text(&format!("idp-proxy - {}", about(root).trim_end_matches('.')));
    page.section("SYNOPSIS");
    page.request("B idp\\-proxy");
    page.request("I COMMAND");
    page.text("[arguments]");
    page.section("EXAMPLES");
    page.examples(root);
    page.section("COMMANDS");
    for command in root.get_subcommands().filter(|command| !command.is_hide_set()) {
        page.command(command, "idp-proxy");
    }
    page.section("EXIT STATUS");
    for (code, meaning) in help::EXIT_CODES {
        page.item(&code.to_string(), meaning);
    }
    for (title, items) in [("FILES", &FILES[..]), ("ENVIRONMENT", &VARIABLES)] {
        page.section(title);
        for (name, meaning) in items {
            page.item(name, meaning);
        }
    }
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn command(&mut self, command: &Command, before: &str) {
        let name = format!("{before} {}", command.get_name());
        self.request(&format!("SS {}", escaped(&name)));
        self.text(&format!("{}.", about(command).trim_end_matches('.')));
        self.examples(command);
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            self.item(&usage(arg), &meaning(arg));
        }
        for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
            self.command(inner, &name);
        }
    }

    fn examples(&mut self, command: &Command) {
        let examples = command.get_before_help().map(ToString::to_string).unwrap_or_default();
        self.request("PP");
        self.request("EX");
        for line in examples.lines().filter(|line| line.starts_with("  ")) {
            self.text(line);
        }
        self.request("EE");
    }

    fn section(&mut self, title: &str) {
        self.request(&format!("SH {title}"));
    }

    /// A term, and what it means.
    fn item(&mut self, term: &str, meaning: &str) {
        self.request("TP");
        self.request(&format!("B {}", escaped(term)));
        self.text(meaning);
    }

    fn request(&mut self, request: &str) {
        let _ = writeln!(self.0, ".{request}");
    }

    fn text(&mut self, text: &str) {
        // A point or an apostrophe that begins a line would make a request of it.
        let guard = if text.starts_with(['.', '\'']) { "\\&" } else { "" };
        let _ = writeln!(self.0, "{guard}{}", escaped(text));
    }
}

/// Text as it stands: a plain hyphen, no escapes, and what is not ASCII by its number, which needs no agreement on an
/// encoding.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\e"),
            '-' => escaped.push_str("\\-"),
            ascii if ascii.is_ascii() => escaped.push(ascii),
            other => {
                let _ = write!(escaped, "\\[u{:04X}]", u32::from(other));
            }
        }
    }
    escaped
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn usage(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    match arg.get_long() {
        Some(long) if arg.get_action().takes_values() => format!("--{long} {names}"),
        Some(long) => format!("--{long}"),
        None => names,
    }
}

fn meaning(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let possible: Vec<_> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| value.get_name().to_owned())
        .collect();
    let default: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let stop = if help.ends_with(['.', '…']) { "" } else { "." };
    let mut text = format!("{help}{stop}");
    if !possible.is_empty() && arg.get_action().takes_values() {
        let _ = write!(text, " One of {}.", possible.join(", "));
    }
    if !default.is_empty() && arg.get_action().takes_values() {
        let _ = write!(text, " By default {}.", default.join(" "));
    }
    text
}
