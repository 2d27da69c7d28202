//! A real PostgreSQL server for the tests: gone with the process, however that ends.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use rustix::process::{Pid, Signal, kill_process};

/// Makes a cluster in a folder of its own and does as it is told, until nobody can tell it anything any more. Texts are
/// sorted as in English there, which is not how keys are.
const SCRIPT: &str = r#"
set -eu
bin=$1 port=$2
umask 077
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$bin/initdb" -D "$folder/data" -U postgres -A trust --no-sync -E UTF8 --locale=C.UTF-8 \
  --locale-provider=icu --icu-locale=en >log 2>&1 || { cat log >&2; exit 1; }
printf %s "$CERTIFICATE" >certificate.pem
printf %s "$PRIVATE_KEY" >key.pem
start() {
  "$bin/postgres" -D "$folder/data" -k "$folder" -p "$port" -c listen_addresses=127.0.0.1 -c fsync=off \
    -c max_connections=300 -c ssl=on -c ssl_cert_file="$folder/certificate.pem" -c ssl_key_file="$folder/key.pem" \
    </dev/null >>log 2>&1 &
  server=$!
  until "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"; do
    kill -0 "$server" 2>/dev/null || { cat log >&2; exit 1; }
    sleep 0.05
  done
}
stop() {
  kill -INT "$server"
  wait "$server" || true
}
start
echo "$server"
while read -r order; do
  "$order"
  echo "$server"
done
kill -QUIT "$server"
wait "$server" || true
"#;

/// A running server. `tests/run` installs it where it is missing.
pub struct Postgres {
    port: u16,
    /// Its certificate for `localhost`, which is its own authority.
    pub certificate: String,
    /// Who starts and stops it, until this is dropped.
    keeper: Mutex<Keeper>,
    process: Child,
}

struct Keeper {
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// The server's process.
    server: Option<Pid>,
}

impl Postgres {
    /// The server that all tests share.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<Postgres> = OnceLock::new();
        SERVER.get_or_init(Self::own)
    }

    /// A server of one's own, to do anything with.
    pub fn own() -> Self {
        let port = free_port();
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = certified.cert.pem();
        let mut command = unprivileged();
        command.args(["sh", "-c", SCRIPT, "sh"]).arg(binaries()).arg(port.to_string()).current_dir("/");
        command.env("CERTIFICATE", &certificate).env("PRIVATE_KEY", certified.signing_key.serialize_pem());
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut keeper = Keeper { orders: process.stdin.take(), answers, server: None };
        keeper.wait();
        Self { port, certificate, keeper: Mutex::new(keeper), process }
    }

    /// A new, empty database: its address.
    pub fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let created = Command::new(binaries().join("createdb"))
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres", &name])
            .output()
            .unwrap();
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// Ends the server, with all its connections.
    pub fn stop(&self) {
        self.keeper.lock().unwrap().tell("stop");
    }

    /// Starts it again.
    pub fn start(&self) {
        self.keeper.lock().unwrap().tell("start");
    }

    /// Has it hang: connections stay, and nothing is answered.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Has it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// The server first, which starts a process for each connection, and then those.
    fn signal(&self, signal: Signal) {
        let server = self.keeper.lock().unwrap().server.unwrap();
        kill_process(server, signal).unwrap();
        let server = server.as_raw_nonzero();
        let children = std::fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap();
        for child in children.split_whitespace() {
            // One that has ended meanwhile is as good as one that is stopped.
            let _ = kill_process(Pid::from_raw(child.parse().unwrap()).unwrap(), signal);
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.thaw();
        self.keeper.lock().unwrap().orders.take();
        let _ = self.process.wait();
    }
}

impl Keeper {
    fn tell(&mut self, order: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        self.wait();
    }

    fn wait(&mut self) {
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        let pid = answer.trim().parse().ok().and_then(Pid::from_raw);
        self.server = Some(pid.expect("PostgreSQL does as it is told; what it says is above"));
    }
}

/// Debian keeps the server's binaries out of the way, by version.
fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin")).find(|bin| bin.join("initdb").exists());
    found.expect("PostgreSQL's server is missing; tests/run installs it (Debian: apt-get install postgresql)")
}

/// The server refuses to run as root.
fn unprivileged() -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new("env");
    }
    assert!(Path::new("/usr/sbin/runuser").exists(), "as root, the tests need runuser (Debian: util-linux)");
    let mut command = Command::new("/usr/sbin/runuser");
    command.args(["-u", "postgres", "--"]);
    command
}

/// A port that the system does not hand out by itself: the tests beside this one take those all the time.
fn free_port() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let first = 15_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut ports = std::iter::from_fn(|| Some(first + TAKEN.fetch_add(1, Ordering::Relaxed))).take(1000);
    ports.find(is_free).expect("a free port")
}
