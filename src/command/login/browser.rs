//! A browser on this machine, if there is one.

use std::io::{self, IsTerminal};
use std::process::{Command, Stdio};

use crate::config::Env;

/// What opens a page when nobody says otherwise.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// A program that opens the page whose address it is given.
pub(super) struct Browser(String);

/// The one that `BROWSER` names. Otherwise the system's, if somebody sits in front of it.
pub(super) fn found(env: &dyn Env) -> Option<Browser> {
    let is_set = |name: &str| env.var(name).is_some_and(|value| !value.is_empty());
    if let Some(named) = env.var("BROWSER").filter(|named| !named.is_empty()) {
        return Some(Browser(named));
    }
    let is_here = io::stdin().is_terminal() && io::stderr().is_terminal();
    let is_remote = is_set("SSH_CONNECTION") || is_set("SSH_TTY");
    let has_screen = cfg!(target_os = "macos") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
    (is_here && !is_remote && has_screen).then(|| Browser(OPENER.to_owned()))
}

impl Browser {
    /// Opens the page at `url`. False if there is no such program after all.
    pub(super) fn open(&self, url: &str) -> bool {
        let mut command = Command::new(&self.0);
        command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Some open the page and are gone, others are the browser itself: none is waited for.
        command.spawn().is_ok()
    }
}
