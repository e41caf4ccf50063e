//! From a specification to the steps that build its root. Pure but for the facts that are handed in.

mod host;
mod kernel;
mod layers;
mod walls;

use std::{
    ffi::CString,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use agentkernel_types::{GuestPath, RootAccess, SandboxSpec};

use crate::{
    image::{self, HostImage, Layers, User},
    launch::{
        plan::{Base, Landlock, Overlay, Place, Source, SourceId, Step, c_string, relative},
        sys::attribute,
    },
};

pub(crate) use self::kernel::KernelFiles;

/// Everything that the planner needs to know besides the specification.
pub(crate) struct Facts<'a> {
    pub image: Image<'a>,
    pub user: &'a User,
    pub hostname: &'a str,
    /// Where commands begin, in an image of layers.
    pub workdir: Option<&'a GuestPath>,
    /// In the order of `spec.mounts`.
    pub mounts: Vec<MountSource>,
    /// The folder with the sandbox's own files; None: memory.
    pub folder: Option<&'a Path>,
    /// For a sandbox in memory.
    pub memory_size: u64,
    pub landlock_version: u32,
    /// Kernel files that are there to be hidden or shown.
    pub kernel_files: &'a KernelFiles,
}

/// What the root is made of.
pub(crate) enum Image<'a> {
    Host {
        image: &'a HostImage,
        /// Detached mounts for `image.toolchains`, where the parent has prepared them.
        toolchains: Vec<Option<OwnedFd>>,
    },
    Layers(Layers),
}

/// One mount as it is on the host.
pub(crate) struct MountSource {
    /// Resolved: no part of it is a symbolic link.
    pub path: PathBuf,
    pub directory: bool,
    pub detached: Option<OwnedFd>,
    /// The masked paths of the mount that exist, with whether each is a folder.
    pub masked: Vec<(GuestPath, bool)>,
}

/// The parts of a plan that concern the root.
pub(crate) struct Root {
    pub sources: Vec<Source>,
    pub base: Base,
    pub overlay: Option<Overlay>,
    pub steps: Vec<Step>,
    pub landlock: Landlock,
}

pub(crate) fn compose(spec: &SandboxSpec, facts: Facts<'_>) -> Root {
    let mut composer = Composer {
        read_only: spec.root == RootAccess::ReadOnly,
        sources: Vec::new(),
        steps: Vec::new(),
        made: vec![GuestPath::root()],
        writable: Vec::new(),
    };
    let base = match facts.folder {
        None => Base::Memory {
            size: c_string(&facts.memory_size.to_string()),
        },
        Some(folder) => Base::Folder(composer.path_source(folder)),
    };
    let mut overlay = None;
    match facts.image {
        Image::Host { image, toolchains } => {
            let own = image::own_files(facts.user, facts.hostname, spec.network.policy.mode);
            composer.host_image(image, &own, facts.user);
            composer.devices();
            composer.kernel(facts.kernel_files);
            composer.toolchains(image, toolchains);
            composer.mounts(spec, facts.mounts);
            if let Some(workdir) = spec.workdir.as_ref().filter(|path| !is_the_kernels(path)) {
                composer.directory(workdir, 0o755);
            }
        }
        Image::Layers(layers) => {
            overlay = Some(composer.layers(layers));
            composer.image_folders(&image::network_files(facts.hostname, spec.network.policy.mode));
            if let Some(workdir) = facts.workdir.filter(|path| !is_the_kernels(path)) {
                composer.resolved_directory(workdir);
            }
            composer.devices();
            composer.kernel(facts.kernel_files);
            composer.mounts(spec, facts.mounts);
        }
    }
    composer.seal(overlay.is_none());
    let landlock = composer.landlock(facts.landlock_version);
    Root {
        sources: composer.sources,
        base,
        overlay,
        steps: composer.steps,
        landlock,
    }
}

/// A working directory in a file system of the kernel is never made: it exists or the command is refused.
fn is_the_kernels(path: &GuestPath) -> bool {
    ["/proc", "/sys", "/dev"]
        .map(Composer::guest)
        .iter()
        .any(|base| path.starts_with(base))
}

struct Composer {
    read_only: bool,
    sources: Vec<Source>,
    steps: Vec<Step>,
    /// Folders that are there already, so that each is made once.
    made: Vec<GuestPath>,
    /// What stays writable under a read-only root.
    writable: Vec<GuestPath>,
}

const PLAIN: u64 = attribute::NO_SUID | attribute::NO_DEV;

impl Composer {
    fn path_source(&mut self, path: &Path) -> SourceId {
        let text =
            CString::new(path.as_os_str().as_bytes()).expect("a path that was opened before has no NUL");
        self.source(Source::Path(text))
    }

    fn source(&mut self, source: Source) -> SourceId {
        self.sources.push(source);
        SourceId(self.sources.len() - 1)
    }

    fn guest(path: &str) -> GuestPath {
        path.parse()
            .expect("a constant path or one of the host, absolute")
    }

    /// The folder and all its parents, each once.
    fn directory(&mut self, path: &GuestPath, mode: u32) {
        if self.made.contains(path) {
            return;
        }
        if let Some(parent) = path.parent() {
            self.directory(&parent, 0o755);
        }
        if let Some(place) = Place::of(path) {
            self.steps.push(Step::MakeDirectory { place, mode });
        }
        self.made.push(path.clone());
    }

    fn file(&mut self, path: &GuestPath, content: Vec<u8>, replace: bool) {
        if let Some(parent) = path.parent() {
            self.directory(&parent, 0o755);
        }
        if let Some(place) = Place::of(path) {
            self.steps.push(Step::MakeFile {
                place,
                mode: 0o644,
                content,
                replace,
            });
        }
    }

    fn link(&mut self, path: &GuestPath, target: &str) {
        if let Some(place) = Place::of(path) {
            self.steps.push(Step::MakeLink {
                place,
                target: c_string(target),
            });
        }
    }

    fn attach(&mut self, source: SourceId, target: &GuestPath, attributes: u64) {
        self.steps.push(Step::Attach {
            source,
            target: relative(target),
            attributes,
        });
    }

    fn tmpfs(&mut self, target: &GuestPath, size: &str, mode: &str, attributes: u64) {
        self.directory(target, 0o755);
        let (target, size, mode) = (relative(target), c_string(size), c_string(mode));
        self.steps.push(Step::Tmpfs {
            target,
            size,
            mode,
            attributes,
        });
    }

    fn mounts(&mut self, spec: &SandboxSpec, sources: Vec<MountSource>) {
        for (mount, found) in spec.mounts.iter().zip(sources) {
            if found.directory {
                self.directory(&mount.target, 0o755);
            } else {
                self.file(&mount.target, Vec::new(), false);
            }
            let source = match found.detached {
                Some(detached) => self.source(Source::Detached(detached)),
                None => self.path_source(&found.path),
            };
            let read_only = if mount.read_only { attribute::READ_ONLY } else { 0 };
            self.attach(source, &mount.target, PLAIN | read_only);
            for (masked, directory) in found.masked {
                if directory {
                    self.steps.push(empty_folder(&masked));
                } else {
                    let null = self.path_source(Path::new("/dev/null"));
                    self.attach(null, &masked, PLAIN_DEVICE_READ_ONLY);
                }
            }
            // What lies beneath a mount is the host's: nothing is made there but targets of later mounts.
            self.made
                .retain(|made| !(made.starts_with(&mount.target) && *made != mount.target));
            if !mount.read_only {
                self.writable.push(mount.target.clone());
            }
        }
    }

    /// The last steps: what was made writable to be built is closed.
    fn seal(&mut self, etc_is_a_mount: bool) {
        if self.read_only {
            if etc_is_a_mount {
                self.read_only_again(&Self::guest("/etc"));
            }
            self.read_only_again(&GuestPath::root());
        }
    }
}

/// A device node bound over a file: `NO_DEV` would make it unreadable.
const PLAIN_DEVICE_READ_ONLY: u64 = attribute::NO_SUID | attribute::NO_EXEC | attribute::READ_ONLY;

fn empty_folder(target: &GuestPath) -> Step {
    Step::Tmpfs {
        target: relative(target),
        size: c_string("4k"),
        mode: c_string("0555"),
        attributes: PLAIN | attribute::NO_EXEC | attribute::READ_ONLY,
    }
}
