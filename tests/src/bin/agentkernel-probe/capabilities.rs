//! Privileges: none there, none to be had, no other identity.

use std::{
    collections::HashMap,
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    attempt::{REFUSED, address, answer, c, call, judge},
    facts::Facts,
    report::{Check, Outcome, blocked, holds, leaked, skipped},
};

const CLASS: &str = "capabilities";
const SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

/// Whether the value of a field is as it must be.
type Wanted = fn(&str) -> bool;
type Attempt = fn() -> std::io::Result<i64>;

/// A newer kernel may know more: the last one is asked for.
const MOST_CAPABILITIES: i32 = 64;

pub fn checks(_: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for set in SETS {
        checks.push(Check::new(
            CLASS,
            format!("{set} of this process and its ancestors is empty"),
            move |_| in_chain(set, |value| value.bytes().all(|byte| byte == b'0')),
        ));
    }
    let chains: [(&str, &str, Wanted); 3] = [
        (
            "no_new_privs is set all the way to PID 1",
            "NoNewPrivs",
            |value| value == "1",
        ),
        (
            "a system call filter is in force all the way to PID 1",
            "Seccomp",
            |value| value == "2",
        ),
        ("nobody on the way to PID 1 is traced", "TracerPid", |value| {
            value == "0"
        }),
    ];
    for (name, field, wanted) in chains {
        checks.push(Check::new(CLASS, name, move |_| in_chain(field, wanted)));
    }
    checks.extend([
        Check::new(CLASS, "the bounding set has none", |_| bounding_set()),
        Check::new(CLASS, "securebits are locked", |_| securebits()),
        Check::new(CLASS, "clear the securebits", |_| {
            judge(prctl(libc::PR_SET_SECUREBITS, 0), REFUSED)
        }),
        Check::new(CLASS, "clear no_new_privs", |_| {
            judge(prctl(libc::PR_SET_NO_NEW_PRIVS, 0), &[libc::EINVAL, libc::EPERM])
        }),
        Check::new(CLASS, "capset of a permitted capability", |_| {
            capset([1 << 21, 1 << 21, 0])
        }),
        Check::new(CLASS, "capset of an inheritable capability", |_| {
            capset([0, 0, 1 << 21])
        }),
        Check::new(CLASS, "raise an ambient capability", |_| ambient()),
        Check::new(CLASS, "place the heap by PR_SET_MM", |_| {
            judge(prctl(libc::PR_SET_MM, 6), REFUSED)
        }),
        Check::new(CLASS, "give a file capabilities", |_| {
            attribute("security.capability")
        }),
        Check::new(CLASS, "set a trusted attribute", |_| attribute("trusted.probe")),
        Check::new(CLASS, "a set-uid program gives nothing", |_| set_uid_program()),
    ]);
    for path in [
        "/",
        "/usr",
        "/etc",
        "/tmp",
        "/home/sandbox",
        "/dev",
        "/proc",
        "/probe",
    ] {
        checks.push(Check::new(
            CLASS,
            format!("set-uid has no effect below {path}"),
            move |_| no_set_uid(path),
        ));
    }
    checks
}

/// Other identities, and priorities above everybody else's.
pub fn identity_checks(_: &Facts) -> Vec<Check> {
    // Not mapped: EINVAL. Mapped and not allowed: EPERM.
    const NOT_MAPPED: &[i32] = &[libc::EINVAL, libc::EPERM];
    let change = |name: &str, number, arguments: &'static [usize]| {
        Check::new(CLASS, name, move |_| judge(call(number, arguments), NOT_MAPPED))
    };
    const KEEP: usize = usize::MAX;
    let mut checks = vec![
        change("setuid(0)", libc::SYS_setuid, &[0]),
        change("setgid(0)", libc::SYS_setgid, &[0]),
        change("setreuid(-1, 0)", libc::SYS_setreuid, &[KEEP, 0]),
        change("setregid(-1, 0)", libc::SYS_setregid, &[KEEP, 0]),
        change("setresuid(0, 0, 0)", libc::SYS_setresuid, &[0, 0, 0]),
        change("setresgid(0, 0, 0)", libc::SYS_setresgid, &[0, 0, 0]),
        change("setuid of nobody", libc::SYS_setuid, &[65534]),
        Check::new(CLASS, "setgroups", |_| {
            let groups: [libc::gid_t; 1] = [0];
            judge(
                call(libc::SYS_setgroups, &[1, groups.as_ptr() as usize]),
                NOT_MAPPED,
            )
        }),
        Check::new(CLASS, "setfsuid(0)", |_| fsuid()),
        Check::new(CLASS, "give an own file to root", |_| give_away()),
        Check::new(CLASS, "one user is mapped", |facts| {
            mapped(facts, "/proc/self/uid_map")
        }),
        Check::new(CLASS, "one group is mapped", |facts| {
            mapped(facts, "/proc/self/gid_map")
        }),
    ];
    let greedy: [(&str, Attempt); 5] = [
        ("a better priority", || {
            call(libc::SYS_setpriority, &[0, 0, -10i64 as usize])
        }),
        ("real-time scheduling", || {
            let priority: libc::c_int = 1;
            call(
                libc::SYS_sched_setscheduler,
                &[0, libc::SCHED_FIFO as usize, &raw const priority as usize],
            )
        }),
        ("real-time disk priority", || {
            call(libc::SYS_ioprio_set, &[1, 0, (1 << 13) | 4])
        }),
        ("more open files than the hard limit", || {
            raise_hard_limit(libc::RLIMIT_NOFILE)
        }),
        ("more processes than the hard limit", || {
            raise_hard_limit(libc::RLIMIT_NPROC)
        }),
    ];
    for (name, attempt) in greedy {
        checks.push(Check::new(CLASS, name, move |_| judge(attempt(), REFUSED)));
    }
    checks
}

fn status(pid: u32) -> Option<HashMap<String, String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    Some(
        fields
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect(),
    )
}

/// The field of this process and of all its ancestors.
fn in_chain(field: &str, wanted: impl Fn(&str) -> bool) -> Outcome {
    let mut seen = Vec::new();
    let mut pid = std::process::id();
    while pid > 0 {
        let Some(status) = status(pid) else {
            return leaked(format!("the status of {pid} cannot be read, {seen:?} before"));
        };
        let value = status.get(field).cloned().unwrap_or_default();
        let good = wanted(&value);
        seen.push(format!("{pid}: {value}"));
        if !good {
            return leaked(seen.join(", "));
        }
        pid = status
            .get("PPid")
            .and_then(|parent| parent.parse().ok())
            .unwrap_or(0);
    }
    blocked(seen.join(", "))
}

fn prctl(option: i32, argument: usize) -> std::io::Result<i64> {
    call(libc::SYS_prctl, &[option as usize, argument])
}

fn bounding_set() -> Outcome {
    let there: Vec<i32> = (0..MOST_CAPABILITIES)
        .filter(|number| prctl(libc::PR_CAPBSET_READ, *number as usize).is_ok_and(|found| found == 1))
        .collect();
    holds(there.is_empty(), format!("{there:?}"))
}

fn securebits() -> Outcome {
    // Of each pair the lower bit is the setting and the higher one its lock (linux/securebits.h).
    const SETTINGS: i64 = 0b0100_0101;
    const LOCKS: i64 = 0b1010_1010;
    match prctl(libc::PR_GET_SECUREBITS, 0) {
        // Keeping capabilities over a change of ids (bit 4) must be off and locked.
        Ok(bits) => holds(
            bits & SETTINGS == SETTINGS && bits & LOCKS == LOCKS && bits & 0b1_0000 == 0,
            format!("{bits:#x}"),
        ),
        Err(error) => leaked(format!("unknown: {error}")),
    }
}

fn capset([effective, permitted, inheritable]: [u32; 3]) -> Outcome {
    let header: [u32; 2] = [0x2008_0522, 0];
    let data = [effective, permitted, inheritable, 0, 0, 0];
    let arguments = [header.as_ptr() as usize, data.as_ptr() as usize];
    judge(call(libc::SYS_capset, &arguments), REFUSED)
}

fn ambient() -> Outcome {
    let (raise, administrator) = (libc::PR_CAP_AMBIENT_RAISE as usize, 21);
    judge(
        call(
            libc::SYS_prctl,
            &[libc::PR_CAP_AMBIENT as usize, raise, administrator],
        ),
        REFUSED,
    )
}

fn attribute(name: &str) -> Outcome {
    let path = format!("/tmp/probe-attribute-{}", std::process::id());
    if let Err(error) = fs::write(&path, "") {
        return leaked(format!("/tmp is there to be written: {error}"));
    }
    let (file, name) = (c(&path), c(name));
    // Version 2, no capability at all: harmless even where it works.
    let value = [0u32, 0, 0, 0, 0].map(u32::to_le);
    let value = [0x0200_0000u32.to_le(), value[1], value[2], value[3], value[4]];
    let arguments = [
        address(&file),
        address(&name),
        value.as_ptr() as usize,
        size_of_val(&value),
        0,
    ];
    let outcome = judge(
        call(libc::SYS_setxattr, &arguments),
        &[libc::EPERM, libc::EACCES, libc::ENOTSUP],
    );
    let _ = fs::remove_file(&path);
    outcome
}

/// Starts one that waits for a password, and looks at it meanwhile. It is not waited for before it was seen: a process
/// that has ended keeps its status until then.
fn set_uid_program() -> Outcome {
    use std::os::unix::fs::MetadataExt;
    let candidates = [
        "/usr/bin/su",
        "/bin/su",
        "/usr/bin/passwd",
        "/usr/bin/mount",
        "/usr/bin/sudo",
    ];
    let has_bit =
        |path: &&&str| fs::metadata(path).is_ok_and(|found| found.mode() & libc::S_ISUID == libc::S_ISUID);
    let Some(program) = candidates.iter().find(has_bit) else {
        return skipped("no set-uid program is there");
    };
    let started = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return blocked(format!("{program} cannot be started: {error}")),
    };
    let name = program.rsplit('/').next().expect("a path has a last part");
    let start = Instant::now();
    let mut outcome = leaked(format!("{program} was never seen to run"));
    while start.elapsed() < Duration::from_secs(20) {
        match status(child.id()) {
            // Before it has become the program it has this one's name.
            Some(status) if status.get("Name").is_some_and(|found| found == name) => {
                outcome = has_no_more(program, &status);
                break;
            }
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    // Ends a program of ours that may still wait.
    let _ = child.kill();
    let _ = child.wait();
    outcome
}

fn has_no_more(program: &str, found: &HashMap<String, String>) -> Outcome {
    let own = status(std::process::id()).unwrap_or_default();
    let same = |field: &str| {
        found
            .get(field)
            .map(|value| value.split_whitespace().collect::<Vec<_>>())
            == own.get(field).map(|value| value.split_whitespace().collect())
    };
    let more: Vec<&str> = ["Uid", "Gid", "CapPrm", "CapEff"]
        .into_iter()
        .filter(|field| !same(field))
        .collect();
    if more.is_empty() {
        blocked(format!("{program} runs as {:?}", found.get("Uid")))
    } else {
        leaked(format!("{program}: {more:?} differ: {found:?}"))
    }
}

fn no_set_uid(path: &str) -> Outcome {
    // SAFETY: all fields are numbers.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    let name = c(path);
    // SAFETY: a path and a structure of ours.
    match answer(unsafe { libc::statvfs(name.as_ptr(), &raw mut found) }) {
        Ok(_) => holds(
            found.f_flag & libc::ST_NOSUID != 0,
            format!("mount flags {:#x}", found.f_flag),
        ),
        Err(error) => skipped(error),
    }
}

fn fsuid() -> Outcome {
    // It answers the id from before, whatever happened: the second call tells.
    let before = call(libc::SYS_setfsuid, &[0]).unwrap_or(-1);
    let after = call(libc::SYS_setfsuid, &[u32::MAX as usize]).unwrap_or(-1);
    holds(before == after, format!("{before} before, {after} after"))
}

fn give_away() -> Outcome {
    let path = format!("/tmp/probe-owner-{}", std::process::id());
    if let Err(error) = fs::write(&path, "") {
        return leaked(format!("/tmp is there to be written: {error}"));
    }
    let outcome = judge(
        std::os::unix::fs::chown(&path, Some(0), Some(0)),
        &[libc::EPERM, libc::EINVAL],
    );
    let _ = fs::remove_file(&path);
    outcome
}

/// One id, which is nobody's special one. An image has as many as own its files, each of its own, and the host's root
/// is none of them.
fn mapped(facts: &Facts, path: &str) -> Outcome {
    let map = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<Vec<&str>> = map
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let alone =
        matches!(lines.as_slice(), [line] if matches!(line.as_slice(), [inside, _, "1"] if *inside != "0"));
    let each_single = !lines.is_empty()
        && lines
            .iter()
            .all(|line| matches!(line.as_slice(), [_, outside, "1"] if *outside != "0"));
    holds(alone || (facts.has_image() && each_single), map.trim())
}

fn raise_hard_limit(kind: libc::__rlimit_resource_t) -> std::io::Result<i64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a structure of ours.
    answer(unsafe { libc::getrlimit(kind, &raw mut limit) })?;
    limit.rlim_max = limit.rlim_max.saturating_add(1);
    // SAFETY: a structure of ours.
    answer(unsafe { libc::setrlimit(kind, &raw const limit) })
}
