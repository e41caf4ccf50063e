//! Unpacks one layer, and puts its archive together again.
//!
//! The archive is hostile. The caller's thread reads, decompresses and hashes it (`stream`); a thread of its own, which
//! landlock leaves nothing but the layer's folder (`confine`), takes it apart (`tape`) and puts it into the tree
//! (`extract`, `tree`). Only `tree` makes, links and removes anything there.
//!
//! One layer is unpacked without those below it. So a name in a layer is resolved in the tree of this layer alone,
//! and folders that the archive does not describe are made as root's with mode 0755.

mod attributes;
mod confine;
mod extract;
mod fault;
mod folders;
mod header;
mod name;
mod pax;
mod reassemble;
mod recipe;
mod sparse;
mod stream;
mod tape;
mod tree;

use std::{
    io::{Read, Write},
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use agentkernel_types::{Digest, ErrorKind};
use rustix::fs::{Mode, OFlags};

use fault::Fault;

use crate::{Error, Owners, Result};

/// What an archive may contain.
#[derive(Clone, Debug)]
pub struct Rules {
    pub ownership: Ownership,
    pub limits: Limits,
    /// Otherwise the set-user-id and set-group-id bits are stripped.
    pub keep_setuid: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ownership {
    /// As the archive says: only root can.
    Kept,
    /// Everything belongs to the caller, who can read every file and list every folder, whatever their modes say.
    Caller,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    pub entries: u64,
    /// Bytes of the uncompressed archive, and of all files with their holes: each of the two.
    pub bytes: u64,
    /// Components of one name.
    pub depth: u32,
    /// Uncompressed to compressed size, looked at after the first mebibytes.
    pub ratio: u64,
    pub owners: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 2_000_000,
            bytes: 64 << 30,
            depth: 256,
            ratio: 1100,
            owners: 128,
        }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unpacked {
    /// The digest of the uncompressed archive, to its very last byte.
    pub diff_id: Digest,
    pub archive_bytes: u64,
    pub content_bytes: u64,
    pub entries: u64,
    pub owners: Owners,
    /// Device nodes, which became empty files.
    pub devices: u64,
    /// Files that lost set-user-id or set-group-id.
    pub setuid: u64,
}

/// The folders and files of one layer in the store.
pub const TREE: &str = "tree";
/// Everything of the archive that is not the content of a file in the tree, compressed.
pub const RECIPE: &str = "recipe";
/// Files of the archive that a later entry of the same name has replaced: only there if that happened.
pub const REPLACED: &str = "replaced";

/// Unpacks an archive (plain, gzip or zstd: told by its first bytes) into `layer`, an empty folder of the caller's,
/// as [`TREE`] and [`RECIPE`]. On an error the folder holds anything and is to be removed.
///
/// An attack is `Denied`, a limit `Exhausted`, a malformed archive `InvalidSpec`, a failing machine `Broken`; an
/// [`Error`] inside the reader's I/O error comes back as it is. Nothing is synced to disk.
pub fn unpack(archive: &mut (dyn Read + Send), layer: &Path, rules: &Rules) -> Result<Unpacked> {
    let layer = open_layer(layer, "unpack")?;
    let (feeder, stream) = stream::pipe();
    let (fed, counted) = std::thread::scope(|scope| {
        let confined = std::thread::Builder::new()
            .name("unpack".to_owned())
            .spawn_scoped(scope, move || {
                confine::confine(layer.as_fd()).map_err(|fault| fault.into_error("unpack", None))?;
                extract::extract(stream, layer, rules)
            })
            .map_err(|error| Fault::broken("start a thread", error).into_error("unpack", None))?;
        let fed = feeder.feed(archive, &rules.limits);
        let counted = confined
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok::<_, Error>((fed, counted))
    })?;
    let fed = fed.ok_or_else(|| {
        Error::new(
            ErrorKind::Broken,
            "unpack",
            "layer: the archive was not read to its end",
        )
    })?;
    Ok(Unpacked {
        diff_id: fed.diff_id,
        archive_bytes: fed.bytes,
        content_bytes: counted.content_bytes,
        entries: counted.entries,
        owners: counted.owners,
        devices: counted.devices,
        setuid: counted.setuid,
    })
}

/// Writes the uncompressed archive again, byte for byte. The caller compares its digest.
///
/// `Broken`: the layer is not what it was, or `archive` does not take it.
pub fn reassemble(layer: &Path, archive: &mut dyn Write) -> Result<()> {
    let layer = open_layer(layer, "export")?;
    reassemble::reassemble(&layer, archive).map_err(|fault| fault.into_error("export", None))
}

fn open_layer(layer: &Path, operation: &'static str) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(layer, flags, Mode::empty()).map_err(|error| {
        Fault::broken(&format!("open its folder {}", layer.display()), error).into_error(operation, None)
    })
}
