//! `dev`: the whole thing with no account anywhere, and every line that it prints works as it stands.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::Child;
use crate::support::child::{Signal, idp_proxy};

mod apart;
mod libraries;
mod survival;
mod tls;

/// `dev` on a free port.
fn dev(more: &[&str]) -> Child {
    let mut command = idp_proxy(&["dev", "--listen", "127.0.0.1:0"]);
    command.args(more);
    Child::spawn(command)
}

#[tokio::test]
async fn once_makes_a_call_and_says_that_it_worked() {
    let mut child = dev(&["--once"]);
    assert_eq!(child.exit().await.code(), Some(0), "{}", child.log());
    assert!(child.out().starts_with("ok: "), "{}", child.out());
    assert_eq!(child.out().lines().count(), 1, "{}", child.out());
}

#[tokio::test]
async fn json_describes_everything_in_one_object() {
    let mut child = dev(&["--json"]);
    let line = child.printed("{").await;
    let world: Value = serde_json::from_str(&line).unwrap();
    let names = |list: &str, name: &str| -> Vec<String> {
        let members = world[list].as_array().unwrap().iter();
        members.map(|member| member[name].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("users", "name"), ["alice", "bob"]);
    assert_eq!(names("providers", "name"), ["github", "google", "bitbucket"]);
    assert!(names("users", "sub").iter().all(|sub| sub.contains('|')), "{line}");
    let behaviours = names("providers", "behaviour");
    for (behaviour, word) in behaviours.iter().zip(["for ever", "expire", "rotate"]) {
        assert!(behaviour.contains(word), "no {word} in {behaviour}");
    }
    for party in ["proxy", "admin", "tenant"] {
        assert!(world[party].as_str().unwrap().starts_with("http://127.0.0.1:"), "{line}");
    }
    assert_eq!(world["audience"], "https://idp-proxy.localhost/");
    assert_eq!(
        world["applications"],
        json!({ "native": "demoLoginClient", "spa": "demoSpaClient", "backend": "demoBackendClient" })
    );
    for user in world["users"].as_array().unwrap() {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        assert!(user["expires_at"].as_u64().unwrap() > now, "{user}");
    }

    child.proxy = world["proxy"].as_str().unwrap().trim_start_matches("http://").to_owned();
    child.admin = world["admin"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let child = ready(child).await;
    for provider in world["providers"].as_array().unwrap() {
        let path = provider["url"].as_str().unwrap().trim_start_matches(world["proxy"].as_str().unwrap()).to_owned();
        let host = provider["host"].as_str().unwrap();
        let alice = world["users"][0]["token"].as_str().unwrap();
        let by_path = child.get(alice, &format!("{path}/user")).await;
        let by_host = child.send(alice, "GET", "/user", &[("host", host)]).await;
        for answer in [by_path, by_host] {
            assert_eq!((answer.status, answer.json()["login"].as_str()), (200, Some("alice")), "{provider}");
        }
    }
    stop(child, &line).await;
}

async fn ready(child: Child) -> Child {
    child.ready().await
}

/// Ends it, and sees that it printed nothing but that.
async fn stop(mut child: Child, printed: &str) {
    assert_eq!(child.stop().await, Some(0));
    assert_eq!(child.out().trim_end(), printed.trim_end());
}

/// The command lines of the banner, comments cut off.
fn curl_lines(banner: &str) -> Vec<String> {
    let lines = banner.lines().map(str::trim).filter(|line| line.starts_with("curl "));
    lines.map(|line| line.split(" # ").next().unwrap().trim().to_owned()).collect()
}

#[tokio::test]
async fn every_curl_line_of_the_banner_works_as_it_stands() {
    let child = dev(&[]).listening().await.ready().await;
    child.printed("Ctrl-C").await;
    every_curl_line_works(&child.out()).await;
    let banner = child.out();
    let of = |name: &str| {
        let line = banner.lines().map(str::trim).find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    };
    let query = format!(
        "response_type=code&client_id={}&audience={}&redirect_uri=http://localhost:3000&code_challenge_method=S256&\
         code_challenge={}",
        of("clientId"),
        of("audience"),
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    );
    let page = reqwest::get(format!("{}/authorize?{query}", of("domain"))).await.unwrap();
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    assert!(page.contains("Alice") && page.contains("Bob"), "{page}");
}

async fn every_curl_line_works(banner: &str) {
    let version = Command::new("curl").arg("--version").output();
    version.expect("this test runs the banner's lines with curl: install curl, or let tests/run do it");
    let lines = curl_lines(banner);
    assert!(lines.len() >= 5, "{banner}");
    for line in &lines {
        let script = format!("{line} --silent --show-error --max-time 20 --write-out '\n%{{http_code}}'");
        let output = tokio::task::spawn_blocking(move || Command::new("sh").args(["-c", &script]).output().unwrap());
        let output = output.await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        if line.contains("bob") && line.contains("bitbucket") {
            assert_eq!(status, "403", "{line}: {body}{errors}");
            assert!(body.contains("not_connected"), "{line}: {body}");
            continue;
        }
        assert_eq!(status, "200", "{line}: {body}{errors}");
        let expected = match line {
            line if line.contains("/metrics") => "idp_proxy_requests_total",
            line if line.contains("/echo") => "\"body_length\":5",
            line if line.contains("/bob") => "bob",
            _ => "alice",
        };
        assert!(body.contains(expected), "{line}: {body}");
    }
}

/// The files that the banner names.
fn header_files(banner: &str) -> Vec<PathBuf> {
    let words = banner.split_whitespace().filter_map(|word| word.strip_prefix("'@")?.strip_suffix('\''));
    let mut files: Vec<_> = words.map(PathBuf::from).collect();
    files.sort();
    files.dedup();
    files
}

#[tokio::test]
async fn tokens_lie_in_files_of_this_user_alone_and_are_gone_at_the_end() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut child = dev(&[]).listening().await;
        child.printed("Ctrl-C").await;
        let files = header_files(&child.out());
        assert_eq!(files.len(), 2, "{}", child.out());
        let folder = files[0].parent().unwrap().to_owned();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        for file in &files {
            assert_eq!(mode(file), 0o600, "{}", file.display());
            let token = std::fs::read_to_string(file).unwrap();
            let token = token.trim().strip_prefix("Authorization: Bearer ").unwrap().to_owned();
            assert!(!child.out().contains(&token), "a token on the terminal");
            let arguments = std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
            assert!(!String::from_utf8_lossy(&arguments).contains(&token), "a token among the arguments");
        }
        child.signal(signal);
        assert_eq!(child.exit().await.code(), Some(0), "{}", child.log());
        assert!(!folder.exists(), "{} is left", folder.display());
    }
}

#[tokio::test]
async fn it_listens_on_loopback_alone() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        let mut child = Child::spawn(idp_proxy(&["dev", "--once", "--listen", address]));
        assert_eq!(child.exit().await.code(), Some(2), "{address}");
        assert!(child.log().contains("loopback"), "{address}: {}", child.log());
        assert_eq!(child.out(), "", "{address}");
    }
    let mut child = Child::spawn(idp_proxy(&["dev", "--once", "--listen", "[::1]:0"]));
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    assert_eq!(child.exit().await.code(), Some(if has_ipv6 { 0 } else { 1 }), "{}", child.log());
}

#[tokio::test]
async fn pages_of_the_origins_that_are_named_may_use_it() {
    for (named, origin, status) in [
        (&["--origin", "http://localhost:5173"][..], "http://localhost:5173", 200),
        (&["--origin", "http://localhost:5173"], "http://localhost:3000", 403),
        (&[], "http://localhost:3000", 200),
    ] {
        let child = dev(named).listening().await.ready().await;
        let answer = child.send("", "GET", "/client.js", &[("origin", origin)]).await;
        assert_eq!(answer.status, status, "{named:?} {origin}");
    }
    let mut child = dev(&["--origin", "http://localhost:3000/"]);
    assert_eq!(child.exit().await.code(), Some(2));
    assert!(child.log().contains("leave out the path"), "{}", child.log());
}

#[tokio::test]
async fn a_busy_port_ends_with_1_and_names_the_address() {
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let mut child = Child::spawn(idp_proxy(&["dev", "--listen", &address]));
    assert_eq!(child.exit().await.code(), Some(1));
    assert!(child.log().contains(&address), "{}", child.log());
    assert_eq!(child.out(), "");
}

#[tokio::test]
async fn what_is_to_go_wrong_does_and_what_is_misspelt_is_told() {
    let mut child = dev(&["--json", "--fault", "revoked=bitbucket", "--fault", "slow=20ms"]);
    let world: Value = serde_json::from_str(&child.printed("{").await).unwrap();
    let address = |party: &str| world[party].as_str().unwrap().trim_start_matches("http://").to_owned();
    (child.proxy, child.admin) = (address("proxy"), address("admin"));
    let child = ready(child).await;
    let alice = world["users"][0]["token"].as_str().unwrap();
    // Refused by the provider, not renewed either, and said so.
    let mut answer = child.get(alice, "/proxy/bitbucket/user").await;
    if answer.status == 401 {
        answer = child.get(alice, "/proxy/bitbucket/user").await;
    }
    assert_eq!((answer.status, answer.code().as_str()), (403, "reconnect_required"), "{}", answer.text());
    assert_eq!(child.get(alice, "/proxy/google/user").await.status, 200);

    let mut misspelt = dev(&["--fault", "revokd=bitbucket"]);
    assert_eq!(misspelt.exit().await.code(), Some(2));
    assert!(misspelt.log().contains("did you mean revoked?"), "{}", misspelt.log());
}
