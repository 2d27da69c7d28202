//! Secrets come from where the file says, and are never shown.

use idp_proxy::config::fault::Code;
use idp_proxy::config::{ClientCredential, Config};

use super::{env, faults, folder, the_fault, with_auth0};

#[test]
fn an_inline_secret_is_never_shown() {
    for line in [
        "client_secret = \"hunter2\"\nprivate_key = \"hunter2\"",
        "client_secret = { text = \"hunter2\" }",
        "client_secret = { env = \"hunter2-hunter2\" }",
        "client_secret = \"hunter2",
        "client_secret = hunter2",
        "client_secret = [\"hunter2\"]",
        "client_secrets = \"hunter2\"",
        "client_secret \"hunter2\"",
        "client_secret = \"\"\"hunter2\nhunter2\n\"\"\"\nclient_secret = \"hunter2\"",
        "private_key = \"hunter2\"",
        "vault = { client_id = \"id\", client_secret = \"hunter2\", client_sekret = \"hunter2\" }",
        "vault = { client_secret = \"hunter2\" }",
    ] {
        let faults = faults(&with_auth0("client_secret", line));
        let everything = format!("{faults} {faults:?} {} {}", faults.render(true), faults.to_json());
        assert!(!everything.contains("hunter"), "{everything}");
    }
}

#[test]
fn the_keys_of_the_store_and_of_a_connections_client_are_never_shown_either() {
    for table in [
        "[store]\nurl = \"postgres://me:hunter2@host/db\"\nkeys = [\"hunter2\"]\nkyes = 1",
        "[providers.google]\nclient_key = \"hunter2\"\nclient_secret = [\"hunter2\", \"hunter2\"]\nnonsense = 1",
    ] {
        let faults = faults(&with_auth0("", table));
        let everything = format!("{faults} {faults:?} {} {}", faults.render(true), faults.to_json());
        assert!(!everything.contains("hunter"), "{everything}");
    }
}

#[test]
fn a_masked_secret_keeps_its_place() {
    let text = with_auth0("client_secret", "client_secret = \"hunter2\"\nprivate_key = { file = \"no.pem\" }")
        .replace("client_secret = \"hunter2\"", "client_secret = \"hunter2\" = 1");
    let shown = faults(&text).to_string();
    assert!(shown.contains("3 | client_secret = *************\n"), "{shown}");
}

#[test]
fn secrets_come_from_text_environment_and_files() {
    let folder = folder("secrets");
    std::fs::write(folder.join("secret.txt"), "from a file\n").unwrap();
    let read = |source: &str| {
        let text = with_auth0("client_secret", &format!("client_secret = {source}"));
        Config::parse(&text, &folder.join("proxy.toml"), &env()).unwrap_or_else(|faults| panic!("{faults}"))
    };
    let secret = |config: &Config| match &config.auth0.credential {
        ClientCredential::Secret(secret) => secret.expose().to_owned(),
        ClientCredential::PrivateKey(_) => panic!("a private key"),
    };
    assert_eq!(secret(&read("\"hunter2\"")), "hunter2");
    assert_eq!(secret(&read("{ env = \"AUTH0_CLIENT_SECRET\" }")), "from the environment");
    let config = read("{ file = \"secret.txt\" }");
    assert_eq!(secret(&config), "from a file");
    assert_eq!(config.files, [folder.join("proxy.toml"), folder.join("secret.txt")]);
}

#[test]
fn a_file_loses_one_newline_and_no_more() {
    let folder = folder("newlines");
    for (written, expected) in [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a ")] {
        std::fs::write(folder.join("secret.txt"), written).unwrap();
        let text = with_auth0("client_secret", "client_secret.file = \"secret.txt\"");
        let config = Config::parse(&text, &folder.join("proxy.toml"), &env()).unwrap();
        assert!(matches!(config.auth0.credential, ClientCredential::Secret(secret) if secret.expose() == expected));
    }
}

#[test]
fn a_secret_that_is_not_to_be_had_is_a_fault_of_its_key() {
    let folder = folder("unavailable");
    std::fs::write(folder.join("empty.txt"), "\n").unwrap();
    for source in [
        "\"\"",
        "{ env = \"NOT_SET\" }",
        "{ env = \"EMPTY\" }",
        "{ file = \"nowhere.txt\" }",
        "{ file = \"empty.txt\" }",
        "{ file = \".\" }",
    ] {
        let text = with_auth0("client_secret", &format!("client_secret = {source}"));
        let faults = Config::parse(&text, &folder.join("proxy.toml"), &env()).unwrap_err();
        let [fault] = faults.as_slice() else { panic!("{faults}") };
        assert_eq!(fault.code, Code::SecretUnavailable, "{source}");
        assert_eq!(fault.key.as_deref(), Some("auth0.client_secret"), "{source}");
    }
}

#[test]
fn a_secret_has_one_source() {
    let fault = |source: &str| the_fault(&with_auth0("client_secret", &format!("client_secret = {source}")));
    let forms = "`client_secret` must be \"text\", { env = \"NAME\" } or { file = \"PATH\" }";
    assert_eq!(fault("{ env = \"A\", file = \"b\" }").message, forms);
    assert_eq!(fault("{ }").message, forms);
    assert_eq!(fault("7").message, format!("{forms}, not an integer"));
}

#[test]
fn a_client_proves_itself_in_exactly_one_way() {
    let fault = the_fault(&with_auth0("client_secret", ""));
    assert_eq!(fault.message, "missing key `client_secret` in [auth0]");
    assert_eq!(fault.hint.as_deref(), Some("or `private_key`, for private_key_jwt"));
    let faults = faults(&with_auth0("", "private_key = \"\""));
    assert_eq!(faults.as_slice()[0].message, "`private_key` and `client_secret` must not both be there");
}

#[test]
fn a_private_key_is_an_rsa_key_that_can_sign() {
    let folder = folder("keys");
    let rsa = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let elliptic = rcgen::KeyPair::generate().unwrap();
    std::fs::write(folder.join("rsa.pem"), rsa.serialize_pem()).unwrap();
    std::fs::write(folder.join("public.pem"), rsa.public_key_pem()).unwrap();
    std::fs::write(folder.join("elliptic.pem"), elliptic.serialize_pem()).unwrap();
    std::fs::write(folder.join("nonsense.pem"), "hunter2").unwrap();
    let read = |file: &str| {
        let text = with_auth0("client_secret", &format!("private_key = {{ file = \"{file}\" }}"));
        Config::parse(&text, &folder.join("proxy.toml"), &env())
    };
    assert!(matches!(read("rsa.pem").unwrap().auth0.credential, ClientCredential::PrivateKey(_)));
    for bad in ["public.pem", "elliptic.pem", "nonsense.pem"] {
        let faults = read(bad).unwrap_err();
        let [fault] = faults.as_slice() else { panic!("{faults}") };
        assert_eq!(fault.code, Code::BadValue, "{bad}");
        assert_eq!(fault.message, "`private_key` must be an RSA private key of 2048 bits or more, in PEM form");
    }
}
