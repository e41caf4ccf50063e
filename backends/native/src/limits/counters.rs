//! What the controllers have counted in one group. A file that is not there counts nothing.

use std::{fs, path::Path};

/// What the processes of a sandbox use. None: no controller counts it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// In bytes.
    pub memory: Option<u64>,
    /// In microseconds.
    pub cpu_us: Option<u64>,
}

impl Usage {
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            memory: self.memory.or(other.memory),
            cpu_us: self.cpu_us.or(other.cpu_us),
        }
    }
}

pub(super) fn usage(folder: &Path) -> Usage {
    let v1_cpu_us = || number(folder, "cpuacct.usage").map(|nanoseconds| nanoseconds / 1000);
    Usage {
        memory: number(folder, "memory.current").or_else(|| number(folder, "memory.usage_in_bytes")),
        cpu_us: field(folder, "cpu.stat", "usage_usec").or_else(v1_cpu_us),
    }
}

pub(super) fn oom_kills(folder: &Path) -> u64 {
    field(folder, "memory.events", "oom_kill")
        .or_else(|| field(folder, "memory.oom_control", "oom_kill"))
        .unwrap_or(0)
}

fn number(folder: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
}

/// A line `key value`.
fn field(folder: &Path, file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(folder.join(file)).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}
