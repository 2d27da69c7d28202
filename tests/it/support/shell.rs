//! A person at a shell: the binary's commands in a home of their own, and the page on which logins are allowed.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::child::{Child, folder, idp_proxy};
use super::rig::ALICE;
use super::{Answer, Rig, client};

/// A home, and the proxy that its commands call.
pub struct Shell {
    pub proxy: String,
    home: PathBuf,
}

/// What a command came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Shell {
    /// For the proxy with this origin.
    pub fn at(proxy: &str) -> Self {
        Self { proxy: proxy.to_owned(), home: folder() }
    }

    /// For the proxy of a rig.
    pub fn of(rig: &Rig) -> Self {
        Self::at(&rig.server.url())
    }

    /// A command in that home, as far from a screen as a test can be.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.with_environment(idp_proxy(arguments))
    }

    /// Another program there, which may run the binary's commands.
    pub fn with_environment(&self, mut command: Command) -> Command {
        command.env("XDG_STATE_HOME", &self.home).env("IDP_PROXY_URL", &self.proxy).env_remove("BROWSER");
        command
    }

    /// Starts a command.
    pub fn begin(&self, arguments: &[&str]) -> Child {
        Child::spawn(self.command(arguments))
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ran {
        self.end(self.begin(arguments)).await
    }

    /// Waits for the end of a command. It has shown nothing secret to the person at the shell.
    pub async fn end(&self, mut child: Child) -> Ran {
        let secrets = self.secrets();
        let code = child.exit().await.code();
        let ran = Ran { code, out: child.out(), err: child.log() };
        for secret in secrets.iter().chain(&self.secrets()) {
            assert!(!ran.err.contains(secret), "a secret on stderr: {}", ran.err);
        }
        ran
    }

    /// Logs in by the device flow, as alice.
    pub async fn log_in(&self) -> Ran {
        let child = self.begin(&["login", "--device"]);
        approve(&child, ALICE).await;
        self.end(child).await
    }

    /// The file of the sessions.
    pub fn file(&self) -> PathBuf {
        self.home.join("idp-proxy/sessions.json")
    }

    /// All sessions, by their proxies.
    pub fn sessions(&self) -> BTreeMap<String, Value> {
        // A test may have damaged it.
        fs::read_to_string(self.file()).map(|text| serde_json::from_str(&text).unwrap_or_default()).unwrap_or_default()
    }

    /// The session at the proxy.
    pub fn session(&self) -> Value {
        self.sessions().remove(&self.proxy).expect("there is a session")
    }

    /// Changes the session at the proxy.
    pub fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut sessions = self.sessions();
        change(sessions.get_mut(&self.proxy).expect("there is a session"));
        fs::write(self.file(), serde_json::to_vec(&sessions).unwrap()).unwrap();
    }

    /// Leaves the access token so many seconds.
    pub fn expire_in(&self, seconds: u64) {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        self.change(|session| session["expires_at"] = ((now + seconds) * 1000).into());
    }

    fn secrets(&self) -> Vec<String> {
        let sessions = self.sessions().into_values();
        let secrets = sessions.flat_map(|session| [session["access_token"].clone(), session["refresh_token"].clone()]);
        secrets.filter_map(|secret| secret.as_str().map(str::to_owned)).collect()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// Opens the page that `login` names, as a browser would, and allows the code on it as `sub`.
pub async fn approve(login: &Child, sub: &str) {
    let sub = utf8_percent_encode(sub, NON_ALPHANUMERIC).to_string();
    let answer = submit(login, &format!("sub={sub}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// The same with another choice on the page.
pub async fn submit(login: &Child, choice: &str) -> Answer {
    let line = login.logged("user_code=").await;
    let (address, target) = line.trim().strip_prefix("http://").unwrap().split_once('/').unwrap();
    let (_, user_code) = target.split_once("user_code=").unwrap();
    let page = client::send(address, "GET", &format!("/{target}"), &[], b"").await;
    assert!(page.status == 200 && page.text().contains(user_code), "{}", page.text());
    login.logged(&format!("code: {user_code}")).await;
    let form = format!("user_code={user_code}&{choice}");
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    client::send(address, "POST", "/activate", &kind, form.as_bytes()).await
}
