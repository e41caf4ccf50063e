//! What of the host must not be seen.

use std::{fs, io, path::Path};

use super::{
    attempt::{Blocked, Leaked, Outcome, Probe, Skipped, failed, probe, unreadable},
    facts::Facts,
};

const SECRET_FILES: [&str; 12] = [
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/sudoers",
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/machine-id",
    "/var/lib/dbus/machine-id",
    "/sys/class/dmi/id/product_uuid",
    "/etc/krb5.keytab",
    "/root/.ssh/authorized_keys",
    "/root/.bash_history",
];

const CONTROL_SOCKETS: [&str; 9] = [
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/systemd/private",
    "/run/dbus/system_bus_socket",
    "/run/udev/control",
    "/run/snapd.socket",
    "/run/libvirt/libvirt-sock",
];

pub fn probes(facts: &Facts) -> Vec<Probe> {
    let mut probes = Vec::new();
    for path in SECRET_FILES {
        probes.push(probe("leaks", format!("read {path}"), move || unreadable(path)));
    }
    for path in CONTROL_SOCKETS {
        probes.push(probe("leaks", format!("find {path}"), move || absent(path)));
    }
    for file in [
        "environ", "mem", "maps", "auxv", "stack", "syscall", "io", "pagemap", "smaps",
    ] {
        probes.push(probe("leaks", format!("read /proc/1/{file}"), move || {
            unreadable(format!("/proc/1/{file}"))
        }));
    }
    for link in ["exe", "cwd", "root"] {
        let path = format!("/proc/1/{link}");
        probes.push(probe("leaks", format!("follow {path}"), move || {
            failed(fs::metadata(&path), "followed")
        }));
    }
    for folder in ["fd", "fdinfo", "map_files"] {
        let path = format!("/proc/1/{folder}");
        probes.push(probe("leaks", format!("list {path}"), move || {
            failed(fs::read_dir(&path), "listed")
        }));
    }
    probes.extend(of_the_driver(facts));
    probes.extend([
        probe("leaks", "have a descriptor above 2", descriptors),
        probe("leaks", "see a control group of the host", || {
            let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
            // `id:controllers:path`, seen from the sandbox's own root.
            let elsewhere = groups
                .lines()
                .find(|line| line.splitn(3, ':').nth(2) != Some("/"));
            elsewhere.map_or(Blocked("at its root".to_owned()), |line| Leaked(line.to_owned()))
        }),
        probe("leaks", "have a terminal of the host", || {
            let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
            let terminal = stat
                .rsplit(") ")
                .next()
                .and_then(|rest| rest.split(' ').nth(4))
                .unwrap_or("?")
                .to_owned();
            if terminal == "0" {
                Blocked("none".to_owned())
            } else {
                Leaked(format!("device {terminal}"))
            }
        }),
        probe("leaks", "be in the session of another", || {
            // A session that was made outside has the number 0 inside.
            // SAFETY: no argument but a number.
            match unsafe { libc::getsid(0) } {
                0 => Leaked("a session of the host".to_owned()),
                session => Blocked(format!("{session}")),
            }
        }),
    ]);
    probes
}

fn absent(path: &str) -> Outcome {
    match fs::symlink_metadata(path) {
        Ok(_) => Leaked("it is there".to_owned()),
        Err(error) => Blocked(error.to_string()),
    }
}

fn descriptors() -> Outcome {
    let links = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let above = links.filter_map(|entry| {
        let number: u32 = entry.file_name().to_str()?.parse().ok()?;
        let target = fs::read_link(entry.path()).ok()?;
        // The folder that is being read, and the pipe to the parent of this attempt.
        let own = target.starts_with("/proc/") || target.to_string_lossy().starts_with("pipe:");
        (number > 2 && !own).then(|| format!("{number} is {}", target.display()))
    });
    let above: Vec<String> = above.collect();
    if above.is_empty() {
        Blocked("none".to_owned())
    } else {
        Leaked(above.join(", "))
    }
}

fn of_the_driver(facts: &Facts) -> Vec<Probe> {
    let mut probes = Vec::new();
    let mut about = |key: &'static str, name: &'static str, look: fn(&str) -> Outcome| {
        let value = facts.get(key);
        probes.push(probe("leaks", name, move || match &value {
            Some(value) => look(value),
            None => Skipped(format!("no {key} was given")),
        }));
    };
    about("host-name", "see the host's name", |name| {
        let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        if own.trim() == name {
            Leaked(own)
        } else {
            Blocked(own.trim().to_owned())
        }
    });
    about("host-name", "see the host's name in /etc", |name| {
        let files = ["/etc/hostname", "/etc/hosts", "/etc/mailname"];
        let named = |file: &&&str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            text.split_whitespace().any(|word| word == name)
        };
        files
            .iter()
            .find(named)
            .map_or(Blocked("not there".to_owned()), |file| Leaked((*file).to_owned()))
    });
    about("secret", "find the secret in an environment", |secret| {
        find_in_processes(secret, "environ")
    });
    about("secret", "find the secret in an argument", |secret| {
        find_in_processes(secret, "cmdline")
    });
    about("state", "see agentkernel's own folder", absent);
    about(
        "state",
        "see agentkernel's own folder in the list of mounts",
        |state| {
            let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
            let line = table.lines().find(|line| line.contains(state)).map(str::to_owned);
            line.map_or(Blocked("not there".to_owned()), Leaked)
        },
    );
    for file in facts.all("file") {
        for (way, prefix) in WAYS {
            let (path, secret) = (format!("{prefix}{file}"), facts.get("secret").unwrap_or_default());
            probes.push(probe(
                "leaks",
                format!("read a file of the host {way}: {file}"),
                move || without(Path::new(&path), &secret),
            ));
        }
    }
    probes
}

const WAYS: [(&str, &str); 6] = [
    ("by its path", ""),
    ("above the root", "/../../../.."),
    ("through /proc/self/root", "/proc/self/root/../../.."),
    ("through /proc/1/root", "/proc/1/root"),
    ("through /proc/1/cwd", "/proc/1/cwd/../../../.."),
    ("above the working directory", "/proc/self/cwd/../../../../../.."),
];

fn without(path: &Path, secret: &str) -> Outcome {
    match fs::read_to_string(path) {
        Ok(text) if text.contains(secret) => Leaked("read".to_owned()),
        Ok(_) => Blocked("another file".to_owned()),
        Err(error) => Blocked(error.to_string()),
    }
}

/// This program's own arguments hold the secret, so its own process and its parent's copy are left out.
fn find_in_processes(secret: &str, file: &str) -> Outcome {
    let mut seen = 0;
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let read = |name: &str| -> io::Result<String> {
            Ok(String::from_utf8_lossy(&fs::read(entry.path().join(name))?).into_owned())
        };
        seen += 1;
        let own = read("cmdline").is_ok_and(|line| line.contains("agentkernel-escape"));
        if read(file).is_ok_and(|text| text.contains(secret)) && !(own && file == "cmdline") {
            return Leaked(format!("in process {pid}"));
        }
    }
    Blocked(format!("in none of {seen} processes"))
}
