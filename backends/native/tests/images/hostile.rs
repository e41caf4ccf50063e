//! Images that were made to do harm.

use agentkernel_image::ImageConfig;
use agentkernel_types::{ErrorKind, RootAccess};

use crate::{
    common::{Tree, is_root},
    stage::{Stage, assert_refused, busybox},
};

#[tokio::test]
async fn nothing_of_the_host_is_to_be_seen() {
    let stage = Stage::busybox(|_| ()).await;
    let said = stage
        .says("ls -A /; ls /dev; cat /proc/self/mountinfo; cat /etc/resolv.conf; mount -t tmpfs x /tmp; su -c id www; mknod /x c 1 3")
        .await;
    let top: Vec<&str> = said.lines().take_while(|line| *line != "fd").collect();
    assert!(!top.contains(&"opt") && !top.contains(&"work"), "{said}");
    let host = stage.folder.path().to_str().expect("plain").to_owned();
    assert!(!said.contains("/layers/") && !said.contains(&host), "{said}");
    assert!(!said.contains("uid=33"), "{said}");
}

#[tokio::test]
async fn set_user_id_bits_have_no_effect() {
    let stage = Stage::busybox(|layer| {
        let program = std::fs::read("/bin/busybox").expect("busybox-static is installed");
        layer.file("srv/id", program, 0o4755);
    })
    .await;
    let mut spec = stage.spec();
    spec.user = Some("sandbox".parse().expect("a user"));
    assert_eq!(stage.run(&spec, "/srv/id -u").await.expect("it runs"), "1000\n");
}

/// For each system folder: as a link to various places, and as a file.
#[tokio::test]
async fn an_image_with_something_else_where_a_system_folder_belongs_is_refused_by_name() {
    for folder in ["proc", "sys", "dev", "etc"] {
        for target in ["/", "/bin", "../../..", "/proc/1/root", "nowhere"] {
            let stage = Stage::with(
                ImageConfig::default(),
                &[&|layer| {
                    let program = std::fs::read("/bin/busybox").expect("busybox-static is installed");
                    layer.file("bin/sh", program, 0o755).link(folder, target);
                }],
            )
            .await;
            let result = stage.run(&stage.spec(), "true").await;
            assert_refused(result, &[&format!("/{folder} in the image is a symbolic link")]);
        }
        let stage = Stage::with(
            ImageConfig::default(),
            &[&|layer| {
                layer.file(folder, "a file", 0o644);
            }],
        )
        .await;
        let result = stage.run(&stage.spec(), "true").await;
        assert_refused(result, &[&format!("/{folder} in the image is a file")]);
    }
}

#[tokio::test]
async fn a_link_at_tmp_or_run_leads_nowhere_but_into_the_root() {
    for (folder, target) in [
        ("tmp", "/"),
        ("run", "../../.."),
        ("tmp", "/proc/1/root"),
        ("run", "/dev/shm"),
    ] {
        let over = |layer: &mut Tree| {
            layer.whiteout(folder);
        };
        let top = |layer: &mut Tree| {
            layer.link(folder, target);
        };
        let stage = Stage::with(ImageConfig::default(), &[&busybox, &over, &top]).await;
        let said = stage
            .says(&format!("readlink /{folder}; ls -d /{folder}/. "))
            .await;
        assert!(said.starts_with(&format!("{target}\n")), "{said}");
        let mut spec = stage.spec();
        spec.root = RootAccess::ReadOnly;
        let refused = stage.run(&spec, "true").await;
        assert_refused(refused, &[&format!("/{folder} in the image is a symbolic link")]);
    }
}

#[tokio::test]
async fn our_files_in_etc_replace_links_and_are_never_written_through_them() {
    let canary = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(canary.path(), "canary").expect("our own");
    let outside = canary.path().to_str().expect("plain").to_owned();
    let stage = Stage::busybox(|layer| {
        layer
            .link("etc/resolv.conf", "/proc/1/environ")
            .link("etc/hosts", &outside)
            .link("etc/hostname", "passwd");
    })
    .await;
    let said = stage
        .says(
            "stat -c %F /etc/resolv.conf /etc/hosts /etc/hostname; cat /etc/hostname; head -n 1 /etc/passwd",
        )
        .await;
    assert!(
        said.starts_with("regular empty file\nregular file\nregular file\nsandbox\nroot:x:0"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(canary.path()).expect("our own"), "canary");
    let tree = &stage.image.layers[1].tree;
    assert!(
        std::fs::symlink_metadata(tree.join("etc/hosts"))
            .expect("as it was")
            .is_symlink()
    );
}

#[tokio::test]
async fn a_folder_in_place_of_our_files_is_refused() {
    let stage = Stage::busybox(|layer| {
        layer.folder("etc/hosts", 0o755);
    })
    .await;
    let refused = stage.run(&stage.spec(), "true").await;
    assert_refused(refused, &["/etc/hosts in the image is a folder"]);
}

#[tokio::test]
async fn a_mount_goes_through_no_link_of_the_image() {
    let project = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(project.path().join("file"), "x").expect("our own");
    let stage = Stage::busybox(|layer| {
        layer
            .link("work", "/etc")
            .link("srv/link", "../../../..")
            .file("srv/file", "", 0o644);
    })
    .await;
    for (target, part) in [
        ("/work", "/work in the image is a symbolic link"),
        ("/work/project", "/work in the image is a symbolic link"),
        (
            "/srv/link/deep/project",
            "/srv/link in the image is a symbolic link",
        ),
        ("/srv/file", "/srv/file in the image is a file"),
        ("/srv/file/project", "/srv/file in the image is a file"),
    ] {
        let mut spec = stage.spec();
        spec.mounts = vec![stage.mount(project.path(), target)];
        let result = stage.run(&spec, "true").await;
        assert_refused(result, &[part]);
    }
    let mut spec = stage.spec();
    spec.mounts = vec![stage.mount(project.path(), "/srv/made/project")];
    let said = stage
        .run(&spec, "cd /srv/made/project && ls && touch new && stat -c %u new")
        .await;
    assert_eq!(said.expect("it runs"), "file\n0\n");
    assert!(project.path().join("new").exists());
}

#[tokio::test]
async fn a_working_directory_is_made_and_links_on_the_way_stay_inside() {
    let canary = tempfile::tempdir().expect("a temporary folder");
    let outside = canary.path().to_str().expect("plain").to_owned();
    let stage = Stage::busybox(|layer| {
        layer
            .link("var/work", "/srv/real")
            .folder("srv/real", 0o755)
            .link("var/out", &outside);
    })
    .await;
    let mut spec = stage.spec();
    spec.workdir = Some("/var/work/deep/er".parse().expect("a path"));
    let said = stage.run(&spec, "pwd -P; ls /srv/real").await.expect("it runs");
    assert_eq!(said, "/srv/real/deep/er\ndeep\n");
    spec.id = stage.spec().id;
    spec.workdir = Some("/var/out/made".parse().expect("a path"));
    assert!(stage.run(&spec, "true").await.is_err());
    assert_eq!(std::fs::read_dir(canary.path()).expect("our own").count(), 0);
}

#[tokio::test]
async fn more_owners_than_a_sandbox_can_have_are_refused() {
    if !is_root() {
        return;
    }
    // Each layer for itself has few enough for the store.
    let owned = |from: u32| {
        move |layer: &mut Tree| {
            for uid in from..from + 100 {
                layer
                    .file(&format!("srv/{uid}"), "", 0o644)
                    .owner(2000 + uid * 2, 0);
            }
        }
    };
    let (first, second, third) = (owned(0), owned(100), owned(200));
    let stage = Stage::with(ImageConfig::default(), &[&busybox, &first, &second, &third]).await;
    let error = stage.backend.check(&stage.spec()).expect_err("too many");
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Unsupported, Some("image")),
        "{error}"
    );
    assert!(error.to_string().contains("256"), "{error}");
}
