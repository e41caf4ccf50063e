//! What the child of `clone3` does: builds the root and the walls of the plan, then becomes the guest agent.
//!
//! Only system calls on memory that the plan holds. No allocation, no lock, no panic: the process that was
//! copied may have had other threads in the middle of anything.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd},
};

use agentkernel_egress::tun;
use agentkernel_protocol::descriptor;
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, symlinkat, unlinkat},
    io::{Errno, dup2},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
        fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
        unmount,
    },
};

use super::{
    base,
    plan::{Base, Place, Plan, Source, SourceId, Step},
    sys::{self, SysResult, attribute},
    walls,
};

/// Descriptors that the child finds at fixed numbers, out of the way of the agent's 0 to 5.
/// The parent has put its own above [`FIRST_FREE`].
pub(crate) const BASE: RawFd = 30;
pub(super) const STAGED_AGENT: RawFd = 29;
pub(crate) const FIRST_SOURCE: RawFd = 31;
/// The agent until it runs: right after the descriptors that it keeps.
pub(super) const AGENT: RawFd = descriptor::LOGS + 1;
/// Most sources of one plan. One descriptor each, below the usual limit of 1024: 127 layers, and as many mounts as anyone needs.
pub(crate) const MAX_SOURCES: usize = 160 + 127;
pub(crate) const FIRST_FREE: RawFd = FIRST_SOURCE + MAX_SOURCES as RawFd;

/// What the child gets besides the plan. All descriptors are at [`FIRST_FREE`] or above.
#[derive(Debug)]
pub(crate) struct Inheritance {
    /// None: the plan names a file.
    pub agent: Option<RawFd>,
    pub owner: RawFd,
    pub listener: Option<RawFd>,
    pub logs: Option<RawFd>,
    /// One byte comes when the id maps are written.
    pub go: RawFd,
    /// The parent's end of it: as long as the child holds a copy, the parent's death would go unnoticed.
    pub parent_go: RawFd,
    /// Where a failure is told.
    pub failure: RawFd,
    /// The socket over which the network device is handed over.
    pub link: Option<RawFd>,
}

/// Where the child was when a call failed, for the parent's message. Sent as four bytes before the error's four.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    Sources = 1,
    Identity = 2,
    Base = 3,
    Root = 4,
    Pivot = 5,
    Walls = 6,
    Execute = 7,
    Network = 8,
}

type Failure = (Stage, u32, Errno);

/// Never returns.
pub(crate) fn run(plan: &Plan, inheritance: &Inheritance) -> ! {
    let (stage, item, error) = match build(plan, inheritance) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    let mut message = [0u8; 12];
    message[..4].copy_from_slice(&(stage as u32).to_ne_bytes());
    message[4..8].copy_from_slice(&item.to_ne_bytes());
    message[8..].copy_from_slice(&error.raw_os_error().to_ne_bytes());
    // SAFETY: the parent keeps its end open until it has read this or the end.
    let failure = unsafe { BorrowedFd::borrow_raw(inheritance.failure) };
    let _ = rustix::io::write(failure, &message);
    sys::exit_now(125)
}

enum Never {}

fn build(plan: &Plan, inheritance: &Inheritance) -> Result<Never, Failure> {
    let at = |stage: Stage| move |error: Errno| (stage, 0, error);
    // SAFETY: the child's own copy, used by nobody here.
    drop(unsafe { OwnedFd::from_raw_fd(inheritance.parent_go) });
    // The modes of the plan are exact.
    rustix::process::umask(Mode::empty());
    reserve(inheritance.go).map_err(at(Stage::Sources))?;
    for (index, source) in plan.sources.iter().enumerate() {
        open_source(index, source).map_err(|error| (Stage::Sources, index as u32, error))?;
    }
    // While the parent writes the id maps: the namespace needs none for this.
    make_link(plan, inheritance).map_err(at(Stage::Network))?;
    wait_for_go(inheritance.go).map_err(at(Stage::Identity))?;
    become_builder(plan).map_err(at(Stage::Identity))?;
    if plan.private_network {
        open_namespace();
    }
    let root = base::prepare(plan).map_err(at(Stage::Base))?;
    let fresh = plan.overlay.is_none() && matches!(plan.base, Base::Memory { .. });
    for (index, step) in plan.steps.iter().enumerate() {
        take(step, root.as_fd(), fresh).map_err(|error| (Stage::Root, index as u32, error))?;
    }
    if let Some(source) = plan.agent {
        // Now: after the pivot the host's mounts are out of reach.
        stage_agent(source).map_err(at(Stage::Pivot))?;
    }
    enter(root).map_err(at(Stage::Pivot))?;
    walls::raise(plan, inheritance).map_err(at(Stage::Walls))?;
    Err((Stage::Execute, 0, sys::execute(AGENT, c"agentkernel-agent")))
}

fn open_source(index: usize, source: &Source) -> SysResult<()> {
    let target = FIRST_SOURCE + index as RawFd;
    match source {
        Source::Path(path) => {
            let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            let file = openat2(
                CWD,
                path.as_c_str(),
                OFlags::PATH | OFlags::CLOEXEC,
                Mode::empty(),
                resolve,
            )?;
            settle(file, target)
        }
        Source::Detached(mount) | Source::Layer(mount) => place(mount.as_raw_fd(), target),
    }
}

/// Occupies the numbers that are given out later: a descriptor that is opened in between must not get one of
/// them, or it would be replaced while it is in use. (Sources come first and follow one another.)
fn reserve(any: RawFd) -> SysResult<()> {
    for number in (descriptor::OWNER..=AGENT).chain([STAGED_AGENT, BASE]) {
        place(any, number)?;
    }
    Ok(())
}

/// A descriptor of ours under another number, and nowhere else.
pub(super) fn settle(descriptor: OwnedFd, to: RawFd) -> SysResult<()> {
    if descriptor.as_raw_fd() == to {
        // It is where it shall be: kept open.
        let _ = descriptor.into_raw_fd();
        return Ok(());
    }
    place(descriptor.as_raw_fd(), to)
}

/// The descriptor under a number of ours. The old number stays; everything is closed at the end.
pub(super) fn place(from: RawFd, to: RawFd) -> SysResult<()> {
    // SAFETY: `from` is open; whatever was at `to` belongs to nobody in this process any more.
    let from = unsafe { BorrowedFd::borrow_raw(from) };
    // SAFETY: forgotten right below, so that it is not closed.
    let mut to = std::mem::ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(to) });
    dup2(from, &mut to)
}

fn wait_for_go(go: RawFd) -> SysResult<()> {
    // SAFETY: inherited and open.
    let go = unsafe { BorrowedFd::borrow_raw(go) };
    let mut byte = [0u8; 1];
    // End of file: the parent has given up or died.
    if rustix::io::read(go, &mut byte)? == 1 {
        Ok(())
    } else {
        Err(Errno::CANCELED)
    }
}

/// The device ends with its descriptor, which only the gateway keeps.
fn make_link(plan: &Plan, inheritance: &Inheritance) -> SysResult<()> {
    let (Some(link), Some(socket)) = (&plan.link, inheritance.link) else {
        return Ok(());
    };
    // SAFETY: inherited and open.
    let socket = unsafe { BorrowedFd::borrow_raw(socket) };
    tun::hand_over(socket, &tun::configure(link)?)
}

/// What needs a privilege on a host and none in a network of one's own: low ports, and echo requests. Kernels that do
/// not know one of them go without.
fn open_namespace() {
    const FILES: [(&CStr, &[u8]); 2] = [
        (c"/proc/sys/net/ipv4/ip_unprivileged_port_start", b"0"),
        (c"/proc/sys/net/ipv4/ping_group_range", b"0 65534"),
    ];
    for (path, value) in FILES {
        if let Ok(file) = openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            let _ = rustix::io::write(&file, value);
        }
    }
}

/// What is made from here on belongs to the builder, who has all capabilities of the sandbox's namespace.
fn become_builder(plan: &Plan) -> SysResult<()> {
    if plan.identity.drop_groups {
        sys::set_groups_empty()?;
    }
    become_one(plan.identity.builder_uid, plan.identity.builder_gid)
}

/// Another user with the same capabilities.
pub(super) fn become_one(uid: u32, gid: u32) -> SysResult<()> {
    const KEEP_CAPABILITIES: i32 = 8; // PR_SET_KEEPCAPS: there is still something to be done
    sys::prctl(KEEP_CAPABILITIES, 1, 0, 0)?;
    sys::set_ids(uid, gid)?;
    raise_effective_capabilities()
}

/// `setresuid` from root to another id empties the effective set and keeps the permitted one.
fn raise_effective_capabilities() -> SysResult<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    let header = Header {
        version: 0x2008_0522,
        pid: 0,
    };
    let mut data = [0u32; 6];
    // SAFETY: version 3 writes and reads two structures of three words (effective, permitted, inheritable).
    unsafe {
        if libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) < 0 {
            return Err(Errno::PERM);
        }
        (data[0], data[3]) = (data[1], data[4]);
        if libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) < 0 {
            return Err(Errno::PERM);
        }
    }
    Ok(())
}

/// `fresh`: the root was empty a moment ago, so no path in it can have been prepared by somebody else, and one call
/// is enough to make what would take three.
fn take(step: &Step, root: BorrowedFd<'_>, fresh: bool) -> SysResult<()> {
    match step {
        Step::MakeDirectory { place, mode } if fresh => make_directory(root, &place.path, *mode),
        Step::MakeLink { place, target } if fresh => {
            symlinkat(target.as_c_str(), root, place.path.as_c_str())
        }
        Step::MakeLayer { place } if fresh => {
            // SAFETY: placed by `prepare_base`, open until the agent runs.
            make_directory(unsafe { BorrowedFd::borrow_raw(BASE) }, &place.path, 0o755)
        }
        Step::MakeDirectory { place, mode } => {
            make_directory(parent_of(root, place)?.as_fd(), &place.name, *mode)
        }
        Step::MakeResolved { place, mode } => {
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let parent = openat2(root, place.parent.as_c_str(), flags, Mode::empty(), resolve)?;
            make_directory(parent.as_fd(), &place.name, *mode)
        }
        Step::MakeFile {
            place,
            mode,
            content,
            replace,
        } => make_file(root, place, *mode, content, *replace),
        Step::MakeLink { place, target } => {
            let parent = parent_of(root, place)?;
            match symlinkat(target.as_c_str(), &parent, place.name.as_c_str()) {
                Err(Errno::EXIST) | Ok(()) => Ok(()),
                Err(error) => Err(error),
            }
        }
        Step::MakeLayer { place } => {
            // SAFETY: placed by `prepare_base`, open until the agent runs.
            let base = unsafe { BorrowedFd::borrow_raw(BASE) };
            make_directory(parent_of(base, place)?.as_fd(), &place.name, 0o755)
        }
        Step::Tmpfs {
            target,
            size,
            mode,
            attributes,
        } => {
            let mount = new_mount(c"tmpfs", &[(c"size", size), (c"mode", mode)], &[], *attributes)?;
            attach_folder(&mount, root, target)
        }
        Step::Overlay {
            target,
            lower,
            upper,
            work,
            attributes,
        } => {
            let options = [
                (c"lowerdir", lower.as_c_str()),
                (c"upperdir", upper),
                (c"workdir", work),
            ];
            let mount = new_mount(c"overlay", &options, &[c"userxattr"], *attributes)?;
            attach_folder(&mount, root, target)
        }
        Step::Attach {
            source,
            target,
            attributes,
        } => attach_source(*source, root, target, *attributes),
        Step::Proc { target } => {
            let attributes =
                attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEV | attribute::NO_EXEC;
            attach_folder(&new_mount(c"proc", &[], &[], attributes)?, root, target)
        }
        Step::Devpts { target } => {
            let options = [(c"ptmxmode", c"0666"), (c"mode", c"0620"), (c"max", c"1024")];
            let mount = new_mount(
                c"devpts",
                &options,
                &[c"newinstance"],
                attribute::NO_SUID | attribute::NO_EXEC,
            )?;
            attach_folder(&mount, root, target)
        }
        Step::SetAttributes { target, attributes } => {
            sys::mount_setattr(open_beneath(root, target)?.as_raw_fd(), false, *attributes, None)
        }
    }
}

/// A new file system as a detached mount.
pub(super) fn new_mount(
    kind: &CStr,
    options: &[(&CStr, &CStr)],
    flags: &[&CStr],
    attributes: u64,
) -> SysResult<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for flag in flags {
        fsconfig_set_flag(context.as_fd(), *flag)?;
    }
    for (key, value) in options {
        fsconfig_set_string(context.as_fd(), *key, *value)?;
    }
    fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::from_bits_retain(attributes as u32);
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn attach_source(
    SourceId(index): SourceId,
    root: BorrowedFd<'_>,
    target: &CString,
    attributes: u64,
) -> SysResult<()> {
    // SAFETY: placed by `open_source`, open until the agent runs.
    let source = unsafe { BorrowedFd::borrow_raw(FIRST_SOURCE + index as RawFd) };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    match open_tree(source, c"", flags) {
        Ok(tree) => {
            sys::mount_setattr(tree.as_raw_fd(), true, attributes, None)?;
            attach_beneath(&tree, root, target)
        }
        // A detached mount that the parent prepared is attached itself: it has its attributes.
        Err(Errno::INVAL) => {
            let target = open_beneath(root, target)?;
            attach_onto(&source, &target)
        }
        Err(error) => Err(error),
    }
}

/// A layer of an image at its hidden place.
pub(super) fn attach_layer(
    SourceId(index): SourceId,
    places: BorrowedFd<'_>,
    name: &CString,
) -> SysResult<()> {
    let attributes = attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEV;
    attach_source(SourceId(index), places, name, attributes)
}

/// A mount whose root is a folder.
fn attach_folder(mount: &impl AsFd, root: BorrowedFd<'_>, path: &CStr) -> SysResult<()> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let target = openat2(root, path, flags, Mode::empty(), resolve)?;
    attach_onto(mount, &target)
}

fn attach_beneath(mount: &impl AsFd, root: BorrowedFd<'_>, target: &CStr) -> SysResult<()> {
    attach_onto(mount, &open_beneath(root, target)?)
}

pub(super) fn attach_onto(mount: &impl AsFd, target: &impl AsFd) -> SysResult<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount.as_fd(), c"", target.as_fd(), c"", flags)
}

pub(super) fn attach_at_path(mount: &impl AsFd, path: &CStr) -> SysResult<()> {
    move_mount(
        mount.as_fd(),
        c"",
        CWD,
        path,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
}

/// Beneath the root without following any link: what the sandbox left in its own files leads nowhere else.
fn open_beneath(root: BorrowedFd<'_>, path: &CStr) -> SysResult<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
}

fn parent_of(root: BorrowedFd<'_>, place: &Place) -> SysResult<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(root, place.parent.as_c_str(), flags, Mode::empty(), resolve)
}

pub(super) fn make_directory(parent: BorrowedFd<'_>, name: &CStr, mode: u32) -> SysResult<()> {
    match mkdirat(parent, name, Mode::from_raw_mode(mode)) {
        Err(Errno::EXIST) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

fn make_file(root: BorrowedFd<'_>, place: &Place, mode: u32, content: &[u8], replace: bool) -> SysResult<()> {
    let parent = parent_of(root, place)?;
    if replace {
        // A fresh file instead of writing through whatever the sandbox has put there.
        let _ = unlinkat(&parent, place.name.as_c_str(), AtFlags::empty());
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match openat(&parent, place.name.as_c_str(), flags, Mode::from_raw_mode(mode)) {
        Ok(file) => file,
        Err(Errno::EXIST) if !replace => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut rest = content;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = &rest[written..];
    }
    Ok(())
}

/// Makes the root the only thing there is.
fn enter(root: OwnedFd) -> SysResult<()> {
    rustix::process::fchdir(&root)?;
    sys::pivot_root_here()?;
    unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")
}

/// The file behind a read-only mount of its own: whoever could name it could not open it for writing.
fn stage_agent(SourceId(index): SourceId) -> SysResult<()> {
    // SAFETY: placed by `open_source`, open until the agent runs.
    let source = unsafe { BorrowedFd::borrow_raw(FIRST_SOURCE + index as RawFd) };
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let file = open_tree(source, c"", flags)?;
    let attributes = attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEV;
    sys::mount_setattr(file.as_raw_fd(), false, attributes, None)?;
    settle(file, STAGED_AGENT)
}
