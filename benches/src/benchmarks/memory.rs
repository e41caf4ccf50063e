//! Memory that only an idle kept sandbox has: shared pages of the binary and of the host's programs do not count.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    measure::Summary,
    programs::{KEPT, Subject},
    report::{Goal, Row},
};

const NEIGHBOUR: &str = "neighbour";
/// Nobody else sleeps for so long: this is how the sandbox is found from outside.
const MARK: &str = "314.15926535";

pub fn idle_sandbox(subject: &Subject, _rounds: usize) -> Result<Vec<Row>> {
    // With one sandbox only, pages that all share would count as its own.
    subject.call(&["create", NEIGHBOUR, "--image", "host"])?;
    let rows = beside_another(subject);
    subject.call(&["remove", "-f", NEIGHBOUR])?;
    rows
}

fn beside_another(subject: &Subject) -> Result<Vec<Row>> {
    subject.call(&["create", KEPT, "--image", "host"])?;
    let mut sleeper = subject.command(&["exec", KEPT, "--", "sleep", MARK]).spawn()?;
    let init = find_init();
    sleeper.kill()?;
    sleeper.wait()?;
    let kibibytes = init.and_then(|init| {
        wait_until_alone(init)?;
        private_kibibytes(init)
    });
    let carrier = find_gateway().and_then(private_kibibytes);
    subject.call(&["remove", "-f", KEPT])?;
    let name = "memory of an idle kept sandbox".to_owned();
    let ours = Some(Summary::single(kibibytes?));
    let row = |name, ours, goal| Row {
        name,
        unit: "KiB",
        ours,
        peer: None,
        goal: Some(Goal::Value(goal)),
    };
    let gateway = Some(Summary::single(carrier?));
    Ok(vec![
        row(name, ours, 1024.0),
        row("memory of its gateway".to_owned(), gateway, 2048.0),
    ])
}

/// Private pages, clean and dirty. What is shared costs nothing more for one more sandbox.
fn private_kibibytes(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .context("cannot read the memory of the sandbox: run this as root")?;
    let field = |name: &str| -> Result<f64> {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .with_context(|| format!("no {name}"))?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    };
    Ok(field("Private_Clean:")? + field("Private_Dirty:")?)
}

fn find_init() -> Result<u32> {
    poll("the sandbox's first process", || {
        let sleeper = pids().find(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line == format!("sleep\0{MARK}\0").as_bytes()
        })?;
        let mut pid = sleeper;
        loop {
            match namespaced_pids(pid)?.as_slice() {
                [] | [_] => return None,
                [.., 1] => return Some(pid),
                _ => pid = status_field(pid, "PPid:")?.parse().ok()?,
            }
        }
    })
}

/// The process that carries the sandbox's network.
fn find_gateway() -> Result<u32> {
    poll("the sandbox's gateway", || {
        pids().find(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words = line.split(|byte| *byte == 0).skip(1);
            words.next() == Some(b"carry-network") && words.next() == Some(KEPT.as_bytes())
        })
    })
}

/// Waits until the first process has no child left.
fn wait_until_alone(init: u32) -> Result<()> {
    poll("the end of the sandbox's commands", || {
        let parent = init.to_string();
        let is_child = |pid: u32| status_field(pid, "PPid:").as_deref() == Some(parent.as_str());
        (!pids().any(is_child)).then_some(())
    })
}

fn poll<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        if let Some(found) = look() {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("waited in vain for {what}")
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn status_field(pid: u32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .map(|value| value.trim().to_owned())
}

fn namespaced_pids(pid: u32) -> Option<Vec<u32>> {
    status_field(pid, "NSpid:")?
        .split_whitespace()
        .map(|number| number.parse().ok())
        .collect()
}
