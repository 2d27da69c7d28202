//! Child processes: each says on stdout where it listens, and none outlives the run.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

/// Which core a process runs on where there are two or more and `taskset` is there to say so: the proxies have one to
/// themselves, everything around them the other.
#[derive(Clone, Copy, Debug)]
pub enum Core {
    /// Load, provider and tenant.
    Around,
    /// The proxy or the floor.
    Proxy,
}

static PINNING: LazyLock<bool> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let taskset = Command::new("taskset").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    cores > 1 && taskset.is_ok_and(|status| status.success())
});

/// How processes share the cores, for the report.
pub fn pinning() -> &'static str {
    if *PINNING { "proxies on core 1, all else on core 0" } else { "not pinned (one core, or no taskset)" }
}

/// `program`, on its core. `taskset` becomes the program, so the child's id is the program's.
pub fn command(core: Core, program: &str) -> Command {
    if !*PINNING {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args([
        "-c",
        match core {
            Core::Around => "0",
            Core::Proxy => "1",
        },
        program,
    ]);
    command
}

/// This binary in another role.
pub fn role(core: Core, role: &str) -> Command {
    let mut command = command(core, std::env::current_exe().unwrap().to_str().unwrap());
    command.arg(role);
    command
}

/// The line by which a role says that it is bound: the proxy's own form.
pub fn say_listening(address: SocketAddr) {
    println!("listening proxy=http://{address}");
}

/// A running child; dropping it ends it.
pub struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    /// Starts it, with its stdout here.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its next line; empty once it has ended.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    /// How it ended, for who has met the end of its output.
    pub fn status(&mut self) -> String {
        self.child.wait().unwrap().to_string()
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Either fails only when it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A child that listens.
pub struct Server {
    /// The process.
    pub process: Running,
    /// Where it takes requests.
    pub address: SocketAddr,
    /// The proxy's second listener.
    pub admin: Option<SocketAddr>,
}

impl Server {
    /// Starts it and waits for the line that says where it listens.
    pub fn start(command: Command) -> Self {
        let mut process = Running::start(command);
        let line = process.line();
        let find = |key: &str| line.split_whitespace().find_map(|word| word.strip_prefix(key)?.parse().ok());
        let address = find("proxy=http://").unwrap_or_else(|| panic!("no `listening proxy=…` line, but {line:?}"));
        Self { process, address, admin: find("admin=http://") }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

/// One request on a connection of its own, for all that is not load: status and body.
pub fn ask(target: SocketAddr, request: &str, bearer: &str, body: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(target)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let head = format!(
        "{request} HTTP/1.1\r\nhost: {target}\r\nauthorization: Bearer {bearer}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.get(9..12).and_then(|digits| digits.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    status.map(|status| (status, body.to_owned())).ok_or_else(|| std::io::Error::other(format!("answer {answer:?}")))
}
