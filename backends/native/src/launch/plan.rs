//! A launch as data: everything that the child of `clone3` will do, with all its memory prepared.
//!
//! The child shares no lock and no allocator with the threads of the process it came from, so it may only
//! read this plan and make system calls. Building the plan is pure and tested as such.

use std::ffi::CString;

use agentkernel_types::GuestPath;
use rustix::fd::OwnedFd;

/// Where on the host something that is mounted comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// Opened by the child in its own copy of the host's mounts. No part of it may be a symbolic link:
    /// the planner gives resolved paths, so a link that appears later is somebody's attack.
    Path(CString),
    /// A detached mount that the parent prepared (as root: with its attributes and ownership mapping).
    Detached(OwnedFd),
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

#[derive(Debug)]
pub(crate) enum Step {
    MakeDirectory {
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

/// Which ids the sandbox has, inside and on the host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    pub inside_uid: u32,
    pub inside_gid: u32,
    pub host_uid: u32,
    pub host_gid: u32,
    /// Supplementary groups can be given up: only with privilege.
    pub drop_groups: bool,
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub identity: Identity,
    pub private_network: bool,
    pub hostname: CString,
    pub sources: Vec<Source>,
    pub base: Base,
    pub steps: Vec<Step>,
    /// The agent's file; None: the sealed memory file that is handed over.
    pub agent: Option<SourceId>,
    pub limits: Vec<ResourceLimit>,
    pub landlock: Landlock,
    pub seccomp: Vec<libc::sock_filter>,
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
