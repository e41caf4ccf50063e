//! Images for tests: layers made by hand, of busybox where something is to run.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
};

use agentkernel_backend::Settings;
use agentkernel_image::{Image, ImageConfig, Source, Store};
use agentkernel_types::Digest;
use rustix::fs::{CWD, FileType, Mode, XattrFlags, mknodat, setxattr};

/// What busybox is called in the images.
const APPLETS: [&str; 34] = [
    "sh", "cat", "ls", "id", "env", "pwd", "printf", "echo", "true", "test", "stat", "touch", "mkdir", "rm",
    "mv", "ln", "cp", "chmod", "chown", "readlink", "sleep", "head", "tail", "yes", "wc", "cut", "tr",
    "stty", "kill", "mount", "su", "hostname", "find", "grep",
];

/// Where a test's images and sandboxes are.
pub fn settings(folder: &Path) -> Settings {
    Settings {
        runtime_dir: folder.join("run"),
        cache_dir: folder.join("cache"),
        images_dir: folder.join("images"),
    }
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// One layer that is being filled.
pub struct Tree {
    path: PathBuf,
    owners: (Vec<u32>, Vec<u32>),
}

impl Tree {
    pub fn folder(&mut self, path: &str, mode: u32) -> &mut Self {
        let path = self.path.join(path);
        fs::create_dir_all(&path).expect("a folder of a layer");
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("our own");
        self
    }

    pub fn file(&mut self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> &mut Self {
        self.parent(path);
        let path = self.path.join(path);
        fs::write(&path, content).expect("a file of a layer");
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("our own");
        self
    }

    pub fn link(&mut self, path: &str, target: &str) -> &mut Self {
        self.parent(path);
        symlink(target, self.path.join(path)).expect("a link of a layer");
        self
    }

    /// As the archive would say; without root everything is the caller's.
    pub fn owner(&mut self, path: &str, uid: u32, gid: u32) -> &mut Self {
        self.owners.0.push(uid);
        self.owners.1.push(gid);
        if is_root() {
            chown(self.path.join(path), Some(uid), Some(gid)).expect("root can give files away");
        }
        self
    }

    /// Hides what lower layers have at `path`.
    pub fn whiteout(&mut self, path: &str) -> &mut Self {
        self.parent(path);
        mknodat(
            CWD,
            self.path.join(path),
            FileType::CharacterDevice,
            Mode::from_raw_mode(0),
            0,
        )
        .expect("anyone may make a 0/0 device");
        self
    }

    /// Hides what lower layers have in this folder.
    pub fn opaque(&mut self, path: &str) -> &mut Self {
        self.folder(path, 0o755);
        let path = self.path.join(path);
        setxattr(&path, "user.overlay.opaque", b"y", XattrFlags::empty())
            .expect("a file system with attributes");
        self
    }

    /// Busybox under all its names, the usual folders, and three accounts.
    pub fn busybox(&mut self) -> &mut Self {
        let program = fs::read("/bin/busybox").expect("busybox-static is installed");
        self.file("bin/busybox", program, 0o755);
        for applet in APPLETS {
            self.link(&format!("bin/{applet}"), "busybox");
        }
        self.file(
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\nwww:x:33:33::/var/www:/bin/sh\nsandbox:x:1000:1000::/home/sandbox:/bin/sh\n",
            0o644,
        );
        self.file(
            "etc/group",
            "root:x:0:\nwww:x:33:\nsandbox:x:1000:\nstaff:x:50:\n",
            0o644,
        );
        for (folder, mode) in [
            ("tmp", 0o1777),
            ("root", 0o700),
            ("home/sandbox", 0o755),
            ("usr", 0o755),
            ("var", 0o755),
        ] {
            self.folder(folder, mode);
        }
        self
    }

    fn parent(&self, path: &str) {
        if let Some(parent) = self.path.join(path).parent() {
            fs::create_dir_all(parent).expect("a folder of a layer");
        }
    }
}

/// Puts an image of these layers, bottom first, into the store of `folder`.
pub fn image(folder: &Path, config: &ImageConfig, layers: &[&dyn Fn(&mut Tree)]) -> Image {
    let store = Store::new(settings(folder).images_dir);
    let writer = store.writer().expect("a store");
    let mut diff_ids = Vec::new();
    for fill in layers {
        let diff_id = fresh_digest();
        let layer = store.folder().join("layers").join(diff_id.hex());
        let tree = layer.join("tree");
        fs::create_dir_all(&tree).expect("a folder of the store");
        fs::set_permissions(&tree, PermissionsExt::from_mode(0o755)).expect("our own");
        let mut tree = Tree {
            path: tree,
            owners: (vec![0], vec![0]),
        };
        fill(&mut tree);
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("procfs");
        let (uids, gids) = tree.owners;
        let record = serde_json::json!({
            "schema_version": 1, "diff_id": diff_id, "archive_bytes": 0, "content_bytes": 0, "stored_bytes": 0, "entries": 0,
            "owners": { "uids": uids, "gids": gids }, "boot": boot,
        });
        fs::write(layer.join("layer.json"), record.to_string()).expect("a file of the store");
        diff_ids.push(diff_id);
    }
    writer
        .add_image(
            &config.to_json(&diff_ids),
            None,
            &[],
            Source::Archive {
                path: "test".to_owned(),
            },
        )
        .expect("an image of layers that are there")
}

fn fresh_digest() -> Digest {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0u8; 32];
    bytes[..8].copy_from_slice(&NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes[8..12].copy_from_slice(&std::process::id().to_be_bytes());
    Digest::from_sha256(bytes)
}

/// Runs one test of this program again, as a user without privilege. Without root nothing is run: only root can become
/// somebody else, and the test itself has run without root.
pub fn without_root(test: &str) {
    again_without_root(&["--exact", test]);
}

/// Runs all tests of this program again but the one that calls this.
pub fn all_without_root(but: &str) {
    again_without_root(&["--skip", but]);
}

fn again_without_root(arguments: &[&str]) {
    use std::os::unix::process::CommandExt;
    const USER: u32 = 54_321;
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    // The build folder may lie where others cannot look.
    let program = folder.path().join("program");
    // By another process: one that another test starts meanwhile would inherit the open file, and nobody could
    // execute it.
    let copied = std::process::Command::new("cp")
        .arg(std::env::current_exe().expect("a test has one"))
        .arg(&program)
        .status();
    assert!(copied.expect("cp is there").success());
    for path in [folder.path(), &program] {
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("our own");
        chown(path, Some(USER), Some(USER)).expect("root can give files away");
    }
    let output = std::process::Command::new(&program)
        .args(arguments)
        .arg("--nocapture")
        .env("TMPDIR", folder.path())
        .env("HOME", folder.path())
        .env("PATH", "/usr/bin:/bin")
        .current_dir(folder.path())
        .uid(USER)
        .gid(USER)
        .output()
        .expect("it can be started");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains(" passed") && !text.contains(" 0 passed"),
        "the test has not run: {text}"
    );
}
