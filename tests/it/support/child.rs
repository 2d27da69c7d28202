//! The real binary in a process of its own: started, listened to, signalled, waited for, and killed when it is dropped.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

use super::{Answer, client};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_idp-proxy");

/// How long a test waits for a process before it fails. Generous: the machine may be busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A process, and what it has written so far.
pub struct Child {
    /// `127.0.0.1:PORT` of the proxy; empty until [`Child::listening`].
    pub proxy: String,
    /// `127.0.0.1:PORT` of the admin listener.
    pub admin: String,
    /// A folder of its own, which it runs in.
    pub folder: PathBuf,
    process: std::process::Child,
    out: Written,
    err: Written,
}

type Written = Arc<Mutex<String>>;

/// A new, empty folder.
pub fn folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("child").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The binary with these arguments.
pub fn idp_proxy(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments);
    command
}

impl Child {
    /// `serve` with this `proxy.toml`, listening.
    pub async fn serve(config: &str, env: &[(&str, &str)]) -> Self {
        let mut command = idp_proxy(&["serve"]);
        command.envs(env.iter().copied());
        Self::serve_by(command, config).await
    }

    /// The same by a command of one's own, which finds `proxy.toml` in its folder.
    pub async fn serve_by(command: Command, config: &str) -> Self {
        let folder = folder();
        std::fs::write(folder.join("proxy.toml"), config).unwrap();
        Self::spawn_in(command, folder).listening().await
    }

    /// Starts `command` in a folder of its own.
    pub fn spawn(command: Command) -> Self {
        Self::spawn_in(command, folder())
    }

    /// Starts `command` in `folder`.
    pub fn spawn_in(command: Command, folder: PathBuf) -> Self {
        Self::spawn_reading(command, folder, Stdio::null())
    }

    /// Starts `command` in a folder of its own, with an input that ends when this process does, if not before.
    pub fn spawn_leashed(command: Command) -> Self {
        Self::spawn_reading(command, folder(), Stdio::piped())
    }

    fn spawn_reading(mut command: Command, folder: PathBuf, input: Stdio) -> Self {
        command.current_dir(&folder).stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{error}: {command:?}"));
        let (out, err) = (collect(process.stdout.take().unwrap()), collect(process.stderr.take().unwrap()));
        Self { proxy: String::new(), admin: String::new(), folder, process, out, err }
    }

    /// Waits for the line that says where it listens.
    pub async fn listening(mut self) -> Self {
        let line = self.printed("listening ").await;
        let address = |name: &str| {
            let word = line.split_whitespace().find_map(|word| word.strip_prefix(name));
            word.unwrap_or_else(|| panic!("no {name} in {line}")).to_owned()
        };
        let proxy = if line.contains("proxy=https://") { "proxy=https://" } else { "proxy=http://" };
        (self.proxy, self.admin) = (address(proxy), address("admin=http://"));
        self
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Everything on stdout so far.
    pub fn out(&self) -> String {
        self.out.lock().unwrap().clone()
    }

    /// Everything on stderr so far.
    pub fn log(&self) -> String {
        self.err.lock().unwrap().clone()
    }

    /// Waits for a line on stdout that holds `piece`.
    pub async fn printed(&self, piece: &str) -> String {
        self.wait_for_line(&self.out, piece).await
    }

    /// Waits for a line on stderr that holds `piece`.
    pub async fn logged(&self, piece: &str) -> String {
        self.wait_for_line(&self.err, piece).await
    }

    async fn wait_for_line(&self, written: &Written, piece: &str) -> String {
        let found = eventually(|| {
            let text = written.lock().unwrap();
            // A line counts once it is whole.
            let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
            whole.lines().find(|line| line.contains(piece)).map(str::to_owned)
        });
        found.await.unwrap_or_else(|| panic!("no `{piece}` from the process\n{}\n{}", self.out(), self.log()))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Waits for its end: the exit code, or what ended it, and everything that it wrote is there.
    pub async fn exit(&mut self) -> std::process::ExitStatus {
        let ended = eventually(|| self.process.try_wait().unwrap()).await;
        let status = ended.unwrap_or_else(|| panic!("the process did not end\n{}", self.log()));
        // The readers hold a share until the pipes are at their end.
        eventually(|| (Arc::strong_count(&self.out) + Arc::strong_count(&self.err) == 2).then_some(())).await;
        status
    }

    /// Ends it with SIGTERM and tells the exit code.
    pub async fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.exit().await.code()
    }

    /// The proxy's answer to one request on a connection of its own, from the holder of `token`.
    pub async fn send(&self, token: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let authorization = format!("Bearer {token}");
        let mut all = vec![("authorization", authorization.as_str())];
        all.extend_from_slice(headers);
        client::send(&self.proxy, method, path, &all, b"").await
    }

    /// The proxy's answer to `GET path` from the holder of `token`.
    pub async fn get(&self, token: &str, path: &str) -> Answer {
        self.send(token, "GET", path, &[]).await
    }

    /// The answer of the admin listener.
    pub async fn admin(&self, path: &str) -> Answer {
        client::send(&self.admin, "GET", path, &[], b"").await
    }

    /// Waits until it holds the tenant's keys.
    pub async fn ready(self) -> Self {
        let ready = async {
            while self.admin("/readyz").await.status != 200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, ready).await;
        assert!(waited.is_ok(), "not ready\n{}", self.log());
        self
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What `look` finds within [`PATIENCE`], looking again and again.
pub async fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let found = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.ok()
}

fn collect(pipe: impl std::io::Read + Send + 'static) -> Written {
    let written = Written::default();
    let share = Arc::clone(&written);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(count) if count > 0) {
            share.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    written
}
