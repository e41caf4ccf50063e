//! What a root stands on: the sandbox's own files, alone or over the layers of an image. Runs in the child of `clone3`.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::{
    fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, accessat, chmodat, chownat, mkdirat, openat, renameat},
    io::Errno,
    mount::{MountPropagationFlags, OpenTreeFlags, mount_change, open_tree},
};

use super::{
    child::{
        BASE, FIRST_SOURCE, attach_at_path, attach_layer, attach_onto, make_directory, new_mount, place,
        settle,
    },
    plan::{Base, Overlay, Plan, SourceId},
    sys::{self, SysResult, attribute},
};

/// Opens the base at [`BASE`] and returns the root: a mount of its own.
pub(super) fn prepare(plan: &Plan) -> SysResult<OwnedFd> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    match &plan.base {
        Base::Memory { size } => {
            let memory = new_mount(c"tmpfs", &[(c"size", size), (c"mode", c"0755")], &[], 0)?;
            cover(&memory)?;
            settle(memory, BASE)?;
        }
        Base::Folder(SourceId(index)) => place(FIRST_SOURCE + *index as RawFd, BASE)?,
    }
    // SAFETY: just placed, and kept open until the agent runs.
    let base = unsafe { BorrowedFd::borrow_raw(BASE) };
    make_directory(base, c"root", 0o755)?;
    let folder = open_folder(base, c"root")?;
    let root = match &plan.overlay {
        None => folder_root(&folder)?,
        Some(overlay) => overlay_root(base, overlay, &plan.base)?,
    };
    attach_onto(&root, &folder)?;
    Ok(root)
}

/// Any folder will do to have a mount somewhere: it is covered in this copy of the mounts only.
fn cover(mount: &OwnedFd) -> SysResult<()> {
    attach_at_path(mount, c"/tmp").or_else(|_| attach_at_path(mount, c"/etc"))
}

fn open_folder(base: BorrowedFd<'_>, name: &std::ffi::CStr) -> SysResult<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(base, name, flags, Mode::empty())
}

fn folder_root(folder: &OwnedFd) -> SysResult<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let root = open_tree(folder, c"", flags)?;
    let attributes = attribute::NO_SUID | attribute::NO_DEV;
    sys::mount_setattr(root.as_raw_fd(), false, attributes, None)?;
    Ok(root)
}

/// The layers at places of their own beneath a hidden folder (older kernels take no detached mount as a lower), and one
/// overlay over them.
fn overlay_root(base: BorrowedFd<'_>, overlay: &Overlay, kind: &Base) -> SysResult<OwnedFd> {
    let places = match kind {
        Base::Memory { .. } => {
            make_directory(base, c"lower", 0o755)?;
            open_folder(base, c"lower")?
        }
        // Nothing of a start is left in a folder that stays.
        Base::Folder(_) => {
            let places = new_mount(c"tmpfs", &[(c"size", c"1m"), (c"mode", c"0755")], &[], 0)?;
            cover(&places)?;
            places
        }
    };
    // Their names are relative: a path of each would not fit into the option.
    rustix::process::fchdir(&places)?;
    for lower in &overlay.lowers {
        mkdirat(CWD, lower.name.as_c_str(), Mode::from_raw_mode(0o755))?;
        attach_layer(lower.source, places.as_fd(), &lower.name)?;
    }
    make_upper(base, overlay)?;
    make_directory(base, c"work", 0o700)?;
    let options = [
        (c"lowerdir", overlay.option.as_c_str()),
        (c"upperdir", c"/proc/self/fd/30/upper"),
        (c"workdir", c"/proc/self/fd/30/work"),
    ];
    const { assert!(BASE == 30, "the number in the two paths") };
    new_mount(
        c"overlay",
        &options,
        &[c"userxattr"],
        attribute::NO_SUID | attribute::NO_DEV,
    )
}

/// The upper folder is what the root itself shows: its owner and mode are the image's. It has its name only when it has
/// both, whatever happens in between.
fn make_upper(base: BorrowedFd<'_>, overlay: &Overlay) -> SysResult<()> {
    match accessat(base, c"upper", rustix::fs::Access::EXISTS, AtFlags::empty()) {
        Err(Errno::NOENT) => {}
        other => return other,
    }
    make_directory(base, c"upper.new", 0o700)?;
    let (uid, gid) = overlay.owner;
    let owner = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    chownat(base, c"upper.new", owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
    chmodat(
        base,
        c"upper.new",
        Mode::from_raw_mode(overlay.mode),
        AtFlags::empty(),
    )?;
    renameat(base, c"upper.new", base, c"upper")
}
