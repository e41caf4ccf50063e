//! Images for tests: layers of archives that are made here, of busybox where something is to run.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
};

use agentkernel_backend::Settings;
use agentkernel_image::{Image, ImageConfig, Source, Store, unpack::Limits};
use tar::EntryType;

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
        network_program: vec![env!("CARGO_BIN_EXE_native-carry-network").into()],
    }
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// One layer that is being filled: what its archive says.
#[derive(Default)]
pub struct Tree {
    entries: Vec<Entry>,
}

struct Entry {
    path: String,
    kind: EntryType,
    mode: u32,
    owner: (u32, u32),
    content: Vec<u8>,
    target: String,
}

impl Tree {
    pub fn folder(&mut self, path: &str, mode: u32) -> &mut Self {
        self.add(path, EntryType::Directory, mode, &[], "")
    }

    pub fn file(&mut self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> &mut Self {
        self.add(path, EntryType::Regular, mode, content.as_ref(), "")
    }

    pub fn link(&mut self, path: &str, target: &str) -> &mut Self {
        self.add(path, EntryType::Symlink, 0o777, &[], target)
    }

    /// Of what has just been added.
    pub fn owner(&mut self, uid: u32, gid: u32) -> &mut Self {
        let last = self.entries.last_mut().expect("something was added");
        last.owner = (uid, gid);
        self
    }

    /// Hides what lower layers have at `path`.
    pub fn whiteout(&mut self, path: &str) -> &mut Self {
        let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
        self.file(&format!("{parent}/.wh.{name}"), "", 0)
    }

    /// Hides what lower layers have in this folder.
    pub fn opaque(&mut self, path: &str) -> &mut Self {
        self.folder(path, 0o755)
            .file(&format!("{path}/.wh..wh..opq"), "", 0)
    }

    fn add(&mut self, path: &str, kind: EntryType, mode: u32, content: &[u8], target: &str) -> &mut Self {
        self.entries.push(Entry {
            path: path.to_owned(),
            kind,
            mode,
            owner: (0, 0),
            content: content.to_vec(),
            target: target.to_owned(),
        });
        self
    }

    fn archive(&self) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for entry in &self.entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(entry.kind);
            header.set_mode(entry.mode);
            header.set_uid(entry.owner.0.into());
            header.set_gid(entry.owner.1.into());
            header.set_size(entry.content.len() as u64);
            if entry.kind == EntryType::Symlink {
                // Exactly as it is.
                header.set_link_name_literal(&entry.target).expect("a short link");
            }
            archive
                .append_data(&mut header, &entry.path, entry.content.as_slice())
                .expect("memory takes it");
        }
        archive.into_inner().expect("memory takes it")
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
}

/// Puts an image of these layers, bottom first, into the store of `folder`.
pub fn image(folder: &Path, config: &ImageConfig, layers: &[&dyn Fn(&mut Tree)]) -> Image {
    let store = Store::new(settings(folder).images_dir);
    let writer = store.writer().expect("a store");
    let mut diff_ids = Vec::new();
    for fill in layers {
        let mut tree = Tree::default();
        fill(&mut tree);
        let added = writer.add_layer(None, &mut tree.archive().as_slice(), &Limits::default());
        diff_ids.push(added.expect("a layer that is all right").diff_id);
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
