//! The grants of a profile that are true or false, and what "looser" means for each. The fifth is the network.

use agentkernel_types::ProfileGrants;

use crate::Origin;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Grant {
    MountCwd,
    MountHome,
    PassEnv,
    ReadOnly,
}

impl Grant {
    pub const ALL: [Self; 4] = [Self::MountCwd, Self::MountHome, Self::PassEnv, Self::ReadOnly];

    /// The key in `[security]`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::MountCwd => "mount_cwd",
            Self::MountHome => "mount_home",
            Self::PassEnv => "pass_env",
            Self::ReadOnly => "read_only",
        }
    }

    pub const fn flag(self) -> &'static str {
        match self {
            Self::MountCwd => "--mount-cwd",
            Self::MountHome => "--mount-home",
            Self::PassEnv => "--pass-env",
            Self::ReadOnly => "--read-only",
        }
    }

    /// The flag as it is written to loosen.
    pub const fn loosening_flag(self) -> &'static str {
        match self {
            Self::ReadOnly => "--read-only=false",
            _ => self.flag(),
        }
    }

    /// What loosening it would do.
    pub const fn loosening(self) -> &'static str {
        match self {
            Self::MountCwd => "let the sandbox write to the current folder",
            Self::MountHome => "let the sandbox read your home folder",
            Self::PassEnv => "show your environment to the sandbox",
            Self::ReadOnly => "make the root of the sandbox writable",
        }
    }

    /// The value that allows more. For `read_only` that is false.
    pub const fn loose(self) -> bool {
        !matches!(self, Self::ReadOnly)
    }

    pub const fn is_looser(self, value: bool, than: bool) -> bool {
        value == self.loose() && than != self.loose()
    }

    pub const fn of(self, grants: &ProfileGrants) -> bool {
        match self {
            Self::MountCwd => grants.mount_cwd,
            Self::MountHome => grants.mount_home,
            Self::PassEnv => grants.pass_env,
            Self::ReadOnly => grants.read_only,
        }
    }
}

/// Where each of the five grants came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GrantOrigins {
    pub network: Origin,
    pub mount_cwd: Origin,
    pub mount_home: Origin,
    pub pass_env: Origin,
    pub read_only: Origin,
}

impl GrantOrigins {
    pub(crate) fn of(&self, grant: Grant) -> &Origin {
        match grant {
            Grant::MountCwd => &self.mount_cwd,
            Grant::MountHome => &self.mount_home,
            Grant::PassEnv => &self.pass_env,
            Grant::ReadOnly => &self.read_only,
        }
    }
}
