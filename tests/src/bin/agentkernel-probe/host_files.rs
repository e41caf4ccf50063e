//! Files that tell of the host or open it: secrets, its identity, sockets of its services.

use std::{fs, os::unix::net::UnixStream};

use crate::{
    facts::Facts,
    leaks::unreadable,
    report::{Check, Outcome, blocked, holds, leaked},
};

const CLASS: &str = "leaks";

const FILES: [&str; 30] = [
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/sudoers",
    "/etc/machine-id",
    "/etc/hostid",
    "/etc/fstab",
    "/etc/crontab",
    "/etc/krb5.keytab",
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/ssh/ssh_host_ecdsa_key",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssh/sshd_config",
    "/etc/ssl/private",
    "/etc/docker/daemon.json",
    "/etc/kubernetes",
    "/etc/wireguard",
    "/etc/NetworkManager/system-connections",
    "/var/lib/dbus/machine-id",
    "/var/lib/docker",
    "/var/lib/kubelet",
    "/var/lib/cloud",
    "/var/log/syslog",
    "/var/log/auth.log",
    "/var/spool/cron",
    "/var/run/secrets",
    "/run/secrets",
    "/sys/class/dmi/id/product_uuid",
    "/sys/class/dmi/id/product_serial",
    "/sys/firmware/dmi/tables/DMI",
];

const SOCKETS: [&str; 14] = [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/crio/crio.sock",
    "/run/buildkit/buildkitd.sock",
    "/run/dbus/system_bus_socket",
    "/run/systemd/private",
    "/run/systemd/notify",
    "/run/systemd/journal/socket",
    "/run/snapd.socket",
    "/run/libvirt/libvirt-sock",
    "/tmp/.X11-unix/X0",
    "/run/user/0/bus",
];

/// Folders of the host that a sandbox has only as empty places of its own, or not at all.
const FOLDERS: [&str; 8] = [
    "/boot",
    "/lost+found",
    "/media",
    "/run/user",
    "/run/lock",
    "/run/agentkernel",
    "/mnt",
    "/srv",
];

/// The host image shows programs of people's toolchains where the host has them, so their folders are there.
const TOOLCHAINS: [&str; 15] = [
    ".pyenv", ".nvm", ".rustup", ".cargo", "go", "sdk", ".go", ".sdkman", ".asdf", ".local", ".rbenv",
    ".bun", ".deno", ".volta", ".juliaup",
];

pub fn checks(_: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for path in FILES {
        checks.push(Check::new(CLASS, format!("read {path}"), move |_| absent(path)));
    }
    for path in SOCKETS {
        checks.push(Check::new(
            CLASS,
            format!("connect to {path}"),
            move |_| match UnixStream::connect(path) {
                Ok(_) => leaked("connected"),
                Err(error) => blocked(error),
            },
        ));
    }
    for path in FOLDERS {
        checks.push(Check::new(CLASS, format!("{path} of the host"), move |_| {
            only(path, &[])
        }));
    }
    checks.push(Check::new(CLASS, "/root of the host", |_| {
        only("/root", &TOOLCHAINS)
    }));
    checks
}

fn absent(path: &str) -> Outcome {
    if fs::metadata(path).is_ok_and(|found| found.is_dir()) {
        only(path, &[])
    } else {
        unreadable(path)
    }
}

/// Absent, or it holds nothing beyond these names.
fn only(path: &str, expected: &[&str]) -> Outcome {
    let entries = match fs::read_dir(path) {
        Err(error) => return blocked(error),
        Ok(entries) => entries,
    };
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let strange: Vec<String> = names
        .filter(|name| !expected.contains(&name.as_str()))
        .take(5)
        .collect();
    holds(strange.is_empty(), format!("{strange:?}"))
}
