//! The command line: what it says about itself, and `check`.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::child::{folder, idp_proxy};

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    finished(idp_proxy(arguments).output().unwrap())
}

fn finished(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn help_lists_the_commands_and_shows_examples() {
    let (code, help, errors) = run(&["--help"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    for piece in ["serve", "dev", "check", "providers", "login", "Examples:", "idp-proxy dev", "Exit codes:", "5 proxy"]
    {
        assert!(help.contains(piece), "no {piece} in\n{help}");
    }
    for command in ["serve", "dev", "check", "providers", "login", "logout", "token", "curl", "curlrc"] {
        let (code, help, _) = run(&[command, "--help"]);
        assert_eq!(code, Some(0));
        assert!(help.contains("Usage: idp-proxy"), "{help}");
    }
}

#[test]
fn version_is_that_of_the_package() {
    assert_eq!(run(&["--version"]), (Some(0), format!("idp-proxy {}\n", env!("CARGO_PKG_VERSION")), String::new()));
}

#[test]
fn an_unknown_command_or_flag_is_bad_usage_and_the_nearest_is_named() {
    for (arguments, hint) in [(&["serv"][..], "serve"), (&["check", "--jsn"], "--json"), (&["dev", "--onse"], "--once")]
    {
        let (code, out, errors) = run(arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(errors.contains(hint), "no {hint} in\n{errors}");
    }
}

/// `check` of a file with this text.
fn check(text: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let folder = folder();
    std::fs::write(folder.join("proxy.toml"), text).unwrap();
    let mut command = idp_proxy(&["check"]);
    let output = command.args(more).current_dir(&folder).output().unwrap();
    let _ = std::fs::remove_dir_all(folder);
    finished(output)
}

const GOOD: &str = "[auth0]\ndomain = \"acme.eu.auth0.com\"\naudience = \"https://proxy.example.com\"\nclient_id = \"id\"\n\
                    client_secret = \"hunter2\"\n[providers.github]\n[providers.google]\n";

#[test]
fn check_of_a_good_file_says_so_on_stdout() {
    let expected = "proxy.toml: no faults. 2 providers: github, google\n".to_owned();
    assert_eq!(check(GOOD, &[]), (Some(0), expected, String::new()));
    assert_eq!(check(GOOD, &["--json"]), (Some(0), "[]\n".to_owned(), String::new()));
}

#[test]
fn check_tells_all_faults_on_stdout_and_ends_with_2() {
    let bad = GOOD.replace("domain", "domian").replace("[providers.google]", "[providers.google]\nallow = 7");
    let (code, out, errors) = check(&bad, &[]);
    assert_eq!((code, errors.as_str()), (Some(2), ""), "{out}");
    assert!(out.contains("proxy.toml:2:1: error:") && out.contains("proxy.toml:8:9: error:"), "{out}");
    assert!(!out.contains('\u{1b}'), "colour in a pipe: {out}");

    let (code, out, _) = check(&bad, &["--json"]);
    assert_eq!(code, Some(2));
    let faults: serde_json::Value = serde_json::from_str(&out).unwrap();
    for fault in faults.as_array().unwrap() {
        let members: Vec<_> = fault.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["code", "column", "file", "hint", "key", "line", "message"], "{fault}");
        assert_eq!(fault["file"], "proxy.toml");
    }
    let lines: Vec<_> = faults.as_array().unwrap().iter().map(|fault| fault["line"].as_u64()).collect();
    assert!(lines.contains(&Some(2)) && lines.contains(&Some(8)), "{out}");
}

#[test]
fn check_of_a_missing_file_ends_with_2_and_names_it() {
    let (code, out, _) = run(&["check", "--config", "no/such.toml"]);
    assert_eq!(code, Some(2));
    assert!(out.contains("no/such.toml"), "{out}");
}

#[test]
fn the_shipped_file_is_good_once_its_secrets_are_there() {
    const SECRETS: [&str; 2] = ["AUTH0_CLIENT_SECRET", "GOOGLE_CLIENT_SECRET"];
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("proxy.toml");
    let check = |mut command: Command| finished(command.args(["check", "--config"]).arg(&shipped).output().unwrap());
    let mut with_secrets = idp_proxy(&[]);
    with_secrets.envs(SECRETS.map(|name| (name, "hunter2")));
    assert_eq!(check(with_secrets).0, Some(0));
    let mut without = idp_proxy(&[]);
    for name in SECRETS {
        without.env_remove(name);
    }
    let (code, out, _) = check(without);
    assert_eq!(code, Some(2));
    assert!(SECRETS.iter().all(|name| out.contains(name)), "{out}");
}

#[test]
fn check_that_cannot_write_its_answer_failed() {
    let folder = folder();
    std::fs::write(folder.join("proxy.toml"), GOOD).unwrap();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = idp_proxy(&["check"]).current_dir(&folder).stdout(full).status().unwrap();
    assert_eq!(status.code(), Some(1));
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn providers_lists_the_catalogue_for_people_and_for_programs() {
    let (code, table, errors) = run(&["providers"]);
    assert_eq!((code, &*errors), (Some(0), ""));
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.split("  ").filter(|cell| !cell.is_empty()).collect()).collect();
    assert!(rows.iter().all(|row| row.len() == 5), "{table}");
    let trimmed = |row: &[&str]| row.iter().map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows: Vec<_> = rows.iter().map(|row| trimmed(row)).collect();
    for row in [
        ["NAME", "CONNECTION", "BASE URL", "RENEWED", "ROTATES"],
        ["bitbucket", "bitbucket", "https://api.bitbucket.org/2.0", "yes", "yes"],
        ["github", "github", "https://api.github.com", "no", "-"],
        ["gmail", "google-oauth2", "https://gmail.googleapis.com", "yes", "no"],
        ["microsoft-china", "(yours)", "https://microsoftgraph.chinacloudapi.cn", "yes", "no"],
        ["shopify", "shopify", "https://{shop}.myshopify.com", "yes", "yes"],
    ] {
        assert!(rows.iter().any(|found| found == &row), "no {row:?} in\n{table}");
    }

    let (code, out, _) = run(&["providers", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&out).unwrap();
    let list = list.as_array().unwrap();
    assert_eq!((code, list.len()), (Some(0), rows.len() - 1));
    let of = |name: &str| list.iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(
        *of("sharepoint"),
        serde_json::json!({
            "name": "sharepoint", "connection": "sharepoint", "base_url": "https://{tenant}.sharepoint.com",
            "renewed": true, "rotates": false,
        })
    );
    assert_eq!((&of("github")["renewed"], &of("github")["rotates"]), (&false.into(), &serde_json::Value::Null));
}

#[test]
fn a_preset_is_printed_in_full_and_can_be_pasted() {
    let (code, preset, errors) = run(&["providers", "google"]);
    assert_eq!((code, &*errors), (Some(0), ""));
    assert!(preset.starts_with("# ") && preset.contains("base_url = \"https://www.googleapis.com\""), "{preset}");
    let pasted = format!("{GOOD}\n[providers.drive]\n{preset}\nclient_id = \"id\"\nclient_secret = \"hunter2\"\n");
    let praise = "proxy.toml: no faults. 3 providers: drive, github, google\n".to_owned();
    assert_eq!(check(&pasted, &[]), (Some(0), praise, String::new()));

    let (code, keys, _) = run(&["providers", "google", "--json"]);
    let keys: serde_json::Value = serde_json::from_str(&keys).unwrap();
    assert_eq!((code, &keys["connection"], &keys["rotates"]), (Some(0), &"google-oauth2".into(), &false.into()));
    assert_eq!(keys["expired_when"][0], serde_json::json!({ "status": 401, "means": "expired" }));
}

#[test]
fn an_unknown_preset_is_bad_usage_and_the_nearest_is_named() {
    for arguments in [&["providers", "gitub"][..], &["providers", "gitub", "--json"]] {
        let (code, out, errors) = run(arguments);
        assert_eq!((code, &*out), (Some(2), ""));
        assert_eq!(
            errors,
            "error: there is no preset `gitub`; did you mean `github`? (`idp-proxy providers` lists them)\n"
        );
    }
    let (code, _, errors) = run(&["providers", "\u{1b}[2J"]);
    assert_eq!(code, Some(2));
    assert!(!errors.contains('\u{1b}'), "{errors:?}");
}
