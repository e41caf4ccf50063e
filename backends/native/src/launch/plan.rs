//! A launch as data: everything that the child of `clone3` will do, with all its memory prepared.
//!
//! The child shares no lock and no allocator with the threads of the process it came from, so it may only
//! read this plan and make system calls. Building the plan is pure and tested as such.

use std::{
    ffi::{CStr, CString},
    path::PathBuf,
};

use agentkernel_egress::tun;
use agentkernel_types::GuestPath;
use rustix::fd::OwnedFd;

use super::identity::Identity;

/// Where on the host something that is mounted comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// Opened by the child in its own copy of the host's mounts. No part of it may be a symbolic link:
    /// the planner gives resolved paths, so a link that appears later is somebody's attack.
    Path(CString),
    /// A detached mount that the parent prepared (as root: with its attributes and ownership mapping).
    Detached(OwnedFd),
    /// A detached mount of an image's layer, without attributes yet: the parent maps its owners with the sandbox's own
    /// user namespace, once that has its maps.
    Layer(OwnedFd),
}

/// Index into [`Plan::sources`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SourceId(pub usize);

/// A name in a folder, both beneath the sandbox's root (or the base of its layers).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub parent: CString,
    pub name: CString,
    /// Both together.
    pub path: CString,
}

/// What holds the sandbox's own files.
#[derive(Debug)]
pub(crate) enum Base {
    /// Memory, with at most so many bytes, in decimal.
    Memory { size: CString },
    /// A folder of the host that the sandbox's user owns.
    Folder(SourceId),
}

/// A root that is one overlay over the layers of an image. Its files are untrusted: no step follows a link in them.
#[derive(Debug)]
pub(crate) struct Overlay {
    /// Top first.
    pub lowers: Vec<Lower>,
    /// The names of the lowers, as overlayfs takes them.
    pub option: CString,
    /// Of the root folder itself, inside.
    pub owner: (u32, u32),
    pub mode: u32,
    /// The layers on the host, top first: to say what is wrong with them.
    pub trees: Vec<PathBuf>,
}

#[derive(Debug)]
pub(crate) struct Lower {
    pub source: SourceId,
    /// One byte: 127 of them with their separators just fit into what the kernel takes as one option.
    pub name: CString,
}

#[derive(Debug)]
pub(crate) enum Step {
    MakeDirectory {
        place: Place,
        mode: u32,
    },
    /// A folder whose parent may lie behind links of the image, which lead nowhere but into the root.
    MakeResolved {
        place: Place,
        mode: u32,
    },
    /// An empty file as the target of a mount, or one with content. An existing one is left as it is,
    /// unless `replace`.
    MakeFile {
        place: Place,
        mode: u32,
        content: Vec<u8>,
        replace: bool,
    },
    MakeLink {
        place: Place,
        target: CString,
    },
    /// A layer's folder beneath the base: made if it is missing.
    MakeLayer {
        place: Place,
    },
    Tmpfs {
        target: CString,
        size: CString,
        mode: CString,
        attributes: u64,
    },
    /// `lower` under an upper folder `layers/NAME/upper`.
    Overlay {
        target: CString,
        lower: CString,
        upper: CString,
        work: CString,
        attributes: u64,
    },
    /// The source seen at the target.
    Attach {
        source: SourceId,
        target: CString,
        attributes: u64,
    },
    Proc {
        target: CString,
    },
    Devpts {
        target: CString,
    },
    /// Changes a mount that is already there (the root, to read-only).
    SetAttributes {
        target: CString,
        attributes: u64,
    },
}

/// One landlock rule: this path of the finished root with these rights.
#[derive(Debug)]
pub(crate) struct LandlockRule {
    pub path: CString,
    pub rights: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Landlock {
    /// Rights that are handled, so denied wherever no rule grants them. 0: the kernel has no landlock.
    pub handled: u64,
    /// Abstract unix sockets and signals of other domains are out of reach.
    pub scoped: u64,
    pub rules: Vec<LandlockRule>,
    /// What the logs folder of detached commands is granted.
    pub log_rights: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ResourceLimit {
    pub resource: u32,
    pub limit: u64,
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub identity: Identity,
    /// A network namespace of its own.
    pub private_network: bool,
    /// Its device, which is handed to the gateway.
    pub link: Option<tun::Prepared>,
    /// The kernel kills PID 1 when the thread that launched it ends: for a thread that is its whole process.
    pub dies_with_thread: bool,
    pub hostname: CString,
    pub sources: Vec<Source>,
    pub base: Base,
    /// None: the root is a folder of the base, and the steps fill it.
    pub overlay: Option<Overlay>,
    pub steps: Vec<Step>,
    /// The agent's file; None: the sealed memory file that is handed over.
    pub agent: Option<SourceId>,
    pub limits: Vec<ResourceLimit>,
    pub landlock: Landlock,
    pub seccomp: Vec<libc::sock_filter>,
}

impl Step {
    /// Where in the root it does something.
    pub(crate) fn target(&self) -> &CStr {
        match self {
            Self::MakeDirectory { place, .. }
            | Self::MakeResolved { place, .. }
            | Self::MakeFile { place, .. }
            | Self::MakeLink { place, .. }
            | Self::MakeLayer { place } => &place.path,
            Self::Tmpfs { target, .. }
            | Self::Overlay { target, .. }
            | Self::Attach { target, .. }
            | Self::Proc { target }
            | Self::Devpts { target }
            | Self::SetAttributes { target, .. } => target,
        }
    }
}

impl Place {
    /// None for the root itself, which is always there.
    pub(crate) fn of(path: &GuestPath) -> Option<Self> {
        Some(Self {
            parent: relative(&path.parent()?),
            name: c_string(path.file_name()?),
            path: relative(path),
        })
    }

    /// `name` in the folder `parent` (`.` for the base itself).
    pub(crate) fn beneath(parent: &str, name: &str) -> Self {
        Self {
            parent: c_string(parent),
            name: c_string(name),
            path: c_string(&format!("{parent}/{name}")),
        }
    }
}

/// The path without its leading slash, as the child resolves it beneath the root.
pub(crate) fn relative(path: &GuestPath) -> CString {
    c_string(path.relative())
}

/// For text that has been parsed: a guest path, a name or a number has no NUL.
pub(crate) fn c_string(text: &str) -> CString {
    CString::new(text).expect("parsed text has no NUL")
}
