//! What a process costs, as the kernel accounts for it: read from `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};

/// Microseconds per unit of time in `/proc/PID/stat`: `USER_HZ` is 100 on every Linux.
const TICK_US: u64 = 10_000;

/// A process at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    at: Instant,
    /// User and system time by thread, in microseconds, with the thread's name.
    threads: BTreeMap<u32, (String, u64, u64)>,
    /// Resident memory, in bytes.
    pub rss: u64,
}

/// What a process used between two moments.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// In seconds.
    pub wall_s: f64,
    /// User time of all threads, in microseconds.
    pub user_us: u64,
    /// System time of all threads, in microseconds.
    pub system_us: u64,
    /// Names of threads and what each used, in microseconds.
    pub threads: Vec<(String, u64)>,
}

impl Snapshot {
    /// Looks at a process.
    ///
    /// # Errors
    /// When there is none of that number.
    pub fn take(pid: u32) -> Result<Self> {
        let folder = format!("/proc/{pid}/task");
        let list = fs::read_dir(&folder).with_context(|| format!("no process {pid}"))?;
        let mut threads = BTreeMap::new();
        for entry in list.flatten() {
            // A thread may end while we look.
            if let Some((id, usage)) = thread(&entry.path()) {
                threads.insert(id, usage);
            }
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let rss = rss.and_then(|rest| rest.split_ascii_whitespace().next());
        let rss = rss.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0);
        Ok(Self {
            at: Instant::now(),
            threads,
            rss: rss * 1024,
        })
    }

    /// What was used since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Usage {
        let mut usage = Usage {
            wall_s: self.at.duration_since(earlier.at).as_secs_f64(),
            ..Usage::default()
        };
        for (id, (name, user, system)) in &self.threads {
            let before = earlier.threads.get(id);
            let (user_before, system_before) = before.map_or((0, 0), |(_, u, s)| (*u, *s));
            let (user, system) = (
                user.saturating_sub(user_before),
                system.saturating_sub(system_before),
            );
            usage.user_us += user;
            usage.system_us += system;
            usage.threads.push((name.clone(), user + system));
        }
        usage
    }
}

impl Usage {
    /// User and system time, in microseconds.
    #[must_use]
    pub const fn cpu_us(&self) -> u64 {
        self.user_us + self.system_us
    }

    /// The busiest thread's share of one core, 0 to 1, and its name.
    #[must_use]
    pub fn busiest(&self) -> (f64, &str) {
        let busiest = self.threads.iter().max_by_key(|(_, cpu_us)| *cpu_us);
        busiest.map_or((0.0, ""), |(name, cpu_us)| {
            (*cpu_us as f64 / 1e6 / self.wall_s.max(1e-6), name.as_str())
        })
    }

    /// How many cores were busy.
    #[must_use]
    pub fn cores(&self) -> f64 {
        self.cpu_us() as f64 / 1e6 / self.wall_s.max(1e-6)
    }
}

fn thread(path: &Path) -> Option<(u32, (String, u64, u64))> {
    let id = path.file_name()?.to_str()?.parse().ok()?;
    let stat = fs::read_to_string(path.join("stat")).ok()?;
    // The name is in parentheses and may contain anything.
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Fields 14 and 15 of proc_pid_stat(5); `rest` begins with the third.
    let user: u64 = fields.get(11)?.parse().ok()?;
    let system: u64 = fields.get(12)?.parse().ok()?;
    Some((id, (name.to_owned(), user * TICK_US, system * TICK_US)))
}

/// CPU time that all processes of this machine have used since it started, in microseconds.
#[must_use]
pub fn machine_us() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default();
    let fields = fields.split_ascii_whitespace().skip(1);
    let ticks: Vec<u64> = fields.filter_map(|field| field.parse().ok()).collect();
    // user, nice and system; idle and waiting for disks; then interrupts (proc_stat(5)).
    let busy = [0, 1, 2, 5, 6].map(|index| ticks.get(index).copied().unwrap_or(0));
    busy.iter().sum::<u64>() * TICK_US
}

/// Bytes of memory that nothing uses; 0 when the system does not say.
#[must_use]
pub fn free_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|it| it.strip_prefix("MemFree:"));
    let kib = line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok());
    kib.map_or(0, |kib: u64| kib * 1024)
}

/// The process that listens on a TCP port, if it may be seen.
#[must_use]
pub fn listener(port: u16) -> Option<u32> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let inode = tables.iter().find_map(|table| {
        let table = fs::read_to_string(table).ok()?;
        table.lines().skip(1).find_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let (_, local) = fields.get(1)?.rsplit_once(':')?;
            let listens = *fields.get(3)? == "0A";
            let same = u16::from_str_radix(local, 16) == Ok(port);
            (listens && same).then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
        })
    })?;
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .find(|pid| {
            let files = fs::read_dir(format!("/proc/{pid}/fd"));
            files.is_ok_and(|mut files| {
                files.any(|file| {
                    let target = file.and_then(|file| fs::read_link(file.path()));
                    target.is_ok_and(|target| target.as_os_str() == wanted.as_str())
                })
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_process_uses_time_and_memory() {
        let pid = std::process::id();
        let before = Snapshot::take(pid).unwrap();
        let mut sum = 0_u64;
        while before.at.elapsed().as_millis() < 50 {
            sum = sum.wrapping_add(1);
        }
        let after = Snapshot::take(pid).unwrap();
        assert!(sum > 0 && after.rss > 0);
        assert!(after.since(&before).cpu_us() >= TICK_US);
    }

    #[test]
    fn a_listener_is_found_by_its_port() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(listener(port), Some(std::process::id()));
    }
}
