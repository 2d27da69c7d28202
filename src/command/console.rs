//! `idp-proxy console`: a link into the console of a process that runs with this configuration.

use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::Exit;
use crate::clock::Clock;
use crate::config::{Config, Env};
use crate::server;

/// Runs the command.
pub(super) fn run(path: &Path, json: bool, env: &dyn Env, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let config = match Config::load(path, env) {
        Ok(config) => config,
        Err(faults) => {
            let _ = write!(err, "{}", faults.render(false));
            return Exit::Misused;
        }
    };
    let admin = config.server.admin_listen;
    if admin.port() == 0 {
        let _ = writeln!(err, "error: admin_listen is {admin}, and only the running process knows which port that is");
        return Exit::Misused;
    }
    let Some(link) = server::link::link(&config, admin, &Clock::system()) else {
        let _ = writeln!(err, "error: the console answers loopback alone, and admin_listen is {admin}");
        return Exit::Misused;
    };
    // To whoever asked, and nowhere else: a link in a file or a log is one that somebody else may follow first.
    let told = if json {
        let seconds = server::link::LINK_LIFE.as_secs();
        writeln!(out, "{}", json!({ "console": link, "expires_in": seconds }))
    } else {
        writeln!(out, "{link}")
    };
    if told.is_ok() { Exit::Done } else { Exit::Failed }
}
