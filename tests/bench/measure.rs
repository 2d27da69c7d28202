//! What the kernel says a process has used.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// CPU time so far.
///
/// `/proc/PID/stat` counts in hundredths of a second, which is half a percent of a round; `schedstat` counts in
/// nanoseconds, but per thread, and forgets a thread that has ended. So: the sum over threads where all of them are
/// still there at the end of the round, else the coarse figure, which forgets nothing.
pub struct Cpu {
    coarse_ns: u64,
    /// By thread: running, and ready but waiting for a core.
    threads: BTreeMap<String, (u64, u64)>,
}

/// Linux shows clock ticks to programs at 100 Hz whatever it uses itself.
const TICK_NS: u64 = 10_000_000;

impl Cpu {
    /// Now.
    pub fn of(pid: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is still there");
        // The name, in parentheses, may hold anything; utime and stime are the 12th and 13th field after it.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<u64>().unwrap();
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
            // A thread may end between the listing and the reading.
            let Ok(text) = fs::read_to_string(entry.path().join("schedstat")) else { continue };
            let figures: Vec<u64> = text.split_whitespace().map(|field| field.parse().unwrap()).collect();
            threads.insert(entry.file_name().into_string().unwrap(), (figures[0], figures[1]));
        }
        Self { coarse_ns: (ticks(11) + ticks(12)) * TICK_NS, threads }
    }

    /// Nanoseconds of CPU from then to now, and of waiting for a core.
    pub fn since(&self, before: &Self) -> (u64, u64) {
        let (mut ran, mut waited) = (0, 0);
        for (thread, (now_ran, now_waited)) in &self.threads {
            let (then_ran, then_waited) = before.threads.get(thread).copied().unwrap_or_default();
            ran += now_ran - then_ran;
            waited += now_waited - then_waited;
        }
        let all_there = before.threads.keys().all(|thread| self.threads.contains_key(thread));
        (if all_there { ran } else { self.coarse_ns - before.coarse_ns }, waited)
    }
}

/// Resident memory in bytes, added up page by page: the quick counters in `statm` lag behind by up to a megabyte.
pub fn resident(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("the process is still there");
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// System calls by name while `during` runs, or why they cannot be counted.
pub fn system_calls(pid: u32, during: impl FnOnce()) -> Result<BTreeMap<String, u64>, String> {
    let mut strace = Command::new("strace")
        .args(["-c", "-f", "-p", &pid.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|_| "strace not installed: skipped".to_owned())?;
    let mut lines = BufReader::new(strace.stderr.take().unwrap()).lines().map_while(Result::ok);
    match lines.next() {
        Some(line) if line.contains("attached") => {}
        other => {
            drop(strace.wait());
            return Err(format!("strace cannot attach: skipped ({})", other.unwrap_or_default()));
        }
    }
    during();
    let strace_id = Pid::from_raw(i32::try_from(strace.id()).unwrap()).unwrap();
    kill_process(strace_id, Signal::INT).unwrap();
    // `% time, seconds, usecs/call, calls, [errors,] syscall`, then a line for the total.
    let mut calls = BTreeMap::new();
    for line in lines {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (Some(share), Some(count), Some(name)) = (fields.first(), fields.get(3), fields.last()) else { continue };
        if let (Ok(_), Ok(count)) = (share.parse::<f64>(), count.parse())
            && *name != "total"
        {
            calls.insert((*name).to_owned(), count);
        }
    }
    drop(strace.wait());
    Ok(calls)
}
