//! What the tables on one connection share: its source and its client.

use idp_proxy::config::fault::Code;
use idp_proxy::config::{Renewal, Source};

use super::*;

const GMAIL: &str = "[providers.gmail]\nconnection = \"google-oauth2\"\nbase_url = \"https://gmail.googleapis.com\"\n";
const CLIENT: &str = "client_id = \"id\"\nclient_secret = \"hunter2\"\n";

/// How the provider `name` is renewed where `tables` follow on the shortest file.
fn renewal(name: &str, tables: &str) -> Option<Renewal> {
    config(&format!("{MINIMAL}{tables}")).providers[name].renewal.clone()
}

#[test]
fn tokens_come_from_where_the_table_says() {
    let source = |line: &str| config(&format!("{MINIMAL}{line}\n")).providers["github"].source;
    assert_eq!(source(""), Source::Auto);
    assert_eq!(source("source = \"auto\""), Source::Auto);
    assert_eq!(source("source = \"identities\""), Source::Identities);
    assert_eq!(source("source = \"token_vault\""), Source::TokenVault);
    let fault = the_fault(&format!("{MINIMAL}source = \"vault\"\n"));
    assert_eq!(fault.message, "`source` must be \"auto\", \"identities\" or \"token_vault\"");
}

#[test]
fn tables_on_one_connection_have_one_source() {
    let google = "[providers.google]\nsource = \"token_vault\"\n";
    for tables in [format!("{google}{GMAIL}"), format!("{GMAIL}{google}")] {
        assert_eq!(config(&format!("{MINIMAL}{tables}")).providers["gmail"].source, Source::TokenVault);
    }
    let text = format!("{MINIMAL}{google}{GMAIL}source = \"identities\"\n{CLIENT}");
    assert_eq!(
        faults(&text).to_string(),
        "proxy.toml:14:10: error: `source` is not that of [providers.google], which has the same connection \
         (proxy.toml:10)\n   \
            |\n\
         10 | source = \"token_vault\"\n   \
            |          -------------\n\
         ...\n\
         14 | source = \"identities\"\n   \
            |          ^^^^^^^^^^^^\n\
         help: what one table says holds for all on its connection: leave the key out of one of the two\n"
    );
}

#[test]
fn nothing_is_renewed_here_of_what_token_vault_holds() {
    let vault = "source = \"token_vault\"\n";
    // It rotates, and needs no store: Auth0 keeps what comes.
    let bitbucket = config(&format!("{MINIMAL}[providers.bitbucket]\n{vault}")).providers["bitbucket"].clone();
    assert_eq!((bitbucket.source, bitbucket.renewal), (Source::TokenVault, None));
    // Nor does anything come of the other keys.
    let fault = the_fault(&format!("{MINIMAL}{vault}scope = \"a\"\nrotates = true\n"));
    assert!(fault.message.starts_with("nothing comes of `scope`, `rotates` beside source"), "{}", fault.message);
    // Beside the client, and beside that of another table on the connection.
    for tables in
        [format!("[providers.google]\n{CLIENT}{vault}"), format!("{GMAIL}{vault}[providers.google]\n{CLIENT}")]
    {
        let fault = the_fault(&format!("{MINIMAL}{tables}"));
        let told = "nothing comes of `client_id`, `client_secret` beside source = \"token_vault\": there Auth0 renews, \
                    with its own client (proxy.toml:12)";
        assert_eq!((fault.code, &*fault.message), (Code::Conflict, told));
    }
}

#[test]
fn what_one_table_says_about_renewal_holds_for_all() {
    let google = format!("[providers.google]\n{CLIENT}refresh_params = {{ a = \"b\" }}\n");
    let gmail = format!("{GMAIL}scope = \"s\"\nlifetime = \"5m\"\n");
    // Whichever of the two comes first, and whichever of them says it.
    for tables in [format!("{google}{gmail}"), format!("{gmail}{google}")] {
        let renewal = |name| renewal(name, &tables).unwrap();
        assert_eq!(renewal("gmail").url, "https://oauth2.googleapis.com/token");
        assert_eq!(renewal("gmail").params, [("a".to_owned(), "b".to_owned())]);
        assert_eq!(renewal("google").scope.as_deref(), Some("s"));
        assert_eq!(renewal("google").lifetime, Some(Duration::from_secs(300)));
        assert_eq!(renewal("gmail"), renewal("google"));
    }
    // A table's own word goes before a preset's, even that of an earlier table.
    let gmail_says = format!("[providers.google]\n{GMAIL}{CLIENT}token_url = \"https://other.example/token\"\n");
    assert_eq!(renewal("google", &gmail_says).unwrap().url, "https://other.example/token");
    assert_eq!(renewal("google", &gmail_says), renewal("gmail", &gmail_says));
}

#[test]
fn tables_that_say_different_things_about_renewal_are_told_both_lines() {
    let google = format!("{MINIMAL}[providers.google]\n{CLIENT}scope = \"a\"\nrotates = false\n");
    let told = |lines: &str| headlines(&format!("{google}{GMAIL}{lines}"));
    let differs = |at: &str, key: &str, line| {
        let whose = "[providers.google], which has the same connection";
        format!("proxy.toml:{at}: error: `{key}` is not that of {whose} (proxy.toml:{line})")
    };
    assert_eq!(told("scope = \"b\"\n"), [differs("17:9", "scope", 12)]);
    // That another client has another secret is no news.
    assert_eq!(told("client_id = \"other\"\nclient_secret = \"other\"\n"), [differs("17:13", "client_id", 10)]);
    assert_eq!(told("client_id = \"id\"\nclient_secret = \"other\"\n"), [differs("18:17", "client_secret", 11)]);
    assert_eq!(
        told("rotates = true\nclient_id = \"other\"\n"),
        [differs("17:11", "rotates", 13), differs("18:13", "client_id", 10)]
    );
    config(&format!("{google}{GMAIL}{CLIENT}scope = \"a\"\n"));
}

#[test]
fn a_fault_of_a_shared_key_is_told_once() {
    let missing = format!("{MINIMAL}[providers.google]\nclient_id = \"id\"\nclient_secret.env = \"NOT_SET\"\n{GMAIL}");
    assert_eq!(headlines(&missing).len(), 1);
    let half = format!("{MINIMAL}{GMAIL}[providers.google]\nclient_secret = \"hunter2\"\n");
    assert_eq!(the_fault(&half).message, "missing key `client_id` in [providers.google]");
    // Of two that are there, a faulty one does not differ.
    let faulty = format!("{MINIMAL}[providers.google]\n{CLIENT}lifetime = \"1\"\n{GMAIL}lifetime = \"1h\"\n");
    assert_eq!(the_fault(&faulty).key.as_deref(), Some("providers.google.lifetime"));
}

#[test]
fn a_secret_beside_another_stays_hidden() {
    let text = format!("{MINIMAL}[providers.google]\n{CLIENT}{GMAIL}client_secret = \"hunter3\"\n");
    let faults = faults(&text);
    let everything = format!("{faults} {faults:?} {} {}", faults.render(true), faults.to_json());
    assert!(!everything.contains("hunter"), "{everything}");
}
