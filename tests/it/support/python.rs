//! Official clients in Python, as they come from their authors: each runs README.md's snippet for it with the calls of
//! `tests/clients/python/NAME.py` behind. `tests/run` installs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{Rig, child, program};

/// A program in Python that is about to be run.
pub struct Python {
    script: String,
    command: Command,
}

/// The interpreter that knows the clients.
fn interpreter() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let python = target.join("python-clients/bin/python");
    assert!(python.exists(), "{} is missing; tests/run installs it", python.display());
    python
}

impl Python {
    /// README.md's snippet `name` for the proxy of `rig`, and the calls behind it.
    pub fn snippet(name: &str, rig: &Rig) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/python");
        let proxy = format!("http://{}", rig.address());
        // A name that every system knows.
        let google = format!("https://localhost:{}", rig.server.proxy().port());
        let calls = folder.join(format!("{name}.py"));
        let text = program::text(&format!("python {name}"), &calls, &proxy, &google);
        let script = format!("import os\n\ntoken = os.environ[\"TOKEN\"]\n{text}");
        let mut command = Command::new(interpreter());
        // Nothing of the user's own: no modules, and no proxy for what stays on this machine.
        command.args(["-I", "script.py"]).env("TOKEN", rig.token()).env("NO_PROXY", "*").env_remove("no_proxy");
        Self { script, command }
    }

    /// Has Google's client trust the authority in `file` alone.
    pub fn trusting(mut self, file: &Path) -> Self {
        self.command.env("HTTPLIB2_CA_CERTS", file);
        self
    }

    /// Runs it to its end, which must be a good one. What it printed last.
    pub async fn run(self) -> Value {
        let place = child::folder();
        std::fs::write(place.join("script.py"), &self.script).unwrap();
        program::run(self.command, place, &self.script).await
    }
}
