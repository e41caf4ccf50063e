//! What the host has marked must not be seen.

use std::{
    fs, io,
    net::{TcpStream, ToSocketAddrs},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixStream},
    },
    time::Duration,
};

use crate::{Facts, Outcome, Probe, attempt, blocked, leaked, skipped};

const HOST_FILES: [&str; 14] = [
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssh/sshd_config",
    "/etc/machine-id",
    "/etc/sudoers",
    "/etc/crontab",
    "/etc/fstab",
    "/var/lib/dbus/machine-id",
    "/var/log/syslog",
    "/var/lib/dpkg/status",
    "/boot",
    "/lost+found",
    "/run/systemd",
];
const ENGINE_SOCKETS: [&str; 6] = [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/dbus/system_bus_socket",
    "/run/agentkernel",
];

pub fn probes() -> Vec<Probe> {
    let mut probes: Vec<Probe> = vec![
        ("leaks", "host name".to_owned(), Box::new(host_name)),
        (
            "leaks",
            "environment of the host".to_owned(),
            Box::new(environment),
        ),
        (
            "leaks",
            "descriptors above 2".to_owned(),
            Box::new(|_| descriptors()),
        ),
        (
            "leaks",
            "the host's marked file in /tmp".to_owned(),
            Box::new(|facts| marked(facts, "tmp_file")),
        ),
        (
            "leaks",
            "the host's marked file in its home".to_owned(),
            Box::new(|facts| marked(facts, "home_file")),
        ),
        (
            "leaks",
            "a credential store of the home".to_owned(),
            Box::new(|facts| marked(facts, "credential")),
        ),
        (
            "leaks",
            "agentkernel's own state".to_owned(),
            Box::new(|facts| marked(facts, "state")),
        ),
        (
            "control plane",
            "abstract socket of the host".to_owned(),
            Box::new(abstract_socket),
        ),
        (
            "control plane",
            "TCP port of the host".to_owned(),
            Box::new(tcp_port),
        ),
        ("control plane", "only loopback".to_owned(), Box::new(interfaces)),
        (
            "leaks",
            "owners of the host's ids".to_owned(),
            Box::new(|_| one_id()),
        ),
    ];
    for path in HOST_FILES {
        probes.push(("leaks", format!("read {path}"), Box::new(move |_| absent(path))));
    }
    for path in ENGINE_SOCKETS {
        probes.push((
            "control plane",
            format!("reach {path}"),
            Box::new(move |_| absent(path)),
        ));
    }
    probes
}

fn host_name(facts: &Facts) -> Outcome {
    let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let known = facts.get("host_name");
    if !known.is_empty() && own.trim() == known {
        leaked(own)
    } else {
        blocked(own.trim())
    }
}

fn environment(facts: &Facts) -> Outcome {
    let marker = facts.get("env_marker");
    if std::env::vars().any(|(name, value)| name == marker || value == marker) {
        return leaked(marker);
    }
    let first = fs::read_to_string("/proc/1/environ").unwrap_or_default();
    if first.contains(marker) {
        leaked("in PID 1")
    } else {
        blocked("absent")
    }
}

fn descriptors() -> Outcome {
    let open: Vec<i32> = fs::read_dir("/proc/self/fd")
        .map(|entries| {
            entries
                .flatten()
                .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
                .collect()
        })
        .unwrap_or_default();
    // One of them is the folder that is being read.
    let beyond: Vec<&i32> = open.iter().filter(|number| **number > 3).collect();
    if beyond.is_empty() {
        blocked(format!("{open:?}"))
    } else {
        leaked(format!("{open:?}"))
    }
}

fn marked(facts: &Facts, name: &str) -> Outcome {
    let path = facts.get(name);
    if path.is_empty() {
        return skipped("nothing is marked");
    }
    absent(path)
}

fn absent(path: &str) -> Outcome {
    match fs::read(path) {
        Ok(_) => leaked("read"),
        Err(error)
            if error.kind() == io::ErrorKind::NotFound || error.kind() == io::ErrorKind::PermissionDenied =>
        {
            blocked(error)
        }
        Err(error) => leaked(format!("it is there: {error}")),
    }
}

fn abstract_socket(facts: &Facts) -> Outcome {
    if facts.get("abstract").is_empty() {
        return skipped("nothing is marked");
    }
    let address = SocketAddr::from_abstract_name(facts.get("abstract")).expect("a short name");
    match UnixStream::connect_addr(&address) {
        Ok(_) => leaked("connected"),
        Err(error) => blocked(error),
    }
}

fn tcp_port(facts: &Facts) -> Outcome {
    if !facts.is("private_network") {
        return skipped("the profile grants the host's network");
    }
    let address = facts
        .get("tcp")
        .to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next());
    let Some(address) = address else {
        return skipped("nothing is marked");
    };
    match TcpStream::connect_timeout(&address, Duration::from_secs(2)) {
        Ok(_) => leaked("connected"),
        Err(error) => blocked(error),
    }
}

fn interfaces(facts: &Facts) -> Outcome {
    if !facts.is("private_network") {
        return skipped("the profile grants the host's network");
    }
    let table = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let names: Vec<&str> = table
        .lines()
        .skip(2)
        .filter_map(|line| line.split(':').next())
        .map(str::trim)
        .collect();
    if names == ["lo"] {
        blocked("lo")
    } else {
        leaked(format!("{names:?}"))
    }
}

/// One id is mapped, so no other owner can be taken or named.
fn one_id() -> Outcome {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let lines: Vec<Vec<&str>> = map
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    match lines.as_slice() {
        [line] if line.get(2) == Some(&"1") => blocked(map.trim()),
        _ => attempt(Ok::<_, io::Error>(map)),
    }
}
