//! Every command's output, word for word: what changes here changes for whoever reads it.

use std::path::Path;
use std::process::Command;

use crate::support::child::{BINARY, folder};
use crate::support::transcript::check;

#[test]
fn help() {
    check("help", &[]);
}

#[test]
fn mistakes() {
    check("mistakes", &[]);
}

#[test]
fn check_of_a_configuration() {
    check("check", &[]);
}

#[test]
fn providers() {
    check("providers", &[]);
}

#[test]
fn store() {
    check("store", &[]);
}

#[test]
fn completions() {
    check("completions", &[]);
}

#[test]
fn manual_and_schema() {
    check("man", &[]);
}

/// A file half written, with keys that a shell would run if it expanded them.
const PROXY_TOML: &str = r#"
[providers.intranet]
[providers."$(touch${IFS}run)"]
[providers."int$(touch${IFS}run)"]
[providers."int`touch${IFS}run`"]
[providers.github]
[server
"#;

/// The names that a shell offers by the script for it.
fn offered(shell: &str, script: &str) -> Vec<String> {
    let folder = folder();
    std::fs::write(folder.join("proxy.toml"), PROXY_TOML).unwrap();
    let binaries = Path::new(BINARY).parent().unwrap().display().to_string();
    let path = format!("{binaries}:/usr/local/bin:/usr/bin:/bin");
    let output = Command::new(shell).args(["-c", script]).env("PATH", path).current_dir(&folder).output();
    let output = output.unwrap_or_else(|error| panic!("{shell}: {error}; tests/run installs it"));
    let has_run = folder.join("run").exists();
    let _ = std::fs::remove_dir_all(folder);
    assert!(!has_run, "{shell} ran what stands in a file");
    let (out, told) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert_eq!(told, "", "{shell}");
    out.lines().map(str::to_owned).collect()
}

/// What each shell is asked, and what it must offer.
const TYPED: [(&str, &[&str]); 4] = [
    ("idp-proxy comp", &["completions"]),
    ("idp-proxy store forget --con", &["--config", "--connection"]),
    ("idp-proxy providers bit", &["bitbucket"]),
    ("idp-proxy curl int", &["intranet"]),
];

#[test]
fn bash_completes() {
    for (typed, expected) in TYPED {
        let script = format!(
            "source <(idp-proxy completions bash); COMP_WORDS=({typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _idp_proxy; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        assert_eq!(offered("bash", &script), expected, "{typed}");
    }
}

#[test]
fn bash_runs_nothing_that_it_is_offered() {
    let script = "source <(idp-proxy completions bash); idp-proxy() { printf '%s\\n' '$(touch${IFS}run)'; }; \
                  COMP_WORDS=(idp-proxy curl ''); COMP_CWORD=2; _idp_proxy; printf '%s\\n' \"${COMPREPLY[@]}\"";
    assert_eq!(offered("bash", script), ["$(touch${IFS}run)"]);
}

#[test]
fn zsh_completes() {
    for (typed, expected) in TYPED {
        // What the completion system is handed, rather than the menu that it draws.
        let script = format!(
            "compdef() {{ }}; _files() {{ print FILES }}; _describe() {{ print -l -- ${{(@P)2}} }}; \
             source <(idp-proxy completions zsh); words=({typed}); CURRENT=$#words; _idp_proxy"
        );
        let offered = offered("zsh", &script);
        let names: Vec<_> = offered.iter().map(|line| line.split(':').next().unwrap()).collect();
        // zsh takes what begins as it is typed by itself.
        assert_eq!(names, expected, "{typed}");
    }
}

#[test]
fn fish_completes() {
    for (typed, expected) in TYPED {
        let script = format!("idp-proxy completions fish | source; complete -C '{typed}'");
        let offered = offered("fish", &script);
        let names: Vec<_> = offered.iter().map(|line| line.split('\t').next().unwrap()).collect();
        assert_eq!(names, expected, "{typed}");
    }
}

#[test]
fn groff_sets_the_manual_without_a_warning() {
    let output = Command::new("bash")
        .args(["-c", &format!("'{BINARY}' man | groff -man -Tutf8 -P-cbu -ww -rLL=100n")])
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    for piece in ["EXAMPLES", "idp-proxy store forget", "EXIT STATUS", "--config CONFIG"] {
        assert!(page.contains(piece), "no {piece} in\n{page}");
    }
}

#[test]
fn colour_is_for_terminals_and_never_against_no_color() {
    // script(1) gives a terminal to what it runs.
    let shown = |env: &str, arguments: &str| {
        let script = format!("{env} '{BINARY}' {arguments}");
        let output =
            Command::new("script").args(["-qec", &script, "/dev/null"]).env_remove("NO_COLOR").output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for arguments in ["check --config missing.toml", "--help", "chekc", "serve --config missing.toml"] {
        let (plain, coloured) = (shown("NO_COLOR=1", arguments), shown("", arguments));
        assert!(coloured.contains("\u{1b}["), "{arguments}: {coloured}");
        assert!(!plain.contains("\u{1b}["), "{arguments}: {plain}");
        let piped = shown("CLICOLOR_FORCE=1", &format!("{arguments} 2>&1 | cat"));
        assert!(!piped.contains("\u{1b}["), "{arguments}: {piped}");
    }
}
