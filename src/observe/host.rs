//! Figures of the machine and of this process, from `/proc`. What cannot be read is left out.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;

/// Network devices that are shown.
const MAX_NETWORKS: usize = 64;
/// Figures are at least so old before they are read anew, so that a share of the processors means something.
const READ_EVERY: Duration = Duration::from_secs(1);

/// What is known of the machine. Sizes are bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    pub cpu: Cpu,
    pub memory: Memory,
    pub disk: Vec<Disk>,
    pub network: Vec<Network>,
    /// Runnable tasks on average over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    pub process: Process,
}

#[derive(Clone, Debug, Serialize)]
pub struct Cpu {
    pub cores: usize,
    /// Busy share of all cores since the figures before; since the machine's start in the first.
    pub percent: Option<f64>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Memory {
    pub total: Option<u64>,
    /// All but what could be had without swapping.
    pub used: Option<u64>,
    /// Resident memory of this process.
    pub process: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Disk {
    pub path: String,
    pub total: u64,
    pub used: u64,
    /// What this process could still write: a share of the rest is kept for root.
    pub available: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Network {
    pub name: String,
    /// Since the machine's start.
    pub rx_bytes: u64,
    pub tx_bytes: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Process {
    pub pid: u32,
    pub threads: Option<u64>,
    pub open_files: Option<usize>,
    /// RFC 3339.
    pub started_at: String,
}

/// Reads figures, and remembers the last.
#[derive(Debug)]
pub struct Host {
    /// Where disks are looked at.
    disks: Vec<PathBuf>,
    started_at: Timestamp,
    last: Mutex<Option<Last>>,
}

#[derive(Debug)]
struct Last {
    at: Instant,
    cpu: Option<CpuTime>,
    figures: Figures,
}

/// Time of all processors since the machine's start, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct CpuTime {
    busy: u64,
    all: u64,
}

impl Host {
    /// A host whose disks with these paths are shown, seen from a process that starts now.
    pub fn new(disks: Vec<PathBuf>) -> Self {
        Self { disks, started_at: Timestamp::now(), last: Mutex::default() }
    }

    /// The figures of now, or of a moment ago. Reads small files of the kernel.
    pub fn figures(&self) -> Figures {
        let mut last = self.last.lock();
        if let Some(last) = &*last
            && last.at.elapsed() < READ_EVERY
        {
            return last.figures.clone();
        }
        let cpu = read("/proc/stat").as_deref().and_then(cpu_time);
        let before = last.as_ref().and_then(|last| last.cpu).unwrap_or_default();
        let figures = self.read(cpu.and_then(|now| busy_percent(before, now)));
        *last = Some(Last { at: Instant::now(), cpu, figures: figures.clone() });
        figures
    }

    fn read(&self, percent: Option<f64>) -> Figures {
        let info = read("/proc/meminfo").unwrap_or_default();
        let status = read("/proc/self/status").unwrap_or_default();
        let total = kilobytes(&info, "MemTotal");
        let available = kilobytes(&info, "MemAvailable");
        let threads = field(&status, "Threads").and_then(|text| text.parse().ok());
        Figures {
            cpu: Cpu {
                cores: std::thread::available_parallelism().map_or(1, usize::from),
                percent,
            },
            memory: Memory {
                total,
                used: total
                    .zip(available)
                    .map(|(total, available)| total.saturating_sub(available)),
                process: kilobytes(&status, "VmRSS"),
            },
            disk: self.disks.iter().filter_map(|path| disk(path)).collect(),
            network: networks(&read("/proc/net/dev").unwrap_or_default()),
            load: read("/proc/loadavg").as_deref().and_then(load),
            process: Process {
                pid: std::process::id(),
                threads,
                // The folder itself is open while it is read.
                open_files: fs::read_dir("/proc/self/fd").ok().map(|files| files.count() - 1),
                started_at: self.started_at.to_string(),
            },
        }
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// The text after `name:`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim())
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let kilobytes: u64 = field(text, name)?.strip_suffix(" kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// The first line of `/proc/stat`: user, nice, system, idle, waiting for disks, interrupts, taken by the hypervisor.
fn cpu_time(stat: &str) -> Option<CpuTime> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().take(8).map_while(|n| n.parse().ok()).collect();
    let all = ticks.iter().copied().fold(0, u64::saturating_add);
    let idle = ticks.get(3)?.saturating_add(*ticks.get(4)?);
    Some(CpuTime { busy: all.saturating_sub(idle), all })
}

fn busy_percent(before: CpuTime, now: CpuTime) -> Option<f64> {
    let all = now.all.checked_sub(before.all).filter(|all| *all > 0)?;
    Some((now.busy.saturating_sub(before.busy) as f64 / all as f64 * 1_000.0).round() / 10.0)
}

fn load(text: &str) -> Option<[f64; 3]> {
    let mut parts = text.split_whitespace().map_while(|part| part.parse().ok());
    Some([parts.next()?, parts.next()?, parts.next()?])
}

/// Lines of `/proc/net/dev` below its two headers: name, bytes received, seven others, bytes sent.
fn networks(text: &str) -> Vec<Network> {
    let device = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let mut numbers = numbers.split_whitespace().map(str::parse);
        let rx_bytes = numbers.next()?.ok()?;
        let tx_bytes = numbers.nth(7)?.ok()?;
        Some(Network { name: name.trim().to_owned(), rx_bytes, tx_bytes })
    };
    text.lines().skip(2).filter_map(device).take(MAX_NETWORKS).collect()
}

fn disk(path: &Path) -> Option<Disk> {
    let room = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(room.f_frsize);
    Some(Disk {
        path: path.display().to_string(),
        total: bytes(room.f_blocks),
        used: bytes(room.f_blocks.saturating_sub(room.f_bfree)),
        available: bytes(room.f_bavail),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_read() {
        let before = cpu_time("cpu  100 0 50 800 50 0 0 0 7 7\ncpu0 1 2\n").unwrap();
        assert_eq!(before, CpuTime { busy: 150, all: 1_000 });
        let now = CpuTime { busy: 200, all: 1_200 };
        assert_eq!(busy_percent(before, now), Some(25.0));
        assert_eq!(busy_percent(now, now), None);
        assert_eq!(busy_percent(now, before), None);
        let dev = "Inter-|   Receive\n face |bytes\n  lo: 11 1 0 0 0 0 0 0 22 2 0 0 0 0 0 0\n odd\neth0:3 0 0 0 0 0 0 0 4 0\n";
        let found = networks(dev);
        let names: Vec<_> =
            found.iter().map(|n| (n.name.as_str(), n.rx_bytes, n.tx_bytes)).collect();
        assert_eq!(names, [("lo", 11, 22), ("eth0", 3, 4)]);
        assert_eq!(kilobytes("A: 1 kB\nMemTotal:       12 kB\n", "MemTotal"), Some(12_288));
        assert_eq!(kilobytes("MemTotal: many\n", "MemTotal"), None);
        assert_eq!(load("0.5 1.25 2 1/100 5\n"), Some([0.5, 1.25, 2.0]));
        for text in ["", "\n", "cpu \n", "cpu x y z\n"] {
            assert_eq!(cpu_time(text), None);
            assert!(networks(text).is_empty() && load(text).is_none());
        }
    }

    #[test]
    fn this_machine_has_figures() {
        let host = Host::new(vec!["/".into(), "/nowhere".into()]);
        let figures = host.figures();
        assert!(figures.memory.process.is_some_and(|bytes| bytes > 0));
        assert!(figures.process.threads.is_some() && figures.process.open_files.is_some());
        assert_eq!(figures.disk.len(), 1);
        assert!(figures.disk[0].used <= figures.disk[0].total);
    }
}
