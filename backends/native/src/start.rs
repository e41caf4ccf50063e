//! From a specification to a launched sandbox.

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStringExt, fs::DirBuilderExt, net::UnixListener},
    },
    path::{Path, PathBuf},
};

use agentkernel_backend::{Error, Result};
use agentkernel_egress::gateway::is_carried;
use agentkernel_image::Image;
use agentkernel_protocol::Boot;
use agentkernel_types::{ErrorKind, GuestPath, Lifetime, NetworkMode, RootAccess, SandboxSpec};
use serde_bytes::ByteBuf;

use crate::{
    detached::Logs,
    handle::Handle,
    host::Host,
    image::{self, HostImage, User},
    launch::{
        self, Connections, Launched,
        identity::Identity,
        plan::{Plan, ResourceLimit, Source, SourceId, c_string},
    },
    limits::{self, Group, PidsBy},
    mounts, network,
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
    /// What happened on the sandbox's way out.
    pub journal: PathBuf,
}

impl Folders {
    pub(crate) fn of(workspace: &Path) -> Self {
        Self {
            disk: workspace.join("disk"),
            logs: workspace.join("logs"),
            journal: workspace.join("network.jsonl"),
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
                let owner = (Some(identity.host_uid()), Some(identity.host_gid()));
                std::os::unix::fs::chown(folder, owner.0, owner.1)?;
            }
        }
        Ok(())
    }
}

/// Who a sandbox's ids are. A kept sandbox keeps those that own its files.
pub(crate) fn identity(
    host: &Host,
    spec: &SandboxSpec,
    image: Option<&Image>,
    user: &User,
    kept: Option<&Handle>,
) -> Result<Identity> {
    if let Some(image) = image {
        return image::layers::identity(host.privilege, spec, image, user, kept);
    }
    let identity = host.privilege.identity(user, &spec.id);
    Ok(match (kept, host.privilege) {
        (Some(handle), Privilege::Root) => {
            let host = (handle.host_uid, handle.host_gid);
            Identity::single((user.uid, user.gid), host, identity.drop_groups)
        }
        _ => identity,
    })
}

/// What is started.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub spec: &'a SandboxSpec,
    /// None: the host image.
    pub image: Option<&'a Image>,
    /// Of a kept sandbox.
    pub folders: Option<&'a Folders>,
    pub kept: Option<&'a Handle>,
}

pub(crate) fn start(host: &Host, wanted: Wanted<'_>) -> Result<Started> {
    let Wanted { spec, folders, .. } = wanted;
    let user = user(spec, wanted.image)?;
    let identity = identity(host, spec, wanted.image, &user, wanted.kept)?;
    let (plan, boot) = match wanted.image {
        None => {
            let image = discover(host)?;
            let boot = boot(spec, host_context(spec, &image, &user));
            let toolchains = toolchains(host, &image)?;
            let image = root::Image::Host {
                image: &image,
                toolchains,
            };
            (plan(host, wanted, image, None, &user, identity)?, boot)
        }
        Some(image) => {
            let workdir = image::layers::workdir(image, spec)?;
            let env = image::layers::environment(image, &user);
            let layers = image::layers::prepare(image, host.privilege, &identity)?;
            let layers = root::Image::Layers(layers);
            let plan = plan(host, wanted, layers, Some(&workdir), &user, identity)?;
            (plan, boot(spec, (env, workdir.to_string())))
        }
    };
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

pub(crate) fn user(spec: &SandboxSpec, image: Option<&Image>) -> Result<User> {
    match image {
        Some(image) => image::layers::user(image, spec),
        None => image::user(spec.user.as_ref())
            .map_err(|message| Error::new(ErrorKind::InvalidSpec, "create", message).with("field", "user")),
    }
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

/// As root they are detached mounts; without, the child opens them itself.
fn toolchains(host: &Host, image: &HostImage) -> Result<Vec<Option<OwnedFd>>> {
    let toolchains = image.toolchains.iter().map(|toolchain| match host.privilege {
        Privilege::Root => mounts::read_only(&toolchain.path).map(Some),
        Privilege::Rootless { .. } => Ok(None),
    });
    toolchains.collect::<io::Result<_>>().map_err(io_failed)
}

fn plan(
    host: &Host,
    Wanted { spec, folders, .. }: Wanted<'_>,
    image: root::Image<'_>,
    workdir: Option<&GuestPath>,
    user: &User,
    identity: Identity,
) -> Result<Plan> {
    let hostname = spec.name.as_ref().map_or("sandbox", |name| name.as_str());
    let mounts = mounts::sources(&spec.mounts, host.privilege, &identity)?;
    let root = root::compose(
        spec,
        Facts {
            image,
            user,
            hostname,
            workdir,
            mounts,
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
        private_network: spec.network.policy.mode != NetworkMode::Host,
        link: is_carried(spec.network.policy.mode).then(network::link),
        dies_with_thread: spec.lifetime == Lifetime::Ephemeral && is_main_thread(),
        hostname: c_string(hostname),
        sources,
        base: root.base,
        overlay: root.overlay,
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

/// The environment and the working directory of the host image.
fn host_context(spec: &SandboxSpec, image: &HostImage, user: &User) -> (Vec<(String, String)>, String) {
    let home = user.home.as_str();
    let own = [
        ("HOME", home),
        ("USER", &user.name),
        ("LOGNAME", &user.name),
        ("SHELL", "/bin/sh"),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let workdir = match (&spec.workdir, spec.root) {
        (Some(path), _) => path.as_str(),
        (None, RootAccess::Writable) => home,
        (None, RootAccess::ReadOnly) => "/tmp",
    };
    (
        own.into_iter().chain(image.env.iter().cloned()).collect(),
        workdir.to_owned(),
    )
}

fn boot(spec: &SandboxSpec, (env, workdir): (Vec<(String, String)>, String)) -> Boot {
    let env = env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let spec_env = spec
        .env
        .iter()
        .map(|variable| (variable.name(), variable.value()));
    let kept = spec.lifetime == Lifetime::Kept;
    Boot {
        env: env
            .chain(spec_env)
            .map(|(name, value)| ByteBuf::from(format!("{name}={value}")))
            .collect(),
        workdir: ByteBuf::from(workdir),
        tied_to_owner: spec.lifetime == Lifetime::Ephemeral,
        listen: kept,
        keep_logs: kept,
    }
}

/// The main thread lives as long as its process. The end of another says nothing about the owner.
fn is_main_thread() -> bool {
    rustix::thread::gettid() == rustix::process::getpid()
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
