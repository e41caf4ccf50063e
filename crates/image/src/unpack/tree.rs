//! The tree on disk. The only module that makes, links and removes anything in it.
//!
//! No call here follows a link: a parent is opened beneath the tree with `openat2`, without links, and everything else
//! is done on its last component. Links of the archive itself are resolved by reading them ([`Tree::walk`]), as if the
//! tree were the root: `var/run -> /run` leads to the tree's own `run`.

use std::{
    collections::HashMap,
    fs::File,
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
};

use rustix::{
    fs::{
        AtFlags, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat, linkat, mkdirat, mknodat, openat,
        openat2, readlinkat, renameat_with, statat, symlinkat, unlinkat,
    },
    io::Errno,
};
use sha2::{Digest as _, Sha256};

use super::{
    Limits, REPLACED, TREE,
    attributes::{opaque, own},
    fault::{Fault, printable},
    folders::{Folders, Look},
    name,
};

/// As the kernel has it.
const LINKS: u32 = 40;
/// Parents that stay open: entries come folder by folder.
const OPEN: usize = 64;
/// Of folders that no entry describes, as all tools make them. Their time is 1970, so that a tree depends on nothing
/// but its archive.
const IMPLIED: Look = Look {
    mode: 0o755,
    mtime: (0, 0),
};

pub(super) struct Tree {
    layer: OwnedFd,
    root: OwnedFd,
    limits: Limits,
    /// Ownership is kept: what the archive does not describe is root's.
    kept: bool,
    /// By their names in the archive.
    parents: HashMap<Vec<u8>, Rc<Folder>>,
    replaced: Option<OwnedFd>,
    folders: Folders,
    /// How many files have content in the recipe: names what is replaced.
    pub(super) files: u64,
}

/// An open folder of the tree.
pub(super) struct Folder {
    /// From the root, without links.
    pub(super) path: Vec<u8>,
    pub(super) descriptor: OwnedFd,
}

impl Folder {
    pub(super) fn child(&self, name: &[u8]) -> Vec<u8> {
        joined(&self.path, name)
    }

    fn stat(&self, name: &[u8]) -> Result<Option<Stat>, Fault> {
        match statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(Fault::broken("look at what is there", error)),
        }
    }
}

fn joined(path: &[u8], name: &[u8]) -> Vec<u8> {
    match path {
        [] => name.to_vec(),
        path => [path, b"/", name].concat(),
    }
}

impl Tree {
    /// Makes the tree in a layer's empty folder.
    pub(super) fn create(layer: OwnedFd, limits: Limits, kept: bool) -> Result<Self, Fault> {
        mkdirat(&layer, TREE, Mode::RWXU).map_err(|error| Fault::broken("make the tree", error))?;
        let root = open_beneath(
            &layer,
            TREE.as_bytes(),
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        )
        .map_err(|error| Fault::broken("open the tree", error))?;
        let spool = nameless(&layer).map_err(|error| Fault::broken("make a temporary file", error))?;
        let mut tree = Self {
            layer,
            root,
            limits,
            kept,
            parents: HashMap::new(),
            replaced: None,
            folders: Folders::new(spool),
            files: 0,
        };
        tree.note(b"", IMPLIED)?;
        Ok(tree)
    }

    /// The folder that these components lead to. What is missing is made.
    pub(super) fn parent(&mut self, parts: &[&[u8]]) -> Result<Rc<Folder>, Fault> {
        let key = parts.join(&b'/');
        if let Some(folder) = self.parents.get(&key) {
            return Ok(Rc::clone(folder));
        }
        let folder = Rc::new(match self.open(&key) {
            Ok(descriptor) => Folder {
                path: key.clone(),
                descriptor,
            },
            // Missing, behind a link, or not a folder at all: step by step.
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => self.walk(parts)?,
            Err(error) => return Err(unopened(error)),
        });
        if self.parents.len() >= OPEN {
            self.parents.clear();
        }
        self.parents.insert(key, Rc::clone(&folder));
        Ok(folder)
    }

    fn open(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        open_beneath(&self.root, path, flags)
    }

    /// Follows links as a process in this root would, and makes folders that are missing.
    fn walk(&mut self, parts: &[&[u8]]) -> Result<Folder, Fault> {
        let mut pending: Vec<Vec<u8>> = parts.iter().rev().map(|part| part.to_vec()).collect();
        let mut here = Folder {
            path: Vec::new(),
            descriptor: self.open(b"").map_err(unopened)?,
        };
        let mut links = 0;
        while let Some(part) = pending.pop() {
            let next = match &part[..] {
                b"" | b"." => continue,
                // Only links have it. The root's parent is the root.
                b".." => {
                    let end = here.path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                    here.path[..end].to_vec()
                }
                name => match self.step(&here, name)? {
                    None => here.child(name),
                    Some(target) => {
                        links += 1;
                        if links > LINKS {
                            return Err(Fault::denied("its folder lies behind too many symbolic links"));
                        }
                        pending.extend(target.split(|&byte| byte == b'/').rev().map(<[u8]>::to_vec));
                        match target.first() {
                            Some(b'/') => Vec::new(),
                            _ => continue,
                        }
                    }
                },
            };
            name::depth(next.split(|&byte| byte == b'/').count(), &self.limits)?;
            here.descriptor = self.open(&next).map_err(unopened)?;
            here.path = next;
        }
        Ok(here)
    }

    /// Makes sure that there is a folder of this name, or says where the link leads.
    fn step(&mut self, here: &Folder, name: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        match here.stat(name)? {
            None => self.imply(here, name)?,
            Some(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {}
                FileType::Symlink => {
                    let target = readlinkat(&here.descriptor, name, Vec::new())
                        .map_err(|error| Fault::broken("read a symbolic link", error))?;
                    return Ok(Some(target.into_bytes()));
                }
                _ if is_whiteout(&stat) => {
                    self.clear(here, name, &stat)?;
                    self.imply(here, name)?;
                    opaque(&here.descriptor, name)?;
                }
                _ => {
                    return Err(Fault::malformed(format!(
                        "it lies in {}, which is no folder",
                        printable(&here.child(name))
                    )));
                }
            },
        }
        Ok(None)
    }

    /// A folder that no entry describes, or not yet.
    fn imply(&mut self, here: &Folder, name: &[u8]) -> Result<(), Fault> {
        mkdirat(&here.descriptor, name, Mode::RWXU).map_err(unmade)?;
        if self.kept {
            own(here, name, Some((0, 0)))?;
        }
        self.note(&here.child(name), IMPLIED)
    }

    fn note(&mut self, path: &[u8], look: Look) -> Result<(), Fault> {
        self.folders
            .note(path, look)
            .map_err(|error| Fault::broken("note what a folder looks like", error))
    }

    /// A folder for an entry. One that is there stays, with all that is in it.
    pub(super) fn folder(&mut self, parent: &Folder, name: &[u8], look: Look) -> Result<(), Fault> {
        match mkdirat(&parent.descriptor, name, Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                if let Some(stat) = parent.stat(name)?
                    && FileType::from_raw_mode(stat.st_mode) != FileType::Directory
                {
                    self.clear(parent, name, &stat)?;
                    mkdirat(&parent.descriptor, name, Mode::RWXU).map_err(unmade)?;
                    // The whiteout hid what the layers below have of this name; the folder alone would show it.
                    if is_whiteout(&stat) {
                        opaque(&parent.descriptor, name)?;
                    }
                }
            }
            Err(error) => return Err(unmade(error)),
        }
        self.note(&parent.child(name), look)
    }

    /// How the root is to look.
    pub(super) fn root(&mut self, look: Look) -> Result<Rc<Folder>, Fault> {
        self.note(b"", look)?;
        self.parent(&[])
    }

    /// A new and empty file.
    pub(super) fn file(&mut self, parent: &Folder, name: &[u8]) -> Result<File, Fault> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = || openat(&parent.descriptor, name, flags, Mode::RUSR | Mode::WUSR);
        Ok(File::from(self.make(parent, name, create)?))
    }

    /// The target is data: it may say anything.
    pub(super) fn symlink(&mut self, parent: &Folder, name: &[u8], target: &[u8]) -> Result<(), Fault> {
        if target.is_empty() || target.len() > name::NAME || target.contains(&0) {
            return Err(Fault::malformed("the target of the symbolic link cannot be"));
        }
        self.make(parent, name, || symlinkat(target, &parent.descriptor, name))
    }

    pub(super) fn fifo(&mut self, parent: &Folder, name: &[u8]) -> Result<(), Fault> {
        let mode = Mode::RUSR | Mode::WUSR;
        self.make(parent, name, || {
            mknodat(&parent.descriptor, name, FileType::Fifo, mode, 0)
        })
    }

    /// Another name for what is there. A symbolic link is linked itself.
    pub(super) fn link(
        &mut self,
        parent: &Folder,
        name: &[u8],
        target: (&Folder, &[u8]),
    ) -> Result<(), Fault> {
        let (folder, target) = target;
        let stat = folder.stat(target)?.filter(|stat| !is_whiteout(stat));
        let stat =
            stat.ok_or_else(|| Fault::malformed("the target of the hard link is not in this layer"))?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Err(Fault::denied("the target of the hard link is a folder"));
        }
        if let Some(there) = parent.stat(name)?
            && (there.st_dev, there.st_ino) == (stat.st_dev, stat.st_ino)
        {
            return Ok(());
        }
        self.make(parent, name, || {
            linkat(
                &folder.descriptor,
                target,
                &parent.descriptor,
                name,
                AtFlags::empty(),
            )
        })
    }

    /// Hides the name in the layers below. An entry of this layer stays, whichever came first.
    pub(super) fn whiteout(&mut self, parent: &Folder, name: &[u8]) -> Result<(), Fault> {
        match mknodat(
            &parent.descriptor,
            name,
            FileType::CharacterDevice,
            Mode::empty(),
            0,
        ) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => match parent.stat(name)? {
                Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                    opaque(&parent.descriptor, name)
                }
                _ => Ok(()),
            },
            Err(error) => Err(unmade(error)),
        }
    }

    /// Hides all that the layers below have in this folder.
    pub(super) fn opaque(&self, folder: &Folder) -> Result<(), Fault> {
        if folder.path.is_empty() {
            // Overlayfs does not look for the mark there, so it would be without effect.
            return Err(Fault::denied(
                "it hides the root of all layers below, which cannot be done",
            ));
        }
        opaque(&folder.descriptor, b".")
    }

    /// Folders get their modes and times; afterwards nothing is changed any more.
    pub(super) fn finish(self) -> Result<(), Fault> {
        self.folders.apply(&self.root)
    }

    fn make<T>(
        &mut self,
        parent: &Folder,
        name: &[u8],
        create: impl Fn() -> Result<T, Errno>,
    ) -> Result<T, Fault> {
        match create() {
            Err(Errno::EXIST) => {
                if let Some(stat) = parent.stat(name)? {
                    self.clear(parent, name, &stat)?;
                }
                create().map_err(unmade)
            }
            made => made.map_err(unmade),
        }
    }

    /// Takes what is there out of the way: the last of a name wins, as with tar.
    fn clear(&mut self, parent: &Folder, name: &[u8], stat: &Stat) -> Result<(), Fault> {
        // Open folders may lie behind what goes.
        self.parents.clear();
        let result = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => match unlinkat(&parent.descriptor, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY | Errno::EXIST) => {
                    return Err(Fault::malformed(
                        "there is a folder of this name, which is not empty",
                    ));
                }
                result => result,
            },
            // The recipe refers to its content.
            FileType::RegularFile if stat.st_size > 0 => self.set_aside(parent, name),
            _ => unlinkat(&parent.descriptor, name, AtFlags::empty()),
        };
        result.map_err(|error| Fault::broken("replace what is there", error))
    }

    fn set_aside(&mut self, parent: &Folder, name: &[u8]) -> Result<(), Errno> {
        if self.replaced.is_none() {
            mkdirat(&self.layer, REPLACED, Mode::RWXU)?;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            self.replaced = Some(open_beneath(&self.layer, REPLACED.as_bytes(), flags)?);
        }
        let folder = self.replaced.as_ref().expect("it was made above");
        let aside = aside(&parent.child(name), self.files);
        match renameat_with(&parent.descriptor, name, folder, aside, RenameFlags::NOREPLACE) {
            // It came as a hard link since then: the content under this name was set aside before.
            Err(Errno::EXIST) => unlinkat(&parent.descriptor, name, AtFlags::empty()),
            result => result,
        }
    }
}

/// The name of a replaced file: which path it had, and how many files had come before it went.
pub(super) fn aside(path: &[u8], files: u64) -> String {
    let hash = Sha256::digest(path);
    let mut text: String = hash[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    text.push_str(&format!(".{files}"));
    text
}

/// Opens without following any link, wherever it stands, and without leaving the folder or its file system.
pub(super) fn open_beneath(folder: impl AsFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let path = if path.is_empty() { b"." } else { path };
    loop {
        match openat2(&folder, path, flags, Mode::empty(), resolve) {
            // A rename elsewhere at the same time.
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
}

fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
}

/// A file that vanishes with its last descriptor.
fn nameless(folder: &OwnedFd) -> Result<File, Errno> {
    const NAME: &str = "folders";
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(folder, NAME, flags, Mode::RUSR | Mode::WUSR)?;
    unlinkat(folder, NAME, AtFlags::empty())?;
    Ok(File::from(file))
}

fn too_long() -> Fault {
    Fault::malformed("its name is too long")
}

fn unopened(error: Errno) -> Fault {
    match error {
        Errno::NAMETOOLONG => too_long(),
        error => Fault::broken("open its folder", error),
    }
}

fn unmade(error: Errno) -> Fault {
    match error {
        Errno::NAMETOOLONG => too_long(),
        error => Fault::broken("make it", error),
    }
}
