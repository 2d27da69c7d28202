//! What the proxy spares the tenant: one call for a herd, and no idle moment when many users come cold.

use crate::load::{Spec, Until};
use crate::rig::{Rig, TENANT_CONCURRENCY};
use crate::tenant::Behaviour;

use super::{Outcome, Ratio, Row};

/// 1,000 simultaneous requests of one user who is not known yet; the same with a tenant that fails.
pub fn herd(rig: &Rig) -> Outcome {
    let mut rows = Vec::new();
    for (name, fail) in [("herd", false), ("herd, failing", true)] {
        let ours = rig.ours();
        // Longer than it takes for all of them to arrive at a busy machine: simultaneous is what the row is about.
        rig.tenant_behaves(&Behaviour { delay_ms: 200, fail, ..Behaviour::default() });
        let report = rig.load(&Spec { connections: 1_000, ..rig.spec(&ours, Until::Herd) })?;
        let saw = rig.tenant_saw();
        let good = if fail { report.statuses.keys().all(|status| *status == 503) } else { report.all(200) };
        if !good || report.errors > 0 || report.requests != 1_000 || saw.tokens > 1 {
            return Err(format!("{name}: {report:?}, {} management tokens", saw.tokens));
        }
        let row = Row::figure(name, saw.users as f64, "calls", 1.0);
        rows.push(row.note(format!(
            "all 1,000 answered {} in {:.0} ms; 200 ms a call",
            if fail { 503 } else { 200 },
            report.seconds * 1e3
        )));
    }
    Ok(rows)
}

/// Users who come for the first time, each once, with the tenant taking its time.
pub fn cold10k(rig: &Rig) -> Outcome {
    let users = if rig.options.quick { 2_000 } else { 10_000 };
    let ours = rig.ours();
    rig.sign(users);
    rig.tenant_behaves(&Behaviour { delay_ms: 20, ..Behaviour::default() });
    let spec = rig.spec(&ours, Until::EachToken);
    let report = rig.good_load(&Spec { count: users, connections: 128, ..spec })?;
    let saw = rig.tenant_saw();
    if saw.users != users as u64 || saw.peak > TENANT_CONCURRENCY || saw.unknown > 0 {
        let (calls, peak, unknown) = (saw.users, saw.peak, saw.unknown);
        return Err(format!("{calls} calls for {users} users, up to {peak} at a time, {unknown} unknown"));
    }
    let ideal = users as f64 * saw.mean_delay_us as f64 / 1e6 / TENANT_CONCURRENCY as f64;
    let row = Row::ratio("cold10k", (report.seconds, ideal), "s", Ratio::once(report.seconds / ideal), 1.25);
    Ok(vec![row.note(format!(
        "{users} users, {:.1} ms a call as the tenant measured it; at most {} at a time; {} management tokens",
        saw.mean_delay_us as f64 / 1e3,
        saw.peak,
        saw.tokens
    ))])
}
