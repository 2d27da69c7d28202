//! CPU per request against the floor's, in turns, and system calls.

use crate::child::Server;
use crate::load::{Report, Spec, Until};
use crate::measure::{Cpu, system_calls};
use crate::rig::Rig;
use crate::tenant::Behaviour;

use super::{Outcome, Ratio, Row, Verdict, median};

/// What passes untouched: nothing is looked for in answers.
const BARE: &str = "guard = \"off\"\nrewrite = \"off\"\n";

/// One user, 64 connections kept open: as it is by default, untouched, and with links in bodies pointed back.
pub fn hot(rig: &Rig) -> Outcome {
    let mut rows = against_floor(rig, "hot", (1.30, ""), |_| {})?;
    if !rig.options.noise {
        rows.extend(against_floor(rig, "hot, bare", (1.20, BARE), |_| {})?);
        rows.extend(against_floor(rig, "hot, json", (1.30, "rewrite = \"json\"\n"), |_| {})?);
    }
    Ok(rows)
}

/// A new connection for each request.
pub fn newconn(rig: &Rig) -> Outcome {
    against_floor(rig, "newconn", (1.20, BARE), |spec| spec.fresh = true)
}

/// Callers that speak HTTP/2.
pub fn h2(rig: &Rig) -> Outcome {
    against_floor(rig, "h2", (1.20, BARE), |spec| (spec.connections, spec.streams) = (8, 8))
}

fn against_floor(rig: &Rig, name: &str, (limit, lines): (f64, &str), shape: impl Fn(&mut Spec)) -> Outcome {
    rig.tenant_behaves(&Behaviour::default());
    let (ours, floor) = (rig.ours_with(lines), rig.floor());
    let side = |server| Side::new(rig, server, &shape);
    Ok(vec![turns(rig, &side(&ours), &side(&floor))?.row(name, limit)])
}

/// 10,000 users in turn, against one user, both here.
pub fn hot10k(rig: &Rig) -> Outcome {
    const USERS: usize = 10_000;
    rig.tenant_behaves(&Behaviour::default());
    let (ours, floor) = (rig.ours(), rig.floor());
    rig.good_load(&Spec { count: USERS, ..rig.spec(&ours, Until::EachToken) })?;
    let many = |server| Side::new(rig, server, |spec| spec.count = USERS);
    let one = |server| Side::new(rig, server, |_| {});
    // What 10,000 different requests cost a proxy that does not look at them is the rig's own share of the ratio.
    let floors = turns(rig, &many(&floor), &one(&floor))?.ratio().median;
    let row = turns(rig, &many(&ours), &one(&ours))?.row("hot10k", 1.05);
    let note = format!("base: own hot; the floor with as many tokens: {floors:.3}; {}", row.note);
    Ok(vec![row.note(note)])
}

/// Waiting for a core beyond this share of running: others' work has emptied the caches, and ratios stray.
const BUSY: f64 = 0.2;

/// One of two that take turns.
struct Side<'a> {
    server: &'a Server,
    spec: Spec,
}

impl<'a> Side<'a> {
    fn new(rig: &Rig, server: &'a Server, shape: impl Fn(&mut Spec)) -> Self {
        let mut spec = rig.spec(server, Until::Seconds(if rig.options.quick { 0.5 } else { 1.0 }));
        shape(&mut spec);
        Self { server, spec }
    }

    fn round(&self, rig: &Rig) -> Result<Round, String> {
        let before = Cpu::of(self.server.id());
        let report = rig.good_load(&self.spec)?;
        let (ran, waited) = Cpu::of(self.server.id()).since(&before);
        let requests = report.requests as f64;
        Ok(Round {
            cpu_us: ran as f64 / requests / 1e3,
            waited: waited as f64 / ran as f64,
            per_second: requests / report.seconds,
        })
    }
}

/// One side's turn.
struct Round {
    cpu_us: f64,
    /// How long it was ready but had no core, as a share of how long it ran.
    waited: f64,
    per_second: f64,
}

/// Lets two take turns; who goes first alternates, so that a drift of the machine favours neither. Many short rounds
/// and not few long ones: the shorter a pair, the less changes between its halves. Pairs that others' work disturbed
/// are made up for, up to twice as many, and not judged by where enough quiet ones are left.
fn turns(rig: &Rig, ours: &Side<'_>, base: &Side<'_>) -> Result<Turns, String> {
    let wanted = if rig.options.quick { 5 } else { 15 };
    rig.sign(ours.spec.count.max(base.spec.count));
    ours.round(rig)?;
    base.round(rig)?;
    let (mut quiet, mut disturbed) = (Vec::new(), Vec::new());
    while quiet.len() < wanted && quiet.len() + disturbed.len() < 2 * wanted {
        let pair = if (quiet.len() + disturbed.len()) % 2 == 0 {
            (ours.round(rig)?, base.round(rig)?)
        } else {
            let base = base.round(rig)?;
            (ours.round(rig)?, base)
        };
        if pair.0.waited.max(pair.1.waited) <= BUSY { quiet.push(pair) } else { disturbed.push(pair) }
    }
    let mut note = format!("{} quiet rounds", quiet.len());
    if quiet.len() < wanted / 3 {
        note = format!("BUSY MACHINE, do not judge: {note} of {}", quiet.len() + disturbed.len());
        quiet.append(&mut disturbed);
    }
    Ok(Turns { rounds: quiet, note })
}

/// The rounds to judge by, ours and the base's, and what to say of them.
struct Turns {
    rounds: Vec<(Round, Round)>,
    note: String,
}

impl Turns {
    fn median(&self, figure: impl Fn(&(Round, Round)) -> f64) -> f64 {
        median(&self.rounds.iter().map(figure).collect::<Vec<_>>())
    }

    fn ratio(&self) -> Ratio {
        Ratio::over(&self.rounds.iter().map(|(ours, base)| ours.cpu_us / base.cpu_us).collect::<Vec<_>>())
    }

    fn row(&self, name: &str, limit: f64) -> Row {
        let cpu = (self.median(|(ours, _)| ours.cpu_us), self.median(|(_, base)| base.cpu_us));
        let note = format!(
            "{:.0} v {:.0} req/s; {}",
            self.median(|(ours, _)| ours.per_second),
            self.median(|(_, base)| base.per_second),
            self.note,
        );
        Row::ratio(name, cpu, "us", self.ratio(), limit).note(note)
    }
}

/// System calls per request on the hot path. Connecting is in it, and is a few thousandths of the result.
pub fn syscalls(rig: &Rig) -> Outcome {
    rig.tenant_behaves(&Behaviour::default());
    let (ours, floor) = (calls_per_request(rig, &rig.ours())?, calls_per_request(rig, &rig.floor())?);
    let (Ok((ours, by_name)), Ok((floor, floor_by_name))) = (&ours, &floor) else {
        let why = ours.err().or_else(|| floor.err()).unwrap_or_default();
        return Ok(vec![Row::without_figure("syscalls", Verdict::Skipped, why)]);
    };
    let row = Row::figure("syscalls", *ours, "", 4.2).base(*floor, "");
    Ok(vec![row.note(format!("ours: {by_name}; floor: {floor_by_name}"))])
}

/// In all and by name; inside, why they could not be counted.
type Calls = Result<(f64, String), String>;

fn calls_per_request(rig: &Rig, server: &Server) -> Result<Calls, String> {
    let spec = rig.spec(server, Until::Seconds(if rig.options.quick { 2.0 } else { 5.0 }));
    rig.good_load(&Spec { until: Until::Seconds(0.5), ..spec.clone() })?;
    let mut report = Ok(Report::default());
    let calls = match system_calls(server.id(), || report = rig.good_load(&spec)) {
        Ok(calls) => calls,
        Err(why) => return Ok(Err(why)),
    };
    let requests = report?.requests as f64;
    let mut by_share: Vec<(f64, &String)> =
        calls.iter().map(|(name, count)| (*count as f64 / requests, name)).collect();
    by_share.sort_by(|one, other| other.0.total_cmp(&one.0));
    let first: Vec<String> = by_share.iter().take(5).map(|(each, name)| format!("{name} {each:.3}")).collect();
    Ok(Ok((by_share.iter().map(|(each, _)| each).sum(), first.join(", "))))
}
