//! What may come next on a command line, as far as it is typed. Pure: the commands are what the parser itself knows.

use clap::{Arg, Command};

/// One word that may stand there, and what it means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) meaning: String,
}

impl Word {
    pub(super) fn new(text: impl Into<String>, meaning: impl Into<String>) -> Self {
        Self { text: text.into(), meaning: meaning.into() }
    }
}

/// The words that may stand in the place of the last of `typed`, which begin as it does. `names` knows those of a place
/// that is called so in the help, such as `PROVIDER`. Empty where a file or any text may stand.
pub(super) fn candidates(root: &Command, typed: &[String], names: impl Fn(&str) -> Vec<Word>) -> Vec<Word> {
    let Some((last, before)) = typed.split_last() else { return Vec::new() };
    let mut place = Place { command: root, awaits: None, count: 0, is_foreign: false };
    for word in before {
        place.pass(word);
    }
    // bash hands `--config=x` over as three words.
    let last = if last == "=" { "" } else { last };
    let mut found = place.words(last, &names);
    found.retain(|word| word.text.starts_with(last));
    found
}

/// Where one is after some words.
struct Place<'c> {
    command: &'c Command,
    /// The option whose value comes next.
    awaits: Option<&'c Arg>,
    /// How many arguments without a name there have been.
    count: usize,
    /// Behind `--`, where another program's arguments are.
    is_foreign: bool,
}

impl<'c> Place<'c> {
    fn pass(&mut self, word: &str) {
        if word == "=" {
            return;
        }
        if self.awaits.take().is_some() || self.is_foreign {
            return;
        }
        if word == "--" {
            self.is_foreign = true;
        } else if let Some(option) = word.strip_prefix("--") {
            let known = self.command.get_arguments().find(|arg| arg.get_long() == Some(option));
            self.awaits = known.filter(|arg| arg.get_action().takes_values());
        } else if let Some(inner) = self.command.find_subcommand(word) {
            (self.command, self.count) = (inner, 0);
        } else if !word.starts_with('-') {
            self.count += 1;
        }
    }

    fn words(&self, last: &str, names: &dyn Fn(&str) -> Vec<Word>) -> Vec<Word> {
        if self.is_foreign {
            return Vec::new();
        }
        if let Some(option) = self.awaits {
            return values(option, names);
        }
        if let Some((option, _)) = last.strip_prefix("--").and_then(|option| option.split_once('=')) {
            let known = self.command.get_arguments().find(|arg| arg.get_long() == Some(option));
            let values = known.map(|arg| values(arg, names)).unwrap_or_default();
            let whole = |word: Word| Word::new(format!("--{option}={}", word.text), word.meaning);
            return values.into_iter().map(whole).collect();
        }
        if last.starts_with('-') {
            return self.options();
        }
        let inner = self.command.get_subcommands().filter(|inner| !inner.is_hide_set());
        let inner = inner.map(|inner| Word::new(inner.get_name(), about(inner.get_about())));
        let here = self.command.get_positionals().nth(self.count).filter(|arg| !arg.is_hide_set());
        inner.chain(here.map(|arg| values(arg, names)).unwrap_or_default()).collect()
    }

    fn options(&self) -> Vec<Word> {
        let shown = self.command.get_arguments().filter(|arg| !arg.is_hide_set());
        let named = shown.filter_map(|arg| Some(Word::new(format!("--{}", arg.get_long()?), about(arg.get_help()))));
        named.chain([Word::new("--help", "Print help")]).collect()
    }
}

fn values(arg: &Arg, names: &dyn Fn(&str) -> Vec<Word>) -> Vec<Word> {
    let possible = arg.get_possible_values();
    if possible.is_empty() {
        let places = arg.get_value_names().unwrap_or_default();
        return places.iter().flat_map(|place| names(place)).collect();
    }
    let shown = possible.iter().filter(|value| !value.is_hide_set());
    shown.map(|value| Word::new(value.get_name(), about(value.get_help()))).collect()
}

fn about(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::help::command_line;

    fn found(typed: &str) -> Vec<String> {
        let typed: Vec<_> = typed.split(' ').map(str::to_owned).collect();
        let names = |place: &str| match place {
            "PRESET" => vec![Word::new("github", ""), Word::new("google", "")],
            _ => Vec::new(),
        };
        candidates(&command_line(), &typed, names).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn commands_options_and_names_are_completed_as_far_as_they_are_typed() {
        for (typed, expected) in [
            ("pro", &["providers"][..]),
            ("providers g", &["github", "google"]),
            ("providers gi", &["github"]),
            ("providers github g", &[]),
            ("providers --json gi", &["github"]),
            ("store re", &["rekey"]),
            ("store forget --con", &["--config", "--connection"]),
            ("check --config prox", &[]),
            ("check --config = prox", &[]),
            ("check --config proxy.toml --js", &["--json"]),
            ("completions z", &["zsh"]),
            ("completions w", &[]),
            ("serve -", &["--config", "--help"]),
            ("serve -- --con", &[]),
            ("nonsense x", &[]),
        ] {
            assert_eq!(found(typed), expected, "{typed}");
        }
    }
}
