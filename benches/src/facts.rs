//! What a reader must know of the machine before comparing numbers.

use std::{fs, time::Duration};

use serde::Serialize;

use crate::programs::{Subject, answer};

#[derive(Debug, Serialize)]
pub struct Facts {
    pub agentkernel: String,
    pub processor: String,
    pub cores: usize,
    pub memory_mib: u64,
    pub kernel: String,
    pub distribution: String,
    /// Over the last minute, before the first measurement.
    pub load: String,
    pub root: bool,
    pub bubblewrap: Option<String>,
}

pub fn read(subject: &Subject) -> Facts {
    let line = |path: &str, key: &str| -> Option<String> {
        let text = fs::read_to_string(path).ok()?;
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(
            line[key.len()..]
                .trim_matches([' ', '\t', ':', '=', '"'])
                .to_owned(),
        )
    };
    let unknown = || "unknown".to_owned();
    let memory =
        line("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    let version = |program: &std::path::Path| {
        answer(
            std::process::Command::new(program).arg("--version"),
            Duration::from_secs(10),
        )
        .ok()
    };
    Facts {
        agentkernel: version(&subject.program).unwrap_or_else(unknown),
        processor: line("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_mib: memory.unwrap_or(0) / 1024,
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
            .unwrap_or_else(|_| unknown())
            .trim()
            .to_owned(),
        distribution: line("/etc/os-release", "PRETTY_NAME").unwrap_or_else(unknown),
        load: fs::read_to_string("/proc/loadavg")
            .ok()
            .and_then(|text| text.split(' ').next().map(str::to_owned))
            .unwrap_or_else(unknown),
        root: rustix::process::getuid().is_root(),
        bubblewrap: crate::programs::in_path("bwrap").and_then(|program| version(&program)),
    }
}
