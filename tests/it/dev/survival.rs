//! README.md's lines by which one sees a renewal survive `kill -9`, as they stand, in a shell that counts its jobs.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::Child;
use crate::support::child::{BINARY, Signal, folder};
use crate::support::postgres::Postgres;

/// The lines of the block that begins with `first`.
fn block(first: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, rest) = readme.split_once(&format!("```sh\n{first}")).unwrap_or_else(|| panic!("no block with {first}"));
    let (block, _) = rest.split_once("\n```").unwrap();
    format!("{first}{block}").lines().map(str::to_owned).collect()
}

/// One shell: a folder, and the jobs that were begun in it.
struct Shell {
    folder: PathBuf,
    database: Option<String>,
    ports: [u16; 2],
    jobs: Vec<Option<Child>>,
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.jobs.clear();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Shell {
    fn new(database: Option<String>) -> Self {
        let folder = folder();
        std::fs::create_dir(folder.join("bin")).unwrap();
        std::os::unix::fs::symlink(BINARY, folder.join("bin/idp-proxy")).unwrap();
        let listeners = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = listeners.map(|listener| listener.local_addr().unwrap().port());
        Self { folder, database, ports, jobs: Vec::new() }
    }

    /// `line` as the shell runs it. Only the ports are others: more than one test runs on a machine.
    fn command(&self, line: &str) -> Command {
        let line = line.replace("8081", &self.ports[0].to_string()).replace("8082", &self.ports[1].to_string());
        let line = line.replace("curl ", "curl --silent --show-error --fail-with-body --max-time 20 ");
        let mut command = Command::new("sh");
        let folder = self.folder.display();
        command.args(["-c", &format!("PATH='{folder}/bin':$PATH && cd '{folder}' && {line}")]);
        command.envs(self.database.as_ref().map(|url| ("DATABASE_URL", url)));
        command
    }

    /// Runs a line: what it printed, if it is one that comes to an end by itself.
    async fn run(&mut self, line: &str) -> Option<Output> {
        if let Some(job) = line.strip_suffix(" &") {
            let child = Child::spawn(self.command(&format!("exec {job}")));
            // Who types the lines sees that it runs before the next.
            let child = if job.contains(" serve ") { child.listening().await.ready().await } else { child };
            child.printed("listening ").await;
            self.jobs.push(Some(child));
            return None;
        }
        if let Some(job) = line.strip_prefix("kill -9 %") {
            let job: usize = job.parse().unwrap();
            let mut child = self.jobs[job - 1].take().unwrap();
            child.signal(Signal::KILL);
            assert_eq!(child.exit().await.code(), None, "{line}");
            return None;
        }
        if line == "kill $(jobs -p)" {
            for child in self.jobs.iter_mut().flatten() {
                assert_eq!(child.stop().await, Some(0), "{}", child.log());
            }
            return None;
        }
        let mut command = self.command(line);
        Some(tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap())
    }

    /// Runs all lines, none of which may fail: what those of `curl` and of `store list` printed.
    async fn run_all(&mut self, lines: &[String]) -> (Vec<Value>, String) {
        let (mut answers, mut list) = (Vec::new(), String::new());
        for line in lines {
            let Some(output) = self.run(line).await else { continue };
            let told = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            assert!(output.status.success(), "{line}\n{}{}", told[0], told[1]);
            if line.starts_with("curl ") {
                answers.push(serde_json::from_str(&told[0]).unwrap());
            } else {
                list += &told[0];
            }
        }
        (answers, list)
    }
}

#[tokio::test]
async fn a_renewal_outlives_the_process_that_made_it() {
    let lines = block("idp-proxy dev --tenant-only world");
    let (answers, list) = Shell::new(None).run_all(&lines).await;
    let logins: Vec<_> = answers.iter().map(|answer| answer["login"].as_str()).collect();
    assert_eq!(logins, [Some("alice"); 2]);
    // The token of the sign-in had ended, and that of the first process as well: both calls have renewed.
    assert!(list.lines().count() == 1 && list.contains("  bitbucket  "), "{list}");
}

#[tokio::test]
async fn a_renewal_outlives_the_replica_that_made_it() {
    let lines = block("idp-proxy dev --tenant-only pair");
    let (answers, _) = Shell::new(Some(Postgres::shared().database())).run_all(&lines).await;
    let logins: Vec<_> = answers.iter().map(|answer| answer["login"].as_str()).collect();
    assert_eq!(logins, [Some("alice"); 2]);
}
