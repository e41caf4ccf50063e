//! What this host is, looked at once for a connected backend.

use std::{path::PathBuf, sync::OnceLock};

use agentkernel_backend::{Result, Settings};
use agentkernel_types::{Capabilities, Isolation, NetworkMode};

use crate::{
    launch::landlock,
    limits::{self, Limits, PidsBy},
    privilege::Privilege,
    root::KernelFiles,
};

pub(crate) struct Host {
    pub settings: Settings,
    pub privilege: Privilege,
    pub landlock_version: u32,
    kernel_files: OnceLock<KernelFiles>,
    limits: OnceLock<Limits>,
    capabilities: OnceLock<Capabilities>,
}

impl Host {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
            privilege: Privilege::of_this_process(),
            landlock_version: landlock::version(),
            kernel_files: OnceLock::new(),
            limits: OnceLock::new(),
            capabilities: OnceLock::new(),
        }
    }

    pub(crate) fn kernel_files(&self) -> &KernelFiles {
        self.kernel_files.get_or_init(KernelFiles::of_this_host)
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.limits.get_or_init(Limits::probe)
    }

    /// How a limit on processes is kept. Asked at every start: the control groups are looked at only where the
    /// kernel does not count by itself.
    pub(crate) fn pids(&self) -> Result<PidsBy> {
        if limits::counts_per_namespace() {
            Ok(PidsBy::Rlimit)
        } else {
            self.limits().pids()
        }
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        self.capabilities.get_or_init(|| self.declare())
    }

    fn declare(&self) -> Capabilities {
        let limits = self.limits();
        Capabilities {
            isolation: Isolation::Container,
            kept: true,
            terminal: true,
            detached_exec: true,
            files: true,
            mounts: true,
            read_only_root: true,
            networks: vec![NetworkMode::None, NetworkMode::Host],
            user: true,
            limit_cpus: limits.cpus().is_ok(),
            limit_memory: limits.memory().is_ok(),
            limit_pids: self.pids().is_ok(),
            limit_disk: true,
            limit_disk_kept: false,
            host_image: true,
            registry_images: agentkernel_types::RegistryImages::None,
            oom_reported: limits.memory().is_ok(),
            caveats: self.caveats(),
        }
    }

    /// The walls that this host's kernel cannot give, in sentences.
    pub(crate) fn caveats(&self) -> Vec<String> {
        let mut caveats = Vec::new();
        if landlock::handled(self.landlock_version) == 0 {
            caveats
                .push("landlock is missing: the second wall around the file system is not there".to_owned());
        }
        if landlock::scoped(self.landlock_version) == 0 {
            caveats.push(
                "the kernel cannot scope abstract unix sockets (Linux 6.12 can): with network: host a sandbox \
                 reaches those of the host"
                    .to_owned(),
            );
        }
        if let Privilege::Rootless { .. } = self.privilege {
            caveats.push("without root the supplementary groups of the caller cannot be given up".to_owned());
        }
        caveats
    }

    pub(crate) fn socket(&self, id: &agentkernel_types::SandboxId) -> PathBuf {
        self.settings.runtime_dir.join(format!("{id}.sock"))
    }
}
