//! Resident memory: what a body, an idle connection and a known user add.

use std::time::Duration;

use crate::child::Server;
use crate::http1::Expected;
use crate::load::{Spec, Until};
use crate::measure::resident;
use crate::rig::{PREFIX, Rig, report};
use crate::tenant::Behaviour;

use super::{Outcome, Row};

const MIB: f64 = 1024.0 * 1024.0;

/// Requests one after the other on one connection: all is loaded that a request loads, and nothing has been freed yet
/// that could hide what the row is to see.
fn warm(rig: &Rig, server: &Server) -> Result<(), String> {
    rig.good_load(&Spec { connections: 1, ..rig.spec(server, Until::Seconds(0.3)) }).map(drop)
}

/// Bodies at a time. With one, what the heap keeps once for all of them would be counted as a connection's.
const BODIES: usize = 4;

/// A large body on each of a few connections: down, down as text (which the leak guard reads), and up.
pub fn body1g(rig: &Rig) -> Outcome {
    let length: u64 = if rig.options.quick { 1 << 28 } else { 1 << 30 };
    let ways = [
        ("body down", format!("GET {PREFIX}/bytes/{length}"), 0, Expected::Length(length)),
        ("body text", format!("GET {PREFIX}/text/{length}"), 0, Expected::Length(length)),
        ("body up", format!("POST {PREFIX}/sink"), length, Expected::Text(format!("received {length}"))),
    ];
    rig.tenant_behaves(&Behaviour::default());
    let mut rows = Vec::new();
    for (name, request, upload, expected) in ways {
        let growth = |server: &Server| {
            let spec = rig.spec(server, Until::Herd);
            body(
                rig,
                server,
                &Spec { request: request.clone(), upload, expected: expected.clone(), connections: BODIES, ..spec },
            )
        };
        let (ours, seconds) = growth(&rig.ours())?;
        let (floor, floor_seconds) = growth(&rig.floor())?;
        let mib = length as f64 / MIB;
        rows.push(Row::figure(name, ours, "MiB", 2.0).base(floor, "MiB").note(format!(
            "per connection, {BODIES} of {mib:.0} MiB at a time; {:.0} v {:.0} MiB/s",
            mib * BODIES as f64 / seconds,
            mib * BODIES as f64 / floor_seconds
        )));
    }
    Ok(rows)
}

/// The most that memory rose by for each body while they went through, and how long that took.
fn body(rig: &Rig, server: &Server, spec: &Spec) -> Result<(f64, f64), String> {
    warm(rig, server)?;
    let before = resident(server.id());
    let mut load = rig.start_load(spec);
    let mut most = before;
    // What piles up with a body stays until its end, so looking now and then misses nothing of it.
    while !load.ended() {
        most = most.max(resident(server.id()));
        std::thread::sleep(Duration::from_millis(10));
    }
    let report = report(&mut load)?;
    if !report.all(200) || report.requests != BODIES as u64 {
        return Err(format!("{report:?}"));
    }
    Ok(((most - before) as f64 / MIB / BODIES as f64, report.seconds))
}

/// 2,000 connections that have carried one request each and wait for another.
pub fn idle(rig: &Rig) -> Outcome {
    const CONNECTIONS: usize = 2_000;
    let each = |server: &Server| -> Result<f64, String> {
        warm(rig, server)?;
        let before = resident(server.id());
        let spec = Spec { connections: CONNECTIONS, hold: true, ..rig.spec(server, Until::EachConnection) };
        let mut load = rig.start_load(&spec);
        let report = report(&mut load)?;
        if !report.all(200) || report.requests != CONNECTIONS as u64 || load.ended() {
            return Err(format!("{report:?}"));
        }
        std::thread::sleep(Duration::from_millis(300));
        Ok(resident(server.id()).saturating_sub(before) as f64 / CONNECTIONS as f64 / 1024.0)
    };
    let row = Row::figure("idle", each(&rig.ours())?, "KiB/conn", 22.0);
    Ok(vec![row.base(each(&rig.floor())?, "KiB/conn").note("2,000 connections after one request each")])
}

/// Users whose token is held: what 99,000 more of them take once 1,000 are there.
pub fn users(rig: &Rig) -> Outcome {
    const FIRST: usize = 1_000;
    let users = if rig.options.quick { 20_000 } else { 100_000 };
    eprintln!("  signing {users} tokens …");
    rig.sign(users);
    rig.tenant_behaves(&Behaviour::default());
    let ours = rig.ours();
    let come = |first: usize, count: usize| {
        let report = rig.good_load(&Spec { first, count, ..rig.spec(&ours, Until::EachToken) })?;
        std::thread::sleep(Duration::from_millis(500));
        Ok::<_, String>((resident(ours.id()) as f64, report))
    };
    let (before, _) = come(0, FIRST)?;
    let (after, report) = come(FIRST, users - FIRST)?;
    let calls = rig.tenant_saw().users;
    let row = Row::figure("users", (after - before) / (users - FIRST) as f64, "B/user", 700.0);
    Ok(vec![row.note(format!(
        "{users} users, {calls} calls; {:.0} MiB in all; {:.0} users/s",
        after / MIB,
        report.requests as f64 / report.seconds
    ))])
}
