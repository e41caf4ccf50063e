//! The host's side of the mounts: what is there, resolved once and opened.

use std::{
    fs,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
};

use agentkernel_backend::{Error, Result};
use agentkernel_types::{ErrorKind, GuestPath, Mount};
use rustix::{
    fs::{Mode, OFlags, open},
    mount::{OpenTreeFlags, open_tree},
};

use crate::{
    image,
    launch::{
        identity::Identity,
        idmap,
        sys::{self, attribute},
    },
    privilege::Privilege,
    root::MountSource,
};

const PLAIN: u64 = attribute::NO_SUID | attribute::NO_DEV;

/// Finds every mount's source. As root each becomes a detached mount on which the owner of the source appears
/// as the sandbox's user; without privilege the child opens it itself.
pub(crate) fn sources(
    mounts: &[Mount],
    privilege: Privilege,
    identity: &Identity,
) -> Result<Vec<MountSource>> {
    mounts
        .iter()
        .map(|mount| source(mount, privilege, identity))
        .collect()
}

fn source(mount: &Mount, privilege: Privilege, identity: &Identity) -> Result<MountSource> {
    let shown = mount.source.display();
    let path = fs::canonicalize(&mount.source).map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Denied,
        };
        Error::new(kind, "start", format!("cannot mount {shown}"))
            .with("field", "mounts")
            .because(error)
    })?;
    let kind = fs::metadata(&path)
        .map_err(|error| refused(&path, error))?
        .file_type();
    if !kind.is_dir() && !kind.is_file() {
        return Err(Error::new(
            ErrorKind::Denied,
            "start",
            format!("{shown} is neither a folder nor a file"),
        )
        .with("field", "mounts"));
    }
    let detached = match privilege {
        Privilege::Rootless { .. } => None,
        Privilege::Root => Some(mapped(&path, mount.read_only, identity)?),
    };
    let masked = mount
        .masked
        .iter()
        .filter_map(|target| masked(mount, &path, target))
        .collect();
    Ok(MountSource {
        path,
        directory: kind.is_dir(),
        detached,
        masked,
    })
}

/// Everything in it appears as the sandbox's user.
pub(crate) fn mapped(path: &Path, read_only: bool, identity: &Identity) -> Result<OwnedFd> {
    let (uid, gid) = image::owner_of(path).map_err(|error| refused(path, error))?;
    let mapping = idmap::mapping(uid, gid, identity).map_err(|error| refused(path, error))?;
    let tree = detach(path).map_err(|error| refused(path, error))?;
    let attributes = PLAIN | if read_only { attribute::READ_ONLY } else { 0 };
    sys::mount_setattr(tree.as_raw_fd(), true, attributes, Some(mapping.as_raw_fd())).map_err(|error| {
        Error::unsupported(
            "start",
            "mounts",
            format!(
                "the file system of {} cannot map owners, so a sandbox of root cannot use it",
                path.display()
            ),
        )
        .hint("run agentkernel as the folder's owner, or copy the folder in with `agentkernel cp`")
        .because(std::io::Error::from(error))
    })?;
    crate::launch::high_owned(tree).map_err(|error| refused(path, error))
}

/// A read-only detached mount without another mapping: for toolchain folders, which everyone may read.
pub(crate) fn read_only(path: &Path) -> std::io::Result<OwnedFd> {
    let tree = detach(path)?;
    sys::mount_setattr(tree.as_raw_fd(), true, PLAIN | attribute::READ_ONLY, None)?;
    crate::launch::high_owned(tree)
}

/// A layer of an image, without attributes yet.
pub(crate) fn detached_layer(path: &Path) -> std::io::Result<OwnedFd> {
    crate::launch::high_owned(detach(path)?)
}

/// `path` has no symbolic link: opened without following one, and cloned from that descriptor, so that nobody
/// can put another folder in its place in between.
fn detach(path: &Path) -> std::io::Result<OwnedFd> {
    let flags = rustix::fs::ResolveFlags::NO_SYMLINKS | rustix::fs::ResolveFlags::NO_MAGICLINKS;
    let folder = rustix::fs::openat2(
        rustix::fs::CWD,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        flags,
    )?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    Ok(open_tree(&folder, "", flags)?)
}

/// Where inside to put nothing: the target of a link within the mount, if the masked path is one.
fn masked(mount: &Mount, source: &Path, target: &GuestPath) -> Option<(GuestPath, bool)> {
    let inner = target
        .as_str()
        .strip_prefix(mount.target.as_str())?
        .trim_start_matches('/');
    let real = fs::canonicalize(source.join(inner)).ok()?;
    let inside = real.strip_prefix(source).ok()?.to_str()?;
    let directory = fs::symlink_metadata(&real).ok()?.is_dir();
    Some((mount.target.join(inside).ok()?, directory))
}

fn refused(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(
        ErrorKind::Denied,
        "start",
        format!("cannot mount {}", path.display()),
    )
    .with("field", "mounts")
    .because(error)
}

/// The log folder of detached commands.
pub(crate) fn open_folder(path: &Path) -> std::io::Result<OwnedFd> {
    Ok(open(
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}
