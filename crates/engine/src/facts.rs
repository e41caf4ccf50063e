//! What planning must know of the host: gathered here, once, so that planning itself is pure.
//!
//! A request without mounts looks at the project's folder at most, for detection.

use std::{
    fs,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use agentkernel_backend::{Error, Result};
use agentkernel_control::SandboxRequest;
use agentkernel_detect::{Detection, FolderProject, Project, Runtime};
use agentkernel_policy::{Credentials, HomeEntry, HostFacts, SourceFacts, SourceKind};
use agentkernel_types::{Command, ErrorKind, ImageRef, Mount, ParseError};

use crate::failure::from_policy;

/// The host, as far as one request needs it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// None where the request names its image.
    pub(crate) detected: Option<Detected>,
    pub(crate) host: HostFacts,
    pub(crate) credentials: Credentials,
    /// The project if it is to be mounted, then the mounts of the request, with real sources.
    pub(crate) mounts: Vec<(Mount, SourceFacts)>,
    /// What may be seen of the home folder, if it was granted.
    pub(crate) home: Option<Home>,
}

/// What a command and a project ask for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Detected {
    pub(crate) image: ImageRef,
    pub(crate) runtime: Option<String>,
    pub(crate) why: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Home {
    /// As the user calls it; the sandbox's `HOME`.
    pub(crate) path: PathBuf,
    /// What is in its folders, and in those beneath that hold credentials.
    pub(crate) mounts: Vec<Mount>,
}

/// `own`: our own folders, which no sandbox may see.
pub(crate) fn gather(request: &SandboxRequest, command: Option<&Command>, own: [&Path; 4]) -> Result<Facts> {
    let mut facts = Facts::default();
    if request.image.is_none() {
        facts.detected = Some(detect(request, command)?);
    }
    facts.credentials = Credentials::parse(&request.credentials).map_err(from_policy("credentials"))?;
    let grants = &request.grants;
    if request.mounts.is_empty() && !grants.mount_cwd && !grants.mount_home {
        return Ok(facts);
    }
    facts.host = host(request.home_dir.as_deref(), own);
    if grants.mount_cwd {
        let target = request
            .project_dir
            .to_str()
            .ok_or_else(|| not_text(&request.project_dir))?
            .parse()?;
        facts
            .mounts
            .push(mount(Mount::new(&request.project_dir, target, false)));
    }
    for wanted in &request.mounts {
        let source = request.project_dir.join(&wanted.source);
        facts.mounts.push(mount(Mount {
            source,
            ..wanted.clone()
        }));
    }
    if grants.mount_home {
        let path = request.home_dir.clone().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidSpec,
                "plan",
                "the home folder is to be mounted, but it is not known",
            )
            .hint("set HOME, or do without mount_home")
            .with("field", "mount_home")
        })?;
        let mounts = agentkernel_policy::home_mounts(&path, &facts.credentials, &facts.host, &entries)
            .map_err(from_policy("mount_home"))?;
        facts.home = Some(Home { path, mounts });
    }
    Ok(facts)
}

fn detect(request: &SandboxRequest, command: Option<&Command>) -> Result<Detected> {
    let runtime = request.runtime.as_deref().map(str::parse).transpose();
    let runtime: Option<Runtime> =
        runtime.map_err(|error: ParseError| Error::from(error).with("field", "runtime"))?;
    detect_in(&request.project_dir, command, runtime)
}

/// What the project alone asks for.
pub(crate) fn detected(project_dir: &Path) -> Result<Detected> {
    detect_in(project_dir, None, None)
}

fn detect_in(project_dir: &Path, command: Option<&Command>, runtime: Option<Runtime>) -> Result<Detected> {
    // A project that cannot be read speaks for nothing.
    let project = FolderProject::open(project_dir).ok();
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

fn host(home: Option<&Path>, own: [&Path; 4]) -> HostFacts {
    let stores = |home| agentkernel_policy::find_stores(home, &|path| path.canonicalize().ok());
    HostFacts {
        home: home.and_then(|home| home.canonicalize().ok()),
        own: own.map(future).to_vec(),
        stores: home.map(stores).unwrap_or_default(),
    }
}

/// Where a path really leads, or will lead once the missing part of it is made.
fn future(path: &Path) -> PathBuf {
    let found = path
        .ancestors()
        .find_map(|folder| Some((folder, folder.canonicalize().ok()?)));
    match found {
        Some((folder, real)) => real.join(path.strip_prefix(folder).expect("it is one of its ancestors")),
        None => path.to_owned(),
    }
}

/// With its real source, so that judging it and mounting it mean the same thing.
fn mount(wanted: Mount) -> (Mount, SourceFacts) {
    let facts = source(&wanted.source);
    (
        Mount {
            source: facts.path.clone(),
            ..wanted
        },
        facts,
    )
}

fn source(path: &Path) -> SourceFacts {
    let kind = |kind: fs::FileType| {
        if kind.is_dir() {
            SourceKind::Folder
        } else if kind.is_file() {
            SourceKind::File
        } else if kind.is_socket() {
            SourceKind::Socket
        } else {
            SourceKind::Other
        }
    };
    let found = path
        .canonicalize()
        .and_then(|real| Ok((fs::symlink_metadata(&real)?, real)));
    match found {
        Ok((metadata, path)) => SourceFacts {
            path,
            kind: kind(metadata.file_type()),
        },
        Err(_) => SourceFacts {
            path: path.to_owned(),
            kind: SourceKind::Missing,
        },
    }
}

/// What cannot be listed is not shown.
fn entries(folder: &Path) -> Vec<HomeEntry> {
    let listed = fs::read_dir(folder).into_iter().flatten().flatten();
    listed
        .map(|entry| HomeEntry {
            name: entry.file_name(),
            source: source(&entry.path()),
        })
        .collect()
}

fn not_text(path: &Path) -> Error {
    let why = format!("cannot mount {}: its name is not UTF-8", path.display());
    Error::new(ErrorKind::InvalidSpec, "plan", why).with("field", "mount_cwd")
}
