//! The file systems of the kernel: the same in every root.

use std::path::{Path, PathBuf};

use agentkernel_types::GuestPath;

use super::{Composer, PLAIN, PLAIN_DEVICE_READ_ONLY, empty_folder};
use crate::launch::{
    plan::{Step, relative},
    sys::attribute,
};

/// Which of the kernel's files this host has.
#[derive(Clone, Debug, Default)]
pub(crate) struct KernelFiles {
    pub hidden_files: Vec<&'static str>,
    pub hidden_folders: Vec<&'static str>,
    pub system: Vec<&'static str>,
}

const HIDDEN_FILES: [&str; 12] = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/kmsg",
    "/proc/kallsyms",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/proc/latency_stats",
    "/proc/sysrq-trigger",
    "/proc/cmdline",
    "/proc/interrupts",
    "/proc/modules",
];
const HIDDEN_FOLDERS: [&str; 4] = ["/proc/acpi", "/proc/scsi", "/proc/asound", "/proc/bus"];
/// All of /sys that a sandbox sees: what programs ask for the number of processors and page sizes.
const SYSTEM: [&str; 2] = ["/sys/devices/system/cpu", "/sys/kernel/mm/transparent_hugepage"];
pub(super) const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

impl KernelFiles {
    pub(crate) fn of_this_host() -> Self {
        let there = |path: &&'static str| Path::new(path).exists();
        Self {
            hidden_files: HIDDEN_FILES.into_iter().filter(there).collect(),
            hidden_folders: HIDDEN_FOLDERS.into_iter().filter(there).collect(),
            system: SYSTEM.into_iter().filter(there).collect(),
        }
    }
}

impl Composer {
    pub(super) fn devices(&mut self) {
        let dev = Self::guest("/dev");
        self.tmpfs(&dev, "64k", "0755", attribute::NO_SUID | attribute::NO_EXEC);
        for device in DEVICES {
            let host = PathBuf::from(format!("/dev/{device}"));
            if !host.exists() {
                continue;
            }
            let target = Self::guest(&format!("/dev/{device}"));
            self.file(&target, Vec::new(), false);
            let source = self.path_source(&host);
            self.attach(source, &target, attribute::NO_SUID | attribute::NO_EXEC);
        }
        for (name, target) in [
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
            ("ptmx", "pts/ptmx"),
        ] {
            self.link(&Self::guest(&format!("/dev/{name}")), target);
        }
        let pts = Self::guest("/dev/pts");
        self.directory(&pts, 0o755);
        self.steps.push(Step::Devpts {
            target: relative(&pts),
        });
        let shm = Self::guest("/dev/shm");
        self.tmpfs(&shm, "50%", "1777", PLAIN | attribute::NO_EXEC);
        self.writable.push(shm);
    }

    pub(super) fn kernel(&mut self, files: &KernelFiles) {
        let proc = Self::guest("/proc");
        self.directory(&proc, 0o555);
        self.steps.push(Step::Proc {
            target: relative(&proc),
        });
        if !files.hidden_files.is_empty() {
            let null = self.path_source(Path::new("/dev/null"));
            for file in &files.hidden_files {
                self.attach(null, &Self::guest(file), PLAIN_DEVICE_READ_ONLY);
            }
        }
        for folder in &files.hidden_folders {
            self.steps.push(empty_folder(&Self::guest(folder)));
        }
        let sys = Self::guest("/sys");
        self.tmpfs(&sys, "64k", "0555", PLAIN | attribute::NO_EXEC);
        for path in &files.system {
            let target = Self::guest(path);
            self.directory(&target, 0o755);
            let source = self.path_source(Path::new(path));
            self.attach(source, &target, PLAIN | attribute::NO_EXEC | attribute::READ_ONLY);
        }
        self.directory(&Self::guest("/sys/fs/cgroup"), 0o555);
        self.read_only_again(&sys);
        self.read_only_again(&Self::guest("/dev"));
    }

    pub(super) fn read_only_again(&mut self, target: &GuestPath) {
        self.steps.push(Step::SetAttributes {
            target: relative(target),
            attributes: attribute::READ_ONLY,
        });
    }
}
