//! Images as files: docker-save archives, OCI layouts and archives, plain root file systems.

use std::{
    io::{Read, Write},
    path::Path,
};

use agentkernel_types::{Digest, ErrorKind};

use crate::{Error, Image, ImageConfig, Reference, Result, Source, Writer, unpack::Limits};

/// What is imported, and as what.
#[derive(Clone, Debug)]
pub struct Import {
    /// None: the names that the archive carries; a plain root file system carries none.
    pub name: Option<Reference>,
    pub source: Source,
    /// For a plain root file system.
    pub config: ImageConfig,
    pub limits: Limits,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// What `docker load` and `podman load` take.
    Docker,
    /// An OCI layout as a tar archive.
    Oci,
}

/// Imports from a stream of any of the formats, compressed or not; told by what is in it.
pub fn import(_writer: &Writer, _archive: &mut (dyn Read + Send), _import: &Import) -> Result<Vec<Image>> {
    Err(Error::new(ErrorKind::Unsupported, "import", "not yet"))
}

/// Imports from a folder that is an OCI layout.
pub fn import_layout(_writer: &Writer, _folder: &Path, _import: &Import) -> Result<Vec<Image>> {
    Err(Error::new(ErrorKind::Unsupported, "import", "not yet"))
}

/// Writes an image as an archive. `names` are the tags that it carries.
pub fn export(
    _store: &crate::Store,
    _id: &Digest,
    _names: &[Reference],
    _format: Format,
    _to: &mut dyn Write,
) -> Result<()> {
    Err(Error::new(ErrorKind::Unsupported, "export", "not yet"))
}
