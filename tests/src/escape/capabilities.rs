//! Capabilities and users.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use super::{
    attempt::{Blocked, Leaked, Outcome, Probe, Skipped, call, probe, refused, refused_with, text_of},
    facts::Facts,
};

const SETS: [(&str, &str); 5] = [
    ("inheritable", "CapInh"),
    ("permitted", "CapPrm"),
    ("effective", "CapEff"),
    ("bounding", "CapBnd"),
    ("ambient", "CapAmb"),
];

pub fn probes(_: &Facts) -> Vec<Probe> {
    let mut probes = Vec::new();
    for who in ["self", "1"] {
        for (name, field) in SETS {
            let title = format!("have a capability in the {name} set of {who}");
            probes.push(probe("capabilities", title, move || {
                is(who, field, |value| value.chars().all(|c| c == '0'))
            }));
        }
        let title = format!("run without no_new_privs: {who}");
        probes.push(probe("capabilities", title, move || {
            is(who, "NoNewPrivs", |value| value == "1")
        }));
        let title = format!("run without a filter: {who}");
        probes.push(probe("capabilities", title, move || {
            is(who, "Seccomp", |value| value == "2")
        }));
    }
    let prctl = |name: &'static str, arguments: [u64; 4], errors: &'static [i32]| {
        probe("capabilities", name, move || {
            refused_with(call(libc::SYS_prctl, &arguments), errors)
        })
    };
    probes.extend([
        probe("capabilities", "raise all by capset", raise_all),
        probe("capabilities", "find one in the bounding set by asking", bounding),
        prctl(
            "raise an ambient one",
            [libc::PR_CAP_AMBIENT as u64, 2, 21, 0],
            &[libc::EPERM, libc::EINVAL],
        ),
        prctl(
            "change the secure bits",
            [libc::PR_SET_SECUREBITS as u64, 0x2f, 0, 0],
            &[libc::EPERM],
        ),
        prctl(
            "switch no_new_privs off",
            [libc::PR_SET_NO_NEW_PRIVS as u64, 0, 0, 0],
            &[libc::EINVAL],
        ),
        probe("capabilities", "become root", || {
            not_an_id(call(libc::SYS_setuid, &[0]))
        }),
        probe("capabilities", "become root by setresuid", || {
            not_an_id(call(libc::SYS_setresuid, &[0, 0, 0]))
        }),
        probe("capabilities", "join the group of root", || {
            not_an_id(call(libc::SYS_setgid, &[0]))
        }),
        probe("capabilities", "take on more groups", || {
            let groups = [0u32, 6];
            refused(call(libc::SYS_setgroups, &[2, groups.as_ptr() as u64]))
        }),
        probe("capabilities", "gain by a setuid program", setuid_programs),
        probe("capabilities", "give a file a capability", file_capability),
    ]);
    probes
}

fn is(who: &str, field: &str, right: fn(&str) -> bool) -> Outcome {
    let status = fs::read_to_string(format!("/proc/{who}/status")).unwrap_or_default();
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    match value.map(str::trim) {
        Some(value) if right(value) => Blocked(value.to_owned()),
        other => Leaked(format!("{other:?}")),
    }
}

/// EINVAL: the id has no meaning inside.
fn not_an_id(answer: Result<i64, i32>) -> Outcome {
    refused_with(answer, &[libc::EPERM, libc::EINVAL])
}

fn raise_all() -> Outcome {
    let header = [0x2008_0522u32, 0];
    let sets = [u32::MAX; 6];
    refused(call(
        libc::SYS_capset,
        &[header.as_ptr() as u64, sets.as_ptr() as u64],
    ))
}

fn bounding() -> Outcome {
    let has = |capability: &u64| call(libc::SYS_prctl, &[libc::PR_CAPBSET_READ as u64, *capability]) == Ok(1);
    let found: Vec<String> = (0..64)
        .filter(has)
        .map(|capability: u64| capability.to_string())
        .collect();
    if found.is_empty() {
        Blocked("none".to_owned())
    } else {
        Leaked(found.join(" "))
    }
}

/// Such a file must lie on a mount where the bit has no effect.
fn setuid_programs() -> Outcome {
    let mut seen = 0;
    for folder in [
        "/usr/bin",
        "/usr/sbin",
        "/usr/lib/openssh",
        "/usr/lib/dbus-1.0",
        "/bin",
    ] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.mode() & (libc::S_ISUID | libc::S_ISGID) == 0 || !meta.is_file() {
                continue;
            }
            seen += 1;
            if !without_setuid(&entry.path()) {
                return Leaked(format!("{} may gain", entry.path().display()));
            }
        }
    }
    if seen == 0 {
        Skipped("there is none".to_owned())
    } else {
        Blocked(format!("all {seen} of them"))
    }
}

fn without_setuid(path: &Path) -> bool {
    let flags = rustix::fs::statvfs(path).map(|system| system.f_flag);
    flags.is_ok_and(|flags| flags.contains(rustix::fs::StatVfsMountFlags::NOSUID))
}

fn file_capability() -> Outcome {
    let path = "/tmp/agentkernel-escape-capability";
    if let Err(error) = fs::write(path, "") {
        return Blocked(error.to_string());
    }
    // vfs_cap_data of revision 2: effective, CAP_SYS_ADMIN permitted.
    let value: [u32; 5] = [0x0200_0001, 1 << 21, 0, 0, 0];
    let (path, name) = (super::attempt::c(path), super::attempt::c("security.capability"));
    let arguments = [
        path.as_ptr() as u64,
        name.as_ptr() as u64,
        value.as_ptr() as u64,
        20,
        0,
    ];
    match call(libc::SYS_setxattr, &arguments) {
        Ok(_) => Leaked("given".to_owned()),
        Err(error) => Blocked(text_of(error)),
    }
}
