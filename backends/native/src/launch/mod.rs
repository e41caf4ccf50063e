//! Starts a sandbox: `clone3` into new namespaces, id maps, and a child that becomes PID 1.
//!
//! There is no launcher process. The child only makes system calls on prepared memory, so any thread of any
//! process may start a sandbox (docs/design/0005-launch.md).

pub(crate) mod agent;
mod base;
mod child;
pub(crate) mod identity;
pub(crate) mod idmap;
pub(crate) mod landlock;
mod obstacle;
pub(crate) mod plan;
pub(crate) mod sys;
mod walls;

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::{PoisonError, RwLock},
};

use agentkernel_backend::{Error, Result};
use agentkernel_egress::{Device, tun};
use agentkernel_types::ErrorKind;
use rustix::{
    io::{Errno, fcntl_dupfd_cloexec},
    pipe::{PipeFlags, pipe_with},
    process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid},
};

use tokio::io::{Interest, unix::AsyncFd};

use self::{
    child::{Inheritance, Stage},
    plan::{Plan, Source},
};

pub(crate) use self::child::{BASE, MAX_SOURCES};

/// The number under which the child finds a source.
pub(crate) fn source_descriptor(plan::SourceId(index): plan::SourceId) -> i32 {
    child::FIRST_SOURCE + index as i32
}

/// What PID 1 gets from this process besides the plan.
#[derive(Default)]
pub(crate) struct Connections<'a> {
    pub listener: Option<BorrowedFd<'a>>,
    pub logs: Option<BorrowedFd<'a>>,
    /// The v2 control group to be born in.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// Called with the pid before the child goes on: attaches it to v1 control groups.
    pub attach: Option<&'a dyn Fn(u32) -> Result<()>>,
}

/// A sandbox whose PID 1 has been started. Dropping it kills the sandbox, unless it was let go.
#[derive(Debug)]
pub(crate) struct Launched {
    pub pid: u32,
    pub pidfd: OwnedFd,
    /// The owner's connection to the agent.
    pub owner: UnixStream,
    /// The sandbox's network, for a gateway.
    pub link: Option<Device>,
    failure: File,
    let_go: bool,
}

/// Held while a child is cloned, which inherits every open file; taken alone by whoever writes a program.
static CLONING: RwLock<()> = RwLock::new(());

/// `CLONE_NEWTIME` is left out: it takes effect only for children, and hides nothing that matters here.
const NAMESPACES: u64 = (libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP) as u64;

pub(crate) fn launch(plan: &Plan, connections: &Connections<'_>) -> Result<Launched> {
    if plan.sources.len() > MAX_SOURCES {
        return Err(Error::new(
            ErrorKind::InvalidSpec,
            "start",
            format!("more than {MAX_SOURCES} mounts"),
        )
        .with("field", "mounts"));
    }
    let prepared =
        Prepared::new(plan, connections).map_err(|error| broken("cannot prepare a sandbox", error))?;
    let flags = NAMESPACES
        | if plan.private_network {
            libc::CLONE_NEWNET as u64
        } else {
            0
        };
    let cgroup = connections.cgroup.map(|fd| fd.as_raw_fd());
    let cloning = CLONING.read().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the child runs `child::run` only, which makes system calls on the plan and never returns.
    let cloned = unsafe { sys::clone3(flags, cgroup) }.map_err(clone_failed)?;
    let (pid, pidfd) = match cloned {
        sys::Cloned::Child => child::run(plan, &prepared.inheritance()),
        sys::Cloned::Parent { pid, pidfd } => (pid as u32, pidfd),
    };
    drop(cloning);
    let Prepared {
        owner,
        go,
        failure,
        link,
        ..
    } = prepared;
    let mut launched = Launched {
        pid,
        // SAFETY: the kernel has just made it for us.
        pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        owner,
        link: None,
        failure: File::from(failure),
        let_go: false,
    };
    // From here on an error drops `launched`, which kills the child.
    idmap::write_maps(pid, &plan.identity).map_err(|error| maps_failed(error, plan))?;
    map_layers(pid, plan)?;
    if let Some(attach) = connections.attach {
        attach(pid)?;
    }
    File::from(go)
        .write_all(&[1])
        .map_err(|error| broken("the sandbox ended before it began", error))?;
    if let (Some(link), Some(prepared)) = (link, &plan.link) {
        // The child's end is closed here: its death is the end of this.
        let descriptor = tun::take_over(link.as_fd()).map_err(|_| launched.failure(plan))?;
        launched.link = Some(prepared.device(descriptor));
    }
    Ok(launched)
}

/// The child has inherited the layers' mounts and waits: now that its namespace has its maps, they get its owners.
fn map_layers(pid: u32, plan: &Plan) -> Result<()> {
    const ATTRIBUTES: u64 = sys::attribute::READ_ONLY | sys::attribute::NO_SUID | sys::attribute::NO_DEV;
    let mut namespace = None;
    for source in &plan.sources {
        let Source::Layer(mount) = source else {
            continue;
        };
        let namespace = match &namespace {
            Some(namespace) => namespace,
            None => {
                let found = idmap::namespace_of(pid)
                    .map_err(|error| broken("cannot open the sandbox's user namespace", error))?;
                namespace.insert(found)
            }
        };
        sys::mount_setattr(mount.as_raw_fd(), false, ATTRIBUTES, Some(namespace.as_raw_fd())).map_err(
            |error| {
                let message = "the file system of the image store cannot map owners, so a sandbox of root cannot \
                               use an image there";
                Error::unsupported("start", "image", message)
                    .hint("put agentkernel's data folder on ext4, xfs or btrfs (AGENTKERNEL_HOME)")
                    .because(io::Error::from(error))
            },
        )?;
    }
    Ok(())
}

/// Descriptors of one launch: the parent's ends, and the child's ends out of the way of its fixed numbers.
struct Prepared {
    owner: UnixStream,
    go: OwnedFd,
    failure: OwnedFd,
    child_owner: OwnedFd,
    child_go: OwnedFd,
    child_failure: OwnedFd,
    agent: Option<OwnedFd>,
    listener: Option<OwnedFd>,
    logs: Option<OwnedFd>,
    link: Option<UnixStream>,
    child_link: Option<OwnedFd>,
}

impl Prepared {
    fn new(plan: &Plan, connections: &Connections<'_>) -> io::Result<Self> {
        let (owner, child_owner) = UnixStream::pair()?;
        let (child_go, go) = pipe_with(PipeFlags::CLOEXEC)?;
        let (failure, child_failure) = pipe_with(PipeFlags::CLOEXEC)?;
        let (link, child_link) = match plan.link {
            Some(_) => {
                let (ours, theirs) = UnixStream::pair()?;
                (Some(ours), Some(high(theirs.as_fd())?))
            }
            None => (None, None),
        };
        Ok(Self {
            owner,
            go,
            failure,
            child_owner: high(child_owner.as_fd())?,
            child_go: high(child_go.as_fd())?,
            child_failure: high(child_failure.as_fd())?,
            agent: match plan.agent {
                Some(_) => None,
                None => Some(high(agent::sealed()?)?),
            },
            listener: connections.listener.map(high).transpose()?,
            logs: connections.logs.map(high).transpose()?,
            link,
            child_link,
        })
    }

    fn inheritance(&self) -> Inheritance {
        let number = |fd: &Option<OwnedFd>| fd.as_ref().map(|fd| fd.as_raw_fd());
        Inheritance {
            agent: number(&self.agent),
            owner: self.child_owner.as_raw_fd(),
            listener: number(&self.listener),
            logs: number(&self.logs),
            go: self.child_go.as_raw_fd(),
            parent_go: self.go.as_raw_fd(),
            failure: self.child_failure.as_raw_fd(),
            link: number(&self.child_link),
        }
    }
}

/// A copy above all the numbers that the child uses itself.
pub(crate) fn high(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(fcntl_dupfd_cloexec(fd, child::FIRST_FREE)?)
}

/// The same for one that is given up.
pub(crate) fn high_owned(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= child::FIRST_FREE {
        Ok(fd)
    } else {
        high(fd.as_fd())
    }
}

impl Launched {
    /// Why the child never became the agent. To be asked when the owner's connection ends without a hello.
    pub(crate) fn failure(&mut self, plan: &Plan) -> Error {
        let mut message = [0u8; 12];
        if self.failure.read_exact(&mut message).is_err() {
            return Error::new(
                ErrorKind::Broken,
                "start",
                "the sandbox ended while it was being started",
            )
            .hint("if memory is limited, allow more: the limit may be too small for anything to run");
        }
        let word =
            |at: usize| u32::from_ne_bytes([message[at], message[at + 1], message[at + 2], message[at + 3]]);
        describe(
            word(0),
            word(4) as usize,
            Errno::from_raw_os_error(word(8) as i32),
            plan,
        )
    }

    /// The sandbox goes on without this process.
    pub(crate) fn let_go(&mut self) {
        self.let_go = true;
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        if !self.let_go {
            kill_and_reap(&self.pidfd);
        }
    }
}

/// Kills PID 1, and with it everything in the sandbox, and waits for the end.
pub(crate) fn kill_and_reap(pidfd: &OwnedFd) {
    let _ = pidfd_send_signal(pidfd, Signal::KILL);
    // Not our child any more (another process made it): then its own parent reaps it.
    let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
}

pub(crate) fn kill(pidfd: &OwnedFd) {
    // Gone already: as good.
    let _ = pidfd_send_signal(pidfd, Signal::KILL);
}

/// Waits until the process has ended, and reaps it if it is a child of ours.
pub(crate) async fn wait_for_end(pidfd: &OwnedFd) {
    // A pidfd becomes readable when its process ends.
    if let Ok(copy) = pidfd.try_clone() {
        // SAFETY: an `OwnedFd` is the same open descriptor for as long as it lives.
        let watched = unsafe { AsyncFd::register_with_interest(copy, Interest::READABLE) };
        if let Ok(watched) = watched {
            let _ = watched.readable().await;
        }
    }
    let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
}

fn describe(stage: u32, item: usize, error: Errno, plan: &Plan) -> Error {
    let (kind, text) = match stage {
        stage if stage == Stage::Sources as u32 => {
            let what = match plan.sources.get(item) {
                Some(Source::Path(path)) => path.to_string_lossy().into_owned(),
                _ => "a prepared mount".to_owned(),
            };
            let kind = if error == Errno::NOENT {
                ErrorKind::NotFound
            } else {
                ErrorKind::Denied
            };
            (kind, format!("cannot open {what} for the sandbox"))
        }
        stage if stage == Stage::Identity as u32 => {
            (ErrorKind::Broken, "cannot become the sandbox's user".to_owned())
        }
        stage if stage == Stage::Base as u32 => {
            let what = match plan.overlay {
                None => "cannot make the sandbox's own storage",
                Some(_) => "cannot put the layers of the image together",
            };
            (ErrorKind::Broken, what.to_owned())
        }
        stage if stage == Stage::Root as u32 => {
            let Some(step) = plan.steps.get(item) else {
                return broken("cannot build the sandbox's root", error.into());
            };
            if let Some(obstacle) = obstacle::explain(step, error, plan) {
                return obstacle;
            }
            let step: String = format!("{step:?}").chars().take(300).collect();
            (
                ErrorKind::Broken,
                format!("cannot build the sandbox's root: {step}"),
            )
        }
        stage if stage == Stage::Pivot as u32 => {
            (ErrorKind::Broken, "cannot enter the sandbox's root".to_owned())
        }
        stage if stage == Stage::Network as u32 => return no_link(error),
        stage if stage == Stage::Walls as u32 => {
            (ErrorKind::Broken, "cannot raise the sandbox's walls".to_owned())
        }
        _ => (ErrorKind::Broken, "cannot start the guest agent".to_owned()),
    };
    Error::new(kind, "start", text).because(io::Error::from(error))
}

fn no_link(error: Errno) -> Error {
    let message = "this kernel gives a sandbox no network device, so no policy can be enforced";
    Error::unsupported("start", "network", message)
        .because(io::Error::from(error))
        .hint("load the module tun or veth, or choose --network none or --network host")
}

fn clone_failed(error: Errno) -> Error {
    let failure = Error::new(
        ErrorKind::Unavailable,
        "start",
        "cannot make the namespaces of a sandbox",
    )
    .because(io::Error::from(error));
    match error {
        Errno::NOSPC | Errno::USERS => {
            failure.hint("too many namespaces: raise user.max_user_namespaces, or end other sandboxes")
        }
        Errno::PERM | Errno::ACCESS => failure.hint(
            "user namespaces are forbidden here: set kernel.unprivileged_userns_clone=1, in a container allow \
             clone with namespaces, or run as root",
        ),
        Errno::AGAIN => failure.hint("the limit of processes is reached (ulimit -u)"),
        _ => failure.hint("agentkernel needs Linux 5.13 or later with user namespaces"),
    }
}

fn maps_failed(error: io::Error, plan: &Plan) -> Error {
    let identity = &plan.identity;
    let message = format!(
        "cannot map the sandbox's user {} to {} of the host",
        identity.uid,
        identity.host_uid()
    );
    broken(&message, error)
}

fn broken(message: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Broken, "start", message).because(error)
}

/// A pidfd for a process that another process of ours made.
pub(crate) fn pidfd_of(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}
