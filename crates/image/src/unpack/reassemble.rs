//! The archive again, from the recipe and the files of the tree.
//!
//! The tree is our own, but whoever may write to it must not make this read anything else: files are opened beneath
//! it without following links, and only regular ones of the right size are read.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Write},
    os::{fd::OwnedFd, unix::fs::FileExt},
};

use rustix::{
    fs::{Dir, FileType, OFlags, fstat},
    io::Errno,
};

use super::{
    RECIPE, REPLACED, TREE,
    fault::{Fault, printable},
    recipe::{Operation, Reader, damaged},
    tree::{aside, open_beneath},
};

const BUFFER: usize = 256 << 10;

pub(super) fn reassemble(layer: &OwnedFd, archive: &mut dyn Write) -> Result<(), Fault> {
    let unread = |error| Fault::broken("read the recipe", error);
    let recipe = open_file(layer, RECIPE.as_bytes()).map_err(unread)?;
    let mut recipe = Reader::open(recipe).map_err(unread)?;
    let mut files = Files::open(layer)?;
    let mut left = recipe.head.archive_bytes;
    let mut buffer = vec![0; BUFFER];
    loop {
        let operation = recipe.operation().map_err(unread)?;
        let bytes = match &operation {
            Operation::End => break,
            Operation::Literal(bytes) => bytes.len() as u64,
            Operation::Range { length, .. } => *length,
            Operation::File(_) => 0,
        };
        left = left
            .checked_sub(bytes)
            .ok_or_else(|| unread(damaged("it makes more than the archive had")))?;
        match operation {
            Operation::End => {}
            Operation::Literal(bytes) => archive.write_all(&bytes).map_err(unwritten)?,
            Operation::File(path) => files.next(path)?,
            Operation::Range { offset, length } => files.copy(offset, length, &mut buffer, archive)?,
        }
    }
    let head = recipe.head;
    recipe.finish().map_err(unread)?;
    if left > 0 || files.count != head.files {
        return Err(unread(damaged("it makes less than the archive had")));
    }
    archive.flush().map_err(unwritten)
}

/// The files that the recipe names, one after the other.
struct Files {
    tree: OwnedFd,
    replaced: Option<OwnedFd>,
    /// Of replaced files: how many had come before each went, by the hash of its path.
    gone: HashMap<String, Vec<u64>>,
    count: u64,
    current: Option<(Vec<u8>, File)>,
}

impl Files {
    fn open(layer: &OwnedFd) -> Result<Self, Fault> {
        let unopened = |error| Fault::broken("open the tree", error);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let tree = open_beneath(layer, TREE.as_bytes(), flags).map_err(unopened)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let replaced = match open_beneath(layer, REPLACED.as_bytes(), flags) {
            Ok(folder) => Some(folder),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(unopened(error)),
        };
        let gone = match &replaced {
            Some(folder) => list(folder).map_err(unopened)?,
            None => HashMap::new(),
        };
        Ok(Self {
            tree,
            replaced,
            gone,
            count: 0,
            current: None,
        })
    }

    fn next(&mut self, path: Vec<u8>) -> Result<(), Fault> {
        let this = self.count;
        self.count += 1;
        let file = match (&self.replaced, self.replaced_after(&path, this)) {
            (Some(folder), Some(files)) => open_file(folder, aside(&path, files).as_bytes()),
            _ => open_file(&self.tree, &path),
        };
        let file =
            file.map_err(|error| Fault::broken(&format!("read {} of the tree", printable(&path)), error))?;
        self.current = Some((path, file));
        Ok(())
    }

    /// The first replacement of this path after that file: what was set aside then is its content.
    fn replaced_after(&self, path: &[u8], file: u64) -> Option<u64> {
        if self.gone.is_empty() {
            return None;
        }
        let name = aside(path, 0);
        let times = self.gone.get(name.split('.').next()?)?;
        times.get(times.partition_point(|&files| files <= file)).copied()
    }

    fn copy(
        &mut self,
        offset: u64,
        length: u64,
        buffer: &mut [u8],
        archive: &mut dyn Write,
    ) -> Result<(), Fault> {
        let Some((path, file)) = &self.current else {
            return Err(Fault::broken(
                "read the recipe",
                damaged("it has a range of no file"),
            ));
        };
        let changed = |why: &str| {
            Fault::broken(
                &format!("read {} of the tree", printable(path)),
                io::Error::other(why),
            )
        };
        let end = offset
            .checked_add(length)
            .ok_or_else(|| changed("a range beyond all sizes"))?;
        let size = file
            .metadata()
            .map_err(|error| changed(&error.to_string()))?
            .len();
        if end > size {
            return Err(changed("it is shorter than it was"));
        }
        let mut at = offset;
        while at < end {
            let count = usize::try_from(end - at).map_or(buffer.len(), |left| left.min(buffer.len()));
            file.read_exact_at(&mut buffer[..count], at)
                .map_err(|error| changed(&error.to_string()))?;
            archive.write_all(&buffer[..count]).map_err(unwritten)?;
            at += count as u64;
        }
        Ok(())
    }
}

fn list(folder: &OwnedFd) -> Result<HashMap<String, Vec<u64>>, Errno> {
    let mut gone: HashMap<String, Vec<u64>> = HashMap::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        if let Some((hash, files)) = name.split_once('.')
            && let Ok(files) = files.parse()
        {
            gone.entry(hash.to_owned()).or_default().push(files);
        }
    }
    gone.values_mut().for_each(|times| times.sort_unstable());
    Ok(gone)
}

/// Regular files only; a fifo does not block.
fn open_file(folder: &OwnedFd, path: &[u8]) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = open_beneath(folder, path, flags)?;
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("it is no file any more"));
    }
    Ok(File::from(file))
}

fn unwritten(error: io::Error) -> Fault {
    Fault::broken("write the archive", error)
}
