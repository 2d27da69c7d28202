//! `[server] tls`: two files that belong together, and nothing of the key in what is said of it.

use std::path::PathBuf;

use idp_proxy::config::fault::{Code, Fault};
use idp_proxy::config::{Config, Faults};
use rcgen::{CertifiedKey, KeyPair, PKCS_RSA_SHA256, generate_simple_self_signed};

use super::{MINIMAL, env, folder};

const TLS: &str = "tls = { cert = \"cert.pem\", key = \"key.pem\" }";

/// A folder with a pair in it.
fn pair(name: &str) -> (PathBuf, String, String) {
    let folder = folder("tls").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (cert.pem(), signing_key.serialize_pem());
    std::fs::write(folder.join("cert.pem"), &cert).unwrap();
    std::fs::write(folder.join("key.pem"), &key).unwrap();
    (folder, cert, key)
}

fn read(folder: &std::path::Path, server: &str) -> Result<Config, Faults> {
    Config::parse(&format!("[server]\n{server}\n{MINIMAL}"), &folder.join("proxy.toml"), &env())
}

fn the_fault(read: Result<Config, Faults>) -> Fault {
    let faults = read.unwrap_err();
    assert_eq!(faults.as_slice().len(), 1, "{faults}");
    faults.as_slice()[0].clone()
}

#[test]
fn the_pair_is_read_from_the_files_own_folder_and_watched() {
    let (folder, cert, key) = pair("good");
    let config = read(&folder, TLS).unwrap();
    assert_eq!(config.files, ["proxy.toml", "cert.pem", "key.pem"].map(|name| folder.join(name)));
    let tls = config.server.tls.unwrap();
    assert_eq!((tls.certificates.trim_end(), tls.key.expose().trim_end()), (cert.trim_end(), key.trim_end()));
    assert!(!format!("{tls:?}").contains("PRIVATE"), "{tls:?}");
    assert_eq!(read(&folder, "").unwrap().server.tls, None);
}

#[test]
fn rsa_and_ed25519_are_as_good() {
    for algorithm in [&PKCS_RSA_SHA256, &rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384] {
        let (folder, ..) = pair("kinds");
        let key = KeyPair::generate_for(algorithm).unwrap();
        let cert = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(folder.join("cert.pem"), cert.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        assert!(read(&folder, TLS).is_ok(), "{algorithm:?}");
    }
}

#[test]
fn each_way_in_which_the_files_can_be_wrong_is_told_with_what_to_do() {
    let (folder, cert, key) = pair("wrong");
    let (_, other_cert, _) = pair("other");
    for (cert, key, at, code, words) in [
        (&*other_cert, &*key, "server.tls.key", Code::Conflict, "the private key of the first certificate"),
        (&*key, &*key, "server.tls.cert", Code::BadValue, "without a certificate"),
        (&*cert, &*cert, "server.tls.key", Code::BadValue, "without a private key"),
        (&*cert, "", "server.tls.key", Code::BadValue, "without a private key"),
        (&*cert, &*key.replacen("MI", "MJ", 1), "server.tls.key", Code::BadValue, "cannot be used"),
        (&*cert, &*key.replace("BEGIN", "BEGIN ENCRYPTED"), "server.tls.key", Code::BadValue, "takes a password"),
        (&*cert.replacen("MI", "MJ", 1), &*key, "server.tls.cert", Code::BadValue, "damaged"),
    ] {
        std::fs::write(folder.join("cert.pem"), cert).unwrap();
        std::fs::write(folder.join("key.pem"), key).unwrap();
        let fault = the_fault(read(&folder, TLS));
        assert_eq!((fault.key.as_deref(), fault.code, fault.line), (Some(at), code, Some(2)), "{words}: {fault:?}");
        assert!(fault.message.contains(words), "{words}: {fault:?}");
        assert!(fault.hint.is_some() || words == "damaged", "{fault:?}");
    }
}

#[test]
fn a_file_that_is_not_there_is_told_and_waited_for() {
    let (folder, ..) = pair("absent");
    for (server, at, code) in [
        ("tls = { cert = \"no.pem\", key = \"key.pem\" }", "server.tls.cert", Code::BadValue),
        ("tls = { cert = \"cert.pem\", key = \"no.pem\" }", "server.tls.key", Code::SecretUnavailable),
    ] {
        let faults = read(&folder, server).unwrap_err();
        assert!(faults.files().contains(&folder.join("no.pem")), "{:?}", faults.files());
        let fault = the_fault(Err(faults));
        assert_eq!((fault.key.as_deref(), fault.code), (Some(at), code), "{fault:?}");
        assert!(fault.message.contains("no.pem"), "{fault:?}");
    }
}

#[test]
fn what_is_missing_unknown_or_no_path_in_it_is_told() {
    let (folder, ..) = pair("shape");
    for (server, words) in [
        ("tls = { cert = \"cert.pem\" }", "missing key `key` in [server.tls]"),
        ("tls = { key = \"key.pem\" }", "missing key `cert` in [server.tls]"),
        ("tls = true", "[server.tls] must be a table"),
        ("tls = { cert = \"cert.pem\", key = \"key.pem\", kay = 1 }", "unknown key `kay` in [server.tls]"),
        ("tls = { cert = \"cert.pem\", key = \"\" }", "`key` must not be empty"),
        ("tls = { cert = \"cert.pem\", key = \"hunter2\\n\" }", "`key` must be the path of a PEM file"),
        (
            "tls.cert = \"cert.pem\"\ntls.key = \"-----BEGIN PRIVATE KEY-----hunter2\"",
            "`key` must be the path of a PEM",
        ),
    ] {
        let faults = read(&folder, server).unwrap_err();
        let shown = faults.to_string();
        assert!(shown.contains(words) && faults.as_slice().len() == 1, "{words} in {shown}");
        assert!(!format!("{shown} {}", faults.to_json()).contains("hunter2") || server.contains("\\n"), "{shown}");
    }
}

#[test]
fn a_provider_at_the_listeners_own_https_address_is_refused() {
    let (folder, ..) = pair("loop");
    let listen = "listen = \"127.0.0.1:8443\"";
    let provider = |scheme: &str| {
        format!(
            "{listen}\n{TLS}\n[providers.x]\nconnection = \"x\"\nbase_url = \"{scheme}://127.0.0.1:8443/v1\"\ntoken_url = \"https://a.example/t\""
        )
    };
    let fault = the_fault(read(&folder, &provider("https")));
    assert_eq!((fault.code, &*fault.message), (Code::Conflict, "`base_url` must not be the proxy itself"));
    assert!(read(&folder, &provider("https").replace(TLS, "")).is_ok());
}
