//! Images as files: docker-save archives, OCI layouts and archives, plain root file systems.

mod docker;
mod entries;
mod export;
mod files;
mod folder;
mod oci;
mod rootfs;
mod sniff;
mod spool;

use std::{io::Read, path::Path};

use agentkernel_types::ErrorKind;

use crate::{Error, Image, ImageConfig, Reference, Result, Source, Writer, unpack::Limits};

pub use export::export;

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
///
/// A plain root file system is unpacked as it comes. Of the others all files go into `incoming` first: which of them
/// is a layer is only known at their end.
pub fn import(writer: &Writer, archive: &mut (dyn Read + Send), import: &Import) -> Result<Vec<Image>> {
    let mut sniffed = sniff::sniff(archive)?;
    match sniffed.content {
        sniff::Content::RootFs => {
            rootfs::import(writer, &mut sniffed.stream, import).map(|image| vec![image])
        }
        sniff::Content::Image => {
            let spooled = spool::spool(writer, &mut sniffed, &import.limits)?;
            import_files(writer, &spooled, import)
        }
    }
}

/// Imports from a folder that is an OCI layout.
pub fn import_layout(writer: &Writer, folder: &Path, import: &Import) -> Result<Vec<Image>> {
    let folder = folder::Folder::open(folder)?;
    import_files(writer, &folder, import)
}

fn import_files(writer: &Writer, files: &dyn files::Files, import: &Import) -> Result<Vec<Image>> {
    let images = if let Some(manifest) = files.read(docker::MANIFEST, docker::MAX_BYTES)? {
        docker::import(writer, files, &manifest, import)?
    } else if let Some(index) = files.read(oci::INDEX, crate::manifest::MAX_BYTES)? {
        oci::import(writer, files, &index, import)?
    } else if files.read("repositories", docker::MAX_BYTES)?.is_some() {
        return Err(wrong("it was saved by a Docker older than 1.10").hint("save it again with a newer one"));
    } else {
        return Err(wrong("it has neither manifest.json nor index.json"));
    };
    Ok(images)
}

/// The names that an image gets: the one that was asked for, or those of the archive.
fn names(import: &Import, images: usize, own: Vec<Reference>) -> Result<Vec<Reference>> {
    match &import.name {
        None => Ok(own),
        Some(name) if images == 1 => Ok(vec![name.clone()]),
        Some(_) => Err(
            wrong(format!("it has {images} images, which cannot all have one name"))
                .hint("import it without a name: each image has its own"),
        ),
    }
}

fn wrong(why: impl Into<String>) -> Error {
    Error::new(
        ErrorKind::InvalidSpec,
        "import",
        format!("the archive cannot be imported: {}", why.into()),
    )
}
