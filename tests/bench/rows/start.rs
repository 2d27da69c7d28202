//! From starting the program to its first relayed answer.

use std::time::{Duration, Instant};

use crate::child::{Server, ask};
use crate::rig::{PREFIX, Rig};
use crate::tenant::Behaviour;

use super::{Outcome, Row, median};

const PATIENCE: Duration = Duration::from_secs(5);

/// The median of several starts, with the tenant up.
pub fn start(rig: &Rig) -> Outcome {
    rig.tenant_behaves(&Behaviour::default());
    let token = rig.token();
    let starts = |spawn: &dyn Fn() -> Server| -> Result<Vec<f64>, String> {
        (0..if rig.options.quick { 3 } else { 9 }).map(|_| first_answer(spawn, &token)).collect()
    };
    let ours = starts(&|| rig.spawn_ours())?;
    let floor = starts(&|| rig.floor())?;
    let slowest = ours.iter().copied().fold(0.0, f64::max);
    let row = Row::figure("start", median(&ours), "ms", 100.0).base(median(&floor), "ms");
    Ok(vec![row.note(format!("slowest of {}: {slowest:.0} ms", ours.len()))])
}

/// Milliseconds to the first 200.
fn first_answer(spawn: &dyn Fn() -> Server, token: &str) -> Result<f64, String> {
    let begun = Instant::now();
    let server = spawn();
    loop {
        let answer = ask(server.address, &format!("GET {PREFIX}/json"), token, "");
        if matches!(answer, Ok((200, _))) {
            return Ok(begun.elapsed().as_secs_f64() * 1e3);
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("no 200 after 5 s, but {answer:?}"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
