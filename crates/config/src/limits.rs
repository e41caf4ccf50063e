//! The five limits of `[resources]`, and what "higher" means for each.

use agentkernel_types::{ByteSize, Resources};

use crate::Origin;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Limit {
    Cpus,
    Memory,
    Pids,
    Disk,
    Timeout,
}

impl Limit {
    pub const ALL: [Self; 5] = [Self::Cpus, Self::Memory, Self::Pids, Self::Disk, Self::Timeout];

    /// The key in `[resources]`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Cpus => "vcpus",
            Self::Memory => "memory_mb",
            Self::Pids => "pids",
            Self::Disk => "disk_mb",
            Self::Timeout => "timeout",
        }
    }

    pub const fn flag(self) -> &'static str {
        match self {
            Self::Cpus => "--cpus",
            Self::Memory => "--memory",
            Self::Pids => "--pids",
            Self::Disk => "--disk",
            Self::Timeout => "--timeout",
        }
    }

    /// A number that grows with the limit.
    pub fn measure(self, of: &Resources) -> Option<u128> {
        match self {
            Self::Cpus => of.cpus.map(|cpus| cpus.millis().into()),
            Self::Memory => of.memory.map(|size| size.bytes().into()),
            Self::Pids => of.pids.map(u128::from),
            Self::Disk => of.disk.map(|size| size.bytes().into()),
            Self::Timeout => of.timeout.map(|span| span.duration().as_millis()),
        }
    }

    pub fn copy(self, from: &Resources, to: &mut Resources) {
        match self {
            Self::Cpus => to.cpus = from.cpus,
            Self::Memory => to.memory = from.memory,
            Self::Pids => to.pids = from.pids,
            Self::Disk => to.disk = from.disk,
            Self::Timeout => to.timeout = from.timeout,
        }
    }

    /// As the flag takes it.
    pub fn show(self, of: &Resources) -> Option<String> {
        match self {
            Self::Cpus => of.cpus.map(|cpus| cpus.to_string()),
            Self::Memory => of.memory.map(|size| size.to_string()),
            Self::Pids => of.pids.map(|pids| pids.to_string()),
            Self::Disk => of.disk.map(|size| size.to_string()),
            Self::Timeout => of.timeout.map(|span| span.to_string()),
        }
    }

    /// As the key of the file takes it.
    pub fn show_in_file(self, of: &Resources) -> Option<String> {
        match self {
            Self::Memory => of.memory.map(mebibytes),
            Self::Disk => of.disk.map(mebibytes),
            Self::Timeout => of.timeout.map(|span| format!("\"{span}\"")),
            Self::Cpus | Self::Pids => self.show(of),
        }
    }
}

/// A flag may set a size that is no whole number of MiB; then it is shown as the flag takes it.
fn mebibytes(size: ByteSize) -> String {
    if size.bytes().is_multiple_of(1 << 20) {
        (size.bytes() >> 20).to_string()
    } else {
        size.to_string()
    }
}

/// Where each limit that is set came from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ResourceOrigins {
    pub cpus: Option<Origin>,
    pub memory: Option<Origin>,
    pub pids: Option<Origin>,
    pub disk: Option<Origin>,
    pub timeout: Option<Origin>,
}

impl ResourceOrigins {
    pub(crate) fn of(&self, limit: Limit) -> Option<&Origin> {
        match limit {
            Limit::Cpus => self.cpus.as_ref(),
            Limit::Memory => self.memory.as_ref(),
            Limit::Pids => self.pids.as_ref(),
            Limit::Disk => self.disk.as_ref(),
            Limit::Timeout => self.timeout.as_ref(),
        }
    }

    pub(crate) fn set(&mut self, limit: Limit, origin: Origin) {
        let place = match limit {
            Limit::Cpus => &mut self.cpus,
            Limit::Memory => &mut self.memory,
            Limit::Pids => &mut self.pids,
            Limit::Disk => &mut self.disk,
            Limit::Timeout => &mut self.timeout,
        };
        *place = Some(origin);
    }
}
