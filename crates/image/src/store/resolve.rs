//! From what people write to an image's id.

use std::fs;

use agentkernel_types::{Digest, ErrorKind};

use super::{
    Store,
    record::{self, NameRecord},
};
use crate::{Error, Reference, Result, failure::io_error, manifest};

/// A shorter beginning of an id is no id: names come first in any case.
const SHORTEST_PREFIX: usize = 4;

impl Store {
    /// The image that a name, a digest (of the image or of its manifest) or a unique prefix of its id stands for.
    pub fn resolve(&self, text: &str) -> Result<Option<Digest>> {
        if let Ok(digest) = text.parse() {
            return self.by_digest(&digest);
        }
        if let Ok(reference) = text.parse::<Reference>()
            && let Some(id) = self.by_name(&reference)?
        {
            return Ok(Some(id));
        }
        self.by_prefix(text.strip_prefix("sha256:").unwrap_or(text))
    }

    /// The image that a name stands for. With a digest only the digest counts.
    pub fn by_name(&self, reference: &Reference) -> Result<Option<Digest>> {
        let path = self.layout.name(&reference.file_name());
        if let Some(named) = record::read_at::<NameRecord>(&path)?
            && named.name == reference.to_string()
            && self.has(&named.id)
        {
            return Ok(Some(named.id));
        }
        match reference.digest() {
            Some(digest) if reference.tag().is_some() => self.by_name(&untagged(reference, &digest)?),
            Some(digest) => self.by_digest(&digest),
            None => Ok(None),
        }
    }

    fn by_digest(&self, digest: &Digest) -> Result<Option<Digest>> {
        if self.has(digest) {
            return Ok(Some(digest.clone()));
        }
        let path = self.layout.manifest(digest);
        match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("read", &path)(error)),
            Ok(bytes) => Ok(manifest::config_of(&bytes).filter(|id| self.has(id))),
        }
    }

    fn by_prefix(&self, prefix: &str) -> Result<Option<Digest>> {
        let hexadecimal = prefix
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !hexadecimal || prefix.len() < SHORTEST_PREFIX || prefix.len() > 64 {
            return Ok(None);
        }
        let mut found = self.ids()?;
        found.retain(|id| id.hex().starts_with(prefix));
        match &found[..] {
            [] => Ok(None),
            [only] => Ok(Some(only.clone())),
            [one, other, ..] => Err(Error::new(
                ErrorKind::InvalidSpec,
                "image",
                format!("several images have an id that begins with {prefix}"),
            )
            .hint(format!("write more of it: {}, {}, ...", one.hex(), other.hex()))),
        }
    }

    fn has(&self, id: &Digest) -> bool {
        self.layout.image(id).exists()
    }
}

fn untagged(reference: &Reference, digest: &Digest) -> Result<Reference> {
    let (registry, repository) = (reference.registry(), reference.repository());
    Ok(format!("{registry}/{repository}@{digest}").parse()?)
}
