//! A certified OpenID provider that is not ours, npm's oidc-provider: it revokes a whole grant when a refresh token comes
//! twice, and tells what it has seen. `tests/run` installs it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde::Deserialize;

/// What the accounts of a judge are like.
#[derive(Clone, Copy)]
pub struct Habits {
    pub accounts: usize,
    /// What an access token lives, as it says.
    pub seconds: u64,
    /// What it lives longer. A judge counts whole seconds: without, a token of one second may end at once.
    pub spare: u64,
    /// In how many ways it is reached, so that it can tell who renews.
    pub doors: usize,
    /// How many milliseconds a renewal takes at the most before it is done, and again before it is answered.
    pub latency: u64,
}

/// A running judge. It ends when its input does.
pub struct Judge {
    /// `http://127.0.0.1:PORT` of each door.
    pub doors: Vec<String>,
    /// What a sign-in has left of each account.
    pub refresh_tokens: Vec<String>,
    _process: Child,
}

/// What it has seen.
#[derive(Debug, Deserialize)]
pub struct Report {
    pub renewals: u64,
    /// Whose grant was revoked, since a refresh token came twice.
    pub revoked: Vec<String>,
    pub refused: Vec<String>,
    pub doors: Vec<Door>,
}

/// Renewals by one way.
#[derive(Debug, Deserialize)]
pub struct Door {
    /// How many are under way.
    pub open: u64,
    /// When each account's last one was done, in Unix milliseconds.
    pub done: BTreeMap<String, u64>,
    /// Whose caller was gone before the answer was.
    pub gone: BTreeSet<String>,
}

impl Judge {
    pub fn start(habits: Habits) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judge");
        assert!(
            folder.join("node_modules/oidc-provider").exists(),
            "npm's oidc-provider is missing; tests/run installs it"
        );
        let Habits { accounts, seconds, spare, doors, latency } = habits;
        let numbers = [accounts as u64, seconds, doors as u64, spare, latency];
        let mut command = Command::new("node");
        command.arg("judge.js").args(numbers.map(|number| number.to_string())).current_dir(folder);
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("node is there");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Told = serde_json::from_str(&line).unwrap();
        let refresh_tokens = told.users.into_iter().map(|user| user.refresh_token).collect();
        Self { doors: told.doors, refresh_tokens, _process: process }
    }

    pub async fn report(&self) -> Report {
        reqwest::get(format!("{}/report", self.doors[0])).await.unwrap().json().await.unwrap()
    }

    /// The table of a provider `judge` that is reached by this door.
    pub fn toml(&self, door: usize) -> String {
        let door = &self.doors[door];
        format!(
            "\n[providers.judge]\nconnection = \"judge\"\nbase_url = \"{door}\"\ntoken_url = \"{door}/token\"\n\
             client_id = \"rp\"\nclient_secret = \"s3cret\"\nrotates = true\n"
        )
    }
}

#[derive(Deserialize)]
struct Told {
    doors: Vec<String>,
    users: Vec<SignedIn>,
}

#[derive(Deserialize)]
struct SignedIn {
    refresh_token: String,
}
