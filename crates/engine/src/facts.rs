//! What planning must know of the host: gathered here, once, so that planning itself is pure.

use std::path::{Path, PathBuf};

use agentkernel_backend::{Error, Result};
use agentkernel_control::SandboxRequest;
use agentkernel_types::{Command, ErrorKind, Mount};

use crate::policy::{self, Detected};

/// The host, as far as one request needs it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// None where the request names its image.
    pub(crate) detected: Option<Detected>,
    /// The mounts of the request with absolute, real sources.
    pub(crate) mounts: Vec<Mount>,
    /// The mount of the home folder and what it must not show, if it was granted.
    pub(crate) home: Option<Mount>,
    /// The real path of the project, if it is to be mounted.
    pub(crate) project: Option<PathBuf>,
}

pub(crate) fn gather(request: &SandboxRequest, command: Option<&Command>) -> Result<Facts> {
    let mut facts = Facts::default();
    if request.image.is_none() {
        facts.detected = Some(policy::detect(request, command)?);
    }
    for mount in &request.mounts {
        let source = real(&request.project_dir.join(&mount.source), "mounts")?;
        facts.mounts.push(Mount {
            source,
            ..mount.clone()
        });
    }
    if request.grants.mount_cwd {
        facts.project = Some(real(&request.project_dir, "mount_cwd")?);
    }
    if request.grants.mount_home {
        let home = request.home_dir.as_deref().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidSpec,
                "plan",
                "the home folder is to be mounted, but it is not known",
            )
            .hint("set HOME, or use --profile moderate")
            .with("field", "mount_home")
        })?;
        facts.home = Some(policy::home_mount(
            &real(home, "mount_home")?,
            &request.credentials,
        )?);
    }
    Ok(facts)
}

/// Without links, so that judging it and mounting it mean the same thing.
fn real(path: &Path, field: &'static str) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            _ => ErrorKind::InvalidSpec,
        };
        Error::new(kind, "plan", format!("cannot mount {}: {error}", path.display())).with("field", field)
    })
}
