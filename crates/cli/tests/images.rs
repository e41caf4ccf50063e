//! Images through the real binary, as far as it goes without a sandbox and a registry. The engines of the machine are
//! scripts of the test.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot prepare its place has failed"
)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// An installation of its own with a project's folder, and with programs of its own on PATH.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["state", "project", "bin", "root/etc"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let place = Self { folder };
        place.write("root/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A plain root file system.
    fn archive(&self) -> PathBuf {
        let path = self.path("rootfs.tar");
        let mut archive = tar::Builder::new(fs::File::create(&path).unwrap());
        archive.append_dir_all(".", self.path("root")).unwrap();
        archive.finish().unwrap();
        path
    }

    /// A program that writes down how it was called, then runs `script`.
    fn engine(&self, name: &str, script: &str) {
        let (path, log) = (self.path("bin").join(name), self.path("calls"));
        let text = format!("#!/bin/sh\necho \"{name} $*\" >> '{}'\n{script}\n", log.display());
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn calls(&self) -> Vec<String> {
        self.read("calls").lines().map(str::to_owned).collect()
    }

    fn command(&self, words: &[&str]) -> Command {
        // The shell of the scripts and what they use; the engines of this machine are elsewhere.
        let tools = self.path("tools");
        if !tools.exists() {
            fs::create_dir(&tools).unwrap();
            for tool in ["sh", "cat", "sleep", "echo", "printf"] {
                std::os::unix::fs::symlink(Path::new("/bin").join(tool), tools.join(tool)).unwrap();
            }
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_agentkernel"));
        command
            .args(words)
            .env_clear()
            .env("COLUMNS", "100")
            .env("AGENTKERNEL_HOME", self.path("state"))
            .env("HOME", self.folder.path())
            .env(
                "PATH",
                format!("{}:{}", self.path("bin").display(), tools.display()),
            )
            .current_dir(self.path("project"))
            .stdin(Stdio::null());
        command
    }

    fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("the binary can be started")
    }

    #[track_caller]
    fn stdout(&self, words: &[&str]) -> String {
        let output = self.output(words);
        assert!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.stdout(words)).unwrap()
    }

    /// Code 125, and why.
    #[track_caller]
    fn refusal(&self, words: &[&str]) -> String {
        let output = self.output(words);
        assert_eq!(output.status.code(), Some(125), "{words:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{words:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// An image that is not named like what is asked for later, as docker would save it.
    fn saved(&self, name: &str) -> PathBuf {
        let other = Self::new();
        let archive = other.archive();
        other.stdout(&[
            "image",
            "import",
            archive.to_str().unwrap(),
            name,
            "--cmd",
            "true",
        ]);
        let to = self.path("saved.tar");
        other.stdout(&["image", "export", name, "-o", to.to_str().unwrap()]);
        to
    }
}

/// Answers `image inspect` for one name and saves what is in a file.
fn holder(name: &str, archive: &Path) -> String {
    format!(
        "case \"$1 $2\" in\n\"image inspect\") for last; do :; done; [ \"$last\" = {name} ];;\n\
         \"save \"*) exec cat '{}';;\n*) exit 9;;\nesac",
        archive.display()
    )
}

#[test]
fn a_root_file_system_becomes_an_image_with_a_name_and_goes_again() {
    let place = Place::new();
    let archive = place.archive();
    let archive = archive.to_str().unwrap();
    assert_eq!(
        place.json(&["image", "list", "--json"])["images"],
        Value::Array(Vec::new())
    );
    let id = place.stdout(&["image", "import", archive, "box:1", "--cmd", "true", "-e", "A=b"]);
    let id = id.trim();
    assert!(id.starts_with("sha256:"), "{id}");

    let list = place.json(&["image", "ls", "--json"]);
    assert_eq!(list["schema_version"], 1);
    assert_eq!(list["images"][0]["names"][0], "docker.io/library/box:1");
    assert_eq!(place.stdout(&["images", "list", "-q"]), "box:1\n");
    let table = place.stdout(&["image", "list"]);
    assert!(table.starts_with("NAME") && table.contains("box:1"), "{table}");

    let details = place.json(&["image", "inspect", &id[..19]]);
    assert_eq!(
        (&details["env"][0], &details["cmd"][0], &details["id"]),
        (&"A=b".into(), &"true".into(), &id.into())
    );

    let removed = place.json(&["image", "rm", "box:1", "--json"]);
    assert_eq!(removed["removed"]["images"][0], id);
    assert_eq!(place.stdout(&["image", "list", "-q"]), "");
    assert!(
        place
            .refusal(&["image", "inspect", "box:1"])
            .contains("image list")
    );
    place.stdout(&["image", "remove", "--force", "box:1"]);
}

#[test]
fn an_exported_image_is_the_same_image_when_it_comes_back() {
    for format in ["docker", "oci"] {
        let place = Place::new();
        let archive = place.archive();
        let id = place.stdout(&[
            "image",
            "import",
            archive.to_str().unwrap(),
            "box:1",
            "--cmd",
            "x",
        ]);
        let exported = place.output(&["image", "export", "box:1", "--format", format]);
        assert!(exported.status.success());
        place.stdout(&["image", "rm", "box:1"]);
        fs::write(place.path("out.tar"), exported.stdout).unwrap();
        let stdin = fs::File::open(place.path("out.tar")).unwrap();
        let back = place
            .command(&["image", "import", "-"])
            .stdin(stdin)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&back.stdout), id, "{format}: {back:?}");
        assert_eq!(place.stdout(&["image", "list", "-q"]), "box:1\n", "{format}");
    }
}

#[test]
fn what_is_no_archive_is_refused_with_its_name_and_the_reason() {
    let place = Place::new();
    place.write("project/text", "this is no archive");
    let why = place.refusal(&["image", "import", "text"]);
    assert!(
        why.contains("/project/text") && why.contains("caused by: "),
        "{why}"
    );
    let why = place.refusal(&["image", "import", "nothing"]);
    assert!(
        why.contains("/project/nothing") || why.contains("cannot read nothing"),
        "{why}"
    );
    assert_eq!(place.stdout(&["image", "list", "-q"]), "");
}

#[test]
fn a_failed_export_leaves_what_was_there() {
    let place = Place::new();
    place.write("project/out.tar", "precious");
    let why = place.refusal(&["image", "export", "none:1", "-o", "out.tar"]);
    assert!(why.contains("none:1"), "{why}");
    assert_eq!(place.read("project/out.tar"), "precious");
    assert_eq!(fs::read_dir(place.path("project")).unwrap().count(), 1);
}

#[test]
fn an_image_is_taken_over_from_the_engine_that_has_it() {
    let place = Place::new();
    let saved = place.saved("tool:1");
    place.engine("docker", "echo 'cannot connect to the daemon' >&2; exit 1");
    place.engine("podman", &holder("docker.io/library/tool:1", &saved));
    let listed = place.json(&["image", "load", "tool:1", "--json"]);
    assert_eq!(listed["images"][0]["source"], "podman");
    assert_eq!(place.stdout(&["image", "list", "-q"]), "tool:1\n");
    let calls = place.calls();
    assert!(calls[0].starts_with("docker image inspect"), "{calls:?}");
    assert_eq!(calls.last().unwrap(), "podman save docker.io/library/tool:1");

    let why = place.refusal(&["image", "load", "other:1"]);
    assert!(
        why.contains("docker") && why.contains("image pull other:1"),
        "{why}"
    );
    let why = place.refusal(&["image", "load", "--from", "docker", "tool:1"]);
    assert!(why.contains("cannot connect to the daemon"), "{why}");
}

#[test]
fn an_engine_that_fails_halfway_leaves_no_image() {
    let place = Place::new();
    let saved = place.saved("tool:1");
    let half = format!(
        "case \"$1\" in image) exit 0;; esac\nhead='{}'; read -r line < \"$head\"; printf 'half'; \
         printf '\\033[31mthe disk is full\\n' >&2; exit 7",
        saved.display()
    );
    place.engine("docker", &half);
    let why = place.refusal(&["image", "load", "tool:1"]);
    assert!(
        why.contains("the disk is full") && !why.contains('\x1b'),
        "{why:?}"
    );
    assert_eq!(place.stdout(&["image", "list", "-q"]), "");
    let left = fs::read_dir(place.path("state/data/images/incoming")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "something unfinished was left");
}

#[test]
fn explain_and_never_ask_no_engine() {
    let place = Place::new();
    let saved = place.saved("tool:1");
    place.engine("docker", &holder("docker.io/library/tool:1", &saved));
    let explained = place.stdout(&["run", "--explain", "--image", "tool:1", "true"]);
    assert!(explained.contains("pulled from docker.io"), "{explained}");
    let why = place.refusal(&["run", "--pull", "never", "--image", "tool:1", "true"]);
    assert!(why.contains("agentkernel image pull tool:1"), "{why}");
    // A name that is another one's is not taken from an engine either: only docker.io's was saved.
    assert_eq!(place.calls(), Vec::<String>::new());
}

#[test]
fn a_hostile_configuration_does_not_reach_the_terminal() {
    let place = Place::new();
    let archive = place.archive();
    let evil = "A=\x1b]0;owned\x07\x1b[31m";
    place.stdout(&[
        "image",
        "import",
        archive.to_str().unwrap(),
        "evil:1",
        "--cmd",
        "\x1b[2J",
        "-e",
        evil,
        "-w",
        "/\x1b[31m",
    ]);
    for words in [
        &["run", "--explain", "--image", "evil:1"][..],
        &["image", "list"],
        &["image", "inspect", "evil:1"],
    ] {
        let output = place.output(words);
        let all = [output.stdout, output.stderr].concat();
        assert!(
            !all.contains(&0x1b),
            "{words:?}: {}",
            String::from_utf8_lossy(&all)
        );
    }
}

/// Builds by writing down the id that it would have, and saves what is in a file.
fn builder(archive: &Path) -> String {
    format!(
        "case \"$1\" in\nversion|--version) exit 0;;\n\
         build) shift; while [ $# -gt 1 ]; do [ \"$1\" = --iidfile ] && echo sha256:built > \"$2\"; shift; done; \
         echo 'step one' >&2; exit 0;;\n\
         save) exec cat '{}';;\n*) exit 9;;\nesac",
        archive.display()
    )
}

#[test]
fn the_same_inputs_are_built_once() {
    let place = Place::new();
    let saved = place.saved("whatever:1");
    place.engine("docker", &builder(&saved));
    place.write("project/Dockerfile", "FROM scratch\n");
    place.write("project/code", "1");
    let builds = || {
        let calls = place.calls();
        calls.iter().filter(|call| call.contains(" build ")).count()
    };
    let build = ["image", "build", "-t", "app:1", "--json", "."];
    let first = place.json(&build);
    assert_eq!(
        (&first["built"]["cached"], &first["built"]["builder"]),
        (&false.into(), &"docker".into())
    );
    let second = place.json(&build);
    assert_eq!((&second["built"]["cached"], builds()), (&true.into(), 1));
    assert_eq!(first["built"]["image"]["id"], second["built"]["image"]["id"]);
    place.write("project/code", "2");
    place.json(&build);
    place.json(&["image", "build", "--build-arg", "A=1", "--json", "."]);
    place.json(&["image", "build", "--target", "dev", "--json", "."]);
    assert_eq!(builds(), 4);
    place.json(&["image", "build", "--no-cache", "--json", "."]);
    assert_eq!(builds(), 5);
    let names = place.stdout(&["image", "list", "-q"]);
    assert!(names.lines().any(|name| name == "app:1"), "{names}");
    let said = place.output(&["image", "build", "--no-cache", "."]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("step one"));
    let quiet = place.output(&["image", "build", "--no-cache", "-q", "."]);
    assert!(quiet.status.success() && quiet.stderr.is_empty(), "{quiet:?}");
}

#[test]
fn a_dockerfile_is_named_from_where_the_user_is() {
    let place = Place::new();
    let saved = place.saved("whatever:1");
    place.engine("podman", &builder(&saved));
    fs::create_dir(place.path("project/app")).unwrap();
    place.write("project/other", "FROM scratch\n");
    let built = place.json(&["image", "build", "-f", "other", "--json", "app"]);
    assert_eq!(built["built"]["builder"], "podman");
    let file = place.path("project").canonicalize().unwrap().join("other");
    let call = format!(" --file {} ", file.display());
    assert!(
        place.calls().iter().any(|made| made.contains(&call)),
        "{:?}",
        place.calls()
    );
}

#[test]
fn without_an_engine_a_build_is_refused_with_the_remedy() {
    let place = Place::new();
    place.write("project/Dockerfile", "FROM scratch\n");
    let why = place.refusal(&["image", "build", "."]);
    assert!(
        why.contains("none of them is here") && why.contains("install docker, podman or buildah"),
        "{why}"
    );
    let why = place.refusal(&["image", "build", "--builder", "podman", "."]);
    assert!(why.contains("podman is not here"), "{why}");
    let why = place.refusal(&["image", "build", "-f", "none", "."]);
    assert!(why.contains("none"), "{why}");
}

#[test]
fn a_projects_dockerfile_is_never_built_without_being_asked() {
    let place = Place::new();
    let saved = place.saved("whatever:1");
    place.engine("docker", &builder(&saved));
    place.write("project/agentkernel.toml", "[build]\ncontext = \".\"\n");
    place.write("project/Dockerfile", "FROM scratch\n");
    let why = place.refusal(&["run", "true"]);
    assert!(
        why.contains("is not built") && why.contains("run --build"),
        "{why}"
    );
    // Looking at what would happen builds nothing either.
    let why = place.refusal(&["run", "--build", "--explain", "true"]);
    assert!(why.contains("is not built"), "{why}");
    assert_eq!(place.calls(), Vec::<String>::new());

    let built = place.json(&["image", "build", "--json"]);
    let id = built["built"]["image"]["id"].as_str().unwrap().to_owned();
    let explained = place.json(&["run", "--explain", "--json", "true"]);
    assert_eq!(explained["spec"]["image_id"], id);
    // Who names an image, or the host, has not asked for the project's.
    let explained = place.json(&["run", "--explain", "--json", "--image", "host", "true"]);
    assert_eq!(explained["spec"]["image"], "host");
    place.write("project/code", "changed");
    assert!(
        place
            .refusal(&["run", "true"])
            .contains("no longer as it is written")
    );
}

#[test]
fn a_lock_file_that_is_not_ours_is_refused_by_name() {
    let place = Place::new();
    place.write("project/agentkernel.lock", "nonsense");
    let why = place.refusal(&["run", "--image", "x:1", "true"]);
    assert!(
        why.contains("agentkernel.lock") && why.contains("image lock"),
        "{why}"
    );
}

#[test]
fn the_settings_of_images_are_shown_with_their_origins() {
    let place = Place::new();
    fs::create_dir_all(place.path("state/config")).unwrap();
    place.write(
        "state/config/config.toml",
        "[images]\nmax_size = \"20g\"\n[registries.\"localhost:5000\"]\ninsecure = true\n",
    );
    let shown = place
        .command(&["config", "show", "--origin"])
        .env("AGENTKERNEL_PULL", "never")
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    for expected in [
        "AGENTKERNEL_PULL",
        "images.max_size",
        "localhost:5000",
        "config.toml:2",
    ] {
        assert!(shown.contains(expected), "{expected} is not in\n{shown}");
    }
}
