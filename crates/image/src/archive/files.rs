//! The files of an image that is not in the store yet, by their names within it.

use std::io::Read;

use agentkernel_types::Digest;
use sha2::{Digest as _, Sha256};

use super::wrong;
use crate::{Result, failure::read_error, manifest::Descriptor};

pub trait Files {
    /// None: there is no regular file of that name. The second value is its size.
    fn open(&self, name: &str) -> Result<Option<(Box<dyn Read + Send>, u64)>>;
}

impl dyn Files + '_ {
    /// None: there is none. Longer ones are refused.
    pub fn read(&self, name: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        let Some((file, size)) = self.open(name)? else {
            return Ok(None);
        };
        if size > limit as u64 {
            return Err(wrong(format!("{name} has {size} bytes, and {limit} are allowed")));
        }
        let mut bytes = Vec::new();
        file.take(limit as u64)
            .read_to_end(&mut bytes)
            .map_err(read_error("import", name))?;
        Ok(Some(bytes))
    }

    /// A small blob of an OCI layout, compared with its digest.
    pub fn blob(&self, blob: &Descriptor, limit: usize) -> Result<Vec<u8>> {
        let name = blob_name(&blob.digest);
        let bytes = self.read(&name, limit)?.ok_or_else(|| missing(&name))?;
        let found = Digest::from_sha256(Sha256::digest(&bytes).into());
        if found != blob.digest || bytes.len() as u64 != blob.size {
            return Err(wrong(format!("{name} is not what its digest and size say")));
        }
        Ok(bytes)
    }
}

pub fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

pub fn missing(name: &str) -> crate::Error {
    let shown: String = name.chars().take(200).collect();
    wrong(format!("{shown:?} is not in it"))
}

/// A name without `.` and doubled slashes; empty for the top. None: it is absolute, leads upwards, or is no text.
pub fn normal(name: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(name).ok()?;
    if text.starts_with('/') || text.contains('\0') {
        return None;
    }
    let mut parts = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => return None,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
