//! PID 1, which is made before the walls are trusted and holds the line to the host: nothing of it can be had.

use std::fs::{self, File, OpenOptions};

use crate::{
    attempt::{REFUSED_OR_ABSENT, judge},
    facts::Facts,
    report::{Check, Outcome, blocked, holds, leaked},
};

const CLASS: &str = "leaks";
const FILES: [&str; 14] = [
    "environ",
    "mem",
    "maps",
    "smaps",
    "auxv",
    "pagemap",
    "syscall",
    "stack",
    "io",
    "personality",
    "numa_maps",
    "timers",
    "exe",
    "fdinfo/3",
];

pub fn checks(_: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for file in FILES {
        checks.push(Check::new(CLASS, format!("read /proc/1/{file}"), move |_| {
            content(&format!("/proc/1/{file}"))
        }));
    }
    for link in ["exe", "root", "cwd"] {
        checks.push(Check::new(CLASS, format!("follow /proc/1/{link}"), move |_| {
            judge(fs::read_link(format!("/proc/1/{link}")), REFUSED_OR_ABSENT)
        }));
    }
    for folder in ["fd", "fdinfo", "map_files", "root", "cwd", "root/etc"] {
        checks.push(Check::new(CLASS, format!("list /proc/1/{folder}"), move |_| {
            judge(fs::read_dir(format!("/proc/1/{folder}")), REFUSED_OR_ABSENT)
        }));
    }
    for number in 0..7 {
        checks.push(Check::new(
            CLASS,
            format!("open /proc/1/fd/{number}"),
            move |_| judge(File::open(format!("/proc/1/fd/{number}")), REFUSED_OR_ABSENT),
        ));
    }
    for file in ["exe", "mem", "comm", "oom_score_adj", "coredump_filter"] {
        checks.push(Check::new(CLASS, format!("write /proc/1/{file}"), move |_| {
            judge(
                OpenOptions::new().write(true).open(format!("/proc/1/{file}")),
                REFUSED_OR_ABSENT,
            )
        }));
    }
    checks.push(Check::new(CLASS, "PID 1 is in this sandbox", |_| own_first()));
    checks
}

/// Some of these can be opened by everyone and refuse when they are read.
fn content(path: &str) -> Outcome {
    match fs::read(path) {
        Ok(bytes) if bytes.is_empty() => blocked("empty"),
        Ok(bytes) => leaked(format!("{} bytes can be read", bytes.len())),
        Err(error) => judge(Err::<(), _>(error), REFUSED_OR_ABSENT),
    }
}

/// The first process has the number 1 in its own namespace and no other that is seen from here.
fn own_first() -> Outcome {
    let status = fs::read_to_string("/proc/1/status").unwrap_or_default();
    let numbers = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .unwrap_or_default()
        .trim();
    holds(numbers == "1", numbers)
}
