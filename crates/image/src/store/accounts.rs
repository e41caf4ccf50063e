//! /etc/passwd and /etc/group of an image, read out of its layers as a sandbox would see them merged.
//!
//! The trees are what an image wants them to be: nothing is followed, sizes are bounded, lines that make no sense
//! are skipped.

use std::{fs::File, io::Read, os::fd::OwnedFd, path::Path};

use agentkernel_types::GuestPath;
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
};

use crate::{Account, Accounts, Layer};

const MAX_BYTES: u64 = 1 << 20;
/// Nobody lists more for an image; a hostile one could make every run read them.
const MAX_ACCOUNTS: usize = 4096;

pub fn read(layers: &[Layer]) -> Accounts {
    let lines = |name| find(layers, name).unwrap_or_default();
    Accounts {
        users: users(&lines("passwd")),
        groups: groups(&lines("group")),
    }
}

/// `name:password:uid:gid:comment:home:shell`. The first line of a name counts.
fn users(text: &str) -> Vec<Account> {
    let mut seen = std::collections::BTreeSet::new();
    let parsed = text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let (name, uid, gid) = (*fields.first()?, id(fields.get(2)?)?, id(fields.get(3)?)?);
        let home = fields.get(5).and_then(|home| home.parse::<GuestPath>().ok());
        is_name(name).then(|| Account {
            name: name.to_owned(),
            uid,
            gid,
            home,
        })
    });
    parsed
        .filter(|account| seen.insert(account.name.clone()))
        .take(MAX_ACCOUNTS)
        .collect()
}

/// `name:password:gid:members`.
fn groups(text: &str) -> Vec<(String, u32)> {
    let mut seen = std::collections::BTreeSet::new();
    let parsed = text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, gid) = (fields.next()?, id(fields.nth(1)?)?);
        is_name(name).then(|| (name.to_owned(), gid))
    });
    parsed
        .filter(|(name, _)| seen.insert(name.clone()))
        .take(MAX_ACCOUNTS)
        .collect()
}

fn is_name(name: &str) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace();
    !name.is_empty() && name.len() <= 64 && !name.starts_with('#') && !name.contains(odd)
}

/// The largest one means "no change" to the kernel and is nobody's.
fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != u32::MAX)
}

/// The file `/etc/<name>` of the merged layers. None: there is none, or no regular file.
fn find(layers: &[Layer], name: &str) -> Option<String> {
    for layer in layers.iter().rev() {
        match look(&layer.tree, name) {
            Look::Found(text) => return Some(text),
            Look::Hidden => return None,
            Look::Below => {}
        }
    }
    None
}

enum Look {
    Found(String),
    /// A lower layer cannot have it.
    Hidden,
    /// A lower layer may have it.
    Below,
}

fn look(tree: &Path, name: &str) -> Look {
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(root) = rustix::fs::open(tree, folder, Mode::empty()) else {
        return Look::Hidden;
    };
    let below = |folders: &[&OwnedFd]| {
        if folders.iter().any(|folder| is_opaque(folder)) {
            Look::Hidden
        } else {
            Look::Below
        }
    };
    let etc = match open_beneath(&root, "etc", folder) {
        Ok(etc) => etc,
        Err(Errno::NOENT) => return below(&[&root]),
        // A link, a whiteout, a file, or nothing that we may look into.
        Err(_) => return Look::Hidden,
    };
    match rustix::fs::statat(&etc, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::RegularFile => {}
        Err(Errno::NOENT) => return below(&[&etc, &root]),
        _ => return Look::Hidden,
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut bytes = Vec::new();
    let read = open_beneath(&etc, name, flags)
        .map_err(std::io::Error::from)
        .and_then(|file| File::from(file).take(MAX_BYTES).read_to_end(&mut bytes));
    match read {
        Ok(_) => Look::Found(String::from_utf8_lossy(&bytes).into_owned()),
        Err(_) => Look::Hidden,
    }
}

fn open_beneath(folder: &OwnedFd, name: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(folder, name, flags, Mode::empty(), resolve)
}

fn is_opaque(folder: &OwnedFd) -> bool {
    let mut value = [0_u8; 8];
    let length = rustix::fs::fgetxattr(folder, "user.overlay.opaque", &mut value[..]);
    matches!(length, Ok(1..)) && value[0] == b'y'
}
