//! What the store remembers of a running kept sandbox, so that any process can find its PID 1 again.

use std::fs;

use agentkernel_backend::SandboxHandle;
use rustix::fd::OwnedFd;
use serde::{Deserialize, Serialize};

use crate::launch::{
    identity::{IdMap, Identity},
    pidfd_of,
};

/// PID 1 as the host sees it. A pid alone could be another process by now: the start time and the boot tell.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Handle {
    /// The ids of the host to which the sandbox's files belong: they stay with it.
    pub host_uid: u32,
    pub host_gid: u32,
    /// All pairs of an id inside and one of the host, where there are several. Empty: the user alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uids: Vec<(u32, u32)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gids: Vec<(u32, u32)>,
    pub process: Option<ProcessIdentity>,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProcessIdentity {
    pub pid: u32,
    /// In clock ticks after the boot (field 22 of /proc/PID/stat).
    pub started: u64,
    pub boot: String,
}

impl Handle {
    /// Of a sandbox that does not run.
    pub(crate) fn of(identity: &Identity) -> Self {
        let several = |map: &IdMap| match map.pairs() {
            [_] => Vec::new(),
            pairs => pairs.to_vec(),
        };
        Self {
            host_uid: identity.host_uid(),
            host_gid: identity.host_gid(),
            uids: several(&identity.uids),
            gids: several(&identity.gids),
            process: None,
        }
    }

    pub(crate) fn parse(handle: &SandboxHandle) -> Self {
        serde_json::from_value(handle.0.clone()).unwrap_or_default()
    }

    pub(crate) fn to_stored(&self) -> SandboxHandle {
        SandboxHandle(serde_json::to_value(self).expect("numbers and text are JSON"))
    }
}

impl ProcessIdentity {
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Some(Self {
            pid,
            started: started(pid)?,
            boot: boot()?,
        })
    }

    /// The process, if it is still the same one.
    pub(crate) fn open(&self) -> Option<OwnedFd> {
        if boot()? != self.boot {
            return None;
        }
        // First the descriptor, then the comparison: what the descriptor means cannot change any more.
        let pidfd = pidfd_of(self.pid)?;
        (started(self.pid)? == self.started).then_some(pidfd)
    }
}

fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

fn boot() -> Option<String> {
    Some(
        fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .ok()?
            .trim()
            .to_owned(),
    )
}
