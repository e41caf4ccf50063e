//! The folder of all kept sandboxes: finding and reading them. Nothing is locked and nothing is made here.

use std::{
    fs,
    hash::{BuildHasher, Hasher, RandomState},
    io,
    path::{Path, PathBuf},
};

use agentkernel_types::SandboxName;
use rustix::io::Errno;

use crate::{Error, Paths, Record, Result, file, folder::check_folder};

pub(crate) const RECORD_FILE: &str = "record.json";
/// The next record while it is written.
pub(crate) const NEXT_RECORD_FILE: &str = "record.json.new";
pub(crate) const WORKSPACE_FOLDER: &str = "workspace";
/// Folders that are being made and removed. No sandbox's name can begin with a dot.
pub(crate) const NEW_PREFIX: &str = ".new-";
pub(crate) const GONE_PREFIX: &str = ".gone-";

/// Told the name of each step whose order matters, before the next one: for tests of crashes and races.
pub type Step = fn(&'static str);

/// `<data>/sandboxes`, with one folder `<name>/{record.json,lock,workspace/}` a sandbox.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    pub(crate) step: Step,
}

/// One sandbox in a listing. A record that cannot be used does not hide the others.
#[derive(Debug)]
pub struct Entry {
    pub name: SandboxName,
    pub record: Result<Record>,
}

impl Store {
    /// Refuses folders that others may write to. Makes nothing: that is done at the first `reserve`.
    pub fn open(paths: &Paths) -> Result<Self> {
        let root = paths.data.join("sandboxes");
        check_folder(&paths.data)?;
        check_folder(&root)?;
        Ok(Self { root, step: |_| {} })
    }

    /// For tests of crashes and races.
    pub fn with_steps(self, step: Step) -> Self {
        Self { step, ..self }
    }

    /// The record as it is now; None if there is no such sandbox. Takes no lock: the record is replaced as a whole.
    pub fn read(&self, name: &SandboxName) -> Result<Option<Record>> {
        let path = self.folder(name).join(RECORD_FILE);
        match file::read_bounded(&path, Record::MAX_LENGTH) {
            Ok(bytes) => Record::decode(name, &path, &bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.explain_missing(name, path),
            Err(error) if is_wrong_kind(&error) => Err(Error::Corrupt {
                name: name.clone(),
                path,
                why: error.to_string(),
            }),
            Err(error) => Err(Error::io("read", &path)(error)),
        }
    }

    /// All sandboxes in the order of their names.
    pub fn list(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for name in self.folder_names()? {
            let Ok(name) = name.parse::<SandboxName>() else {
                continue;
            };
            match self.read(&name) {
                // Removed since the folder was read.
                Ok(None) => {}
                Ok(Some(record)) => entries.push(Entry {
                    name,
                    record: Ok(record),
                }),
                Err(error) => entries.push(Entry {
                    name,
                    record: Err(error),
                }),
            }
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// Where the sandbox keeps its files. Whether it exists is another question.
    pub fn workspace(&self, name: &SandboxName) -> PathBuf {
        self.folder(name).join(WORKSPACE_FOLDER)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn folder(&self, name: &SandboxName) -> PathBuf {
        self.root.join(name.as_str())
    }

    pub(crate) fn step(&self, name: &'static str) {
        (self.step)(name);
    }

    /// A path that nobody has used: what makes it checks that again, and needs no more than being rare.
    pub(crate) fn fresh_path(&self, prefix: &str) -> PathBuf {
        self.root.join(format!("{prefix}{:016x}", random_bits()))
    }

    /// The names in the folder that are text; others are not ours.
    pub(crate) fn folder_names(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("list", &self.root)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::io("list", &self.root))?;
            names.extend(entry.file_name().into_string());
        }
        Ok(names)
    }

    /// No record: either there is no such sandbox, or somebody has taken the record out of its folder.
    fn explain_missing(&self, name: &SandboxName, path: PathBuf) -> Result<Option<Record>> {
        let folder = self.folder(name);
        let is_robbed = || -> io::Result<bool> {
            let opened = match file::open_folder(&folder) {
                Err(Errno::NOENT) => return Ok(false),
                opened => opened?,
            };
            // One that lost its name meanwhile is being removed.
            Ok(!file::has_entry(&opened, RECORD_FILE)? && file::is_at(&opened, &folder)?)
        };
        match is_robbed().map_err(Error::io("read", &path))? {
            true => Err(Error::Corrupt {
                name: name.clone(),
                path,
                why: "it is missing".to_owned(),
            }),
            false => Ok(None),
        }
    }
}

/// Seeded by the system once a thread; no secret depends on it.
pub(crate) fn random_bits() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn is_wrong_kind(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, IsADirectory, NotADirectory};
    let is_link = error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
    is_link || matches!(error.kind(), InvalidData | IsADirectory | NotADirectory)
}
