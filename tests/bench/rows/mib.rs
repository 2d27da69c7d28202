//! What it costs to look through a body, by the MiB: the leak guard over plain and compressed text, links in JSON.

use crate::child::Server;
use crate::http1::Expected;
use crate::load::{Spec, Until};
use crate::measure::Cpu;
use crate::rig::{PREFIX, Rig};
use crate::tenant::Behaviour;

use super::{Outcome, Row, median};

/// What is read, how it comes, and what is done to it.
const WAYS: [(&str, &str, &str); 4] = [
    ("guard, plain", "prose", "rewrite = \"off\"\n"),
    ("guard, gzip", "gzip", "rewrite = \"off\"\n"),
    ("guard, zstd", "zstd", "rewrite = \"off\"\n"),
    ("links, json", "links", "rewrite = \"json\"\nguard = \"off\"\n"),
];

/// What the same body costs where it is only handed on.
const BARE: &str = "guard = \"off\"\nrewrite = \"off\"\n";

/// CPU time per MiB (of a compressed body: of the text in it), and that of handing the same body on.
pub fn mib(rig: &Rig) -> Outcome {
    rig.tenant_behaves(&Behaviour::default());
    let mib = if rig.options.quick { 8 } else { 64 };
    let rounds = if rig.options.quick { 3 } else { 7 };
    let bare = rig.ours_with(BARE);
    let mut rows = Vec::new();
    for (name, path, lines) in WAYS {
        let ours = rig.ours_with(lines);
        let mut costs = Vec::new();
        for _ in 0..rounds {
            let each = |server: &Server| cost(rig, server, path, mib);
            let (with, without) = (each(&ours)?, each(&bare)?);
            costs.push(with - without);
        }
        rows.push(
            Row::shown(name, median(&costs), "us/MiB").note(format!("beyond handing it on; {rounds} x {mib} MiB")),
        );
    }
    Ok(rows)
}

/// The CPU time that one body of `mib` MiB takes, in microseconds per MiB.
fn cost(rig: &Rig, server: &Server, path: &str, mib: u64) -> Result<f64, String> {
    let spec = Spec {
        request: format!("GET {PREFIX}/{path}/{}", mib << 20),
        expected: Expected::Any,
        connections: 1,
        ..rig.spec(server, Until::EachConnection)
    };
    let before = Cpu::of(server.id());
    rig.good_load(&spec)?;
    let (ran, _) = Cpu::of(server.id()).since(&before);
    Ok(ran as f64 / 1e3 / mib as f64)
}
