//! How a provider's tokens are renewed: which keys make it possible, and what is there by half.

use std::sync::LazyLock;

use idp_proxy::config::fault::Code;
use idp_proxy::config::{ClientProof, RefreshBody, RefreshGrant, Renewal};

use super::*;

const CLIENT: &str = "client_id = \"id\"\nclient_secret = \"hunter2\"\n";
const STORE: &str = "[store]\nurl = \"sqlite:a.db\"\nkeys = [\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"]\n";
const INTRANET: &str =
    "[providers.intranet]\nconnection = \"intranet\"\nbase_url = \"https://api.intranet.example/v1\"\n";

/// How the provider `name` is renewed where `tables` follow on the shortest file and a store.
fn renewal(name: &str, tables: &str) -> Option<Renewal> {
    config(&format!("{MINIMAL}{STORE}{tables}")).providers[name].renewal.clone()
}

/// The secrets of a client that has some.
fn secrets(proof: &ClientProof) -> Vec<&str> {
    match proof {
        ClientProof::Post(secrets) | ClientProof::Basic(secrets) => secrets.iter().map(|one| one.expose()).collect(),
        ClientProof::PrivateKey(_) | ClientProof::Nothing => Vec::new(),
    }
}

/// The file of a key that can sign.
fn rsa_key() -> PathBuf {
    static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
        let path = folder("renewal").join("rsa.pem");
        std::fs::write(&path, rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap().serialize_pem()).unwrap();
        path
    });
    FILE.clone()
}

#[test]
fn a_preset_and_a_client_are_all_that_renewing_takes() {
    let bitbucket = renewal("bitbucket", &format!("[providers.bitbucket]\n{CLIENT}")).unwrap();
    assert_eq!(bitbucket.url, "https://bitbucket.org/site/oauth2/access_token");
    assert_eq!(bitbucket.audience, bitbucket.url);
    assert_eq!(bitbucket.client_id, "id");
    assert!(matches!(&bitbucket.proof, ClientProof::Basic(_)));
    assert_eq!(secrets(&bitbucket.proof), ["hunter2"]);
    assert_eq!((bitbucket.body, bitbucket.grant), (RefreshBody::Form, RefreshGrant::RefreshToken));
    for name in ["bitbucket", "facebook", "github-app", "gitlab", "google", "linkedin", "microsoft", "slack"] {
        let renewal = renewal(name, &format!("[providers.{name}]\n{CLIENT}")).unwrap();
        assert_eq!(renewal.rotates, ["bitbucket", "github-app", "gitlab", "slack"].contains(&name), "{name}");
        let exchanges = renewal.grant == RefreshGrant::FacebookExchange;
        assert_eq!(exchanges, name == "facebook", "{name}");
    }
}

#[test]
fn without_a_client_nothing_is_renewed() {
    assert_eq!(renewal("google", "[providers.google]\n"), None);
    assert_eq!(renewal("github", ""), None);
}

#[test]
fn keys_about_renewal_that_no_client_uses_are_told() {
    let lines = "refresh_auth = \"basic\"\nlifetime = \"1h\"\nscope = \"a\"\n";
    let google = format!("{MINIMAL}[providers.google]\n{lines}");
    let fault = the_fault(&google);
    assert_eq!(
        (fault.code, &*fault.message, fault.key.as_deref(), fault.line),
        (
            Code::Conflict,
            "nothing comes of `refresh_auth`, `scope`, `lifetime` without the connection's own OAuth client: nothing is \
             renewed here",
            Some("providers.google.refresh_auth"),
            Some(10)
        )
    );
    for key in [
        "refresh_url = \"https://a.example/\"",
        "refresh_body = \"json\"",
        "refresh_grant = \"refresh_token\"",
        "refresh_params = {}",
        "rotates = false",
    ] {
        let told = the_fault(&format!("{MINIMAL}[providers.google]\n{key}\n")).message;
        assert!(told.starts_with(&format!("nothing comes of `{}`", key.split(' ').next().unwrap())), "{told}");
    }
    // A preset's words are nobody's wish, a token endpoint is asked for, and another table may have the client.
    config(&format!("{MINIMAL}[providers.bitbucket]\n[providers.facebook]\n"));
    config(&format!("{MINIMAL}{INTRANET}token_url = \"https://login.intranet.example/token\"\n"));
    let gmail = "[providers.gmail]\nconnection = \"google-oauth2\"\nbase_url = \"https://gmail.googleapis.com\"\n";
    config(&format!("{google}{gmail}{CLIENT}"));
    // The client may stand where the file is not TOML.
    assert_eq!(headlines(&format!("{google}client_id \"id\"\n")).len(), 1);
}

#[test]
fn every_key_of_a_renewal_can_be_said() {
    let keys = r#"
token_url = "https://login.intranet.example/token?p=b2c"
refresh_url = "http://127.0.0.1:4400/refresh"
client_id = "id"
client_secret = ["new", { env = "AUTH0_CLIENT_SECRET" }]
refresh_auth = "basic"
refresh_body = "json"
refresh_grant = "refresh_token"
refresh_params = { resource = "https://api.example", b = "" }
scope = "read write"
rotates = false
lifetime = "30m"
source = "identities"
"#;
    let renewal = renewal("intranet", &format!("{INTRANET}{keys}")).unwrap();
    assert_eq!(renewal.url, "http://127.0.0.1:4400/refresh");
    assert_eq!(renewal.audience, "https://login.intranet.example/token?p=b2c");
    assert_eq!(secrets(&renewal.proof), ["new", "from the environment"]);
    assert!(matches!(renewal.proof, ClientProof::Basic(_)));
    assert_eq!(renewal.body, RefreshBody::Json);
    let mut params = renewal.params;
    params.sort();
    assert_eq!(params, [("b".to_owned(), String::new()), ("resource".to_owned(), "https://api.example".to_owned())]);
    assert_eq!(renewal.scope.as_deref(), Some("read write"));
    assert!(!renewal.rotates);
    assert_eq!(renewal.lifetime, Some(Duration::from_secs(1800)));
}

#[test]
fn a_provider_that_nobody_knows_needs_a_token_endpoint_unless_auth0_renews() {
    let fault = the_fault(&format!("{MINIMAL}{INTRANET}"));
    assert_eq!((fault.code, &*fault.message), (Code::MissingKey, "missing key `token_url` in [providers.intranet]"));
    assert_eq!(fault.line, Some(9));
    assert!(fault.hint.unwrap().contains("token_vault"));
    config(&format!("{MINIMAL}{INTRANET}source = \"token_vault\"\n"));
    // Another table on the connection has it, wherever it stands.
    let search = INTRANET.replace("providers.intranet", "providers.search");
    config(&format!("{MINIMAL}{INTRANET}{search}token_url = \"https://login.intranet.example/token\"\n"));
    assert_eq!(headlines(&format!("{MINIMAL}{INTRANET}{search}")).len(), 1);
    // A preset knows the provider, whatever its connection is called: GitHub's tokens do not expire.
    config(&format!("{MINIMAL}connection = \"ghe\"\n"));
    // The connection is one that the catalogue knows, whatever the provider is called.
    let uploads = "connection = \"github\"\nbase_url = \"https://uploads.github.com\"\n";
    config(&format!("{}{uploads}", MINIMAL.replace("providers.github", "providers.uploads")));
    // A table that is none is told so, and no more.
    assert_eq!(
        headlines(&format!("{MINIMAL}[providers]\nintranet = 1\n").replace("[providers.github]\n", "")).len(),
        1
    );
}

#[test]
fn a_provider_that_nobody_knows_is_taken_to_rotate() {
    let token_url = "token_url = \"https://login.intranet.example/token\"\n";
    assert!(renewal("intranet", &format!("{INTRANET}{token_url}{CLIENT}")).unwrap().rotates);
}

#[test]
fn a_public_client_and_one_with_a_key_have_no_secret() {
    let none = "[providers.google]\nclient_id = \"id\"\nrefresh_auth = \"none\"\n";
    assert_eq!(renewal("google", none).unwrap().proof, ClientProof::Nothing);
    let key = format!("client_key = {{ file = {:?} }}\n", rsa_key());
    let signed = format!("[providers.google]\nclient_id = \"id\"\nrefresh_auth = \"private_key_jwt\"\n{key}");
    assert!(matches!(renewal("google", &signed).unwrap().proof, ClientProof::PrivateKey(_)));
}

#[test]
fn half_a_client_is_a_fault() {
    let key = format!("client_key = {{ file = {:?} }}", rsa_key());
    for (name, keys, expected) in [
        ("google", "client_secret = \"b\"", "missing key `client_id` in [providers.google]"),
        (
            "google",
            &format!("{CLIENT}refresh_auth = \"none\""),
            "`client_secret` is not how the client proves itself (proxy.toml:11)",
        ),
        (
            "google",
            &format!("{CLIENT}refresh_auth = \"private_key_jwt\""),
            "`client_secret` is not how the client proves itself (proxy.toml:11)",
        ),
        ("google", &format!("client_id = \"a\"\n{key}"), "`client_key` is not how the client proves itself"),
        ("google", &format!("{CLIENT}{key}"), "`client_key` is not how the client proves itself"),
        // Bitbucket's preset says "basic".
        (
            "bitbucket",
            &format!("client_id = \"a\"\n{key}"),
            "`client_key` is not how the client proves itself (proxy.toml:8)",
        ),
        (
            "google",
            &format!("{CLIENT}refresh_grant = \"fb_exchange_token\"\nrefresh_body = \"form\""),
            "`refresh_body` does not go with refresh_grant = \"fb_exchange_token\"",
        ),
        ("google", "client_id = \"a\"", "missing key `client_secret` in [providers.google]"),
        ("shopify", &format!("vars = {{ shop = \"a\" }}\n{CLIENT}"), "missing key `token_url` in [providers.shopify]"),
        (
            "google",
            "client_id = \"a\"\nrefresh_auth = \"private_key_jwt\"",
            "missing key `client_key` in [providers.google]",
        ),
    ] {
        let text = MINIMAL.replace("[providers.github]\n", "");
        assert_eq!(the_fault(&format!("{text}[providers.{name}]\n{keys}\n")).message, expected, "{keys}");
    }
}

#[test]
fn a_value_that_cannot_be_meant_is_a_fault_and_no_further_key_is_missed_for_it() {
    for (line, expected) in [
        ("token_url = \"http://login.example/token\"", "`token_url` must be https"),
        ("refresh_url = \"login.example\"", "`refresh_url` must be a URL"),
        ("refresh_url = \"http://127.0.0.1:8080/x?y\"", "`refresh_url` must not be the proxy itself"),
        ("client_id = \"\"", "`client_id` must not be empty"),
        ("client_secret = []", "`client_secret` is empty"),
        ("client_secret = [\"a\", \"\"]", "`client_secret[1]` is empty"),
        (
            "client_secret = [\"a\", 7]",
            "`client_secret[1]` must be \"text\", { env = \"NAME\" } or { file = \"PATH\" }, not an integer",
        ),
        (
            "client_secret = [{ env = \"NOT_SET\" }]",
            "`client_secret[0]` needs the environment variable NOT_SET, which is not set",
        ),
        ("refresh_auth = \"tls\"", "`refresh_auth` must be \"post\", \"basic\", \"none\" or \"private_key_jwt\""),
        ("refresh_body = \"xml\"", "`refresh_body` must be \"form\" or \"json\""),
        ("refresh_grant = \"password\"", "`refresh_grant` must be \"refresh_token\" or \"fb_exchange_token\""),
        ("refresh_params = { a = 1 }", "`refresh_params.a` must be a string, not an integer"),
        ("refresh_params = { scope = \"a\" }", "`refresh_params.scope` is sent anyway"),
        ("refresh_params = { client_assertion = \"a\" }", "`refresh_params.client_assertion` is sent anyway"),
        ("scope = \"a  b\"", "`scope` must be a scope: visible ASCII without quotes and backslashes (RFC 6749 §3.3)"),
        ("rotates = \"yes\"", "`rotates` must be true or false, not a string"),
        ("lifetime = \"0s\"", "`lifetime` must be longer than zero"),
    ] {
        let key = line.split(' ').next().unwrap();
        let others: String = CLIENT.lines().filter(|other| !other.starts_with(key)).map(|l| format!("{l}\n")).collect();
        let fault = the_fault(&format!("{MINIMAL}[providers.google]\n{others}{line}\n"));
        assert_eq!(fault.message, expected, "{line}");
    }
}

#[test]
fn no_secret_of_a_client_is_ever_shown() {
    for line in [
        "client_secret = [\"hunter2\", 7]",
        "client_secret = [\"hunter2\",\n  { env = \"NOT_SET\" }]",
        "client_key = \"hunter2\"",
        "client_kye = \"hunter2\"",
        "client-key = \"hunter2\"",
        "refresh_params = { client_secret = \"hunter2\", a = 1 }",
    ] {
        let faults = faults(&format!("{MINIMAL}[providers.google]\n{line}\n"));
        let everything = format!("{faults} {faults:?} {} {}", faults.render(true), faults.to_json());
        assert!(!everything.contains("hunter"), "{line}: {everything}");
    }
}
