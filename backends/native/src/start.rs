//! From a specification to a launched sandbox.

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::AsFd,
        unix::{ffi::OsStringExt, fs::DirBuilderExt, net::UnixListener},
    },
    path::{Path, PathBuf},
};

use agentkernel_backend::{Error, Result};
use agentkernel_protocol::Boot;
use agentkernel_types::{ErrorKind, Lifetime, NetworkMode, RootAccess, SandboxSpec};
use serde_bytes::ByteBuf;

use crate::{
    detached::Logs,
    handle::Handle,
    host::Host,
    image::{self, HostImage, User},
    launch::{
        self, Connections, Launched,
        plan::{Identity, Plan, ResourceLimit, Source, SourceId, c_string},
    },
    limits::{self, Group, PidsBy},
    mounts,
    privilege::Privilege,
    root::{self, Facts},
    seccomp,
};

/// A launched sandbox with what it needs while it runs.
pub(crate) struct Started {
    pub launched: Launched,
    pub plan: Plan,
    pub group: Option<Group>,
    pub boot: Boot,
}

/// The folders of a kept sandbox.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    /// The sandbox's own files; owned by its user.
    pub disk: PathBuf,
    pub logs: PathBuf,
}

impl Folders {
    pub(crate) fn of(workspace: &Path) -> Self {
        Self {
            disk: workspace.join("disk"),
            logs: workspace.join("logs"),
        }
    }

    /// Removes both with all that the sandbox has put there.
    pub(crate) fn remove(&self) -> Result<()> {
        for folder in [&self.disk, &self.logs] {
            agentkernel_store::delete_tree(folder).map_err(|error| {
                let message = format!("cannot remove {}", folder.display());
                Error::new(ErrorKind::Broken, "remove", message).because(error)
            })?;
        }
        Ok(())
    }

    /// Makes both, owned by the sandbox's user.
    pub(crate) fn make(&self, identity: &Identity) -> io::Result<()> {
        for (folder, mode) in [(&self.disk, 0o755), (&self.logs, 0o700)] {
            fs::DirBuilder::new().mode(mode).create(folder)?;
            if identity.drop_groups {
                std::os::unix::fs::chown(folder, Some(identity.host_uid), Some(identity.host_gid))?;
            }
        }
        Ok(())
    }
}

/// Who the sandbox's user is. A kept sandbox keeps the ids that own its files.
pub(crate) fn identity(host: &Host, spec: &SandboxSpec, user: &User, kept: Option<&Handle>) -> Identity {
    let mut identity = host.privilege.identity(user, &spec.id);
    if let (Some(handle), Privilege::Root) = (kept, host.privilege) {
        (identity.host_uid, identity.host_gid) = (handle.host_uid, handle.host_gid);
    }
    identity
}

pub(crate) fn start(
    host: &Host,
    spec: &SandboxSpec,
    folders: Option<&Folders>,
    kept: Option<&Handle>,
) -> Result<Started> {
    let user = user(spec)?;
    let identity = identity(host, spec, &user, kept);
    let image = discover(host)?;
    let boot = boot(spec, &image, &user, folders.is_some());
    let plan = plan(host, spec, folders, &image, &user, identity)?;
    let group = if limits::any(&spec.resources) {
        Group::create(host.limits(), &spec.id, &spec.resources)?
    } else {
        None
    };
    let listener = folders
        .is_some()
        .then(|| listen(&host.socket(&spec.id)))
        .transpose()?;
    let logs = folders
        .map(|folders| mounts::open_folder(&folders.logs))
        .transpose()
        .map_err(io_failed)?;
    let attach = |pid| group.as_ref().map_or(Ok(()), |group| group.attach(pid));
    let connections = Connections {
        listener: listener.as_ref().map(AsFd::as_fd),
        logs: logs.as_ref().map(AsFd::as_fd),
        cgroup: group.as_ref().and_then(|group| group.v2_fd()),
        attach: group.as_ref().map(|_| &attach as &dyn Fn(u32) -> Result<()>),
    };
    let launched = launch::launch(&plan, &connections).inspect_err(|_| {
        // What cannot be removed now is found by `gc`.
        let _ = group.as_ref().map(Group::remove);
    })?;
    Ok(Started {
        launched,
        plan,
        group,
        boot,
    })
}

pub(crate) fn user(spec: &SandboxSpec) -> Result<User> {
    image::user(spec.user.as_ref())
        .map_err(|message| Error::new(ErrorKind::InvalidSpec, "create", message).with("field", "user"))
}

fn discover(host: &Host) -> Result<HostImage> {
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .filter(|home| home.is_absolute());
    let path = std::env::var("PATH").ok();
    HostImage::discover(&host.settings.cache_dir, home.as_deref(), path.as_deref()).map_err(|error| {
        let cache = host.settings.cache_dir.display().to_string();
        Error::new(
            ErrorKind::Broken,
            "start",
            format!("cannot prepare the host image in {cache}"),
        )
        .because(error)
    })
}

fn plan(
    host: &Host,
    spec: &SandboxSpec,
    folders: Option<&Folders>,
    image: &HostImage,
    user: &User,
    identity: Identity,
) -> Result<Plan> {
    let hostname = spec.name.as_ref().map_or("sandbox", |name| name.as_str());
    let mounts = mounts::sources(&spec.mounts, host.privilege, &identity)?;
    let toolchains = image.toolchains.iter().map(|toolchain| match host.privilege {
        Privilege::Root => mounts::read_only(&toolchain.path).map(Some),
        Privilege::Rootless { .. } => Ok(None),
    });
    let toolchains = toolchains.collect::<io::Result<_>>().map_err(io_failed)?;
    let root = root::compose(
        spec,
        Facts {
            image,
            user,
            hostname,
            mounts,
            toolchains,
            folder: folders.map(|folders| folders.disk.as_path()),
            memory_size: spec
                .resources
                .disk
                .map_or_else(half_of_memory, |size| size.bytes()),
            landlock_version: host.landlock_version,
            kernel_files: host.kernel_files(),
        },
    );
    let mut sources = root.sources;
    let agent = launch::agent::cached(&host.settings.cache_dir).map(|path| {
        let path = CString::new(path.into_os_string().into_vec()).expect("a path that was opened has no NUL");
        sources.push(Source::Path(path));
        SourceId(sources.len() - 1)
    });
    Ok(Plan {
        identity,
        private_network: spec.network == NetworkMode::None,
        hostname: c_string(hostname),
        sources,
        base: root.base,
        steps: root.steps,
        agent,
        limits: limits(host, spec),
        landlock: root.landlock,
        seccomp: seccomp::program(),
    })
}

/// Limits of single processes, and of all where no control group counts them.
fn limits(host: &Host, spec: &SandboxSpec) -> Vec<ResourceLimit> {
    let mut limits = vec![ResourceLimit {
        resource: libc::RLIMIT_CORE,
        limit: 0,
    }];
    if let Some(pids) = spec.resources.pids
        && host.pids().is_ok_and(|by| by == PidsBy::Rlimit)
    {
        limits.push(ResourceLimit {
            resource: libc::RLIMIT_NPROC,
            limit: u64::from(pids),
        });
    }
    limits
}

fn boot(spec: &SandboxSpec, image: &HostImage, user: &User, kept: bool) -> Boot {
    let home = user.home.as_str();
    let own = [
        ("HOME", home),
        ("USER", &user.name),
        ("LOGNAME", &user.name),
        ("SHELL", "/bin/sh"),
    ];
    let image = image
        .env
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let spec_env = spec
        .env
        .iter()
        .map(|variable| (variable.name(), variable.value()));
    let env = own.into_iter().chain(image).chain(spec_env);
    let workdir = match (&spec.workdir, spec.root) {
        (Some(path), _) => path.as_str(),
        (None, RootAccess::Writable) => home,
        (None, RootAccess::ReadOnly) => "/tmp",
    };
    Boot {
        env: env
            .map(|(name, value)| ByteBuf::from(format!("{name}={value}")))
            .collect(),
        workdir: ByteBuf::from(workdir),
        tied_to_owner: spec.lifetime == Lifetime::Ephemeral,
        listen: kept,
        keep_logs: kept,
    }
}

fn half_of_memory() -> u64 {
    let info = rustix::system::sysinfo();
    (info.totalram * u64::from(info.mem_unit) / 2).max(64 << 20)
}

fn listen(path: &Path) -> Result<UnixListener> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(parent)
        .map_err(io_failed)?;
    // Left by a sandbox that has died: nobody listens behind it, or the caller would not start it again.
    let _ = fs::remove_file(path);
    let listener = crate::socket::listen(path).map_err(io_failed)?;
    Ok(listener)
}

pub(crate) fn io_failed(error: io::Error) -> Error {
    Error::new(ErrorKind::Broken, "start", "cannot prepare the sandbox").because(error)
}

/// Where detached commands of this sandbox are recorded.
pub(crate) fn logs(folders: &Folders) -> Logs {
    Logs::new(folders.logs.clone())
}
