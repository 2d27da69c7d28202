//! Tokens that end: how many renewals there are in a second, what a store adds to each, and what a grant takes in memory
//! and at the start.

use std::time::{Duration, Instant};

use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

use crate::child::ask;
use crate::load::{Report, Spec, Until};
use crate::measure::resident;
use crate::rig::{Place, Rig};
use crate::tenant::Behaviour;

use super::{Outcome, Row};

/// What an access token lives here, and a little.
const LIFE: Duration = Duration::from_millis(1_200);

/// Every request finds its user's token ended: 64 at a time, and one after the other.
pub fn renewals(rig: &Rig) -> Outcome {
    let users = if rig.options.quick { 500 } else { 5_000 };
    rig.sign(users);
    rig.tenant_behaves(&Behaviour { ends: true, ..Behaviour::default() });
    let mut rows = Vec::new();
    let mut without = None;
    for (name, place) in [("no store", Place::Memory), ("SQLite", Place::Sqlite), ("PostgreSQL", Place::Postgres)] {
        let ours = rig.ours_renewing(place);
        let renew = |count: usize, connections: usize| -> Result<Report, String> {
            let report = rig.good_load(&Spec { count, connections, ..rig.spec(&ours, Until::EachToken) });
            std::thread::sleep(LIFE);
            report
        };
        renew(users, 64)?;
        let (crowd, alone) = (renew(users, 64)?, renew(users / 10, 1)?);
        let alone_ms = f64::from(alone.p50_us) / 1e3;
        let added = alone_ms - *without.get_or_insert(alone_ms);
        let row = Row::shown(&format!("renew, {name}"), alone_ms, "ms");
        rows.push(row.note(format!(
            "one after the other; the store adds {added:.2} ms. 64 at a time: {:.0}/s, {:.1} ms in the middle, {:.1} ms for \
             99 in 100",
            crowd.requests as f64 / crowd.seconds,
            f64::from(crowd.p50_us) / 1e3,
            f64::from(crowd.p99_us) / 1e3,
        )));
    }
    Ok(rows)
}

/// Users whose tokens are renewed here: what many more of them take once a few are there.
pub fn grants(rig: &Rig) -> Outcome {
    const FIRST: usize = 1_000;
    let users = if rig.options.quick { 3_000 } else { 30_000 };
    rig.sign(users);
    rig.tenant_behaves(&Behaviour { ends: true, ..Behaviour::default() });
    let ours = rig.ours_renewing(Place::Sqlite);
    let come = |first: usize, count: usize| {
        rig.good_load(&Spec { first, count, ..rig.spec(&ours, Until::EachToken) })?;
        std::thread::sleep(Duration::from_millis(500));
        Ok::<_, String>(resident(ours.id()) as f64)
    };
    let before = come(0, FIRST)?;
    let after = come(FIRST, users - FIRST)?;
    let row = Row::figure("grants", (after - before) / (users - FIRST) as f64, "B/user", 1_400.0);
    Ok(vec![row.note(format!("{users} users with a grant each, in SQLite; token, record and the caller's claims"))])
}

/// From starting the program to being ready, with many records in the store: they are read when they are needed.
pub fn records(rig: &Rig) -> Outcome {
    const RECORDS: u32 = 100_000;
    let mut rows = Vec::new();
    for (name, place) in [("SQLite", Place::Sqlite), ("PostgreSQL", Place::Postgres)] {
        drop(rig.ours_renewing(place));
        fill(&rig.store(place), RECORDS);
        let mut figures = Vec::new();
        for _ in 0..if rig.options.quick { 1 } else { 5 } {
            let begun = Instant::now();
            let ours = rig.spawn_renewing(place);
            while !matches!(ask(ours.admin.unwrap(), "GET /readyz", "", ""), Ok((200, _))) {
                if begun.elapsed() > Duration::from_secs(20) {
                    return Err("not ready after 20 s".to_owned());
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            figures.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        let row = Row::figure(&format!("start, {name}"), super::median(&figures), "ms", 2_000.0);
        rows.push(row.note(format!("to ready, with {RECORDS} records")));
    }
    Ok(rows)
}

/// Writes records that nobody has the key of: at the start nobody may want to open them.
fn fill(url: &str, count: u32) {
    let sql = format!(
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) \
         INSERT INTO grants (tenant, subject, connection, account, audience, generation, sealed, updated) \
         SELECT 'bench.localhost', 'stored|' || n, 'github', 'github|1', '', 7, marks.sealed, 1 FROM numbers, marks"
    );
    install_default_drivers();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let mut database = AnyConnection::connect(url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut database).await.unwrap();
        database.close().await.unwrap();
    });
}
