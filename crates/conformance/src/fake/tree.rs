//! A file tree in memory with folders, files, links and mounts of the host.

use std::{collections::BTreeMap, os::unix::ffi::OsStrExt, path::PathBuf};

use agentkernel_backend::{Error, FileKind, FileStat, Result};
use agentkernel_types::{ErrorKind, Mount, RootAccess, SandboxSpec};

use super::Fault;

#[derive(Clone, Debug)]
pub(super) enum Node {
    Folder,
    File {
        content: Vec<u8>,
        mode: u32,
        modified: i64,
    },
    Link(Vec<u8>),
}

/// Every node by its whole path; the root is the empty path.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: BTreeMap<Vec<u8>, Node>,
    mounts: Vec<Mount>,
    read_only_root: bool,
    limit: Option<u64>,
    faults: Vec<Fault>,
}

pub(super) fn missing(path: &[u8]) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "files",
        format!("no such file: {}", String::from_utf8_lossy(path)),
    )
}

fn conflict(path: &[u8], why: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "files",
        format!("{} {why}", String::from_utf8_lossy(path)),
    )
}

impl Tree {
    const FOLDERS: [&str; 10] = [
        "/bin",
        "/etc",
        "/home",
        "/home/sandbox",
        "/mnt",
        "/tmp",
        "/run",
        "/usr",
        "/usr/bin",
        "/var",
    ];

    pub(super) fn new(spec: &SandboxSpec, faults: &[Fault]) -> Self {
        let mut tree = Self {
            mounts: spec.mounts.clone(),
            read_only_root: spec.root == RootAccess::ReadOnly
                && !faults.contains(&Fault::ReadOnlyRootWritable),
            limit: spec
                .resources
                .disk
                .map(|disk| disk.bytes())
                .filter(|_| !faults.contains(&Fault::LimitsIgnored)),
            faults: faults.to_vec(),
            ..Self::default()
        };
        tree.nodes.insert(Vec::new(), Node::Folder);
        for folder in Self::FOLDERS {
            tree.nodes.insert(folder.into(), Node::Folder);
        }
        let passwd = b"root:x:0:0::/root:/bin/sh\nsandbox:x:1000:1000::/home/sandbox:/bin/sh\n".to_vec();
        tree.nodes.insert(
            b"/etc/passwd".to_vec(),
            Node::File {
                content: passwd,
                mode: 0o644,
                modified: 0,
            },
        );
        tree
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// Takes what is mounted from the host into the tree.
    pub(super) fn load_mounts(&mut self) {
        for mount in self.mounts.clone() {
            let target = mount.target.as_str().as_bytes().to_vec();
            let mut parent = mount.target.parent();
            while let Some(path) = parent {
                let key = if path.is_root() {
                    Vec::new()
                } else {
                    path.as_str().into()
                };
                self.nodes.entry(key).or_insert(Node::Folder);
                parent = path.parent();
            }
            self.load(&mount, mount.source.clone(), target);
        }
    }

    fn load(&mut self, mount: &Mount, source: PathBuf, at: Vec<u8>) {
        let masked = mount.masked.iter().any(|masked| masked.as_str().as_bytes() == at);
        let Ok(metadata) = source.symlink_metadata() else {
            return;
        };
        if masked && !self.has(Fault::MasksIgnored) {
            return;
        }
        if metadata.is_dir() {
            for entry in source.read_dir().into_iter().flatten().flatten() {
                let path = [&at[..], b"/", entry.file_name().as_bytes()].concat();
                self.load(mount, entry.path(), path);
            }
            self.nodes.insert(at, Node::Folder);
        } else if metadata.is_symlink() {
            let target = source
                .read_link()
                .map(|target| target.as_os_str().as_bytes().to_vec());
            self.nodes.insert(at, Node::Link(target.unwrap_or_default()));
        } else {
            let content = std::fs::read(&source).unwrap_or_default();
            self.nodes.insert(
                at,
                Node::File {
                    content,
                    mode: 0o644,
                    modified: 0,
                },
            );
        }
    }

    fn mount_of(&self, path: &[u8]) -> Option<&Mount> {
        self.mounts.iter().rev().find(|mount| {
            let target = mount.target.as_str().as_bytes();
            path.starts_with(target) && matches!(path.get(target.len()), None | Some(b'/'))
        })
    }

    fn may_write(&self, path: &[u8]) -> Result<()> {
        let refusal = || {
            Error::new(
                ErrorKind::Denied,
                "files",
                format!("{} is read-only", String::from_utf8_lossy(path)),
            )
        };
        if let Some(mount) = self.mount_of(path) {
            let writable = !mount.read_only || self.has(Fault::ReadOnlyMountWritable);
            return if writable { Ok(()) } else { Err(refusal()) };
        }
        let free = [&b"/tmp/"[..], b"/run/"]
            .iter()
            .any(|folder| path.starts_with(folder));
        if self.read_only_root && !free {
            Err(refusal())
        } else {
            Ok(())
        }
    }

    /// The real path of `path`: every link on the way is followed, the last one only if asked for.
    pub(super) fn resolve(&self, path: &[u8], follow: bool) -> Result<Vec<u8>> {
        let mut rest: Vec<Vec<u8>> = path
            .split(|&byte| byte == b'/')
            .rev()
            .map(<[u8]>::to_vec)
            .collect();
        let mut at = Vec::new();
        let mut links = 0;
        while let Some(part) = rest.pop() {
            if part.is_empty() || part == b"." {
                continue;
            }
            if part == b".." {
                at.truncate(at.iter().rposition(|&byte| byte == b'/').unwrap_or(0));
                continue;
            }
            match self.nodes.get(&at) {
                Some(Node::Folder) => {}
                Some(_) => return Err(conflict(&at, "is not a folder")),
                None => return Err(missing(&at)),
            }
            let next = [&at[..], b"/", &part].concat();
            match self.nodes.get(&next) {
                Some(Node::Link(target)) if follow || rest.iter().any(|part| !part.is_empty()) => {
                    links += 1;
                    if links > 40 {
                        return Err(conflict(path, "has too many links"));
                    }
                    if target.starts_with(b"/") {
                        at.clear();
                    }
                    rest.extend(target.split(|&byte| byte == b'/').rev().map(<[u8]>::to_vec));
                }
                _ => at = next,
            }
        }
        Ok(at)
    }

    pub(super) fn node(&self, path: &[u8], follow: bool) -> Result<&Node> {
        let at = self.resolve(path, follow)?;
        self.nodes.get(&at).ok_or_else(|| missing(path))
    }

    pub(super) fn read(&self, path: &[u8]) -> Result<Vec<u8>> {
        if self.has(Fault::LinksLeadToTheHost)
            && let Ok(Node::Link(target)) = self.node(path, false)
            && let Ok(content) = std::fs::read(String::from_utf8_lossy(target).as_ref())
        {
            return Ok(content);
        }
        match self.node(path, true)? {
            Node::File { content, .. } => Ok(content.clone()),
            _ => Err(conflict(path, "is not a file")),
        }
    }

    pub(super) fn write(&mut self, path: &[u8], content: Vec<u8>, mode: u32, modified: i64) -> Result<()> {
        let at = self.resolve(path, true)?;
        self.may_write(&at)?;
        self.fits(content.len() as u64)?;
        match self.nodes.get(&at) {
            Some(Node::Folder) => return Err(conflict(path, "is a folder")),
            _ => self.parent_is_a_folder(&at)?,
        }
        if let Some(mount) = self.mount_of(&at).filter(|_| !self.has(Fault::MountNotOnHost)) {
            let beneath = &at[mount.target.as_str().len()..];
            let beneath = String::from_utf8_lossy(beneath)
                .trim_start_matches('/')
                .to_owned();
            let on_host = if beneath.is_empty() {
                mount.source.clone()
            } else {
                mount.source.join(beneath)
            };
            std::fs::write(on_host, &content).map_err(|error| {
                Error::new(ErrorKind::Broken, "files", "the mount cannot be written").because(error)
            })?;
        }
        let mode = if self.has(Fault::IgnoredMode) { 0o644 } else { mode };
        self.nodes.insert(
            at,
            Node::File {
                content,
                mode,
                modified,
            },
        );
        Ok(())
    }

    pub(super) fn fits(&self, more: u64) -> Result<()> {
        let used: u64 = self
            .nodes
            .values()
            .map(|node| {
                if let Node::File { content, .. } = node {
                    content.len() as u64
                } else {
                    0
                }
            })
            .sum();
        match self.limit {
            Some(limit) if used + more > limit => Err(Error::new(
                ErrorKind::Exhausted,
                "files",
                "the disk limit of the sandbox is reached",
            )),
            _ => Ok(()),
        }
    }

    fn parent_is_a_folder(&self, at: &[u8]) -> Result<()> {
        let parent = &at[..at.iter().rposition(|&byte| byte == b'/').unwrap_or(0)];
        match self.nodes.get(parent) {
            Some(Node::Folder) => Ok(()),
            Some(_) => Err(conflict(parent, "is not a folder")),
            None => Err(missing(parent)),
        }
    }

    pub(super) fn link(&mut self, path: &[u8], target: &[u8]) -> Result<()> {
        let at = self.resolve(path, false)?;
        self.may_write(&at)?;
        self.parent_is_a_folder(&at)?;
        if self.nodes.contains_key(&at) {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                "files",
                "the name of the link is taken",
            ));
        }
        self.nodes.insert(at, Node::Link(target.to_vec()));
        Ok(())
    }

    pub(super) fn mkdir(&mut self, path: &[u8]) -> Result<()> {
        let mut made = Vec::new();
        for part in path.split(|&byte| byte == b'/').filter(|part| !part.is_empty()) {
            made.extend([b"/", part].concat());
            let at = self.resolve(&made, true)?;
            match self.nodes.get(&at) {
                Some(Node::Folder) => {}
                Some(_) => return Err(conflict(&at, "is not a folder")),
                None => {
                    self.may_write(&at)?;
                    self.nodes.insert(at, Node::Folder);
                }
            }
        }
        Ok(())
    }

    /// The paths strictly beneath a folder.
    fn beneath(&self, folder: &[u8]) -> Vec<Vec<u8>> {
        let prefix = [folder, b"/"].concat();
        self.nodes
            .range(prefix.clone()..)
            .map(|(path, _)| path.clone())
            .take_while(|path| path.starts_with(&prefix))
            .collect()
    }

    pub(super) fn list(&self, path: &[u8]) -> Result<Vec<FileStat>> {
        let at = self.resolve(path, true)?;
        match self.nodes.get(&at) {
            None => return Err(missing(path)),
            Some(Node::Folder) => {}
            Some(_) => return Err(conflict(path, "is not a folder")),
        }
        let direct = |path: &Vec<u8>| !path[at.len() + 1..].contains(&b'/');
        let mut stats: Vec<_> = self
            .beneath(&at)
            .iter()
            .filter(|path| direct(path))
            .map(|path| self.describe(path))
            .collect();
        if self.has(Fault::UnsortedList) {
            stats.reverse();
        }
        if self.has(Fault::NonUtf8NamesLost) {
            stats.retain(|stat| std::str::from_utf8(&stat.name).is_ok());
        }
        Ok(stats)
    }

    pub(super) fn stat(&self, path: &[u8]) -> Result<FileStat> {
        let at = self.resolve(path, self.has(Fault::StatFollowsLinks))?;
        if !self.nodes.contains_key(&at) {
            return Err(missing(path));
        }
        Ok(self.describe(&at))
    }

    fn describe(&self, at: &[u8]) -> FileStat {
        let name = at
            .rsplit(|&byte| byte == b'/')
            .next()
            .unwrap_or_default()
            .to_vec();
        let plain = FileStat {
            name,
            kind: FileKind::Directory,
            mode: 0o755,
            size: 0,
            modified: 0,
            link_target: None,
        };
        match &self.nodes[at] {
            Node::Folder => plain,
            Node::File {
                content,
                mode,
                modified,
            } => FileStat {
                kind: FileKind::File,
                mode: *mode,
                size: content.len() as u64,
                modified: *modified,
                ..plain
            },
            Node::Link(target) => FileStat {
                kind: FileKind::Symlink,
                mode: 0o777,
                link_target: Some(target.clone()),
                ..plain
            },
        }
    }

    pub(super) fn remove(&mut self, path: &[u8], recursive: bool) -> Result<()> {
        let at = self.resolve(path, false)?;
        if !self.nodes.contains_key(&at) {
            return Err(missing(path));
        }
        self.may_write(&at)?;
        let beneath = self.beneath(&at);
        if !beneath.is_empty() && !recursive {
            return Err(conflict(path, "is a folder that is not empty"));
        }
        for gone in beneath.into_iter().chain([at]) {
            if let Some(Node::Link(target)) = self.nodes.remove(&gone)
                && self.has(Fault::RemoveFollowsLinks)
            {
                let parent = &gone[..gone.iter().rposition(|&byte| byte == b'/').unwrap_or(0)];
                let target = if target.starts_with(b"/") {
                    target
                } else {
                    [parent, b"/", &target].concat()
                };
                let followed = self.beneath(&target);
                followed
                    .into_iter()
                    .chain([target])
                    .for_each(|path| drop(self.nodes.remove(&path)));
            }
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        let (from, to) = (self.resolve(from, false)?, self.resolve(to, false)?);
        self.may_write(&from)?;
        self.may_write(&to)?;
        self.parent_is_a_folder(&to)?;
        let beneath = self.beneath(&from);
        let node = self.nodes.remove(&from).ok_or_else(|| missing(&from))?;
        self.nodes.insert(to.clone(), node);
        for path in beneath {
            if let Some(node) = self.nodes.remove(&path) {
                self.nodes.insert([&to[..], &path[from.len()..]].concat(), node);
            }
        }
        Ok(())
    }
}
