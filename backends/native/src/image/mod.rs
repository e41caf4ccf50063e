//! The host image: this machine's own programs as the root of a sandbox.
//!
//! Only what is listed is visible: system folders, an allow-list of /etc, and known toolchain folders. Never the
//! home folder, never what only root may read.

mod etc;
pub(crate) mod layers;
mod toolchains;

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use agentkernel_types::{GuestPath, NetworkMode, UserSpec};

pub(crate) use self::{etc::filtered, layers::Layers, toolchains::Toolchain};

/// The inside ids of the host image's user.
pub(crate) const USER_ID: u32 = 1000;
pub(crate) const USER_NAME: &str = "sandbox";
pub(crate) const USER_HOME: &str = "/home/sandbox";
const NOBODY: u32 = 65534;

/// A top-level folder of the host as the sandbox sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SystemFolder {
    /// On merged-/usr systems /bin is a link to usr/bin, and so it is inside.
    Link { name: &'static str, target: String },
    /// Under a private writable layer; `writable` are the folders beneath it in which the sandbox's user
    /// may make and remove entries.
    Folder {
        name: &'static str,
        writable: Vec<String>,
    },
}

/// What the host offers, as found now.
#[derive(Clone, Debug)]
pub(crate) struct HostImage {
    pub folders: Vec<SystemFolder>,
    /// The filtered copy of /etc.
    pub etc: PathBuf,
    pub toolchains: Vec<Toolchain>,
    /// `NAME=VALUE` of the image itself.
    pub env: Vec<(String, String)>,
}

/// A user of the host image, looked up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct User {
    pub uid: u32,
    pub gid: u32,
    pub name: String,
    pub home: GuestPath,
}

/// Folders beneath /usr whose entries the sandbox's user may add to and remove from (in its private layer).
const WRITABLE_USR: [&str; 14] = [
    "bin",
    "sbin",
    "lib",
    "share",
    "include",
    "local",
    "local/bin",
    "local/sbin",
    "local/lib",
    "local/share",
    "local/include",
    "local/etc",
    "local/lib/node_modules",
    "lib/node_modules",
];

impl HostImage {
    pub(crate) fn discover(cache_dir: &Path, home: Option<&Path>, path: Option<&str>) -> io::Result<Self> {
        let folders: Vec<SystemFolder> = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "opt"]
            .into_iter()
            .filter_map(system_folder)
            .collect();
        let toolchains = toolchains::find(home);
        let env = environment(&toolchains, path);
        Ok(Self {
            folders,
            etc: filtered(cache_dir)?,
            toolchains,
            env,
        })
    }
}

fn system_folder(name: &'static str) -> Option<SystemFolder> {
    let path = Path::new("/").join(name);
    let kind = fs::symlink_metadata(&path).ok()?.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(&path).ok()?;
        return Some(SystemFolder::Link {
            name,
            target: target.to_str()?.to_owned(),
        });
    }
    if !kind.is_dir() {
        return None;
    }
    let mut writable = Vec::new();
    if name == "usr" {
        let there = |part: &str| fs::symlink_metadata(path.join(part)).is_ok_and(|found| found.is_dir());
        writable.extend(
            WRITABLE_USR
                .into_iter()
                .filter(|part| there(part))
                .map(str::to_owned),
        );
    }
    Some(SystemFolder::Folder { name, writable })
}

/// PATH of the host as far as it is visible inside, and what the toolchains need.
fn environment(toolchains: &[Toolchain], path: Option<&str>) -> Vec<(String, String)> {
    const STANDARD: [&str; 6] = [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ];
    let visible = |entry: &str| {
        ["/usr/", "/opt/", "/bin", "/sbin"]
            .iter()
            .any(|prefix| entry.starts_with(prefix))
            || toolchains
                .iter()
                .any(|toolchain| Path::new(entry).starts_with(&toolchain.path))
    };
    let mut entries: Vec<String> = Vec::new();
    let mut add = |entry: &str| {
        if !entries.iter().any(|known| known == entry) {
            entries.push(entry.to_owned());
        }
    };
    for entry in path.unwrap_or_default().split(':').filter(|entry| visible(entry)) {
        if let Some(direct) = toolchains
            .iter()
            .find_map(|toolchain| toolchain.instead_of(entry))
        {
            add(&direct);
        }
        add(entry);
    }
    STANDARD.into_iter().for_each(&mut add);
    let mut env = vec![
        ("PATH".to_owned(), entries.join(":")),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
    ];
    env.extend(
        toolchains
            .iter()
            .filter_map(|toolchain| toolchain.variable.clone()),
    );
    env
}

/// Looks a user up in the host image: `sandbox`, `root`, `nobody`, or any number.
pub(crate) fn user(spec: Option<&UserSpec>) -> Result<User, String> {
    let known = |name: &str| match name {
        USER_NAME => Some(USER_ID),
        "root" => Some(0),
        "nobody" | "nogroup" => Some(NOBODY),
        number => number.parse().ok(),
    };
    let (user, group) = match spec {
        None => (USER_NAME, None),
        Some(spec) => (spec.user(), spec.group()),
    };
    let unknown = |what: &str, name: &str| {
        format!("the host image has no {what} {name:?}: use {USER_NAME}, root, nobody or a number")
    };
    let uid = known(user).ok_or_else(|| unknown("user", user))?;
    let gid = match group {
        None => uid,
        Some(group) => known(group).ok_or_else(|| unknown("group", group))?,
    };
    let (name, home) = match uid {
        0 => ("root".to_owned(), "/root"),
        USER_ID => (USER_NAME.to_owned(), USER_HOME),
        NOBODY => ("nobody".to_owned(), "/tmp"),
        other => (format!("user{other}"), USER_HOME),
    };
    Ok(User {
        uid,
        gid,
        name,
        home: home.parse().expect("a constant path"),
    })
}

/// The files of /etc that are the sandbox's own.
pub(crate) fn own_files(user: &User, hostname: &str, network: NetworkMode) -> Vec<(&'static str, Vec<u8>)> {
    let mut passwd =
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
            .to_owned();
    let mut group = "root:x:0:\nnogroup:x:65534:\n".to_owned();
    if user.uid != 0 && user.uid != NOBODY {
        passwd += &format!(
            "{}:x:{}:{}::{}:/bin/sh\n",
            user.name, user.uid, user.gid, user.home
        );
    }
    if user.gid != 0 && user.gid != NOBODY {
        group += &format!("{}:x:{}:\n", user.name, user.gid);
    }
    let mut files = vec![("passwd", passwd.into_bytes()), ("group", group.into_bytes())];
    files.extend(network_files(hostname, network));
    files
}

/// The files of /etc that say where the sandbox is: they are never an image's.
pub(crate) fn network_files(hostname: &str, network: NetworkMode) -> Vec<(&'static str, Vec<u8>)> {
    let resolv = match network {
        NetworkMode::Host => fs::read("/etc/resolv.conf")
            .ok()
            .filter(|file| file.len() < 64 << 10),
        NetworkMode::None => None,
        NetworkMode::Allowlist | NetworkMode::Public | NetworkMode::Open => {
            let gateway = agentkernel_egress::Addresses::default().v4.gateway;
            Some(format!("nameserver {gateway}\n").into_bytes())
        }
    };
    vec![
        ("hostname", format!("{hostname}\n").into_bytes()),
        (
            "hosts",
            format!("127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {hostname}\n").into_bytes(),
        ),
        ("resolv.conf", resolv.unwrap_or_default()),
    ]
}

/// The owner of a host folder, for mounts.
pub(crate) fn owner_of(path: &Path) -> io::Result<(u32, u32)> {
    let found = fs::metadata(path)?;
    Ok((found.uid(), found.gid()))
}
