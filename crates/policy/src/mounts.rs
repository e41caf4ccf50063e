//! Which files and folders of the host may be mounted, and where.

use std::path::{Path, PathBuf};

use agentkernel_types::{GuestPath, Mount};

use crate::{Credentials, Denied, FoundStore};

/// What the caller found out about this host. All paths are absolute, with all links resolved.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HostFacts {
    pub home: Option<PathBuf>,
    /// Agentkernel's own folders: data, cache, runtime and configuration.
    pub own: Vec<PathBuf>,
    /// From [`find_stores`](crate::find_stores).
    pub stores: Vec<FoundStore>,
}

/// What the caller found at a mount's source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourceFacts {
    /// All links resolved; as asked for, if nothing is there.
    pub path: PathBuf,
    pub kind: SourceKind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SourceKind {
    Folder,
    File,
    Socket,
    /// A device, a pipe.
    Other,
    Missing,
}

/// Sources that are never mounted, with everything beneath.
const HOST_FOLDERS: &[&str] = &[
    "/proc",
    "/sys",
    "/dev",
    "/etc",
    "/run",
    "/boot",
    "/efi",
    "/var/run",
    "/var/lib/docker",
    "/var/lib/containers",
    "/var/lib/kubelet",
    "/var/lib/containerd",
    "/var/lib/systemd",
    "/var/spool",
    "/var/log",
    "/var/lib/sss",
    "/var/lib/dbus",
    "/tmp/.X11-unix",
    "/tmp/.ICE-unix",
    "/lost+found",
    "/System",
    "/private/etc",
    "/private/var/run",
];
/// Disks of the user that desktops put there.
const MEDIA_FOLDERS: &[&str] = &["/run/media"];
/// Targets that make a sandbox what it is, with everything beneath.
const SANDBOX_FOLDERS: &[&str] = &["/proc", "/sys", "/dev", "/etc", "/run", "/boot"];
/// Targets that may be added to, but not replaced.
const SYSTEM_FOLDERS: &[&str] = &[
    "/",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/usr/lib64",
    "/var",
];

/// Judges a mount that a person, a project's file or `mount_cwd` asks for. (The home folder comes in through
/// [`home_mount`](crate::home_mount) only.)
pub fn check_mount(
    mount: &Mount,
    source: &SourceFacts,
    host: &HostFacts,
    asked: &Credentials,
) -> Result<(), Denied> {
    let refuse = |why: String, way_out: &str| {
        let what = format!("mounting {} at {}", mount.source.display(), mount.target);
        Err(Denied::new(what, why, way_out))
    };
    if let Some(why) = wrong_target(&mount.target) {
        return refuse(why, "choose another place in the sandbox, such as /mnt/name");
    }
    let path = source.path.as_path();
    match source.kind {
        SourceKind::Folder | SourceKind::File => {}
        SourceKind::Missing => {
            return refuse(
                "it does not exist".to_owned(),
                "make it first, or correct the path",
            )
            .map_err(Denied::invalid);
        }
        SourceKind::Socket => {
            let why = "it is a socket, and whoever talks to it is outside the sandbox".to_owned();
            return refuse(why, "publish what the sandbox needs as files");
        }
        SourceKind::Other => {
            let why = "it is a device or a pipe".to_owned();
            return refuse(why, "only files and folders can be mounted");
        }
    }
    if !path.is_absolute() || path.parent().is_none() {
        return refuse(
            "it is the root of the host".to_owned(),
            "mount the folder that is needed",
        );
    }
    if let Some(folder) = host_folder(path) {
        let why = format!("{folder} belongs to the host's system");
        return refuse(
            why,
            "copy what is needed into a folder of your own and mount that",
        );
    }
    if let Some(home) = host.home.as_ref().filter(|home| home.starts_with(path)) {
        let why = format!(
            "it shows the home folder {} with all its credentials",
            home.display()
        );
        return refuse(
            why,
            "mount the project's folder, or use mount_home, which is read-only and hides credentials",
        );
    }
    if let Some(own) = host.own.iter().find(|own| overlap(own, path)) {
        let why = format!("agentkernel keeps its own files in {}", own.display());
        return refuse(why, "mount a folder that has nothing to do with them");
    }
    let exposed = host
        .stores
        .iter()
        .find(|store| overlap(&store.path, path) && !asked.include(store.name));
    if let Some(store) = exposed {
        let why = format!(
            "it shows the credential store {} ({})",
            store.name,
            store.path.display()
        );
        let way_out = format!(
            "ask for it by its name, as in credentials = [{:?}], or mount a folder without it",
            store.name
        );
        return refuse(why, &way_out);
    }
    Ok(())
}

/// Parents before what lies beneath them. Two mounts at one place are refused.
pub fn order_mounts(mut mounts: Vec<Mount>) -> Result<Vec<Mount>, Denied> {
    mounts.sort_by(|one, other| parts(&one.target).cmp(parts(&other.target)));
    match mounts.windows(2).find(|pair| pair[0].target == pair[1].target) {
        None => Ok(mounts),
        Some(pair) => {
            let what = format!(
                "mounting {} and {}",
                pair[0].source.display(),
                pair[1].source.display()
            );
            let why = format!("both are to be at {}", pair[0].target);
            Err(Denied::new(what, why, "give each its own place in the sandbox").invalid())
        }
    }
}

fn parts(path: &GuestPath) -> impl Iterator<Item = &str> {
    path.as_str().split('/').filter(|part| !part.is_empty())
}

fn wrong_target(target: &GuestPath) -> Option<String> {
    let path = Path::new(target.as_str());
    if let Some(folder) = SANDBOX_FOLDERS.iter().find(|folder| path.starts_with(folder)) {
        return Some(format!("the sandbox has a {folder} of its own"));
    }
    let replaced = SYSTEM_FOLDERS.iter().find(|folder| path == Path::new(folder));
    replaced.map(|folder| format!("it would replace the sandbox's {folder}"))
}

fn host_folder(path: &Path) -> Option<&'static str> {
    let beneath = |folder: &&str| path.starts_with(folder);
    // The folder itself holds other users' disks: only what is beneath is one's own choice.
    let is_media = MEDIA_FOLDERS
        .iter()
        .any(|folder| path.starts_with(folder) && path != Path::new(folder));
    if is_media {
        return None;
    }
    // A folder that holds one of them shows it, too: /var has /var/run.
    let holds = |folder: &&str| Path::new(folder).starts_with(path);
    HOST_FOLDERS
        .iter()
        .find(|folder| beneath(folder))
        .or_else(|| HOST_FOLDERS.iter().find(|folder| holds(folder)))
        .copied()
}

fn overlap(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}
