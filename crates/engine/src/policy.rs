//! The judgements of `agentkernel-policy` and the detection of `agentkernel-detect`, asked with the facts of this host.

use std::path::Path;

use agentkernel_backend::{Error, Result};
use agentkernel_control::SandboxRequest;
use agentkernel_detect::{Detection, FolderProject, Project, Runtime};
use agentkernel_types::{
    Command, EnvVar, ErrorKind, GuestPath, ImageRef, Mount, ParseError, Profile, Resources,
};

/// What a command and a project ask for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Detected {
    pub(crate) image: ImageRef,
    pub(crate) runtime: Option<String>,
    pub(crate) why: String,
}

pub(crate) fn detect(request: &SandboxRequest, command: Option<&Command>) -> Result<Detected> {
    let runtime = request.runtime.as_deref().map(str::parse).transpose();
    let runtime: Option<Runtime> =
        runtime.map_err(|error: ParseError| Error::from(error).with("field", "runtime"))?;
    // A project that cannot be read speaks for nothing.
    let project = FolderProject::open(&request.project_dir).ok();
    let project = project.as_ref().map(|project| project as &dyn Project);
    let Detection {
        image,
        runtime,
        reason,
        ..
    } = agentkernel_detect::detect(&agentkernel_detect::Request {
        command,
        runtime,
        project,
    });
    Ok(Detected {
        image: image.parse()?,
        runtime: runtime.map(|runtime| runtime.to_string()),
        why: reason,
    })
}

pub(crate) fn home_mount(home: &Path, _asked: &[String]) -> Result<Mount> {
    Ok(Mount::new(home, guest_path(home, "mount_home")?, true))
}

pub(crate) fn passed_env(caller: &[EnvVar]) -> Vec<EnvVar> {
    caller.to_vec()
}

pub(crate) fn check_mount(_mount: &Mount) -> Result<()> {
    Ok(())
}

pub(crate) fn default_limits(_profile: Profile) -> Resources {
    Resources::default()
}

/// A path of the host, at which something is mounted under the same name.
pub(crate) fn guest_path(path: &Path, field: &'static str) -> Result<GuestPath> {
    let text = path.to_str().ok_or_else(|| {
        let why = format!("cannot mount {}: its name is not UTF-8", path.display());
        Error::new(ErrorKind::InvalidSpec, "plan", why).with("field", field)
    })?;
    Ok(text.parse()?)
}
