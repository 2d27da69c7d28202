//! `[auth0] vault`: the Custom API Client of its own, where there is one.

use idp_proxy::config::fault::Code;
use idp_proxy::config::{ClientCredential, Config, VaultClient};

use super::{MINIMAL, config, env, faults, folder, the_fault, with_auth0};

#[test]
fn without_it_there_is_no_client_of_its_own() {
    assert_eq!(config(MINIMAL).auth0.vault, None);
}

#[test]
fn its_secret_comes_from_text_environment_and_files() {
    let folder = folder("vault");
    std::fs::write(folder.join("secret.txt"), "from a file\n").unwrap();
    let vault = |source: &str| -> VaultClient {
        let text = with_auth0("", &format!("vault = {{ client_id = \"custom\", client_secret = {source} }}"));
        let config = Config::parse(&text, &folder.join("proxy.toml"), &env());
        config.unwrap_or_else(|faults| panic!("{faults}")).auth0.vault.unwrap()
    };
    for (source, expected) in [
        ("\"hunter2\"", "hunter2"),
        ("{ env = \"AUTH0_CLIENT_SECRET\" }", "from the environment"),
        ("{ file = \"secret.txt\" }", "from a file"),
    ] {
        let VaultClient { client_id, credential } = vault(source);
        assert_eq!(client_id, "custom");
        assert!(matches!(credential, ClientCredential::Secret(secret) if secret.expose() == expected), "{source}");
    }
}

#[test]
fn it_may_have_a_private_key_in_place_of_a_secret() {
    let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap().serialize_pem();
    let text = with_auth0("", &format!("vault.client_id = \"custom\"\nvault.private_key = '''\n{pem}'''"));
    assert!(matches!(config(&text).auth0.vault.unwrap().credential, ClientCredential::PrivateKey(_)));
}

#[test]
fn what_is_missing_unknown_or_too_much_in_it_is_told() {
    for (line, code, words) in [
        ("vault = { client_secret = \"s\" }", Code::MissingKey, "`client_id` in [auth0.vault]"),
        ("vault = { client_id = \"i\" }", Code::MissingKey, "`client_secret` in [auth0.vault]"),
        ("vault = 7", Code::WrongType, "[auth0.vault] must be a table"),
        (
            "vault = { client_id = \"i\", client_secret = \"s\", clint = 1 }",
            Code::UnknownKey,
            "`clint` in [auth0.vault]",
        ),
    ] {
        let fault = the_fault(&with_auth0("", line));
        assert_eq!(fault.code, code, "{line}");
        let shown = faults(&with_auth0("", line)).to_string();
        assert!(shown.contains(words), "{shown}");
    }
}
