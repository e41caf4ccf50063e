//! More than one's share.

use super::{
    attempt::{Blocked, Leaked, Outcome, Probe, Skipped, call, errno, probe, refused, text_of},
    facts::Facts,
};

pub fn probes(facts: &Facts) -> Vec<Probe> {
    let mut probes = vec![
        probe("resources", "write core files", || {
            match limit(libc::RLIMIT_CORE) {
                (_, 0) => Blocked("0".to_owned()),
                limits => Leaked(format!("{limits:?}")),
            }
        }),
        probe("resources", "a priority above others", || {
            // -5 as the call counts it.
            refused(call(
                libc::SYS_setpriority,
                &[libc::PRIO_PROCESS as u64, 0, -5i64 as u64],
            ))
        }),
        probe("resources", "real-time scheduling", || {
            let priority = 1i32;
            refused(call(
                libc::SYS_sched_setscheduler,
                &[0, libc::SCHED_FIFO as u64, (&raw const priority) as u64],
            ))
        }),
        probe("resources", "real-time input and output", || {
            const REAL_TIME: u64 = 1 << 13;
            refused(call(libc::SYS_ioprio_set, &[1, 0, REAL_TIME]))
        }),
    ];
    for (name, resource) in [
        ("size of core files", libc::RLIMIT_CORE),
        ("processes", libc::RLIMIT_NPROC),
        ("open files", libc::RLIMIT_NOFILE),
        ("locked memory", libc::RLIMIT_MEMLOCK),
        ("niceness", libc::RLIMIT_NICE),
        ("real-time priority", libc::RLIMIT_RTPRIO),
    ] {
        probes.push(probe(
            "resources",
            format!("raise the limit: {name}"),
            move || raise(resource),
        ));
    }
    let asked = facts.get("pids").and_then(|pids| pids.parse().ok());
    probes.push(probe("resources", "more processes than allowed", move || {
        asked.map_or(Skipped("no limit was given".to_owned()), processes)
    }));
    probes
}

fn limit(resource: u32) -> (u64, u64) {
    let mut limits = [0u64; 2];
    let _ = call(
        libc::SYS_prlimit64,
        &[0, u64::from(resource), 0, limits.as_mut_ptr() as u64],
    );
    (limits[0], limits[1])
}

fn raise(resource: u32) -> Outcome {
    let (_, hard) = limit(resource);
    if hard == u64::MAX {
        return Skipped("there is none".to_owned());
    }
    let limits = [hard, hard + 1];
    refused(call(
        libc::SYS_prlimit64,
        &[0, u64::from(resource), limits.as_ptr() as u64, 0],
    ))
}

/// Children that do nothing, until one is refused; at most a few more than are allowed.
fn processes(allowed: u32) -> Outcome {
    let mut children = Vec::new();
    let mut refusal = None;
    for _ in 0..allowed + 16 {
        // SAFETY: the child waits for its end and does nothing else.
        match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: as above.
                unsafe { libc::pause() };
            },
            child if child > 0 => children.push(child),
            _ => {
                refusal = Some(errno());
                break;
            }
        }
    }
    for child in &children {
        // SAFETY: our own children.
        unsafe {
            libc::kill(*child, libc::SIGKILL);
            libc::waitpid(*child, std::ptr::null_mut(), 0);
        }
    }
    match refusal {
        Some(error) => Blocked(format!("{} and then: {}", children.len(), text_of(error))),
        None => Leaked(format!("{} of {allowed}", children.len())),
    }
}
