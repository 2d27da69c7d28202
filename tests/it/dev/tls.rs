//! `dev --tls`: the same over https, with an authority that is of this run alone.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::{curl_lines, dev, every_curl_line_works};
use crate::support::Child;

/// What curl makes of a call that only `ca` vouches for.
async fn curl(ca: &Path, arguments: &[&str]) -> Output {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "20", "--cacert"]).arg(ca).args(arguments);
    tokio::task::spawn_blocking(move || curl.output().unwrap()).await.unwrap()
}

async fn running(more: &[&str]) -> (Child, Value) {
    let mut child = dev(&[&["--tls", "--json"], more].concat());
    let world: Value = serde_json::from_str(&child.printed("{").await).unwrap();
    let address = |party: &str, scheme: &str| world[party].as_str().unwrap().trim_start_matches(scheme).to_owned();
    (child.proxy, child.admin) = (address("proxy", "https://"), address("admin", "http://"));
    (child.ready().await, world)
}

#[tokio::test]
async fn once_makes_its_call_over_https() {
    let mut child = dev(&["--once", "--tls"]);
    assert_eq!(child.exit().await.code(), Some(0), "{}", child.log());
    assert!(child.out().starts_with("ok: "), "{}", child.out());
}

#[tokio::test]
async fn every_curl_line_of_its_banner_works_as_it_stands() {
    let child = dev(&["--tls"]).listening().await.ready().await;
    child.printed("Ctrl-C").await;
    let banner = child.out();
    assert!(banner.starts_with("listening proxy=https://127.0.0.1:"), "{banner}");
    let to_proxy: Vec<_> = curl_lines(&banner).into_iter().filter(|line| !line.contains("/metrics")).collect();
    assert!(to_proxy.iter().all(|line| line.contains("--cacert '") && line.contains(" https://")), "{banner}");
    every_curl_line_works(&banner).await;
}

#[tokio::test]
async fn curl_reaches_it_by_path_and_by_host_if_it_trusts_the_file_that_json_names() {
    let (mut child, world) = running(&[]).await;
    let ca = PathBuf::from(world["ca"].as_str().unwrap());
    let token = world["users"][0]["token"].as_str().unwrap();
    let authorization = format!("Authorization: Bearer {token}");
    let port = child.proxy.rsplit(':').next().unwrap();
    let by_name = format!("https://localhost:{port}/proxy/github/user");
    for provider in world["providers"].as_array().unwrap() {
        let by_path = format!("{}/user", provider["url"].as_str().unwrap());
        let by_host = format!("https://{}/user", provider["host"].as_str().unwrap());
        assert!(by_path.starts_with("https://"), "{world}");
        for (url, version) in [(&by_path, "2"), (&by_host, "2"), (&by_name, "1.1")] {
            let flag = if version == "2" { "--http2" } else { "--http1.1" };
            let output = curl(&ca, &["-H", &authorization, flag, "-w", "\n%{http_version}", url]).await;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("\"alice\"") && said.ends_with(&format!("\n{version}")), "{url}: {said}{errors}");
        }
    }
    // A client with other ideas of what a name is than curl's.
    let root = reqwest::Certificate::from_pem(&std::fs::read(&ca).unwrap()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([root]);
    let client = client.resolve("github.localhost", child.proxy.parse().unwrap()).build().unwrap();
    let sent = client.get(format!("https://github.localhost:{port}/user")).bearer_auth(token).send().await;
    assert_eq!(sent.unwrap().status(), 200);
    // Another run's authority vouches for nothing here.
    let (other, elsewhere) = running(&[]).await;
    let refused = curl(Path::new(elsewhere["ca"].as_str().unwrap()), &["-H", &authorization, &by_name]).await;
    assert_eq!(refused.status.code(), Some(60), "{}", String::from_utf8_lossy(&refused.stderr));
    drop(other);

    let folder = ca.parent().unwrap().to_owned();
    let keys = std::fs::read_dir(&folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    assert!(!keys.into_iter().any(|file| String::from_utf8_lossy(&file).contains("PRIVATE KEY")), "a key was written");
    assert_eq!(child.stop().await, Some(0));
    assert!(!folder.exists());
}

#[tokio::test]
async fn without_it_there_is_no_authority_to_trust() {
    let child = dev(&["--json"]);
    let world: Value = serde_json::from_str(&child.printed("{").await).unwrap();
    assert!(world.as_object().unwrap().contains_key("ca") && world["ca"].is_null(), "{world}");
}
