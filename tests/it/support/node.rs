//! Official clients in Node, as they come from npm: each runs README.md's snippet for it with the calls of
//! `tests/clients/NAME.js` behind. `tests/run` installs them.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{Rig, child, program};

/// A program in Node that is about to be run.
pub struct Node {
    script: String,
    command: Command,
}

/// Where the clients are.
pub fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    assert!(folder.join("node_modules/octokit").exists(), "the clients are missing; tests/run installs them");
    folder
}

impl Node {
    /// README.md's snippet `name` for the proxy of `rig`, and the calls behind it.
    pub fn snippet(name: &str, rig: &Rig) -> Self {
        Self::snippet_at(name, rig, &format!("http://{}", rig.address()))
    }

    /// The same for a proxy that is seen at `proxy`.
    pub fn snippet_at(name: &str, rig: &Rig, proxy: &str) -> Self {
        let calls = folder().join(format!("{name}.js"));
        let google = format!("http://google.localhost:{}", rig.server.proxy().port());
        let text = program::text(&format!("js {name}"), &calls, proxy, &google);
        let script = format!("const token = process.env.TOKEN;\n{text}");
        let mut command = Command::new("node");
        // Node asks the system for `*.localhost`, and few systems know what RFC 6761 §6.3 says of it.
        command.arg("--import").arg(folder().join("localhost.js")).arg("script.mjs").env("TOKEN", rig.token());
        Self { script, command }
    }

    /// Has it trust the authority in `file` as well.
    pub fn trusting(mut self, file: &Path) -> Self {
        self.command.env("NODE_EXTRA_CA_CERTS", file);
        self
    }

    /// Runs it to its end, which must be a good one. What it printed last.
    pub async fn run(self) -> Value {
        let place = child::folder();
        symlink(folder().join("node_modules"), place.join("node_modules")).unwrap();
        std::fs::write(place.join("script.mjs"), &self.script).unwrap();
        program::run(self.command, place, &self.script).await
    }
}
