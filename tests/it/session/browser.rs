//! Logging in by a browser on this machine, which comes back with a code that only this process can use.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{rig_with, said};
use crate::support::child::{BINARY, eventually, folder};
use crate::support::rig::ALICE;
use crate::support::shell::{Shell, approve};
use crate::support::{Answer, Child, Rig, Upstream, client};

/// A program that keeps the address which it is to open.
struct Opener {
    folder: PathBuf,
}

impl Opener {
    /// One of that name.
    fn new(name: &str) -> Self {
        let opener = Self { folder: folder() };
        let kept = opener.folder.join("url").display().to_string();
        std::fs::write(opener.path(name), format!("#!/bin/sh\necho \"$@\" >'{kept}.new'\nmv '{kept}.new' '{kept}'\n"))
            .unwrap();
        std::fs::set_permissions(opener.path(name), std::fs::Permissions::from_mode(0o700)).unwrap();
        opener
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What it was given.
    async fn url(&self) -> String {
        let url = eventually(|| std::fs::read_to_string(self.path("url")).ok()).await;
        url.expect("a browser is opened").trim_end().to_owned()
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A login on its way, and the address to which its browser was sent.
async fn begun(shell: &Shell) -> (Child, String) {
    let opener = Opener::new("browser");
    let mut command = shell.command(&["login", "--port", "0"]);
    command.env("BROWSER", opener.path("browser"));
    let login = Child::spawn(command);
    let url = opener.url().await;
    login.logged("or try --device").await;
    (login, url)
}

fn query(url: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8().unwrap().into_owned();
    let pairs = url.split_once('?').unwrap().1.split('&').map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

/// A browser's request for `url`.
async fn open(method: &str, url: &str, body: &str) -> Answer {
    let (address, target) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    client::send(address, method, &format!("/{target}"), &kind, body.as_bytes()).await
}

/// Signs in at the tenant, or does not: the address to which the browser is sent back.
async fn signed_in(rig: &Rig, url: &str, choice: &str) -> String {
    let to = open("GET", url, "").await;
    let page = open("GET", to.header("location").unwrap(), "").await.text();
    let state = page.split("name=\"state\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let submitted =
        open("POST", &format!("{}/u/login", rig.tenant.base_url()), &format!("state={state}&{choice}")).await;
    assert_eq!(submitted.status, 302, "{}", submitted.text());
    submitted.header("location").unwrap().to_owned()
}

fn as_alice() -> String {
    format!("sub={}", utf8_percent_encode(ALICE, NON_ALPHANUMERIC))
}

#[tokio::test]
async fn the_browser_is_sent_to_the_tenant_and_comes_back_with_a_code() {
    let github = Upstream::replying("ok").await;
    let rig = rig_with(&github).await;
    let shell = Shell::of(&rig);
    let (login, url) = begun(&shell).await;
    assert!(url.starts_with(&format!("{}/authorize?", rig.tenant.base_url())), "{url}");
    let sent = query(&url);
    for (name, expected) in [
        ("response_type", "code"),
        ("client_id", &rig.tenant.settings().native.client_id),
        ("scope", "openid profile email offline_access"),
        ("audience", &rig.tenant.settings().audience),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(sent[name], expected, "{name}");
    }
    // 256 bits of SHA-256 in Base64url, and 128 bits of chance.
    assert_eq!((sent["code_challenge"].len(), sent["state"].len(), sent.len()), (43, 32, 8), "{url}");

    let callback = signed_in(&rig, &url, &as_alice()).await;
    assert!(callback.starts_with(&format!("{}?", sent["redirect_uri"])), "{callback}");
    let page = open("GET", &callback, "").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("You can close this page."), "{}", page.text());
    for (name, expected) in [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(page.header(name), Some(expected), "{name}");
    }
    let expected = format!(
        "A browser opens for you to log in. If none does, open this page:\n\n  {url}\n\nor try --device\nlogged in to {} as \
         Alice (github|583231)",
        shell.proxy
    );
    assert_eq!(shell.end(login).await, said(0, &expected));
    let code = &query(&callback)["code"];
    assert!(!std::fs::read_to_string(shell.file()).unwrap().contains(code));
    shell.expire_in(0);
    assert_eq!(shell.run(&["token"]).await.code, Some(0), "the session does not last");
}

#[tokio::test]
async fn nobody_else_is_listened_to_while_the_browser_is_away() {
    let github = Upstream::replying("ok").await;
    let rig = rig_with(&github).await;
    let shell = Shell::of(&rig);
    let (login, url) = begun(&shell).await;
    let sent = query(&url);
    let (callback, state) = (&sent["redirect_uri"], &sent["state"]);
    // Browsers open connections in advance.
    let address = callback.trim_start_matches("http://").trim_end_matches("/callback");
    let mut silent = TcpStream::connect(address).await.unwrap();
    for (method, url) in [
        ("GET", format!("{callback}?code=forged&state=forged")),
        ("GET", format!("{callback}?code=forged")),
        ("GET", format!("{callback}?code=forged&state={state}&state={state}")),
        ("GET", format!("{callback}/?code=forged&state={state}")),
        ("GET", callback.replace("/callback", "/favicon.ico")),
        ("POST", format!("{callback}?code=forged&state={state}")),
    ] {
        assert_eq!(open(method, &url, "").await.status, 404, "{method} {url}");
    }
    let back = signed_in(&rig, &url, &as_alice()).await;
    let target = back.trim_start_matches("http://").trim_start_matches(address);
    silent.write_all(format!("GET {target} HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    silent.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(shell.end(login).await.code, Some(0));
}

#[tokio::test]
async fn a_browser_that_returns_without_a_code_of_ours_ends_the_login() {
    let github = Upstream::replying("ok").await;
    let rig = rig_with(&github).await;
    let shell = Shell::of(&rig);

    let (login, url) = begun(&shell).await;
    let back = signed_in(&rig, &url, "deny=1").await;
    assert!(open("GET", &back, "").await.text().contains("You are not logged in"));
    let ran = shell.end(login).await;
    assert_eq!(ran.code, Some(4));
    assert!(ran.err.ends_with("\nerror: the login was refused: User did not authorize the request\n"), "{}", ran.err);

    // RFC 9207: it comes from another issuer.
    let (login, url) = begun(&shell).await;
    let back = signed_in(&rig, &url, &as_alice()).await;
    open("GET", &format!("{back}&iss=https%3A%2F%2Fother.example%2F"), "").await;
    let ran = shell.end(login).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("another issuer than it was sent to"), "{}", ran.err);

    // RFC 7636: a code that was given for somebody else's challenge.
    let (login, url) = begun(&shell).await;
    let challenge = &query(&url)["code_challenge"];
    let others = url.replace(challenge, &challenge.chars().rev().collect::<String>());
    open("GET", &signed_in(&rig, &others, &as_alice()).await, "").await;
    let ran = shell.end(login).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("refuses: invalid_grant"), "{}", ran.err);
    assert!(!shell.file().exists());
}

#[tokio::test]
async fn a_code_is_shown_where_no_browser_can_be_opened_or_none_is_wanted() {
    let github = Upstream::replying("ok").await;
    let rig = rig_with(&github).await;
    let shell = Shell::of(&rig);
    let opener = Opener::new("browser");
    let there = opener.path("browser");
    for (browser, arguments) in
        [(Path::new("/no/such/browser"), &["login", "--port", "0"][..]), (&there, &["login", "--device"])]
    {
        let mut command = shell.command(arguments);
        let login = Child::spawn({
            command.env("BROWSER", browser);
            command
        });
        approve(&login, ALICE).await;
        let ran = shell.end(login).await;
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert!(!ran.err.contains("A browser opens"), "{}", ran.err);
    }
    assert!(!opener.path("url").exists());

    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port().to_string();
    let mut command = shell.command(&["login", "--port", &port]);
    command.env("BROWSER", &there);
    let ran = shell.end(Child::spawn(command)).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.starts_with(&format!("error: 127.0.0.1:{port}: ")), "{}", ran.err);
}

/// The system's own browser is for a person in front of it: a terminal, a screen, and no connection from elsewhere.
#[tokio::test]
async fn a_browser_opens_only_where_somebody_sits_in_front_of_it() {
    let github = Upstream::replying("ok").await;
    let rig = rig_with(&github).await;
    let shell = Shell::of(&rig);
    let opener = Opener::new("xdg-open");
    let line = format!("PATH='{}':\"$PATH\" exec '{BINARY}' login --port 0", opener.folder.display());
    for (on_terminal, variables, opens) in [
        (true, &[("DISPLAY", ":0")][..], true),
        (true, &[("WAYLAND_DISPLAY", "wayland-0")], true),
        (true, &[], false),
        (true, &[("DISPLAY", ":0"), ("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22")], false),
        (false, &[("DISPLAY", ":0")], false),
    ] {
        let mut command = Command::new(if on_terminal { "script" } else { "sh" });
        command.args(if on_terminal { vec!["-qec", &line, "/dev/null"] } else { vec!["-c", &line] });
        let mut command = shell.with_environment(command);
        for name in ["BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "SSH_TTY"] {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied());
        let login = Child::spawn(command);
        let shown = eventually(|| {
            let shown = format!("{}{}", login.out(), login.log());
            (shown.contains("or try --device") || shown.contains("Ctrl-C ends it")).then_some(shown)
        });
        let shown = shown.await.unwrap_or_else(|| panic!("{}{}", login.out(), login.log()));
        assert_eq!(shown.contains("A browser opens"), opens, "{on_terminal} {variables:?}: {shown}");
    }
}
