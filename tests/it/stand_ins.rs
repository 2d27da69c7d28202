//! Stand-ins for providers' APIs that others wrote, so that what we take a provider to be like is not only our word:
//! npm's emulate plays whole services with their sign-in, Prism plays Bitbucket by its public description. Only the tenant
//! is ours. `tests/run` installs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use idp_proxy::command::dev::tenant::{Identity, User};

use crate::support::people::answers;
use crate::support::{Answer, Child, Rig};

mod bitbucket;
mod emulator;
mod github;
mod google;
mod microsoft;
mod slack;

use emulator::Emulator;

/// Who has accounts at all of them.
const USERS: [&str; 2] = ["alice", "bob"];

/// How many calls are under way at once where a test mixes them.
const AT_ONCE: usize = 50;

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand-ins");
    assert!(folder.join("node_modules/emulate").exists(), "the stand-ins are missing; tests/run installs them");
    folder
}

/// A program in Node that ends with the test at the latest.
fn node(arguments: &[&str]) -> Child {
    let mut command = Command::new("node");
    command.arg("--import").arg(folder().join("leash.js")).args(arguments);
    Child::spawn_leashed(command)
}

/// The `sub` of a user.
fn subject(user: &str) -> String {
    format!("auth0|{user}")
}

/// Gives the tenant a user who has signed in just now, and what the sign-in left.
fn signed_in(rig: &Rig, user: &str, identity: Identity) {
    let user = User::new(&subject(user)).with(identity);
    rig.tenant.add_user(User { last_login: Some(rig.clock.now()), ..user });
}

/// The answer to a `POST` of JSON from `user`.
async fn post(rig: &Rig, user: &str, path: &str, body: &serde_json::Value) -> Answer {
    let authorization = format!("Bearer {}", rig.tenant.token_for(&subject(user)));
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    rig.send_as_is("POST", path, &headers, body.to_string().as_bytes()).await
}

/// Everybody's answers to many calls at the same time, each with whose it is.
async fn mixed(rig: &Rig, path: &'static str) -> Vec<(&'static str, Answer)> {
    let users = || USERS.into_iter().cycle().take(AT_ONCE);
    let calls = users().map(|user| rig.begin_as(&subject(user), path));
    users().zip(answers(calls).await).collect()
}
