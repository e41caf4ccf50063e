//! What this host is, looked at once for a connected backend.

use std::{path::PathBuf, sync::OnceLock};

use agentkernel_backend::{Result, Settings};
use agentkernel_image::Store;
use agentkernel_types::{Capabilities, Isolation, NetworkMode, RegistryImages};

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
            networks: NetworkMode::ALL.to_vec(),
            network_edits: true,
            publish_ports: true,
            user: true,
            limit_cpus: limits.cpus().is_ok(),
            limit_memory: limits.memory().is_ok(),
            limit_pids: self.pids().is_ok(),
            limit_disk: true,
            limit_disk_kept: false,
            host_image: true,
            registry_images: match self.layers() {
                Ok(()) => RegistryImages::Layers,
                Err(_) => RegistryImages::None,
            },
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
        if let Err(why) = self.layers() {
            caveats.push(format!("images of registries cannot be used: {why}"));
        }
        if self.layers().is_ok() && kernel_is_older_than((6, 6)) {
            // Without attributes on tmpfs overlayfs cannot note that the new folder hides the old one.
            caveats.push(
                "a folder of an image that an ephemeral sandbox has removed cannot be made again (Linux 6.6 can)"
                    .to_owned(),
            );
        }
        if let Privilege::Rootless { .. } = self.privilege {
            caveats.push("without root the supplementary groups of the caller cannot be given up".to_owned());
        }
        caveats
    }

    /// The images, by a path without a symbolic link: the child follows none.
    pub(crate) fn store(&self) -> Store {
        let folder = &self.settings.images_dir;
        Store::new(folder.canonicalize().unwrap_or_else(|_| folder.clone()))
    }

    /// Whether the layers of an image can be a root here; otherwise why not.
    pub(crate) fn layers(&self) -> Result<(), String> {
        let (needed, what) = match self.privilege {
            Privilege::Root => ((5, 19), "layers with mapped owners"),
            Privilege::Rootless { .. } => ((5, 11), "layers without root"),
        };
        if !kernel_is_older_than(needed) {
            return Ok(());
        }
        Err(format!("{what} need Linux {}.{}", needed.0, needed.1))
    }

    /// Where the gateway of a kept sandbox is asked.
    pub(crate) fn gateway_socket(&self, id: &agentkernel_types::SandboxId) -> PathBuf {
        self.settings.runtime_dir.join(format!("{id}.net.sock"))
    }

    pub(crate) fn socket(&self, id: &agentkernel_types::SandboxId) -> PathBuf {
        self.settings.runtime_dir.join(format!("{id}.sock"))
    }
}

/// One whose version nobody can read is tried.
fn kernel_is_older_than(version: (u32, u32)) -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    kernel_version(&release).is_some_and(|found| found < version)
}

/// `6.1.0-18-amd64` is 6.1.
fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_compared_by_its_first_two_numbers() {
        assert_eq!(kernel_version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(kernel_version("5.15.0-1051-azure"), Some((5, 15)));
        assert_eq!(kernel_version("5.4"), Some((5, 4)));
        assert_eq!(kernel_version("next"), None);
        assert!((5, 4) < (5, 19) && (6, 1) > (5, 19));
    }
}
