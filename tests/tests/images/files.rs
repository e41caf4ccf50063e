//! Images as files, in and out. What we write is judged by skopeo, what others write is taken.

use std::{fs, path::Path, process::Command};

use agentkernel_tests::{
    cli::{Home, Outcome},
    have,
    images::{Compression, Image, Layer, archive},
};
use serde_json::{Value, json};

use crate::{pull::noise, setting::Setting};

/// Layers of every kind of entry that survives.
fn image() -> Option<Image> {
    let layer = Layer::new()
        .folder("d/", 0o2750)
        .owned("d/file", 1000, 0o644, "content")
        .symlink("d/link", "file")
        .hard_link("d/again", "d/file")
        .file("large", 0o600, noise(300_000, 9));
    let image = Image::busybox()?
        .layer(layer, Compression::Zstd)
        .layer(Layer::new().whiteout("large"), Compression::Gzip)
        .set("Cmd", json!(["echo", "from a file"]))
        .set("Labels", json!({ "kept": "yes" }));
    Some(image)
}

#[track_caller]
fn runs(home: &Home, name: &str) {
    home.call(["run", "--image", name])
        .success()
        .expect_text("from a file\n");
    home.call(["run", "--image", name, "cat", "/d/again"])
        .success()
        .expect_text("content");
}

#[track_caller]
fn import(home: &Home, name: &str, content: impl AsRef<[u8]>) -> Outcome {
    home.write(name, content);
    home.call(["image", "import", name])
}

#[test]
fn what_docker_save_writes_is_imported() {
    let Some(image) = image() else {
        return;
    };
    for home in [Some(Home::new()), Home::rootless()].into_iter().flatten() {
        let saved = archive::docker(&[(&image, &["team/tool:1", "team/tool:latest"])]);
        import(&home, "saved.tar", &saved).success();
        runs(&home, "team/tool:1");
        runs(&home, "team/tool");
        runs(&home, &image.id());
    }
}

#[test]
fn compressed_archives_are_told_by_their_bytes() {
    let Some(image) = image() else {
        return;
    };
    let saved = archive::docker(&[(&image, &["team/tool:1"])]);
    for compression in [Compression::Gzip, Compression::Zstd] {
        let home = Home::new();
        import(&home, "saved", compression.apply(&saved)).success();
        runs(&home, "team/tool:1");
    }
}

#[test]
fn an_archive_is_read_from_stdin() {
    let Some(image) = image() else {
        return;
    };
    let home = Home::new();
    let saved = Compression::Gzip.apply(&archive::docker(&[(&image, &["team/tool:1"])]));
    home.call_with_input(["image", "import", "-"], &saved).success();
    runs(&home, "team/tool:1");
}

#[test]
fn oci_layouts_are_imported_as_folders_and_as_archives() {
    let Some(image) = image() else {
        return;
    };
    let home = Home::new();
    import(&home, "oci.tar", archive::oci(&image, Some("team/archive:1"))).success();
    runs(&home, "team/archive:1");
    archive::write_layout(&image, Some("team/folder:1"), &home.project().join("layout"));
    home.call(["image", "import", "layout"]).success();
    runs(&home, "team/folder:1");
    home.call(["image", "import", "layout", "other:2"]).success();
    runs(&home, "other:2");
}

#[test]
fn a_plain_root_file_system_becomes_an_image() {
    let Some(image) = Image::busybox() else {
        return;
    };
    let root = &image.archives[0];
    for (name, bytes) in [
        ("plain", root.clone()),
        ("gzip", Compression::Gzip.apply(root)),
        ("zstd", Compression::Zstd.apply(root)),
    ] {
        let home = Home::new();
        home.write(name, bytes);
        home.call(["image", "import", name, "root:1"]).success();
        home.call(["run", "--image", "root:1", "echo", name])
            .success()
            .expect_text(&format!("{name}\n"));
        // There is no command in a plain root, so one has to be said.
        home.call(["run", "--image", "root:1"]).expect_code(125);
    }
}

#[test]
fn what_is_no_image_is_refused() {
    let home = Home::new();
    for (name, content) in [
        ("empty", &b""[..]),
        ("text", b"this is no archive"),
        ("cut.gz", &Compression::Gzip.apply(&noise(5000, 1))[..100]),
    ] {
        import(&home, name, content).refused(name);
    }
    home.call(["image", "import", "no-such-file"])
        .refused("no-such-file");
    assert_eq!(home.call(["image", "list", "-q"]).success().text(), "");
}

/// What skopeo says about an image, in its words for the transport.
fn judged(image: &str, folder: &Path) -> Value {
    let output = Command::new("skopeo")
        .args(["--insecure-policy", "inspect", "--config", "--raw", image])
        .current_dir(folder)
        .output()
        .expect("skopeo can be started");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("a configuration is JSON")
}

/// Copies with skopeo, which reads every layer and compares every digest.
#[track_caller]
fn copied(from: &str, to: &str, folder: &Path) {
    let output = Command::new("skopeo")
        .args([
            "--insecure-policy",
            "copy",
            "-q",
            "--src-tls-verify=false",
            from,
            to,
        ])
        .current_dir(folder)
        .output()
        .expect("skopeo can be started");
    assert!(
        output.status.success(),
        "{from}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn what_we_export_convinces_skopeo_and_ourselves() {
    let (Some(setting), Some(image)) = (Setting::new(), image()) else {
        return;
    };
    if !have(&["skopeo"]) {
        return;
    }
    let rootless = Setting::rootless();
    for setting in [Some(setting), rootless].into_iter().flatten() {
        let home = &setting.home;
        let name = setting.pulled("team/tool:1", &image);
        for (format, transport) in [("docker", "docker-archive"), ("oci", "oci-archive")] {
            let file = format!("{format}.tar");
            home.call(["image", "export", "--format", format, "-o", &file, &name])
                .success();
            let source = match format {
                "oci" => format!("{transport}:{file}"),
                _ => format!("{transport}:{file}:{name}"),
            };
            let found = judged(&source, &home.project());
            assert_eq!(found["rootfs"], image.config["rootfs"], "{format}: other layers");
            assert_eq!(
                found["config"], image.config["config"],
                "{format}: another configuration"
            );
            let folder = tempfile::tempdir().expect("a temporary folder can be made");
            let target = format!("dir:{}", folder.path().display());
            copied(&source, &target, &home.project());
            let fresh = Home::new();
            fs::copy(home.project().join(&file), fresh.project().join(&file)).expect("a file can be copied");
            fresh.call(["image", "import", &file, "team/back:1"]).success();
            runs(&fresh, "team/back:1");
            fresh
                .call(["run", "--image", &image.id(), "echo", "the same id"])
                .success()
                .expect_text("the same id\n");
        }
    }
}

#[test]
fn what_skopeo_writes_is_imported() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    if !have(&["skopeo"]) {
        return;
    }
    let image = image.set("Cmd", json!(["echo", "from skopeo"]));
    setting.registry.push("team/tool:1", &image);
    let source = format!("docker://{}", setting.registry.name("team/tool:1"));
    for (target, path) in [
        ("docker-archive:saved.tar:team/docker:1", "saved.tar"),
        ("oci-archive:oci.tar:team/oci:1", "oci.tar"),
        ("oci:layout:team/layout:1", "layout"),
    ] {
        let home = Home::new();
        copied(&source, target, &home.project());
        home.call(["image", "import", path, "imported:1"]).success();
        home.call(["run", "--image", "imported:1"])
            .success()
            .expect_text("from skopeo\n");
    }
}

#[test]
fn an_export_goes_to_stdout() {
    let Some(image) = image() else {
        return;
    };
    let home = Home::new();
    import(&home, "saved.tar", archive::docker(&[(&image, &["team/tool:1"])])).success();
    let exported = home.call(["image", "export", "team/tool:1"]).success();
    let fresh = Home::new();
    fresh
        .call_with_input(["image", "import", "-"], &exported.stdout)
        .success();
    runs(&fresh, "team/tool:1");
}

#[test]
fn what_is_not_there_is_not_exported() {
    let home = Home::new();
    home.call(["image", "export", "-o", "out.tar", "no/such:1"])
        .refused("no/such:1");
    assert!(!home.project().join("out.tar").exists(), "half an export is left");
}

#[test]
fn without_an_engine_load_and_build_say_what_is_missing() {
    let home = Home::new();
    home.write("Dockerfile", "FROM scratch\n");
    let bare = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command
            .env("PATH", "/nonexistent")
            .env("DOCKER_HOST", "unix:///nonexistent.sock");
        let child = command.spawn().expect("the binary can be started");
        agentkernel_tests::cli::wait_for(child, agentkernel_tests::cli::PATIENCE)
    };
    bare(&["image", "build", "-t", "x:1", "."]).refused("docker");
    bare(&["image", "load", "x:1"]).refused("docker");
}
