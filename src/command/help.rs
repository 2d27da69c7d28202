//! What `--help` and the manual say beyond the arguments: examples first, since most who ask for help want to see one.

use clap::builder::StyledStr;
use clap::{Command, CommandFactory};

use super::Arguments;

/// Examples before everything else.
const TEMPLATE: &str = "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

/// By the names of a command. A test parses each line and wants one for every command there is.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "",
        "idp-proxy dev                             try everything on this machine, no account needed
idp-proxy login                           log in to it, to call providers from this shell
idp-proxy curl github /user               call GitHub through it
idp-proxy check                           find every fault in proxy.toml
idp-proxy explain GET /proxy/github/user  what becomes of it, and why
idp-proxy providers github                show what is known of GitHub
idp-proxy serve --config proxy.toml       run the proxy",
    ),
    ("serve", "idp-proxy serve\nidp-proxy serve --config /etc/idp-proxy/proxy.toml"),
    (
        "dev",
        "idp-proxy dev --once                    make one call and tell whether it worked
idp-proxy dev --fault revoked=google    see what a dead grant looks like
idp-proxy dev --tenant-only world       the tenant alone, for a `serve` of your own",
    ),
    (
        "providers",
        "idp-proxy providers                     every preset there is
idp-proxy providers github              one of them, to be pasted into proxy.toml",
    ),
    ("store", "idp-proxy store list\nidp-proxy store forget --subject 'github|583231'"),
    ("store keygen", "export IDP_PROXY_STORE_KEY=\"$(idp-proxy store keygen)\""),
    ("store list", "idp-proxy store list\nidp-proxy store list --json"),
    (
        "store forget",
        "idp-proxy store forget --subject 'github|583231'
idp-proxy store forget --connection bitbucket",
    ),
    ("store rekey", "idp-proxy store rekey --config proxy.toml"),
    (
        "check",
        "idp-proxy check
idp-proxy check --online                                    ask the tenant and the providers too
idp-proxy check --config /etc/idp-proxy/proxy.toml --json",
    ),
    (
        "explain",
        "idp-proxy explain GET /proxy/github/user
idp-proxy explain POST /proxy/github/repos/acme/tools/issues --token-file alice",
    ),
    (
        "login",
        "idp-proxy login                                    at the proxy of this folder's proxy.toml, or a local one
idp-proxy login --proxy https://proxy.example.com --device",
    ),
    ("logout", "idp-proxy logout\nidp-proxy logout --all"),
    ("token", "curl -H \"Authorization: Bearer $(idp-proxy token)\" http://127.0.0.1:8080/connections"),
    (
        "curl",
        "idp-proxy curl github /user
idp-proxy curl github /repos/acme/tools/issues -- -s -d @issue.json",
    ),
    ("curlrc", "idp-proxy curlrc | curl -K - http://127.0.0.1:8080/proxy/github/user"),
    ("console", "idp-proxy console\nxdg-open \"$(idp-proxy console --config /etc/idp-proxy/proxy.toml)\""),
    (
        "completions",
        "source <(idp-proxy completions bash)                                        in ~/.bashrc
source <(idp-proxy completions zsh)                                         in ~/.zshrc, after compinit
idp-proxy completions fish > ~/.config/fish/completions/idp-proxy.fish      once",
    ),
    ("man", "idp-proxy man | man -l -\nidp-proxy man > ~/.local/share/man/man1/idp-proxy.1"),
    ("schema", "idp-proxy schema > proxy.schema.json"),
];

/// What a process's exit code means.
pub(super) const EXIT_CODES: [(u8, &str); 5] = [
    (0, "done"),
    (1, "failed while running"),
    (2, "bad usage or configuration"),
    (4, "login needed"),
    (5, "proxy, tenant or provider out of reach"),
];

/// The command line as it is parsed and shown.
pub(super) fn command_line() -> Command {
    let codes: Vec<_> = EXIT_CODES.iter().map(|(code, meaning)| format!("{code} {meaning}")).collect();
    with_examples(Arguments::command(), "").after_help(format!("Exit codes: {}.", codes.join(", ")))
}

fn with_examples(command: Command, names: &str) -> Command {
    let examples = EXAMPLES.iter().find(|(of, _)| *of == names).map(|(_, lines)| shown(lines));
    let command = command.help_template(TEMPLATE).before_help(examples.unwrap_or_default());
    command.mut_subcommands(|inner| {
        let names = format!("{names} {}", inner.get_name());
        with_examples(inner, names.trim_start())
    })
}

fn shown(lines: &str) -> StyledStr {
    let indented: Vec<_> = lines.lines().map(|line| format!("  {line}")).collect();
    StyledStr::from(format!("Examples:\n{}", indented.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of an example, its comment left off: two spaces stand before one.
    fn words(example: &str) -> Vec<String> {
        let command = example.split_once("  ").map_or(example, |(command, _)| command);
        let start = command.find("idp-proxy").unwrap();
        let end = command[start..].find([')', '|', '>']).map_or(command.len(), |end| start + end);
        command[start..end].split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect()
    }

    fn every_command(command: &Command, names: &str, found: &mut Vec<String>) {
        found.push(names.to_owned());
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            every_command(inner, format!("{names} {}", inner.get_name()).trim_start(), found);
        }
    }

    #[test]
    fn every_command_has_examples_and_they_are_commands() {
        let mut commands = Vec::new();
        every_command(&Arguments::command(), "", &mut commands);
        let mut shown: Vec<_> = EXAMPLES.iter().map(|(names, _)| (*names).to_owned()).collect();
        commands.sort();
        shown.sort();
        assert_eq!(commands, shown);
        for (names, lines) in EXAMPLES {
            for line in lines.lines() {
                let words = words(line);
                assert!(words[1..].join(" ").starts_with(names), "{line} is no example of {names}");
                if let Err(error) = command_line().try_get_matches_from(words) {
                    panic!("{line}: {error}");
                }
            }
        }
    }
}
