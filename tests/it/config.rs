//! `proxy.toml` is read as documented, and all its faults are told at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use idp_proxy::config::fault::{Code, Fault};
use idp_proxy::config::{Config, Faults, LogFormat};
use proptest::prelude::*;

mod audiences;
mod connect;
mod connections;
mod expired_when;
mod providers;
mod renewal;
mod revocation;
mod secrets;
mod shipped;
mod store;
mod tls;
mod vault;

/// The shortest file that has no faults.
const MINIMAL: &str = r#"
[auth0]
domain = "acme.eu.auth0.com"
audience = "https://proxy.example.com"
client_id = "id"
client_secret = "hunter2"

[providers.github]
"#;

fn env() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("AUTH0_CLIENT_SECRET", "from the environment"),
        ("GOOGLE_CLIENT_SECRET", "from the environment too"),
        ("EMPTY", ""),
    ])
}

fn read(text: &str) -> Result<Config, Faults> {
    Config::parse(text, Path::new("proxy.toml"), &env())
}

fn config(text: &str) -> Config {
    read(text).unwrap_or_else(|faults| panic!("{faults}"))
}

/// The file with `lines` in place of the line of `[auth0]` that begins with `key`.
fn with_auth0(key: &str, lines: &str) -> String {
    let kept = MINIMAL.lines().filter(|line| key.is_empty() || !line.starts_with(&format!("{key} =")));
    kept.collect::<Vec<_>>().join("\n").replace("[auth0]", &format!("[auth0]\n{lines}"))
}

fn faults(text: &str) -> Faults {
    match read(text) {
        Err(faults) => faults,
        Ok(_) => panic!("no faults in {text}"),
    }
}

/// The first lines of all faults, which say place and message.
fn headlines(text: &str) -> Vec<String> {
    let rendered = faults(text).to_string();
    rendered.lines().filter(|line| line.starts_with("proxy.toml")).map(str::to_owned).collect()
}

/// The one fault there is.
fn the_fault(text: &str) -> Fault {
    let faults = faults(text);
    assert_eq!(faults.as_slice().len(), 1, "{faults}");
    faults.as_slice()[0].clone()
}

/// A folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("config").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn the_shortest_file_gets_every_default() {
    let config = config(MINIMAL);
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.admin_listen.to_string(), "127.0.0.1:9090");
    assert_eq!(config.server.public_url, None);
    assert_eq!(config.auth0.issuers, ["https://acme.eu.auth0.com/"]);
    assert_eq!(config.auth0.base_url.to_string(), "https://acme.eu.auth0.com");
    assert_eq!(config.auth0.recheck, Duration::from_secs(600));
    assert_eq!(config.auth0.management_rps, None);
    assert_eq!(config.limits.request_head_bytes, 65_536);
    assert_eq!(config.limits.idle_timeout, Duration::from_secs(300));
    assert_eq!(config.telemetry.log_format, LogFormat::Auto);
    assert!(config.telemetry.access_log);
    assert!(config.cors.origins.is_empty());
    assert_eq!(config.files, [PathBuf::from("proxy.toml")]);
}

#[test]
fn a_file_with_faults_of_all_kinds_has_all_of_them_told() {
    let text = r#"[server]
lisen = "127.0.0.1:8080"
workers = "four"
public_url = "https://proxy.example.com/"

[auth0]
domain = "https://acme.eu.auth0.com"
client_id = "id"
client_secret = { env = "NOT_SET" }
issuers = ["https://a.example/", "https://a.example/", "https://b.example"]
recheck = "10 minutes"

[providers.GitHub]
connection = "github"
base_url = "http://api.github.com"

[providers.githb]
allow = ["GET /x", "/y", "get /z"]

[cors]
origins = ["*"]
what is this

[limit]

[limits]
tokens = 0
drain = 
"#;
    assert_eq!(
        headlines(text),
        [
            "proxy.toml:2:1: error: unknown key `lisen` in [server]; did you mean `listen`?",
            "proxy.toml:3:11: error: `workers` must be a whole number, not a string",
            "proxy.toml:4:14: error: `public_url` must be an origin: scheme://host[:port]",
            "proxy.toml:6:1: error: missing key `audience` in [auth0]",
            "proxy.toml:7:10: error: `domain` must be a host name alone",
            "proxy.toml:9:17: error: `client_secret` needs the environment variable NOT_SET, which is not set",
            "proxy.toml:10:34: error: `issuers[1]` stands in the list twice",
            "proxy.toml:10:56: error: `issuers[2]` must end in a slash",
            "proxy.toml:11:11: error: `recheck` must be a duration: a whole number and one unit",
            "proxy.toml:13:12: error: a provider's name must be [a-z0-9][a-z0-9-]{0,62}: it is a part of URLs",
            "proxy.toml:15:12: error: `base_url` must be https",
            "proxy.toml:17:1: error: missing key `connection` in [providers.githb]",
            "proxy.toml:17:1: error: missing key `base_url` in [providers.githb]",
            "proxy.toml:17:1: error: missing key `token_url` in [providers.githb]",
            "proxy.toml:18:20: error: `allow[1]` must name the methods it allows",
            "proxy.toml:18:26: error: `allow[2]` must name its methods in upper case, separated by commas alone",
            "proxy.toml:21:12: error: `origins[0]` must be an origin, not `*`",
            "proxy.toml:22:6: error: key with no value, expected `=`",
            "proxy.toml:24:2: error: unknown table [limit]; did you mean [limits]?",
            "proxy.toml:27:10: error: `tokens` must be between 1 and 4294967295",
            "proxy.toml:28:9: error: string values must be quoted, expected literal string",
        ]
    );
}

#[test]
fn an_unknown_key_is_shown_with_the_nearest_one_and_all_others() {
    let text = format!("[server]\nadmin-listen = \"127.0.0.1:0\"\n{MINIMAL}");
    assert_eq!(
        faults(&text).to_string(),
        "proxy.toml:2:1: error: unknown key `admin-listen` in [server]; did you mean `admin_listen`?\n  \
           |\n\
         2 | admin-listen = \"127.0.0.1:0\"\n  \
           | ^^^^^^^^^^^^\n\
         help: known keys: `listen`, `admin_listen`, `tls`, `public_url`, `workers`, `name`\n"
    );
}

#[test]
fn keys_of_later_versions_are_unknown() {
    for (table, key) in [("server", "quic"), ("providers.google", "http")] {
        let fault = the_fault(&format!("{MINIMAL}\n[{table}]\n{key} = 1\n"));
        assert_eq!((fault.code, fault.key.as_deref()), (Code::UnknownKey, Some(&*format!("{table}.{key}"))));
    }
    assert_eq!(the_fault(&format!("{MINIMAL}\n[console]\n")).message, "unknown table [console]");
}

#[test]
fn a_file_that_is_not_there_is_a_fault_without_a_line() {
    let faults = Config::load(Path::new("nowhere/proxy.toml"), &env()).unwrap_err();
    assert_eq!(faults.as_slice()[0].code, Code::Unreadable);
    assert_eq!(faults.as_slice()[0].line, None);
    assert!(faults.to_string().starts_with("nowhere/proxy.toml: error: cannot be read: "), "{faults}");
}

#[test]
fn an_empty_file_lacks_a_tenant_and_a_provider() {
    assert_eq!(
        headlines(""),
        ["proxy.toml: error: the table [auth0] is missing", "proxy.toml: error: the table [providers] is missing"]
    );
    assert_eq!(
        headlines(&MINIMAL.replace("[providers.github]", "[providers]")),
        ["proxy.toml:8:1: error: [providers] has no provider"]
    );
}

#[test]
fn what_a_broken_line_may_hide_is_not_called_missing() {
    assert_eq!(headlines(&MINIMAL.replace("domain = ", "domain ")).len(), 1);
    assert_eq!(headlines(&MINIMAL.replace("[auth0]", "[auth0")).len(), 1);
    assert_eq!(headlines(&MINIMAL.replace("[providers.github]", "[providers.github")).len(), 1);
}

#[test]
fn a_table_that_is_no_table_is_told_once() {
    assert_eq!(
        headlines("auth0 = 1\nproviders = 2\n"),
        ["proxy.toml:1:9: error: [auth0] must be a table", "proxy.toml:2:13: error: [providers] must be a table"]
    );
}

#[test]
fn a_table_given_twice_is_a_fault_at_the_second() {
    let headlines = headlines(&format!("{MINIMAL}\n[auth0]\n"));
    assert_eq!(headlines, ["proxy.toml:10:2: error: duplicate key"]);
}

#[test]
fn a_simulated_tenant_is_on_loopback_and_issues_under_its_own_name() {
    let config = config(&with_auth0("", "base_url = \"http://127.0.0.1:4400\""));
    assert_eq!(config.auth0.base_url.to_string(), "http://127.0.0.1:4400");
    assert_eq!(config.auth0.issuers, ["http://127.0.0.1:4400/"]);
    for elsewhere in ["https://acme.eu.auth0.com", "http://10.0.0.1", "https://127.0.0.1.example.com"] {
        let fault = the_fault(&with_auth0("", &format!("base_url = \"{elsewhere}\"")));
        assert_eq!(fault.message, "`base_url` must be on loopback");
    }
}

#[test]
fn no_issuer_at_all_is_a_fault() {
    assert_eq!(the_fault(&with_auth0("", "issuers = []")).message, "`issuers` must have an issuer");
}

#[test]
fn a_custom_domain_is_one_more_issuer() {
    let config = config(&with_auth0("", "issuers = [\"https://acme.eu.auth0.com/\", \"https://login.acme.com/\"]"));
    assert_eq!(config.auth0.issuers, ["https://acme.eu.auth0.com/", "https://login.acme.com/"]);
}

#[test]
fn callers_and_administration_have_different_addresses() {
    let fault = the_fault(&format!("{MINIMAL}\n[server]\nlisten = \"127.0.0.1:9090\"\n"));
    assert_eq!(fault.key.as_deref(), Some("server.listen"));
    config(&format!("{MINIMAL}\n[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_without_a_panic_and_blamed_within_its_lines(
        text in prop_oneof![
            "\\PC{0,200}",
            "(\\[|\\]|\\{|\\}|=|\"|'|\\.|,|#|\n|\r\n|\t| |é|1|auth0|providers|github|client_secret|issuers|server|base_url|allow|headers|https://a){0,60}",
            Just(MINIMAL.to_owned()),
        ],
        cut in 0..200usize,
        put in "(\\[|\\]|\\{|\\}|=|\"|'|\n|\\PC){0,4}",
    ) {
        let at = text.char_indices().map(|(index, _)| index).nth(cut).unwrap_or(text.len());
        let text = format!("{}{put}{}", &text[..at], &text[at..]);
        if let Err(faults) = read(&text) {
            prop_assert!(!faults.as_slice().is_empty());
            let lines = text.split('\n').count();
            for fault in faults.as_slice() {
                prop_assert!(fault.line.is_none_or(|line| (1..=lines).contains(&line)), "{:?}", fault);
                prop_assert!(fault.column != Some(0), "{:?}", fault);
            }
            prop_assert!(!faults.render(true).is_empty());
            prop_assert!(faults.to_json().is_array());
        }
    }
}
