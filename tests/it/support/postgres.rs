//! A real PostgreSQL server for the tests: started by the first that needs it, gone with the process.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A running server. `tests/run` installs it where it is missing.
pub struct Postgres {
    binaries: PathBuf,
    port: u16,
    /// The server lives as long as this one's input is open: however the tests end, it is not left behind.
    _guard: std::process::Child,
}

impl Postgres {
    /// The server that all tests share.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<Postgres> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    /// A new, empty database: its address.
    pub fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let port = self.port.to_string();
        let created = Command::new(self.binaries.join("createdb"))
            .args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", &name])
            .output()
            .unwrap();
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
        format!("postgres://postgres@127.0.0.1:{port}/{name}")
    }

    fn start() -> Self {
        let binaries = binaries();
        let folder = std::env::temp_dir().join(format!("idp-proxy-postgres-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            // The server refuses to run as root.
            let owned = Command::new("chown").arg("postgres").arg(&folder).status().unwrap();
            assert!(owned.success());
        }
        let data = folder.join("data");
        let port = free_port();
        let script = format!(
            "cd '{folder}' && '{bin}/initdb' -D '{data}' -A trust -U postgres --no-sync >init.log 2>&1 && \
             {{ '{bin}/postgres' -D '{data}' -k '{folder}' -p {port} -c fsync=off -c max_connections=300 \
             -c listen_addresses=127.0.0.1 >server.log 2>&1 & server=$!; read -r _; kill -INT $server; \
             wait $server; rm -rf '{folder}'; }}",
            folder = folder.display(),
            bin = binaries.display(),
            data = data.display(),
        );
        let mut command = if is_root {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--", "sh", "-c", &script]);
            command
        } else {
            let mut command = Command::new("sh");
            command.args(["-c", &script]);
            command
        };
        let server = Self { binaries, port, _guard: command.stdin(Stdio::piped()).spawn().unwrap() };
        server.wait(&folder);
        server
    }

    fn wait(&self, folder: &Path) {
        let port = self.port.to_string();
        for _ in 0..600 {
            let ready = Command::new(self.binaries.join("pg_isready")).args(["-h", "127.0.0.1", "-p", &port]).output();
            if ready.is_ok_and(|ready| ready.status.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let log = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        panic!("PostgreSQL did not start:\n{}{}", log("init.log"), log("server.log"));
    }
}

/// Debian keeps the server's binaries out of the way, by version.
fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin")).find(|bin| bin.join("initdb").exists());
    found.expect("PostgreSQL's server is missing; tests/run installs it (Debian: apt-get install postgresql)")
}

/// A port that the system does not hand out by itself: the tests beside this one take those all the time.
fn free_port() -> u16 {
    let first = 15_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (first..first + 1000).find(is_free).expect("a free port")
}
