//! From a specification to the steps that build its root. Pure but for the facts that are handed in.

use std::{
    ffi::CString,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use agentkernel_types::{GuestPath, RootAccess, SandboxSpec};

use crate::{
    image::{self, HostImage, SystemFolder, User},
    launch::{
        landlock::right,
        plan::{Base, Landlock, LandlockRule, Place, Source, SourceId, Step, c_string, relative},
        sys::attribute,
    },
};

/// Everything that the planner needs to know besides the specification.
pub(crate) struct Facts<'a> {
    pub image: &'a HostImage,
    pub user: &'a User,
    pub hostname: &'a str,
    /// In the order of `spec.mounts`.
    pub mounts: Vec<MountSource>,
    /// Detached mounts for `image.toolchains`, where the parent has prepared them.
    pub toolchains: Vec<Option<OwnedFd>>,
    /// The folder with the sandbox's own files; None: memory.
    pub folder: Option<&'a Path>,
    /// For a sandbox in memory.
    pub memory_size: u64,
    pub landlock_version: u32,
    /// Kernel files that are there to be hidden or shown.
    pub kernel_files: &'a KernelFiles,
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

/// Which of the kernel's files this host has.
#[derive(Clone, Debug, Default)]
pub(crate) struct KernelFiles {
    pub hidden_files: Vec<&'static str>,
    pub hidden_folders: Vec<&'static str>,
    pub system: Vec<&'static str>,
}

const HIDDEN_FILES: [&str; 12] = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/kmsg",
    "/proc/kallsyms",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/proc/latency_stats",
    "/proc/sysrq-trigger",
    "/proc/cmdline",
    "/proc/interrupts",
    "/proc/modules",
];
const HIDDEN_FOLDERS: [&str; 4] = ["/proc/acpi", "/proc/scsi", "/proc/asound", "/proc/bus"];
/// All of /sys that a sandbox sees: what programs ask for the number of processors and page sizes.
const SYSTEM: [&str; 2] = ["/sys/devices/system/cpu", "/sys/kernel/mm/transparent_hugepage"];
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

impl KernelFiles {
    pub(crate) fn of_this_host() -> Self {
        let there = |path: &&'static str| Path::new(path).exists();
        Self {
            hidden_files: HIDDEN_FILES.into_iter().filter(there).collect(),
            hidden_folders: HIDDEN_FOLDERS.into_iter().filter(there).collect(),
            system: SYSTEM.into_iter().filter(there).collect(),
        }
    }
}

/// The parts of a plan that concern the root.
pub(crate) struct Root {
    pub sources: Vec<Source>,
    pub base: Base,
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
    composer.system_folders(facts.image);
    composer.etc(
        facts.image,
        &image::own_files(facts.user, facts.hostname, spec.network),
    );
    composer.private_folders(facts.user);
    composer.devices();
    composer.kernel(facts.kernel_files);
    composer.toolchains(facts.image, facts.toolchains);
    composer.mounts(spec, facts.mounts);
    // A working directory in a file system of the kernel is never made: it exists or the command is refused.
    let kernel = ["/proc", "/sys", "/dev"].map(Composer::guest);
    if let Some(workdir) = spec
        .workdir
        .as_ref()
        .filter(|path| !kernel.iter().any(|base| path.starts_with(base)))
    {
        composer.directory(workdir, 0o755);
    }
    composer.seal();
    let landlock = composer.landlock(facts.landlock_version);
    Root {
        sources: composer.sources,
        base,
        steps: composer.steps,
        landlock,
    }
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

    fn system_folders(&mut self, image: &HostImage) {
        for folder in &image.folders {
            match folder {
                SystemFolder::Link { name, target } => self.link(&Self::guest(&format!("/{name}")), target),
                SystemFolder::Folder { name, writable } => {
                    let host = PathBuf::from(format!("/{name}"));
                    self.layered(name, &host, writable);
                }
            }
        }
    }

    fn etc(&mut self, image: &HostImage, own: &[(&'static str, Vec<u8>)]) {
        let etc = image.etc.clone();
        // The sandbox's own files lie in the writable layer, so there is always one.
        let read_only = std::mem::replace(&mut self.read_only, false);
        self.layered("etc", &etc, &[]);
        self.read_only = read_only;
        for (name, content) in own {
            self.file(&Self::guest(&format!("/etc/{name}")), content.clone(), true);
        }
    }

    /// A folder of the host, with a private writable layer over it unless the root is read-only.
    fn layered(&mut self, name: &str, host: &Path, writable: &[String]) {
        let target = Self::guest(&format!("/{name}"));
        self.directory(&target, 0o755);
        let source = self.path_source(host);
        if self.read_only {
            return self.attach(source, &target, PLAIN | attribute::READ_ONLY);
        }
        let layer = |parent: &str, name: &str| Step::MakeLayer {
            place: Place::beneath(parent, name),
        };
        let top = format!("layers/{name}");
        let upper = format!("{top}/upper");
        self.steps.push(layer(".", "layers"));
        self.steps.push(layer("layers", name));
        self.steps.push(layer(&top, "upper"));
        self.steps.push(layer(&top, "work"));
        for folder in writable {
            // A folder in the upper layer is the sandbox's own: then its user may change what is in the merged one.
            let (parent, name) = folder.rsplit_once('/').unwrap_or(("", folder));
            self.steps
                .push(layer(format!("{upper}/{parent}").trim_end_matches('/'), name));
        }
        let base = crate::launch::BASE;
        self.steps.push(Step::Overlay {
            target: relative(&target),
            lower: c_string(&format!(
                "/proc/self/fd/{}",
                crate::launch::source_descriptor(source)
            )),
            upper: c_string(&format!("/proc/self/fd/{base}/{upper}")),
            work: c_string(&format!("/proc/self/fd/{base}/{top}/work")),
            attributes: PLAIN,
        });
    }

    fn private_folders(&mut self, user: &User) {
        for path in [
            "/var/tmp",
            "/var/cache",
            "/var/lib",
            "/var/log",
            "/srv",
            "/mnt",
            "/root",
        ] {
            self.directory(&Self::guest(path), 0o755);
        }
        self.directory(&user.home, 0o755);
        self.link(&Self::guest("/var/run"), "/run");
        for path in ["/tmp", "/run"] {
            let path = Self::guest(path);
            if self.read_only {
                self.tmpfs(
                    &path,
                    "50%",
                    if path.as_str() == "/tmp" { "1777" } else { "0755" },
                    PLAIN,
                );
                self.writable.push(path);
            } else {
                self.directory(&path, if path.as_str() == "/tmp" { 0o1777 } else { 0o755 });
            }
        }
    }

    fn devices(&mut self) {
        let dev = Self::guest("/dev");
        self.tmpfs(&dev, "64k", "0755", attribute::NO_SUID | attribute::NO_EXEC);
        for device in DEVICES {
            let host = PathBuf::from(format!("/dev/{device}"));
            if !host.exists() {
                continue;
            }
            let target = Self::guest(&format!("/dev/{device}"));
            self.file(&target, Vec::new(), false);
            let source = self.path_source(&host);
            self.attach(source, &target, attribute::NO_SUID | attribute::NO_EXEC);
        }
        for (name, target) in [
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
            ("ptmx", "pts/ptmx"),
        ] {
            self.link(&Self::guest(&format!("/dev/{name}")), target);
        }
        let pts = Self::guest("/dev/pts");
        self.directory(&pts, 0o755);
        self.steps.push(Step::Devpts {
            target: relative(&pts),
        });
        let shm = Self::guest("/dev/shm");
        self.tmpfs(&shm, "50%", "1777", PLAIN | attribute::NO_EXEC);
        self.writable.push(shm);
    }

    fn kernel(&mut self, files: &KernelFiles) {
        let proc = Self::guest("/proc");
        self.directory(&proc, 0o555);
        self.steps.push(Step::Proc {
            target: relative(&proc),
        });
        if !files.hidden_files.is_empty() {
            let null = self.path_source(Path::new("/dev/null"));
            for file in &files.hidden_files {
                self.attach(null, &Self::guest(file), PLAIN_DEVICE_READ_ONLY);
            }
        }
        for folder in &files.hidden_folders {
            self.steps.push(empty_folder(&Self::guest(folder)));
        }
        let sys = Self::guest("/sys");
        self.tmpfs(&sys, "64k", "0555", PLAIN | attribute::NO_EXEC);
        for path in &files.system {
            let target = Self::guest(path);
            self.directory(&target, 0o755);
            let source = self.path_source(Path::new(path));
            self.attach(source, &target, PLAIN | attribute::NO_EXEC | attribute::READ_ONLY);
        }
        self.directory(&Self::guest("/sys/fs/cgroup"), 0o555);
        self.read_only_again(&sys);
        self.read_only_again(&Self::guest("/dev"));
    }

    fn read_only_again(&mut self, target: &GuestPath) {
        self.steps.push(Step::SetAttributes {
            target: relative(target),
            attributes: attribute::READ_ONLY,
        });
    }

    fn toolchains(&mut self, image: &HostImage, detached: Vec<Option<OwnedFd>>) {
        for (toolchain, detached) in image.toolchains.iter().zip(detached) {
            let target = Self::guest(&toolchain.path.to_string_lossy());
            self.directory(&target, 0o755);
            let source = match detached {
                Some(mount) => self.source(Source::Detached(mount)),
                None => self.path_source(&toolchain.path),
            };
            self.attach(source, &target, PLAIN | attribute::READ_ONLY);
        }
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
    fn seal(&mut self) {
        if self.read_only {
            self.read_only_again(&Self::guest("/etc"));
            self.read_only_again(&GuestPath::root());
        }
    }

    fn landlock(&self, version: u32) -> Landlock {
        let handled = crate::launch::landlock::handled(version);
        let scoped = crate::launch::landlock::scoped(version);
        let everything = handled & !right::IOCTL_DEV;
        let reading = (right::EXECUTE | right::READ_FILE | right::READ_DIR) & handled;
        let rule = |path: &str, rights: u64| LandlockRule {
            path: c_string(path),
            rights: rights & handled,
        };
        let mut rules = vec![rule("/", if self.read_only { reading } else { everything })];
        // Devices and terminals take control calls; nothing else does.
        rules.push(rule("/dev/pts", handled));
        for device in DEVICES {
            rules.push(rule(&format!("/dev/{device}"), right::ON_FILES));
        }
        if self.read_only {
            rules.extend(self.writable.iter().map(|path| rule(path.as_str(), everything)));
        }
        Landlock {
            handled,
            scoped,
            rules,
            log_rights: everything,
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
