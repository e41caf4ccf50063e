//! Unpacks one layer, and puts its archive together again.

use std::{
    io::{Read, Write},
    path::Path,
};

use agentkernel_types::{Digest, ErrorKind};

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
    /// Everything belongs to the caller.
    Caller,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    pub entries: u64,
    /// Bytes of the uncompressed archive, and of all files with their holes.
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

/// Unpacks an archive (plain, gzip or zstd: told by its first bytes) into `layer`, an empty folder of the caller's,
/// as [`TREE`] and [`RECIPE`]. On an error the folder holds anything and is to be removed.
pub fn unpack(_archive: &mut (dyn Read + Send), _layer: &Path, _rules: &Rules) -> Result<Unpacked> {
    Err(Error::new(ErrorKind::Unsupported, "unpack", "not yet"))
}

/// Writes the uncompressed archive again, byte for byte. The caller compares its digest.
pub fn reassemble(_layer: &Path, _archive: &mut dyn Write) -> Result<()> {
    Err(Error::new(ErrorKind::Unsupported, "export", "not yet"))
}
